import { describe, expect, it } from "vitest";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { type FakeBroker, fakeBroker } from "../testing/brokerParts.ts";

const QUEUE = { consumerGroup: "g", topic: "T", queueId: 0 };

function withGroupAndTopic(options: Record<string, string> = {}): FakeBroker {
  const broker = fakeBroker(options);
  broker.topics.update([newTopicConfig("T")]);
  broker.groups.find("g");
  return broker;
}

describe("QUERY_CONSUMER_OFFSET (rule 12)", () => {
  it("answers a committed offset, without asking whether group or topic exist", async () => {
    const broker = fakeBroker();
    broker.offsets.commit("g", "T", 0, 42);
    expect(await broker.ask("QUERY_CONSUMER_OFFSET", QUEUE)).toMatchObject({ code: 0, header: { offset: 42 } });
  });

  it("answers 0 while the very first message of the queue is still there and in memory", async () => {
    const broker = fakeBroker();
    await broker.store.fill("T", 0, 3);
    expect(await broker.ask("QUERY_CONSUMER_OFFSET", QUEUE)).toMatchObject({ code: 0, header: { offset: 0 } });
    broker.store.inMemoryFrom = 1;
    expect(await broker.ask("QUERY_CONSUMER_OFFSET", QUEUE)).toMatchObject({
      code: 22,
      remark: "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first",
    });
  });

  it("answers 22 for an empty queue and for one whose first messages expired", async () => {
    const broker = fakeBroker();
    expect((await broker.ask("QUERY_CONSUMER_OFFSET", QUEUE)).code).toBe(22);
    await broker.store.fill("T", 0, 3);
    broker.store.expire("T", 0, 1);
    expect((await broker.ask("QUERY_CONSUMER_OFFSET", QUEUE)).code).toBe(22);
  });

  it("answers 22 with setZeroIfNotFound=false, and 0 with true or without it", async () => {
    const broker = fakeBroker();
    await broker.store.fill("T", 0, 1);
    expect(await broker.ask("QUERY_CONSUMER_OFFSET", { ...QUEUE, setZeroIfNotFound: false })).toMatchObject({
      code: 22,
      remark: "Not found, do not set to zero, maybe this group boot first",
    });
    expect((await broker.ask("QUERY_CONSUMER_OFFSET", { ...QUEUE, setZeroIfNotFound: true })).code).toBe(0);
  });

  it("names the field that is missing (rule 1)", async () => {
    await expect(fakeBroker().ask("QUERY_CONSUMER_OFFSET", { topic: "T", queueId: 0 })).rejects.toThrow(
      "the header field consumerGroup is missing",
    );
  });
});

describe("UPDATE_CONSUMER_OFFSET (rule 13)", () => {
  it("commits", async () => {
    const broker = withGroupAndTopic();
    expect((await broker.ask("UPDATE_CONSUMER_OFFSET", { ...QUEUE, commitOffset: 9 })).code).toBe(0);
    expect(broker.offsets.query("g", "T", 0)).toBe(9);
  });

  it("refuses an unknown group with 26 and an unknown topic with 17, and creates neither", async () => {
    const broker = fakeBroker();
    const header = { ...QUEUE, commitOffset: 9 };
    expect(await broker.ask("UPDATE_CONSUMER_OFFSET", header)).toMatchObject({
      code: 26,
      remark: "Group g not exist!",
    });
    broker.groups.find("g");
    expect(await broker.ask("UPDATE_CONSUMER_OFFSET", header)).toMatchObject({
      code: 17,
      remark: "Topic T not exist!",
    });
    expect(broker.topics.has("T")).toBe(false);
  });

  it("refuses a frame without queue or offset with 29", async () => {
    const broker = withGroupAndTopic();
    expect(await broker.ask("UPDATE_CONSUMER_OFFSET", { ...QUEUE, queueId: undefined })).toMatchObject({
      code: 29,
      remark: "QueueId is null, topic is T",
    });
    expect(await broker.ask("UPDATE_CONSUMER_OFFSET", QUEUE)).toMatchObject({
      code: 29,
      remark: "Offset is null, topic is T",
    });
  });

  it("says SUCCESS and drops the commit while a reset waits for the group's pull", async () => {
    const broker = withGroupAndTopic();
    broker.offsets.assignReset("g", "T", 0, 3);
    expect(await broker.ask("UPDATE_CONSUMER_OFFSET", { ...QUEUE, commitOffset: 9 })).toMatchObject({
      code: 0,
      remark: "Offset has been previously reset",
    });
    expect(broker.offsets.query("g", "T", 0)).toBe(3);
  });
});

describe("offsets of queues", () => {
  it("answers ends, and 0 for queues that never existed", async () => {
    const broker = fakeBroker();
    await broker.store.fill("T", 0, 5);
    broker.store.expire("T", 0, 2);
    const at = { topic: "T", queueId: 0 };
    expect((await broker.ask("GET_MAX_OFFSET", at)).header).toEqual({ offset: 5 });
    expect((await broker.ask("GET_MIN_OFFSET", at)).header).toEqual({ offset: 2 });
    expect((await broker.ask("GET_MAX_OFFSET", { topic: "U", queueId: 9 })).header).toEqual({ offset: 0 });
    expect((await broker.ask("GET_MIN_OFFSET", { topic: "U", queueId: 9 })).header).toEqual({ offset: 0 });
  });

  it("answers the earliest store time, -1 without a message", async () => {
    const broker = fakeBroker();
    const at = { topic: "T", queueId: 0 };
    expect((await broker.ask("GET_EARLIEST_MSG_STORETIME", at)).header).toEqual({ timestamp: -1 });
    await broker.store.fill("T", 0, 1);
    expect((await broker.ask("GET_EARLIEST_MSG_STORETIME", at)).header).toEqual({ timestamp: broker.clock.now() });
  });

  it("searches by time with either boundary, LOWER without one", async () => {
    const broker = fakeBroker();
    await broker.store.fill("T", 0, 3);
    const header = { topic: "T", queueId: 0, timestamp: broker.clock.now() };
    expect((await broker.ask("SEARCH_OFFSET_BY_TIMESTAMP", header)).header).toEqual({ offset: 0 });
    expect((await broker.ask("SEARCH_OFFSET_BY_TIMESTAMP", { ...header, boundaryType: "upper" })).header).toEqual({
      offset: 2,
    });
    expect((await broker.ask("SEARCH_OFFSET_BY_TIMESTAMP", { ...header, liteTopic: "x" })).header).toEqual({
      offset: 0,
    });
  });
});
