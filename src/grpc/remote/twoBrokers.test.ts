/** A proxy of its own in front of two brokers: what belongs to one of them goes to that one. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Running, startBroker, startNameServer, startProxy } from "../../index.ts";
import { RequestCode } from "../../protocol/generated/requestCodes.ts";
import { declareGroup, declareTopic } from "../../testing/declare.ts";
import { GrpcTestClient } from "../../testing/grpcClient.ts";
import { RawClient } from "../../testing/rawClient.ts";
import {
  ClientType,
  Code,
  FilterType,
  MessageType,
  TransactionResolution,
  TransactionSource,
} from "../generated/messages.ts";

const NAMES = ["broker-a", "broker-b"] as const;
const QUEUES = 2;
const EVERY = { type: FilterType.TAG, expression: "*" };

let namesrv: Running;
let proxy: Running;
const brokers = new Map<string, Running>();
const dir = mkdtempSync(join(tmpdir(), "skylark-two-"));
const open: GrpcTestClient[] = [];
let ids = 0;

beforeAll(async () => {
  namesrv = await startNameServer();
  for (const brokerName of NAMES) {
    const config = { brokerName, recallMessageEnable: "true" };
    const store = join(dir, brokerName);
    brokers.set(brokerName, await startBroker({ namesrvAddr: namesrv.address, store, config }));
  }
  proxy = await startProxy({
    namesrvAddr: namesrv.address,
    config: { grpcClientConsumerMinLongPollingTimeoutMillis: "100", topicRouteServiceCacheRefreshSeconds: "1" },
  });
});

afterAll(async () => {
  for (const each of open) each.close();
  await proxy.close();
  for (const broker of brokers.values()) await broker.close();
  await namesrv.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A topic and a group on both brokers. */
async function place(type: string): Promise<{ topic: { name: string }; group: { name: string } }> {
  const [topic, groupName] = [`Topic${++ids}`, `GID_${ids}`];
  for (const { address } of brokers.values()) {
    const admin = await RawClient.connect(address);
    await declareTopic(admin, topic, type, QUEUES);
    await declareGroup(admin, groupName);
    admin.close();
  }
  return { topic: { name: topic }, group: { name: groupName } };
}

function client(): GrpcTestClient {
  const made = new GrpcTestClient(proxy.address, { "x-mq-client-id": `client-${++ids}` });
  open.push(made);
  return made;
}

/** A consumer; what it receives from one broker. */
async function consumer({ topic, group }: Awaited<ReturnType<typeof place>>) {
  const made = client();
  const stream = made.telemetry();
  const subscription = { group, subscriptions: [{ topic, expression: EVERY }] };
  stream.send({ settings: { clientType: ClientType.SIMPLE_CONSUMER, subscription } });
  await stream.next();
  const receive = async (broker: string) =>
    (
      await made.stream("ReceiveMessage", {
        group,
        messageQueue: { topic, id: -1, broker: { name: broker } },
        filterExpression: EVERY,
        batchSize: 32,
        invisibleDuration: { seconds: 30 },
        longPollingTimeout: { seconds: 1 },
      })
    ).flatMap(({ message }) => message ?? []);
  // A new group begins at the end of each queue when it first asks.
  for (const broker of NAMES) expect(await receive(broker)).toEqual([]);
  return { client: made, receive };
}

const message = (topic: { name: string }, body: string, system: object = {}) => ({
  topic,
  body: Buffer.from(body),
  systemProperties: { messageId: `id-${++ids}`, messageType: MessageType.NORMAL, ...system },
});
const textOf = ({ body }: { body: Buffer }) => body.toString();

async function routed(one: GrpcTestClient, topic: { name: string }): Promise<string[]> {
  const { messageQueues } = await one.call("QueryRoute", { topic });
  return [...new Set(messageQueues.map(({ broker }) => broker?.name ?? ""))].sort();
}

