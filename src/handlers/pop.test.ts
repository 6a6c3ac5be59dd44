import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatExtraInfo } from "../protocol/extraInfo.ts";
import { recordsOf, type WireBroker, type WireClient, type WireReply, wireBroker } from "../testing/wireBroker.ts";

const TOPIC = "Orders";
const GROUP = "shop";

let broker: WireBroker;
let client: WireClient;

async function start(options: Record<string, string> = {}): Promise<void> {
  broker = await wireBroker(options);
  broker.topics.createIfAbsent({
    ...broker.topics.get("TBW102")!,
    topicName: TOPIC,
    readQueueNums: 1,
    writeQueueNums: 1,
    perm: 6,
    attributes: new Map(),
  });
  client = broker.client();
}

beforeEach(() => start());
afterEach(() => broker.close());

async function send(count: number, queueId = 0, tag?: string): Promise<void> {
  for (let i = 0; i < count; i++) {
    await broker.store.put({
      topic: TOPIC,
      queueId,
      body: Buffer.from(`body-${i}`),
      properties: new Map([
        ["UNIQ_KEY", `k-${queueId}-${i}-${broker.clock.now()}-${Math.random()}`],
        ...(tag === undefined ? [] : ([["TAGS", tag]] as const)),
      ]),
    });
  }
}

async function put(count: number, queueId = 0, tag?: string): Promise<void> {
  const sent = send(count, queueId, tag);
  for (let i = 0; i < count + 1; i++) await broker.clock.settle();
  await sent;
}

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
  const flag = message.handle.split(" ")[4];
  if (flag === "0") return TOPIC;
  return `%RETRY%${GROUP}${flag === "1" ? "_" : "+"}${TOPIC}`;
}

const ack = (message: Popped): Promise<WireReply> =>
  client.ask("ACK_MESSAGE", {
    consumerGroup: GROUP,
    topic: topicOf(message),
    queueId: message.queueId,
    extraInfo: message.handle,
    offset: message.queueOffset,
  });

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
    await broker.clock.advance(1_200);
    const again = await pop({ invisibleTime: 10_000 });
    const messages = popped(again);
    expect(messages.map((message) => message.text).sort()).toEqual(["body-0", "body-2"]);
    expect(messages.every((message) => message.topic === TOPIC)).toBe(true);
    expect(messages[0].handle.split(" ")[4]).toBe("1");
    expect(broker.store.maxOffset(`%RETRY%${GROUP}_${TOPIC}`, 0)).toBe(2);
    for (const message of messages) expect((await ack(message)).code).toBe(0);
    await broker.clock.advance(30_000);
    expect((await pop()).code).toBe(210);
    expect(broker.store.maxOffset(`%RETRY%${GROUP}_${TOPIC}`, 0)).toBe(2);
  });
});
