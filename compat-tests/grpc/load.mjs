// Thousands of 5.x clients at once, each with a connection, an open Telemetry stream and a long poll: what they cost, whether what they wait for comes,
// whether anything is left when they are gone; readers that never read; calls that no client makes.
//
//   node compat-tests/grpc/load.mjs [--clients 2000] [--waves 4] [--slow 100] [--server skylark|apache-local|...]
//
// Half of a wave says goodbye, the other half is gone as a killed process is and remembered for two minutes. Each wave comes under other names: what it
// leaves behind would show in the next. Resident memory is looked at with all of them waiting, after they have had messages, and when they are gone; of
// Skylark also what is alive then (lib/memoryHook.mjs). Ends with every figure and its limit.

import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
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
/** A pop takes no more than two or three such messages. All of them fit into the log's memory, so that none waits for the disk. */
const SLOW_MESSAGES_EACH = 3;
/** What a client with its stream and poll may cost. */
const CLIENT_KIB_MAX = 120;
/** The same in resident memory of any wave, in which V8 has not collected yet what earlier ones left. */
const CLIENT_RSS_KIB_MAX = 2 * CLIENT_KIB_MAX;
/** Alive when a wave is gone, beyond the first: two waves' halves that said no goodbye are remembered instead of one. */
const GROWTH_MIB_MAX = 24;
/** Alive when all are forgotten, beyond the small wave: what the store keeps of the log in memory, and of its blocks, by its own limits. */
const LEFT_MIB_MAX = 80;
/** Fewer clients than this say nothing about what one costs. */
const CROWD_MIN = 1_000;
/** A reader that does not read may hold a pop's bytes and a window's. */
const SLOW_MIB_MAX = 1;
/** What sends and their collections cost beside the readers. */
const SLOW_BASE_MIB = 64;
/** Alive between one round of such readers and the next. */
const SLOW_GROWTH_MIB_MAX = 24;
const SLOW_ROUNDS = 2;
/** The share of them that may have got nothing, because others got all. */
const UNCUT_MAX = 0.25;
/** Answers to others while nobody reads. */
const BESIDE_MS_MAX = 10_000;

const { values: options } = parseArgs({
  options: {
    clients: { type: "string", default: "2000" },
    waves: { type: "string", default: "4" },
    slow: { type: "string", default: "100" },
    server: { type: "string", default: "skylark" },
  },
});
const count = Number(options.clients);
const ports = await new Ports(Number(process.env.SKYLARK_COMPAT_PORT ?? 24_900)).take();
const dir = mkdtempSync(join(tmpdir(), "skylark-grpc-load-"));
const lib = options.server.includes("apache") ? apacheLib() : undefined;
const memoryFile = options.server === "skylark" ? join(dir, "memory.json") : undefined;
if (memoryFile !== undefined) {
  process.env.SKYLARK_MEMORY_FILE = memoryFile;
  process.env.NODE_OPTIONS = `--import ${new URL("lib/memoryHook.mjs", import.meta.url)}`;
}
let looks = 0;
const server = makeServer(options.server, { dir, ...ports, lib });
const address = `127.0.0.1:${server.grpcPort}`;
const run = `l${Date.now().toString(36).slice(-5)}`;
const problems = [];
/** What was shown: a figure, and what it may be at most. */
const verdict = [];

