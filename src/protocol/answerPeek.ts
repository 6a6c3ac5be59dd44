/**
 * Reads code and opaque of an answer where it was written, without touching it: a header view would undo JSON's escapes in place.
 * Only for headers that this server wrote, whose fields stand in the order of the alphabet, so that the last `"opaque":` and
 * `"flag":` outside of escaped text are the header's own.
 */
import type { Buffer } from "node:buffer";
import { FLAG_RESPONSE, SERIALIZE_ROCKETMQ } from "./headerView.ts";

const OPAQUE = '"opaque":';
const FLAG = '"flag":';
const CODE_AT = '{"code":'.length;
const MINUS = 0x2d;
const ZERO = 0x30;

export class AnswerPeek {
  code = 0;
  opaque = 0;

  /** @returns false when the header in `[start, end)` is no answer's */
  read(buf: Buffer, start: number, end: number, serialization: number): boolean {
    if (serialization === SERIALIZE_ROCKETMQ) {
      this.code = buf.readInt16BE(start);
      this.opaque = buf.readInt32BE(start + 5);
      return (buf.readInt32BE(start + 9) & FLAG_RESPONSE) !== 0;
    }
    const opaqueAt = buf.lastIndexOf(OPAQUE, end - 1, "latin1");
    const flagAt = buf.lastIndexOf(FLAG, end - 1, "latin1");
    if (opaqueAt < start || flagAt < start) return false;
    this.code = numberAt(buf, start + CODE_AT);
    this.opaque = numberAt(buf, opaqueAt + OPAQUE.length);
    return (numberAt(buf, flagAt + FLAG.length) & FLAG_RESPONSE) !== 0;
  }
}

function numberAt(buf: Buffer, at: number): number {
  const negative = buf[at] === MINUS;
  let value = 0;
  for (let i = negative ? at + 1 : at; buf[i] >= ZERO && buf[i] <= ZERO + 9; i++) value = value * 10 + buf[i] - ZERO;
  return negative ? -value : value;
}
