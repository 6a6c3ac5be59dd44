/** The readers of LZ4 and ZSTD: known vectors, every cut, flipped bits, and bombs. */
import { describe, expect, it } from "vitest";
import { COMPRESSED_BODIES } from "../testing/compressedBodies.ts";
import { InflateError } from "./inflated.ts";
import { readLz4Frame } from "./lz4.ts";
import { readZstd } from "./zstd.ts";

const READERS = { LZ4: readLz4Frame, ZSTD: readZstd };
const BYTES_MAX = 2 << 20;
const VECTORS = COMPRESSED_BODIES.flatMap(({ kind, ...body }) => (kind === "ZLIB" ? [] : [{ kind, ...body }]));

/** What a reader says of bytes: what came out, or why not. Any other error fails the test. */
function outcome(read: (from: Buffer, bytesMax: number) => Buffer, bytes: Buffer): Buffer | string {
  try {
    return read(bytes, BYTES_MAX);
  } catch (error) {
    if (!(error instanceof InflateError)) throw error;
    return error.message;
  }
}

describe.each(VECTORS)("$kind of $what", ({ kind, plain, bytes }) => {
  const read = READERS[kind];

  it("gives what went in", () => {
    expect(read(bytes, BYTES_MAX).equals(plain)).toBe(true);
    // At the limit, and one byte below it.
    expect(read(bytes, plain.length).equals(plain)).toBe(true);
    expect(() => read(bytes, plain.length - 1)).toThrow(`more than ${plain.length - 1} bytes come out`);
  });

  it("is refused wherever it is cut", () => {
    for (let end = 0; end < bytes.length; end++) {
      expect([end, typeof outcome(read, Buffer.from(bytes.subarray(0, end)))]).toEqual([end, "string"]);
    }
  });

  it("is refused or read, and nothing else, with any bit turned over", () => {
    let refused = 0;
    for (let bit = 0; bit < bytes.length * 8; bit += bytes.length > 400 ? 3 : 1) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3] ^= 1 << (bit & 7);
      const result = outcome(read, damaged);
      if (typeof result === "string") refused++;
      else expect(result.length).toBeLessThanOrEqual(BYTES_MAX);
    }
    expect(refused).toBeGreaterThan(0);
  });
});

describe("an LZ4 frame", () => {
  const frame = (flags: number, ...blocks: number[]) =>
    Buffer.from([0x04, 0x22, 0x4d, 0x18, flags, 0x40, 0, ...blocks]);

  it.each([
    ["no LZ4 frame", Buffer.from("plain text")],
    ["LZ4 frame of unknown version 2", frame(0xa0, 0, 0, 0, 0)],
    ["an LZ4 frame that needs a dictionary", frame(0x61, 0, 0, 0, 0)],
    ["the LZ4 frame ends at 9, before its end mark", frame(0x60, 0, 0)],
    ["the LZ4 block at 11 is cut off: 5 bytes, 1 are there", frame(0x60, 5, 0, 0, 0, 9)],
    ["a match points 2 bytes back, where 1 are written", frame(0x60, 4, 0, 0, 0, 0x10, 65, 2, 0, 0, 0, 0, 0)],
    ["a match points 0 bytes back, where 1 are written", frame(0x60, 4, 0, 0, 0, 0x10, 65, 0, 0, 0, 0, 0, 0)],
    ["the LZ4 sequence at 13 is cut off by the end of its block at 13", frame(0x60, 2, 0, 0, 0, 0xf0, 255)],
  ])("is refused: %s", (reason, bytes) => {
    expect(() => readLz4Frame(bytes, 100)).toThrow(new InflateError(reason));
  });

  it("may hold blocks as they are, checksums, and its size", () => {
    const stored = [3, 0, 0, 0x80, 97, 98, 99];
    expect(readLz4Frame(frame(0x60, ...stored, 0, 0, 0, 0), 3).toString()).toBe("abc");
    const checked = frame(0x74, ...stored, 1, 2, 3, 4, ...stored, 1, 2, 3, 4, 0, 0, 0, 0, 9, 9, 9, 9);
    expect(readLz4Frame(checked, 6).toString()).toBe("abcabc");
    expect(readLz4Frame(frame(0x68, 3, 0, 0, 0, 0, 0, 0, 0, ...stored, 0, 0, 0, 0), 3).toString()).toBe("abc");
  });

  it("that is a bomb is stopped at the limit", () => {
    // One literal, then a match of about 255 bytes for each byte of its length.
    const length = new Array<number>(60_000).fill(255);
    const block = [0x1f, 65, 1, 0, ...length, 0];
    const head = [block.length & 255, (block.length >> 8) & 255, block.length >> 16, 0];
    const bomb = frame(0x60, ...head, ...block, 0, 0, 0, 0);
    expect(() => readLz4Frame(bomb, 1 << 20)).toThrow("more than 1048576 bytes come out");
    expect(readLz4Frame(bomb, 16 << 20).length).toBe(1 + 60_000 * 255 + 15 + 4);
  });
});

describe("a ZSTD frame", () => {
  const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
  /** A frame with a window of 1 MiB. */
  const frame = (...blocks: number[]) => Buffer.from([...MAGIC, 0, 0x50, ...blocks]);
  const head = (kind: number, size: number, last = 1) => {
    const bits = last | (kind << 1) | (size << 3);
    return [bits & 255, (bits >> 8) & 255, bits >> 16];
  };

  it.each([
    ["the ZSTD frame is cut off at 0: 5 bytes are needed", Buffer.alloc(0)],
    ["no ZSTD frame at 0", Buffer.from("plain text")],
    ["an unknown kind of ZSTD frame at 0", Buffer.from([...MAGIC, 8, 0])],
    ["a ZSTD frame that needs a dictionary", Buffer.from([...MAGIC, 1, 0, 0])],
    ["the ZSTD block at 9 is of an unknown kind", frame(...head(3, 1), 0)],
    ["the ZSTD block at 9 claims 131073 bytes", frame(...head(1, 131_073), 0)],
    ["the ZSTD frame is cut off at 10: 14 bytes are needed", frame(...head(0, 5), 0)],
    ["the literals at 9 have no table before them", frame(...head(2, 5), 0x03, 0, 0, 0, 0)],
    ["the sequences at 10 have no table before them", frame(...head(2, 4), 0, 1, 0xfc, 1)],
    ["the sequences at 10 are of an unknown kind", frame(...head(2, 4), 0, 1, 0x01, 1)],
    ["the bit stream at 12 has no end mark", frame(...head(2, 4), 0, 1, 0, 0)],
    ["symbol 36 at 12 does not exist", frame(...head(2, 5), 0, 1, 0x40, 36, 0)],
  ])("is refused: %s", (reason, bytes) => {
    expect(() => readZstd(bytes, 1 << 20)).toThrow(new InflateError(reason));
  });

  it("may come after another, and behind one that is to be passed over", () => {
    const skipped = [0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7];
    const abc = [...MAGIC, 0, 0x50, ...head(0, 3), 97, 98, 99];
    const checked = [...MAGIC, 0x04, 0x50, ...head(1, 3), 100, 1, 2, 3, 4];
    expect(readZstd(Buffer.from([...skipped, ...abc, ...checked]), 6).toString()).toBe("abcddd");
  });

  it("that is a bomb is stopped at the limit", () => {
    const blocks = Array.from({ length: 10_000 }, () => [...head(1, 131_072, 0), 0]).flat();
    expect(() => readZstd(frame(...blocks, ...head(0, 0)), 32 << 20)).toThrow("more than 33554432 bytes come out");
  });
});
