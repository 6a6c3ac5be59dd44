/** The fast set: every test beside its source. The long simulations are `npm run sim`. */
import { availableParallelism } from "node:os";
import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "compat-tests/lib/*.test.mjs"],
    exclude: [...configDefaults.exclude, "**/*.sim.test.ts"],
    // The crash matrices take half a minute of CPU: on a machine that others use as well, a minute was not enough.
    testTimeout: 300_000,
    // By default one worker less than there are cores, which leaves one of two without work.
    maxWorkers: availableParallelism(),
  },
});
