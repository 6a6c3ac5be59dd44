// Compiles the Java half of the dumper and runs its views.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("src/", import.meta.url));
const CLASSES = ["Dumper", "Json", "WireDump", "OptionDump", "ProtoDump", "ConfigProbe"];

/**
 * Calls `use` with a function that runs one view; everything that was written for it is gone afterwards.
 * @template T
 * @param {string} jarDirectory the Apache jars with all their dependencies.
 * @param {(view: (name: string, argument: string, processors?: number) => any, directory: string) => T} use also gets the
 *   directory that stands for user.home; ROCKETMQ_HOME is its sister `rocketmq`.
 * @returns {T}
 */
export function withDumper(jarDirectory, use) {
  const work = mkdtempSync(join(tmpdir(), "skylark-dumper-"));
  try {
    const [classes, home] = [join(work, "classes"), join(work, "home")];
    mkdirSync(classes);
    mkdirSync(home);
    const classPath = [classes, join(jarDirectory, "*")].join(delimiter);
    const sources = CLASSES.map((name) => join(SOURCES, `${name}.java`));
    execFileSync("javac", ["-nowarn", "-proc:none", "-cp", classPath, "-d", classes, ...sources], {
      stdio: ["ignore", 2, 2],
    });
    const view = (name, argument, processors = 1) => {
      const output = join(work, "view.json");
      const jvm = ["-Xmx256m", `-XX:ActiveProcessorCount=${processors}`, `-Duser.home=${home}`, "-cp", classPath];
      const { NAMESRV_ADDR: _, ...environment } = process.env;
      execFileSync("java", [...jvm, "Dumper", name, argument, output], {
        env: { ...environment, ROCKETMQ_HOME: join(work, "rocketmq") },
        stdio: ["ignore", "ignore", 2],
      });
      return JSON.parse(readFileSync(output, "utf8"));
    };
    return use(view, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
