/**
 * Everything that pop consumption is made of, wired: journal, checkpoints in flight, order states, revival, taking, and
 * those who wait (Apache: PopMessageProcessor, PopBufferMergeService, PopReviveService and their neighbours).
 *
 *   pop -> Popper -> InFlight.open ----\                                  /-> Opened: offset committed
 *   ack -> InFlight.ack -> AckBatch ----+-> Journal -> the log's write --+--> AckBatch: clients answered
 *   due -> Reviver -> copy + done ------/                                 \-> checkpoint settled, forgotten
 */
import type { Clock, Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Turn } from "../../base/turn.ts";
import type { BrokerConfig } from "../../config/index.ts";
import { popRetryTopic } from "../../protocol/extraInfo.ts";
import type { MessageStore } from "../../store/messageStore.ts";
import type { MetadataFile } from "../../store/metadataFile.ts";
import type { Groups } from "../groups.ts";
import { RETRY_PREFIX, REVIVE_TOPIC_PREFIX } from "../names.ts";
import type { OffsetJournal, Offsets } from "../offsets.ts";
import type { Topics } from "../topics.ts";
import { type Held, type HoldOutcome, PopHolds } from "./holds.ts";
import { InFlight } from "./inFlight.ts";
import { Journal } from "./journal.ts";
import { Orders } from "./orders.ts";
import { Popper } from "./popper.ts";
import { Reviver } from "./reviver.ts";
import { type PopGroup, PopGroups, type PopQueue } from "./state.ts";

const MAINTAIN_PERIOD_MS = 1_000;
/** Rounds of maintenance between looks for groups that nobody pops any more. */
const SWEEP_ROUNDS = 60;
/** A group that has nothing in flight is forgotten after this. */
const IDLE_MS = 600_000;

export interface PopContext {
  readonly config: BrokerConfig;
  readonly store: MessageStore;
  readonly topics: Topics;
  readonly groups: Groups;
  readonly offsets: Offsets;
  readonly clock: Clock;
  readonly random: Random;
  readonly turn: Turn;
  readonly log: Logger;
  /** config/consumerOrderInfo.json */
  readonly orderFile: MetadataFile;
}

export class Pops implements OffsetJournal {
  readonly groups = new PopGroups();
  readonly journal: Journal;
  readonly inFlight: InFlight;
  readonly orders: Orders;
  readonly reviver: Reviver;
  readonly popper: Popper;
  /** Pops that wait. */
  readonly holds: PopHolds;
  /** Notifications that wait. */
  readonly notifications: PopHolds;
  readonly #context: PopContext;
  /** Groups with waiters, by the names of their retry topics. */
  readonly #retries = new Map<string, PopGroup>();
  #timer: Timer | undefined;
  #rounds = 0;
  #started = false;

