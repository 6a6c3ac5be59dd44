/** Deadlines that pass and streams that are cancelled leave nothing behind: no held poll, no timer, no hidden message. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeCall, GrpcService } from "../testing/grpcService.ts";
import { type WireBroker, wireBroker } from "../testing/wireBroker.ts";
import { ClientType, Code, FilterType } from "./generated/messages.ts";

const TOPIC = "TopicTest";
const GROUP = "GID_test";
const ALL = { type: FilterType.TAG, expression: "*" };
const BROKER_POLLS_MAX = 8;

let broker: WireBroker;
let grpc: GrpcService;
let ids = 0;

beforeEach(async () => {
  broker = await wireBroker({ popPollingSize: String(BROKER_POLLS_MAX) });
  grpc = new GrpcService(broker);
  const admin = broker.client();
  const topic = { topic: TOPIC, defaultTopic: "TBW102", readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 };
  const reply = await admin.ask("UPDATE_AND_CREATE_TOPIC", { ...topic, topicFilterType: "SINGLE_TAG", order: false });
  expect([reply.code, reply.remark]).toEqual([0, undefined]);
  const group = JSON.stringify({ groupName: GROUP, consumeEnable: true, retryQueueNums: 1, retryMaxTimes: 16 });
  expect((await admin.ask("UPDATE_AND_CREATE_SUBSCRIPTIONGROUP", {}, { body: group })).code).toBe(0);
});

afterEach(async () => {
  const stopped = grpc.service.stop();
  await broker.clock.settle();
  await stopped;
  await broker.close();
});

/** A consumer that has told its settings; its Telemetry stream. */
async function consumer(clientId: string): Promise<FakeCall> {
  const call = new FakeCall(clientId);
  const subscriptions = [{ topic: { name: TOPIC }, expression: ALL }];
  const subscription = { group: { name: GROUP }, subscriptions };
  grpc.telemetry(call).send({ settings: { clientType: ClientType.SIMPLE_CONSUMER, subscription } });
  await broker.clock.settle();
  expect(call.replies("TelemetryCommand")).toMatchObject([{ status: { code: Code.OK } }]);
  return call;
}

async function receive(clientId: string, more: object = {}, deadlineMs = 30_000): Promise<FakeCall> {
  const call = new FakeCall(clientId, deadlineMs);
  grpc.stream(call, "ReceiveMessage", {
    group: { name: GROUP },
    messageQueue: { topic: { name: TOPIC }, broker: { name: "broker-a" } },
    filterExpression: ALL,
    batchSize: 8,
    invisibleDuration: { seconds: 60 },
    longPollingTimeout: { seconds: 10 },
    ...more,
  });
  await broker.clock.settle();
  return call;
}

async function send(body: string): Promise<void> {
  const systemProperties = { messageId: `id-${++ids}` };
  const message = { topic: { name: TOPIC }, body: Buffer.from(body), systemProperties };
  const reply = grpc.unary(new FakeCall("producer"), "SendMessage", { messages: [message] });
  await broker.clock.settle();
  expect((await reply).status?.code).toBe(Code.OK);
}

const codes = (call: FakeCall) => call.replies("ReceiveMessageResponse").flatMap(({ status }) => status?.code ?? []);
const messages = (call: FakeCall) =>
  call.replies("ReceiveMessageResponse").flatMap(({ message }) => (message === null ? [] : [message]));

