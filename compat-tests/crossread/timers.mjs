// Cross-reading of timers: one server is left with messages that wait for an exact time, the other one opens its store: each comes in its second, those
// that were recalled before the change or are recalled after it with the handle that the first server gave never do.
//
//   node compat-tests/crossread/timers.mjs [--from apache|skylark] [--end clean|kill9] [--self] [--keep]
//
// Waits of 1 to 55 s with a wheel that holds 10: messages are in the wheel, due while nobody runs, and on their way there by up to five rolls.
// Apache forgets a recall whose message was to be rolled and to come while nobody ran: rolled too late, it comes at once, without a look at its slot,
// where the recall is. `--from apache --self` shows it; with Apache as the reader such messages are told and not judged.
// Judged as `npm run chaos -- timer`; what comes twice is told, and is a failure where Skylark is the reader.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { AuditLog } from "../chaos/lib/auditLog.mjs";
import { createTopic, RawClient } from "../chaos/lib/client.mjs";
import { drain } from "../chaos/lib/harvest.mjs";
import { seeded } from "../chaos/lib/random.mjs";
import { judgeTimers, readTimerLog, TIMER_CANARIES } from "../chaos/lib/timerJudge.mjs";
import { TIMER_CHAOS_TOPIC, TimerLoad } from "../chaos/lib/timerLoad.mjs";
import { CODE } from "../chaos/lib/wire.mjs";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing } from "../lib/build.mjs";
import { Ports } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { Slots } from "../lib/slots.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 800;
const LOAD_MS = 8_000;
const WAIT_MS = [1_000, 55_000];
const PRECISION_MS = 1_000;
/** Behind the end of its slot a message is on time; the machine may be busy with the other directions. */
const ON_TIME_MS = 1_000;
const APACHE_CATCHES_UP_MS = 5_000;
const SETTINGS = {
  mappedFileSizeCommitLog: 1024 * 1024,
  mappedFileSizeConsumeQueue: 20 * 500,
  maxHashSlotNum: 5_000,
  maxIndexNum: 20_000,
  recallMessageEnable: true,
  timerRollWindowSlot: 10,
  mappedFileSizeTimerLog: 52 * 400 + 16,
};

