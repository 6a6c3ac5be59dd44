// A broadcasting group one of whose members comes through a proxy: where it is told to go on, and what is committed for the group; see
// questions.mjs.

const TOPIC = "Broadcast";
const GROUP = "broad";
/** RequestSource.PROXY_FOR_BROADCAST */
const PROXY = 1;
const COMMIT_PERIOD_MS = 6_000;

const pull = (queueOffset, more = {}) => ({
  consumerGroup: GROUP,
  topic: TOPIC,
  queueId: 0,
  queueOffset,
  maxMsgNums: 32,
  sysFlag: 4,
  commitOffset: 0,
  suspendTimeoutMillis: 0,
  subscription: "*",
  subVersion: 0,
  expressionType: "TAG",
  ...more,
});
const byProxy = (queueOffset, proxyFrowardClientId) =>
  pull(queueOffset, { requestSource: PROXY, proxyFrowardClientId });
const committed = { code: 14, ext: { consumerGroup: `${GROUP}@broadcast`, topic: TOPIC, queueId: 0 } };
const send = (text) => ({
  a: "producers",
  b: TOPIC,
  c: "TBW102",
  d: 1,
  e: 0,
  f: 0,
  g: 1_700_000_000_000,
  h: 0,
  i: `UNIQ_KEY\u0001${text.repeat(32)}\u0002`,
  j: 0,
  k: false,
  l: 0,
  m: false,
});

/** @param {string} clientId of the connection that asks */
export function broadcastQuestions(clientId) {
  const heartbeat = {
    clientID: clientId,
    consumerDataSet: [
      {
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        consumeType: "CONSUME_PASSIVELY",
        groupName: GROUP,
        messageModel: "BROADCASTING",
        subscriptionDataSet: [
          {
            classFilterMode: false,
            codeSet: [],
            expressionType: "TAG",
            subString: "*",
            subVersion: 0,
            tagsSet: [],
            topic: TOPIC,
          },
        ],
        unitMode: false,
      },
    ],
    heartbeatFingerprint: 0,
    isWithoutSub: false,
    producerDataSet: [],
  };
  return [
    {
      name: "create a topic for broadcasts",
      code: 17,
      ext: {
        topic: TOPIC,
        defaultTopic: "TBW102",
        readQueueNums: 1,
        writeQueueNums: 1,
        perm: 6,
        topicFilterType: "SINGLE_TAG",
        topicSysFlag: 0,
        order: false,
      },
      differs: { remark: "Apache leaves its default remark on a success that it did not set itself" },
    },
    ...["a", "b", "c"].map((text) => ({
      name: `send ${text} to it`,
      code: 310,
      ext: send(text),
      body: Buffer.from(text),
    })),
    { name: "become a broadcasting member", code: 34, ext: {}, body: Buffer.from(JSON.stringify(heartbeat)) },
    { name: "begin through a proxy", code: 11, ext: byProxy(-1, "p") },
    { name: "go on through the proxy", code: 11, ext: byProxy(1, "p") },
    { name: "pull without it", code: 11, ext: pull(2) },
    { name: "come through the proxy what came without it", code: 11, ext: byProxy(0, clientId) },
    { name: "and again, from there", code: 11, ext: byProxy(2, clientId) },
    { name: "pull without the proxy again", code: 11, ext: pull(0) },
    { name: "what is committed for the broadcasting group", ...committed, waitMs: COMMIT_PERIOD_MS },
    { name: "begin through a proxy beside others", code: 11, ext: byProxy(-1, "q") },
    { name: "leave the broadcasting group", code: 35, ext: { clientID: clientId, consumerGroup: GROUP } },
  ];
}
