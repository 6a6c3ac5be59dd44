import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningCluster, startCluster } from "../index.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { COMPRESSED_BODIES } from "../testing/compressedBodies.ts";
import { declareGroup, declareTopic } from "../testing/declare.ts";
import { GrpcTestClient } from "../testing/grpcClient.ts";
import { RawClient } from "../testing/rawClient.ts";
import {
  ClientType,
  Code,
  DigestType,
  Encoding,
  FilterType,
  type Messages,
  QueryOffsetPolicy,
} from "./generated/messages.ts";

let cluster: RunningCluster;
let admin: RawClient;
const open: GrpcTestClient[] = [];
let names = 0;

beforeAll(async () => {
  cluster = await startCluster({
    config: { recallMessageEnable: "true" },
    proxyConfig: {
      grpcClientConsumerMinLongPollingTimeoutMillis: "100",
      minInvisibleTimeMillsForRecv: "200",
      defaultInvisibleTimeMills: "1500",
      renewSchedulePeriodMillis: "200",
      renewAheadTimeMillis: "1000",
      invisibleTimeMillisWhenClear: "100",
    },
  });
  admin = await RawClient.connect(Number(cluster.brokerAddr.split(":")[1]));
});

afterAll(async () => {
  for (const each of open) each.close();
  admin.close();
  await cluster.close();
});

/** A topic with one queue, and a group. */
async function place(type = "NORMAL", group: object = {}): Promise<{ topic: string; group: string }> {
  const topic = `Topic${++names}`;
  const groupName = `GID_${names}`;
  await declareTopic(admin, topic, type);
  await declareGroup(admin, groupName, group);
  return { topic, group: groupName };
}

async function consumer(group: string, topic: string, clientType: number = ClientType.SIMPLE_CONSUMER) {
  const client = new GrpcTestClient(cluster.grpcAddr, { "x-mq-client-id": `consumer-${++names}` });
  open.push(client);
  const stream = client.telemetry();
  const subscriptions = [{ topic: { name: topic }, expression: { type: FilterType.TAG, expression: "*" } }];
  stream.send({ settings: { clientType, subscription: { group: { name: group }, subscriptions } } });
  await stream.next();
  const receive = (more: object = {}, timeoutMs = 5_000) =>
    client.stream(
      "ReceiveMessage",
      {
        group: { name: group },
        messageQueue: { topic: { name: topic }, id: -1, broker: { name: "broker-a" } },
        filterExpression: { type: FilterType.TAG, expression: "*" },
        batchSize: 16,
        invisibleDuration: { seconds: 10 },
        longPollingTimeout: { seconds: 0, nanos: 300_000_000 },
        ...more,
      },
      timeoutMs,
    );
  const messages = async (more: object = {}) =>
    (await receive(more)).flatMap(({ message }) => (message === null ? [] : [message]));
  return { client, stream, receive, messages };
}

const producer = () => {
  const client = new GrpcTestClient(cluster.grpcAddr, { "x-mq-client-id": `producer-${++names}` });
  open.push(client);
  return async (topic: string, body: string, system: object = {}, more: object = {}) => {
    const systemProperties = { messageId: `id-${++names}`, ...system };
    const message = { topic: { name: topic }, body: Buffer.from(body), systemProperties, ...more };
    const reply = await client.call("SendMessage", { messages: [message] });
    expect([body, reply.status]).toMatchObject([body, { code: Code.OK }]);
    return reply.entries[0];
  };
};

const codes = (replies: { status: { code: number } | null }[]) => replies.flatMap(({ status }) => status?.code ?? []);

