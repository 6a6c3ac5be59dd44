/** Lite topics as clients meet them, in one process and through a proxy of its own. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Running, type RunningCluster, startCluster, startProxy } from "../index.ts";
import { declareGroup, declareTopic } from "../testing/declare.ts";
import { GrpcTestClient } from "../testing/grpcClient.ts";
import { RawClient } from "../testing/rawClient.ts";
import {
  ClientType,
  Code,
  FilterType,
  LiteSubscriptionAction,
  MessageType,
  OffsetOptionPolicy,
} from "./generated/messages.ts";

const PROXY = {
  grpcClientConsumerMinLongPollingTimeoutMillis: "100",
  minInvisibleTimeMillsForRecv: "200",
  topicConfigCacheRefreshSeconds: "1",
};
let cluster: RunningCluster;
let proxy: Running;
let admin: RawClient;
const open: GrpcTestClient[] = [];
let names = 0;

beforeAll(async () => {
  const config = { enableLmq: "true", enableMultiDispatch: "true" };
  cluster = await startCluster({ config, proxyConfig: PROXY });
  proxy = await startProxy({ namesrvAddr: cluster.namesrvAddr, config: PROXY });
  admin = await RawClient.connect(cluster.brokerAddr);
});

afterAll(async () => {
  for (const each of open) each.close();
  admin.close();
  await proxy.close();
  await cluster.close();
});

async function place(attributes: Record<string, string> = {}): Promise<{ topic: string; group: string }> {
  const topic = `Topic${++names}`;
  const group = `GID_${names}`;
  await declareTopic(admin, topic, "LITE", 4);
  await declareGroup(admin, group, { attributes: { "+lite.bind.topic": topic, ...attributes } });
  return { topic, group };
}

/** Through the process itself, and through a proxy in front of it. */
const WAYS = [
  ["in one process", () => cluster.grpcAddr],
  ["through a proxy", () => proxy.address],
] as const;

async function consumer(address: string, group: string, topic: string) {
  const client = new GrpcTestClient(address, { "x-mq-client-id": `lite-${++names}` });
  open.push(client);
  const stream = client.telemetry();
  const subscriptions = [{ topic: { name: topic }, expression: { type: FilterType.TAG, expression: "*" } }];
  const subscription = { group: { name: group }, subscriptions };
  stream.send({ settings: { clientType: ClientType.LITE_PUSH_CONSUMER, subscription } });
  await stream.next();
  const where = { group: { name: group }, topic: { name: topic } };
  const sync = async (action: keyof typeof LiteSubscriptionAction, liteTopicSet: string[], more: object = {}) => {
    const request = { ...where, action: LiteSubscriptionAction[action], liteTopicSet, ...more };
    return (await client.call("SyncLiteSubscription", request)).status?.code;
  };
  const receive = async (more: object = {}) =>
    (
      await client.stream("ReceiveMessage", {
        group: { name: group },
        messageQueue: { topic: { name: topic }, id: -1, broker: { name: "broker-a" } },
        filterExpression: { type: FilterType.TAG, expression: "*" },
        batchSize: 16,
        invisibleDuration: { seconds: 10 },
        longPollingTimeout: { seconds: 0, nanos: 700_000_000 },
        ...more,
      })
    ).flatMap(({ message }) => (message === null ? [] : [message]));
  type Received = Awaited<ReturnType<typeof receive>>[number];
  const handleOf = ({ systemProperties }: Received) => ({
    messageId: systemProperties?.messageId ?? "",
    receiptHandle: systemProperties?.receiptHandle ?? "",
    liteTopic: systemProperties?.liteTopic ?? "",
  });
  const ack = async (...messages: Received[]) => {
    const reply = await client.call("AckMessage", { ...where, entries: messages.map(handleOf) });
    expect(reply.entries.map(({ status }) => status?.code)).toEqual(messages.map(() => Code.OK));
  };
  return { client, stream, sync, receive, handleOf, ack, where };
}

function producer(address: string, topic: string) {
  const client = new GrpcTestClient(address, { "x-mq-client-id": `producer-${++names}` });
  open.push(client);
  return async (liteTopic: string, body: string) => {
    const systemProperties = { messageId: `id-${++names}`, messageType: MessageType.LITE, liteTopic };
    const message = { topic: { name: topic }, body: Buffer.from(body), systemProperties };
    expect((await client.call("SendMessage", { messages: [message] })).status).toMatchObject({ code: Code.OK });
  };
}

const shown = (
  messages: { body: Buffer; systemProperties: { liteTopic: string | null; deliveryAttempt: number | null } | null }[],
) => messages.map(({ body, systemProperties: p }) => `${p?.liteTopic}:${body}/${p?.deliveryAttempt}`).sort();

