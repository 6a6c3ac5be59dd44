import { describe, expect, it } from "vitest";
import { MemoryDisk, PowerCut } from "../testing/memoryDisk.ts";
import { MetadataFile } from "./metadataFile.ts";

const FILE = "/store/config/topics.json";

function parse(text: string): { version: number } {
  return JSON.parse(text) as { version: number };
}

describe("MetadataFile", () => {
  it("leaves the old or the new content readable whatever operation the power goes at", async () => {
    for (const keepUnsynced of [false, true]) {
      for (let cutAt = 0; ; cutAt++) {
        const disk = new MemoryDisk();
        const file = new MetadataFile(disk, FILE);
        await file.write('{"version":1}');
        await file.write('{"version":2}');
        const before = disk.operations;
        disk.cutAt = before + cutAt;
        const written = await file.write('{"version":3}').then(
          () => true,
          (error) => {
            expect(error).toBeInstanceOf(PowerCut);
            return false;
          },
        );
        const found = new MetadataFile(disk.afterCut(keepUnsynced), FILE).load(parse);
        expect(found?.version, `cut at operation ${cutAt}`).toSatisfy((v) => (written ? v === 3 : v === 2 || v === 3));
        if (written) break;
        expect(cutAt).toBeLessThan(50);
      }
    }
  });

  it("does not write twice at a time when somebody writes again in the moment a write ends", async () => {
    const disk = new MemoryDisk();
    const file = new MetadataFile(disk, FILE);
    const first = file.write("one");
    const second = file.write("two");
    // Runs between the end of the first write and the begin of the second.
    const third = first.then(() => file.write("three"));
    await Promise.all([first, second, third]);
    expect(disk.text(FILE)).toBe("three");
  });

  it("keeps what stood there before as .bak, as Apache does", async () => {
    const disk = new MemoryDisk();
    const file = new MetadataFile(disk, FILE);
    await file.write("one");
    await file.write("two");
    expect(disk.text(FILE)).toBe("two");
    expect(disk.text(`${FILE}.bak`)).toBe("one");
    expect(disk.list("/store/config").sort()).toEqual(["topics.json", "topics.json.bak"]);
  });

  it.each([
    ["missing", undefined],
    ["empty", ""],
    ["torn", '{"version":'],
  ])("answers from .bak when the main file is %s", (_, text) => {
    const disk = new MemoryDisk();
    if (text !== undefined) disk.put(FILE, text);
    disk.put(`${FILE}.bak`, '{"version":7}');
    const damage: string[] = [];
    expect(new MetadataFile(disk, FILE).load(parse, (file) => damage.push(file))).toEqual({ version: 7 });
    expect(damage).toEqual(text === undefined ? [] : [FILE]);
  });

  it("has nothing when both are damaged", () => {
    const disk = new MemoryDisk();
    disk.put(FILE, "{");
    disk.put(`${FILE}.bak`, "{");
    expect(new MetadataFile(disk, FILE).load(parse)).toBeUndefined();
  });

  it("encodes a burst of changes once and writes the newest", async () => {
    const disk = new MemoryDisk();
    const file = new MetadataFile(disk, FILE);
    let encoded = 0;
    let state = 0;
    const encode = (): string => {
      encoded++;
      return String(state);
    };
    const writes: Promise<void>[] = [];
    for (state = 1; state <= 100; state++) writes.push(file.write(encode));
    state = 100;
    await Promise.all(writes);
    expect(disk.text(FILE)).toBe("100");
    expect(encoded).toBe(2);
  });

  it("rejects a write that failed and takes the next one", async () => {
    const disk = new MemoryDisk();
    const file = new MetadataFile(disk, FILE);
    disk.failures.set(disk.operations + 3, new Error("EIO"));
    const failed = file.write("one");
    const next = file.write("two");
    await expect(failed).rejects.toThrow("EIO");
    await next;
    expect(disk.text(FILE)).toBe("two");
  });

  it("writes only after what the content speaks of is durable, with the content from before the wait", async () => {
    const disk = new MemoryDisk();
    let offset = 1;
    let synced: () => void = () => {};
    const file = new MetadataFile(disk, FILE, () => new Promise((resolve) => (synced = resolve)));
    const written = file.write(() => `{"version":${offset}}`);
    offset = 2;
    await Promise.resolve();
    expect(disk.exists(FILE)).toBe(false);
    synced();
    await written;
    expect(file.load(parse)?.version).toBe(1);
    const failing = new MetadataFile(disk, FILE, () => Promise.reject(new Error("the commit log is not synced")));
    await expect(failing.write('{"version":9}')).rejects.toThrow("not synced");
    expect(failing.load(parse)?.version).toBe(1);
  });
});
