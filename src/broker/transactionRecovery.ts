/**
 * What a start must know of transactions, built from the store alone, whoever wrote it and however it stopped:
 *
 * 1. op messages from the stored offset on say what is decided;
 * 2. commits whose op message a crash took are found by their committed messages, which name the log offset of their half
 *    message: looked for from where the last op message says ({@link DECIDED_TO}), at most from the oldest undecided half
 *    message on, because a commit follows its half message;
 * 3. of several half messages of one transaction (put back, then the crash took the progress) only the newest waits; those
 *    that Apache put back do not name their transaction and are joined by what they share (apachePutBacks.ts).
 *
 * Apache does only the first, and so asks again for commits of its last seconds, and applies them twice.
 */

import { javaHashCode } from "../base/javaHash.ts";
import type { Logger } from "../base/log.ts";
import { Property, parseProperties } from "../message/properties.ts";
import { RecordView } from "../message/record.ts";
import { TRANSACTION_COMMIT, TRANSACTION_MASK } from "../message/sysFlag.ts";
import type { MessageStore } from "../store/messageStore.ts";
import type { StoredMessage } from "../store/types.ts";
import { findPutBacks, joinPutBacks } from "./apachePutBacks.ts";
import { TRANS_HALF_TOPIC, TRANS_OP_HALF_TOPIC } from "./names.ts";
import { DECIDED_TO, OP_TAG, opOffsets } from "./transactionOps.ts";
import type { Transactions } from "./transactions.ts";

/** Units read at a time. */
const UNITS = 1024;
/** Bytes of the log read at a time. */
const CHUNK_BYTES = 256 * 1024;

export interface RecoveryFrom {
  /** Stored offsets of the half and op topics; -1 without one. */
  half: number;
  op: number;
  log: Logger;
}

/** Undecided half messages: queue offset and log offset, both ascending. */
interface Undecided {
  offsets: number[];
  logOffsets: number[];
}

export async function recoverTransactions(
  transactions: Transactions,
  store: MessageStore,
  logFileBytes: number,
  from: RecoveryFrom,
): Promise<void> {
  transactions.decided.reset(within(store, TRANS_HALF_TOPIC, from.half));
  const { decidedTo, apachesTo } = await readOps(transactions, store, within(store, TRANS_OP_HALF_TOPIC, from.op));
  const undecided = await findUndecided(transactions, store);
  if (undecided.offsets.length === 0) return;
  const scanFrom = Math.max(decidedTo, undecided.logOffsets[0], store.minLogOffset());
  const commits = await findCommits(store, logFileBytes, scanFrom);
  const putBacks = await findPutBacks(transactions, store, apachesTo);
  const found = await settleNamed(transactions, store, undecided, commits);
  // Soon: the offsets must not pass what tells of the other life before this is told, too.
  if (joinPutBacks(transactions, putBacks) > 0) void transactions.ops.flush();
  const waiting = await settleChains(transactions, store, commits);
  from.log.info(
    {
      waiting,
      chains: transactions.chains,
      commitsWithoutOp: found,
      putBackByApache: putBacks.length,
      scannedFrom: scanFrom,
    },
    "transactions recovered",
  );
}

/** A stored offset, brought into its queue; without one Apache begins at the queue's first message. */
function within(store: MessageStore, topic: string, offset: number): number {
  const min = store.minOffset(topic, 0);
  return Math.min(Math.max(offset, min), store.maxOffset(topic, 0));
}

/** What op messages tell besides the decisions. */
interface OpsRead {
  /** Log offset below which the decisions are complete, 0 when unknown. */
  decidedTo: number;
  /** Largest queue offset of a half message that Apache decided, -1 without one. */
  apachesTo: number;
}

/** Takes the decisions of all op messages. */
async function readOps(transactions: Transactions, store: MessageStore, from: number): Promise<OpsRead> {
  const { ops, decided } = transactions;
  ops.begin(from);
  // A number that no half message has was written by nobody we know; noting it would cost memory up to it.
  const end = store.maxOffset(TRANS_HALF_TOPIC, 0);
  let decidedTo = 0;
  let apachesTo = -1;
  for await (const op of messagesOf(store, TRANS_OP_HALF_TOPIC, from)) {
    let last = -1;
    for (const offset of op.properties.get(Property.TAGS) === OP_TAG ? opOffsets(op.body) : []) {
      if (offset >= end) continue;
      decided.add(offset);
      last = Math.max(last, offset);
    }
    ops.noteOp(op.queueOffset, last);
    const mark = op.properties.get(DECIDED_TO);
    if (mark === undefined) apachesTo = Math.max(apachesTo, last);
    decidedTo = Number(mark ?? 0);
  }
  return { decidedTo, apachesTo };
}

async function findUndecided({ decided }: Transactions, store: MessageStore): Promise<Undecided> {
  const undecided: Undecided = { offsets: [], logOffsets: [] };
  const end = store.maxOffset(TRANS_HALF_TOPIC, 0);
  let at = decided.nextUndecided(decided.base, end);
  while (at < end) {
    const units = await store.units(TRANS_HALF_TOPIC, 0, at, UNITS);
    if (units.length === 0) break;
    for (const unit of units) {
      if (decided.has(unit.queueOffset)) continue;
      undecided.offsets.push(unit.queueOffset);
      undecided.logOffsets.push(unit.logOffset);
    }
    at = decided.nextUndecided(units[units.length - 1].queueOffset + 1, end);
  }
  return undecided;
}

/** Committed messages: the log offset of their half message, and a hash of their unique key. */
interface Commits {
  halfLogOffsets: number[];
  keyHashes: number[];
}

