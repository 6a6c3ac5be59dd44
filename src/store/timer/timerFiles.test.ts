import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../base/log.ts";
import { FakeClock } from "../../testing/fakeClock.ts";
import { SimDisk } from "../../testing/simDisk.ts";
import { TIMER_CHECKPOINT_ZERO } from "./timerCheckpoint.ts";
import { TimerFiles } from "./timerFiles.ts";
import { MAGIC_DEFAULT, MAGIC_DELETE, TimerUnit } from "./timerLog.ts";

const NOW = 1_700_000_000_000;
const at = (slot: number) => NOW + slot * 1000;

class Life {
  readonly files: TimerFiles;
  readonly clock = new FakeClock(NOW);
  readonly disk: SimDisk;
  queueOffset = 0;

  constructor(disk: SimDisk, timerPrecisionMs = 1000) {
    this.disk = disk;
    this.files = new TimerFiles({
      disk,
      clock: this.clock,
      log: silentLogger(),
      root: "/store",
      timerPrecisionMs,
      mappedFileSizeTimerLog: 520,
    });
  }

  add(slot: number, message: number, deletes = false): void {
    const magic = MAGIC_DEFAULT | (deletes ? MAGIC_DELETE : 0);
    this.files.add(at(slot), magic, NOW, message * 100, 100, 7, deletes);
    this.queueOffset++;
  }

  async flush(readTimeMs = NOW, messages: () => Promise<void> = async () => {}): Promise<boolean> {
    const { queueOffset } = this;
    const flushed = this.files.flush(
      (lastTimerLogFlushPos) => ({
        ...TIMER_CHECKPOINT_ZERO,
        lastReadTimeMs: readTimeMs,
        lastTimerLogFlushPos,
        lastTimerQueueOffset: queueOffset,
        ours: {
          precisionMs: this.files.precisionMs,
          scanFrom: 0,
          metricsCounter: 0,
          wheelDigest: this.files.digest,
          logFrom: this.files.logFrom,
        },
      }),
      messages,
    );
    for (let turn = 0; turn < 10; turn++) await this.clock.settle();
    return flushed;
  }

  /** Messages of a slot, the oldest first, as its chain has them. */
  async slot(slot: number): Promise<number[]> {
    const { wheel, log } = this.files;
    const found: number[] = [];
    const unit = new TimerUnit();
    if (!wheel.find(at(slot))) return [];
    for (let position = wheel.lastPosition; position >= 0; position = unit.prevPosition) {
      if (!(await log.read(position, unit))) throw new Error(`no unit at ${position}`);
      found.unshift(unit.logOffset / 100);
    }
    return found;
  }
}

async function filled(disk: SimDisk): Promise<Life> {
  const life = new Life(disk);
  await life.files.open();
  for (let i = 0; i < 30; i++) life.add(i % 3, i);
  life.add(1, 99, true);
  expect(await life.flush()).toBe(true);
  return life;
}

const CONTENT = [0, 1, 2].map((slot) => [
  ...Array.from({ length: 10 }, (_, i) => 3 * i + slot),
  ...(slot === 1 ? [99] : []),
]);

async function expectContent(life: Life): Promise<void> {
  for (const slot of [0, 1, 2]) expect(await life.slot(slot)).toEqual(CONTENT[slot]);
  expect(life.files.pending).toBe(29);
}

