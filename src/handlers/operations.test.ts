import { Buffer } from "node:buffer";
import { describe, expect, it, vi } from "vitest";
import { formatMessageId } from "../message/messageId.ts";
import { decodeKVTable } from "../protocol/bodies/kvTable.ts";
import { decodeConsumeStats } from "../protocol/bodies/stats.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import { type FakeBroker, fakeBroker } from "../testing/brokerParts.ts";
import { answerOf, FakeCaller } from "../testing/fakeCaller.ts";

function withConsumer(broker: FakeBroker, version: number = MQVersion.V5_5_0): FakeCaller {
  const caller = new FakeCaller();
  const kind = { consumeType: "CONSUME_PASSIVELY", messageModel: "CLUSTERING", consumeFromWhere: undefined };
  broker.clients.registerConsumer("g", { caller, clientId: "c", language: "JAVA", version }, kind, [], false);
  return caller;
}

async function withTopic(options: Record<string, string> = {}, messages = 5): Promise<FakeBroker> {
  const broker = fakeBroker(options);
  broker.topics.update([newTopicConfig("T", { readQueueNums: 2, writeQueueNums: 2 })]);
  broker.groups.find("g");
  await broker.store.fill("T", 0, messages);
  return broker;
}

describe("INVOKE_BROKER_TO_RESET_OFFSET (rule 20)", () => {
  const HEADER = { topic: "T", group: "g", timestamp: -1, isForce: true, queueId: -1 };

  it("resets all queues to their ends with a negative time, and answers queues as object keys", async () => {
    const broker = await withTopic();
    const reply = await broker.ask("INVOKE_BROKER_TO_RESET_OFFSET", HEADER);
    expect(reply.body).toBe(
      '{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:5,{"brokerName":"broker-a","queueId":1,"topic":"T"}:0}}',
    );
    expect(broker.offsets.hasReset("g", "T", 0)).toBe(true);
    expect(broker.offsets.query("g", "T", 0)).toBe(5);
  });

  it("means all queues when the queue id is absent", async () => {
    const broker = await withTopic();
    await broker.ask("INVOKE_BROKER_TO_RESET_OFFSET", { ...HEADER, queueId: undefined });
    expect(broker.offsets.hasReset("g", "T", 1)).toBe(true);
  });

  it("resets one queue by time, or to an offset inside it", async () => {
    const broker = await withTopic();
    await broker.ask("INVOKE_BROKER_TO_RESET_OFFSET", { ...HEADER, queueId: 0, timestamp: broker.clock.now() });
    expect(broker.offsets.query("g", "T", 0)).toBe(0);
    await broker.ask("INVOKE_BROKER_TO_RESET_OFFSET", { ...HEADER, queueId: 0, offset: 3 });
    expect(broker.offsets.query("g", "T", 0)).toBe(3);
    expect(await broker.ask("INVOKE_BROKER_TO_RESET_OFFSET", { ...HEADER, queueId: 0, offset: 7 })).toMatchObject({
      code: 1,
      remark: "Target offset 7 not in consume queue range [0-5]",
    });
  });

  it("refuses an unknown topic with 17 and an unknown group with 26", async () => {
    const broker = await withTopic();
    expect((await broker.ask("INVOKE_BROKER_TO_RESET_OFFSET", { ...HEADER, topic: "U" })).code).toBe(17);
    expect((await broker.ask("INVOKE_BROKER_TO_RESET_OFFSET", { ...HEADER, group: "h" })).code).toBe(26);
  });

  it("tells the consumers instead with useServerSideResetOffset=false, and answers 206 when none is online", async () => {
    const broker = await withTopic({ useServerSideResetOffset: "false" });
    for (const queueId of [0, 1]) broker.offsets.commit("g", "T", queueId, 2);
    expect((await broker.ask("INVOKE_BROKER_TO_RESET_OFFSET", HEADER)).code).toBe(206);
    const caller = withConsumer(broker);
    const reply = await broker.ask("INVOKE_BROKER_TO_RESET_OFFSET", { ...HEADER, isForce: false });
    expect(reply.body).toContain('"queueId":0,"topic":"T"}:2,');
    expect(caller.told.map((t) => [t.code, t.body])).toEqual([[RequestCode.RESET_CONSUMER_CLIENT_OFFSET, reply.body]]);
    await broker.ask("INVOKE_BROKER_TO_RESET_OFFSET", HEADER, { language: "CPP" });
    expect(caller.told[1].body).toContain(
      '{"offsetTable":[{"brokerName":"broker-a","offset":5,"queueId":0,"topic":"T"}',
    );
  });
});

