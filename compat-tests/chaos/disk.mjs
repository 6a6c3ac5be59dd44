// Disks that fail (`npm run chaos -- disk`): full, failing to sync, and the machine's kill at a chosen system call.
//
//   --part all|full|sync|calls --rounds 8 --points 30 --seed N --keep

import { fullDisk } from "./fullDisk.mjs";
import { newSeed, readOptions } from "./lib/options.mjs";
import { failingSync, killAtCall } from "./syscalls.mjs";

export const DISK_OPTIONS = { part: "all", rounds: 8, points: 30, seed: newSeed(), keep: false, port: 27200 };

const PARTS = { full: fullDisk, sync: failingSync, calls: killAtCall };

export async function disk(options) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const [name, part] of Object.entries(PARTS)) {
    if (options.part !== "all" && options.part !== name) continue;
    const counts = await part(options);
    for (const key of Object.keys(total)) total[key] += counts[key];
  }
  return total;
}

if (process.argv[1] === import.meta.filename) {
  const { passed, failed, skipped } = await disk(readOptions(DISK_OPTIONS));
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exit(failed === 0 ? 0 : 1);
}
