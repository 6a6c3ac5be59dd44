import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { javaHashCode } from "../base/javaHash.ts";
import { silentLogger } from "../base/log.ts";
import { MessageDraft } from "../message/draft.ts";
import { formatProperties } from "../message/properties.ts";
import { PropertyScan } from "../message/propertyScan.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { SimDisk } from "../testing/simDisk.ts";
import { DirNames } from "./dirNames.ts";
import { IndexService, keyHash } from "./indexService.ts";

const END = Number.MAX_SAFE_INTEGER;

class Index {
  readonly disk: SimDisk;
  readonly clock: FakeClock;
  readonly service: IndexService;

  constructor(disk = new SimDisk(), clock = new FakeClock(), slots = 7, entries = 10) {
    this.disk = disk;
    this.clock = clock;
    this.service = new IndexService(disk, clock, silentLogger(), new DirNames(disk), "/index", slots, entries);
  }

  pauses = 0;

  put(key: string, logOffset: number, time = this.clock.now()): void {
    const draft = new MessageDraft();
    draft.properties = Buffer.from(formatProperties(new Map([["KEYS", key]])));
    draft.storeTimestamp = time;
    const scan = new PropertyScan();
    scan.scan(draft.properties, 0, draft.properties.length);
    this.service.stage(draft, scan, javaHashCode("t#"), logOffset);
  }

  find(key: string, begin = 0, end = END, max = 100): Promise<number[]> {
    return this.service.select("t", key, begin, end, max, async () => {
      this.pauses++;
    });
  }
}

describe("the index", () => {
  it("finds a key in every file, newest first, up to the maximum", async () => {
    const index = new Index();
    for (let i = 0; i < 40; i++) index.put(i % 2 === 0 ? "even" : `k${i}`, i * 100);
    index.service.grant(4000);
    expect(index.disk.files()).toHaveLength(5);
    const even = Array.from({ length: 20 }, (_, i) => (38 - 2 * i) * 100);
    expect(await index.find("even")).toEqual(even);
    expect(await index.find("even", 0, END, 3)).toEqual(even.slice(0, 3));
    expect(await index.find("k39")).toEqual([3900]);
    expect(await index.find("none")).toEqual([]);
  });

  it("lets others have their turn after some 50 reads of the disk, however few entries they brought", async () => {
    const entries = 200_000;
    const index = new Index(new SimDisk(), new FakeClock(), 7, entries + 1);
    // Every 2,000th is the key's: each lies within a read of its own.
    for (let i = 0; i < entries; i++) index.put(i % 2000 === 0 ? "a" : `k${i % 5}`, i);
    index.service.grant(entries);
    index.service.flush();
    expect(await index.find("a", 0, END, entries)).toHaveLength(entries / 2000);
    expect(index.pauses).toBeGreaterThan(0);
  });

  it("finds nothing before it is granted, and never what was taken back", async () => {
    const index = new Index();
    index.put("a", 0);
    index.put("a", 100);
    index.put("b", 200);
    expect(await index.find("a")).toEqual([]);
    index.service.grant(100);
    expect(await index.find("a")).toEqual([0]);
    index.service.unstage(200);
    index.put("c", 200);
    index.service.grant(300);
    expect([await index.find("a"), await index.find("b"), await index.find("c")]).toEqual([[100, 0], [], [200]]);
  });

  it("keeps its staged keys in order when their ring grows", async () => {
    const index = new Index(new SimDisk(), new FakeClock(), 100, 10_000);
    for (let i = 0; i < 700; i++) index.put(`k${i}`, i);
    index.service.grant(600);
    for (let i = 700; i < 4000; i++) index.put(`k${i}`, i);
    index.service.grant(4000);
    for (const i of [0, 599, 600, 699, 700, 3999]) expect(await index.find(`k${i}`)).toContain(i);
    expect(index.service.entryCount).toBe(4000);
  });

  it("takes a time to the second", async () => {
    const index = new Index(new SimDisk(), new FakeClock(), 7, 100);
    const begin = index.clock.now();
    for (let i = 0; i < 10; i++) index.put("k", i, begin + i * 1000 + 500);
    index.service.grant(100);
    expect(await index.find("k", begin + 3500, begin + 5600)).toEqual([5, 4, 3]);
    expect(await index.find("k", begin + 60_000)).toEqual([]);
    expect(await index.find("k", 0, begin - 1)).toEqual([]);
  });

  it("orders its files although the clock is set back", async () => {
    const index = new Index();
    for (let i = 0; i < 30; i++) {
      if (i % 9 === 0) index.clock.jump(-3_600_000);
      index.put(`k${i}`, i);
      index.service.grant(i + 1);
    }
    index.service.writeAll();
    index.service.close();
    const again = new Index(index.disk, index.clock);
    expect(again.service.load(Number.POSITIVE_INFINITY)).toEqual({ damaged: "", removed: "" });
    expect(again.service.endLogOffset).toBe(29);
    expect(await again.find("k29")).toEqual([29]);
  });

  it("lets keys wait while the disk is full", async () => {
    const index = new Index(new SimDisk(), new FakeClock(), 7, 10);
    for (let i = 0; i < 5; i++) index.put(`k${i}`, i);
    index.service.grant(5);
    index.service.flush();
    index.disk.capacityBytes = index.disk.usedBytes;
    for (let i = 5; i < 50; i++) index.put(`k${i}`, i);
    index.service.grant(50);
    expect(() => index.service.flush()).toThrow(/ENOSPC/);
    expect(index.service.complete).toBe(false);
    index.disk.capacityBytes = 1 << 20;
    index.service.flush();
    expect(index.service.complete).toBe(true);
    for (let i = 0; i < 50; i++) expect(await index.find(`k${i}`)).toEqual([i]);
  });

  it("lets others have their turn in a long chain, and reads a dense one in pieces", async () => {
    const index = new Index(new SimDisk(), new FakeClock(), 7, 200_000);
    const begin = index.clock.now();
    for (let i = 0; i < 120_000; i++) index.put("all", i, begin + i);
    index.service.grant(200_000);
    index.service.flush();
    expect(await index.find("all", 0, begin + 999)).toHaveLength(100);
    expect(index.pauses).toBe(3);
    // Hashes of one slot, far and near, across what is written and what is not.
    for (let i = 0; i < 8000; i++) index.put(i % 4000 === 0 ? "rare" : `k${i}`, 200_000 + i, begin + 130_000);
    index.service.grant(300_000);
    expect(await index.find("rare")).toEqual([204_000, 200_000]);
    expect(await index.find("all", begin + 119_000, begin + 119_999, 3)).toEqual([119_999, 119_998, 119_997]);
  });

  it("removes files that only point before the log", async () => {
    const index = new Index();
    for (let i = 0; i < 40; i++) index.put(`k${i}`, i);
    index.service.grant(40);
    index.service.trim(20);
    expect(await index.find("k10")).toEqual([]);
    for (const i of [20, 39]) expect(await index.find(`k${i}`)).toEqual([i]);
  });

  it("hashes as Apache: the absolute value, 0 where Java has none", () => {
    expect(keyHash(-2147483648)).toBe(0);
    expect(keyHash(-5)).toBe(5);
    expect(javaHashCode("polygenelubricants")).toBe(-2147483648);
  });
});