  /** Must be made before the store starts: a turn's acknowledgements go before its write. */
  constructor(context: PopContext) {
    this.#context = context;
    const { config, store, topics, groups, offsets, clock, random, turn, log } = context;
    const now = () => clock.now();
    this.journal = new Journal(
      store,
      REVIVE_TOPIC_PREFIX + config.brokerClusterName,
      Math.max(1, config.reviveQueueNum),
      config.brokerName,
      now,
    );
    this.reviver = new Reviver(config, store, topics, groups, offsets, clock, log);
    this.inFlight = new InFlight(this.groups, this.journal, offsets, clock, turn, log, (checkpoint) =>
      this.reviver.due(checkpoint),
    );
    this.reviver.attach(this.inFlight);
    this.orders = new Orders(
      config,
      context.orderFile,
      this.groups,
      topics,
      groups,
      clock,
      log,
      () => this.position(),
      (queue) => this.freed(queue),
    );
    this.popper = new Popper(config, store, topics, offsets, this.inFlight, this.orders, clock, random);
    this.holds = new PopHolds(config, clock);
    this.notifications = new PopHolds(config, clock, true);
    store.onArrival((topic, queueId, max) => this.#arrived(topic, queueId, max));
  }

  /** Reads the journal; the store must be started. Pops must not come in before it is done. */
  async start(): Promise<void> {
    const { offsets, clock, log } = this.#context;
    await this.inFlight.start(offsets.loadedPosition, this.orders.loadedFrom);
    const doubles = await this.reviver.finish();
    if (doubles > 0)
      log.info({ messages: doubles }, "messages whose revival a crash had cut short were already copied");
    offsets.journal = this;
    this.#started = true;
    this.orders.start();
    this.#timer = clock.every(MAINTAIN_PERIOD_MS, () => this.#maintain());
  }

  /** Answers who waits and stops reviving; the offsets may be written last after it. */
  async stop(): Promise<void> {
    this.#context.clock.clear(this.#timer);
    this.holds.stop();
    this.notifications.stop();
    this.orders.stop();
    this.inFlight.stop();
    await this.reviver.stop();
    if (this.#started) await this.beforePersist();
  }

  /**
   * A topic was deleted with its queues. What was popped of it must not be looked for in a new topic of its name; the
   * offsets must be saved after it, so that no start believes what the journal says of the old one.
   */
  topicDeleted(topic: string): void {
    for (const group of this.groups.of(topic)) {
      for (const queue of group.queues) {
        queue.generation++;
        if (this.orders.clear(queue)) this.inFlight.orderChanged(queue);
        for (const checkpoint of [...queue.all()]) this.inFlight.abandon(checkpoint);
      }
    }
  }

  // ---- OffsetJournal ----

  /** The next start passes over what is settled: order states in that part must be in their file by then. */
  async beforePersist(): Promise<void> {
    const settledTo = this.inFlight.settledTo();
    await this.orders.persist();
    this.inFlight.commitSettled(settledTo);
  }

  position(): number {
    return this.#context.store.maxLogOffset();
  }

  // ---- waiting ----

  /** Holds a pop, and has it woken by messages of its group's retry topics, too. */
  hold(held: Held, expiresAt: number): HoldOutcome {
    this.#watchRetries(held);
    return this.holds.hold(held, expiresAt);
  }

  /** Holds a notification. */
  holdNotification(held: Held, expiresAt: number): HoldOutcome {
    this.#watchRetries(held);
    return this.notifications.hold(held, expiresAt);
  }

  #watchRetries(held: Held): void {
    const group = this.groups.make(held.topic, held.group);
    if (group.watched) return;
    group.watched = true;
    this.#retries.set(popRetryTopic(held.topic, held.group, false), group);
    this.#retries.set(popRetryTopic(held.topic, held.group, true), group);
  }

  /** A queue that was blocked can be popped again. */
  freed(queue: PopQueue): void {
    const { topic, group } = queue.group;
    const before = this.journal.written;
    this.holds.freed(topic, group, queue.queueId);
    this.notifications.freed(topic, group, queue.queueId);
    if (this.journal.written !== before) this.#context.turn.request();
  }

  #arrived(topic: string, queueId: number, max: number): void {
    if (!this.#started) return;
    if (topic === this.journal.topic) {
      if (!this.journal.hasForeign(queueId, max)) return;
      this.inFlight
        .arrived(queueId, max)
        .catch((error: Error) => this.#context.log.error({ err: error }, "the pop journal was not read"));
      return;
    }
    const before = this.journal.written;
    this.holds.arrived(topic, queueId);
    this.notifications.arrived(topic, queueId);
    if (topic.startsWith(RETRY_PREFIX)) {
      const group = this.#retries.get(topic);
      if (group !== undefined) {
        this.holds.freed(group.topic, group.group, -1);
        this.notifications.freed(group.topic, group.group, -1);
      }
    }
    // What was popped here is noted, and answered, in this very turn.
    if (this.journal.written !== before || this.inFlight.orderPending) this.#context.turn.commitAgain();
  }

  #maintain(): void {
    this.inFlight.maintain();
    // So that an idle broker's offsets say that everything is settled.
    if (this.orders.saved) this.inFlight.commitSettled(this.inFlight.settledTo());
    if (++this.#rounds % SWEEP_ROUNDS !== 0) return;
    const now = this.#context.clock.monotonicMs();
    for (const group of [...this.groups.all()]) {
      if (now - group.usedAt < IDLE_MS || !group.idle) continue;
      if (this.holds.waits(group.topic, group.group) || this.notifications.waits(group.topic, group.group)) continue;
      this.groups.delete(group);
      if (!group.watched) continue;
      this.#retries.delete(popRetryTopic(group.topic, group.group, false));
      this.#retries.delete(popRetryTopic(group.topic, group.group, true));
    }
  }
}
