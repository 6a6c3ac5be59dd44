import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TRANSACTION_GROUP } from "../broker/halfMessages.ts";
import { SCHEDULE_TOPIC, TRANS_CHECK_MAX_TIME_TOPIC, TRANS_HALF_TOPIC, TRANS_OP_HALF_TOPIC } from "../broker/names.ts";
import { formatMessageId } from "../message/messageId.ts";
import { formatProperties, parseProperties } from "../message/properties.ts";
import { PROPERTIES_BYTES_MAX } from "../message/record.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { callOf } from "../testing/fakeCaller.ts";
import type { SimDisk } from "../testing/simDisk.ts";
import {
  bodies,
  COMMIT,
  type Half,
  halfOf,
  messagesOf,
  ROLLBACK,
  TransactionProducer,
  UNKNOWN,
} from "../testing/transactions.ts";
import { type WireBroker, wireBroker } from "../testing/wireBroker.ts";

let broker: WireBroker;
let producer: TransactionProducer;

async function start(options: Record<string, string> = {}, disk?: SimDisk, now?: number): Promise<void> {
  broker = await wireBroker(options, disk, now);
  producer = new TransactionProducer(broker);
  producer.register();
}

beforeEach(() => start());
afterEach(() => broker.close());

const round = async (): Promise<void> => {
  let done = false;
  const work = broker.checks.round().finally(() => {
    done = true;
  });
  while (!done) await broker.clock.settle();
  await work;
};
const committedBodies = async () => bodies(await messagesOf(broker, "T", 1));
const opBodies = async () => bodies(await messagesOf(broker, TRANS_OP_HALF_TOPIC));
const progress = () =>
  [TRANS_HALF_TOPIC, TRANS_OP_HALF_TOPIC].map((topic) => broker.offsets.query(TRANSACTION_GROUP, topic, 0));

describe("a half message", () => {
  it("goes to the half topic and keeps in mind where it was sent to", async () => {
    const half = await producer.half("one", { TAGS: "a", KEYS: "k" });
    expect(half.reply).toMatchObject({ code: 0, fields: { queueId: "1", queueOffset: "0" } });
    expect(half.reply.fields.transactionId).toBe(half.uniqueKey);
    const [message] = await messagesOf(broker, TRANS_HALF_TOPIC);
    expect(message).toMatchObject({ queueId: 0, flag: 7, sysFlag: 0, queueOffset: 0, preparedTransactionOffset: 0 });
    expect(Object.fromEntries(message.properties)).toEqual({
      TAGS: "a",
      KEYS: "k",
      UNIQ_KEY: half.uniqueKey,
      WAIT: "true",
      TRAN_MSG: "true",
      PGROUP: "producers",
      MSG_REGION: "DefaultRegion",
      TRACE_ON: "true",
      CLUSTER: "DefaultCluster",
      REAL_TOPIC: "T",
      REAL_QID: "1",
      __transactionId__: half.uniqueKey,
    });
    expect(await messagesOf(broker, "T", 1)).toEqual([]);
    expect(broker.transactions.metrics.count("T")).toBe(1);
  });

  it("is the same on the ordinary path, which properties that need care take", async () => {
    await producer.half("hot");
    await producer.half("ordinary", { CLUSTER: "the client's own" });
    const [hot, ordinary] = await messagesOf(broker, TRANS_HALF_TOPIC);
    const others = ({ properties }: typeof hot) =>
      Object.fromEntries([...properties].filter(([name]) => name !== "UNIQ_KEY" && name !== "__transactionId__"));
    expect(others(ordinary)).toEqual(others(hot));
    expect(ordinary).toMatchObject({ flag: hot.flag, sysFlag: hot.sysFlag, topic: hot.topic, queueId: 0 });
    expect(broker.transactions.metrics.count("T")).toBe(2);
  });

  it("keeps apart destinations and keys of other lengths", async () => {
    for (const [key, queueId] of [
      ["A".repeat(32), 0],
      ["B".repeat(56), 0],
      ["C", 3],
      ["D".repeat(32), 3],
    ] as const) {
      const half = await producer.half("x", { UNIQ_KEY: key }, { e: queueId });
      expect(half.reply.fields.transactionId).toBe(key);
      const message = (await messagesOf(broker, TRANS_HALF_TOPIC))[half.halfOffset];
      expect(message.properties.get("__transactionId__")).toBe(key);
      expect(message.properties.get("REAL_QID")).toBe(String(queueId));
    }
  });

  it("is refused under rejectTransactionMessage, on both paths", async () => {
    await broker.close();
    await start({ rejectTransactionMessage: "true" });
    for (const properties of [{}, { CLUSTER: "x" }]) {
      const { reply } = await producer.half("x", properties);
      expect(reply).toMatchObject({
        code: 16,
        remark: `the broker[${broker.config.brokerIP1}] sending transaction message is forbidden`,
      });
    }
    expect(broker.store.maxLogOffset()).toBe(0);
  });

  it("is none when it is an old client's retry with the marks left on, which Apache would lose", async () => {
    const { reply } = await producer.half("x", { DELAY: "1" }, { j: 1 });
    expect(reply.code).toBe(0);
    expect(await messagesOf(broker, TRANS_HALF_TOPIC)).toEqual([]);
    expect(await messagesOf(broker, SCHEDULE_TOPIC)).toHaveLength(1);
  });
});

