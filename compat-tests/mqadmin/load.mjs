// How long mqadmin's commands take on a cluster with many topics and groups, against Apache 5.5.0 and against Skylark by turns. No part of
// any suite: it measures, it does not judge.
//
//   node compat-tests/mqadmin/load.mjs [--topics 500] [--queues 8] [--groups 200] [--rounds 5] [--requests] [--command NAME]...
//
// --requests: instead of the tool's, the servers' part: what each command asks, asked from here (requests.mjs), with the CPU it costs them.
//
// Every queue gets a message, every group offsets on five topics. Prints the median of the rounds per command in ms, the client's own
// start included, and the ratio of the two.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib } from "../lib/build.mjs";
import { Ports } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { Driver } from "./driver.mjs";
import { Asker, requestsOf } from "./requests.mjs";

const { values } = parseArgs({
  options: {
    topics: { type: "string", default: "500" },
    queues: { type: "string", default: "8" },
    groups: { type: "string", default: "200" },
    rounds: { type: "string", default: "5" },
    requests: { type: "boolean", default: false },
    command: { type: "string", multiple: true },
  },
});
const [topicCount, queueCount, groupCount, rounds] = [values.topics, values.queues, values.groups, values.rounds].map(
  Number,
);
const PRODUCER = "LoadProducer";
const TOPICS_PER_GROUP = 5;
const COMMAND_LIMIT_MS = 300_000;
const BUDGET_MS = 30_000;
/** Messages sent with one request to the driver. */
const CHUNK = 1000;
const WARM_UP_ROUNDS = 3;
const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 25_000) + 400;

const topics = Array.from({ length: topicCount }, (_, i) => `LoadTopic${i}`);
const groups = Array.from({ length: groupCount }, (_, i) => `LoadGroup${i}`);
/** Who has offsets where. */
const pairs = groups.flatMap((group, i) =>
  Array.from({ length: TOPICS_PER_GROUP }, (_, j) => [group, topics[(i * TOPICS_PER_GROUP + j) % topicCount]]),
);
const COMMANDS = [
  "clusterList",
  "clusterList -m",
  "topicList",
  "topicList -c",
  "topicStatus -t LoadTopic7",
  "consumerProgress",
  "consumerProgress -g LoadGroup7",
  "brokerConsumeStats -b {broker}",
  "brokerStatus -b {broker}",
  "statsAll",
];

const lib = apacheLib();
const tempDir = mkdtempSync(join(tmpdir(), "skylark-load-"));
const ports = new Ports(BASE_PORT);
const lanes = [];
for (const [kind, make] of [
  ["apache", (common) => new ApacheServer({ ...common, lib })],
  ["skylark", (common) => new SkylarkServer({ ...common, layout: "split" })],
]) {
  lanes.push(await prepare(kind, make));
}
const isMeant = (line) => !values.command || values.command.includes(line.split(" ")[0]);
await (values.requests ? measureRequests() : measureCommands());
for (const { driver, server } of lanes) {
  await driver.close();
  await server.kill9();
}
rmSync(tempDir, { recursive: true, force: true });

async function measureCommands() {
  const table = new Map();
  for (const line of COMMANDS) {
    if (!isMeant(line)) continue;
    const times = lanes.map(() => []);
    const began = Date.now();
    // The first round warms up the client; a command that takes long is not asked as often.
    for (let round = 0; round <= rounds && (round < 2 || Date.now() - began < BUDGET_MS); round++) {
      for (const [i, lane] of lanes.entries()) {
        const ms = await run(lane, line);
        if (round > 0) times[i].push(ms);
      }
    }
    table.set(line, times);
    console.log(`  ${line}: ${times.map((each) => each.join(" ")).join(" / ")}`);
  }
  console.log(`${topicCount} topics x ${queueCount} queues, ${groupCount} groups; median of up to ${rounds}, ms`);
  for (const [line, times] of table) {
    const [apache, skylark] = times.map(median);
    console.log(`| ${line} | ${apache} | ${skylark} | ${(skylark / apache).toFixed(2)} |`);
  }
}

