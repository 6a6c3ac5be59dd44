import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { COMPRESSED_BODIES } from "../testing/compressedBodies.ts";
import { readableBody } from "./bodyEncoding.ts";
import { Encoding } from "./generated/messages.ts";

/** What a classic client of 5.x writes into sysFlag. */
const FLAGS = { LZ4: 0x101, ZSTD: 0x201, ZLIB: 0x301 };

describe("a compressed body", () => {
  it.each(COMPRESSED_BODIES)("of a classic producer comes as plain bytes ($kind, $what)", ({ kind, plain, bytes }) => {
    const { body, encoding } = readableBody(FLAGS[kind], bytes);
    expect(body.equals(plain)).toBe(true);
    expect(encoding).toBe(Encoding.IDENTITY);
  });

  it("of a client before 5.0, which does not name its kind, is zlib's", () => {
    const zlib = COMPRESSED_BODIES.filter(({ kind }) => kind === "ZLIB");
    expect(zlib).toHaveLength(1);
    for (const { plain, bytes } of zlib) {
      expect(readableBody(0x001, bytes)).toEqual({ body: plain, encoding: Encoding.IDENTITY });
    }
  });

  it("that a 5.x producer made by gzip stays gzip", () => {
    const bytes = gzipSync("hello");
    expect(readableBody(0x001, bytes)).toEqual({ body: bytes, encoding: Encoding.GZIP });
  });

  it("that cannot be read goes out as Apache sends it", () => {
    for (const [flags, text] of [
      [0x001, "no zlib"],
      [0x001, ""],
      [0x101, "no LZ4"],
      [0x201, "no ZSTD"],
    ] as const) {
      const bytes = Buffer.from(text);
      expect(readableBody(flags, bytes)).toEqual({ body: bytes, encoding: Encoding.GZIP });
    }
  });

  it("is plain without the flag, whatever it looks like", () => {
    for (const { bytes } of COMPRESSED_BODIES) {
      expect(readableBody(0x300, bytes)).toEqual({ body: bytes, encoding: Encoding.IDENTITY });
    }
  });
});