describe("offsets of groups", () => {
  it("clones them", async () => {
    const broker = await withTopic();
    broker.offsets.commit("g", "T", 0, 4);
    await broker.ask("CLONE_GROUP_OFFSET", { srcGroup: "g", destGroup: "h", offline: true });
    expect(broker.offsets.query("h", "T", 0)).toBe(4);
  });

  it("answers corrections with bare integer keys (rule 8) and keeps the filtered groups' offsets", async () => {
    const broker = await withTopic();
    broker.offsets.commit("g", "T", 0, 4);
    broker.offsets.commit("h", "T", 0, 2);
    const header = { topic: "T", compareGroup: "h", filterGroups: "h" };
    const reply = await broker.ask("QUERY_CORRECTION_OFFSET", header);
    expect(reply.body).toBe('{"correctionOffsets":{0:9223372036854775807}}');
    expect(broker.offsets.query("h", "T", 0)).toBe(2);
  });
});

describe("GET_CONSUME_STATS", () => {
  it("answers how far a group is behind per queue", async () => {
    const broker = await withTopic();
    broker.offsets.commit("g", "T", 0, 2);
    broker.offsets.commitPull("g", "T", 0, 4);
    const reply = await broker.ask("GET_CONSUME_STATS", { consumerGroup: "g" });
    const [[, first], [, second]] = [...decodeConsumeStats(String(reply.body)).offsetTable];
    expect(first).toEqual({ brokerOffset: 5, consumerOffset: 2, lastTimestamp: broker.clock.now(), pullOffset: 4 });
    expect(second).toEqual({ brokerOffset: 0, consumerOffset: 0, lastTimestamp: 0, pullOffset: 0 });
  });

  it("leaves out topics that the group's consumers no longer subscribe to, unless they are named", async () => {
    const broker = await withTopic();
    broker.offsets.commit("g", "T", 0, 2);
    const caller = new FakeCaller();
    const kind = { consumeType: undefined, messageModel: undefined, consumeFromWhere: undefined };
    const other = {
      classFilterMode: false,
      codeSet: [],
      expressionType: "TAG",
      subString: "*",
      subVersion: 1,
      tagsSet: [],
      topic: "U",
    };
    broker.clients.registerConsumer("g", { caller, clientId: "c", language: "JAVA", version: 1 }, kind, [other], false);
    const stats = async (header: object) =>
      decodeConsumeStats(String((await broker.ask("GET_CONSUME_STATS", { consumerGroup: "g", ...header })).body));
    expect((await stats({})).offsetTable.size).toBe(0);
    expect((await stats({ topic: "T" })).offsetTable.size).toBe(0);
    expect((await stats({ topicList: "T;" })).offsetTable.size).toBe(2);
  });

  it.each(["GET_CONSUME_STATS", "GET_BROKER_CONSUME_STATS"] as const)(
    "lets others on between the queues of a long answer: %s",
    async (name) => {
      const broker = await withTopic();
      broker.topics.update([newTopicConfig("Wide", { readQueueNums: 2000, writeQueueNums: 2000 })]);
      broker.offsets.commit("g", "Wide", 0, 1);
      const turns = vi.spyOn(broker.clock, "endOfTurn");
      const reply = await broker.ask(name, { consumerGroup: "g" });
      expect(String(reply.body).match(/"topic":"Wide"/g)).toHaveLength(2000);
      expect(turns.mock.calls.length).toBeGreaterThanOrEqual(3);
    },
  );

  it("answers all groups of the broker at once", async () => {
    const broker = await withTopic();
    broker.offsets.commit("g", "T", 0, 2);
    const body = String((await broker.ask("GET_BROKER_CONSUME_STATS", {})).body);
    expect(body).toContain('"brokerAddr":"127.0.0.1:10911"');
    expect(body).toContain('"totalDiff":3');
    expect(body).toContain('{"g":[{"consumeTps":0.0,"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:');
  });
});

