/** The promise of the timers under crashes, in the short form; timerCrash.sim.test.ts (`npm run sim`) runs it in full. */
import { describe, expect, it } from "vitest";
import { timerCrashMatrix } from "../../testing/simTimerCrash.ts";

describe("timers, a crash at a disk operation", () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    it(`${flush}: none lost, none early, none recalled delivered, none twice`, async () => {
      const counts = await timerCrashMatrix({
        flush,
        seed: 1,
        images: 1,
        step: 29,
        recoveryEvery: 145,
        recoveryStep: 19,
      });
      console.log(`${flush}: ${JSON.stringify(counts)}`);
      expect(counts.points).toBeGreaterThan(15);
      expect(counts.recoveryImages).toBeGreaterThan(5);
      expect(counts.firstRepeat).toBeUndefined();
    });
  }
});
