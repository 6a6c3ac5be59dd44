/** The fast set: every `*.test.ts` beside its source. The long simulations are `npm run sim`. */
import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "**/*.sim.test.ts"],
    testTimeout: 60_000,
  },
});
