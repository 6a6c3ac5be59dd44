// The compatibility suite in containers: every official client in one of its own, on a bridge network with the Skylark image or with Apache's. The
// scenarios are those of compat-tests/run.mjs and compat-tests/grpc/run.mjs, the card shows both servers side by side.
//
//   npm run compat -- --docker [--client ID]... [--scenario NAME]... [--server apache|skylark]... [--all] [--no-build] [--keep]
//     [--write-readme]
//
// Without names: the scenarios of the short form; --all: every one that needs no restart of servers. Says loudly when no Docker engine answers,
// which is no failure; an engine that answers and then cannot build or run is one. Ends with the card and "N passed, N failed".

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CLIENTS as GRPC_CLIENTS } from "../grpc/lib/clients.mjs";
import { createResources } from "../grpc/lib/resources.mjs";
import { SCENARIOS as GRPC_SCENARIOS } from "../grpc/lib/scenarios.mjs";
import { Missing, WORK } from "../lib/build.mjs";
import { Child, own } from "../lib/child.mjs";
import { CLIENTS } from "../lib/clients.mjs";
import { writeTable } from "../lib/readme.mjs";
import { SCENARIOS } from "../lib/scenarios.mjs";
import { listScenarios, runClient } from "../lib/session.mjs";
import { SETUPS } from "../lib/setups.mjs";
import { reasonFor } from "../lib/verdict.mjs";
import { contained, Network, obtain, once, Servers } from "./containers.mjs";
import { BASES, docker, engineMissing, OURS } from "./engine.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** One broker serves the scenarios of these set-ups. */
const SHARED = ["standard", "filters", "transactions"];
const SETTINGS = {
  ...Object.assign({}, ...SHARED.map((name) => SETUPS[name].settings)),
  recallMessageEnable: true,
  enableLmq: true,
  enableMultiDispatch: true,
};
const PARALLEL = 6;
const SILENCE_MS = 300_000;

const { values: options } = parseArgs({
  options: {
    client: { type: "string", multiple: true },
    scenario: { type: "string", multiple: true },
    server: { type: "string", multiple: true, default: ["apache", "skylark"] },
    all: { type: "boolean", default: false },
    build: { type: "boolean", default: true },
    keep: { type: "boolean", default: false },
    "write-readme": { type: "boolean", default: false },
  },
  allowNegative: true,
});
const wanted = (list, name) => list === undefined || list.flatMap((value) => value.split(",")).includes(name);

const noEngine = engineMissing();
if (noEngine !== undefined) {
  console.log(`\n!!! SKIPPED docker: no Docker engine answers here (${noEngine}). Nothing was run in containers.\n`);
  console.log("compat in containers: 0 passed, 0 failed, 1 suites skipped");
  process.exit(0);
}

const runId = Date.now().toString(36).slice(-6);
const logDir = join(WORK, "logs", "docker");
rmSync(logDir, { recursive: true, force: true });
mkdirSync(logDir, { recursive: true });
const tempDir = mkdtempSync(join(tmpdir(), "skylark-docker-"));
/** `client|server` -> by scenario { ok, detail } */
const card = new Map();
const skipped = [];
const problems = [];

for (const image of new Set([
  BASES.shell,
  BASES.node,
  BASES.debian,
  BASES.java,
  ...(wanted(options.server, "apache") ? [BASES.apache] : []),
])) {
  const reason = obtain(image);
  if (reason !== undefined) fatal(reason);
}
if (options.build) {
  const bases = ["--build-arg", `NODE_IMAGE=${BASES.node}`, "--build-arg", `SHELL_IMAGE=${BASES.shell}`];
  docker(["build", "-q", "-t", OURS, ...bases, ROOT]);
}
const network = new Network(runId);
const clients = [];
for (const client of CLIENTS) await prepare(client, "remoting", listScenarios);
for (const client of GRPC_CLIENTS) await prepare(client, "grpc", listGrpc);
for (const kind of ["apache", "skylark"]) if (wanted(options.server, kind)) await against(kind);
finish();

/** Nothing can be shown on an engine that answers but does not do its work. */
function fatal(reason) {
  console.log(`\n!!! docker: ${reason}`);
  console.log("compat in containers: 0 passed, 1 failed");
  process.exit(1);
}

