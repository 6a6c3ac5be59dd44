// npm run bench -- --grpc: the 5.x protocol, Skylark and Apache's proxy 5.5.0 (local and cluster mode) by turns. See README.md.
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { createResources } from "../compat-tests/grpc/lib/resources.mjs";
import { Rpc } from "../compat-tests/grpc/lib/rpc.mjs";
import { nameOf } from "../compat-tests/grpc/lib/scenarios.mjs";
import { javaVersion } from "./lib/apache.mjs";
import { grpcClientClassPath } from "./lib/grpcJava.mjs";
import { renderGrpc } from "./lib/grpcReport.mjs";
import { GRPC_SERVERS, startGrpcServer } from "./lib/grpcServers.mjs";
import { runGenerator } from "./lib/measure.mjs";
import { describeMachine } from "./lib/proc.mjs";
import { writeReadme } from "./lib/report.mjs";

const GENERATOR = path.join(import.meta.dirname, "generator.mjs");
const LEAN = { bodyBytes: 128, connections: 4, inFlight: 16 };
/** In this order, on one start: receives take what the sends before them have left, and what is sent so that they have enough. */
const STEPS = [
  { id: "warm-up-send", load: "sendLoad", ...LEAN, warmup: 0, times: 1.6 },
  { id: "warm-up-receive", load: "receiveLoad", ...LEAN, inFlight: 2, warmup: 0, times: 0.8 },
  { id: "send", title: "send 128 B, 4 connections x 16 in flight", load: "sendLoad", ...LEAN },
  { id: "receive", title: "receive of 32 and its 32 acks, 4 x 2", load: "receiveLoad", ...LEAN, inFlight: 2 },
  { id: "java-send", title: "Java 5.2.0, async send 128 B, 64 in flight", java: "send", n: 64 },
  { id: "java-receive", title: "Java 5.2.0, simple consumer: 4 receives of 32, async acks", java: "receive", n: 4 },
];
const JAVA_WARMUP_SECONDS = 3;
/** How much more a receive finds than it would take at the fastest pace seen so far, of sends or of receives. */
const SPARE = 3;
/** What the receives of one start may hold without an acknowledgement when their time is over: nobody else gets it meanwhile. */
const HELD_MAX = 1_000;
const TAG = 1;
const SIMPLE_CONSUMER = 3;

