/**
 * The crash matrix of the timers: a scripted life, killed before every one of its disk operations; then the machine comes
 * back, and when everything is due, the log is compared with what was sent. And the same again for the recovery.
 */
import { seededRandom } from "../base/random.ts";
import type { FlushType } from "./simCrash.ts";
import { LOSS_MODES, SimCrash, SimDisk } from "./simDisk.ts";
import { auditTimers, SimTimers, TimerJournal } from "./simTimers.ts";

/** All messages of the workload are due within. */
const ALL_DUE_MS = 40_000;

/** Short and long waits, full and empty slots, rolls, recalls, late ones, a restart's worth of everything. */
async function workload(sim: SimTimers): Promise<void> {
  await sim.open();
  const now = () => sim.clock.now();
  for (let i = 0; i < 8; i++) sim.send(`a${i}`, now() + 2000 + 700 * i);
  await sim.settle();
  sim.recall("a3");
  sim.send("b0", now() + 20_500);
  sim.send("b1", now() + 14_000, 3000);
  await sim.advance(1300);
  sim.recall("b1");
  for (let i = 0; i < 25; i++) sim.send(`c${i}`, now() + 3000, 20 + 30 * i);
  await sim.settle();
  for (let i = 0; i < 25; i += 6) sim.recall(`c${i}`);
  await sim.advance(1700);
  for (let i = 0; i < 6; i++) sim.send(`d${i}`, now() + 40 + 150 * i);
  await sim.advance(2600);
  sim.send("e0", now() + 9000);
  sim.send("e1", now() + 900);
  await sim.advance(3100);
  sim.recall("e0");
  for (let i = 0; i < 12; i++) sim.send(`f${i}`, now() + 5000 + 200 * i, 900);
  await sim.advance(9000);
  await sim.close();
}

interface Death {
  disk: SimDisk;
  journal: TimerJournal;
  now: number;
  syncedTo: number;
}

export interface TimerCrashOptions {
  flush: FlushType;
  seed: number;
  /** Power-loss images per crash point (one kill -9 image comes on top). */
  images: number;
  /** Every how many crash points the recovery is crashed, too, at every `recoveryStep`th of its operations. */
  recoveryEvery: number;
  recoveryStep: number;
  step?: number;
  from?: number;
}

export interface TimerCrashCounts {
  points: number;
  images: number;
  recoveryImages: number;
  /** Messages that lie twice in the log. */
  repeated: number;
  /** Where the first of them did. */
  firstRepeat: string | undefined;
}

export async function timerCrashMatrix(options: TimerCrashOptions): Promise<TimerCrashCounts> {
  const counts: TimerCrashCounts = { points: 0, images: 0, recoveryImages: 0, repeated: 0, firstRepeat: undefined };
  const { step = 1, from = 0 } = options;
  for (let point = from; ; point += step) {
    const death = await die(options.flush, point);
    if (death === undefined) return counts;
    counts.points++;
    for (let i = -1; i < options.images; i++) {
      const seed = options.seed + point * 1000 + i;
      const { disk, label, syncedTo } = imageOf(options.flush, death, seed, i < 0);
      const where = `${options.flush}, crash before operation ${point}, ${label}`;
      const repeated = await labelled(where, () =>
        survive(options.flush, disk, death.journal.copy(), death.now, syncedTo),
      );
      note(counts, repeated, where);
      counts.images++;
    }
    if (point % options.recoveryEvery === 0) await crashRecovery(options, death, point, counts);
  }
}

async function crashRecovery(
  options: TimerCrashOptions,
  death: Death,
  point: number,
  counts: TimerCrashCounts,
): Promise<void> {
  const { flush } = options;
  const first = imageOf(flush, death, options.seed + point * 1000 + 500, point % 2 === 0);
  for (let second = 0; ; second += options.recoveryStep) {
    const disk = first.disk.killed(0);
    disk.crashAt = second;
    const sim = new SimTimers(disk, death.journal.copy(), { flushDiskType: flush }, death.now);
    const died = !(await livesOn(sim, async () => {
      await sim.open();
      await sim.advance(3500);
    }));
    if (!died) return;
    const seed = options.seed + point * 1000 + second;
    const image = imageOf(flush, deathOf(sim), seed, second % 3 !== 0);
    const syncedTo =
      first.syncedTo === undefined ? image.syncedTo : Math.min(first.syncedTo, image.syncedTo ?? first.syncedTo);
    const label = `${flush}, crash before operation ${point}, ${first.label}, again before operation ${second}, ${image.label}`;
    const repeated = await labelled(label, () =>
      survive(flush, image.disk, sim.journal.copy(), sim.clock.now(), syncedTo),
    );
    note(counts, repeated, label);
    counts.recoveryImages++;
  }
}

function note(counts: TimerCrashCounts, repeated: number, where: string): void {
  counts.repeated += repeated;
  if (repeated > 0) counts.firstRepeat ??= where;
}

async function die(flush: FlushType, point: number): Promise<Death | undefined> {
  const disk = new SimDisk();
  disk.crashAt = point;
  const sim = new SimTimers(disk, new TimerJournal(), { flushDiskType: flush });
  return (await livesOn(sim, () => workload(sim))) ? undefined : deathOf(sim);
}

function deathOf(sim: SimTimers): Death {
  let syncedTo = 0;
  try {
    syncedTo = sim.store.maxLogOffset() - sim.store.flushBehindBytes();
  } catch {
    // It died before it had a log.
  }
  return { disk: sim.disk, journal: sim.journal, now: sim.clock.now(), syncedTo };
}

function imageOf(
  flush: FlushType,
  death: Death,
  seed: number,
  killed: boolean,
): { disk: SimDisk; label: string; syncedTo: number | undefined } {
  if (killed) return { disk: death.disk.killed(seed), label: `kill -9, seed ${seed}`, syncedTo: undefined };
  const mode = LOSS_MODES[seededRandom(seed).int(LOSS_MODES.length)];
  return {
    disk: death.disk.powerLost(seed, mode),
    label: `power loss (${mode}), seed ${seed}`,
    // An acknowledgement under SYNC_FLUSH stands for a sync.
    syncedTo: flush === "SYNC_FLUSH" ? undefined : death.syncedTo,
  };
}

/** Opens an image, lets everything become due, stops and starts once on the way, and audits. */
async function survive(
  flush: FlushType,
  disk: SimDisk,
  journal: TimerJournal,
  now: number,
  syncedTo: number | undefined,
): Promise<number> {
  const sim = new SimTimers(disk, journal, { flushDiskType: flush }, now);
  await sim.open();
  sim.send("after", now + 4000);
  await sim.advance(2500);
  await sim.close();
  const last = new SimTimers(disk, journal, { flushDiskType: flush }, sim.clock.now());
  await last.open();
  await last.advance(ALL_DUE_MS);
  const repeated = await auditTimers(last, { syncedTo });
  const after = journal.sent.get("after");
  if (after?.result?.status !== "ok") throw new Error("a message sent after the crash was not taken");
  await last.close();
  return repeated;
}

async function livesOn(sim: SimTimers, life: () => Promise<void>): Promise<boolean> {
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

async function labelled<T>(label: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof SimCrash) throw error;
    throw new Error(`${label}: ${(error as Error).message}`, { cause: error });
  }
}
