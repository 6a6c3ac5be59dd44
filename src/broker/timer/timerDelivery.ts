/**
 * Puts due messages into their topics, and messages that waited long enough for one turn of the wheel back into the timer
 * topic (Apache: TimerDequeueGetMessageService, TimerDequeuePutMessageService). A message counts as moved when its copy is
 * in the log; a copy that is refused is tried again until it is taken. Nothing per message but its record in the log: one
 * promise for a batch.
 */
import { Buffer } from "node:buffer";
import { type Clock, sleep } from "../../base/clock.ts";
import { Interner } from "../../base/interner.ts";
import { javaHashUtf8 } from "../../base/javaHash.ts";
import * as limits from "../../base/limits.ts";
import type { Logger } from "../../base/log.ts";
import { MessageDraft } from "../../message/draft.ts";
import { PropertyScan } from "../../message/propertyScan.ts";
import { PROPERTIES_BYTES_MAX, RecordView } from "../../message/record.ts";
import type { BrokerMetrics } from "../../metrics/brokerMetrics.ts";
import type { MessageStore } from "../../store/messageStore.ts";
import type { AckTarget, PendingAppend } from "../../store/pending.ts";
import { RecordReads } from "../../store/recordReads.ts";
import { TIMER_TOPIC } from "../names.ts";
import type { DeliveredBefore } from "./deliveredBefore.ts";
import type { MetricsSink } from "./timerMetrics.ts";
import { COPY_BYTES_MAX, NEVER_ENQUEUED, TimerProperties } from "./timerProperties.ts";

/** Wait after a refused copy (Apache: 500 ms per second of precision). */
const RETRY_MS = 500;
const EMPTY: Buffer = Buffer.alloc(0);
const TIMER_TOPIC_BYTES = Buffer.from(TIMER_TOPIC);

const OPEN = 0;
const WAITING = 1;
const DONE = 2;

/** Messages to move, in order; filled by whoever found them due. */
export class TimerBatch {
  readonly reads = new RecordReads(limits.TIMER_BATCH);
  /** Why the message is here: the slot's time it waited for, ms; -1 for one whose slot was over when it came. */
  readonly slotTimes = new Float64Array(limits.TIMER_BATCH);
  readonly enqueueTimes = new Float64Array(limits.TIMER_BATCH);
  readonly rolls = new Uint8Array(limits.TIMER_BATCH);

  get full(): boolean {
    return this.reads.full || this.reads.totalBytes >= limits.TIMER_BATCH_BYTES;
  }

  clear(): void {
    this.reads.clear();
  }

  add(logOffset: number, bytes: number, slotTime: number, enqueueTime: number, rolls: boolean): void {
    const i = this.reads.count;
    this.slotTimes[i] = slotTime;
    this.enqueueTimes[i] = enqueueTime;
    this.rolls[i] = rolls ? 1 : 0;
    this.reads.add(logOffset, bytes);
  }
}

export class TimerDelivery implements AckTarget {
  readonly #store: MessageStore;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #metrics: MetricsSink;
  readonly #draft = new MessageDraft();
  readonly #scan = new PropertyScan();
  readonly #view = new RecordView();
  readonly #properties = new TimerProperties();
  readonly #names = new Interner();
  readonly #copy = Buffer.allocUnsafeSlow(COPY_BYTES_MAX);
  readonly #states = new Uint8Array(limits.TIMER_BATCH);
  readonly #topics: (string | undefined)[] = new Array(limits.TIMER_BATCH).fill(undefined);
  /** Of the batch under way. */
  #slotTimes = new Float64Array(0);
  #rolls = new Uint8Array(0);
  #waiting = 0;
  #reason = "";
  #answered: () => void = () => {};
  /** Copies taken, since the start, and those of them that went back into the timer topic. */
  delivered = 0;
  rolled = 0;
  /** Records what is delivered, for whoever exports metrics. */
  figures: BrokerMetrics | undefined = undefined;
  /** Stops trying again. */
  stopped = false;
  /** What an earlier life delivered without noting it. */
  before: DeliveredBefore | undefined;