describe("messages", () => {
  it("looks one up by log offset, as its record", async () => {
    const broker = await withTopic();
    const reply = await broker.ask("VIEW_MESSAGE_BY_ID", { offset: 0 });
    expect(String(reply.body)).toBe("record@0");
    expect(await broker.ask("VIEW_MESSAGE_BY_ID", { offset: 1 })).toMatchObject({
      code: 1,
      remark: "can not find message by the offset, 1",
    });
  });

  it("looks them up by key, by unique id (rule 30) and by tag, as records one after the other", async () => {
    const broker = fakeBroker({ defaultQueryMaxNum: "1" });
    for (const key of ["k", "k j", "other"]) {
      const properties = new Map([
        ["KEYS", key],
        ["UNIQ_KEY", `u-${key}`],
        ["TAGS", "a"],
      ]);
      await broker.store.put({ topic: "T", queueId: 0, body: Buffer.from("x"), properties });
    }
    const header = { topic: "T", maxNum: 10, beginTimestamp: 0, endTimestamp: Number.MAX_SAFE_INTEGER };
    const byKey = await broker.ask("QUERY_MESSAGE", { ...header, key: "k" });
    expect(String(byKey.body)).toBe("record@0record@101");
    expect(byKey.header).toHaveProperty("indexLastUpdatePhyoffset");
    const unique = { fields: { _UNIQUE_KEY_QUERY: "true" } };
    expect(String((await broker.ask("QUERY_MESSAGE", { ...header, key: "u-other" }, unique)).body)).toBe("record@202");
    const byTag = await broker.ask("QUERY_MESSAGE", { ...header, key: "a", indexType: "T", maxNum: 2 });
    expect(String(byTag.body)).toBe("record@0record@101");
    expect(await broker.ask("QUERY_MESSAGE", { ...header, key: "nope" })).toMatchObject({
      code: 22,
      remark: "can not find message, maybe time range not correct",
    });
  });

  it("shows a queue's units", async () => {
    const broker = await withTopic({}, 2);
    const reply = await broker.ask("QUERY_CONSUME_QUEUE", { topic: "T", queueId: 0, index: 1, count: 5 });
    expect(reply.body).toBe(
      '{"maxQueueIndex":2,"minQueueIndex":0,"queueData":[{"eval":false,"physicOffset":101,"physicSize":101,"tagsCode":0}]}',
    );
    expect(await broker.ask("QUERY_CONSUME_QUEUE", { topic: "T", queueId: 7, index: 0, count: 1 })).toMatchObject({
      code: 1,
      remark: "7@T is not exist!",
    });
    expect((await broker.ask("QUERY_CONSUME_QUEUE", { topic: "T", queueId: 0, index: 9, count: 1 })).remark).toBe(
      "Index 9 of 0@T is not exist!",
    );
  });
});