describe("a commit", () => {
  it("delivers the message as its producer made it", async () => {
    const half = await producer.half("body", { TAGS: "a", KEYS: "k" });
    expect(await producer.end(half, COMMIT)).toMatchObject({ code: 0, remark: undefined, fields: {} });
    const [message] = await messagesOf(broker, "T", 1);
    expect(message).toMatchObject({
      topic: "T",
      queueId: 1,
      flag: 7,
      sysFlag: 8,
      queueOffset: 0,
      preparedTransactionOffset: half.logOffset,
      bornHost: producer.client.caller.host,
    });
    expect(message.body.toString()).toBe("body");
    expect(Object.fromEntries(message.properties)).toEqual({
      TAGS: "a",
      KEYS: "k",
      UNIQ_KEY: half.uniqueKey,
      WAIT: "true",
      TRAN_MSG: "true",
      PGROUP: "producers",
      MSG_REGION: "DefaultRegion",
      TRACE_ON: "true",
      CLUSTER: "DefaultCluster",
      __transactionId__: half.uniqueKey,
    });
    const [unit] = await broker.store.units("T", 1, 0, 1);
    expect(unit.tagsCode).toBe("a".charCodeAt(0));
    expect(broker.transactions.metrics.count("T")).toBe(0);
    const found = await broker.store.query({ topic: "T", key: "k", maxNum: 9, begin: 0, end: 9e15 });
    expect(bodies(found.messages)).toEqual(["body"]);
  });

  it("is the same on the ordinary path", async () => {
    const [hot, ordinary] = [await producer.half("b", { TAGS: "x" }), await producer.half("b", { TAGS: "x" })];
    producer.endOneway(hot, COMMIT);
    // Far away in the log: not in memory any more is the same as a record that is larger than the copy's buffer.
    const large = await producer.half("L".repeat(100_000));
    expect((await producer.end(large, COMMIT)).code).toBe(0);
    await producer.end(ordinary, COMMIT, { fromTransactionCheck: "true" });
    expect((await committedBodies()).map((body) => body.length)).toEqual([1, 100_000, 1]);
  });

  it("is written with others into one op message, after the interval or enough of them", async () => {
    const halfs: Half[] = [];
    for (let i = 0; i < 5; i++) halfs.push(await producer.half(`m${i}`));
    for (const half of halfs) producer.endOneway(half, COMMIT);
    await broker.clock.advance(2900);
    expect(await opBodies()).toEqual([]);
    await broker.clock.advance(200);
    expect(await opBodies()).toEqual(["0,1,2,3,4,"]);
    const [op] = await messagesOf(broker, TRANS_OP_HALF_TOPIC);
    expect(op.properties.get("TAGS")).toBe("d");
    await broker.close();
    await start({ transactionOpMsgMaxSize: "6" });
    for (let i = 0; i < 8; i++) producer.endOneway(await producer.half(`m${i}`), COMMIT);
    await broker.clock.settle();
    expect(await opBodies()).toEqual(["0,1,2,", "3,4,5,"]);
  });

  it("counts once, however often it is told", async () => {
    const half = await producer.half("once");
    producer.endOneway(half, COMMIT);
    producer.endOneway(half, COMMIT);
    expect((await producer.end(half, COMMIT)).code).toBe(0);
    await broker.clock.advance(4000);
    await round();
    expect(progress()).toEqual([1, 1]);
    // Now only the index knows.
    expect((await producer.end(half, COMMIT)).code).toBe(0);
    expect(await committedBodies()).toEqual(["once"]);
    expect(broker.transactions.metrics.count("T")).toBe(0);
  });

  it("counts once on the ordinary path, too, when it is told twice in one breath", async () => {
    const [late, large] = [await producer.half("late"), await producer.half("L".repeat(100_000))];
    producer.endOneway(large, COMMIT);
    producer.endOneway(large, COMMIT);
    await broker.clock.advance(7000);
    await round();
    const [check] = producer.checks();
    producer.endOneway(late, COMMIT);
    producer.endOneway(halfOf(check), COMMIT, { fromTransactionCheck: "true" });
    producer.endOneway(late, ROLLBACK);
    await broker.clock.settle();
    expect((await committedBodies()).map((body) => body.length)).toEqual([100_000, 4]);
    expect(broker.transactions.metrics.count("T")).toBe(0);
  });

  it("of another message with the same key is another commit", async () => {
    const first = await producer.half("first", { UNIQ_KEY: "SAME" });
    const second = await producer.half("second", { UNIQ_KEY: "SAME" });
    await producer.end(first, COMMIT);
    await broker.clock.advance(4000);
    await round();
    await producer.end(second, COMMIT);
    expect(await committedBodies()).toEqual(["first", "second"]);
  });

  it("is refused in Apache's words when the request does not fit the half message", async () => {
    const half = await producer.half("x");
    const plain = await producer.client.ask(
      "SEND_MESSAGE_V2",
      {
        a: "p",
        b: "T",
        c: "TBW102",
        d: 4,
        e: 1,
        f: 0,
        g: 1,
        h: 0,
        i: "UNIQ_KEY\u0001U\u0002PGROUP\u0001producers\u0002",
      },
      { body: "plain" },
    );
    const plainOffset = Number.parseInt(plain.fields.msgId.slice(16), 16);
    for (const decision of [COMMIT, ROLLBACK]) {
      const refusal = async (more: object) => {
        const { code, remark } = await producer.end(half, decision, more);
        return [code, remark];
      };
      expect(await refusal({ producerGroup: "others" })).toEqual([1, "The producer group wrong"]);
      expect(await refusal({ tranStateTableOffset: 5 })).toEqual([1, "The transaction state table offset wrong"]);
      expect(await refusal({ commitLogOffset: 7 })).toEqual([1, "Find prepared transaction message failed"]);
      expect(await refusal({ commitLogOffset: 1e12 })).toEqual([1, "Find prepared transaction message failed"]);
      expect(await refusal({ commitLogOffset: plainOffset })).toEqual([
        1,
        "Find prepared transaction message failed: the message there is no half message",
      ]);
    }
    expect(await committedBodies()).toEqual(["plain"]);
  });

  it("after the immunity time is refused, unless a check asked for it", async () => {
    const immune = { CHECK_IMMUNITY_TIME_IN_SECONDS: "10" };
    const [late, early] = [await producer.half("late", immune), await producer.half("early", immune)];
    await broker.clock.advance(9_000);
    expect((await producer.end(early, COMMIT)).code).toBe(0);
    await broker.clock.advance(2_000);
    expect((await producer.end(late, COMMIT)).code).toBe(604);
    expect((await producer.end(late, ROLLBACK)).code).toBe(604);
    await round();
    const [check] = producer.checks();
    await producer.end(halfOf(check), COMMIT, { fromTransactionCheck: "true" });
    expect(await committedBodies()).toEqual(["early", "late"]);
    // As in Apache, who asked for immunity sees where it was prepared first.
    expect((await messagesOf(broker, "T", 1))[1].properties.get("TRAN_PREPARED_QUEUE_OFFSET")).toBe("0");
  });

  it("and a delay's end are not refused because maxMessageSize has become smaller since the message was taken", async () => {
    const hot = await producer.half("a message");
    const slow = await producer.half("delayed one", { DELAY: "1" });
    const { disk, clock } = broker;
    await broker.close();
    await start({ maxMessageSize: "4" }, disk, clock.now() + 1_000);
    expect((await producer.half("another")).reply.code).toBe(13);
    for (const half of [hot, slow]) expect((await producer.end(half, COMMIT)).code).toBe(0);
    expect(await committedBodies()).toEqual(["a message"]);
    await broker.clock.advance(2_000);
    expect(await committedBodies()).toEqual(["a message", "delayed one"]);
  });

  it("of a message with a delay level begins the delay", async () => {
    const half = await producer.half("later", { DELAY: "1" });
    expect(await messagesOf(broker, SCHEDULE_TOPIC)).toEqual([]);
    await producer.end(half, COMMIT);
    expect(await committedBodies()).toEqual([]);
    await broker.clock.advance(1500);
    expect(await committedBodies()).toEqual(["later"]);
    const [message] = await messagesOf(broker, "T", 1);
    expect(message.properties.get("UNIQ_KEY")).toBe(half.uniqueKey);
    expect((await producer.end(half, COMMIT)).code).toBe(0);
    await broker.clock.advance(5000);
    expect(await committedBodies()).toEqual(["later"]);
  });

  it("on a slave is refused", async () => {
    const half = await producer.half("x");
    await broker.close();
    await start({ brokerRole: "SLAVE", brokerId: "1" });
    expect((await producer.end(half, COMMIT)).code).toBe(11);
  });
});

