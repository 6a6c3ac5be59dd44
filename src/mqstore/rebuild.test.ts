/** `mqstore rebuild`: what it derives is what the broker had written, and a crash in the middle of it costs nothing. */
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { systemClock } from "../base/clock.ts";
import { SimDisk } from "../testing/simDisk.ts";
import { Journal, ROOT, SimStore, SMALL } from "../testing/simStore.ts";
import { readLayout } from "./layout.ts";
import { rebuildStore } from "./rebuild.ts";
import { EXIT_SOUND, verifyStore } from "./verify.ts";

const ALL = { acked: "all", syncedTo: 0, trimmedTo: 0 } as const;
const QUEUES = `${ROOT}/consumequeue/`;

async function closed(disk = new SimDisk()): Promise<{ disk: SimDisk; journal: Journal; now: number }> {
  const sim = new SimStore(disk, new Journal(), SMALL);
  await sim.store.start();
  for (let i = 0; i < 150; i++) sim.send("AB"[i % 2], i % 3, 5 * i, { tag: i % 5 === 0 ? "red" : "" });
  await sim.settle();
  await sim.close();
  return { disk: sim.disk, journal: sim.journal, now: sim.clock.now() };
}

const queues = (disk: SimDisk): Map<string, string> =>
  new Map(
    disk
      .files()
      .filter((file) => file.startsWith(QUEUES))
      .map((file) => [file, disk.bytes(file).toString("hex")]),
  );

const rebuild = (disk: SimDisk) =>
  rebuildStore(disk, systemClock, readLayout(disk, ROOT, undefined), { keepBackup: false });

async function status(disk: SimDisk): Promise<number> {
  return (await verifyStore(disk, systemClock, readLayout(disk, ROOT, undefined), false)).status;
}

describe("rebuild", () => {
  it("makes byte-identical queues from the log alone", async () => {
    const { disk, journal, now } = await closed();
    const before = queues(disk);
    disk.erase(`${ROOT}/consumequeue`);
    for (const [file, bytes] of before) {
      disk.plant(file, Buffer.alloc(bytes.length / 2, 0x11));
    }
    const { status: done } = await rebuild(disk);
    expect(done).toBe(0);
    expect(queues(disk)).toEqual(before);
    expect(await status(disk)).toBe(EXIT_SOUND);
    await new SimStore(disk, journal, SMALL, now).open(ALL);
  });

  it("makes the index anew, and keeps the old files beside when told to", async () => {
    const { disk, journal, now } = await closed();
    const index = disk.files().find((file) => file.startsWith(`${ROOT}/index/`)) as string;
    disk.damage(index, 40 + SMALL.maxHashSlotNum * 4 + 400, Buffer.alloc(300, 0x33));
    const result = await rebuildStore(disk, systemClock, readLayout(disk, ROOT, undefined), { keepBackup: true });
    expect(result.status).toBe(0);
    expect(disk.files().some((file) => /rebuild-backup-\d{17}\/index\//.test(file))).toBe(true);
    expect(disk.files().some((file) => file.includes("rebuild.tmp"))).toBe(false);
    expect(await status(disk)).toBe(EXIT_SOUND);
    await new SimStore(disk, journal, SMALL, now).open(ALL);
  });

  it("keeps the files of a queue whose messages are all gone: they tell its next offset", async () => {
    const sim = new SimStore(new SimDisk(), new Journal(), { ...SMALL, fileReservedTime: 0 });
    await sim.store.start();
    sim.send("old", 0, 100);
    for (let i = 0; i < 150; i++) sim.send("A", 0, 1000);
    await sim.advance(11_000);
    sim.send("A", 0, 10);
    await sim.settle();
    while (sim.store.deleteExpired() > 0) await sim.settle();
    await sim.settle();
    expect(sim.store.minLogOffset()).toBeGreaterThan(0);
    await sim.close();
    expect((await rebuild(sim.disk)).status).toBe(0);
    expect(await status(sim.disk)).toBe(EXIT_SOUND);
    const again = new SimStore(sim.disk, sim.journal, SMALL, sim.clock.now());
    await again.store.start();
    expect(again.store.maxOffset("old", 0)).toBe(1);
    expect(again.store.minOffset("A", 0)).toBe(sim.store.minOffset("A", 0));
    expect(again.store.maxOffset("A", 0)).toBe(151);
  });

  it("refuses while a broker holds the lock, and changes nothing", async () => {
    const { disk, journal, now } = await closed();
    const sim = new SimStore(disk, journal, SMALL, now);
    await sim.store.start();
    const before = queues(disk);
    await expect(rebuild(disk)).rejects.toThrow(/held|lock/);
    expect(queues(disk)).toEqual(before);
  });

  it("loses nothing when the power goes before any of its operations", { timeout: 120_000 }, async () => {
    const { disk, journal, now } = await closed();
    const whole = disk.powerLost(1, "dropAll");
    await rebuild(whole);
    const operations = whole.operations;
    expect(operations).toBeGreaterThan(50);
    const modes = ["dropAll", "mixed", "keepAll"] as const;
    for (let at = 1; at < operations; at += 29) {
      const copy = disk.powerLost(1, "dropAll");
      copy.crashAt = at;
      await rebuild(copy).catch((error) => {
        if (!copy.crashed) throw error;
      });
      const found = copy.powerLost(at, modes[at % 3]);
      const future = new Journal();
      future.continueAfter(journal);
      const sim = new SimStore(found, future, SMALL, now);
      await sim.open(ALL);
      await sim.close();
      expect(await status(found), `crashed at ${at}`).toBe(EXIT_SOUND);
    }
  });
});
