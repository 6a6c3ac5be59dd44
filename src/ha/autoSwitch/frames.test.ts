import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import {
  encodeEpochsFrame,
  encodeReport,
  encodeSlaveHandshake,
  readEpochs,
  readSlaveHandshake,
  readTransferHeader,
  TRANSFER_HEADER_BYTES,
  writeTransferHeader,
} from "./frames.ts";

const hex = (frame: Buffer): string => frame.toString("hex").replaceAll(/(.{8})(?=.)/g, "$1 ");

describe("frames of a Controller's group", () => {
  it("greets as Apache's slave", () => {
    const handshake = { fromLastFile: true, learner: false, brokerId: 3 };
    expect(hex(encodeSlaveHandshake(handshake))).toBe("00000001 00010000 00000000 00000003");
    expect(readSlaveHandshake(encodeSlaveHandshake(handshake))).toEqual(handshake);
    const learner = { fromLastFile: false, learner: true, brokerId: 2 ** 33 };
    expect(readSlaveHandshake(encodeSlaveHandshake(learner))).toEqual(learner);
  });

  it("reports as Apache's slave", () => {
    expect(hex(encodeReport(2 ** 32 + 5))).toBe("00000002 00000001 00000005");
  });

  it("answers with epochs as Apache's master", () => {
    const entries = [
      { epoch: 1, startOffset: 0 },
      { epoch: 4, startOffset: 245_841 },
    ];
    const frame = encodeEpochsFrame(entries, 300_000);
    expect(hex(frame)).toBe(
      "00000001 00000018 00000000 000493e0 00000004 00000001 00000000 00000000 00000004 00000000 0003c051",
    );
    expect(readEpochs(frame.subarray(20))).toEqual(entries);
    expect(hex(encodeEpochsFrame([], 0))).toBe("00000001 00000000 00000000 00000000 ffffffff");
  });

  it("sends pieces as Apache's master", () => {
    const header = { bodyBytes: 7, logOffset: 2 ** 40, epoch: 9, epochStart: 512, confirmOffset: 600 };
    const frame = Buffer.alloc(TRANSFER_HEADER_BYTES);
    writeTransferHeader(frame, header);
    expect(hex(frame)).toBe("00000002 00000007 00000100 00000000 00000009 00000000 00000200 00000000 00000258");
    expect(readTransferHeader(frame)).toEqual(header);
  });
});
