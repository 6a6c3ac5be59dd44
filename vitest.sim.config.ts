/** `npm run sim`: the simulations in full. SIM_SEED and SIM_SCALE (a factor on the number of images) may be set. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.sim.test.ts"],
    testTimeout: 24 * 3_600_000,
    disableConsoleIntercept: true,
  },
});
