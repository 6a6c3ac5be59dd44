// Malformed frames on real sockets (`npm run fuzz`): a real server, a healthy pair that must keep its pace, and an attacker.
//
//   --frames 1000000   malformed frames to send (the crowds come after the full run only)
//   --seed N           plays a run again; with --connection M only that connection's script
//   --parallel 32      attacking connections at a time
//   --floods           no malformed frames, only crowds: connections in a burst, handshakes and requests that begin and do not end, topics by the
//                      thousand

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { RawClient } from "../chaos/lib/client.mjs";
import { newSeed, readOptions } from "../chaos/lib/options.mjs";
import { Skylark } from "../chaos/lib/servers.mjs";
import { CODE } from "../chaos/lib/wire.mjs";
import { almostWhole, fillBacklog, flood, halfHandshakes, manyTopics, slowloris, slowReaders } from "./crowd.mjs";
import { HealthyPair, TOPIC } from "./healthy.mjs";
import { MemoryWatch, openFiles, rssMiB } from "./watch.mjs";

const PACE_PER_SECOND = 500;
const PACE_KEPT = 0.8;
const BASELINE_MS = 4_000;
/** Allowed growth of resident memory over the last half of a run. */
const GROWTH_MIB = 40;
/** A short run ends while the heap is still finding its size. */
const SHORT_GROWTH_MIB = 100;
/** Allowed for 200 clients that never read: row 8 of the battery. */
const SLOW_READERS_MIB = 400;
const SLOW_READERS = 200;
const SLOW_PULLS = 400;
const BACKLOG = { messages: 8_000, bytes: 4_000 };
const FLOOD = 5_000;
const FULL_RUN = 200_000;
/** Of the floods. */
const RUDE = 2_000;
const HANDSHAKE_MS = 10_000;
const UNFINISHED_MIB = 64;
const UNFINISHED = { connections: 60, bytes: 8 * 1024 * 1024 };
const TOPICS = { asked: 4_000, allowed: 3_000 };
/** What a flood may leave behind in resident memory, which is given back late. */
const LEFT_MIB = 120;

const options = readOptions({
  frames: 1_000_000,
  seed: newSeed(),
  connection: -1,
  parallel: 32,
  port: 27100,
  crowds: false,
  floods: false,
  keep: false,
});
const results = [];
const dir = mkdtempSync(join(tmpdir(), "skylark-fuzz-"));
const server = new Skylark({
  dir,
  namesrvPort: options.port,
  brokerPort: options.port + 10,
  // Topics by the thousand are what these frames ask for, rightly granted; what is tested here is what they must not get.
  settings: {
    autoCreateTopicEnable: options.floods,
    "limit.unfinishedRequestBytes": UNFINISHED_MIB * 1024 * 1024,
    "limit.topicsPerClient": TOPICS.allowed,
    mappedFileSizeCommitLog: 64 * 1024 * 1024,
    mappedFileSizeConsumeQueue: 20_000,
  },
  env: { SKYLARK_LOG_LEVEL: process.env.SKYLARK_LOG_LEVEL ?? "error" },
});
let exit;

function check(name, ok, text) {
  results.push({ name, ok });
  console.log(`${ok ? "ok  " : "FAIL"} ${name}: ${text}`);
}

function paceChecks(name, before, during, pair) {
  check(
    `${name}: pace of the healthy pair`,
    during.perSecond >= PACE_KEPT * before.perSecond,
    `${during.perSecond.toFixed(0)}/s of ${before.perSecond.toFixed(0)}/s, p99 ${during.p99.toFixed(1)} ms, before ${before.p99.toFixed(1)} ms`,
  );
  check(
    `${name}: errors of the healthy pair`,
    pair.errors.length === 0,
    `${pair.errors.length}${pair.errors[0] ? `, first: ${pair.errors[0]}` : ""}`,
  );
}

function alive(name) {
  check(
    `${name}: the server runs`,
    exit === undefined,
    exit === undefined ? `pid ${server.pid}` : `it ended: ${JSON.stringify(exit)}`,
  );
}