describe("a rollback", () => {
  it("is answered once its op message is stored, and never delivered", async () => {
    const half = await producer.half("never");
    expect((await producer.end(half, ROLLBACK)).code).toBe(0);
    expect(await opBodies()).toEqual(["0,"]);
    expect(broker.transactions.metrics.count("T")).toBe(0);
    expect((await producer.end(half, ROLLBACK)).code).toBe(0);
    expect((await producer.end(half, COMMIT)).code).toBe(0);
    await broker.clock.advance(40_000);
    await round();
    expect((await producer.end(half, COMMIT)).remark).toContain("it was rolled back before");
    expect([await committedBodies(), producer.checks()]).toEqual([[], []]);
  });

  it("takes the commits that wait along", async () => {
    const [a, b, c] = [await producer.half("a"), await producer.half("b"), await producer.half("c")];
    producer.endOneway(a, COMMIT);
    producer.endOneway(b, ROLLBACK);
    producer.endOneway(c, COMMIT);
    await broker.clock.settle();
    expect((await opBodies()).join("").split(",").filter(Boolean).sort()).toEqual(["0", "1", "2"]);
  });
});

describe("a check", () => {
  it("asks a producer for what was left undecided, with the message and its new place", async () => {
    const half = await producer.half("asked", { TAGS: "a" });
    expect((await producer.end(half, UNKNOWN)).code).toBe(0);
    await broker.clock.advance(5_900);
    await round();
    expect(producer.checks()).toEqual([]);
    await broker.clock.advance(200);
    await round();
    const [check] = producer.checks();
    const [, again] = await messagesOf(broker, TRANS_HALF_TOPIC);
    expect(check.header).toEqual({
      topic: TRANS_HALF_TOPIC,
      tranStateTableOffset: 1,
      commitLogOffset: again.logOffset,
      msgId: half.uniqueKey,
      transactionId: half.uniqueKey,
      offsetMsgId: formatMessageId(broker.store.storeHost, again.logOffset),
      bname: "broker-a",
    });
    expect(check.message.topic()).toBe("T");
    expect(check.message).toMatchObject({
      queueId: 1,
      queueOffset: 1,
      logOffset: again.logOffset,
      flag: 7,
      sysFlag: 0,
    });
    expect(check.message.body().toString()).toBe("asked");
    expect(check.message.properties()).toContain("TRANSACTION_CHECK_TIMES\u00011\u0002");
    expect(again).toMatchObject({ flag: 7, bornTimestamp: check.message.bornTimestamp });
    expect(again.properties.get("TRANSACTION_CHECK_TIMES")).toBe("1");
    expect(progress()).toEqual([1, -1]);
    expect((await producer.end(halfOf(check), COMMIT, { fromTransactionCheck: "true" })).code).toBe(0);
    const [message] = await messagesOf(broker, "T", 1);
    expect(message.properties.get("TRANSACTION_CHECK_TIMES")).toBe("1");
    expect(message.properties.has("TRAN_PREPARED_QUEUE_OFFSET")).toBe(false);
  });

  it("goes on by itself, at the interval of the moment", async () => {
    broker.checks.start();
    await producer.half("x");
    await broker.clock.advance(29_000);
    expect(producer.checks()).toEqual([]);
    await broker.clock.advance(2_000);
    expect(producer.checks()).toHaveLength(1);
    (broker.config as { transactionCheckInterval: number }).transactionCheckInterval = 1000;
    await broker.clock.advance(31_000);
    expect(producer.checks().length).toBeGreaterThan(1);
  });

  it("asks the producers of a group in turn, and only those that are there", async () => {
    const second = new TransactionProducer(broker, "producers");
    const stranger = new TransactionProducer(broker, "others");
    second.register();
    stranger.register();
    for (let i = 0; i < 4; i++) await producer.half(`m${i}`);
    await broker.clock.advance(7000);
    await round();
    expect([producer.checks().length, second.checks().length, stranger.checks().length]).toEqual([2, 2, 0]);
    producer.client.caller.close();
    await broker.clock.advance(7000);
    await round();
    expect([producer.checks().length, second.checks().length]).toEqual([0, 4]);
  });

  it("and the producer's own late end are one decision", async () => {
    const halfs = [await producer.half("a"), await producer.half("b"), await producer.half("c")];
    await broker.clock.advance(7000);
    await round();
    const checks = producer.checks();
    // Whichever comes first counts, whichever place it names.
    await producer.end(halfOf(checks[0]), COMMIT, { fromTransactionCheck: "true" });
    await producer.end(halfs[0], COMMIT);
    await producer.end(halfs[1], COMMIT);
    await producer.end(halfOf(checks[1]), COMMIT, { fromTransactionCheck: "true" });
    await producer.end(halfs[2], ROLLBACK);
    await producer.end(halfOf(checks[2]), COMMIT, { fromTransactionCheck: "true" });
    await broker.clock.advance(7000);
    await round();
    await producer.end(halfs[0], COMMIT);
    await producer.end(halfOf(checks[1]), COMMIT, { fromTransactionCheck: "true" });
    expect(await committedBodies()).toEqual(["a", "b"]);
    expect(producer.checks()).toEqual([]);
    expect(broker.transactions.metrics.count("T")).toBe(0);
    expect(broker.transactions.chains).toBe(0);
  });

  it("is repeated up to the maximum; then the message is given up, and still may be committed", async () => {
    await broker.close();
    await start({ transactionCheckMax: "3" });
    const half = await producer.half("lost");
    for (let i = 1; i <= 3; i++) {
      await broker.clock.advance(7000);
      await round();
      const [check] = producer.checks();
      expect(check.message.properties()).toContain(`TRANSACTION_CHECK_TIMES\u0001${i}\u0002`);
    }
    await broker.clock.advance(7000);
    await round();
    expect(producer.checks()).toEqual([]);
    const [given] = await messagesOf(broker, TRANS_CHECK_MAX_TIME_TOPIC);
    expect(given.body.toString()).toBe("lost");
    expect(given.properties.get("TRANSACTION_CHECK_TIMES")).toBe("3");
    expect(broker.topics.get(TRANS_CHECK_MAX_TIME_TOPIC)).toMatchObject({
      readQueueNums: 1,
      writeQueueNums: 1,
      perm: 6,
    });
    expect(broker.transactions.metrics.count("T")).toBe(0);
    expect(progress()[0]).toBe(4);
    expect((await producer.end(half, COMMIT)).code).toBe(0);
    expect((await producer.end(half, COMMIT)).code).toBe(0);
    expect(await committedBodies()).toEqual(["lost"]);
  });

  it("of a message older than the log is kept gives it up unasked", async () => {
    await producer.half("old", {}, { g: broker.clock.now() - 73 * 3_600_000 });
    await round();
    expect(bodies(await messagesOf(broker, TRANS_CHECK_MAX_TIME_TOPIC))).toEqual(["old"]);
  });

  it("within the immunity time makes way for others, and does not count", async () => {
    await broker.close();
    await start({ transactionCheckMax: "2" });
    await producer.half("immune", { CHECK_IMMUNITY_TIME_IN_SECONDS: "60" });
    for (let i = 0; i < 6; i++) {
      await broker.clock.advance(9000);
      await round();
    }
    expect([producer.checks(), await messagesOf(broker, TRANS_CHECK_MAX_TIME_TOPIC)]).toEqual([[], []]);
    await producer.half("other");
    await broker.clock.advance(9000);
    await round();
    const checks = producer.checks();
    expect(checks.map((check) => check.message.body().toString()).sort()).toEqual(["immune", "other"]);
    for (const check of checks) await producer.end(halfOf(check), COMMIT, { fromTransactionCheck: "true" });
    expect((await committedBodies()).sort()).toEqual(["immune", "other"]);
  });

  it("is not held up by a half message whose properties leave no room for the note of the check", async () => {
    const full = new TransactionProducer(broker, "full", "10.0.0.9:1");
    full.register();
    const stored = (await full.half("x", { pad: "p" })) && (await messagesOf(broker, TRANS_HALF_TOPIC))[0];
    const used = formatProperties(stored.properties).length;
    const half = await full.half("full", { pad: "x".repeat(PROPERTIES_BYTES_MAX - used - 8) });
    expect(half.reply.code).toBe(0);
    await producer.half("behind it");
    await broker.clock.advance(7_000);
    for (let i = 0; i < 3; i++) await round();
    expect(producer.checks().length).toBeGreaterThan(0);
    const asked = full.checks().filter(({ message }) => message.body().toString() === "full");
    expect(asked.length).toBeGreaterThan(0);
    expect(parseProperties(asked[0].message.properties()).get("PGROUP")).toBe("full");
    expect((await full.end(halfOf(asked.at(-1)!), COMMIT, { fromTransactionCheck: "true" })).code).toBe(0);
    expect(await committedBodies()).toEqual(["full"]);
  });

  it("that cannot put the message back leaves it where it is", async () => {
    // Large, so that it does not fit into what the log's last block has left.
    const half = await producer.half("s".repeat(50_000));
    await broker.clock.advance(7000);
    broker.disk.capacityBytes = 0;
    await round();
    expect([producer.checks(), broker.transactions.decided.base]).toEqual([[], 0]);
    broker.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await broker.clock.advance(1000);
    expect((await producer.end(half, COMMIT)).code).toBe(0);
    expect(await committedBodies()).toHaveLength(1);
  });
});

