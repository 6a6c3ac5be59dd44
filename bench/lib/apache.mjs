// Apache RocketMQ's jars: from Maven by the pom of the compatibility tests, or from the directory that SKYLARK_APACHE_LIB names.
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const BENCH = path.resolve(import.meta.dirname, "..");

export function apacheClassPath(workDirectory) {
  const directory = process.env.SKYLARK_APACHE_LIB;
  if (directory) return path.join(directory, "*");
  const file = path.join(workDirectory, "apache.classpath");
  const pom = path.join(BENCH, "..", "compat-tests", "apache", "pom.xml");
  const stale = !fs.existsSync(file) || fs.statSync(file).mtimeMs < fs.statSync(pom).mtimeMs;
  if (stale) {
    const goals = ["-q", "-B", "-f", pom, "dependency:build-classpath", `-Dmdep.outputFile=${file}`];
    execFileSync("mvn", goals, { stdio: ["ignore", "inherit", "inherit"] });
  }
  return fs.readFileSync(file, "utf8").trim();
}

/** Compiles the client load once; returns the class path to run it with. */
export function clientClassPath(workDirectory) {
  const classes = path.join(workDirectory, "classes");
  const jars = apacheClassPath(workDirectory);
  fs.mkdirSync(classes, { recursive: true });
  execFileSync("javac", ["-nowarn", "-d", classes, "-cp", jars, path.join(BENCH, "java", "ClientBench.java")]);
  return `${classes}${path.delimiter}${jars}`;
}

export function javaVersion() {
  const { stderr } = spawnSync("java", ["-version"], { encoding: "utf8" });
  const match = /^(\w+) version "([^"]+)"/m.exec(stderr);
  return match ? `${match[1]} ${match[2]}` : "unknown Java";
}
