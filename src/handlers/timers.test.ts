import { Buffer } from "node:buffer";
import { afterEach, describe, expect, it } from "vitest";
import { decodeRecallHandle, encodeRecallHandle } from "../broker/timer/recallHandle.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { Reply } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import type { StoredMessage } from "../store/types.ts";
import { callOf } from "../testing/fakeCaller.ts";
import { SimDisk } from "../testing/simDisk.ts";
import { type WireBroker, type WireClient, type WireReply, wireBroker } from "../testing/wireBroker.ts";

const TIMER_TOPIC = "rmq_sys_wheel_timer";
/** FakeClock begins here: a whole second. */
const T0 = 1_700_000_000_000;

let broker: WireBroker;
let client: WireClient;

async function start(options: Record<string, string> = {}, disk?: SimDisk): Promise<void> {
  broker = await wireBroker({ recallMessageEnable: "true", ...options }, disk);
  client = broker.client();
  broker.topics.update([newTopicConfig("T", { readQueueNums: 2, writeQueueNums: 2 })]);
}

afterEach(() => broker.close());

const textOf = (entries: Record<string, string>) =>
  Object.entries(entries)
    .map(([name, value]) => `${name}\u0001${value}\u0002`)
    .join("");

function send(properties: Record<string, string>, body = "x"): Promise<WireReply> {
  const fields = { a: "P", b: "T", c: "TBW102", d: 4, e: 1, f: 0, g: T0, h: 7, i: textOf(properties), j: 0, m: false };
  return client.ask("SEND_MESSAGE_V2", fields, { body });
}

async function ask(name: keyof typeof RequestCode, header: object = {}, given: Parameters<typeof callOf>[2] = {}) {
  const handle = broker.rows.get(RequestCode[name])?.handle;
  if (handle === undefined) throw new Error(`${name} has no handler`);
  let reply: Reply | undefined;
  void Promise.resolve(handle(callOf(RequestCode[name], header, given))).then((r) => {
    reply = r as Reply;
  });
  while (reply === undefined) await broker.clock.settle();
  return reply;
}

const recall = (recallHandle: string, topic = "T") =>
  ask("RECALL_MESSAGE", { producerGroup: "P", topic, recallHandle });

async function stored(topic: string, queueId: number): Promise<StoredMessage[]> {
  const units = await broker.store.units(topic, queueId, 0, 1000);
  const messages = units.map((unit) => broker.store.messageAt(unit.logOffset));
  await broker.clock.settle();
  return (await Promise.all(messages)).map((message) => message as StoredMessage);
}

const bodies = async () => (await stored("T", 1)).map((message) => message.body.toString());

