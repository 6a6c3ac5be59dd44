/** Huffman codes as ZSTD writes literals (RFC 8878, 4.2): a table from weights, and streams read backwards. Pure. */
import type { Buffer } from "node:buffer";
import { BackwardBits, highestBit, readDistribution, stateTable } from "./fse.ts";
import { InflateError } from "./inflated.ts";

const CODE_BITS_MAX = 11;
const WEIGHTS_MAX = 255;
const WEIGHT_ACCURACY_MAX = 6;
const WEIGHT_SYMBOLS = CODE_BITS_MAX + 2;
/** Head bytes from here on count weights of four bits each; smaller ones are the size of compressed weights. */
const PLAIN_WEIGHTS = 128;

export class HuffmanTable {
  /** Bits of the longest code. */
  readonly #width: number;
  /** By the next `width` bits: the symbol, and how many of them are its code. */
  readonly #symbols: Uint8Array;
  readonly #bits: Uint8Array;

  /** @param weights of all symbols but the last that occurs, whose weight makes the sum a power of two @throws InflateError */
  constructor(weights: readonly number[]) {
    let sum = 0;
    for (const weight of weights) sum += weight === 0 ? 0 : 2 ** (weight - 1);
    if (sum === 0) throw new InflateError("a Huffman table without weights");
    const width = highestBit(sum) + 1;
    const left = 2 ** width - sum;
    if (width > CODE_BITS_MAX || (left & (left - 1)) !== 0)
      throw new InflateError("the weights of a Huffman table do not add up");
    const all = [...weights, highestBit(left) + 1];
    this.#width = width;
    this.#symbols = new Uint8Array(2 ** width);
    this.#bits = new Uint8Array(2 ** width);
    // The longest codes come first, those of one length in the order of their symbols.
    let at = 0;
    for (let weight = 1; weight <= width; weight++) {
      for (let symbol = 0; symbol < all.length; symbol++) {
        if (all[symbol] !== weight) continue;
        const entries = 2 ** (weight - 1);
        this.#symbols.fill(symbol, at, at + entries);
        this.#bits.fill(width + 1 - weight, at, at + entries);
        at += entries;
      }
    }
  }

  /** Reads one stream, which must hold exactly the symbols of `[first, stop)` of `to`. @throws InflateError */
  decode(from: Buffer, start: number, end: number, to: Buffer, first: number, stop: number): void {
    const stream = new BackwardBits(from, start, end);
    const width = this.#width;
    for (let i = first; i < stop; i++) {
      const entry = stream.peek(width);
      to[i] = this.#symbols[entry];
      stream.left -= this.#bits[entry];
    }
    if (stream.left !== 0) throw new InflateError(`the literals at ${start} do not end where they should`);
  }
}

/** @throws InflateError */
export function readHuffmanTable(from: Buffer, start: number, end: number): { table: HuffmanTable; at: number } {
  const head = start < end ? from[start] : 0;
  const plain = head >= PLAIN_WEIGHTS;
  const count = head - PLAIN_WEIGHTS + 1;
  const at = start + 1;
  const stop = at + (plain ? (count + 1) >> 1 : head);
  if (stop > end || head === 0) throw new InflateError(`the Huffman table at ${start} is cut off`);
  const weights = plain
    ? Array.from({ length: count }, (_, i) => (i % 2 === 0 ? from[at + (i >> 1)] >> 4 : from[at + (i >> 1)] & 15))
    : readWeights(from, at, stop);
  return { table: new HuffmanTable(weights), at: stop };
}

/** Two states take turns, until the bits are used up. */
function readWeights(from: Buffer, start: number, end: number): number[] {
  const distribution = readDistribution(from, start, end, WEIGHT_SYMBOLS, WEIGHT_ACCURACY_MAX);
  const { accuracy, symbols, bits, next } = stateTable(distribution);
  const stream = new BackwardBits(from, distribution.end, end);
  const weights: number[] = [];
  let state = stream.take(accuracy);
  let other = stream.take(accuracy);
  while (stream.left >= 0) {
    if (weights.length > WEIGHTS_MAX) throw new InflateError(`the Huffman table at ${start} has too many weights`);
    weights.push(symbols[state]);
    const moved = next[state] + stream.take(bits[state]);
    state = other;
    other = moved;
  }
  // The state whose turn it was has found no bits: the other one's symbol is the last.
  weights.push(symbols[state]);
  if (weights.length > WEIGHTS_MAX) throw new InflateError(`the Huffman table at ${start} has too many weights`);
  return weights;
}
