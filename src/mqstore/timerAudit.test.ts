/** The audit of timer files: sound ones that our code wrote, and what it says of damaged ones. */
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import { TIMER_CHECKPOINT_ZERO } from "../store/timer/timerCheckpoint.ts";
import { TimerFiles } from "../store/timer/timerFiles.ts";
import { MAGIC_DEFAULT, TIMER_UNIT_BYTES } from "../store/timer/timerLog.ts";
import type { FakeClock } from "../testing/fakeClock.ts";
import { SimDisk } from "../testing/simDisk.ts";
import { Journal, ROOT, SimStore, SMALL } from "../testing/simStore.ts";
import { readLayout } from "./layout.ts";
import { EXIT_DAMAGED, EXIT_REPAIRED_AT_START, EXIT_SOUND, type Verdict, verifyStore } from "./verify.ts";

const TIMER_FILE_BYTES = TIMER_UNIT_BYTES * 20 + 16;

/** A closed store with ten timers, two in each slot of the next five minutes. */
async function withTimers(): Promise<{ disk: SimDisk; clock: FakeClock }> {
  const sim = new SimStore(new SimDisk(), new Journal(), SMALL);
  await sim.store.start();
  for (let i = 0; i < 10; i++) sim.send("T", 0, 100);
  await sim.settle();
  await sim.close();
  const { disk, clock, journal } = sim;
  const now = clock.now() - (clock.now() % 1000);
  const files = new TimerFiles({
    disk,
    clock,
    log: silentLogger(),
    root: ROOT,
    timerPrecisionMs: 1000,
    mappedFileSizeTimerLog: TIMER_FILE_BYTES,
  });
  await files.open();
  journal.log.forEach((sent, i) => {
    files.add(now + 60_000 * (1 + (i % 5)), MAGIC_DEFAULT, now, sent.logOffset, sent.bytes, 7, false);
  });
  const flushed = files.flush(
    (lastTimerLogFlushPos) => ({
      ...TIMER_CHECKPOINT_ZERO,
      lastReadTimeMs: now,
      lastTimerLogFlushPos,
      lastTimerQueueOffset: 10,
      ours: { precisionMs: 1000, scanFrom: 0, metricsCounter: 0, wheelDigest: files.digest, logFrom: 0 },
    }),
    async () => {},
  );
  for (let turn = 0; turn < 10; turn++) await clock.settle();
  expect(await flushed).toBe(true);
  files.close();
  return { disk, clock };
}

const TIMER_LOG = `${ROOT}/timerlog/${"0".repeat(20)}`;

async function verify({ disk, clock }: { disk: SimDisk; clock: FakeClock }): Promise<Verdict> {
  return verifyStore(disk, clock, readLayout(disk, ROOT, undefined), false);
}

const faults = ({ findings }: Verdict) => findings.filter(({ weight }) => weight !== "note");

describe("timers", () => {
  it("sound ones are counted", async () => {
    const verdict = await verify(await withTimers());
    expect(faults(verdict)).toEqual([]);
    expect(verdict.status).toBe(EXIT_SOUND);
    expect(verdict.facts.timers).toBe(10);
  });

  it("a unit that names another place of the log", async () => {
    const store = await withTimers();
    store.disk.damage(TIMER_LOG, 3 * TIMER_UNIT_BYTES + 28 + 7, Buffer.from([1]));
    const verdict = await verify(store);
    expect(faults(verdict).map(({ kind }) => kind)).toContain("no message");
    expect(verdict.status).toBe(EXIT_DAMAGED);
  });

  it("a unit that is overwritten: the slot's chain is broken, which no start notices", async () => {
    const store = await withTimers();
    store.disk.damage(TIMER_LOG, 2 * TIMER_UNIT_BYTES, Buffer.alloc(TIMER_UNIT_BYTES, 0x77));
    const verdict = await verify(store);
    expect(faults(verdict).map(({ kind }) => kind)).toContain("broken chain");
    expect(verdict.status).toBe(EXIT_DAMAGED);
  });

  it("no wheel: a start chains it again", async () => {
    const store = await withTimers();
    store.disk.erase(`${ROOT}/timerwheel`);
    const verdict = await verify(store);
    expect(verdict.atStart.join("\n")).toMatch(/timers: .*(chained|built) again/);
    expect(verdict.status).toBe(EXIT_REPAIRED_AT_START);
  });
});
