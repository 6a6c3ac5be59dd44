// Skylark's own small mqadmin in place of the official one (run.mjs --own): how it is called, and in what it differs on purpose.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { COMMAND_NAMES } from "../../dist/mqadmin/commands.js";

const PROGRAM = fileURLToPath(new URL("../../bin/mqadmin", import.meta.url));
const NAMES = new Set([...COMMAND_NAMES, "noSuchCommand"]);
/** Our own consumeMessage pulls without joining a group, so that it leaves no retry topics behind. */
const PULLERS = [/^%RETRY%(AdminConsume|TOOLS_CONSUMER)\n/gm, ""];
const CHANGES = /^(update|delete|set|clone|skip|wipe|add)/;
/** Java prints these in the order of its hashes; here they are sorted. */
const SORTED = new Set(["getBrokerConfig", "getNamesrvConfig", "resetOffsetByTime", "topicList"]);
/** By the beginning of a line. */
const DIFFERS = new Map([
  ["noSuchCommand", [/knows brokerStatus, .*official mqadmin/, "names the commands it has, and ends with 1"]],
  [
    'updateSubGroup -b {broker} -g PolicyGroup -p {"type":"NO_SUCH"}',
    [/NO_SUCH is neither/, "refuses a type that is none"],
  ],
  ["resetOffsetByTime -g OfflineGroup -t AdminTopic -s noTime", [/noTime is neither/, "the exception says why"]],
  ['sendMessage -t AdminTopic -p "two words" -m true', [/without a trace/, "sends no trace, and says so"]],
]);

/** Whether our own mqadmin is to answer this step. */
export function isOwn({ command }) {
  return NAMES.has(command);
}

/** Whether a step is part of the script for our own mqadmin: what it answers, and what changes what it sees. */
export function isForOwn(step) {
  return step.kind !== "run" || isOwn(step) || CHANGES.test(step.command);
}

/** The step with its lines sorted for comparison, where only their order differs. */
export function ownOrder(step) {
  if (step.command === "topicList") return { ...step, sort: true, mask: [...(step.mask ?? []), PULLERS] };
  return SORTED.has(step.command) ? { ...step, sort: true } : step;
}

/** The step with the difference that our own mqadmin has on purpose, if it has one. */
export function ownDifference(step) {
  for (const [beginning, differs] of DIFFERS) if (step.line.startsWith(beginning)) return { ...step, differs };
  return step;
}

/** Runs one command line. @returns {Promise<{ status: number | undefined, out: string, err: string, ms: number }>} */
export function runOwn(args, timeoutMs) {
  const began = Date.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      env: { PATH: process.env.PATH, TZ: "UTC" },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: timeoutMs,
    });
    let [out, err] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      err += text;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ status: code ?? undefined, out, err, ms: Date.now() - began }));
  });
}
