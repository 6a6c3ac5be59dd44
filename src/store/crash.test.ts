/** The promise of the store under crashes, in the short form; `npm run sim` (crash.sim.test.ts) runs it in full. */
import { describe, expect, it } from "vitest";
import { crashMatrix, type FlushType, randomLives } from "../testing/simCrash.ts";

/** Seeds that once failed: each was a bug, named by what it broke. */
const ONCE_FAILED: [FlushType, number, string][] = [
  ["SYNC_FLUSH", 337, "the store's own directory had no durable name"],
  ["SYNC_FLUSH", 65, "retention removed messages whose queue offsets no checkpoint covered"],
  ["ASYNC_FLUSH", 574, "a hole between new log files cost the old ones"],
  ["SYNC_FLUSH", 1229, "a rebuild reset queues whose messages were gone from the log"],
  ["ASYNC_FLUSH", 650, "a torn header made an index file look complete"],
  ["ASYNC_FLUSH", 820, "an index file cut but with its old header"],
  ["SYNC_FLUSH", 804, "index entries of zeros counted as real"],
  ["ASYNC_FLUSH", 1_000_705, "a rebuild that died half-way was measured by the checkpoint of before it"],
];

describe("a crash at every disk operation", () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    it(`${flush}: keeps the promise, also when the recovery crashes`, async () => {
      const counts = await crashMatrix({ flush, seed: 1, images: 2, recoveryEvery: 60 });
      console.log(`${flush}: ${JSON.stringify(counts)}`);
      expect(counts.points).toBeGreaterThan(200);
      expect(counts.recoveryPoints).toBeGreaterThan(100);
    });

    it(`${flush}: keeps the promise over random lives`, async () => {
      for (let seed = 1; seed <= 30; seed++) await randomLives(flush, seed, 6);
    });
  }

  for (const [flush, seed, bug] of ONCE_FAILED) {
    it(`${flush}, seed ${seed}: ${bug}`, () => randomLives(flush, seed, 8));
  }
});