describe("questions to consumers (rule 21)", () => {
  it("passes a consumer's own answer on", async () => {
    const broker = await withTopic();
    const caller = withConsumer(broker);
    caller.answer = async () => answerOf({ body: Buffer.from("{}"), fields: new Map([["x", "1"]]) });
    const header = { consumerGroup: "g", clientId: "c", jstackEnable: true };
    const reply = await broker.ask("GET_CONSUMER_RUNNING_INFO", header);
    expect(reply).toMatchObject({ code: 0, header: { x: "1" } });
    expect(caller.asked[0]).toMatchObject({ code: RequestCode.GET_CONSUMER_RUNNING_INFO, header });
  });

  it("refuses a group that is not online and a client that is too old", async () => {
    const broker = await withTopic();
    const header = { consumerGroup: "g", clientId: "c" };
    expect(await broker.ask("GET_CONSUMER_RUNNING_INFO", header)).toMatchObject({
      code: 1,
      remark: "The Consumer <g> <c> not online",
    });
    withConsumer(broker, MQVersion.V3_1_8_SNAPSHOT - 1);
    expect((await broker.ask("GET_CONSUMER_RUNNING_INFO", header)).remark).toBe(
      "The Consumer <c> Version <V3_1_7> too low to finish, please upgrade it to V3_1_8_SNAPSHOT",
    );
  });

  it("answers 207 when the consumer does not answer in time, and 1 when it left", async () => {
    const broker = await withTopic();
    const caller = withConsumer(broker);
    caller.answer = () => Promise.reject(new Error("no answer within 10000 ms"));
    const header = { consumerGroup: "g", clientId: "c" };
    expect(await broker.ask("GET_CONSUMER_RUNNING_INFO", header)).toMatchObject({ code: 207 });
    caller.answer = () => {
      caller.close();
      return Promise.reject(new Error("connection closed"));
    };
    expect(await broker.ask("GET_CONSUMER_RUNNING_INFO", header)).toMatchObject({ code: 1 });
  });

  it("lets a consumer process a stored message, with the marks of topic and group", async () => {
    const broker = await withTopic();
    const caller = withConsumer(broker);
    const msgId = formatMessageId(broker.store.storeHost, 101);
    await broker.ask("CONSUME_MESSAGE_DIRECTLY", { consumerGroup: "g", clientId: "c", msgId, topic: "T" });
    expect(String(caller.asked[0].body)).toBe("record@101");
    expect(caller.asked[0].header).toMatchObject({ brokerName: "broker-a", topicSysFlag: 0, groupSysFlag: 0, msgId });
    for (const wrong of ["nonsense", formatMessageId(broker.store.storeHost, 5)]) {
      const reply = await broker.ask("CONSUME_MESSAGE_DIRECTLY", { consumerGroup: "g", clientId: "c", msgId: wrong });
      expect(reply).toMatchObject({ code: 1, remark: `can not find message by the id, ${wrong}` });
    }
  });

  it("collects the consumers' own offsets and leaves out those that do not answer", async () => {
    const broker = await withTopic();
    const header = { group: "g", topic: "T" };
    expect((await broker.ask("INVOKE_BROKER_TO_GET_CONSUMER_STATUS", header)).code).toBe(1);
    const caller = withConsumer(broker);
    const table = '{"brokerName":"broker-a","queueId":0,"topic":"T"}:9';
    caller.answer = async () => answerOf({ body: Buffer.from(`{"messageQueueTable":{${table}}}`) });
    const mute = new FakeCaller();
    mute.answer = () => Promise.reject(new Error("no answer"));
    const kind = { consumeType: undefined, messageModel: undefined, consumeFromWhere: undefined };
    broker.clients.registerConsumer(
      "g",
      { caller: mute, clientId: "m", language: "GO", version: 317 },
      kind,
      [],
      false,
    );
    const reply = await broker.ask("INVOKE_BROKER_TO_GET_CONSUMER_STATUS", header);
    expect(reply.body).toBe(`{"consumerTable":{"c":{${table}}},"messageQueueTable":{}}`);
  });
});

