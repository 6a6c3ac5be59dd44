// How long a message waits for a push consumer that starts, client by client and server by server.
//
//   node compat-tests/grpc/first.mjs [--rounds 3] [--client ID]... [--server skylark|apache-local|...]... [--calls]
//
// start: the client's own start; first: from its beginning to a message that waited, for a group that is known; next: of a message sent then;
// fresh: from the start of a new group's first consumer to the first of the messages that are sent every 100 ms. Medians (and the worst) in ms.
// Each of these clients looks for its queues a second after its start (Go's starts for another second): that time is theirs. `raw`, a consumer of
// our own that waits for nothing, shows the server's part. With --calls the clients go through a relay that sees each call: which part of `first`
// is the client's own, and which is the server's, method by method.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { apacheLib, Missing, WORK } from "../lib/build.mjs";
import { Ports } from "../lib/ports.mjs";
import { runClient } from "./lib/clientRun.mjs";
import { CLIENTS } from "./lib/clients.mjs";
import { firstBreakdown, shownBreakdown } from "./lib/firstCalls.mjs";
import { rawFirst } from "./lib/firstRaw.mjs";
import { createResources } from "./lib/resources.mjs";
import { makeServer } from "./lib/servers.mjs";
import { Tap } from "./lib/tap.mjs";

const SCENARIO = "push-first";
const PUSHERS = ["java-5.2.0", "java-5.0.8", "go-5.1.3", "python-5.1.2", "node-1.0.8"];
const RAW_ROUNDS = 20;
/** The relay's port behind the NameServer's: no other port of the block lies there. */
const TAP_OFFSET = 17;
const COLUMNS = ["start", "first", "next", "fresh"];

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    client: { type: "string", multiple: true, default: ["java-5.2.0", "go-5.1.3", "python-5.1.2", "node-1.0.8"] },
    server: { type: "string", multiple: true, default: ["apache-local", "skylark"] },
    calls: { type: "boolean", default: false },
  },
});
for (const id of options.client) if (!PUSHERS.includes(id)) throw new Error(`${id} has no push consumer`);

const logDir = join(WORK, "grpc-logs", "first");
mkdirSync(logDir, { recursive: true });
const dir = mkdtempSync(join(tmpdir(), "skylark-grpc-first-"));
const ports = new Ports(Number(process.env.SKYLARK_COMPAT_PORT ?? 24_800));
const variants = CLIENTS.flatMap((client) => {
  if (!options.client.includes(client.id)) return [];
  try {
    return [{ ...client.prepare(), id: client.id, tls: false }];
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    console.log(`!!! SKIPPED ${client.id}: ${error.message}`);
    return [];
  }
});
const runId = `f${Date.now().toString(36).slice(-5)}`;
const lines = [];
let failed = 0;
for (const kind of options.server) {
  const lib = kind.includes("apache") ? apacheLib() : undefined;
  const proxySettings = options.calls ? { useEndpointPortFromRequest: true } : {};
  const server = makeServer(kind, { dir: join(dir, kind), ...(await ports.take()), lib, proxySettings });
  await server.start();
  const tapPort = server.namesrvPort + TAP_OFFSET;
  const tap = options.calls ? await Tap.open(`127.0.0.1:${server.grpcPort}`, tapPort) : undefined;
  const reached = { kind, grpcPort: tap === undefined ? server.grpcPort : tapPort };
  const runs = Array.from({ length: RAW_ROUNDS }, (_, round) => `${runId}raw${round}`);
  report("raw", kind, await rawFirst(server, SCENARIO, runs));
  for (const variant of variants) {
    const all = [];
    for (let round = 0; round < Number(options.rounds); round++) {
      const run = `${runId}${variant.id.at(0)}${round}`;
      await createResources(server.brokerPort, run, [SCENARIO]);
      tap?.calls.splice(0);
      const result = (await runClient(variant, reached, [SCENARIO], run, { logDir, parallel: 1 })).get(SCENARIO);
      if (result.ok) {
        all.push(result.times);
        const parts = tap && firstBreakdown(tap.calls, result.times.first);
        if (parts !== undefined) console.log(`${variant.id} ${kind} ${shownBreakdown(parts)}`);
      } else {
        failed++;
        console.log(`FAILED ${variant.id} against ${kind}: ${result.detail} ${JSON.stringify(result.times ?? {})}`);
      }
    }
    report(variant.id, kind, all);
  }
  await tap?.close();
  await server.stop();
}
rmSync(dir, { recursive: true, force: true });
console.log(`\n| client | server | ${COLUMNS.join(" | ")} |\n| --- | --- |${" --- |".repeat(COLUMNS.length)}`);
for (const line of lines.sort()) console.log(line);
process.exit(failed > 0 || variants.length === 0 ? 1 : 0);

function report(client, kind, all) {
  const cells = COLUMNS.map((name) => summary(all.map((times) => Math.round(times[name]))));
  lines.push(`| ${client} | ${kind} | ${cells.join(" | ")} |`);
  console.log(lines.at(-1));
}

function summary(values) {
  if (values.length === 0) return "-";
  const sorted = values.sort((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)];
  return sorted.length === 1 ? `${median}` : `${median} (${sorted.at(-1)})`;
}
