import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostBytes } from "../base/host.ts";
import { parseMessageId } from "../message/messageId.ts";
import { BORN_HOST_V6 } from "../message/sysFlag.ts";
import { newTopicConfig, PERM_READ } from "../protocol/bodies/topicConfig.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import type { Fields } from "../protocol/frameWriter.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import { FLAG_ONEWAY } from "../protocol/headerView.ts";
import type { StoredMessage } from "../store/types.ts";
import { type WireBroker, type WireClient, type WireReply, wireBroker } from "../testing/wireBroker.ts";

let broker: WireBroker;
let client: WireClient;

async function start(options: Record<string, string> = {}): Promise<void> {
  broker = await wireBroker(options);
  client = broker.client();
}

beforeEach(() => start());
afterEach(() => broker.close());

const properties = (entries: Record<string, string>) =>
  Object.entries(entries)
    .map(([name, value]) => `${name}\u0001${value}\u0002`)
    .join("");

const UNIQUE = "7F0000010A2B18B4AAC2000000000001";

/** The V2 header of an ordinary message. */
function header(more: Fields = {}): Fields {
  return {
    a: "producers",
    b: "T",
    c: "TBW102",
    d: 4,
    e: 1,
    f: 0,
    g: 1_690_000_000_000,
    h: 7,
    i: properties({ UNIQ_KEY: UNIQUE, TAGS: "a" }),
    j: 0,
    k: false,
    m: false,
    ...more,
  };
}

const send = (more: Fields = {}, body: Buffer | string = "hello", version?: number): Promise<WireReply> =>
  client.ask("SEND_MESSAGE_V2", header(more), version === undefined ? { body } : { body, version });

async function messageOf(reply: WireReply): Promise<StoredMessage> {
  const id = parseMessageId(reply.fields.msgId);
  if (id === undefined) throw new Error(`"${reply.fields.msgId}" is no message id`);
  return stored(id.logOffset);
}

async function stored(logOffset: number): Promise<StoredMessage> {
  const message = await broker.store.messageAt(logOffset);
  if (message === undefined) throw new Error(`no message at ${logOffset}`);
  return message;
}

/** The message at a queue offset. */
async function listed(topic: string, queueId: number, queueOffset: number): Promise<StoredMessage> {
  const [unit] = await broker.store.units(topic, queueId, queueOffset, 1);
  return stored(unit.logOffset);
}

const COMMON = { MSG_REGION: "DefaultRegion", TRACE_ON: "true" };

