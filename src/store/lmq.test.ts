import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { formatLmqOffsets, lmqNames, lmqPlaces, topicAllowsLmq } from "../message/lmq.ts";
import { Property } from "../message/properties.ts";
import { SimDisk } from "../testing/simDisk.ts";
import { type WireBroker, wireBroker } from "../testing/wireBroker.ts";
import type { AppendResult } from "./types.ts";

const ON = { enableLmq: "true", enableMultiDispatch: "true" };

async function put(broker: WireBroker, body: string, names: string, topic = "T"): Promise<AppendResult> {
  const properties = new Map([[Property.INNER_MULTI_DISPATCH as string, names]]);
  const done = broker.store.put({ topic, queueId: 0, body: Buffer.from(body), properties });
  await broker.clock.settle();
  return done;
}

async function checkpointed(broker: WireBroker): Promise<void> {
  let done = false;
  void broker.store.checkpoint().then(() => {
    done = true;
  });
  while (!done) await broker.clock.settle();
}

/** Bodies of a queue, each with the offsets that its record carries. */
async function bodies(broker: WireBroker, queue: string): Promise<string[]> {
  const units = await broker.store.units(queue, 0, 0, 100);
  const messages = await Promise.all(units.map(({ logOffset }) => broker.store.messageAt(logOffset)));
  return messages.map((m) => `${m?.body} ${m?.properties.get(Property.INNER_MULTI_QUEUE_OFFSET)}`);
}

describe("the names of light queues", () => {
  it("are those with the prefix that can be a directory", () => {
    expect(lmqNames("%LMQ%a,b,%LMQ%,%LMQ%x/y,%LMQ%..,%LMQ% c,%LMQ%d")).toEqual([
      "%LMQ%a",
      undefined,
      undefined,
      undefined,
      "%LMQ%..",
      undefined,
      "%LMQ%d",
    ]);
    expect(lmqNames(`%LMQ%${"x".repeat(251)}`)).toEqual([undefined]);
  });

  it("go with offsets one by one, or not at all", () => {
    expect(formatLmqOffsets([3, undefined, 0])).toBe("3,,0");
    expect(lmqPlaces("%LMQ%a,b,%LMQ%c", "3,,0")).toEqual([
      ["%LMQ%a", 3],
      ["%LMQ%c", 0],
    ]);
    expect(lmqPlaces("%LMQ%a,%LMQ%b", "3")).toEqual([]);
    expect(lmqPlaces("%LMQ%a,%LMQ%b", "x,99999999999999999999")).toEqual([]);
  });

  it("count only for messages of ordinary topics", () => {
    expect(["T", "%LMQ%a", "RMQ"].map(topicAllowsLmq)).toEqual([true, true, true]);
    for (const topic of [
      "%RETRY%g",
      "%DLQ%g",
      "rmq_sys_wheel_timer",
      "RMQ_SYS_TRANS_HALF_TOPIC",
      "SCHEDULE_TOPIC_XXXX",
    ]) {
      expect([topic, topicAllowsLmq(topic)]).toEqual([topic, false]);
    }
  });
});

