import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SimDisk } from "../testing/simDisk.ts";
import { Journal, SimStore, SMALL } from "../testing/simStore.ts";

describe("the queue offset by store time", () => {
  it("is that of a naive search, for both boundaries, with equal times and a trimmed log (model)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(3), { maxLength: 40 }),
        fc.boolean(),
        fc.integer({ min: 100, max: 3000 }),
        async (pauses, trim, bodyBytes) => {
          const sim = new SimStore(new SimDisk(), new Journal(), SMALL);
          await sim.store.start();
          for (const pause of pauses) {
            sim.clock.jump(pause * 10);
            sim.send("A", 0, bodyBytes);
          }
          await sim.settle();
          if (trim) {
            await sim.drive(sim.store.checkpoint());
            sim.clock.jump(100 * 3_600_000);
            sim.store.deleteExpired();
            await sim.settle();
          }
          const first = sim.store.minLogOffset();
          const there = sim.journal.log.filter((sent) => sent.logOffset >= first);
          const times = there.map((sent) => sent.storeTimestamp);
          const min = sim.store.minOffset("A", 0);
          for (const around of new Set([0, ...times])) {
            for (const time of [around - 1, around, around + 1]) {
              const at = times.findIndex((one) => one >= time);
              const lower = at < 0 ? sim.store.maxOffset("A", 0) : min + at;
              const below = times.findLastIndex((one) => one <= time);
              const upper = below < 0 ? 0 : min + below;
              expect(await sim.store.offsetByTime("A", 0, time, "LOWER")).toBe(lower);
              expect(await sim.store.offsetByTime("A", 0, time, "UPPER")).toBe(upper);
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("is 0 for a queue that does not exist", async () => {
    const sim = new SimStore(new SimDisk(), new Journal(), SMALL);
    await sim.store.start();
    expect(await sim.store.offsetByTime("none", 0, 1, "LOWER")).toBe(0);
    expect(await sim.store.storeTimeAt("none", 0, 0)).toBe(-1);
  });
});

describe("the store time at a queue offset", () => {
  const TIMES = 300;
  const sentBefore = async (sim: SimStore): Promise<void> => {
    await sim.store.start();
    for (let i = 0; i < TIMES; i++) {
      sim.clock.jump(i % 3);
      sim.send("A", i % 2, 100);
    }
    await sim.settle();
  };

  it("is known at once, the newest of a queue and older ones, in memory and in files that nobody has read yet", async () => {
    const sim = new SimStore(new SimDisk(), new Journal(), SMALL);
    await sentBefore(sim);
    const { log } = sim.journal;
    const timesIn = ({ store }: SimStore) => log.map((sent) => store.storeTimeAt("A", sent.queueId, sent.queueOffset));
    const expected = log.map((sent) => sent.storeTimestamp);
    expect(timesIn(sim)).toEqual(expected);
    await sim.close();
    const cold = new SimStore(sim.disk, sim.journal, SMALL, sim.clock.now());
    await cold.store.start();
    expect(timesIn(cold)).toEqual(expected);
    expect(cold.store.storeTimeAt("A", 0, TIMES)).toBe(-1);
    expect(cold.store.storeTimeAt("A", 0, -1)).toBe(-1);
  });
});

describe("a message by log offset", () => {
  it("is found where a record begins, from the tail and from the files, and nowhere else", async () => {
    const sim = new SimStore(new SimDisk(), new Journal(), SMALL);
    await sim.store.start();
    for (let i = 0; i < 80; i++) sim.send("A", 0, i % 20 === 7 ? 9_000 : 50 * i);
    await sim.settle();
    for (const sent of sim.journal.log) {
      // First alone: the other way brings the bytes around it into memory.
      for (const lone of [true, false]) {
        const message = await sim.store.messageAt(sent.logOffset, lone);
        expect(message).toMatchObject({ topic: "A", queueOffset: sent.queueOffset, logOffset: sent.logOffset });
        expect(message?.body).toEqual(sent.body);
        for (const off of [-1, 1, 7]) expect(await sim.store.messageAt(sent.logOffset + off, lone)).toBeUndefined();
      }
    }
    for (const lone of [true, false]) {
      expect(await sim.store.messageAt(sim.store.maxLogOffset(), lone)).toBeUndefined();
      expect(await sim.store.messageAt(1e15, lone)).toBeUndefined();
    }
    expect(sim.store.inMemory(sim.journal.log[79].logOffset)).toBe(true);
  });
});
