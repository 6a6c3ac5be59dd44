// The official mqadmin 5.5.0, unchanged, against Apache 5.5.0 and against Skylark: the same script of commands on the same prepared data,
// exit status and output compared.
//
//   node compat-tests/mqadmin/run.mjs [--short] [--own] [--auth | --lites] [--command NAME]... [--write-readme] [--keep] [--show]
//
// Prints one line a command and "N passed, N failed". --command compares only these (all still run, because later commands see what
// earlier ones did); --show prints their output. --own: Skylark is asked by its own mqadmin, where that has the command, Apache by the official one. compat-tests/.work/mqadmin.json has everything.
// --lites: only the part with lite topics in use. --auth: a script of its own, about users and rights, with servers that control access and mqadmin's credentials in tools.yml.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SETTINGS as AUTH_SETTINGS, ROOT } from "../auth/lib.mjs";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing, WORK } from "../lib/build.mjs";
import { freePorts } from "../lib/ports.mjs";
import { writeTable } from "../lib/readme.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { AUTH_SCRIPT } from "./cases/auth.mjs";
import { LITE_SETTINGS, LITES_IN_USE } from "./cases/lites.mjs";
import { buildDriver, Driver } from "./driver.mjs";
import { judge } from "./judge.mjs";
import { run } from "./lib.mjs";
import { normal } from "./normal.mjs";
import { isForOwn, isOwn, ownDifference, ownOrder, runOwn } from "./own.mjs";
import { SCRIPT } from "./script.mjs";
import { markdown } from "./table.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 25_000);
/** A command takes a fifth of a second; next to other suites it has taken a minute. */
const COMMAND_LIMIT_MS = 240_000;
const REGISTERED = run("clusterList", { until: /broker-a/ });
/** How long something may take to become true (see `until` in lib.mjs). */
const UNTIL_LIMIT_MS = 90_000;
const CONSUME_LIMIT_MS = 90_000;
const PRODUCER = "PreparedProducer";

const { values: options } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    own: { type: "boolean", default: false },
    auth: { type: "boolean", default: false },
    lites: { type: "boolean", default: false },
    command: { type: "string", multiple: true },
    "write-readme": { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    show: { type: "boolean", default: false },
  },
});

const began = Date.now();
/** What is run, and the servers' settings; only the whole script has every command. */
const [script, settings] = options.auth
  ? [AUTH_SCRIPT, AUTH_SETTINGS]
  : options.lites
    ? [LITES_IN_USE, LITE_SETTINGS]
    : [SCRIPT, {}];
