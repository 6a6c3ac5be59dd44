// kill -9 under load (`npm run chaos -- kill9`): a real broker on real sockets, four producers and two consumers, killed
// again and again and started on the same ports and store; then everything it holds is compared with the outside log.
//
//   --kills 50 --flush both|ASYNC_FLUSH|SYNC_FLUSH --seed N --server skylark|apache --canary loss|altered|order|false-ack|... --keep

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AuditLog, readAuditLog } from "./lib/auditLog.mjs";
import { createTopic, RawClient } from "./lib/client.mjs";
import { Consumer } from "./lib/consumer.mjs";
import { harvest, settle } from "./lib/harvest.mjs";
import { CANARIES, judge, uncaughtCanaries } from "./lib/judge.mjs";
import { DELAY_QUEUES, DELAY_TOPIC, ORDER_QUEUES, ORDER_TOPIC } from "./lib/names.mjs";
import { newSeed, percentile, readOptions } from "./lib/options.mjs";
import { Producer } from "./lib/producer.mjs";
import { seeded } from "./lib/random.mjs";
import { serverOf } from "./lib/servers.mjs";

const PRODUCERS = 4;
const KILL_MS = [50, 2_000];
/** Fewer acknowledgements per kill than this, and the run has shown nothing. */
const ACKS_PER_KILL = 200;
/** At least this share of the kills must have met a send without its answer. */
const PENDING_SHARE = 0.5;
const OFFSET_INTERVAL_MS = 500;
/** A commit is on disk this long after its answer: the interval, and time for a busy machine to write the file. */
const PROGRESS_MS = 2_000;
/** Apache waits 10 s before it persists offsets for the first time. */
const APACHE_PROGRESS_MS = 15_000;

const SETTINGS = {
  flushConsumerOffsetInterval: OFFSET_INTERVAL_MS,
  // Small files, so that kills meet the rolling from one to the next.
  mappedFileSizeCommitLog: 8 * 1024 * 1024,
  mappedFileSizeConsumeQueue: 20 * 1000,
  messageDelayLevel: "1s 2s 3s 4s 5s",
  cleanFileForciblyEnable: false,
};

export async function kill9(options) {
  const flushes = options.flush === "both" ? ["ASYNC_FLUSH", "SYNC_FLUSH"] : [options.flush];
  let failed = 0;
  for (const [i, flush] of flushes.entries()) {
    const kills = Math.ceil(options.kills / flushes.length);
    if (!(await run({ ...options, flush, kills, seed: options.seed + i }))) failed++;
  }
  return { passed: flushes.length - failed, failed };
}

