/**
 * Transactions of this broker: which half messages are decided and which still wait (Apache: TransactionalMessageService).
 *
 * The truth lies in the log: half messages (RMQ_SYS_TRANS_HALF_TOPIC), committed messages that name theirs, op messages
 * (RMQ_SYS_TRANS_OP_HALF_TOPIC). In memory is one bit per half message from the first undecided one on, and a chain for each
 * half message that was put back for another check. A start builds both again (transactionRecovery.ts), so that a commit
 * whose op message a crash took is not asked for again, and not applied twice.
 *
 * A decision is noted when its message is appended, before it is granted: another one for the same half message that comes
 * in between finds it. A refusal takes the note back.
 */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { Property } from "../message/properties.ts";
import { TRANSACTION_COMMIT, TRANSACTION_MASK } from "../message/sysFlag.ts";
import type { MessageStore } from "../store/messageStore.ts";
import type { MetadataFile } from "../store/metadataFile.ts";
import type { AppendResult, StoredMessage } from "../store/types.ts";
import { DecidedOffsets } from "./decidedOffsets.ts";
import { destinationOf, originOf, TRANSACTION_GROUP } from "./halfMessages.ts";
import {
  SCHEDULE_TOPIC,
  TIMER_TOPIC,
  TRANS_CHECK_MAX_TIME_TOPIC,
  TRANS_HALF_TOPIC,
  TRANS_OP_HALF_TOPIC,
} from "./names.ts";
import type { Offsets } from "./offsets.ts";
import { TransactionMetrics } from "./transactionMetrics.ts";
import { isStored, type OpOptions, TransactionOps } from "./transactionOps.ts";
import { recoverTransactions } from "./transactionRecovery.ts";

/** The options that are read here, by Apache's keys. */
export interface TransactionOptions extends OpOptions {
  readonly messageIndexEnable: boolean;
  readonly mappedFileSizeCommitLog: number;
  /** ms */
  readonly transactionMetricFlushInterval: number;
}

/** One transaction whose half message was put back: the queue offsets of its lives, the newest last. */
export interface Chain {
  readonly origin: number;
  readonly members: number[];
}

/** A half message that waits, or was given up; `members` are the queue offsets that its decision settles. */
export interface OpenHalf {
  readonly state: "open";
  readonly members: number[];
  readonly chain: Chain | undefined;
}

/** What is known of a half message that somebody wants to end. */
export type HalfState =
  | OpenHalf
  /** It was committed, or rolled back, or its decision is under way. */
  | { state: "decided" }
  /** It was rolled back long ago: nothing but its absence tells. */
  | { state: "rolledBack" };

/** Messages of one key that are looked at to find a transaction's outcome. */
const LOOK_UP_MAX = 64;

export class Transactions {
  readonly metrics: TransactionMetrics;
  readonly decided = new DecidedOffsets();
  readonly ops: TransactionOps;
  readonly #options: TransactionOptions;
  readonly #store: MessageStore;
  readonly #offsets: Offsets;
  readonly #log: Logger;
  readonly #chains = new Map<number, Chain>();
  /** Of transactions that Apache put back without naming them: the origin that stands for all their lives, by queue offset. */
  readonly #joined = new Map<number, number>();
  /** Origins of transactions whose commit is under way on the ordinary path. */
  readonly #ending = new Set<number>();
  #ready = false;
  /** Commits appended and not yet answered. */
  #inFlight = 0;
  /** Log offset below which no commit is under way, while {@link #inFlight} is not 0. */
  #inFlightFrom = 0;