describe("options over the wire (rule 16)", () => {
  it("shows and changes them, and keeps the change", async () => {
    const broker = fakeBroker();
    const update = (body: string) => broker.ask("UPDATE_BROKER_CONFIG", {}, { body });
    expect((await update("enableMixedMessageType=true\n")).code).toBe(0);
    expect(broker.config.enableMixedMessageType).toBe(true);
    const shown = await broker.ask("GET_BROKER_CONFIG");
    expect(String(shown.body)).toContain("\nenableMixedMessageType=true\n");
    expect(String(shown.header?.version)).toContain('"counter":1');
    expect(broker.disk.text("/store/config/broker.conf")).toContain("enableMixedMessageType=true");
  });

  it.each(["brokerConfigPath", "rocketmqHome", "configBlackList"])("refuses %s with 16", async (key) => {
    expect(await fakeBroker().ask("UPDATE_BROKER_CONFIG", {}, { body: `${key}=x` })).toMatchObject({
      code: 16,
      remark: "Can not update config in black list.",
    });
  });

  it("says so when a change could not be written", async () => {
    const broker = fakeBroker();
    broker.disk.failures.set(broker.disk.operations, new Error("ENOSPC"));
    expect(await broker.ask("UPDATE_BROKER_CONFIG", {}, { body: "enableMixedMessageType=true" })).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
      remark: "the change acts until the next start, but could not be written: ENOSPC",
    });
    expect(broker.config.enableMixedMessageType).toBe(true);
  });

  it("counts changes, not refusals", async () => {
    const broker = fakeBroker();
    const counter = async () => JSON.parse(String((await broker.ask("GET_BROKER_CONFIG", {})).header?.version)).counter;
    const before = await counter();
    await broker.ask("UPDATE_BROKER_CONFIG", {}, { body: Buffer.from("noSuchOption=1") });
    expect(await counter()).toBe(before);
    await broker.ask("UPDATE_BROKER_CONFIG", {}, { body: Buffer.from("traceOn=false") });
    expect(await counter()).toBe(before + 1);
  });

  it("takes all entries or none", async () => {
    const broker = fakeBroker();
    const body = "enableMixedMessageType=true\nregisterNameServerPeriod=soon\n";
    const reply = await broker.ask("UPDATE_BROKER_CONFIG", {}, { body });
    expect(reply).toMatchObject({ code: ResponseCode.SYSTEM_ERROR });
    expect(reply.remark).toContain("registerNameServerPeriod=soon");
    expect(broker.config.enableMixedMessageType).toBe(false);
  });

  it("refuses an option that there is not, with the nearest that there is", async () => {
    const broker = fakeBroker();
    const reply = await broker.ask("UPDATE_BROKER_CONFIG", {}, { body: "traceOn=false\nmaxMesageSize=1\n" });
    expect(reply).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
      remark: "unknown key maxMesageSize has no effect; did you mean maxMessageSize?",
    });
    expect(broker.config.traceOn).toBe(true);
  });

  // The broker ran commands below a rocketmqHome that a request had set.
  it("CVE-2023-33246: no request chooses a home, a configuration file or a store", async () => {
    const broker = fakeBroker();
    const before = { ...broker.config };
    for (const key of [
      "rocketmqHome",
      "brokerConfigPath",
      "configBlackList",
      "storePathRootDir",
      "storePathCommitLog",
      "readOnlyCommitLogStorePaths",
      "storePathEpochFile",
      "authConfigPath",
    ]) {
      const body = `traceOn=false\n${key}=-c $@|sh . echo touch /elsewhere/pwned;\n`;
      const reply = await broker.ask("UPDATE_BROKER_CONFIG", {}, { body });
      expect([key, reply.code]).toEqual([key, ResponseCode.NO_PERMISSION]);
      expect(reply.remark).toMatch(/^Can not update config in black list\./);
    }
    expect({ ...broker.config }).toEqual(before);
    expect(broker.config.given.size).toBe(before.given.size);
    expect(broker.disk.exists("/store/config/broker.conf")).toBe(false);
  });

  it("registers at once when the broker's permission changes", async () => {
    const broker = fakeBroker();
    await broker.registration.start();
    broker.registered.length = 0;
    await broker.ask("UPDATE_BROKER_CONFIG", {}, { body: "brokerPermission=4" });
    expect(broker.registered).toEqual([RequestCode.REGISTER_BROKER]);
  });
});

