// Take-over of a directory and back: Apache writes, Skylark takes over and writes on, Apache takes it back and writes on. `mqstore verify` looks at the store
// after every stop; after every start each message is pulled and compared, by content when it is seen first, by its bytes ever after.
//
//   node compat-tests/crossread/takeover.mjs [--count N] [--first apache|skylark] [--end clean|kill9] [--spread MS] [--keep]
//
// --count: plain messages in all (default 20000): 60 % by the first broker, 25 % by the second, 15 % by the third. Small files, so that log, queues and index roll
// over many times. Besides: delayed messages, timers and recalls, transactions that wait for their end, retries, dead letters, progress of consumers, queries by key.
// --spread: until when after a change timers and delays are due (default 30 s, or a fifth of a millisecond per message).

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createTopic, RawClient } from "../chaos/lib/client.mjs";
import { parseRecords } from "../chaos/lib/wire.mjs";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing } from "../lib/build.mjs";
import { writeProperties } from "../lib/config.mjs";
import { freePorts } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";
import { DELAY_TOPIC, Extras, TIMER_TOPIC, TX_TOPIC } from "./takeoverExtras.mjs";
import { auditMany, Ledger, MANY_QUEUES, MANY_TOPIC, sendMany } from "./takeoverLedger.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 850;
const MQSTORE = fileURLToPath(new URL("../../bin/mqstore", import.meta.url));
const QUERY_MESSAGE = 12;
const SHARES = [0.6, 0.25, 0.15];
const KEYS_LOOKED_FOR = 60;

