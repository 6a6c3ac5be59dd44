// Fail-over by Apache's Controller: brokers of either make in one group, their master killed again and again.
//
//   node compat-tests/ha/controller.mjs [--brokers skylark,skylark]... [--controllers N] [--kills N] [--keep]
//
// For each pair of brokers: they get ids, elect a master and come into the set of brokers that hold everything. A client sends one message
// after the other, with allAckInSyncStateSet. Each kill ends the master with SIGKILL: the other must be master, with sends answered, within
// the limit; the old one comes back, follows, and is in the set again. Before one of the kills the slave stands still, so that the master
// stores what nobody else has: its log must be cut when it comes back. In the end both logs are the same bytes, no message answered SEND_OK is
// missing, and mqadmin says of the epochs what the files say.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing, WORK } from "../lib/build.mjs";
import { Child, own } from "../lib/child.mjs";
import { Controllers } from "../lib/controller.mjs";
import { freePorts } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";

const run = promisify(execFile);
const FAILOVER = fileURLToPath(new URL("Failover.java", import.meta.url));
const TOPIC = "Failover";
const BROKER_NAME = "broker-a";
const FILE_BYTES = 1024 * 1024;
/** From the kill to the first message that the new master answers. The Controller takes about a second of it. */
const FAILOVER_LIMIT_MS = 30_000;
const LIMIT_MS = 90_000;

const { values: options } = parseArgs({
  options: {
    brokers: { type: "string", multiple: true, default: ["skylark,skylark"] },
    controllers: { type: "string", default: "1" },
    kills: { type: "string", default: "2" },
    keep: { type: "boolean", default: false },
  },
});

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED controller: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const tempDir = mkdtempSync(join(tmpdir(), "skylark-controller-"));
let nextPort = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 700;
const results = [];
for (const pair of options.brokers) await group(pair.split(","));
const failed = results.filter(({ ok }) => !ok).length;
mkdirSync(WORK, { recursive: true });
writeFileSync(join(WORK, "controller.json"), `${JSON.stringify(results, null, 2)}\n`);
if (options.keep || failed > 0) console.log(`files kept in ${tempDir}`);
else rmSync(tempDir, { recursive: true, force: true });
console.log(`controller: ${results.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

async function ports() {
  const { next, ...place } = await freePorts(nextPort);
  nextPort = next;
  return place;
}

async function group(kinds) {
  const name = `${kinds.join(" and ")}, ${options.controllers} Controller${options.controllers === "1" ? "" : "s"}`;
  const dir = join(tempDir, kinds.join("-"));
  const begin = Date.now();
  const facts = { failovers: [] };
  const servers = [];
  let sender;
  let detail = "";
  try {
    const place = await ports();
    const namesrv = server("skylark", join(dir, "namesrv"), place, place, {});
    servers.push(namesrv);
    await namesrv.startNamesrv();
    const controllerPorts = [];
    for (let i = 0; i < Number(options.controllers); i++) controllerPorts.push((await ports()).namesrvPort);
    const controllers = new Controllers({ dir, lib, ports: controllerPorts });
    servers.push(controllers);
    await controllers.start();
    await until("a leading Controller", LIMIT_MS, async () => (await controllers.leader()) !== undefined);

    const settings = { enableControllerMode: true, controllerAddr: controllers.addresses };
    const brokers = [];
    for (const [i, kind] of kinds.entries()) {
      const broker = server(kind, join(dir, `broker-${i}`), await ports(), place, settings);
      brokers.push(broker);
      servers.push(broker);
      await broker.startBroker();
    }
    const replicas = () => controllers.replicas(BROKER_NAME);
    const all = async () => (await replicas())?.set.length === kinds.length;
    await until("a set of all brokers", LIMIT_MS, all);
    facts.first = await replicas();

    await mqadmin(
      dir,
      "updateTopic",
      "-n",
      namesrv.namesrvAddr,
      "-c",
      "DefaultCluster",
      "-t",
      TOPIC,
      "-r",
      "4",
      "-w",
      "4",
    );
    sender = client(dir, "send", namesrv.namesrvAddr, TOPIC, join(dir, "acked"));
    await acked(sender, 200);

    for (let kill = 0; kill < Number(options.kills); kill++) {
      const { masterAddress, epoch } = await replicas();
      const master = brokers.find((broker) => broker.brokerAddr === masterAddress);
      const slave = brokers.find((broker) => broker !== master);
      // What the master stores from here on, nobody else gets.
      const alone = kill === Number(options.kills) - 1;
      if (alone) {
        // More than the sockets between them hold: what they hold, the slave gets in the end.
        const flood = client(dir, "flood", namesrv.namesrvAddr, TOPIC, 80, 500_000);
        await flood.line(/^ready/, LIMIT_MS);
        slave.freeze(true);
        flood.write("now\n");
        await flood.line(/^\{"flooded"/, LIMIT_MS);
      }
      const killed = Date.now();
      await master.killBroker();
      if (alone) slave.freeze(false);
      await until("another master", FAILOVER_LIMIT_MS, async () => {
        const now = await replicas();
        return now?.masterId !== undefined && now.epoch > epoch && now.masterAddress !== masterAddress;
      });
      const electedMs = Date.now() - killed;
      await acked(sender, 400);
      facts.failovers.push({ from: master.kind, to: slave.kind, alone, electedMs, ackedMs: Date.now() - killed });
      const before = alone ? logBytes(master) : 0;
      await master.startBroker();
      await until("the old master in the set", LIMIT_MS, all);
      if (alone) {
        facts.cutBytes = before - Number(/^\d+-(\d+)$/m.exec(epochsOf(slave).split("\n").at(-2))?.[1]);
        if (!(facts.cutBytes > 0))
          throw new Error(`the old master's log had ${before} bytes, and nothing was cut: ${epochsOf(slave)}`);
      }
    }
    sender.write("stop\n");
    facts.sent = JSON.parse(await sender.line(/^\{/, LIMIT_MS));
    if (facts.sent.error !== undefined) throw new Error(facts.sent.error);
    facts.bytes = await identicalLogs(brokers);
    const checker = client(dir, "check", namesrv.namesrvAddr, TOPIC, "FailoverGroup", join(dir, "acked"));
    facts.read = JSON.parse(await checker.line(/^\{/, LIMIT_MS));
    if (facts.read.error !== undefined) throw new Error(facts.read.error);
    if (facts.read.missing !== 0)
      throw new Error(`${facts.read.missing} of ${facts.read.expected} messages answered SEND_OK are gone`);
    facts.epochs = brokers.map(epochsOf);
    if (new Set(facts.epochs).size !== 1) throw new Error(`the epoch files differ: ${JSON.stringify(facts.epochs)}`);
    facts.mqadmin = await mqadmin(dir, "getBrokerEpoch", "-n", namesrv.namesrvAddr, "-b", BROKER_NAME);
    for (const [, epoch, start] of facts.epochs[0].matchAll(/^(\d+)-(\d+)$/gm)) {
      if (!new RegExp(`\\b${epoch}\\b.*\\b${start}\\b`).test(facts.mqadmin.replaceAll("\n", " ")))
        throw new Error(`getBrokerEpoch lacks ${epoch}-${start}: ${facts.mqadmin}`);
    }
  } catch (error) {
    detail = error.message;
  }
  await sender?.kill9().catch(() => {});
  for (const one of servers.reverse()) await one.kill9().catch(() => {});
  const ok = detail === "";
  const seconds = (Date.now() - begin) / 1000;
  results.push({ group: name, ok, detail, seconds, facts });
  const times = facts.failovers.map(
    ({ electedMs, ackedMs, to, alone }) => `${to} ${electedMs}/${ackedMs} ms${alone ? " (cut)" : ""}`,
  );
  const what = ok
    ? `: ${times.join(", ")}; ${facts.cutBytes} bytes cut; ${facts.sent.acked} messages answered, none missing, ${facts.bytes} log bytes identical`
    : `: ${detail}`;
  console.log(`${ok ? "ok  " : "FAIL"} ${name}${what} (${seconds.toFixed(1)} s)`);
}

