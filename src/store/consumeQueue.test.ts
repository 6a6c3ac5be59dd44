import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { STORE_OPEN_FILES_MAX } from "../base/limits.ts";
import { SimDisk } from "../testing/simDisk.ts";
import type { ConsumeQueue } from "./consumeQueue.ts";
import { ConsumeQueues } from "./consumeQueues.ts";
import { DirNames } from "./dirNames.ts";
import { FileCache } from "./fileCache.ts";
import { readUnits } from "./lookup.ts";

const UNITS_PER_FILE = 10;

function queues(disk: SimDisk, unitsPerFile = UNITS_PER_FILE): ConsumeQueues {
  const cache = new FileCache(disk, STORE_OPEN_FILES_MAX);
  return new ConsumeQueues(disk, cache, new DirNames(disk), "/cq", unitsPerFile * 20);
}

function reopen(disk: SimDisk, trustedLogEnd = Number.POSITIVE_INFINITY): ConsumeQueue {
  const all = queues(disk);
  all.load(trustedLogEnd);
  return all.getOrCreate("t", 0);
}

async function offsets(queue: ConsumeQueue): Promise<number[]> {
  return (await readUnits(queue, queue.min, queue.max)).map((unit) => unit.logOffset);
}

/** Appends `count` units; unit n points to log offset 100 n. */
function push(queue: ConsumeQueue, count: number): void {
  for (let i = 0; i < count; i++) queue.push(queue.max * 100, 91, queue.max);
}

const hundreds = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => (from + i) * 100);

