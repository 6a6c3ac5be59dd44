// One run of one client's scenarios against one server: starts the client program, collects its JSON lines, does the faults it orders.

import { join } from "node:path";
import { Child, own } from "./child.mjs";
import { runTool } from "./tool.mjs";

/**
 * @param {{ client: { id: string, command: string, args: string[] }, server: any, names: string[], parallel: number, runId: string, logDir: string }} options
 * @returns {Promise<Map<string, { ok: boolean, detail: string, ms: number, facts: Record<string, string> }>>} by scenario; each name has one.
 */
export async function runClient({ client, server, names, parallel, runId, logDir }) {
  const args = [
    "--namesrv",
    server.namesrvAddr,
    "--broker",
    server.brokerAddr,
    "--run",
    runId,
    "--parallel",
    `${parallel}`,
  ];
  const child = own(
    new Child(client.id, client.command, [...client.args, ...args, ...names], {
      log: join(logDir, `${client.id}-${server.kind}.log`),
    }),
  );
  const results = new Map();
  child.onLine((line) => {
    if (line.startsWith("@@ ")) {
      fault(server, line.slice(3), logDir).then(
        (said) => child.write(`done ${said ?? ""}`.trimEnd().concat("\n")),
        (error) => child.write(`failed ${error.message.replaceAll("\n", " ")}\n`),
      );
    } else if (line.startsWith("{")) {
      const { scenario, ...result } = JSON.parse(line);
      results.set(scenario, result);
    }
  });
  // Every scenario has its own limit inside the client; this one is for a client that hangs as a whole.
  const limitMs = 180_000 + 30_000 * names.length;
  const timer = setTimeout(() => child.kill9(), limitMs);
  const { code, signal } = await child.exited;
  clearTimeout(timer);
  for (const name of names) {
    if (!results.has(name)) {
      const detail = `the client ended (${signal ?? code}) without a result; see ${child.log}`;
      results.set(name, { ok: false, detail, ms: 0, facts: {} });
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
    new Child(client.id, client.command, [...client.args, "--list"], { log: join(logDir, `${client.id}-list.log`) }),
  );
  const names = [];
  child.onLine((line) => names.push(line.trim()));
  await child.exited;
  return names.filter((name) => name !== "");
}
