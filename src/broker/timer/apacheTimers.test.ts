/** Our bytes against Apache's: apacheTimers.json was written by the broker of Apache RocketMQ 5.5.0. */
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../base/log.ts";
import { MetadataFile } from "../../store/metadataFile.ts";
import { encodeTimerCheckpoint, TimerCheckpoint } from "../../store/timer/timerCheckpoint.ts";
import { TimerFiles } from "../../store/timer/timerFiles.ts";
import { WHEEL_BYTES } from "../../store/timer/timerWheel.ts";
import { FakeClock } from "../../testing/fakeClock.ts";
import { SimDisk } from "../../testing/simDisk.ts";
import { ROOT } from "../../testing/simStore.ts";
import { SimTimers, TimerJournal, textOf } from "../../testing/simTimers.ts";
import golden from "./apacheTimers.json" with { type: "json" };
import { TimerMetrics } from "./timerMetrics.ts";

type Ending = "clean" | "killed";
const FILE_BYTES = {
  mappedFileSizeCommitLog: 65_536,
  mappedFileSizeConsumeQueue: 20 * 64,
  maxHashSlotNum: 16,
  maxIndexNum: 64,
};
const OPTIONS = { mappedFileSizeTimerLog: 520, timerRollWindowSlot: 3600 };

function fileOf({ bytes, hex }: { bytes: number; hex: string }): Buffer {
  const buf = Buffer.alloc(bytes);
  buf.write(hex, "hex");
  return buf;
}

function wheelOf(ending: Ending): Buffer {
  const wheel = Buffer.alloc(golden[ending].wheelBytes);
  for (const [slot, hex] of Object.entries(golden[ending].wheel)) wheel.write(hex, Number(slot) * 32, "hex");
  return wheel;
}

function plant(ending: Ending, without: (name: string) => boolean = () => false): SimDisk {
  const disk = new SimDisk();
  for (const [name, file] of Object.entries(golden[ending].files)) {
    if (!without(name)) disk.plant(`${ROOT}/${name}`, fileOf(file));
  }
  if (!without("timerwheel")) disk.plant(`${ROOT}/timerwheel`, wheelOf(ending));
  if (ending === "killed") disk.plant(`${ROOT}/abort`, Buffer.alloc(0));
  return disk;
}

function filesOn(disk: SimDisk, clock: FakeClock): TimerFiles {
  return new TimerFiles({
    disk,
    clock,
    log: silentLogger(),
    root: ROOT,
    timerPrecisionMs: 1000,
    mappedFileSizeTimerLog: OPTIONS.mappedFileSizeTimerLog,
  });
}

