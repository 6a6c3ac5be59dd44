/** Transactions under crashes in full: `npm run sim`. SIM_SCALE multiplies the images, SIM_SEED moves the seeds. */
import { describe, expect, it } from "vitest";
import { transactionCrashes } from "../testing/simTransactions.ts";

const scale = Number(process.env.SIM_SCALE ?? 1);
const seed = Number(process.env.SIM_SEED ?? 1_000_003);

describe(`simulation of transactions, scale ${scale}, seed ${seed}`, () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    for (const lives of [1, 3]) {
      it(`${flush}: a crash at every disk operation, ${lives} lives`, async () => {
        const images = Math.max(1, Math.round(3 * scale));
        const counts = await transactionCrashes({ flush, seed: seed + lives, images, step: 1, lives });
        console.log(`${flush}, ${lives} lives: seed ${seed + lives}: ${JSON.stringify(counts)}`);
        expect(counts.points).toBeGreaterThan(300);
      });
    }
  }
});
