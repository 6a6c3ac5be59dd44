// npm run bench: Skylark and Apache RocketMQ 5.5.0 by turns on this machine. See README.md for what is measured and how.
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { clientClassPath, javaVersion } from "./lib/apache.mjs";
import { canPin, measure } from "./lib/measure.mjs";
import { describeMachine } from "./lib/proc.mjs";
import { renderResults, summarize, summarizeStarts, writeReadme } from "./lib/report.mjs";
import { SERVERS, startServer } from "./lib/servers.mjs";
import { START_GOALS, WARM_UP, WORKLOADS } from "./lib/workloads.mjs";

if (process.argv.includes("--grpc")) {
  await import("./grpc.mjs");
  process.exit();
}

const HELP = `npm run bench -- [options]
  --secure          only the rows with access control and TLS
  --grpc            the 5.x protocol instead (grpc.mjs), about 11 minutes
  --only a,b        these workloads only: ${WORKLOADS.map(({ id }) => id).join(", ")}
  --server NAME     one server only: ${SERVERS.join(" or ")}
  --rounds N        times each server is started and measured, by turns (3)
  --seconds S       measured seconds per data point (5), after --warmup S (3)
  --quick           one round of 2 s
  --pin             pin the lean generator to the last core (the servers are never pinned)
  --port P          ports P..P+11 (30900)
  --work DIR        stores, logs and compiled classes (bench/.work)
  --write           write the results to bench/README.md; a full run does so anyway
`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    secure: { type: "boolean", default: false },
    server: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    warmup: { type: "string" },
    quick: { type: "boolean", default: false },
    pin: { type: "boolean", default: false },
    port: { type: "string", default: "30900" },
    work: { type: "string", default: path.join(import.meta.dirname, ".work") },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

function chosen(names, known, what) {
  const wrong = names.filter((name) => !known.includes(name));
  if (wrong.length > 0) throw new Error(`unknown ${what}: ${wrong.join(", ")}; known: ${known.join(", ")}`);
  return names;
}

const servers = values.server ? chosen([values.server], SERVERS, "server") : SERVERS;
const ids = WORKLOADS.map(({ id }) => id);
const named = values.only ? chosen(values.only.split(","), ids, "workload") : ids;
const wanted = values.secure ? named.filter((id) => id.startsWith("secure-")) : named;
const workloads = WORKLOADS.filter(({ id }) => wanted.includes(id));
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
const seconds = Number(values.seconds ?? (values.quick ? 2 : 5));
const warmup = Number(values.warmup ?? (values.quick ? 1 : 3));
if (values.pin && !canPin) throw new Error("--pin needs taskset and more than one core");
fs.mkdirSync(values.work, { recursive: true });
const workDirectory = path.resolve(values.work);

const needsJava = workloads.some(({ options }) => options.java);
const settings = {
  warmup,
  seconds,
  pin: values.pin,
  clientClassPath: needsJava ? clientClassPath(workDirectory) : null,
};

const warmUp = values.quick ? { ...WARM_UP, count: WARM_UP.count / 4 } : WARM_UP;

const points = Object.fromEntries(
  workloads.map(({ id }) => [id, Object.fromEntries(servers.map((server) => [server, []]))]),
);
const starts = Object.fromEntries(servers.map((server) => [server, []]));
const failures = [];

function print(server, round, what, figures) {
  const text = Object.entries(figures)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key} ${value < 100 ? value.toPrecision(3) : Math.round(value)}`)
    .join(", ");
  process.stdout.write(`round ${round} ${server} ${what}: ${text}\n`);
}

/** A run with an error is a failed run: it is reported, and repeated once. Null when both failed. */
async function attempt(running, server, round, workload) {
  for (let tries = 1; tries <= 2; tries++) {
    try {
      const point = await measure(running, workload, settings);
      print(server, round, workload.id, point);
      return point;
    } catch (error) {
      failures.push(`round ${round} ${server} ${workload.id}: ${error.message.split("\n")[0]}`);
      process.stdout.write(`failed: round ${round} ${server} ${workload.id}: ${error.message}\n`);
    }
  }
  return null;
}

/** All chosen workloads of one configuration on one server, freshly started. */
async function runGroup(server, round, config, group) {
  const running = await startServer(server, { workDirectory, portBase: Number(values.port), config });
  try {
    if (Object.keys(config).length === 0) {
      const point = { startMs: running.startMs, idleMb: running.memory().total };
      starts[server].push(point);
      print(server, round, "start", point);
    }
    // Where access is controlled, only who signs brings the server to speed.
    const { acl } = group[0].options;
    await measure(running, { id: "warm-up", options: { ...warmUp, acl } }, { ...settings, warmup: 0 });
    for (const workload of group) points[workload.id][server].push(await attempt(running, server, round, workload));
  } finally {
    await running.stop();
  }
}

/** Workloads that share a configuration share a start. */
function groups() {
  const byConfig = new Map();
  for (const workload of workloads) {
    const key = JSON.stringify(workload.config ?? {});
    byConfig.set(key, [...(byConfig.get(key) ?? []), workload]);
  }
  return [...byConfig].map(([key, group]) => ({ config: JSON.parse(key), group }));
}

for (let round = 1; round <= rounds; round++) {
  for (const server of servers) {
    for (const { config, group } of groups()) await runGroup(server, round, config, group);
  }
}

const summaries = workloads.map((workload) => summarize(workload, points[workload.id]));
const how = `${rounds} x ${seconds} s per point after ${warmup} s of warm-up, servers not pinned to cores, lean generator ${
  values.pin ? "pinned to the last core" : "not pinned"
}`;
const notes = [
  ...describeMachine(workDirectory, javaVersion()),
  how,
  ...failures.map((failure) => `failed (and repeated): ${failure}`),
];
const list = notes.map((note) => `- ${note}`).join("\n");
const text = `${list}\n\n${renderResults(summaries, summarizeStarts(starts), START_GOALS)}`;
process.stdout.write(`\n${text}\n`);

const full = !values.only && !values.secure && !values.server && !values.quick;
if (full || values.write) writeReadme(path.join(import.meta.dirname, "README.md"), text);
process.exitCode = failures.length > 0 ? 1 : 0;