describe("timers that Apache 5.5.0 wrote", () => {
  it("have a log and a wheel whose bytes ours are", async () => {
    const { began } = golden.clean;
    const clock = new FakeClock(began);
    const theirs = filesOn(plant("clean"), clock);
    theirs.log.load(() => true);
    const disk = new SimDisk();
    const ours = filesOn(disk, clock);
    await ours.open();
    let units = 0;
    const segments = theirs.log.segments;
    theirs.log.scan(0, segments.endOffset, (unit) => {
      units++;
      ours.add(unit.slotTime, unit.magic, unit.enqueueTime, unit.logOffset, unit.bytes, unit.topicHash, unit.deletes);
    });
    expect(units).toBe(19);
    const state = { lastReadTimeMs: 0, lastTimerQueueOffset: 0, masterTimerQueueOffset: 0, ours: undefined };
    const dataVersion = { stateVersion: 0, timestamp: 0, counter: 0 };
    const flushed = ours.flush(
      (lastTimerLogFlushPos) => ({ ...state, lastTimerLogFlushPos, dataVersion }),
      async () => {},
    );
    // It writes a few pages per turn.
    for (let turn = 0; turn < 20; turn++) await clock.settle();
    expect(await flushed).toBe(true);
    const logs = Object.keys(golden.clean.files).filter((name) => name.startsWith("timerlog/"));
    expect(logs).toHaveLength(3);
    for (const name of logs) {
      const file = golden.clean.files[name as keyof typeof golden.clean.files];
      expect(disk.bytes(`${ROOT}/${name}`).toString("hex")).toBe(fileOf(file).toString("hex"));
    }
    expect(golden.clean.wheelBytes).toBe(WHEEL_BYTES);
    expect(disk.bytes(`${ROOT}/timerwheel`).equals(wheelOf("clean"))).toBe(true);
  });

  it("have a checkpoint that we read, and write again", () => {
    const disk = plant("clean");
    const file = fileOf(golden.clean.files["config/timercheck"]);
    const state = new TimerCheckpoint(disk, `${ROOT}/config/timercheck`).read();
    expect(state).toMatchObject({ lastTimerQueueOffset: 19, masterTimerQueueOffset: 19, ours: undefined });
    expect(state?.lastTimerLogFlushPos).toBe(2 * 520 + 52);
    expect(encodeTimerCheckpoint(state as NonNullable<typeof state>)).toEqual(file.subarray(0, 56));
  });

  it("have metrics that we read, and write again", () => {
    const disk = plant("clean");
    const metrics = new TimerMetrics(
      new MetadataFile(disk, `${ROOT}/config/timermetrics`),
      new FakeClock(),
      silentLogger(),
    );
    metrics.load(undefined);
    expect(metrics.encode()).toBe(fileOf(golden.clean.files["config/timermetrics"]).toString());
    expect(metrics.count("T")).toBe(13);
  });

  it("do not come again here when a kill -9 left a checkpoint of before their delivery", async () => {
    const { began } = golden.killed;
    const disk = plant("killed");
    const check = fileOf(golden.killed.files["config/timercheck"]);
    check.writeBigInt64BE(BigInt(began - (began % 1000)), 0);
    disk.plant(`${ROOT}/config/timercheck`, check);
    const sim = new SimTimers(disk, new TimerJournal(), OPTIONS, began + 8_500, FILE_BYTES);
    await sim.open();
    await sim.advance(3_000);
    const delivered = ["delivered 0", "delivered 1", "delivered 2", "delivered 3"];
    expect((await sim.delivered()).map(textOf).sort()).toEqual(delivered);
    expect(sim.timers.pending).toBe(13);
    await sim.close();
  });

  for (const ending of ["clean", "killed"] as const) {
    const lost: [string, (name: string) => boolean][] = [
      ["", () => false],
      [", without its wheel", (name) => name === "timerwheel"],
      [", without wheel and log", (name) => name === "timerwheel" || name.startsWith("timerlog/")],
    ];
    for (const [how, without] of lost) {
      it(`carry on here after ${ending === "clean" ? "a clean stop" : "a kill -9"}${how}`, async () => {
        const { began } = golden[ending];
        const disk = plant(ending, without);
        const sim = new SimTimers(disk, new TimerJournal(), OPTIONS, began + 8_500, FILE_BYTES);
        await sim.open();
        await sim.advance(3_000);
        const delivered = ["delivered 0", "delivered 1", "delivered 2", "delivered 3"];
        expect((await sim.delivered()).map(textOf).sort()).toEqual(delivered);
        expect(sim.timers.pending).toBe(13);
        // Ours from here on, with a restart in between.
        await sim.close();
        const next = new SimTimers(disk, new TimerJournal(), OPTIONS, sim.clock.now(), FILE_BYTES);
        await next.open();
        next.clock.jump(began + 600_000 - next.clock.now());
        await next.advance(990);
        expect(await next.delivered()).toHaveLength(4);
        await next.advance(3_500);
        const all = (await next.delivered()).slice(4);
        expect(all.map(textOf).sort()).toEqual(
          [
            ...Array.from({ length: 9 }, (_, i) => `pending ${i}`),
            ...Array.from({ length: 3 }, (_, i) => `late ${i}`),
          ].sort(),
        );
        for (const message of all) {
          expect(message.storeTimestamp).toBeGreaterThanOrEqual(Number(message.properties.get("TIMER_DELIVER_MS")));
        }
        // One second for each of three slots; the one that rolls still waits.
        expect(all.map((message) => message.storeTimestamp - began - 601_000)).toEqual([
          ...Array(3).fill(0),
          ...Array(6).fill(1000),
          ...Array(3).fill(2000),
        ]);
        expect(next.timers.pending).toBe(1);
        next.clock.jump(7_190_000 - 604_490);
        await next.advance(12_000);
        expect((await next.delivered()).slice(16).map(textOf)).toEqual(["rolls"]);
        await next.close();
      });
    }
  }
});