describe("a receive whose client gave up", () => {
  it("while it waited gets no message: the next one does, at its first attempt", async () => {
    await consumer("c1");
    const gone = await receive("c1");
    expect(broker.pops.holds.count).toBe(1);
    gone.cancel();
    await send("for the next");
    expect(broker.pops.holds.count).toBe(0);
    expect(gone.frames).toEqual([]);
    const next = messages(await receive("c1"));
    expect(next.map(({ body, systemProperties }) => [String(body), systemProperties?.deliveryAttempt])).toEqual([
      ["for the next", 1],
    ]);
  });

  it("keeps nobody else out, however many gave up", async () => {
    await consumer("c1");
    for (let i = 0; i < 5 * BROKER_POLLS_MAX; i++) (await receive("c1")).cancel();
    const waiting = await receive("c1");
    expect(codes(waiting)).toEqual([]);
    expect(broker.pops.holds.count).toBeLessThanOrEqual(BROKER_POLLS_MAX + 1);
    // Those who are there still fill it.
    const all = [waiting];
    while (codes(all[all.length - 1]).length === 0) all.push(await receive("c1"));
    expect(codes(all[all.length - 1])).toEqual([Code.TOO_MANY_REQUESTS]);
    expect(all.length).toBe(BROKER_POLLS_MAX + 2);
    for (const each of all) each.cancel();
    await broker.clock.advance(11_000);
    expect(broker.pops.holds.count).toBe(0);
  });

  it("in the moment its messages were found gives them back at once", async () => {
    await consumer("c1");
    await receive("c1", { longPollingTimeout: { seconds: 5 } }).then((first) => first.cancel());
    const waiting = await receive("c1");
    const stuck = await receive("c1");
    // The message wakes the poll in the turn of its write; the client goes before that turn has ended.
    const systemProperties = { messageId: "given back" };
    const message = { topic: { name: TOPIC }, body: Buffer.from("x"), systemProperties };
    const sent = grpc.unary(new FakeCall("producer"), "SendMessage", { messages: [message] });
    const endOfTurn = broker.clock.endOfTurn.bind(broker.clock);
    broker.clock.endOfTurn = (fn) => {
      endOfTurn(() => {
        waiting.cancel();
        fn();
      });
    };
    await broker.clock.settle();
    broker.clock.endOfTurn = endOfTurn;
    expect((await sent).status?.code).toBe(Code.OK);
    expect(messages(waiting)).toEqual([]);
    // Hidden for a second instead of the minute that was asked for.
    await broker.clock.advance(3_000);
    expect(messages(stuck).map(({ systemProperties: given }) => given?.messageId)).toEqual(["given back"]);
  });

  it("before its client's settings came is not waited for by anything", async () => {
    const idle = broker.clock.timers;
    const early = await receive("stranger");
    expect(broker.clock.timers).toBe(idle + 1);
    early.cancel();
    await broker.clock.advance(2_000);
    expect(broker.clock.timers).toBe(idle);
    expect(broker.pops.holds.count).toBe(0);
  });
});

describe("a receive whose client waits no longer than it lets the server wait", () => {
  it("is answered before its client gives up", async () => {
    await consumer("c1");
    const call = await receive("c1", { longPollingTimeout: { seconds: 6 } }, 6_000);
    await broker.clock.advance(5_000);
    expect(codes(call)).toEqual([]);
    await broker.clock.advance(500);
    expect(codes(call)).toEqual([Code.MESSAGE_NOT_FOUND]);
  });
});

describe("a slow client", () => {
  it("is cut off, and what it did not take is given to others", async () => {
    await consumer("c1");
    (await receive("c1")).cancel();
    // Small ones would go out together.
    await send("one".padEnd(70_000));
    await send("two".padEnd(70_000));
    const call = new FakeCall("c1", 60_000);
    call.reads = false;
    const idle = broker.clock.timers;
    grpc.stream(call, "ReceiveMessage", {
      group: { name: GROUP },
      messageQueue: { topic: { name: TOPIC } },
      filterExpression: ALL,
      batchSize: 8,
      invisibleDuration: { seconds: 60 },
      longPollingTimeout: { seconds: 10 },
    });
    await broker.clock.settle();
    expect(messages(call).map(({ body }) => String(body).trim())).toEqual(["one"]);
    await broker.clock.advance(20_000);
    expect(call.error).toMatchObject({ status: 8, message: "the client takes its messages too slowly" });
    await broker.clock.advance(3_000);
    const next = messages(await receive("c1"));
    expect(next.map(({ body }) => String(body).trim()).sort()).toEqual(["one", "two"]);
    expect(broker.clock.timers).toBeLessThanOrEqual(idle + 1);
  });
});

