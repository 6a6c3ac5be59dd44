/**
 * mqstore: looks at a store directory while no broker needs to run, whoever wrote it, and builds its derived files anew. `verify` and
 * `dump` never write and need no lock; `rebuild` takes the store's lock.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { systemClock } from "../base/clock.ts";
import { runProgram, type Terminal } from "../base/terminal.ts";
import { ConfigError, loadBrokerConfig, parseProperties } from "../config/index.ts";
import { type Disk, lockHolder, nodeDisk } from "../store/disk.ts";
import { readOnlyDisk } from "../store/readOnlyDisk.ts";
import { dumpCommand } from "./dump.ts";
import { type Layout, readLayout } from "./layout.ts";
import { rebuildStore } from "./rebuild.ts";
import { describeVerdict, verifyStore } from "./verify.ts";

/** The directory could not be looked at, or the command line is wrong. */
const EXIT_FAILURE = 3;

interface CommonFlags {
  configFile?: string;
  json?: boolean;
}

/** Runs one command line; its exit status. */
export async function run(args: readonly string[], terminal: Terminal, disk: Disk = nodeDisk): Promise<number> {
  let status = 0;
  const program = new Command("mqstore")
    .description("Looks at a RocketMQ store directory, Apache's or Skylark's, and builds its derived files anew")
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) });
  const sub = (name: string, description: string) =>
    program
      .command(`${name} <dir>`)
      .description(description)
      .option("-c, --configFile <file>", "broker.conf: sizes of files and delay levels (default: read off the files)");
  sub("verify", "reads a whole store and says what is wrong, where, and what the next start does about it")
    .option("--json", "one JSON object instead of text")
    .addHelpText(
      "after",
      "\nExit status: 0 sound; 1 the next start mends what is wrong, nothing is lost; 2 something is lost, stays wrong, or no\n" +
        "broker starts on it; 3 the directory could not be looked at. Never writes, needs no lock.",
    )
    .action(async (dir: string, flags: CommonFlags) => {
      const layout = openLayout(disk, dir, flags);
      const live = disk === nodeDisk && lockHolder(join(layout.root, "lock")) !== undefined;
      const verdict = await verifyStore(disk, systemClock, layout, live);
      status = verdict.status;
      const { audit: _, ...shown } = verdict;
      terminal.out(flags.json ? `${JSON.stringify(shown)}\n` : describeVerdict(verdict, layout.root));
    });
  sub("rebuild", "derives consume queues and index anew from the commit log; refuses while a broker runs")
    .option("--drop-backup", "remove the old files afterwards instead of keeping them beside")
    .action(async (dir: string, flags: CommonFlags & { dropBackup?: boolean }) => {
      const layout = openLayout(disk, dir, flags);
      const result = await rebuildStore(disk, systemClock, layout, { keepBackup: flags.dropBackup !== true });
      for (const line of result.lines) terminal.out(`${line}\n`);
      status = result.status;
    });
  program.addCommand(
    dumpCommand(
      (dir, flags) => ({ disk: readOnlyDisk(disk), layout: openLayout(disk, dir, flags) }),
      (text) => terminal.out(text),
      integer,
    ),
  );
  try {
    await program.parseAsync([...args], { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_FAILURE;
    const problems = error instanceof ConfigError ? error.problems : [(error as Error).message];
    for (const problem of problems) terminal.err(`mqstore: ${problem}\n`);
    return EXIT_FAILURE;
  }
}

function openLayout(disk: Disk, dir: string, flags: CommonFlags): Layout {
  const root = resolve(dir);
  if (!disk.isDirectory(root)) throw new Error(`${root} is no directory`);
  const layout = readLayout(disk, root, flags.configFile === undefined ? undefined : readConfig(flags.configFile));
  if (!disk.isDirectory(layout.logDir)) throw new Error(`${layout.logDir} is no directory: ${root} is no store`);
  return layout;
}

function readConfig(file: string): ReturnType<typeof loadBrokerConfig>["config"] {
  const full = resolve(file);
  if (!existsSync(full)) throw new Error(`the configuration file ${full} does not exist`);
  return loadBrokerConfig(parseProperties(readFileSync(full, "utf8"))).config;
}

/** An integer from 0 on. */
function integer(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("not an integer");
  return Number(text);
}

/** The program. */
export function main(args: readonly string[]): Promise<void> {
  return runProgram((terminal) => run(args, terminal));
}