async function prepare(client, protocol, list) {
  if (!wanted(options.client, client.id) || !(client.short || options.client || options.all)) return;
  try {
    const inside = { ...contained(client.prepare(), network), id: client.id };
    const home = homeOf(client.id, "list");
    const offered = await list(inside, home);
    if (offered.length === 0) throw new Missing(`it lists no scenarios; see ${home}`);
    clients.push({ ...inside, protocol, names: choose(protocol, client.id, offered) });
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    skipped.push(`${client.id}: ${error.message}`);
  }
}

function choose(protocol, id, offered) {
  const known = protocol === "grpc" ? GRPC_SCENARIOS : SCENARIOS;
  return offered.filter((name) => {
    const row = known[name];
    if (row === undefined || reasonFor(row.without, id) || (protocol === "remoting" && !SHARED.includes(row.setup)))
      return false;
    if (options.scenario) return wanted(options.scenario, name);
    return row.short || (options.all && !row.slow);
  });
}

function homeOf(id, what) {
  const home = join(logDir, `${id}-${what}`);
  mkdirSync(home, { recursive: true });
  return home;
}

async function listGrpc(client, home) {
  const child = own(
    new Child(client.id, client.command, [...client.args(home), "--list"], { log: join(home, "list.log") }),
  );
  const names = [];
  child.onLine((line) => line.trim() !== "" && names.push(line.trim()));
  await child.exited;
  return names;
}

async function against(kind) {
  const began = Date.now();
  const servers = new Servers({ kind, network, dir: join(tempDir, kind), logDir, settings: SETTINGS });
  try {
    await servers.start();
    console.log(`${kind} ready after ${((Date.now() - began) / 1000).toFixed(1)} s`);
    mqadmin(servers);
    for (const [i, client] of clients.entries()) await runOne(client, servers, `${runId}${kind[0]}${i}`);
    const bad = await servers.stop();
    if (bad !== undefined) problems.push(bad);
  } catch (error) {
    problems.push(`${kind}: ${error.message}`);
    await servers.stop();
  }
}

/** A client's scenarios; those that failed once more, alone, where that says anything: against Apache, or where Apache failed, too. */
async function runOne(client, servers, run) {
  if (client.names.length === 0) return;
  const go = client.protocol === "grpc" ? runGrpc : runClassic;
  const results = await go(client, servers, client.names, run);
  const apache = card.get(`${client.id}|apache`);
  for (const name of client.names) {
    if (results.get(name).ok || (servers.kind === "skylark" && apache?.get(name)?.first !== false)) continue;
    const [again] = (await go(client, servers, [name], `${run}r`)).values();
    results.set(name, { ...again, first: false });
  }
  card.set(`${client.id}|${servers.kind}`, results);
  const failed = [...results].filter(([, { ok }]) => !ok);
  console.log(`${client.id} against ${servers.kind}: ${results.size - failed.length} passed, ${failed.length} failed`);
}

async function runClassic(client, servers, names, run) {
  const home = homeOf(client.id, run);
  const outcomes = await runClient({
    client,
    parts: [{ names, server: servers }],
    parallel: PARALLEL,
    runId: run,
    home,
    logDir,
  });
  return new Map([...outcomes].map(([name, [outcome]]) => [name, outcome]));
}

async function runGrpc(client, servers, names, run) {
  await createResources(servers.remoting, run, names);
  const home = homeOf(client.id, run);
  const args = ["--endpoints", servers.endpoints, "--run", run, "--parallel", `${PARALLEL}`];
  const child = own(
    new Child(client.id, client.command, [...client.args(home), ...args, ...names], { log: join(home, "out.log") }),
  );
  const results = new Map();
  child.onLine((line) => {
    if (!line.startsWith("{")) return;
    const { scenario, ...result } = JSON.parse(line);
    results.set(scenario, result);
  });
  const timer = setTimeout(() => child.kill9(), SILENCE_MS);
  const { code, signal } = await child.exited;
  clearTimeout(timer);
  const without = { ok: false, detail: `the client ended (${signal ?? code}) without a result; see ${child.log}` };
  return new Map(names.map((name) => [name, results.get(name) ?? without]));
}

