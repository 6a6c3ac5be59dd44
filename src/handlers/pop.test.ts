import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LOG_TAIL_CHUNKS } from "../base/limits.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { formatExtraInfo, popRetryTopic } from "../protocol/extraInfo.ts";
import type { RequestCode } from "../protocol/generated/requestCodes.ts";
import type { SimDisk } from "../testing/simDisk.ts";
import { recordsOf, type WireBroker, type WireClient, type WireReply, wireBroker } from "../testing/wireBroker.ts";

const TOPIC = "Orders";
const GROUP = "shop";

let broker: WireBroker;
let client: WireClient;

/** Small files and no chance: every pop looks into the retry topic last. */
const SETTINGS = { mappedFileSizeCommitLog: String(1 << 20), popFromRetryProbability: "0" };

async function start(options: Record<string, string> = {}, disk?: SimDisk, now?: number): Promise<void> {
  broker = await wireBroker({ ...SETTINGS, ...options }, disk, now);
  topic(TOPIC, 1);
  client = broker.client();
}

function topic(name: string, queues: number): void {
  broker.topics.createIfAbsent(newTopicConfig(name, { readQueueNums: queues, writeQueueNums: queues, perm: 6 }));
}

/** Stops the broker and starts it again, on the files it left (`clean`) or as after a kill -9. */
async function restart(how: "clean" | "kill", options: Record<string, string> = {}): Promise<void> {
  const now = broker.clock.now();
  if (how === "clean") await broker.close();
  const disk = how === "clean" ? broker.disk : broker.disk.killed(1);
  await start(options, disk, now);
}

beforeEach(() => start(), 60_000);
afterEach(() => broker.close());

/** Sends `count` messages, each in a turn of its own. */
async function put(count: number, queueId = 0, tag?: string, to = TOPIC): Promise<void> {
  for (let i = 0; i < count; i++) {
    const properties = new Map([["UNIQ_KEY", `k${serial++}`]]);
    if (tag !== undefined) properties.set("TAGS", tag);
    const sent = broker.store.put({ topic: to, queueId, body: Buffer.from(`body-${i}`), properties });
    await broker.clock.settle();
    await sent;
  }
}

let serial = 0;

interface PopFields {
  queueId?: number;
  maxMsgNums?: number;
  invisibleTime?: number;
  pollTime?: number;
  initMode?: number;
  order?: boolean;
  attemptId?: string;
  exp?: string;
  expType?: string;
}

function fieldsOf(fields: PopFields) {
  return {
    consumerGroup: GROUP,
    topic: TOPIC,
    queueId: -1,
    maxMsgNums: 32,
    invisibleTime: 60_000,
    pollTime: 0,
    bornTime: broker.clock.now(),
    initMode: 0,
    ...fields,
  };
}

const pop = (fields: PopFields = {}): Promise<WireReply> => client.ask("POP_MESSAGE", fieldsOf(fields));

interface Popped {
  topic: string;
  queueId: number;
  queueOffset: number;
  handle: string;
  text: string;
  reconsumeTimes: number;
  properties: Map<string, string>;
}

/** The messages of a pop reply with their handles, as the Java client makes them. */
function popped(reply: WireReply): Popped[] {
  if (reply.body.length === 0) return [];
  const starts = new Map(
    reply.fields.startOffsetInfo.split(";").map((entry) => {
      const [flag, queueId, start] = entry.split(" ");
      return [`${flag}@${queueId}`, Number(start)];
    }),
  );
  const { popTime, invisibleTime, reviveQid } = reply.fields;
  return recordsOf(reply.body).map((record) => ({
    ...record,
    handle:
      record.properties.get("POP_CK") ??
      formatExtraInfo(
        starts.get(`0@${record.queueId}`)!,
        Number(popTime),
        Number(invisibleTime),
        Number(reviveQid),
        TOPIC,
        "broker-a",
        record.queueId,
        record.queueOffset,
      ),
  }));
}

/** The topic that a handle's flag stands for. */
function topicOf(message: Popped): string {
  const flag = message.handle?.split(" ")[4] ?? "0";
  return flag === "0" ? TOPIC : popRetryTopic(TOPIC, GROUP, flag === "2");
}

const ackFields = (message: Popped) => ({
  consumerGroup: GROUP,
  topic: topicOf(message),
  queueId: message.queueId,
  extraInfo: message.handle,
  offset: message.queueOffset,
});

const ack = (message: Popped): Promise<WireReply> => client.ask("ACK_MESSAGE", ackFields(message));

