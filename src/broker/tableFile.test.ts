import { describe, expect, it, vi } from "vitest";
import { silentLogger } from "../base/log.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { TableFile } from "./tableFile.ts";

const FILE = "/store/config/table.json";

function make() {
  const disk = new MemoryDisk();
  const clock = new FakeClock();
  const names: string[] = [];
  const table = new TableFile(new MetadataFile(disk, FILE), () => names.join(), clock, silentLogger());
  const add = (name: string) => {
    names.push(name);
    table.save(name);
  };
  const full = () =>
    vi.spyOn(disk, "open").mockImplementation(() => {
      throw new Error("no space");
    });
  return { disk, clock, table, add, full, content: () => disk.readAll(FILE).toString() };
}

describe("the file of a table", () => {
  it("knows what is not on disk yet, in a burst as well", async () => {
    const { table, add, content } = make();
    for (const name of ["a", "b", "c"]) add(name);
    expect(table.hasUnsaved).toBe(true);
    expect(table.whenSaved("x")).toBeUndefined();
    await table.whenSaved("b");
    expect(content()).toContain("b");
    await table.saved();
    expect(content()).toBe("a,b,c");
    expect(table.hasUnsaved).toBe(false);
    expect(table.whenSaved("c")).toBeUndefined();
  });

  it("takes a hundred thousand names in one burst without going through them for each", async () => {
    const { table, add } = make();
    const began = performance.now();
    for (let i = 0; i < 100_000; i++) add(`name-${i}`);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(table.whenSaved("name-99999")).toBeDefined();
    await table.saved();
    expect(table.hasUnsaved).toBe(false);
  });

  it("tries again by itself after a failure, and keeps nobody waiting for that", async () => {
    const { table, add, clock, full, content } = make();
    const failure = full();
    add("a");
    await expect(table.saved()).rejects.toThrow("no space");
    await table.whenSaved("a");
    expect(table.hasUnsaved).toBe(true);
    failure.mockRestore();
    await clock.advance(1_000);
    await table.saved();
    expect(content()).toBe("a");
    expect(table.hasUnsaved).toBe(false);
  });

  it("writes once more when it stops after a failure, and says when that fails, too", async () => {
    const { table, add, full, content } = make();
    const failure = full();
    add("a");
    await expect(table.saved()).rejects.toThrow("no space");
    await expect(table.stop()).rejects.toThrow("no space");
    failure.mockRestore();
    await table.stop();
    expect(content()).toBe("a");
  });
});
