// Faults at an exact system call, injected by strace: a sync that fails, and a kill at the n-th write, sync, truncation,
// renaming, opening or removal. UV_THREADPOOL_SIZE=1, because strace counts per thread.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AuditLog } from "./lib/auditLog.mjs";
import { conclude, createTopics, finishLoad, SMALL_FILES, startLoad } from "./lib/load.mjs";
import { skipped, straceMissing } from "./lib/needs.mjs";
import { seeded } from "./lib/random.mjs";
import { Skylark } from "./lib/servers.mjs";

const FIRST_LOG_FILE = join("commitlog", "00000000000000000000");
const DIES_WITHIN_MS = 15_000;
const SERVICE_NOT_AVAILABLE = 14;
const CALLS = ["pwrite64", "fdatasync", "fsync", "ftruncate", "rename", "openat", "unlink", "close", "write"];
const CALIBRATION_MS = 5_000;
const CYCLE_MS = 4_000;

/**
 * strace as a detached grandchild (-D): the process that is started, killed and asked for its exit code is node. Without
 * --seccomp-bpf, which makes it faster and its injected signals ineffective (strace 6.1).
 */
function strace(...args) {
  return ["strace", "-D", "-f", "-qq", ...args];
}

const ENV = { UV_THREADPOOL_SIZE: "1" };

/**
 * The n-th sync of the log fails, once or from then on. Nothing may be acknowledged that no successful sync covers: with
 * one send at a time there are never more acknowledgements than successful syncs.
 */
export async function failingSync({ seed, port: namesrvPort, keep, syncs = [1, 2, 7, 30] }) {
  const reason = straceMissing();
  if (reason !== undefined) return skipped("failing sync", reason);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const flush of ["SYNC_FLUSH", "ASYNC_FLUSH"]) {
    for (const n of flush === "SYNC_FLUSH" ? syncs : [1, 2]) {
      for (const forEver of [false, true]) {
        for (const window of flush === "SYNC_FLUSH" ? [1, 32] : [32]) {
          const ok = await oneFailure({ flush, n, forEver, window, seed, namesrvPort, keep });
          counts[ok ? "passed" : "failed"]++;
        }
      }
    }
  }
  return counts;
}

async function oneFailure({ flush, n, forEver, window, seed, namesrvPort, keep }) {
  const dir = mkdtempSync(join(tmpdir(), "skylark-eio-"));
  const port = namesrvPort + 10;
  const settings = { ...SMALL_FILES, flushDiskType: flush };
  const log = new AuditLog(join(dir, "audit.log"));
  const store = join(dir, "store");
  const trace = join(dir, "strace.log");
  const when = `${n}${forEver ? "+" : ""}`;
  const inject = [
    "-e",
    "trace=fdatasync",
    "-e",
    `inject=fdatasync:error=EIO:when=${when}`,
    "-P",
    join(store, FIRST_LOG_FILE),
  ];
  const name = `${flush}, fdatasync ${when} of the log fails, ${window} in flight`;
  const common = { dir, namesrvPort, brokerPort: port, settings, store };
  const sick = new Skylark({ ...common, wrap: strace("-o", trace, ...inject), env: ENV });
  const well = new Skylark(common);
  const problems = [];
  let ok = false;
  try {
    await sick.start();
    await createTopics(port);
    const producer = { window, perSecond: 3_000, delayedShare: 0, batchShare: 0, retryPauseMs: 20 };
    const load = startLoad({ port, log, random: seeded(seed), producers: 1, consumers: 0, producer });
    const remarks = new Set();
    let refused = false;
    let acks = 0;
    let acksAfter = 0;
    load.producers[0].onRefused = (code, remark) => {
      refused = true;
      remarks.add(`${code} ${remark}`);
    };
    load.producers[0].onAck = () => {
      acks++;
      // One connection, answers in order: behind the first refusal nothing was granted.
      if (refused) acksAfter++;
    };
    const ended = await Promise.race([sick.exited, sleep(DIES_WITHIN_MS)]);
    const { ok: synced, failed } = syncsOf(trace);
    if (failed === 0) problems.push("the fault was not met");
    if (ended === undefined) problems.push(`the process still runs ${DIES_WITHIN_MS} ms later`);
    else if (ended.code === 0 || ended.code === null) problems.push(`the process ended with ${JSON.stringify(ended)}`);
    if (acksAfter > 0) problems.push(`${acksAfter} sends were acknowledged after a refusal`);
    if (flush === "SYNC_FLUSH" && window === 1 && acks > synced) {
      problems.push(`${acks} acknowledgements, ${synced} successful syncs`);
    }
    if (remarks.size === 0) problems.push("nobody was told");
    for (const remark of remarks) {
      if (!remark.startsWith(`${SERVICE_NOT_AVAILABLE} `) || !/EIO/.test(remark))
        problems.push(`refused with ${remark}`);
    }
    const granted = acks;
    if (ended === undefined) await sick.kill9();
    await well.start();
    problems.push(...(await finishLoad(load)));
    console.log(`-- ${name}: ${granted} acknowledged before the end, ${synced} syncs; ${[...remarks].join(" | ")}`);
    const result = await quietly(() =>
      conclude({ server: well, port, log, progressMs: Number.POSITIVE_INFINITY, selfTest: false }),
    );
    if (!result.ok) problems.push(JSON.stringify(result.verdict.counts), JSON.stringify(result.verdict.examples));
    problems.push(...result.problems);
    ok = problems.length === 0;
    for (const problem of problems) console.log(`  problem: ${problem.replaceAll(dir, "")}`);
  } finally {
    await sick.end();
    await well.end();
    log.close();
    if (ok || !keep) rmSync(dir, { recursive: true, force: true });
    else console.log(`evidence in ${dir}`);
  }
  return ok;
}