describe("a topic of two brokers", () => {
  it("is routed to both, is sent to by turns, and each message is settled where it lies", async () => {
    const names = await place("NORMAL");
    const { topic, group } = names;
    const producer = client();
    await expect.poll(() => routed(producer, topic), { timeout: 5_000 }).toEqual([...NAMES]);
    const { assignments } = await producer.call("QueryAssignment", { topic, group });
    expect(assignments.map(({ messageQueue }) => messageQueue?.broker?.name).sort()).toEqual([...NAMES]);

    const { client: taker, receive } = await consumer(names);
    const sent = Array.from({ length: 4 * QUEUES }, (_, i) => `body ${i}`);
    for (const body of sent) {
      const { status } = await producer.call("SendMessage", { messages: [message(topic, body)] });
      expect(status?.code).toBe(Code.OK);
    }
    const got = new Map<string, Awaited<ReturnType<typeof receive>>>();
    for (const broker of NAMES) got.set(broker, await receive(broker));
    expect([...got.values()].map(({ length }) => length)).toEqual([sent.length / 2, sent.length / 2]);
    expect([...got.values()].flat().map(textOf).sort()).toEqual(sent);
    // One request acknowledges messages of both brokers, one of them by a changed handle.
    const entries = [...got.values()].flat().map(({ systemProperties }) => ({
      messageId: systemProperties?.messageId ?? "",
      receiptHandle: systemProperties?.receiptHandle ?? "",
    }));
    const change = { topic, group, ...entries[sent.length - 1], invisibleDuration: { seconds: 20 } };
    const changed = await taker.call("ChangeInvisibleDuration", change);
    expect(changed.status?.code).toBe(Code.OK);
    entries[sent.length - 1].receiptHandle = changed.receiptHandle;
    const acked = await taker.call("AckMessage", { topic, group, entries });
    expect([acked.status?.code, acked.entries.length]).toEqual([Code.OK, sent.length]);
    for (const [i, broker] of NAMES.entries()) {
      const admin = await RawClient.connect(brokers.get(broker)?.address ?? "");
      const committed = Array.from({ length: QUEUES }, async (_, queueId) => {
        const fields = { consumerGroup: group.name, topic: topic.name, queueId: String(queueId) };
        const reply = await admin.ask(RequestCode.QUERY_CONSUMER_OFFSET, { fields });
        return Number(reply.fields.offset);
      });
      const sum = (await Promise.all(committed)).reduce((a, b) => a + b, 0);
      expect([i, sum]).toEqual([i, sent.length / 2]);
      admin.close();
    }
  });

  it("keeps the messages of one group on one broker, in order", async () => {
    const names = await place("FIFO");
    const producer = client();
    await expect.poll(() => routed(producer, names.topic), { timeout: 5_000 }).toEqual([...NAMES]);
    const { receive } = await consumer(names);
    for (let i = 0; i < 20; i++) {
      const fifo = { messageType: MessageType.FIFO, messageGroup: `group-${i % 4}` };
      const { status } = await producer.call("SendMessage", { messages: [message(names.topic, String(i), fifo)] });
      expect(status?.code).toBe(Code.OK);
    }
    const homes = new Map<string, Set<string>>();
    const bodies = new Map<string, number[]>();
    for (const broker of NAMES) {
      for (const one of await receive(broker)) {
        const home = one.systemProperties?.messageGroup ?? "";
        homes.set(home, (homes.get(home) ?? new Set()).add(broker));
        bodies.set(home, [...(bodies.get(home) ?? []), Number(textOf(one))]);
      }
    }
    expect([...homes.values()].map(({ size }) => size)).toEqual([1, 1, 1, 1]);
    for (const [home, list] of bodies) {
      const first = Number(home.slice("group-".length));
      expect(list).toEqual([first, first + 4, first + 8, first + 12, first + 16]);
    }
  });

  it("ends each transaction on the broker that has its half message", async () => {
    const names = await place("TRANSACTION");
    const { topic } = names;
    const producer = client();
    await expect.poll(() => routed(producer, topic), { timeout: 5_000 }).toEqual([...NAMES]);
    const stream = producer.telemetry();
    stream.send({ settings: { clientType: ClientType.PRODUCER, publishing: { topics: [topic] } } });
    await stream.next();
    const { receive } = await consumer(names);
    for (let i = 0; i < 2 * QUEUES; i++) {
      const half = message(topic, `half ${i}`, { messageType: MessageType.TRANSACTION });
      const { entries } = await producer.call("SendMessage", { messages: [half] });
      const reply = await producer.call("EndTransaction", {
        topic,
        messageId: half.systemProperties.messageId,
        transactionId: entries[0].transactionId,
        resolution: TransactionResolution.COMMIT,
        source: TransactionSource.SOURCE_CLIENT,
      });
      expect(reply.status?.code).toBe(Code.OK);
    }
    const got: string[] = [];
    for (const broker of NAMES) {
      const list = (await receive(broker)).map(textOf);
      expect(list.length).toBeGreaterThan(0);
      got.push(...list);
    }
    expect(got.sort()).toEqual(["half 0", "half 1", "half 2", "half 3"]);
  });

  it("goes on with the other broker when one leaves", async () => {
    const names = await place("NORMAL");
    const { topic } = names;
    const producer = client();
    await expect.poll(() => routed(producer, topic), { timeout: 5_000 }).toEqual([...NAMES]);
    const { receive } = await consumer(names);
    await brokers.get("broker-b")?.close();
    brokers.delete("broker-b");
    await expect.poll(() => routed(producer, topic), { timeout: 10_000 }).toEqual(["broker-a"]);
    for (let i = 0; i < 4; i++) {
      const { status } = await producer.call("SendMessage", { messages: [message(topic, `alone ${i}`)] });
      expect(status?.code).toBe(Code.OK);
    }
    expect((await receive("broker-a")).map(textOf).sort()).toEqual(["alone 0", "alone 1", "alone 2", "alone 3"]);
  });
});