await server.start();
const places = Array.from({ length: GROUPS }, (_, g) => {
  const [topic, group] = ["normal", "g"].map((suffix) => ({ name: nameOf(`${run}${g}`, "send", suffix) }));
  return { topic, group };
});
for (let g = 0; g < GROUPS; g++) await createResources(server.brokerPort, `${run}${g}`, ["send"]);
await odd("before");
// A first small wave, so that what everything needs once is there.
const base = await wave("small", 5 * GROUPS);
const waves = [];
for (let w = 1; w <= Number(options.waves); w++) waves.push(await wave(`wave ${w}`, count));
if (count >= CROWD_MIN) {
  const kib = (mib) => Math.round(((mib - base.gone) * 1024) / count);
  shown("a client with its stream, its poll and its messages, KiB", kib(waves[0].full), CLIENT_KIB_MAX);
  const most = Math.max(...waves.map(({ full }) => full));
  shown("resident for each in any wave, with what V8 has not collected, KiB", kib(most), CLIENT_RSS_KIB_MAX);
}
if (base.alive !== undefined) {
  const growth = Math.max(...waves.map(({ alive }) => alive)) - waves[0].alive;
  shown("alive when a wave is gone: growth from the first to any later one, MiB", growth, GROWTH_MIB_MAX);
}
const slow = Number(options.slow);
if (slow > 0) {
  const rounds = [];
  for (let r = 1; r <= SLOW_ROUNDS; r++) rounds.push(await withProducer((producer) => slowReaders(r, slow, producer)));
  const uncut = slow - Math.min(...rounds.map(({ cut }) => cut));
  shown("readers that never read, and were not cut off", uncut, slow * UNCUT_MAX);
  shown("what they cost, MiB", Math.max(...rounds.map(({ more }) => more)), slow * SLOW_MIB_MAX + SLOW_BASE_MIB);
  if (base.alive !== undefined) {
    const growth = rounds.at(-1).left - rounds[0].left;
    shown("alive when they are gone: growth by another round of them, MiB", growth, SLOW_GROWTH_MIB_MAX);
  }
  shown("slowest answer beside them, ms", Math.max(...rounds.map(({ slowest }) => slowest)), BESIDE_MS_MAX);
}
await odd("afterwards");
if (base.alive !== undefined) {
  // The last of them are remembered for two minutes.
  let left = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + WAIT_MS; left > LEFT_MIB_MAX && performance.now() < end; await sleep(5_000)) {
    left = (await alive()) - base.alive;
  }
  shown("alive when all are forgotten, beyond the first hundred, MiB", left, LEFT_MIB_MAX);
}
const { code, killed } = await server.stop();
if (options.server === "skylark" && (code !== 0 || killed)) problems.push(`a SIGTERM ended the server with ${code}`);
rmSync(dir, { recursive: true, force: true });
for (const problem of problems.slice(0, 20)) console.log(`  ${problem}`);
const failed = verdict.filter(({ right }) => !right).length + (problems.length > 0 ? 1 : 0);
for (const { text, right } of verdict) console.log(`${right ? "ok    " : "FAILED"} ${text}`);
console.log(`${problems.length === 0 ? "ok    " : "FAILED"} problems: ${problems.length}`);
console.log(`load of ${options.server}: ${verdict.length + 1 - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function shown(what, figure, most) {
  verdict.push({ text: `${what}: ${figure} (at most ${most})`, right: figure <= most });
}

/** A connection for a while: one without calls is closed by the server after two minutes. */
async function withProducer(work) {
  const producer = new Wire(address, "producer");
  try {
    return await work(producer);
  } finally {
    producer.destroy();
  }
}

async function odd(when) {
  const wrong = await withProducer(makeOddCalls);
  shown(`calls that no client makes, ${when}: answered otherwise`, wrong.length, 0);
  problems.push(...wrong);
}

/** They come, wait, are given messages, and go. @returns the server's RSS meanwhile, and what is alive afterwards, MiB */
async function wave(name, size) {
  const before = sockets();
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
  const waiting = rssMib();
  const lateness = await withProducer((producer) => deliver(name, members, producer));
  const full = rssMib();
  for (const member of members) problems.push(...member.problems);
  await Promise.all(members.map((member, i) => member.leave(i % 2 === 0)));
  await Promise.all(polls);
  await until("their connections are closed", () => sockets() <= before);
  const gone = rssMib();
  const left = await alive();
  console.log(
    `${name}: ${size} clients in ${Math.round(joinedMs)} ms, RSS waiting ${waiting} MiB (${(idle * 100).toFixed(1)} % of a core), ` +
      `with ${lateness.length} messages ${full}, gone ${gone}${left === undefined ? "" : `, alive ${left}`}; ` +
      `ms to the client: p50 ${at(lateness, 0.5)}, p99 ${at(lateness, 0.99)}`,
  );
  return { full, gone, alive: left };
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
async function slowReaders(round, size, producer) {
  const [{ topic, group }] = places;
  const reader = new Member(address, `${run}-reader${round}`, topic, group);
  await reader.join();
  await reader.wire.call("ReceiveMessage", { ...reader.request(1), longPollingTimeout: { seconds: 5 } });
  const body = Buffer.alloc(SLOW_BODY_BYTES, "x");
  const sent = Math.ceil((size * SLOW_MESSAGES_EACH) / 50) * 50;
  for (let i = 0; i < sent; i += 50) {
    const sends = Array.from({ length: 50 }, (_, k) => {
      const message = { topic, body, systemProperties: { messageId: `${run}-slow${round}-${i + k}` } };
      return producer.call("SendMessage", { messages: [message] });
    });
    await Promise.all(sends);
  }
  const before = rssMib();
  const members = Array.from({ length: size }, (_, i) => new Member(address, `${run}-slow${round}-${i}`, topic, group));
  for (let i = 0; i < size; i += JOINS_AT_ONCE) {
    await Promise.all(members.slice(i, i + JOINS_AT_ONCE).map((member) => member.join()));
  }
  let [ended, cut] = [0, 0];
  for (const member of members) {
    void member.stare().then((wasCut) => {
      ended++;
      if (wasCut) cut++;
    });
  }
  let most = 0;
  let slowest = 0;
  const end = performance.now() + WAIT_MS;
  while (ended < size && performance.now() < end) {
    const begin = performance.now();
    await producer.call("QueryRoute", { topic });
    slowest = Math.max(slowest, performance.now() - begin);
    most = Math.max(most, rssMib());
    await sleep(200);
  }
  if (ended < size) problems.push(`${size - ended} streams that nobody reads are not ended`);
  await Promise.all(members.map((member) => member.leave(false)));
  // Given back: a reader gets them within seconds although they were hidden for a minute.
  const polling = reader.poll(32);
  await until("what nobody read comes to the next", () => reader.messages.length >= sent);
  await reader.leave(true);
  await polling;
  console.log(
    `${size} readers that never read: RSS ${before} MiB before, ${most} at most, ${cut} streams cut, slowest answer beside them ` +
      `${Math.round(slowest)} ms, their ${sent} messages came to another reader`,
  );
  return { most, more: most - before, slowest: Math.round(slowest), cut, left: await alive() };
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

/** What the server's process has alive, garbage collected; undefined where it cannot be asked. */
async function alive() {
  if (memoryFile === undefined) return undefined;
  const before = looks;
  process.kill(server.pid, "SIGUSR2");
  await until("the server says what is alive", () => {
    if (existsSync(memoryFile)) looks = JSON.parse(readFileSync(memoryFile, "utf8")).look;
    return looks > before;
  });
  return Math.round(JSON.parse(readFileSync(memoryFile, "utf8")).live / 1024 / 1024);
}

/** Memory of the server's process. */
function rssMib() {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024);
}

/** Its connections; files are the store's, which opens each queue's when it is first read. */
function sockets() {
  const directory = `/proc/${server.pid}/fd`;
  return readdirSync(directory).filter((fd) => {
    try {
      return readlinkSync(`${directory}/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

function at(sorted, share) {
  return sorted.length === 0 ? 0 : Math.round(sorted[Math.floor((sorted.length - 1) * share)]);
}
