/** Appending ASCII pieces and decimal numbers to a buffer without making strings: for the replies of the hot codes. */
import { Buffer } from "node:buffer";

/** A piece of constant text. */
export function ascii(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** Writes a piece at `at`; returns the position after it. */
export function putPiece(to: Buffer, at: number, piece: Buffer): number {
  const length = piece.length;
  for (let i = 0; i < length; i++) to[at + i] = piece[i];
  return at + length;
}

/** Copies `from[start, end)` to `to[at]`; returns the position after it. */
export function putBytes(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  let o = at;
  for (let i = start; i < end; i++) to[o++] = from[i];
  return o;
}

/** Writes an integer in decimal; returns the position after it. */
export function putDecimal(to: Buffer, at: number, value: number): number {
  let o = at;
  let n = value;
  if (n < 0) {
    to[o++] = 0x2d;
    n = -n;
  }
  if (n > 0x7fffffff) {
    // Beyond int32 the low nine digits are taken off by one division in doubles.
    const high = Math.floor(n / 1_000_000_000);
    o = putDecimal(to, o, high);
    return putPadded(to, o, n - high * 1_000_000_000, 9);
  }
  let digits = 1;
  for (let limit = 10; digits < 10 && n >= limit; limit *= 10) digits++;
  return putPadded(to, o, n, digits);
}

function putPadded(to: Buffer, at: number, value: number, digits: number): number {
  let n = value | 0;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = (n / 10) | 0;
    to[i] = 48 + n - next * 10;
    n = next;
  }
  return at + digits;
}

const HEX = ascii("0123456789ABCDEF");

/** Writes an int64 as 16 upper-case hex digits; returns the position after them. */
export function putHex16(to: Buffer, at: number, value: number): number {
  let high = Math.floor(value / 4294967296);
  let low = (value - high * 4294967296) >>> 0;
  for (let i = 7; i >= 0; i--) {
    to[at + i] = HEX[high & 15];
    to[at + 8 + i] = HEX[low & 15];
    high >>>= 4;
    low >>>= 4;
  }
  return at + 16;
}
