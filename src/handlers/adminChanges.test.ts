/** What an operator changes stands when it is answered: a kill -9 in the next instant takes nothing of it back. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RequestCode } from "../protocol/generated/requestCodes.ts";
import { type WireBroker, wireBroker } from "../testing/wireBroker.ts";

interface Ask {
  name: keyof typeof RequestCode;
  fields?: Record<string, string | number | boolean>;
  body?: string;
}

const topic = (name: string, more: object = {}): Ask => ({
  name: "UPDATE_AND_CREATE_TOPIC",
  fields: {
    topic: name,
    defaultTopic: "TBW102",
    readQueueNums: 3,
    writeQueueNums: 5,
    perm: 6,
    topicFilterType: "SINGLE_TAG",
    topicSysFlag: 0,
    order: false,
    ...more,
  },
});
const topicOf = (name: string): Ask => ({ name: "GET_TOPIC_CONFIG", fields: { topic: name } });
const group = (groupName: string, more: object = {}): Ask => ({
  name: "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP",
  body: JSON.stringify({ groupName, ...more }),
});
const groupOf = (name: string): Ask => ({ name: "GET_SUBSCRIPTIONGROUP_CONFIG", fields: { group: name } });
const offset = (consumerGroup: string): Ask => ({
  name: "QUERY_CONSUMER_OFFSET",
  fields: { consumerGroup, topic: "Old", queueId: 0 },
});
const forbid = (readable: boolean): Ask => ({
  name: "UPDATE_AND_GET_GROUP_FORBIDDEN",
  fields: { group: "old", topic: "Old", readable },
});

/** [what is changed, how, who shows it, what is seen then] */
const CHANGES: [string, Ask, Ask, RegExp][] = [
  ["a new topic", topic("New"), topicOf("New"), /"readQueueNums":3,.*"writeQueueNums":5/],
  ["a topic's permission", topic("Old", { perm: 4 }), topicOf("Old"), /"perm":4/],
  [
    "a topic's attributes",
    topic("Fifo", { attributes: "+message.type=FIFO" }),
    topicOf("Fifo"),
    /"message\.type":"FIFO"/,
  ],
  [
    "a list of topics",
    {
      name: "UPDATE_AND_CREATE_TOPIC_LIST",
      body: JSON.stringify({
        topicConfigList: [
          { topicName: "L1", perm: 6 },
          { topicName: "L2", perm: 2 },
        ],
      }),
    },
    topicOf("L2"),
    /"perm":2/,
  ],
  ["a topic's deletion", { name: "DELETE_TOPIC_IN_BROKER", fields: { topic: "Old" } }, topicOf("Old"), /^17 /],
  ["a new group", group("new", { retryMaxTimes: 3 }), groupOf("new"), /"retryMaxTimes":3/],
  ["a group's switch", group("old", { consumeEnable: false }), groupOf("old"), /"consumeEnable":false/],
  [
    "a list of groups",
    {
      name: "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST",
      body: JSON.stringify({ groupConfigList: [{ groupName: "g1" }, { groupName: "g2", retryMaxTimes: 7 }] }),
    },
    groupOf("g2"),
    /"retryMaxTimes":7/,
  ],
  [
    "a group's deletion",
    { name: "DELETE_SUBSCRIPTIONGROUP", fields: { groupName: "old", cleanOffset: true } },
    groupOf("old"),
    /^26 /,
  ],
  ["a group forbidden to read a topic", forbid(false), { name: "GET_ALL_SUBSCRIPTIONGROUP_CONFIG" }, /"old":\{"Old":/],
  [
    "how a group consumes",
    {
      name: "SET_MESSAGE_REQUEST_MODE",
      body: JSON.stringify({ topic: "Old", consumerGroup: "old", mode: "POP", popShareQueueNum: 2 }),
    },
    { name: "GET_ALL_MESSAGE_REQUEST_MODE" },
    /"Old":\{"old":\{"consumerGroup":"old","mode":"POP"/,
  ],
  [
    "a reset of offsets",
    {
      name: "INVOKE_BROKER_TO_RESET_OFFSET",
      fields: { topic: "Old", group: "old", timestamp: 0, isForce: true, queueId: 0, offset: 1 },
    },
    offset("old"),
    /"offset":"1"/,
  ],
  [
    "cloned offsets",
    { name: "CLONE_GROUP_OFFSET", fields: { srcGroup: "old", destGroup: "copy", topic: "Old" } },
    offset("copy"),
    /"offset":"2"/,
  ],
];

/** Asking for a group's configuration must not make the group. */
const OPTIONS = { autoCreateSubscriptionGroup: "false" };
/** On a busy machine. */
const LIMIT_MS = 60_000;

let broker: WireBroker;

const asked = async ({ name, fields = {}, body }: Ask): Promise<string> => {
  const reply = await broker.client().ask(name, fields, body === undefined ? {} : { body });
  return `${reply.code} ${reply.remark ?? ""} ${JSON.stringify(reply.fields)} ${reply.body}`;
};

/** Kills the broker where it stands, and starts another one on what it left. */
async function kill9(): Promise<void> {
  const disk = broker.disk.killed(1);
  const now = broker.clock.now();
  await broker.close();
  broker = await wireBroker(OPTIONS, disk, now);
}

beforeEach(async () => {
  broker = await wireBroker(OPTIONS);
  for (const change of [topic("Old"), group("old")]) expect(await asked(change)).toMatch(/^0 /);
  for (let i = 0; i < 3; i++) {
    const fields = { a: "p", b: "Old", c: "TBW102", d: 4, e: 0, f: 0, g: 1, h: 0, i: `UNIQ_KEY\u0001k${i}\u0002` };
    expect(await asked({ name: "SEND_MESSAGE_V2", fields, body: "x" })).toMatch(/^0 /);
  }
  broker.offsets.commit("old", "Old", 0, 2);
  await broker.offsets.persist();
}, LIMIT_MS);
afterEach(() => broker.close(), LIMIT_MS);

describe("kill -9 behind the answer", () => {
  it.each(CHANGES)("keeps %s", async (_, change, shows, seen) => {
    expect(await asked(shows)).not.toMatch(seen);
    expect(await asked(change)).toMatch(/^0 /);
    expect(await asked(shows)).toMatch(seen);
    await kill9();
    expect(await asked(shows)).toMatch(seen);
  });
});
