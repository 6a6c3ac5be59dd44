// Apache RocketMQ's jars: from Maven by the pom of the compatibility tests, or from the directory that SKYLARK_APACHE_LIB names.
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { apacheLib } from "../../compat-tests/lib/build.mjs";

const BENCH = path.resolve(import.meta.dirname, "..");

export function apacheClassPath() {
  return path.join(apacheLib(), "*");
}

/** Compiles the client load once; returns the class path to run it with. */
export function clientClassPath(workDirectory) {
  const classes = path.join(workDirectory, "classes");
  const jars = apacheClassPath();
  fs.mkdirSync(classes, { recursive: true });
  execFileSync("javac", ["-nowarn", "-d", classes, "-cp", jars, path.join(BENCH, "java", "ClientBench.java")]);
  return `${classes}${path.delimiter}${jars}`;
}

export function javaVersion() {
  const { stderr } = spawnSync("java", ["-version"], { encoding: "utf8" });
  const match = /^(\w+) version "([^"]+)"/m.exec(stderr);
  return match ? `${match[1]} ${match[2]}` : "unknown Java";
}
