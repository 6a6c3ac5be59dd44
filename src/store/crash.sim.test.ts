/**
 * The crash matrix in full: `npm run sim`. SIM_SCALE multiplies the number of images (1: some minutes), SIM_SEED moves all
 * seeds. A failure prints the operation, the kind of crash and the seed that repeat it.
 */
import { describe, expect, it } from "vitest";
import { crashMatrix, randomLives } from "../testing/simCrash.ts";

const scale = Number(process.env.SIM_SCALE ?? 1);
const seed = Number(process.env.SIM_SEED ?? 1_000_003);

describe(`simulation, scale ${scale}, seed ${seed}`, () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    it(`${flush}: a crash at every disk operation, and at every operation of the recovery`, async () => {
      const counts = await crashMatrix({ flush, seed, images: Math.ceil(24 * scale), recoveryEvery: 3 });
      console.log(
        `${flush}: seed ${seed}: ${counts.points} crash points, ${counts.images} images, ` +
          `${counts.recoveryPoints} crash points in recoveries, ${counts.recoveryImages} images of those; ` +
          `${counts.trashed} messages, none of them durable, had their properties trashed unnoticed`,
      );
      expect(counts.points).toBeGreaterThan(200);
      expect(counts.images).toBeGreaterThan(counts.points * 20 * Math.min(1, scale));
    });

    it(`${flush}: random lives`, async () => {
      const chains = Math.ceil(1500 * scale);
      for (let i = 0; i < chains; i++) await randomLives(flush, seed + i, 8);
      console.log(`${flush}: seeds ${seed} to ${seed + chains - 1}: ${chains} chains of 8 lives each`);
    });
  }
});
