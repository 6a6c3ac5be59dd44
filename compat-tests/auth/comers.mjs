// The official classic clients with credentials: Java (src/Comers.java) and Go, right ones and wrong ones.

import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { goClient, WORK } from "../lib/build.mjs";
import { runClient } from "../lib/session.mjs";
import { ROOT } from "./sign.mjs";

const LIMIT_MS = 300_000;
const COMERS_JAVA = fileURLToPath(new URL("src/Comers.java", import.meta.url));

export function compileComers(lib, classes) {
  execFileSync("javac", ["-nowarn", "-cp", join(lib, "*"), "-d", classes, COMERS_JAVA], {
    stdio: ["ignore", 2, "ignore"],
  });
}

/**
 * What the Java client is told in each step, by the step's name.
 * @param {{ lib: string, classes: string, home: string, comers: { accessKey: string, secretKey: string }[], flags?: string[] }} options
 *   the first of `comers` has the rights; `flags` are the JVM's
 */
export async function runComers(namesrvAddr, { lib, classes, home, comers, flags = [] }) {
  const args = [
    ...["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", `-Duser.home=${home}`],
    ...["-Drocketmq.client.logUseSlf4j=false", "-Djava.net.preferIPv4Stack=true", ...flags],
    ...["-cp", [classes, join(lib, "*")].join(":"), "Comers", namesrvAddr, "Orders", "OrdersGroup"],
    ...comers.flatMap(({ accessKey, secretKey }) => [accessKey, secretKey]),
  ];
  const { stdout } = await promisify(execFile)("java", args, { timeout: LIMIT_MS });
  const lines = stdout.split("\n").filter((line) => line.startsWith("> "));
  return new Map(lines.map((line) => `Java client, ${line.slice(2)}`.split(/: (.*)/).slice(0, 2)));
}

/** Whether the Go client does as it should, with credentials and with a wrong password: "as wanted", or why not. */
export async function goComers(server, scenarios) {
  const outcomes = new Map();
  const client = goClient();
  for (const secretKey of [ROOT.secretKey, "wrong"]) {
    const isRight = secretKey === ROOT.secretKey;
    const names = isRight ? scenarios : scenarios.slice(0, 1);
    const keys = { ROCKETMQ_ACCESS_KEY: ROOT.accessKey, ROCKETMQ_SECRET_KEY: secretKey };
    const signing = { ...client, id: "go-2.1.2", env: (home) => ({ ...client.env(home), ...keys }) };
    const logDir = join(WORK, "logs", "auth", String(server.brokerPort));
    const run = { client: signing, parts: [{ names, server }], parallel: 3, home: join(logDir, secretKey), logDir };
    const results = await runClient({ ...run, runId: `g${secretKey.length}` });
    for (const [name, [{ ok, detail }]] of results) {
      const what = `Go client, ${name}${isRight ? "" : " with a wrong password"}`;
      outcomes.set(what, ok === isRight ? "as wanted" : `ok ${ok} ${detail}`);
    }
  }
  return outcomes;
}
