import { expect, it } from "vitest";
import { BloomFilter } from "./bloomFilter.ts";

it("places groups where Apache 5.5.0 does", () => {
  const filter = new BloomFilter(20, 32);
  const places: [string, number[]][] = [
    ["G#T", [24, 26, 83]],
    ["group-of-a-longer-name#topic-of-a-longer-name", [43, 100, 45]],
    ["", [0, 0, 0]],
    ["名#中文", [71, 48, 87]],
    ["0123456789abcdef", [11, 47, 60]],
  ];
  for (const [text, bitPos] of places) expect([text, filter.place(text)]).toEqual([text, { bitNum: 112, bitPos }]);
});

it("has Apache's size for every error rate", () => {
  const sizes = [1, 5, 10, 20, 50, 99].map((percent) => {
    const { bitNum, bitPos } = new BloomFilter(percent, 100).place("x");
    return [percent, bitNum, bitPos.length];
  });
  expect(sizes).toEqual([
    [1, 960, 7],
    [5, 624, 5],
    [10, 480, 4],
    [20, 336, 3],
    [50, 152, 1],
    [99, 8, 1],
  ]);
});
