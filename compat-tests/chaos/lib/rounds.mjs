// What the kill -9 scripts share: their options, and a run for each way to flush.

import { newSeed } from "./options.mjs";

/** @param own the script's port, and what differs from the usual */
export function killOptions(own) {
  return { kills: 20, flush: "both", seed: newSeed(), server: "skylark", canary: "", keep: false, ...own };
}

/**
 * Runs once for each way to flush, with its share of the kills and a seed of its own.
 * @param {(options: object) => Promise<boolean>} run whether it passed
 */
export async function eachFlush(options, run) {
  const flushes = options.flush === "both" ? ["ASYNC_FLUSH", "SYNC_FLUSH"] : [options.flush];
  let failed = 0;
  for (const [i, flush] of flushes.entries()) {
    const kills = Math.ceil(options.kills / flushes.length);
    if (!(await run({ ...options, flush, kills, seed: options.seed + i }))) failed++;
  }
  return { passed: flushes.length - failed, failed };
}
