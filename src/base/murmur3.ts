/**
 * Guava's Hashing.murmur3_128() with seed 0: the first 64 bits, as two signed ints. Apache places consumer groups in its
 * bloom filters by it. Rarely called: clarity over speed.
 */
import type { Buffer } from "node:buffer";

const MASK = 0xffffffffffffffffn;
const C1 = 0x87c37b91114253d5n;
const C2 = 0x4cf5ad432745937fn;
const BLOCK_BYTES = 16;

/** The low and the high half of the hash's first 64 bits. */
export function murmur3(data: Buffer): { low: number; high: number } {
  let h1 = 0n;
  let h2 = 0n;
  const tail = data.length - (data.length % BLOCK_BYTES);
  for (let at = 0; at < tail; at += BLOCK_BYTES) {
    h1 ^= mixK1(data.readBigUInt64LE(at));
    h1 = (((rotate(h1, 27n) + h2) & MASK) * 5n + 0x52dce729n) & MASK;
    h2 ^= mixK2(data.readBigUInt64LE(at + 8));
    h2 = (((rotate(h2, 31n) + h1) & MASK) * 5n + 0x38495ab5n) & MASK;
  }
  h1 ^= mixK1(partial(data, tail, Math.min(tail + 8, data.length)));
  h2 ^= mixK2(partial(data, tail + 8, data.length));
  h1 ^= BigInt(data.length);
  h2 ^= BigInt(data.length);
  h1 = (h1 + h2) & MASK;
  h2 = (h2 + h1) & MASK;
  h1 = (finish(h1) + finish(h2)) & MASK;
  return { low: Number(BigInt.asIntN(32, h1)), high: Number(BigInt.asIntN(32, h1 >> 32n)) };
}

function partial(data: Buffer, from: number, to: number): bigint {
  let value = 0n;
  for (let at = to - 1; at >= from; at--) value = (value << 8n) | BigInt(data[at]);
  return value;
}

function mixK1(k: bigint): bigint {
  return (rotate((k * C1) & MASK, 31n) * C2) & MASK;
}

function mixK2(k: bigint): bigint {
  return (rotate((k * C2) & MASK, 33n) * C1) & MASK;
}

function rotate(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & MASK;
}

function finish(value: bigint): bigint {
  let k = value;
  k = ((k ^ (k >> 33n)) * 0xff51afd7ed558ccdn) & MASK;
  k = ((k ^ (k >> 33n)) * 0xc4ceb9fe1a85ec53n) & MASK;
  return k ^ (k >> 33n);
}
