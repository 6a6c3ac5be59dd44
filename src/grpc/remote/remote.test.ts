/** A proxy of its own in front of a NameServer and a broker, each by itself, as 5.x clients meet it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Running, startBroker, startNameServer, startProxy } from "../../index.ts";
import { declareGroup, declareTopic } from "../../testing/declare.ts";
import { GrpcTestClient } from "../../testing/grpcClient.ts";
import { RawClient } from "../../testing/rawClient.ts";
import {
  ClientType,
  Code,
  FilterType,
  MessageType,
  Permission,
  QueryOffsetPolicy,
  TransactionResolution,
  TransactionSource,
} from "../generated/messages.ts";

let namesrv: Running;
let broker: Running;
let proxy: Running;
let admin: RawClient;
const store = mkdtempSync(join(tmpdir(), "skylark-remote-"));
const open: GrpcTestClient[] = [];
let names = 0;

const BROKER = { recallMessageEnable: "true", transactionTimeOut: "200", transactionCheckInterval: "200" };

async function brokerUp(): Promise<void> {
  broker = await startBroker({ namesrvAddr: namesrv.address, store, config: BROKER });
  admin = await RawClient.connect(broker.address);
}

beforeAll(async () => {
  namesrv = await startNameServer();
  await brokerUp();
  proxy = await startProxy({
    namesrvAddr: `127.0.0.1:1;${namesrv.address}`,
    config: {
      grpcClientConsumerMinLongPollingTimeoutMillis: "100",
      minInvisibleTimeMillsForRecv: "200",
      topicRouteServiceCacheRefreshSeconds: "1",
    },
  });
});

afterAll(async () => {
  for (const each of open) each.close();
  admin.close();
  await proxy.close();
  await broker.close();
  await namesrv.close();
  rmSync(store, { recursive: true, force: true });
});

async function place(type = "NORMAL", more: object = {}): Promise<{ topic: string; group: string }> {
  const topic = `Topic${++names}`;
  const group = `GID_${names}`;
  await declareTopic(admin, topic, type);
  await declareGroup(admin, group, more);
  return { topic, group };
}

function client(): GrpcTestClient {
  const made = new GrpcTestClient(proxy.address, { "x-mq-client-id": `client-${++names}` });
  open.push(made);
  return made;
}

async function consumer(group: string, topic: string) {
  const made = client();
  const stream = made.telemetry();
  const subscriptions = [{ topic: { name: topic }, expression: { type: FilterType.TAG, expression: "*" } }];
  stream.send({
    settings: { clientType: ClientType.SIMPLE_CONSUMER, subscription: { group: { name: group }, subscriptions } },
  });
  await stream.next();
  const receive = (seconds = 10, batchSize = 16) =>
    made.stream("ReceiveMessage", {
      group: { name: group },
      messageQueue: { topic: { name: topic }, id: -1, broker: { name: "broker-a" } },
      filterExpression: { type: FilterType.TAG, expression: "*" },
      batchSize,
      invisibleDuration: { seconds },
      longPollingTimeout: { seconds: 1, nanos: 0 },
    });
  const messages = async (seconds = 10, batchSize = 16) =>
    (await receive(seconds, batchSize)).flatMap(({ message }) => (message === null ? [] : [message]));
  const handleOf = (message: Awaited<ReturnType<typeof messages>>[number]) => ({
    messageId: message.systemProperties?.messageId ?? "",
    receiptHandle: message.systemProperties?.receiptHandle ?? "",
  });
  const place = { group: { name: group }, topic: { name: topic } };
  return { client: made, receive, messages, handleOf, place };
}

const message = (topic: string, body: string, system: object = {}) => ({
  topic: { name: topic },
  body: Buffer.from(body),
  systemProperties: {
    messageId: `id-${++names}`,
    messageType: MessageType.NORMAL,
    bornTimestamp: { seconds: Math.floor(Date.now() / 1000) },
    ...system,
  },
});
const textOf = ({ body }: { body: Buffer }) => body.toString();

describe("routes", () => {
  it("come from the NameServer that answers, and a topic that is made is seen soon", async () => {
    const one = client();
    const topic = { name: `Topic${names + 1}` };
    const endpoints = { scheme: 1, addresses: [{ host: "10.1.2.3", port: 1 }] };
    expect((await one.call("QueryRoute", { topic, endpoints })).status?.code).toBe(Code.TOPIC_NOT_FOUND);
    await place("FIFO");
    await expect
      .poll(async () => (await one.call("QueryRoute", { topic, endpoints })).status?.code, { timeout: 5_000 })
      .toBe(Code.OK);
    const { messageQueues } = await one.call("QueryRoute", { topic, endpoints });
    expect(messageQueues).toMatchObject([
      {
        id: 0,
        permission: Permission.READ_WRITE,
        broker: { name: "broker-a" },
        acceptMessageTypes: [MessageType.FIFO],
      },
    ]);
  });
});

describe("messages", () => {
  it("go and come, alone and as a list, and are acknowledged", async () => {
    const { topic, group } = await place();
    const { messages, client: one, handleOf, place: where } = await consumer(group, topic);
    expect(await messages()).toEqual([]);
    const single = await one.call("SendMessage", { messages: [message(topic, "a", { tag: "t", keys: ["k"] })] });
    expect(single).toMatchObject({ status: { code: Code.OK }, entries: [{ offset: 0 }] });
    const list = await one.call("SendMessage", { messages: [message(topic, "b"), message(topic, "c")] });
    expect(list).toMatchObject({ status: { code: Code.OK }, entries: [{ offset: 1 }, { offset: 2 }] });
    const got = [];
    while (got.length < 3) got.push(...(await messages()));
    expect(got.map(textOf).sort()).toEqual(["a", "b", "c"]);
    expect(got.find((each) => textOf(each) === "a")).toMatchObject({
      topic: { name: topic },
      systemProperties: { tag: "t", keys: ["k"], deliveryAttempt: 1 },
    });
    const acked = await one.call("AckMessage", { ...where, entries: got.map(handleOf) });
    expect(acked.status?.code).toBe(Code.OK);
    expect(acked.entries.map(({ status }) => status?.code)).toEqual([Code.OK, Code.OK, Code.OK]);
    const queue = { topic: { name: topic }, id: 0, broker: { name: "broker-a" } };
    const pull = async (offset: number, expression: string) => {
      const filterExpression = { type: FilterType.TAG, expression };
      const ask = { group: { name: group }, messageQueue: queue, offset, batchSize: 10, filterExpression };
      const replies = await one.stream("PullMessage", ask);
      return {
        code: replies[0].status?.code,
        bodies: replies.flatMap(({ message: each }) => (each === null ? [] : [textOf(each)])),
        next: replies.at(-1)?.nextOffset,
      };
    };
    expect(await pull(1, "*")).toEqual({ code: Code.OK, bodies: ["b", "c"], next: 3 });
    expect(await pull(0, "t")).toEqual({ code: Code.OK, bodies: ["a"], next: 3 });
    expect(await pull(3, "*")).toEqual({ code: Code.MESSAGE_NOT_FOUND, bodies: [], next: 3 });
    expect(await pull(9, "*")).toEqual({ code: Code.ILLEGAL_OFFSET, bodies: [], next: 3 });
    const end = { messageQueue: queue, queryOffsetPolicy: QueryOffsetPolicy.END };
    expect(await one.call("QueryOffset", end)).toMatchObject({ status: { code: Code.OK }, offset: 3 });
    expect(await one.call("GetOffset", { group: { name: group }, messageQueue: queue })).toMatchObject({ offset: 3 });
  });

  it("come again when their time is over; a changed time counts, and its new handle acknowledges", async () => {
    const { topic, group } = await place();
    const { messages, client: one, handleOf, place: where } = await consumer(group, topic);
    await messages();
    await one.call("SendMessage", { messages: [message(topic, "again")] });
    const [first] = await messages(60);
    const seconds = { seconds: 0, nanos: 300_000_000 };
    const changed = await one.call("ChangeInvisibleDuration", {
      ...where,
      ...handleOf(first),
      invisibleDuration: seconds,
    });
    expect(changed.status?.code).toBe(Code.OK);
    expect(changed.receiptHandle).not.toBe(handleOf(first).receiptHandle);
    let second = await messages();
    while (second.length === 0) second = await messages();
    expect(second).toMatchObject([{ systemProperties: { deliveryAttempt: 2 }, topic: { name: topic } }]);
    const longer = await one.call("ChangeInvisibleDuration", {
      ...where,
      ...handleOf(second[0]),
      invisibleDuration: { seconds: 60 },
    });
    const entries = [{ ...handleOf(second[0]), receiptHandle: longer.receiptHandle }];
    const acked = await one.call("AckMessage", { ...where, entries });
    expect(acked.entries[0].status?.code).toBe(Code.OK);
  });

  it("of an ordered group wait for the one before them", async () => {
    const { topic, group } = await place("FIFO", { consumeMessageOrderly: true });
    const { messages, client: one, handleOf, place: where } = await consumer(group, topic);
    await messages();
    for (const body of ["1", "2"]) {
      const system = { messageType: MessageType.FIFO, messageGroup: "g" };
      await one.call("SendMessage", { messages: [message(topic, body, system)] });
    }
    const [first] = await messages(10, 1);
    expect(textOf(first)).toBe("1");
    expect(await messages(10, 1)).toEqual([]);
    await one.call("AckMessage", { ...where, entries: [handleOf(first)] });
    expect((await messages(10, 1)).map(textOf)).toEqual(["2"]);
  });

  it("become dead letters and are recalled", async () => {
    const { topic, group } = await place();
    const { messages, client: one, handleOf, place: where } = await consumer(group, topic);
    await messages();
    await one.call("SendMessage", { messages: [message(topic, "dead")] });
    const [got] = await messages();
    const dead = await one.call("ForwardMessageToDeadLetterQueue", { ...where, ...handleOf(got) });
    expect(dead.status?.code).toBe(Code.OK);
    const dlq = { topic: { name: `%DLQ%${group}` }, id: 0, broker: { name: "broker-a" } };
    await expect
      .poll(
        async () =>
          (await one.call("QueryOffset", { messageQueue: dlq, queryOffsetPolicy: QueryOffsetPolicy.END })).offset,
        { timeout: 5_000 },
      )
      .toBe(1);

    const delayed = await place("DELAY");
    const deliveryTimestamp = { seconds: Math.floor(Date.now() / 1000) + 600 };
    const system = { messageType: MessageType.DELAY, deliveryTimestamp };
    const sent = await one.call("SendMessage", { messages: [message(delayed.topic, "later", system)] });
    const { recallHandle } = sent.entries[0];
    const recalled = await one.call("RecallMessage", { topic: { name: delayed.topic }, recallHandle });
    expect(recalled.status?.code).toBe(Code.OK);
    expect(recalled.messageId).not.toBe("");
  });
});

describe("transactions", () => {
  it("are committed, and what is undecided is asked about on the client's stream", async () => {
    const { topic, group } = await place("TRANSACTION");
    const { messages } = await consumer(group, topic);
    await messages();
    const producer = client();
    const stream = producer.telemetry();
    stream.send({ settings: { clientType: ClientType.PRODUCER, publishing: { topics: [{ name: topic }] } } });
    await stream.next();
    const system = { messageType: MessageType.TRANSACTION };
    const begin = async (body: string) => {
      const { entries } = await producer.call("SendMessage", { messages: [message(topic, body, system)] });
      return { topic: { name: topic }, messageId: entries[0].messageId, transactionId: entries[0].transactionId };
    };
    const decided = await begin("decided");
    const commit = { resolution: TransactionResolution.COMMIT, source: TransactionSource.SOURCE_CLIENT };
    expect((await producer.call("EndTransaction", { ...decided, ...commit })).status?.code).toBe(Code.OK);
    const left = await begin("left");
    let asked = (await stream.next()).recoverOrphanedTransactionCommand;
    // On a slow machine the other one was asked about, too, before it was decided.
    while (asked?.transactionId !== left.transactionId) asked = (await stream.next()).recoverOrphanedTransactionCommand;
    expect(asked?.message?.body.toString()).toBe("left");
    const answer = { ...commit, source: TransactionSource.SOURCE_SERVER_CHECK };
    expect((await producer.call("EndTransaction", { ...left, ...answer })).status?.code).toBe(Code.OK);
    const got: string[] = [];
    while (got.length < 2) got.push(...(await messages()).map(textOf));
    expect(got.sort()).toEqual(["decided", "left"]);
  });
});

describe("brokers that go", () => {
  it("are refused by name, and found again where they come back", async () => {
    const { topic, group } = await place();
    const { messages, client: one } = await consumer(group, topic);
    await messages();
    await one.call("SendMessage", { messages: [message(topic, "before")] });
    const before = broker.address;
    admin.close();
    await broker.close();
    const refused = await one.call("SendMessage", { messages: [message(topic, "lost")] });
    expect(refused.status?.code).not.toBe(Code.OK);
    expect(await messages()).toEqual([]);
    await brokerUp();
    expect(broker.address).not.toBe(before);
    await expect
      .poll(async () => (await one.call("SendMessage", { messages: [message(topic, "after")] })).status?.code, {
        timeout: 10_000,
        interval: 200,
      })
      .toBe(Code.OK);
    const got: string[] = [];
    while (!got.includes("after")) got.push(...(await messages()).map(textOf));
    expect(got).toContain("before");
  }, 30_000);
});