  constructor(
    options: TransactionOptions,
    store: MessageStore,
    offsets: Offsets,
    metricsFile: MetadataFile,
    clock: Clock,
    log: Logger,
  ) {
    this.#options = options;
    this.#store = store;
    this.#offsets = offsets;
    this.#log = log;
    this.metrics = new TransactionMetrics(options.transactionMetricFlushInterval, metricsFile, clock, log);
    this.ops = new TransactionOps(options, store, clock, log, {
      isDecided: (offset) => this.decided.has(offset),
      decidedTo: () => (this.#inFlight === 0 ? store.maxLogOffset() : this.#inFlightFrom),
    });
  }

  /** Learns from the store what is decided; before that nothing may be ended. The store must be open. */
  async start(): Promise<void> {
    await recoverTransactions(this, this.#store, this.#options.mappedFileSizeCommitLog, {
      half: this.#offsets.query(TRANSACTION_GROUP, TRANS_HALF_TOPIC, 0),
      op: this.#offsets.query(TRANSACTION_GROUP, TRANS_OP_HALF_TOPIC, 0),
      log: this.#log,
    });
    this.#ready = true;
    this.metrics.start();
  }

  /** Writes the last op messages, how far both topics are worked off, and the metrics. */
  async stop(): Promise<void> {
    await this.ops.flush();
    this.passed(this.decided.nextUndecided(this.decided.base, this.#store.maxOffset(TRANS_HALF_TOPIC, 0)));
    this.#ready = false;
    this.metrics.stop();
    await this.metrics.save();
  }

  // ---- decisions ----

  /** Hot: whether the half message at this queue offset waits and has only this one life. */
  isOpen(halfOffset: number): boolean {
    return this.#ready && !this.decided.has(halfOffset) && (this.#chains.size === 0 || !this.#chains.has(halfOffset));
  }

  /** Hot: the committed message of a half message {@link isOpen} is about to be appended. */
  committing(halfOffset: number): void {
    this.#begin();
    this.decided.add(halfOffset);
  }

  /** Hot: it is stored. */
  committed(halfOffset: number): void {
    this.#inFlight--;
    this.ops.add(halfOffset);
  }

  /** It was refused: the half message waits again. */
  refused(halfOffset: number): void {
    this.#inFlight--;
    this.#reopen(halfOffset);
  }

  /**
   * Appends a committed message by `put` and settles all lives of the transaction. Undefined, and nothing done, when it was
   * ended since {@link stateOf} was asked.
   */
  async commit(
    half: StoredMessage,
    known: OpenHalf,
    put: () => Promise<AppendResult>,
  ): Promise<AppendResult | undefined> {
    const open = this.#stillOpen(half, known);
    if (open === undefined) return undefined;
    const { members, chain } = open;
    const origin = this.originOf(half);
    this.#begin();
    this.#settle(open);
    this.#ending.add(origin);
    const result = await put();
    this.#ending.delete(origin);
    this.#inFlight--;
    if (isStored(result)) {
      for (const offset of members) this.ops.add(offset);
      const topic = destinationOf(half)?.topic;
      if (topic !== undefined && members.length > 0) this.metrics.add(topic, -1);
    } else {
      // Only its newest life waits again; the earlier ones were passed on.
      if (members.length > 0) this.#reopen(members[members.length - 1]);
      if (chain !== undefined) this.#chains.set(chain.origin, chain);
    }
    return result;
  }

  /**
   * Resolves when the rollback is stored. When it is refused it stays decided, and is written again until it is taken.
   * Undefined when there is nothing to do.
   */
  async rollBack(half: StoredMessage, known: OpenHalf): Promise<AppendResult | undefined> {
    const open = this.#stillOpen(half, known);
    if (open === undefined || open.members.length === 0) return undefined;
    this.#settle(open);
    const topic = destinationOf(half)?.topic;
    if (topic !== undefined) this.metrics.add(topic, -1);
    return this.ops.addNow(open.members);
  }

  /** What is known now, after waiting for more than the memory tells. */
  #stillOpen(half: StoredMessage, known: OpenHalf): OpenHalf | undefined {
    if (this.#ending.has(this.originOf(half))) return undefined;
    const now = this.#stateNow(half) ?? known;
    return now.state === "open" ? now : undefined;
  }

  #begin(): void {
    if (this.#inFlight++ === 0) this.#inFlightFrom = this.#store.maxLogOffset();
  }

  #settle({ members, chain }: OpenHalf): void {
    for (const offset of members) this.decided.add(offset);
    if (chain !== undefined) this.#chains.delete(chain.origin);
  }

  #reopen(halfOffset: number): void {
    const passed = halfOffset < this.decided.base;
    this.decided.delete(halfOffset);
    // A check round took it for decided and went on: the stored offset must not pass over it.
    if (passed) this.#offsets.commit(TRANSACTION_GROUP, TRANS_HALF_TOPIC, 0, halfOffset, "transactions");
  }