describe("GET_BROKER_RUNTIME_INFO (rule 17)", () => {
  it("has what clusterList parses, as numbers", async () => {
    const broker = await withTopic();
    broker.counters.start();
    broker.counters.puts = 100;
    broker.stats.putCounts("T", 0).add(500, 0);
    broker.stats.putCounts("SCHEDULE_TOPIC_XXXX", 0).add(500, 0);
    broker.stats.putTimes.add(3);
    broker.stats.putTimes.turnMinute();
    await broker.clock.advance(10_000);
    const table = decodeKVTable(String((await broker.ask("GET_BROKER_RUNTIME_INFO")).body));
    expect(table.get("brokerVersionDesc")).toBe("V5_5_0");
    expect(table.get("putTps")).toBe("10.0  ");
    expect(table.get("getTotalTps")).toBe("0.0 0.0 0.0");
    for (const key of [
      "earliestMessageTimeStamp",
      "commitLogDiskRatio",
      "sendThreadPoolQueueSize",
      "pullThreadPoolQueueSize",
      "sendThreadPoolQueueHeadWaitTimeMills",
      "pullThreadPoolQueueHeadWaitTimeMills",
      "pageCacheLockTimeMills",
      "msgPutTotalYesterdayMorning",
      "msgPutTotalTodayMorning",
      "msgPutTotalTodayNow",
      "msgGetTotalYesterdayMorning",
      "msgGetTotalTodayMorning",
      "msgGetTotalTodayNow",
    ]) {
      expect(Number(table.get(key)), key).not.toBeNaN();
    }
    expect(table.get("commitLogDiskRatio")).toBe("0.6");
    expect(table.get("msgPutTotalTodayNow")).toBe("1");
    expect(table.get("putMessageDistributeTime")).toMatch(/^\[<=0ms\]:0 \[0~10ms\]:1 /);
    expect(table.get("putMessageEntireTimeMax")).toBe("3");
    // One of one: the lower end of its bucket, as Apache computes it.
    expect(table.get("putLatency99")).toBe("0.00");
    expect(table.get("runtime")).toBe("[ 0 days, 0 hours, 0 minutes, 10 seconds ]");
  });
});

describe("VIEW_BROKER_STATS_DATA", () => {
  const view = async (broker: FakeBroker, statsName: string, statsKey: string) => {
    const reply = await broker.ask("VIEW_BROKER_STATS_DATA", { statsName, statsKey });
    return { code: reply.code, text: String(reply.body ?? reply.remark) };
  };

  it("answers minute, hour and day in Apache's form", async () => {
    const broker = await withTopic();
    broker.stats.start();
    for (let i = 0; i < 25; i++) broker.stats.putCounts("T", 0).add(100, 0);
    await broker.clock.advance(10_000);
    expect(await view(broker, "TOPIC_PUT_SIZE", "T")).toEqual({
      code: 0,
      text:
        '{"statsDay":{"avgpt":0.0,"sum":0,"tps":0.0},"statsHour":{"avgpt":0.0,"sum":0,"tps":0.0},' +
        '"statsMinute":{"avgpt":100.0,"sum":2500,"tps":250.0}}',
    });
    broker.stats.stop();
  });

  it("refuses what was never counted, in Apache's words", async () => {
    const broker = await withTopic();
    const refusal = (name: string) => ({ code: ResponseCode.SYSTEM_ERROR, text: `The stats <${name}> <T> not exist` });
    expect(await view(broker, "TOPIC_PUT_NUMS", "T")).toEqual(refusal("TOPIC_PUT_NUMS"));
    expect(await view(broker, "NO_SUCH_STATS", "T")).toEqual(refusal("NO_SUCH_STATS"));
  });

  it("forgets a deleted topic and a deleted group", async () => {
    const broker = await withTopic();
    broker.stats.putCounts("T", 0).add(1, 0);
    broker.stats.got("g", "T", 0, 1, 1, 0);
    await broker.ask("DELETE_SUBSCRIPTIONGROUP", { groupName: "g" });
    expect((await view(broker, "GROUP_GET_NUMS", "T@g")).code).toBe(ResponseCode.SYSTEM_ERROR);
    await broker.ask("DELETE_TOPIC_IN_BROKER", { topic: "T" });
    expect((await view(broker, "TOPIC_PUT_NUMS", "T")).code).toBe(ResponseCode.SYSTEM_ERROR);
  });
});

