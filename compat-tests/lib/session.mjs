// One run of one client's scenarios against one server: starts the client program, collects its JSON lines, does the faults it orders.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Child, own } from "./child.mjs";
import { runTool } from "./tool.mjs";

/** A client whose scenarios all hang has given up on each of them by then (180 s), and on closing it. */
const SILENCE_MS = 300_000;

/**
 * @typedef {{ ok: boolean, detail: string, ms: number, facts: Record<string, string> }} Outcome
 * @param {{ client: import("./build.mjs").Client & { id: string }, parts: { names: string[], server: any }[], parallel: number, runId: string, home: string, logDir: string, repeat?: number }} options
 *   `home` gets the client's output and its own log files; `repeat` is how often each scenario runs. The first server is the one that a
 *   scenario's faults are done to.
 * @returns {Promise<Map<string, Outcome[]>>} by scenario; each name has as many outcomes as it was to run.
 */
export async function runClient({ client, parts, parallel, runId, home, logDir, repeat = 1 }) {
  mkdirSync(home, { recursive: true });
  const args = ["--run", runId, "--parallel", `${parallel}`, "--repeat", `${repeat}`];
  for (const { names, server } of parts)
    args.push("--namesrv", server.namesrvAddr, "--broker", server.brokerAddr, ...names);
  const child = own(
    new Child(client.id, client.command, [...client.args(home), ...args], {
      log: join(home, "out.log"),
      env: client.env?.(home),
    }),
  );
  const names = parts.flatMap((part) => part.names);
  const [{ server }] = parts;
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

/** Does what a scenario orders; the text it returns, if any, is handed back to the scenario. */
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
      await server.stopNamesrv();
      return undefined;
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