/** The official mqadmin, each command in a container of its own: what it must say. */
function mqadmin({ kind, namesrvAddr, brokerAddr }) {
  if (!wanted(options.client, "mqadmin") || options.scenario || obtain(BASES.apache) !== undefined) return;
  const topic = `mqadmin-${runId}`;
  const commands = [
    ["updateTopic", ["-b", brokerAddr, "-t", topic, "-r", "4", "-w", "4"], /create topic to .* success/],
    ["clusterList", ["-n", namesrvAddr], /DefaultCluster\s+broker-a\s+0\s/],
    ["topicRoute", ["-n", namesrvAddr, "-t", topic], /"brokerName":\s*"broker-a"/],
    ["sendMessage", ["-n", namesrvAddr, "-t", topic, "-p", "hello", "-k", "key1"], /SEND_OK/],
    ["queryMsgByKey", ["-n", namesrvAddr, "-t", topic, "-k", "key1"], /^[0-9A-F]{32}\s/m],
    ["deleteTopic", ["-n", namesrvAddr, "-c", "DefaultCluster", "-t", topic], /delete topic .* success/],
  ];
  const results = new Map();
  for (const [name, args, says] of commands) {
    const { status, stdout, stderr } = once(network, BASES.apache, ["sh", "mqadmin", name, ...args]);
    const ok = status === 0 && says.test(stdout);
    results.set(name, { ok, detail: ok ? "" : `status ${status}: ${`${stdout}${stderr}`.trim().slice(0, 400)}` });
  }
  card.set(`mqadmin|${kind}`, results);
}

function finish() {
  const kinds = ["apache", "skylark"].filter((kind) => wanted(options.server, kind));
  const ids = ["mqadmin", ...clients.map(({ id }) => id)].filter((id) =>
    kinds.some((kind) => card.has(`${id}|${kind}`)),
  );
  let passed = 0;
  let failed = problems.length;
  const cell = (id, kind) => {
    const results = [...(card.get(`${id}|${kind}`) ?? [])];
    const bad = results.filter(([, { ok }]) => !ok);
    const second = results.filter(([, { ok, first }]) => ok && first === false).length;
    if (results.length === 0) return "";
    const words =
      bad.length === 0
        ? `${results.length} ok`
        : `${results.length - bad.length} of ${results.length}: FAIL ${bad.map(([name]) => name).join(", ")}`;
    return second === 0 ? words : `${words} (${second} at the 2nd try)`;
  };
  for (const results of card.values()) for (const { ok } of results.values()) ok ? passed++ : failed++;
  const lines = [
    `| client, in a container | ${kinds.map((kind) => (kind === "apache" ? BASES.apache : OURS)).join(" | ")} |`,
  ];
  lines.push(`| --- |${" --- |".repeat(kinds.length)}`);
  for (const id of ids) lines.push(`| ${id} | ${kinds.map((kind) => cell(id, kind)).join(" | ")} |`);
  console.log(`\n${lines.join("\n")}\n`);
  for (const [key, results] of card) {
    for (const [name, { ok, detail }] of results)
      if (!ok) console.log(`FAILED ${key.replace("|", " against ")}, ${name}: ${detail}`);
  }
  for (const problem of problems) console.log(`FAILED ${problem}`);
  for (const reason of skipped) console.log(`\n!!! SKIPPED ${reason}`);
  const cells = Object.fromEntries([...card].map(([key, results]) => [key, Object.fromEntries(results)]));
  writeFileSync(join(WORK, "docker.json"), `${JSON.stringify({ passed, failed, cells }, null, 2)}\n`);
  if (options["write-readme"]) writeTable(new URL("README.md", import.meta.url), ["", ...lines, ""].join("\n"));
  if (!options.keep) rmSync(tempDir, { recursive: true, force: true });
  console.log(`\ncompat in containers: ${passed} passed, ${failed} failed, ${skipped.length} suites skipped`);
  process.exit(failed > 0 || passed === 0 || (process.env.CI === "true" && skipped.length > 0) ? 1 : 0);
}
