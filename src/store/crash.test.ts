/** The promise of the store under crashes, in the short form; `npm run sim` runs it in full. */
import { describe, expect, it } from "vitest";
import { crashMatrix, randomLives } from "../testing/simCrash.ts";

describe("a crash at every disk operation", () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    it(`${flush}: keeps the promise, also when the recovery crashes`, async () => {
      const counts = await crashMatrix({ flush, seed: 1, images: 3, recoveryEvery: 40 });
      console.log(`${flush}: ${JSON.stringify(counts)}`);
      expect(counts.points).toBeGreaterThan(150);
    });

    it(`${flush}: keeps the promise over random lives`, async () => {
      for (let seed = 1; seed <= 40; seed++) await randomLives(flush, seed, 6);
    });
  }
});
