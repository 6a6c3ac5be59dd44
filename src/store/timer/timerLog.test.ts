import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { SimDisk } from "../../testing/simDisk.ts";
import { DirNames } from "../dirNames.ts";
import { FileCache } from "../fileCache.ts";
import { MAGIC_DEFAULT, MAGIC_DELETE, MAGIC_ROLL, TimerLog, TimerUnit } from "./timerLog.ts";

const DIR = "/store/timerlog";

function logOn(disk: SimDisk, fileBytes = 520): TimerLog {
  const log = new TimerLog(disk, new FileCache(disk, 8), new DirNames(disk), DIR, fileBytes);
  log.load(() => true);
  return log;
}

/** Appends units whose message lies at 100 times their number; returns their positions. */
function fill(log: TimerLog, count: number, magic = MAGIC_DEFAULT): number[] {
  const positions: number[] = [];
  for (let i = 0; i < count; i++) {
    positions.push(log.append(positions.at(-1) ?? -1, magic, 1_700_000_000_000, 5000, i * 100, 100, -7));
  }
  return positions;
}

describe("the timer log", () => {
  it("gives back what was appended, from memory and from its files, over the ends of files", async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    const positions = fill(log, 40, MAGIC_DEFAULT | MAGIC_ROLL | MAGIC_DELETE);
    // Nine units and a blank to a file.
    expect(positions.slice(7, 11)).toEqual([364, 416, 520, 572]);
    for (const fromFiles of [false, true]) {
      if (fromFiles) log.writeOut();
      const reader = fromFiles ? logOn(disk) : log;
      if (fromFiles) reader.cutAt(log.end);
      const unit = new TimerUnit();
      for (const [i, position] of positions.entries()) {
        expect(await reader.read(position, unit)).toBe(true);
        expect(unit).toMatchObject({ position, magic: 7, slotTime: 1_700_000_005_000, logOffset: i * 100, bytes: 100 });
        expect([unit.prevPosition, unit.topicHash]).toEqual([positions[i - 1] ?? -1, -7]);
        expect([unit.rolls, unit.deletes]).toEqual([true, true]);
      }
      expect(await reader.read(reader.end, unit)).toBe(false);
      expect(await reader.read(468, unit)).toBe(false);
    }
  });

  it("shows all its units in order, and where they end", () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    const positions = fill(log, 23);
    log.writeOut();
    const seen: number[] = [];
    expect(log.scan(0, log.segments.endOffset, (unit) => seen.push(unit.position))).toBe(log.end);
    expect(seen).toEqual(positions);
    seen.length = 0;
    expect(log.scan(0, positions[12], (unit) => seen.push(unit.position))).toBe(positions[12]);
    expect(seen).toEqual(positions.slice(0, 12));
    disk.damage(`${DIR}/00000000000000000520`, 52, Buffer.from([1]));
    expect(log.scan(0, log.end, () => {})).toBe(572);
  });

  it("does not believe a unit that points to itself, ahead, or to no message", () => {
    const unit = new TimerUnit();
    const log = logOn(new SimDisk());
    fill(log, 1);
    log.writeOut();
    const good = Buffer.alloc(52);
    log.segments.read(good, 0, 52, 0);
    expect(unit.read(good, 0, 0)).toBe("unit");
    for (const [at, bytes] of [
      [0, [0, 0, 0, 51]],
      [12, [0, 0, 0, 0]],
      [12, [0, 0, 0, 16]],
      [4, [0, 0, 0, 0, 0, 0, 0, 52]],
      [36, [0, 0, 0, 0]],
      [28, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ] as const) {
      const bad = Buffer.from(good);
      Buffer.from(bytes).copy(bad, at);
      expect(unit.read(bad, 0, 0)).toBe("none");
    }
  });

  it("keeps what a full disk did not take, and writes it when there is room", async () => {
    const disk = new SimDisk();
    const log = logOn(disk, 1 << 20);
    fill(log, 10);
    disk.capacityBytes = 0;
    expect(() => log.writeOut()).toThrow(/ENOSPC/);
    const unit = new TimerUnit();
    expect(await log.read(9 * 52, unit)).toBe(true);
    disk.capacityBytes = 2 ** 40;
    log.writeOut();
    expect(log.scan(0, log.end, () => {})).toBe(520);
  });

  it("loses first files when the last message of each is gone from the commit log, as Apache's does", async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    fill(log, 30);
    log.writeOut();
    expect(await log.removeExpired(800)).toBe(0);
    expect(await log.removeExpired(801)).toBe(1);
    expect(log.first).toBe(520);
    expect(await log.read(0, new TimerUnit())).toBe(false);
    // Never the last one, whatever retention says.
    expect(await log.removeExpired(1e9)).toBe(2);
    expect(disk.files()).toEqual([`${DIR}/00000000000000001560`]);
  });
});
