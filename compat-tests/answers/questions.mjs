// What is asked of both servers, in this order, over one raw connection that is also a producer and a consumer: each answer's code, remark,
// fields and body are compared. `differs` names the parts that may differ, with the reason; every other difference is a failure.
// `waitMs`: asked so much later; `pick`: what of the reply is compared instead of its body and fields.

import { broadcastQuestions } from "./broadcastQuestions.mjs";
import { PRIORITY_QUESTIONS } from "./priorityQuestions.mjs";
import { QUERY_QUESTIONS } from "./queryQuestions.mjs";
import { TIMER_QUESTIONS } from "./timerQuestions.mjs";

const T = "T";
const G = "g";
const json = (value) => Buffer.from(JSON.stringify(value));
const queue = { brokerName: "broker-a", queueId: 0, topic: T };

export const CLIENT_ID = "127.0.0.1@raw";

const heartbeat = json({
  clientID: CLIENT_ID,
  consumerDataSet: [
    {
      consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      consumeType: "CONSUME_PASSIVELY",
      groupName: "online",
      messageModel: "CLUSTERING",
      subscriptionDataSet: [
        {
          classFilterMode: false,
          codeSet: [97],
          expressionType: "TAG",
          subString: "a",
          subVersion: 7,
          tagsSet: ["a"],
          topic: T,
        },
      ],
      unitMode: false,
    },
  ],
  heartbeatFingerprint: 0,
  isWithoutSub: false,
  producerDataSet: [{ groupName: "producers" }],
});

const topic = (name, more = {}) => ({
  topic: name,
  defaultTopic: "TBW102",
  readQueueNums: 1,
  writeQueueNums: 1,
  perm: 6,
  topicFilterType: "SINGLE_TAG",
  topicSysFlag: 0,
  order: false,
  ...more,
});

const send = (to, tag, more = {}) => ({
  a: "producers",
  b: to,
  c: "TBW102",
  d: 4,
  e: 0,
  f: 0,
  g: 1_700_000_000_000,
  h: 0,
  i: `UNIQ_KEY\u0001${"0".repeat(31)}${tag.length}\u0002TAGS\u0001${tag}\u0002KEYS\u0001key\u0002`,
  j: 0,
  k: false,
  l: 0,
  m: false,
  ...more,
});

const pull = (more = {}) => ({
  consumerGroup: G,
  topic: T,
  queueId: 0,
  queueOffset: 0,
  maxMsgNums: 1,
  sysFlag: 4,
  commitOffset: 0,
  suspendTimeoutMillis: 0,
  subscription: "*",
  subVersion: 0,
  expressionType: "TAG",
  ...more,
});

const ourReason = (why) => ({ differs: { remark: why } });
const UNSET = { differs: { remark: "Apache leaves its default remark on a success that it did not set itself" } };
const NULL_POINTER = "Apache trips over a null, here the remark says what is missing";