describe("a message given up", () => {
  it("is checked anew when an operator says so, and only if it was not committed", async () => {
    await broker.close();
    await start({ transactionCheckMax: "1" });
    const resume = async (logOffset: number) => {
      const row = broker.rows.get(RequestCode.RESUME_CHECK_HALF_MESSAGE);
      const msgId = formatMessageId(broker.store.storeHost, logOffset);
      let done = false;
      const reply = Promise.resolve(row?.handle?.(callOf(RequestCode.RESUME_CHECK_HALF_MESSAGE, { msgId }))).finally(
        () => {
          done = true;
        },
      );
      while (!done) await broker.clock.settle();
      return (await reply) as { code: number; remark?: string };
    };
    const half = await producer.half("again");
    for (let i = 0; i < 2; i++) {
      await broker.clock.advance(7000);
      await round();
    }
    producer.checks();
    const [given] = await messagesOf(broker, TRANS_CHECK_MAX_TIME_TOPIC);
    expect((await resume(given.logOffset)).code).toBe(0);
    expect(broker.transactions.metrics.count("T")).toBe(1);
    await broker.clock.advance(7000);
    await round();
    const [check] = producer.checks();
    expect(check.message.properties()).toContain("TRANSACTION_CHECK_TIMES\u00011\u0002");
    // The producer remembers its first place only.
    expect((await producer.end(half, COMMIT)).code).toBe(0);
    await producer.end(halfOf(check), COMMIT, { fromTransactionCheck: "true" });
    expect(await committedBodies()).toEqual(["again"]);
    expect(await resume(given.logOffset)).toMatchObject({ code: 1 });
    expect((await resume(given.logOffset)).remark).toContain("its transaction was committed");
    const [committed] = await messagesOf(broker, "T", 1);
    expect((await resume(committed.logOffset)).remark).toContain("it is not the half message of a transaction");
    expect((await resume(12_345_678)).remark).toContain("there is no message with this id");
  });
});

