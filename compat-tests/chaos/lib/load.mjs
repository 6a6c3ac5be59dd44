// The usual load: four producers and two consumers on the topics of names.mjs, and the verdict at its end.

import { setTimeout as sleep } from "node:timers/promises";
import { readAuditLog } from "./auditLog.mjs";
import { createTopic, RawClient } from "./client.mjs";
import { Consumer } from "./consumer.mjs";
import { harvest, settle } from "./harvest.mjs";
import { CANARIES, judge, uncaughtCanaries } from "./judge.mjs";
import { DELAY_QUEUES, DELAY_TOPIC, ORDER_QUEUES, ORDER_TOPIC } from "./names.mjs";
import { Producer } from "./producer.mjs";

/** Small files, so that faults meet the rolling from one to the next; short delays and intervals, so that they meet those. */
export const SMALL_FILES = {
  flushConsumerOffsetInterval: 500,
  mappedFileSizeCommitLog: 8 * 1024 * 1024,
  mappedFileSizeConsumeQueue: 20 * 1000,
  maxHashSlotNum: 5_000,
  maxIndexNum: 20_000,
  messageDelayLevel: "1s 2s 3s 4s 5s",
  cleanFileForciblyEnable: false,
};

export async function createTopics(port) {
  const admin = await RawClient.open({ port });
  await createTopic(admin, ORDER_TOPIC, ORDER_QUEUES);
  await createTopic(admin, DELAY_TOPIC, DELAY_QUEUES);
  admin.destroy();
}

export function startLoad({ port, log, random, producers = 4, consumers = 2, producer = {} }) {
  return {
    producers: Array.from(
      { length: producers },
      (_, number) =>
        new Producer({
          number,
          port,
          log,
          random,
          window: 16 << (number % 3),
          perSecond: 1_500,
          binary: number % 2 === 1,
          ...producer,
        }),
    ),
    consumers: Array.from(
      { length: consumers },
      (_, i) =>
        new Consumer({
          port,
          queues: Array.from({ length: ORDER_QUEUES / consumers }, (_, k) => consumers * k + i),
          log,
          random,
          binary: i === 1,
        }),
    ),
  };
}

/** Lets producers get their last answers and consumers read to the end. Returns what went wrong. */
export async function finishLoad({ producers, consumers }) {
  const problems = [];
  for (const left of await Promise.all(producers.map((producer) => producer.finish(30_000)))) {
    if (left > 0) problems.push(`a producer still waits for ${left} answers after 30 s of a running broker`);
  }
  await sleep(1_000);
  for (const consumer of consumers) {
    await consumer.finish();
    problems.push(...consumer.problems.slice(0, 5));
  }
  return problems;
}

/**
 * Compares what the broker holds with the outside log, before and after a clean stop and start; prints all of it.
 * @param {{ server: object, port: number, log: object, progressMs: number, canary?: string, selfTest?: boolean }} options
 * @returns {Promise<{ ok: boolean, problems: string[], verdict: object, evidence: object }>}
 */
export async function conclude({ server, port, log, progressMs, canary = "", selfTest = true }) {
  const problems = [];
  log.flush();
  const readLog = () => readAuditLog(log.file);
  const evidence = readLog();
  const delayed = [...evidence.acked.keys()].filter((id) => id.startsWith("d.")).length;
  const back = [...evidence.sentBack.values()].reduce((a, b) => a + b, 0);
  await settle(port, delayed + back);
  const queues = await harvest(port);
  const exit = await server.stop();
  if (exit !== 0) problems.push(`a SIGTERM ended the broker with ${exit}`);
  await server.start();
  const again = await harvest(port);
  if (digest(again) !== digest(queues)) problems.push("after a clean stop and start the broker holds something else");
  await server.stop();

  if (canary !== "") {
    if (!(canary in CANARIES)) throw new Error(`--canary is one of ${Object.keys(CANARIES).join(", ")}`);
    CANARIES[canary].plant(evidence, queues);
    console.log(`canary planted: ${canary}; this run must fail`);
  }
  const verdict = judge(evidence, queues, { progressMs });
  // Runs of a few messages have no evidence to plant every defect in.
  const missed = selfTest ? uncaughtCanaries(readLog, again, { progressMs }) : [];
  for (const name of missed) problems.push(`the audit did not catch the canary "${name}"`);
  const duplicates = Object.entries(verdict.duplicates).map(([topic, n]) => `${topic} ${n}`);
  console.log(
    `sent ${log.sent}, acknowledged ${evidence.acked.size}, refusals ${log.refused}, stored ${verdict.stored}, ` +
      `delayed ${delayed}, sent back ${back}; duplicates ${duplicates.join(", ")}`,
  );
  console.log(
    Object.entries(verdict.counts)
      .map(([name, n]) => `${name} ${n}`)
      .join(", "),
  );
  for (const [name, examples] of Object.entries(verdict.examples)) {
    for (const text of examples) console.log(`  ${name}: ${text}`);
  }
  const planted = Object.keys(CANARIES).length;
  if (selfTest) console.log(`canaries caught: ${planted - missed.length} of ${planted}`);
  return { ok: verdict.ok, problems, verdict, evidence };
}

function digest(queues) {
  return queues
    .map((q) => `${q.topic}-${q.queueId}:${q.min}-${q.max}:${q.records.map((r) => `${r.id}/${r.crc}`).join()}`)
    .join(";");
}
