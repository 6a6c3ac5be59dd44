import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatMessageId } from "../message/messageId.ts";
import apacheFrames from "./apacheFrames.json" with { type: "json" };
import type { Reply, ReplyOut } from "./dispatch.ts";
import { encodeFrame, type Fields } from "./frameWriter.ts";
import { SendMessageRequestHeader, SendMessageRequestHeaderV2 } from "./generated/headers.ts";
import { decodeHeader } from "./headerCodec.ts";
import type { HeaderSchema } from "./headerSchema.ts";
import { HeaderError, HeaderView, SERIALIZE_JSON, SERIALIZE_ROCKETMQ } from "./headerView.ts";
import { SendReplyPieces, SendRequest } from "./sendCodec.ts";

function viewOf(frame: Buffer): HeaderView {
  const view = new HeaderView();
  view.read(frame, 8, 8 + frame.readUIntBE(5, 3), frame[4]);
  return view;
}

const request = (fields: Fields, serialization: number) =>
  viewOf(encodeFrame({ code: 310, flag: 0, opaque: 1, serialization, fields }, undefined));

const bySerialization = [
  ["JSON", SERIALIZE_JSON],
  ["ROCKETMQ", SERIALIZE_ROCKETMQ],
] as const;

/** Long name of each V2 letter, and how it is generated. */
const text = fc.string({ unit: "grapheme" });
const PARTS: [letter: string, name: string, required: boolean, value: fc.Arbitrary<string | number | boolean>][] = [
  ["a", "producerGroup", true, text],
  ["b", "topic", true, text],
  ["c", "defaultTopic", true, text],
  ["d", "defaultTopicQueueNums", true, fc.integer()],
  ["e", "queueId", true, fc.integer()],
  ["f", "sysFlag", true, fc.integer()],
  ["g", "bornTimestamp", true, fc.maxSafeInteger()],
  ["h", "flag", true, fc.integer()],
  ["i", "properties", false, text],
  ["j", "reconsumeTimes", false, fc.integer()],
  ["k", "unitMode", false, fc.boolean()],
  ["l", "maxReconsumeTimes", false, fc.integer()],
  ["m", "batch", false, fc.boolean()],
];

function headers(shortNames: boolean): fc.Arbitrary<Fields> {
  const known = PARTS.map(([letter, name, required, value]) =>
    (required ? value : fc.option(value, { nil: undefined })).map((v) => [shortNames ? letter : name, v] as const),
  );
  const strangers = fc.dictionary(
    fc.constantFrom("n", "bname", "z", "aa", "lo", "ns", "Signature", "A", "topics"),
    text,
  );
  return fc.tuple(fc.tuple(...known), strangers, fc.infiniteStream(fc.nat())).map(([parts, others, order]) => {
    const entries = [...parts, ...Object.entries(others)];
    return Object.fromEntries(
      entries
        .map((entry) => [order.next().value as number, entry] as const)
        .sort((a, b) => a[0] - b[0])
        .map(([, e]) => e),
    );
  });
}

/** What the hand-written codec read, under the schema's names. */
function asRead(read: SendRequest, view: HeaderView, shortNames: boolean, given: Fields): Record<string, unknown> {
  const values: Record<string, unknown> = {
    producerGroup: read.producerGroup,
    topic: read.topic,
    defaultTopic: read.defaultTopic,
    defaultTopicQueueNums: read.defaultTopicQueueNums,
    queueId: read.queueId,
    sysFlag: read.sysFlag,
    bornTimestamp: read.bornTimestamp,
    flag: read.flag,
    properties: view.buf.toString("utf8", read.propertiesStart, read.propertiesEnd),
    reconsumeTimes: read.reconsumeTimes,
    unitMode: read.unitMode,
    maxReconsumeTimes: read.maxReconsumeTimes,
    batch: read.batch,
  };
  const out: Record<string, unknown> = {};
  for (const [letter, name] of PARTS) {
    const key = shortNames ? letter : name;
    if (given[key] !== undefined) out[key] = values[name];
    else
      expect([name, values[name]]).toEqual([
        name,
        { properties: "", maxReconsumeTimes: -1, reconsumeTimes: 0 }[name] ?? false,
      ]);
  }
  return out;
}

