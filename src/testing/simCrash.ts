/**
 * The crash matrix: a scripted life of a store, killed before every one of its disk operations, the disk then found in
 * many states, the store reopened and audited; and killed again before every operation of that recovery.
 */
import { seededRandom } from "../base/random.ts";
import type { StoreOptions } from "../store/options.ts";
import { LOSS_MODES, SimCrash, SimDisk } from "./simDisk.ts";
import { type Allowance, audit, Journal, type Sent, SimStore, SMALL } from "./simStore.ts";

export type FlushType = "ASYNC_FLUSH" | "SYNC_FLUSH";

const HOUR_MS = 3_600_000;

/** About 200 operations on the disk: everything a store does in its life, small. */
export async function workload(sim: SimStore): Promise<void> {
  await sim.store.start();
  sim.send("A", 0, 10, { tag: "red" });
  await sim.settle();
  sim.send("A", 0, 700, { tag: "blue" });
  sim.send("A", 1, 0);
  sim.send("B", 0, 100);
  await sim.settle();
  sim.send("B", 0, 3000);
  sim.sendBatch("A", 1, [50, 5, 800]);
  await sim.advance(600);
  for (let i = 0; i < 20; i++) sim.send("A", i % 3, 40 * i, { tag: i % 2 === 0 ? "red" : "", noWait: i % 7 === 3 });
  await sim.advance(600);
  for (let i = 0; i < 4; i++) {
    sim.send("C", 0, 5000);
    sim.send("A", 0, 300);
    await sim.settle();
  }
  await sim.advance(10_000);
  sim.send("B", 0, 20);
  sim.send("D", 3, 15_000);
  await sim.settle();
  sim.deleteTopic("B");
  await sim.settle();
  sim.send("A", 1, 33, { tag: "red" });
  sim.send("B", 0, 900);
  sim.send("B", 0, 10);
  await sim.advance(1100);
  for (let i = 0; i < 12; i++) {
    sim.send(i % 2 === 0 ? "A" : "B", 0, 100 * i);
    if (i % 3 === 0) await sim.settle();
  }
  await sim.advance(5000);
  sim.clock.jump(100 * HOUR_MS);
  sim.send("C", 0, 12_000);
  sim.send("C", 0, 9000);
  await sim.advance(700);
  sim.store.deleteExpired();
  await sim.settle();
  sim.sendBatch("D", 3, [1, 1, 1, 500, 600, 700]);
  for (let i = 0; i < 10; i++) sim.send("E", i % 2, 256, { tag: "green" });
  await sim.advance(10_500);
  sim.send("A", 0, 64);
  sim.send("E", 1, 2000);
  await sim.settle();
  sim.send("E", 0, 17);
  await sim.close();
}

/** What a recovered store must still be able to do: take messages into old queues and a new one, checkpoint. */
async function goOn(sim: SimStore): Promise<void> {
  for (const topic of ["A", "B", "E", "new"]) sim.send(topic, 0, 21, { tag: "late" });
  await sim.settle();
  sim.sendBatch("A", 1, [3, 700]);
  sim.send("D", 3, 1500);
  await sim.advance(1100);
}

/** A machine that died, with what is known from outside. */
interface Death {
  disk: SimDisk;
  journal: Journal;
  now: number;
  syncedTo: number;
  trimmedTo: number;
}

export interface CrashCounts {
  points: number;
  images: number;
  recoveryPoints: number;
  recoveryImages: number;
  /** Messages, never durable, whose properties were trashed: the format has no checksum that could tell. */
  trashed: number;
}

export interface CrashOptions {
  flush: FlushType;
  seed: number;
  /** Power-loss images per crash point (one kill -9 image comes on top). */
  images: number;
  /** Every how many crash points the recovery is crashed at each of its operations, too. */
  recoveryEvery: number;
  /** Only every so many crash points, from this one on. */
  step?: number;
  from?: number;
}

/** Crashes the workload before each operation, then its recovery. Throws with everything needed to repeat a failure. */
export async function crashMatrix(options: CrashOptions): Promise<CrashCounts> {
  const counts: CrashCounts = { points: 0, images: 0, recoveryPoints: 0, recoveryImages: 0, trashed: 0 };
  const { step = 1, from = 0 } = options;
  for (let point = from; ; point += step) {
    const death = await die(options.flush, point);
    if (death === undefined) return counts;
    counts.points++;
    for (let i = -1; i < options.images; i++) {
      const seed = options.seed + point * 1000 + i;
      counts.trashed += await oneImage(options.flush, death, point, seed, i < 0);
      counts.images++;
    }
    if (point % options.recoveryEvery === 0) await crashRecovery(options, death, point, counts);
  }
}

