// Masters die with their disks (`npm run chaos -- ha`): a SYNC_MASTER with inSyncReplicas=2 and its slave under load. The master is killed with
// SIGKILL, the slave is read as a slave, stopped or killed, its log is compared with the dead master's, whose store is deleted; the slave's store
// becomes the master's, and a new slave begins. Then the same load over a link that a proxy of our own cuts, resets, stalls and delays.
//
//   --deaths 8 --cuts 6 --flush both|ASYNC_FLUSH|SYNC_FLUSH --newcomer both|empty|copied --seed N --canary loss|...|store-lost|store-altered|store-doubled --keep
//
// `--deaths 100 --cuts 40` is the full form. A canary is a run that must fail.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FaultyProxy } from "../lib/faultyProxy.mjs";
import { AuditLog } from "./lib/auditLog.mjs";
import { conclude, createTopics, finishLoad, startLoad } from "./lib/load.mjs";
import { newSeed, percentile, readOptions } from "./lib/options.mjs";
import { seeded } from "./lib/random.mjs";
import { Replicas } from "./lib/replicas.mjs";
import { notItsBeginning, readStoreLog } from "./lib/storeLog.mjs";
import { SurvivorAudit } from "./lib/survivor.mjs";

/** Stored on two brokers; FLUSH_SLAVE_TIMEOUT and the like are no acknowledgement here. */
const STORED = new Set([0]);
const LIFE_MS = [300, 2_000];
/** Fewer acknowledgements per death (or cut) than this, and the run has shown nothing. */
const ACKS_PER_DEATH = 100;
/** Progress of groups comes to a slave every minute: how much of it a death takes is not judged here, only that none is invented. */
const PROGRESS_MS = Number.POSITIVE_INFINITY;
const HEADER_BYTES = 12;
const REPORT_BYTES = 8;

export const HA_OPTIONS = {
  deaths: 8,
  cuts: 6,
  flush: "both",
  newcomer: "both",
  seed: newSeed(),
  canary: "",
  keep: false,
  port: 28_700,
};

export async function ha(options) {
  const flushes = options.flush === "both" ? ["ASYNC_FLUSH", "SYNC_FLUSH"] : [options.flush];
  const newcomers = options.newcomer === "both" ? ["empty", "copied"] : [options.newcomer];
  const rounds = flushes.flatMap((flush) => newcomers.map((newcomer) => ({ flush, newcomer })));
  const deaths = Math.ceil(options.deaths / rounds.length);
  const runs = rounds.map((round) => ({
    ...round,
    title: `${deaths} masters die with their disks`,
    hurt: die(deaths),
  }));
  if (options.cuts > 0)
    runs.push({
      ...rounds[0],
      title: `a faulty link, ${options.cuts} faults`,
      hurt: hurtLink(options.cuts),
      proxy: true,
    });
  let failed = 0;
  for (const [i, run] of runs.entries()) if (!(await round({ ...options, ...run, seed: options.seed + i }))) failed++;
  return { passed: runs.length - failed, failed };
}

async function round({ title, flush, newcomer, seed, canary, keep, port, hurt, proxy: hasProxy = false }) {
  const random = seeded(seed);
  const dir = mkdtempSync(join(tmpdir(), "skylark-ha-deaths-"));
  console.log(`== SYNC_MASTER, ${title}, ${flush}, new slaves ${newcomer}, seed ${seed}`);
  const replicas = await Replicas.make({ dir, port, flush, newcomer });
  const log = new AuditLog(join(dir, "audit.log"));
  const audit = new SurvivorAudit(log);
  const proxy = new FaultyProxy({ port: replicas.haPort });
  if (hasProxy) replicas.masterAddress = `127.0.0.1:${await proxy.listen()}`;
  try {
    await replicas.startFirst();
    await createTopics(replicas.port);
    await replicas.startSlave();
    await replicas.caughtUp();
    const producer = { window: 16, perSecond: 400, stored: STORED };
    const load = startLoad({ port: replicas.port, log, random, producers: 3, producer });
    const began = performance.now();
    const { times, figures } = await hurt({ replicas, audit, load, random, proxy, canary });
    const seconds = (performance.now() - began) / 1000;
    await sleep(500);
    const problems = await finishLoad(load);
    await replicas.caughtUp();
    console.log(
      `${seconds.toFixed(1)} s; ${figures}; consumed ${load.consumers.reduce((sum, one) => sum + one.read, 0)}`,
    );
    const result = await conclude({
      server: {
        stop: async () => endCode(await replicas.master.stopBroker()),
        start: () => replicas.master.startBroker(),
      },
      port: replicas.port,
      log,
      progressMs: PROGRESS_MS,
      canary: canary.startsWith("store-") ? "" : canary,
    });
    await replicas.slave.stopBroker();
    const difference = notItsBeginning(readStoreLog(replicas.slave.store), readStoreLog(replicas.master.store));
    if (difference !== undefined) problems.push(`in the end the slave's log is no copy of its master's: ${difference}`);
    problems.push(...audit.problems, ...result.problems);
    if (log.acks < times * ACKS_PER_DEATH) problems.push(`too little traffic: ${log.acks} acknowledgements`);
    console.log(
      `read from slaves after their masters' death ${audit.acknowledged}; log bytes that died unacknowledged ${audit.diedBytes}; ` +
        `broken logs noticed: ${audit.brokenCaught} of ${audit.brokenPlanted}`,
    );
    if (log.refused > 0) console.log(`refusals by code: ${refusalsByCode(log.file)}`);
    for (const problem of problems) console.log(`  problem: ${problem}`);
    const ok = result.ok && problems.length === 0;
    console.log(ok ? "ok" : `FAILED; again with --seed ${seed} --flush ${flush} --newcomer ${newcomer}`);
    if (ok && !keep) rmSync(dir, { recursive: true, force: true });
    else console.log(`evidence in ${dir}`);
    return ok;
  } finally {
    await replicas.end();
    if (hasProxy) proxy.close();
    log.close();
  }
}

