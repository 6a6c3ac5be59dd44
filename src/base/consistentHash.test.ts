import { describe, expect, it } from "vitest";
import { bucketOf } from "./consistentHash.ts";

describe("bucketOf", () => {
  it("chooses as Guava's Hashing.consistentHash(group.hashCode(), queues)", () => {
    // Group, buckets, what Guava 32.0.1 answers.
    const answers: [string, number, number][] = [
      ["a", 8, 0],
      ["a", 1000, 346],
      ["order-1", 8, 3],
      ["order-1", 1000, 489],
      ["order-2", 3, 2],
      ["order-2", 16, 11],
      ["order-3", 8, 7],
      ["组", 16, 2],
      ["组", 1000, 731],
      ["user:4711", 16, 14],
      ["", 1000, 0],
      ["ZZZZZZZZZZZZZZZZZZZZ", 16, 12],
      ["ZZZZZZZZZZZZZZZZZZZZ", 1000, 29],
      ["polygenelubricants", 3, 2],
    ];
    for (const [group, buckets, bucket] of answers) expect([group, bucketOf(group, buckets)]).toEqual([group, bucket]);
  });

  it("agrees with Guava over 100,000 groups", () => {
    let sum = 0n;
    for (let i = 0; i < 100_000; i++) sum = (sum * 31n + BigInt(bucketOf(`g${i}`, 1 + (i % 97)))) % 1_000_000_007n;
    expect(sum).toBe(37812267n);
  });
});
