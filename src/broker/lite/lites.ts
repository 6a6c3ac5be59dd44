/**
 * Lite topics at work: what a subscriber gets next, what becomes of it, and when a lite topic goes (Apache:
 * PopLiteMessageProcessor, AckMessageProcessor.ackLite, AbstractLiteLifecycleManager). A lite topic is queue 0 of a light
 * queue and is consumed in order by each group; its offsets are committed like any queue's. The lock that Apache takes for
 * each lite topic is the event loop.
 */
import { Buffer } from "node:buffer";
import type { Clock, Timer } from "../../base/clock.ts";
import { readInt64OrMinus1 } from "../../base/int64.ts";
import type { Logger } from "../../base/log.ts";
import { compileFilter } from "../../filter/messageFilter.ts";
import { liteNameOf, lmqOf } from "../../message/liteTopic.ts";
import { LMQ_QUEUE_ID } from "../../message/lmq.ts";
import { foundAt } from "../../store/consumeQueue.ts";
import type { MessageStore } from "../../store/messageStore.ts";
import { Selection } from "../../store/selection.ts";
import type { Groups } from "../groups.ts";
import type { Offsets } from "../offsets.ts";
import type { Topics } from "../topics.ts";
import { expirationMinutesOf, isLiteTopic, type LiteGroup, liteGroupOf } from "./liteGroups.ts";
import { LiteOrders } from "./liteOrders.ts";
import { type LiteClient, LiteQuotaError, LiteSubscriptions, type Notify } from "./liteSubscriptions.ts";

/** The options that lite topics read, by Apache's keys. */
export interface LiteOptions {
  readonly maxLiteSubscriptionCount: number;
  /** ms */
  readonly liteSubscriptionCheckInterval: number;
  /** ms without a word after which a client's subscriptions are dropped */
  readonly liteSubscriptionCheckTimeoutMills: number;
  /** ms */
  readonly liteTtlCheckInterval: number;
  /** ms that a lite topic lives at least, and that a broker runs before it deletes any */
  readonly minLiteTTl: number;
  readonly maxTransferBytesOnMessageInMemory: number;
}

export interface LitePop {
  clientId: string;
  group: string;
  maxMessages: number;
  /** ms */
  invisibleMs: number;
  attemptId: string | undefined;
}

/** A message given to a subscriber. */
export interface LiteMessage {
  /** The whole record, as it lies in the log. */
  record: Buffer;
  lmq: string;
  /** Its place in the lite topic. */
  offset: number;
  /** How often it was given before. */
  count: number;
}

/** Where a new subscription begins (Apache: OffsetOption). */
export interface LiteStart {
  type: "POLICY" | "OFFSET" | "TAIL_N" | "TIMESTAMP";
  value: number;
}

const POLICY_MIN = 1;
const POLICY_MAX = 2;
const FROM_THE_FIRST: LiteStart = { type: "POLICY", value: POLICY_MIN };
const ALL = compileFilter(undefined, undefined);
const MINUTE_MS = 60_000;

/** A subscription that this group cannot have; becomes ILLEGAL_OPERATION. */
export class LiteSubscriptionError extends Error {}

export class Lites {
  readonly subscriptions: LiteSubscriptions;
  readonly orders: LiteOrders;
  readonly #options: LiteOptions;
  readonly #store: MessageStore;
  readonly #topics: Topics;
  readonly #groups: Groups;
  readonly #offsets: Offsets;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #selection = new Selection();
  #timers: Timer[] = [];
  #startedAt = 0;

