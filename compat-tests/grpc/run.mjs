// The 5.x clients: the same scenarios through the official gRPC clients against Apache's proxy 5.5.0 and against Skylark.
//
//   node compat-tests/grpc/run.mjs [--client ID]... [--scenario NAME]... [--server NAME]...
//                                  [--plaintext-only] [--short] [--slow] [--write-readme] [--keep]
// Servers: skylark, skylark-proxy, skylark-over-apache, apache-cluster, apache-local, apache-over-skylark (README.md).
//
// Prints the table and "N passed, N failed". A client that cannot be built here is SKIPPED, and with CI=true that is a failure.
// --short: one scenario of each language against Skylark, all clients at once, Java and Go over TLS as is their default.

import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { apacheLib, Missing, WORK } from "../lib/build.mjs";
import { Child, own } from "../lib/child.mjs";
import { Ports } from "../lib/ports.mjs";
import { writeTable } from "../lib/readme.mjs";
import { Slots } from "../lib/slots.mjs";
import { cellOf, isUnproven, secondTry } from "../lib/verdict.mjs";
import { runClient } from "./lib/clientRun.mjs";
import { CLIENTS } from "./lib/clients.mjs";
import { awaitRoutes, createResources } from "./lib/resources.mjs";
import { SCENARIOS } from "./lib/scenarios.mjs";
import { makeServer } from "./lib/servers.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 24_000);
/** Scenarios of one client beside each other, and clients. */
const PARALLEL = 8;
const CLIENTS_AT_ONCE = 3;

