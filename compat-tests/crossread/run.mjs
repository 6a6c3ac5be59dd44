// Cross-reading: a store that one server wrote is opened by the other, after a clean stop and after kill -9. Every message
// with its bytes, offsets and properties, every key, the consumer offsets, the topics, and a delayed message that was still
// waiting must be there, and writing must go on with dense queue offsets.
//
//   node compat-tests/crossread/run.mjs [--only skylark-apache-kill] [--keep]
//
// Ends with `crossread: N passed, N failed`. Without Java or Maven it says SKIPPED (a failure with CI=true).

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createTopic, RawClient, sendHeader } from "../chaos/lib/client.mjs";
import { batchBody, CODE, crcOf, parseProperties, parseRecords, properties } from "../chaos/lib/wire.mjs";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing } from "../lib/build.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";

const { values: options } = parseArgs({
  options: { only: { type: "string" }, keep: { type: "boolean", default: false } },
});
const PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 700;
const QUERY_MESSAGE = 12;
const GET_TOPIC_CONFIG = 351;
const GROUP = "CrossGroup";
const TOPICS = { CrossPlain: 4, CrossOther: 2 };
const DELAY_TOPIC = "CrossDelay";
const MESSAGES = 2_000;
/** Waits 10 s with the default levels: it is still waiting when the other server takes over. */
const DELAY_LEVEL = 3;
/** Small files, so that the log rolls several times; both servers must be told the same. */
const SETTINGS = {
  mappedFileSizeCommitLog: 1024 * 1024,
  mappedFileSizeConsumeQueue: 20 * 200,
  maxHashSlotNum: 2_000,
  maxIndexNum: 8_000,
  fileReservedTime: 720,
};
/** Both servers write consumer offsets every 5 s. */
const OFFSETS_WRITTEN_MS = 6_500;

const make = {
  skylark: (dir, store) =>
    new SkylarkServer({ dir, store, namesrvPort: PORT, brokerPort: PORT + 10, settings: SETTINGS, layout: "one" }),
  apache: (dir, store) =>
    new ApacheServer({ dir, store, lib, namesrvPort: PORT, brokerPort: PORT + 10, settings: SETTINGS }),
};

class Failed extends Error {}

function same(wanted, got, what) {
  if (wanted !== got) throw new Failed(`${what}: wanted ${wanted}, got ${got}`);
}

/** Sends everything; resolves with what was acknowledged, by topic and queue. */
async function write(client) {
  const sent = [];
  for (const [topic, queues] of Object.entries({ ...TOPICS, [DELAY_TOPIC]: 1 }))
    await createTopic(client, topic, queues);
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (let i = 0; i < MESSAGES; i++) {
    const topic = i % 3 === 0 ? "CrossOther" : "CrossPlain";
    const queueId = i % TOPICS[topic];
    const one = message(i);
    const ext = sendHeader({ group: "p", topic, queueId, properties: properties(one.properties) });
    sent.push({ topic, queueId, ...one, ...acknowledged(await client.ask(CODE.SEND, ext, one.body)) });
    if (i % 200 === 0) sent.push(...(await writeBatch(client, i)));
  }
  const delayed = message("delayed");
  delayed.properties.DELAY = String(DELAY_LEVEL);
  const ext = sendHeader({ group: "p", topic: DELAY_TOPIC, queueId: 0, properties: properties(delayed.properties) });
  acknowledged(await client.ask(CODE.SEND, ext, delayed.body));
  const committed = new Map();
  for (const [topic, queues] of Object.entries(TOPICS)) {
    for (let queueId = 0; queueId < queues; queueId++) {
      const offset = 10 + queueId;
      // A group exists once it pulls.
      await client.pull({ group: GROUP, topic, queueId, offset: 0, max: 1 });
      const reply = await client.ask(CODE.UPDATE_OFFSET, {
        consumerGroup: GROUP,
        topic,
        queueId,
        commitOffset: offset,
      });
      same(0, reply.code, "code of a commit");
      committed.set(`${topic}/${queueId}`, offset);
    }
  }
  return { sent, delayed, committed };
}

async function writeBatch(client, i) {
  const parts = [0, 1, 2].map((k) => message(`${i}b${k}`));
  const ext = sendHeader({ group: "p", topic: "CrossPlain", queueId: 0, properties: "", batch: true });
  const reply = acknowledged(await client.ask(CODE.SEND_BATCH, ext, batchBody(parts)));
  return parts.map((part, k) => ({ topic: "CrossPlain", queueId: 0, ...part, queueOffset: reply.queueOffset + k }));
}

function message(i) {
  const body = Buffer.from(
    `${i}:${"\u00fc\u6f22".repeat(typeof i === "number" ? i % 97 : 7)}:${"x".repeat(typeof i === "number" ? (i * 37) % 900 : 9)}`,
  );
  const id = `C0A80001${String(i).replace(/\D/g, "").padStart(8, "0")}${crcOf(body).toString(16).toUpperCase().padStart(16, "0")}`;
  return {
    body,
    properties: { UNIQ_KEY: id, KEYS: `key-${i} shared`, TAGS: `tag${String(i).length}`, custom: `\u00e4=${i}` },
  };
}

function acknowledged(reply) {
  if (reply.code !== 0) throw new Failed(`a send was refused: ${reply.code} ${reply.remark}`);
  return { queueOffset: Number(reply.ext.queueOffset), msgId: reply.ext.msgId };
}

