// A disk that fills up under load, again and again, with another number of bytes left each time, so that every kind of
// write is the one that meets its end: log, queues, index, offsets, topics. Half of the rounds are killed while full.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AuditLog } from "./lib/auditLog.mjs";
import { createTopic, RawClient } from "./lib/client.mjs";
import { conclude, createTopics, finishLoad, SMALL_FILES, startLoad } from "./lib/load.mjs";
import { ORDER_TOPIC } from "./lib/names.mjs";
import { mountTmpfs, resizeTmpfs, skipped, unmount } from "./lib/needs.mjs";
import { percentile } from "./lib/options.mjs";
import { seeded } from "./lib/random.mjs";
import { Skylark } from "./lib/servers.mjs";

const KIB = 1024;
const MIB = 1024 * KIB;
const FIRST_MIB = 40;
/** What comes back when the ballast goes: well below the 90 % at which writes stop. */
const BALLAST_BYTES = 48 * MIB;
/** Free bytes at a round's begin: this, and the round's own mark. */
const LEFT_BYTES = 2 * MIB;
const MARK_BYTES = 68 * KIB;
const REFUSED_WITHIN_MS = 20_000;
const HOLD_MS = 1_500;
const RESUMES_WITHIN_MS = 15_000;
const SERVICE_NOT_AVAILABLE = 14;
const REASON = /disk.*full/;

export async function fullDisk({ rounds, seed, keep, port: namesrvPort }) {
  const dir = mkdtempSync(join(tmpdir(), "skylark-full-"));
  const disk = join(dir, "disk");
  mkdirSync(disk);
  const reason = mountTmpfs(disk, FIRST_MIB);
  if (reason !== undefined) {
    rmSync(dir, { recursive: true, force: true });
    return skipped("full disk", reason);
  }
  console.log(`== full disk, ${rounds} rounds, seed ${seed}`);
  const port = namesrvPort + 10;
  const server = new Skylark({ dir, namesrvPort, brokerPort: port, settings: SMALL_FILES, store: join(disk, "store") });
  const log = new AuditLog(join(dir, "audit.log"));
  const random = seeded(seed);
  const problems = [];
  const refusals = new Map();
  const resumes = [];
  let ok = false;
  let starts = 0;
  try {
    await server.start();
    await createTopics(port);
    const load = startLoad({ port, log, random, producer: { bytes: [500, 12_000], retryPauseMs: 100 } });
    let refusedAt = 0;
    let ackAt = 0;
    for (const producer of load.producers) {
      producer.onRefused = (code, remark) => {
        refusedAt = performance.now();
        const text = `${code} ${remark?.replace(/[\d.]+ %/g, "n %").replaceAll(dir, "")}`;
        refusals.set(text, (refusals.get(text) ?? 0) + 1);
        if (code !== SERVICE_NOT_AVAILABLE || !REASON.test(remark)) problems.push(`refused with ${code} ${remark}`);
      };
      producer.onAck = (at) => {
        ackAt = at;
      };
    }
    const pause = (paused) => {
      for (const producer of load.producers) producer.paused = paused;
    };
    for (let round = 0; round < rounds; round++) {
      pause(true);
      await sleep(200);
      const ballast = join(disk, "ballast");
      fill(disk, ballast, LEFT_BYTES + round * MARK_BYTES);
      const began = performance.now();
      pause(false);
      if (!(await until(() => refusedAt > began, REFUSED_WITHIN_MS))) {
        problems.push(`round ${round}: nothing was refused`);
      }
      await reads(port, `round ${round}`, problems);
      const created = await tryTopic(port, `ChaosFull${round}`);
      await sleep(HOLD_MS);
      jsonWhole(join(disk, "store", "config"), `round ${round}`, problems);
      if (round % 2 === 1) {
        await server.kill9();
        log.note(`X ${performance.now().toFixed(1)}`);
        jsonWhole(join(disk, "store", "config"), `round ${round}, killed`, problems);
        await server.start();
        starts++;
        await reads(port, `round ${round}, started on a full disk`, problems);
        if (created) await hasTopic(port, `ChaosFull${round}`, problems);
      }
      const freed = performance.now();
      rmSync(ballast);
      if (await until(() => ackAt > freed, RESUMES_WITHIN_MS)) resumes.push(ackAt - freed);
      else problems.push(`round ${round}: no acknowledgement ${RESUMES_WITHIN_MS} ms after space returned`);
      await until(() => load.producers.every((producer) => producer.unresolved < 64), 500);
    }
    resizeTmpfs(disk, FIRST_MIB * 100 * KIB);
    problems.push(...(await finishLoad(load)));
    for (const [text, n] of refusals) console.log(`  refused ${n} times: ${text}`);
    console.log(
      `resumed after ms: p50 ${percentile(resumes, 0.5).toFixed(0)}, longest ${Math.max(...resumes).toFixed(0)}; ` +
        `started on a full disk ${starts} times`,
    );
    // While the disk is full nothing can be written about progress either: how much is kept is not judged here.
    const result = await conclude({ server, port, log, progressMs: Number.POSITIVE_INFINITY });
    problems.push(...result.problems);
    if (refusals.size === 0) problems.push("the disk was never full");
    for (const problem of problems.slice(0, 10)) console.log(`  problem: ${problem}`);
    ok = result.ok && problems.length === 0;
  } finally {
    await server.end();
    log.close();
    if (ok || !keep) {
      unmount(disk);
      rmSync(dir, { recursive: true, force: true });
    } else {
      console.log(`evidence in ${dir}`);
    }
  }
  console.log(ok ? "ok" : `FAILED; again with --seed ${seed}`);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

/** Makes the disk as large as its use and the ballast, then writes the ballast until `left` bytes are free. */
function fill(disk, ballast, left) {
  const before = statfsSync(disk);
  const used = (before.blocks - before.bfree) * before.bsize;
  resizeTmpfs(disk, Math.ceil((used + BALLAST_BYTES + left) / KIB));
  writeFileSync(ballast, Buffer.alloc(BALLAST_BYTES, 1));
  const now = statfsSync(disk);
  const free = now.bavail * now.bsize;
  if (free < left) truncateSync(ballast, Math.max(0, BALLAST_BYTES - (left - free)));
}

async function until(condition, ms) {
  const limit = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > limit) return false;
    await sleep(5);
  }
  return true;
}

