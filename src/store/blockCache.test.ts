import type { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { BLOCK_READS_MAX } from "../base/limits.ts";
import { BlockCache, type BlockSource } from "./blockCache.ts";

/** Bytes whose value is their offset modulo 251. */
class Source implements BlockSource {
  firstOffset = 0;
  end = 1000;
  reads = 0;
  gate: Promise<void> = Promise.resolve();

  async readAsync(buf: Buffer, start: number, end: number, offset: number): Promise<number> {
    this.reads++;
    if (offset < this.firstOffset) return 0;
    const n = Math.max(0, Math.min(end - start, this.end - offset));
    for (let i = 0; i < n; i++) buf[start + i] = (offset + i) % 251;
    await this.gate;
    return n;
  }
}

describe("the cache of blocks", () => {
  it("gives a block only as far as it was valid when it was read, and reads it again for more", async () => {
    const cache = new BlockCache(100, 4);
    const source = new Source();
    await cache.load("a", 2, source, 250);
    expect(cache.peek("a", 2, 50)?.[49]).toBe(249);
    expect(cache.peek("a", 2, 51)).toBeUndefined();
    await cache.load("a", 2, source, 300);
    expect(cache.peek("a", 2, 100)?.[99]).toBe(299 % 251);
  });

  it("drops the least recently used block beyond its bound", async () => {
    const cache = new BlockCache(100, 2);
    const source = new Source();
    await cache.load("a", 0, source, 1000);
    await cache.load("a", 1, source, 1000);
    cache.peek("a", 0, 100);
    await cache.load("a", 2, source, 1000);
    expect(cache.peek("a", 0, 100)?.[7]).toBe(7);
    expect(cache.peek("a", 1, 100)).toBeUndefined();
    expect(cache.peek("a", 2, 100)?.[7]).toBe(207);
  });

  it("reads a few blocks at a time, however many are asked for, also when reads fail", async () => {
    const cache = new BlockCache(10, 4);
    const source = new Source();
    let open = () => {};
    source.gate = new Promise((resolve) => {
      open = resolve;
    });
    const loads = Array.from({ length: 90 }, (_, i) => cache.load("a", i, source, 1000));
    await new Promise((resolve) => setImmediate(resolve));
    expect(source.reads).toBe(BLOCK_READS_MAX);
    open();
    await Promise.all(loads);
    expect(source.reads).toBe(90);
    expect(cache.peek("a", 89, 10)?.[9]).toBe(899 % 251);
    source.readAsync = () => Promise.reject(new Error("EIO"));
    const failing = await Promise.allSettled(Array.from({ length: 90 }, (_, i) => cache.load("b", i, source, 1000)));
    expect(failing.every(({ status }) => status === "rejected")).toBe(true);
  });

  it("joins reads of one block under way", async () => {
    const cache = new BlockCache(100, 2);
    const source = new Source();
    await Promise.all([cache.load("a", 0, source, 1000), cache.load("a", 0, source, 1000)]);
    expect(source.reads).toBe(1);
  });

  it("keeps nothing of a read during which the source was dropped", async () => {
    const cache = new BlockCache(100, 2);
    const source = new Source();
    let open = () => {};
    source.gate = new Promise((resolve) => {
      open = resolve;
    });
    const load = cache.load("a", 0, source, 1000);
    cache.drop("a");
    open();
    await load;
    expect(cache.peek("a", 0, 1)).toBeUndefined();
  });

  it("reads a block that begins in removed bytes", async () => {
    const cache = new BlockCache(100, 2);
    const source = new Source();
    source.firstOffset = 130;
    await cache.load("a", 1, source, 1000);
    expect(cache.peek("a", 1, 100)?.[30]).toBe(130);
    expect(cache.peek("a", 1, 100)?.[99]).toBe(199);
    await cache.load("a", 0, source, 1000);
    expect(cache.peek("a", 0, 1)).toBeUndefined();
  });
});