describe("a ConsumeQueue", () => {
  it("lists what was pushed, over file borders, written or not, and after opening again (model)", async () => {
    const step = fc.oneof(fc.constant("persist"), fc.constant("rest"), fc.integer({ min: 1, max: 200 }));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const disk = new SimDisk();
        const queue = queues(disk).getOrCreate("t", 0);
        for (const step of steps) {
          if (step === "persist") queue.persist();
          else if (step === "rest") for (let i = 0; i < 31; i++) queue.rest();
          else push(queue, step as number);
        }
        const model = hundreds(0, queue.max);
        expect(await offsets(queue)).toEqual(model);
        queue.persist();
        expect(await offsets(reopen(disk))).toEqual(model);
      }),
    );
  });

  it("gives a reader none of a block's bytes that were written after the block was read", async () => {
    const queue = queues(new SimDisk()).getOrCreate("t", 0);
    const giveBack = () => {
      queue.persist();
      for (let i = 0; i < 31; i++) queue.rest();
    };
    push(queue, 3);
    giveBack();
    await queue.load1(0);
    expect([queue.unitBuffer(0) !== undefined, queue.unitsInBuffer(0)]).toEqual([true, 3]);
    push(queue, 2);
    giveBack();
    expect([queue.unitBuffer(0) !== undefined, queue.unitsInBuffer(0)]).toEqual([true, 3]);
    expect(queue.unitBuffer(3)).toBeUndefined();
    await queue.load1(3);
    expect([queue.unitBuffer(0) !== undefined, queue.unitsInBuffer(0)]).toEqual([true, 5]);
  });

  it("believes no unit at or behind the trusted end of the log, and zeroes those", async () => {
    const disk = new SimDisk();
    const queue = queues(disk).getOrCreate("t", 0);
    push(queue, 35);
    queue.persist();
    for (const units of [35, 34, 30, 21, 20, 19, 1, 0]) {
      const again = reopen(disk, units * 100);
      expect(await offsets(again)).toEqual(hundreds(0, units));
      expect([again.max, again.next, again.lastLogOffset]).toEqual([units, units, units * 100 - (units > 0 ? 100 : 1)]);
    }
    expect(reopen(disk).max).toBe(0);
  });

  it("begins in the middle of a file with Apache's blank units, which are found again and never seen", async () => {
    const disk = new SimDisk();
    const queue = queues(disk).getOrCreate("t", 0);
    queue.startAt(24);
    push(queue, 3);
    queue.persist();
    const bytes = disk.bytes("/cq/t/0/00000000000000000400");
    for (let unit = 0; unit < 4; unit++) {
      expect(bytes.subarray(unit * 20, unit * 20 + 20).toString("hex")).toBe(
        "00000000000000007fffffff0000000000000000",
      );
    }
    const again = reopen(disk, 2600);
    expect(again.max).toBe(26);
    again.trim(1);
    expect(again.min).toBe(24);
    expect(await offsets(again)).toEqual([2400, 2500]);
  });

  it("forgets a beginning of which only the blank units are left", () => {
    const disk = new SimDisk();
    const queue = queues(disk).getOrCreate("t", 0);
    queue.startAt(24);
    push(queue, 3);
    queue.persist();
    const again = reopen(disk, 2400);
    expect([again.min, again.max, again.lastLogOffset]).toEqual([0, 0, -1]);
  });

  it("writes the blank units again when the disk was full in their middle", async () => {
    const disk = new SimDisk();
    const all = queues(disk, 1000);
    const queue = all.getOrCreate("t", 0);
    queue.startAt(900);
    push(queue, 3);
    disk.capacityBytes = 2 * 4096;
    expect(() => queue.persist()).toThrow(/ENOSPC/);
    disk.capacityBytes = 1 << 20;
    queue.persist();
    expect(disk.bytes("/cq/t/0/00000000000000000000").readInt32BE(899 * 20 + 8)).toBe(0x7fffffff);
    expect(await offsets(queue)).toEqual(hundreds(900, 903));
  });

  it("moves min with the log and removes whole files before it", async () => {
    const disk = new SimDisk();
    const queue = queues(disk).getOrCreate("t", 0);
    push(queue, 35);
    queue.persist();
    for (const start of [0, 50, 1000, 1050, 2999, 3000, 3499]) {
      queue.trim(start);
      const min = Math.ceil(start / 100);
      expect(queue.min).toBe(min);
      expect(await offsets(queue)).toEqual(hundreds(min, 35));
      expect(disk.files()).toHaveLength(4 - Math.floor(min / UNITS_PER_FILE));
    }
    queue.trim(9999);
    expect([queue.min, queue.max]).toEqual([35, 35]);
    expect(disk.files()).toHaveLength(1);
  });

  it("of a deleted topic writes nothing any more", () => {
    const disk = new SimDisk();
    const all = queues(disk);
    const queue = all.getOrCreate("t", 0);
    push(queue, 5);
    all.markDirty(queue);
    all.deleteTopic("t");
    push(queue, 5);
    queue.persist();
    expect(disk.files()).toEqual([]);
    expect(all.get("t", 0)).toBeUndefined();
  });

  it("makes everything durable, however many files grew since the last sync", async () => {
    const disk = new SimDisk();
    const cache = new FileCache(disk, STORE_OPEN_FILES_MAX);
    const names = new DirNames(disk);
    const all = new ConsumeQueues(disk, cache, names, "/cq", UNITS_PER_FILE * 20);
    const queue = all.getOrCreate("t", 0);
    names.mkdir("/cq");
    push(queue, 5);
    queue.persist();
    await queue.sync();
    for (let i = 0; i < 4; i++) {
      push(queue, 20_000);
      queue.persist();
    }
    await queue.sync();
    await names.sync();
    expect(reopen(disk.powerLost(1, "dropAll")).max).toBe(80_005);
  });
});

describe("10,000 queues", () => {
  it("do not need 10,000 open files", () => {
    const disk = new SimDisk();
    const all = queues(disk);
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 10_000; i++) {
        const queue = all.getOrCreate(`topic-${i >> 3}`, i & 7);
        push(queue, 1);
        all.markDirty(queue);
      }
      all.persist(10_000, () => {});
    }
    expect(disk.files()).toHaveLength(10_000);
    expect(disk.openFilesMax).toBeLessThanOrEqual(STORE_OPEN_FILES_MAX + 1);
    const again = queues(disk);
    again.load(Number.POSITIVE_INFINITY);
    expect(again.sumOfMax()).toBe(20_000);
    expect(disk.openFiles).toBeLessThanOrEqual(2 * STORE_OPEN_FILES_MAX);
  });
});

describe("the table of queues", () => {
  it("takes any queue id without going through those below it", () => {
    const all = queues(new SimDisk());
    const began = performance.now();
    for (const id of [0x7fffffff, 50_000_000, 3]) push(all.getOrCreate("t", id), 1);
    expect(all.queueIds("t")).toEqual([3, 50_000_000, 0x7fffffff]);
    expect([...all.all()].map((queue) => queue.queueId).sort()).toHaveLength(3);
    expect(all.sumOfMax()).toBe(3);
    all.deleteTopic("t");
    expect(performance.now() - began).toBeLessThan(200);
  });
});
