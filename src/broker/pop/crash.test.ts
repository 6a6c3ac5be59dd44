/** The promise of pops under crashes, in the short form; `npm run sim` (crash.sim.test.ts) runs it in full. */
import { describe, expect, it } from "vitest";
import { popCrashMatrix } from "../../testing/simPop.ts";

describe("a crash while popping", () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    it(`${flush}: what was acknowledged stays away, what was not comes again, once`, { timeout: 120_000 }, async () => {
      const counts = await popCrashMatrix({ flush, seed: 1, images: 1, recoveryEvery: 1000, step: 7 });
      console.log(`${flush}: ${JSON.stringify(counts)}`);
      expect(counts.points).toBeGreaterThan(10);
      expect(counts.givenAgain).toBeGreaterThan(counts.points);
      expect(counts.confirmed).toBeGreaterThan(counts.points);
    });
  }
});
