/** Requests that no client sends: random messages of the right type with extreme values, and bytes that are none. */
import { Buffer } from "node:buffer";
import protobuf from "protobufjs/light.js";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Random, seededRandom } from "../base/random.ts";
import { FakeCall, GrpcService } from "../testing/grpcService.ts";
import { type WireBroker, wireBroker } from "../testing/wireBroker.ts";
import { DESCRIPTOR } from "./generated/descriptor.ts";
import { ClientType, Code, type Messages } from "./generated/messages.ts";
import { GrpcError } from "./grpcStatus.ts";
import { codec } from "./proto.ts";

const TOPIC = "TopicTest";
const GROUP = "GID_test";
const ROUNDS = 150;
/** What a mistake of ours sounds like, and no refusal does. */
const MISTAKE =
  /undefined|(?<!can't be )null|NaN|is not a|is not iterable|Cannot (read|convert)|Invalid (array|string|time)|out of range|Maximum call stack/;

const root = protobuf.Root.fromJSON(DESCRIPTOR as protobuf.INamespace);
let broker: WireBroker;
let grpc: GrpcService;

beforeAll(async () => {
  broker = await wireBroker({ enablePropertyFilter: "true", recallMessageEnable: "true" });
  grpc = new GrpcService(broker);
  const admin = broker.client();
  const topic = { topic: TOPIC, defaultTopic: "TBW102", readQueueNums: 2, writeQueueNums: 2, perm: 6, topicSysFlag: 0 };
  await admin.ask("UPDATE_AND_CREATE_TOPIC", { ...topic, topicFilterType: "SINGLE_TAG", order: false });
  const body = JSON.stringify({ groupName: GROUP, consumeEnable: true, retryQueueNums: 1, retryMaxTimes: 16 });
  await admin.ask("UPDATE_AND_CREATE_SUBSCRIPTIONGROUP", {}, { body });
});

beforeEach(async () => {
  const subscription = { group: { name: GROUP }, subscriptions: [] };
  const { send } = grpc.telemetry(new FakeCall("c1"));
  send({ settings: { clientType: ClientType.SIMPLE_CONSUMER, subscription } });
  await broker.clock.settle();
});

afterAll(async () => {
  const stopped = grpc.service.stop();
  await broker.clock.settle();
  await stopped;
  await broker.close();
});

const TEXTS = [
  "",
  " ",
  TOPIC,
  GROUP,
  "broker-a",
  "a b",
  "x".repeat(300),
  "\u0000\u0001",
  "世界",
  "*",
  "a || b",
  "a > 3",
  "__proto__",
  "%RETRY%GID_test",
  "0 1 2 3 4 5 6 7 8",
  `0 ${2 ** 52} 9007199254740991 0 0 broker-a 0 0 0`,
  "djEgVG9waWMgYnJva2VyLWEgMSBpZA==",
  "-1",
];
const NUMBERS = [0, 1, -1, 2, 5, 31, 32, 33, 127, 1_000, 2 ** 31 - 1, -(2 ** 31)];
const LONGS = [...NUMBERS, 2 ** 40, -(2 ** 40), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];

/** What a field says most of the time, so that requests get past the first checks. */
const USUAL: Record<string, unknown> = {
  topic: { name: TOPIC },
  group: { name: GROUP },
  broker: { name: "broker-a" },
  id: 0,
  receiptHandle: "0 1700000000000 60000 0 0 broker-a 0 0 0",
  messageId: "id",
  transactionId: "transaction",
};

/** A message of a type, as plain data; now and then a field is missing. */
function any(type: protobuf.Type, random: Random, depth = 0): Record<string, unknown> {
  const one = <T>(list: readonly T[]): T => list[random.int(list.length)];
  const value = (field: protobuf.Field): unknown => {
    field.resolve();
    if (field.resolvedType instanceof protobuf.Enum) return random.int(10) - 1;
    if (field.resolvedType instanceof protobuf.Type) return any(field.resolvedType, random, depth + 1);
    switch (field.type) {
      case "string":
        return one(TEXTS);
      case "bytes":
        return Buffer.alloc(one([0, 1, 100]), 65);
      case "bool":
        return random.int(2) === 1;
      case "int64":
      case "uint64":
        return one(LONGS);
      case "float":
      case "double":
        return one([0, -1, 1e300, Number.NaN, Number.POSITIVE_INFINITY]);
      default:
        return one(NUMBERS);
    }
  };
  const message: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    if (depth > 5 || random.int(8) === 0) continue;
    const usual = USUAL[field.name];
    if (
      usual !== undefined &&
      (typeof usual === "object") === (field.resolve().resolvedType !== null) &&
      random.int(8) !== 0
    )
      message[field.name] = usual;
    else if (field.map) message[field.name] = { [one(TEXTS)]: one(TEXTS) };
    else if (field.repeated) message[field.name] = Array.from({ length: random.int(4) }, () => value(field));
    else message[field.name] = value(field);
  }
  return message;
}

