// Looking at containers from outside: their lines, their state, a condition that comes true.

import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { docker } from "./engine.mjs";

/** Generous: an engine and its images on a machine that others use as well. */
const LIMIT_MS = 120_000;
const AGAIN_MS = 200;

/** Lines that servers print when they serve; `any` is what recipes wait for that start two in one container. */
export const READY = {
  any: /.*The.*boot success.*/,
  namesrv: /^The Name Server boot success/m,
  broker: /^The broker\[.*\] boot success/m,
  proxy: /^.*rocketmq-proxy startup successfully/m,
};

/** Resolves when the container's output has matched so many times; fails with that output when it ends first or the time is up. */
export function said(id, pattern, times = 1) {
  return new Promise((resolve, reject) => {
    const logs = spawn("docker", ["logs", "-f", id], { stdio: ["ignore", "pipe", "pipe"] });
    const all = [];
    let left = times;
    const end = (settle) => {
      clearTimeout(timer);
      logs.kill();
      settle();
    };
    const fail = (why) => end(() => reject(new Error(`${why}:\n${all.join("\n")}`)));
    const timer = setTimeout(() => fail(`not ${times} times ${pattern}`), LIMIT_MS);
    for (const stream of [logs.stdout, logs.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        all.push(line);
        if (pattern.test(line) && --left === 0) end(resolve);
      });
    }
    logs.on("close", () => fail(`the container ended before it said ${pattern}`));
  });
}

/** Everything it has said. */
export function output(id) {
  const { stdout, stderr } = spawnSync("docker", ["logs", id], { encoding: "utf8", maxBuffer: 64 << 20 });
  return `${stdout}${stderr}`;
}

/** One field of `docker inspect`, as its template says it. */
export function inspect(id, template) {
  return docker(["inspect", "-f", template, id]);
}

/** Runs a command inside. @returns {{ status: number | null, text: string }} both streams of it. */
export function inside(id, command, flags = []) {
  const { status, stdout, stderr } = spawnSync("docker", ["exec", ...flags, id, ...command], { encoding: "utf8" });
  return { status, text: `${stdout}${stderr}` };
}

/** Asks again until the answer pleases. @returns the last answer, whether it pleased or the time was up. */
export async function until(ask, pleases, limitMs = LIMIT_MS) {
  const end = Date.now() + limitMs;
  for (;;) {
    const answer = ask();
    if (pleases(answer) || Date.now() > end) return answer;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** `docker stop`, and how it went. @returns {{ tookMs: number, exitCode: number }} */
export function stop(id, graceSeconds = 10) {
  const began = Date.now();
  docker(["stop", "-t", `${graceSeconds}`, id]);
  return { tookMs: Date.now() - began, exitCode: Number(inspect(id, "{{.State.ExitCode}}")) };
}
