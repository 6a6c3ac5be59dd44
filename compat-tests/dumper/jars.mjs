// Where the Apache RocketMQ 5.5.0 jars are, and whether this machine can read them.
// SKYLARK_APACHE_LIB names a directory that already holds them; otherwise Maven fetches them once into compat-tests/.work.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const FETCHED = fileURLToPath(new URL("../.work/apache-5.5.0/lib", import.meta.url));

/**
 * @returns {{ directory: string } | { missing: string }} the directory of the jars, or what this machine lacks to get at them.
 */
export function apacheJars() {
  for (const tool of ["javac", "java"]) {
    if (!runs(tool)) return { missing: `${tool} is not installed` };
  }
  const given = process.env.SKYLARK_APACHE_LIB;
  if (given !== undefined) {
    return hasJars(given)
      ? { directory: given }
      : { missing: `SKYLARK_APACHE_LIB=${given} holds no rocketmq-remoting-5.5.0.jar` };
  }
  if (!hasJars(FETCHED)) {
    if (!runs("mvn")) return { missing: "mvn is not installed and SKYLARK_APACHE_LIB is not set" };
    try {
      execFileSync(
        "mvn",
        ["-q", "-B", "-f", `${HERE}pom.xml`, "dependency:copy-dependencies", `-DoutputDirectory=${FETCHED}`],
        {
          stdio: ["ignore", 2, 2],
        },
      );
    } catch {
      return { missing: "mvn could not fetch the jars (see above)" };
    }
  }
  return { directory: FETCHED };
}

function runs(tool) {
  try {
    execFileSync(tool, ["-version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function hasJars(directory) {
  return existsSync(directory) && readdirSync(directory).includes("rocketmq-remoting-5.5.0.jar");
}
