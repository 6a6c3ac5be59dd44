/**
 * Walks the slots whose time is over, one after the other, and has their messages delivered (Apache: TimerDequeueGetService).
 * A slot is over when the clock is behind its last millisecond, so nothing is early. It is read in slices: its chain runs
 * from the newest message to the oldest, so one walk marks where sections begin (and collects the recalls), then each section is
 * read again and delivered, the oldest first. A slot of a million messages takes no more memory than one section.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import * as limits from "../../base/limits.ts";
import type { Logger } from "../../base/log.ts";
import { RecordView } from "../../message/record.ts";
import type { MessageStore } from "../../store/messageStore.ts";
import { RecordReads } from "../../store/recordReads.ts";
import type { TimerFiles } from "../../store/timer/timerFiles.ts";
import { TimerUnit } from "../../store/timer/timerLog.ts";
import { TIMER_TOPIC } from "../names.ts";
import { DeliveredBefore } from "./deliveredBefore.ts";
import { readTimer, TimerBatch, TimerDelivery } from "./timerDelivery.ts";
import type { TimerEnqueue } from "./timerEnqueue.ts";
import { PendingMetrics, type TimerMetrics } from "./timerMetrics.ts";
import { TimerProperties } from "./timerProperties.ts";

/** Empty slots, or units, passed per turn. */
const STEPS_PER_TURN = 4096;
const RETRY_MS = 1000;

export interface DequeueContext {
  store: MessageStore;
  clock: Clock;
  log: Logger;
  files: TimerFiles;
  metrics: TimerMetrics;
  options: { readonly timerStopDequeue: boolean; readonly appendTopicForTimerDeleteKey: boolean };
}

export class TimerDequeue {
  /** Slots before it are delivered, ms. */
  readTime = 0;
  /** Log offset from which copies lie of a slot that is not done; stays when it is left half done. */
  movingFrom: number | undefined;
  readonly delivery: TimerDelivery;
  readonly #context: DequeueContext;
  readonly #enqueue: TimerEnqueue;
  readonly #pending = new PendingMetrics();
  readonly #batch = new TimerBatch();
  readonly #reads = new RecordReads(limits.TIMER_BATCH);
  readonly #view = new RecordView();
  readonly #properties = new TimerProperties();
  readonly #unit = new TimerUnit();
  // Units of one section, the newest first.
  readonly #offsets = new Float64Array(limits.TIMER_SECTION_UNITS);
  readonly #bytes = new Int32Array(limits.TIMER_SECTION_UNITS);
  readonly #enqueueTimes = new Float64Array(limits.TIMER_SECTION_UNITS);
  readonly #slotTimes = new Float64Array(limits.TIMER_SECTION_UNITS);
  readonly #rolls = new Uint8Array(limits.TIMER_SECTION_UNITS);
  #wake: Timer | undefined;
  #running: Promise<void> | undefined;
  #stopped = true;