describe("a message that asks for an exact time", () => {
  for (const [name, value] of [
    ["TIMER_DELAY_SEC", "3"],
    ["TIMER_DELAY_MS", "3000"],
    ["TIMER_DELIVER_MS", String(T0 + 3000)],
  ]) {
    it(`${name}: waits in the timer topic and comes at its time, not before`, async () => {
      await start();
      const reply = await send({ UNIQ_KEY: "U", KEYS: "k", TAGS: "a", [name]: value });
      expect(reply).toMatchObject({ code: 0, fields: { queueId: "1", queueOffset: "0", transactionId: "U" } });
      expect(decodeRecallHandle(reply.fields.recallHandle)).toEqual({
        topic: "T",
        brokerName: "broker-a",
        timestamp: String(T0 + 2001),
        messageId: "U",
      });
      const [waiting] = await stored(TIMER_TOPIC, 0);
      expect(Object.fromEntries(waiting.properties)).toMatchObject({
        REAL_TOPIC: "T",
        REAL_QID: "1",
        TIMER_OUT_MS: String(T0 + 2000),
        [name]: value,
      });
      await broker.clock.advance(2999);
      expect(await bodies()).toEqual([]);
      await broker.clock.advance(2);
      const [message] = await stored("T", 1);
      // As Apache 5.5.0 delivers it: nothing is taken away.
      expect(Object.fromEntries(message.properties)).toEqual({
        UNIQ_KEY: "U",
        KEYS: "k",
        TAGS: "a",
        [name]: value,
        MSG_REGION: "DefaultRegion",
        TRACE_ON: "true",
        CLUSTER: "DefaultCluster",
        TIMER_OUT_MS: String(T0 + 2000),
        REAL_TOPIC: "T",
        REAL_QID: "1",
        TIMER_ENQUEUE_MS: String(T0),
        TIMER_DEQUEUE_MS: String(T0 + 3000),
      });
      expect(message).toMatchObject({ topic: "T", queueId: 1, flag: 7, bornTimestamp: T0, reconsumeTimes: 0 });
      expect(await broker.store.units("T", 1, 0, 1)).toMatchObject([{ tagsCode: 97 }]);
      await broker.clock.advance(5000);
      expect(await bodies()).toEqual(["x"]);
    });
  }

  it("comes at the end of its second when its time lies within one", async () => {
    await start();
    await send({ UNIQ_KEY: "U", TIMER_DELIVER_MS: String(T0 + 1500) });
    await broker.clock.advance(1999);
    expect(await bodies()).toEqual([]);
    await broker.clock.advance(1);
    expect(await bodies()).toEqual(["x"]);
  });

  it("is on time within timerPrecisionMs", async () => {
    await start({ timerPrecisionMs: "100" });
    await send({ UNIQ_KEY: "U", TIMER_DELIVER_MS: String(T0 + 1510) });
    await broker.clock.advance(1599);
    expect(await bodies()).toEqual([]);
    await broker.clock.advance(1);
    expect(await bodies()).toEqual(["x"]);
  });

  it("is delivered at once when its time is over", async () => {
    await start();
    for (const [name, value] of [
      ["TIMER_DELAY_SEC", "0"],
      ["TIMER_DELAY_MS", "-5"],
      ["TIMER_DELIVER_MS", String(T0)],
      // Java's longs overflow.
      ["TIMER_DELAY_SEC", "9223372036854775807"],
    ]) {
      const reply = await send({ UNIQ_KEY: "U", [name]: value }, value);
      expect(reply).toMatchObject({ code: 0 });
      expect(reply.fields.recallHandle).toBeUndefined();
    }
    const messages = await stored("T", 1);
    expect(messages.map((message) => message.properties.has("TIMER_OUT_MS"))).toEqual([false, false, false, false]);
  });

  it("gives way to a delay level, and is not touched when it has waited before", async () => {
    await start();
    await send({ UNIQ_KEY: "U", DELAY: "1", TIMER_DELAY_SEC: "100" });
    await send({ UNIQ_KEY: "U", TIMER_OUT_MS: "77", TIMER_DELAY_SEC: "100" }, "again");
    expect(await bodies()).toEqual(["again"]);
    await broker.clock.advance(1001);
    expect(await bodies()).toEqual(["again", "x"]);
    expect((await stored("T", 1))[1].properties.has("TIMER_DELAY_SEC")).toBe(false);
  });

  it("is refused with Apache's codes and words", async () => {
    await start({ timerMaxDelaySec: "60" });
    const illegal =
      "timer message illegal, the delay time should not be bigger than the max delay 60000ms; or if set del msg, " +
      "the delay time should be bigger than the current time: ";
    for (const [properties, reason] of [
      [{ TIMER_DELAY_SEC: "61" }, "TIMER_DELAY_SEC=61 is 61000 ms away"],
      [{ TIMER_DELAY_MS: "abc" }, 'TIMER_DELAY_MS is "abc", not a whole number'],
      [{ TIMER_DELAY_MS: " 2" }, 'TIMER_DELAY_MS is " 2", not a whole number'],
      [{ TIMER_DELIVER_MS: "9223372036854775808" }, 'TIMER_DELIVER_MS is "9223372036854775808", not a whole number'],
      [{ TIMER_DELIVER_MS: "5", TIMER_DEL_UNIQKEY: "U" }, "the time of the message to delete, 5, is over"],
    ] as const) {
      expect(await send({ UNIQ_KEY: "U", ...properties })).toMatchObject({ code: 13, remark: illegal + reason });
    }
    expect(broker.store.maxLogOffset()).toBe(0);
    expect(await send({ UNIQ_KEY: "U", TIMER_DELAY_SEC: "60" })).toMatchObject({ code: 0 });
  });

  it("is refused where the wheel is off", async () => {
    await start({ timerWheelEnable: "false" });
    expect(await send({ UNIQ_KEY: "U", TIMER_DELAY_SEC: "1" })).toMatchObject({
      code: 1,
      remark: "accurate timer message is not enabled, timerWheelEnable is false: TIMER_DELAY_SEC asks for it",
    });
    expect(await ask("GET_TIMER_CHECK_POINT")).toMatchObject({ code: 1 });
    expect(await ask("GET_TIMER_METRICS")).toMatchObject({ code: 1 });
    expect(await ask("SWITCH_TIMER_ENGINE", {}, { fields: { E_T: "F" } })).toMatchObject({ code: 29 });
  });

  it("is refused when its slot is full", async () => {
    await start({ timerCongestNumEachSlot: "3" });
    const codes: number[] = [];
    for (let i = 0; i < 20; i++) codes.push((await send({ UNIQ_KEY: `U${i}`, TIMER_DELAY_SEC: "5" })).code);
    expect(codes.slice(0, 4)).toEqual([0, 0, 0, 0]);
    // Above twice the limit none is taken.
    expect(codes.filter((code) => code === 0).length).toBeLessThanOrEqual(6);
    expect(await send({ UNIQ_KEY: "V", TIMER_DELAY_SEC: "6" })).toMatchObject({ code: 0 });
    const refused = await send({ UNIQ_KEY: "W", TIMER_DELAY_SEC: "5" });
    if (refused.code !== 0) {
      expect(refused.code).toBe(1);
      expect(refused.remark).toMatch(
        /^timer message is under flow control, max num limit is 6 or the current value is greater than 3 and less than 6, trigger random flow control: \d+ messages wait/,
      );
    }
  });

  it("rolls: further away than the window, it is put back into the queue on the way", async () => {
    await start({ timerRollWindowSlot: "6" });
    await send({ UNIQ_KEY: "U", TIMER_DELAY_SEC: "14" });
    await broker.clock.advance(13_999);
    expect(await bodies()).toEqual([]);
    await broker.clock.advance(1);
    const [message] = await stored("T", 1);
    expect(message.properties.get("TIMER_ROLL_TIMES")).toBe("2");
    const turns = await stored(TIMER_TOPIC, 0);
    expect(turns.map((turn) => turn.properties.get("TIMER_ROLL_TIMES"))).toEqual([undefined, "1", "2"]);
    expect(turns.map((turn) => turn.properties.get("TIMER_ENQUEUE_MS"))).toEqual([
      undefined,
      String(T0),
      String(T0 + 7000),
    ]);
  });

  it("comes after the clock went back at its own time by that clock, and no old one again", async () => {
    await start();
    await send({ UNIQ_KEY: "A", TIMER_DELAY_SEC: "2" }, "a");
    await broker.clock.advance(10_000);
    expect(await bodies()).toEqual(["a"]);
    broker.clock.jump(-9_000);
    await send({ UNIQ_KEY: "B", TIMER_DELAY_SEC: "3" }, "b");
    await broker.clock.advance(2_999);
    expect(await bodies()).toEqual(["a"]);
    await broker.clock.advance(1_001);
    expect(await bodies()).toEqual(["a", "b"]);
    await broker.clock.advance(10_000);
    expect(await bodies()).toEqual(["a", "b"]);
  });

  it("is delivered in the order of sending, a thousand to a slot", async () => {
    await start();
    for (let i = 0; i < 1000; i++) client.send("SEND_MESSAGE_V2", headerOf(`U${i}`), { body: `m${i}` });
    await broker.clock.settle();
    await broker.clock.advance(5001);
    expect(await bodies()).toEqual(Array.from({ length: 1000 }, (_, i) => `m${i}`));
  });

  const headerOf = (key: string) => ({
    a: "P",
    b: "T",
    c: "TBW102",
    d: 4,
    e: 1,
    f: 0,
    g: T0,
    h: 0,
    i: textOf({ UNIQ_KEY: key, TIMER_DELAY_SEC: "5" }),
    j: 0,
    m: false,
  });
});