describe("a receive that is looked at too late", () => {
  it("has found nothing, as with Apache's proxy: a busy machine is no error", async () => {
    await consumer("c1");
    const call = await receive("c1");
    broker.clock.jump(60_000);
    await send("behind the jump");
    expect(codes(call)).toEqual([Code.MESSAGE_NOT_FOUND]);
    expect(messages(await receive("c1")).map(({ body }) => String(body))).toEqual(["behind the jump"]);
  });
});

describe("slow clients that wait together", () => {
  it("get no more than may wait for all of them; what is too much is given to others", async () => {
    const first = grpc.service.stop();
    await broker.clock.settle();
    await first;
    grpc = new GrpcService(broker, {}, 100_000);
    await consumer("c1");
    (await receive("c1")).cancel();
    const before = broker.pops.holds.count;
    const slow = await Promise.all(
      [1, 2, 3].map(async () => {
        const call = new FakeCall("c1", 60_000);
        call.reads = false;
        grpc.stream(call, "ReceiveMessage", {
          group: { name: GROUP },
          messageQueue: { topic: { name: TOPIC } },
          filterExpression: ALL,
          batchSize: 1,
          invisibleDuration: { seconds: 60 },
          longPollingTimeout: { seconds: 10 },
        });
        await broker.clock.settle();
        return call;
      }),
    );
    expect(broker.pops.holds.count).toBe(before + 3);
    for (const body of ["one", "two", "three"]) await send(body.padEnd(70_000));
    expect(slow.flatMap(codes).sort()).toEqual([Code.OK, Code.OK, Code.TOO_MANY_REQUESTS].sort());
    expect(codes(await receive("c1"))).toEqual([Code.TOO_MANY_REQUESTS]);
    await broker.clock.advance(20_000);
    expect(slow.map(({ error }) => error?.status)).toEqual(expect.arrayContaining([8, 8, undefined]));
    await broker.clock.advance(3_000);
    const next = messages(await receive("c1"));
    expect(next.map(({ body }) => String(body).trim()).sort()).toEqual(["one", "three", "two"]);
  });
});

describe("a pull whose client gave up", () => {
  it("is forgotten at the next look at those who wait", async () => {
    const call = new FakeCall("c1", 30_000);
    const messageQueue = { topic: { name: TOPIC }, id: 0, broker: { name: "broker-a" } };
    grpc.stream(call, "PullMessage", {
      group: { name: GROUP },
      messageQueue,
      offset: 0,
      batchSize: 8,
      longPollingTimeout: { seconds: 20 },
    });
    await broker.clock.settle();
    expect(broker.holds.count).toBe(1);
    call.cancel();
    await broker.clock.advance(5_000);
    expect(broker.holds.count).toBe(0);
    expect(call.frames).toEqual([]);
  });
});

