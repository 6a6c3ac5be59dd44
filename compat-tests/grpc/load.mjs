// Thousands of 5.x clients at once, each with a connection, an open Telemetry stream and a long poll: what they cost, whether what they wait for comes,
// whether anything is left when they are gone; readers that never read; calls that no client makes.
//
//   node compat-tests/grpc/load.mjs [--clients 2000] [--waves 2] [--slow 200] [--server skylark]
//
// Half of a wave says goodbye, the other half is gone as a killed process is. A second wave under other names must not cost more than the first.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { cpuSeconds } from "../../bench/lib/proc.mjs";
import { apacheLib } from "../lib/build.mjs";
import { Ports } from "../lib/ports.mjs";
import { Member, Wire } from "./lib/crowd.mjs";
import { makeOddCalls } from "./lib/oddCalls.mjs";
import { createResources } from "./lib/resources.mjs";
import { nameOf } from "./lib/scenarios.mjs";
import { makeServer } from "./lib/servers.mjs";

const GROUPS = 20;
const JOINS_AT_ONCE = 50;
const MESSAGES_PER_GROUP = 20;
/** All first polls end by then. */
const POLLS_END_MS = 24_000;
const HOLD_MS = 5_000;
const WAIT_MS = 180_000;
const SLOW_BODY_BYTES = 100_000;
/** A pop takes no more than two or three such messages. */
const SLOW_MESSAGES_EACH = 3;
/** Files that the store may open meanwhile. */
const FILES_MAX = 16;
/** What a client with its stream and poll may cost, and how much more a second wave. */
const CLIENT_KIB_MAX = 120;
const GROWTH_MIB_MAX = 40;
/** A reader that does not read may hold a pop's bytes and a window's. */
const SLOW_MIB_MAX = 1;

const { values: options } = parseArgs({
  options: {
    clients: { type: "string", default: "2000" },
    waves: { type: "string", default: "2" },
    slow: { type: "string", default: "200" },
    server: { type: "string", default: "skylark" },
  },
});
const count = Number(options.clients);
const ports = await new Ports(Number(process.env.SKYLARK_COMPAT_PORT ?? 24_900)).take();
const dir = mkdtempSync(join(tmpdir(), "skylark-grpc-load-"));
const lib = options.server.includes("apache") ? apacheLib() : undefined;
const server = makeServer(options.server, { dir, ...ports, lib });
const address = `127.0.0.1:${server.grpcPort}`;
const run = `l${Date.now().toString(36).slice(-5)}`;
const problems = [];

await server.start();
const places = Array.from({ length: GROUPS }, (_, g) => {
  const [topic, group] = ["normal", "g"].map((suffix) => ({ name: nameOf(`${run}${g}`, "send", suffix) }));
  return { topic, group };
});
for (let g = 0; g < GROUPS; g++) await createResources(server.brokerPort, `${run}${g}`, ["send"]);
await odd();
// A first small wave, so that what everything needs once is there.
await wave("first", 5 * GROUPS);
const base = look();
console.log(`before: RSS ${base.rssMib} MiB, ${base.fds} descriptors`);
const after = [];
for (let w = 1; w <= Number(options.waves); w++) after.push(await wave(`wave ${w}`, count));
const growth = after.at(-1).rssMib - after[0].rssMib;
if (after.length > 1 && growth > GROWTH_MIB_MAX) problems.push(`the last wave cost ${growth} MiB more than the first`);
if (Number(options.slow) > 0) await withProducer((producer) => slowReaders(Number(options.slow), producer));
await odd();
const { code, killed } = await server.stop();
if (options.server === "skylark" && (code !== 0 || killed)) problems.push(`a SIGTERM ended the server with ${code}`);
rmSync(dir, { recursive: true, force: true });
for (const problem of problems.slice(0, 20)) console.log(`  ${problem}`);
console.log(
  `load: ${problems.length === 0 ? "1 passed, 0 failed" : `0 passed, 1 failed (${problems.length} problems)`}`,
);
process.exit(problems.length === 0 ? 0 : 1);

/** A connection for a while: one without calls is closed by the server after two minutes. */
async function withProducer(work) {
  const producer = new Wire(address, "producer");
  try {
    return await work(producer);
  } finally {
    producer.destroy();
  }
}

async function odd() {
  problems.push(...(await withProducer(makeOddCalls)));
}

/** They come, wait, are given messages, and go; what the server looked like with all of them. */
async function wave(name, size) {
  const before = look();
  const members = Array.from({ length: size }, (_, i) => {
    const { topic, group } = places[i % GROUPS];
    return new Member(address, `${run}-${name.replace(" ", "")}-${i}`, topic, group);
  });
  const begin = performance.now();
  for (let i = 0; i < size; i += JOINS_AT_ONCE) {
    await Promise.all(members.slice(i, i + JOINS_AT_ONCE).map((member) => member.join()));
  }
  const joinedMs = performance.now() - begin;
  const polls = members.map((member) => member.poll());
  await sleep(POLLS_END_MS);
  await until("every poll ends without a message", () => members.every(({ empty }) => empty > 0));
  const cpu = cpuSeconds([server.pid]);
  await sleep(HOLD_MS);
  const idle = ((cpuSeconds([server.pid]) - cpu) / HOLD_MS) * 1000;
  const full = look();
  const lateness = await withProducer((producer) => deliver(name, members, producer));
  for (const member of members) problems.push(...member.problems);
  await Promise.all(members.map((member, i) => member.leave(i % 2 === 0)));
  await Promise.all(polls);
  await until("the descriptors come back", () => look().fds <= before.fds + FILES_MAX);
  const left = look();
  const kib = Math.round(((full.rssMib - before.rssMib) * 1024) / size);
  console.log(
    `${name}: ${size} clients in ${Math.round(joinedMs)} ms, RSS ${full.rssMib} MiB${size >= 1_000 ? ` (${kib} KiB each)` : ""}, waiting takes ${(idle * 100).toFixed(1)} % of a core; ` +
      `${lateness.length} messages, ms to the client: p50 ${at(lateness, 0.5)}, p99 ${at(lateness, 0.99)}; when gone RSS ${left.rssMib} MiB, ${left.fds} descriptors`,
  );
  if (size >= 1_000 && kib > CLIENT_KIB_MAX) problems.push(`${name}: ${kib} KiB for each client`);
  return full;
}

