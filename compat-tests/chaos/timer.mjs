// Timers under kill -9 (`npm run chaos -- timer`): a real broker on real sockets takes messages that are due within seconds, some are recalled;
// it is killed again and again and started on the same ports and store. When all are due, its topic is compared with the outside log: none lost,
// none early, no recalled one delivered; duplicates and the delivery error are figures.
//
//   --kills 20 --flush both|ASYNC_FLUSH|SYNC_FLUSH --seed N --server skylark|apache --canary loss|early|recall-ignored|altered|invented --keep

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AuditLog } from "./lib/auditLog.mjs";
import { createTopic, RawClient } from "./lib/client.mjs";
import { drain } from "./lib/harvest.mjs";
import { SMALL_FILES } from "./lib/load.mjs";
import { percentile } from "./lib/options.mjs";
import { seeded } from "./lib/random.mjs";
import { eachFlush, killOptions } from "./lib/rounds.mjs";
import { serverOf } from "./lib/servers.mjs";
import { judgeTimers, readTimerLog, TIMER_CANARIES } from "./lib/timerJudge.mjs";
import { TIMER_CHAOS_TOPIC, TimerLoad } from "./lib/timerLoad.mjs";
import { CODE } from "./lib/wire.mjs";

const KILL_MS = [500, 3_500];
/** Fewer acknowledgements per kill than this, and the run has shown nothing. */
const ACKS_PER_KILL = 50;
const PRECISION_MS = 1000;
/** The longest wait of the load, and time to catch up. */
const ALL_DUE_MS = 20_000;

export const TIMER_OPTIONS = killOptions({ port: 27400 });

export const timer = (options) => eachFlush(options, run);

async function run({ flush, kills, seed, server: kind, canary, keep, port: namesrvPort }) {
  const random = seeded(seed);
  const dir = mkdtempSync(join(tmpdir(), "skylark-timers-"));
  console.log(`== timers under kill -9, ${kind}, ${flush}, ${kills} kills, seed ${seed}`);
  const port = namesrvPort + 10;
  const settings = {
    ...SMALL_FILES,
    flushDiskType: flush,
    recallMessageEnable: true,
    timerRollWindowSlot: 5,
    mappedFileSizeTimerLog: 52 * 500 + 16,
  };
  const server = serverOf(kind, { dir, namesrvPort, brokerPort: port, settings });
  const log = new AuditLog(join(dir, "audit.log"));
  const recoveries = [];
  let pendingKills = 0;
  try {
    await server.start();
    const admin = await RawClient.open({ port });
    await createTopic(admin, TIMER_CHAOS_TOPIC, 1);
    admin.destroy();
    const loads = [0, 1].map((number) => new TimerLoad({ number, port, log, random, perSecond: 150 }));
    const began = performance.now();
    for (let k = 0; k < kills; k++) {
      await sleep(random.between(...KILL_MS) * (kind === "apache" ? 2 : 1));
      if (loads.some((load) => load.pending > 0)) pendingKills++;
      await server.kill9();
      log.note(`X ${Date.now()}`);
      log.flush();
      // Away for longer than some wait, so that slots become due while nobody reads them.
      await sleep(random.between(0, 2_000));
      recoveries.push(await server.start());
      log.note(`U ${Date.now()}`);
    }
    // And a while in peace, for the delivery error.
    await sleep(8_000);
    await Promise.all(loads.map((load) => load.finish()));
    log.flush();
    console.log(
      `${((performance.now() - began) / 1000).toFixed(1)} s, kills ${kills}, of them with requests pending ${pendingKills}; ` +
        `start to ready ms: p50 ${percentile(recoveries, 0.5).toFixed(0)}, p99 ${percentile(recoveries, 0.99).toFixed(0)}`,
    );
    const records = await settled(port);
    const problems = await sameAfterRestart(server, port, records);
    const ok = conclude(log.file, records, problems, kills, canary);
    console.log(ok ? "ok" : `FAILED; again with --seed ${seed}`);
    if (ok && !keep) rmSync(dir, { recursive: true, force: true });
    else console.log(`evidence in ${dir}`);
    return ok;
  } finally {
    log.close();
    await server.end();
  }
}

/** The topic when everything is due and nothing more arrives. */
async function settled(port) {
  await sleep(ALL_DUE_MS);
  const client = await RawClient.open({ port });
  try {
    for (let before = -1; ; ) {
      const max = await client.number(CODE.MAX_OFFSET, { topic: TIMER_CHAOS_TOPIC, queueId: 0 });
      if (max === before) break;
      before = max;
      await sleep(3_000);
    }
    return (await drain(client, TIMER_CHAOS_TOPIC, 0)).records;
  } finally {
    client.destroy();
  }
}

/** A clean stop and start delivers nothing again. */
async function sameAfterRestart(server, port, records) {
  const problems = [];
  const exit = await server.stop();
  if (exit !== 0) problems.push(`a SIGTERM ended the broker with ${exit}`);
  await server.start();
  await sleep(3_000);
  const client = await RawClient.open({ port });
  const again = (await drain(client, TIMER_CHAOS_TOPIC, 0)).records;
  client.destroy();
  if (again.length !== records.length) {
    problems.push(`after a clean stop and start there are ${again.length} messages instead of ${records.length}`);
  }
  await server.stop();
  return problems;
}

function conclude(file, records, problems, kills, canary) {
  const evidence = readTimerLog(file);
  let judged = records;
  if (canary !== "") {
    if (!(canary in TIMER_CANARIES)) throw new Error(`--canary is one of ${Object.keys(TIMER_CANARIES).join(", ")}`);
    judged = TIMER_CANARIES[canary].plant(evidence, records);
    console.log(`canary planted: ${canary}; this run must fail`);
  }
  const verdict = judgeTimers(evidence, judged, PRECISION_MS);
  const missed = Object.entries(TIMER_CANARIES).filter(
    ([, { kind, plant }]) => judgeTimers(evidence, plant(evidence, records), PRECISION_MS).counts[kind] === 0,
  );
  for (const [name] of missed) problems.push(`the audit did not catch the canary "${name}"`);
  const all = [...evidence.timers.values()];
  const acked = all.filter((timer) => timer.acked).length;
  const recalled = all.filter((timer) => timer.recall === "acked").length;
  if (acked < kills * ACKS_PER_KILL) problems.push(`too little traffic: ${acked} acknowledgements for ${kills} kills`);
  if (recalled < kills) problems.push(`too few recalls: ${recalled}`);
  const { error } = verdict;
  console.log(
    `sent ${all.length}, acknowledged ${acked}, recalled ${recalled}, came ${verdict.came}, duplicates ${verdict.duplicates}; ` +
      `delivery error behind the slot's end ms: p50 ${error.p50}, p99 ${error.p99}, max ${error.max} (of ${error.of} with the broker up)`,
  );
  console.log(
    Object.entries(verdict.counts)
      .map(([name, n]) => `${name} ${n}`)
      .join(", "),
  );
  for (const [name, examples] of Object.entries(verdict.examples)) {
    for (const text of examples) console.log(`  ${name}: ${text}`);
  }
  const planted = Object.keys(TIMER_CANARIES).length;
  console.log(`canaries caught: ${planted - missed.length} of ${planted}`);
  for (const problem of problems) console.log(`  problem: ${problem}`);
  return verdict.ok && problems.length === 0;
}
