// The compatibility suite: the same scenarios through real clients against Apache RocketMQ 5.5.0 and against Skylark.
//
//   node compat-tests/run.mjs [--client ID]... [--scenario NAME]... [--server apache|skylark] [--short] [--write-readme] [--keep]
//
// Prints the table and "N passed, N failed"; compat-tests/.work/report.json has everything. A client that cannot be built here is listed
// as SKIPPED, and with CI=true that is a failure.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ApacheServer } from "./lib/apache.mjs";
import { apacheLib, Missing, WORK } from "./lib/build.mjs";
import { CLIENTS } from "./lib/clients.mjs";
import { freePorts } from "./lib/ports.mjs";
import { Report } from "./lib/report.mjs";
import { SCENARIOS } from "./lib/scenarios.mjs";
import { listScenarios, runClient } from "./lib/session.mjs";
import { SETUPS } from "./lib/setups.mjs";
import { SkylarkServer } from "./lib/skylark.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000);

const { values: options } = parseArgs({
  options: {
    client: { type: "string", multiple: true },
    scenario: { type: "string", multiple: true },
    server: { type: "string", multiple: true },
    short: { type: "boolean", default: false },
    "write-readme": { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

function choose(kind, wanted, known) {
  const list = wanted?.flatMap((value) => value.split(",")) ?? known;
  for (const value of list) {
    if (!known.includes(value)) throw new Error(`no ${kind} ${value}; there are ${known.join(", ")}`);
  }
  return list;
}

const clientIds = choose(
  "client",
  options.client,
  CLIENTS.map(({ id }) => id),
);
const scenarioNames = choose("scenario", options.scenario, Object.keys(SCENARIOS)).filter(
  (name) => !options.short || options.scenario || SCENARIOS[name].short,
);
const servers = choose("server", options.server, ["apache", "skylark"]);
const started = Date.now();
const runId = started.toString(36).slice(-6);
const logDir = join(WORK, "logs");
rmSync(logDir, { recursive: true, force: true });
mkdirSync(logDir, { recursive: true });
const tempDir = mkdtempSync(join(tmpdir(), "skylark-compat-"));

const report = new Report(clientIds, servers);
const clients = await prepareClients();
const lib = servers.includes("apache") ? prepareApache() : undefined;

// The two servers do not share a port or a file; in the short form they run side by side to save the wait for the JVMs.
const lanes = servers
  .filter((server) => server !== "apache" || lib)
  .map((kind, i) => () => lane(kind, BASE_PORT + i * 100));
if (options.short) await Promise.all(lanes.map((run) => run()));
else for (const run of lanes) await run();
finish();

async function prepareClients() {
  const ready = [];
  for (const client of CLIENTS.filter(({ id }) => clientIds.includes(id))) {
    try {
      const built = { id: client.id, ...client.prepare() };
      const offered = await listScenarios(built, logDir);
      const unknown = offered.filter((name) => !(name in SCENARIOS));
      if (offered.length === 0 || unknown.length > 0) {
        throw new Error(`${client.id} lists ${offered.length} scenarios, unknown: ${unknown.join(", ") || "none"}`);
      }
      ready.push({ ...built, offered });
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      report.skip(client.id, error.message);
    }
  }
  return ready;
}

function prepareApache() {
  try {
    return apacheLib();
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    report.skip("apache", error.message);
    return undefined;
  }
}

/** One server kind: its setups one after the other, each with all clients. */
async function lane(kind, port) {
  let nextPort = port;
  let server;
  let serverKey;
  for (const [setupName, setup] of Object.entries(SETUPS)) {
    const names = scenarioNames
      .filter((name) => SCENARIOS[name].setup === setupName)
      .sort((a, b) => Number(SCENARIOS[b].slow ?? false) - Number(SCENARIOS[a].slow ?? false));
    const users = clients.filter((client) => names.some((name) => client.offered.includes(name)));
    if (users.length === 0) continue;
    // Apache is always two processes, so two setups that differ in layout only can share a server.
    const key = JSON.stringify([setup.settings, kind === "skylark" ? setup.layout : ""]);
    if (key !== serverKey) {
      await server?.stopGracefully();
      const dir = join(tempDir, `${kind}-${setupName}`);
      mkdirSync(dir, { recursive: true });
      const { next, ...ports } = await freePorts(nextPort);
      nextPort = next;
      const common = { dir, ...ports, settings: setup.settings };
      server =
        kind === "apache"
          ? new ApacheServer({ ...common, lib })
          : new SkylarkServer({ ...common, layout: setup.layout });
      serverKey = key;
      const begin = Date.now();
      await server.start();
      console.log(`${kind} (${setupName}) ready after ${((Date.now() - begin) / 1000).toFixed(1)} s`);
    }
    for (const client of users) {
      await suite(
        client,
        server,
        setup,
        names.filter((name) => client.offered.includes(name)),
      );
    }
  }
  await server?.stopGracefully();
}

async function suite(client, server, setup, names) {
  const begin = Date.now();
  const run = (list, id) => runClient({ client, server, names: list, parallel: setup.parallel, runId: id, logDir });
  // Each client has its own prefix for topics and groups, because they share the server; and each server, because broadcasting consumers
  // keep their offsets in a file of the client's machine.
  const prefix = `${runId}${server.kind[0]}${CLIENTS.findIndex(({ id }) => id === client.id)}`;
  const results = await run(names, prefix);
  // Only what is known to waver, against Apache too, gets a second chance, and the table says so.
  const again = names.filter((name) => !results.get(name).ok && SCENARIOS[name].wavers);
  const second = again.length > 0 ? await run(again, `${prefix}b`) : new Map();
  for (const name of names) {
    const first = results.get(name);
    const last = second.get(name) ?? first;
    const state = first.ok ? "passed" : last.ok ? "flaky" : "failed";
    const firstDetail = state === "flaky" ? { firstDetail: first.detail } : {};
    report.set(name, client.id, server.kind, { ...last, state, ...firstDetail });
  }
  const failed = names.filter((name) => report.get(name, client.id, server.kind).state === "failed");
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  console.log(
    `${client.id} against ${server.kind}: ${names.length - failed.length} passed, ${failed.length} failed, ${seconds} s`,
  );
}

function finish() {
  const { passed, failed, flaky } = report.counts();
  console.log(`\n${report.text()}\n`);
  for (const line of report.failures()) console.log(`FAILED ${line}`);
  const differences = report.differences();
  if (differences.length > 0) console.log(`\nFacts that differ between the servers:\n${differences.join("\n")}`);
  for (const { suite, reason } of report.skipped) console.log(`\n!!! SKIPPED ${suite}: ${reason}`);
  const summary = { ...report.json(), seconds: (Date.now() - started) / 1000, differences };
  writeFileSync(join(WORK, "report.json"), `${JSON.stringify(summary, null, 2)}\n`);
  if (options["write-readme"]) writeReadme(passed, failed);
  if (options.keep) console.log(`servers' files kept in ${tempDir}`);
  else rmSync(tempDir, { recursive: true, force: true });
  console.log(`\ncompat: ${passed} passed, ${failed} failed, ${flaky} flaky, ${report.skipped.length} suites skipped`);
  const skippedInCi = process.env.CI === "true" && report.skipped.length > 0;
  process.exit(failed > 0 || skippedInCi || passed === 0 ? 1 : 0);
}

/** Replaces what stands between the two markers in README.md. */
function writeReadme(passed, failed) {
  const file = new URL("README.md", import.meta.url);
  const text = readFileSync(file, "utf8");
  const [begin, end] = ["<!-- table begins -->", "<!-- table ends -->"];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error("README.md lost its table markers");
  const table = `${begin}\n${report.markdown()}\n\n${passed} passed, ${failed} failed.\n`;
  writeFileSync(file, text.slice(0, from) + table + text.slice(to));
}
