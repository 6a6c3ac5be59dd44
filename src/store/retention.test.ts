import { describe, expect, it } from "vitest";
import { SimDisk } from "../testing/simDisk.ts";
import { audit, Journal, SimStore, SMALL } from "../testing/simStore.ts";
import type { StoreOptions } from "./options.ts";

const HOUR_MS = 3_600_000;

/** A store of five log files, all covered by a checkpoint; `used` is what the disk says, percent. */
async function fiveFiles(options: Partial<StoreOptions> = {}): Promise<{ sim: SimStore; disk: { used: number } }> {
  const disk = new SimDisk();
  const state = { used: 10 };
  disk.space = () => ({ totalBytes: 1000, availableBytes: 1000 - state.used * 10 });
  const sim = new SimStore(disk, new Journal(), { ...SMALL, ...options });
  await sim.store.start();
  for (let i = 0; i < 10; i++) sim.send("A", i % 2, 14_000);
  await sim.settle();
  await sim.drive(sim.store.checkpoint());
  return { sim, disk: state };
}

const files = (sim: SimStore) => sim.disk.files().filter((file) => file.includes("/commitlog/")).length;

describe("retention", () => {
  it("keeps files that are not expired, and the last one always", async () => {
    const { sim } = await fiveFiles();
    expect(sim.store.deleteExpired()).toBe(0);
    expect(files(sim)).toBe(5);
    sim.clock.jump(73 * HOUR_MS);
    expect(sim.store.deleteExpired()).toBe(4);
    expect(files(sim)).toBe(1);
    await sim.settle();
    await audit(sim, { acked: "all", syncedTo: 0, trimmedTo: sim.store.minLogOffset() });
  });

  it("deletes at the hour of deleteWhen only", async () => {
    const { sim } = await fiveFiles({ deleteWhen: "04;16" });
    sim.clock.jump(80 * HOUR_MS);
    const hours = new Set<number>();
    for (let hour = 0; hour < 24; hour++) {
      const before = files(sim);
      await sim.advance(10_000);
      if (files(sim) < before) hours.add(new Date(sim.clock.now()).getHours());
      for (let i = files(sim); i < 5; i++) {
        sim.send("A", 0, 15_000);
        sim.send("A", 0, 15_000);
      }
      await sim.settle();
      sim.clock.jump(HOUR_MS - 10_000);
    }
    // What was sent after the first of the two hours is not expired at the second.
    expect([...hours].every((hour) => hour === 4 || hour === 16)).toBe(true);
    expect(hours.size).toBe(1);
  });

  it("deletes expired files at any hour from diskMaxUsedSpaceRatio on", async () => {
    const { sim, disk } = await fiveFiles();
    sim.clock.jump(80 * HOUR_MS);
    disk.used = 74;
    await sim.advance(10_000);
    expect(files(sim)).toBe(5);
    disk.used = 75;
    await sim.advance(10_000);
    expect(files(sim)).toBe(1);
  });

  it("deletes files that are not expired from 85 % on, only as long as needed, unless forbidden", async () => {
    const { sim, disk } = await fiveFiles();
    disk.used = 86;
    const remove = sim.disk.remove.bind(sim.disk);
    sim.disk.remove = (file) => {
      if (file.includes("/commitlog/")) disk.used -= 1;
      remove(file);
    };
    await sim.advance(10_000);
    expect([files(sim), disk.used]).toEqual([3, 84]);
    const kept = await fiveFiles({ cleanFileForciblyEnable: false });
    kept.disk.used = 89;
    await kept.sim.advance(10_000);
    expect(files(kept.sim)).toBe(5);
  });

  it("refuses writes from 90 % on with figures and the key, and takes them again below", async () => {
    const { sim, disk } = await fiveFiles({ cleanFileForciblyEnable: false });
    disk.used = 90;
    await sim.advance(10_000);
    const refused = sim.send("A", 0, 1);
    await sim.settle();
    expect(refused.status).toBe("notAvailable");
    expect(refused.reason).toBe(
      "service not available now: the disk of /store/commitlog is 90.0 % full, writes stop at 90 % " +
        "(diskSpaceWarningLevelRatio) and resume below; shorten fileReservedTime or free space",
    );
    disk.used = 89;
    await sim.advance(10_000);
    const taken = sim.send("A", 0, 1);
    await sim.settle();
    expect(taken.status).toBe("ok");
  });

  it("obeys options that change while it runs, within Apache's bounds, and removes deleteFileBatchMax files per look", async () => {
    const { sim, disk } = await fiveFiles({ deleteFileBatchMax: 1, cleanResourceInterval: 1000 });
    sim.clock.jump(80 * HOUR_MS);
    disk.used = 60;
    await sim.advance(1000);
    expect(files(sim)).toBe(5);
    sim.options.diskMaxUsedSpaceRatio = 60;
    await sim.advance(1000);
    expect(files(sim)).toBe(4);
    sim.options.fileReservedTime = 100;
    sim.options.diskSpaceCleanForciblyRatio = 20;
    disk.used = 29;
    await sim.advance(1000);
    expect(files(sim)).toBe(4);
    disk.used = 30;
    await sim.advance(1000);
    expect(files(sim)).toBe(3);
    sim.options.diskSpaceWarningLevelRatio = 40;
    disk.used = 40;
    await sim.advance(1000);
    const refused = sim.send("A", 0, 1);
    await sim.settle();
    expect([refused.status, refused.reason]).toEqual(["notAvailable", expect.stringContaining("writes stop at 40 %")]);
  });

  it("keeps files whose queue offsets no checkpoint covers", async () => {
    const { sim } = await fiveFiles();
    for (let i = 0; i < 10; i++) sim.send("A", 0, 14_000);
    await sim.settle();
    sim.clock.jump(80 * HOUR_MS);
    expect(sim.store.deleteExpired()).toBe(4);
    await sim.settle();
    await sim.drive(sim.store.checkpoint());
    expect(sim.store.deleteExpired()).toBeGreaterThan(3);
  });
});