describe("pop and acknowledge", () => {
  it("gives messages once, with what their handles are made of, and moves the group's offset", async () => {
    await put(3);
    const reply = await pop();
    expect(reply.code).toBe(0);
    expect(reply.remark).toBe("FOUND");
    expect(recordsOf(reply.body).map((record) => record.text)).toEqual(["body-0", "body-1", "body-2"]);
    expect(reply.fields).toMatchObject({
      startOffsetInfo: "0 0 0",
      msgOffsetInfo: "0 0 0,1,2",
      invisibleTime: "60000",
      restNum: "0",
    });
    expect(Number(reply.fields.popTime)).toBe(broker.clock.now());
    expect(broker.offsets.query(GROUP, TOPIC, 0)).toBe(3);
    expect((await pop()).code).toBe(210);
    for (const message of popped(reply)) expect((await ack(message)).code).toBe(0);
    expect(broker.pops.inFlight.count).toBe(0);
  });

  it("gives what is not acknowledged in time again, from the retry topic, under its own topic", async () => {
    await put(3);
    const first = popped(await pop({ invisibleTime: 10_000 }));
    await ack(first[1]);
    await broker.clock.advance(9_900);
    expect((await pop()).code).toBe(210);
    await broker.clock.advance(200);
    const again = await pop({ invisibleTime: 10_000 });
    const messages = popped(again);
    expect(messages.map((message) => message.text).sort()).toEqual(["body-0", "body-2"]);
    expect(messages.every((message) => message.topic === TOPIC && message.reconsumeTimes === 1)).toBe(true);
    expect(messages[0].handle.split(" ")[4]).toBe("1");
    expect(messages[0].properties.get("ORIGIN_GROUP")).toBe(GROUP);
    expect(messages[0].properties.get("1ST_POP_TIME")).toBe(first[0].handle.split(" ")[1]);
    expect(broker.store.maxOffset(popRetryTopic(TOPIC, GROUP, false), 0)).toBe(2);
    for (const message of messages) expect((await ack(message)).code).toBe(0);
    await broker.clock.advance(30_000);
    expect((await pop()).code).toBe(210);
    expect(broker.store.maxOffset(popRetryTopic(TOPIC, GROUP, false), 0)).toBe(2);
  });

  it("gives what was in memory when it was found, though the pop's own record begins a new piece of memory", async () => {
    const fileBytes = Number(SETTINGS.mappedFileSizeCommitLog);
    const send = async (bytes: number) => {
      const sent = broker.store.put({ topic: TOPIC, queueId: 0, body: Buffer.alloc(bytes, 7), properties: new Map() });
      await broker.clock.settle();
      return sent;
    };
    const overhead = (await send(1000)).bytes - 1000;
    while (broker.store.maxLogOffset() < (LOG_TAIL_CHUNKS - 1) * fileBytes) await send(50_000);
    // Filled up to a few bytes before the end of the newest file, with the first message in the oldest piece of memory.
    const left = () => LOG_TAIL_CHUNKS * fileBytes - broker.store.maxLogOffset();
    while (left() > 200_000) await send(50_000);
    await send(left() - overhead - 64);
    const reply = await pop({ maxMsgNums: 2 });
    expect(reply.code).toBe(0);
    expect(recordsOf(reply.body).map((record) => record.queueOffset)).toEqual([0, 1]);
    expect(broker.store.maxLogOffset()).toBeGreaterThan(LOG_TAIL_CHUNKS * fileBytes);
  });

  it("lets nobody wait for messages that others take from the disk before it", async () => {
    const pops = 100;
    const fileBytes = Number(SETTINGS.mappedFileSizeCommitLog);
    let sent = 0;
    for (; sent < pops || broker.store.maxLogOffset() < (LOG_TAIL_CHUNKS + 12) * fileBytes; sent++) {
      const put = broker.store.put({ topic: TOPIC, queueId: 0, body: Buffer.alloc(100_000), properties: new Map() });
      await broker.clock.settle();
      await put;
    }
    let got = 0;
    // Who has found nothing asks again, as clients do; no time passes.
    for (let rounds = 0; got < sent && rounds < 50; rounds++) {
      const clients = Array.from({ length: pops }, () => broker.client());
      const opaques = clients.map((one) => one.send("POP_MESSAGE", fieldsOf({ maxMsgNums: 1, pollTime: 30_000 })));
      await broker.clock.settle();
      const left = sent - got;
      const replies = clients.map((one, i) => one.answerTo(opaques[i]));
      got += replies.filter((reply) => reply?.code === 0).length;
      const waiting = replies.filter((reply) => reply === undefined).length;
      // Only what is behind the last message may wait for more.
      expect(waiting).toBeLessThanOrEqual(Math.max(0, pops - left));
    }
    expect(got).toBe(sent);
  });

  it("takes nothing of a deleted topic for messages of a new one with its name", async () => {
    await put(5);
    const old = popped(await pop({ invisibleTime: 10_000 }));
    expect((await client.ask("DELETE_TOPIC_IN_BROKER", { topic: TOPIC })).code).toBe(0);
    expect(broker.pops.inFlight.count).toBe(0);
    await restart("kill");
    await broker.clock.advance(1);
    await put(8);
    const first = popped(await pop({ invisibleTime: 60_000 }));
    expect(first.map((message) => message.queueOffset)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    await broker.clock.advance(20_000);
    expect((await pop()).code).toBe(210);
    expect((await ack(old[0])).code).toBe(0);
    await broker.clock.advance(41_000);
    expect(popped(await pop())).toHaveLength(8);
  });

  it("notes the acknowledgements of one turn and one pop in one record", async () => {
    await put(5);
    const messages = popped(await pop());
    const before = broker.pops.journal.written;
    const opaques = messages.map((message) => client.send("ACK_MESSAGE", ackFields(message)));
    for (const opaque of opaques) expect(client.answerTo(opaque)).toBeUndefined();
    await broker.clock.settle();
    for (const opaque of opaques) expect(client.answerTo(opaque)?.code).toBe(0);
    expect(broker.pops.journal.written - before).toBe(1);
  });

  it("answers a repetition, a stranger's handle and a late acknowledgement with success, and notes nothing", async () => {
    await put(2);
    const [first, second] = popped(await pop({ invisibleTime: 5_000 }));
    await ack(first);
    await broker.clock.advance(5_100);
    const before = broker.pops.journal.written;
    expect((await ack(first)).code).toBe(0);
    expect((await ack(second)).code).toBe(0);
    expect((await ack({ ...first, handle: "0 17 60000 0 0 broker-a 0 0" })).code).toBe(0);
    expect(broker.pops.journal.written).toBe(before);
    expect(popped(await pop()).map((message) => message.text)).toEqual(["body-1"]);
  });

  it("refuses as Apache does", async () => {
    await put(1);
    const [message] = popped(await pop());
    expect(await pop({ maxMsgNums: 33 })).toMatchObject({ code: 29, fields: { popTime: "0", restNum: "0" } });
    expect((await pop({ queueId: 1 })).code).toBe(29);
    expect((await pop({ exp: "||", expType: "TAG" })).code).toBe(23);
    expect((await pop({ exp: "a >", expType: "SQL92" })).code).toBe(23);
    const old = { ...fieldsOf({}), bornTime: broker.clock.now() - 600 };
    expect((await client.ask("POP_MESSAGE", old)).code).toBe(210);
    expect((await client.ask("POP_MESSAGE", { ...fieldsOf({}), topic: "none" })).code).toBe(17);
    const fields = ackFields(message);
    expect((await client.ask("ACK_MESSAGE", { ...fields, topic: "none" })).code).toBe(17);
    expect((await client.ask("ACK_MESSAGE", { ...fields, queueId: 1 })).code).toBe(13);
    expect((await client.ask("ACK_MESSAGE", { ...fields, offset: 2 })).code).toBe(208);
    expect((await client.ask("ACK_MESSAGE", { ...fields, liteTopic: "lite" })).code).toBe(29);
    expect(() => client.send("ACK_MESSAGE", { ...fields, extraInfo: "what is this" })).toThrow("not a number");
    expect(() => client.send("ACK_MESSAGE", { ...fields, extraInfo: undefined })).toThrow("extraInfo");
    expect(() => client.send("POP_MESSAGE", { ...fieldsOf({}), consumerGroup: undefined })).toThrow("consumerGroup");
  });

  it("refuses while the disk takes nothing, and goes on when it does", async () => {
    await put(1);
    const [message] = popped(await pop({ maxMsgNums: 1 }));
    await put(1);
    broker.disk.capacityBytes = 0;
    const unsaved = broker.store.put({
      topic: TOPIC,
      queueId: 0,
      body: Buffer.alloc(50_000, 1),
      properties: new Map(),
    });
    await broker.clock.settle();
    expect((await unsaved).status).toBe("notAvailable");
    const refused = await pop();
    expect([refused.code, refused.body.length]).toEqual([209, 0]);
    expect((await ack(message)).code).toBe(1);
    broker.disk.capacityBytes = 2 ** 40;
    await broker.clock.advance(2_000);
    expect(popped(await pop()).map((one) => one.text)).toEqual(["body-0"]);
    expect((await ack(message)).code).toBe(0);
  });
});

describe("which queues a pop takes from", () => {
  beforeEach(() => topic("Many", 4));

  const popMany = (fields: PopFields = {}) => client.ask("POP_MESSAGE", { ...fieldsOf(fields), topic: "Many" });

  it("takes from all queues in turn, up to what was asked for, and says what is left", async () => {
    for (let queueId = 0; queueId < 4; queueId++) await put(5, queueId, undefined, "Many");
    const reply = await popMany({ maxMsgNums: 12 });
    expect(recordsOf(reply.body).length).toBe(12);
    expect(reply.fields.restNum).toBe("8");
    expect(reply.fields.startOffsetInfo.split(";").length).toBe(3);
    const rest = await popMany();
    expect(recordsOf(rest.body).length).toBe(8);
    expect(rest.fields.restNum).toBe("0");
  });

  it("begins with another queue from pop to pop", async () => {
    for (let queueId = 0; queueId < 4; queueId++) await put(10, queueId, undefined, "Many");
    const first = new Set<number>();
    for (let i = 0; i < 20; i++) first.add(recordsOf((await popMany({ maxMsgNums: 1 })).body)[0].queueId);
    expect(first.size).toBe(4);
  });

  it("takes from one queue where that is asked for", async () => {
    for (let queueId = 0; queueId < 4; queueId++) await put(2, queueId, undefined, "Many");
    const reply = await popMany({ queueId: 2 });
    expect(recordsOf(reply.body).map((record) => record.queueId)).toEqual([2, 2]);
  });

  it("passes over what its filter does not want, and never looks at it again", async () => {
    for (const tag of ["a", "b", "a", "b", "b"]) await put(1, 1, tag, "Many");
    const reply = await popMany({ queueId: 1, exp: "a", expType: "TAG" });
    expect(reply.fields.msgOffsetInfo).toBe("0 1 0,2");
    expect(broker.offsets.query(GROUP, "Many", 1)).toBe(5);
    const messages = recordsOf(reply.body);
    expect(messages.map((message) => message.properties.get("TAGS"))).toEqual(["a", "a"]);
    await broker.clock.advance(61_000);
    const again = await popMany({ queueId: 1, exp: "a", expType: "TAG" });
    expect(recordsOf(again.body).map((message) => message.queueOffset)).toEqual([0, 1]);
  });

  it("takes SQL92 expressions", async () => {
    await put(1, 0, "x", "Many");
    await put(1, 0, "y", "Many");
    const reply = await popMany({ queueId: 0, exp: "TAGS = 'y'", expType: "SQL92" });
    expect(recordsOf(reply.body).map((message) => message.properties.get("TAGS"))).toEqual(["y"]);
  });

  it("lets a new group begin with the oldest message or with the newest", async () => {
    broker.config.initPopOffsetByCheckMsgInMem = false;
    await put(3, 0, undefined, "Many");
    const newest = await popMany({ queueId: 0, initMode: 1 });
    expect(newest.fields.msgOffsetInfo).toBe("0 0 2");
    const oldest = await client.ask("POP_MESSAGE", {
      ...fieldsOf({ queueId: 0 }),
      topic: "Many",
      consumerGroup: "other",
    });
    expect(oldest.fields.msgOffsetInfo).toBe("0 0 0,1,2");
  });

  it("lets a new group begin with the first message while that is in memory", async () => {
    await put(3, 0, undefined, "Many");
    expect((await popMany({ queueId: 0, initMode: 1 })).fields.msgOffsetInfo).toBe("0 0 0,1,2");
  });

  it("obeys a reset of the offset, and what was popped before does not move it again", async () => {
    await put(4, 0, undefined, "Many");
    await popMany({ queueId: 0 });
    broker.offsets.assignReset(GROUP, "Many", 0, 1);
    expect((await popMany({ queueId: 0 })).fields.msgOffsetInfo).toBe("0 0 1,2,3");
    expect(broker.offsets.query(GROUP, "Many", 0)).toBe(4);
  });

  it("stops where too much is unacknowledged, if told to", async () => {
    broker.config.enablePopMessageThreshold = true;
    broker.config.popInflightMessageThreshold = 3;
    await put(6, 0, undefined, "Many");
    const reply = await popMany({ queueId: 0, maxMsgNums: 4 });
    expect(await popMany({ queueId: 0 })).toMatchObject({ code: 210, fields: { restNum: "2" } });
    const [start] = reply.fields.startOffsetInfo.split(" ").slice(2);
    for (const record of recordsOf(reply.body).slice(0, 2)) {
      const { popTime, invisibleTime, reviveQid } = reply.fields;
      const extraInfo = `${start} ${popTime} ${invisibleTime} ${reviveQid} 0 broker-a 0 ${record.queueOffset}`;
      await client.ask("ACK_MESSAGE", { ...ackFields({ ...record, handle: "" }), topic: "Many", extraInfo });
    }
    expect(recordsOf((await popMany({ queueId: 0 })).body).length).toBe(2);
  });

  it("takes the most urgent queue of a topic with priorities first", async () => {
    broker.topics.get("Many")!.attributes.set("message.type", "PRIORITY");
    for (let queueId = 0; queueId < 4; queueId++) await put(1, queueId, undefined, "Many");
    const order = recordsOf((await popMany()).body).map((record) => record.queueId);
    expect(order).toEqual([3, 2, 1, 0]);
  });
});

describe("retry topics", () => {
  it("have the new name where that is set, and give what lies under the old one as well", async () => {
    await put(1);
    await pop({ invisibleTime: 1_000 });
    await broker.clock.advance(1_200);
    broker.config.enableRetryTopicV2 = true;
    await put(1, 0);
    await pop({ queueId: 0, maxMsgNums: 1, invisibleTime: 1_000 });
    await broker.clock.advance(1_200);
    expect(broker.store.maxOffset(popRetryTopic(TOPIC, GROUP, false), 0)).toBe(1);
    expect(broker.store.maxOffset(popRetryTopic(TOPIC, GROUP, true), 0)).toBe(1);
    const kinds = new Set<string>();
    for (let i = 0; i < 40; i++) for (const message of popped(await pop())) kinds.add(message.handle.split(" ")[4]);
    expect([...kinds].sort()).toEqual(["1", "2"]);
  });

  it("keep a message through several rounds, counting each", async () => {
    await put(1);
    for (let round = 0; round < 4; round++) {
      const messages = popped(await pop({ invisibleTime: 1_000 }));
      expect(messages.map((message) => message.reconsumeTimes)).toEqual([round]);
      expect(messages[0].topic).toBe(TOPIC);
      await broker.clock.advance(1_200);
    }
    expect(broker.store.maxOffset(popRetryTopic(TOPIC, GROUP, false), 0)).toBe(4);
  });

  it("have as many queues as the topic, and a message keeps its own, if told to", async () => {
    broker.config.useSeparateRetryQueue = true;
    topic("Many", 4);
    await put(1, 2, undefined, "Many");
    await client.ask("POP_MESSAGE", { ...fieldsOf({ invisibleTime: 1_000 }), topic: "Many" });
    await broker.clock.advance(1_200);
    const retry = popRetryTopic("Many", GROUP, false);
    expect(broker.topics.get(retry)?.readQueueNums).toBe(4);
    expect([0, 1, 2, 3].map((queueId) => broker.store.maxOffset(retry, queueId))).toEqual([0, 0, 1, 0]);
  });

  it("show their own name where that is set", async () => {
    broker.config.popResponseReturnActualRetryTopic = true;
    await put(1);
    await pop({ invisibleTime: 1_000 });
    await broker.clock.advance(1_200);
    const [record] = recordsOf((await pop()).body);
    expect(record.topic).toBe(popRetryTopic(TOPIC, GROUP, false));
    expect(record.properties.has("POP_CK")).toBe(false);
  });

  it("do not come into being for topics and groups that are gone", async () => {
    await put(1);
    await pop({ invisibleTime: 1_000 });
    broker.topics.delete(TOPIC);
    await broker.clock.advance(3_000);
    expect(broker.topics.has(popRetryTopic(TOPIC, GROUP, false))).toBe(false);
    expect(broker.pops.inFlight.count).toBe(0);
  });

  it("get nothing for messages that are no longer stored", async () => {
    await put(2);
    await pop({ invisibleTime: 1_000 });
    broker.store.deleteTopic(TOPIC);
    await broker.clock.advance(3_000);
    expect(broker.pops.inFlight.count).toBe(0);
    expect(broker.store.maxOffset(popRetryTopic(TOPIC, GROUP, false), 0)).toBe(0);
  });
});

describe("a new invisible time", () => {
  const change = (message: Popped, invisibleTime: number, more = {}) =>
    client.ask("CHANGE_MESSAGE_INVISIBLETIME", { ...ackFields(message), invisibleTime, ...more });

  /** The message with the handle that the answer makes. */
  function renewed(message: Popped, reply: WireReply): Popped {
    const { popTime, invisibleTime, reviveQid } = reply.fields;
    const parts = message.handle.split(" ");
    const handle = `${message.queueOffset} ${popTime} ${invisibleTime} ${reviveQid} ${parts[4]} broker-a ${message.queueId} ${message.queueOffset}`;
    return { ...message, handle };
  }

  it("counts from now, and has a handle of its own", async () => {
    await put(2);
    const [first] = popped(await pop({ invisibleTime: 5_000 }));
    await broker.clock.advance(3_000);
    const reply = await change(first, 10_000);
    expect(reply.fields).toMatchObject({ invisibleTime: "10000", popTime: String(broker.clock.now()) });
    await broker.clock.advance(9_000);
    expect(popped(await pop()).map((message) => message.text)).toEqual(["body-1"]);
    expect((await ack(renewed(first, reply))).code).toBe(0);
    await broker.clock.advance(60_000);
    expect(popped(await pop()).map((message) => message.text)).toEqual(["body-1"]);
  });

  it("of zero gives the message back at once", async () => {
    await put(1);
    const [first] = popped(await pop());
    await change(first, 0);
    await broker.clock.advance(100);
    expect(popped(await pop()).map((message) => message.reconsumeTimes)).toEqual([1]);
  });

  it("does not count the consumption when it is suspended", async () => {
    await put(1);
    const [first] = popped(await pop());
    await change(first, 0, { suspend: true });
    await broker.clock.advance(100);
    expect(popped(await pop()).map((message) => message.reconsumeTimes)).toEqual([0]);
  });

  it("works in the millisecond of the pop, again and again", async () => {
    await put(1);
    let [message] = popped(await pop({ invisibleTime: 5_000 }));
    for (let i = 0; i < 5; i++) message = renewed(message, await change(message, 5_000));
    expect(broker.pops.inFlight.count).toBe(1);
    await ack(message);
    expect(broker.pops.inFlight.count).toBe(0);
    await broker.clock.advance(20_000);
    expect((await pop()).code).toBe(210);
  });

  it("brings nothing back that was acknowledged, or given again already", async () => {
    await put(2);
    const [first, second] = popped(await pop({ invisibleTime: 2_000 }));
    await ack(first);
    expect((await change(first, 0)).code).toBe(0);
    await broker.clock.advance(2_100);
    expect((await change(second, 0)).code).toBe(0);
    await broker.clock.advance(2_000);
    expect(popped(await pop()).map((message) => message.text)).toEqual(["body-1"]);
    expect(broker.store.maxOffset(popRetryTopic(TOPIC, GROUP, false), 0)).toBe(1);
  });
});

describe("batches of acknowledgements", () => {
  it("acknowledge what their bits say, of several pops at once", async () => {
    await put(3);
    const replies = [await pop({ maxMsgNums: 2 }), await pop()];
    const acks = replies.map((reply, i) => ({
      c: GROUP,
      t: TOPIC,
      r: "0",
      so: Number(reply.fields.startOffsetInfo.split(" ")[2]),
      q: 0,
      rq: Number(reply.fields.reviveQid),
      pt: Number(reply.fields.popTime),
      it: Number(reply.fields.invisibleTime),
      b: Buffer.from([i === 0 ? 0b10 : 0b1]).toString("base64"),
    }));
    const reply = await broker
      .client()
      .ask("BATCH_ACK_MESSAGE", {}, { body: JSON.stringify({ brokerName: "broker-a", acks }) });
    expect(reply.code).toBe(0);
    await broker.clock.advance(61_000);
    expect(popped(await pop()).map((message) => message.text)).toEqual(["body-0"]);
  });
});

describe("waiting", () => {
  it("is over in the very turn in which a message arrives", async () => {
    const opaque = client.send("POP_MESSAGE", fieldsOf({ pollTime: 20_000 }));
    await broker.clock.settle();
    expect(client.answerTo(opaque)).toBeUndefined();
    expect(broker.pops.holds.waiting(TOPIC, GROUP, -1)).toBe(1);
    await put(1);
    expect(client.answerTo(opaque)).toMatchObject({ code: 0, fields: { msgOffsetInfo: "0 0 0" } });
    // The pop's checkpoint is in the log by the time its answer leaves.
    expect(broker.offsets.query(GROUP, TOPIC, 0)).toBe(1);
    expect(broker.pops.holds.count).toBe(0);
  });

  it("is over when a message comes back", async () => {
    await put(1);
    await pop({ invisibleTime: 2_000 });
    const opaque = client.send("POP_MESSAGE", fieldsOf({ pollTime: 20_000 }));
    await broker.clock.advance(1_900);
    expect(client.answerTo(opaque)).toBeUndefined();
    await broker.clock.advance(200);
    expect(client.answerTo(opaque)).toMatchObject({ code: 0 });
  });

  it("is over when its time is, 50 ms early as in Apache", async () => {
    const opaque = client.send("POP_MESSAGE", fieldsOf({ pollTime: 2_000 }));
    await broker.clock.advance(1_940);
    expect(client.answerTo(opaque)).toBeUndefined();
    await broker.clock.advance(20);
    expect(client.answerTo(opaque)).toMatchObject({ code: 210, remark: "NO_MESSAGE_IN_QUEUE" });
  });

  it("gives one message to one of many, and wakes no more than there is something for", async () => {
    const opaques = Array.from({ length: 5 }, () =>
      client.send("POP_MESSAGE", fieldsOf({ pollTime: 20_000, maxMsgNums: 1 })),
    );
    await broker.clock.settle();
    await put(2);
    expect(opaques.filter((opaque) => client.answerTo(opaque)?.code === 0).length).toBe(2);
    expect(broker.pops.holds.count).toBe(3);
  });

  it("is for those whose filter the message passes", async () => {
    const opaque = client.send("POP_MESSAGE", fieldsOf({ pollTime: 20_000, exp: "a", expType: "TAG" }));
    await broker.clock.settle();
    await put(1, 0, "b");
    expect(client.answerTo(opaque)).toBeUndefined();
    await put(1, 0, "a");
    expect(client.answerTo(opaque)).toMatchObject({ code: 0, fields: { msgOffsetInfo: "0 0 1" } });
  });

  it("is refused when too many wait", async () => {
    broker.config.maxPopPollingSize = 1;
    client.send("POP_MESSAGE", fieldsOf({ pollTime: 20_000 }));
    expect((await pop({ pollTime: 20_000 })).code).toBe(209);
  });

  it("ends for who is gone", async () => {
    client.send("POP_MESSAGE", fieldsOf({ pollTime: 20_000 }));
    await broker.clock.settle();
    client.caller.close();
    await put(1);
    client = broker.client();
    expect(popped(await pop()).length).toBe(1);
  });

  it("of a notification ends when there is something, which stays there", async () => {
    const fields = { consumerGroup: GROUP, topic: TOPIC, queueId: -1, pollTime: 20_000, bornTime: 0 };
    const opaque = client.send("NOTIFICATION", fields);
    await broker.clock.settle();
    await put(1);
    expect(client.answerTo(opaque)).toMatchObject({ code: 0, fields: { hasMsg: "true", pollingFull: "false" } });
    expect((await client.ask("NOTIFICATION", fields)).fields.hasMsg).toBe("true");
    expect(popped(await pop()).length).toBe(1);
    const late = client.send("NOTIFICATION", { ...fields, pollTime: 1_000 });
    await broker.clock.advance(1_000);
    expect(client.answerTo(late)?.fields).toEqual({ hasMsg: "false", pollingFull: "false" });
  });

  it("of a notification is for those whose filter the message passes", async () => {
    const fields = {
      consumerGroup: GROUP,
      topic: TOPIC,
      queueId: -1,
      pollTime: 20_000,
      bornTime: 0,
      exp: "a",
      expType: "TAG",
    };
    const opaque = client.send("NOTIFICATION", fields);
    await broker.clock.settle();
    await put(1, 0, "b");
    expect(client.answerTo(opaque)).toBeUndefined();
    await put(1, 0, "a");
    expect(client.answerTo(opaque)?.fields.hasMsg).toBe("true");
  });

  it("can be counted", async () => {
    client.send("POP_MESSAGE", fieldsOf({ pollTime: 20_000, queueId: 0 }));
    const ask = (queueId: number) => client.ask("POLLING_INFO", { consumerGroup: GROUP, topic: TOPIC, queueId });
    expect((await ask(0)).fields.pollingNum).toBe("1");
    expect((await ask(-1)).fields.pollingNum).toBe("0");
  });
});

describe("peeking", () => {
  it("shows what the next pop would take", async () => {
    await put(3);
    const peek = () => client.ask("PEEK_MESSAGE", { consumerGroup: GROUP, topic: TOPIC, queueId: 0, maxMsgNums: 2 });
    const first = await peek();
    expect(recordsOf(first.body).map((record) => record.text)).toEqual(["body-0", "body-1"]);
    expect(first.fields).toMatchObject({ restNum: "3", popTime: "0" });
    expect(recordsOf((await peek()).body).length).toBe(2);
    await pop({ maxMsgNums: 2 });
    expect(recordsOf((await peek()).body).map((record) => record.text)).toEqual(["body-2"]);
    await pop();
    expect((await peek()).code).toBe(19);
  });
});

describe("in order", () => {
  const inOrder = (attemptId: string, fields: PopFields = {}) =>
    pop({ queueId: 0, order: true, attemptId, invisibleTime: 5_000, ...fields });

  it("a queue gives no more before all of its last pop is acknowledged", async () => {
    await put(4);
    const reply = await inOrder("one", { maxMsgNums: 2 });
    expect(reply.fields).toMatchObject({ reviveQid: "999", orderCountInfo: "0 0 0", msgOffsetInfo: "0 0 0,1" });
    expect(broker.offsets.query(GROUP, TOPIC, 0)).toBe(0);
    const [first, second] = popped(reply);
    expect((await inOrder("two")).code).toBe(210);
    await ack(second);
    expect(broker.offsets.query(GROUP, TOPIC, 0)).toBe(0);
    expect((await inOrder("two")).code).toBe(210);
    await ack(first);
    expect(broker.offsets.query(GROUP, TOPIC, 0)).toBe(2);
    expect(popped(await inOrder("two")).map((message) => message.queueOffset)).toEqual([2, 3]);
  });

  it("the same attempt gets the same messages again", async () => {
    await put(2);
    const first = popped(await inOrder("one"));
    const again = popped(await inOrder("one"));
    expect(again.map((message) => message.queueOffset)).toEqual(first.map((message) => message.queueOffset));
  });

  it("what is not acknowledged in time is given again, and counted", async () => {
    await put(3);
    const [first] = popped(await inOrder("one", { maxMsgNums: 2 }));
    await ack(first);
    await broker.clock.advance(5_100);
    const reply = await inOrder("two");
    expect(reply.fields.msgOffsetInfo).toBe("0 0 1,2");
    expect(reply.fields.orderCountInfo).toBe("0 qo0%1 1;0 0 0");
  });

  it("wakes who waits when the queue is acknowledged, and when its time is over", async () => {
    await put(2);
    const [first] = popped(await inOrder("one", { maxMsgNums: 1 }));
    const acked = client.send(
      "POP_MESSAGE",
      fieldsOf({ queueId: 0, order: true, attemptId: "two", invisibleTime: 3_000, pollTime: 20_000 }),
    );
    await broker.clock.settle();
    expect(client.answerTo(acked)).toBeUndefined();
    await ack(first);
    await broker.clock.settle();
    expect(client.answerTo(acked)?.fields.msgOffsetInfo).toBe("0 0 1");
    const expired = client.send(
      "POP_MESSAGE",
      fieldsOf({ queueId: 0, order: true, attemptId: "three", pollTime: 20_000 }),
    );
    await broker.clock.advance(3_100);
    expect(client.answerTo(expired)?.fields.orderCountInfo).toBe("0 qo0%1 1;0 0 1");
  });

  it("one message's time can be changed", async () => {
    await put(2);
    const messages = popped(await inOrder("one"));
    for (const message of messages) {
      const fields = { ...ackFields(message), invisibleTime: 30_000 };
      expect((await client.ask("CHANGE_MESSAGE_INVISIBLETIME", fields)).fields.invisibleTime).toBe("30000");
    }
    await broker.clock.advance(6_000);
    expect((await inOrder("two")).code).toBe(210);
    await broker.clock.advance(25_000);
    expect((await inOrder("two")).code).toBe(0);
  });

  it("an acknowledgement of what was not given is refused", async () => {
    await put(3);
    const [first] = popped(await inOrder("one", { maxMsgNums: 1 }));
    const wrong = { ...ackFields(first), offset: 2 };
    expect(await client.ask("ACK_MESSAGE", wrong)).toMatchObject({ code: 13 });
  });

  for (const how of ["clean", "kill"] as const) {
    it(`blocks and counts as before after a restart (${how})`, async () => {
      await put(4);
      const [first] = popped(await inOrder("one", { maxMsgNums: 2, invisibleTime: 30_000 }));
      await ack(first);
      await restart(how);
      expect(broker.offsets.query(GROUP, TOPIC, 0)).toBe(1);
      expect((await inOrder("two")).code).toBe(210);
      expect(popped(await inOrder("one", { maxMsgNums: 1 })).map((message) => message.queueOffset)).toEqual([1]);
      await broker.clock.advance(31_000);
      expect((await inOrder("three")).fields.orderCountInfo).toContain("qo0%1 1");
    });
  }
});

describe("a restart", () => {
  for (const how of ["clean", "kill"] as const) {
    it(`keeps what is in flight and what is acknowledged (${how})`, async () => {
      await put(6);
      const messages = popped(await pop({ invisibleTime: 20_000, maxMsgNums: 4 }));
      await ack(messages[0]);
      await ack(messages[2]);
      await restart(how);
      expect(broker.offsets.query(GROUP, TOPIC, 0)).toBe(4);
      expect(broker.pops.inFlight.count).toBe(1);
      // Handles from before are good.
      expect((await ack(messages[1])).code).toBe(0);
      expect(popped(await pop()).map((message) => message.queueOffset)).toEqual([4, 5]);
      await broker.clock.advance(21_000);
      expect(popped(await pop()).map((message) => message.text)).toEqual(["body-3"]);
    });

    it(`keeps a new invisible time, and the old one is gone (${how})`, async () => {
      await put(2);
      const messages = popped(await pop({ invisibleTime: 5_000 }));
      await client.ask("CHANGE_MESSAGE_INVISIBLETIME", { ...ackFields(messages[0]), invisibleTime: 60_000 });
      await ack(messages[1]);
      await restart(how);
      await broker.clock.advance(10_000);
      expect((await pop()).code).toBe(210);
      await broker.clock.advance(55_000);
      expect(popped(await pop()).map((message) => message.text)).toEqual(["body-0"]);
    });
  }

  it("after the offsets were written does not move them back or forth", async () => {
    await put(10);
    await pop({ maxMsgNums: 4, invisibleTime: 500_000 });
    await broker.pops.beforePersist();
    const persisted = broker.offsets.persist();
    await broker.clock.settle();
    await persisted;
    // Somebody moves the offset without popping; a crash may take that back, but not invent anything.
    await pop({ maxMsgNums: 2, invisibleTime: 500_000 });
    await restart("kill");
    expect(broker.offsets.query(GROUP, TOPIC, 0)).toBe(6);
  });

  it("reads no more of the journal than is open", async () => {
    await put(30);
    for (let i = 0; i < 10; i++) for (const message of popped(await pop({ maxMsgNums: 3 }))) await ack(message);
    await broker.clock.advance(1_100);
    const { topic: journal } = broker.pops.journal;
    for (let queueId = 0; queueId < broker.pops.journal.queues; queueId++) {
      const end = broker.store.maxOffset(journal, queueId) - 1;
      expect(broker.offsets.query("CID_RMQ_SYS_REVIVE_GROUP", journal, queueId)).toBe(end);
    }
  });
});

describe("the journal", () => {
  it("is kept short: what lives long is written again at its end", async () => {
    await restart("clean", { reviveQueueNum: "1" });
    await put(1);
    const [longLived] = popped(await pop({ invisibleTime: 7_200_000 }));
    const { journal } = broker.pops;
    const before = broker.pops.inFlight.settledTo()[0];
    await broker.clock.advance(3_590_000);
    expect(broker.pops.inFlight.settledTo()[0]).toBe(before);
    await broker.clock.advance(20_000);
    expect(broker.pops.inFlight.settledTo()[0]).toBeGreaterThan(before);
    expect(journal.liveCount).toBe(1);
    await restart("kill", { reviveQueueNum: "1" });
    expect(broker.pops.inFlight.count).toBe(1);
    expect((await ack(longLived)).code).toBe(0);
    expect(broker.pops.inFlight.count).toBe(0);
  });
});

describe("a directory that an Apache broker had before", () => {
  /** What Apache's timer brings into the revive topic. */
  async function apacheWrites(tag: string, body: object, queueId = 0): Promise<void> {
    const put = broker.store.put({
      topic: broker.pops.journal.topic,
      queueId,
      body: Buffer.from(JSON.stringify(body)),
      properties: new Map([
        ["TAGS", tag],
        ["TIMER_DELIVER_MS", String(broker.clock.now())],
      ]),
    });
    await broker.clock.settle();
    await put;
    for (let i = 0; i < 5; i++) await broker.clock.settle();
  }

  const checkpoint = (popTime: number, invisibleTime: number, count: number) => ({
    bm: 0,
    bn: "broker-a",
    c: GROUP,
    d: Array.from({ length: count }, (_, i) => i),
    it: invisibleTime,
    n: count,
    pt: popTime,
    q: 0,
    ro: 0,
    so: 0,
    sp: false,
    t: TOPIC,
  });
  const acked = (popTime: number, offset: number) => ({
    ao: offset,
    bn: "broker-a",
    c: GROUP,
    pt: popTime,
    q: 0,
    so: 0,
    t: TOPIC,
  });

  /** Its consumerOffset.json does not say where our journal was. */
  async function takeOver(committed: number): Promise<void> {
    broker.offsets.commit(GROUP, TOPIC, 0, committed);
    const persisted = broker.offsets.persist();
    await broker.clock.settle();
    await persisted;
    const disk = broker.disk.killed(1);
    const file = "/store/config/consumerOffset.json";
    const text = disk
      .readAll(file)
      .toString()
      .replace(/\s*"popJournal":\d+,/, "");
    expect(text).not.toContain("popJournal");
    const handle = disk.open(file, { create: true });
    handle.truncate(0);
    handle.write(Buffer.from(text), 0, Buffer.byteLength(text), 0);
    handle.close();
    await start({}, disk, broker.clock.now());
  }

  it("is understood: checkpoints and acknowledgements that lie there, and that its timer still brings", async () => {
    await put(3);
    const popTime = broker.clock.now() - 5_000;
    await apacheWrites("ck", checkpoint(popTime, 6_000, 3));
    await apacheWrites("ack", acked(popTime, 0));
    await takeOver(3);
    expect(broker.pops.inFlight.count).toBe(1);
    // The timer brings an acknowledgement behind the deadline; it counts.
    await broker.clock.advance(2_000);
    await apacheWrites("ack", acked(popTime, 1));
    await broker.clock.advance(4_000);
    expect(popped(await pop()).map((message) => message.text)).toEqual(["body-2"]);
    expect(broker.pops.inFlight.count).toBe(1);
  });

  it("is understood: an acknowledgement here of a checkpoint that its timer brings later", async () => {
    await put(2);
    const popTime = broker.clock.now() - 1_000;
    await takeOver(2);
    const message = {
      topic: TOPIC,
      queueId: 0,
      queueOffset: 1,
      handle: `0 ${popTime} 10000 0 0 broker-a 0 1`,
    } as Popped;
    expect((await ack(message)).code).toBe(0);
    await restart("kill");
    await broker.clock.advance(8_500);
    await apacheWrites("ck", checkpoint(popTime, 10_000, 2));
    await broker.clock.advance(5_000);
    expect(popped(await pop()).map((one) => one.text)).toEqual(["body-0"]);
  });
});

describe("assignment", () => {
  const ask = (name: "QUERY_ASSIGNMENT" | "SET_MESSAGE_REQUEST_MODE", body: object) =>
    ordinary(name, JSON.stringify(body));

  const ordinary = (name: keyof typeof RequestCode, body: string) => client.ask(name, {}, { body });

  it("keeps modes over a restart, in Apache's file, and refuses as Apache does", async () => {
    const mode = { topic: TOPIC, consumerGroup: GROUP, mode: "POP", popShareQueueNum: 2 };
    expect((await ask("SET_MESSAGE_REQUEST_MODE", mode)).code).toBe(0);
    expect((await ask("SET_MESSAGE_REQUEST_MODE", { ...mode, topic: "%RETRY%g" })).code).toBe(16);
    expect((await ask("SET_MESSAGE_REQUEST_MODE", { ...mode, topic: "none" })).code).toBe(17);
    await restart("kill");
    const text =
      '{"messageRequestModeMap":{"Orders":{"shop":{"consumerGroup":"shop","mode":"POP","popShareQueueNum":2,"topic":"Orders"}}}}';
    expect((await ordinary("GET_ALL_MESSAGE_REQUEST_MODE", "")).body.toString()).toBe(text);
  });

  it("says nothing while no NameServer knows the topic", async () => {
    const query = {
      topic: TOPIC,
      consumerGroup: GROUP,
      clientId: "c",
      strategyName: "AVG",
      messageModel: "CLUSTERING",
    };
    expect((await ask("QUERY_ASSIGNMENT", query)).body.toString()).toBe("{}");
  });
});