  constructor(
    options: LiteOptions,
    store: MessageStore,
    topics: Topics,
    groups: Groups,
    offsets: Offsets,
    clock: Clock,
    log: Logger,
  ) {
    this.#options = options;
    this.#store = store;
    this.#topics = topics;
    this.#groups = groups;
    this.#offsets = offsets;
    this.#clock = clock;
    this.#log = log;
    this.subscriptions = new LiteSubscriptions(clock);
    this.orders = new LiteOrders(clock, (group, lmq) => this.#ready(lmq, group));
    store.onArrival((topic) => {
      const name = liteNameOf(topic);
      if (name !== undefined) this.subscriptions.arrived(topic, name.parent);
    });
    offsets.onReset((topic) => this.#ready(topic));
  }

  start(): void {
    const { liteSubscriptionCheckInterval, liteTtlCheckInterval } = this.#options;
    this.#startedAt = this.#clock.monotonicMs();
    this.subscriptions.start();
    this.#timers = [
      this.#clock.every(liteSubscriptionCheckInterval, () => this.dropSilent()),
      this.#clock.every(liteTtlCheckInterval, () => {
        this.orders.clean();
        this.deleteExpired().catch((error: unknown) =>
          this.#log.error({ err: error }, "lite topics were not looked at"),
        );
      }),
    ];
  }

  /** Answers everybody who waits. */
  stop(): void {
    for (const timer of this.#timers.splice(0)) this.#clock.clear(timer);
    this.subscriptions.stop();
    this.orders.stop();
  }

  // ---- subscriptions ----

  groupOf(group: string): LiteGroup | undefined {
    const config = this.#groups.find(group);
    return config === undefined ? undefined : liteGroupOf(config);
  }

  /** Adds lite topics to what a client subscribes to. @throws LiteQuotaError, LiteSubscriptionError */
  subscribe(
    clientId: string,
    group: string,
    topic: string,
    lites: readonly string[],
    from: LiteStart | undefined,
    notify: Notify,
  ): void {
    const { exclusive, wildcard } = this.#needGroup(group);
    this.#needRoom();
    if (wildcard) throw new LiteSubscriptionError("subscribe lite operation is not supported for this group");
    const client = this.subscriptions.touch(clientId, group, topic, notify);
    for (const lite of lites) {
      const lmq = lmqOf(topic, lite);
      if (!client.lmqs.has(lmq)) this.#needRoom();
      if (exclusive) this.#exclude(client, lmq);
      if (from !== undefined) this.#startFrom(group, lmq, from);
      this.#add(client, lmq);
    }
  }

  unsubscribe(clientId: string, group: string, topic: string, lites: readonly string[]): void {
    const { resetWhenUnsubscribed } = this.#needGroup(group, false);
    const client = this.subscriptions.touch(clientId, group, topic);
    for (const lite of lites) {
      const lmq = lmqOf(topic, lite);
      if (this.subscriptions.drop(client, lmq) && resetWhenUnsubscribed) this.#startFrom(group, lmq, FROM_THE_FIRST);
    }
  }

  /** What a client subscribes to, all of it; told again and again. @throws LiteQuotaError, LiteSubscriptionError */
  subscribeAll(clientId: string, group: string, topic: string, lites: readonly string[], notify: Notify): void {
    const { wildcard } = this.#needGroup(group);
    const client = this.subscriptions.touch(clientId, group, topic, notify);
    if (wildcard) {
      if (this.subscriptions.joinWildcard(client)) this.#readyAll(client);
      return;
    }
    const wanted = new Set(lites.map((lite) => lmqOf(topic, lite)));
    for (const lmq of [...client.lmqs]) if (!wanted.has(lmq)) this.subscriptions.drop(client, lmq);
    for (const lmq of wanted) {
      if (client.lmqs.has(lmq)) continue;
      this.#needRoom();
      this.#add(client, lmq);
    }
  }

  #needRoom(): void {
    const max = this.#options.maxLiteSubscriptionCount;
    if (this.subscriptions.active >= max) throw new LiteQuotaError(`lite subscription quota exceeded ${max}`);
  }

  /** A client is gone. */
  clientGone(clientId: string): void {
    const client = this.subscriptions.find(clientId);
    if (client === undefined) return;
    // Others of its group may wait for what was woken for it.
    const ready = [...client.ready];
    this.subscriptions.remove(clientId);
    for (const lmq of ready) this.#ready(lmq, client.group);
  }

  /** Forgets clients that say nothing any more. */
  dropSilent(): void {
    for (const clientId of this.subscriptions.silentFor(this.#options.liteSubscriptionCheckTimeoutMills)) {
      this.#log.info({ clientId }, "a client's lite subscriptions expired");
      this.clientGone(clientId);
    }
  }

  #needGroup(group: string, consuming = true): LiteGroup {
    const config = this.#groups.find(group);
    if (config === undefined || (consuming && !config.consumeEnable)) {
      throw new LiteSubscriptionError("Consumer group is not allowed to consume.");
    }
    return liteGroupOf(config);
  }

  #add(client: LiteClient, lmq: string): void {
    if (!this.subscriptions.add(client, lmq)) return;
    if (this.#store.maxOffset(lmq, LMQ_QUEUE_ID) > 0) this.subscriptions.readyFor(client, lmq);
  }

  /** The newest subscriber of an exclusive group is the only one. */
  #exclude(newest: LiteClient, lmq: string): void {
    const { resetWhenExcluded } = this.#needGroup(newest.group);
    for (const client of [...(this.subscriptions.subscribers(lmq)?.get(newest.group) ?? [])]) {
      if (client === newest) continue;
      this.subscriptions.drop(client, lmq);
      client.notify(newest.group, lmq);
      if (resetWhenExcluded) this.#startFrom(newest.group, lmq, FROM_THE_FIRST);
    }
  }

  #startFrom(group: string, lmq: string, { type, value }: LiteStart): void {
    const current = this.#offsets.query(group, lmq, LMQ_QUEUE_ID);
    let target = -1;
    if (type === "POLICY" && value === POLICY_MIN) target = 0;
    else if (type === "POLICY" && value === POLICY_MAX) target = this.#store.maxOffset(lmq, LMQ_QUEUE_ID);
    else if (type === "OFFSET") target = value;
    else if (type === "TAIL_N" && current >= 0) target = Math.max(0, current - value);
    if (target < 0 || target === current) return;
    this.orders.forget(group, lmq);
    this.#offsets.assignReset(group, lmq, LMQ_QUEUE_ID, target);
  }

  #ready(lmq: string, group?: string): void {
    const name = liteNameOf(lmq);
    if (name !== undefined) this.subscriptions.arrived(lmq, name.parent, group);
  }

  /** All lite topics of a wildcard group's parent may have something. */
  #readyAll(client: LiteClient): void {
    for (const lmq of this.#store.topics()) {
      if (liteNameOf(lmq)?.parent === client.topic) this.subscriptions.readyFor(client, lmq);
    }
  }

  /** Looks again at everything that a client, or each client of a group, has not consumed (LiteEventDispatcher.doFullDispatch*). */
  dispatch(group: string, clientId: string | undefined): void {
    const clients =
      clientId === undefined
        ? [...this.subscriptions.clients()].filter((client) => client.group === group)
        : [this.subscriptions.find(clientId)].filter((client) => client !== undefined);
    for (const client of clients) {
      if (this.subscriptions.isWildcard(client)) this.#readyAll(client);
      for (const lmq of client.lmqs) {
        const max = this.#store.maxOffset(lmq, LMQ_QUEUE_ID);
        if (max > 0 && this.#offsets.query(client.group, lmq, LMQ_QUEUE_ID) < max) {
          this.subscriptions.readyFor(client, lmq);
        }
      }
    }
  }

  // ---- messages ----

  /**
   * What a client gets now; nothing when none of its lite topics has something to give.
   * @param popTime ms; names the pop in the handles of its messages
   */
  pop(ask: LitePop, popTime: number): LiteMessage[] {
    const client = this.subscriptions.find(ask.clientId);
    const found: LiteMessage[] = [];
    if (client === undefined || client.group !== ask.group) return found;
    client.poppedAt = popTime;
    let bytesLeft = this.#options.maxTransferBytesOnMessageInMemory;
    for (const lmq of [...client.ready]) {
      if (found.length >= ask.maxMessages || bytesLeft <= 0) break;
      client.ready.delete(lmq);
      if (this.orders.blocked(ask.group, lmq, ask.attemptId, ask.invisibleMs)) continue;
      bytesLeft -= this.#take(ask, popTime, lmq, ask.maxMessages - found.length, bytesLeft, found);
    }
    return found;
  }

  /** Takes what one lite topic has; returns its bytes. */
  #take(
    ask: LitePop,
    popTime: number,
    lmq: string,
    maxMessages: number,
    maxBytes: number,
    found: LiteMessage[],
  ): number {
    const selection = this.#selection;
    let offset = this.#offsetOf(ask.group, lmq);
    if (offset === undefined) return 0;
    for (let corrected = false; ; corrected = true) {
      this.#store.select(selection, lmq, LMQ_QUEUE_ID, offset, maxMessages, maxBytes, ALL);
      const { status, nextOffset } = selection;
      if (status === "missing") {
        this.#reload(this.#store.load(selection, lmq, LMQ_QUEUE_ID), ask.group, lmq);
        return 0;
      }
      if (status === "found") break;
      const outside = status === "tooSmall" || status === "beyondEnd" || (status === "noQueue" && offset !== 0);
      if (!outside || corrected) return 0;
      this.#log.warn({ group: ask.group, lmq, offset, nextOffset }, "a group's offset of a lite topic was corrected");
      this.#offsets.commit(ask.group, lmq, LMQ_QUEUE_ID, nextOffset, "lite");
      offset = nextOffset;
    }
    const { count, sizes, logOffsets, queueOffsets } = selection;
    const offsets: number[] = [];
    const records: Buffer[] = [];
    for (let i = 0; i < count; i++) {
      const record = Buffer.allocUnsafe(sizes[i]);
      // Selected in this very turn, so still in memory.
      if (!this.#store.copy(logOffsets[i], record.length, record, 0)) {
        throw new Error(`log bytes at ${logOffsets[i]} vanished`);
      }
      records.push(record);
      offsets.push(queueOffsets[i]);
    }
    const counts = this.orders.gave(ask.group, lmq, ask.attemptId, popTime, ask.invisibleMs, offsets);
    for (let i = 0; i < count; i++) found.push({ record: records[i], lmq, offset: offsets[i], count: counts[i] });
    return selection.bytes;
  }

  /** Looks again when what was missing is in memory. */
  #reload(loaded: Promise<unknown>, group: string, lmq: string): void {
    loaded.then(
      () => this.#ready(lmq, group),
      (error: unknown) => this.#log.error({ err: error, group, lmq }, "a lite topic could not be read"),
    );
  }

  /** Where a group goes on; a new one where its first message lies in memory at the first, else at the last. */
  #offsetOf(group: string, lmq: string): number | undefined {
    const reset = this.#offsets.takeReset(group, lmq, LMQ_QUEUE_ID);
    if (reset >= 0) {
      this.orders.forget(group, lmq);
      this.#offsets.commit(group, lmq, LMQ_QUEUE_ID, reset, "reset");
      return reset;
    }
    const committed = this.#offsets.query(group, lmq, LMQ_QUEUE_ID);
    if (committed >= 0) return committed;
    const queue = this.#store.findQueue(lmq, LMQ_QUEUE_ID);
    if (queue === undefined) return 0;
    let first = Math.max(0, queue.max - 1);
    if (queue.min <= 0 && queue.max > 0) {
      const units = queue.unitBuffer(0);
      if (units === undefined) {
        this.#reload(queue.load1(0), group, lmq);
        return undefined;
      }
      if (this.#store.inMemory(readInt64OrMinus1(units, foundAt))) first = 0;
    }
    this.#offsets.commit(group, lmq, LMQ_QUEUE_ID, first, "lite");
    return first;
  }

  /**
   * Acknowledges a message of a lite topic.
   * @returns undefined: done, or done before; else why not
   */
  ack(group: string, topic: string, lite: string, offset: number, popTime: number): "outside" | "unknown" | undefined {
    const lmq = lmqOf(topic, lite);
    if (offset > this.#store.maxOffset(lmq, LMQ_QUEUE_ID)) return "outside";
    if (offset < this.#offsets.query(group, lmq, LMQ_QUEUE_ID)) return undefined;
    const next = this.orders.acknowledge(group, lmq, offset, popTime);
    if (next === -1) return "unknown";
    if (next < 0) return undefined;
    if (!this.#offsets.hasReset(group, lmq, LMQ_QUEUE_ID)) this.#offsets.commit(group, lmq, LMQ_QUEUE_ID, next, "lite");
    const more = next < this.#store.maxOffset(lmq, LMQ_QUEUE_ID);
    if (more && !this.orders.blocked(group, lmq, undefined, 0)) this.#ready(lmq, group);
    return undefined;
  }

  /**
   * Gives a message a new deadline; with `suspend` all that its lite topic has given out.
   * @returns when it is visible again, ms; undefined when it is done; "outside" for an offset that the lite topic has not
   */
  changeInvisible(
    group: string,
    topic: string,
    lite: string,
    offset: number,
    popTime: number,
    invisibleMs: number,
    suspend: boolean,
  ): number | "outside" | undefined {
    const lmq = lmqOf(topic, lite);
    if (offset > this.#store.maxOffset(lmq, LMQ_QUEUE_ID)) return "outside";
    if (offset < this.#offsets.query(group, lmq, LMQ_QUEUE_ID)) return undefined;
    const visibleAt = this.#clock.now() + invisibleMs;
    if (suspend) this.orders.suspend(group, lmq, popTime, visibleAt);
    else this.orders.setNextVisible(group, lmq, offset, popTime, visibleAt);
    return visibleAt;
  }

  // ---- the end of lite topics ----

  /** Deletes lite topics that got no message for longer than their parent allows. */
  async deleteExpired(): Promise<void> {
    const { minLiteTTl } = this.#options;
    if (this.#clock.monotonicMs() - this.#startedAt < minLiteTTl) return;
    for (const lmq of this.#store.topics()) {
      const name = liteNameOf(lmq);
      const parent = name === undefined ? undefined : this.#topics.get(name.parent);
      if (parent === undefined || !isLiteTopic(parent)) continue;
      const minutes = expirationMinutesOf(parent);
      const max = this.#store.maxOffset(lmq, LMQ_QUEUE_ID);
      if (!(minutes > 0) || max <= 0) continue;
      const storedAt = await this.#store.storeTimeAt(lmq, LMQ_QUEUE_ID, max - 1);
      const idleMs = this.#clock.now() - storedAt;
      // A message may have come while it was looked at.
      if (storedAt < 0 || this.#store.maxOffset(lmq, LMQ_QUEUE_ID) !== max) continue;
      if (idleMs >= minLiteTTl && idleMs > minutes * MINUTE_MS) await this.#delete(lmq);
    }
  }

  /** The parent topic was deleted, and its lite topics go with it; resolves when that survives a crash. */
  async parentDeleted(topic: string): Promise<void> {
    const doomed = this.#store.topics().filter((lmq) => liteNameOf(lmq)?.parent === topic);
    await Promise.all(doomed.map((lmq) => this.#delete(lmq)));
  }

  #delete(lmq: string): Promise<void> {
    this.#offsets.deleteTopic(lmq);
    this.orders.deleted(lmq);
    this.subscriptions.deleted(lmq);
    this.#log.info({ lmq }, "lite topic deleted");
    return this.#store.deleteTopic(lmq);
  }
}
