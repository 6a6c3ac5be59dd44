/**
 * Asks producers about half messages that they left undecided (Apache: TransactionalMessageCheckService,
 * TransactionalMessageServiceImpl.check, AbstractTransactionalMessageCheckListener).
 *
 * Every transactionCheckInterval the half topic is walked from the first undecided message to the first one that is too
 * young. One that was undecided for transactionTimeOut (or its own immunity time) is put back behind the newest, its check
 * counted, and any live producer of its group asked, in turn. After transactionCheckMax checks, or once older than the log
 * is kept, it goes to TRANS_CHECK_MAX_TIME_TOPIC instead. The offset passes a message only when it was put back or given up.
 */
import { Buffer } from "node:buffer";
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { formatMessageId } from "../message/messageId.ts";
import { formatProperties, Property } from "../message/properties.ts";
import { PROPERTIES_BYTES_MAX } from "../message/record.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import type { MessageStore } from "../store/messageStore.ts";
import type { AppendResult, NewMessage, StoredMessage } from "../store/types.ts";
import type { Clients } from "./clients.ts";
import {
  checkBody,
  checkTimesOf,
  destinationOf,
  discarded,
  immunityMsOf,
  renewed,
  withoutNotes,
} from "./halfMessages.ts";
import { TRANS_CHECK_MAX_TIME_TOPIC, TRANS_HALF_TOPIC } from "./names.ts";
import type { Topics } from "./topics.ts";
import { isStored } from "./transactionOps.ts";
import type { Transactions } from "./transactions.ts";

/** The options this service reads, each at every round, by Apache's keys. */
export interface CheckOptions {
  readonly brokerName: string;
  readonly brokerRole: string;
  /** ms */
  readonly transactionTimeOut: number;
  /** ms */
  readonly transactionCheckInterval: number;
  readonly transactionCheckMax: number;
  /** hours */
  readonly fileReservedTime: number;
}

/** A round ends after this, so that the offsets move (Apache: MAX_PROCESS_TIME_LIMIT). */
const ROUND_MS_MAX = 60_000;
/** Messages handled together: bounds memory, with the bytes below. */
const BATCH = 64;
const BATCH_BYTES = 4 * 1024 * 1024;
const HOUR_MS = 3_600_000;

/** What a round does with a message; "stop" also ends the round before it. */
type Verdict = "check" | "immune" | "discard" | "stop";

export class TransactionChecks {
  readonly #options: CheckOptions;
  readonly #transactions: Transactions;
  readonly #store: MessageStore;
  readonly #topics: Topics;
  readonly #clients: Clients;
  readonly #clock: Clock;
  readonly #log: Logger;
  #timer: Timer | undefined;
  #round: Promise<void> = Promise.resolve();
  #stopped = false;
  #turn = 0;
  /** Messages of this round whose group has no producer here, by group. */
  readonly #unasked = new Map<string, number>();

  constructor(
    options: CheckOptions,
    transactions: Transactions,
    store: MessageStore,
    topics: Topics,
    clients: Clients,
    clock: Clock,
    log: Logger,
  ) {
    this.#options = options;
    this.#transactions = transactions;
    this.#store = store;
    this.#topics = topics;
    this.#clients = clients;
    this.#clock = clock;
    this.#log = log;
  }

  /** The first round comes after one interval. */
  start(): void {
    this.#stopped = false;
    this.#arm();
  }

