import { describe, expect, it } from "vitest";
import { TOPIC_QUEUES_MAX } from "../base/limits.ts";
import { silentLogger } from "../base/log.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { type TopicOptions, Topics } from "./topics.ts";

const FILE = "/store/config/topics.json";
const OPTIONS: TopicOptions = {
  brokerClusterName: "DefaultCluster",
  brokerName: "broker-a",
  autoCreateTopicEnable: true,
  defaultTopicQueueNums: 8,
  clusterTopicEnable: true,
  brokerTopicEnable: true,
  traceTopicEnable: false,
  msgTraceTopicName: "RMQ_SYS_TRACE_TOPIC",
  reviveQueueNum: 8,
  timerWheelEnable: true,
  enableLmq: false,
};

function make(options: Partial<TopicOptions> = {}, disk = new MemoryDisk(), clock = new FakeClock()) {
  const topics = new Topics({ ...OPTIONS, ...options }, new MetadataFile(disk, FILE), clock, silentLogger());
  return { topics, disk, clock };
}

/** topicConfigTable of a fresh Apache 5.5.0 broker: name, queues, permission. */
const APACHE_SYSTEM_TOPICS: [string, number, number][] = [
  ["SCHEDULE_TOPIC_XXXX", 18, 6],
  ["SELF_TEST_TOPIC", 1, 6],
  ["rmq_sys_wheel_timer", 1, 6],
  ["DefaultCluster", 16, 7],
  ["RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC", 1, 6],
  ["DefaultCluster_REPLY_TOPIC", 1, 6],
  ["rmq_sys_REVIVE_LOG_DefaultCluster", 8, 6],
  ["RMQ_SYS_TRANS_HALF_TOPIC", 1, 6],
  ["rmq_sys_SYNC_BROKER_MEMBER_broker-a", 1, 1],
  ["broker-a", 1, 7],
  ["RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC", 1, 6],
  ["RMQ_SYS_TRANS_OP_HALF_TOPIC", 1, 6],
  ["TBW102", 8, 7],
  ["BenchmarkTest", 1024, 6],
  ["OFFSET_MOVED_EVENT", 1, 6],
];

