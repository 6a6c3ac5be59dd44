import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { SimDisk } from "../testing/simDisk.ts";
import { FileCache } from "./fileCache.ts";

function disk(count: number): SimDisk {
  const made = new SimDisk();
  for (let i = 0; i < count; i++) made.plant(`/f/${i}`, Buffer.from([i]));
  return made;
}

describe("the cache of open files", () => {
  it("keeps at most so many open, the last used ones", () => {
    const files = disk(10);
    const cache = new FileCache(files, 3);
    for (const i of [0, 1, 2, 0, 3, 4, 0, 5]) cache.get(`/f/${i}`);
    expect(files.openFilesMax).toBe(3);
    expect(cache.size).toBe(3);
    const opened = files.openFiles;
    cache.get("/f/0");
    cache.get("/f/5");
    expect(files.openFiles).toBe(opened);
    cache.closeAll();
    expect(files.openFiles).toBe(0);
  });

  it("never closes a file under an asynchronous call, and closes it afterwards", async () => {
    const files = disk(5);
    const cache = new FileCache(files, 1);
    let end = () => {};
    const call = cache.use("/f/0", async (file) => {
      await new Promise<void>((resolve) => {
        end = resolve;
      });
      const byte = Buffer.alloc(1);
      file.read(byte, 0, 1, 0);
      return byte[0];
    });
    cache.get("/f/1");
    cache.forget("/f/0");
    cache.get("/f/2");
    end();
    expect(await call).toBe(0);
    expect(files.openFiles).toBe(cache.size);
  });

  it("throws ENOENT for a missing file and stays usable", () => {
    const cache = new FileCache(disk(1), 2);
    expect(() => cache.get("/f/9")).toThrow(/ENOENT/);
    expect(cache.get("/f/0").size()).toBe(1);
  });
});
