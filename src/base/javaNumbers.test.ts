import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareDoubles, parseJavaDouble, parseJavaInt, parseJavaLong } from "./javaNumbers.ts";

describe("Java's integers", () => {
  it("are signed digits of any script, within their range", () => {
    expect(["7", "-7", "+7", "007", "２３", "٣", "-０"].map(parseJavaInt)).toEqual([7, -7, 7, 7, 23, 3, -0]);
    for (const bad of ["", "+", "-", " 7", "7 ", "7.0", "7L", "1e3", "--7", "2147483648", "-2147483649", "𝟕"]) {
      expect([bad, parseJavaInt(bad)]).toEqual([bad, undefined]);
    }
    expect(parseJavaLong("9223372036854775807")).toBe(9223372036854775807n);
    expect(parseJavaLong("-9223372036854775808")).toBe(-9223372036854775808n);
    expect(parseJavaLong("9223372036854775808")).toBeUndefined();
    expect(parseJavaLong("+0000000000000000000000005")).toBe(5);
  });
});

describe("Java's doubles", () => {
  it("are decimals with blanks around and a type letter behind, or hexadecimals, or names", () => {
    const good: [string, number][] = [
      ["5", 5],
      [" 5. ", 5],
      ["\t.5\n", 0.5],
      ["5d", 5],
      ["5.5F", 5.5],
      ["1e3D", 1000],
      ["-1E-3", -0.001],
      ["1e400", Number.POSITIVE_INFINITY],
      ["-Infinity", Number.NEGATIVE_INFINITY],
      ["0x1p3", 8],
      ["-0X.8P-2d", -0.125],
      ["0x1.fffffffffffff7p1023", Number.MAX_VALUE],
      ["0x1.fffffffffffff8p1023", Number.POSITIVE_INFINITY],
      ["0x1p-1074", 5e-324],
      ["0x1p-1075", 0],
      ["0x1.8p-1075", 5e-324],
      ["0x1.00000000000008p0", 1],
      ["0x1.00000000000018p0", 1 + 2 ** -51],
    ];
    for (const [text, value] of good) expect([text, parseJavaDouble(text)]).toEqual([text, value]);
    expect(parseJavaDouble("+NaN")).toBeNaN();
    for (const bad of [
      "",
      " ",
      ".",
      "e5",
      "5e",
      "5L",
      "0x10",
      "0x1",
      "NaNd",
      "infinity",
      "1_0",
      "５",
      "\u00a05",
      "1 2",
    ]) {
      expect([bad, parseJavaDouble(bad)]).toEqual([bad, undefined]);
    }
  });

  it("are what JavaScript prints, and hexadecimals of whole numbers are exact", () => {
    fc.assert(fc.property(fc.double(), (x) => Object.is(parseJavaDouble(Object.is(x, -0) ? "-0" : String(x)), x)));
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: -60, max: 60 }), (mantissa, power) => {
        expect(parseJavaDouble(`0x${mantissa.toString(16)}p${power}`)).toBe(mantissa * 2 ** power);
      }),
    );
  });

  it("have NaN above all and -0.0 below 0.0", () => {
    const order = [Number.NEGATIVE_INFINITY, -1, -0, 0, 1, Number.POSITIVE_INFINITY, Number.NaN];
    for (let i = 0; i < order.length; i++) {
      for (let j = 0; j < order.length; j++) expect(compareDoubles(order[i], order[j])).toBe(Math.sign(i - j));
    }
  });
});
