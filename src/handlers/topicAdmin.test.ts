import { describe, expect, it } from "vitest";
import { newSubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { decodeTopicConfigWrapper } from "../protocol/bodies/topicConfigWrapper.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { fakeBroker } from "../testing/brokerParts.ts";

const CREATE = {
  topic: "T",
  defaultTopic: "TBW102",
  readQueueNums: 3,
  writeQueueNums: 5,
  perm: 6,
  topicFilterType: "SINGLE_TAG",
  order: false,
};

describe("UPDATE_AND_CREATE_TOPIC (rule 14)", () => {
  it("answers after the file is written and the NameServer knows", async () => {
    const broker = fakeBroker();
    await broker.registration.start();
    broker.registered.length = 0;
    expect((await broker.ask("UPDATE_AND_CREATE_TOPIC", { ...CREATE, attributes: "+message.type=FIFO" })).code).toBe(0);
    expect(broker.disk.text("/store/config/topics.json")).toContain('"message.type":"FIFO"');
    expect(broker.registered).toEqual([RequestCode.REGISTER_BROKER]);
    expect(broker.topics.get("T")).toEqual(
      newTopicConfig("T", { readQueueNums: 3, writeQueueNums: 5, attributes: new Map([["message.type", "FIFO"]]) }),
    );
  });

  it("changes nothing when the topic is equal already", async () => {
    const broker = fakeBroker();
    await broker.ask("UPDATE_AND_CREATE_TOPIC", CREATE);
    const { counter } = broker.topics.dataVersion;
    expect((await broker.ask("UPDATE_AND_CREATE_TOPIC", CREATE)).code).toBe(0);
    expect(broker.topics.dataVersion.counter).toBe(counter);
  });

  it.each([
    [{ topic: "bad.name" }, 29, "The specified topic: bad.name, contains illegal characters"],
    [{ writeQueueNums: 2_000_000_000 }, 29, "65537 or more queues"],
    [{ readQueueNums: 65_537 }, 29, "65537 or more queues"],
    [{ topic: "TBW102" }, 29, "The topic[TBW102] is conflict with system topic."],
    [{ topic: "broker-a" }, 29, "The topic[broker-a] is conflict with system topic."],
    [{ attributes: "+message.type=MIXED" }, 29, "MIXED message type is not supported."],
    [{ attributes: "+message.type=X" }, 1, "value is not in set"],
    [{ attributes: "-message.type" }, 1, "only add attribute is supported while creating topic. key: message.type"],
    [{ attributes: "message.type" }, 1, "delete attribute format is wrong: message.type"],
    [{ topicFilterType: "NO_TAG" }, 1, "topicFilterType = [NO_TAG] value invalid"],
  ])("refuses %j", async (header, code, remark) => {
    const broker = fakeBroker();
    const reply = await broker.ask("UPDATE_AND_CREATE_TOPIC", { ...CREATE, ...header });
    expect(reply.code).toBe(code);
    expect(reply.remark).toContain(remark);
    expect(broker.topics.has("T")).toBe(false);
  });

  it("takes MIXED with enableMixedMessageType and system topics without validateSystemTopicWhenUpdateTopic", async () => {
    const broker = fakeBroker({ enableMixedMessageType: "true", validateSystemTopicWhenUpdateTopic: "false" });
    const mixed = { ...CREATE, topic: "TBW102", attributes: "+message.type=MIXED" };
    expect((await broker.ask("UPDATE_AND_CREATE_TOPIC", { ...mixed, topic: "U" })).code).toBe(0);
    expect((await broker.ask("UPDATE_AND_CREATE_TOPIC", { ...CREATE, topic: "TBW102" })).code).toBe(0);
  });

  it("does not answer SUCCESS when the file could not be written", async () => {
    const broker = fakeBroker();
    broker.disk.failures.set(broker.disk.operations, new Error("ENOSPC"));
    await expect(broker.ask("UPDATE_AND_CREATE_TOPIC", CREATE)).rejects.toThrow("ENOSPC");
  });
});

describe("UPDATE_AND_CREATE_TOPIC_LIST (rule 14)", () => {
  const list = (...names: string[]): string =>
    writeJavaJson({ topicConfigList: names.map((name) => newTopicConfig(name)) });

  it("creates all of them", async () => {
    const broker = fakeBroker();
    expect((await broker.ask("UPDATE_AND_CREATE_TOPIC_LIST", {}, { body: list("A", "B") })).code).toBe(0);
    expect(broker.topics.has("A") && broker.topics.has("B")).toBe(true);
  });

  it("ends with SUCCESS at a topic that is equal already, as Apache does", async () => {
    const broker = fakeBroker();
    await broker.ask("UPDATE_AND_CREATE_TOPIC_LIST", {}, { body: list("A") });
    expect((await broker.ask("UPDATE_AND_CREATE_TOPIC_LIST", {}, { body: list("B", "A") })).code).toBe(0);
    expect(broker.topics.has("B")).toBe(false);
  });

  it("creates none when one name is wrong", async () => {
    const broker = fakeBroker();
    expect((await broker.ask("UPDATE_AND_CREATE_TOPIC_LIST", {}, { body: list("A", "b.c") })).code).toBe(29);
    expect(broker.topics.has("A")).toBe(false);
  });
});

describe("DELETE_TOPIC_IN_BROKER", () => {
  it("forgets the topic, its offsets, its queues and its POP retry topics", async () => {
    const broker = fakeBroker();
    broker.topics.update([newTopicConfig("T"), newTopicConfig("%RETRY%g_T"), newTopicConfig("%RETRY%g+T")]);
    await broker.store.fill("T", 0, 1);
    broker.offsets.commit("g", "T", 0, 1);
    expect((await broker.ask("DELETE_TOPIC_IN_BROKER", { topic: "T" })).code).toBe(0);
    for (const name of ["T", "%RETRY%g_T", "%RETRY%g+T"]) expect(broker.topics.has(name)).toBe(false);
    expect(broker.store.topics()).toEqual([]);
    expect(broker.offsets.query("g", "T", 0)).toBe(-1);
  });

  it.each([
    ["", "The specified topic is blank."],
    ["SCHEDULE_TOPIC_XXXX", "The topic[SCHEDULE_TOPIC_XXXX] is conflict with system topic."],
  ])("refuses %j", async (topic, remark) => {
    expect(await fakeBroker().ask("DELETE_TOPIC_IN_BROKER", { topic })).toMatchObject({ code: 29, remark });
  });
});

describe("GET_ALL_TOPIC_CONFIG and GET_ALL_SUBSCRIPTIONGROUP_CONFIG (rule 15)", () => {
  it("answers everything to tools that send no fields", async () => {
    const broker = fakeBroker();
    const reply = await broker.ask("GET_ALL_TOPIC_CONFIG");
    expect(decodeTopicConfigWrapper(String(reply.body)).topicConfigTable.size).toBe(15);
    expect(reply.header).toEqual({ totalTopicNum: 15 });
    const groups = await broker.ask("GET_ALL_SUBSCRIPTIONGROUP_CONFIG");
    expect(groups.header).toEqual({ totalGroupNum: 8 });
  });

  it("answers pages, and the first one again when the version has changed", async () => {
    const broker = fakeBroker();
    const page = async (topicSeq: number, dataVersion?: string) => {
      const reply = await broker.ask("GET_ALL_TOPIC_CONFIG", { topicSeq, maxTopicNum: 4, dataVersion });
      return [...decodeTopicConfigWrapper(String(reply.body)).topicConfigTable.keys()];
    };
    const version = writeJavaJson(broker.topics.dataVersion);
    const names = [...broker.topics.all()].map((t) => t.topicName).sort();
    expect((await page(0)).sort()).toEqual(names.slice(0, 4));
    expect((await page(4, version)).sort()).toEqual(names.slice(4, 8));
    broker.topics.update([newTopicConfig("A")]);
    expect(await page(4, version)).toContain("A");
  });

  it("keeps pages to splitMetadataSize", async () => {
    const broker = fakeBroker({ splitMetadataSize: "3" });
    const reply = await broker.ask("GET_ALL_SUBSCRIPTIONGROUP_CONFIG", { groupSeq: 0, maxGroupNum: 100 });
    expect(String(reply.body).match(/"groupName"/g)).toHaveLength(3);
    expect(reply.header).toEqual({ totalGroupNum: 8 });
  });
});

describe("one topic (rule 19)", () => {
  it("answers 17 for the config and the statistics of an unknown topic", async () => {
    const broker = fakeBroker();
    expect(await broker.ask("GET_TOPIC_CONFIG", { topic: "T" })).toMatchObject({
      code: 17,
      remark: "No topic in this broker. topic: T",
    });
    expect(await broker.ask("GET_TOPIC_STATS_INFO", { topic: "T" })).toMatchObject({
      code: 17,
      remark: "topic[T] not exist",
    });
    expect((await broker.ask("QUERY_CONSUME_TIME_SPAN", { topic: "T", group: "g" })).code).toBe(17);
  });

  it("answers statistics keyed by queue objects (rule 7)", async () => {
    const broker = fakeBroker();
    broker.topics.update([newTopicConfig("T", { readQueueNums: 1, writeQueueNums: 2 })]);
    await broker.store.fill("T", 0, 3);
    broker.store.expire("T", 0, 1);
    const reply = await broker.ask("GET_TOPIC_STATS_INFO", { topic: "T" });
    expect(reply.body).toBe(
      `{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:{"lastUpdateTimestamp":${broker.clock.now()},"maxOffset":3,"minOffset":1},{"brokerName":"broker-a","queueId":1,"topic":"T"}:{"lastUpdateTimestamp":0,"maxOffset":0,"minOffset":0}},"topicPutTps":0.0}`,
    );
  });

  it("knows who consumes a topic: by subscription and by offset", async () => {
    const broker = fakeBroker();
    broker.offsets.commit("g", "T", 0, 1);
    expect((await broker.ask("QUERY_TOPIC_CONSUME_BY_WHO", { topic: "T" })).body).toBe('{"groupList":["g"]}');
  });
});

describe("subscription groups", () => {
  it("creates one from its body and writes it before it answers", async () => {
    const broker = fakeBroker();
    const body = writeJavaJson(newSubscriptionGroupConfig("g", { retryMaxTimes: 3 }));
    expect((await broker.ask("UPDATE_AND_CREATE_SUBSCRIPTIONGROUP", {}, { body })).code).toBe(0);
    expect(broker.disk.text("/store/config/subscriptionGroup.json")).toContain('"retryMaxTimes":3');
    const one = await broker.ask("GET_SUBSCRIPTIONGROUP_CONFIG", { group: "g" });
    expect(one.body).toBe(body);
  });

  it("refuses an illegal name with 29, an unknown group with 26 (rule 19)", async () => {
    const broker = fakeBroker({ autoCreateSubscriptionGroup: "false" });
    const body = writeJavaJson({
      groupConfigList: [newSubscriptionGroupConfig("a"), newSubscriptionGroupConfig("b c")],
    });
    expect((await broker.ask("UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST", {}, { body })).code).toBe(29);
    expect(broker.groups.has("a")).toBe(false);
    expect(await broker.ask("GET_SUBSCRIPTIONGROUP_CONFIG", { group: "a" })).toMatchObject({
      code: 26,
      remark: "No group in this broker",
    });
  });

  it("deletes a group, and its offsets when asked", async () => {
    const broker = fakeBroker();
    for (const group of ["g", "h"]) {
      broker.groups.find(group);
      broker.offsets.commit(group, "T", 0, 1);
    }
    await broker.ask("DELETE_SUBSCRIPTIONGROUP", { groupName: "g" });
    await broker.ask("DELETE_SUBSCRIPTIONGROUP", { groupName: "h", cleanOffset: true });
    // At once: nobody who was told that they are gone gets them back after a kill.
    expect(broker.disk.text("/store/config/consumerOffset.json")).not.toContain("T@h");
    expect(broker.groups.has("g") || broker.groups.has("h")).toBe(false);
    expect([broker.offsets.query("g", "T", 0), broker.offsets.query("h", "T", 0)]).toEqual([1, -1]);
  });

  it("forbids and allows a group to read a topic", async () => {
    const broker = fakeBroker();
    const header = { group: "g", topic: "T" };
    const set = await broker.ask("UPDATE_AND_GET_GROUP_FORBIDDEN", { ...header, readable: false });
    expect(set.body).toBe('{"group":"g","readable":false,"topic":"T"}');
    expect((await broker.ask("UPDATE_AND_GET_GROUP_FORBIDDEN", header)).body).toContain('"readable":false');
    await broker.ask("UPDATE_AND_GET_GROUP_FORBIDDEN", { ...header, readable: true });
    expect((await broker.ask("UPDATE_AND_GET_GROUP_FORBIDDEN", header)).body).toContain('"readable":true');
  });
});

describe("the answer to DELETE_TOPIC_IN_BROKER", () => {
  it("is answered when a crash does not bring the topic's messages back", async () => {
    const broker = fakeBroker();
    await broker.ask("UPDATE_AND_CREATE_TOPIC", CREATE);
    let durable = () => {};
    broker.store.deleteTopic = () =>
      new Promise((resolve) => {
        durable = resolve;
      });
    let answered = false;
    const reply = broker.ask("DELETE_TOPIC_IN_BROKER", { topic: "T" }).then((reply) => {
      answered = true;
      return reply;
    });
    await broker.clock.settle();
    expect(answered).toBe(false);
    expect(broker.topics.has("T")).toBe(false);
    durable();
    expect((await reply).code).toBe(0);
  });
});
