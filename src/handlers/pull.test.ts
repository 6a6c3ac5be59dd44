import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { javaHashCode } from "../base/javaHash.ts";
import { newSubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import { newTopicConfig, PERM_WRITE } from "../protocol/bodies/topicConfig.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import type { Fields } from "../protocol/frameWriter.ts";
import { recordsOf, type WireBroker, type WireClient, type WireReply, wireBroker } from "../testing/wireBroker.ts";

const COMMIT = 1;
const SUSPEND = 2;
const SUBSCRIPTION = 4;

let broker: WireBroker;
let client: WireClient;

async function start(options: Record<string, string> = {}): Promise<void> {
  broker = await wireBroker(options);
  client = broker.client("10.0.0.9:4444");
  broker.topics.update([newTopicConfig("T", { readQueueNums: 4, writeQueueNums: 4, perm: 6 })]);
}

beforeEach(() => start());
afterEach(() => broker.close());

function header(more: Fields = {}): Fields {
  return {
    consumerGroup: "g",
    topic: "T",
    queueId: 0,
    queueOffset: 0,
    maxMsgNums: 32,
    sysFlag: SUBSCRIPTION,
    commitOffset: 0,
    suspendTimeoutMillis: 15_000,
    subscription: "*",
    subVersion: 0,
    expressionType: "TAG",
    ...more,
  };
}

/** What was put is visible when its turn has ended. */
async function pull(more: Fields = {}): Promise<WireReply> {
  await broker.clock.settle();
  return client.ask("PULL_MESSAGE", header(more));
}

/** Stores a message as a producer's send would. */
function put(body: string | Buffer, tag?: string, topic = "T", queueId = 0): void {
  const properties = tag === undefined ? "UNIQ_KEY\u0001u\u0002" : `UNIQ_KEY\u0001u\u0002TAGS\u0001${tag}\u0002`;
  producer().send(
    "SEND_MESSAGE_V2",
    { a: "p", b: topic, c: "TBW102", d: 4, e: queueId, f: 0, g: 1, h: 0, i: properties },
    { body },
  );
}

let producerOf: [WireBroker, WireClient] | undefined;
function producer(): WireClient {
  if (producerOf?.[0] !== broker) producerOf = [broker, broker.client()];
  return producerOf[1];
}

const texts = (reply: WireReply) => recordsOf(reply.body).map((record) => record.text);

const UNSUPPORTED_FILTER =
  "The broker does not support consumer to filter message by SQL92: set enablePropertyFilter=true in the broker's configuration to allow it";

/** Stores a message with these properties. */
function putWith(body: string, properties: Record<string, string>, topic = "T"): void {
  const text = Object.entries(properties).map(([name, value]) => `${name}\u0001${value}\u0002`);
  producer().send(
    "SEND_MESSAGE_V2",
    { a: "p", b: topic, c: "TBW102", d: 4, e: 0, f: 0, g: 1, h: 0, i: `UNIQ_KEY\u0001u\u0002${text.join("")}` },
    { body },
  );
}

/** Makes the group known as a heartbeat would. */
function subscribe(
  subString: string,
  subVersion = 0,
  messageModel = "CLUSTERING",
  topic = "T",
  expressionType = "TAG",
): void {
  broker.clients.registerConsumer(
    "g",
    { caller: client.caller, clientId: "c", language: "JAVA", version: 513 },
    { consumeType: "CONSUME_PASSIVELY", messageModel, consumeFromWhere: "CONSUME_FROM_LAST_OFFSET" },
    [
      {
        classFilterMode: false,
        topic,
        subString,
        tagsSet: [],
        codeSet: [],
        subVersion,
        expressionType,
      },
    ] as never,
    false,
  );
}

describe("rule 26: a pull's code, remark and header", () => {
  const full = (reply: WireReply) => Object.keys(reply.fields).sort();
  const ALL = ["groupSysFlag", "maxOffset", "minOffset", "nextBeginOffset", "suggestWhichBrokerId", "topicSysFlag"];

  it("0 FOUND with the records as they lie in the log", async () => {
    for (const body of ["a", "b", "c"]) put(body);
    const reply = await pull({ queueOffset: 1 });
    expect(reply).toMatchObject({ code: 0, remark: "FOUND" });
    expect(reply.fields).toEqual({
      suggestWhichBrokerId: "0",
      nextBeginOffset: "3",
      minOffset: "0",
      maxOffset: "3",
      topicSysFlag: "0",
      groupSysFlag: "0",
    });
    expect(texts(reply)).toEqual(["b", "c"]);
    expect(recordsOf(reply.body).map(({ queueOffset }) => queueOffset)).toEqual([1, 2]);
    const [{ logOffset }] = recordsOf(reply.body);
    expect(reply.body).toEqual(await broker.store.readLog(logOffset, reply.body.length));
  });

  it("0 FOUND in the binary serialization, too", async () => {
    put("a");
    await broker.clock.settle();
    const reply = await client.ask("PULL_MESSAGE", header(), { serialization: 1 });
    expect(reply).toMatchObject({ code: 0, remark: "FOUND", serialization: 1 });
    expect(full(reply)).toEqual(ALL);
    expect(texts(reply)).toEqual(["a"]);
  });

  it("19 at the end of the queue, or of an empty one from 0", async () => {
    const never = await pull();
    expect(never).toMatchObject({ code: 19, remark: "NO_MESSAGE_IN_QUEUE", body: Buffer.alloc(0) });
    expect(full(never)).toEqual(ALL);
    put("a");
    const end = await pull({ queueOffset: 1 });
    expect(end).toMatchObject({
      code: 19,
      remark: "OFFSET_OVERFLOW_ONE",
      fields: { nextBeginOffset: "1", maxOffset: "1" },
    });
    expect(full(end)).toEqual(ALL);
  });

  it("20 where nothing passes the filter, with the offset to go on from", async () => {
    put("a", "x");
    put("b", "x");
    const reply = await pull({ subscription: "y" });
    expect(reply).toMatchObject({ code: 20, remark: "NO_MATCHED_MESSAGE", fields: { nextBeginOffset: "2" } });
    expect(full(reply)).toEqual(ALL);
  });

  it("21 beyond the end, before the beginning, and in a queue that lost everything", async () => {
    put("a");
    const beyond = await pull({ queueOffset: 5 });
    expect(beyond).toMatchObject({ code: 21, remark: "OFFSET_OVERFLOW_BADLY", fields: { nextBeginOffset: "1" } });
    expect(full(beyond)).toEqual(ALL);
    expect(await pull({ queueOffset: -1 })).toMatchObject({
      code: 21,
      remark: "OFFSET_TOO_SMALL",
      fields: { nextBeginOffset: "0" },
    });
    expect(await pull({ queueOffset: 7, queueId: 3 })).toMatchObject({
      code: 21,
      remark: "NO_MESSAGE_IN_QUEUE",
      fields: { nextBeginOffset: "0" },
    });
    expect(await pull({ queueOffset: "9223372036854775807" })).toMatchObject({
      code: 21,
      fields: { nextBeginOffset: "1" },
    });
  });

  it("tells the flags of topic and group, and always broker 0 unless slaves may be read", async () => {
    broker.topics.update([newTopicConfig("F", { topicSysFlag: 3 })]);
    broker.groups.update([newSubscriptionGroupConfig("g", { groupSysFlag: 2, brokerId: 1 })]);
    expect((await pull({ topic: "F" })).fields).toMatchObject({
      topicSysFlag: "3",
      groupSysFlag: "2",
      suggestWhichBrokerId: "0",
    });
    broker.config.slaveReadEnable = true;
    expect((await pull({ topic: "F" })).fields).toMatchObject({ suggestWhichBrokerId: "1" });
  });

  it("sends a reader that is further behind than memory reaches to the group's broker for slow ones", async () => {
    broker.groups.update([newSubscriptionGroupConfig("g", { brokerId: 0, whichBrokerWhenConsumeSlowly: 4 })]);
    broker.config.slaveReadEnable = true;
    for (let i = 0; i < 5; i++) put("x".repeat(10_000), "tag");
    await broker.clock.settle();
    const suggested = async (more: Fields) => (await pull({ maxMsgNums: 1, ...more })).fields.suggestWhichBrokerId;
    // Messages of 10 kB; the fake machine has 1 MB, of which 4 % are 40 kB.
    broker.config.accessMessageInMemoryMaxRatio = 4;
    expect(await suggested({ queueOffset: 0 })).toBe("4");
    expect(await suggested({ queueOffset: 2 })).toBe("0");
    broker.config.accessMessageInMemoryMaxRatio = 0;
    // The last message that was looked at counts, whether it passed the filter or not; without any nobody is behind.
    expect(await suggested({ queueOffset: 4, subscription: "other" })).toBe("4");
    expect(await suggested({ queueOffset: 5 })).toBe("0");
    expect(await suggested({ queueOffset: 99 })).toBe("0");
    broker.config.slaveReadEnable = false;
    expect(await suggested({ queueOffset: 0 })).toBe("0");
  });
});

describe("a pull's limits", () => {
  it("are the client's number of messages and bytes, and the broker's", async () => {
    for (let i = 0; i < 40; i++) put(`${i}`.padStart(200, "-"));
    await broker.clock.settle();
    const bytes = (await pull({ maxMsgNums: 1 })).body.length;
    expect(recordsOf((await pull({ maxMsgNums: 5 })).body)).toHaveLength(5);
    expect(recordsOf((await pull({ maxMsgNums: 1000 })).body)).toHaveLength(32);
    expect(recordsOf((await pull({ maxMsgBytes: 3 * bytes })).body)).toHaveLength(3);
    expect(recordsOf((await pull({ maxMsgBytes: 3 * bytes - 1 })).body)).toHaveLength(2);
    broker.config.maxTransferBytesOnMessageInMemory = 2 * bytes;
    expect(recordsOf((await pull()).body)).toHaveLength(2);
  });

  it("always let one message through", async () => {
    put("a".repeat(1000));
    put("b");
    await broker.clock.settle();
    for (const more of [{ maxMsgBytes: 1 }, { maxMsgNums: 0 }, { maxMsgNums: -5 }]) {
      const reply = await pull(more);
      expect([reply.remark, texts(reply).length, reply.fields.nextBeginOffset]).toEqual(["FOUND", 1, "1"]);
    }
  });
});

describe("a tag filter", () => {
  it.each([
    ["*", "abcde"],
    ["", "abcde"],
    [undefined, "abcde"],
    ["x", "ac"],
    ["x||y", "abc"],
    [" x || z ", "acd"],
    ["Aa", "BB"],
  ])("%s passes what carries one of its tags (or one of the same hash)", async (subscription, expected) => {
    expect(javaHashCode("Aa")).toBe(javaHashCode("BB"));
    if (expected === "BB") put("BB", "BB");
    for (const [body, tag] of [
      ["a", "x"],
      ["b", "y"],
      ["c", "x"],
      ["d", "z"],
      ["e", undefined],
    ] as const)
      put(body, tag);
    expect(texts(await pull({ subscription })).join("")).toBe(expected);
  });

  it("comes from the group's heartbeat when the pull brings none", async () => {
    put("a", "x");
    put("b", "y");
    subscribe("y", 5);
    const reply = await pull({ sysFlag: 0, subVersion: 5 });
    expect(texts(reply)).toEqual(["b"]);
  });

  it("takes a Go client's version of nanoseconds as the one of its heartbeat", async () => {
    put("a");
    subscribe("*", JSON.parse("1795269073539375988"));
    expect((await pull({ sysFlag: 0, subVersion: "1795269073539375988" })).code).toBe(0);
    expect((await pull({ sysFlag: 0, subVersion: "1795269073539376988" })).code).toBe(25);
  });
});

describe("an offset committed with a pull", () => {
  it("is noted when the flag says so", async () => {
    put("a");
    await pull({ sysFlag: SUBSCRIPTION, commitOffset: 7 });
    expect(broker.offsets.query("g", "T", 0)).toBe(-1);
    await pull({ sysFlag: SUBSCRIPTION | COMMIT, commitOffset: 1 });
    expect(broker.offsets.query("g", "T", 0)).toBe(1);
  });

  it("is not noted of a pull that is refused", async () => {
    await pull({ sysFlag: COMMIT, commitOffset: 1 });
    expect(broker.offsets.query("g", "T", 0)).toBe(-1);
  });

  it("rule 13: is dropped while a reset waits; the pull is told where to go on, once", async () => {
    for (const body of ["a", "b", "c"]) put(body);
    await broker.clock.settle();
    broker.offsets.assignReset("g", "T", 0, 1);
    const reply = await pull({ queueOffset: 3, sysFlag: SUBSCRIPTION | COMMIT, commitOffset: 3 });
    expect(reply).toMatchObject({
      code: 21,
      remark: "OFFSET_RESET",
      fields: { nextBeginOffset: "1", minOffset: "0", maxOffset: "3" },
    });
    expect(broker.offsets.query("g", "T", 0)).toBe(1);
    expect(texts(await pull({ queueOffset: 1 }))).toEqual(["b", "c"]);
  });
});

describe("a pull that finds nothing", () => {
  const hold = (more: Fields = {}) => client.send("PULL_MESSAGE", header({ sysFlag: SUBSCRIPTION | SUSPEND, ...more }));

  it("waits, and is answered in the turn that makes a message visible", async () => {
    put("before");
    await broker.clock.settle();
    const opaque = hold({ queueOffset: 1 });
    await broker.clock.settle();
    expect([client.replies.length, broker.holds.count]).toEqual([0, 1]);
    put("elsewhere", undefined, "T", 1);
    await broker.clock.settle();
    expect(client.replies).toEqual([]);
    // Not a timer, not a second turn: the very end of this one.
    put("now");
    let turns = 0;
    const end = broker.clock.endOfTurn.bind(broker.clock);
    broker.clock.endOfTurn = (fn) => {
      turns++;
      end(fn);
    };
    await broker.clock.settle();
    expect(turns).toBe(0);
    const reply = client.answerTo(opaque) as WireReply;
    expect(reply).toMatchObject({ code: 0, remark: "FOUND", fields: { nextBeginOffset: "2" } });
    expect(texts(reply)).toEqual(["now"]);
    expect(broker.holds.count).toBe(0);
  });

  it("is told of a reset at once, not when its time is over", async () => {
    put("before");
    await broker.clock.settle();
    const opaque = hold({ queueOffset: 1 });
    await broker.clock.settle();
    broker.offsets.assignReset("g", "T", 0, 0);
    await broker.clock.settle();
    expect(client.answerTo(opaque)).toMatchObject({
      code: 21,
      remark: "OFFSET_RESET",
      fields: { nextBeginOffset: "0" },
    });
    expect(broker.holds.count).toBe(0);
  });

  it("waits for a queue's very first message, too", async () => {
    const opaque = hold({ queueId: 2 });
    await broker.clock.settle();
    put("first", undefined, "T", 2);
    await broker.clock.settle();
    expect(texts(client.answerTo(opaque) as WireReply)).toEqual(["first"]);
  });

  it("is not woken by messages that its filter does not pass, however many came before one that it does", async () => {
    const opaque = hold({ subscription: "rare" });
    for (let i = 0; i < 2_000; i++) put("x", "common");
    await broker.clock.settle();
    expect(client.replies).toEqual([]);
    put("here", "rare");
    await broker.clock.settle();
    // The pull itself looks at a bounded number of messages: it goes on from there at once.
    let reply = client.answerTo(opaque) as WireReply;
    for (let i = 0; i < 5 && reply.code === 20; i++)
      reply = await pull({ subscription: "rare", queueOffset: reply.fields.nextBeginOffset });
    expect(texts(reply)).toEqual(["here"]);
  });

  it.each([
    ["at the end of its queue", { queueOffset: 1 }, "OFFSET_OVERFLOW_ONE"],
    ["of a queue without messages", { queueId: 3 }, "NO_MESSAGE_IN_QUEUE"],
  ])("%s is told so when its time is over, not before", async (_, more, remark) => {
    put("a");
    await broker.clock.settle();
    const opaque = hold(more);
    await broker.clock.advance(14_000);
    expect(client.replies).toEqual([]);
    await broker.clock.advance(6_000);
    expect(client.answerTo(opaque)).toMatchObject({ code: 19, remark });
    expect(broker.holds.count).toBe(0);
  });

  it("whose filter passed nothing meanwhile is told where to go on when its time is over", async () => {
    const opaque = hold({ subscription: "rare" });
    put("x", "common");
    await broker.clock.advance(20_000);
    expect(client.answerTo(opaque)).toMatchObject({
      code: 20,
      remark: "NO_MATCHED_MESSAGE",
      fields: { nextBeginOffset: "1" },
    });
  });

  it("waits a second only when long polling is off", async () => {
    await broker.close();
    await start({ longPollingEnable: "false" });
    const opaque = hold();
    await broker.clock.advance(5_000);
    expect(client.answerTo(opaque)).toMatchObject({ code: 19 });
  });

  it("does not wait without the flag, and not at a wrong offset", async () => {
    put("a");
    expect((await pull({ queueOffset: 1 })).code).toBe(19);
    const opaque = hold({ queueOffset: 9 });
    await broker.clock.settle();
    expect(client.answerTo(opaque)).toMatchObject({ code: 21 });
    expect(broker.holds.count).toBe(0);
  });

  it("of a connection that has gone is forgotten", async () => {
    hold();
    await broker.clock.settle();
    client.caller.close();
    put("late");
    await broker.clock.settle();
    expect([client.replies.length, broker.holds.count]).toEqual([0, 0]);
  });

  it("of a peer that does not read stays small until it does", async () => {
    const opaque = hold();
    await broker.clock.settle();
    client.congested = true;
    put("a");
    await broker.clock.settle();
    expect(client.replies).toEqual([]);
    client.congested = false;
    await broker.clock.advance(5_000);
    expect(texts(client.answerTo(opaque) as WireReply)).toEqual(["a"]);
  });

  it("is answered when the broker stops", async () => {
    const opaque = hold();
    await broker.clock.settle();
    broker.holds.stop();
    expect(client.answerTo(opaque)).toMatchObject({ code: 19 });
  });

  it("is one of many on one queue, all woken", async () => {
    const others = Array.from({ length: 50 }, () => broker.client());
    const opaques = others.map((one) => one.send("PULL_MESSAGE", header({ sysFlag: SUBSCRIPTION | SUSPEND })));
    await broker.clock.settle();
    put("for all");
    await broker.clock.settle();
    expect(others.map((one, i) => texts(one.answerTo(opaques[i]) as WireReply))).toEqual(others.map(() => ["for all"]));
  });
});

describe("older data", () => {
  it("is read from the disk, block by block, without a gap or a stranger", async () => {
    // The newest 32 MiB are in memory; 48 MiB of 64 KiB messages leave 16 MiB that are not.
    const count = 768;
    const filler = Buffer.alloc(64 * 1024, 0x2e);
    for (let i = 0; i < count; i++) {
      filler.write(`<${i}>`, 0);
      put(Buffer.from(filler), i % 3 === 0 ? "third" : undefined);
      if (i % 32 === 0) await broker.clock.settle();
    }
    await broker.clock.settle();
    expect(broker.store.inMemory(0)).toBe(false);
    for (const [subscription, step] of [
      ["*", 1],
      ["third", 3],
    ] as const) {
      let expected = 0;
      let offset = "0";
      while (expected < count) {
        const reply = await pull({ queueOffset: offset, subscription, maxMsgNums: 32 });
        expect(reply).toMatchObject({ code: 0, remark: "FOUND" });
        for (const record of recordsOf(reply.body)) {
          expect(record.text.startsWith(`<${expected}>`)).toBe(true);
          expect(record.queueOffset).toBe(expected);
          expected += step;
        }
        offset = reply.fields.nextBeginOffset;
      }
    }
  });
});

describe("a pull is refused", () => {
  const refused = async (code: number, remark: string, more: Fields = {}, forbiddenType?: number) => {
    const reply = await pull(more);
    expect(reply).toMatchObject({
      code,
      remark,
      fields: forbiddenType === undefined ? {} : { forbiddenType: String(forbiddenType) },
    });
  };

  it("by a broker that may not be read", async () => {
    broker.config.brokerPermission = PERM_WRITE;
    await refused(16, `the broker[${broker.config.brokerIP1}] pulling message is forbidden`, {}, 1);
  });

  it("as lite pull where that is off, which it is not by default", async () => {
    put("a");
    await broker.clock.settle();
    expect(texts(await client.ask("LITE_PULL_MESSAGE", header()))).toEqual(["a"]);
    broker.config.litePullMessageEnable = false;
    expect(await client.ask("LITE_PULL_MESSAGE", header())).toMatchObject({
      code: 16,
      remark: `the broker[${broker.config.brokerIP1}] for lite pull consumer is forbidden`,
      fields: { forbiddenType: "1" },
    });
    expect((await pull()).code).toBe(0);
  });

  it("for a group that does not exist and may not be created", async () => {
    await broker.close();
    await start({ autoCreateSubscriptionGroup: "false" });
    await refused(26, `subscription group [g] does not exist, ${FAQ_HINT}`);
  });

  it("for a group that may not consume", async () => {
    broker.groups.update([newSubscriptionGroupConfig("g", { consumeEnable: false })]);
    await refused(16, "subscription group no permission, g", {}, 2);
  });

  it("for a topic that does not exist", () =>
    refused(17, `topic[U] not exist, apply first please! ${FAQ_HINT}`, { topic: "U" }));

  it("for a topic that may not be read", async () => {
    broker.topics.update([newTopicConfig("W", { perm: PERM_WRITE })]);
    await refused(16, "the topic[W] pulling message is forbidden", { topic: "W" }, 3);
  });

  it.each([-1, 4, 2147483647])("for queue %d, which the topic does not have", (queueId) =>
    refused(29, `queueId[${queueId}] is illegal, topic:[T] topicConfig.readQueueNums:[4] consumer:[/10.0.0.9:4444]`, {
      queueId,
    }),
  );

  it("without a subscription by a group that is not online, or not on this topic, or not with the latest one", async () => {
    await refused(24, `the consumer's group info not exist${FAQ_HINT}`, { sysFlag: 0 });
    subscribe("*", 5, "CLUSTERING", "Other");
    await refused(24, `the consumer's subscription not exist${FAQ_HINT}`, { sysFlag: 0 });
    subscribe("*", 5);
    await refused(25, "the consumer's subscription not latest", { sysFlag: 0, subVersion: 6 });
    expect((await pull({ sysFlag: 0, subVersion: 5 })).code).toBe(19);
  });

  it("for a broadcasting group that may not broadcast", async () => {
    broker.groups.update([newSubscriptionGroupConfig("g", { consumeBroadcastEnable: false })]);
    subscribe("*", 0, "BROADCASTING");
    await refused(16, "the consumer group[g] can not consume by broadcast way", { sysFlag: 0 }, 4);
    subscribe("*", 0);
    expect((await pull({ sysFlag: 0 })).code).toBe(19);
  });

  it("for a group that is forbidden for this topic", async () => {
    subscribe("*");
    broker.groups.setForbidden("g", "T", 2, true);
    await refused(16, "the consumer group[g] is forbidden for topic[T]", { sysFlag: 0 }, 5);
    broker.groups.setForbidden("g", "T", 2, false);
    expect((await pull({ sysFlag: 0 })).code).toBe(19);
  });

  it("with rejectPullConsumerEnable, unless by a member of its group, for push consumers, or by the system", async () => {
    broker.config.rejectPullConsumerEnable = true;
    const stray = "the consumer's group info not exist, or the pull consumer is rejected by server.";
    await refused(24, `${stray}${FAQ_HINT}`);
    expect((await pull({ consumerGroup: "TOOLS_CONSUMER" })).code).toBe(19);
    subscribe("*");
    expect((await pull()).code).toBe(19);
  });

  it("with a tag expression of separators alone; one of blanks passes nothing", async () => {
    put("a");
    await refused(23, "parse the consumer's subscription failed", { subscription: "||" });
    expect(await pull({ subscription: " " })).toMatchObject({ code: 20, fields: { nextBeginOffset: "1" } });
    expect(await pull({ subscription: " || " })).toMatchObject({ code: 20 });
  });

  it("rule 23: with a filter by SQL92, which is off by default", () =>
    refused(1, UNSUPPORTED_FILTER, {
      expressionType: "SQL92",
      subscription: "a > 1",
    }));
});

describe("a pull with SQL92", () => {
  const SQL = { expressionType: "SQL92" };
  const fill = () => {
    for (let i = 0; i < 10; i++) putWith(`m${i}`, i % 3 === 0 ? {} : { a: String(i), text: "x".repeat(i) });
  };
  beforeEach(async () => {
    broker.close();
    await start({ enablePropertyFilter: "true" });
  });

  it("of its own gives what is true of the message, not what is false, unknown or an error", async () => {
    fill();
    putWith("no number", { a: "four" });
    const reply = await pull({ ...SQL, subscription: "a > 4 AND a <> 7" });
    expect([reply.code, texts(reply), reply.fields.nextBeginOffset]).toEqual([0, ["m5", "m8"], "11"]);
  });

  it("that matches nothing says how far it looked", async () => {
    fill();
    expect(await pull({ ...SQL, subscription: "a > 40" })).toMatchObject({
      code: 20,
      remark: "NO_MATCHED_MESSAGE",
      fields: { nextBeginOffset: "10" },
    });
  });

  it("of its own that is wrong is refused with the place", () =>
    pull({ ...SQL, subscription: "a >> 4" }).then((reply) =>
      expect(reply).toMatchObject({
        code: 23,
        remark: expect.stringMatching(/^parse the consumer's subscription failed: .* at line 1, column 4$/),
      }),
    ));

  it("by the group's subscription waits for a message that it is true of", async () => {
    subscribe("a > 4", 1, "CLUSTERING", "T", "SQL92");
    await broker.clock.settle();
    const held = client.send("PULL_MESSAGE", header({ sysFlag: SUSPEND, subVersion: 1, ...SQL }));
    putWith("no", { a: "3" });
    await broker.clock.settle();
    expect(client.answerTo(held)).toBe(undefined);
    putWith("yes", { a: "5" });
    await broker.clock.settle();
    const reply = client.answerTo(held) as WireReply;
    expect([reply.code, texts(reply), reply.fields.nextBeginOffset]).toEqual([0, ["yes"], "2"]);
  });

  it("by the group's subscription is refused while its expression is wrong, missing or old", async () => {
    const ask = (subVersion: number) => pull({ sysFlag: 0, subVersion, ...SQL });
    subscribe("a >", 1, "CLUSTERING", "T", "SQL92");
    expect(await ask(1)).toMatchObject({
      code: 27,
      remark: "The broker's consumer filter data is not exist!Your expression may be wrong!",
    });
    subscribe("a > 1", 2, "CLUSTERING", "T", "SQL92");
    expect((await ask(2)).code).toBe(19);
    subscribe("a >>> 1", 3, "CLUSTERING", "T", "SQL92");
    expect((await ask(3)).code).toBe(27);
  });

  it("on a retry topic judges by the topic of origin with filterSupportRetry", async () => {
    broker.close();
    await start({ enablePropertyFilter: "true", filterSupportRetry: "true" });
    const retry = "%RETRY%g";
    broker.topics.update([newTopicConfig(retry, { readQueueNums: 1, writeQueueNums: 1, perm: 6 })]);
    const register = (list: [string, string][]) =>
      broker.clients.registerConsumer(
        "g",
        { caller: client.caller, clientId: "c", language: "JAVA", version: 513 },
        { consumeType: "CONSUME_PASSIVELY", messageModel: "CLUSTERING", consumeFromWhere: undefined },
        list.map(([topic, subString]) => ({ topic, subString, subVersion: 1, expressionType: "SQL92" })) as never,
        false,
      );
    register([
      ["T", "a > 4"],
      [retry, "b IS NOT NULL"],
    ]);
    putWith("no", { a: "3", b: "1", RETRY_TOPIC: "T" }, retry);
    putWith("yes", { a: "5", RETRY_TOPIC: "T" }, retry);
    putWith("from elsewhere", { RETRY_TOPIC: "Other" }, retry);
    const reply = await pull({ sysFlag: 0, subVersion: 1, topic: retry, ...SQL });
    expect(texts(reply)).toEqual(["yes", "from elsewhere"]);
  });
});

describe("members of a broadcasting group", () => {
  const PROXY = 1;
  const byProxy = (queueOffset: number, clientId = "p") =>
    pull({ queueOffset, requestSource: PROXY, proxyFrowardClientId: clientId });
  const committed = () => broker.offsets.query("g@broadcast", "T", 0);

  it("have the smallest of their offsets committed under a name of its own", async () => {
    subscribe("*", 0, "BROADCASTING");
    for (const text of ["a", "b", "c"]) put(text);
    expect(texts(await pull({ queueOffset: 2 }))).toEqual(["c"]);
    broker.broadcasts.scan();
    expect(committed()).toBe(2);
    expect(texts(await byProxy(1))).toEqual(["b", "c"]);
    broker.broadcasts.scan();
    expect(committed()).toBe(1);
    // Nobody's own offset.
    expect(broker.offsets.query("g", "T", 0)).toBe(-1);
  });

  it("begin behind a proxy where the group is, at the first message, or at the end", async () => {
    for (const text of ["a", "b"]) put(text);
    const young = await byProxy(-1);
    expect(young).toMatchObject({ code: 21, remark: "OFFSET_RESET" });
    expect(young.fields).toMatchObject({ nextBeginOffset: "0", minOffset: "0", maxOffset: "0" });
    expect(texts(await byProxy(0))).toEqual(["a", "b"]);
    expect((await byProxy(2)).code).toBe(19);
    broker.broadcasts.scan();
    const other = await byProxy(-1, "q");
    expect(other.fields).toMatchObject({ nextBeginOffset: "2" });
  });

  it("go on where they were when they change sides, and are asked no twice", async () => {
    subscribe("*", 0, "BROADCASTING");
    for (const text of ["a", "b", "c"]) put(text);
    await byProxy(1, "c");
    const moved = await pull({ queueOffset: 0 });
    expect(moved).toMatchObject({ code: 21, remark: "OFFSET_RESET" });
    expect(moved.fields).toMatchObject({ nextBeginOffset: "1" });
    expect(texts(await pull({ queueOffset: 1 }))).toEqual(["b", "c"]);
    expect((await byProxy(0, "c")).fields).toMatchObject({ nextBeginOffset: "1" });
  });

  it("are forgotten two minutes after they left, five after their last pull", async () => {
    subscribe("*", 0, "BROADCASTING");
    put("a");
    await pull({ queueOffset: 0 });
    await byProxy(0);
    expect(broker.broadcasts.size).toBe(2);
    await broker.clock.advance(121_000);
    subscribe("*", 0, "BROADCASTING");
    broker.broadcasts.scan();
    expect(broker.broadcasts.size).toBe(1);
    await broker.clock.advance(180_000);
    broker.broadcasts.scan();
    expect(broker.broadcasts.size).toBe(0);
  });

  it("are nobody's business with enableBroadcastOffsetStore=false, and in a group that does not broadcast", async () => {
    put("a");
    subscribe("*");
    await pull();
    expect(broker.broadcasts.size).toBe(0);
    subscribe("*", 0, "BROADCASTING");
    broker.config.enableBroadcastOffsetStore = false;
    await pull();
    expect((await byProxy(0)).code).toBe(0);
    expect(broker.broadcasts.size).toBe(0);
  });
});
