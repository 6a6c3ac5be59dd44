// A million timers: what they cost in memory, how exactly others fire beside them, how long a start takes with them, and what a kill -9 does.
//
//   node compat-tests/chaos/manyTimers.mjs [--pending 1000000] [--due 20000] [--server skylark|apache] [--port 27500] [--keep]
//
// 1. `--pending` messages that are due in 15 to 85 minutes, so none of them during the run.
// 2. `--due` more within a minute: each must come once, none before its time.
// 3. A clean stop and start, timed.
// 4. `--due` more within a minute, kill -9 amid them, a start: each must come, none early; what comes twice is told.
// Resident memory is read behind each step. What it is compared with is a server through which as many timers went that do not wait any more:
// the log's tail in memory and the heap that requests leave behind are the same, so that the difference is what waiting costs. It must stay below
// GROWTH_MIB: a timer that waits costs disk, not memory. Takes about seven minutes; not part of `npm test`, nor of `npm run chaos` without a name.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createTopic, RawClient, sendHeader } from "./lib/client.mjs";
import { drain } from "./lib/harvest.mjs";
import { bodyOf } from "./lib/names.mjs";
import { percentile, readOptions } from "./lib/options.mjs";
import { serverOf } from "./lib/servers.mjs";
import { CODE, properties } from "./lib/wire.mjs";

const options = readOptions({ pending: 1_000_000, due: 20_000, server: "skylark", port: 27_500, keep: false });
const TOPIC = "ManyTimers";
const RUNTIME_INFO = 28;
const PENDING_QUEUE = 0;
const SOON_QUEUE = 1;
const FIRST_DUE_QUEUE = 2;
const SOON = 300_000;
const SOON_MS = [1_000, 3_000];
const WINDOW = 2_000;
const FAR_MS = [900_000, 5_100_000];
const NEAR_MS = [5_000, 60_000];
const QUIET_MS = 20_000;
const BODY_BYTES = 100;
const PRECISION_MS = 1_000;
const CATCH_UP_MS = 1_500;
const ON_TIME_MS = 1_000;
const GROWTH_MIB = 60;
const SETTLE_LIMIT_MS = 600_000;

const dir = mkdtempSync(join(tmpdir(), "skylark-many-timers-"));
const port = options.port + 10;
const server = serverOf(options.server, { dir, namesrvPort: options.port, brokerPort: port });
const problems = [];
let dueQueue = FIRST_DUE_QUEUE;
let client;
try {
  console.log(`${options.server}: idle after ${seconds(await server.start())} s`);
  client = await RawClient.open({ port, binary: true });
  await createTopic(client, TOPIC, FIRST_DUE_QUEUE + 2);
  memory("idle");
  await send("timers of the next seconds", SOON, SOON_QUEUE, (i) => Date.now() + spread(i, SOON_MS));
  await sleep(QUIET_MS);
  const base = memory("when they were through");

  const lastDue = await send("timers", options.pending, PENDING_QUEUE, (i) => Date.now() + spread(i, FAR_MS));
  await entered(options.pending);
  await sleep(QUIET_MS);
  const loaded = memory(`with ${options.pending} pending`, base);
  if (options.server === "skylark" && loaded - base > GROWTH_MIB) {
    problems.push(`${(loaded - base).toFixed(0)} MiB more than before`);
  }

  const near = await sendDue("a");
  await fired("beside them", near, FIRST_DUE_QUEUE, []);
  memory("afterwards", base);

  client.destroy();
  const stopping = performance.now();
  const exit = await server.stop();
  if (exit !== 0) problems.push(`SIGTERM ended it with ${exit}`);
  const stopped = performance.now() - stopping;
  const began = await server.start();
  console.log(`stopped in ${seconds(stopped)} s, ready again in ${seconds(began)} s`);
  client = await RawClient.open({ port, binary: true });
  await entered(options.pending);
  memory("after the start", base);

  const again = await sendDue("b");
  await sleep(20_000);
  client.destroy();
  const killed = Date.now();
  await server.kill9();
  const recovered = await server.start();
  const up = Date.now();
  console.log(`killed, ready again in ${seconds(recovered)} s`);
  client = await RawClient.open({ port, binary: true });
  await fired("across a kill -9", again, FIRST_DUE_QUEUE + 1, [{ from: killed, to: up }]);
  await entered(options.pending);
  memory("in the end", base);
  const early = await client.number(CODE.MAX_OFFSET, { topic: TOPIC, queueId: PENDING_QUEUE });
  if (lastDue > Date.now() && early > 0) problems.push(`${early} timers came long before their time`);
} finally {
  client?.destroy();
  await server.end();
  if (options.keep) console.log(`files kept in ${dir}`);
  else rmSync(dir, { recursive: true, force: true });
}
for (const problem of problems) console.log(`  ${problem}`);
console.log(problems.length === 0 ? "ok" : "FAILED");
process.exit(problems.length === 0 ? 0 : 1);

