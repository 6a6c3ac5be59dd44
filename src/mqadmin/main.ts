/**
 * mqadmin: the commands of the official tool that set-ups, health checks and daily work use, in a process that starts as fast as a shell's
 * own (Apache: MQAdminStartup). Names, options, output and exit status are the official tool's, so that scripts need not know which one
 * they call: a command that failed says so in Java's words on stderr and ends with 0, a wrong command line with 1.
 * Refuses what it does not have with 1, and says who has it.
 */
import type { Buffer } from "node:buffer";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { runProgram, type Terminal } from "../base/terminal.ts";
import { Admin } from "./admin.ts";
import { type Command, NothingNamed } from "./command.ts";
import { help, parse, UsageError } from "./commandLine.ts";
import { allCommands, COMMAND_NAMES, commandNamed } from "./commands.ts";
import { signerOf, toolsFile } from "./credentials.ts";
import { commandFailure, describe, runtimeFailure } from "./failures.ts";
import { format } from "./format.ts";

/** Where the official tool puts bodies that it shows. */
const BODIES = "/tmp/rocketmq/msgbodys";
const EXIT_USAGE = 1;

/** What a caller of {@link run} may choose. */
export interface Surroundings extends Terminal {
  /** Environment: NAMESRV_ADDR counts where no -n is given, ROCKETMQ_HOME has the credentials (conf/tools.yml). */
  env: Readonly<Record<string, string | undefined>>;
}

/** Runs one command line; its exit status. */
export async function run(args: readonly string[], terminal: Surroundings): Promise<number> {
  const [first, ...rest] = args;
  if (first === undefined || (first === "help" && rest.length === 0)) {
    terminal.out(await overview());
    return 0;
  }
  const asksHelp = first === "help" && rest.length === 1;
  const name = asksHelp ? rest[0] : first;
  const command = await commandNamed(name);
  if (command === undefined) {
    terminal.out(`The sub command ${name} not exist.\n`);
    terminal.err(
      `This mqadmin knows ${[...COMMAND_NAMES].sort().join(", ")}. For others use the official mqadmin of Apache RocketMQ 5.5.0 against the same addresses.\n`,
    );
    return EXIT_USAGE;
  }
  if (asksHelp) {
    terminal.out(help(`mqadmin ${command.name}`, command.options));
    return 0;
  }
  return runCommand(command, rest, terminal);
}

async function runCommand(command: Command, args: readonly string[], terminal: Surroundings): Promise<number> {
  const usage = help(`mqadmin ${command.name}`, command.options);
  let given: ReturnType<typeof parse>;
  try {
    given = parse(command.options, args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    terminal.err(`${error.message}\n`);
    terminal.out(usage);
    return EXIT_USAGE;
  }
  if (given.has("h")) {
    terminal.out(usage);
    return 0;
  }
  const tools = toolsFile(terminal.env);
  const sign = tools !== undefined && existsSync(tools) ? signerOf(readFileSync(tools, "utf8")) : undefined;
  const admin = new Admin(given.text("n") ?? terminal.env.NAMESRV_ADDR, sign);
  try {
    await command.run(
      {
        admin,
        print: (text) => terminal.out(text),
        complain: (error) => terminal.err(`${describe(error)}\n`),
        saveBody,
      },
      given,
    );
  } catch (error) {
    if (error instanceof NothingNamed) {
      terminal.out(usage);
      return 0;
    }
    const failure = command.bareFailure
      ? runtimeFailure(`${command.className} command failed`, error)
      : commandFailure(command.className, error);
    terminal.err(`${describe(failure)}\n`);
  } finally {
    admin.close();
  }
  return 0;
}

function saveBody(name: string, body: Buffer): string {
  mkdirSync(BODIES, { recursive: true });
  writeFileSync(`${BODIES}/${name}`, body);
  return `${BODIES}/${name}`;
}

async function overview(): Promise<string> {
  const lines = (await allCommands()).map(({ name, description }) => format("   %-35s %s%n", name, description));
  return (
    `The most commonly used mqadmin commands are:\n${lines.join("")}\n` +
    "See 'mqadmin help <command>' for more information on a specific command.\n"
  );
}

/** The program. */
export function main(args: readonly string[]): Promise<void> {
  return runProgram((terminal) => run(args, { ...terminal, env: process.env }));
}
