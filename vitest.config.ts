/** The fast set: every test beside its source. The long simulations are `npm run sim`. */
import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "compat-tests/lib/*.test.mjs"],
    exclude: [...configDefaults.exclude, "**/*.sim.test.ts"],
    testTimeout: 60_000,
  },
});
