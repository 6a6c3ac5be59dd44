/** Many clients on real connections, each with its Telemetry stream and a long poll: nothing is left of them when they are gone. */
import { Buffer } from "node:buffer";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import { GrpcService } from "../testing/grpcService.ts";
import { type WireBroker, wireBroker } from "../testing/wireBroker.ts";
import { ClientType, Code, FilterType, type ReceiveMessageResponse } from "./generated/messages.ts";
import { peerOf } from "./peer.ts";
import { codec } from "./proto.ts";
import { GrpcServer } from "./server.ts";

const CLIENTS = 200;
const GROUPS = 10;
const TOPIC = "TopicTest";
const EVERY = { type: FilterType.TAG, expression: "*" };
const SERVICE = "/apache.rocketmq.v2.MessagingService/";
const HEAD_BYTES = 5;
/** More than a connection's window: it is not on its way while its reader does not read. */
const BODY_BYTES = 200_000;

let broker: WireBroker;
let grpc: GrpcService;
let server: GrpcServer;
let sockets: Server;
let address: string;
const groupOf = (i: number) => `GID_${i % GROUPS}`;

beforeAll(async () => {
  broker = await wireBroker({});
  grpc = new GrpcService(broker);
  const admin = broker.client();
  const topic = { topic: TOPIC, defaultTopic: "TBW102", readQueueNums: 4, writeQueueNums: 4, perm: 6, topicSysFlag: 0 };
  await admin.ask("UPDATE_AND_CREATE_TOPIC", { ...topic, topicFilterType: "SINGLE_TAG", order: false });
  for (let g = 0; g < GROUPS; g++) {
    const body = JSON.stringify({ groupName: groupOf(g), consumeEnable: true, retryQueueNums: 1, retryMaxTimes: 16 });
    await admin.ask("UPDATE_AND_CREATE_SUBSCRIPTIONGROUP", {}, { body });
  }
  server = new GrpcServer({
    clock: broker.clock,
    log: silentLogger(),
    methods: grpc.service.methods,
    inboundBytesMax: 1 << 20,
    idleMs: 60_000,
  });
  sockets = createServer((socket) => {
    socket.on("error", () => {});
    server.accept(socket, false, peerOf("127.0.0.1", socket.remotePort ?? 0, "127.0.0.1", 8081));
  });
  await new Promise<void>((resolve) => sockets.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(sockets.address() as AddressInfo).port}`;
});

afterAll(async () => {
  const stopped = grpc.service.stop();
  await broker.clock.settle();
  await stopped;
  const closed = server.close();
  await broker.clock.advance(1_000);
  await closed;
  sockets.close();
  await broker.close();
});

/** Real sockets take real time; the broker's clock stands still meanwhile. */
async function until(what: string, condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !condition(); ) {
    if (performance.now() > end) throw new Error(`not within 30 s: ${what}`);
    await broker.clock.settle();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function messages<N extends "TelemetryCommand" | "ReceiveMessageResponse">(bytes: Buffer, name: N) {
  const all = [];
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const end = at + HEAD_BYTES + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) break;
    all.push(codec(name).decode(bytes.subarray(at + HEAD_BYTES, end)));
    at = end;
  }
  return all;
}

/** One client's connection. */
class Member {
  readonly session: ClientHttp2Session;
  readonly #i: number;
  telemetry = Buffer.alloc(0);
  answer = Buffer.alloc(0);

  constructor(i: number) {
    this.#i = i;
    this.session = connect(address);
    this.session.on("error", () => {});
  }

  #open(name: string): ClientHttp2Stream {
    const stream = this.session.request({
      ":method": "POST",
      ":path": SERVICE + name,
      "content-type": "application/grpc",
      te: "trailers",
      "x-mq-client-id": `client-${this.#i}`,
      "x-mq-language": "JAVA",
      "x-mq-client-version": "5.2.0",
    });
    stream.on("error", () => {});
    return stream;
  }

  join(): void {
    const stream = this.#open("Telemetry");
    stream.on("data", (chunk: Buffer) => {
      this.telemetry = Buffer.concat([this.telemetry, chunk]);
    });
    const subscriptions = [{ topic: { name: TOPIC }, expression: EVERY }];
    const subscription = { group: { name: groupOf(this.#i) }, subscriptions };
    stream.write(
      codec("TelemetryCommand").encodeFrame({ settings: { clientType: ClientType.SIMPLE_CONSUMER, subscription } }),
    );
  }

  /** @param reads whether it takes the answer */
  poll(reads = true): void {
    const stream = this.#open("ReceiveMessage");
    if (reads) {
      stream.on("data", (chunk: Buffer) => {
        this.answer = Buffer.concat([this.answer, chunk]);
      });
    }
    stream.end(
      codec("ReceiveMessageRequest").encodeFrame({
        group: { name: groupOf(this.#i) },
        messageQueue: { topic: { name: TOPIC }, broker: { name: "broker-a" } },
        filterExpression: EVERY,
        batchSize: 32,
        invisibleDuration: { seconds: 60 },
        longPollingTimeout: { seconds: 20 },
      }),
    );
  }

  get replies(): ReceiveMessageResponse[] {
    return messages(this.answer, "ReceiveMessageResponse") as ReceiveMessageResponse[];
  }
}

/** So many clients whose settings are taken. */
async function crowd(): Promise<Member[]> {
  const members = Array.from({ length: CLIENTS }, (_, i) => new Member(i));
  for (const member of members) member.join();
  await until("all have their settings", () => members.every(({ telemetry }) => telemetry.length > 0));
  return members;
}

/** Each waits as long as it may; a group that is new has its place in the queues from then on. */
async function pollInVain(members: readonly Member[]): Promise<void> {
  for (const member of members) member.poll();
  await until("all wait", () => broker.pops.holds.count === members.length);
  await broker.clock.advance(20_000);
  await until("all are answered", () => members.every(({ replies }) => replies.length === 2));
  for (const { replies } of members) expect(replies[0].status?.code).toBe(Code.MESSAGE_NOT_FOUND);
}

/** Nobody is connected, and nothing waits for anybody; clients that said no goodbye are remembered until their time is over. */
async function allGone(timers: number): Promise<void> {
  await until("the connections are gone", () => server.connections === 0);
  await broker.clock.advance(21_000);
  expect(broker.pops.holds.count).toBe(0);
  for (let waited = 0; waited < 4; waited++) {
    await broker.clock.advance(60_000);
    broker.clients.scan();
  }
  await broker.clock.advance(10_000);
  expect([grpc.service.clients.size, broker.clock.timers]).toEqual([0, timers]);
}

describe("a crowd of clients", () => {
  it("waits, each is answered at the end of its poll, and nothing is left when their processes die", async () => {
    const timers = broker.clock.timers;
    const members = await crowd();
    expect([server.connections, grpc.service.clients.size]).toEqual([CLIENTS, CLIENTS]);
    await pollInVain(members);
    for (const member of members) member.poll();
    await until("all wait again", () => broker.pops.holds.count === CLIENTS);
    for (const { session } of members) session.destroy();
    await allGone(timers);
  }, 90_000);

  it("that takes no byte of its answers, however small they are, loses them", async () => {
    const session = connect(address, { settings: { initialWindowSize: 0 } });
    session.on("error", () => {});
    const ended = { count: 0, codes: new Set<number | undefined>() };
    for (let i = 0; i < 20; i++) {
      const stream = session.request({
        ":method": "POST",
        ":path": `${SERVICE}QueryRoute`,
        "content-type": "application/grpc",
        "x-mq-client-id": "blind",
        "x-mq-language": "JAVA",
      });
      stream.on("error", () => {});
      stream.on("close", () => {
        ended.count++;
        ended.codes.add(stream.rstCode);
      });
      stream.resume().end(codec("QueryRouteRequest").encodeFrame({ topic: { name: TOPIC } }));
    }
    await until("all are under way", () => server.calls === 20);
    // Two looks see them, the third one ends them.
    await broker.clock.advance(20_000);
    expect([server.calls, ended.count]).toEqual([20, 0]);
    await broker.clock.advance(10_000);
    await until("all are cut", () => ended.count === 20);
    expect([[...ended.codes], server.calls]).toEqual([[constants.NGHTTP2_ENHANCE_YOUR_CALM], 0]);
    session.destroy();
    await until("the connection is gone", () => server.connections === 0);
  }, 90_000);

  it("that does not read what it asked for is cut off, and what it did not take comes to others", async () => {
    const timers = broker.clock.timers;
    const members = await crowd();
    await pollInVain(members);
    const sent = 20;
    const producer = new Member(CLIENTS);
    const taken = { count: 0 };
    for (let i = 0; i < sent; i++) {
      const body = Buffer.alloc(BODY_BYTES, 65);
      const message = { topic: { name: TOPIC }, body, systemProperties: { messageId: `id-${i}` } };
      const stream = producer.session.request({
        ":method": "POST",
        ":path": `${SERVICE}SendMessage`,
        "content-type": "application/grpc",
        "x-mq-client-id": "producer",
        "x-mq-language": "JAVA",
      });
      stream.on("close", () => taken.count++).resume();
      stream.end(codec("SendMessageRequest").encodeFrame({ messages: [message] }));
    }
    await until("all is sent", () => taken.count === sent);
    for (const member of members) member.poll(false);
    await broker.clock.advance(1_000);
    await until("messages are under way", () => broker.pops.holds.count <= CLIENTS - GROUPS);
    // Whoever takes nothing for twenty seconds is cut off; its messages are hidden for another second.
    await broker.clock.advance(21_000);
    for (const { session } of members) session.destroy();
    await until("the connections are gone", () => server.connections === 1);
    await broker.clock.advance(3_000);
    const reader = new Member(0);
    reader.join();
    await until("settings", () => reader.telemetry.length > 0);
    reader.poll();
    const given = () => reader.replies.flatMap(({ message }) => (message === null ? [] : [message]));
    for (let polls = 0; polls < 2 * sent && given().length < sent; polls++) {
      const before = reader.answer.length;
      await until(
        "an answer",
        () => reader.answer.length > before && reader.replies.at(-1)?.deliveryTimestamp !== null,
      );
      if (given().length < sent) reader.poll();
    }
    expect(new Set(given().map(({ systemProperties }) => systemProperties?.messageId)).size).toBe(sent);
    reader.session.destroy();
    producer.session.destroy();
    await allGone(timers);
  }, 90_000);
});