describe("a message sent", () => {
  it("rule 3: is acknowledged with region, trace switch, ids and offsets", async () => {
    const first = await send();
    expect(first).toMatchObject({ code: 0, remark: undefined, body: Buffer.alloc(0) });
    expect(first.fields).toEqual({
      ...COMMON,
      msgId: "7F00000100002A9F0000000000000000",
      queueId: "1",
      queueOffset: "0",
      transactionId: UNIQUE,
    });
    const second = await send();
    expect(second.fields.queueOffset).toBe("1");
    expect(parseMessageId(second.fields.msgId)).toEqual({
      host: hostBytes("127.0.0.1", 10911),
      logOffset: broker.store.maxLogOffset() / 2,
    });
  });

  it("is stored with all that its sender said and what Apache's broker adds", async () => {
    const message = await messageOf(await send());
    expect(message).toMatchObject({
      topic: "T",
      queueId: 1,
      flag: 7,
      sysFlag: 0,
      queueOffset: 0,
      bornTimestamp: 1_690_000_000_000,
      bornHost: client.caller.host,
      storeHost: hostBytes("127.0.0.1", 10911),
      storeTimestamp: broker.clock.now(),
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
    });
    expect(message.body.toString()).toBe("hello");
    expect(Object.fromEntries(message.properties)).toEqual({
      UNIQ_KEY: UNIQUE,
      TAGS: "a",
      ...COMMON,
      CLUSTER: "DefaultCluster",
    });
  });

  it("takes the properties' last separator as given or adds it", async () => {
    const open = await messageOf(await send({ i: `UNIQ_KEY\u0001${UNIQUE}` }));
    expect(Object.fromEntries(open.properties)).toEqual({ UNIQ_KEY: UNIQUE, ...COMMON, CLUSTER: "DefaultCluster" });
  });

  it("in the long names of SEND_MESSAGE is the same message", async () => {
    const reply = await client.ask(
      "SEND_MESSAGE",
      {
        producerGroup: "producers",
        topic: "T",
        defaultTopic: "TBW102",
        defaultTopicQueueNums: 4,
        queueId: 1,
        sysFlag: 0,
        bornTimestamp: 1_690_000_000_000,
        flag: 7,
        properties: properties({ UNIQ_KEY: UNIQUE }),
        reconsumeTimes: 0,
      },
      { body: "hello" },
    );
    expect(reply.fields).toMatchObject({ queueId: "1", queueOffset: "0", transactionId: UNIQUE });
    expect(await messageOf(reply)).toMatchObject({ topic: "T", queueId: 1, flag: 7, bornTimestamp: 1_690_000_000_000 });
  });

  it("in the binary serialization is acknowledged in it", async () => {
    const reply = await client.ask("SEND_MESSAGE_V2", header(), { body: "hello", serialization: 1 });
    expect(reply).toMatchObject({ code: 0, serialization: 1 });
    expect(reply.fields).toEqual({
      ...COMMON,
      msgId: "7F00000100002A9F0000000000000000",
      queueId: "1",
      queueOffset: "0",
      transactionId: UNIQUE,
    });
  });

  it("obeys traceOn and regionId as they are changed", async () => {
    expect((await send()).fields).toMatchObject({ MSG_REGION: "DefaultRegion", TRACE_ON: "true" });
    broker.config.traceOn = false;
    broker.config.regionId = "elsewhere";
    const reply = await send();
    expect(reply.fields).toMatchObject({ MSG_REGION: "elsewhere", TRACE_ON: "false" });
    const { properties } = await messageOf(reply);
    expect([properties.get("MSG_REGION"), properties.get("TRACE_ON")]).toEqual(["elsewhere", "false"]);
  });

  it("oneway is stored and not answered", async () => {
    client.send("SEND_MESSAGE_V2", header(), { body: "quiet", flag: FLAG_ONEWAY });
    client.send("SEND_MESSAGE_V2", header({ i: "" }), { body: "quiet, too", flag: FLAG_ONEWAY });
    client.send("SEND_MESSAGE_V2", header({ b: "SELF_TEST_TOPIC" }), { flag: FLAG_ONEWAY });
    await broker.clock.settle();
    expect(client.replies).toEqual([]);
    expect((await listed("T", 1, 0)).body.toString()).toBe("quiet");
    expect((await listed("T", 1, 1)).body.toString()).toBe("quiet, too");
  });

  it("without a unique key gets one, which the reply tells", async () => {
    for (const i of [undefined, "", properties({ TAGS: "x" }), properties({ UNIQ_KEY: "" })]) {
      const reply = await send({ i });
      expect(reply.fields.transactionId).toMatch(/^[0-9A-F]{32}$/);
      const message = await messageOf(reply);
      expect(message.properties.get("UNIQ_KEY")).toBe(reply.fields.transactionId);
      expect(message.body.toString()).toBe("hello");
    }
  });

  it("for queue -1 goes to any of the topic's queues, which the reply tells", async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 60; i++) {
      const reply = await send({ e: -1 });
      seen.add(reply.fields.queueId);
      expect((await messageOf(reply)).queueId).toBe(Number(reply.fields.queueId));
    }
    expect([...seen].sort()).toEqual(["0", "1", "2", "3"]);
  });

  it("from an IPv6 address keeps it", async () => {
    const far = broker.client("127.0.0.1:5");
    Object.assign(far.caller, { host: hostBytes("2001:db8::1", 5000) });
    const message = await messageOf(await far.ask("SEND_MESSAGE_V2", header(), { body: "six" }));
    expect(message.sysFlag & BORN_HOST_V6).toBe(BORN_HOST_V6);
    expect(message.bornHost).toEqual(hostBytes("2001:db8::1", 5000));
    expect(message.body.toString()).toBe("six");
  });

  it("with properties the broker sets itself has them replaced, and loses POP_CK", async () => {
    const message = await messageOf(
      await send({ i: properties({ UNIQ_KEY: UNIQUE, MSG_REGION: "forged", POP_CK: "1 2 3", CLUSTER: "forged" }) }),
    );
    expect(Object.fromEntries(message.properties)).toEqual({ UNIQ_KEY: UNIQUE, ...COMMON, CLUSTER: "DefaultCluster" });
  });

  it("with a priority goes to the queue of that number, unless it is delayed or ordered", async () => {
    const priority = (n: string, more: Record<string, string> = {}) =>
      send({ i: properties({ UNIQ_KEY: UNIQUE, _SYS_MSG_PRIORITY_: n, ...more }) });
    expect((await priority("3")).fields.queueId).toBe("3");
    expect((await priority("0")).fields.queueId).toBe("0");
    expect((await priority("9")).fields.queueId).toBe("3");
    for (const more of [{ __SHARDINGKEY: "k" }, { DELAY: "1" }]) {
      const reply = await priority("3", more);
      expect(reply.fields.queueId).toBe("1");
      expect((await messageOf(reply)).properties.has("_SYS_MSG_PRIORITY_")).toBe(false);
    }
  });

  it("creates its topic from the default topic, with as many queues as asked but no more than that has", async () => {
    await send({ b: "few", d: 2 });
    await send({ b: "many", d: 64 });
    expect(broker.topics.get("few")).toMatchObject({ readQueueNums: 2, writeQueueNums: 2, perm: 6 });
    expect(broker.topics.get("many")).toMatchObject({ writeQueueNums: 8 });
  });
});

