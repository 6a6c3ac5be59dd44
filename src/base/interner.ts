/**
 * Turns byte ranges that repeat all the time (topic and group names in request headers) into one shared string each,
 * without decoding again. Direct-mapped: a collision only costs a decode, memory is fixed.
 */
import { Buffer } from "node:buffer";

const SLOTS = 1024;
/** Longer names are decoded every time; names are at most 255 characters anyway. */
const LONGEST_BYTES = 255;

export class Interner {
  readonly #bytes: (Buffer | undefined)[] = new Array(SLOTS).fill(undefined);
  readonly #strings: string[] = new Array(SLOTS).fill("");

  /** The string of UTF-8 bytes `buf[start, end)`. */
  get(buf: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > LONGEST_BYTES) return buf.toString("utf8", start, end);
    let h = length;
    for (let i = start; i < end; i++) h = (Math.imul(h, 31) + buf[i]) | 0;
    const slot = (h ^ (h >>> 11)) & (SLOTS - 1);
    const known = this.#bytes[slot];
    if (known !== undefined && known.length === length && sameBytes(known, buf, start)) return this.#strings[slot];
    const text = buf.toString("utf8", start, end);
    this.#bytes[slot] = Buffer.from(buf.subarray(start, end));
    this.#strings[slot] = text;
    return text;
  }
}

function sameBytes(known: Buffer, buf: Buffer, start: number): boolean {
  for (let i = 0; i < known.length; i++) if (known[i] !== buf[start + i]) return false;
  return true;
}
