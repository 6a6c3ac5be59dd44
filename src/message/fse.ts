/**
 * Finite State Entropy as ZSTD uses it (RFC 8878, 4.1): bit streams, distributions and the tables made of them. Pure.
 * Streams are written forwards and read backwards, so that the last bits written come first.
 */
import type { Buffer } from "node:buffer";
import { InflateError } from "./inflated.ts";

/** Bits that one access can give: 32 less what the first byte may have used. */
const BITS_AT_ONCE = 24;
const ACCURACY_MIN = 5;

/** Reads from the last bit to the first. */
export class BackwardBits {
  readonly #buf: Buffer;
  readonly #start: number;
  /** Bits that are left; negative when more were taken than there were (those are zeros). */
  left: number;

  /** @throws InflateError when the stream has no end mark */
  constructor(buf: Buffer, start: number, end: number) {
    const last = end > start ? buf[end - 1] : 0;
    if (last === 0) throw new InflateError(`the bit stream at ${start} has no end mark`);
    this.#buf = buf;
    this.#start = start;
    // The highest bit that is set marks the end.
    this.left = (end - start) * 8 - 8 + highestBit(last);
  }

  take(count: number): number {
    if (count > BITS_AT_ONCE) {
      const high = this.take(count - BITS_AT_ONCE);
      return high * 2 ** BITS_AT_ONCE + this.take(BITS_AT_ONCE);
    }
    const value = this.peek(count);
    this.left -= count;
    return value;
  }

  /** The next bits, at most 24, which stay. */
  peek(count: number): number {
    const at = this.left - count;
    if (at >= 0) return bitsAt(this.#buf, this.#start, at, count);
    return this.left <= 0 ? 0 : bitsAt(this.#buf, this.#start, 0, this.left) << -at;
  }
}

function bitsAt(buf: Buffer, start: number, at: number, count: number): number {
  const i = start + (at >> 3);
  const word = buf[i] | (buf[i + 1] << 8) | (buf[i + 2] << 16) | (buf[i + 3] << 24);
  return (word >>> (at & 7)) & ((1 << count) - 1);
}

/** Place of the highest bit that is set, from 0. */
export function highestBit(value: number): number {
  return 31 - Math.clz32(value);
}

/** How often each symbol occurs, of `1 << accuracy`; -1 is rarer than once. */
export interface Distribution {
  accuracy: number;
  counts: readonly number[];
  /** Where the bytes behind it begin. */
  end: number;
}

/** @throws InflateError */
export function readDistribution(
  buf: Buffer,
  start: number,
  end: number,
  symbolsMax: number,
  accuracyMax: number,
): Distribution {
  let at = 0;
  const bits = (count: number): number => {
    if (start + Math.ceil((at + count) / 8) > end) throw new InflateError(`the distribution at ${start} is cut off`);
    const value = bitsAt(buf, start, at, count);
    at += count;
    return value;
  };
  const accuracy = bits(4) + ACCURACY_MIN;
  if (accuracy > accuracyMax) throw new InflateError(`accuracy ${accuracy} is above ${accuracyMax}`);
  let left = 1 << accuracy;
  const counts: number[] = [];
  while (left > 0) {
    if (counts.length >= symbolsMax) throw new InflateError(`the distribution at ${start} has too many symbols`);
    // Values from 0 to left + 1; the small ones take one bit less.
    const width = highestBit(left + 1);
    const shorter = 2 ** (width + 1) - 2 - left;
    let value = bits(width);
    if (value >= shorter) {
      value += bits(1) << width;
      if (value >= 1 << width) value -= shorter;
    }
    const count = value - 1;
    left -= Math.abs(count);
    counts.push(count);
    if (count !== 0) continue;
    // Zeros come with how many more follow.
    for (let more = 3; more === 3; ) {
      more = bits(2);
      for (let i = 0; i < more; i++) counts.push(0);
    }
  }
  if (left < 0 || counts.length > symbolsMax) throw new InflateError(`the distribution at ${start} does not add up`);
  return { accuracy, counts, end: start + Math.ceil(at / 8) };
}

/** What each state says, and where it leads. */
export interface StateTable {
  accuracy: number;
  symbols: Uint8Array;
  bits: Uint8Array;
  next: Uint16Array;
}

/** A table of one symbol, which takes no bits. */
export function singleTable(symbol: number): StateTable {
  return { accuracy: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), next: new Uint16Array(1) };
}

export function stateTable({ accuracy, counts }: Pick<Distribution, "accuracy" | "counts">): StateTable {
  const size = 1 << accuracy;
  const symbols = new Uint8Array(size);
  const bits = new Uint8Array(size);
  const next = new Uint16Array(size);
  const seen = counts.map(Math.abs);
  let high = size;
  // Rare symbols stand at the end, the others are spread over the rest.
  counts.forEach((count, symbol) => {
    if (count < 0) symbols[--high] = symbol;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let place = 0;
  counts.forEach((count, symbol) => {
    for (let i = 0; i < count; i++) {
      symbols[place] = symbol;
      do place = (place + step) & (size - 1);
      while (place >= high);
    }
  });
  for (let state = 0; state < size; state++) {
    const nth = seen[symbols[state]]++;
    bits[state] = accuracy - highestBit(nth);
    next[state] = (nth << bits[state]) - size;
  }
  return { accuracy, symbols, bits, next };
}
