import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { AnswerPeek } from "./answerPeek.ts";
import { encodeFrame } from "./frameWriter.ts";
import { FLAG_RESPONSE, SERIALIZE_JSON, SERIALIZE_ROCKETMQ } from "./headerView.ts";

const NASTY = '","opaque":9,"flag":0 "opaque":8 \\"flag\\":0 {"a":"\\n"}';

describe("AnswerPeek", () => {
  for (const serialization of [SERIALIZE_JSON, SERIALIZE_ROCKETMQ]) {
    it(`reads code and opaque of an answer and leaves its bytes alone (serialization ${serialization})`, () => {
      const fields = { version: NASTY, zone: NASTY };
      const answer = { code: 209, flag: FLAG_RESPONSE, opaque: -77, serialization, remark: NASTY, fields };
      const frame = encodeFrame(answer, Buffer.from('"opaque":5,"flag":0'));
      const before = Buffer.from(frame);
      const headerBytes = frame.readInt32BE(4) & 0xffffff;
      const peek = new AnswerPeek();
      expect(peek.read(frame, 8, 8 + headerBytes, serialization)).toBe(true);
      expect([peek.code, peek.opaque]).toEqual([209, -77]);
      expect(frame).toEqual(before);
    });

    it(`takes no request for an answer (serialization ${serialization})`, () => {
      const frame = encodeFrame({ code: 40, flag: 2, opaque: 3, serialization, fields: {} }, undefined);
      const headerBytes = frame.readInt32BE(4) & 0xffffff;
      expect(new AnswerPeek().read(frame, 8, 8 + headerBytes, serialization)).toBe(false);
    });
  }
});
