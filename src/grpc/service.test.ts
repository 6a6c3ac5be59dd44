import { connect, type Socket } from "node:net";
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningCluster, startCluster } from "../index.ts";
import { GrpcTestClient } from "../testing/grpcClient.ts";
import {
  AddressScheme,
  ClientType,
  Code,
  Encoding,
  FilterType,
  MessageType,
  Permission,
} from "./generated/messages.ts";

let cluster: RunningCluster;
const open: GrpcTestClient[] = [];

function client(headers: Record<string, string> = {}, tls = false): GrpcTestClient {
  const security = tls
    ? credentials.createSsl(null, null, null, { rejectUnauthorized: false, checkServerIdentity: () => undefined })
    : undefined;
  const made = new GrpcTestClient(cluster.grpcAddr, headers, security);
  open.push(made);
  return made;
}

beforeAll(async () => {
  cluster = await startCluster({ proxyConfig: { grpcMaxInboundMessageSize: "8388608" } });
});

afterAll(async () => {
  for (const each of open) each.close();
  await cluster.close();
});

const endpoints = { scheme: AddressScheme.IPv4, addresses: [{ host: "10.1.2.3", port: 9999 }] };
const port = () => Number(cluster.grpcAddr.split(":")[1]);
const message = (body: string, more: object = {}, topic = "TBW") => ({
  topic: { name: topic },
  body: Buffer.from(body),
  systemProperties: {
    messageId: `01${body}`,
    messageType: MessageType.NORMAL,
    bodyEncoding: Encoding.IDENTITY,
    ...more,
  },
});

