import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import apacheFrames from "./apacheFrames.json" with { type: "json" };
import { encodeFrame, type Fields, type FrameHead } from "./frameWriter.ts";
import { CURRENT_VERSION } from "./generated/versions.ts";
import { HeaderView, SERIALIZE_JSON, SERIALIZE_ROCKETMQ } from "./headerView.ts";

interface Frame {
  head: Pick<HeaderView, "code" | "flag" | "opaque" | "version" | "language" | "remark">;
  fields: Record<string, string>;
  body: Buffer;
  serialization: number;
}

/** Reads a whole frame, length field included. */
function readFrame(frame: Buffer): Frame {
  expect(frame.readInt32BE(0)).toBe(frame.length - 4);
  const serialization = frame[4];
  const headerBytes = frame.readUIntBE(5, 3);
  const view = new HeaderView();
  view.read(frame, 8, 8 + headerBytes, serialization);
  const { code, flag, opaque, version, language, remark } = view;
  const fields: Record<string, string> = {};
  for (let i = 0; i < view.count; i++) fields[view.keyText(i)] = view.valueText(i);
  return {
    head: { code, flag, opaque, version, language, remark },
    fields,
    body: frame.subarray(8 + headerBytes),
    serialization,
  };
}

const bySerialization = [
  ["JSON", SERIALIZE_JSON],
  ["ROCKETMQ", SERIALIZE_ROCKETMQ],
] as const;

describe.each(bySerialization)("a frame in %s", (name, serialization) => {
  it("says what it was given", () => {
    const text = fc.string({ unit: "grapheme" });
    const fields = fc.dictionary(
      fc.stringMatching(/^[A-Za-z_]{1,20}$/),
      fc.oneof(text, fc.integer(), fc.maxSafeInteger(), fc.boolean(), fc.constant(undefined)),
    );
    const head = fc.record({
      code: fc.integer({ min: -1, max: 32767 }),
      flag: fc.integer({ min: 0, max: 3 }),
      opaque: fc.integer(),
      remark: fc.option(text, { nil: undefined }),
      fields: fc.option(fields, { nil: undefined }),
    });
    const body = fc.oneof(
      fc.constant(undefined),
      text,
      fc.uint8Array().map((b) => Buffer.from(b)),
    );
    fc.assert(
      fc.property(head, body, (given, bytes) => {
        const read = readFrame(encodeFrame({ ...given, serialization }, bytes));
        const remark = serialization === SERIALIZE_ROCKETMQ ? given.remark || undefined : given.remark;
        expect(read.head).toEqual({
          code: given.code,
          flag: given.flag,
          opaque: given.opaque,
          remark: remark === undefined ? undefined : Buffer.from(remark).toString(),
          version: CURRENT_VERSION,
          language: "JAVA",
        });
        const expected: Record<string, string> = {};
        for (const [k, v] of Object.entries(given.fields ?? {})) {
          if (v !== undefined) expected[k] = Buffer.from(String(v)).toString();
        }
        expect(read.fields).toEqual(expected);
        expect(read.body).toEqual(Buffer.from(bytes ?? ""));
        expect(read.serialization).toBe(serialization);
      }),
      { numRuns: 200 },
    );
  });

  it.each(Object.keys(apacheFrames) as (keyof typeof apacheFrames)[])(
    "is read as Apache 5.5.0 wrote it: %s",
    (which) => {
      const apache = readFrame(Buffer.from(apacheFrames[which][name], "base64"));
      const ours = readFrame(
        encodeFrame({ ...apache.head, serialization, fields: apache.fields } as FrameHead, apache.body),
      );
      expect(ours).toEqual(apache);
    },
  );

  it("has the bytes that Apache 5.5.0 writes, where no map order plays in", () => {
    const apache = Buffer.from(apacheFrames.refusal[name], "base64");
    const { head } = readFrame(apache);
    expect(head.remark).toContain("中🚀");
    expect(encodeFrame({ ...head, serialization }, undefined)).toEqual(apache);
  });
});

describe("a JSON frame", () => {
  const json = (fields: Fields) => {
    const frame = encodeFrame({ code: 0, flag: 1, opaque: 1, serialization: SERIALIZE_JSON, fields }, undefined);
    return JSON.parse(frame.toString("utf8", 8)) as { extFields: Record<string, unknown> };
  };

  it("rule 2: has nothing but strings in extFields, for the Go client", () => {
    expect(json({ n: 5, t: true, s: "x", none: undefined, big: 2 ** 52 }).extFields).toEqual({
      n: "5",
      t: "true",
      s: "x",
      big: "4503599627370496",
    });
  });

  it("rule 3: has an empty extFields object where there are no fields to tell", () => {
    expect(json({})).toHaveProperty("extFields", {});
  });
});

describe("an Apache frame", () => {
  it("means the same in both serializations", () => {
    for (const frames of Object.values(apacheFrames)) {
      const { serialization: _j, ...json } = readFrame(Buffer.from(frames.JSON, "base64"));
      const { serialization: _b, ...binary } = readFrame(Buffer.from(frames.ROCKETMQ, "base64"));
      expect(json).toEqual(binary);
    }
  });
});