describe("Topics", () => {
  it("gives a retry topic no more queues than a topic may have, whatever a group's retryQueueNums says", () => {
    const { topics } = make();
    const retry = topics.createInSendBack("%RETRY%g", 2_147_483_647, 6, 0);
    expect([retry.readQueueNums, retry.writeQueueNums]).toEqual([TOPIC_QUEUES_MAX, TOPIC_QUEUES_MAX]);
  });

  it("starts with exactly the system topics of Apache 5.5.0", () => {
    const { topics } = make();
    const found = [...topics.all()].map((t) => [t.topicName, t.writeQueueNums, t.perm]);
    expect(found.sort()).toEqual([...APACHE_SYSTEM_TOPICS].sort());
    for (const t of topics.all()) expect(t.readQueueNums).toBe(t.writeQueueNums);
  });

  it("has TBW102 only while topics may be created, and the trace topic only when it is on", () => {
    const { topics } = make({ autoCreateTopicEnable: false, traceTopicEnable: true });
    expect(topics.has("TBW102")).toBe(false);
    expect(topics.get("RMQ_SYS_TRACE_TOPIC")?.writeQueueNums).toBe(1);
    expect(topics.isSystem("TBW102")).toBe(true);
  });

  it("knows its own names and every rmq_sys_ name as system topics", () => {
    const { topics } = make();
    expect(topics.isSystem("broker-a")).toBe(true);
    expect(topics.isSystem("rmq_sys_anything")).toBe(true);
    expect(topics.isSystem("Orders")).toBe(false);
  });

  it("creates a topic on send from the default topic: the smaller queue count, its permission without inheritance", () => {
    const { topics, clock } = make();
    clock.jump(5);
    const created = topics.createInSend("Orders", "TBW102", 4, 0, "1.2.3.4:5");
    expect(created).toEqual(newTopicConfig("Orders", { readQueueNums: 4, writeQueueNums: 4, perm: 6 }));
    expect(topics.createInSend("Wide", "TBW102", 100, 0, "")?.writeQueueNums).toBe(8);
    expect(topics.createInSend("Negative", "TBW102", -3, 0, "")?.writeQueueNums).toBe(0);
    expect(topics.dataVersion).toEqual({ counter: 3, stateVersion: 0, timestamp: clock.now() });
    expect(topics.createInSend("Orders", "TBW102", 8, 0, "")).toBe(created);
    expect(topics.dataVersion.counter).toBe(3);
  });

  it("creates none when the default topic is unknown, does not inherit, or creation is off", () => {
    const disk = new MemoryDisk();
    expect(make().topics.createInSend("A", "Nope", 4, 0, "")).toBeUndefined();
    expect(make().topics.createInSend("A", "BenchmarkTest", 4, 0, "")).toBeUndefined();
    disk.put(
      FILE,
      '{"topicConfigTable":{"TBW102":{"topicName":"TBW102","perm":7,"readQueueNums":8,"writeQueueNums":8}}}',
    );
    const off = make({ autoCreateTopicEnable: false }, disk);
    expect(off.topics.createInSend("A", "TBW102", 4, 0, "")).toBeUndefined();
    expect(off.topics.get("TBW102")?.perm).toBe(6);
  });

  it("keeps the order mark of a retry topic unless a heartbeat gives another", () => {
    const { topics } = make();
    topics.createInSendBack("%RETRY%g", 1, 6, 0, true);
    expect(topics.createInSendBack("%RETRY%g", 1, 6, 0).order).toBe(true);
    expect(topics.createInSendBack("%RETRY%g", 1, 6, 0, false).order).toBe(false);
  });

  it("tells listeners of changed topics and of deletions", () => {
    const { topics } = make();
    const heard: string[][] = [];
    topics.onChange((changed) => heard.push(changed.map((t) => t.topicName)));
    topics.createInSend("Orders", "TBW102", 4, 0, "");
    topics.update([newTopicConfig("A"), newTopicConfig("B")]);
    expect(topics.delete("A")).toBe(true);
    expect(topics.delete("A")).toBe(false);
    expect(heard).toEqual([["Orders"], ["A", "B"], []]);
  });

  it("writes a file that it reads back, with names that JavaScript objects choke on", async () => {
    const { topics, disk } = make();
    topics.update([newTopicConfig("__proto__", { attributes: new Map([["+message.type", "FIFO"]]), order: true })]);
    await topics.saved();
    const again = make({}, disk).topics;
    expect(again.get("__proto__")).toEqual(topics.get("__proto__"));
    expect(again.dataVersion).toEqual(topics.dataVersion);
    expect(again.get("__proto__")?.attributes).toEqual(new Map([["message.type", "FIFO"]]));
  });

  it("reads Apache's file: pretty, with tabs, its own values before the built-in ones", () => {
    const disk = new MemoryDisk();
    disk.put(
      FILE,
      '{\n\t"dataVersion":{\n\t\t"counter":4,\n\t\t"stateVersion":0,\n\t\t"timestamp":1795264213368\n\t},\n\t"topicConfigTable":{\n\t\t"BenchmarkTest":{"attributes":{},"order":false,"perm":6,"readQueueNums":2,"topicFilterType":"SINGLE_TAG","topicName":"BenchmarkTest","topicSysFlag":0,"writeQueueNums":2}\n\t}\n}',
    );
    const { topics } = make({}, disk);
    expect(topics.get("BenchmarkTest")?.writeQueueNums).toBe(2);
    expect(topics.dataVersion).toEqual({ counter: 4, stateVersion: 0, timestamp: 1795264213368 });
  });

  it("marks topics of ORDER_TOPIC_CONFIG as ordered, once", () => {
    const { topics } = make();
    topics.update([newTopicConfig("A")]);
    topics.markOrdered(["A", "Unknown"]);
    topics.markOrdered(["A"]);
    expect(topics.isOrder("A")).toBe(true);
    expect(topics.dataVersion.counter).toBe(2);
  });

  it("pages in name order and starts over when the version changed between pages", () => {
    const { topics } = make();
    const names = [...topics.all()].map((t) => t.topicName).sort();
    expect(topics.page(0, 3, false).map((t) => t.topicName)).toEqual(names.slice(0, 3));
    expect(topics.page(3, 3, true).map((t) => t.topicName)).toEqual(names.slice(3, 6));
    expect(topics.page(3, 3, false).map((t) => t.topicName)).toEqual(names.slice(0, 3));
    expect(topics.page(100, 3, true)).toEqual([]);
  });
});
