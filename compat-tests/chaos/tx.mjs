// kill -9 under transactions (`npm run chaos -- tx`): producers send half messages and end, repeat, forget and delay their ends; the broker is
// killed again and again and started on the same ports and store. In the end every committed message is there once, no rolled-back one is,
// every undecided one was asked about, and nobody was asked about what the broker had acknowledged.
//
//   --kills 20 --flush both|ASYNC_FLUSH|SYNC_FLUSH --seed N --server skylark|apache --canary loss|rolled-back|twice|... --keep
//
// Apache applies commits of its last seconds before a kill twice, and asks about them; there both are counted and not judged.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AuditLog } from "./lib/auditLog.mjs";
import { createTopic, RawClient } from "./lib/client.mjs";
import { SMALL_FILES } from "./lib/load.mjs";
import { percentile, readOptions } from "./lib/options.mjs";
import { seeded } from "./lib/random.mjs";
import { eachFlush, killOptions } from "./lib/rounds.mjs";
import { serverOf } from "./lib/servers.mjs";
import { harvestTx, settled } from "./lib/txHarvest.mjs";
import { judgeTx, TX_CANARIES, uncaughtTxCanaries } from "./lib/txJudge.mjs";
import { readTxLog } from "./lib/txLog.mjs";
import { TX_QUEUES, TX_TOPIC } from "./lib/txNames.mjs";
import { Plans, TxProducer } from "./lib/txProducer.mjs";

const PRODUCERS = 3;
const KILL_MS = [100, 2_500];
/** Fewer half messages per kill than this, and the run has shown nothing. */
const HALVES_PER_KILL = 100;
const APACHES_OWN = ["committedTwice", "askedAfterEnd"];

/** Checks come soon and go on as long as kills may take; decisions wait for their op message as by default. */
const SETTINGS = {
  ...SMALL_FILES,
  transactionTimeOut: 1_000,
  transactionCheckInterval: 700,
  transactionCheckMax: 200,
};

export const TX_OPTIONS = killOptions({ port: 28500 });

export const tx = (options) => eachFlush(options, run);

async function run({ flush, kills, seed, server: kind, canary, keep, port: namesrvPort }) {
  const random = seeded(seed);
  const dir = mkdtempSync(join(tmpdir(), "skylark-tx-"));
  console.log(`== transactions, kill -9, ${kind}, ${flush}, ${kills} kills, seed ${seed}`);
  const port = namesrvPort + 10;
  const server = serverOf(kind, {
    dir,
    namesrvPort,
    brokerPort: port,
    settings: { ...SETTINGS, flushDiskType: flush },
  });
  const log = new AuditLog(join(dir, "audit.log"));
  const stamp = () => performance.now().toFixed(1);
  const recoveries = [];
  const problems = [];
  let pendingKills = 0;
  try {
    await server.start();
    const admin = await RawClient.open({ port });
    await createTopic(admin, TX_TOPIC, TX_QUEUES);
    admin.destroy();
    const plans = new Plans();
    const producers = Array.from(
      { length: PRODUCERS },
      (_, number) =>
        new TxProducer({
          number,
          port,
          log,
          random,
          plans,
          window: 16 << number,
          perSecond: 600,
          binary: number === 1,
        }),
    );
    const began = performance.now();
    for (let k = 0; k < kills; k++) {
      await sleep(random.between(KILL_MS[0], KILL_MS[1]) * (kind === "apache" ? 2 : 1));
      if (producers.some((producer) => producer.inFlight > 0)) pendingKills++;
      await server.kill9();
      log.note(`X ${stamp()}`);
      log.flush();
      recoveries.push(await server.start());
      log.note(`U ${stamp()}`);
    }
    const seconds = (performance.now() - began) / 1000;
    for (const producer of producers) producer.quiesce();
    const undecided = await settled(port, producers);
    for (const producer of producers) {
      await producer.stop();
      problems.push(...producer.problems.slice(0, 5));
    }
    log.flush();
    const queues = await harvestTx(port);
    const exit = await server.stop();
    if (exit !== 0) problems.push(`a SIGTERM ended the broker with ${exit}`);
    await server.start();
    const again = await harvestTx(port);
    if (digest(again) !== digest(queues)) problems.push("after a clean stop and start the broker holds something else");
    await server.stop();
    const checks = producers.reduce((sum, producer) => sum + producer.checks, 0);
    console.log(
      `${seconds.toFixed(1)} s, kills ${kills}, of them with half messages pending ${pendingKills}, checks ${checks}; ` +
        `start to ready ms: p50 ${percentile(recoveries, 0.5).toFixed(0)}, p99 ${percentile(recoveries, 0.99).toFixed(0)}`,
    );
    const ok = conclude({ log, kind, kills, canary, queues, again, undecided, problems });
    console.log(ok ? "ok" : `FAILED; again with --seed ${seed}`);
    if (ok && !keep) rmSync(dir, { recursive: true, force: true });
    else console.log(`evidence in ${dir}`);
    return ok;
  } finally {
    await server.end();
    log.close();
  }
}

function conclude({ log, kind, kills, canary, queues, again, undecided, problems }) {
  const readLog = () => readTxLog(log.file);
  const evidence = readLog();
  if (canary !== "") {
    if (!(canary in TX_CANARIES)) throw new Error(`--canary is one of ${Object.keys(TX_CANARIES).join(", ")}`);
    TX_CANARIES[canary].plant(evidence, queues);
    console.log(`canary planted: ${canary}; this run must fail`);
  }
  const verdict = judgeTx(evidence, queues, { undecided });
  const missed = uncaughtTxCanaries(readLog, again, { undecided });
  for (const name of missed) problems.push(`the audit did not catch the canary "${name}"`);
  if (evidence.acked.size < kills * HALVES_PER_KILL) {
    problems.push(`too little traffic: ${evidence.acked.size} half messages for ${kills} kills`);
  }
  const count = (outcome) =>
    [...evidence.sent].filter(([id, one]) => one.outcome === outcome && evidence.acked.has(id)).length;
  console.log(
    `sent ${evidence.sent.size}, acknowledged ${evidence.acked.size} (to commit ${count("commit")}, to roll back ${count("rollback")}), ` +
      `ends acknowledged ${evidence.ended.size}, asked about ${evidence.asked.size}, committed ${verdict.stored}`,
  );
  console.log(
    Object.entries(verdict.counts)
      .map(([name, n]) => `${name} ${n}`)
      .join(", "),
  );
  for (const [name, examples] of Object.entries(verdict.examples)) {
    for (const text of examples) console.log(`  ${name}: ${text}`);
  }
  const planted = Object.keys(TX_CANARIES).length;
  console.log(`canaries caught: ${planted - missed.length} of ${planted}`);
  for (const problem of problems) console.log(`  problem: ${problem}`);
  const broken = Object.entries(verdict.counts).filter(
    ([name, n]) => n > 0 && !(kind === "apache" && APACHES_OWN.includes(name)),
  );
  return broken.length === 0 && problems.length === 0;
}

function digest(queues) {
  return queues
    .map((q) => `${q.queueId}:${q.min}-${q.max}:${q.records.map((r) => `${r.id}/${r.crc}`).join()}`)
    .join(";");
}

if (process.argv[1] === import.meta.filename) {
  const { passed, failed } = await tx(readOptions(TX_OPTIONS));
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