describe("a restart", () => {
  const restart = async (how: "clean" | "killed", options: Record<string, string> = {}) => {
    const now = broker.clock.now() + 1000;
    let { disk } = broker;
    if (how === "clean") await broker.close();
    else disk = disk.killed(1);
    await start(options, disk, now);
  };

  for (const how of ["clean", "killed"] as const) {
    it(`(${how}) knows what was committed, rolled back and left`, async () => {
      const halfs: Half[] = [];
      for (let i = 0; i < 6; i++) halfs.push(await producer.half(`m${i}`));
      await producer.end(halfs[0], COMMIT);
      await producer.end(halfs[1], ROLLBACK);
      await producer.end(halfs[2], COMMIT);
      await restart(how);
      producer.register();
      await producer.end(halfs[2], COMMIT);
      await producer.end(halfs[0], COMMIT);
      await producer.end(halfs[3], COMMIT);
      await broker.clock.advance(10_000);
      await round();
      const asked = producer.checks();
      expect(asked.map((check) => check.message.body().toString())).toEqual(["m4", "m5"]);
      await producer.end(halfOf(asked[0]), COMMIT, { fromTransactionCheck: "true" });
      await producer.end(halfOf(asked[1]), ROLLBACK, { fromTransactionCheck: "true" });
      await restart(how);
      await broker.clock.advance(10_000);
      await round();
      expect(producer.checks()).toEqual([]);
      expect(await committedBodies()).toEqual(["m0", "m2", "m3", "m4"]);
    });

    it(`(${how}) passes over op messages that name half messages which cannot be`, async () => {
      const half = await producer.half("m");
      const body = Buffer.from("999999999999999,77,");
      const done = broker.store.put({
        topic: TRANS_OP_HALF_TOPIC,
        queueId: 0,
        body,
        properties: new Map([["TAGS", "d"]]),
      });
      await broker.clock.settle();
      await done;
      await restart(how);
      expect((await producer.end(half, COMMIT)).code).toBe(0);
      expect(await committedBodies()).toEqual(["m"]);
    });

    it(`(${how}) asks once for a transaction that was put back`, async () => {
      const half = await producer.half("twice?");
      await broker.clock.advance(7000);
      await round();
      const [first] = producer.checks();
      await restart(how);
      expect(broker.transactions.chains).toBe(1);
      await broker.clock.advance(7000);
      await round();
      const checks = producer.checks();
      expect(checks).toHaveLength(1);
      await producer.end(halfOf(first), COMMIT, { fromTransactionCheck: "true" });
      await restart(how);
      await producer.end(halfOf(checks[0]), COMMIT, { fromTransactionCheck: "true" });
      await producer.end(half, COMMIT);
      await broker.clock.advance(7000);
      await round();
      expect([producer.checks(), await committedBodies()]).toEqual([[], ["twice?"]]);
    });
  }

  /** Apache's putBackHalfMsgQueue: appended again with its check counted, and nothing that names its first life. */
  const apachePutsBack = async (halfOffset: number, checkTimes = 1): Promise<Half> => {
    const old = (await messagesOf(broker, TRANS_HALF_TOPIC))[halfOffset];
    const { topic, body, flag, sysFlag, bornTimestamp, bornHost, reconsumeTimes } = old;
    const properties = new Map(old.properties).set("TRANSACTION_CHECK_TIMES", String(checkTimes));
    const put = { topic, queueId: 0, body, properties, flag, sysFlag, bornTimestamp, bornHost, reconsumeTimes };
    const appended = broker.store.put(put);
    await broker.clock.settle();
    const { queueOffset, logOffset } = await appended;
    return { uniqueKey: old.properties.get("UNIQ_KEY") ?? "", halfOffset: queueOffset, logOffset } as Half;
  };

  const apacheNotes = async (...halfOffsets: number[]): Promise<void> => {
    const body = Buffer.from(halfOffsets.map((offset) => `${offset},`).join(""));
    const properties = new Map([
      ["TAGS", "d"],
      ["WAIT", "true"],
    ]);
    void broker.store.put({ topic: TRANS_OP_HALF_TOPIC, queueId: 0, body, properties });
    await broker.clock.settle();
  };

  /** What producers are asked by two rounds of checks, and all that was delivered once everything asked was committed. */
  const outcomeOfChecks = async () => {
    const asked: string[] = [];
    for (let i = 0; i < 2; i++) {
      await broker.clock.advance(10_000);
      await round();
      for (const check of producer.checks()) {
        asked.push(check.message.body().toString());
        await producer.end(halfOf(check), COMMIT, { fromTransactionCheck: "true" });
      }
    }
    return { asked, delivered: (await committedBodies()).sort() };
  };

  describe("on a store that Apache left within seconds of its checks", () => {
    it("asks once for what was put back, whichever life its producer ends", async () => {
      const first = await producer.half("a");
      const second = await producer.half("b");
      await producer.half("c");
      await producer.half("d");
      const newest = await apachePutsBack(first.halfOffset);
      for (const halfOffset of [1, 2, 3]) await apachePutsBack(halfOffset);
      // Apache was killed and started once before: it took the old one for a new one again.
      await apachePutsBack(2);
      await restart("killed");
      expect(broker.transactions.chains).toBe(4);
      expect((await producer.end(first, COMMIT)).code).toBe(0);
      await producer.end(newest, COMMIT);
      await producer.end(second, ROLLBACK);
      expect(broker.transactions.chains).toBe(2);
      expect(await outcomeOfChecks()).toEqual({ asked: ["d", "c"], delivered: ["a", "c", "d"] });
      // Long behind the first undecided message, each life still knows how its transaction ended.
      expect((await producer.end(first, COMMIT)).code).toBe(0);
      expect((await producer.end(newest, COMMIT)).code).toBe(0);
      expect((await producer.end(second, COMMIT)).code).toBe(1);
      await restart("killed");
      expect(await outcomeOfChecks()).toEqual({ asked: [], delivered: ["a", "c", "d"] });
    });

    it("takes a decision about one life for all, told by an op message or by the committed message alone", async () => {
      await producer.half("old one noted");
      await producer.half("new one noted");
      const committed = await producer.half("new one committed");
      await producer.half("left");
      for (const halfOffset of [0, 1]) await apachePutsBack(halfOffset);
      const newest = await apachePutsBack(committed.halfOffset);
      const again = await apachePutsBack(3);
      await apachePutsBack(again.halfOffset, 2);
      await apacheNotes(0, 5);
      await producer.end(newest, COMMIT);
      await restart("killed");
      // What was found is noted for the next start, which comes before the first check.
      await broker.clock.advance(4000);
      await restart("killed");
      expect(broker.transactions.chains).toBe(1);
      expect(await outcomeOfChecks()).toEqual({ asked: ["left"], delivered: ["left", "new one committed"] });
    });

    it("knows its transactions after further lives, until they are committed", async () => {
      await producer.half("a");
      await apachePutsBack(0);
      await restart("killed");
      await broker.clock.advance(10_000);
      await round();
      const [check] = producer.checks();
      await restart("killed");
      await broker.clock.advance(10_000);
      await round();
      expect(producer.checks()).toHaveLength(1);
      await producer.end(halfOf(check), COMMIT, { fromTransactionCheck: "true" });
      // Killed before the op message was written.
      await restart("killed");
      expect(await outcomeOfChecks()).toEqual({ asked: [], delivered: ["a"] });
      await restart("killed");
      expect(await outcomeOfChecks()).toEqual({ asked: [], delivered: ["a"] });
    });

    it("keeps apart messages of one key that were never put back, and those that name their first life", async () => {
      const key = "C0A80001000118B4AAC2000000000001";
      await producer.half("a", { UNIQ_KEY: key });
      await producer.half("b", { UNIQ_KEY: key });
      await restart("killed");
      expect(broker.transactions.chains).toBe(0);
      expect(await outcomeOfChecks()).toEqual({ asked: ["a", "b"], delivered: ["a", "b"] });
    });
  });

  it("keeps the metrics", async () => {
    await producer.half("x");
    await restart("clean");
    expect(broker.transactions.metrics.count("T")).toBe(1);
    expect(broker.transactions.metrics.encode()).toMatch(
      /^\{"dataVersion":\{"counter":1,"stateVersion":0,"timestamp":\d+\},"transactionCount":\{"T":\{"count":1,"timeStamp":\d+\}\}\}$/,
    );
  });
});
