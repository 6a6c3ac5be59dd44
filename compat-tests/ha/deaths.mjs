// A SYNC_MASTER dies under load, with its disk, again and again: its slave becomes the master, and a new slave begins from nothing.
//
//   node compat-tests/ha/deaths.mjs [--deaths 10] [--seed N] [--keep]
//
// With inSyncReplicas=2 every message that was answered SEND_OK must be on the survivor, at the queue offset that its sender was told and
// with its bytes; queue offsets have no hole; and the survivor's log is, byte by byte, the beginning of the dead master's. Producers of
// compat-tests/chaos write the audit log from outside. Prints figures and "N passed, N failed".

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AuditLog, readAuditLog } from "../chaos/lib/auditLog.mjs";
import { RawClient } from "../chaos/lib/client.mjs";
import { drain } from "../chaos/lib/harvest.mjs";
import { createTopics } from "../chaos/lib/load.mjs";
import { ORDER_QUEUES, ORDER_TOPIC } from "../chaos/lib/names.mjs";
import { newSeed, readOptions } from "../chaos/lib/options.mjs";
import { Producer } from "../chaos/lib/producer.mjs";
import { seeded } from "../chaos/lib/random.mjs";
import { freePorts } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";

const options = readOptions({ deaths: 10, seed: newSeed(), keep: false });
const HA_STATUS = 907;
/** Of a part of a file that was never written. */
const PAGE = Buffer.alloc(64 * 1024);
const SEND_OK = new Set([0]);
/** All in one file, so that a slave that begins from nothing gets everything (it is given the newest file). */
const FILE_BYTES = 64 * 1024 * 1024;

const random = seeded(options.seed);
const dir = mkdtempSync(join(tmpdir(), "skylark-deaths-"));
const first = await freePorts(Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 900);
const second = await freePorts(first.next);
console.log(`== SYNC_MASTER with its disk gone, ${options.deaths} deaths, seed ${options.seed}`);
const namesrv = new SkylarkServer({ dir: made("namesrv"), ...first, layout: "split" });
const log = new AuditLog(join(dir, "audit.log"));
const problems = [];
const takeovers = [];
const producers = [];
let generation = 0;
let master;
let slave;
let unconfirmed = 0;
try {
  await namesrv.startNamesrv();
  master = broker("master", join(dir, "store-0"));
  slave = broker("slave", join(dir, "store-1"));
  generation = 1;
  await master.startBroker();
  await slave.startBroker();
  await connected();
  await createTopics(first.brokerPort);
  for (let number = 0; number < 3; number++) {
    const one = { number, port: first.brokerPort, log, random, window: 16, perSecond: 400, binary: number === 1 };
    producers.push(new Producer({ ...one, delayedShare: 0, stored: SEND_OK }));
  }
  for (let death = 0; death < options.deaths; death++) {
    await sleep(random.between(300, 2_000));
    // The slave first would be another story: then nothing is acknowledged.
    await master.killBroker();
    await slave.killBroker();
    unconfirmed += comparePrefix(master.store, slave.store);
    const began = performance.now();
    rmSync(master.store, { recursive: true, force: true });
    const survivor = slave.store;
    master = broker("master", survivor);
    slave = broker("slave", join(dir, `store-${++generation}`));
    await master.startBroker();
    takeovers.push(performance.now() - began);
    await slave.startBroker();
    await connected();
    await createTopics(first.brokerPort);
  }
  await sleep(1_000);
  for (const left of await Promise.all(producers.map((producer) => producer.finish(30_000)))) {
    if (left > 0) problems.push(`a producer still waits for ${left} answers`);
  }
  log.flush();
  await judge();
} catch (error) {
  problems.push(error.stack);
} finally {
  for (const producer of producers) await producer.finish(0);
  for (const one of [master, slave]) await one?.kill9().catch(() => {});
  await namesrv.stopNamesrv().catch(() => {});
  log.close();
}
for (const problem of problems.slice(0, 20)) console.log(`  problem: ${problem}`);
const ok = problems.length === 0;
if (ok && !options.keep) rmSync(dir, { recursive: true, force: true });
else console.log(`evidence in ${dir}; again with --seed ${options.seed}`);
console.log(`${ok ? 1 : 0} passed, ${ok ? 0 : 1} failed`);
process.exit(ok ? 0 : 1);

