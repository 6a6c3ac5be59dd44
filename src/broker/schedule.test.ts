import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import type { NewMessage } from "../store/types.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { FakeStore } from "../testing/fakeStore.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { Schedule } from "./schedule.ts";

const FILE = "/store/config/delayOffset.json";
const OPTIONS = { messageDelayLevel: "1s 5s 10s", flushDelayOffsetInterval: 10_000, delayOffsetUpdateVersionStep: 200 };

function make(given: { clock?: FakeClock; store?: FakeStore; disk?: MemoryDisk } = {}) {
  const clock = given.clock ?? new FakeClock();
  const store = given.store ?? new FakeStore(clock);
  const disk = given.disk ?? new MemoryDisk();
  const schedule = new Schedule(OPTIONS, store, new MetadataFile(disk, FILE), clock, silentLogger());
  store.deliverTime = (level, time) => schedule.levels.deliverTime(level, time);
  return { clock, store, disk, schedule };
}

type World = ReturnType<typeof make>;

function send({ store, schedule }: World, level: number, body: string, given: Partial<NewMessage> = {}) {
  const message: NewMessage = {
    topic: "T",
    queueId: 1,
    body: Buffer.from(body),
    properties: new Map([
      ["TAGS", "a"],
      ["DELAY", String(level)],
    ]),
    ...given,
  };
  expect(schedule.levels.defer(message)).toBe(true);
  return store.put(message);
}

const delivered = ({ store }: World): string[] => store.all("T", 1).map((m) => m.body.toString());