describe("a delayed message", () => {
  it("waits in SCHEDULE_TOPIC_XXXX, is acknowledged for the queue it asked for, and is delivered when due", async () => {
    const reply = await send({ i: properties({ UNIQ_KEY: UNIQUE, TAGS: "a", DELAY: "3" }) });
    expect(reply).toMatchObject({ code: 0, fields: { queueId: "1", queueOffset: "0", transactionId: UNIQUE } });
    const waiting = await messageOf(reply);
    expect(waiting).toMatchObject({ topic: "SCHEDULE_TOPIC_XXXX", queueId: 2 });
    expect(waiting.properties.get("REAL_TOPIC")).toBe("T");
    expect(waiting.properties.get("REAL_QID")).toBe("1");
    await broker.clock.advance(9_000);
    expect(broker.store.maxOffset("T", 1)).toBe(0);
    await broker.clock.advance(2_000);
    expect(broker.store.maxOffset("T", 1)).toBe(1);
    expect((await listed("T", 1, 0)).body.toString()).toBe("hello");
  });

  it("of a level above the maximum waits for the maximum", async () => {
    const waiting = await messageOf(await send({ i: properties({ UNIQ_KEY: UNIQUE, DELAY: "99" }) }));
    expect(waiting).toMatchObject({ topic: "SCHEDULE_TOPIC_XXXX", queueId: 17 });
  });

  it("of level 0 is not delayed", async () => {
    expect(await messageOf(await send({ i: properties({ UNIQ_KEY: UNIQUE, DELAY: "0" }) }))).toMatchObject({
      topic: "T",
    });
  });

  it("with a level that is no number is refused", async () => {
    expect(await send({ i: properties({ DELAY: "soon" }) })).toMatchObject({
      code: 1,
      remark: 'the property DELAY is "soon", not a delay level',
      fields: COMMON,
    });
  });
});

