/**
 * Reads rmq_sys_wheel_timer and enters its messages into the wheel (Apache: TimerEnqueueGetService, TimerEnqueuePutService).
 * The queue offset moves past a message when it is in the wheel, or delivered because its slot was over when it came.
 */
import { type Clock, sleep } from "../../base/clock.ts";
import { Interner } from "../../base/interner.ts";
import { javaHashUtf8 } from "../../base/javaHash.ts";
import * as limits from "../../base/limits.ts";
import type { Logger } from "../../base/log.ts";
import { RecordView } from "../../message/record.ts";
import type { BrokerMetrics } from "../../metrics/brokerMetrics.ts";
import type { MessageStore } from "../../store/messageStore.ts";
import { RecordReads } from "../../store/recordReads.ts";
import type { TimerFiles } from "../../store/timer/timerFiles.ts";
import { MAGIC_DEFAULT, MAGIC_DELETE, MAGIC_ROLL } from "../../store/timer/timerLog.ts";
import { TIMER_TOPIC } from "../names.ts";
import { readTimer, TimerBatch, TimerDelivery } from "./timerDelivery.ts";
import type { TimerMetrics } from "./timerMetrics.ts";
import { TimerProperties } from "./timerProperties.ts";

/** Wait when a message cannot enter: the disk of the timer log is full. */
const RETRY_MS = 500;
/** At a rebuild: a message this long behind its roll is taken for rolled; one less long may come twice rather than never. */
const ROLLED_FOR_SURE_MS = 600_000;
const NOTHING_DELETED: ReadonlySet<string> = new Set();

/** Where a message goes in the wheel. */
export interface Placement {
  slotTime: number;
  rolls: boolean;
}

/**
 * The slot of a message: that of its time or, when it is further away than the wheel shall hold, an earlier one at which it
 * is put back into the queue. Both from Apache's doEnqueue.
 * @param windowSlots timerRollWindowSlot
 */
export function placementOf(outMs: number, writeTimeMs: number, windowSlots: number, precisionMs: number): Placement {
  const windowMs = windowSlots * precisionMs;
  const delay = outMs - writeTimeMs;
  if (delay < windowMs) return { slotTime: outMs, rolls: false };
  // Shortly behind the window: half of it, so that enough time is left for the next turn.
  const half = delay - windowMs < Math.trunc(windowSlots / 3) * precisionMs;
  return { slotTime: writeTimeMs + (half ? Math.trunc(windowSlots / 2) * precisionMs : windowMs), rolls: true };
}

export interface EnqueueContext {
  store: MessageStore;
  clock: Clock;
  log: Logger;
  files: TimerFiles;
  metrics: TimerMetrics;
  options: { readonly timerStopEnqueue: boolean };
  windowSlots: number;
  /** Slots before it are delivered, ms. */
  readTime(): number;
  /** The clock went back: slots from this time on are to be read again. */
  goBackTo(slotTime: number): void;
}

/** Messages up to a queue offset that had entered before the files were lost. */
export interface Rebuild {
  /** Queue offset below which a message of a delivered slot was delivered. */
  to: number;
  readTimeMs: number;
}

export class TimerEnqueue {
  /** Queue offset of the next message. */
  queueOffset = 0;
  /** Log offsets of messages that are in the wheel already (a store that Apache left); each goes when it was met. */
  entered = new Set<number>();
  rebuild: Rebuild | undefined;
  /** Log offset from which copies lie that {@link queueOffset} does not count yet. */
  movingFrom: number | undefined;
  /** Messages handled, since the start. */
  handled = 0;
  readonly delivery: TimerDelivery;
  /** Records what enters, for whoever exports metrics. */
  figures: BrokerMetrics | undefined = undefined;
  readonly #context: EnqueueContext;
  readonly #reads = new RecordReads(limits.TIMER_BATCH);
  readonly #queueOffsets = new Float64Array(limits.TIMER_BATCH);
  readonly #late = new TimerBatch();
  readonly #view = new RecordView();
  readonly #properties = new TimerProperties();
  readonly #names = new Interner();
  #waiters: { offset: number; resolve: (reached: boolean) => void }[] = [];
  #running: Promise<void> | undefined;
  #stopped = true;

  constructor(context: EnqueueContext) {
    this.#context = context;
    // Those that never entered the wheel were never counted.
    this.delivery = new TimerDelivery(context.store, context.clock, context.log, { add: () => {} });
  }

  start(): void {
    this.#stopped = false;
    this.kick();
  }

  /** Ends after the message under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.delivery.stopped = true;
    this.#answer();
    await this.#running;
  }

  /** There may be something to read. */
  kick(): void {
    if (this.#running !== undefined || this.#halted) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      // Something may have come between the last look and here.
      if (this.#behind()) this.kick();
    });
  }

