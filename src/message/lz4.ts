/**
 * Reads LZ4 frames, which classic clients may compress bodies with (lz4 frame format 1.6; Apache: Lz4Compressor). Pure;
 * refuses what is damaged or would grow beyond a limit. Checksums are not verified: the log's own CRC covers the bytes.
 *
 *   magic 0x184D2204 | FLG, BD, [content size 8], header checksum | blocks | 0 | [content checksum 4]
 *   a block: size (uint32, top bit: stored as it is) | bytes | [checksum 4]
 *   a sequence: token (literals, match length - 4) | [more literals] | literals | offset (uint16) | [more length]
 */
import type { Buffer } from "node:buffer";
import { Inflated, InflateError } from "./inflated.ts";

const MAGIC = 0x184d2204;
const HEAD_BYTES_MIN = 7;
const FLAG_VERSION_MASK = 0xc0;
const FLAG_VERSION = 0x40;
const FLAG_BLOCK_CHECKSUM = 0x10;
const FLAG_CONTENT_SIZE = 0x08;
const FLAG_DICTIONARY = 0x01;
const STORED = 0x80000000;
const CHECKSUM_BYTES = 4;
const CONTENT_SIZE_BYTES = 8;
const MATCH_MIN = 4;
/** A length of 15 in a token goes on in the following bytes. */
const MORE = 15;

/** @param bytesMax the most that may come out @throws InflateError */
export function readLz4Frame(from: Buffer, bytesMax: number): Buffer {
  if (from.length < HEAD_BYTES_MIN || from.readUInt32LE(0) !== MAGIC) throw new InflateError("no LZ4 frame");
  const flags = from[4];
  if ((flags & FLAG_VERSION_MASK) !== FLAG_VERSION)
    throw new InflateError(`LZ4 frame of unknown version ${flags >> 6}`);
  if ((flags & FLAG_DICTIONARY) !== 0) throw new InflateError("an LZ4 frame that needs a dictionary");
  let at = HEAD_BYTES_MIN + ((flags & FLAG_CONTENT_SIZE) === 0 ? 0 : CONTENT_SIZE_BYTES);
  const out = new Inflated(from.length, bytesMax);
  for (;;) {
    if (at + 4 > from.length) throw new InflateError(`the LZ4 frame ends at ${from.length}, before its end mark`);
    const head = from.readUInt32LE(at);
    at += 4;
    if (head === 0) return out.bytes();
    const size = head & ~STORED;
    if (size > from.length - at) {
      throw new InflateError(`the LZ4 block at ${at} is cut off: ${size} bytes, ${from.length - at} are there`);
    }
    if (head >= STORED) out.copy(from, at, size);
    else readBlock(from, at, at + size, out);
    at += size + ((flags & FLAG_BLOCK_CHECKSUM) === 0 ? 0 : CHECKSUM_BYTES);
  }
}

function readBlock(from: Buffer, start: number, end: number, out: Inflated): void {
  let at = start;
  const cut = () => new InflateError(`the LZ4 sequence at ${at} is cut off by the end of its block at ${end}`);
  const more = (): number => {
    let sum = 0;
    for (;;) {
      if (at >= end) throw cut();
      const byte = from[at++];
      sum += byte;
      if (byte !== 255) return sum;
    }
  };
  while (at < end) {
    const token = from[at++];
    const literals = (token >> 4) + (token >> 4 === MORE ? more() : 0);
    if (literals > end - at) throw cut();
    out.copy(from, at, literals);
    at += literals;
    // The last sequence has literals only.
    if (at === end) return;
    if (at + 2 > end) throw cut();
    const offset = from.readUInt16LE(at);
    at += 2;
    out.repeat(offset, (token & MORE) + MATCH_MIN + ((token & MORE) === MORE ? more() : 0));
  }
}