describe.each([
  ["SEND_MESSAGE_V2", true, SendMessageRequestHeaderV2],
  ["SEND_MESSAGE", false, SendMessageRequestHeader],
] as [string, boolean, HeaderSchema<object>][])("%s's header", (_, shortNames, schema) => {
  it.each(bySerialization)("in %s is read as its schema says", (_, serialization) => {
    const read = new SendRequest();
    const names = new Set(PARTS.map(([letter, name]) => (shortNames ? letter : name)));
    fc.assert(
      fc.property(headers(shortNames), (given) => {
        const view = request(given, serialization);
        const expected = Object.fromEntries(Object.entries(decodeHeader(view, schema)).filter(([k]) => names.has(k)));
        read.read(view, shortNames);
        expect(asRead(read, view, shortNames, given)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  const whole = () =>
    Object.fromEntries(
      PARTS.filter(([, , required]) => required).map(([letter, name], i) => [
        shortNames ? letter : name,
        i < 3 ? "x" : 1,
      ]),
    );

  it("rule 1: is refused without a field that FastCodesHeader enforces, naming it", () => {
    for (const [letter, name, required] of PARTS) {
      const key = shortNames ? letter : name;
      const fields: Fields = whole();
      delete fields[key];
      const read = () => new SendRequest().read(request(fields, SERIALIZE_JSON), shortNames);
      if (required) expect(read).toThrow(new HeaderError(`the custom field <${key}> is null`));
      else expect(read).not.toThrow();
    }
  });

  it("is refused with a number that is none, naming the field", () => {
    const queueId = shortNames ? "e" : "queueId";
    const read = (value: string) => () =>
      new SendRequest().read(request({ ...whole(), [queueId]: value }, SERIALIZE_JSON), shortNames);
    expect(read("x")).toThrow(`field ${queueId}: "x" is not an integer`);
    expect(read("4294967296")).toThrow(`field ${queueId}: 4294967296 is not a 32-bit integer`);
    expect(read("-1")).not.toThrow();
  });
});

it("takes a request as the Apache client wrote it", () => {
  for (const frame of [apacheFrames.send.JSON, apacheFrames.send.ROCKETMQ]) {
    const view = viewOf(Buffer.from(frame, "base64"));
    const read = new SendRequest();
    read.read(view, true);
    expect(read).toMatchObject({
      topic: "Topic中",
      queueId: -1,
      bornTimestamp: 1_700_000_000_000,
      defaultTopicQueueNums: 4,
    });
    expect([read.producerGroup, read.defaultTopic]).toEqual(["group", "TBW102"]);
    expect(view.buf.toString("utf8", read.propertiesStart, read.propertiesEnd)).toBe(
      "KEYS\u0001k\u0002TAGS\u0001a\u0002",
    );
  }
});

/** An output that checks that no more is written than was reserved. */
class Out implements ReplyOut {
  slab: Buffer = Buffer.alloc(0);
  readonly open = true;
  readonly congested = false;
  frame: Buffer | undefined;
  #start = 0;
  reserve(bytes: number): number {
    this.slab = Buffer.alloc(7 + bytes + 4, 0x7e);
    this.#start = 7;
    return 7;
  }
  commit(end: number): void {
    expect(end).toBeLessThanOrEqual(this.slab.length - 4);
    expect(this.slab.toString("latin1", 0, 7) + this.slab.toString("latin1", this.slab.length - 4)).toBe("~~~~~~~~~~~");
    this.frame = this.slab.subarray(this.#start, end);
  }
  reply(_opaque: number, _serialization: number, _reply: Reply): void {
    throw new Error("not the ordinary path");
  }
}

describe.each(bySerialization)("an acknowledgement in %s", (_, serialization) => {
  it("says what the generic writer would", () => {
    const host = fc.oneof(
      fc.uint8Array({ minLength: 8, maxLength: 8 }),
      fc.uint8Array({ minLength: 20, maxLength: 20 }),
    );
    fc.assert(
      fc.property(
        fc.record({ region: text, traceOn: fc.boolean(), host }),
        fc.record({
          logOffset: fc.maxSafeNat(),
          queueOffset: fc.maxSafeNat(),
          queueId: fc.nat({ max: 65535 }),
          key: fc.stringMatching(/^[0-9A-Za-z-]{0,255}$/),
        }),
        fc.integer(),
        ({ region, traceOn, host }, { logOffset, queueOffset, queueId, key }, opaque) => {
          const storeHost = Buffer.from(host);
          const out = new Out();
          new SendReplyPieces(region, traceOn, storeHost).write(out, serialization, opaque, {
            logOffset,
            queueOffset,
            queueId,
            uniqueKey: Buffer.from(key.padEnd(300, "?")),
            uniqueKeyBytes: key.length,
          });
          const fields: Fields = {
            MSG_REGION: region,
            TRACE_ON: traceOn,
            msgId: formatMessageId(storeHost, logOffset),
            queueId,
            queueOffset,
            transactionId: key === "" ? undefined : key,
          };
          expect(out.frame).toEqual(encodeFrame({ code: 0, flag: 1, opaque, serialization, fields }, undefined));
        },
      ),
      { numRuns: 300 },
    );
  });
});
