// The official Java 5.2.0 client for the 5.x benchmark: the jars of the compatibility tests, and our load compiled against them.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { CLIENTS } from "../../compat-tests/grpc/lib/clients.mjs";

const SOURCE = path.resolve(import.meta.dirname, "..", "java", "GrpcBench.java");

/** @returns {string} the class path to run GrpcBench with */
export function grpcClientClassPath(workDirectory) {
  const { args } = CLIENTS.find(({ id }) => id === "java-5.2.0").prepare();
  const jars = args[args.indexOf("-cp") + 1];
  const classes = path.join(workDirectory, "grpc-classes");
  fs.mkdirSync(classes, { recursive: true });
  execFileSync("javac", ["-nowarn", "-d", classes, "-cp", jars, SOURCE]);
  return `${classes}${path.delimiter}${jars}`;
}
