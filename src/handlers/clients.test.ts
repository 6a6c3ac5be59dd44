import { describe, expect, it } from "vitest";
import { CLIENT_BODY_BYTES_MAX } from "../base/limits.ts";
import { encodeHeartbeatData, type HeartbeatData } from "../protocol/bodies/heartbeatData.ts";
import type { SubscriptionData } from "../protocol/bodies/subscriptionData.ts";
import { newSubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { type FakeBroker, fakeBroker } from "../testing/brokerParts.ts";
import { FakeCaller } from "../testing/fakeCaller.ts";

function sub(topic: string, expressionType = "TAG"): SubscriptionData {
  return { classFilterMode: false, codeSet: [], expressionType, subString: "*", subVersion: 1, tagsSet: [], topic };
}

function beat(given: Partial<HeartbeatData> = {}, group = "g", topics = ["T"]): string {
  return encodeHeartbeatData({
    clientID: "c",
    consumerDataSet: [
      {
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        consumeType: "CONSUME_PASSIVELY",
        groupName: group,
        messageModel: "CLUSTERING",
        subscriptionDataSet: topics.map((topic) => sub(topic)),
        unitMode: false,
      },
    ],
    heartbeatFingerprint: 0,
    producerDataSet: [{ groupName: "pg" }],
    withoutSub: false,
    ...given,
  });
}

const heartbeat = (broker: FakeBroker, body: string, caller = new FakeCaller()) =>
  broker.ask("HEART_BEAT", {}, { body, caller });

describe("HEART_BEAT (rule 18)", () => {
  it("is refused when it is so large that reading it would stop everybody else", async () => {
    const broker = fakeBroker();
    const subscriptions = Math.ceil(CLIENT_BODY_BYTES_MAX / JSON.stringify(sub("T10000")).length) + 1;
    const topics = Array.from({ length: subscriptions }, (_, i) => `T${10_000 + i}`);
    await expect(heartbeat(broker, beat({}, "g", topics))).rejects.toThrow(`at most ${CLIENT_BODY_BYTES_MAX} are read`);
    expect((await heartbeat(broker, beat({}, "g", topics.slice(0, 1_000)))).code).toBe(0);
  });

  it("registers producers and consumers, creates the group and its retry topic", async () => {
    const broker = fakeBroker();
    const reply = await heartbeat(broker, beat());
    expect(reply).toMatchObject({ code: 0, header: { IS_SUPPORT_HEART_BEAT_V2: true, IS_SUB_CHANGE: true } });
    expect(broker.clients.consumerGroup("g")?.clientIds()).toEqual(["c"]);
    expect(broker.clients.producers("pg")).toHaveLength(1);
    expect(broker.groups.has("g")).toBe(true);
    expect(broker.topics.get("%RETRY%g")).toEqual(newTopicConfig("%RETRY%g", { readQueueNums: 1, writeQueueNums: 1 }));
  });

  it("passes over a group that may not be created, in silence, and takes the others of the frame", async () => {
    const broker = fakeBroker({ autoCreateSubscriptionGroup: "false" });
    const reply = await heartbeat(broker, beat());
    expect(reply.code).toBe(0);
    expect(broker.clients.consumerGroup("g")).toBeUndefined();
    expect(broker.topics.has("%RETRY%g")).toBe(false);
    expect(broker.clients.producers("pg")).toHaveLength(1);
  });

  it("marks the retry topic as ordered while the group subscribes to an ordered topic", async () => {
    const broker = fakeBroker();
    broker.topics.update([newTopicConfig("T", { order: true })]);
    await heartbeat(broker, beat());
    expect(broker.topics.isOrder("%RETRY%g")).toBe(true);
  });

  it("does not take pull consumers with rejectPullConsumerEnable", async () => {
    const broker = fakeBroker({ rejectPullConsumerEnable: "true" });
    await heartbeat(broker, beat().replace("CONSUME_PASSIVELY", "CONSUME_ACTIVELY"));
    expect(broker.clients.consumerGroup("g")).toBeUndefined();
  });

  it("V2: keeps the subscriptions when the client says they are unchanged, and says when another's differ", async () => {
    const broker = fakeBroker();
    const caller = new FakeCaller();
    const first = await heartbeat(broker, beat({ heartbeatFingerprint: 7 }), caller);
    expect(first.header?.IS_SUB_CHANGE).toBe(false);
    await heartbeat(broker, beat({ heartbeatFingerprint: 7, withoutSub: true }, "g", []), caller);
    expect(broker.clients.subscription("g", "T")).toBeDefined();
    const other = await heartbeat(broker, beat({ heartbeatFingerprint: 8 }));
    expect(other.header?.IS_SUB_CHANGE).toBe(true);
  });

  it("obeys the group's notifyConsumerIdsChangedEnable", async () => {
    const broker = fakeBroker();
    broker.groups.update([newSubscriptionGroupConfig("g", { notifyConsumerIdsChangedEnable: false })]);
    const caller = new FakeCaller();
    await heartbeat(broker, beat(), caller);
    expect(caller.told).toEqual([]);
  });
});

describe("UNREGISTER_CLIENT", () => {
  it("takes a client out of its groups at once", async () => {
    const broker = fakeBroker();
    const caller = new FakeCaller();
    await heartbeat(broker, beat(), caller);
    await broker.ask("UNREGISTER_CLIENT", { clientID: "c", consumerGroup: "g" }, { caller });
    await broker.ask("UNREGISTER_CLIENT", { clientID: "c", producerGroup: "pg" }, { caller });
    expect(broker.clients.consumerGroup("g")).toBeUndefined();
    expect(broker.clients.producers("pg")).toBeUndefined();
  });
});

describe("GET_CONSUMER_LIST_BY_GROUP (rule 19)", () => {
  it("answers the client ids", async () => {
    const broker = fakeBroker();
    await heartbeat(broker, beat());
    const reply = await broker.ask("GET_CONSUMER_LIST_BY_GROUP", { consumerGroup: "g" });
    expect(reply).toMatchObject({ code: 0, body: '{"consumerIdList":["c"]}' });
  });

  it("answers an error, not an empty list, for a group that nobody is in", async () => {
    const reply = await fakeBroker().ask("GET_CONSUMER_LIST_BY_GROUP", { consumerGroup: "g" });
    expect(reply).toMatchObject({ code: 1, remark: "no consumer for this group, g" });
  });
});

describe("CHECK_CLIENT_CONFIG (rule 23)", () => {
  const ask = (broker: FakeBroker, expressionType: string, subString = "a > 1") =>
    broker.ask(
      "CHECK_CLIENT_CONFIG",
      {},
      {
        body: `{"clientId":"c","group":"g","subscriptionData":{"expressionType":"${expressionType}","subString":"${subString}","topic":"T"}}`,
      },
    );

  it("is content with tags", async () => {
    expect((await ask(fakeBroker(), "TAG")).code).toBe(0);
  });

  it("refuses SQL92 in Apache's words", async () => {
    expect(await ask(fakeBroker(), "SQL92")).toMatchObject({
      code: 1,
      remark:
        "The broker does not support consumer to filter message by SQL92: set enablePropertyFilter=true in the broker's configuration to allow it",
    });
  });

  it("compiles SQL92 with enablePropertyFilter, and says where an expression is wrong", async () => {
    const broker = fakeBroker({ enablePropertyFilter: "true" });
    expect((await ask(broker, "SQL92")).code).toBe(0);
    expect(await ask(broker, "SQL92", "a > 1 AND b >")).toMatchObject({
      code: 23,
      remark: expect.stringMatching(/^Encountered "<EOF>" where .* was expected at line 1, column 13$/),
    });
    expect(await ask(broker, "XPATH")).toMatchObject({ code: 23, remark: expect.stringContaining("XPATH") });
  });
});

describe("who is connected (rule 19)", () => {
  it("answers 206 for a group that is not online and 1 for a producer group that does not exist", async () => {
    const broker = fakeBroker();
    expect(await broker.ask("GET_CONSUMER_CONNECTION_LIST", { consumerGroup: "g" })).toMatchObject({
      code: 206,
      remark: "the consumer group[g] not online",
    });
    expect(await broker.ask("GET_PRODUCER_CONNECTION_LIST", { producerGroup: "p" })).toMatchObject({
      code: 1,
      remark: "the producer group[p] not exist",
    });
  });

  it("lists connections with address, client id, language and version", async () => {
    const broker = fakeBroker();
    await heartbeat(broker, beat(), new FakeCaller("1.2.3.4:5"));
    const consumers = await broker.ask("GET_CONSUMER_CONNECTION_LIST", { consumerGroup: "g" });
    const connection = `{"clientAddr":"1.2.3.4:5","clientId":"c","language":"JAVA","version":${505}}`;
    expect(String(consumers.body).replace(/"version":\d+/, '"version":505')).toBe(
      `{"connectionSet":[${connection}],"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionTable":{"T":{"classFilterMode":false,"codeSet":[],"expressionType":"TAG","subString":"*","subVersion":1,"tagsSet":[],"topic":"T"}}}`,
    );
    const all = await broker.ask("GET_ALL_PRODUCER_INFO");
    expect(String(all.body)).toContain(`"remoteIP":"/1.2.3.4:5"`);
  });
});