/** The oldest messages of a queue can be pulled. */
async function reads(port, when, problems) {
  const client = await RawClient.open({ port });
  const reply = await client.pull({ group: "ChaosReader", topic: ORDER_TOPIC, queueId: 0, offset: 0 }).catch((e) => e);
  if (reply.code !== 0) problems.push(`${when}: reading failed: ${reply.code} ${reply.remark ?? reply.message}`);
  client.destroy();
}

async function tryTopic(port, name) {
  const client = await RawClient.open({ port });
  try {
    await createTopic(client, name, 2);
    return true;
  } catch {
    return false;
  } finally {
    client.destroy();
  }
}

async function hasTopic(port, name, problems) {
  const client = await RawClient.open({ port });
  const reply = await client.pull({ group: "ChaosReader", topic: name, queueId: 0, offset: 0 });
  // 17: the topic does not exist. Its creation was acknowledged.
  if (reply.code === 17) problems.push(`${name} was acknowledged and is gone: ${reply.remark}`);
  client.destroy();
}

/** Every file under config/ and every .bak must be whole; only a .tmp, which nobody reads, may be half. */
function jsonWhole(config, when, problems) {
  for (const name of readdirSync(config)) {
    if (/\.json(\.bak)?$/.test(name) && !isWhole(join(config, name))) problems.push(`${when}: ${name} is half`);
  }
}

/** Apache's JSON has numbers as keys, which JSON.parse does not take. */
function isWhole(file) {
  const text = readFileSync(file, "utf8");
  try {
    JSON.parse(text.replace(/([{,]\s*)(-?\d+)\s*:/g, '$1"$2":'));
    return true;
  } catch {
    return false;
  }
}
