import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { newSubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import type { StoredMessage } from "../store/types.ts";
import { type FakeBroker, fakeBroker } from "../testing/brokerParts.ts";

const RETRY = "%RETRY%g";
const DLQ = "%DLQ%g";
const SCHEDULE = "SCHEDULE_TOPIC_XXXX";

async function stored(broker: FakeBroker, reconsumeTimes = 0): Promise<number> {
  const result = await broker.store.put({
    topic: "T",
    queueId: 2,
    body: Buffer.from("body"),
    properties: new Map([
      ["TAGS", "a"],
      ["UNIQ_KEY", "u"],
    ]),
    flag: 7,
    bornTimestamp: 42,
    reconsumeTimes,
  });
  return result.logOffset;
}

const sendBack = (broker: FakeBroker, offset: number, header: object = {}, version?: number) =>
  broker.ask(
    "CONSUMER_SEND_MSG_BACK",
    { offset, group: "g", delayLevel: 0, ...header },
    version === undefined ? {} : { version },
  );

const waiting = (broker: FakeBroker, level: number): StoredMessage[] => broker.store.all(SCHEDULE, level - 1);

describe("CONSUMER_SEND_MSG_BACK", () => {
  it("stores the message again behind delay level 3 with what it was, one consumption more, and its origin", async () => {
    const broker = fakeBroker();
    const offset = await stored(broker);
    expect((await sendBack(broker, offset)).code).toBe(0);
    const [message] = waiting(broker, 3);
    expect(message).toMatchObject({ reconsumeTimes: 1, flag: 7, bornTimestamp: 42 });
    expect(message.body.toString()).toBe("body");
    expect(Object.fromEntries(message.properties)).toEqual({
      TAGS: "a",
      UNIQ_KEY: "u",
      RETRY_TOPIC: "T",
      WAIT: "false",
      DELAY: "3",
      ORIGIN_MESSAGE_ID: "7F00000100002A9F0000000000000000",
      REAL_TOPIC: RETRY,
      REAL_QID: "0",
    });
    expect(broker.topics.get(RETRY)).toMatchObject({ writeQueueNums: 1, readQueueNums: 1, perm: 6 });
  });

  it("keeps the first origin and the first topic over further retries, and waits longer each time", async () => {
    const broker = fakeBroker();
    broker.schedule.start();
    const offset = await stored(broker);
    await sendBack(broker, offset);
    await broker.clock.advance(10_100);
    const [again] = broker.store.all(RETRY, 0);
    await sendBack(broker, again.logOffset);
    const [second] = waiting(broker, 4);
    expect(second.reconsumeTimes).toBe(2);
    expect(second.properties.get("ORIGIN_MESSAGE_ID")).toBe("7F00000100002A9F0000000000000000");
    expect(second.properties.get("RETRY_TOPIC")).toBe("T");
    expect(second.properties.get("DELAY")).toBe("4");
  });

  it("obeys the client's own delay level", async () => {
    const broker = fakeBroker();
    await sendBack(broker, await stored(broker), { delayLevel: 1 });
    expect(waiting(broker, 1)).toHaveLength(1);
  });

  it.each([
    ["after 16 retries", 16, {}],
    ["after the client's own maximum", 2, { maxReconsumeTimes: 2 }],
    ["at once with a negative delay level", 0, { delayLevel: -1 }],
  ])("sends it to the dead-letter topic %s", async (_, reconsumeTimes, header) => {
    const broker = fakeBroker();
    expect((await sendBack(broker, await stored(broker, reconsumeTimes), header)).code).toBe(0);
    const [dead] = broker.store.all(DLQ, 0);
    expect(dead.reconsumeTimes).toBe(reconsumeTimes + 1);
    expect(dead.properties.get("DELAY")).toBe("0");
    expect(dead.properties.get("RETRY_TOPIC")).toBe("T");
    expect(broker.topics.get(DLQ)).toMatchObject({ writeQueueNums: 1, perm: 6 });
  });

  it("does not believe the maximum of clients before 3.4.9", async () => {
    const broker = fakeBroker();
    const header = { maxReconsumeTimes: 0 };
    await sendBack(broker, await stored(broker), header, MQVersion.V3_4_9 - 1);
    expect(broker.store.maxOffset(DLQ, 0)).toBe(0);
    await sendBack(broker, await stored(broker), header, MQVersion.V3_4_9);
    expect(broker.store.maxOffset(DLQ, 0)).toBe(1);
  });

  it("obeys the group: its retries, its retry queues, none at all", async () => {
    const broker = fakeBroker();
    broker.groups.update([newSubscriptionGroupConfig("g", { retryMaxTimes: 1, retryQueueNums: 4 })]);
    for (let i = 0; i < 40; i++) await sendBack(broker, await stored(broker));
    const queues = new Set(waiting(broker, 3).map((m) => m.properties.get("REAL_QID")));
    expect([...queues].sort()).toEqual(["0", "1", "2", "3"]);
    await sendBack(broker, await stored(broker, 1));
    expect(broker.store.maxOffset(DLQ, 0)).toBe(1);
    broker.groups.update([newSubscriptionGroupConfig("g", { retryQueueNums: 0 })]);
    const before = broker.store.maxLogOffset();
    expect((await sendBack(broker, 0)).code).toBe(0);
    expect(broker.store.maxLogOffset()).toBe(before);
  });

  it("refuses what cannot be, in Apache's words", async () => {
    const broker = fakeBroker({ autoCreateSubscriptionGroup: "false" });
    expect(await sendBack(broker, 0)).toMatchObject({ code: 26 });
    expect((await sendBack(broker, 0)).remark).toMatch(/^subscription group not exist, g \nSee http/);
    const open = fakeBroker();
    expect(await sendBack(open, 12_345)).toMatchObject({ code: 1, remark: "look message by offset failed, 12345" });
    const readOnly = fakeBroker({ brokerPermission: "4", brokerIP1: "10.0.0.1" });
    expect(await sendBack(readOnly, 0)).toMatchObject({
      code: 16,
      remark: "the broker[10.0.0.1] sending message is forbidden",
    });
    open.topics.createInSendBack(RETRY, 1, 4, 0).perm = 4;
    expect(await sendBack(open, 0)).toMatchObject({
      code: 16,
      remark: "the topic[%RETRY%g] sending message is forbidden",
    });
  });

  it("does not say SUCCESS when the store refused", async () => {
    const broker = fakeBroker();
    const offset = await stored(broker);
    broker.store.statuses.push("busy");
    expect(await sendBack(broker, offset)).toMatchObject({ code: 1, remark: "OS_PAGE_CACHE_BUSY: the test says so" });
  });

  it("creates the retry topic for a unit with the unit mark", async () => {
    const broker = fakeBroker();
    await sendBack(broker, await stored(broker), { unitMode: true });
    expect(broker.topics.get(RETRY)?.topicSysFlag).toBe(2);
  });
});
