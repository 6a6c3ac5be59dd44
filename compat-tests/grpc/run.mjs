// The 5.x clients: the same scenarios through the official gRPC clients against Apache's proxy 5.5.0 and against Skylark.
//
//   node compat-tests/grpc/run.mjs [--client ID]... [--scenario NAME]... [--server skylark|apache-cluster|apache-local|apache-over-skylark]...
//                                  [--plaintext-only] [--short] [--slow] [--write-readme] [--keep]
//
// Prints the table and "N passed, N failed". A client that cannot be built here is SKIPPED, and with CI=true that is a failure.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { apacheLib, Missing, WORK } from "../lib/build.mjs";
import { Child, own } from "../lib/child.mjs";
import { Ports } from "../lib/ports.mjs";
import { CLIENTS } from "./lib/clients.mjs";
import { createResources } from "./lib/resources.mjs";
import { SCENARIOS } from "./lib/scenarios.mjs";
import { makeServer } from "./lib/servers.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 24_000);
const PARALLEL = 8;

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
  "skylark",
]);
const runId = Date.now().toString(36).slice(-5);
const logDir = join(WORK, "grpc-logs");
rmSync(logDir, { recursive: true, force: true });
mkdirSync(logDir, { recursive: true });
const tempDir = mkdtempSync(join(tmpdir(), "skylark-grpc-"));
/** `${scenario}|${variant}|${server}` -> result */
const cells = new Map();
const skipped = [];
const variants = [];
for (const client of CLIENTS.filter(({ id }) => clientIds.includes(id))) await prepare(client);

const ports = new Ports(BASE_PORT);
for (const kind of servers) await against(kind);
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
    variants.push({ ...built, id: client.id, offered, tls: false });
    if (client.tls && !options["plaintext-only"] && !options.short) {
      variants.push({ ...built, id: `${client.id} TLS`, offered, tls: true });
    }
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    skipped.push({ suite: client.id, reason: error.message });
  }
}

async function against(kind) {
  let lib;
  if (kind !== "skylark") {
    try {
      lib = apacheLib();
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      skipped.push({ suite: kind, reason: error.message });
      return;
    }
  }
  const begin = Date.now();
  const server = await startServer(kind, lib);
  console.log(`${kind} ready after ${((Date.now() - begin) / 1000).toFixed(1)} s`);
  for (const [i, variant] of variants.entries()) {
    const names = scenarios.filter((name) => variant.offered.includes(name));
    if (names.length === 0) continue;
    const run = `${runId}${kind.at(-1)}${i}`;
    await createResources(server.brokerPort, run, names);
    const results = await runClient(variant, server, names, run);
    for (const name of names) cells.set(`${name}|${variant.id}|${kind}`, results.get(name));
    const failed = names.filter((name) => !results.get(name).ok);
    console.log(`${variant.id} against ${kind}: ${names.length - failed.length} passed, ${failed.length} failed`);
    for (const name of failed) console.log(`  ${name}: ${results.get(name).detail}`);
  }
  const { code, killed } = await server.stop();
  if (kind === "skylark" && (code !== 0 || killed)) {
    cells.set(`stop|-|${kind}`, {
      ok: false,
      detail: `the server ended with ${killed ? "a kill" : code}`,
      ms: 0,
      facts: {},
    });
  }
  cpSync(join(tempDir, kind), join(logDir, kind), { recursive: true, filter: (file) => !file.includes("/store") });
}

/** The oracle may fail to start once, as when somebody took one of its ports in between. Skylark may not. */
async function startServer(kind, lib) {
  for (let left = kind === "skylark" ? 0 : 1; ; left--) {
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

async function runClient(variant, server, names, run) {
  const args = ["--endpoints", `127.0.0.1:${server.grpcPort}`, "--run", run, "--parallel", `${PARALLEL}`];
  if (variant.tls) args.push("--tls");
  const child = own(
    new Child(variant.id, variant.command, [...variant.args, ...args, ...names], {
      log: join(logDir, `${variant.id.replaceAll(" ", "-")}-${server.kind}.log`),
      cwd: variant.cwd,
      env: variant.env,
    }),
  );
  const results = new Map();
  child.onLine((line) => {
    if (!line.startsWith("{")) return;
    const { scenario, ...result } = JSON.parse(line);
    results.set(scenario, result);
  });
  const timer = setTimeout(() => child.kill9(), 240_000 + 20_000 * names.length);
  const { code, signal } = await child.exited;
  clearTimeout(timer);
  for (const name of names) {
    if (results.has(name)) continue;
    results.set(name, {
      ok: false,
      detail: `the client ended (${signal ?? code}) without a result; see ${child.log}`,
      ms: 0,
      facts: {},
    });
  }
  return results;
}

function finish() {
  const columns = variants.flatMap(({ id }) => servers.map((server) => ({ id, server })));
  const mark = (cell) => (cell === undefined ? "" : cell.ok ? "ok" : "FAIL");
  const rows = scenarios.filter((name) => columns.some(({ id, server }) => cells.has(`${name}|${id}|${server}`)));
  const head = columns.map(({ id, server }) => `${id}<br>${server}`);
  const table = [
    `| scenario | what it shows | ${head.join(" | ")} |`,
    `| --- | --- |${" --- |".repeat(columns.length)}`,
    ...rows.map((name) => {
      const marks = columns.map(({ id, server }) => mark(cells.get(`${name}|${id}|${server}`)));
      return `| ${name} | ${SCENARIOS[name].about} | ${marks.join(" | ")} |`;
    }),
  ].join("\n");
  console.log(`\n${table}\n`);
  let passed = 0;
  let failed = 0;
  for (const [key, cell] of cells) {
    if (cell.ok) passed++;
    else {
      failed++;
      console.log(`FAILED ${key.replaceAll("|", ", ")}: ${cell.detail}`);
    }
  }
  for (const line of differences()) console.log(line);
  for (const { suite, reason } of skipped) console.log(`\n!!! SKIPPED ${suite}: ${reason}`);
  writeFileSync(
    join(WORK, "grpc-report.json"),
    `${JSON.stringify({ passed, failed, cells: Object.fromEntries(cells) }, null, 2)}\n`,
  );
  if (options["write-readme"]) writeReadme(`${table}\n\n${passed} passed, ${failed} failed.`);
  if (options.keep) console.log(`servers' files kept in ${tempDir}`);
  else rmSync(tempDir, { recursive: true, force: true });
  console.log(`\ngrpc clients: ${passed} passed, ${failed} failed, ${skipped.length} suites skipped`);
  process.exit(failed > 0 || (process.env.CI === "true" && skipped.length > 0) || passed === 0 ? 1 : 0);
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

function writeReadme(table) {
  const file = new URL("README.md", import.meta.url);
  const text = readFileSync(file, "utf8");
  const [begin, end] = ["<!-- table begins -->", "<!-- table ends -->"];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error("README.md lost its table markers");
  writeFileSync(file, `${text.slice(0, from) + begin}\n${table}\n${text.slice(to)}`);
}
