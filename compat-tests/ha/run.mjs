// Replication between servers of either make: a master, a slave, messages, and the master's death.
//
//   node compat-tests/ha/run.mjs [--master skylark|apache] [--slave skylark|apache] [--role async|sync] [--keep]
//
// For each combination (default: all but Apache with Apache, which --self adds): the official Java client sends messages through several
// rolls of small commit log files; the slave's files must become byte-identical; what mqadmin haStatus says is noted; the slave takes over
// topics, groups and consumer offsets; the master is killed and everything is read from the slave by the official push consumer, every
// message with the queue, offset, id and body that its sender was told. With SYNC_MASTER, a master without its slave must answer
// FLUSH_SLAVE_TIMEOUT. Prints a line per combination and "N passed, N failed".

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing, WORK } from "../lib/build.mjs";
import { Ports } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { Slots } from "../lib/slots.mjs";

const run = promisify(execFile);
const REPLICA = fileURLToPath(new URL("Replica.java", import.meta.url));
const TOPIC = "Replicated";
const LATE_TOPIC = "Late";
const QUEUES = 4;
const COUNT = Number(process.env.SKYLARK_HA_COUNT ?? 3_000);
const BODY_BYTES = 1_000;
const FILE_BYTES = 1024 * 1024;
const SAME_LIMIT_MS = 60_000;
/** An Apache slave asks for metadata every minute. */
const METADATA_LIMIT_MS = 150_000;
const SLAVE = { brokerRole: "SLAVE", brokerId: 1, slaveReadEnable: true };

