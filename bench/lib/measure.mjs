// One data point: a topic of its own, a generator process, the server's CPU sampled at both edges of the measured window, and the proof
// that the server holds what it acknowledged.
import { spawnSync } from "node:child_process";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "./child.mjs";
import { Connection } from "./connection.mjs";
import { cpuSeconds } from "./proc.mjs";
import { secure } from "./secure.mjs";
import { createTopicRequest, maxOffsetRequest, OPAQUE_BASE } from "./wire.mjs";
import { QUEUES } from "./workloads.mjs";

const GENERATOR = path.resolve(import.meta.dirname, "..", "generator.mjs");
/** A machine under load starts a JVM slowly. */
const STEP_TIMEOUT_MS = 180_000;
/** An open-loop run that delivers less than this share of its rate has failed. */
const LEAST_SHARE_OF_RATE = 0.98;

export const canPin = spawnSync("taskset", ["-p", String(process.pid)]).status === 0 && os.cpus().length > 1;

async function createTopic(port, topic) {
  const connection = await Connection.open(port);
  const reply = await connection.call(createTopicRequest(topic, QUEUES, OPAQUE_BASE));
  connection.close();
  if (reply.code !== 0) throw new Error(`topic not created, code ${reply.code}: ${reply.remark}`);
}

/** Messages the server has in all queues of the topic; its index may lag behind its log, so this waits for `expected` up to 5 s. */
async function stored(port, topic, expected) {
  const connection = await Connection.open(port);
  let sum = 0;
  for (let attempt = 0; attempt < 50 && sum !== expected; attempt++) {
    if (attempt > 0) await sleep(100);
    sum = 0;
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      const reply = await connection.call(maxOffsetRequest(topic, queueId, OPAQUE_BASE));
      sum += Number(reply.extFields.offset);
    }
  }
  connection.close();
  return sum;
}

/** Runs a generator to its end; returns its own figures and the CPU seconds of `pids` in its measured window. */
export async function runGenerator(name, command, args, pids) {
  const child = new Child(name, command, args);
  await child.line(/^begin$/, STEP_TIMEOUT_MS);
  const before = cpuSeconds(pids);
  await child.line(/^measured$/, STEP_TIMEOUT_MS);
  const after = cpuSeconds(pids);
  const [, json] = await child.line(/^end (.*)$/, STEP_TIMEOUT_MS);
  await child.ended();
  return { ...JSON.parse(json), serverCpuSeconds: after - before };
}

export function runLean(server, options, pin) {
  const args = [GENERATOR, JSON.stringify({ port: server.brokerPort, queues: QUEUES, ...options })];
  if (!pin) return runGenerator("generator", process.execPath, args, server.pids);
  const lastCore = String(os.cpus().length - 1);
  return runGenerator("generator", "taskset", ["-c", lastCore, process.execPath, ...args], server.pids);
}

function runJava(server, { java, bodyBytes, warmup, seconds, n, topic }, { classPath, directory }) {
  const jvm = ["-Xms1g", "-Xmx1g", `-Duser.home=${directory}`, "-cp", classPath, "ClientBench"];
  const args = [server.namesrvAddr, java, topic, bodyBytes, warmup, seconds, n].map(String);
  return runGenerator("java client", "java", [...jvm, ...args], server.pids);
}

let topics = 0;

/** Measures one workload on a running server. Throws when anything was refused, lost or too slow to count. */
export async function measure(server, workload, { warmup, seconds, pin, clientClassPath }) {
  secure(workload.options);
  const topic = `bench_${workload.id.replaceAll("-", "_")}_${++topics}`;
  await createTopic(server.brokerPort, topic);
  const options = { warmup, seconds, ...workload.options, topic };
  if (options.backlog) {
    const fill = {
      load: "send",
      connections: 4,
      inFlight: 16,
      bodyBytes: options.bodyBytes,
      warmup: 0,
      acl: options.acl,
    };
    const filled = await runLean(server, { ...fill, topic, count: options.backlog }, pin);
    await check(server, topic, filled);
  }
  const result = options.java
    ? await runJava(server, options, { classPath: clientClassPath, directory: server.directory })
    : await runLean(server, options, pin);
  await check(server, topic, options.load === "pull" ? { ...result, acknowledged: 0 } : result);
  const perSecond = result.messages / result.seconds;
  if (options.rate && perSecond < options.rate * LEAST_SHARE_OF_RATE) {
    throw new Error(`${Math.round(perSecond)} messages/s arrived of ${options.rate} sent`);
  }
  const memory = server.memory();
  return {
    perSecond,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    cpuUs: (result.serverCpuSeconds / result.messages) * 1e6,
    rssMb: memory.total,
    anonymousMb: memory.anonymous,
    generatorShare: result.generatorCpuSeconds
      ? result.generatorCpuSeconds / (result.generatorCpuSeconds + result.serverCpuSeconds)
      : null,
  };
}

async function check(server, topic, { messages, errors, firstError, acknowledged }) {
  if (errors > 0) throw new Error(`${errors} errors, the first: ${firstError}`);
  if (messages === 0) throw new Error("no message was measured");
  if (!acknowledged) return;
  const held = await stored(server.brokerPort, topic, acknowledged);
  if (held !== acknowledged) throw new Error(`${acknowledged} messages acknowledged, ${held} in the queues`);
}
