// One run of one client's scenarios against one server: starts the client program, collects its JSON lines, does the faults it orders.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Child, own } from "./child.mjs";
import { runTool } from "./tool.mjs";

/** A client whose scenarios all hang has given up on each of them by then (180 s), and on closing it. */
const SILENCE_MS = 300_000;

/**
 * @typedef {{ ok: boolean, detail: string, ms: number, facts: Record<string, string> }} Outcome
 * @param {{ client: import("./build.mjs").Client & { id: string }, server: any, names: string[], parallel: number, runId: string, logDir: string, repeat?: number }} options
 *   `logDir` gets the client's output and, as its home directory, its own log files; `repeat` is how often each scenario runs.
 * @returns {Promise<Map<string, Outcome[]>>} by scenario; each name has as many outcomes as it was to run.
 */
export async function runClient({ client, server, names, parallel, runId, logDir, repeat = 1 }) {
  const home = join(logDir, `${client.id}-${server.kind}-${runId}`);
  mkdirSync(home, { recursive: true });
  const options = {
    namesrv: server.namesrvAddr,
    broker: server.brokerAddr,
    run: runId,
    parallel,
    repeat,
  };
  const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, `${value}`]);
  const child = own(
    new Child(client.id, client.command, [...client.args(home), ...args, ...names], {
      log: join(home, "out.log"),
      env: client.env?.(home),
    }),
  );
  const results = new Map(names.map((name) => [name, []]));
  let timer;
  const listen = () => {
    clearTimeout(timer);
    timer = setTimeout(() => child.kill9(), SILENCE_MS);
  };
  listen();
  child.onLine((line) => {
    listen();
    if (line.startsWith("@@ ")) {
      fault(server, line.slice(3), logDir).then(
        (said) => child.write(`done ${said ?? ""}`.trimEnd().concat("\n")),
        (error) => child.write(`failed ${error.message.replaceAll("\n", " ")}\n`),
      );
    } else if (line.startsWith("{")) {
      const { scenario, ...result } = JSON.parse(line);
      results.get(scenario)?.push(result);
    }
  });
  const { code, signal } = await child.exited;
  clearTimeout(timer);
  for (const outcomes of results.values()) {
    while (outcomes.length < repeat) {
      const detail = `the client ended (${signal ?? code}) without a result; see ${child.log}`;
      outcomes.push({ ok: false, detail, ms: 0, facts: {} });
    }
  }
  return results;
}

/** Does what a scenario orders; what it returns is handed back to the scenario. */
async function fault(server, order, logDir) {
  const [name, ...words] = order.split(" ");
  switch (name) {
    case "tool":
      return runTool(words, logDir);
    case "restart-broker":
      return server.restartBroker();
    case "kill9-broker":
      await server.killBroker();
      return server.startBroker();
    case "stop-namesrv":
      return server.stopNamesrv();
    case "start-namesrv":
      return server.startNamesrv();
    default:
      throw new Error(`no fault ${order}`);
  }
}

/** The scenarios a client offers. */
export async function listScenarios(client, logDir) {
  const child = own(
    new Child(client.id, client.command, [...client.args(logDir), "--list"], {
      log: join(logDir, `${client.id}-list.log`),
    }),
  );
  const names = [];
  child.onLine((line) => names.push(line.trim()));
  await child.exited;
  return names.filter((name) => name !== "");
}
