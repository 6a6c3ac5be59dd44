import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import apacheFrames from "./apacheFrames.json" with { type: "json" };
import type { ReplyOut } from "./dispatch.ts";
import { encodeFrame, type Fields } from "./frameWriter.ts";
import { PullMessageRequestHeader, PullMessageResponseHeader } from "./generated/headers.ts";
import { decodeHeader } from "./headerCodec.ts";
import { HeaderError, HeaderView, SERIALIZE_JSON, SERIALIZE_ROCKETMQ } from "./headerView.ts";
import { type PullReplyFields, PullRequest, writePullHead } from "./pullCodec.ts";

function viewOf(frame: Buffer): HeaderView {
  const view = new HeaderView();
  view.read(frame, 8, 8 + frame.readUIntBE(5, 3), frame[4]);
  return view;
}

const request = (fields: Fields, serialization: number, opaque = 1) =>
  viewOf(encodeFrame({ code: 11, flag: 0, opaque, serialization, fields }, undefined));

const bySerialization = [
  ["JSON", SERIALIZE_JSON],
  ["ROCKETMQ", SERIALIZE_ROCKETMQ],
] as const;

const text = fc.string({ unit: "grapheme" });
const required = {
  consumerGroup: text,
  topic: text,
  queueId: fc.integer(),
  queueOffset: fc.maxSafeInteger(),
  maxMsgNums: fc.integer(),
  sysFlag: fc.integer(),
  commitOffset: fc.maxSafeInteger(),
  suspendTimeoutMillis: fc.maxSafeNat(),
  subVersion: fc.maxSafeInteger(),
};
const optional = {
  subscription: text,
  expressionType: fc.constantFrom("TAG", "SQL92"),
  maxMsgBytes: fc.integer({ min: 1 }),
  requestSource: fc.integer(),
  proxyFrowardClientId: text,
  liteTopic: text,
  bname: text,
  // Names that others may add: as long as ours and with the same beginning.
  token: text,
  trace: text,
  service: text,
  quality: text,
  maxMsgSize: text,
  currentVersion: text,
  consumerClass: text,
  extraFieldName: text,
};
const sample = {
  consumerGroup: "g",
  topic: "T",
  queueId: 1,
  queueOffset: 2,
  maxMsgNums: 32,
  sysFlag: 6,
  commitOffset: 0,
  suspendTimeoutMillis: 15_000,
  subVersion: 3,
};