describe("a Telemetry stream", () => {
  it("that broke is followed by its client, once nobody has heard of it for two minutes", async () => {
    const idle = broker.clock.timers;
    const stream = await consumer("c1");
    expect(grpc.service.clients.size).toBe(1);
    stream.cancel();
    expect(grpc.service.clients.find("c1")?.attached).toBe(false);
    await broker.clock.advance(60_000);
    expect(grpc.service.clients.size).toBe(1);
    // The broker's own table expires whoever sends no heartbeats.
    broker.clients.scan();
    await broker.clock.advance(130_000);
    broker.clients.scan();
    await broker.clock.advance(10_000);
    expect(grpc.service.clients.size).toBe(0);
    expect(broker.clients.consumerGroup(GROUP)).toBeUndefined();
    expect(broker.clock.timers).toBe(idle);
  });

  it("that was ended for a wrong command takes no further one", async () => {
    const good = await consumer("c1");
    const call = new FakeCall("c1");
    const { send: tell } = grpc.telemetry(call);
    const wrong = { clientType: ClientType.SIMPLE_CONSUMER };
    const right = { clientType: ClientType.PRODUCER, publishing: { topics: [{ name: TOPIC }] } };
    tell({ settings: wrong });
    tell({ settings: right });
    await broker.clock.settle();
    expect(call.error?.message).toBe("there is no publishing or subscription data in settings");
    expect(call.frames).toEqual([]);
    // Its commands still go to the stream that is open.
    const client = grpc.service.clients.find("c1");
    expect(client?.send({ printThreadStackTraceCommand: { nonce: "7" } })).toBe(true);
    expect(good.replies("TelemetryCommand").at(-1)?.printThreadStackTraceCommand?.nonce).toBe("7");
  });
});

describe("a message that got another deadline", () => {
  it("stays away once its new handle has acknowledged it, wherever it stood in its pop", async () => {
    await consumer("c1");
    (await receive("c1")).cancel();
    for (const body of ["a", "b", "c"]) await send(body);
    const got = messages(await receive("c1"));
    expect(got.map(({ body }) => String(body))).toEqual(["a", "b", "c"]);
    const names = { topic: { name: TOPIC }, group: { name: GROUP } };
    for (const { systemProperties } of got) {
      const messageId = systemProperties?.messageId ?? "";
      let receiptHandle = systemProperties?.receiptHandle ?? "";
      for (const seconds of [20, 10]) {
        const change = { ...names, messageId, receiptHandle, invisibleDuration: { seconds } };
        const reply = grpc.unary(new FakeCall("c1"), "ChangeInvisibleDuration", change);
        await broker.clock.settle();
        expect((await reply).status?.code).toBe(Code.OK);
        receiptHandle = (await reply).receiptHandle;
      }
      const ack = grpc.unary(new FakeCall("c1"), "AckMessage", { ...names, entries: [{ messageId, receiptHandle }] });
      await broker.clock.settle();
      expect((await ack).status?.code).toBe(Code.OK);
    }
    await broker.clock.advance(70_000);
    const after = await receive("c1");
    await broker.clock.advance(11_000);
    expect(messages(after).map(({ body }) => String(body))).toEqual([]);
  });

  it("stays away though the server renewed it for a push consumer", async () => {
    await consumer("c1");
    (await receive("c1")).cancel();
    for (const body of ["a", "b"]) await send(body);
    const got = messages(await receive("c1", { autoRenew: true }));
    expect(got.map(({ body }) => String(body))).toEqual(["a", "b"]);
    // Two renewals of each, ten seconds ahead of the minute and of the three minutes.
    for (let seconds = 0; seconds < 300; seconds += 20) {
      await broker.clock.advance(20_000);
      const heartbeat = grpc.unary(new FakeCall("c1"), "Heartbeat", { group: { name: GROUP } });
      await broker.clock.settle();
      expect((await heartbeat).status?.code).toBe(Code.OK);
    }
    const entries = got.map(({ systemProperties }) => ({
      messageId: systemProperties?.messageId ?? "",
      receiptHandle: systemProperties?.receiptHandle ?? "",
    }));
    const names = { topic: { name: TOPIC }, group: { name: GROUP } };
    const ack = grpc.unary(new FakeCall("c1"), "AckMessage", { ...names, entries });
    await broker.clock.settle();
    expect((await ack).entries.map(({ status }) => status?.code)).toEqual([Code.OK, Code.OK]);
    await broker.clock.advance(700_000);
    const again = await consumer("c2");
    const after = await receive("c2");
    await broker.clock.advance(11_000);
    expect(messages(after).map(({ body }) => String(body))).toEqual([]);
    again.cancel();
  });
});
