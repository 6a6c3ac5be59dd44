// Cross-reading of transactions: one server is left with half messages undecided, committed and rolled back, the other one opens its store and
// carries on: asks about those left undecided and about no other, delivers each commit once.
//
//   node compat-tests/crossread/transactions.mjs [--from apache|skylark] [--end clean|kill9] [--timeout MS] [--keep]
//
// Apache forgets the decisions of its last op message interval when it stops, also in order; Skylark finds them in the log. The reverse cannot be
// asked of Apache: after kill -9 of Skylark, what Apache then applies again is counted and not judged.
//
// The first server is left before its first checks, unless --timeout (transactionTimeOut, default 8000) is shorter than the load: then Apache puts half
// messages back without naming their transactions and without op messages for their old places, so that a kill -9 within the next seconds leaves two
// half messages of each. Skylark joins them and applies one commit: `--from apache --timeout 3000` shows it.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { AuditLog } from "../chaos/lib/auditLog.mjs";
import { createTopic, RawClient } from "../chaos/lib/client.mjs";
import { seeded } from "../chaos/lib/random.mjs";
import { harvestTx, settled } from "../chaos/lib/txHarvest.mjs";
import { judgeTx } from "../chaos/lib/txJudge.mjs";
import { readTxLog } from "../chaos/lib/txLog.mjs";
import { TX_QUEUES, TX_TOPIC } from "../chaos/lib/txNames.mjs";
import { Plans, TxProducer } from "../chaos/lib/txProducer.mjs";
import { ApacheServer } from "../lib/apache.mjs";
import { apacheLib, Missing } from "../lib/build.mjs";
import { freePorts } from "../lib/ports.mjs";
import { SkylarkServer } from "../lib/skylark.mjs";

const BASE_PORT = Number(process.env.SKYLARK_COMPAT_PORT ?? 21_000) + 750;
const LOAD_MS = 4_000;
const { values: options } = parseArgs({
  options: {
    from: { type: "string", multiple: true },
    end: { type: "string", multiple: true },
    timeout: { type: "string", default: "8000" },
    keep: { type: "boolean", default: false },
  },
});
const SETTINGS = {
  mappedFileSizeCommitLog: 8 * 1024 * 1024,
  mappedFileSizeConsumeQueue: 20 * 1000,
  maxHashSlotNum: 5_000,
  maxIndexNum: 20_000,
  transactionTimeOut: Number(options.timeout),
  transactionCheckInterval: 1_500,
  transactionCheckMax: 200,
  // Apache asks again for what it has committed but not yet noted; while it runs it shall not.
  transactionOpBatchInterval: 300,
};
/** Ends that Apache can take without applying them twice, and half messages without one. */
const ENDS = ["oneway", "answered", "answered", "never"];

let lib;
try {
  lib = apacheLib();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.log(`!!! SKIPPED crossread of transactions: ${error.message}`);
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const tempDir = mkdtempSync(join(tmpdir(), "skylark-crossread-tx-"));
let failed = 0;
let passed = 0;
for (const from of options.from ?? ["skylark", "apache"]) {
  for (const end of options.end ?? ["clean", "kill9"]) {
    if (await direction(from, from === "apache" ? "skylark" : "apache", end)) passed++;
    else failed++;
  }
}
if (failed > 0 || options.keep) console.log(`files kept in ${tempDir}`);
else rmSync(tempDir, { recursive: true, force: true });
console.log(`crossread of transactions: ${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

async function direction(from, to, end) {
  const name = `${from} -> ${to}, ${end}`;
  const dir = join(tempDir, name.replaceAll(/[^a-z0-9]+/g, "-"));
  const { next: _, ...ports } = await freePorts(BASE_PORT);
  const writer = serverOf(from, join(dir, "writer"), join(dir, "store"), ports);
  const reader = serverOf(to, join(dir, "reader"), join(dir, "store"), ports);
  const log = new AuditLog(join(dir, "audit.log"));
  try {
    await writer.start();
    const port = ports.brokerPort;
    const admin = await RawClient.open({ port });
    await createTopic(admin, TX_TOPIC, TX_QUEUES);
    admin.destroy();
    const plans = new Plans(ENDS);
    const producer = new TxProducer({
      number: 0,
      port,
      log,
      random: seeded(11),
      plans,
      window: 32,
      perSecond: 300,
      binary: false,
    });
    await sleep(LOAD_MS);
    producer.quiesce();
    await sleep(200);
    const asked = producer.checks;
    if (end === "clean") await writer.stopGracefully();
    else await writer.kill9();
    await reader.start();
    const undecided = await settled(port, [producer]);
    await producer.stop();
    log.flush();
    const queues = await harvestTx(port);
    const evidence = readTxLog(log.file);
    const { counts, examples, stored } = judgeTx(evidence, queues, { undecided });
    const twiceIsApaches = to === "apache" && end === "kill9";
    const broken = Object.entries(counts).filter(
      ([kind, n]) => n > 0 && !(twiceIsApaches && (kind === "committedTwice" || kind === "askedAfterEnd")),
    );
    const carried = producer.checks - asked;
    if (carried === 0) broken.push(["no check came from the reader", 1]);
    for (const problem of producer.problems) broken.push([problem, 1]);
    const figures = `${evidence.acked.size} half messages, ${stored} committed, ${asked} checks before, ${carried} after`;
    const ignored = twiceIsApaches ? `, applied twice by Apache ${counts.committedTwice}` : "";
    console.log(`${broken.length === 0 ? "ok  " : "FAIL"} ${name}: ${figures}${ignored}`);
    for (const [kind, n] of broken) console.log(`  ${kind}: ${n} ${(examples[kind] ?? []).join("; ")}`);
    return broken.length === 0;
  } finally {
    await writer.kill9();
    await reader.kill9();
    log.close();
  }
}

function serverOf(kind, dir, store, ports) {
  mkdirSync(dir, { recursive: true });
  const common = { dir, store, ...ports, settings: SETTINGS };
  return kind === "apache" ? new ApacheServer({ ...common, lib }) : new SkylarkServer(common);
}