/** Runs the workload on a fresh disk until it dies before operation `point`; undefined when it ends before. */
export async function die(flush: FlushType, point: number): Promise<Death | undefined> {
  const disk = new SimDisk();
  disk.crashAt = point;
  const sim = new SimStore(disk, new Journal(), optionsOf(flush));
  return (await livesOn(sim, () => workload(sim))) ? undefined : deathOf(sim);
}

/** Opens one image of a dead machine, audits it, goes on, stops, opens again. */
async function oneImage(flush: FlushType, death: Death, point: number, seed: number, killed: boolean): Promise<number> {
  const mode = LOSS_MODES[seededRandom(seed).int(LOSS_MODES.length)];
  const label = `${flush}, crash before operation ${point}, ${killed ? "kill -9" : `power loss (${mode})`}, seed ${seed}`;
  return labelled(label, async () => {
    const disk = killed ? death.disk.killed(seed) : death.disk.powerLost(seed, mode);
    const allowed = allowanceOf(flush, death, killed);
    const sim = new SimStore(disk, copyOf(death.journal), optionsOf(flush), death.now);
    await sim.open(allowed);
    await goOn(sim);
    await audit(sim, { ...allowed, acked: "all" });
    await sim.close();
    const again = new SimStore(disk, sim.journal, optionsOf(flush), sim.clock.now());
    await again.open({ ...allowed, acked: "all" });
    await again.close();
    return again.journal.trashed;
  });
}

/** Crashes the recovery (and the first steps after it) of one image before each of its operations. */
async function crashRecovery(options: CrashOptions, death: Death, point: number, counts: CrashCounts): Promise<void> {
  const { flush } = options;
  const seed = options.seed + point * 1000 + 500;
  const killed = seed % 3 === 0;
  const mode = LOSS_MODES[seededRandom(seed).int(LOSS_MODES.length)];
  const image = killed ? death.disk.killed(seed) : death.disk.powerLost(seed, mode);
  for (let second = 0; ; second++) {
    const label =
      `${flush}, crash before operation ${point}, ${killed ? "kill -9" : `power loss (${mode})`}, seed ${seed}; ` +
      `again before operation ${second} of the recovery`;
    const ended = await labelled(label, async () => {
      const disk = image.killed(0);
      disk.crashAt = second;
      const sim = new SimStore(disk, copyOf(death.journal), optionsOf(flush), death.now);
      const allowed = allowanceOf(flush, death, killed);
      let audited = false;
      const ended = await livesOn(sim, async () => {
        await sim.open(allowed);
        audited = true;
        await goOn(sim);
      });
      if (ended) return true;
      const next = deathOf(sim);
      // What the first life found was shown to consumers; from there on it counts as this life's own.
      if (!audited) {
        next.syncedTo = allowed.syncedTo;
        next.trimmedTo = Math.max(next.trimmedTo, death.trimmedTo);
      }
      for (const again of [true, false]) {
        const strict = allowanceOf(flush, next, again);
        if (!audited && !killed) strict.acked = allowed.acked;
        const seed2 = seed + second;
        const disk2 = again
          ? disk.killed(seed2)
          : disk.powerLost(seed2, LOSS_MODES[seededRandom(seed2).int(LOSS_MODES.length)]);
        const reopened = new SimStore(disk2, copyOf(next.journal), optionsOf(flush), next.now);
        await labelled(again ? "then kill -9" : "then power loss", async () => {
          await reopened.open(strict);
          await goOn(reopened);
          await audit(reopened, { ...strict, acked: "all" });
          await reopened.close();
        });
        counts.recoveryImages++;
      }
      return false;
    });
    if (ended) return;
    counts.recoveryPoints++;
  }
}