async function run({ flush, kills, seed, server: kind, canary, keep, port }) {
  const random = seeded(seed);
  const dir = mkdtempSync(join(tmpdir(), "skylark-kill9-"));
  console.log(`== kill -9, ${kind}, ${flush}, ${kills} kills, seed ${seed}`);
  const brokerPort = port + 10;
  const server = serverOf(kind, {
    dir,
    namesrvPort: port,
    brokerPort,
    settings: { ...SETTINGS, flushDiskType: flush },
  });
  const file = join(dir, "audit.log");
  const log = new AuditLog(file);
  const recoveries = [];
  let pendingKills = 0;
  const stamp = () => performance.now().toFixed(1);
  const problems = [];
  try {
    await server.start();
    log.note(`U ${stamp()}`);
    const admin = await RawClient.open({ port: brokerPort });
    await createTopic(admin, ORDER_TOPIC, ORDER_QUEUES);
    await createTopic(admin, DELAY_TOPIC, DELAY_QUEUES);
    admin.destroy();
    const producers = Array.from(
      { length: PRODUCERS },
      (_, number) =>
        new Producer({
          number,
          port: brokerPort,
          log,
          random,
          window: 16 << (number % 3),
          perSecond: 1_500,
          binary: number % 2 === 1,
        }),
    );
    const consumers = [0, 1].map(
      (parity) =>
        new Consumer({
          port: brokerPort,
          queues: Array.from({ length: ORDER_QUEUES / 2 }, (_, i) => 2 * i + parity),
          log,
          random,
          binary: parity === 1,
        }),
    );
    const began = performance.now();
    for (let k = 0; k < kills; k++) {
      await sleep(random.between(KILL_MS[0], KILL_MS[1]) * (kind === "apache" ? 2 : 1));
      if (await untilPending(producers)) pendingKills++;
      await server.kill9();
      log.note(`X ${stamp()}`);
      log.flush();
      recoveries.push(await server.start());
      log.note(`U ${stamp()}`);
    }
    const seconds = (performance.now() - began) / 1000;
    await sleep(500);
    for (const producer of producers) {
      const left = await producer.finish(30_000);
      if (left > 0) problems.push(`a producer still waits for ${left} answers 30 s after the last start`);
    }
    // Consumers read on to the end, then rest.
    await sleep(1_000);
    for (const consumer of consumers) {
      await consumer.finish();
      problems.push(...consumer.problems.slice(0, 5));
    }
    log.flush();
    const readLog = () => readAuditLog(file);
    const evidence = readLog();
    const delayed = [...evidence.acked.keys()].filter((id) => id.startsWith("d.")).length;
    const back = [...evidence.sentBack.values()].reduce((a, b) => a + b, 0);
    await settle(brokerPort, delayed + back);
    const queues = await harvest(brokerPort);

    const exit = await server.stop();
    if (exit !== 0) problems.push(`a SIGTERM ended the broker with ${exit}`);
    await server.start();
    const again = await harvest(brokerPort);
    if (digest(again) !== digest(queues)) problems.push("after a clean stop and start the broker holds something else");
    await server.stop();

    const options = { progressMs: kind === "apache" ? APACHE_PROGRESS_MS : PROGRESS_MS };
    if (canary !== "") {
      if (!(canary in CANARIES)) throw new Error(`--canary is one of ${Object.keys(CANARIES).join(", ")}`);
      CANARIES[canary].plant(evidence, queues);
      console.log(`canary planted: ${canary}; this run must fail`);
    }
    const verdict = judge(evidence, queues, options);
    const missed = uncaughtCanaries(readLog, again, options);
    for (const name of missed) problems.push(`the audit did not catch the canary "${name}"`);
    if (log.acks < kills * ACKS_PER_KILL)
      problems.push(`too little traffic: ${log.acks} acknowledgements for ${kills} kills`);
    if (pendingKills < kills * PENDING_SHARE)
      problems.push(`only ${pendingKills} of ${kills} kills met a pending send`);

    console.log(`${seconds.toFixed(1)} s, kills ${kills}, of them with sends pending ${pendingKills}`);
    console.log(
      `sent ${log.sent}, acknowledged ${evidence.acked.size}, refused ${log.refused}, stored ${verdict.stored}, consumed ${consumers.reduce((s, c) => s + c.read, 0)}, ` +
        `delayed ${delayed}, sent back ${back}; duplicates ${Object.entries(verdict.duplicates)
          .map(([topic, n]) => `${topic} ${n}`)
          .join(", ")}`,
    );
    console.log(
      `start to ready ms: p50 ${percentile(recoveries, 0.5).toFixed(0)}, p99 ${percentile(recoveries, 0.99).toFixed(0)}`,
    );
    console.log(
      Object.entries(verdict.counts)
        .map(([name, n]) => `${name} ${n}`)
        .join(", "),
    );
    for (const [name, examples] of Object.entries(verdict.examples))
      for (const text of examples) console.log(`  ${name}: ${text}`);
    for (const problem of problems) console.log(`  problem: ${problem}`);
    console.log(`canaries caught: ${Object.keys(CANARIES).length - missed.length} of ${Object.keys(CANARIES).length}`);
    const ok = verdict.ok && problems.length === 0;
    console.log(ok ? "ok" : `FAILED; again with --seed ${seed}`);
    if (ok && !keep) rmSync(dir, { recursive: true, force: true });
    else console.log(`evidence in ${dir}`);
    return ok;
  } finally {
    await server.end();
    log.close();
  }
}

/** A kill between two bursts shows little: waits a moment for one that has sends without an answer. */
async function untilPending(producers) {
  const limit = performance.now() + 100;
  const pending = () => producers.some((producer) => producer.inFlight > 0);
  while (!pending() && performance.now() < limit) await new Promise((resolve) => setImmediate(resolve));
  return pending();
}

function digest(queues) {
  return queues
    .map((q) => `${q.topic}-${q.queueId}:${q.min}-${q.max}:${q.records.map((r) => `${r.id}/${r.crc}`).join()}`)
    .join(";");
}

export const KILL9_OPTIONS = {
  kills: 50,
  flush: "both",
  seed: newSeed(),
  server: "skylark",
  canary: "",
  keep: false,
  port: 27000,
};

if (import.meta.main ?? process.argv[1] === import.meta.filename) {
  const { passed, failed } = await kill9(readOptions(KILL9_OPTIONS));
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