const chosen = script.filter(
  ({ kind, short }) => !options.short || short || !["run", "restart", "prepare"].includes(kind),
);
const steps = options.own ? chosen.filter(isForOwn).map(ownOrder) : chosen;
let lib;
try {
  lib = apacheLib();
  buildDriver(lib);
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED mqadmin: ${error.message}\n\nmqadmin: 0 passed, 0 failed, 1 suites skipped`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const tempDir = mkdtempSync(join(tmpdir(), "skylark-mqadmin-"));
const ports = await portBlocks(2);
const [apache, skylark] = await Promise.all([
  lane("apache", (common) => new ApacheServer({ ...common, lib }), ports[0]),
  // One process in the short form, NameServer and broker apart in the full one.
  lane("skylark", (common) => new SkylarkServer({ ...common, layout: options.short ? "one" : "split" }), ports[1]),
]);
finish();

async function portBlocks(count) {
  const blocks = [];
  for (let from = BASE_PORT; blocks.length < count; ) {
    const { next, ...block } = await freePorts(from);
    blocks.push(block);
    from = next;
  }
  return blocks;
}

/** Runs the script against one server. */
async function lane(kind, makeServer, block) {
  const dir = join(tempDir, kind);
  const files = join(dir, "files");
  mkdirSync(files, { recursive: true });
  const server = makeServer({ dir, ...block, settings: { ...settings } });
  await server.start();
  const lane = {
    kind,
    server,
    files,
    values: {
      namesrv: server.namesrvAddr,
      broker: server.brokerAddr,
      cluster: "DefaultCluster",
      brokerName: "broker-a",
      dir: files,
    },
    /** What stands in outputs for the lane's own addresses, directories and ids. */
    names: { [server.namesrvAddr]: "<namesrv>", [server.brokerAddr]: "<broker>", [dir]: "<dir>" },
    driver: undefined,
    /** Connections that stay open. */
    open: [],
    results: new Map(),
  };
  lane.driver = startDriver(lane);
  lane.commands = (await lane.driver.ask({ op: "commands" })).commands;
  // A broker on a busy machine says that it has booted before a NameServer knows it.
  await command(lane, REGISTERED);
  for (const step of steps) await take(lane, step);
  await lane.driver.close();
  for (const connection of lane.open) connection.destroy();
  // How Apache stops is no question here, and takes it a quarter of a minute.
  await (kind === "apache" ? server.kill9() : server.stopGracefully());
  return lane;
}

function startDriver({ files, server }) {
  if (options.auth) {
    const conf = join(server.dir, "admin-home", "conf");
    mkdirSync(conf, { recursive: true });
    writeFileSync(join(conf, "tools.yml"), `accessKey: ${ROOT.accessKey}\nsecretKey: ${ROOT.secretKey}\n`);
  }
  return new Driver({ lib, home: join(server.dir, "admin-home"), log: join(files, "..", "mqadmin.log") });
}

async function take(lane, step) {
  const { values, names, driver } = lane;
  const { namesrv } = values;
  if (step.kind === "run") {
    lane.results.set(step, await command(lane, step));
  } else if (step.kind === "send") {
    const messages = step.messages.map(([topic, queueId, tags, keys, body]) => ({ topic, queueId, tags, keys, body }));
    const { sent } = await driver.ask({ op: "send", group: PRODUCER, namesrv, broker: values.brokerName, messages });
    for (const [i, one] of sent.entries()) {
      if (one.status !== "SEND_OK") throw new Error(`${lane.kind}: message ${i} ended ${one.status}`);
      values[`id.${i}`] = one.msgId;
      values[`offsetId.${i}`] = one.offsetMsgId;
      values[`time.${i}`] ??= String(Date.now() - 60_000);
      names[one.msgId] = `<id ${i}>`;
      names[one.offsetMsgId] = `<offset id ${i}>`;
    }
  } else if (step.kind === "consume") {
    const { group, topic, expression, wait } = step;
    const { consumed, clientId } = await driver.ask(
      { op: "consume", group, topic, expression, wait, namesrv, timeoutMs: CONSUME_LIMIT_MS },
      CONSUME_LIMIT_MS,
    );
    if (consumed !== wait) throw new Error(`${lane.kind}: ${group} consumed ${consumed} of ${wait} messages`);
    values[`client.${group}`] = clientId;
    names[clientId] = `<client ${group}>`;
  } else if (step.kind === "restart") {
    await lane.server.kill9();
    Object.assign(lane.server.settings, step.settings);
    await lane.server.start();
    await command(lane, REGISTERED);
  } else if (step.kind === "prepare") {
    lane.open.push(await step.work(lane.server, values));
  } else if (step.kind === "stop") {
    await driver.ask({ op: "stop", group: step.group });
  } else {
    writeFileSync(join(values.dir, step.name), step.text);
  }
}

/** The command's outcome, normalised; repeated while `until` says so. */
async function command(lane, step) {
  const began = Date.now();
  for (;;) {
    const raw = await once(lane, step);
    if (
      [step.until ?? []].flat().every((pattern) => pattern.test(raw.out + raw.err)) ||
      Date.now() > began + UNTIL_LIMIT_MS
    ) {
      const files = (step.files ?? []).map((name) => `file ${name}:\n${readIfThere(join(lane.values.dir, name))}`);
      const text = [raw.out, raw.err, ...files].join("\n");
      return {
        status: raw.status,
        ms: raw.ms,
        waitedMs: Date.now() - began,
        raw: text,
        text: normal(text, lane.names, step),
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function once(lane, step) {
  const line = step.noNamesrv || / -n /.test(step.line) ? step.line : `${step.line} -n {namesrv}`;
  const args = line.match(/"[^"]*"|\S+/g).map((arg) => fill(arg.replaceAll(/^"|"$/g, ""), lane.values));
  const timeoutMs = step.endlessMs ?? COMMAND_LIMIT_MS;
  const request = { op: "run", args, timeoutMs };
  if (step.endlessMs) return endless(lane, request);
  if (options.own && lane.kind === "skylark" && isOwn(step)) return runOwn(args, timeoutMs);
  const result = await lane.driver.ask(request, timeoutMs);
  if (result.status === undefined) throw new Error(`${lane.kind}: ${step.line} did not end within ${timeoutMs} ms`);
  return result;
}

/** What does not end by itself gets a JVM of its own, and ends with it. */
async function endless(lane, request) {
  const driver = startDriver(lane);
  try {
    const result = await driver.ask(request, request.timeoutMs);
    // It may have left its work to threads.
    await new Promise((resolve) => setTimeout(resolve, request.timeoutMs - result.ms));
    return { ...result, status: "endless" };
  } finally {
    await driver.close();
  }
}

function fill(text, values) {
  return text.replaceAll(/\{([a-zA-Z]+(?:\.\w+)?)\}/g, (_, name) => {
    if (name === "now") return String(Date.now() + 60_000);
    if (!(name in values)) throw new Error(`{${name}} has no value here`);
    return values[name];
  });
}

function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    return `(${error.code})`;
  }
}

function finish() {
  const verdicts = [];
  for (const step of steps.filter(({ kind }) => kind === "run")) {
    if (options.command && !options.command.includes(step.command)) continue;
    if (options.own && !isOwn(step)) continue;
    const verdict = judge(
      options.own ? ownDifference(step) : step,
      apache.results.get(step),
      skylark.results.get(step),
    );
    verdicts.push({ step, ...verdict });
    console.log(
      `${verdict.passed ? "  " : "! "}${verdict.word.padEnd(8)} mqadmin ${step.line}${verdict.why ? `  (${verdict.why})` : ""}`,
    );
    for (const line of verdict.details.slice(0, 40)) console.log(`             ${line}`);
    if (options.show) {
      for (const lane of [apache, skylark]) {
        const { status, ms, text } = lane.results.get(step);
        console.log(`    --- ${lane.kind}: status ${status}, ${ms} ms\n${text.replaceAll(/^/gm, "    ")}`);
      }
    }
  }
  const covered = new Set(SCRIPT.map(({ command }) => command?.toLowerCase()));
  const uncovered =
    options.own || script !== SCRIPT ? [] : apache.commands.filter((name) => !covered.has(name.toLowerCase()));
  for (const name of uncovered) console.log(`! missing  mqadmin ${name}  (no line of the script runs it)`);
  const passed = verdicts.filter((verdict) => verdict.passed).length;
  const failed = verdicts.length - passed + uncovered.length;
  const json = verdicts.map(({ step, passed, word, why, details }) => ({
    line: step.line,
    passed,
    word,
    why,
    details,
    apache: apache.results.get(step),
    skylark: skylark.results.get(step),
  }));
  writeFileSync(join(WORK, "mqadmin.json"), `${JSON.stringify(json, null, 2)}\n`);
  if (options["write-readme"] && !options.own && script === SCRIPT)
    writeTable(new URL("README.md", import.meta.url), markdown(apache.commands, verdicts, passed, failed));
  if (options.keep) console.log(`files kept in ${tempDir}`);
  else rmSync(tempDir, { recursive: true, force: true });
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  const names = new Set(verdicts.map(({ step }) => step.command.toLowerCase()));
  const compared = apache.commands.filter((name) => names.has(name.toLowerCase())).length;
  console.log(`\nmqadmin: ${compared} of ${apache.commands.length} commands, ${seconds} s`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed > 0 || passed === 0 ? 1 : 0);
}