  constructor(store: MessageStore, clock: Clock, log: Logger, metrics: MetricsSink) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#metrics = metrics;
    this.#draft.taken = true;
  }

  /**
   * Moves the messages of a batch whose records were read. One call at a time.
   * @param deleted keys of recalled messages (see {@link deleteKeyOf})
   * @returns false when it was stopped before all were moved
   */
  async move(batch: TimerBatch, deleted: ReadonlySet<string>, keysHaveTopic: boolean): Promise<boolean> {
    const { count } = batch.reads;
    this.#states.fill(OPEN, 0, count);
    this.#slotTimes = batch.slotTimes;
    this.#rolls = batch.rolls;
    for (;;) {
      let open = 0;
      for (let i = 0; i < count; i++) {
        if (this.#states[i] !== OPEN) continue;
        this.#put(batch, i, deleted, keysHaveTopic);
        if (this.#states[i] !== DONE) open++;
      }
      if (open === 0) return true;
      if (this.#waiting > 0) await new Promise<void>((resolve) => (this.#answered = resolve));
      if (!this.#states.subarray(0, count).includes(OPEN)) return true;
      if (this.stopped) return false;
      this.#log.warn({ reason: this.#reason }, "due timer messages were not taken; trying again");
      await sleep(this.#clock, RETRY_MS);
      if (this.stopped) return false;
    }
  }

  #put(batch: TimerBatch, i: number, deleted: ReadonlySet<string>, keysHaveTopic: boolean): void {
    const view = this.#view;
    const properties = this.#properties;
    const slotTime = batch.slotTimes[i];
    const rolls = batch.rolls[i] !== 0;
    this.#states[i] = DONE;
    if (!readTimer(batch.reads, i, view, properties) || !belongs(properties, slotTime, rolls)) {
      this.#log.warn({ logOffset: batch.reads.offsets[i] }, "a timer message is no longer in the log");
      return;
    }
    const topic = this.#realTopic();
    this.#topics[i] = topic;
    // One that deletes others is itself never delivered.
    if (properties.deletes && !rolls) return;
    if (deleted.size > 0 && deleted.has(deleteKeyOf(properties, keysHaveTopic))) {
      if (topic !== undefined) this.#metrics.add(topic, -1);
      return;
    }
    if (!rolls && (topic === undefined || properties.realQueueId < 0)) {
      this.#log.error({ logOffset: view.logOffset, topic }, "a timer message has no topic to go to");
      return;
    }
    const goal = rolls ? TIMER_TOPIC : (topic as string);
    if (this.before?.take(goal, properties, rolls ? properties.rollTimes + 1 : properties.rollTimes)) {
      this.#counted(i);
      return;
    }
    const draft = this.#draft;
    draft.queueId = rolls ? view.queueId : properties.realQueueId;
    draft.flag = view.flag;
    draft.sysFlag = view.sysFlag;
    draft.bornTimestamp = view.bornTimestamp;
    draft.setHosts(view.bornHost(), view.storeHost());
    draft.reconsumeTimes = view.reconsumeTimes;
    draft.preparedTransactionOffset = 0;
    draft.body = view.buf;
    draft.bodyStart = view.bodyAt;
    draft.bodyEnd = view.bodyAt + view.bodyBytes;
    draft.properties = this.#copy;
    draft.propertiesStart = 0;
    draft.propertiesEnd = this.#copyProperties(slotTime, batch.enqueueTimes[i], rolls);
    draft.suffix = EMPTY;
    const scan = this.#scan;
    scan.scan(this.#copy, 0, draft.propertiesEnd);
    // What it stands for is in the log already, and no checkpoint counts the copy before it is durable. One that rolls must
    // be seen by the wheel before later slots are read.
    scan.noWait = !rolls;
    draft.tagsCode = scan.tagsEnd > scan.tagsStart ? javaHashUtf8(0, this.#copy, scan.tagsStart, scan.tagsEnd) : 0;
    this.#states[i] = WAITING;
    this.#waiting++;
    this.#store.append(draft, scan, this.#store.queue(goal, draft.queueId), this, i, 0);
  }

  #copyProperties(slotTime: number, enqueueTime: number, rolls: boolean): number {
    const properties = this.#properties;
    const now = this.#clock.now();
    // One that came too late for the wheel has Apache's mark for it.
    const late = slotTime < 0 || slotTime < enqueueTime;
    const end = properties.copy(this.#copy, late ? NEVER_ENQUEUED : String(enqueueTime), now, rolls);
    // The times are for information; a message that has no room for them is delivered without.
    return end <= PROPERTIES_BYTES_MAX ? end : properties.copy(this.#copy, undefined, now, rolls);
  }

  #realTopic(): string | undefined {
    const { realTopicStart, realTopicEnd } = this.#properties;
    return realTopicStart < 0 ? undefined : this.#names.get(this.#view.buf, realTopicStart, realTopicEnd);
  }

  /** AckTarget: `opaque` is the place in the batch. */
  appended(pending: PendingAppend): void {
    const i = pending.opaque;
    switch (pending.status) {
      case "ok":
      case "flushDiskTimeout":
      case "flushSlaveTimeout":
      case "slaveNotAvailable":
        this.#states[i] = DONE;
        this.delivered++;
        if (this.#rolls[i] !== 0) this.rolled++;
        this.#record(i);
        this.#counted(i);
        break;
      case "messageIllegal":
      case "propertiesTooLong":
        this.#states[i] = DONE;
        this.#log.error({ reason: pending.reason }, "a due timer message cannot be stored in its topic; it is dropped");
        this.#counted(i);
        break;
      default:
        this.#states[i] = OPEN;
        this.#reason = pending.reason;
    }
    this.#waiting--;
    if (this.#waiting === 0) this.#answered();
  }

  #record(i: number): void {
    const topic = this.#topics[i];
    if (topic !== undefined) this.figures?.timerDelivered(topic);
  }

  /** One less waits for its topic; one that never entered the wheel did not wait. */
  #counted(i: number): void {
    const topic = this.#topics[i];
    if (topic !== undefined && this.#slotTimes[i] >= 0) this.#metrics.add(topic, -1);
  }
}

/** Reads the timer message at place `i`; false when no whole one is there. */
export function readTimer(reads: RecordReads, i: number, view: RecordView, properties: TimerProperties): boolean {
  const at = reads.at[i];
  if (at < 0) return false;
  if (view.read(reads.slab, at, at + reads.bytes[i], true) !== "record") return false;
  if (view.logOffset !== reads.offsets[i] || view.totalBytes !== reads.bytes[i]) return false;
  if (TIMER_TOPIC_BYTES.compare(view.buf, view.topicAt, view.topicAt + view.topicBytes) !== 0) return false;
  properties.scan(view.buf, view.propertiesAt, view.propertiesAt + view.propertiesBytes);
  return properties.outMs >= 0;
}

/** Whether the message is the one that entered the slot: after lost log bytes another one may lie at its place. */
function belongs(properties: TimerProperties, slotTime: number, rolls: boolean): boolean {
  return slotTime < 0 || (rolls ? properties.outMs >= slotTime : properties.outMs === slotTime);
}

/** What a recall names a message by (Apache: buildDeleteKey). */
export function deleteKeyOf(properties: TimerProperties, withTopic: boolean): string {
  return withTopic ? `${properties.realTopic}+${properties.uniqueKey}` : `${properties.uniqueKey}`;
}
