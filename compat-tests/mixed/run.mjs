// A cluster of both makes: NameServers Skylark and Apache, brokers Skylark and Apache, every broker registered with both NameServers.
//
//   node compat-tests/mixed/run.mjs [--namesrv skylark,apache] [--brokers skylark,apache] [--keep]
//
// mqadmin, through one NameServer, creates a topic on the cluster: both brokers have it, both NameServers give the same route. One Java
// producer sends to the queues of both, one group of two push consumers shares them. One NameServer stops in the middle, the other one
// carries on. Every message that was answered must be consumed, none unknown; consumerProgress has no lag on any queue of either broker; through
// the NameServer that is left clusterList shows both brokers. Prints a line per check and "N passed, N failed".
// `--namesrv apache,apache --brokers apache,apache` shows that the checks hold for Apache alone.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing, WORK } from "../lib/build.mjs";
import { mqadmin, Traffic } from "../lib/clusterClient.mjs";
import { Ports } from "../lib/ports.mjs";
import { COMMON } from "../lib/setups.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";

const TOPIC = "Mixed";
const GROUP = "MixedGroup";
const QUEUES = 4;
/** Messages that each broker takes before the NameServer stops, and after. */
const SHARE = 200;

const { values: options } = parseArgs({
  options: {
    namesrv: { type: "string", default: "skylark,apache" },
    brokers: { type: "string", default: "skylark,apache" },
    keep: { type: "boolean", default: false },
  },
});

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED mixed: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const tempDir = mkdtempSync(join(tmpdir(), "skylark-mixed-"));
const ports = new Ports(Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 900);
const began = Date.now();
const checks = [];
const facts = {};
const namesrvs = await Promise.all(options.namesrv.split(",").map((kind, i) => server(kind, `namesrv-${i}`)));
const namesrvAddr = namesrvs.map((one) => one.namesrvAddr).join(";");
const brokers = await Promise.all(options.brokers.split(",").map((kind, i) => server(kind, `broker-${i}`)));
const NAMES = options.brokers.split(",").map((kind, i) => `${kind}-${i}`);
try {
  await Promise.all(namesrvs.map((one) => one.startNamesrv()));
  await Promise.all(brokers.map((one) => one.startBroker()));
  await run();
} catch (error) {
  check(`the run itself: ${error.message}`, false);
}
for (const one of [...brokers, ...namesrvs]) await one.kill9().catch(() => {});
const failed = checks.filter(({ ok }) => !ok).length;
mkdirSync(WORK, { recursive: true });
writeFileSync(join(WORK, "mixed.json"), `${JSON.stringify({ checks, facts }, null, 2)}\n`);
if (options.keep || failed > 0) console.log(`files kept in ${tempDir}`);
else rmSync(tempDir, { recursive: true, force: true });
console.log(`${JSON.stringify(facts.traffic)} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
console.log(`mixed: ${checks.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

async function run() {
  const place = { dir: tempDir, lib };
  const [first, second] = namesrvs.map((one) => one.namesrvAddr);
  const routes = [first, second].map((address) => `topicRoute -n ${address} -t ${TOPIC} -l`);
  const [created, ...shown] = await mqadmin(place, [
    `updateTopic -n ${first} -c DefaultCluster -t ${TOPIC} -r ${QUEUES} -w ${QUEUES}`,
    ...[first, second].map((address) => `clusterList -n ${address}`),
    ...routes,
  ]);
  for (const one of brokers)
    check(`updateTopic -c creates the topic on ${one.brokerAddr}`, created.includes(one.brokerAddr));
  for (const [i, list] of shown.slice(0, 2).entries()) {
    for (const [index, name] of NAMES.entries()) {
      check(`clusterList of NameServer ${i} shows ${name}`, hasBroker(list, name, brokers[index].brokerAddr));
    }
  }
  // The first word of both is the topic's route; who of the two was told first may still differ in order.
  check("both NameServers give the same route", lines(shown[2]) === lines(shown[3]), shown.slice(2).join("\n"));

  const queues = QUEUES * brokers.length;
  const traffic = new Traffic({ ...place, namesrvAddr, topic: TOPIC, group: GROUP, members: 2, queues });
  await traffic.ready();
  await traffic.more(SHARE, NAMES);
  await namesrvs[0].stopNamesrv();
  await traffic.more(SHARE, NAMES);
  facts.traffic = await traffic.finish();
  const { acked, statuses, missing, unknown } = facts.traffic;
  check("every send was answered SEND_OK", Object.keys(statuses).join() === "SEND_OK", JSON.stringify(statuses));
  for (const name of NAMES) check(`${name} took messages before and after`, acked[name] >= 2 * SHARE);
  check("every message was consumed", missing === 0, `${missing} missing`);
  check("no unknown message was consumed", unknown === 0, `${unknown} unknown`);

  // Offsets of consumers that have left are committed by then.
  const [list, progress] = await mqadmin(place, [
    `clusterList -n ${second}`,
    `consumerProgress -n ${second} -g ${GROUP}`,
  ]);
  for (const [index, name] of NAMES.entries()) {
    check(`clusterList still shows ${name}`, hasBroker(list, name, brokers[index].brokerAddr), list);
    const rows = progress.split("\n").filter((line) => line.startsWith(`${TOPIC} `) && line.includes(` ${name} `));
    check(`consumerProgress shows the queues of ${name}`, rows.length === QUEUES, progress);
    check(`the group has read all of ${name}`, rows.every(isRead), progress);
  }
}

async function server(kind, name) {
  const place = await ports.take();
  const dir = join(tempDir, name);
  mkdirSync(dir, { recursive: true });
  const index = Number(name.split("-")[1]);
  const settings = { ...COMMON, haListenPort: place.brokerPort + 1 };
  if (name.startsWith("broker")) {
    Object.assign(settings, { brokerName: `${kind}-${index}`, namesrvAddr });
  }
  const common = { dir, ...place, settings };
  const one =
    kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer({ ...common, layout: "split" });
  // A broker is told both NameServers, also where a flag wins over its file.
  if (name.startsWith("broker")) Object.defineProperty(one, "namesrvAddr", { value: namesrvAddr });
  return one;
}

function hasBroker(list, name, address) {
  return list.split("\n").some((line) => line.includes(` ${name} `) && line.includes(` ${address} `));
}

function lines(text) {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .sort()
    .join("\n");
}

/** Topic, broker, queue, the broker's offset, the consumer's offset, and further ones. */
function isRead(row) {
  const [, , , brokerOffset, consumerOffset] = row.trim().split(/\s+/);
  return Number(brokerOffset) > 0 && brokerOffset === consumerOffset;
}

function check(what, ok, detail = "") {
  checks.push({ what, ok, detail: ok ? "" : detail });
  console.log(`${ok ? "ok  " : "FAIL"} ${what}${ok || detail === "" ? "" : `: ${detail}`}`);
}