  /** Resolves when no round is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#clock.clear(this.#timer);
    await this.#round;
  }

  #arm(): void {
    this.#timer = this.#clock.after(this.#options.transactionCheckInterval, () => {
      this.#round = this.round().then(() => {
        if (!this.#stopped) this.#arm();
      });
    });
  }

  /** Walks the half topic once. Never rejects. */
  async round(): Promise<void> {
    if (this.#options.brokerRole === "SLAVE") return;
    try {
      await this.#walk();
    } catch (error) {
      this.#log.error({ err: error }, "transaction check failed; the next round tries again");
    }
    for (const [group, messages] of this.#unasked) {
      this.#log.warn({ group, messages }, "no producer of the group is here to be asked how its transactions ended");
    }
    this.#unasked.clear();
  }

  async #walk(): Promise<void> {
    const { decided } = this.#transactions;
    const began = this.#clock.monotonicMs();
    const start = this.#clock.now();
    const end = this.#store.maxOffset(TRANS_HALF_TOPIC, 0);
    let at = Math.max(decided.base, this.#store.minOffset(TRANS_HALF_TOPIC, 0));
    for (let go = true; go && at < end; ) {
      const batch = await this.#read(at, end);
      const { next, stopped } = await this.#handle(batch.messages, batch.next, start);
      at = next;
      this.#transactions.passed(at);
      go = !stopped && !this.#stopped && this.#clock.monotonicMs() - began < ROUND_MS_MAX;
    }
  }

  /** The next undecided messages, and the offset behind them. Those that the log lost are passed over. */
  async #read(from: number, end: number): Promise<{ messages: StoredMessage[]; next: number }> {
    const { decided } = this.#transactions;
    const messages: StoredMessage[] = [];
    let bytes = 0;
    let at = decided.nextUndecided(from, end);
    while (at < end && messages.length < BATCH && bytes < BATCH_BYTES) {
      const [unit] = await this.#store.units(TRANS_HALF_TOPIC, 0, at, 1);
      const message = unit === undefined ? undefined : await this.#store.messageAt(unit.logOffset);
      if (message !== undefined && message.queueOffset === at) {
        messages.push(message);
        bytes += message.bytes.length;
      }
      at = decided.nextUndecided(Math.max(at + 1, this.#store.minOffset(TRANS_HALF_TOPIC, 0)), end);
    }
    return { messages, next: at };
  }

  /** Does with each message what is due; returns how far the offset may go. */
  async #handle(messages: StoredMessage[], next: number, start: number): Promise<{ next: number; stopped: boolean }> {
    const done: Promise<boolean>[] = [];
    const handled: number[] = [];
    let stop = messages.length;
    for (const [i, message] of messages.entries()) {
      const verdict = this.#verdict(message, start);
      if (this.#transactions.decided.has(message.queueOffset)) continue;
      if (verdict === "stop") {
        stop = i;
        break;
      }
      handled.push(i);
      done.push(verdict === "discard" ? this.#discard(message) : this.#putBack(message, verdict === "check"));
    }
    const outcomes = await Promise.all(done);
    const failed = outcomes.indexOf(false);
    if (failed >= 0) stop = handled[failed];
    return stop < messages.length ? { next: messages[stop].queueOffset, stopped: true } : { next, stopped: false };
  }

  #verdict(half: StoredMessage, start: number): Verdict {
    const { transactionTimeOut, transactionCheckMax, fileReservedTime } = this.#options;
    const now = this.#clock.now();
    const age = now - half.bornTimestamp;
    if (destinationOf(half) === undefined) return "discard";
    if ((checkTimesOf(half) ?? -1) >= transactionCheckMax || age > fileReservedTime * HOUR_MS) return "discard";
    if (half.storeTimestamp >= start) return "stop";
    const immunityMs = immunityMsOf(half);
    if (immunityMs !== undefined) {
      const immune = Number.isNaN(immunityMs) || immunityMs === -1000 ? transactionTimeOut : immunityMs;
      return age <= immune ? "immune" : "check";
    }
    // A producer whose clock is ahead is asked at once, as in Apache.
    return age >= 0 && age <= transactionTimeOut ? "stop" : "check";
  }

  /** True when the offset may pass the message. */
  async #putBack(half: StoredMessage, check: boolean): Promise<boolean> {
    const checkTimes = check ? (checkTimesOf(half) ?? 0) + 1 : undefined;
    const result = await this.#transactions.putBack(half, () => this.#put(half, renewed(half, checkTimes)));
    if (result === undefined) return true;
    if (!isStored(result)) {
      this.#warn(half, result, "a half message could not be put back; the next round tries again");
      return false;
    }
    // The decision may have come while it was written.
    if (checkTimes !== undefined && !this.#transactions.decided.has(result.queueOffset)) {
      this.#ask(half, checkTimes, result);
    }
    return true;
  }

  /** Appends a half message again; one that has no room for our notes without them, or it would hold up all behind it. */
  #put(half: StoredMessage, again: NewMessage): Promise<AppendResult> {
    const bytes = Buffer.byteLength(formatProperties(again.properties));
    return this.#store.put(bytes > PROPERTIES_BYTES_MAX ? withoutNotes(half, again) : again);
  }

  /** Asks one producer of the group, another one each time. Nobody answers: the next check will. */
  #ask(half: StoredMessage, checkTimes: number, place: AppendResult): void {
    const group = half.properties.get(Property.PRODUCER_GROUP) ?? "";
    const producers = (this.#clients.producers(group) ?? []).filter((producer) => producer.caller.open);
    if (producers.length === 0) {
      this.#unasked.set(group, (this.#unasked.get(group) ?? 0) + 1);
      return;
    }
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER;
    const uniqueKey = half.properties.get(Property.UNIQUE_KEY);
    producers[this.#turn % producers.length].caller.tell(
      RequestCode.CHECK_TRANSACTION_STATE,
      {
        topic: TRANS_HALF_TOPIC,
        tranStateTableOffset: place.queueOffset,
        commitLogOffset: place.logOffset,
        msgId: uniqueKey,
        transactionId: uniqueKey,
        offsetMsgId: formatMessageId(this.#store.storeHost, place.logOffset),
        bname: this.#options.brokerName,
      },
      checkBody(half, checkTimes, place.queueOffset, place.logOffset),
    );
  }

  /** True when the offset may pass the message. */
  async #discard(half: StoredMessage): Promise<boolean> {
    // A crash may have taken the progress, but not the message that was given up.
    if (!(await this.#transactions.wasDiscarded(half))) {
      this.#topics.createIfAbsent(
        newTopicConfig(TRANS_CHECK_MAX_TIME_TOPIC, { readQueueNums: 1, writeQueueNums: 1, perm: 6 }),
      );
      const result = await this.#put(half, discarded(half));
      if (!isStored(result)) {
        this.#warn(half, result, "a half message could not be given up; the next round tries again");
        return false;
      }
      const topic = destinationOf(half)?.topic;
      if (topic !== undefined) this.#transactions.metrics.add(topic, -1);
      this.#log.error(
        { topic, uniqueKey: half.properties.get(Property.UNIQUE_KEY), checks: checkTimesOf(half) ?? 0 },
        `a transaction was given up: no decision after all checks; its message is in ${TRANS_CHECK_MAX_TIME_TOPIC}`,
      );
    }
    this.#transactions.dropChain(half);
    return true;
  }

  #warn(half: StoredMessage, result: AppendResult, text: string): void {
    this.#log.warn({ offset: half.queueOffset, status: result.status, reason: result.reason }, text);
  }
}
