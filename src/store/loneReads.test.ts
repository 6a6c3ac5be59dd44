import { describe, expect, it } from "vitest";
import { FakeClock } from "../testing/fakeClock.ts";
import { SimDisk } from "../testing/simDisk.ts";
import { Journal, SimStore, SMALL } from "../testing/simStore.ts";
import type { CommitLog } from "./commitLog.ts";
import type { ConsumeQueue } from "./consumeQueue.ts";
import { LoneReads } from "./loneReads.ts";

/** A log of one kind of byte, none of it in memory, on a disk whose reads take `readMs`. */
function slowLog(clock: FakeClock, readMs: () => number, byte = 7) {
  const counts = { atOnce: 0, threaded: 0 };
  const fill = (buf: Buffer, start: number, end: number) => {
    buf.fill(byte, start, end);
    return end - start;
  };
  const segments = {
    read: (buf: Buffer, start: number, end: number) => {
      counts.atOnce++;
      clock.jump(readMs());
      return fill(buf, start, end);
    },
    readAsync: async (buf: Buffer, start: number, end: number) => {
      counts.threaded++;
      return fill(buf, start, end);
    },
  };
  const log = {
    first: 0,
    written: 1_000_000,
    recordBytesMax: 4096,
    resident: () => false,
    copy: () => false,
    segments,
  };
  return { counts, log: log as unknown as CommitLog };
}

describe("lone reads", () => {
  it("are made at once while they are fast, through threads for a good while after a slow one", async () => {
    let ms = 0.1;
    const clock = new FakeClock();
    // The wall clock is what the fake one can move alone.
    clock.monotonicMs = () => clock.now();
    const { counts, log } = slowLog(clock, () => ms);
    const lone = new LoneReads(log, clock);
    for (let i = 0; i < 10; i++) expect(await lone.bytes(i * 100, 76)).toEqual(Buffer.alloc(76, 7));
    expect(counts).toEqual({ atOnce: 10, threaded: 0 });
    ms = 4;
    await lone.bytes(5_000, 76);
    for (let i = 0; i < 256; i++) await lone.bytes(i * 100, 76);
    expect(counts).toEqual({ atOnce: 11, threaded: 256 });
    ms = 0.1;
    await lone.bytes(0, 76);
    expect(counts).toEqual({ atOnce: 12, threaded: 256 });
  });

  it("of a store time make a promise only when the disk was slow", async () => {
    const clock = new FakeClock();
    clock.monotonicMs = () => clock.now();
    const { counts, log } = slowLog(clock, () => 4, 0);
    const unit = Buffer.alloc(20);
    const segments = { read: (buf: Buffer) => unit.copy(buf), readAsync: async (buf: Buffer) => unit.copy(buf) };
    const queue = { max: 9, lastLogOffset: 700, unitBuffer: () => undefined, segments } as unknown as ConsumeQueue;
    const lone = new LoneReads(log, clock);
    expect(lone.storeTime(queue, 8)).toBe(0);
    expect(counts).toEqual({ atOnce: 1, threaded: 0 });
    const later = lone.storeTime(queue, 7);
    expect(later).toBeInstanceOf(Promise);
    expect(await later).toBe(0);
    expect(counts).toEqual({ atOnce: 1, threaded: 1 });
    unit.writeBigInt64BE(-1n, 0);
    expect(await lone.storeTime(queue, 7)).toBe(-1);
  });

  it("go through a thread when they are large", async () => {
    const clock = new FakeClock();
    const { counts, log } = slowLog(clock, () => 0);
    expect((await new LoneReads(log, clock).bytes(0, 65_537))?.length).toBe(65_537);
    expect(counts).toEqual({ atOnce: 0, threaded: 1 });
  });

  it("find every record of a store, small and large, whatever is in memory", async () => {
    const sim = new SimStore(new SimDisk(), new Journal(), SMALL);
    await sim.store.start();
    for (let i = 0; i < 80; i++) sim.send("A", 0, i % 20 === 7 ? 9_000 : 50 * i);
    await sim.settle();
    expect(sim.store.inMemory(sim.journal.log[0].logOffset)).toBe(false);
    for (const sent of sim.journal.log) {
      expect((await sim.store.messageAt(sent.logOffset, true))?.body).toEqual(sent.body);
    }
  });
});
