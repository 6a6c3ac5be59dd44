import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ascii, putBytes, putDecimal, putHex16, putPiece } from "./asciiWriter.ts";

/** What `put` wrote, and that it wrote nothing else. */
function written(put: (to: Buffer, at: number) => number): string {
  const to = Buffer.alloc(64, 0x7e);
  const end = put(to, 5);
  expect(to.toString("latin1", 0, 5)).toBe("~~~~~");
  expect(to.toString("latin1", end)).toBe("~".repeat(64 - end));
  return to.toString("latin1", 5, end);
}

describe("numbers in ASCII", () => {
  const edges = [
    0,
    9,
    10,
    99,
    100,
    999_999_999,
    1_000_000_000,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32,
    2 ** 32 + 1,
    1e15,
    1e18 / 1e3,
  ];
  const safe = fc.oneof(
    fc.maxSafeInteger(),
    fc.integer(),
    fc.constantFrom(...edges),
    fc.bigInt(0n, 2n ** 53n - 1n).map(Number),
  );

  it("are decimal as String() writes them", () => {
    for (const n of [...edges, Number.MAX_SAFE_INTEGER]) {
      expect(written((to, at) => putDecimal(to, at, n))).toBe(String(n));
      if (n !== 0) expect(written((to, at) => putDecimal(to, at, -n))).toBe(String(-n));
    }
    fc.assert(
      fc.property(safe, (n) => {
        expect(written((to, at) => putDecimal(to, at, n))).toBe(String(n));
      }),
      { numRuns: 1000 },
    );
  });

  it("are 16 upper-case hex digits", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        expect(written((to, at) => putHex16(to, at, n))).toBe(n.toString(16).toUpperCase().padStart(16, "0"));
      }),
      { numRuns: 1000 },
    );
    expect(written((to, at) => putHex16(to, at, Number.MAX_SAFE_INTEGER))).toBe("001FFFFFFFFFFFFF");
  });
});

describe("pieces", () => {
  it("are copied whole, ranges as told", () => {
    expect(written((to, at) => putPiece(to, at, ascii('","queueId":"')))).toBe('","queueId":"');
    expect(written((to, at) => putBytes(to, at, ascii("0123456789"), 3, 7))).toBe("3456");
    expect(written((to, at) => putPiece(to, at, ascii("")))).toBe("");
  });
});