function server(kind, dir, place, namesrv, settings) {
  mkdirSync(dir, { recursive: true });
  const common = {
    dir,
    namesrvPort: namesrv.namesrvPort,
    brokerPort: place.brokerPort,
    settings: {
      mappedFileSizeCommitLog: FILE_BYTES,
      haListenPort: place.brokerPort + 1,
      flushConsumerOffsetInterval: 1_000,
      allAckInSyncStateSet: true,
      // A machine that is busy with something else must not take a broker that stands still for a dead one.
      haMaxTimeSlaveNotCatchup: 60_000,
      haHousekeepingInterval: 60_000,
      controllerHeartBeatTimeoutMills: 60_000,
      ...settings,
    },
  };
  return kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer({ ...common, layout: "split" });
}

function java(dir, main, words) {
  const flags = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", `-Duser.home=${dir}`];
  return [...flags, "-Drocketmq.client.logLevel=WARN", "-cp", join(lib, "*"), main, ...words.map(String)];
}

function client(dir, ...words) {
  return own(new Child(words[0], "java", java(dir, FAILOVER, words), { log: join(dir, `${words[0]}.log`) }));
}

/** Waits until so many more messages were answered SEND_OK than had been when called. */
async function acked(sender, more) {
  let first;
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${more} messages answered within ${LIMIT_MS} ms`)), LIMIT_MS);
    const stop = sender.onLine((line) => {
      const count = Number(/^acked (\d+)$/.exec(line)?.[1]);
      if (Number.isNaN(count)) return;
      first ??= count;
      if (more > 200 && count - first < more - 200) return;
      clearTimeout(timer);
      stop();
      resolve();
    });
  });
}

async function mqadmin(dir, ...words) {
  const { stdout } = await run("java", java(dir, "org.apache.rocketmq.tools.command.MQAdminStartup", words), {
    env: { ...process.env, ROCKETMQ_HOME: dir },
    timeout: 60_000,
  });
  return stdout;
}

function epochsOf({ store }) {
  return readFileSync(join(store, "epochFileCheckpoint"), "utf8");
}

function logFiles({ store }) {
  const dir = join(store, "commitlog");
  return readdirSync(dir)
    .filter((name) => /^\d{20}$/.test(name))
    .map((name) => [name, readFileSync(join(dir, name))]);
}

function logBytes(broker) {
  return logFiles(broker).reduce((sum, [, content]) => sum + usedBytes(content), 0);
}

/** Waits until all logs have the same files with the same bytes; hands back how many. */
async function identicalLogs([first, ...others]) {
  let difference = "";
  await until("identical logs", LIMIT_MS, () => {
    difference = "";
    let bytes = 0;
    const ours = logFiles(first);
    for (const [name, content] of ours) {
      bytes += usedBytes(content);
      for (const other of others) {
        const theirs = new Map(logFiles(other)).get(name);
        // The next file is made ahead of its first byte by an Apache broker.
        if (theirs === undefined ? content.some((byte) => byte !== 0) : !theirs.equals(content)) difference = name;
      }
    }
    return difference === "" && bytes > 0;
  });
  return logBytes(first);
}

function usedBytes(content) {
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  return end;
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(what, limitMs, done) {
  const deadline = Date.now() + limitMs;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`no ${what} within ${limitMs} ms`);
    await sleep(200);
  }
}