  get #halted(): boolean {
    return this.#stopped || this.#context.options.timerStopEnqueue;
  }

  #behind(): boolean {
    return this.queueOffset < this.#context.store.maxOffset(TIMER_TOPIC, 0);
  }

  /** Resolves when messages below `offset` are in the wheel; false when it does not go on. */
  reach(offset: number): Promise<boolean> {
    if (this.queueOffset >= offset) return Promise.resolve(true);
    if (this.#halted) return Promise.resolve(false);
    this.kick();
    return new Promise((resolve) => this.#waiters.push({ offset, resolve }));
  }

  #answer(): void {
    if (this.#waiters.length === 0) return;
    const halted = this.#halted;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (this.queueOffset >= waiter.offset) waiter.resolve(true);
      else if (halted) waiter.resolve(false);
      else this.#waiters.push(waiter);
    }
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#context;
    while (!this.#halted && this.#behind()) {
      try {
        await this.#batch();
      } catch (error) {
        log.error({ err: error, offset: this.queueOffset }, "timer messages did not enter the wheel; trying again");
        await sleep(clock, RETRY_MS);
      }
      this.#answer();
      await new Promise<void>((resolve) => clock.endOfTurn(resolve));
    }
    this.#answer();
  }

  async #batch(): Promise<void> {
    const { store } = this.#context;
    this.queueOffset = Math.max(this.queueOffset, store.minOffset(TIMER_TOPIC, 0));
    const units = await store.units(TIMER_TOPIC, 0, this.queueOffset, limits.TIMER_BATCH);
    const reads = this.#reads;
    reads.clear();
    for (const unit of units) {
      if (reads.count > 0 && reads.totalBytes + unit.bytes > limits.TIMER_BATCH_BYTES) break;
      this.#queueOffsets[reads.count] = unit.queueOffset;
      reads.add(unit.logOffset, unit.bytes);
    }
    if (reads.count === 0) {
      // Retention went past it.
      this.queueOffset = store.maxOffset(TIMER_TOPIC, 0);
      return;
    }
    await store.readRecords(reads);
    const late = this.#late;
    late.clear();
    for (let i = 0; i < reads.count; i++) {
      if (this.#halted) return;
      let goes = this.#look(i);
      if (goes !== "late" && late.reads.count > 0) {
        if (!(await this.#deliver(this.#queueOffsets[i]))) return;
        goes = this.#look(i);
      }
      if (goes === "late") {
        late.add(reads.offsets[i], reads.bytes[i], -1, 0, false);
        continue;
      }
      if (goes === "in") this.#enter();
      this.queueOffset = this.#queueOffsets[i] + 1;
      this.handled++;
    }
    // Their units stay in memory until the next flush: in the files behind the checkpoint, they would be believed by an Apache
    // broker that gets the directory after a kill -9, and its checkpoint's queue offset would enter them once more.
    if (late.reads.count > 0) await this.#deliver(this.#queueOffsets[reads.count - 1] + 1);
  }

  /** Delivers what was too late for the wheel; then everything below `queueOffset` is done. */
  async #deliver(queueOffset: number): Promise<boolean> {
    const { store } = this.#context;
    const late = this.#late;
    this.movingFrom ??= store.maxLogOffset();
    try {
      await store.readRecords(late.reads);
      if (!(await this.delivery.move(late, NOTHING_DELETED, false))) return false;
      this.queueOffset = queueOffset;
      this.handled += late.reads.count;
      this.movingFrom = undefined;
      return true;
    } finally {
      late.clear();
    }
  }

  /** Where message `i` goes: into the wheel, at once to its topic because its slot is over, or nowhere (any more). */
  #look(i: number): "in" | "late" | "nowhere" {
    const { clock, log, files } = this.#context;
    const properties = this.#properties;
    if (this.entered.size > 0 && this.entered.delete(this.#reads.offsets[i])) return "nowhere";
    if (!readTimer(this.#reads, i, this.#view, properties)) {
      log.warn({ logOffset: this.#reads.offsets[i] }, "no timer message where its queue says; passed over");
      return "nowhere";
    }
    if (this.#wasDone(i, properties.outMs)) return "nowhere";
    const slot = files.floor(properties.outMs);
    if (slot >= this.#context.readTime()) return "in";
    if (slot + files.precisionMs <= clock.now()) return "late";
    this.#context.goBackTo(slot);
    return "in";
  }

  /** Enters the message looked at last. */
  #enter(): void {
    const { clock, files, metrics, windowSlots } = this.#context;
    const { outMs, deletes, realTopicStart: start, realTopicEnd: end } = this.#properties;
    const view = this.#view;
    const writeTime = files.floor(clock.now());
    const { slotTime, rolls } = placementOf(outMs, writeTime, windowSlots, files.precisionMs);
    const magic = MAGIC_DEFAULT | (rolls ? MAGIC_ROLL : 0) | (deletes ? MAGIC_DELETE : 0);
    const hash = start < 0 ? 0 : javaHashUtf8(0, view.buf, start, end);
    files.add(slotTime, magic, writeTime, view.logOffset, view.totalBytes, hash, deletes);
    if (start < 0) return;
    const topic = this.#names.get(view.buf, start, end);
    metrics.add(topic, deletes ? -1 : 1);
    this.figures?.timerEntered(topic, outMs - view.bornTimestamp);
  }

  /** While the wheel is built again: whether the message was delivered, or rolled, before it was lost. */
  #wasDone(i: number, outMs: number): boolean {
    const { rebuild } = this;
    if (rebuild === undefined) return false;
    if (this.#queueOffsets[i] >= rebuild.to) {
      this.rebuild = undefined;
      return false;
    }
    const { files, windowSlots } = this.#context;
    if (files.floor(outMs) < rebuild.readTimeMs) return true;
    const stored = files.floor(this.#view.storeTimestamp);
    const { slotTime, rolls } = placementOf(outMs, stored, windowSlots, files.precisionMs);
    return rolls && slotTime + ROLLED_FOR_SURE_MS < rebuild.readTimeMs;
  }
}
