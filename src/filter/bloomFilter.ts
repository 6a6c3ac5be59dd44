/**
 * Where Apache's bloom filter would note a consumer group (BloomFilter.createByFn, calcBitPositions). This server keeps
 * no bit maps, its answers come from the expressions alone; but config/consumerFilter.json carries the positions, and
 * Apache forgets the whole file when they are not its own.
 */
import { Buffer } from "node:buffer";
import { murmur3 } from "../base/murmur3.ts";

export interface BloomFilterData {
  readonly bitNum: number;
  readonly bitPos: readonly number[];
}

export class BloomFilter {
  readonly #hashes: number;
  readonly #bits: number;

  /**
   * @param errorPercent maxErrorRateOfBloomFilter, 1 to 99
   * @param expected expectConsumerNumUseFilter: how many groups it should hold
   */
  constructor(errorPercent: number, expected: number) {
    const rate = errorPercent / 100;
    this.#hashes = Math.ceil(logarithm(0.5, rate));
    const bits = Math.ceil(expected * logarithm(2, 1 / rate) * logarithm(2, Math.E));
    this.#bits = 8 * Math.ceil(bits / 8);
  }

  place(text: string): BloomFilterData {
    const { low, high } = murmur3(Buffer.from(text, "utf8"));
    const bitPos: number[] = [];
    for (let i = 1; i <= this.#hashes; i++) {
      const combined = (low + Math.imul(i, high)) | 0;
      bitPos.push((combined < 0 ? ~combined : combined) % this.#bits);
    }
    return { bitNum: this.#bits, bitPos };
  }
}

function logarithm(base: number, value: number): number {
  return Math.log(value) / Math.log(base);
}
