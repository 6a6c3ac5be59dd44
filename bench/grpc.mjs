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
/** In this order, on one start: receives take what the sends before them have left. */
const STEPS = [
  { id: "warm-up-send", load: "sendLoad", ...LEAN, warmup: 0, times: 1.6 },
  { id: "warm-up-receive", load: "receiveLoad", ...LEAN, inFlight: 2, warmup: 0, times: 0.8 },
  { id: "send", title: "send 128 B, 4 connections x 16 in flight", load: "sendLoad", ...LEAN },
  { id: "receive", title: "receive of 32 and its 32 acks, 4 x 2", load: "receiveLoad", ...LEAN, inFlight: 2 },
  { id: "java-send", title: "Java 5.2.0, async send 128 B, 64 in flight", java: "send", n: 64 },
  { id: "java-receive", title: "Java 5.2.0, simple consumer: 4 receives of 32, async acks", java: "receive", n: 4 },
];
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
    for (const step of steps) {
      try {
        const point = await measure(server, step, { topic, group });
        points[step.id][kind].push(point);
        const figures = Object.entries(point).map(([key, value]) => `${key} ${value.toPrecision(3)}`);
        process.stdout.write(`round ${round} ${kind} ${step.id}: ${figures.join(", ")}\n`);
      } catch (error) {
        failures.push(`round ${round} ${kind} ${step.id}: ${error.message.split("\n")[0]}`);
        process.stdout.write(`failed: round ${round} ${kind} ${step.id}: ${error.message}\n`);
      }
    }
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

async function measure(server, { java, n, times = 1, warmup = 1, ...load }, { topic, group }) {
  const window = { warmup, seconds: seconds * times };
  const result = java
    ? await runJava(server, { java, n, topic, group, warmup: 3, seconds })
    : await runLean(server, { ...load, ...window, port: server.grpcPort, topic, group });
  const { messages, errors, firstError, p50Ms, p99Ms, generatorCpuSeconds = 0, serverCpuSeconds } = result;
  if (errors > 0) throw new Error(`${errors} errors, the first: ${firstError}`);
  if (messages === 0) throw new Error("no message was measured");
  return {
    perSecond: messages / result.seconds,
    p50Ms,
    p99Ms,
    cpuUs: (serverCpuSeconds / messages) * 1e6,
    rssMb: server.memory(),
    generatorShare: generatorCpuSeconds / (generatorCpuSeconds + serverCpuSeconds),
  };
}

function runLean(server, options) {
  return runGenerator("generator", process.execPath, [GENERATOR, JSON.stringify(options)], server.pids);
}

function runJava(server, { java, n, topic, group, warmup, seconds }) {
  const args = [`127.0.0.1:${server.grpcPort}`, java, topic, group, 128, warmup, seconds, n].map(String);
  const jvm = ["-Xms1g", "-Xmx1g", `-Duser.home=${server.directory}`, "-Drocketmq.log.level=warn"];
  return runGenerator("java client", "java", [...jvm, "-cp", classPath, "GrpcBench", ...args], server.pids);
}
