// `skylark start --shards 2` under official clients: one of the shards is killed with SIGKILL in the middle and comes back.
//
//   node compat-tests/shards/run.mjs [--server skylark|apache] [--keep]
//
// mqadmin creates a topic on the cluster: both brokers have it. One Java producer sends one message after the other, a group of two push
// consumers gets them; then one broker is killed. The producer must go on with the other one; the killed one is back (by itself, with
// Skylark; Apache's is started again by the script) and takes messages again. Nothing that was answered SEND_OK may be missing, nothing
// unknown may arrive, and the supervisor's log must say that one shard was started again, and that the other was not. Then all stop in order.
// Prints a line per server and "N passed, N failed".

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing, WORK } from "../lib/build.mjs";
import { Child, own } from "../lib/child.mjs";
import { mqadmin, Traffic } from "../lib/clusterClient.mjs";
import { writeProperties } from "../lib/config.mjs";
import { freePorts } from "../lib/ports.mjs";
import { COMMON } from "../lib/setups.mjs";

const BIN = join(process.env.SKYLARK_ROOT ?? fileURLToPath(new URL("../../", import.meta.url)), "bin");
const NAMES = ["broker-a-0", "broker-a-1"];
const TOPIC = "Sharded";
const GROUP = "ShardedGroup";
const QUEUES = 4;
/** Messages that each broker takes before the kill, the other one during it, and each after it. */
const SHARE = 200;
const START_LIMIT_MS = 180_000;
const SETTINGS = { ...COMMON, mappedFileSizeCommitLog: 64 * 1024 * 1024 };

const { values: options } = parseArgs({
  options: {
    server: { type: "string", multiple: true, default: ["skylark"] },
    keep: { type: "boolean", default: false },
  },
});

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED shards: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const tempDir = mkdtempSync(join(tmpdir(), "skylark-shards-"));
let nextPort = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 800;
const results = [];