describe("a message to a retry topic", () => {
  const retry = (more: Fields = {}, version?: number) =>
    send({ b: "%RETRY%g", e: 0, i: properties({ UNIQ_KEY: UNIQUE, DELAY: "3" }), j: 1, ...more }, "again", version);

  it("creates that topic with one queue, and waits its level", async () => {
    const message = await messageOf(await retry());
    expect(message).toMatchObject({ topic: "SCHEDULE_TOPIC_XXXX", queueId: 2, reconsumeTimes: 1 });
    expect(message.properties.get("REAL_TOPIC")).toBe("%RETRY%g");
    expect(broker.topics.get("%RETRY%g")).toMatchObject({ perm: 6 });
  });

  it("after its last retry goes to the dead letters, without delay", async () => {
    const message = await messageOf(await retry({ j: 17 }));
    expect(message).toMatchObject({ topic: "%DLQ%g", queueId: 0, reconsumeTimes: 17 });
    expect(broker.topics.get("%DLQ%g")).toMatchObject({ writeQueueNums: 1, perm: 6 });
    expect(await messageOf(await retry({ j: 16 }))).toMatchObject({ topic: "SCHEDULE_TOPIC_XXXX" });
  });

  it("obeys the consumer's own limit since client 3.4.9", async () => {
    expect(await messageOf(await retry({ j: 3, l: 2 }))).toMatchObject({ topic: "%DLQ%g" });
    expect(await messageOf(await retry({ j: 2, l: 2 }))).toMatchObject({ topic: "SCHEDULE_TOPIC_XXXX" });
    expect(await messageOf(await retry({ j: 3, l: 2 }, MQVersion.V3_4_9 - 1))).toMatchObject({
      topic: "SCHEDULE_TOPIC_XXXX",
    });
  });

  it("of a group that consumes in order goes to the dead letters at once", async () => {
    const queue = { brokerName: "broker-a", topic: "T", queueId: 0 };
    broker.locks.tryLock("g", queue, "someone");
    expect(await messageOf(await retry())).toMatchObject({ topic: "%DLQ%g" });
    await broker.clock.advance(61_000);
    expect(await messageOf(await retry())).toMatchObject({ topic: "SCHEDULE_TOPIC_XXXX" });
  });

  it("of a group that does not exist is refused", async () => {
    await broker.close();
    await start({ autoCreateSubscriptionGroup: "false" });
    expect(await retry()).toMatchObject({
      code: 26,
      remark: `subscription group not exist, g ${FAQ_HINT}`,
      fields: COMMON,
    });
  });

  it("in a batch is refused", async () => {
    expect(
      await client.ask("SEND_BATCH_MESSAGE", header({ b: "%RETRY%g", e: 0, m: true }), { body: batch([["x", ""]]) }),
    ).toMatchObject({
      code: 13,
      remark: "batch request does not support retry group %RETRY%g",
      fields: COMMON,
    });
  });
});

/** MessageDecoder.encodeMessages. */
function batch(messages: [body: string, properties: string][]): Buffer {
  return Buffer.concat(
    messages.map(([body, props]) => {
      const b = Buffer.from(body);
      const p = Buffer.from(props);
      const out = Buffer.alloc(22 + b.length + p.length);
      out.writeInt32BE(out.length, 0);
      out.writeInt32BE(42, 12);
      out.writeInt32BE(b.length, 16);
      b.copy(out, 20);
      out.writeInt16BE(p.length, 20 + b.length);
      p.copy(out, 22 + b.length);
      return out;
    }),
  );
}