function syncsOf(trace) {
  const lines = readFileSync(trace, "utf8").split("\n");
  return {
    ok: lines.filter((line) => /= 0$/.test(line.trim())).length,
    failed: lines.filter((line) => /INJECTED/.test(line)).length,
  };
}

/** Each of the small runs needs no report of its own. */
async function quietly(run) {
  const { log } = console;
  console.log = () => {};
  try {
    return await run();
  } finally {
    console.log = log;
  }
}

/** Kills at calls that touch the store, spread over what a run without faults does; one store and one audit for all. */
export async function killAtCall({ points, seed, port: namesrvPort, keep }) {
  const reason = straceMissing();
  if (reason !== undefined) return skipped("kill at a system call", reason);
  console.log(`== kill -9 at a system call, ${points} points, seed ${seed}`);
  const random = seeded(seed);
  const dir = mkdtempSync(join(tmpdir(), "skylark-kill-at-"));
  const port = namesrvPort + 10;
  const settings = { ...SMALL_FILES, flushDiskType: random.chance(0.5) ? "SYNC_FLUSH" : "ASYNC_FLUSH" };
  const store = join(dir, "store");
  const trace = join(dir, "strace.log");
  const log = new AuditLog(join(dir, "audit.log"));
  const common = { dir, namesrvPort, brokerPort: port, settings, store, env: ENV };
  const first = new Skylark({ ...common, wrap: strace("-y", "-o", trace, "-e", `trace=${CALLS.join()}`) });
  let server = first;
  const problems = [];
  const hits = {};
  let reached = 0;
  let ok = false;
  try {
    await first.start();
    await createTopics(port);
    const load = startLoad({ port, log, random });
    await sleep(CALIBRATION_MS);
    await first.kill9();
    const calls = callsOf(trace, store);
    for (let i = 0; i < points; i++) {
      const name = CALLS[i % CALLS.length];
      const at = calls.get(name) ?? [];
      if (at.length === 0) continue;
      // Half of the points lie among the first calls: start and recovery.
      const n = at[random.chance(0.5) ? random.int(Math.min(12, at.length)) : random.int(at.length)];
      const fault = ["-o", "/dev/null", "-e", `trace=${name}`, "-e", `inject=${name}:signal=KILL:when=${n}`];
      server = new Skylark({ ...common, wrap: strace(...fault) });
      server.spawn();
      const ended = await Promise.race([server.exited, sleep(CYCLE_MS)]);
      if (ended?.signal === "SIGKILL") {
        reached++;
        hits[name] = (hits[name] ?? 0) + 1;
      } else if (ended !== undefined) {
        problems.push(`${name} ${n}: the server ended by itself: ${JSON.stringify(ended)}`);
      }
      await server.kill9();
    }
    server = new Skylark(common);
    await server.start();
    problems.push(...(await finishLoad(load)));
    console.log(
      `reached ${reached} of ${points}: ${Object.entries(hits)
        .map(([call, n]) => `${call} ${n}`)
        .join(", ")}`,
    );
    const result = await conclude({ server, port, log, progressMs: Number.POSITIVE_INFINITY });
    problems.push(...result.problems);
    if (reached < points / 2) problems.push("fewer than half of the points were reached");
    for (const problem of problems) console.log(`  problem: ${problem}`);
    ok = result.ok && problems.length === 0;
  } finally {
    await server.end();
    log.close();
    if (ok || !keep) rmSync(dir, { recursive: true, force: true });
    else console.log(`evidence in ${dir}`);
  }
  console.log(ok ? "ok" : `FAILED; again with --seed ${seed}`);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

/** For each call the numbers (per thread, as strace counts) of those that touch the store. */
function callsOf(trace, store) {
  const counts = new Map();
  const at = new Map(CALLS.map((name) => [name, new Set()]));
  for (const line of readFileSync(trace, "utf8").split("\n")) {
    const match = /^(\d+)\s+(\w+)\(/.exec(line);
    if (match === null || !at.has(match[2])) continue;
    const key = `${match[1]} ${match[2]}`;
    const n = (counts.get(key) ?? 0) + 1;
    counts.set(key, n);
    if (line.includes(store)) at.get(match[2]).add(n);
  }
  return new Map([...at].map(([name, set]) => [name, [...set].sort((a, b) => a - b)]));
}
