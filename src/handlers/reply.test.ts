import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { formatProperties, parseProperties } from "../message/properties.ts";
import { COMPRESSED, TRANSACTION_PREPARED } from "../message/sysFlag.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { type FakeBroker, fakeBroker } from "../testing/brokerParts.ts";
import { answerOf, FakeCaller } from "../testing/fakeCaller.ts";

const TOPIC = "DefaultCluster_REPLY_TOPIC";
const REPLY_TO_ASKER = formatProperties([
  ["CORRELATION_ID", "1"],
  ["REPLY_TO_CLIENT", "asker"],
]);

function withAsker(options: Record<string, string> = {}): { broker: FakeBroker; asker: FakeCaller } {
  const broker = fakeBroker(options);
  broker.topics.createIfAbsent(newTopicConfig(TOPIC, { readQueueNums: 1, writeQueueNums: 1 }));
  const asker = new FakeCaller();
  broker.clients.registerProducer("p", { caller: asker, clientId: "asker", language: "JAVA", version: 493 });
  return { broker, asker };
}

/** A frame of SEND_REPLY_MESSAGE_V2. */
const header = (given: object = {}) => ({
  a: "replier",
  b: TOPIC,
  c: "TBW102",
  d: 4,
  e: 0,
  f: 0,
  g: 1_700,
  h: 5,
  i: REPLY_TO_ASKER,
  j: 0,
  k: false,
  ...given,
});

async function send(broker: FakeBroker, given: object = {}) {
  return broker.ask("SEND_REPLY_MESSAGE_V2", header(given), { body: "answer" });
}