function refusalsByCode(file) {
  const counts = new Map();
  for (const [, code] of readFileSync(file, "latin1").matchAll(/^R \S+ (\d+)$/gm))
    counts.set(code, (counts.get(code) ?? 0) + 1);
  return [...counts].map(([code, n]) => `${code}: ${n}`).join(", ");
}

/** How a stopped broker ended, null when it had to be killed. */
function endCode({ code, killed }) {
  return killed ? null : code;
}

function die(deaths) {
  return async ({ replicas, audit, load, random, canary }) => {
    const takeovers = [];
    let pending = 0;
    let orderly = 0;
    for (let death = 0; death < deaths; death++) {
      await sleep(random.between(...LIFE_MS));
      if (load.producers.some((producer) => producer.inFlight > 0)) pending++;
      await replicas.master.killBroker();
      await audit.readAsSlave(replicas.slavePort);
      // The slave may be stopped to be promoted, or share its master's fate.
      if (random.chance(0.5)) {
        orderly++;
        await replicas.slave.stopBroker();
      } else await replicas.slave.killBroker();
      const last = death === deaths - 1;
      audit.compareLogs(replicas.master.store, replicas.slave.store, last ? canary.replace("store-", "") : undefined);
      if (last) audit.testComparison(replicas.master.store, replicas.slave.store);
      const began = performance.now();
      await replicas.promote();
      takeovers.push(performance.now() - began);
      await replicas.caughtUp();
    }
    const figures =
      `deaths ${deaths}, of them with sends pending ${pending}, slaves stopped in order ${orderly}; ` +
      `both brokers up again ms: p50 ${percentile(takeovers, 0.5).toFixed(0)}, max ${Math.max(...takeovers).toFixed(0)}`;
    return { times: deaths, figures };
  };
}

function hurtLink(cuts) {
  return async ({ replicas, audit, load, random, proxy, canary }) => {
    const kinds = { cut: 0, cutReport: 0, reset: 0, stallDown: 0, stallUp: 0 };
    for (let cut = 0; cut < cuts; cut++) {
      const kind = Object.keys(kinds)[cut % Object.keys(kinds).length];
      kinds[kind]++;
      await sleep(random.between(...LIFE_MS));
      if (kind.startsWith("stall")) {
        // Shorter than haHousekeepingInterval: nobody gives the connection up, everything waits.
        proxy.stall(kind === "stallUp" ? "up" : "down");
        await sleep(random.between(200, 1_500));
        proxy.heal();
      } else {
        // The next connection ends somewhere in the first frame's header, its body, or far behind; or within a report.
        const bytes = random.pick([random.int(HEADER_BYTES + 1), random.int(2_000), random.int(400_000)]);
        const fault = {
          cut: { down: { cutAfterBytes: bytes } },
          cutReport: { up: { cutAfterBytes: random.int(20 * REPORT_BYTES) } },
          reset: { down: { resetAfterBytes: bytes, delayMs: 5 } },
        }[kind];
        const before = proxy.connections;
        proxy.plan = (number) => (number === before ? fault : {});
        proxy.cutAll({ reset: random.chance(0.5) });
      }
      await replicas.caughtUp();
    }
    await replicas.master.killBroker();
    await audit.readAsSlave(replicas.slavePort);
    await replicas.slave.killBroker();
    audit.compareLogs(replicas.master.store, replicas.slave.store, canary.replace("store-", ""));
    audit.testComparison(replicas.master.store, replicas.slave.store);
    await replicas.promote();
    await replicas.caughtUp();
    const said = Object.entries(kinds).map(([kind, times]) => `${kind} ${times}`);
    return {
      times: cuts,
      figures: `${said.join(", ")}; connections ${proxy.connections}, bytes down ${proxy.passed.down}, up ${proxy.passed.up}; ${load.producers.length} producers`,
    };
  };
}

if (process.argv[1] === import.meta.filename) {
  const { passed, failed } = await ha(readOptions(HA_OPTIONS));
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
