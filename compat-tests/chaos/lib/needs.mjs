// What a script needs of the machine. Without it the script says SKIPPED, and fails where CI=true: a machine that cannot
// run it must be noticed there.

import { spawnSync } from "node:child_process";

export const inCi = process.env.CI === "true";

/** @returns {string | undefined} why strace cannot be used here */
export function straceMissing() {
  const { status, error } = spawnSync("strace", ["-o", "/dev/null", "-e", "trace=none", "true"], { stdio: "ignore" });
  if (error !== undefined) return "strace is not installed";
  return status === 0 ? undefined : "strace may not trace here";
}

/** @returns {string | undefined} why no file system can be mounted at `dir` */
export function mountTmpfs(dir, mib) {
  const { status, stderr, error } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mib}m`, "tmpfs", dir], {
    encoding: "utf8",
  });
  if (error !== undefined) return `mount: ${error.message}`;
  return status === 0 ? undefined : `a tmpfs cannot be mounted: ${stderr.trim()}`;
}

export function resizeTmpfs(dir, kib) {
  const { status, stderr } = spawnSync("mount", ["-o", `remount,size=${kib}k`, dir], { encoding: "utf8" });
  if (status !== 0) throw new Error(`remount: ${stderr}`);
}

export function unmount(dir) {
  spawnSync("umount", [dir], { stdio: "ignore" });
}

/** Counts of a part that could not run. */
export function skipped(name, reason) {
  console.log(`SKIPPED ${name}: ${reason}${inCi ? " (a failure, because CI=true)" : ""}`);
  return { passed: 0, failed: inCi ? 1 : 0, skipped: 1 };
}