/** Spread evenly, neighbours far apart. */
function spread(i, [from, to]) {
  return from + ((i * 7_919) % (to - from));
}

/** Sends a window of messages at a time; `dueOf` gives the time of each. Returns the earliest of those times. */
async function send(what, count, queueId, dueOf, tag = "m", times = undefined) {
  const began = performance.now();
  let sent = 0;
  let least = Number.POSITIVE_INFINITY;
  const lane = async () => {
    while (sent < count) {
      const i = sent++;
      const due = dueOf(i);
      const id = `t.${tag}.${queueId}.${i}`;
      if (due < least) least = due;
      times?.set(id, due);
      const header = sendHeader({
        group: "Producers",
        topic: TOPIC,
        queueId,
        properties: properties({ UNIQ_KEY: id, TIMER_DELIVER_MS: due, WAIT: "true" }),
      });
      const { code, remark } = await client.ask(CODE.SEND, header, bodyOf(id, BODY_BYTES), { timeoutMs: 60_000 });
      if (code !== 0) throw new Error(`${what}: ${code} ${remark}`);
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, lane));
  console.log(`${count} ${what} stored in ${seconds(performance.now() - began)} s`);
  return least;
}

async function sendDue(tag) {
  const times = new Map();
  await send("timers of the next minute", options.due, dueQueue++, (i) => Date.now() + spread(i, NEAR_MS), tag, times);
  return times;
}

async function runtime() {
  const { body } = await client.ask(RUNTIME_INFO, {});
  return JSON.parse(body.toString("utf8")).table;
}

/** Waits until all are in the wheel. */
async function entered(atLeast) {
  const began = performance.now();
  for (;;) {
    const { timerOffsetBehind, timerCongestNum } = await runtime();
    if (Number(timerOffsetBehind) <= 0 && Number(timerCongestNum) >= atLeast) {
      return console.log(`timerCongestNum ${timerCongestNum} after ${seconds(performance.now() - began)} s`);
    }
    if (performance.now() - began > SETTLE_LIMIT_MS) throw new Error(`${timerCongestNum} of ${atLeast} in the wheel`);
    await sleep(500);
  }
}

/** Waits until every one of `times` has come, and judges when. */
async function fired(what, times, queueId, away) {
  const last = Math.max(...times.values());
  await sleep(Math.max(0, last - Date.now()) + 2 * PRECISION_MS);
  for (let before = -1; ; await sleep(2_000)) {
    const max = await client.number(CODE.MAX_OFFSET, { topic: TOPIC, queueId });
    if (max === before) break;
    before = max;
  }
  const { records } = await drain(client, TOPIC, queueId);
  const came = new Map();
  const errors = [];
  let early = 0;
  for (const { id, storeTime } of records) {
    const due = times.get(id);
    came.set(id, (came.get(id) ?? 0) + 1);
    if (storeTime < due) early++;
    // A slot is read at its end.
    const slotEnd = Math.ceil(due / PRECISION_MS) * PRECISION_MS;
    if (!away.some(({ from, to }) => slotEnd >= from && slotEnd <= to + CATCH_UP_MS)) errors.push(storeTime - slotEnd);
  }
  const lost = times.size - came.size;
  const twice = [...came.values()].filter((n) => n > 1).length;
  const p99 = percentile(errors, 0.99);
  console.log(
    `${what}: ${came.size} of ${times.size} came, early ${early}, twice ${twice}; ms behind the slot's end p50 ${percentile(errors, 0.5)}, ` +
      `p99 ${p99}, max ${Math.max(...errors)} (of ${errors.length} with the broker up)`,
  );
  if (lost > 0 || early > 0) problems.push(`${what}: lost ${lost}, early ${early}`);
  if (twice > 0 && away.length === 0) problems.push(`${what}: ${twice} came twice`);
  if (p99 > ON_TIME_MS) problems.push(`${what}: p99 is ${p99} ms`);
}

/** Resident memory of the broker, MiB; Apache's JVM has a heap of a fixed size, which says nothing. */
function memory(when, base) {
  if (server.pid === undefined) return 0;
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  const mib = Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) / 1024;
  const more = base === undefined ? "" : `, ${(mib - base).toFixed(0)} more`;
  console.log(`resident ${when}: ${mib.toFixed(0)} MiB${more}`);
  return mib;
}

function seconds(ms) {
  return (ms / 1000).toFixed(1);
}
