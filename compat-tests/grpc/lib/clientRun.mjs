// One run of a client's program: its scenarios, and what it said of each.

import { join } from "node:path";
import { Child, own } from "../../lib/child.mjs";

const LIMIT_MS = 240_000;
const LIMIT_EACH_MS = 20_000;

/**
 * @param {{ id: string, command: string, args: string[], cwd?: string, env?: object, tls: boolean }} variant
 * @param {{ kind: string, grpcPort: number }} server
 * @param {string[]} names of scenarios @param {string} run as in the names of topics and groups
 * @returns {Promise<Map<string, { ok: boolean, detail: string, ms: number, facts: object, times?: object }>>} by scenario
 */
export async function runClient(variant, server, names, run, { logDir, parallel }) {
  const args = ["--endpoints", `127.0.0.1:${server.grpcPort}`, "--run", run, "--parallel", `${parallel}`];
  if (variant.tls) args.push("--tls");
  const child = own(
    new Child(variant.id, variant.command, [...variant.args, ...args, ...names], {
      log: join(logDir, `${variant.id.replaceAll(" ", "-")}-${server.kind}.log`),
      cwd: variant.cwd,
      env: variant.env,
    }),
  );
  const results = new Map();
  child.onLine((line) => {
    if (!line.startsWith("{")) return;
    const { scenario, ...result } = JSON.parse(line);
    results.set(scenario, result);
  });
  const timer = setTimeout(() => child.kill9(), LIMIT_MS + LIMIT_EACH_MS * names.length);
  const { code, signal } = await child.exited;
  clearTimeout(timer);
  for (const name of names) {
    if (results.has(name)) continue;
    results.set(name, {
      ok: false,
      detail: `the client ended (${signal ?? code}) without a result; see ${child.log}`,
      ms: 0,
      facts: {},
    });
  }
  return results;
}
