/** Transactions under crashes, in the short form; `npm run sim` (transactions.sim.test.ts) runs it in full. */
import { describe, expect, it } from "vitest";
import { transactionCrashes } from "../testing/simTransactions.ts";

describe("transactions, with a crash before every few disk operations", () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    it(`${flush}: each commit is applied once, no rollback delivered`, async () => {
      const counts = await transactionCrashes({ flush, seed: 1, images: 1, step: 11, lives: 2 });
      console.log(`${flush}: ${JSON.stringify(counts)}`);
      expect(counts.points).toBeGreaterThan(10);
      expect(counts.checksAfter).toBeGreaterThan(counts.points);
    });
  }
});