describe("a batch", () => {
  const three = batch([
    ["one", properties({ UNIQ_KEY: "U1", TAGS: "a" })],
    ["two", properties({ UNIQ_KEY: "U2", TAGS: "b" })],
    ["", ""],
  ]);

  it.each(["SEND_BATCH_MESSAGE", "SEND_MESSAGE_V2"] as const)(
    "by %s is acknowledged with all ids and the first queue offset",
    async (code) => {
      await send();
      const reply = await client.ask(code, header({ m: true }), { body: three });
      expect(reply).toMatchObject({
        code: 0,
        fields: { ...COMMON, queueId: "1", queueOffset: "1", transactionId: UNIQUE },
      });
      const ids = reply.fields.msgId.split(",");
      expect(ids).toHaveLength(3);
      for (const [i, id] of ids.entries()) {
        const message = await stored(parseMessageId(id)?.logOffset ?? -1);
        expect(message).toMatchObject({
          topic: "T",
          queueId: 1,
          queueOffset: 1 + i,
          flag: 42,
          bornHost: client.caller.host,
        });
        expect(message.body.toString()).toBe(["one", "two", ""][i]);
        expect(message.properties.get("UNIQ_KEY")).toBe(["U1", "U2", undefined][i]);
      }
    },
  );

  it.each<[string, Buffer, string]>([
    ["cut short", three.subarray(0, three.length - 1), "message 2 has only 21 bytes"],
    [
      "with a body length beyond its end",
      Buffer.concat([Buffer.alloc(16), Buffer.from([0x7f, 0, 0, 0]), Buffer.alloc(9)]),
      "message 0: body length 2130706432",
    ],
  ])("%s is refused, and nothing of it stored", async (_, body, reason) => {
    const reply = await client.ask("SEND_BATCH_MESSAGE", header({ m: true }), { body });
    expect(reply).toMatchObject({ code: 13, remark: `the batch cannot be read: ${reason}`, fields: COMMON });
    expect(broker.store.maxLogOffset()).toBe(0);
  });

  it("without a message is refused", async () => {
    expect(await client.ask("SEND_BATCH_MESSAGE", header({ m: true }), { body: "" })).toMatchObject({
      code: 13,
      remark: "the batch cannot be read: it has no message",
    });
  });

  it("with one message that is too large is refused as a whole", async () => {
    await broker.close();
    await start({ maxMessageSize: "1000" });
    const reply = await client.ask("SEND_BATCH_MESSAGE", header({ m: true }), {
      body: batch([
        ["small", ""],
        ["x".repeat(1001), ""],
      ]),
    });
    expect(reply.code).toBe(13);
    expect(reply.remark).toContain("message 1 of the batch: the body has 1001 bytes, maxMessageSize is 1000");
    expect(broker.store.maxOffset("T", 1)).toBe(0);
  });
});

