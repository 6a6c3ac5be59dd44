// IPv6 hosts in records and ids, byte for byte as Apache RocketMQ 5.5.0: brokers whose own address is of either family, producers that come by either.
//
//   node compat-tests/answers/ipv6.mjs [--show]
//
// Needs ::1 on the loopback interface; a machine without is SKIPPED, which is a failure where CI=true.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { createTopic, RawClient, sendHeader } from "../chaos/lib/client.mjs";
import { CODE, properties } from "../chaos/lib/wire.mjs";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing } from "../lib/build.mjs";
import { freePorts } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 900;
const TOPIC = "Hosts";
const VIEW = 33;
const QUERY = 12;
const BORN = 1_700_000_000_000;
const HOSTS = { v4: "127.0.0.1", v6: "::1" };
const show = process.argv.includes("--show");

let lib;
try {
  lib = apacheLib();
  const there = Object.values(networkInterfaces()).flat();
  if (!there.some(({ address }) => address === HOSTS.v6)) throw new Missing("no ::1 on the loopback interface");
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED ipv6: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const tempDir = mkdtempSync(join(tmpdir(), "skylark-ipv6-"));
let passed = 0;
let failed = 0;
for (const family of Object.keys(HOSTS)) {
  const apache = await factsOf("apache", family);
  const skylark = await factsOf("skylark", family);
  for (const name of Object.keys(apache)) {
    if (show) console.log(`-- broker of ${family}, ${name}: ${skylark[name]}`);
    if (apache[name] === skylark[name]) passed++;
    else {
      failed++;
      console.log(`FAILED broker of ${family}, ${name}\n  apache:  ${apache[name]}\n  skylark: ${skylark[name]}`);
    }
  }
}
rmSync(tempDir, { recursive: true, force: true });
console.log(`ipv6: ${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

async function factsOf(kind, family) {
  const dir = join(tempDir, `${kind}-${family}`);
  mkdirSync(dir, { recursive: true });
  const { next: _, ...ports } = await freePorts(BASE_PORT);
  const settings = { bindAddress: "::", brokerIP1: HOSTS[family], brokerIP2: HOSTS[family] };
  const common = { dir, ...ports, settings };
  const server =
    kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer({ ...common, layout: "split" });
  const facts = {};
  try {
    await server.start();
    for (const by of Object.keys(HOSTS)) await exchange(ports.brokerPort, by, facts);
  } finally {
    await server.kill9();
  }
  return facts;
}

/** Sends a message by one family, and reads it in every way that shows hosts. */
async function exchange(port, by, facts) {
  const client = await RawClient.open({ port, host: HOSTS[by] });
  const own = client.socket.localPort;
  const clean = (text) =>
    text
      .replaceAll(hexPort(port), "<port>")
      .replaceAll(hexPort(own), "<own>")
      .replaceAll(String(port), "<port>")
      .replaceAll(String(own), "<own>");
  const topic = `${TOPIC}-${by}`;
  await createTopic(client, topic, 1);
  const uniqueKey = by === "v4" ? "4".repeat(32) : "6".repeat(32);
  const header = sendHeader({
    group: "producers",
    topic,
    queueId: 0,
    properties: properties({ UNIQ_KEY: uniqueKey, KEYS: "k" }),
    now: BORN,
  });
  const sent = await client.ask(CODE.SEND, header, Buffer.from("m"));
  const id = sent.ext.msgId ?? "";
  facts[`sent by ${by}`] = `${sent.code} ${clean(id)}`;
  const pulled = await client.pull({ group: "readers", topic, queueId: 0, offset: 0 });
  facts[`pulled, sent by ${by}`] = `${pulled.code} ${clean(record(pulled.body))}`;
  const viewed = await client.ask(VIEW, { topic, offset: BigInt(`0x${id.slice(-16)}`) });
  facts[`viewed, sent by ${by}`] = `${viewed.code} ${clean(record(viewed.body))}`;
  const found = await client.ask(QUERY, { topic, key: "k", maxNum: 8, beginTimestamp: 0, endTimestamp: BORN * 2 });
  facts[`found, sent by ${by}`] = `${found.code} ${clean(record(found.body))}`;
  client.destroy();
}

/** A record as hexadecimal text, without where and when it was stored; its properties in one order, for Apache's is that of a hash map. */
function record(body) {
  if (body === undefined || body.length < 91) return `no record in ${body?.length} bytes`;
  const copy = Buffer.from(body.subarray(0, body.readInt32BE(0)));
  const sysFlag = copy.readInt32BE(36);
  const storedAt = 48 + (sysFlag & 0x10 ? 20 : 8);
  copy.fill(0, 28, 36);
  copy.fill(0, storedAt, storedAt + 8);
  const bodyAt = storedAt + 8 + (sysFlag & 0x20 ? 20 : 8) + 12;
  const topicAt = bodyAt + 4 + copy.readInt32BE(bodyAt);
  const propertiesAt = topicAt + 1 + copy[topicAt] + 2;
  const head = copy.subarray(0, propertiesAt).toString("hex").toUpperCase();
  const entries = copy.toString("utf8", propertiesAt).split("\u0002").sort();
  return `${head} ${entries.join(" ")}`;
}

function hexPort(port) {
  return port.toString(16).toUpperCase().padStart(8, "0");
}