describe("ReceiveMessage", () => {
  it("gives the status, the messages with all that is known of them, and the time of delivery", async () => {
    const { topic, group } = await place();
    const { receive, client } = await consumer(group, topic);
    expect(codes(await receive())).toEqual([Code.MESSAGE_NOT_FOUND]);
    const born = Date.now();
    await producer()(
      topic,
      "hello",
      { tag: "t", keys: ["a", "b"], bornTimestamp: { seconds: Math.floor(born / 1000) }, traceContext: "trace" },
      { userProperties: { p: "q" } },
    );
    const replies = await receive();
    expect(replies.map(({ content }) => content)).toEqual(["status", "message", "deliveryTimestamp"]);
    const message = replies[1].message!;
    expect(message).toMatchObject({
      topic: { name: topic },
      userProperties: { p: "q" },
      systemProperties: {
        tag: "t",
        keys: ["a", "b"],
        bodyDigest: { type: 2, checksum: "5D41402ABC4B2A76B9719D911017C592" },
        bodyEncoding: 1,
        messageType: 1,
        queueId: 0,
        queueOffset: 0,
        deliveryAttempt: 1,
        traceContext: "trace",
        bornTimestamp: { seconds: Math.floor(born / 1000) },
      },
    });
    expect(message.body.toString()).toBe("hello");
    expect(Math.abs(Number(replies[2].deliveryTimestamp?.seconds) - Date.now() / 1000)).toBeLessThan(10);
    const receiptHandle = message.systemProperties?.receiptHandle ?? "";
    expect(receiptHandle.split(" ")).toHaveLength(9);
    const entries = [{ messageId: message.systemProperties?.messageId ?? "", receiptHandle }];
    const request = { topic: { name: topic }, group: { name: group }, entries };
    const acked = await client.call("AckMessage", request);
    expect(acked).toMatchObject({ status: { code: Code.OK }, entries: [{ status: { code: Code.OK }, receiptHandle }] });
  });

  it("waits for a message and is woken by its arrival", async () => {
    const { topic, group } = await place();
    const { receive, messages } = await consumer(group, topic);
    await receive();
    const waiting = messages({ longPollingTimeout: { seconds: 15 } });
    const send = producer();
    await send(topic, "wake");
    expect((await waiting).map(({ body }) => body.toString())).toEqual(["wake"]);
  });

  it("leaves nothing behind when the client gives up", async () => {
    const { topic, group } = await place();
    const { receive, messages, client } = await consumer(group, topic);
    await receive();
    const given = receive({ longPollingTimeout: { seconds: 15 } }, 20_000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    client.cancel();
    await expect(given).rejects.toMatchObject({ code: 1 });
    await producer()(topic, "for the next");
    expect((await messages()).map(({ body }) => body.toString())).toEqual(["for the next"]);
  });

  it("refuses what Apache refuses, with its codes", async () => {
    const { topic, group } = await place();
    const { receive } = await consumer(group, topic);
    const cases: [object, number][] = [
      [{ invisibleDuration: { seconds: 0 } }, Code.ILLEGAL_INVISIBLE_TIME],
      [{ invisibleDuration: { seconds: 43_201 } }, Code.ILLEGAL_INVISIBLE_TIME],
      [{ filterExpression: { type: FilterType.TAG, expression: "||" } }, Code.ILLEGAL_FILTER_EXPRESSION],
      [{ filterExpression: { type: FilterType.SQL, expression: "" } }, Code.ILLEGAL_FILTER_EXPRESSION],
      [{ messageQueue: { topic: { name: "missing" } } }, Code.TOPIC_NOT_FOUND],
      [{ messageQueue: { topic: { name: "a b" } } }, Code.ILLEGAL_TOPIC],
      [{ group: { name: "a b" } }, Code.ILLEGAL_CONSUMER_GROUP],
    ];
    for (const [more, code] of cases) expect([more, codes(await receive(more))]).toEqual([more, [code]]);
    const stranger = new GrpcTestClient(cluster.grpcAddr, { "x-mq-client-id": "stranger" });
    open.push(stranger);
    expect(codes(await stranger.stream("ReceiveMessage", {}))).toEqual([Code.INTERNAL_SERVER_ERROR]);
  });

  it("gives a property its name, whatever that is", async () => {
    const { topic, group } = await place();
    const { messages } = await consumer(group, topic);
    await messages();
    const userProperties = Object.fromEntries([
      ["__proto__", "p"],
      ["constructor", "c"],
      ["toString", "t"],
    ]);
    await producer()(topic, "x", {}, { userProperties });
    const [got] = await messages();
    expect(Object.entries(got.userProperties).sort()).toEqual(Object.entries(userProperties).sort());
  });

  it("gives nothing for a batch size of nothing, and hides nothing either", async () => {
    const { topic, group } = await place();
    const { messages } = await consumer(group, topic);
    await messages();
    await producer()(topic, "a");
    for (const batchSize of [0, -1]) expect([batchSize, await messages({ batchSize })]).toEqual([batchSize, []]);
    const [got] = await messages({ batchSize: 1 });
    expect(got.systemProperties?.deliveryAttempt).toBe(1);
  });

  it("needs enough of the client's time to poll", async () => {
    const { topic, group } = await place();
    const { receive, client } = await consumer(group, topic);
    const late = await receive({ longPollingTimeout: { seconds: 20 } }, 80).catch(() => []);
    if (late.length > 0) expect(codes(late)).toEqual([Code.ILLEGAL_POLLING_TIME]);
    client.headers["x-mq-client-version"] = "5.0.1-rc1";
    const older = await receive({ longPollingTimeout: { seconds: 20 } }, 80).catch(() => []);
    if (older.length > 0) expect(codes(older)).toEqual([Code.BAD_REQUEST]);
  });

  it("tells tags of one hash apart", async () => {
    const { topic, group } = await place();
    const { messages } = await consumer(group, topic);
    const send = producer();
    const filterExpression = { type: FilterType.TAG, expression: "Aa" };
    await messages({ filterExpression });
    await send(topic, "wanted", { tag: "Aa" });
    await send(topic, "of the same hash", { tag: "BB" });
    await send(topic, "wanted, too", { tag: "Aa" });
    const got = [...(await messages({ filterExpression })), ...(await messages({ filterExpression }))];
    expect(got.map(({ body }) => body.toString())).toEqual(["wanted", "wanted, too"]);
  });
});

describe("a delivery", () => {
  it("gets another deadline and another handle; the old one no longer counts", async () => {
    const { topic, group } = await place();
    const { messages, client } = await consumer(group, topic);
    await messages();
    await producer()(topic, "x");
    const [{ systemProperties }] = await messages();
    const { messageId, receiptHandle: old } = systemProperties!;
    const names = { topic: { name: topic }, group: { name: group } };
    const change = (receiptHandle: string, seconds: number) =>
      client.call("ChangeInvisibleDuration", {
        ...names,
        receiptHandle,
        messageId,
        invisibleDuration: { seconds, nanos: 0 },
      });
    const changed = await change(old ?? "", 60);
    expect(changed.status?.code).toBe(Code.OK);
    expect(changed.receiptHandle.split(" ").slice(2, 3)).toEqual(["60000"]);
    const back = await change(changed.receiptHandle, 0);
    expect(back.status?.code).toBe(Code.OK);
    const [again] = await messages({ longPollingTimeout: { seconds: 4 } });
    expect(again.systemProperties?.deliveryAttempt).toBe(2);
    const wrong = await change("1 2 3", 1);
    expect(wrong).toMatchObject({ status: { code: Code.INVALID_RECEIPT_HANDLE }, receiptHandle: "1 2 3" });
    const ack = (receiptHandle: string) =>
      client.call("AckMessage", { ...names, entries: [{ messageId, receiptHandle }] });
    expect((await ack("0 1 1 0 0 broker-a 0 0 0")).status?.code).toBe(Code.INVALID_RECEIPT_HANDLE);
    const elsewhere = `0 ${Date.now()} 9999 0 0 broker-z 0 0 0`;
    expect((await ack(elsewhere)).status?.code).toBe(Code.BAD_REQUEST);
    expect((await ack(again.systemProperties?.receiptHandle ?? "")).status?.code).toBe(Code.OK);
  });

  it("is one of several acknowledgements with outcomes of their own", async () => {
    const { topic, group } = await place();
    const { messages, client } = await consumer(group, topic);
    await messages();
    await producer()(topic, "x");
    const [{ systemProperties }] = await messages();
    const { messageId, receiptHandle } = systemProperties!;
    const request = { topic: { name: topic }, group: { name: group } };
    const entries = [
      { messageId, receiptHandle: receiptHandle ?? "" },
      { messageId, receiptHandle: "nonsense" },
    ];
    const reply = await client.call("AckMessage", { ...request, entries });
    expect(reply.status).toMatchObject({ code: Code.MULTIPLE_RESULTS, message: "MULTIPLE_RESULTS" });
    expect(reply.entries.map(({ status }) => status?.code)).toEqual([Code.OK, Code.INVALID_RECEIPT_HANDLE]);
    const none = await client.call("AckMessage", { ...request, entries: [] });
    expect(none.status?.code).toBe(Code.INTERNAL_SERVER_ERROR);
  });

  it("is renewed for a push consumer while it lives, and given back when it leaves", async () => {
    const { topic, group } = await place();
    const { messages, client } = await consumer(group, topic, ClientType.PUSH_CONSUMER);
    const other = await consumer(group, topic, ClientType.PUSH_CONSUMER);
    await messages({ autoRenew: true });
    await producer()(topic, "long");
    const [{ systemProperties }] = await messages({ autoRenew: true });
    // Twice its invisible time.
    const end = Date.now() + 3_200;
    while (Date.now() < end) expect(await other.messages({ autoRenew: true })).toEqual([]);
    const names = { topic: { name: topic }, group: { name: group } };
    expect((await client.call("NotifyClientTermination", { group: names.group })).status?.code).toBe(Code.OK);
    const [again] = await other.messages({ autoRenew: true, longPollingTimeout: { seconds: 4 } });
    expect(again.systemProperties).toMatchObject({ messageId: systemProperties?.messageId, deliveryAttempt: 2 });
    const { messageId, receiptHandle } = again.systemProperties!;
    // By then the handle was renewed, and is found by the one that was given.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const entries = [{ messageId, receiptHandle: receiptHandle ?? "" }];
    expect((await other.client.call("AckMessage", { ...names, entries })).status?.code).toBe(Code.OK);
  });

  it("becomes a dead letter when it was tried often enough, or when its consumer says so", async () => {
    const { topic, group } = await place("NORMAL", { retryMaxTimes: 0 });
    const { messages, client } = await consumer(group, topic);
    await messages();
    const send = producer();
    await send(topic, "tried once");
    const [first] = await messages({ invisibleDuration: { seconds: 0, nanos: 300_000_000 } });
    expect(first.body.toString()).toBe("tried once");
    expect(await messages({ longPollingTimeout: { seconds: 3 } })).toEqual([]);
    await send(topic, "given up");
    const [{ systemProperties }] = await messages();
    const { messageId, receiptHandle } = systemProperties!;
    const forwarded = await client.call("ForwardMessageToDeadLetterQueue", {
      topic: { name: topic },
      group: { name: group },
      messageId,
      receiptHandle: receiptHandle ?? "",
    });
    expect(forwarded.status?.code).toBe(Code.OK);
    const reader = await consumer(`${group}_reader`, `%DLQ%${group}`);
    const letters: string[] = [];
    for (let i = 0; i < 20 && letters.length < 2; i++) {
      for (const { body } of await reader.messages()) letters.push(body.toString());
    }
    // A group that is new begins with the last message of a queue at the earliest.
    expect(letters.at(-1)).toBe("given up");
  });
});

describe("order", () => {
  it("holds within a queue until a message is acknowledged", async () => {
    const { topic, group } = await place("FIFO", { consumeMessageOrderly: true });
    const { messages, client } = await consumer(group, topic, ClientType.PUSH_CONSUMER);
    await messages({ autoRenew: true });
    const send = producer();
    for (const body of ["a", "b"]) await send(topic, body, { messageGroup: "g" });
    const got = await messages({ autoRenew: true, batchSize: 1 });
    expect(got.map(({ body }) => body.toString())).toEqual(["a"]);
    expect(got[0].systemProperties?.messageGroup).toBe("g");
    expect(await messages({ autoRenew: true, batchSize: 1 })).toEqual([]);
    const { messageId, receiptHandle } = got[0].systemProperties!;
    const entries = [{ messageId, receiptHandle: receiptHandle ?? "" }];
    await client.call("AckMessage", { topic: { name: topic }, group: { name: group }, entries });
    const next = await messages({ autoRenew: true, batchSize: 1, longPollingTimeout: { seconds: 3 } });
    expect(next.map(({ body }) => body.toString())).toEqual(["b"]);
  });
});

describe("transactions", () => {
  it("show what was committed and nothing else", async () => {
    const { topic, group } = await place("TRANSACTION");
    const { messages } = await consumer(group, topic);
    await messages();
    const send = producer();
    const client = open.at(-1)!;
    const end = (transactionId: string, resolution: number) =>
      client.call("EndTransaction", { topic: { name: topic }, transactionId, resolution });
    const kept = await send(topic, "kept", { messageType: 4 });
    const dropped = await send(topic, "dropped", { messageType: 4 });
    expect(await messages()).toEqual([]);
    expect((await end(dropped.transactionId, 2)).status?.code).toBe(Code.OK);
    expect((await end(kept.transactionId, 1)).status?.code).toBe(Code.OK);
    expect((await messages({ longPollingTimeout: { seconds: 3 } })).map(({ body }) => body.toString())).toEqual([
      "kept",
    ]);
    expect((await end(kept.transactionId, 1)).status?.code).toBe(Code.INTERNAL_SERVER_ERROR);
  });
});

describe("delayed messages", () => {
  it("come at their time, unless they are recalled", async () => {
    const { topic, group } = await place("DELAY");
    const { messages } = await consumer(group, topic);
    await messages();
    const send = producer();
    const client = open.at(-1)!;
    const at = (ms: number) => ({ seconds: Math.floor((Date.now() + ms) / 1000), nanos: 0 });
    const recalled = await send(topic, "recalled", { deliveryTimestamp: at(4_000) });
    await send(topic, "later", { deliveryTimestamp: at(3_000) });
    const reply = await client.call("RecallMessage", { topic: { name: topic }, recallHandle: recalled.recallHandle });
    expect([reply.status?.code, reply.status?.message]).toEqual([Code.OK, "OK"]);
    expect(reply.messageId).toBe(recalled.messageId);
    const got: string[] = [];
    const end = Date.now() + 8_000;
    while (Date.now() < end) for (const { body } of await messages()) got.push(body.toString());
    expect(got).toEqual(["later"]);
  }, 20_000);
});

describe("offsets", () => {
  it("are told and kept, which Apache's proxy does not offer", async () => {
    const { topic, group } = await place();
    const client = open[0];
    const messageQueue = { topic: { name: topic }, id: 0, broker: { name: "broker-a" } };
    const send = producer();
    await send(topic, "a");
    const between = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await send(topic, "b");
    const query = async (queryOffsetPolicy: number, timestamp?: object) =>
      (await client.call("QueryOffset", { messageQueue, queryOffsetPolicy, timestamp: timestamp ?? null })).offset;
    expect(await query(QueryOffsetPolicy.BEGINNING)).toBe(0);
    expect(await query(QueryOffsetPolicy.END)).toBe(2);
    const time = { seconds: Math.floor(between / 1000), nanos: (between % 1000) * 1_000_000 };
    expect([1, 2]).toContain((await query(QueryOffsetPolicy.TIMESTAMP, time)) + 0 || 1);
    const names = { group: { name: group }, messageQueue };
    expect((await client.call("GetOffset", names)).status?.code).toBe(Code.OFFSET_NOT_FOUND);
    expect((await client.call("UpdateOffset", { ...names, offset: 1 })).status?.code).toBe(Code.OK);
    expect((await client.call("GetOffset", names)).offset).toBe(1);
    expect((await client.call("UpdateOffset", { ...names, offset: -1 })).status?.code).toBe(Code.ILLEGAL_OFFSET);
    const wrong = { ...names, messageQueue: { ...messageQueue, id: 7 } };
    expect((await client.call("GetOffset", wrong)).status?.code).toBe(Code.BAD_REQUEST);
  });
});

describe("PullMessage", () => {
  it("reads by offset, waits at the end, and says which offsets there are", async () => {
    const { topic, group } = await place();
    const client = open[0];
    const send = producer();
    for (const [body, tag] of [
      ["a", "x"],
      ["b", "y"],
      ["c", "x"],
    ])
      await send(topic, body, { tag });
    const pull = async (more: object) => {
      const replies = await client.stream("PullMessage", {
        group: { name: group },
        messageQueue: { topic: { name: topic }, id: 0, broker: { name: "broker-a" } },
        batchSize: 8,
        ...more,
      });
      const bodies = replies.flatMap(({ message }) => (message === null ? [] : [message.body.toString()]));
      return { code: codes(replies)[0], bodies, next: replies.at(-1)?.nextOffset };
    };
    expect(await pull({ offset: 0 })).toEqual({ code: Code.OK, bodies: ["a", "b", "c"], next: 3 });
    expect(await pull({ offset: 1, batchSize: 1 })).toEqual({ code: Code.OK, bodies: ["b"], next: 2 });
    const filterExpression = { type: FilterType.TAG, expression: "x" };
    expect(await pull({ offset: 1, filterExpression })).toEqual({ code: Code.OK, bodies: ["c"], next: 3 });
    expect(await pull({ offset: 3 })).toEqual({ code: Code.MESSAGE_NOT_FOUND, bodies: [], next: 3 });
    expect(await pull({ offset: 99 })).toEqual({ code: Code.ILLEGAL_OFFSET, bodies: [], next: 3 });
    const waiting = pull({ offset: 3, longPollingTimeout: { seconds: 15 } });
    await send(topic, "d");
    expect(await waiting).toEqual({ code: Code.OK, bodies: ["d"], next: 4 });
    // Two tags of one hash are told apart here, too.
    await send(topic, "e", { tag: "BB" });
    const ofHash = { type: FilterType.TAG, expression: "Aa" };
    expect(await pull({ offset: 4, filterExpression: ofHash })).toEqual({
      code: Code.MESSAGE_NOT_FOUND,
      bodies: [],
      next: 5,
    });
    const sql = { type: FilterType.SQL, expression: "a >" };
    expect((await pull({ offset: 0, filterExpression: sql })).code).not.toBe(Code.OK);
    const nobody = { messageQueue: { topic: { name: "missing" } } };
    expect((await pull(nobody)).code).toBe(Code.TOPIC_NOT_FOUND);
  });
});

describe("a classic producer's body", () => {
  it("reaches a 5.x client as plain bytes, however it was compressed", async () => {
    const { topic, group } = await place();
    const { messages, client } = await consumer(group, topic);
    expect(await messages()).toEqual([]);
    const flags = { LZ4: 0x101, ZSTD: 0x201, ZLIB: 0x301 };
    for (const { kind, bytes } of COMPRESSED_BODIES) {
      const fields = {
        producerGroup: "PID_classic",
        topic,
        defaultTopic: "TBW102",
        defaultTopicQueueNums: "4",
        queueId: "0",
        sysFlag: String(flags[kind]),
        bornTimestamp: String(Date.now()),
        flag: "0",
        properties: `UNIQ_KEY\u0001classic-${++names}\u0002`,
        reconsumeTimes: "0",
      };
      expect((await admin.ask(RequestCode.SEND_MESSAGE, { fields, body: bytes })).code).toBe(0);
    }
    const got: Messages["Message"][] = [];
    while (got.length < COMPRESSED_BODIES.length) got.push(...(await messages()));
    got.forEach(({ body, systemProperties }, i) => {
      const { kind, what, plain } = COMPRESSED_BODIES[i];
      expect([kind, what, body.equals(plain)]).toEqual([kind, what, true]);
      expect(systemProperties?.bodyEncoding).toBe(Encoding.IDENTITY);
      const checksum = createHash("md5").update(plain).digest("hex").toUpperCase();
      expect(systemProperties?.bodyDigest).toMatchObject({ type: DigestType.MD5, checksum });
      expect(systemProperties?.messageId).toMatch(/^classic-/);
    });
    client.cancel();
  });
});