describe("a message that names light queues", () => {
  it("is listed in each, at the offset that it carries", async () => {
    const broker = await wireBroker(ON);
    await put(broker, "1", "%LMQ%a");
    await put(broker, "2", "%LMQ%a,other,%LMQ%b");
    await put(broker, "3", "%LMQ%b,%LMQ%a,%LMQ%b");
    expect(await bodies(broker, "%LMQ%a")).toEqual(["1 0", "2 1,,0", "3 1,2,1"]);
    expect(await bodies(broker, "%LMQ%b")).toEqual(["2 1,,0", "3 1,2,1"]);
    expect(broker.store.maxOffset("T", 0)).toBe(3);
    expect(broker.store.topics()).not.toContain("other");
    await broker.close();
  });

  it("is an ordinary message without enableMultiDispatch, and in a topic that waits", async () => {
    const off = await wireBroker({ enableLmq: "true" });
    await put(off, "1", "%LMQ%a");
    expect([off.store.maxOffset("%LMQ%a", 0), off.store.maxOffset("T", 0)]).toEqual([0, 1]);
    await off.close();
    const on = await wireBroker(ON);
    await put(on, "1", "%LMQ%a", "RMQ_SYS_TRANS_HALF_TOPIC");
    expect(on.store.maxOffset("%LMQ%a", 0)).toBe(0);
    await on.close();
  });

  it("comes back in its places after a crash, also when the queues' files are gone", async () => {
    const disk = new SimDisk();
    const broker = await wireBroker(ON, disk);
    for (let i = 0; i < 20; i++) await put(broker, String(i), i % 2 === 0 ? "%LMQ%a,%LMQ%b" : "%LMQ%a");
    const a = await bodies(broker, "%LMQ%a");
    const b = await bodies(broker, "%LMQ%b");
    const image = disk.killed(1);
    const again = await wireBroker(ON, image);
    expect([await bodies(again, "%LMQ%a"), await bodies(again, "%LMQ%b")]).toEqual([a, b]);
    await put(again, "20", "%LMQ%b,%LMQ%a");
    expect((await bodies(again, "%LMQ%a")).at(-1)).toBe("20 10,20");
    await again.close();
    image.removeTree("/store/consumequeue");
    const rebuilt = await wireBroker(ON, image);
    expect((await bodies(rebuilt, "%LMQ%a")).length).toBe(21);
    expect(await bodies(rebuilt, "%LMQ%b")).toEqual([...b, "20 10,20"]);
    await rebuilt.close();
  });

  it("is refused when it would make one light queue too many", async () => {
    const broker = await wireBroker({ ...ON, enableLmqQuota: "true", maxLmqConsumeQueueNum: "2" });
    expect((await put(broker, "1", "%LMQ%a,%LMQ%b")).status).toBe("ok");
    expect((await put(broker, "2", "%LMQ%a")).status).toBe("ok");
    const refused = await put(broker, "3", "%LMQ%a,%LMQ%c");
    expect(refused).toMatchObject({
      status: "lmqQuotaExceeded",
      reason: expect.stringContaining("%LMQ%c is not made"),
    });
    expect([broker.store.maxOffset("%LMQ%a", 0), broker.store.maxOffset("T", 0)]).toEqual([2, 2]);
    await broker.close();
  });

  it("that a full disk takes back leaves its places free", async () => {
    const disk = new SimDisk();
    const broker = await wireBroker(ON, disk);
    await put(broker, "1", "%LMQ%a");
    const room = disk.capacityBytes;
    disk.capacityBytes = disk.usedBytes;
    expect((await put(broker, "x".repeat(8192), "%LMQ%a")).status).toBe("notAvailable");
    disk.capacityBytes = room;
    await broker.clock.advance(2000);
    expect((await put(broker, "3", "%LMQ%a")).status).toBe("ok");
    expect(await bodies(broker, "%LMQ%a")).toEqual(["1 0", "3 1"]);
    await broker.close();
  });
});

describe("a light queue", () => {
  it("whose messages are all gone from the log is gone, too, and begins anew", async () => {
    const broker = await wireBroker({ ...ON, mappedFileSizeCommitLog: "4096", fileReservedTime: "0" });
    await put(broker, "x".repeat(2000), "%LMQ%old,%LMQ%both");
    for (let i = 0; i < 6; i++) await put(broker, "x".repeat(2000), "%LMQ%both");
    await checkpointed(broker);
    await broker.clock.advance(50);
    await put(broker, "x".repeat(2000), "%LMQ%both");
    await checkpointed(broker);
    for (let i = 0; i < 10; i++) broker.store.deleteExpired();
    await broker.clock.settle();
    expect(broker.store.minLogOffset()).toBeGreaterThan(0);
    expect(broker.store.topics()).not.toContain("%LMQ%old");
    expect(broker.store.minOffset("%LMQ%both", 0)).toBeGreaterThan(0);
    expect(broker.store.maxOffset("%LMQ%both", 0)).toBe(8);
    await put(broker, "again", "%LMQ%old");
    expect(await bodies(broker, "%LMQ%old")).toEqual(["again 0"]);
    await broker.close();
  });
});

describe("topics and groups of light queues", () => {
  it("exist by their names, with one queue, and are not kept", async () => {
    const broker = await wireBroker(ON);
    expect(broker.topics.get("%LMQ%x")).toMatchObject({ readQueueNums: 1, writeQueueNums: 1, perm: 6 });
    expect(broker.groups.find("%LMQ%g")).toMatchObject({ groupName: "%LMQ%g", consumeEnable: true });
    expect([...broker.topics.all()].some(({ topicName }) => topicName === "%LMQ%x")).toBe(false);
    await broker.close();
    const off = await wireBroker();
    expect(off.topics.get("%LMQ%x")).toBeUndefined();
    await off.close();
  });
});