async function frames(pair, before) {
  const watch = new MemoryWatch(server.pid);
  const base = rssMiB(server.pid);
  const from = pair.mark();
  const began = performance.now();
  let stats;
  const failures = [];
  await new Promise((resolve) => {
    const worker = new Worker(new URL("./attacker.mjs", import.meta.url), {
      workerData: {
        seed: options.seed,
        frames: options.frames,
        parallel: options.connection < 0 ? options.parallel : 1,
        only: options.connection < 0 ? undefined : options.connection,
        targets: [
          broker("broker", options.port + 10),
          broker("broker", options.port + 10),
          broker("fast", options.port + 8),
          namesrv(),
        ],
      },
    });
    let shown = performance.now();
    worker.on("message", (message) => {
      if (message.failure) failures.push(message.failure);
      if (message.stats) stats = message.stats;
      if (performance.now() - shown > 15_000) {
        shown = performance.now();
        console.log(`     ${stats.frames} frames, ${rssMiB(server.pid).toFixed(0)} MiB`);
      }
      if (message.done) resolve();
    });
    worker.on("error", (error) => {
      failures.push(`the attacker: ${error.stack}`);
      resolve();
    });
    server.exited.then(() => {
      void worker.terminate();
      resolve();
    });
  });
  const seconds = (performance.now() - began) / 1000;
  const during = pair.since(from);
  watch.stop();
  alive("frames");
  if (stats === undefined) return check("frames: sent", false, failures[0] ?? "nothing was sent");
  check(
    "frames: sent",
    options.connection >= 0 || stats.frames >= options.frames,
    `${stats.frames} in ${seconds.toFixed(0)} s (${(stats.frames / seconds).toFixed(0)}/s) over ${stats.connections} connections, ` +
      `${stats.answered} replies, ${stats.closedByServer} connections closed by the server`,
  );
  console.log(
    `     ${Object.entries(stats.kinds)
      .map(([kind, n]) => `${kind} ${n}`)
      .join(", ")}`,
  );
  console.log(
    `     reply codes: ${Object.entries(stats.codes)
      .map(([code, n]) => `${code}:${n}`)
      .join(" ")}`,
  );
  check(
    "frames: every probe answered, every frame answered or its connection closed",
    failures.length === 0,
    `${stats.probes} probes, slowest ${stats.slowestProbeMs.toFixed(0)} ms${failures.length ? `, ${failures.length} failures` : ""}`,
  );
  for (const failure of failures.slice(0, 5)) console.log(`     ${failure.slice(0, 1500)}`);
  const growth = watch.growthOfLastHalf();
  check(
    "frames: memory flat",
    growth <= (options.frames >= FULL_RUN ? GROWTH_MIB : SHORT_GROWTH_MIB),
    `${base.toFixed(0)} MiB before, peak ${watch.peak.toFixed(0)}, last half ${growth >= 0 ? "+" : ""}${growth.toFixed(1)} MiB`,
  );
  paceChecks("frames", before, during, pair);
}

function broker(name, port) {
  return { name, port, probe: { code: CODE.MAX_OFFSET, ext: { topic: TOPIC, queueId: 0, committed: true } } };
}

function namesrv() {
  return { name: "namesrv", port: options.port, probe: { code: CODE.ROUTE, ext: { topic: TOPIC } } };
}

async function slow(pair) {
  await fillBacklog(options.port + 10, BACKLOG.messages, BACKLOG.bytes);
  const before = await pair.measure(BASELINE_MS);
  const base = rssMiB(server.pid);
  const watch = new MemoryWatch(server.pid, 100);
  const crowd = await slowReaders(options.port + 10, SLOW_READERS, SLOW_PULLS, BACKLOG.messages);
  const during = await pair.measure(8_000);
  watch.stop();
  alive("slow readers");
  check(
    "slow readers: memory bounded",
    watch.peak - base <= SLOW_READERS_MIB,
    `${SLOW_READERS} connections, ${base.toFixed(0)} MiB before, peak ${watch.peak.toFixed(0)}, last half ${watch.growthOfLastHalf().toFixed(1)} MiB`,
  );
  paceChecks("slow readers", before, during, pair);
  await crowd.close();
}

async function crowd(pair) {
  const before = await pair.measure(BASELINE_MS);
  const files = openFiles(server.pid);
  const base = rssMiB(server.pid);
  const began = performance.now();
  const from = pair.mark();
  const flooded = await flood(options.port + 10, FLOOD);
  const seconds = (performance.now() - began) / 1000;
  await sleep(3_000);
  const during = pair.since(from);
  alive("flood");
  const open = flooded.sockets.filter((socket) => !socket.destroyed).length;
  check(
    "flood: connections",
    open >= FLOOD * 0.99,
    `${open} of ${FLOOD} open after ${seconds.toFixed(1)} s, refused ${flooded.refused}, ${(rssMiB(server.pid) - base).toFixed(0)} MiB more`,
  );
  const probe = await RawClient.open({ port: options.port + 10 });
  const asked = performance.now();
  await probe.number(CODE.MAX_OFFSET, { topic: TOPIC, queueId: 0 });
  check(
    "flood: a new client is served",
    performance.now() - asked < 1_000,
    `${(performance.now() - asked).toFixed(0)} ms`,
  );
  probe.destroy();
  paceChecks("flood", before, during, pair);
  await flooded.close();
  await sleep(1_000);
  const left = openFiles(server.pid) - files;
  check("flood: files closed", Math.abs(left) <= 5, `${left} more than before`);
}