describe("a refusal", () => {
  const ILLEGAL =
    "the message is illegal, maybe msg body or properties length not matched. msg body length limit 4194304B, msg properties length limit 32KB. ";

  it("rule 25: of an unknown topic when none may be created", async () => {
    await broker.close();
    await start({ autoCreateTopicEnable: "false" });
    expect(await send()).toMatchObject({
      code: 17,
      remark: `topic[T] not exist, apply first please!${FAQ_HINT}`,
      fields: COMMON,
    });
  });

  it("of everything before startAcceptSendRequestTimeStamp", async () => {
    broker.config.startAcceptSendRequestTimeStamp = new Date(2100, 0, 2, 3, 4, 5, 6).getTime();
    expect(await send()).toMatchObject({
      code: 1,
      remark: "broker unable to service, until 2100-01-02 03:04:05,006",
      fields: COMMON,
    });
    broker.config.startAcceptSendRequestTimeStamp = 1;
    expect(await send()).toMatchObject({ code: 0 });
  });

  it("rule 25: of an illegal message: a body above 4 MiB, properties above 32 KB", async () => {
    expect(await send({}, Buffer.alloc(4194305))).toMatchObject({
      code: 13,
      remark: `${ILLEGAL}the body has 4194305 bytes, maxMessageSize is 4194304`,
      fields: COMMON,
    });
    expect(await send({}, Buffer.alloc(4194304, 1))).toMatchObject({ code: 0 });
    const long = await send({ i: properties({ UNIQ_KEY: UNIQUE, x: "y".repeat(33_000) }) });
    expect(long.code).toBe(13);
    expect(long.remark).toMatch(
      /^the message is illegal.* the properties take \d+ bytes, at most 32767 fit into a message$/,
    );
    expect(await send({ i: properties({ x: "y".repeat(33_000) }) })).toMatchObject({ code: 13 });
  });

  it.each([
    ["", "The specified topic is blank."],
    ["a b", "The specified topic: a b, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"],
    ["x".repeat(128), `The specified topic: ${"x".repeat(128)}, is longer than topic max length: 127`],
  ])('of the topic name "%s"', async (topic, remark) => {
    expect(await send({ b: topic })).toMatchObject({ code: 29, remark, fields: COMMON });
  });

  it.each(["SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT"])(
    "rule 25: of the broker's own topic %s",
    async (topic) => {
      expect(await send({ b: topic, e: 0 })).toMatchObject({
        code: 16,
        remark: `Sending message to topic[${topic}] is forbidden.`,
        fields: COMMON,
      });
    },
  );

  it("of a queue that the topic does not have", async () => {
    const reply = await send({ e: 4 });
    expect(reply).toMatchObject({ code: 29, fields: COMMON });
    expect(reply.remark).toBe(
      "request queueId[4] is illegal, TopicConfig [topicName=T, readQueueNums=4, writeQueueNums=4, perm=RW-, " +
        `topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={}] Producer: ${client.caller.address}`,
    );
  });

  it("rule 25: of an ordered topic when the broker may not be written to", async () => {
    await send();
    broker.config.brokerPermission = PERM_READ;
    expect(await send()).toMatchObject({ code: 0 });
    broker.topics.update([newTopicConfig("O", { order: true })]);
    broker.topics.markOrdered(["O"]);
    expect(await send({ b: "O" })).toMatchObject({
      code: 16,
      remark: `the broker[${broker.config.brokerIP1}] sending message is forbidden`,
    });
  });

  it("of a message without a body, as Apache does", async () => {
    expect(await send({}, "")).toMatchObject({ code: 1, remark: "the message has no body", fields: COMMON });
    expect(broker.store.maxLogOffset()).toBe(0);
  });

  it("of a client that asks for a topic without queues", async () => {
    const reply = await send({ b: "none", d: 0, e: -1 });
    expect(reply).toMatchObject({
      code: 1,
      remark: "topic none has no queue to choose from: its writeQueueNums is 0",
      fields: COMMON,
    });
    expect(broker.store.maxLogOffset()).toBe(0);
  });

  it("because the disk is full names the reason", async () => {
    await send();
    broker.disk.capacityBytes = 0;
    const reply = await send({}, Buffer.alloc(100_000));
    expect(reply).toMatchObject({ code: 14, fields: COMMON });
    expect(reply.remark).not.toBe("");
  });
});

describe("many messages of one turn", () => {
  it("are answered in order, each with its own offsets", async () => {
    const opaques = Array.from({ length: 500 }, (_, i) =>
      client.send("SEND_MESSAGE_V2", header({ e: i % 4, i: properties({ UNIQ_KEY: `U${i}` }) }), { body: `m${i}` }),
    );
    await broker.clock.settle();
    expect(client.replies.map((reply) => reply.opaque)).toEqual(opaques);
    for (const [i, reply] of client.replies.entries()) {
      expect(reply.fields).toMatchObject({
        queueId: String(i % 4),
        queueOffset: String(i >> 2),
        transactionId: `U${i}`,
      });
    }
    expect((await messageOf(client.replies[499])).body.toString()).toBe("m499");
  });

  it("are not answered to a connection that has gone, and are stored all the same", async () => {
    client.send("SEND_MESSAGE_V2", header(), { body: "last words" });
    client.caller.close();
    await broker.clock.settle();
    expect(client.replies).toEqual([]);
    expect((await listed("T", 1, 0)).body.toString()).toBe("last words");
  });
});