const { values: options } = parseArgs({
  options: {
    master: { type: "string", multiple: true, default: ["skylark", "apache"] },
    slave: { type: "string", multiple: true, default: ["skylark", "apache"] },
    role: { type: "string", multiple: true, default: ["async", "sync"] },
    self: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED ha: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const tempDir = mkdtempSync(join(tmpdir(), "skylark-ha-"));
const ports = new Ports(Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 500);
const results = [];
// A combination mostly waits: slaves ask for metadata once a minute.
const slots = new Slots(2);
const runs = [];
for (const master of options.master) {
  for (const slave of options.slave) {
    if (master === "apache" && slave === "apache" && !options.self) continue;
    for (const role of options.role) runs.push(slots.run(() => combination(master, slave, role)));
  }
}
await Promise.all(runs);
const failed = results.filter(({ ok }) => !ok).length;
mkdirSync(WORK, { recursive: true });
writeFileSync(join(WORK, "ha.json"), `${JSON.stringify(results, null, 2)}\n`);
if (options.keep || failed > 0) console.log(`files kept in ${tempDir}`);
else rmSync(tempDir, { recursive: true, force: true });
console.log(`ha: ${results.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

async function combination(masterKind, slaveKind, role) {
  const name = `${masterKind} master, ${slaveKind} slave, ${role}`;
  const dir = join(tempDir, name.replaceAll(/[^a-z]+/g, "-"));
  const begin = Date.now();
  const facts = {};
  const servers = [];
  let detail = "";
  try {
    const place = await ports.take();
    const slavePlace = await ports.take();
    const namesrv = server("skylark", join(dir, "namesrv"), place, {});
    servers.push(namesrv);
    await namesrv.startNamesrv();
    const roleSettings = role === "sync" ? { brokerRole: "SYNC_MASTER", inSyncReplicas: 2 } : {};
    const master = server(masterKind, join(dir, "master"), place, roleSettings);
    const slave = server(slaveKind, join(dir, "slave"), { ...slavePlace, namesrvPort: place.namesrvPort }, SLAVE);
    servers.push(master, slave);
    await master.startBroker();
    await slave.startBroker();
    // Before the first message: a slave that comes later to an Apache master gets only the newest of the log's files.
    await until("a slave that is connected", 60_000, async () => isServed(await haStatus(dir, master)));

    const sent = await client(dir, "send", namesrv.namesrvAddr, master.brokerAddr, TOPIC, QUEUES, COUNT, BODY_BYTES);
    same({ SEND_OK: COUNT }, sent.statuses, "statuses of the sends");
    const begun = await client(dir, "read", namesrv.namesrvAddr, TOPIC, "EarlyGroup", COUNT);
    same(sent.digest, begun.digest, "what the master gives");
    facts.bytes = await identicalLogs(master, slave);
    facts.haStatus = await haStatus(dir, master);
    facts.slaveStatus = await haStatus(dir, slave);
    await until("topics, groups and offsets on the slave", METADATA_LIMIT_MS, async () => {
      const read = (file) => {
        const path = join(slave.store, "config", file);
        return existsSync(path) ? readFileSync(path, "utf8") : "";
      };
      const offsets = read("consumerOffset.json").replaceAll(/\s/g, "");
      const numbers = /"Replicated@EarlyGroup":\{([^}]*)\}/.exec(offsets)?.[1] ?? "";
      const sum = [...numbers.matchAll(/"?\d+"?:(\d+)/g)].reduce((total, [, offset]) => total + Number(offset), 0);
      return (
        read("topics.json").includes(`"${TOPIC}"`) &&
        read("subscriptionGroup.json").includes("EarlyGroup") &&
        sum === COUNT
      );
    });
    facts.bytes = await identicalLogs(master, slave);

    await master.killBroker();
    const read = await client(dir, "read", namesrv.namesrvAddr, TOPIC, "LateGroup", COUNT);
    facts.readMs = read.ms;
    same(COUNT, read.count, "messages that the slave gives");
    same(sent.digest, read.digest, "what the slave gives");

    await master.startBroker();
    await until("the slave's return", 60_000, async () => isServed(await haStatus(dir, master)));
    const again = await client(dir, "send", namesrv.namesrvAddr, master.brokerAddr, LATE_TOPIC, 1, 20, 100);
    same({ SEND_OK: 20 }, again.statuses, "statuses after the master's return");
    facts.bytes = await identicalLogs(master, slave);
    if (role === "sync") {
      await slave.killBroker();
      const alone = await client(dir, "send", namesrv.namesrvAddr, master.brokerAddr, LATE_TOPIC, 1, 2, 100);
      facts.alone = alone;
      same({ FLUSH_SLAVE_TIMEOUT: 2 }, alone.statuses, "statuses without a slave");
      if (alone.slowestMs < 2_900 || alone.slowestMs > 6_000)
        throw new Error(`without a slave a send took ${alone.slowestMs} ms`);
    }
  } catch (error) {
    detail = error.message;
  }
  for (const one of servers.reverse()) await one.kill9().catch(() => {});
  const ok = detail === "";
  results.push({ combination: name, ok, detail, seconds: (Date.now() - begin) / 1000, facts });
  const what = ok ? `: ${COUNT} messages, ${facts.bytes} log bytes identical` : `: ${detail}`;
  console.log(`${ok ? "ok  " : "FAIL"} ${name}${what} (${((Date.now() - begin) / 1000).toFixed(1)} s)`);
}

function server(kind, dir, place, settings) {
  mkdirSync(dir, { recursive: true });
  const common = {
    dir,
    namesrvPort: place.namesrvPort,
    brokerPort: place.brokerPort,
    settings: {
      mappedFileSizeCommitLog: FILE_BYTES,
      haListenPort: place.brokerPort + 1,
      flushConsumerOffsetInterval: 1_000,
      ...settings,
    },
  };
  return kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer({ ...common, layout: "split" });
}

/** Waits until both logs have the same files with the same bytes; hands back how many bytes. */
async function identicalLogs(master, slave) {
  let difference = "";
  const deadline = Date.now() + SAME_LIMIT_MS;
  while (Date.now() < deadline) {
    const [ours, theirs] = [filesOf(master), filesOf(slave)];
    difference = "";
    let bytes = 0;
    for (const [name, content] of ours) {
      const other = theirs.get(name);
      if (other === undefined) {
        // The next file is made ahead of its first byte by an Apache broker.
        if (content.some((byte) => byte !== 0)) difference = `${name} is missing on the slave`;
      } else if (!content.equals(other))
        difference = `${name} differs from byte ${content.findIndex((byte, i) => byte !== other[i])} on`;
      else bytes += usedBytes(content);
    }
    if (difference === "" && bytes > 0) return bytes;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`the slave's log does not become its master's: ${difference}`);
}

function filesOf({ store }) {
  const dir = join(store, "commitlog");
  return new Map(
    readdirSync(dir)
      .filter((name) => /^\d{20}$/.test(name))
      .map((name) => [name, readFileSync(join(dir, name))]),
  );
}

function usedBytes(content) {
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  return end;
}

async function client(dir, ...words) {
  const args = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    `-Duser.home=${dir}`,
    "-Djava.net.preferIPv4Stack=true",
  ];
  args.push("-Drocketmq.client.logLevel=WARN", "-cp", join(lib, "*"), REPLICA, ...words.map(String));
  const { stdout, stderr } = await run("java", args, { maxBuffer: 64 * 1024 * 1024, timeout: 300_000 });
  const line = stdout.split("\n").find((candidate) => candidate.startsWith("{"));
  if (line === undefined) throw new Error(`${words[0]} said nothing: ${stderr.slice(-500)}`);
  const answer = JSON.parse(line);
  if (answer.error !== undefined) throw new Error(`${words[0]}: ${answer.error}`);
  return answer;
}

async function haStatus(dir, broker) {
  const args = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", `-Duser.home=${dir}`, "-cp", join(lib, "*")];
  args.push(
    "org.apache.rocketmq.tools.command.MQAdminStartup",
    "haStatus",
    "-b",
    broker.brokerAddr,
    "-n",
    broker.namesrvAddr,
  );
  const { stdout } = await run("java", args, { env: { ...process.env, ROCKETMQ_HOME: dir }, timeout: 60_000 });
  return stdout;
}

/** Whether a slave is connected, and the master has decided from where on it sends: -1 until then, the row's last number. */
function isServed(status) {
  return /^\/?127\.0\.0\.1:\d+ .* \d+\s*$/m.test(status);
}

async function until(what, limitMs, done) {
  const deadline = Date.now() + limitMs;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`no ${what} within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function same(expected, actual, what) {
  if (JSON.stringify(expected) !== JSON.stringify(actual)) {
    throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
  }
}