describe("a reply", () => {
  it("is pushed to the client that asked, and stored", async () => {
    const { broker, asker } = withAsker();
    const replier = new FakeCaller("127.0.0.1:40001");
    const reply = await broker.ask("SEND_REPLY_MESSAGE_V2", header(), { body: "answer", caller: replier });
    expect(reply).toMatchObject({
      code: 0,
      header: { MSG_REGION: "DefaultRegion", TRACE_ON: true, queueId: 0, queueOffset: 0 },
    });
    expect(reply.header?.msgId).toMatch(/^7F00000100002A9F[0-9A-F]{16}$/);
    const [pushed] = asker.asked;
    expect(pushed.code).toBe(RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT);
    expect(String(pushed.body)).toBe("answer");
    const { properties, ...rest } = pushed.header;
    expect(rest).toEqual({
      producerGroup: "replier",
      topic: TOPIC,
      defaultTopic: "TBW102",
      defaultTopicQueueNums: 4,
      queueId: 0,
      sysFlag: 0,
      bornTimestamp: 1_700,
      flag: 5,
      reconsumeTimes: 0,
      unitMode: false,
      bornHost: "127.0.0.1:40001",
      storeHost: "127.0.0.1:10911",
      storeTimestamp: broker.clock.now(),
    });
    expect(Object.fromEntries(parseProperties(String(properties)))).toEqual({
      CORRELATION_ID: "1",
      REPLY_TO_CLIENT: "asker",
      MSG_REGION: "DefaultRegion",
      TRACE_ON: "true",
      PUSH_REPLY_TIME: String(broker.clock.now()),
    });
    const stored = [...broker.store.messages.values()];
    expect(stored.map(({ topic, body, flag }) => [topic, String(body), flag])).toEqual([[TOPIC, "answer", 5]]);
    expect(stored[0].properties.has("PUSH_REPLY_TIME")).toBe(false);
  });

  it("comes with long field names from clients that send SEND_REPLY_MESSAGE", async () => {
    const { broker, asker } = withAsker();
    const h = header();
    const long = { producerGroup: h.a, topic: h.b, defaultTopic: h.c, defaultTopicQueueNums: h.d, queueId: h.e };
    const more = { sysFlag: h.f, bornTimestamp: h.g, flag: h.h, properties: h.i };
    const reply = await broker.ask("SEND_REPLY_MESSAGE", { ...long, ...more }, { body: "answer" });
    expect(reply.code).toBe(0);
    expect(asker.asked).toHaveLength(1);
  });

  it("is not stored with storeReplyMessageEnable=false: the answer has zeros where a client reads", async () => {
    const { broker, asker } = withAsker({ storeReplyMessageEnable: "false" });
    expect(await send(broker)).toMatchObject({ code: 0, header: { msgId: "0", queueId: 0, queueOffset: 0 } });
    expect(asker.asked).toHaveLength(1);
    expect(broker.store.messages.size).toBe(0);
  });

  it("keeps the compression flag when stored, and nothing else of sysFlag", async () => {
    const { broker, asker } = withAsker();
    await send(broker, { f: COMPRESSED | 0x300 | TRANSACTION_PREPARED });
    expect(asker.asked[0].header.sysFlag).toBe(COMPRESSED | 0x300 | TRANSACTION_PREPARED);
    expect([...broker.store.messages.values()][0].sysFlag).toBe(COMPRESSED | 0x300);
  });

  it("is answered 1 with Apache's words when nobody takes it, and stored all the same", async () => {
    const { broker, asker } = withAsker();
    const remarks: unknown[] = [];
    const note = async (given: object = {}) => {
      const reply = await send(broker, given);
      remarks.push([reply.code, reply.remark]);
    };
    await note({ i: formatProperties([["REPLY_TO_CLIENT", "stranger"]]) });
    await note({ i: undefined });
    asker.answer = async () => answerOf({ code: 1, remark: "process reply message fail" });
    await note();
    asker.answer = async () => Promise.reject(new Error("timed out"));
    await note();
    asker.close();
    await note();
    expect(remarks).toEqual([
      [1, "push reply message fail, channel of <stranger> not found."],
      [1, "reply message properties[REPLY_TO_CLIENT] is null"],
      [1, "push reply message to askerfail."],
      [1, "push reply message to askerfail."],
      [1, "push reply message fail, channel of <asker> not found."],
    ]);
    expect(broker.store.messages.size).toBe(5);
  });

  it("is refused like any send: unknown topic, queue out of range, no body", async () => {
    const { broker, asker } = withAsker();
    expect(await send(broker, { b: "nowhere", c: "none" })).toMatchObject({ code: 17 });
    expect(await send(broker, { e: 9 })).toMatchObject({ code: 29, header: { TRACE_ON: true } });
    expect(await broker.ask("SEND_REPLY_MESSAGE_V2", header(), { body: "" })).toMatchObject({ code: 1 });
    expect(asker.asked).toHaveLength(0);
  });

  it("stays whole while the client takes its time: the frame's bytes may be gone by then", async () => {
    const { broker, asker } = withAsker();
    const body = Buffer.from("answer");
    asker.answer = async () => {
      body.fill(0);
      return answerOf({});
    };
    await broker.ask("SEND_REPLY_MESSAGE_V2", header(), { body });
    expect(String([...broker.store.messages.values()][0].body)).toBe("answer");
  });
});

describe("the client that asked", () => {
  it("is found until its last producer leaves, also after another one of it left", async () => {
    const { broker, asker } = withAsker();
    const { clients } = broker;
    clients.registerProducer("p2", { caller: asker, clientId: "asker", language: "JAVA", version: 493 });
    clients.unregisterProducer("p", asker);
    expect(clients.findProducer("asker")).toBe(asker);
    clients.unregisterProducer("p2", asker);
    expect(clients.findProducer("asker")).toBeUndefined();
  });

  it("is the connection that came last, of two with one id; the other takes over with its next heartbeat", async () => {
    const { broker, asker } = withAsker();
    const { clients } = broker;
    const second = new FakeCaller();
    const beat = (caller: FakeCaller) =>
      clients.registerProducer("p", { caller, clientId: "asker", language: "JAVA", version: 493 });
    beat(second);
    beat(asker);
    expect(clients.findProducer("asker")).toBe(second);
    second.close();
    expect(clients.findProducer("asker")).toBeUndefined();
    beat(asker);
    expect(clients.findProducer("asker")).toBe(asker);
  });

  it("is forgotten under its old id when the connection changes it", async () => {
    const { broker, asker } = withAsker();
    const { clients } = broker;
    clients.registerProducer("p", { caller: asker, clientId: "renamed", language: "JAVA", version: 493 });
    expect([clients.findProducer("asker"), clients.findProducer("renamed")]).toEqual([undefined, asker]);
  });
});
