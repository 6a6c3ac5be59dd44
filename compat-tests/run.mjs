// The compatibility suite: the same scenarios through real clients against Apache RocketMQ 5.5.0 and against Skylark.
//
//   node compat-tests/run.mjs [--client ID]... [--scenario NAME]... [--server apache|skylark] [--short] [--all] [--repeat N]
//                             [--parallel N] [--write-readme] [--keep]
//
// Prints the table, where the two servers differ, and "N passed, N failed"; compat-tests/.work/report.json has everything. A client that
// cannot be built here is listed as SKIPPED, and with CI=true that is a failure. --repeat runs each scenario N times, without second tries:
// for finding out how often one wavers. --all, implied by --client, --scenario and --write-readme, has clients of every version stop and kill
// servers; otherwise those between two others do not.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { apacheLib, Missing, WORK } from "./lib/build.mjs";
import { CLIENTS } from "./lib/clients.mjs";
import { planSuites } from "./lib/plan.mjs";
import { Ports } from "./lib/ports.mjs";
import { writeTable } from "./lib/readme.mjs";
import { Report } from "./lib/report.mjs";
import { SCENARIOS } from "./lib/scenarios.mjs";
import { listScenarios, runClient } from "./lib/session.mjs";
import { Slots } from "./lib/slots.mjs";
import { Station } from "./lib/station.mjs";
import { cellOf, secondTry } from "./lib/verdict.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000);