const { values } = parseArgs({
  options: {
    grpc: { type: "boolean" },
    server: { type: "string", multiple: true },
    only: { type: "string", default: "send,receive,java-send,java-receive" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    port: { type: "string", default: "31900" },
    work: { type: "string", default: path.join(import.meta.dirname, ".work") },
    write: { type: "boolean", default: false },
  },
});
const servers = values.server ?? GRPC_SERVERS;
const wanted = values.only.split(",");
const rounds = values.quick ? 1 : Number(values.rounds);
const seconds = values.quick ? 2 : Number(values.seconds);
const steps = STEPS.filter(({ id }) => id.startsWith("warm-up") || wanted.includes(id));
const workDirectory = path.resolve(values.work);
fs.mkdirSync(workDirectory, { recursive: true });
const classPath = steps.some(({ java }) => java) ? grpcClientClassPath(workDirectory) : null;
const failures = [];
/** step -> server -> one point per round */
const points = Object.fromEntries(
  steps.map(({ id }) => [id, Object.fromEntries(servers.map((server) => [server, []]))]),
);

for (let round = 1; round <= rounds; round++) {
  for (const kind of servers) await measureServer(kind, round);
}

const measured = steps.filter(({ title }) => title !== undefined);
const notes = [
  ...describeMachine(workDirectory, javaVersion()),
  `${rounds} x ${seconds} s per point after sends for ${seconds * 1.6} s and receives for ${seconds * 0.8} s, servers by turns, not pinned`,
  ...failures.map((failure) => `failed: ${failure}`),
];
const text = `${notes.map((note) => `- ${note}`).join("\n")}\n\n${renderGrpc(measured, servers, points)}`;
process.stdout.write(`\n${text}\n`);
if (values.write) writeReadme(path.join(import.meta.dirname, "README.md"), text, "npm run bench -- --grpc");
process.exitCode = failures.length > 0 ? 1 : 0;

async function measureServer(kind, round) {
  const server = await startGrpcServer(kind, { workDirectory, portBase: Number(values.port) });
  const run = `b${round}`;
  const [topic, group] = ["normal", "g"].map((suffix) => nameOf(run, "send", suffix));
  try {
    await createResources(server.brokerPort, run, ["send"]);
    await place(server.grpcPort, topic, group);
    const running = { ...server, kind, round, topic, group, backlog: 0, fastest: 0, spare: SPARE };
    for (const step of steps) await attempt(running, step);
  } finally {
    await server.stop();
  }
}

/** A new group begins at the end of its queues when it first asks. */
async function place(port, topic, group) {
  const rpc = new Rpc(`127.0.0.1:${port}`, "bench-place");
  const names = { group: { name: group }, messageQueue: { topic: { name: topic }, broker: { name: "broker-a" } } };
  const filterExpression = { type: TAG, expression: "*" };
  const subscriptions = [{ topic: { name: topic }, expression: filterExpression }];
  const stream = await rpc.telemetry({
    clientType: SIMPLE_CONSUMER,
    subscription: { group: names.group, subscriptions },
  });
  stream.on("error", () => {});
  const wait = { invisibleDuration: { seconds: 60 }, longPollingTimeout: { seconds: 5 } };
  await rpc.stream("ReceiveMessage", { ...names, filterExpression, batchSize: 1, ...wait });
  rpc.close();
}

/** A step with an error is a failed one: it is reported, and repeated once. */
async function attempt(server, step) {
  const { kind, round } = server;
  for (let tries = 1; tries <= 2; tries++) {
    try {
      await fill(server, step);
      const point = await measure(server, step);
      points[step.id][kind].push(point);
      const figures = Object.entries(point).map(([key, value]) => `${key} ${value.toPrecision(3)}`);
      process.stdout.write(`round ${round} ${kind} ${step.id}: ${figures.join(", ")}\n`);
      return;
    } catch (error) {
      // Receives may be far faster than anything before them.
      if (receives(step) && server.backlog <= HELD_MAX) server.spare *= 3;
      failures.push(`round ${round} ${kind} ${step.id}: ${error.message.split("\n")[0]}`);
      process.stdout.write(`failed: round ${round} ${kind} ${step.id}: ${error.message}\n`);
    }
  }
}

function receives({ load, java }) {
  return load === "receiveLoad" || java === "receive";
}

function windowOf({ java, times = 1, warmup = java ? JAVA_WARMUP_SECONDS : 1 }) {
  return { warmup, seconds: seconds * times };
}

/** Sends what a receive will need, where the sends before it have left less. */
async function fill(server, step) {
  if (!receives(step) || step.title === undefined) return;
  const window = windowOf(step);
  const needed = Math.ceil(server.fastest * (window.warmup + window.seconds) * server.spare) + HELD_MAX;
  const count = needed - server.backlog;
  if (count <= 0) return;
  const { errors, firstError, acknowledged } = await runLean(server, { load: "sendLoad", ...LEAN, warmup: 0, count });
  server.backlog += acknowledged;
  if (errors > 0)
    throw new Error(`${errors} errors while ${count} messages were sent for it, the first: ${firstError}`);
}

async function measure(server, step) {
  const options = { ...step, ...windowOf(step) };
  const result = step.java ? await runJava(server, options) : await runLean(server, options);
  const {
    messages,
    errors,
    firstError,
    p50Ms,
    p99Ms,
    generatorCpuSeconds = 0,
    serverCpuSeconds,
    acknowledged,
  } = result;
  server.backlog += receives(step) ? -acknowledged : acknowledged;
  if (errors > 0) throw new Error(`${errors} errors, the first: ${firstError}`);
  if (messages === 0) throw new Error("no message was measured");
  const perSecond = messages / result.seconds;
  server.fastest = Math.max(server.fastest, perSecond);
  if (receives(step) && step.title !== undefined && server.backlog <= HELD_MAX) {
    throw new Error("there was nothing left to receive before its time was over");
  }
  return {
    perSecond,
    p50Ms,
    p99Ms,
    cpuUs: (serverCpuSeconds / messages) * 1e6,
    rssMb: server.memory(),
    generatorShare: generatorCpuSeconds / (generatorCpuSeconds + serverCpuSeconds),
  };
}

function runLean({ grpcPort, topic, group, pids }, options) {
  const all = { ...options, port: grpcPort, topic, group };
  return runGenerator("generator", process.execPath, [GENERATOR, JSON.stringify(all)], pids);
}

function runJava({ grpcPort, topic, group, pids, directory }, { java, n, warmup, seconds: measured }) {
  const args = [`127.0.0.1:${grpcPort}`, java, topic, group, LEAN.bodyBytes, warmup, measured, n].map(String);
  const jvm = ["-Xms1g", "-Xmx1g", `-Duser.home=${directory}`, "-Drocketmq.log.level=warn"];
  return runGenerator("java client", "java", [...jvm, "-cp", classPath, "GrpcBench", ...args], pids);
}