describe("a recall", () => {
  it("takes the message back; a second one changes nothing", async () => {
    await start();
    const gone = await send({ UNIQ_KEY: "A", TIMER_DELAY_SEC: "3" }, "a");
    await send({ UNIQ_KEY: "B", TIMER_DELAY_SEC: "3" }, "b");
    const answer = { code: 0, header: { msgId: "A", MSG_REGION: "DefaultRegion" } };
    expect(await recall(gone.fields.recallHandle)).toMatchObject(answer);
    expect(await recall(gone.fields.recallHandle)).toMatchObject(answer);
    const mark = (await stored(TIMER_TOPIC, 0))[2];
    expect(mark.body.toString()).toBe("0");
    expect(Object.fromEntries(mark.properties)).toEqual({
      TAGS: "_RECALL_TAG_",
      TIMER_DEL_UNIQKEY: "A",
      UNIQ_KEY: "A",
      TIMER_DELIVER_MS: String(T0 + 2001),
      BORN_TIMESTAMP: String(T0),
      PGROUP: "P",
      TIMER_OUT_MS: String(T0 + 2000),
      REAL_TOPIC: "T",
      REAL_QID: "0",
    });
    await broker.clock.advance(10_000);
    expect(await bodies()).toEqual(["b"]);
    expect(await stored("T", 0)).toEqual([]);
  });

  it("goes along with the turns of the wheel", async () => {
    await start({ timerRollWindowSlot: "6" });
    const sent = await send({ UNIQ_KEY: "A", TIMER_DELAY_SEC: "15" });
    await broker.clock.advance(1500);
    expect(await recall(sent.fields.recallHandle)).toMatchObject({ code: 0 });
    await broker.clock.advance(30_000);
    expect(await bodies()).toEqual([]);
  });

  it("names its message by topic and key where that is asked for", async () => {
    await start({ appendTopicForTimerDeleteKey: "true" });
    const sent = await send({ UNIQ_KEY: "A", TIMER_DELAY_SEC: "3" });
    await recall(sent.fields.recallHandle);
    expect((await stored(TIMER_TOPIC, 0))[1].properties.get("TIMER_DEL_UNIQKEY")).toBe("T+A");
    await broker.clock.advance(5000);
    expect(await bodies()).toEqual([]);
  });

  it("is refused with Apache's codes and words", async () => {
    await start({ timerMaxDelaySec: "60" });
    broker.topics.update([newTopicConfig("other")]);
    const handle = (brokerName: string, timestamp: string, topic = "T") =>
      encodeRecallHandle({ topic, brokerName, timestamp, messageId: "A" });
    const good = handle("broker-a", String(T0 + 5001));
    const base64 = (text: string) => Buffer.from(text).toString("base64url");
    for (const [topic, text, code, remark] of [
      ["T", "", 604, "recall handle is invalid"],
      ["T", "@@@", 604, "recall handle is invalid"],
      ["T", base64("v2 T broker-a 1 A"), 604, "recall handle is invalid"],
      ["T", base64("v1 T broker-a 1"), 604, "recall handle is invalid"],
      ["T", base64("v1 T broker-a 1 "), 604, "recall handle is invalid"],
      ["nowhere", good, 17, "recall failed, the topic[nowhere] not exist"],
      ["other", good, 604, "recall failed, topic not match"],
      ["T", handle("broker-b", String(T0 + 5001)), 604, "recall failed, broker service not available"],
      ["T", handle("broker-a", String(T0)), 604, "recall failed, timestamp invalid"],
      ["T", handle("broker-a", String(T0 + 60_000)), 604, "recall failed, timestamp invalid"],
      ["T", handle("broker-a", "soon"), 604, "recall failed, timestamp invalid"],
    ] as const) {
      const reply = await recall(text, topic);
      expect(reply).toMatchObject({ code, header: { MSG_REGION: "DefaultRegion" } });
      expect(reply.remark?.slice(0, remark.length)).toBe(remark);
    }
    expect(broker.store.maxLogOffset()).toBe(0);
    expect(await recall(good)).toMatchObject({ code: 0 });
  });

  it("is refused where it is not enabled, which it is not by default", async () => {
    await start({ recallMessageEnable: "false" });
    expect(await recall("x")).toMatchObject({
      code: 16,
      remark: "recall failed, operation is forbidden: recallMessageEnable is false",
    });
  });

  it("is taken where nothing may be written, unless that is forbidden, too", async () => {
    await start();
    const { recallHandle } = (await send({ UNIQ_KEY: "A", TIMER_DELAY_SEC: "3" })).fields;
    broker.config.brokerPermission = 4;
    expect(await recall(recallHandle)).toMatchObject({ code: 0 });
    broker.config.allowRecallWhenBrokerNotWriteable = false;
    expect(await recall(recallHandle)).toMatchObject({ code: 14 });
  });
});

