/**
 * Reads ZSTD frames (RFC 8878), which classic clients may compress bodies with (Apache: ZstdCompressor). Node brings a
 * reader of its own only from 22.15 on. Pure; refuses dictionaries, what is damaged, and what would grow beyond a limit.
 * Checksums are not verified: the log's own CRC covers the bytes.
 *
 *   magic 0xFD2FB528 | descriptor | [window 1] | [dictionary 1, 2 or 4] | [content size 1, 2, 4 or 8] | blocks | [checksum 4]
 *   a block: last (1 bit), kind (2 bits), size (21 bits) | bytes as they are, one byte, or literals and sequences
 *   a sequence: so many literals, then a match of such a length at such a distance
 */
import { Buffer } from "node:buffer";
import { BackwardBits, readDistribution, type StateTable, singleTable, stateTable } from "./fse.ts";
import { type HuffmanTable, readHuffmanTable } from "./huffman.ts";
import { Inflated, InflateError } from "./inflated.ts";

const MAGIC = 0xfd2fb528;
/** Sixteen magics of frames that are to be passed over. */
const SKIPPED_MAGIC = 0x184d2a5;
const SINGLE_SEGMENT = 0x20;
const RESERVED = 0x08;
const CHECKSUM = 0x04;
const DICTIONARY_MASK = 0x03;
const BLOCK_BYTES_MAX = 128 * 1024;

const RAW = 0;
const RLE = 1;
const COMPRESSED = 2;
/** Of literals: by the table of the block before. Of sequences: likewise. */
const AS_BEFORE = 3;

/** What one block leaves for the next of its frame. */
interface Memory {
  huffman: HuffmanTable | undefined;
  literalLengths: StateTable | undefined;
  distances: StateTable | undefined;
  matchLengths: StateTable | undefined;
  /** The last three distances, newest first. */
  recent: [number, number, number];
}

/** @param bytesMax the most that may come out @throws InflateError */
export function readZstd(from: Buffer, bytesMax: number): Buffer {
  const out = new Inflated(from.length, bytesMax);
  let at = 0;
  do at = readFrame(from, at, out);
  while (at < from.length);
  return out.bytes();
}

/** Fails unless `count` bytes are there. */
function need(from: Buffer, at: number, count: number, end = from.length): void {
  if (at + count > end) throw new InflateError(`the ZSTD frame is cut off at ${end}: ${at + count} bytes are needed`);
}

function readFrame(from: Buffer, start: number, out: Inflated): number {
  need(from, start, 5);
  const magic = from.readUInt32LE(start);
  if (magic >>> 4 === SKIPPED_MAGIC) {
    need(from, start, 8);
    const size = from.readUInt32LE(start + 4);
    need(from, start + 8, size);
    return start + 8 + size;
  }
  if (magic !== MAGIC) throw new InflateError(`no ZSTD frame at ${start}`);
  const descriptor = from[start + 4];
  if ((descriptor & RESERVED) !== 0) throw new InflateError(`an unknown kind of ZSTD frame at ${start}`);
  if ((descriptor & DICTIONARY_MASK) !== 0) throw new InflateError("a ZSTD frame that needs a dictionary");
  const single = (descriptor & SINGLE_SEGMENT) !== 0;
  const sizeFlag = descriptor >> 6;
  let at = start + 5 + (single ? 0 : 1) + (sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag);
  const memory: Memory = {
    huffman: undefined,
    literalLengths: undefined,
    distances: undefined,
    matchLengths: undefined,
    recent: [1, 4, 8],
  };
  for (let last = false; !last; ) {
    need(from, at, 3);
    const head = from.readUIntLE(at, 3);
    at += 3;
    last = (head & 1) === 1;
    const size = head >> 3;
    if (size > BLOCK_BYTES_MAX) throw new InflateError(`the ZSTD block at ${at} claims ${size} bytes`);
    switch ((head >> 1) & 3) {
      case RAW:
        need(from, at, size);
        out.copy(from, at, size);
        at += size;
        break;
      case RLE:
        need(from, at, 1);
        out.fill(from[at++], size);
        break;
      case COMPRESSED:
        need(from, at, size);
        readBlock(from, at, at + size, memory, out);
        at += size;
        break;
      default:
        throw new InflateError(`the ZSTD block at ${at} is of an unknown kind`);
    }
  }
  if ((descriptor & CHECKSUM) === 0) return at;
  need(from, at, 4);
  return at + 4;
}