  /**
   * What is known of a half message read from the log. Answers at once for those at or behind the first undecided one;
   * for older ones it looks for the outcome in the index.
   */
  async stateOf(half: StoredMessage): Promise<HalfState> {
    const known = this.#stateNow(half);
    if (known !== undefined) return known;
    if (!this.#options.messageIndexEnable) return { state: "open", members: [], chain: undefined };
    if (await this.#wasCommitted(half)) return { state: "decided" };
    if (!(await this.wasDiscarded(half))) return { state: "rolledBack" };
    // It may have been put back while the index was asked.
    return this.#stateNow(half) ?? { state: "open", members: [], chain: undefined };
  }

  #stateNow(half: StoredMessage): HalfState | undefined {
    const chain = this.#chains.get(this.originOf(half));
    if (chain !== undefined) return { state: "open", members: chain.members, chain };
    const offset = half.queueOffset;
    if (offset < this.decided.base) return undefined;
    return this.decided.has(offset) ? { state: "decided" } : { state: "open", members: [offset], chain: undefined };
  }

  async #wasCommitted(half: StoredMessage): Promise<boolean> {
    const topic = destinationOf(half)?.topic;
    for (const place of topic === undefined ? [] : [topic, SCHEDULE_TOPIC, TIMER_TOPIC]) {
      for (const message of await this.#sameKey(place, half)) {
        if ((message.sysFlag & TRANSACTION_MASK) !== TRANSACTION_COMMIT) continue;
        // A producer may use a key again: only the half message it names tells whose commit this is.
        const its = await this.#store.messageAt(message.preparedTransactionOffset);
        if (its?.topic === TRANS_HALF_TOPIC && this.originOf(its) === this.originOf(half)) return true;
      }
    }
    return false;
  }

  /** Whether the transaction was given up after too many checks. */
  async wasDiscarded(half: StoredMessage): Promise<boolean> {
    const same = await this.#sameKey(TRANS_CHECK_MAX_TIME_TOPIC, half);
    return same.some((message) => {
      const origin = this.originOf(message);
      // Apache does not say whose life it gave up.
      return origin < 0 ? message.bornTimestamp === half.bornTimestamp : origin === this.originOf(half);
    });
  }