describe("what administrators ask", () => {
  it("the checkpoint, in Apache's 56 bytes", async () => {
    await start();
    await send({ UNIQ_KEY: "A", TIMER_DELAY_SEC: "30" });
    await broker.clock.advance(2500);
    const body = (await ask("GET_TIMER_CHECK_POINT")).body as Buffer;
    expect(body.length).toBe(56);
    expect([0, 8, 16, 24, 32].map((at) => Number(body.readBigInt64BE(at)))).toEqual([T0 + 2000, 52, 1, 1, 0]);
  });

  it("how many wait for each topic; a deleted topic is forgotten", async () => {
    await start();
    for (let i = 0; i < 5; i++) await send({ UNIQ_KEY: `A${i}`, TIMER_DELAY_SEC: i < 3 ? "3" : "30" });
    await broker.clock.settle();
    const counts = async () => JSON.parse(String((await ask("GET_TIMER_METRICS")).body)).timingCount;
    expect(await counts()).toMatchObject({ T: { count: 5 } });
    await broker.clock.advance(4000);
    expect(await counts()).toMatchObject({ T: { count: 2 } });
    await ask("DELETE_TOPIC_IN_BROKER", { topic: "T" });
    expect(await counts()).toEqual({});
  });

  it("the figures of the running broker", async () => {
    await start();
    for (let i = 0; i < 5; i++) await send({ UNIQ_KEY: `A${i}`, TIMER_DELAY_SEC: i < 2 ? "3" : "30" });
    await broker.clock.advance(11_000);
    const { table } = JSON.parse(String((await ask("GET_BROKER_RUNTIME_INFO")).body));
    expect(table).toMatchObject({
      timerReadBehind: "0",
      timerOffsetBehind: "0",
      timerCongestNum: "3",
      timerEnqueueTps: "0.51",
      timerDequeueTps: "0.21",
    });
  });

  it("another engine: there is none", async () => {
    await start();
    const engine = (E_T?: string) => ask("SWITCH_TIMER_ENGINE", {}, { fields: E_T === undefined ? {} : { E_T } });
    expect(await engine("F")).toMatchObject({ code: 0, remark: "switch timer engine success" });
    expect((await engine("R")).remark).toMatch(/^timerRocksDBEnable must be configured true when broker start: /);
    expect((await engine("X")).remark).toMatch(/^param error: /);
    expect(await engine()).toMatchObject({ code: 29 });
  });
});

describe("a broker that stopped and starts again", () => {
  it("delivers what waited, once, and what became due meanwhile", async () => {
    const disk = new SimDisk();
    await start({}, disk);
    await send({ UNIQ_KEY: "A", TIMER_DELAY_SEC: "2" }, "a");
    await send({ UNIQ_KEY: "B", TIMER_DELAY_SEC: "5" }, "b");
    const recalled = await send({ UNIQ_KEY: "C", TIMER_DELAY_SEC: "5" }, "c");
    await recall(recalled.fields.recallHandle);
    await send({ UNIQ_KEY: "D", TIMER_DELAY_SEC: "9" }, "d");
    await broker.clock.advance(3000);
    expect(await bodies()).toEqual(["a"]);
    await broker.close();
    await start({}, disk);
    // The clock of the new life begins at T0 again: what is in the future waits, what was delivered does not come back.
    await broker.clock.advance(4000);
    expect(await bodies()).toEqual(["a"]);
    await broker.clock.advance(6000);
    expect(await bodies()).toEqual(["a", "b", "d"]);
  });
});