/** Every command's requests, at both servers by turns. */
async function measureRequests() {
  const askers = lanes.map(({ server }) => new Asker(server));
  console.log("| command | requests | Apache ms | Skylark ms | ratio | Apache CPU ms | Skylark CPU ms |");
  console.log("| --- | --- | --- | --- | --- | --- | --- |");
  const details = [];
  for (const [line, requests] of requestsOf({ topics, groups, pairs })) {
    if (!isMeant(line)) continue;
    const taken = lanes.map(() => []);
    // The first rounds are for the compilers of both.
    for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
      for (const [i, asker] of askers.entries()) {
        const one = await asker.ask(requests);
        if (round >= 0) taken[i].push(one);
      }
    }
    const [apache, skylark] = taken.map((all) => ({
      ms: median(all.map(({ ms }) => ms)),
      cpuMs: all.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / all.length,
    }));
    const figures = [apache.ms, skylark.ms].map((ms) => ms.toFixed(1));
    const cpu = [apache, skylark].map(({ cpuMs }) => cpuMs.toFixed(0));
    const ratio = (skylark.ms / apache.ms).toFixed(2);
    console.log(`| ${line} | ${requests.length} | ${figures.join(" | ")} | ${ratio} | ${cpu.join(" | ")} |`);
    for (const name of taken[0][0].byName.keys()) {
      const each = taken.map((all) => median(all.map(({ byName }) => byName.get(name))).toFixed(1));
      details.push(`  ${line}: ${name} ${each.join(" / ")} ms`);
    }
    details.push(`  ${line}: bodies ${taken.map((all) => all[0].bytes).join(" / ")} bytes`);
  }
  console.log(details.join("\n"));
  for (const asker of askers) asker.close();
}

async function prepare(kind, make) {
  const dir = join(tempDir, kind);
  mkdirSync(dir, { recursive: true });
  const server = make({ dir, ...(await ports.take()), settings: {} });
  await server.start();
  const driver = new Driver({ lib, home: join(dir, "admin-home"), log: join(dir, "mqadmin.log") });
  const lane = { kind, server, driver };
  const config = { readQueueNums: queueCount, writeQueueNums: queueCount, perm: 6, topicFilterType: "SINGLE_TAG" };
  const file = (name, list) => {
    writeFileSync(join(dir, name), JSON.stringify(list));
    return join(dir, name);
  };
  // consumerProgress and statsAll find groups by their retry topics.
  const retries = groups.map((group) => ({
    ...config,
    topicName: `%RETRY%${group}`,
    readQueueNums: 1,
    writeQueueNums: 1,
  }));
  const all = [...topics.map((topicName) => ({ ...config, topicName })), ...retries];
  while (!(await output(lane, "clusterList")).includes("broker-a"));
  await run(lane, `updateTopicList -b {broker} -f ${file("topics.json", all)}`);
  await run(
    lane,
    `updateSubGroupList -b {broker} -f ${file(
      "groups.json",
      groups.map((groupName) => ({ groupName })),
    )}`,
  );
  while (!(await output(lane, "topicRoute -t %RETRY%LoadGroup0")).includes("brokerDatas"));
  const messages = topics.flatMap((topic) =>
    Array.from({ length: queueCount }, (_, queueId) => ({ topic, queueId, tags: "t", keys: "k", body: "a message" })),
  );
  const namesrv = server.namesrvAddr;
  for (let i = 0; i < messages.length; i += CHUNK) {
    const chunk = messages.slice(i, i + CHUNK);
    await driver.ask({ op: "send", group: PRODUCER, namesrv, broker: "broker-a", messages: chunk });
  }
  await driver.ask(
    { op: "reset", producer: PRODUCER, broker: server.brokerAddr, pairs, timestamp: -1 },
    COMMAND_LIMIT_MS,
  );
  console.log(`${kind}: prepared`);
  return lane;
}

async function output(lane, line) {
  return (await ask(lane, line)).out;
}

async function run(lane, line) {
  return (await ask(lane, line)).ms;
}

async function ask({ kind, server, driver }, line) {
  const args = [...line.replace("{broker}", server.brokerAddr).split(" "), "-n", server.namesrvAddr];
  const result = await driver.ask({ op: "run", args, timeoutMs: COMMAND_LIMIT_MS }, COMMAND_LIMIT_MS);
  if (result.status !== 0) throw new Error(`${kind}: ${line}: status ${result.status}\n${result.err}`);
  return result;
}

function median(times) {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
}