describe("Schedule", () => {
  it("delivers on time: not before, and within a moment after", async () => {
    const world = make();
    world.schedule.start();
    await send(world, 2, "m");
    await world.clock.advance(4_999);
    expect(delivered(world)).toEqual([]);
    await world.clock.advance(2);
    expect(delivered(world)).toEqual(["m"]);
  });

  it("delivers the message as it came, with all its properties, as Apache 5.5.0 stores it", async () => {
    const world = make();
    world.schedule.start();
    await send(world, 1, "m", { flag: 7, bornTimestamp: 42, reconsumeTimes: 3 });
    await world.clock.advance(1_100);
    const [message] = world.store.all("T", 1);
    expect(message).toMatchObject({ flag: 7, bornTimestamp: 42, reconsumeTimes: 3, topic: "T", queueId: 1 });
    expect([...message.properties]).toEqual([
      ["TAGS", "a"],
      ["DELAY", "1"],
      ["REAL_TOPIC", "T"],
      ["REAL_QID", "1"],
    ]);
    expect(message.storeTimestamp).toBe(world.store.all("SCHEDULE_TOPIC_XXXX", 0)[0].storeTimestamp + 1_000);
  });

  it("keeps the order within a level over many batches", async () => {
    const world = make();
    world.schedule.start();
    const bodies = Array.from({ length: 1_000 }, (_, i) => `m${i}`);
    for (const body of bodies) await send(world, 1, body);
    await world.clock.advance(2_000);
    expect(delivered(world)).toEqual(bodies);
  });

  it("lets a short level pass a long one", async () => {
    const world = make();
    world.schedule.start();
    await send(world, 3, "long");
    await send(world, 1, "short");
    await world.clock.advance(1_500);
    expect(delivered(world)).toEqual(["short"]);
    await world.clock.advance(9_000);
    expect(delivered(world)).toEqual(["short", "long"]);
  });

  it("delivers a message that arrives after its level fell asleep", async () => {
    const world = make();
    world.schedule.start();
    await send(world, 1, "first");
    await world.clock.advance(30_000);
    await send(world, 1, "second");
    await world.clock.advance(1_100);
    expect(delivered(world)).toEqual(["first", "second"]);
  });

  it("sets no timer while nothing waits", async () => {
    const world = make();
    world.schedule.start();
    await world.clock.settle();
    const idle = world.clock.timers;
    await send(world, 1, "m");
    await world.clock.settle();
    expect(world.clock.timers).toBe(idle + 1);
    await world.clock.advance(2_000);
    expect(world.clock.timers).toBe(idle);
  });

  it.each(["busy", "notAvailable", "flushDiskTimeout"] as const)(
    "never passes over a message whose copy was answered %s: tries again until it is taken",
    async (status) => {
      const world = make();
      for (const body of ["a", "b", "c"]) await send(world, 1, body);
      await world.clock.advance(1_000);
      world.store.statuses.push("ok", status, "ok", "ok", status);
      world.schedule.start();
      await world.clock.advance(1_000);
      const found = delivered(world);
      expect(new Set(found)).toEqual(new Set(["a", "b", "c"]));
      expect(found.lastIndexOf("b")).toBeLessThan(found.lastIndexOf("c"));
      expect(found.filter((body) => body === "a")).toHaveLength(1);
      await world.schedule.persist();
      expect(world.disk.text(FILE)).toContain('"offsetTable":{1:3}');
    },
  );

  it.each(["messageIllegal", "propertiesTooLong", "lmqQuotaExceeded"] as const)(
    "is not held up by a message whose copy can never be stored (%s), and gives nothing twice because of it",
    async (status) => {
      const world = make();
      for (const body of ["a", "hopeless", "c"]) await send(world, 1, body);
      await world.clock.advance(1_000);
      world.store.statuses.push("ok", status);
      world.schedule.start();
      await world.clock.advance(1_000);
      expect(delivered(world)).toEqual(["a", "c"]);
      await world.schedule.persist();
      expect(world.disk.text(FILE)).toContain('"offsetTable":{1:3}');
    },
  );

  it("goes on behind a message whose slave did not answer in time: it is safe here", async () => {
    const world = make();
    await send(world, 1, "a");
    await world.clock.advance(1_000);
    world.store.statuses.push("flushSlaveTimeout");
    world.schedule.start();
    await world.clock.advance(1_000);
    expect(delivered(world)).toEqual(["a"]);
  });

  it("delivers again, and loses nothing, after a crash before its offsets were written", async () => {
    const world = make();
    world.schedule.start();
    await send(world, 1, "a");
    await send(world, 2, "b");
    await world.clock.advance(1_500);
    expect(delivered(world)).toEqual(["a"]);
    // kill -9: no stop, nothing persisted; the log is still there.
    const after = make({ clock: world.clock, store: world.store, disk: world.disk.afterCut(false) });
    after.schedule.start();
    await world.clock.advance(5_000);
    expect(new Set(delivered(after))).toEqual(new Set(["a", "b"]));
  });

  it("continues where it stopped, with what became due meanwhile", async () => {
    const world = make();
    world.schedule.start();
    await send(world, 1, "a");
    await world.clock.advance(1_500);
    await world.schedule.stop();
    expect(world.disk.text(FILE)).toMatch(/^\{"dataVersion":\{.*\},"offsetTable":\{1:1\}\}$/);
    await send(world, 1, "b");
    await world.clock.advance(60_000);
    expect(delivered(world)).toEqual(["a"]);
    const after = make({ clock: world.clock, store: world.store, disk: world.disk });
    after.schedule.start();
    await world.clock.settle();
    expect(delivered(after)).toEqual(["a", "b"]);
  });

  it("writes its offsets every flushDelayOffsetInterval", async () => {
    const world = make();
    world.schedule.start();
    await send(world, 1, "a");
    await world.clock.advance(10_000);
    expect(world.disk.text(FILE)).toContain("{1:1}");
  });

  it("reads Apache's delayOffset.json and keeps levels it does not have", async () => {
    const disk = new MemoryDisk();
    disk.put(
      FILE,
      '{\n\t"dataVersion":{\n\t\t"counter":0,\n\t\t"stateVersion":0,\n\t\t"timestamp":1795264168919\n\t},\n\t"offsetTable":{\n\t\t1:1,\n\t\t18:4\n\t}\n}',
    );
    const world = make({ disk });
    for (const body of ["done", "next"]) await send(world, 1, body);
    await world.clock.advance(1_000);
    world.schedule.start();
    await world.clock.settle();
    expect(delivered(world)).toEqual(["next"]);
    expect(world.schedule.encode()).toContain("18:4");
  });

  it("corrects an offset outside of its queue", async () => {
    const disk = new MemoryDisk();
    disk.put(FILE, '{"offsetTable":{1:100,2:0}}');
    const world = make({ disk });
    await send(world, 1, "a");
    for (const body of ["expired", "kept"]) await send(world, 2, body);
    world.store.expire("SCHEDULE_TOPIC_XXXX", 1, 1);
    await world.clock.advance(5_000);
    world.schedule.start();
    await world.clock.settle();
    expect(delivered(world)).toEqual(["kept"]);
    await send(world, 1, "later");
    await world.clock.advance(1_100);
    expect(delivered(world)).toEqual(["kept", "later"]);
  });

  it("passes over a message that is gone or has nowhere to go, and goes on", async () => {
    const world = make();
    const gone = await send(world, 1, "gone");
    await world.store.put({
      topic: "SCHEDULE_TOPIC_XXXX",
      queueId: 0,
      body: Buffer.from("lost"),
      properties: new Map([["DELAY", "1"]]),
    });
    await send(world, 1, "half", { topic: "RMQ_SYS_TRANS_HALF_TOPIC" });
    await send(world, 1, "fine");
    world.store.messages.delete(gone.logOffset);
    world.schedule.start();
    await world.clock.advance(1_100);
    expect(delivered(world)).toEqual(["fine"]);
    expect(world.store.maxOffset("RMQ_SYS_TRANS_HALF_TOPIC", 1)).toBe(0);
  });

  it("is not held up by a wall clock that goes back, and follows one that goes forward within a second", async () => {
    const back = make();
    back.schedule.start();
    await send(back, 2, "m");
    back.clock.jump(-3_600_000);
    await back.clock.advance(1_100);
    expect(delivered(back)).toEqual(["m"]);
    const forward = make();
    forward.schedule.start();
    await send(forward, 3, "m");
    await forward.clock.settle();
    forward.clock.jump(3_600_000);
    await forward.clock.advance(1_100);
    expect(delivered(forward)).toEqual(["m"]);
  });

  it("shows each level's offset and end", async () => {
    const world = make();
    await send(world, 1, "a");
    expect(world.schedule.runningStats()).toEqual(new Map([["scheduleMessageOffset_1", "0,1"]]));
  });
});