describe("the port", () => {
  it("takes plaintext and TLS, told apart by the first bytes", async () => {
    for (const tls of [false, true]) {
      const reply = await client({}, tls).call("QueryRoute", { topic: { name: "BenchmarkTest2" }, endpoints });
      expect(reply.status?.code).toBe(Code.TOPIC_NOT_FOUND);
    }
  });

  it("closes what is neither", async () => {
    const socket: Socket = connect(port(), "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await new Promise<void>((resolve) => socket.on("close", () => resolve()));
  });

  it("answers unknown methods and oversized messages with their gRPC status", async () => {
    const one = client();
    const unknown = new Promise((_, reject) =>
      one.client.makeUnaryRequest(
        "/apache.rocketmq.v2.MessagingService/Nothing",
        () => Buffer.alloc(0),
        (bytes) => bytes,
        {},
        one.metadata(),
        reject,
      ),
    );
    await expect(unknown).rejects.toMatchObject({ code: 12 });
    const big = { messages: [{ topic: { name: "a" }, body: Buffer.alloc(9 << 20) }] };
    await expect(one.call("SendMessage", big)).rejects.toMatchObject({ code: 8 });
    const after = await one.call("QueryRoute", { topic: { name: "nothing" } });
    expect(after.status?.code).toBe(Code.TOPIC_NOT_FOUND);
  });

  it("wants to know who calls", async () => {
    const reply = await client({ "x-mq-client-id": " " }).call("QueryRoute", { topic: { name: "a" } });
    expect(reply.status).toMatchObject({ code: Code.CLIENT_ID_REQUIRED, message: "client id cannot be empty" });
  });
});

const settings = (topics: string[]) => ({
  settings: {
    clientType: ClientType.PRODUCER,
    accessPoint: endpoints,
    publishing: { topics: topics.map((name) => ({ name })), maxBodySize: 1, validateMessageType: false },
    requestTimeout: { seconds: 3, nanos: 0 },
  },
});
const subscription = (group: string, topic: string, clientType: number = ClientType.SIMPLE_CONSUMER) => ({
  settings: {
    clientType,
    subscription: {
      group: { name: group },
      subscriptions: [{ topic: { name: topic }, expression: { type: FilterType.TAG, expression: "a || b" } }],
      longPollingTimeout: { seconds: 30 },
    },
  },
});

describe("Telemetry", () => {
  it("answers a producer's settings with retries, body size and type check", async () => {
    const stream = client().telemetry();
    stream.send(settings(["TopicTest"]));
    const { status, settings: got } = await stream.next();
    expect(status).toMatchObject({ code: Code.OK, message: "OK" });
    expect(got).toMatchObject({
      clientType: ClientType.PRODUCER,
      accessPoint: { addresses: [{ host: "10.1.2.3", port: 9999 }] },
      backoffPolicy: {
        maxAttempts: 3,
        exponentialBackoff: { initial: { nanos: 10_000_000 }, max: { seconds: 1 }, multiplier: 2 },
      },
      publishing: { topics: [{ name: "TopicTest" }], maxBodySize: 4 << 20, validateMessageType: true },
      requestTimeout: { seconds: 3 },
    });
    expect(got?.metric?.on).toBe(false);
    stream.stream.end();
    expect((await stream.ended).code).toBe(0);
  });

  it("answers a consumer's settings with order, batch size, polling and retries of its group", async () => {
    const stream = client({ "x-mq-client-id": "c-settings" }).telemetry();
    stream.send(subscription("GID_settings", "TopicTest"));
    const { settings: got } = await stream.next();
    expect(got).toMatchObject({
      subscription: {
        group: { name: "GID_settings" },
        fifo: false,
        receiveBatchSize: 32,
        longPollingTimeout: { seconds: 20 },
        liteSubscriptionQuota: 2000,
        maxLiteTopicSize: 64,
      },
      backoffPolicy: { maxAttempts: 17 },
    });
    const next = got?.backoffPolicy?.customizedBackoff?.next ?? [];
    expect(next.map(({ seconds }) => seconds).slice(0, 4)).toEqual([1, 5, 10, 30]);
    expect(next).toHaveLength(18);
  });

  it("ends with INVALID_ARGUMENT for settings that are neither, and for names that are none", async () => {
    const neither = client().telemetry();
    neither.send({ settings: { clientType: ClientType.PRODUCER } });
    expect(await neither.ended).toMatchObject({
      code: 3,
      details: "there is no publishing or subscription data in settings",
    });
    const wrong = client().telemetry();
    wrong.send(settings(["a b"]));
    expect(await wrong.ended).toMatchObject({ code: 3 });
    const group = client().telemetry();
    group.send(subscription("CID_RMQ_SYS_x", "TopicTest"));
    expect(await group.ended).toMatchObject({
      code: 3,
      details: "process client telemetryCommand failed. cannot use system consumer group",
    });
  });
});

describe("Heartbeat and NotifyClientTermination", () => {
  it("take only clients that are known by their settings", async () => {
    const one = client({ "x-mq-client-id": "c-heart" });
    const unknown = { code: Code.UNRECOGNIZED_CLIENT_TYPE, message: "cannot find client settings for this client" };
    const group = { name: "GID_heart" };
    expect((await one.call("Heartbeat", { group })).status).toMatchObject(unknown);
    expect((await one.call("NotifyClientTermination", { group })).status).toMatchObject(unknown);
    const stream = one.telemetry();
    stream.send(subscription("GID_heart", "TopicTest"));
    await stream.next();
    // What it calls itself here does not count.
    const clientType = ClientType.PRODUCER;
    expect((await one.call("Heartbeat", { group, clientType })).status?.code).toBe(Code.OK);
    expect((await one.call("Heartbeat", {})).status?.code).toBe(Code.ILLEGAL_CONSUMER_GROUP);
    expect((await one.call("NotifyClientTermination", { group })).status?.code).toBe(Code.OK);
    expect((await one.call("Heartbeat", { group })).status).toMatchObject(unknown);
  });
});

describe("QueryRoute and QueryAssignment", () => {
  it("name every queue with the address the client came by and this server's port", async () => {
    const reply = await client().call("QueryRoute", { topic: { name: "BenchmarkTest" }, endpoints });
    expect(reply.status).toMatchObject({ code: Code.ILLEGAL_TOPIC, message: "cannot access system topic" });
    const { status, messageQueues } = await client().call("QueryRoute", { topic: { name: "broker-a" }, endpoints });
    expect(status?.code).toBe(Code.OK);
    expect(messageQueues).toHaveLength(1);
    expect(messageQueues[0]).toMatchObject({
      topic: { name: "broker-a" },
      id: 0,
      permission: Permission.READ_WRITE,
      broker: {
        name: "broker-a",
        id: 0,
        endpoints: { scheme: AddressScheme.IPv4, addresses: [{ host: "10.1.2.3", port: port() }] },
      },
      acceptMessageTypes: [MessageType.NORMAL],
    });
    const bare = await client().call("QueryRoute", { topic: { name: "broker-a" } });
    expect(bare.messageQueues[0].broker?.endpoints?.addresses).toMatchObject([{ host: "127.0.0.1", port: port() }]);
    const assigned = await client().call("QueryAssignment", {
      topic: { name: "broker-a" },
      group: { name: "GID_a" },
      endpoints,
    });
    expect(assigned.assignments.map(({ messageQueue }) => messageQueue?.id)).toEqual([-1]);
  });
});

describe("SendMessage", () => {
  const send = (...messages: object[]) => client().call("SendMessage", { messages });

  it("stores messages, one entry for each", async () => {
    const one = await send(message("a", { tag: "t", keys: ["k"] }, "broker-a"));
    expect(one.status).toMatchObject({ code: Code.OK, message: "OK" });
    expect(one.entries).toMatchObject([{ status: { code: Code.OK }, messageId: "01a", offset: 0 }]);
    const three = await send(...["b", "c", "d"].map((body) => message(body, {}, "broker-a")));
    expect(three.entries.map(({ messageId, offset }) => [messageId, offset])).toEqual([
      ["01b", 1],
      ["01c", 2],
      ["01d", 3],
    ]);
  });

  it("refuses what Apache refuses, with its codes", async () => {
    const now = Math.floor(Date.now() / 1000);
    const text = (bytes: number) => "x".repeat(bytes);
    const user = (userProperties: Record<string, string>) => ({ ...message("x", {}, "broker-a"), userProperties });
    const refused: [object[], number][] = [
      [[], Code.MESSAGE_CORRUPTED],
      [[message("a", {}, "broker-a"), message("b", {}, "other")], Code.MESSAGE_CORRUPTED],
      [[message("a", {}, "")], Code.ILLEGAL_TOPIC],
      [[message("a", {}, "a.b")], Code.ILLEGAL_TOPIC],
      [[message("a", {}, "missing")], Code.TOPIC_NOT_FOUND],
      [[message("", {}, "broker-a")], Code.MESSAGE_BODY_EMPTY],
      [[message(text((4 << 20) + 1), { messageId: "x" }, "broker-a")], Code.MESSAGE_BODY_TOO_LARGE],
      [[message("a", { messageId: " " }, "broker-a")], Code.ILLEGAL_MESSAGE_ID],
      [[message("a", { tag: " " }, "broker-a")], Code.ILLEGAL_MESSAGE_TAG],
      [[message("a", { tag: "a|b" }, "broker-a")], Code.ILLEGAL_MESSAGE_TAG],
      [[message("a", { tag: "a\u0001" }, "broker-a")], Code.ILLEGAL_MESSAGE_TAG],
      [[message("a", { keys: ["  "] }, "broker-a")], Code.ILLEGAL_MESSAGE_KEY],
      [[message("a", { keys: ["\u009f"] }, "broker-a")], Code.ILLEGAL_MESSAGE_KEY],
      [[user({ POP_CK: "1" })], Code.ILLEGAL_MESSAGE_PROPERTY_KEY],
      [[user({ "a\u0002": "1" })], Code.ILLEGAL_MESSAGE_PROPERTY_KEY],
      [[user({ a: "\n" })], Code.ILLEGAL_MESSAGE_PROPERTY_KEY],
      [[user({ a: text(16_384) })], Code.MESSAGE_PROPERTIES_TOO_LARGE],
      [
        [user(Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`p${i}`, ""])))],
        Code.MESSAGE_PROPERTIES_TOO_LARGE,
      ],
      [[message("a", { messageGroup: text(64) }, "broker-a")], Code.ILLEGAL_MESSAGE_GROUP],
      [[message("a", { messageGroup: " " }, "broker-a")], Code.ILLEGAL_MESSAGE_GROUP],
      [[message("a", { deliveryTimestamp: { seconds: now + 86_500 } }, "broker-a")], Code.ILLEGAL_DELIVERY_TIME],
      [
        [
          message(
            "a",
            { messageType: MessageType.TRANSACTION, orphanedTransactionRecoveryDuration: { seconds: 3601 } },
            "broker-a",
          ),
        ],
        Code.BAD_REQUEST,
      ],
      [[message("a", { messageGroup: "g" }, "broker-a")], Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE],
      [[message("a", { deliveryTimestamp: { seconds: now } }, "broker-a")], Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE],
      [[message("a", { priority: 1 }, "broker-a")], Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE],
      [[message("a", { priority: -1 }, "broker-a")], Code.INTERNAL_SERVER_ERROR],
      [[message("a", { liteTopic: "a b" }, "broker-a")], Code.ILLEGAL_LITE_TOPIC],
    ];
    for (const [messages, code] of refused) {
      const { status, entries } = await send(...messages);
      expect([JSON.stringify(messages).slice(0, 200), status?.code]).toEqual([
        JSON.stringify(messages).slice(0, 200),
        code,
      ]);
      expect(entries).toEqual([]);
    }
  });
});

describe("EndTransaction and RecallMessage", () => {
  it("refuse what they do not know", async () => {
    const topic = { name: "broker-a" };
    const blank = await client().call("EndTransaction", { topic, transactionId: " " });
    expect(blank.status?.code).toBe(Code.INVALID_TRANSACTION_ID);
    const unknown = await client().call("EndTransaction", { topic, transactionId: "x" });
    expect(unknown.status).toMatchObject({
      code: Code.INTERNAL_SERVER_ERROR,
      message: "cannot found transaction data",
    });
    const wrongType = await client().call("RecallMessage", { topic, recallHandle: "x" });
    expect(wrongType.status?.code).toBe(Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE);
  });
});
