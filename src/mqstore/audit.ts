/**
 * One look at a whole store: log, queues, index, checkpoint, small files, timers, transactions, in one pass through the log. Only
 * reads; the disk it is given may be an overlay, so that a rehearsed start is judged by the same eyes.
 */
import * as path from "node:path";
import { TRANS_HALF_TOPIC } from "../broker/names.ts";
import { PropertyScan } from "../message/propertyScan.ts";
import { TRANSACTION_MASK, TRANSACTION_PREPARED, TRANSACTION_ROLLBACK } from "../message/sysFlag.ts";
import { Checkpoint, type CheckpointState } from "../store/checkpoint.ts";
import type { Disk } from "../store/disk.ts";
import { collectKeyHashes } from "../store/indexService.ts";
import { type ConfigFacts, judgeConfig, readConfig } from "./configAudit.ts";
import { Findings } from "./findings.ts";
import { IndexAudit } from "./indexAudit.ts";
import { type Layout, segmentNames } from "./layout.ts";
import { auditLog, type LogFacts } from "./logAudit.ts";
import { QueueAudit, type QueueFacts } from "./queueAudit.ts";
import { auditTimers, type TimerFacts } from "./timerAudit.ts";
import { TransactionAudit, type TransactionFacts } from "./transactionAudit.ts";

/** TransactionalMessageUtil.buildConsumerGroup */
const TRANSACTION_GROUP = "CID_RMQ_SYS_TRANS";
/** What Apache 5.5.0 keeps in RocksDB when it is told to (storeType, configManagerVersion, popConsumerKVServiceEnable). */
const ROCKSDB_PARTS: Readonly<Record<string, string>> = {
  consumequeue_rocksdb: "its consume queues (storeType=defaultRocksDB)",
  "config/topics": "its topic table (configManagerVersion)",
  "config/subscriptionGroups": "its groups (configManagerVersion)",
  "config/consumerOffsets": "its consumers' progress (configManagerVersion)",
  "config/metadata": "its metadata (configManagerVersion=v2)",
};
const OTHER_PARTS: Readonly<Record<string, string>> = {
  batchconsumequeue: "queues of batches (topics with queue.type=BatchCQ)",
  compactionLog: "logs of compaction topics",
};

export interface Audit {
  findings: Findings;
  /** There is no `abort`: the last broker stopped in order. */
  clean: boolean;
  log: LogFacts;
  queues: QueueFacts[];
  units: number;
  liveUnits: number;
  indexFiles: number;
  indexEntries: number;
  checkpoint: CheckpointState | undefined;
  config: ConfigFacts;
  timers: TimerFacts;
  transactions: TransactionFacts;
}

export async function auditStore(disk: Disk, layout: Layout): Promise<Audit> {
  const findings = new Findings();
  lookAround(disk, layout, findings);
  const config = readConfig(disk, layout, findings);
  const queueAudit = new QueueAudit(disk, layout, findings);
  const indexAudit = new IndexAudit(disk, layout, findings);
  const transactionAudit = new TransactionAudit(findings);
  const scan = new PropertyScan();
  const hashes: number[] = [];
  const logFirst = Number(segmentNames(disk, layout.logDir)[0] ?? 0);
  const log = auditLog(disk, layout, findings, (view) => {
    const transaction = view.sysFlag & TRANSACTION_MASK;
    if (transaction === TRANSACTION_PREPARED || transaction === TRANSACTION_ROLLBACK) return;
    scan.scan(view.buf, view.propertiesAt, view.propertiesAt + view.propertiesBytes);
    queueAudit.record(view, scan);
    const count = collectKeyHashes(view.buf, scan, queueAudit.prefixHash(view.topic()), hashes);
    indexAudit.record(view.logOffset, hashes, count, logFirst);
    transactionAudit.record(view);
  });
  indexAudit.finish(log.first);
  const queues = queueAudit.finish(log);
  const checkpoint = judgeCheckpoint(disk, layout, log, findings);
  const { topics } = config;
  // Skylark counts the units of all queues: none is missing when as many are there.
  const ours = checkpoint?.ours;
  const noneMissing =
    ours?.dispatchedLogOffset === log.end && queues.reduce((n, { max }) => n + max, 0) >= ours.queueUnits;
  queueAudit.judgeUnlisted((topic) => noneMissing || topics?.has(topic) === false);
  judgeConfig(config, layout, queues, findings);
  const settled = config.progress.find((one) => one.group === TRANSACTION_GROUP && one.topic === TRANS_HALF_TOPIC);
  return {
    findings,
    clean: !disk.exists(path.join(layout.root, "abort")),
    log,
    queues,
    units: queueAudit.units,
    liveUnits: queueAudit.live,
    indexFiles: indexAudit.fileCount,
    indexEntries: indexAudit.entries,
    checkpoint,
    config,
    timers: await auditTimers(disk, layout, log, findings),
    transactions: transactionAudit.finish(settled?.offset ?? 0),
  };
}

/** What lies in the directory besides what is read. */
function lookAround(disk: Disk, layout: Layout, findings: Findings): void {
  for (const [name, what] of Object.entries(ROCKSDB_PARTS)) {
    const dir = path.join(layout.root, name);
    if (!disk.isDirectory(dir)) continue;
    const text = `Apache kept ${what} in RocksDB here, which Skylark does not read: turn it off in Apache first`;
    findings.add("lost", "directory", "RocksDB", dir, text);
  }
  for (const [name, what] of Object.entries(OTHER_PARTS)) {
    const dir = path.join(layout.root, name);
    if (disk.list(dir).length === 0) continue;
    findings.add("lost", "directory", "not supported", dir, `Apache kept ${what} here, which Skylark does not read`);
  }
}

function judgeCheckpoint(disk: Disk, layout: Layout, log: LogFacts, findings: Findings): CheckpointState | undefined {
  const file = path.join(layout.root, "checkpoint");
  if (!disk.exists(file)) {
    if (log.messages > 0) findings.add("repair", "checkpoint", "missing", file, "a start reads the whole log instead");
    return undefined;
  }
  const size = disk.sizeOf(file);
  // A checkpoint is one page; more is no checkpoint, and not to be read into memory.
  const state = size > 1024 * 1024 ? undefined : new Checkpoint(disk, file).read();
  if (state === undefined) {
    findings.add("repair", "checkpoint", "damaged", file, "its checksum is wrong: a start reads the whole log instead");
    return undefined;
  }
  const ours = state.ours;
  if (ours === undefined) return state;
  if (ours.dispatchedLogOffset > log.end) {
    const what = `it says that the log was dispatched up to ${ours.dispatchedLogOffset}, the log ends at ${log.end}: acknowledged messages are gone`;
    findings.add("lost", "checkpoint", "ahead of the log", file, what);
  }
  return state;
}
