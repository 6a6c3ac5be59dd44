/** A last record of which only the first bytes reached the disk: recovery ends before it and leaves no ghost behind. */
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { SimDisk } from "../testing/simDisk.ts";
import { COMMIT_LOG, Journal, SimStore, SMALL } from "../testing/simStore.ts";

const FILE = `${COMMIT_LOG}/00000000000000000000`;
const ALL = { acked: "all", syncedTo: 0, trimmedTo: 0 } as const;

/** A store killed after some messages, the last of them with `bodyBytes`; its sender got no answer. */
async function killedAfter(bodyBytes: number): Promise<{ disk: SimDisk; journal: Journal; now: number }> {
  const sim = new SimStore(new SimDisk(), new Journal(), SMALL);
  await sim.store.start();
  sim.send("A", 0, 100, { tag: "red" });
  sim.send("A", 1, 431);
  await sim.advance(11_000);
  sim.send("A", 0, 77);
  await sim.settle();
  const last = sim.send("A", 0, bodyBytes, { tag: "blue" });
  await sim.settle();
  last.status = undefined;
  return { disk: sim.disk.killed(0), journal: sim.journal, now: sim.clock.now() };
}

for (const bodyBytes of [0, 10, 600]) {
  describe(`the last record, of a body of ${bodyBytes} bytes, cut`, () => {
    it("at each of its bytes: the log ends before it, and stays ended when a shorter one follows and dies too", async () => {
      const { disk, journal, now } = await killedAfter(bodyBytes);
      const last = journal.log[journal.log.length - 1];
      for (let length = 0; length < last.bytes; length++) {
        const image = disk.killed(0);
        image.damage(FILE, last.logOffset + length, Buffer.alloc(last.bytes - length));
        const past = new Journal();
        past.continueAfter(journal);
        const sim = new SimStore(image, past, SMALL, now);
        await sim.open(ALL);
        expect(past.log.length, `cut after ${length} bytes`).toBe(journal.log.length - 1);
        expect(sim.store.maxLogOffset()).toBe(last.logOffset);
        expect(sim.store.maxOffset("A", 0)).toBe(last.queueOffset);
        const next = sim.send("A", 0, 0);
        await sim.settle();
        expect(next).toMatchObject({ status: "ok", logOffset: last.logOffset, queueOffset: last.queueOffset });
        const again = new SimStore(
          length % 2 === 0 ? image.killed(1) : image.powerLost(1, "keepAll"),
          past,
          SMALL,
          now,
        );
        await again.open(ALL);
        expect(again.store.maxLogOffset()).toBe(next.logOffset + next.bytes);
      }
    });

    it("at each sector that it touches: a lost sector in its middle ends the log as well", async () => {
      const { disk, journal, now } = await killedAfter(bodyBytes);
      const last = journal.log[journal.log.length - 1];
      for (let sector = Math.floor(last.logOffset / 512); sector * 512 < last.logOffset + last.bytes; sector++) {
        const start = Math.max(last.logOffset, sector * 512);
        const end = Math.min(last.logOffset + last.bytes, sector * 512 + 512);
        const image = disk.killed(0);
        image.damage(FILE, start, Buffer.alloc(end - start));
        const past = new Journal();
        past.continueAfter(journal);
        await new SimStore(image, past, SMALL, now).open(ALL);
        expect(past.log.length).toBe(journal.log.length - 1);
      }
    });
  });
}

describe("a log file", () => {
  it("that is missing, empty, short or full of garbage behind the last record does not stop the start", async () => {
    const { disk, journal, now } = await killedAfter(10);
    const end = journal.log[journal.log.length - 1];
    const behind = end.logOffset + end.bytes;
    const damages: ((image: SimDisk) => void)[] = [
      (image) => image.cut(FILE, behind),
      (image) => image.cut(FILE, behind + 3),
      (image) => image.damage(FILE, behind, Buffer.alloc(300, 0xfb)),
      (image) => image.plant(`${COMMIT_LOG}/00000000000000032768`, Buffer.alloc(0)),
      (image) => image.plant(`${COMMIT_LOG}/00000000000000032768`, Buffer.alloc(32_768, 0x11)),
      (image) => image.plant(`${COMMIT_LOG}/00000000000000065536`, Buffer.alloc(32_768, 0x11)),
    ];
    for (const damage of damages) {
      const image = disk.killed(0);
      damage(image);
      const past = new Journal();
      past.continueAfter(journal);
      const sim = new SimStore(image, past, SMALL, now);
      await sim.open(ALL);
      expect(past.log.length).toBe(journal.log.length);
      sim.send("A", 0, 5);
      await sim.close();
    }
  });

  it("of another configured size is refused with both sizes", async () => {
    const { disk, now } = await killedAfter(10);
    const larger = { ...SMALL, mappedFileSizeCommitLog: 16_384 };
    await expect(new SimStore(disk, new Journal(), larger, now).store.start()).rejects.toThrow(/32768.*16384/);
  });
});
