// Messages with a priority, which chooses their queue (the answer tells which); see questions.mjs.

const TOPIC = "Priority";
const send = (queueId, properties) => ({
  a: "producers",
  b: TOPIC,
  c: "TBW102",
  d: 4,
  e: queueId,
  f: 0,
  g: 1_700_000_000_000,
  h: 0,
  i: Object.entries({ UNIQ_KEY: "1".repeat(32), ...properties })
    .map(([name, value]) => `${name}\u0001${value}\u0002`)
    .join(""),
  j: 0,
  k: false,
  l: 0,
  m: false,
});
const PRIORITY = "_SYS_MSG_PRIORITY_";
const cases = [
  ["of the lowest priority", 3, { [PRIORITY]: 0 }],
  ["of a priority within the queues", 0, { [PRIORITY]: 2 }],
  ["of a priority above the queues", 0, { [PRIORITY]: 9 }],
  ["of a negative priority", 1, { [PRIORITY]: -1 }],
  ["of a priority and with a sharding key", 1, { [PRIORITY]: 2, __SHARDINGKEY: "k" }],
  ["without a priority", 1, {}],
];

export const PRIORITY_QUESTIONS = [
  {
    name: "create a topic for priorities",
    code: 17,
    ext: {
      topic: TOPIC,
      defaultTopic: "TBW102",
      readQueueNums: 4,
      writeQueueNums: 4,
      perm: 6,
      topicFilterType: "SINGLE_TAG",
      topicSysFlag: 0,
      order: false,
    },
    differs: { remark: "Apache leaves its default remark on a success that it did not set itself" },
  },
  ...cases.map(([what, queueId, properties]) => ({
    name: `send a message ${what}`,
    code: 310,
    ext: send(queueId, properties),
    body: Buffer.from("m"),
  })),
];
