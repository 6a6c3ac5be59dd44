// Builds the clients and fetches the Apache server jars into compat-tests/.work, each once per state of its sources.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL("..", import.meta.url));
export const WORK = join(HERE, ".work");

/** What a suite lacks to be built or run here. The runner lists it as SKIPPED, loudly. */
export class Missing extends Error {}

const found = new Set();

export function need(tool, args) {
  if (found.has(tool)) return;
  try {
    execFileSync(tool, args, { stdio: "ignore" });
    found.add(tool);
  } catch {
    throw new Missing(`${tool} is not installed`);
  }
}

function filesUnder(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesUnder(join(path, name)));
}

function fingerprint(paths) {
  const hash = createHash("sha256");
  for (const file of paths.flatMap(filesUnder)) hash.update(`${file.slice(HERE.length)}\0`).update(readFileSync(file));
  return hash.digest("hex");
}

/** Runs `build` unless its directory was built from the same sources before. */
export function cached(directory, sources, build) {
  const stamp = join(directory, ".stamp");
  const want = fingerprint(sources.map((path) => join(HERE, path)));
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === want) return;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  console.log(`building ${directory.slice(WORK.length + 1)} ...`);
  build();
  writeFileSync(stamp, want);
}

export function mvn(pom, args) {
  try {
    execFileSync("mvn", ["-q", "-B", "-f", join(HERE, pom), ...args], { stdio: ["ignore", 2, 2] });
  } catch (error) {
    throw new Error(`mvn failed for ${pom}: ${error.message}`);
  }
}

/** @returns {string} the directory of all Apache 5.5.0 jars. SKYLARK_APACHE_LIB names one that exists already. */
export function apacheLib() {
  need("java", ["-version"]);
  const given = process.env.SKYLARK_APACHE_LIB;
  if (given !== undefined) return given;
  const directory = join(WORK, "apache-5.5.0");
  need("mvn", ["-v"]);
  cached(directory, ["apache/pom.xml"], () => {
    try {
      mvn("apache/pom.xml", ["dependency:copy-dependencies", `-DoutputDirectory=${join(directory, "lib")}`]);
    } catch (error) {
      throw new Missing(error.message);
    }
  });
  return join(directory, "lib");
}

/** @returns {string} the same, for a suite that is nothing without them: it is left, as skipped, where there is no way to the jars. */
export function apacheLibOrLeave(suite) {
  try {
    return apacheLib();
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.log(`!!! SKIPPED ${suite}: ${error.message}`);
    console.log(`${suite}: 0 passed, 0 failed, 1 skipped`);
    process.exit(process.env.CI === "true" ? 1 : 0);
  }
}

/**
 * How to start a client program; `home` is the directory where it keeps its logs and the offsets of broadcasting consumers.
 * @typedef {{ command: string, args: (home: string, mainClass?: string) => string[], env?: (home: string) => Record<string, string> }} Client
 */

/** @returns {Client} the Java scenarios of one client version. */
export function javaClient(version) {
  need("java", ["-version"]);
  need("javac", ["-version"]);
  need("mvn", ["-v"]);
  const directory = join(WORK, `java-${version}`);
  cached(directory, ["java/pom.xml", "java/src"], () =>
    mvn("java/pom.xml", [`-Pclient-${version}`, `-Dwork=${directory}`, "compile", "dependency:copy-dependencies"]),
  );
  return {
    command: "java",
    args: (home, mainClass = "skylark.compat.Scenarios") => [
      "-Xms64m",
      "-Xmx512m",
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      `-Duser.home=${home}`,
      "-Drocketmq.client.logUseSlf4j=false",
      "-Drocketmq.client.logLevel=WARN",
      // IPv4 hosts, and a client id that does not depend on this machine's network.
      "-Djava.net.preferIPv4Stack=true",
      "-cp",
      [join(directory, "classes"), join(directory, "lib", "*")].join(":"),
      mainClass,
    ],
  };
}

/** @returns {Client} the Go scenarios. */
export function goClient() {
  need("go", ["version"]);
  const directory = join(WORK, "go-2.1.2");
  const binary = join(directory, "scenarios");
  cached(directory, ["go"], () => {
    try {
      execFileSync("go", ["build", "-trimpath", "-o", binary, "."], { cwd: join(HERE, "go"), stdio: ["ignore", 2, 2] });
    } catch (error) {
      throw new Error(`go build failed: ${error.message}`);
    }
  });
  return { command: binary, args: () => [], env: (home) => ({ "rocketmq.client.localOffsetStoreDir": home }) };
}
