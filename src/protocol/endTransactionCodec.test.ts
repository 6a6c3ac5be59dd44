import type { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { EndTransactionRequest } from "./endTransactionCodec.ts";
import { encodeFrame, type Fields } from "./frameWriter.ts";
import { EndTransactionRequestHeader } from "./generated/headers.ts";
import { decodeHeader } from "./headerCodec.ts";
import { HeaderError, HeaderView } from "./headerView.ts";

function read(fields: Fields, serialization = 0): EndTransactionRequest {
  const frame: Buffer = encodeFrame({ code: 37, flag: 2, opaque: 1, serialization, fields }, undefined);
  const view = new HeaderView();
  view.read(frame, 8, 8 + frame.readUIntBE(5, 3), serialization);
  const request = new EndTransactionRequest();
  request.read(view);
  const generated = decodeHeader(view, EndTransactionRequestHeader);
  expect(request.group).toBe(generated.producerGroup);
  expect(request.halfOffset).toBe(generated.tranStateTableOffset);
  expect(request.logOffset).toBe(generated.commitLogOffset);
  expect(request.decision).toBe(generated.commitOrRollback);
  expect(request.fromCheck).toBe(generated.fromTransactionCheck ?? false);
  return request;
}

const ALL = {
  topic: "T",
  producerGroup: "gruppe-ä",
  tranStateTableOffset: 12_345_678_901,
  commitLogOffset: 98_765_432_109,
  commitOrRollback: 8,
  fromTransactionCheck: true,
  msgId: "7F0000010A2B18B4AAC2000000000001",
  transactionId: "7F0000010A2B18B4AAC2000000000001",
  bname: "broker-a",
};

describe("the header of END_TRANSACTION", () => {
  it("is read as its schema says, in both serializations", () => {
    for (const serialization of [0, 1]) {
      expect(read(ALL, serialization).messageId).toBe(ALL.msgId);
      read({ ...ALL, fromTransactionCheck: undefined, commitOrRollback: 12 }, serialization);
      read({ ...ALL, fromTransactionCheck: false, commitOrRollback: 0, msgId: undefined }, serialization);
    }
  });

  it("keeps nothing of the request before it", () => {
    const frame = (fields: Fields) =>
      encodeFrame({ code: 37, flag: 0, opaque: 1, serialization: 0, fields }, undefined);
    const view = new HeaderView();
    const request = new EndTransactionRequest();
    for (const fields of [ALL, { ...ALL, fromTransactionCheck: undefined, msgId: undefined }]) {
      const bytes = frame(fields);
      view.read(bytes, 8, 8 + bytes.readUIntBE(5, 3), 0);
      request.read(view);
    }
    expect([request.fromCheck, request.messageId]).toEqual([false, ""]);
  });

  it("is refused without a field that is needed, or with a decision that is none", () => {
    for (const name of ["producerGroup", "tranStateTableOffset", "commitLogOffset", "commitOrRollback"]) {
      expect(() => read({ ...ALL, [name]: undefined })).toThrow(new HeaderError(`the custom field <${name}> is null`));
    }
    for (const commitOrRollback of [4, 1, -1, 16]) {
      expect(() => read({ ...ALL, commitOrRollback })).toThrow(new HeaderError("commitOrRollback field wrong"));
    }
  });
});
