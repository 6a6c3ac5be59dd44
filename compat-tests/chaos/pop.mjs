// kill -9 under pops (`npm run chaos -- pop`): producers, and consumers that pop, acknowledge most, exchange some and leave the rest;
// the broker is killed again and again. What was acknowledged must never come again, everything else must, and not before its time.
//
//   --kills 20 --flush both|ASYNC_FLUSH|SYNC_FLUSH --seed N --server skylark|apache --canary resurrected|forgotten|lost|early --keep

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AuditLog } from "./lib/auditLog.mjs";
import { createTopic, RawClient } from "./lib/client.mjs";
import { SMALL_FILES } from "./lib/load.mjs";
import { percentile, readOptions } from "./lib/options.mjs";
import { judgePops, POP_CANARIES, readPopLog, uncaughtPopCanaries } from "./lib/popJudge.mjs";
import { POP_QUEUES, POP_TOPIC, PopConsumer, PopProducer } from "./lib/popLoad.mjs";
import { seeded } from "./lib/random.mjs";
import { eachFlush, killOptions } from "./lib/rounds.mjs";
import { serverOf } from "./lib/servers.mjs";

const KILL_MS = [300, 3_000];
/** Acknowledged pops per kill, or the run has shown nothing. */
const ACKS_PER_KILL = 50;
/** Longer than any invisible time, twice over; Apache revives seconds late. */
const DRAIN_MS = { skylark: 15_000, apache: 60_000 };
const PRODUCERS = 2;
const CONSUMERS = 3;

export const POP_OPTIONS = killOptions({ port: 27_400 });

export const pop = (options) => eachFlush(options, run);

async function run({ flush, kills, seed, server: kind, canary, keep, port: namesrvPort }) {
  const random = seeded(seed);
  const dir = mkdtempSync(join(tmpdir(), "skylark-pop-"));
  console.log(`== kill -9 under pops, ${kind}, ${flush}, ${kills} kills, seed ${seed}`);
  const port = namesrvPort + 10;
  const settings = { ...SMALL_FILES, brokerName: "broker-a", flushConsumerOffsetInterval: 2_000, flushDiskType: flush };
  const server = serverOf(kind, { dir, namesrvPort, brokerPort: port, settings });
  const log = new AuditLog(join(dir, "audit.log"));
  const recoveries = [];
  try {
    await server.start();
    log.note(`U ${Date.now()}`);
    const admin = await RawClient.open({ port });
    await createTopic(admin, POP_TOPIC, POP_QUEUES);
    admin.destroy();
    const producers = Array.from(
      { length: PRODUCERS },
      (_, number) => new PopProducer({ number, port, log, perSecond: 400 }),
    );
    const consumers = Array.from({ length: CONSUMERS }, () => new PopConsumer({ port, log, random }));
    for (let k = 0; k < kills; k++) {
      await sleep(random.between(...KILL_MS));
      await server.kill9();
      log.note(`X ${Date.now()}`);
      log.flush();
      recoveries.push(await server.start());
      log.note(`U ${Date.now()}`);
    }
    const problems = await drain(producers, consumers, { port, log, random, waitMs: DRAIN_MS[kind] });
    const exit = await server.stop();
    if (exit !== 0) problems.push(`a SIGTERM ended the broker with ${exit}`);
    return conclude({ log, kills, recoveries, problems, canary, seed, dir, keep });
  } finally {
    await server.end();
    log.close();
  }
}

/** Sends nothing more, and acknowledges everything until nothing comes for longer than anything is invisible. */
async function drain(producers, consumers, { port, log, random, waitMs }) {
  for (const producer of producers) await producer.finish();
  for (const consumer of consumers) await consumer.finish();
  const last = new PopConsumer({ port, log, random, ackShare: 1, invisibleMs: [10_000, 10_000] });
  let before = -1;
  let quietSince = performance.now();
  while (performance.now() - quietSince < waitMs) {
    await sleep(200);
    if (last.popped !== before) quietSince = performance.now();
    before = last.popped;
  }
  await last.finish();
  return [...consumers, last].flatMap((consumer) => consumer.problems.slice(0, 5));
}

/** The verdict on an outside log of popLoad's format; whether it is good. */
export function conclude({ log, kills, recoveries, problems, canary, seed, dir, keep }) {
  log.flush();
  const readLog = () => readPopLog(log.file);
  const evidence = readLog();
  if (canary !== "") {
    if (!(canary in POP_CANARIES)) throw new Error(`--canary is one of ${Object.keys(POP_CANARIES).join(", ")}`);
    POP_CANARIES[canary](evidence);
    console.log(`canary planted: ${canary}; this run must fail`);
  }
  const verdict = judgePops(evidence);
  const missed = uncaughtPopCanaries(readLog);
  for (const name of missed) problems.push(`the audit did not catch the canary "${name}"`);
  if (verdict.confirmed < kills * ACKS_PER_KILL) problems.push(`too little traffic: ${verdict.confirmed} acknowledged`);
  console.log(
    `start to ready ms: p50 ${percentile(recoveries, 0.5).toFixed(0)}, max ${Math.max(...recoveries).toFixed(0)}; sent ` +
      `${evidence.sent.size}, stored ${evidence.acked.size}, deliveries ${verdict.deliveries}, acknowledged in time ${verdict.confirmed}, ` +
      `never answered ${verdict.unanswered}, ` +
      `given again ${verdict.lateness.length}, late by ms: p50 ${percentile(verdict.lateness, 0.5)}, p99 ${percentile(verdict.lateness, 0.99)}`,
  );
  for (const [name, list] of Object.entries(verdict.found)) {
    console.log(`  ${name} ${list.length}${list.length > 0 ? `: ${list.slice(0, 5).join("; ")}` : ""}`);
  }
  const planted = Object.keys(POP_CANARIES).length;
  console.log(`canaries caught: ${planted - missed.length} of ${planted}`);
  for (const problem of problems) console.log(`  problem: ${problem}`);
  const ok = verdict.ok && problems.length === 0;
  console.log(ok ? "ok" : `FAILED; again with --seed ${seed}`);
  if (ok && !keep) rmSync(dir, { recursive: true, force: true });
  else console.log(`evidence in ${dir}`);
  return ok;
}

if (process.argv[1] === import.meta.filename) {
  const { passed, failed } = await pop(readOptions(POP_OPTIONS));
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