/** Random lives: each goes on from the last one's image with a random workload, until the seed's lives are over. */
export async function randomLives(flush: FlushType, seed: number, lives: number): Promise<void> {
  const random = seededRandom(seed);
  let disk = new SimDisk();
  let journal = new Journal();
  let now = 1_700_000_000_000;
  let allowed: Allowance = { acked: "all", syncedTo: 0, trimmedTo: 0 };
  for (let life = 0; life < lives; life++) {
    await labelled(`${flush}, seed ${seed}, life ${life}`, async () => {
      const sim = new SimStore(disk, journal, optionsOf(flush), now);
      disk.crashAt = random.int(life % 4 === 3 ? 30 : 150);
      let audited = false;
      const clean = await livesOn(sim, async () => {
        await sim.open(allowed);
        audited = true;
        const steps = random.int(60);
        for (let i = 0; i < steps; i++) await randomStep(sim, random);
        await sim.close();
      });
      now = sim.clock.now();
      if (clean) {
        allowed = { acked: "all", syncedTo: 0, trimmedTo: sim.store.minLogOffset() };
        disk.crashAt = Number.POSITIVE_INFINITY;
        return;
      }
      const death = deathOf(sim);
      if (!audited) {
        death.syncedTo = allowed.syncedTo;
        death.trimmedTo = Math.max(death.trimmedTo, allowed.trimmedTo);
      }
      const killed = random.next() < 0.4;
      const weaker = !audited && allowed.acked === "synced";
      allowed = allowanceOf(flush, death, killed);
      if (weaker) allowed.acked = "synced";
      disk = killed
        ? disk.killed(random.int(1e9))
        : disk.powerLost(random.int(1e9), LOSS_MODES[random.int(LOSS_MODES.length)]);
      journal = copyOf(journal);
    });
  }
}

async function randomStep(sim: SimStore, random: { int(bound: number): number; next(): number }): Promise<void> {
  const topic = "ABCDE"[random.int(5)];
  switch (random.int(12)) {
    case 0:
      await sim.advance(random.int(3000));
      break;
    case 1:
      sim.sendBatch(
        topic,
        random.int(2),
        Array.from({ length: 1 + random.int(5) }, () => random.int(900)),
      );
      break;
    case 2:
      await sim.settle();
      break;
    case 3:
      if (random.int(6) === 0) sim.deleteTopic(topic);
      else await sim.drive(sim.store.checkpoint());
      break;
    case 4:
      if (random.int(4) === 0) {
        sim.clock.jump(50 * HOUR_MS);
        sim.store.deleteExpired();
      } else if (random.int(3) === 0) sim.clock.jump(-HOUR_MS);
      break;
    case 5:
      sim.send(topic, random.int(3), 4000 + random.int(12_000));
      break;
    default:
      sim.send(topic, random.int(3), random.int(700), { tag: random.int(2) === 0 ? "red" : "" });
  }
  if (random.int(3) === 0) await sim.settle();
}

export function optionsOf(flush: FlushType): StoreOptions {
  return { ...SMALL, flushDiskType: flush };
}

/** Runs `life`; false when the machine died on the way. */
async function livesOn(sim: SimStore, life: () => Promise<void>): Promise<boolean> {
  try {
    await life();
  } catch (error) {
    if (!sim.disk.crashed) throw error;
  }
  if (!sim.disk.crashed) return true;
  // Let what was under way meet its end, so that it does not reach into the next life.
  await sim.clock.settle();
  return false;
}

function deathOf(sim: SimStore): Death {
  let syncedTo = 0;
  let trimmedTo = 0;
  try {
    syncedTo = sim.store.maxLogOffset() - sim.store.flushBehindBytes();
    trimmedTo = sim.store.minLogOffset();
  } catch {
    // It died before it had a log.
  }
  return { disk: sim.disk, journal: sim.journal, now: sim.clock.now(), syncedTo, trimmedTo };
}

function allowanceOf(flush: FlushType, death: Death, killed: boolean): Allowance {
  const { syncedTo, trimmedTo } = death;
  if (killed) return { acked: "all", syncedTo, trimmedTo };
  return { acked: flush === "SYNC_FLUSH" ? "allWhoWaited" : "synced", syncedTo, trimmedTo };
}

function copyOf(journal: Journal): Journal {
  const copy = new Journal();
  copy.continueAfter(journal);
  return copy;
}

async function labelled<T>(label: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof SimCrash) throw error;
    throw new Error(`${label}: ${(error as Error).message}`, { cause: error });
  }
}

export type { Sent };
