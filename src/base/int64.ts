/**
 * 64-bit integers of the wire and the disk as JavaScript numbers.
 * Offsets and millisecond timestamps stay below 2^53; anything larger is damage and is refused, never rounded.
 */
import type { Buffer } from "node:buffer";

const TWO_32 = 4294967296;

/** Reads a signed big-endian int64 at `at`. Throws RangeError outside +-(2^53 - 1). */
export function readInt64(buf: Buffer, at: number): number {
  const value = buf.readInt32BE(at) * TWO_32 + buf.readUInt32BE(at + 4);
  if (!Number.isSafeInteger(value)) throw new RangeError(`int64 at byte ${at} is outside the safe integer range`);
  return value;
}

/** Like {@link readInt64}, but gives -1 for values outside the safe range: for reading bytes that may be damaged. */
export function readInt64OrMinus1(buf: Buffer, at: number): number {
  const value = buf.readInt32BE(at) * TWO_32 + buf.readUInt32BE(at + 4);
  return Number.isSafeInteger(value) ? value : -1;
}

/** Writes a safe integer as signed big-endian int64. */
export function writeInt64(buf: Buffer, value: number, at: number): void {
  const high = Math.floor(value / TWO_32);
  const low = (value - high * TWO_32) >>> 0;
  buf[at] = high >> 24;
  buf[at + 1] = high >> 16;
  buf[at + 2] = high >> 8;
  buf[at + 3] = high;
  buf[at + 4] = low >>> 24;
  buf[at + 5] = low >>> 16;
  buf[at + 6] = low >>> 8;
  buf[at + 7] = low;
}

/** Writes an int32 (any 32-bit pattern) big-endian. */
export function writeInt32(buf: Buffer, value: number, at: number): void {
  buf[at] = value >> 24;
  buf[at + 1] = value >> 16;
  buf[at + 2] = value >> 8;
  buf[at + 3] = value;
}
