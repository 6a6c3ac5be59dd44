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

  put(key: string, logOffset: number, time = this.clock.now()): void {
    const draft = new MessageDraft();
    draft.properties = Buffer.from(formatProperties(new Map([["KEYS", key]])));
    draft.storeTimestamp = time;
    const scan = new PropertyScan();
    scan.scan(draft.properties, 0, draft.properties.length);
    this.service.stage(draft, scan, javaHashCode("t#"), logOffset);
  }

  find(key: string, begin = 0, end = END, max = 100): number[] {
    return this.service.select("t", key, begin, end, max);
  }
}

describe("the index", () => {
  it("finds a key in every file, newest first, up to the maximum", () => {
    const index = new Index();
    for (let i = 0; i < 40; i++) index.put(i % 2 === 0 ? "even" : `k${i}`, i * 100);
    index.service.grant(4000);
    expect(index.disk.files()).toHaveLength(5);
    const even = Array.from({ length: 20 }, (_, i) => (38 - 2 * i) * 100);
    expect(index.find("even")).toEqual(even);
    expect(index.find("even", 0, END, 3)).toEqual(even.slice(0, 3));
    expect(index.find("k39")).toEqual([3900]);
    expect(index.find("none")).toEqual([]);
  });

  it("finds nothing before it is granted, and never what was taken back", () => {
    const index = new Index();
    index.put("a", 0);
    index.put("a", 100);
    index.put("b", 200);
    expect(index.find("a")).toEqual([]);
    index.service.grant(100);
    expect(index.find("a")).toEqual([0]);
    index.service.unstage(200);
    index.put("c", 200);
    index.service.grant(300);
    expect([index.find("a"), index.find("b"), index.find("c")]).toEqual([[100, 0], [], [200]]);
  });

  it("keeps its staged keys in order when their ring grows", () => {
    const index = new Index(new SimDisk(), new FakeClock(), 100, 10_000);
    for (let i = 0; i < 700; i++) index.put(`k${i}`, i);
    index.service.grant(600);
    for (let i = 700; i < 4000; i++) index.put(`k${i}`, i);
    index.service.grant(4000);
    for (const i of [0, 599, 600, 699, 700, 3999]) expect(index.find(`k${i}`)).toContain(i);
    expect(index.service.entryCount).toBe(4000);
  });

  it("takes a time to the second", () => {
    const index = new Index(new SimDisk(), new FakeClock(), 7, 100);
    const begin = index.clock.now();
    for (let i = 0; i < 10; i++) index.put("k", i, begin + i * 1000 + 500);
    index.service.grant(100);
    expect(index.find("k", begin + 3500, begin + 5600)).toEqual([5, 4, 3]);
    expect(index.find("k", begin + 60_000)).toEqual([]);
    expect(index.find("k", 0, begin - 1)).toEqual([]);
  });

  it("orders its files although the clock is set back", () => {
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
    expect(again.find("k29")).toEqual([29]);
  });

  it("lets keys wait while the disk is full", () => {
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
    for (let i = 0; i < 50; i++) expect(index.find(`k${i}`)).toEqual([i]);
  });

  it("removes files that only point before the log", () => {
    const index = new Index();
    for (let i = 0; i < 40; i++) index.put(`k${i}`, i);
    index.service.grant(40);
    index.service.trim(20);
    expect(index.find("k10")).toEqual([]);
    for (const i of [20, 39]) expect(index.find(`k${i}`)).toEqual([i]);
  });

  it("hashes as Apache: the absolute value, 0 where Java has none", () => {
    expect(keyHash(-2147483648)).toBe(0);
    expect(keyHash(-5)).toBe(5);
    expect(javaHashCode("polygenelubricants")).toBe(-2147483648);
  });
});
