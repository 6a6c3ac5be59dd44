// kill -9 under load (`npm run chaos -- kill9`): a real broker on real sockets, four producers and two consumers, killed
// again and again and started on the same ports and store; then everything it holds is compared with the outside log.
//
//   --kills 50 --flush both|ASYNC_FLUSH|SYNC_FLUSH --seed N --server skylark|apache --canary loss|altered|order|false-ack|... --keep

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AuditLog } from "./lib/auditLog.mjs";
import { conclude, createTopics, finishLoad, SMALL_FILES, startLoad } from "./lib/load.mjs";
import { percentile, readOptions } from "./lib/options.mjs";
import { seeded } from "./lib/random.mjs";
import { eachFlush, killOptions } from "./lib/rounds.mjs";
import { serverOf } from "./lib/servers.mjs";

const KILL_MS = [50, 2_000];
/** Fewer acknowledgements per kill than this, and the run has shown nothing. */
const ACKS_PER_KILL = 200;
/** At least this share of the kills must have met a send without its answer. */
const PENDING_SHARE = 0.5;
/** A commit is on disk this long after its answer: the interval, and time for a busy machine to write the file. */
const PROGRESS_MS = 2_000;
/** Apache waits 10 s before it persists offsets for the first time. */
const APACHE_PROGRESS_MS = 15_000;

export const KILL9_OPTIONS = killOptions({ kills: 50, port: 27000 });

export const kill9 = (options) => eachFlush(options, run);

async function run({ flush, kills, seed, server: kind, canary, keep, port: namesrvPort }) {
  const random = seeded(seed);
  const dir = mkdtempSync(join(tmpdir(), "skylark-kill9-"));
  console.log(`== kill -9, ${kind}, ${flush}, ${kills} kills, seed ${seed}`);
  const port = namesrvPort + 10;
  const settings = { ...SMALL_FILES, flushDiskType: flush };
  // Apache's send threads overtake each other within one connection; with one thread it keeps what is judged here.
  if (kind === "apache") settings.sendMessageThreadPoolNums = 1;
  const server = serverOf(kind, { dir, namesrvPort, brokerPort: port, settings });
  const log = new AuditLog(join(dir, "audit.log"));
  const recoveries = [];
  let pendingKills = 0;
  const stamp = () => performance.now().toFixed(1);
  try {
    await server.start();
    log.note(`U ${stamp()}`);
    await createTopics(port);
    const load = startLoad({ port, log, random });
    const began = performance.now();
    for (let k = 0; k < kills; k++) {
      await sleep(random.between(KILL_MS[0], KILL_MS[1]) * (kind === "apache" ? 2 : 1));
      if (await untilPending(load.producers)) pendingKills++;
      await server.kill9();
      log.note(`X ${stamp()}`);
      log.flush();
      recoveries.push(await server.start());
      log.note(`U ${stamp()}`);
    }
    const seconds = (performance.now() - began) / 1000;
    await sleep(500);
    const problems = await finishLoad(load);
    console.log(
      `${seconds.toFixed(1)} s, kills ${kills}, of them with sends pending ${pendingKills}; ` +
        `start to ready ms: p50 ${percentile(recoveries, 0.5).toFixed(0)}, p99 ${percentile(recoveries, 0.99).toFixed(0)}; ` +
        `consumed ${load.consumers.reduce((sum, c) => sum + c.read, 0)}`,
    );
    const progressMs = kind === "apache" ? APACHE_PROGRESS_MS : PROGRESS_MS;
    const result = await conclude({ server, port, log, progressMs, canary });
    problems.push(...result.problems);
    if (log.acks < kills * ACKS_PER_KILL) {
      problems.push(`too little traffic: ${log.acks} acknowledgements for ${kills} kills`);
    }
    if (pendingKills < kills * PENDING_SHARE) {
      problems.push(`only ${pendingKills} of ${kills} kills met a pending send`);
    }
    for (const problem of problems) console.log(`  problem: ${problem}`);
    const ok = result.ok && problems.length === 0;
    console.log(ok ? "ok" : `FAILED; again with --seed ${seed}`);
    if (ok && !keep) rmSync(dir, { recursive: true, force: true });
    else console.log(`evidence in ${dir}`);
    return ok;
  } finally {
    await server.end();
    log.close();
  }
}

/** A kill between two bursts shows little: waits a moment for one that has sends without an answer. */
async function untilPending(producers) {
  const limit = performance.now() + 100;
  const pending = () => producers.some((producer) => producer.inFlight > 0);
  while (!pending() && performance.now() < limit) await new Promise((resolve) => setImmediate(resolve));
  return pending();
}

if (process.argv[1] === import.meta.filename) {
  const { passed, failed } = await kill9(readOptions(KILL9_OPTIONS));
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
