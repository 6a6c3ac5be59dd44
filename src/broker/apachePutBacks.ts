/**
 * Joins the lives of a transaction in a store that Apache wrote. Apache's check appends a half message again with its check
 * counted and nothing that names the old one (TransactionalMessageServiceImpl.putBackHalfMsgQueue), and it notes only its
 * offset that the old one no longer waits: killed before that offset is stored, it leaves both undecided. Here they are one
 * transaction again, told by what Apache copies from one life to the next ({@link identityOf}).
 *
 * Only a half message with a counted check and no named origin begins such a transaction: Skylark writes none, so that
 * messages for which a producer used a key twice stay apart.
 */
import { PUT_BACKS_JOINED_MAX } from "../base/limits.ts";
import { Property } from "../message/properties.ts";
import type { MessageStore } from "../store/messageStore.ts";
import type { QueueUnit, StoredMessage } from "../store/types.ts";
import { checkTimesOf } from "./halfMessages.ts";
import { TRANS_HALF_TOPIC } from "./names.ts";
import type { Transactions } from "./transactions.ts";

/** Units read at a time. */
const UNITS = 1024;

/** Queue offsets of one transaction's half messages, the newest first. */
export interface Lives {
  readonly offsets: number[];
  /** Those that were never checked; with more than one nobody can say whose life the others are. */
  firsts: number;
}

/**
 * Finds the transactions that Apache put back, from the newest half message down, so that what is kept is one entry for
 * each of them, at most {@link PUT_BACKS_JOINED_MAX}.
 * @param decidedTo queue offset up to which also decided half messages are looked at: their transaction may have
 *   another life that nobody decided
 */
export async function findPutBacks(
  transactions: Transactions,
  store: MessageStore,
  decidedTo: number,
): Promise<Lives[]> {
  const { decided } = transactions;
  const found = new Map<string, Lives>();
  const wanted = (offset: number) => offset <= decidedTo || !decided.has(offset);
  for await (const half of backwards(store, decided.base, wanted)) {
    const identity = identityOf(half);
    if (identity === undefined) continue;
    const first = checkTimesOf(half) === undefined;
    let lives = found.get(identity);
    if (lives === undefined) {
      if (first || found.size >= PUT_BACKS_JOINED_MAX) continue;
      lives = { offsets: [], firsts: 0 };
      found.set(identity, lives);
    }
    lives.offsets.push(half.queueOffset);
    if (first) lives.firsts++;
  }
  return [...found.values()].filter((lives) => lives.offsets.length > 1 && lives.firsts <= 1);
}

/** Makes one transaction of each; a decision about one of its lives is noted for all. Returns how many were decided. */
export function joinPutBacks(transactions: Transactions, all: readonly Lives[]): number {
  const { decided, ops } = transactions;
  let settled = 0;
  for (const { offsets } of all) {
    const ascending = offsets.toReversed();
    const isDecided = offsets.some((offset) => decided.has(offset));
    transactions.join(ascending, !isDecided);
    if (!isDecided) continue;
    settled++;
    for (const offset of ascending) {
      if (decided.has(offset)) continue;
      decided.add(offset);
      ops.add(offset);
    }
  }
  return settled;
}

/** What all lives of a transaction share; undefined when the message names its first life, or has no key. */
function identityOf({ properties, bornTimestamp }: StoredMessage): string | undefined {
  if (properties.has(Property.TRANSACTION_PREPARED_QUEUE_OFFSET)) return undefined;
  const key = properties.get(Property.UNIQUE_KEY);
  if (!key) return undefined;
  const group = properties.get(Property.PRODUCER_GROUP);
  const topic = properties.get(Property.REAL_TOPIC);
  const queueId = properties.get(Property.REAL_QUEUE_ID);
  return `${key}\u0000${bornTimestamp}\u0000${group}\u0000${topic}\u0000${queueId}`;
}

/** The half messages from the newest one down to `base`. */
async function* backwards(
  store: MessageStore,
  base: number,
  wanted: (queueOffset: number) => boolean,
): AsyncGenerator<StoredMessage> {
  for (let end = store.maxOffset(TRANS_HALF_TOPIC, 0); end > base; ) {
    const start = Math.max(base, end - UNITS);
    const units: QueueUnit[] = [];
    for (let at = start; at < end; ) {
      const some = await store.units(TRANS_HALF_TOPIC, 0, at, end - at);
      if (some.length === 0) break;
      for (const unit of some) if (wanted(unit.queueOffset)) units.push(unit);
      at = some[some.length - 1].queueOffset + 1;
    }
    for (let i = units.length - 1; i >= 0; i--) {
      const half = await store.messageAt(units[i].logOffset);
      if (half?.topic === TRANS_HALF_TOPIC && half.queueOffset === units[i].queueOffset) yield half;
    }
    end = start;
  }
}