  constructor(context: DequeueContext, enqueue: TimerEnqueue) {
    this.#context = context;
    this.#enqueue = enqueue;
    this.delivery = new TimerDelivery(context.store, context.clock, context.log, this.#pending);
  }

  start(): void {
    this.#stopped = false;
    this.#arm();
  }

  /** Ends after the batch under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.delivery.stopped = true;
    this.#context.clock.clear(this.#wake);
    await this.#running;
  }

  /** The clock went back: slots from this time on will be read again. They are empty, but for what comes now. */
  goBackTo(slotTime: number): void {
    if (slotTime < this.readTime) this.#context.files.comeAgain(slotTime, this.readTime);
    this.readTime = Math.min(this.readTime, slotTime);
    if (this.#running === undefined) this.#arm();
  }

  get #halted(): boolean {
    return this.#stopped || this.#context.options.timerStopDequeue;
  }

  #arm(): void {
    const { clock, files } = this.#context;
    clock.clear(this.#wake);
    if (this.#stopped) return;
    // Never longer than a slot: the clock may jump.
    const delay = Math.min(Math.max(0, this.readTime + files.precisionMs - clock.now()), files.precisionMs);
    this.#wake = clock.after(delay, () => this.#look());
  }

  #look(): void {
    if (this.#running !== undefined || this.#stopped) return;
    this.#running = this.#run()
      .catch(async (error: unknown) => {
        this.#context.log.error({ err: error, slot: this.readTime }, "due timers not delivered; trying again");
        await new Promise<void>((resolve) => this.#context.clock.after(RETRY_MS, resolve));
      })
      .then(() => {
        this.#running = undefined;
        this.#arm();
      });
  }

  async #run(): Promise<void> {
    const { store, clock, files } = this.#context;
    while (!this.#halted) {
      const end = files.floor(clock.now());
      if (this.readTime >= end) return;
      // Whatever was stored before its slot was over, and every recall of it, enters the wheel before the slot is read.
      if (!(await this.#enqueue.reach(store.maxOffset(TIMER_TOPIC, 0))) && this.#stopped) return;
      const { rolled } = this.delivery;
      for (let steps = 1; this.readTime < end && !this.#halted; steps++) {
        const slot = this.readTime;
        if (!files.wheel.find(slot)) this.readTime = slot + files.precisionMs;
        else if (!(await this.#slot(slot))) return;
        // What rolled may be due in the very next slot, when the broker was away for long.
        if (this.delivery.rolled !== rolled) break;
        if (steps % STEPS_PER_TURN === 0) await this.#pause();
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#context.clock.endOfTurn(resolve));
  }

  /** Delivers a slot whole, also what enters it meanwhile; false when it was stopped before its end. */
  async #slot(slot: number): Promise<boolean> {
    const { files, store, metrics } = this.#context;
    const deleted = new Set<string>();
    const from = this.movingFrom ?? store.maxLogOffset();
    this.movingFrom = from;
    try {
      for (let done = -1; files.wheel.find(slot) && files.wheel.lastPosition !== done; ) {
        const last = files.wheel.lastPosition;
        if (!(await this.#chain(last, done, deleted))) return false;
        done = last;
      }
      // In one step: no checkpoint sees the slot passed and not counted, or the reverse.
      this.#pending.moveTo(metrics);
      if (this.readTime === slot) {
        files.finish(slot);
        this.readTime = slot + files.precisionMs;
      } else {
        // The clock went back meanwhile: its time comes again.
        files.wheel.clear(slot);
      }
      this.movingFrom = undefined;
      return true;
    } catch (error) {
      // The slot is read again from its beginning; what of it is in the log already must not come twice.
      this.delivery.before ??= new DeliveredBefore();
      await this.delivery.before.read(store, from);
      throw error;
    } finally {
      this.#pending.clear();
    }
  }

  /** Delivers the units from `last` back to, but without, `stop`. */
  async #chain(last: number, stop: number, deleted: Set<string>): Promise<boolean> {
    const marks = await this.#survey(last, stop, deleted);
    for (let section = marks.length - 1; section >= 0; section--) {
      const count = await this.#section(marks[section], marks[section + 1] ?? stop);
      if (!(await this.#deliver(count, deleted))) return false;
    }
    return !this.#stopped;
  }

  /** Walks the whole chain once: where each section begins, and the keys of recalled messages. */
  async #survey(last: number, stop: number, deleted: Set<string>): Promise<number[]> {
    const marks: number[] = [];
    const unit = this.#unit;
    const reads = this.#reads;
    reads.clear();
    let count = 0;
    for (let position = last; position > stop; count++) {
      const found = this.#read(position);
      if (!(found === true || (found !== false && (await found)))) break;
      if (count % limits.TIMER_SECTION_UNITS === 0) marks.push(position);
      position = unit.prevPosition;
      if (unit.deletes && !unit.rolls) {
        reads.add(unit.logOffset, unit.bytes);
        if (reads.full) await this.#recalls(deleted);
      }
      if (count % STEPS_PER_TURN === STEPS_PER_TURN - 1) await this.#pause();
    }
    await this.#recalls(deleted);
    return marks;
  }

  /** Reads a unit, without waiting where it is in memory. */
  #read(position: number): boolean | Promise<boolean> {
    const { log } = this.#context.files;
    const found = log.peek(position, this.#unit);
    if (found === false) return log.read(position, this.#unit);
    // Units of removed files belong to messages that retention has removed.
    if (found === "gone" && position >= log.first)
      this.#context.log.error({ position }, "a slot's chain is broken here");
    return found === "unit";
  }

  async #recalls(deleted: Set<string>): Promise<void> {
    const { store } = this.#context;
    const reads = this.#reads;
    if (reads.count === 0) return;
    await store.readRecords(reads);
    const properties = this.#properties;
    for (let i = 0; i < reads.count; i++) {
      if (!readTimer(reads, i, this.#view, properties) || properties.deleteKey === undefined) continue;
      deleted.add(properties.deleteKey);
      // It had counted the message that it recalls out; that one does so itself when it is found.
      if (properties.realTopic !== undefined) this.#pending.add(properties.realTopic, 1);
    }
    reads.clear();
  }

  /** Notes the units of one section, without recalls; returns how many. */
  async #section(mark: number, stop: number): Promise<number> {
    const unit = this.#unit;
    let count = 0;
    let seen = 0;
    for (let position = mark; position > stop && seen < limits.TIMER_SECTION_UNITS; seen++) {
      const found = this.#read(position);
      if (!(found === true || (found !== false && (await found)))) break;
      position = unit.prevPosition;
      if (unit.deletes && !unit.rolls) continue;
      this.#offsets[count] = unit.logOffset;
      this.#bytes[count] = unit.bytes;
      this.#enqueueTimes[count] = unit.enqueueTime;
      this.#slotTimes[count] = unit.slotTime;
      this.#rolls[count] = unit.rolls ? 1 : 0;
      count++;
    }
    return count;
  }

  async #deliver(count: number, deleted: ReadonlySet<string>): Promise<boolean> {
    const { store, options } = this.#context;
    const batch = this.#batch;
    for (let i = count - 1; i >= 0; ) {
      if (this.#stopped) return false;
      batch.clear();
      for (; i >= 0 && !batch.full; i--) {
        batch.add(this.#offsets[i], this.#bytes[i], this.#slotTimes[i], this.#enqueueTimes[i], this.#rolls[i] !== 0);
      }
      await store.readRecords(batch.reads);
      if (!(await this.delivery.move(batch, deleted, options.appendTopicForTimerDeleteKey))) return false;
    }
    return true;
  }
}