  async #sameKey(topic: string, half: StoredMessage): Promise<StoredMessage[]> {
    const key = half.properties.get(Property.UNIQUE_KEY);
    if (key === undefined) return [];
    const found = await this.#store.query({
      topic,
      key,
      maxNum: LOOK_UP_MAX,
      begin: 0,
      end: Number.MAX_SAFE_INTEGER,
    });
    return found.messages.filter((message) => message.properties.get(Property.UNIQUE_KEY) === key);
  }

  // ---- putting back ----

  /**
   * Appends the half message again by `put`, so that the offset can pass its old place. Until its outcome is known both
   * places stand for the transaction. Undefined, and nothing done, when it is decided by now.
   */
  async putBack(half: StoredMessage, put: () => Promise<AppendResult>): Promise<AppendResult | undefined> {
    const { queueOffset } = half;
    if (this.decided.has(queueOffset)) return undefined;
    const origin = this.originOf(half);
    const next = this.#store.queue(TRANS_HALF_TOPIC, 0).next;
    const appended = put();
    const chain = this.chain(origin, queueOffset);
    chain.members.push(next);
    const result = await appended;
    if (isStored(result)) {
      this.decided.add(queueOffset);
    } else {
      // Its place is another message's now.
      chain.members.splice(chain.members.indexOf(next), 1);
      this.decided.delete(next);
      if (this.#chains.get(origin) === chain) this.decided.delete(queueOffset);
    }
    return result;
  }

  /**
   * Appends a message that was given up (or any half message) as a new life of its transaction by `put`; undefined, and
   * nothing done, when the transaction was committed.
   */
  async resume(message: StoredMessage, put: () => Promise<AppendResult>): Promise<AppendResult | undefined> {
    if (await this.#wasCommitted(message)) return undefined;
    const origin = this.originOf(message);
    if (origin < 0) return put();
    const waited = this.#chains.has(origin) || !this.decided.has(origin);
    const next = this.#store.queue(TRANS_HALF_TOPIC, 0).next;
    const appended = put();
    const chain = this.chain(origin, origin);
    chain.members.push(next);
    const result = await appended;
    if (isStored(result)) {
      const topic = destinationOf(message)?.topic;
      if (!waited && topic !== undefined) this.metrics.add(topic, 1);
      for (const offset of chain.members) if (offset < next) this.decided.add(offset);
    } else {
      chain.members.splice(chain.members.indexOf(next), 1);
      this.decided.delete(next);
    }
    return result;
  }

  /** The chain of a transaction, begun with its first known half message when there is none. */
  chain(origin: number, first: number): Chain {
    let chain = this.#chains.get(origin);
    if (chain === undefined) {
      chain = { origin, members: origin === first ? [first] : [origin, first] };
      this.#chains.set(origin, chain);
    }
    return chain;
  }

  /** Forgets a transaction that was given up: from now on only its messages tell of it. */
  dropChain(half: StoredMessage): void {
    this.#chains.delete(this.originOf(half));
  }

  /** What names the transaction of a half message: the queue offset of its first life; -1 when nobody knows. */
  originOf(half: StoredMessage): number {
    const origin = originOf(half);
    return this.#joined.get(origin) ?? origin;
  }

  /**
   * Makes one transaction of half messages that do not name each other (apachePutBacks.ts): ascending queue offsets. The
   * newest one names it, because later lives, written here, will name that one. Only the newest one waits, if any.
   */
  join(lives: number[], waits: boolean): void {
    const origin = lives[lives.length - 1];
    for (const life of lives) {
      if (life === origin) continue;
      this.#joined.set(life, origin);
      if (waits) this.decided.add(life);
    }
    if (waits) this.#chains.set(origin, { origin, members: lives });
  }

  /** Notes a commit that a start found, for all lives of its transaction. */
  foundCommitted(half: StoredMessage): void {
    const origin = this.originOf(half);
    for (const offset of this.#chains.get(origin)?.members ?? [half.queueOffset]) {
      this.decided.add(offset);
      this.ops.add(offset);
    }
    this.#chains.delete(origin);
  }

  /** Transactions that were put back and wait. */
  get chains(): number {
    return this.#chains.size;
  }

  // ---- progress ----

  /** Everything below this queue offset of the half topic is decided or was put back: notes so for the next start. */
  passed(halfOffset: number): void {
    this.decided.advance(halfOffset);
    this.#commitOffset(TRANS_HALF_TOPIC, this.decided.base);
    this.#commitOffset(TRANS_OP_HALF_TOPIC, this.ops.neededFrom(this.decided.base));
  }

  #commitOffset(topic: string, offset: number): void {
    const known = this.#offsets.query(TRANSACTION_GROUP, topic, 0);
    if (offset === (known < 0 ? this.#store.minOffset(topic, 0) : known)) return;
    this.#offsets.commit(TRANSACTION_GROUP, topic, 0, offset, "transactions");
  }
}