/** Sends it, lets time pass until it is answered; the call. */
async function answered(name: string, bytes: Buffer): Promise<FakeCall> {
  const call = new FakeCall("c1", 20_000);
  let failure: unknown;
  const done = grpc.raw(call, name, bytes).catch((error) => {
    failure = error;
  });
  for (let i = 0; i < 30 && !call.ended && failure === undefined; i++) {
    await broker.clock.settle();
    if (!call.ended && failure === undefined) await broker.clock.advance(1_000);
  }
  await done;
  if (failure !== undefined) throw failure;
  return call;
}

const METHODS = [
  "UpdateOffset",
  "GetOffset",
  "QueryOffset",
  "QueryRoute",
  "QueryAssignment",
  "Heartbeat",
  "SendMessage",
  "EndTransaction",
  "RecallMessage",
  "AckMessage",
  "ChangeInvisibleDuration",
  "ForwardMessageToDeadLetterQueue",
  "NotifyClientTermination",
  "ReceiveMessage",
  "PullMessage",
  "SyncLiteSubscription",
];

describe.each(METHODS)("%s", (name) => hardly(name));

function hardly(name: string): void {
  const reply = codec(`${name}Response` as keyof Messages);
  const type = root.lookupType(`apache.rocketmq.v2.${name}Request`);

  it("answers any values with a code and a reason, never with a mistake of ours", async () => {
    const random = seededRandom(name.length);
    const codes = new Set<number>();
    for (let i = 0; i < ROUNDS; i++) {
      const request = any(type, random);
      const text = JSON.stringify(request);
      const call = await answered(name, Buffer.from(type.encode(request).finish()));
      expect([text, call.error]).toEqual([text, undefined]);
      const statuses = call.frames.flatMap((frame) => {
        const { status } = reply.decode(frame.subarray(5)) as { status: { code: number; message: string } | null };
        return status === null ? [] : [status];
      });
      expect([text, statuses.length]).toEqual([text, 1]);
      expect([text, MISTAKE.exec(statuses[0].message)?.[0]]).toEqual([text, undefined]);
      codes.add(statuses[0].code);
    }
    expect(codes).not.toEqual(new Set([Code.OK]));
  });

  it("answers bytes that are none with INTERNAL, or takes them for what they are", async () => {
    const random = seededRandom(name.length + 1);
    for (let i = 0; i < ROUNDS; i++) {
      const bytes = Buffer.from(Array.from({ length: random.int(60) }, () => random.int(256)));
      try {
        await answered(name, bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(GrpcError);
        expect((error as GrpcError).message).toMatch(new RegExp(`^the request is no ${name}Request: `));
      }
    }
  });
}

it("covers every method", () => {
  expect(grpc.methods.filter((name) => !METHODS.includes(name))).toEqual([]);
});
