/** The crash matrix of the timers in full: `npm run sim`. SIM_SCALE multiplies the images, SIM_SEED moves the seeds. */
import { describe, expect, it } from "vitest";
import { timerCrashMatrix } from "../../testing/simTimerCrash.ts";

const scale = Number(process.env.SIM_SCALE ?? 1);
const seed = Number(process.env.SIM_SEED ?? 1_000_003);

describe(`timers, simulation, scale ${scale}, seed ${seed}`, () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    it(`${flush}: a crash at every disk operation, and of the recovery`, async () => {
      const images = Math.ceil(6 * scale);
      const counts = await timerCrashMatrix({ flush, seed, images, recoveryEvery: 10, recoveryStep: 3 });
      console.log(`${flush}: seed ${seed}: ${JSON.stringify(counts)}`);
      expect(counts.points).toBeGreaterThan(200);
      expect(counts.firstRepeat).toBeUndefined();
    });
  }
});
