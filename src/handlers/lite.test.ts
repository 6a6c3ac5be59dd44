import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeLiteSubscriptions, type LiteSubscription } from "../protocol/bodies/liteSubscription.ts";
import { newSubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { SimDisk } from "../testing/simDisk.ts";
import { recordsOf, type WireBroker, type WireClient, wireBroker } from "../testing/wireBroker.ts";

const TOPIC = "Chats";
const GROUP = "ai";
const MINUTE = 60_000;

let broker: WireBroker;
let client: WireClient;
let serial = 0;

async function start(options: Record<string, string> = {}, disk?: SimDisk, now?: number): Promise<void> {
  const lite = { enableLmq: "true", enableMultiDispatch: "true", mappedFileSizeCommitLog: String(1 << 20) };
  broker = await wireBroker({ ...lite, ...options }, disk, now);
  const attributes = new Map([
    ["message.type", "LITE"],
    ["lite.topic.expiration", "30"],
  ]);
  broker.topics.createIfAbsent(newTopicConfig(TOPIC, { readQueueNums: 4, writeQueueNums: 4, perm: 6, attributes }));
  group(GROUP);
  client = broker.client();
}

function group(name: string, attributes: [string, string][] = [["+lite.bind.topic", TOPIC]]): void {
  broker.groups.update([newSubscriptionGroupConfig(name, { attributes: new Map(attributes) })]);
}

beforeEach(() => start());
afterEach(() => broker.close());

async function send(lite: string, text: string): Promise<void> {
  const properties = `UNIQ_KEY\u0001k${serial++}\u0002__LITE_TOPIC\u0001${lite}\u0002`;
  const fields = { a: "p", b: TOPIC, c: "TBW102", d: 4, e: 0, f: 0, g: 1, h: 0, i: properties };
  const reply = await client.ask("SEND_MESSAGE_V2", fields, { body: text });
  expect(reply).toMatchObject({ code: ResponseCode.SUCCESS });
}

const control = (action: LiteSubscription["action"], liteTopicSet: string[], more: Partial<LiteSubscription> = {}) => {
  const one = { action, clientId: "c1", group: GROUP, topic: TOPIC, liteTopicSet, offsetOption: undefined, version: 1 };
  return client.ask("LITE_SUBSCRIPTION_CTL", {}, { body: encodeLiteSubscriptions([{ ...one, ...more }]) });
};

const popFields = (more: object = {}) => ({
  clientId: "c1",
  consumerGroup: GROUP,
  topic: TOPIC,
  maxMsgNum: 32,
  invisibleTime: 10_000,
  pollTime: 0,
  bornTime: broker.clock.now(),
  ...more,
});

async function pop(more: object = {}) {
  const reply = await client.ask("POP_LITE_MESSAGE", popFields(more));
  const records = reply.code === ResponseCode.SUCCESS ? recordsOf(reply.body) : [];
  return { ...reply, records, texts: records.map(({ text }) => text) };
}

function ack(lite: string, offset: number, popTime: string | number, more: object = {}) {
  return client.ask("ACK_MESSAGE", {
    consumerGroup: GROUP,
    topic: TOPIC,
    queueId: 0,
    extraInfo: `0 ${popTime} 10000 999 0 broker-a 0 ${offset}`,
    offset,
    liteTopic: lite,
    ...more,
  });
}

describe("POP_LITE_MESSAGE", () => {
  it("gives messages of several lite topics with their places and how often they were given", async () => {
    await control("PARTIAL_ADD", ["a", "b"]);
    for (const text of ["a0", "a1"]) await send("a", text);
    await send("b", "b0");
    await send("c", "c0");
    const first = await pop();
    expect(first.texts).toEqual(["a0", "a1", "b0"]);
    expect(first.fields).toMatchObject({ invisibleTime: "10000", reviveQid: "999", orderCountInfo: "0;0;0" });
    const places = first.records.map(({ properties }) => [
      properties.get("INNER_MULTI_DISPATCH"),
      properties.get("INNER_MULTI_QUEUE_OFFSET"),
    ]);
    expect(places).toEqual([
      ["%LMQ%$Chats$a", "0"],
      ["%LMQ%$Chats$a", "1"],
      ["%LMQ%$Chats$b", "0"],
    ]);
    expect(await ack("a", 1, first.fields.popTime)).toMatchObject({ code: ResponseCode.SUCCESS });
    await broker.clock.advance(10_001);
    const second = await pop();
    // All from the first open one on, as Apache gives them.
    expect([...second.texts].sort()).toEqual(["a0", "a1", "b0"]);
    expect(second.fields.orderCountInfo).toBe("1;1;1");
  });

  it("waits for a message, for the end of an invisible time, and no longer than asked", async () => {
    await control("PARTIAL_ADD", ["a"]);
    const waiting = client.send("POP_LITE_MESSAGE", popFields({ pollTime: 5_000 }));
    await broker.clock.settle();
    await send("a", "x");
    expect(client.answerTo(waiting)).toMatchObject({ code: ResponseCode.SUCCESS });
    const again = client.send("POP_LITE_MESSAGE", popFields({ pollTime: 15_000 }));
    await broker.clock.advance(9_000);
    expect(client.answerTo(again)).toBeUndefined();
    await broker.clock.advance(2_000);
    expect(client.answerTo(again)).toMatchObject({ code: ResponseCode.SUCCESS, fields: { orderCountInfo: "1" } });
    const late = client.send("POP_LITE_MESSAGE", popFields({ pollTime: 2_000 }));
    await broker.clock.advance(3_000);
    expect(client.answerTo(late)).toMatchObject({ code: ResponseCode.POLLING_TIMEOUT });
  });

  it("gives no more than asked for, and the rest when that is acknowledged", async () => {
    await control("PARTIAL_ADD", ["a"]);
    for (const text of ["0", "1", "2"]) await send("a", text);
    const first = await pop({ maxMsgNum: 2 });
    expect(first.texts).toEqual(["0", "1"]);
    expect((await pop()).code).toBe(ResponseCode.POLLING_TIMEOUT);
    for (const offset of [1, 0]) await ack("a", offset, first.fields.popTime);
    expect((await pop()).texts).toEqual(["2"]);
  });

  it("refuses groups, topics and numbers with Apache's codes", async () => {
    group("plain", []);
    broker.topics.createIfAbsent(newTopicConfig("Plain", { perm: 6 }));
    expect((await pop({ topic: "None" })).code).toBe(ResponseCode.TOPIC_NOT_EXIST);
    expect((await pop({ topic: "Plain" })).code).toBe(ResponseCode.INVALID_PARAMETER);
    expect((await pop({ consumerGroup: "plain" })).code).toBe(ResponseCode.INVALID_PARAMETER);
    expect((await pop({ maxMsgNum: 33 })).code).toBe(ResponseCode.INVALID_PARAMETER);
    expect((await pop({ bornTime: broker.clock.now() - 1_000 })).code).toBe(ResponseCode.POLLING_TIMEOUT);
  });
});

describe("a message for a lite topic", () => {
  it("is refused where nobody could receive it", async () => {
    broker.config.enableMultiDispatch = false;
    const fields = {
      a: "p",
      b: TOPIC,
      c: "TBW102",
      d: 4,
      e: 0,
      f: 0,
      g: 1,
      h: 0,
      i: "UNIQ_KEY\u0001k\u0002__LITE_TOPIC\u0001a\u0002",
    };
    const reply = await client.ask("SEND_MESSAGE_V2", fields, { body: "x" });
    expect(reply.code).toBe(ResponseCode.MESSAGE_ILLEGAL);
    expect(reply.remark).toContain("enableLmq=true and enableMultiDispatch=true");
  });
});

describe("acknowledgements and invisible times of lite topics", () => {
  it("are refused for other places, and are done when repeated", async () => {
    await control("PARTIAL_ADD", ["a"]);
    await send("a", "x");
    const { fields } = await pop();
    expect((await ack("a", 5, fields.popTime)).code).toBe(ResponseCode.NO_MESSAGE);
    expect((await ack("a", 0, fields.popTime, { queueId: 1 })).code).toBe(ResponseCode.INVALID_PARAMETER);
    expect((await ack("a", 0, fields.popTime, { consumerGroup: "other" })).code).toBe(ResponseCode.INVALID_PARAMETER);
    expect((await ack("a", 1, fields.popTime)).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
    for (let i = 0; i < 2; i++) expect((await ack("a", 0, fields.popTime)).code).toBe(ResponseCode.SUCCESS);
    expect(broker.offsets.query(GROUP, "%LMQ%$Chats$a", 0)).toBe(1);
  });

  it("of a suspended lite topic count no attempt", async () => {
    await control("PARTIAL_ADD", ["a"]);
    await send("a", "x");
    const { fields } = await pop();
    const reply = await client.ask("CHANGE_MESSAGE_INVISIBLETIME", {
      consumerGroup: GROUP,
      topic: TOPIC,
      queueId: 0,
      extraInfo: `0 ${fields.popTime} 10000 999 0 broker-a 0 0`,
      offset: 0,
      invisibleTime: 1_000,
      liteTopic: "a",
      suspend: true,
    });
    expect(reply).toMatchObject({ code: ResponseCode.SUCCESS, fields: { popTime: fields.popTime, reviveQid: "999" } });
    expect((await pop()).texts).toEqual([]);
    await broker.clock.advance(1_100);
    expect((await pop()).texts).toEqual(["x"]);
  });
});

describe("LITE_SUBSCRIPTION_CTL", () => {
  it("refuses empty requests, groups that may not consume, and too many", async () => {
    const empty = await client.ask("LITE_SUBSCRIPTION_CTL", {});
    expect(empty).toMatchObject({ code: ResponseCode.ILLEGAL_OPERATION, remark: "Request body is null." });
    const none = await client.ask("LITE_SUBSCRIPTION_CTL", {}, { body: encodeLiteSubscriptions([]) });
    expect(none.code).toBe(ResponseCode.ILLEGAL_OPERATION);
    broker.groups.update([newSubscriptionGroupConfig("shut", { consumeEnable: false })]);
    expect((await control("COMPLETE_ADD", ["a"], { group: "shut" })).code).toBe(ResponseCode.ILLEGAL_OPERATION);
    broker.config.maxLiteSubscriptionCount = 2;
    expect((await control("COMPLETE_ADD", ["a", "b", "c"])).code).toBe(ResponseCode.LITE_SUBSCRIPTION_QUOTA_EXCEEDED);
    expect((await control("PARTIAL_ADD", ["d"])).code).toBe(ResponseCode.LITE_SUBSCRIPTION_QUOTA_EXCEEDED);
    await control("COMPLETE_ADD", ["b"]);
    expect(broker.lites.subscriptions.active).toBe(1);
    await control("COMPLETE_REMOVE", []);
    expect(broker.lites.subscriptions.active).toBe(0);
  });

  it("begins where it is told", async () => {
    for (const text of ["0", "1", "2", "3"]) await send("a", text);
    await control("PARTIAL_ADD", ["a"], { offsetOption: { type: "OFFSET", value: 2 } });
    const { texts, fields } = await pop();
    expect(texts).toEqual(["2", "3"]);
    for (const offset of [2, 3]) await ack("a", offset, fields.popTime);
    await control("PARTIAL_REMOVE", ["a"]);
    await control("PARTIAL_ADD", ["a"], { offsetOption: { type: "TAIL_N", value: 1 } });
    expect((await pop()).texts).toEqual(["3"]);
    await control("PARTIAL_ADD", ["a"], { offsetOption: { type: "POLICY", value: 1 } });
    expect((await pop()).texts).toEqual(["0", "1", "2", "3"]);
  });

  it("is forgotten when nobody repeats it", async () => {
    await control("COMPLETE_ADD", ["a"]);
    await broker.clock.advance(2 * MINUTE);
    await control("COMPLETE_ADD", ["a"]);
    await broker.clock.advance(2 * MINUTE);
    expect(broker.lites.subscriptions.active).toBe(1);
    await broker.clock.advance(5 * MINUTE);
    expect(broker.lites.subscriptions.active).toBe(0);
  });
});

describe("a lite topic", () => {
  const queue = () => broker.store.maxOffset("%LMQ%$Chats$a", 0);

  it("is deleted when it got no message for as long as its parent says", async () => {
    await control("COMPLETE_ADD", ["a"]);
    await send("a", "x");
    await pop();
    await broker.clock.advance(29 * MINUTE);
    expect(queue()).toBe(1);
    await send("b", "y");
    await broker.clock.advance(4 * MINUTE);
    expect(queue()).toBe(0);
    expect(broker.store.maxOffset("%LMQ%$Chats$b", 0)).toBe(1);
    expect(broker.offsets.query(GROUP, "%LMQ%$Chats$a", 0)).toBe(-1);
    expect(broker.lites.subscriptions.active).toBe(0);
  });

  it("goes with its parent", async () => {
    await send("a", "x");
    expect((await client.ask("DELETE_TOPIC_IN_BROKER", { topic: TOPIC })).code).toBe(ResponseCode.SUCCESS);
    expect(queue()).toBe(0);
  });

  it("keeps its messages and its progress over a kill -9; what was not acknowledged is given at once", async () => {
    await control("COMPLETE_ADD", ["a"]);
    for (const text of ["0", "1"]) await send("a", text);
    const { fields } = await pop({ maxMsgNum: 1 });
    await ack("a", 0, fields.popTime);
    expect((await pop()).texts).toEqual(["1"]);
    await broker.offsets.persist();
    const now = broker.clock.now();
    await start({}, broker.disk.killed(1), now);
    await control("COMPLETE_ADD", ["a"]);
    // Its bytes are read from the disk first.
    expect((await pop({ pollTime: 5_000 })).texts).toEqual(["1"]);
  });
});

describe("what operators ask about lite topics", () => {
  const asked = async (name: Parameters<WireClient["ask"]>[0], fields: Record<string, string | number> = {}) => {
    const reply = await client.ask(name, fields);
    expect(reply, reply.remark).toMatchObject({ code: ResponseCode.SUCCESS });
    return JSON.parse(reply.body.toString()) as Record<string, unknown>;
  };

  it("is who subscribes to a lite topic and how long it is", async () => {
    await control("PARTIAL_ADD", ["a"]);
    group("all", [
      ["+lite.bind.topic", TOPIC],
      ["+lite.sub.wildcard", "true"],
    ]);
    await control("COMPLETE_ADD", [], { group: "all", clientId: "c2" });
    for (const text of ["0", "1"]) await send("a", text);
    expect(await asked("GET_LITE_TOPIC_INFO", { parentTopic: TOPIC, liteTopic: "a" })).toEqual({
      parentTopic: TOPIC,
      liteTopic: "a",
      subscriber: [
        { clientId: "c1", group: GROUP },
        { clientId: "*", group: "all" },
      ],
      topicOffset: { minOffset: 0, maxOffset: 2, lastUpdateTimestamp: broker.clock.now() },
      shardingToBroker: true,
    });
    expect(await asked("GET_LITE_TOPIC_INFO", { parentTopic: TOPIC, liteTopic: "none" })).toMatchObject({
      topicOffset: { minOffset: 0, maxOffset: 0, lastUpdateTimestamp: 0 },
    });
    expect(await asked("GET_PARENT_TOPIC_INFO", { topic: TOPIC })).toEqual({
      topic: TOPIC,
      ttl: 30,
      groups: [GROUP, "all"],
      lmqNum: 1,
      liteTopicCount: 1,
    });
  });

  it("is what a client subscribes to, and when it came last", async () => {
    const ask = (more = {}) =>
      asked("GET_LITE_CLIENT_INFO", { parentTopic: TOPIC, group: GROUP, clientId: "c1", ...more });
    expect(await ask()).toMatchObject({ liteTopicCount: -1, lastAccessTime: -1 });
    expect(await ask()).not.toHaveProperty("liteTopicSet");
    await control("PARTIAL_ADD", ["a", "b"]);
    expect(await ask({ maxCount: 1 })).toMatchObject({ liteTopicCount: 2, liteTopicSet: ["%LMQ%$Chats$a"] });
    await pop();
    expect(await ask()).toMatchObject({ lastAccessTime: broker.clock.now(), lastConsumeTime: 0 });
    expect(await asked("GET_BROKER_LITE_INFO")).toMatchObject({
      storeType: "default",
      maxLmqNum: 20_000,
      currentLmqNum: 0,
      liteSubscriptionCount: 2,
      orderInfoCount: 0,
      eventMapSize: 1,
      topicMeta: { [TOPIC]: 30 },
      groupMeta: { [TOPIC]: [GROUP] },
    });
  });

  it("is how far a group is behind, on one lite topic and on those where it is behind most", async () => {
    await control("PARTIAL_ADD", ["a", "b", "c"]);
    const sentAt = broker.clock.now();
    for (const lite of ["a", "b", "b"]) await send(lite, "x");
    const first = await pop({ maxMsgNum: 1 });
    await ack("a", 0, first.fields.popTime);
    await broker.clock.advance(1_000);
    for (let i = 0; i < 3; i++) await send("a", "y");
    await pop();
    const lags = [
      { liteTopic: "a", lagCount: 3, earliestUnconsumedTimestamp: sentAt + 1_000 },
      { liteTopic: "b", lagCount: 2, earliestUnconsumedTimestamp: sentAt },
    ];
    const whole = { group: GROUP, parentTopic: TOPIC, totalLagCount: 5, earliestUnconsumedTimestamp: -1 };
    expect(await asked("GET_LITE_GROUP_INFO", { group: GROUP, topK: 20 })).toEqual({
      ...whole,
      lagCountTopK: lags,
      lagTimestampTopK: [],
    });
    broker.config.liteLagLatencyCollectEnable = true;
    expect(await asked("GET_LITE_GROUP_INFO", { group: GROUP, topK: 1 })).toEqual({
      ...whole,
      earliestUnconsumedTimestamp: sentAt,
      lagCountTopK: lags.slice(0, 1),
      lagTimestampTopK: lags.slice(1),
    });
    expect(await asked("GET_LITE_GROUP_INFO", { group: GROUP, liteTopic: "a", topK: 20 })).toEqual({
      group: GROUP,
      parentTopic: TOPIC,
      liteTopic: "a",
      totalLagCount: 3,
      earliestUnconsumedTimestamp: sentAt + 1_000,
      liteTopicOffsetWrapper: { brokerOffset: 4, consumerOffset: 1, lastTimestamp: sentAt, pullOffset: 0 },
    });
    expect(await asked("GET_LITE_GROUP_INFO", { group: GROUP, liteTopic: "none", topK: 20 })).toMatchObject({
      totalLagCount: -1,
    });
  });

  it("is refused for other topics and groups, in Apache's words", async () => {
    broker.config.autoCreateSubscriptionGroup = false;
    group("plain", []);
    broker.topics.createIfAbsent(newTopicConfig("Plain", { perm: 6 }));
    const parents = [
      ["GET_PARENT_TOPIC_INFO", "topic"],
      ["GET_LITE_TOPIC_INFO", "parentTopic"],
      ["GET_LITE_CLIENT_INFO", "parentTopic"],
    ] as const;
    for (const [name, field] of parents) {
      const missing = await client.ask(name, { [field]: "None", group: GROUP, clientId: "c1", liteTopic: "a" });
      expect(missing).toMatchObject({ code: ResponseCode.TOPIC_NOT_EXIST, remark: "Topic [None] not exist." });
      const plain = await client.ask(name, { [field]: "Plain", group: GROUP, clientId: "c1", liteTopic: "a" });
      expect(plain).toMatchObject({ code: ResponseCode.INVALID_PARAMETER, remark: "Topic [Plain] type not match." });
    }
    for (const name of ["GET_LITE_GROUP_INFO", "TRIGGER_LITE_DISPATCH"] as const) {
      const missing = await client.ask(name, { group: "none", topK: 1 });
      expect(missing).toMatchObject({
        code: ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
        remark: "Group [none] not exist.",
      });
      const plain = await client.ask(name, { group: "plain", topK: 1 });
      expect(plain).toMatchObject({
        code: ResponseCode.INVALID_PARAMETER,
        remark: "Group [plain] is not a LITE group.",
      });
    }
    const unbound = await client.ask("GET_LITE_CLIENT_INFO", { parentTopic: TOPIC, group: "plain", clientId: "c1" });
    expect(unbound.remark).toBe("Subscription [plain]-[Chats] not match.");
  });

  it("is to look at everything unread again", async () => {
    await control("PARTIAL_ADD", ["a"]);
    await send("a", "x");
    // As if the mark had been lost.
    broker.lites.subscriptions.find("c1")?.ready.clear();
    expect((await pop()).texts).toEqual([]);
    expect(await client.ask("TRIGGER_LITE_DISPATCH", { group: GROUP })).toMatchObject({ code: ResponseCode.SUCCESS });
    expect((await pop()).texts).toEqual(["x"]);
  });
});