/** The pace and the memory of a server while something is done to it. */
async function during(name, pair, { peakMiB, ms = 0 }, act) {
  const before = await pair.measure(BASELINE_MS);
  const base = rssMiB(server.pid);
  const watch = new MemoryWatch(server.pid, 100);
  const from = pair.mark();
  const done = await act();
  if (ms > 0) await sleep(ms);
  const kept = pair.since(from);
  watch.stop();
  alive(name);
  if (exit !== undefined) return done;
  paceChecks(name, before, kept, pair);
  check(
    `${name}: memory bounded`,
    watch.peak - base <= peakMiB,
    `${base.toFixed(0)} MiB before, peak ${watch.peak.toFixed(0)}`,
  );
  return done;
}

async function isTrueWithin(ms, holds) {
  const until = performance.now() + ms;
  while (!holds() && performance.now() < until) await sleep(100);
  return holds();
}

const openOf = ({ sockets }) => sockets.filter((socket) => !socket.destroyed).length;

async function floods(pair) {
  const base = rssMiB(server.pid);
  const half = await during("half-open handshakes", pair, { peakMiB: 300, ms: 3_000 }, () =>
    halfHandshakes(options.port + 10, RUDE),
  );
  const closed = await isTrueWithin(6 * HANDSHAKE_MS, () => openOf(half) === 0);
  check("half-open handshakes: all closed in time", closed, `${openOf(half)} of ${RUDE} still open`);
  await half.close();

  const slow = await during("slowloris", pair, { peakMiB: 200, ms: 8_000 }, () =>
    slowloris(options.port + 10, RUDE, 500),
  );
  check("slowloris: connections", openOf(slow) > 0, `${openOf(slow)} of ${RUDE} open, a byte each in half a second`);
  await slow.close();

  const { connections, bytes } = UNFINISHED;
  const whole = await during("unfinished requests", pair, { peakMiB: UNFINISHED_MIB + 200, ms: 2_000 }, () =>
    almostWhole(options.port + 10, connections, bytes),
  );
  const fitting = (UNFINISHED_MIB * 1024 * 1024) / bytes;
  const bounded = await isTrueWithin(30_000, () => openOf(whole) <= fitting);
  check(
    "unfinished requests: the oldest are cut off",
    bounded,
    `${openOf(whole)} of ${connections} left, ${fitting} fit`,
  );
  await whole.close();

  const topics = await during("topics", pair, { peakMiB: 300 }, () => manyTopics(options.port + 10, TOPICS.asked));
  check(
    "topics: as many as one address may make",
    topics.made === TOPICS.allowed,
    `${topics.made} made, then ${topics.refusal}`,
  );
  await topics.remove();
  const returned = await isTrueWithin(30_000, () => rssMiB(server.pid) <= base + LEFT_MIB);
  check(
    "floods: memory returns",
    returned,
    `${base.toFixed(0)} MiB before, ${rssMiB(server.pid).toFixed(0)} after all of them`,
  );
}

console.log(options.floods ? "== floods" : `== malformed frames: ${options.frames}, seed ${options.seed}`);
try {
  await server.start();
  server.exited.then((how) => {
    exit = how;
  });
  const pair = await HealthyPair.start(options.port + 10, PACE_PER_SECOND);
  await pair.measure(1_500);
  const before = await pair.measure(BASELINE_MS);
  if (options.floods) {
    await crowd(pair);
    if (exit === undefined) await floods(pair);
  } else await frames(pair, before);
  if (exit === undefined && !options.floods && (options.crowds || options.frames >= FULL_RUN)) {
    await slow(pair);
    await crowd(pair);
  }
  await pair.close();
  if (exit === undefined) {
    const code = await server.stop();
    check("the server stops in order", code === 0, `exit code ${code}`);
  }
} finally {
  await server.end();
}
const failed = results.filter((r) => !r.ok).length;
if (failed > 0) console.log(`again with --seed ${options.seed} --frames ${options.frames}; logs in ${dir}`);
if (failed === 0 && !options.keep) rmSync(dir, { recursive: true, force: true });
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