const { values: options } = parseArgs({
  options: {
    client: { type: "string", multiple: true },
    scenario: { type: "string", multiple: true },
    server: { type: "string", multiple: true },
    short: { type: "boolean", default: false },
    all: { type: "boolean", default: false },
    repeat: { type: "string", default: "1" },
    parallel: { type: "string" },
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
).filter((id) => !options.short || options.client || CLIENTS.find((client) => client.id === id).short);
const scenarioNames = choose("scenario", options.scenario, Object.keys(SCENARIOS))
  .filter((name) => !options.short || options.scenario || SCENARIOS[name].short)
  .sort((a, b) => Number(SCENARIOS[b].slow ?? false) - Number(SCENARIOS[a].slow ?? false));
const kinds = choose("server", options.server, ["apache", "skylark"]);
const repeat = Number(options.repeat);
const started = Date.now();
const runId = started.toString(36).slice(-6);
const logDir = join(WORK, "logs");
rmSync(logDir, { recursive: true, force: true });
mkdirSync(logDir, { recursive: true });
const tempDir = mkdtempSync(join(tmpdir(), "skylark-compat-"));
const ports = new Ports(BASE_PORT);

const report = new Report(clientIds, kinds);
const clients = await prepareClients();
const lib = kinds.includes("apache") ? prepareApache() : undefined;
/** Outcomes by `scenario|client|server`, in the order of the tries. */
const tries = new Map();
/** Why there was a second one, by the same key. */
const whyAgain = new Map();
const all = options.all || options["write-readme"] || options.client !== undefined || options.scenario !== undefined;
const suites = planSuites({
  clients,
  kinds: kinds.filter((kind) => kind !== "apache" || lib),
  names: scenarioNames,
  all,
});
if (!all && clients.some(({ between }) => between)) {
  const ids = clients.filter(({ between }) => between).map(({ id }) => id);
  console.log(`${ids.join(", ")}: without the scenarios that stop and kill servers; --all runs them, too`);
}
await firstTries();
await secondTries();
finish();

async function prepareClients() {
  const ready = [];
  for (const client of CLIENTS.filter(({ id }) => clientIds.includes(id))) {
    try {
      const built = { id: client.id, between: client.between, ...client.prepare() };
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

/**
 * Suites that run one scenario at a time mostly wait, for a client that looks again after 20 s or 30 s: they run beside the others. Each starts
 * servers, though, and of as many JVMs as there is waiting none would be up in time.
 */
async function firstTries() {
  const busy = new Slots(Math.max(2, Math.floor(cpus().length / 2)));
  const patient = new Slots(Math.max(3, cpus().length));
  const stations = new Map();
  for (const { place } of suites.flatMap(({ parts }) => parts)) {
    if (!stations.has(place)) stations.set(place, new Station({ ...place, ports, tempDir, logDir, lib }));
  }
  const runs = suites.map((suite) =>
    (suite.parallel === 1 ? patient : busy).run(async () => {
      const parts = suite.parts.map(({ names, place }) => ({ names, station: stations.get(place) }));
      const parallel = Number(options.parallel ?? suite.parallel);
      report.progress(await runSuite({ ...suite, parts, parallel }));
    }),
  );
  await Promise.all(runs);
}

/** What failed and may be tried again, each scenario alone, with nothing else running. */
async function secondTries() {
  if (repeat > 1) return;
  for (const suite of suites) {
    const { client, kind } = suite;
    const failed = (name, server) => tries.get(`${name}|${client.id}|${server}`)?.[0].ok === false;
    const reason = (name) => {
      const { wavers } = SCENARIOS[name];
      return secondTry({ server: kind, client: client.id, wavers, failedAgainstApache: failed(name, "apache") });
    };
    const parts = [];
    for (const { names, place } of suite.parts) {
      const again = names.filter((name) => failed(name, kind) && reason(name) !== undefined);
      if (again.length === 0) continue;
      for (const name of again) whyAgain.set(`${name}|${client.id}|${kind}`, reason(name));
      const label = `${place.setupName}, ${client.id}, second try`;
      parts.push({ names: again, station: new Station({ ...place, label, users: 1, ports, tempDir, logDir, lib }) });
    }
    if (parts.length === 0) continue;
    report.progress(await runSuite({ ...suite, parts, parallel: 1, label: `${suite.label}, second try`, suffix: "b" }));
  }
}

/** Runs a suite and keeps its outcomes. */
async function runSuite({ client, kind, label, parts, parallel, suffix = "" }) {
  const begin = Date.now();
  // Each client has its own prefix for topics and groups, because they share the servers.
  const id = `${runId}${kind[0]}${CLIENTS.findIndex((one) => one.id === client.id)}${suffix}`;
  const ready = [];
  const outcomes = new Map();
  const servers = await Promise.allSettled(parts.map(({ station }) => station.server()));
  for (const [i, { names }] of parts.entries()) {
    const { value, reason } = servers[i];
    const broken = { ok: false, detail: reason?.message, ms: 0, facts: {} };
    if (value !== undefined) ready.push({ names, server: value });
    else for (const name of names) outcomes.set(name, Array(repeat).fill(broken));
  }
  const home = join(logDir, `${client.id}-${kind}-${label}`.replaceAll(/[^a-z0-9.+-]+/g, "-"));
  if (ready.length > 0) {
    const ran = await runClient({ client, parts: ready, parallel, runId: id, home, logDir, repeat });
    for (const [name, list] of ran) outcomes.set(name, list);
  }
  for (const [name, list] of outcomes) {
    const key = `${name}|${client.id}|${kind}`;
    tries.set(key, [...(tries.get(key) ?? []), ...list]);
  }
  for (const { station } of parts) {
    const badStop = await station.leave();
    if (badStop !== undefined) report.problem(`${station.name} ${badStop}`);
  }
  return { who: `${client.id} against ${kind} (${label})`, outcomes, seconds: (Date.now() - begin) / 1000 };
}

function finish() {
  for (const { client, kind, parts } of suites) {
    for (const name of parts.flatMap(({ names }) => names)) {
      const key = `${name}|${client.id}|${kind}`;
      if (repeat > 1) report.setRepeated(name, client.id, kind, tries.get(key));
      else report.set(name, client.id, kind, cellOf(tries.get(key), whyAgain.get(key)));
    }
  }
  report.settle();
  const { passed, failed, flaky, unproven } = report.counts();
  console.log(`\n${report.text()}\n`);
  for (const line of report.failures()) console.log(line);
  const differences = report.differenceLines();
  if (differences.length > 0) console.log(`\nFacts that differ between the servers:\n${differences.join("\n")}`);
  for (const { suite, reason } of report.skipped) console.log(`\n!!! SKIPPED ${suite}: ${reason}`);
  const summary = { ...report.json(), seconds: (Date.now() - started) / 1000, differences: report.differences() };
  writeFileSync(join(WORK, "report.json"), `${JSON.stringify(summary, null, 2)}\n`);
  if (options["write-readme"])
    writeReadme(`${passed} passed, ${failed} failed, ${flaky} of the passed flaky, ${unproven} unproven.`);
  if (options.keep) console.log(`servers' files kept in ${tempDir}`);
  else rmSync(tempDir, { recursive: true, force: true });
  console.log(`\n${summary.seconds.toFixed(0)} s`);
  console.log(
    `compat: ${passed} passed, ${failed} failed, ${flaky} flaky, ${unproven} unproven, ${report.skipped.length} suites skipped`,
  );
  const skippedInCi = process.env.CI === "true" && report.skipped.length > 0;
  process.exit(failed > 0 || skippedInCi || passed === 0 ? 1 : 0);
}

/** Replaces what stands between the two markers in README.md. */
function writeReadme(counts) {
  const findings = report.findings().map((line) => `- ${line}`);
  const lines = [report.markdown(), "", counts, ""];
  lines.push("Findings of that run, most serious first:", "", ...(findings.length > 0 ? findings : ["- none"]), "");
  writeTable(new URL("README.md", import.meta.url), lines.join("\n"));
}