describe("a pull's header", () => {
  it.each(bySerialization)("in %s is read as its schema says, strangers left alone", (_, serialization) => {
    const read = new PullRequest();
    const arbitrary = fc.record({ ...required, ...optional }, { requiredKeys: Object.keys(required) as never[] });
    fc.assert(
      fc.property(arbitrary, fc.integer(), (given, opaque) => {
        const view = request(given as Fields, serialization, opaque);
        read.read(view);
        const expected = decodeHeader(view, PullMessageRequestHeader);
        expect(read).toMatchObject({
          group: expected.consumerGroup,
          topic: expected.topic,
          queueId: expected.queueId,
          queueOffset: expected.queueOffset,
          maxMsgNums: expected.maxMsgNums,
          sysFlag: expected.sysFlag,
          commitOffset: expected.commitOffset,
          suspendTimeoutMillis: expected.suspendTimeoutMillis,
          subVersion: expected.subVersion,
          maxMsgBytes: expected.maxMsgBytes ?? 0,
          subscription: expected.subscription,
          expressionType: expected.expressionType,
          opaque,
          serialization,
        });
      }),
      { numRuns: 300 },
    );
  });

  it("rule 1: is refused without a field that FastCodesHeader enforces, naming it", () => {
    for (const { name, required } of PullMessageRequestHeader.fields) {
      const fields: Fields = { ...sample };
      delete fields[name];
      const read = () => new PullRequest().read(request(fields, SERIALIZE_JSON));
      if (required) expect(read).toThrow(new HeaderError(`the custom field <${name}> is null`));
      else expect(read).not.toThrow();
    }
  });

  it("reads a Go client's nanoseconds as the heartbeat's JSON does, or its pulls would never be the latest", () => {
    const nanos = fc.bigInt({ min: 10n ** 18n, max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(nanos, (subVersion) => {
        const read = new PullRequest();
        read.read(request({ ...sample, subVersion: String(subVersion) }, SERIALIZE_JSON));
        expect(read.subVersion).toBe(JSON.parse(String(subVersion)));
      }),
      { numRuns: 1000 },
    );
  });

  it("takes Long.MAX_VALUE as the largest offset there is", () => {
    const read = new PullRequest();
    read.read(
      request({ ...sample, queueOffset: "9223372036854775807", commitOffset: "9223372036854775807" }, SERIALIZE_JSON),
    );
    expect([read.queueOffset, read.commitOffset]).toEqual([Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
  });

  it("is read as the Apache client wrote it", () => {
    for (const frame of [apacheFrames.pull.JSON, apacheFrames.pull.ROCKETMQ]) {
      const read = new PullRequest();
      read.read(viewOf(Buffer.from(frame, "base64")));
      expect(read).toMatchObject({
        group: "group",
        topic: "Topic",
        queueId: 2,
        queueOffset: 4294967296,
        maxMsgNums: 32,
        maxMsgBytes: 2147483647,
        subscription: "a || b",
        subVersion: 1_700_000_000_001,
      });
    }
  });
});

describe.each(bySerialization)("a pull's reply in %s", (_, serialization) => {
  it("says what the generic writer would, with its body behind", () => {
    const fields: fc.Arbitrary<PullReplyFields> = fc.record({
      suggestWhichBrokerId: fc.nat(),
      nextBeginOffset: fc.maxSafeNat(),
      minOffset: fc.maxSafeNat(),
      maxOffset: fc.maxSafeNat(),
      topicSysFlag: fc.nat(),
      groupSysFlag: fc.nat(),
    });
    const codes = fc.constantFrom(0, 19, 20, 21);
    const remarks = fc.constantFrom("FOUND", "NO_MATCHED_MESSAGE", "OFFSET_OVERFLOW_BADLY", "OFFSET_RESET");
    fc.assert(
      fc.property(
        fields,
        codes,
        remarks,
        fc.integer(),
        fc.nat({ max: 5000 }),
        (given, code, remark, opaque, bodyBytes) => {
          let slab: Buffer = Buffer.alloc(0);
          const out = {
            reserve(bytes: number) {
              slab = Buffer.alloc(3 + bytes, 0x7e);
              return 3;
            },
            get slab() {
              return slab;
            },
          } as unknown as ReplyOut;
          const pull = new PullRequest();
          pull.opaque = opaque;
          pull.serialization = serialization;
          const bodyAt = writePullHead(out, pull, code, remark, given, bodyBytes);
          expect(bodyAt + bodyBytes).toBeLessThanOrEqual(slab.length);
          const frame = slab.subarray(3, bodyAt + bodyBytes);
          const view = viewOf(frame);
          expect(view).toMatchObject({ code, remark, opaque, flag: 1, language: "JAVA", serialization });
          expect(decodeHeader(view, PullMessageResponseHeader)).toEqual(given);
          // Only the order of the fields may differ from the generic writer's frame.
          const generic = encodeFrame(
            { code, flag: 1, opaque, serialization, remark, fields: { ...given } },
            Buffer.alloc(bodyBytes, 0x7e),
          );
          expect(frame.length).toBe(generic.length);
          expect(frame.readInt32BE(0)).toBe(frame.length - 4);
          expect(viewOf(generic).version).toBe(view.version);
          expect(Buffer.from(frame).sort()).toEqual(Buffer.from(generic).sort());
        },
      ),
      { numRuns: 300 },
    );
  });
});