async function scenario(kind) {
  const began = Date.now();
  const dir = join(tempDir, kind);
  mkdirSync(dir, { recursive: true });
  const cluster = kind === "skylark" ? new SkylarkShards(dir) : new ApacheBrokers(dir);
  const facts = {};
  let detail = "";
  try {
    await cluster.start();
    const place = { dir, lib };
    const { namesrvAddr } = cluster;
    const created = `updateTopic -n ${namesrvAddr} -c DefaultCluster -t ${TOPIC} -r ${QUEUES} -w ${QUEUES}`;
    [facts.created] = await mqadmin(place, [created]);
    const queues = QUEUES * NAMES.length;
    const traffic = new Traffic({ ...place, namesrvAddr, topic: TOPIC, group: GROUP, members: 2, queues });
    await traffic.ready();
    await traffic.more(SHARE, NAMES);
    await cluster.kill(1);
    const killed = Date.now();
    await traffic.more(SHARE, [NAMES[0]]);
    await cluster.back(1);
    facts.backMs = Date.now() - killed;
    await traffic.more(SHARE, NAMES);
    facts.traffic = await traffic.finish();
    const { missing, unknown } = facts.traffic;
    if (missing > 0 || unknown > 0) throw new Error(`${missing} answered messages missing, ${unknown} unknown`);
    const [progress] = await mqadmin(place, [`consumerProgress -n ${namesrvAddr} -g ${GROUP}`]);
    for (const name of NAMES) {
      const rows = progress.split("\n").filter((line) => line.startsWith(`${TOPIC} `) && line.includes(` ${name} `));
      if (rows.length !== QUEUES)
        throw new Error(`consumerProgress shows ${rows.length} queues of ${name}: ${progress}`);
    }
    detail = await cluster.stop();
  } catch (error) {
    detail = error.message;
  }
  await cluster.kill9();
  const ok = detail === "";
  results.push({ server: kind, ok, detail, seconds: (Date.now() - began) / 1000, facts });
  const what = ok ? `${JSON.stringify(facts.traffic)}, back after ${facts.backMs} ms` : detail;
  console.log(`${ok ? "ok  " : "FAIL"} ${kind}: ${what} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}

/** Free ports for a NameServer and two brokers, the second ten ports above the first. */
async function ports() {
  for (;;) {
    const first = await freePorts(nextPort);
    const second = await freePorts(first.next);
    nextPort = second.next;
    if (second.namesrvPort === first.next) return { ...first, spare: second.brokerPort };
  }
}

class SkylarkShards {
  #dir;
  #log;
  #child;

  constructor(dir) {
    this.#dir = dir;
    this.#log = join(dir, "shards.log");
  }

  async start() {
    const { namesrvPort, brokerPort, spare } = await ports();
    this.namesrvAddr = `127.0.0.1:${namesrvPort}`;
    const file = join(this.#dir, "broker.conf");
    writeProperties(file, { brokerIP1: "127.0.0.1", ...SETTINGS });
    const flags = ["--shards", "2", "--store", join(this.#dir, "store"), "-c", file, "--no-console"];
    flags.push("--namesrv-port", namesrvPort, "--listen-port", brokerPort, "--grpc-port", spare + 5);
    const args = [join(BIN, "skylark"), "start", ...flags.map(String)];
    this.#child = own(new Child("Skylark's shards", process.execPath, args, { log: this.#log }));
    for (const name of NAMES)
      await this.#child.line(new RegExp(`^The broker\\[${name}, .* boot success`), START_LIMIT_MS);
  }

  async kill(index) {
    process.kill(Number((await this.#logged(`${NAMES[index]} is ready \\(pid (\\d+),`))[1]), "SIGKILL");
  }

  async back(index) {
    await this.#logged(`${NAMES[index]} \\(pid \\d+\\) was ended by SIGKILL; it is started again in 1 s`);
    await this.#logged(`${NAMES[index]} is back`);
  }

  async stop() {
    const log = readFileSync(this.#log, "utf8");
    const starts = NAMES.map((name) => log.match(new RegExp(`${name} is (?:ready|back) `, "g"))?.length);
    const end = await this.#child.terminate();
    if (end.code !== 0) return `the shards ended with ${JSON.stringify(end)}`;
    return starts.join() === "1,2" ? "" : `starts of the shards: ${starts.join(", ")} instead of 1 and 2`;
  }

  async kill9() {
    await this.#child?.kill9();
  }

  async #logged(pattern) {
    const deadline = Date.now() + START_LIMIT_MS;
    for (;;) {
      const found = new RegExp(pattern).exec(readFileSync(this.#log, "utf8"));
      if (found !== null) return found;
      if (Date.now() > deadline) throw new Error(`the log never said ${pattern}; see ${this.#log}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** The same by hand: two brokers under one NameServer. */
class ApacheBrokers {
  #dir;
  #brokers = [];

  constructor(dir) {
    this.#dir = dir;
  }

  async start() {
    const { namesrvPort, brokerPort, spare } = await ports();
    this.namesrvAddr = `127.0.0.1:${namesrvPort}`;
    this.#brokers = [brokerPort, spare].map((port, index) => {
      const dir = join(this.#dir, NAMES[index]);
      mkdirSync(dir, { recursive: true });
      const settings = { ...SETTINGS, brokerName: NAMES[index], haListenPort: port + 1 };
      return new ApacheServer({ dir, lib, namesrvPort, brokerPort: port, settings });
    });
    await this.#brokers[0].startNamesrv();
    for (const broker of this.#brokers) await broker.startBroker();
  }

  kill(index) {
    return this.#brokers[index].killBroker();
  }

  back(index) {
    return this.#brokers[index].startBroker();
  }

  async stop() {
    const ends = await Promise.all([...this.#brokers].reverse().map((broker) => broker.stopGracefully()));
    const killed = ends.flat().some((end) => end.killed);
    return killed ? "a broker did not stop" : "";
  }

  async kill9() {
    for (const broker of this.#brokers) await broker.kill9();
  }
}

for (const server of options.server) await scenario(server);
const failed = results.filter(({ ok }) => !ok).length;
mkdirSync(WORK, { recursive: true });
writeFileSync(join(WORK, "shards.json"), `${JSON.stringify(results, null, 2)}\n`);
if (options.keep || failed > 0) console.log(`files kept in ${tempDir}`);
else rmSync(tempDir, { recursive: true, force: true });
console.log(`shards: ${results.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