async function readQueue(client, topic, queueId) {
  const min = await client.number(CODE.MIN_OFFSET, { topic, queueId });
  const max = await client.number(CODE.MAX_OFFSET, { topic, queueId });
  same(0, min, `min offset of ${topic}-${queueId}`);
  const records = [];
  for (let offset = min; offset < max; ) {
    const reply = await client.pull({ group: "CrossAudit", topic, queueId, offset });
    same(0, reply.code, `pull of ${topic}-${queueId} at ${offset} (${reply.remark})`);
    records.push(...parseRecords(reply.body));
    offset = Number(reply.ext.nextBeginOffset);
  }
  same(max, records.length, `messages in ${topic}-${queueId}`);
  return records;
}

async function verify(client, { sent, delayed, committed }) {
  for (const [topic, queues] of Object.entries(TOPICS)) {
    const config = await client.ask(GET_TOPIC_CONFIG, { topic });
    same(0, config.code, `topic config of ${topic}`);
    same(true, config.body.toString().includes(`"writeQueueNums":${queues}`), `queues of ${topic}`);
    for (let queueId = 0; queueId < queues; queueId++) {
      const records = await readQueue(client, topic, queueId);
      const wanted = sent.filter((one) => one.topic === topic && one.queueId === queueId);
      same(wanted.length, records.length, `messages of ${topic}-${queueId}`);
      for (const one of wanted) compare(one, records[one.queueOffset], `${topic}-${queueId} at ${one.queueOffset}`);
      const offset = await client.number(CODE.QUERY_OFFSET, { consumerGroup: GROUP, topic, queueId });
      same(committed.get(`${topic}/${queueId}`), offset, `consumer offset of ${topic}-${queueId}`);
    }
  }
  for (const one of sent.filter((_, i) => i % 25 === 0)) {
    await found(client, one, one.properties.KEYS.split(" ")[0], false);
    await found(client, one, one.properties.UNIQ_KEY, true);
  }
  const limit = Date.now() + 30_000;
  while ((await client.number(CODE.MAX_OFFSET, { topic: DELAY_TOPIC, queueId: 0 })) === 0) {
    if (Date.now() > limit) throw new Failed("the delayed message was not delivered within 30 s");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const [late] = await readQueue(client, DELAY_TOPIC, 0);
  same(true, late.body.equals(delayed.body), "body of the delayed message");
  for (const [topic, queues] of Object.entries(TOPICS)) {
    for (let queueId = 0; queueId < queues; queueId++) {
      const next = await client.number(CODE.MAX_OFFSET, { topic, queueId });
      const one = message(`after-${topic}-${queueId}`);
      const ext = sendHeader({ group: "p", topic, queueId, properties: properties(one.properties) });
      same(
        next,
        acknowledged(await client.ask(CODE.SEND, ext, one.body)).queueOffset,
        `next offset of ${topic}-${queueId}`,
      );
    }
  }
}

function compare(wanted, record, where) {
  same(wanted.queueOffset, record.queueOffset, `queue offset, ${where}`);
  same(true, record.body.equals(wanted.body), `body, ${where}`);
  same(crcOf(wanted.body), record.crc, `stored CRC, ${where}`);
  const got = parseProperties(record.properties);
  for (const [key, value] of Object.entries(wanted.properties)) same(value, got[key], `property ${key}, ${where}`);
}

async function found(client, one, key, unique) {
  const ext = { topic: one.topic, key, maxNum: 64, beginTimestamp: 0, endTimestamp: Date.now() + 60_000 };
  if (unique) ext._UNIQUE_KEY_QUERY = true;
  const reply = await client.ask(QUERY_MESSAGE, ext);
  same(0, reply.code, `query of ${key} (${reply.remark})`);
  const hit = parseRecords(reply.body).some((record) => record.body.equals(one.body));
  same(true, hit, `${key} found`);
}

async function round(writerKind, readerKind, stop) {
  const dir = mkdtempSync(join(tmpdir(), "skylark-crossread-"));
  const store = join(dir, "store");
  for (const name of ["writer", "reader", "store"]) mkdirSync(join(dir, name), { recursive: true });
  let server = make[writerKind](join(dir, "writer"), store);
  try {
    await server.start();
    let client = await RawClient.open({ port: PORT + 10 });
    const written = await write(client);
    await new Promise((resolve) => setTimeout(resolve, OFFSETS_WRITTEN_MS));
    client.destroy();
    if (stop === "clean") await server.stopGracefully();
    else await server.kill9();
    server = make[readerKind](join(dir, "reader"), store);
    await server.start();
    client = await RawClient.open({ port: PORT + 10 });
    await verify(client, written);
    client.destroy();
    return written.sent.length + 1;
  } finally {
    await server.kill9().catch(() => {});
    if (!options.keep) rmSync(dir, { recursive: true, force: true });
    else console.log(`kept ${dir}`);
  }
}

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`SKIPPED crossread: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}

let passed = 0;
let failed = 0;
for (const [writer, reader] of [
  ["skylark", "apache"],
  ["apache", "skylark"],
  ["skylark", "skylark"],
]) {
  for (const stop of ["clean", "kill"]) {
    const name = `${writer}-${reader}-${stop}`;
    if (options.only !== undefined && options.only !== name) continue;
    const began = Date.now();
    try {
      const count = await round(writer, reader, stop);
      passed++;
      console.log(`ok     ${name}: ${count} messages, ${((Date.now() - began) / 1000).toFixed(1)} s`);
    } catch (error) {
      failed++;
      console.log(`FAILED ${name}: ${error instanceof Failed ? error.message : error.stack}`);
    }
  }
}
console.log(`crossread: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
