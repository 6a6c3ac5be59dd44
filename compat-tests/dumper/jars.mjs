// Where the Apache RocketMQ 5.5.0 jars are, and whether this machine can read them.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { apacheLib, Missing } from "../lib/build.mjs";

/**
 * @returns {{ directory: string } | { missing: string }} the directory of the jars, or what this machine lacks to get at them.
 */
export function apacheJars() {
  try {
    execFileSync("javac", ["-version"], { stdio: "ignore" });
  } catch {
    return { missing: "javac is not installed" };
  }
  try {
    const directory = apacheLib();
    const complete = existsSync(directory) && readdirSync(directory).includes("rocketmq-remoting-5.5.0.jar");
    return complete ? { directory } : { missing: `${directory} holds no rocketmq-remoting-5.5.0.jar` };
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    return { missing: error.message };
  }
}