describe.each(WAYS)("lite topics %s", (_way, address) => {
  it("give a subscriber what it subscribes to, in order, and go on behind what is acknowledged", async () => {
    const { topic, group } = await place();
    const { sync, receive, ack } = await consumer(address(), group, topic);
    const send = producer(address(), topic);
    expect(await sync("PARTIAL_ADD", ["a", "b"])).toBe(Code.OK);
    for (const lite of ["a", "b", "c"]) await send(lite, "1");
    await send("a", "2");
    const got = [];
    while (got.length < 3) got.push(...(await receive()));
    expect(shown(got)).toEqual(["a:1/1", "a:2/1", "b:1/1"]);
    // What is given out holds up its lite topic.
    await send("a", "3");
    expect(await receive()).toEqual([]);
    await ack(...got.reverse());
    expect(shown(await receive())).toEqual(["a:3/1"]);
    expect(await sync("PARTIAL_ADD", ["c"], { offsetOption: { policy: OffsetOptionPolicy.MIN } })).toBe(Code.OK);
    expect(shown(await receive())).toEqual(["c:1/1"]);
    expect(await sync("PARTIAL_REMOVE", ["b"])).toBe(Code.OK);
    await send("b", "2");
    expect(await receive()).toEqual([]);
  });

  it("give a failed message again before those behind it, and count its attempts", async () => {
    const { topic, group } = await place();
    const { client, sync, receive, ack, handleOf, where } = await consumer(address(), group, topic);
    const send = producer(address(), topic);
    await sync("COMPLETE_ADD", ["a"]);
    await send("a", "1");
    let got = await receive();
    while (got.length === 0) got = await receive();
    await send("a", "2");
    const invisibleDuration = { seconds: 0, nanos: 300_000_000 };
    const changed = await client.call("ChangeInvisibleDuration", { ...where, ...handleOf(got[0]), invisibleDuration });
    expect(changed.status?.code).toBe(Code.OK);
    let again = await receive();
    while (again.length === 0) again = await receive();
    expect(shown(again)).toEqual(["a:1/2", "a:2/1"]);
    await ack(...again);
    expect(await receive()).toEqual([]);
  });

  it("of an exclusive group go to the newest subscriber, and the one before hears of it", async () => {
    const { topic, group } = await place({ "+lite.sub.model": "Exclusive" });
    const one = await consumer(address(), group, topic);
    const two = await consumer(address(), group, topic);
    const send = producer(address(), topic);
    await one.sync("PARTIAL_ADD", ["a"]);
    await two.sync("PARTIAL_ADD", ["a"]);
    expect((await one.stream.next()).notifyUnsubscribeLiteCommand?.liteTopic).toBe("a");
    await send("a", "1");
    expect(await one.receive()).toEqual([]);
    expect(shown(await two.receive())).toEqual(["a:1/1"]);
  });

  it("of a wildcard group go to whoever asks, each message once", async () => {
    const { topic, group } = await place({ "+lite.sub.wildcard": "true" });
    const send = producer(address(), topic);
    await send("old", "1");
    const one = await consumer(address(), group, topic);
    const two = await consumer(address(), group, topic);
    for (const each of [one, two]) expect(await each.sync("COMPLETE_ADD", [])).toBe(Code.OK);
    await send("new", "1");
    const got = [...(await one.receive()), ...(await two.receive())];
    expect(shown(got)).toEqual(["new:1/1", "old:1/1"]);
  });

  it("have names and quotas, and are for lite consumers", async () => {
    const { topic, group } = await place({ "+lite.sub.client.quota": "2" });
    const { client, sync, where } = await consumer(address(), group, topic);
    expect(await sync("PARTIAL_ADD", ["a b"])).toBe(Code.ILLEGAL_LITE_TOPIC);
    expect(await sync("COMPLETE_ADD", ["a", "b", "c"])).toBe(Code.LITE_SUBSCRIPTION_QUOTA_EXCEEDED);
    expect(await sync("COMPLETE_ADD", ["a", "b"])).toBe(Code.OK);
    const other = await place();
    const wrong = await client.call("SyncLiteSubscription", { ...where, topic: { name: other.topic } });
    expect(wrong.status?.code).toBe(Code.ILLEGAL_TOPIC);
    const nobody = new GrpcTestClient(address(), { "x-mq-client-id": `nobody-${++names}` });
    open.push(nobody);
    const unknown = await nobody.call("SyncLiteSubscription", where);
    expect(unknown.status?.code).toBe(Code.UNRECOGNIZED_CLIENT_TYPE);
  });
});
