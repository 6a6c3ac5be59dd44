// The JVM that runs the official mqadmin, and the clients that it is to find; see src/AdminDriver.java.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WORK } from "../lib/build.mjs";
import { Child, own } from "../lib/child.mjs";

const SOURCE = fileURLToPath(new URL("src/AdminDriver.java", import.meta.url));
const ANSWER = "answer ";
/** Beyond a command's own limit, before the JVM is given up. */
const GRACE_MS = 30_000;

/** Compiles the driver once per state of its source. @returns {string} the directory of its classes. */
export function buildDriver(lib) {
  const directory = join(WORK, "mqadmin");
  const stamp = join(directory, ".stamp");
  const want = createHash("sha256").update(readFileSync(SOURCE)).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === want) return directory;
  mkdirSync(directory, { recursive: true });
  execFileSync("javac", ["-nowarn", "-cp", join(lib, "*"), "-d", directory, SOURCE], {
    stdio: ["ignore", 2, "ignore"],
  });
  writeFileSync(stamp, want);
  return directory;
}

export class Driver {
  #child;
  #answers = [];
  #waiting = [];

  /** @param {{ lib: string, home: string, log: string }} options `home` is where mqadmin and the clients may write. */
  constructor({ lib, home, log }) {
    mkdirSync(join(home, "conf"), { recursive: true });
    const jars = readdirSync(lib).filter((name) => name.endsWith(".jar"));
    const tools = jars.find((name) => name.startsWith("rocketmq-tools-"));
    if (tools === undefined) throw new Error(`no rocketmq-tools jar in ${lib}`);
    const shared = jars.filter((name) => name !== tools).map((name) => join(lib, name));
    this.#child = own(
      new Child(
        "mqadmin",
        "java",
        [
          "-Djava.security.manager=allow",
          "-XX:+UseSerialGC",
          "-XX:TieredStopAtLevel=1",
          "-Xms64m",
          "-Xmx384m",
          `-Duser.home=${home}`,
          `-Drocketmq.home.dir=${home}`,
          "-Drocketmq.client.logUseSlf4j=false",
          "-Drocketmq.client.logLevel=WARN",
          "-Djava.net.preferIPv4Stack=true",
          `-Dtools.jar=${join(lib, tools)}`,
          "-cp",
          [buildDriver(lib), ...shared].join(":"),
          "AdminDriver",
        ],
        // Some commands write files where they are.
        { log, cwd: home, env: { ROCKETMQ_HOME: home, TZ: "UTC" } },
      ),
    );
    this.#child.onLine((text) => {
      // Loggers of the jars may write to the same stream.
      if (!text.startsWith(ANSWER)) return;
      const line = text.slice(ANSWER.length);
      const next = this.#waiting.shift();
      if (next) next(line);
      else this.#answers.push(line);
    });
  }

  /** One request of the driver's protocol; fails when it reports an error, ends or does not answer. */
  async ask(request, timeoutMs = 60_000) {
    this.#child.write(`${JSON.stringify(request)}\n`);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no answer to ${JSON.stringify(request)}; see ${this.#child.log}`)),
        timeoutMs + GRACE_MS,
      );
    });
    const ended = this.#child.exited.then(({ code, signal }) => {
      throw new Error(`the JVM of mqadmin ended (${signal ?? code}); see ${this.#child.log}`);
    });
    const line = new Promise((resolve) => {
      const ready = this.#answers.shift();
      if (ready) resolve(ready);
      else this.#waiting.push(resolve);
    });
    try {
      const answer = JSON.parse(await Promise.race([line, ended, late]));
      if (answer.error !== undefined) throw new Error(`${JSON.stringify(request)}: ${answer.error}`);
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  async close() {
    await this.#child.kill9();
  }
}
