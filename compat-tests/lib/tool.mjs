// The admin tools of 5.5.0 in a JVM of their own, for scenarios whose client is of another version or language.

import { join } from "node:path";
import { javaClient } from "./build.mjs";
import { Child, own } from "./child.mjs";

const LIMIT_MS = 90_000;

/** Built when it is first needed. */
let client;

/**
 * @param {string[]} words the tool's name and its arguments, see skylark.compat.Tool.
 * @param {string} logDir
 * @returns {Promise<string>} what it said; fails with its own reason.
 */
export async function runTool(words, logDir) {
  client ??= javaClient("5.5.0");
  const child = own(
    new Child("tool", client.command, [...client.args(logDir, "skylark.compat.Tool"), ...words], {
      log: join(logDir, "tool.log"),
    }),
  );
  let last = "";
  child.onLine((line) => {
    last = line;
  });
  const timer = setTimeout(() => child.kill9(), LIMIT_MS);
  await child.exited;
  clearTimeout(timer);
  if (last.startsWith("said ")) return last.slice("said ".length);
  throw new Error(last || `the tool ${words[0]} ended without a word; see ${child.log}`);
}