const { values: options } = parseArgs({
  options: {
    from: { type: "string", multiple: true },
    end: { type: "string", multiple: true },
    self: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED crossread of timers: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const tempDir = mkdtempSync(join(tmpdir(), "skylark-crossread-timers-"));
const ports = new Ports(BASE_PORT);
// A direction is waiting most of the time.
const slots = new Slots(2);
const directions = [];
for (const from of options.from ?? ["skylark", "apache"]) {
  const other = from === "apache" ? "skylark" : "apache";
  for (const to of options.self ? [other, from] : [other]) {
    for (const end of options.end ?? ["clean", "kill9"]) directions.push(slots.run(() => direction(from, to, end)));
  }
}
const passed = (await Promise.all(directions)).filter(Boolean).length;
const failed = directions.length - passed;
if (failed > 0 || options.keep) console.log(`files kept in ${tempDir}`);
else rmSync(tempDir, { recursive: true, force: true });
console.log(`crossread of timers: ${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

async function direction(from, to, end) {
  const name = `${from} -> ${to}, ${end}`;
  const dir = join(tempDir, name.replaceAll(/[^a-z0-9]+/g, "-"));
  const place = await ports.take();
  const port = place.brokerPort;
  const writer = serverOf(from, join(dir, "writer"), join(dir, "store"), place);
  const reader = serverOf(to, join(dir, "reader"), join(dir, "store"), place);
  const log = new AuditLog(join(dir, "audit.log"));
  const problems = [];
  try {
    await writer.start();
    const admin = await RawClient.open({ port });
    await createTopic(admin, TIMER_CHAOS_TOPIC, 1);
    admin.destroy();
    const load = new TimerLoad({ number: 0, port, log, random: seeded(12), perSecond: 200, waitMs: WAIT_MS });
    await sleep(LOAD_MS);
    // An order to stop finds the load at rest, a kill does not.
    if (end === "clean") await load.finish();
    const before = (await stored(port)).length;
    // A server that stops in order delivers nothing any more, long before it is gone.
    log.note(`X ${Date.now()}`);
    if (end === "clean") await writer.stopGracefully();
    else await writer.kill9();
    await load.finish();
    await reader.start();
    const up = Date.now();
    log.note(`U ${up}`);
    const client = await RawClient.open({ port });
    await load.recallLate(client, 5);
    client.destroy();
    const more = new TimerLoad({ number: 1, port, log, random: seeded(13), perSecond: 50, waitMs: [1_000, 15_000] });
    await sleep(3_000);
    await more.finish();
    log.flush();
    const evidence = readTimerLog(log.file);
    const records = await settled(port, Math.max(...[...evidence.timers.values()].map(({ due }) => due)));
    const { counts, examples, duplicates, error } = judgeTimers(evidence, records, PRECISION_MS);
    // Apache's, also in a store of its own: see the header.
    const missed = to === "apache" ? unmarked(evidence, records, up) : 0;
    counts.recalledCame -= missed;
    for (const [kind, n] of Object.entries(counts))
      if (n > 0) problems.push(`${kind}: ${n} ${examples[kind].join("; ")}`);
    for (const [canary, { kind, plant }] of Object.entries(TIMER_CANARIES)) {
      const found = judgeTimers(evidence, plant(evidence, records), PRECISION_MS).counts[kind] > counts[kind];
      if (!found) problems.push(`the verdict did not find the planted defect "${canary}"`);
    }
    if (error.p99 > ON_TIME_MS) problems.push(`not on time: ${error.p99} ms behind its slot at p99`);
    if (duplicates > 0 && to === "skylark" && end === "clean")
      problems.push(`came twice: ${examples.duplicate.join("; ")}`);
    const all = [...evidence.timers.values()];
    const recalled = (is) => all.filter(is).filter(({ recall }) => recall === "acked").length;
    const late = [...load.handles].filter(({ id }) => evidence.timers.get(id).recall === "acked").length;
    if (late === 0) problems.push("no handle was used after the change");
    const excused = to === "apache" ? ` (${missed} came all the same, as Apache was away for a roll)` : "";
    console.log(
      `${problems.length === 0 ? "ok  " : "FAIL"} ${name}: ${all.length} sent, ${before} came before, ${records.length - before} after, recalled ` +
        `${recalled(() => true) - late} before and ${late} after${excused}, twice ${duplicates}, ms behind the slot p50 ${error.p50}, p99 ${error.p99}, ` +
        `max ${error.max} (of ${error.of})`,
    );
  } catch (error) {
    problems.push(error.stack);
    console.log(`FAIL ${name}`);
  } finally {
    await writer.kill9();
    await reader.kill9();
    log.close();
  }
  for (const problem of problems) console.log(`  ${problem}`);
  return problems.length === 0;
}

/** Deliveries of recalled messages that were due while nobody ran, or Apache was still catching up. */
function unmarked({ timers }, records, up) {
  const behind = up + APACHE_CATCHES_UP_MS;
  return records.filter(({ id }) => timers.get(id)?.recall === "acked" && timers.get(id).due < behind).length;
}

async function stored(port) {
  const client = await RawClient.open({ port });
  try {
    return (await drain(client, TIMER_CHAOS_TOPIC, 0)).records;
  } finally {
    client.destroy();
  }
}

/** The topic when everything is due and nothing more arrives. */
async function settled(port, lastDue) {
  await sleep(Math.max(0, lastDue - Date.now()) + 3_000);
  const client = await RawClient.open({ port });
  try {
    for (let before = -1; ; ) {
      const max = await client.number(CODE.MAX_OFFSET, { topic: TIMER_CHAOS_TOPIC, queueId: 0 });
      if (max === before) break;
      before = max;
      await sleep(2_000);
    }
  } finally {
    client.destroy();
  }
  return stored(port);
}

function serverOf(kind, dir, store, place) {
  mkdirSync(dir, { recursive: true });
  const common = { dir, store, ...place, settings: SETTINGS };
  return kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer(common);
}