function made(name) {
  const path = join(dir, name);
  mkdirSync(path, { recursive: true });
  return path;
}

function broker(role, store) {
  const place = role === "master" ? first : { ...second, namesrvPort: first.namesrvPort };
  const roleSettings =
    role === "master"
      ? { brokerRole: "SYNC_MASTER", inSyncReplicas: 2 }
      : { brokerRole: "SLAVE", brokerId: 1, slaveReadEnable: true };
  return new SkylarkServer({
    dir: made(role),
    ...place,
    store,
    settings: { mappedFileSizeCommitLog: FILE_BYTES, haListenPort: place.brokerPort + 1, ...roleSettings },
    layout: "split",
  });
}

/** Waits until the slave has what the master had when this was called. */
async function connected() {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const client = await RawClient.open({ port: first.brokerPort });
    const reply = await client.ask(HA_STATUS, {});
    client.destroy();
    const status = JSON.parse(reply.body.toString());
    const [one] = status.haConnectionInfo;
    if (one !== undefined && one.slaveAckOffset > 0 === status.masterCommitLogMaxOffset > 0 && one.diff < 1_000_000)
      return;
    if (Date.now() > deadline) throw new Error(`no slave: ${reply.body}`);
    await sleep(50);
  }
}

/** The survivor's log must be the beginning of the dead master's; hands back how many bytes the master had more. */
function comparePrefix(masterStore, slaveStore) {
  const [name] = readdirSync(join(slaveStore, "commitlog")).filter((one) => /^\d{20}$/.test(one));
  const ours = readFileSync(join(slaveStore, "commitlog", name));
  const theirs = readFileSync(join(masterStore, "commitlog", name));
  const end = endOf(ours);
  if (!ours.subarray(0, end).equals(theirs.subarray(0, end))) {
    const evidence = join(dir, `differs-${generation}`);
    cpSync(join(slaveStore, "commitlog", name), evidence);
    problems.push(
      `generation ${generation}: the slave's log is not the beginning of its master's; kept as ${evidence}`,
    );
  }
  return endOf(theirs) - end;
}

/** Behind the last byte that is not zero. */
function endOf(bytes) {
  let end = bytes.length;
  while (end >= PAGE.length && bytes.subarray(end - PAGE.length, end).equals(PAGE)) end -= PAGE.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

async function judge() {
  const evidence = readAuditLog(log.file);
  const client = await RawClient.open({ port: first.brokerPort, binary: true });
  const places = new Map();
  let stored = 0;
  for (let queueId = 0; queueId < ORDER_QUEUES; queueId++) {
    const { min, max, records } = await drain(client, ORDER_TOPIC, queueId);
    if (min !== 0 || records.length !== max)
      problems.push(`queue ${queueId}: ${records.length} messages from ${min} to ${max}`);
    for (const [i, record] of records.entries()) {
      stored++;
      if (record.queueOffset !== i) problems.push(`queue ${queueId}: offset ${record.queueOffset} stands at ${i}`);
      const sent = evidence.sent.get(record.id);
      if (sent === undefined) problems.push(`${record.id} was never sent`);
      else if (sent.crc !== record.crc) problems.push(`${record.id} has other bytes`);
      places.set(`${record.id} ${record.queueOffset}`, record);
    }
  }
  client.destroy();
  let lost = 0;
  for (const [id, offsets] of evidence.acked) {
    for (const offset of offsets) {
      if (places.has(`${id} ${offset}`)) continue;
      lost++;
      if (lost <= 5) problems.push(`${id} was acknowledged at offset ${offset} and is not there`);
    }
  }
  if (lost > 0) problems.push(`${lost} acknowledged messages are lost`);
  if (evidence.acked.size < options.deaths * 50)
    problems.push(`too little traffic: ${evidence.acked.size} acknowledgements`);
  takeovers.sort((a, b) => a - b);
  console.log(
    `sent ${evidence.sent.size}, acknowledged ${evidence.acked.size}, stored ${stored}, refused or not confirmed ${log.refused}; ` +
      `log bytes that died with their masters unacknowledged: ${unconfirmed}; take-over ms: p50 ${takeovers[takeovers.length >> 1]?.toFixed(0)}, max ${takeovers.at(-1)?.toFixed(0)}`,
  );
}