/** One message after the other to each group; each must reach one member. Milliseconds each took. */
async function deliver(name, members, producer) {
  const sentAt = new Map();
  for (let m = 0; m < MESSAGES_PER_GROUP; m++) {
    await Promise.all(
      places.map(async ({ topic }, g) => {
        const messageId = `${run}-${name}-${g}-${m}`;
        sentAt.set(messageId, performance.now());
        const message = { topic, body: Buffer.from(messageId), systemProperties: { messageId } };
        const { replies } = await producer.call("SendMessage", { messages: [message] });
        if (replies[0]?.status.code !== 20_000) problems.push(`send: ${JSON.stringify(replies[0]?.status)}`);
      }),
    );
  }
  const all = () => members.flatMap(({ messages }) => messages);
  await until("every message comes", () => all().length >= sentAt.size);
  const got = all();
  const ids = new Set(got.map(({ systemProperties }) => systemProperties.messageId));
  if (ids.size !== sentAt.size || got.length !== sentAt.size) {
    problems.push(`${name}: sent ${sentAt.size}, came ${got.length}, different ones ${ids.size}`);
  }
  return got.map((message) => message.at - sentAt.get(message.systemProperties.messageId)).sort((a, b) => a - b);
}

/** Receives that are never read: their bytes are bounded, their streams are cut, what they held is given to others. */
async function slowReaders(size, producer) {
  const [{ topic, group }] = places;
  const reader = new Member(address, `${run}-reader`, topic, group);
  await reader.join();
  await reader.wire.call("ReceiveMessage", { ...reader.request(1), longPollingTimeout: { seconds: 5 } });
  const body = Buffer.alloc(SLOW_BODY_BYTES, "x");
  const sent = Math.ceil((size * SLOW_MESSAGES_EACH) / 50) * 50;
  for (let i = 0; i < sent; i += 50) {
    const sends = Array.from({ length: 50 }, (_, k) => {
      const message = { topic, body, systemProperties: { messageId: `${run}-slow-${i + k}` } };
      return producer.call("SendMessage", { messages: [message] });
    });
    await Promise.all(sends);
  }
  const before = look();
  const members = Array.from({ length: size }, (_, i) => new Member(address, `${run}-slow-${i}`, topic, group));
  for (let i = 0; i < size; i += JOINS_AT_ONCE) {
    await Promise.all(members.slice(i, i + JOINS_AT_ONCE).map((member) => member.join()));
  }
  const streams = members.map((member) => member.stare());
  let most = 0;
  let slowest = 0;
  const end = performance.now() + 12_000;
  while (performance.now() < end) {
    const begin = performance.now();
    await producer.call("QueryRoute", { topic });
    slowest = Math.max(slowest, performance.now() - begin);
    most = Math.max(most, look().rssMib);
    await sleep(200);
  }
  const ends = await Promise.race([
    Promise.all(streams.map((stream) => stream.status)),
    sleep(WAIT_MS).then(() => undefined),
  ]);
  if (ends === undefined) problems.push("streams that nobody reads are not ended");
  const cut = (ends ?? []).filter(({ rst, code }) => rst !== 0 || code === 8).length;
  for (const member of members) member.wire.destroy();
  // Given back: a reader gets them within seconds although they were hidden for a minute.
  const polling = reader.poll(32);
  await until("what nobody read comes to the next", () => reader.messages.length >= sent);
  await reader.leave(true);
  await polling;
  const mib = most - before.rssMib;
  console.log(
    `${size} readers that never read: at most ${mib} MiB more, ${cut} streams cut, slowest answer beside them ${Math.round(slowest)} ms, ` +
      `their messages came to another reader`,
  );
  if (mib > size * SLOW_MIB_MAX + 64) problems.push(`slow readers: ${mib} MiB`);
}

async function until(what, condition) {
  const end = performance.now() + WAIT_MS;
  while (!condition()) {
    if (performance.now() > end) {
      problems.push(`not within ${WAIT_MS} ms: ${what}`);
      return;
    }
    await sleep(50);
  }
}

/** Memory and descriptors of the server's process. */
function look() {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  const rssMib = Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024);
  return { rssMib, fds: readdirSync(`/proc/${server.pid}/fd`).length };
}

function at(sorted, share) {
  return sorted.length === 0 ? 0 : Math.round(sorted[Math.floor((sorted.length - 1) * share)]);
}
