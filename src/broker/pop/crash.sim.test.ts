/** The crash matrix of pops in full: `npm run sim`. A failure prints the operation, the kind of crash and the seed. */
import { describe, expect, it } from "vitest";
import { popCrashMatrix } from "../../testing/simPop.ts";

const scale = Number(process.env.SIM_SCALE ?? 1);
const seed = Number(process.env.SIM_SEED ?? 1_000_003);

describe(`simulation of pops, scale ${scale}, seed ${seed}`, () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    it(`${flush}: a crash at every disk operation, and at every operation of the next life`, async () => {
      const counts = await popCrashMatrix({ flush, seed, images: Math.ceil(8 * scale), recoveryEvery: 10 });
      console.log(
        `${flush}: seed ${seed}: ${counts.points} crash points, ${counts.images} images, ${counts.recoveryPoints} crash ` +
          `points in next lives; ${counts.givenAgain} messages came again, ${counts.confirmed} acknowledgements held`,
      );
      expect(counts.points).toBeGreaterThan(150);
      expect(counts.recoveryPoints).toBeGreaterThan(300);
    });
  }
});
