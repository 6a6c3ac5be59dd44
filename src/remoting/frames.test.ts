import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FRAME_BYTES_MAX } from "../base/limits.ts";
import { FrameError, FrameSplitter } from "./frames.ts";

const MIB = 1024 * 1024;

function frame(content: Uint8Array): Buffer {
  const out = Buffer.alloc(4 + content.length);
  out.writeInt32BE(content.length, 0);
  out.set(content, 4);
  return out;
}

/** The contents that come out when `chunks` go in; a receiver may change the bytes it is given. */
function split(chunks: Buffer[]): Buffer[] {
  const seen: Buffer[] = [];
  const splitter = new FrameSplitter((buf, start, end) => {
    seen.push(Buffer.from(buf.subarray(start, end)));
    buf.fill(0xee, start, end);
  });
  for (const chunk of chunks) splitter.push(chunk);
  expect(splitter.pendingBytes).toBe(0);
  return seen;
}

function cut(stream: Buffer, places: number[]): Buffer[] {
  const bounds = [0, ...places.map((p) => p % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  // Copies, as a socket gives them.
  return bounds.slice(1).map((end, i) => Buffer.from(stream.subarray(bounds[i], end)));
}

describe("a stream of frames", () => {
  const content = fc.uint8Array({ minLength: 4, maxLength: 80 });

  it("is the same frames however it was cut", () => {
    fc.assert(
      fc.property(
        fc.array(content, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (contents, places) => {
          const stream = Buffer.concat(contents.map(frame));
          expect(split(cut(stream, places))).toEqual(contents.map((c) => Buffer.from(c)));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("may come at every single place in two, or byte by byte", () => {
    const contents = [Buffer.from("first"), Buffer.from("four"), Buffer.alloc(300, 7)];
    const stream = Buffer.concat(contents.map(frame));
    for (let at = 0; at <= stream.length; at++) {
      expect(split([Buffer.from(stream.subarray(0, at)), Buffer.from(stream.subarray(at))])).toEqual(contents);
    }
    expect(split(Array.from(stream, (byte) => Buffer.from([byte])))).toEqual(contents);
  });

  it("may have frames far larger than a chunk", () => {
    const contents = [Buffer.alloc(100_000, 1), Buffer.alloc(3, 2), Buffer.alloc(20_000, 3)].map((c) =>
      Buffer.concat([c, Buffer.from("end.")]),
    );
    const stream = Buffer.concat(contents.map(frame));
    const chunks = Array.from({ length: Math.ceil(stream.length / 1000) }, (_, i) =>
      Buffer.from(stream.subarray(i * 1000, i * 1000 + 1000)),
    );
    expect(split(chunks)).toEqual(contents);
  });

  it("hands out a frame that lies whole in a chunk in place, without copying", () => {
    const chunk = Buffer.concat([frame(Buffer.from("abcd")), frame(Buffer.from("efgh"))]);
    const places: [Buffer, number, number][] = [];
    new FrameSplitter((buf, start, end) => places.push([buf, start, end])).push(chunk);
    expect(places.map(([buf, start, end]) => [buf === chunk, start, end])).toEqual([
      [true, 4, 8],
      [true, 12, 16],
    ]);
  });
});

describe("a length that cannot be", () => {
  it.each([-1, 0, 3, FRAME_BYTES_MAX + 1, 0x7fffffff, -2147483648, 0x47455420])(
    "%d is refused, whole or byte by byte",
    (length) => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(length, 0);
      const reason = `frame length ${length} is not between 4 and ${FRAME_BYTES_MAX}`;
      expect(() => split([Buffer.concat([bytes, Buffer.alloc(10)])])).toThrow(new FrameError(reason));
      expect(() => split(Array.from(bytes, (byte) => Buffer.from([byte])))).toThrow(new FrameError(reason));
    },
  );

  it("is noticed behind good frames, which are still handed out", () => {
    const seen: string[] = [];
    const splitter = new FrameSplitter((buf, start, end) => seen.push(buf.toString("latin1", start, end)));
    expect(() => splitter.push(Buffer.concat([frame(Buffer.from("good")), Buffer.alloc(4)]))).toThrow(FrameError);
    expect(seen).toEqual(["good"]);
  });

  it("takes the smallest and the largest", () => {
    expect(split([frame(Buffer.from("1234"))])).toHaveLength(1);
    const largest = frame(Buffer.alloc(FRAME_BYTES_MAX));
    expect(split([Buffer.from(largest.subarray(0, MIB)), Buffer.from(largest.subarray(MIB))])[0]).toHaveLength(
      FRAME_BYTES_MAX,
    );
  });
});

describe("an announced frame", () => {
  it("takes memory for what has arrived, not for what was announced", () => {
    const splitters: FrameSplitter[] = [];
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 200; i++) {
      const splitter = new FrameSplitter(() => {});
      const head = Buffer.alloc(64);
      head.writeInt32BE(FRAME_BYTES_MAX, 0);
      splitter.push(head);
      expect(splitter.pendingBytes).toBe(64);
      splitters.push(splitter);
    }
    // 200 x 16 MiB were announced; at most 16 KiB each may be held.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * MIB);
    expect(splitters).toHaveLength(200);
  });
});