const { values: options } = parseArgs({
  options: {
    count: { type: "string", default: "20000" },
    first: { type: "string", default: "apache" },
    end: { type: "string", default: "clean" },
    spread: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const count = Number(options.count);
const spreadMs = Number(options.spread ?? Math.max(30_000, count / 5));
const LEVELS_S = [1, 8, 20, Math.round(spreadMs / 1000)];
const SETTINGS = {
  messageDelayLevel: LEVELS_S.map((seconds) => `${seconds}s`).join(" "),
  mappedFileSizeCommitLog: count > 200_000 ? 32 * 1024 * 1024 : 4 * 1024 * 1024,
  mappedFileSizeConsumeQueue: count > 200_000 ? 20 * 20_000 : 20 * 500,
  maxHashSlotNum: count > 200_000 ? 50_000 : 4_000,
  maxIndexNum: count > 200_000 ? 400_000 : 16_000,
  recallMessageEnable: true,
  timerRollWindowSlot: 20,
  mappedFileSizeTimerLog: 52 * 400 + 16,
  transactionTimeOut: 4_000,
  transactionCheckInterval: 2_000,
  transactionCheckMax: 300,
  transactionOpBatchInterval: 300,
  maxTransferCountOnMessageInMemory: 1024,
  maxTransferCountOnMessageInDisk: 1024,
  maxTransferBytesOnMessageInMemory: 8 * 1024 * 1024,
  maxTransferBytesOnMessageInDisk: 8 * 1024 * 1024,
};

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED take-over: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const tempDir = mkdtempSync(join(tmpdir(), "skylark-takeover-"));
const store = join(tempDir, "store");
const conf = join(tempDir, "verify.conf");
writeProperties(conf, { ...SETTINGS, storePathRootDir: store });
const { next: _, ...ports } = await freePorts(BASE_PORT);
const ledger = new Ledger(count);
const extras = new Extras({
  levelsMs: LEVELS_S.map((seconds) => seconds * 1000),
  spreadMs,
  perKind: Math.min(2_000, Math.max(120, Math.floor(count / 500))),
});
const began = Date.now();
const problems = [];
// A run of a million messages takes long: what is wrong is told at once.
problems.push = (...found) => {
  for (const problem of found) console.log(`        !!! ${problem}`);
  return Array.prototype.push.apply(problems, found);
};
const other = options.first === "apache" ? "skylark" : "apache";
try {
  for (const [round, kind] of [options.first, other, options.first].entries()) await life(round, kind);
} catch (error) {
  problems.push(error.stack);
}
const ok = problems.length === 0;
if (ok && !options.keep) rmSync(tempDir, { recursive: true, force: true });
else console.log(`files kept in ${tempDir}`);
const seconds = Math.round((Date.now() - began) / 1000);
console.log(
  `take-over of ${count} messages, ${options.end}: ${ok ? "1 passed, 0 failed" : "0 passed, 1 failed"} (${seconds} s)`,
);
process.exit(ok ? 0 : 1);

/** One broker's time with the store: looks at everything that is there, writes on, stops. */
async function life(round, kind) {
  const dir = join(tempDir, `${round}-${kind}`);
  mkdirSync(dir, { recursive: true });
  const common = { dir, store, ...ports, settings: SETTINGS };
  const server = kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer(common);
  const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(0).padStart(5)} s  ${kind}: ${text}`);
  const last = round === SHARES.length - 1;
  try {
    await server.start();
    const upAt = Date.now();
    const port = ports.brokerPort;
    const client = await RawClient.open({ port });
    const audit = await RawClient.open({ port, binary: true });
    if (round > 0) {
      // With the handles that the broker before gave, while their timers are still far away.
      await extras.recall(client, 8_000);
      await lookAtAll(round, kind, audit, say);
      const wrong = await extras.wrongProgress(audit);
      problems.push(...wrong.map((text) => `${kind}: progress of ${text}`));
    } else {
      await createTopic(client, MANY_TOPIC, MANY_QUEUES);
      for (const topic of [DELAY_TOPIC, TIMER_TOPIC, TX_TOPIC]) await createTopic(client, topic, 1);
    }
    const stopAnswering = round > 0 ? await extras.answer(port) : () => {};
    const from = ledger.sent;
    const to = last ? count : Math.floor(count * SHARES.slice(0, round + 1).reduce((sum, share) => sum + share));
    await sendMany(client, ledger, from, to);
    say(`${to - from} messages sent`);
    await lookAtAll(round, kind, audit, say);
    if (last) {
      const left = await extras.settle(port, spreadMs + 240_000);
      if (left > 0) problems.push(`${left} half messages are still not settled`);
      const { counts, problems: found } = await extras.judge(audit, kind === "apache" ? upAt + 2_000 : 0);
      say(`at the end ${JSON.stringify(counts)}`);
      problems.push(...found.slice(0, 20));
    } else {
      await extras.send(client, round);
      say("delays, timers, transactions, retries and progress sent");
    }
    stopAnswering();
    client.destroy();
    audit.destroy();
    // Consumers' progress reaches the disk every 5 s; a kill may cost what came later.
    if (options.end === "kill9" && !last) await new Promise((resolve) => setTimeout(resolve, 6_500));
    if (options.end === "kill9" && !last) await server.kill9();
    else await server.stopGracefully();
    await verify(kind, options.end === "kill9" && !last ? 1 : 0, say);
  } finally {
    await server.kill9();
  }
}

async function lookAtAll(round, kind, client, say) {
  const { compared, again, problems: found } = await auditMany(client, ledger);
  say(`${compared} messages compared, ${again} of them with the bytes of before`);
  problems.push(...found.map((text) => `round ${round}, ${kind}: ${text}`));
  let missing = 0;
  for (let n = 0; n < KEYS_LOOKED_FOR && ledger.sent > 0; n++) {
    const i = Math.floor((n * ledger.sent) / KEYS_LOOKED_FOR);
    const ext = { topic: MANY_TOPIC, key: `k${i}`, maxNum: 32, beginTimestamp: 0, endTimestamp: Date.now() + 60_000 };
    const reply = await client.ask(QUERY_MESSAGE, ext);
    const hits = reply.code === 0 ? new Set(parseRecords(reply.body).map(({ logOffset }) => logOffset)) : new Set();
    if (hits.size !== 1 || !hits.has(ledger.logOffset[i])) missing++;
  }
  if (missing > 0)
    problems.push(`round ${round}, ${kind}: ${missing} of ${KEYS_LOOKED_FOR} keys are not found as they should be`);
}

/** The audit between two brokers. */
async function verify(kind, wanted, say) {
  const at = Date.now();
  const { status, stdout, stderr } = await new Promise((resolve) =>
    execFile(
      process.execPath,
      [MQSTORE, "verify", store, "-c", conf, "--json"],
      { maxBuffer: 1 << 26 },
      (error, stdout, stderr) => resolve({ status: error?.code ?? 0, stdout, stderr }),
    ),
  );
  if (!stdout.startsWith("{")) {
    problems.push(`mqstore verify after ${kind}: status ${status}, ${stderr}`);
    return;
  }
  const { facts, findings } = JSON.parse(stdout);
  const files = (name) => readdirSync(join(store, name)).length;
  say(
    `mqstore verify ${status} in ${((Date.now() - at) / 1000).toFixed(1)} s: ${facts.messages} records, ${facts.units} units, ${facts.indexEntries} index entries, ` +
      `${files("commitlog")} log files, ${files("index")} index files, waiting: ${facts.delayed} delayed, ${facts.timers} timers, ${facts.undecidedTransactions} transactions`,
  );
  if (status > wanted) problems.push(`mqstore verify after ${kind}: status ${status}`);
  for (const { weight, area, kind: what, where, text } of findings) {
    const bad = weight === "note" ? what === "due times" : status > wanted;
    if (bad) problems.push(`  ${weight} ${area} ${where}: ${text}`);
  }
}