function readBlock(from: Buffer, start: number, end: number, memory: Memory, out: Inflated): void {
  const { literals, at } = readLiterals(from, start, end, memory);
  readSequences(from, at, end, literals, memory, out);
}

function readLiterals(from: Buffer, start: number, end: number, memory: Memory): { literals: Buffer; at: number } {
  need(from, start, 1, end);
  const kind = from[start] & 3;
  const format = (from[start] >> 2) & 3;
  if (kind === RAW || kind === RLE) {
    // When the format's low bit is clear, its high bit belongs to the size.
    const headBytes = format === 1 ? 2 : format === 3 ? 3 : 1;
    need(from, start, headBytes, end);
    const size = from.readUIntLE(start, headBytes) >> (headBytes === 1 ? 3 : 4);
    checkLiterals(size, start);
    const at = start + headBytes;
    if (kind === RLE) {
      need(from, at, 1, end);
      return { literals: Buffer.alloc(size, from[at]), at: at + 1 };
    }
    need(from, at, size, end);
    return { literals: from.subarray(at, at + size), at: at + size };
  }
  const headBytes = format < 2 ? 3 : format + 2;
  need(from, start, headBytes, end);
  const head = from.readUIntLE(start, headBytes);
  const width = format < 2 ? 10 : format === 2 ? 14 : 18;
  // Up to 40 bits: no bit operators.
  const size = Math.floor(head / 16) % 2 ** width;
  const compressed = Math.floor(head / 2 ** (4 + width));
  checkLiterals(size, start);
  let at = start + headBytes;
  need(from, at, compressed, end);
  const stop = at + compressed;
  if (kind === COMPRESSED) {
    const read = readHuffmanTable(from, at, stop);
    memory.huffman = read.table;
    at = read.at;
  }
  if (memory.huffman === undefined) throw new InflateError(`the literals at ${start} have no table before them`);
  const literals = Buffer.allocUnsafe(size);
  if (format === 0) memory.huffman.decode(from, at, stop, literals, 0, size);
  else decodeFour(memory.huffman, from, at, stop, literals);
  return { literals, at: stop };
}

function checkLiterals(size: number, at: number): void {
  if (size > BLOCK_BYTES_MAX) throw new InflateError(`the literals at ${at} claim ${size} bytes`);
}

/** Four streams of a quarter each; the sizes of the first three stand before them. */
function decodeFour(table: HuffmanTable, from: Buffer, start: number, end: number, to: Buffer): void {
  need(from, start, 6, end);
  const quarter = (to.length + 3) >> 2;
  let at = start + 6;
  for (let i = 0; i < 4; i++) {
    const stop = i === 3 ? end : at + from.readUInt16LE(start + i * 2);
    need(from, stop, 0, end);
    const first = Math.min(to.length, i * quarter);
    table.decode(from, at, stop, to, first, i === 3 ? to.length : Math.min(to.length, first + quarter));
    at = stop;
  }
}

function readSequences(
  from: Buffer,
  start: number,
  end: number,
  literals: Buffer,
  memory: Memory,
  out: Inflated,
): void {
  need(from, start, 1, end);
  let at = start + 1;
  let count = from[start];
  if (count === 255) {
    need(from, at, 2, end);
    count = from.readUInt16LE(at) + 0x7f00;
    at += 2;
  } else if (count >= 128) {
    need(from, at, 1, end);
    count = ((count - 128) << 8) + from[at++];
  }
  if (count === 0) {
    if (at !== end) throw new InflateError(`the ZSTD block at ${start} has ${end - at} bytes too many`);
    out.copy(literals, 0, literals.length);
    return;
  }
  need(from, at, 1, end);
  const modes = from[at++];
  if ((modes & 3) !== 0) throw new InflateError(`the sequences at ${start} are of an unknown kind`);
  const table = (mode: number, code: Code, before: StateTable | undefined): StateTable => {
    if (mode === RLE) {
      need(from, at, 1, end);
      if (from[at] >= code.symbols) throw new InflateError(`symbol ${from[at]} at ${at} does not exist`);
      return singleTable(from[at++]);
    }
    if (mode === COMPRESSED) {
      const distribution = readDistribution(from, at, end, code.symbols, code.accuracyMax);
      at = distribution.end;
      return stateTable(distribution);
    }
    if (mode === RAW) return code.usual;
    if (before === undefined) throw new InflateError(`the sequences at ${start} have no table before them`);
    return before;
  };
  memory.literalLengths = table(modes >> 6, LITERAL_LENGTHS, memory.literalLengths);
  memory.distances = table((modes >> 4) & 3, DISTANCES, memory.distances);
  memory.matchLengths = table((modes >> 2) & AS_BEFORE, MATCH_LENGTHS, memory.matchLengths);
  execute(new BackwardBits(from, at, end), count, literals, memory, out);
}