/** @type {{ name: string, code: number, ext?: Record<string, unknown>, body?: Buffer, differs?: Record<string, string> }[]} */
export const QUESTIONS = [
  { name: "create a topic", code: 17, ext: topic(T), ...UNSET },
  { name: "create another", code: 17, ext: topic("Empty", { readQueueNums: 2, writeQueueNums: 2 }), ...UNSET },
  { name: "create a group", code: 200, body: json({ groupName: G, retryMaxTimes: 3 }) },
  ...["a", "b", "a", "b", "a"].map((tag, i) => ({
    name: `send ${i}`,
    code: 310,
    ext: send(T, tag),
    body: Buffer.from(`m${i}`),
  })),
  { name: "commit an offset", code: 15, ext: { consumerGroup: G, topic: T, queueId: 0, commitOffset: 2 } },
  {
    name: "commit for an unknown group",
    code: 15,
    ext: { consumerGroup: "no", topic: T, queueId: 0, commitOffset: 2 },
  },
  { name: "commit on an unknown topic", code: 15, ext: { consumerGroup: G, topic: "No", queueId: 0, commitOffset: 2 } },
  { name: "offset", code: 14, ext: { consumerGroup: G, topic: T, queueId: 0 } },
  { name: "offset of another group", code: 14, ext: { consumerGroup: "other", topic: T, queueId: 0 } },
  {
    name: "offset of another group, not zero",
    code: 14,
    ext: { consumerGroup: "other", topic: T, queueId: 0, setZeroIfNotFound: false },
  },
  { name: "progress on a topic", code: 208, ext: { consumerGroup: G, topic: T } },
  { name: "progress of a group", code: 208, ext: { consumerGroup: G } },
  { name: "progress of nobody", code: 208, ext: { consumerGroup: "nobody" } },
  { name: "progress on an unknown topic", code: 208, ext: { consumerGroup: G, topic: "No" } },
  { name: "time span", code: 303, ext: { topic: T, group: G } },
  { name: "time span of an unknown topic", code: 303, ext: { topic: "No", group: G } },
  { name: "who consumes", code: 300, ext: { topic: T } },
  { name: "who consumes an unknown topic", code: 300, ext: { topic: "No" } },
  { name: "topics of a group", code: 343, ext: { group: G } },
  { name: "topics of nobody", code: 343, ext: { group: "nobody" } },
  { name: "subscription of a group that is away", code: 345, ext: { group: G, topic: T } },
  { name: "correction", code: 308, ext: { topic: T, compareGroup: G } },
  { name: "correction against nobody", code: 308, ext: { topic: T, compareGroup: "nobody" } },
  { name: "clone", code: 314, ext: { srcGroup: G, destGroup: "copy", topic: T, offline: true } },
  { name: "offset of the clone", code: 14, ext: { consumerGroup: "copy", topic: T, queueId: 0 } },
  { name: "consumers of a group that is away", code: 203, ext: { consumerGroup: G } },
  { name: "producers of nobody", code: 204, ext: { producerGroup: "nobody" } },
  { name: "all producers", code: 328, ext: {} },
  { name: "members of a group that is away", code: 38, ext: { consumerGroup: G } },
  { name: "heartbeat", code: 34, body: heartbeat },
  { name: "consumers of a group", code: 203, ext: { consumerGroup: "online" } },
  { name: "producers of a group", code: 204, ext: { producerGroup: "producers" } },
  { name: "all producers, one", code: 328, ext: {} },
  { name: "members of a group", code: 38, ext: { consumerGroup: "online" } },
  { name: "subscription", code: 345, ext: { group: "online", topic: T } },
  { name: "subscription to another topic", code: 345, ext: { group: "online", topic: "Empty" } },
  { name: "who consumes, with an online group", code: 300, ext: { topic: T } },
  { name: "state of a client that is away", code: 307, ext: { consumerGroup: "online", clientId: "nobody" } },
  {
    name: "order to a client that is away",
    code: 309,
    ext: {
      consumerGroup: "online",
      clientId: "nobody",
      msgId: "7F00000100002A9F0000000000000000",
      brokerName: "broker-a",
    },
  },
  {
    name: "status of a client that is away",
    code: 223,
    ext: { topic: T, group: "online", clientAddr: "nobody" },
    ...UNSET,
  },
  {
    name: "status of a group that is away",
    code: 223,
    ext: { topic: T, group: "nobody" },
    ...ourReason(NULL_POINTER),
  },
  { name: "lock", code: 41, body: json({ clientId: "a", consumerGroup: G, mqSet: [queue], onlyThisBroker: false }) },
  { name: "lock by another", code: 41, body: json({ clientId: "b", consumerGroup: G, mqSet: [queue] }) },
  { name: "unlock by another", code: 42, body: json({ clientId: "b", consumerGroup: G, mqSet: [queue] }) },
  { name: "unlock", code: 42, body: json({ clientId: "a", consumerGroup: G, mqSet: [queue] }) },
  { name: "lock once more", code: 41, body: json({ clientId: "b", consumerGroup: G, mqSet: [queue] }) },
  { name: "reset to the end", code: 222, ext: { topic: T, group: G, timestamp: -1, isForce: true, queueId: -1 } },
  {
    name: "reset of a queue",
    code: 222,
    ext: { topic: T, group: G, timestamp: 0, isForce: true, queueId: 0, offset: 1 },
  },
  {
    name: "reset beyond the end",
    code: 222,
    ext: { topic: T, group: G, timestamp: 0, isForce: true, queueId: 0, offset: 99 },
  },
  { name: "reset of an unknown group", code: 222, ext: { topic: T, group: "no", timestamp: -1, isForce: true } },
  { name: "reset on an unknown topic", code: 222, ext: { topic: "No", group: G, timestamp: -1, isForce: true } },
  { name: "offset while a reset waits", code: 14, ext: { consumerGroup: G, topic: T, queueId: 0 } },
  {
    name: "commit while a reset waits",
    code: 15,
    ext: { consumerGroup: G, topic: T, queueId: 0, commitOffset: 4 },
  },
  { name: "progress while a reset waits", code: 208, ext: { consumerGroup: G, topic: T } },
  { name: "pull that is told of the reset", code: 11, ext: pull({ queueOffset: 5 }) },
  { name: "pull after it", code: 11, ext: pull({ queueOffset: 5 }) },
  { name: "progress after the reset", code: 208, ext: { consumerGroup: G, topic: T } },
  {
    name: "units of a queue",
    code: 321,
    ext: { topic: T, queueId: 0, index: 0, count: 2, consumerGroup: "online" },
    ...UNSET,
  },
  { name: "units beyond the end", code: 321, ext: { topic: T, queueId: 0, index: 9, count: 2 } },
  { name: "units of an unknown queue", code: 321, ext: { topic: T, queueId: 7, index: 0, count: 2 } },
  { name: "state of a topic", code: 202, ext: { topic: T } },
  { name: "state of an unknown topic", code: 202, ext: { topic: "No" } },
  { name: "config of a topic", code: 351, ext: { topic: T } },
  { name: "config of an unknown topic", code: 351, ext: { topic: "No" } },
  { name: "config of a group", code: 352, ext: { group: G } },
  { name: "forbid", code: 353, ext: { group: G, topic: T, readable: false } },
  { name: "forbidden?", code: 353, ext: { group: G, topic: T } },
  { name: "allow", code: 353, ext: { group: G, topic: T, readable: true } },
  { name: "largest offset", code: 30, ext: { topic: T, queueId: 0 } },
  { name: "smallest offset", code: 31, ext: { topic: T, queueId: 0 } },
  { name: "largest offset of an unknown queue", code: 30, ext: { topic: "No", queueId: 3 } },
  { name: "offset by time", code: 29, ext: { topic: T, queueId: 0, timestamp: 1 } },
  { name: "offset by a time to come", code: 29, ext: { topic: T, queueId: 0, timestamp: 4_000_000_000_000 } },
  ...QUERY_QUESTIONS,
  ...PRIORITY_QUESTIONS,
  ...broadcastQuestions(CLIENT_ID),
  ...TIMER_QUESTIONS,
  {
    name: "reply that names nobody",
    code: 325,
    ext: send("DefaultCluster_REPLY_TOPIC", "a"),
    body: Buffer.from("reply"),
  },
  {
    name: "reply to a stranger",
    code: 325,
    ext: send("DefaultCluster_REPLY_TOPIC", "a", { i: "REPLY_TO_CLIENT\u0001stranger\u0002" }),
    body: Buffer.from("reply"),
  },
  {
    name: "reply without a body",
    code: 325,
    ext: send("DefaultCluster_REPLY_TOPIC", "a"),
    differs: { remark: NULL_POINTER, fields: "region and trace switch are told with every refusal of a send" },
  },
  {
    name: "reply to an unknown topic",
    code: 325,
    ext: send("No", "a", { c: "None" }),
    body: Buffer.from("reply"),
  },
  { name: "delete a group", code: 207, ext: { groupName: G, cleanOffset: true } },
  { name: "progress of a deleted group", code: 208, ext: { consumerGroup: G } },
  { name: "say goodbye", code: 35, ext: { clientID: CLIENT_ID, producerGroup: "producers", consumerGroup: "online" } },
  { name: "consumers after the goodbye", code: 203, ext: { consumerGroup: "online" } },
  { name: "producers after the goodbye", code: 204, ext: { producerGroup: "producers" } },
];