async function findCommits(store: MessageStore, logFileBytes: number, from: number): Promise<Commits> {
  const commits: Commits = { halfLogOffsets: [], keyHashes: [] };
  await scanLogFrom(store, logFileBytes, from, (view) => {
    if ((view.sysFlag & TRANSACTION_MASK) !== TRANSACTION_COMMIT) return;
    commits.halfLogOffsets.push(view.preparedTransactionOffset);
    commits.keyHashes.push(javaHashCode(parseProperties(view.properties()).get(Property.UNIQUE_KEY) ?? ""));
  });
  return commits;
}

/** Settles the half messages that committed messages name; returns how many. */
async function settleNamed(
  { decided, ops }: Transactions,
  store: MessageStore,
  undecided: Undecided,
  commits: Commits,
): Promise<number> {
  let found = 0;
  for (const [i, logOffset] of commits.halfLogOffsets.entries()) {
    const at = indexOf(undecided.logOffsets, logOffset);
    if (at < 0 || decided.has(undecided.offsets[at])) continue;
    // A delayed message that was delivered is marked as committed, too, and names 0, where a half message may well lie.
    if (logOffset === 0 && keyHash(await store.messageAt(0)) !== commits.keyHashes[i]) continue;
    decided.add(undecided.offsets[at]);
    ops.add(undecided.offsets[at]);
    found++;
  }
  return found;
}

/** Joins the lives of put-back transactions and settles those committed under an earlier one; returns how many wait. */
async function settleChains(transactions: Transactions, store: MessageStore, commits: Commits): Promise<number> {
  const { decided } = transactions;
  const byKey = new Map<number, number[]>();
  for (const [i, hash] of commits.keyHashes.entries()) {
    const same = byKey.get(hash);
    if (same === undefined) byKey.set(hash, [commits.halfLogOffsets[i]]);
    else same.push(commits.halfLogOffsets[i]);
  }
  /** Newest undecided life by origin. */
  const newest = new Map<number, number>();
  let waiting = 0;
  for await (const half of messagesOf(store, TRANS_HALF_TOPIC, decided.base, (offset) => !decided.has(offset))) {
    const origin = transactions.originOf(half);
    const { queueOffset } = half;
    if (await wasCommitted(transactions, store, origin, byKey.get(keyHash(half)) ?? [])) {
      transactions.foundCommitted(half);
      continue;
    }
    const earlier = newest.get(origin);
    newest.set(origin, queueOffset);
    if (earlier === undefined) waiting++;
    else decided.add(earlier);
    if (earlier !== undefined || origin !== queueOffset) {
      const chain = transactions.chain(origin, earlier ?? queueOffset);
      if (chain.members[chain.members.length - 1] !== queueOffset) chain.members.push(queueOffset);
    }
  }
  return waiting;
}

async function wasCommitted(
  transactions: Transactions,
  store: MessageStore,
  origin: number,
  halfLogOffsets: number[],
): Promise<boolean> {
  for (const logOffset of halfLogOffsets) {
    const half = await store.messageAt(logOffset);
    if (half?.topic === TRANS_HALF_TOPIC && transactions.originOf(half) === origin) return true;
  }
  return false;
}

function keyHash(message: StoredMessage | undefined): number {
  return javaHashCode(message?.properties.get(Property.UNIQUE_KEY) ?? "");
}

/** Index of `value` in an ascending list, -1 when it is not there. */
function indexOf(list: readonly number[], value: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle] < value) low = middle + 1;
    else high = middle;
  }
  return list[low] === value ? low : -1;
}

/** The messages of queue 0 of a topic, from an offset on; those that the log lost are left out. */
async function* messagesOf(
  store: MessageStore,
  topic: string,
  from: number,
  wanted: (queueOffset: number) => boolean = () => true,
): AsyncGenerator<StoredMessage> {
  const end = store.maxOffset(topic, 0);
  for (let at = from; at < end; ) {
    const units = await store.units(topic, 0, at, Math.min(UNITS, end - at));
    if (units.length === 0) return;
    for (const unit of units) {
      if (!wanted(unit.queueOffset)) continue;
      const message = await store.messageAt(unit.logOffset);
      if (message?.topic === topic && message.queueOffset === unit.queueOffset) yield message;
    }
    at = units[units.length - 1].queueOffset + 1;
  }
}

/** Shows every record of the log from `from` (a record's beginning) on; damage costs the rest of its file. */
async function scanLogFrom(
  store: MessageStore,
  logFileBytes: number,
  from: number,
  visit: (view: RecordView) => void,
): Promise<void> {
  const view = new RecordView();
  const end = store.maxLogOffset();
  let at = from;
  let bytes = CHUNK_BYTES;
  while (at < end) {
    const fileEnd = at - (at % logFileBytes) + logFileBytes;
    const length = Math.min(bytes, end - at, fileEnd - at);
    const buf = await store.readLog(at, length);
    if (buf === undefined) return;
    let p = 0;
    while (view.read(buf, p, length, false) === "record") {
      visit(view);
      p += view.totalBytes;
    }
    const left = Math.min(end, fileEnd) - at - p;
    const needed = length - p < 8 ? 8 : buf.readInt32BE(p);
    if (p > 0 && left > 0) {
      bytes = CHUNK_BYTES;
      at += p;
    } else if (needed > length && needed <= left) {
      // One record larger than the chunk.
      bytes = needed;
    } else {
      // A blank, zeros or damage.
      at = fileEnd;
      bytes = CHUNK_BYTES;
    }
  }
}