function execute(bits: BackwardBits, count: number, literals: Buffer, memory: Memory, out: Inflated): void {
  const { recent } = memory;
  const literalLengths = memory.literalLengths as StateTable;
  const distances = memory.distances as StateTable;
  const matchLengths = memory.matchLengths as StateTable;
  let literalState = bits.take(literalLengths.accuracy);
  let distanceState = bits.take(distances.accuracy);
  let matchState = bits.take(matchLengths.accuracy);
  let taken = 0;
  for (let i = 0; i < count; i++) {
    const distanceCode = distances.symbols[distanceState];
    const matchCode = matchLengths.symbols[matchState];
    const literalCode = literalLengths.symbols[literalState];
    const distanceValue = 2 ** distanceCode + bits.take(distanceCode);
    const matchLength = MATCH_LENGTHS.base[matchCode] + bits.take(MATCH_LENGTHS.extra[matchCode]);
    const literalLength = LITERAL_LENGTHS.base[literalCode] + bits.take(LITERAL_LENGTHS.extra[literalCode]);
    if (literalLength > literals.length - taken) {
      throw new InflateError(`a sequence wants ${literalLength} literals, ${literals.length - taken} are left`);
    }
    out.copy(literals, taken, literalLength);
    taken += literalLength;
    out.repeat(distanceOf(distanceValue, literalLength, recent), matchLength);
    if (i === count - 1) break;
    literalState = literalLengths.next[literalState] + bits.take(literalLengths.bits[literalState]);
    matchState = matchLengths.next[matchState] + bits.take(matchLengths.bits[matchState]);
    distanceState = distances.next[distanceState] + bits.take(distances.bits[distanceState]);
    if (bits.left < 0) throw new InflateError("the sequences of a ZSTD block are cut off");
  }
  if (bits.left !== 0) throw new InflateError("the sequences of a ZSTD block do not end where they should");
  out.copy(literals, taken, literals.length - taken);
}

/** The values 1 to 3 stand for the last distances, and move them. */
function distanceOf(value: number, literalLength: number, recent: [number, number, number]): number {
  let place = value - 1;
  if (value > 3) place = 3;
  else if (literalLength === 0) place++;
  if (value <= 3 && place === 0) return recent[0];
  const distance = value > 3 ? value - 3 : place < 3 ? recent[place] : recent[0] - 1;
  if (place !== 1) recent[2] = recent[1];
  recent[1] = recent[0];
  recent[0] = distance;
  return distance;
}

/** How the codes of one part of a sequence are read. */
interface Code {
  symbols: number;
  accuracyMax: number;
  /** The table where none is written. */
  usual: StateTable;
  /** Value of each code, and how many bits are added to it. */
  base: readonly number[];
  extra: readonly number[];
}

/** Codes below `plain` are values by themselves (plus `first`); each of the others begins where the one before ends. */
function codeOf(
  plain: number,
  first: number,
  extraBits: readonly number[],
  accuracyMax: number,
  counts: number[],
): Code {
  const base = Array.from({ length: plain }, (_, i) => i + first);
  const extra = new Array<number>(plain).fill(0);
  let next = plain + first;
  for (const bits of extraBits) {
    base.push(next);
    extra.push(bits);
    next += 2 ** bits;
  }
  return { symbols: base.length, accuracyMax, usual: stateTable({ accuracy: 6, counts }), base, extra };
}

const ones = (count: number): number[] => new Array<number>(count).fill(1);
const twos = (count: number): number[] => new Array<number>(count).fill(2);
const rare = (count: number): number[] => new Array<number>(count).fill(-1);

const LITERAL_LENGTHS = codeOf(16, 0, [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 9, [
  4,
  3,
  ...twos(11),
  ...ones(3),
  ...twos(9),
  3,
  2,
  ...ones(5),
  ...rare(4),
]);
const MATCH_LENGTHS = codeOf(32, 3, [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 9, [
  1,
  4,
  3,
  ...twos(6),
  ...ones(37),
  ...rare(7),
]);
const DISTANCES: Code = {
  symbols: 32,
  accuracyMax: 8,
  usual: stateTable({ accuracy: 5, counts: [...ones(6), ...twos(3), ...ones(15), ...rare(5)] }),
  base: [],
  extra: [],
};