describe("the files of the timers", () => {
  it("come back as they were flushed, and no further: what came later is entered again by its queue", async () => {
    const disk = new SimDisk();
    const life = await filled(disk);
    for (let i = 40; i < 60; i++) life.add(i % 5, i);
    // Everything reaches the files but the checkpoint.
    await life.flush(NOW, async () => {
      life.files.checkpoint.write = () => Promise.reject(new Error("the machine died"));
    });
    const next = new Life(disk.killed(1));
    expect(await next.files.open()).toMatchObject({ kind: "exact", checkpoint: { lastTimerQueueOffset: 31 } });
    await expectContent(next);
    expect(await next.slot(3)).toEqual([]);
  });

  it("keep a delivered slot until a checkpoint has passed it", async () => {
    const disk = new SimDisk();
    const life = await filled(disk);
    life.files.finish(at(1));
    expect(life.files.pending).toBe(20);
    const crashed = new Life(disk.killed(1));
    await crashed.files.open();
    await expectContent(crashed);
    expect(await life.flush(at(2))).toBe(true);
    expect(life.files.wheel.find(at(1))).toBe(false);
    const next = new Life(disk.killed(1));
    expect(await next.files.open()).toMatchObject({ kind: "exact", readTimeMs: at(2) });
    expect(next.files.pending).toBe(10);
  });

  it("do not find again what was delivered when the clock went back", async () => {
    const disk = new SimDisk();
    const life = await filled(disk);
    for (const slot of [0, 1, 2]) life.files.finish(at(slot));
    await life.flush(at(3));
    life.files.comeAgain(NOW, at(3));
    life.add(1, 77);
    await life.flush(NOW);
    const next = new Life(disk.killed(1));
    expect(await next.files.open()).toMatchObject({ kind: "exact", readTimeMs: NOW });
    expect([await next.slot(0), await next.slot(1), await next.slot(2)]).toEqual([[], [77], []]);
  });

  for (const [what, hurt] of [
    ["lost", (disk: SimDisk) => disk.erase("/store/timerwheel")],
    [
      "torn",
      (disk: SimDisk) => disk.damage("/store/timerwheel", ((NOW / 1000) % 1_209_600) * 32 + 16, Buffer.alloc(8)),
    ],
    ["of another length", (disk: SimDisk) => disk.cut("/store/timerwheel", 1000)],
  ] as const) {
    it(`chain a wheel again that is ${what}, twice if need be`, async () => {
      let disk = new SimDisk();
      await filled(disk);
      for (let round = 0; round < 3; round++) {
        disk = disk.killed(round);
        hurt(disk);
        const life = new Life(disk);
        expect((await life.files.open()).kind).toBe("exact");
        await expectContent(life);
        expect(await life.flush()).toBe(true);
      }
    });
  }

  it("say when the log is lost, which only the queue can mend", async () => {
    for (const hurt of [
      (disk: SimDisk) => disk.erase("/store/timerlog/00000000000000001560"),
      (disk: SimDisk) => disk.erase("/store/config/timercheck"),
    ]) {
      const disk = new SimDisk();
      await filled(disk);
      hurt(disk);
      const life = new Life(disk);
      expect((await life.files.open()).kind).toBe("rebuild");
      expect(life.files.pending).toBe(0);
      expect(life.files.log.end).toBe(0);
    }
  });

  it("are chained anew for another precision", async () => {
    const disk = new SimDisk();
    await filled(disk);
    const fine = new Life(disk, 100);
    expect((await fine.files.open()).kind).toBe("exact");
    await expectContent(fine);
    await fine.flush();
    const coarse = new Life(disk);
    await coarse.files.open();
    await expectContent(coarse);
  });

  it("go on after a moment without a file descriptor left: no sync was tried, so nothing can be lost", async () => {
    const disk = new SimDisk();
    const life = await filled(disk);
    const { open, syncDir } = disk;
    const tooMany = (): never => {
      throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
    };
    // The name of a new file is to be synced, and its directory cannot be opened.
    for (let i = 0; i < 20; i++) life.add(5, 5);
    const short = async () => {
      disk.open = tooMany;
      disk.syncDir = async () => tooMany();
    };
    expect(await life.flush(NOW, short)).toBe(false);
    disk.open = open;
    disk.syncDir = syncDir;
    expect(await life.flush()).toBe(true);
  });

  it("vouch for nothing after a sync that failed, and go on when a full disk has room again", async () => {
    const disk = new SimDisk();
    const life = await filled(disk);
    disk.capacityBytes = disk.usedBytes;
    for (let i = 0; i < 3; i++) life.add(1000 * i, i);
    expect(await life.flush()).toBe(false);
    for (let i = 0; i < 2; i++) life.add(1000 * i, i);
    expect(await life.flush()).toBe(false);
    disk.capacityBytes = 2 ** 40;
    life.add(7000, 7);
    expect(await life.flush()).toBe(true);
    const next = new Life(disk.killed(1));
    expect((await next.files.open()).kind).toBe("exact");
    expect(next.files.pending).toBe(35);
    expect([await next.slot(1000), await next.slot(7000)]).toEqual([[1, 1], [7]]);
    life.add(5, 5);
    disk.failSync = { at: disk.syncs, forever: false };
    expect(await life.flush()).toBe(false);
    expect(await life.flush()).toBe(false);
  });
});