describe("a lone master about replication", () => {
  it("shows itself without slaves", async () => {
    const broker = await withTopic();
    expect((await broker.ask("GET_BROKER_HA_STATUS")).body).toBe(
      '{"haClientRuntimeInfo":{"lastReadTimestamp":0,"lastWriteTimestamp":0,"masterFlushOffset":0,"maxOffset":0,' +
        '"transferredByteInSecond":0},"haConnectionInfo":[],"inSyncSlaveNums":0,"master":true,' +
        `"masterCommitLogMaxOffset":${broker.store.maxLogOffset()}}`,
    );
    expect(await broker.ask("RESET_MASTER_FLUSH_OFFSET", { masterFlushOffset: 5 })).toMatchObject({ code: 0 });
  });

  it("has no epochs outside of controller mode, in Apache's words", async () => {
    const broker = await withTopic();
    expect(await broker.ask("GET_BROKER_EPOCH_CACHE")).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
      remark: "this request only for controllerMode ",
    });
  });
});

describe("cold reads", () => {
  const INFO = (config: string) =>
    `{"runtimeTable":{},"configTable":${config},"cgColdReadThreshold":3145728,"globalColdReadThreshold":104857600,"globalAcc":0}`;

  it("keeps and shows thresholds", async () => {
    const broker = fakeBroker();
    const info = async () => (await broker.ask("GET_COLD_DATA_FLOW_CTR_INFO")).body;
    expect(await info()).toBe(INFO("{}"));
    await broker.ask("UPDATE_COLD_DATA_FLOW_CTR_CONFIG", {}, { body: "g=1048576\nh=2\n" });
    expect(await info()).toBe(INFO('{"g":1048576,"h":2}'));
    expect(await broker.ask("UPDATE_COLD_DATA_FLOW_CTR_CONFIG", {}, { body: "i=1\ng=much\n" })).toMatchObject({
      code: ResponseCode.INVALID_PARAMETER,
    });
    await broker.ask("REMOVE_COLD_DATA_FLOW_CTR_CONFIG", {}, { body: "g" });
    expect(await info()).toBe(INFO('{"h":2}'));
  });

  it("refuses them when they are to act", async () => {
    const broker = fakeBroker({ coldDataFlowControlEnable: "true" });
    expect(await broker.ask("UPDATE_COLD_DATA_FLOW_CTR_CONFIG", {}, { body: "g=1" })).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
    });
  });

  it("reads the log in the normal mode and in no other", async () => {
    const broker = fakeBroker();
    const ask = async (mode?: string) =>
      broker.ask("SET_COMMITLOG_READ_MODE", {}, mode === undefined ? {} : { fields: { READ_AHEAD_MODE: mode } });
    expect(await ask("0")).toMatchObject({ code: 0, remark: "set commitlog readahead mode success, mode: 0" });
    expect(await ask("1")).toMatchObject({ code: ResponseCode.SYSTEM_ERROR });
    expect(await ask("7")).toMatchObject({ code: ResponseCode.INVALID_PARAMETER });
    expect(await ask()).toMatchObject({ code: ResponseCode.SYSTEM_ERROR });
  });
});

describe("cleaning and dumps", () => {
  it("deletes the queues of topics that no longer exist, never a system topic's", async () => {
    const broker = await withTopic();
    await broker.store.fill("Gone", 0, 1);
    await broker.store.fill("rmq_sys_wheel_timer", 0, 1);
    await broker.ask("CLEAN_UNUSED_TOPIC");
    expect(broker.store.topics().sort()).toEqual(["T", "rmq_sys_wheel_timer"]);
  });

  it("gives slaves the tables as they are written", async () => {
    const broker = await withTopic();
    broker.offsets.commit("g", "T", 0, 4);
    expect(String((await broker.ask("GET_ALL_CONSUMER_OFFSET")).body)).toContain('"T@g":{0:4}');
    expect(String((await broker.ask("GET_ALL_DELAY_OFFSET")).body)).toContain('"offsetTable":{}');
  });
});