const { values: options } = parseArgs({
  options: {
    client: { type: "string", multiple: true },
    scenario: { type: "string", multiple: true },
    server: { type: "string", multiple: true },
    "plaintext-only": { type: "boolean", default: false },
    short: { type: "boolean", default: false },
    slow: { type: "boolean", default: false },
    "write-readme": { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

function choose(kind, wanted, known) {
  const list = wanted?.flatMap((value) => value.split(",")) ?? known;
  for (const value of list)
    if (!known.includes(value)) throw new Error(`no ${kind} ${value}; there are ${known.join(", ")}`);
  return list;
}

const clientIds = choose(
  "client",
  options.client,
  CLIENTS.map(({ id }) => id),
);
const scenarios = choose("scenario", options.scenario, Object.keys(SCENARIOS)).filter((name) => {
  if (options.scenario) return true;
  return options.short ? SCENARIOS[name].short : options.slow || !SCENARIOS[name].slow;
});
const servers = choose("server", options.server ?? (options.short ? ["skylark"] : undefined), [
  "apache-cluster",
  "apache-local",
  "apache-over-skylark",
  "skylark-over-apache",
  "skylark-proxy",
  "skylark",
]);
const runId = Date.now().toString(36).slice(-5);
/** Runs against other servers may go on beside this one. */
const logDir = join(WORK, "grpc-logs", servers.join("+"));
rmSync(logDir, { recursive: true, force: true });
mkdirSync(logDir, { recursive: true });
const tempDir = mkdtempSync(join(tmpdir(), "skylark-grpc-"));
/** `${scenario}|${variant}|${server}` -> result, and what the first try came to. */
const cells = new Map();
const firsts = new Map();
const skipped = [];
const variants = [];
for (const client of CLIENTS) {
  if (clientIds.includes(client.id) && (client.short || options.client || !options.short)) await prepare(client);
}

const ports = new Ports(BASE_PORT);
const lib = servers.some((kind) => kind.includes("apache")) ? prepareApache() : undefined;
const running = await startServers(servers.filter((kind) => lib !== undefined || !kind.includes("apache")));
await warmUp();
await firstTries();
await secondTries();
for (const server of running) await stop(server);
finish();

async function prepare(client) {
  try {
    const built = client.prepare();
    const offered = [];
    const child = own(
      new Child(client.id, built.command, [...built.args, "--list"], {
        log: join(logDir, `${client.id}-list.log`),
        cwd: built.cwd,
        env: built.env,
      }),
    );
    child.onLine((line) => line.trim() !== "" && offered.push(line.trim()));
    await child.exited;
    const unknown = offered.filter((name) => !(name in SCENARIOS));
    if (offered.length === 0 || unknown.length > 0) {
      throw new Error(`${client.id} lists ${offered.length} scenarios, unknown: ${unknown.join(", ") || "none"}`);
    }
    const tls = client.tls && !options["plaintext-only"];
    if (!options.short || !tls) variants.push({ ...built, id: client.id, offered, tls: false });
    if (tls) variants.push({ ...built, id: `${client.id} TLS`, offered, tls: true });
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    skipped.push({ suite: client.id, reason: error.message });
  }
}

function prepareApache() {
  try {
    return apacheLib();
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    for (const kind of servers.filter((each) => each.includes("apache")))
      skipped.push({ suite: kind, reason: error.message });
    return undefined;
  }
}

async function startServers(kinds) {
  const started = [];
  for (const kind of kinds) {
    const begin = Date.now();
    started.push(await startServer(kind));
    console.log(`${kind} ready after ${((Date.now() - begin) / 1000).toFixed(1)} s`);
  }
  return started;
}

async function stop(server) {
  const { kind } = server;
  const { code, killed } = await server.stop();
  if (kind.startsWith("skylark") && (code !== 0 || killed)) {
    cells.set(`stop|-|${kind}`, {
      state: "failed",
      detail: `the server ended with ${killed ? "a kill" : code}`,
      ms: 0,
      facts: {},
    });
  }
  cpSync(join(tempDir, kind), join(logDir, kind), { recursive: true, filter: (file) => !file.includes("/store") });
}

/** Whether what is judged is ours: a server, or a proxy before either. */
function isOurs(kind) {
  return kind.startsWith("skylark");
}

/** What a variant does on a server, as names of topics and groups, by turns of the servers: both see the same load. */
function allRuns() {
  const runs = [];
  for (const [i, variant] of variants.entries()) {
    for (const server of running) {
      const names = scenarios.filter((name) => variant.offered.includes(name) && !SCENARIOS[name].notOn?.[server.kind]);
      if (names.length > 0) runs.push({ variant, server, names, run: `${runId}${servers.indexOf(server.kind)}${i}` });
    }
  }
  return runs;
}

async function prepareServer({ brokerPort, namesrvPort }, run, names) {
  await createResources(brokerPort, run, names);
  await awaitRoutes(namesrvPort, run, names);
}

/** A proxy in a fresh JVM answers its first requests after seconds, when the first clients have given up: the lightest client comes first. */
async function warmUp() {
  const light = allRuns().filter(({ variant, server }) => variant === variants.at(-1) && !isOurs(server.kind));
  for (const { variant, server, names, run } of light) {
    const before = `${run}w`;
    await prepareServer(server, before, names);
    await runClient(variant, server, names, before, { logDir, parallel: PARALLEL });
  }
}

/** All scenarios of every client once: most of the time is waiting, so several clients run beside each other. */
async function firstTries() {
  const slots = new Slots(options.short ? variants.length : CLIENTS_AT_ONCE);
  await Promise.all(
    allRuns().map(({ variant, server, names, run }) =>
      slots.run(async () => {
        await prepareServer(server, run, names);
        const begin = Date.now();
        const results = await runClient(variant, server, names, run, { logDir, parallel: PARALLEL });
        for (const name of names) {
          const key = `${name}|${variant.id}|${server.kind}`;
          firsts.set(key, results.get(name));
          cells.set(key, cellOf([results.get(name)]));
        }
        const failed = names.filter((name) => !results.get(name).ok);
        const seconds = ((Date.now() - begin) / 1000).toFixed(0);
        const counts = `${names.length - failed.length} passed, ${failed.length} failed`;
        console.log(`${variant.id} against ${server.kind}: ${counts}, ${seconds} s`);
        for (const name of failed) console.log(`  ${name}: ${results.get(name).detail}`);
      }),
    ),
  );
}

/** Once more, alone, those whose failure says nothing yet (lib/verdict.mjs). */
async function secondTries() {
  for (const { variant, server, names, run } of allRuns()) {
    const { kind } = server;
    const keyOf = (name, other) => `${name}|${variant.id}|${other}`;
    for (const name of names) {
      const first = firsts.get(keyOf(name, kind));
      if (first.ok) continue;
      const failedAgainstApache = servers.some(
        (other) => !isOurs(other) && firsts.get(keyOf(name, other))?.ok === false,
      );
      const why = secondTry({ server: isOurs(kind) ? "skylark" : "apache", client: variant.id, failedAgainstApache });
      if (why === undefined) continue;
      const again = `${run}r`;
      await prepareServer(server, again, [name]);
      const second = (await runClient(variant, server, [name], again, { logDir, parallel: 1 })).get(name);
      const cell = cellOf([first, second], why);
      cells.set(keyOf(name, kind), cell);
      console.log(`${variant.id} against ${kind}: ${name} is ${cell.state} at its 2nd try, ${why}`);
    }
  }
}

/** The oracle may fail to start once, as when somebody took one of its ports in between. Skylark may not. */
async function startServer(kind) {
  for (let left = kind.includes("apache") ? 1 : 0; ; left--) {
    const server = makeServer(kind, { dir: join(tempDir, kind), ...(await ports.take()), lib });
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.kill9();
      if (left === 0) throw error;
      console.log(`${kind} is started again: ${error.message}`);
      rmSync(join(tempDir, kind), { recursive: true, force: true });
    }
  }
}

function finish() {
  const columns = variants.flatMap(({ id }) => servers.map((server) => ({ id, server })));
  markUnproven();
  const MARKS = { passed: "ok", flaky: "ok (2nd)", unproven: "unproven", failed: "FAIL" };
  const mark = (cell) => (cell === undefined ? "" : MARKS[cell.state]);
  const missing = (name, id, server) =>
    variants.find((variant) => variant.id === id).offered.includes(name) ? (SCENARIOS[name].notOn?.[server] ?? "") : "";
  const rows = scenarios.filter((name) => columns.some(({ id, server }) => cells.has(`${name}|${id}|${server}`)));
  const head = columns.map(({ id, server }) => `${id}<br>${server}`);
  const table = [
    `| scenario | what it shows | ${head.join(" | ")} |`,
    `| --- | --- |${" --- |".repeat(columns.length)}`,
    ...rows.map((name) => {
      const marks = columns.map(
        ({ id, server }) => mark(cells.get(`${name}|${id}|${server}`)) || missing(name, id, server),
      );
      return `| ${name} | ${SCENARIOS[name].about} | ${marks.join(" | ")} |`;
    }),
  ].join("\n");
  console.log(`\n${table}\n`);
  const all = [...cells];
  const count = (...states) => all.filter(([, { state }]) => states.includes(state)).length;
  const passed = count("passed", "flaky");
  const failed = count("failed");
  const unproven = count("unproven");
  for (const [key, { state, detail }] of all) {
    if (state === "failed" || state === "unproven") {
      console.log(`${state.toUpperCase()} ${key.replaceAll("|", ", ")}: ${detail}`);
    }
  }
  for (const line of differences()) console.log(line);
  for (const { suite, reason } of skipped) console.log(`\n!!! SKIPPED ${suite}: ${reason}`);
  writeFileSync(
    join(logDir, "report.json"),
    `${JSON.stringify({ passed, failed, unproven, cells: Object.fromEntries(cells) }, null, 2)}\n`,
  );
  const sum = `${passed} passed, ${failed} failed${unproven > 0 ? `, ${unproven} unproven` : ""}`;
  if (options["write-readme"]) writeTable(new URL("README.md", import.meta.url), `${table}\n\n${sum}.`);
  if (options.keep) console.log(`servers' files kept in ${tempDir}`);
  else rmSync(tempDir, { recursive: true, force: true });
  console.log(`\ngrpc clients: ${sum}, ${skipped.length} suites skipped`);
  process.exit(failed > 0 || (process.env.CI === "true" && skipped.length > 0) || passed === 0 ? 1 : 0);
}

/** What failed twice against Apache with one client and passed with another says nothing about Skylark. */
function markUnproven() {
  for (const [key, cell] of cells) {
    const [name, id, server] = key.split("|");
    if (isOurs(server) || cell.state !== "failed") continue;
    const others = variants.flatMap((other) =>
      other.id === id ? [] : (cells.get(`${name}|${other.id}|${server}`) ?? []),
    );
    if (isUnproven(cell, others)) cell.state = "unproven";
  }
}

/** Facts that differ between the servers though each satisfied the scenario. */
function differences() {
  const lines = [];
  for (const name of scenarios) {
    for (const { id } of variants) {
      const ours = cells.get(`${name}|${id}|skylark`)?.facts;
      for (const server of servers.filter((each) => each !== "skylark")) {
        const theirs = cells.get(`${name}|${id}|${server}`)?.facts;
        if (!ours || !theirs) continue;
        for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
          if (ours[key] === theirs[key]) continue;
          lines.push(`DIFFERS ${name} (${id}) ${key}: ${server} ${theirs[key] ?? "-"}, skylark ${ours[key] ?? "-"}`);
        }
      }
    }
  }
  return lines;
}
