/**
 * Messages that wait for an exact time (Apache: TimerMessageStore): they lie in rmq_sys_wheel_timer, the wheel on disk says
 * which of them are due when. Puts together enqueueing, dequeueing, files and metrics, and keeps their rhythm.
 *
 * The log is the truth; wheel, timer log, checkpoint and metrics are derived from it and can be lost. Every second they
 * are flushed together, as one state: what was moved before is in the log for good, what came after is done again after a
 * crash, and copies that are in the log already are recognized.
 */
import type { Buffer } from "node:buffer";
import type { Clock, Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { BrokerMetrics } from "../../metrics/brokerMetrics.ts";
import type { Disk } from "../../store/disk.ts";
import type { MessageStore } from "../../store/messageStore.ts";
import type { MetadataFile } from "../../store/metadataFile.ts";
import { encodeTimerCheckpoint, type TimerCheckpointState } from "../../store/timer/timerCheckpoint.ts";
import { TimerFiles, type TimerRecovery } from "../../store/timer/timerFiles.ts";
import { WHEEL_SLOTS } from "../../store/timer/timerWheel.ts";
import type { Delayable } from "../delayLevels.ts";
import { TIMER_TOPIC } from "../names.ts";
import { DeliveredBefore } from "./deliveredBefore.ts";
import { TimerDequeue } from "./timerDequeue.ts";
import { TimerEnqueue } from "./timerEnqueue.ts";
import { TimerMetrics } from "./timerMetrics.ts";
import { TimerRate } from "./timerRate.ts";
import { TIMER_BOUNDS_SECONDS, type TimerFigures, type Timers, timerStats } from "./timers.ts";
import { deferTimer, type TimerOptions, type TimerRefusal } from "./timerTransform.ts";

/** The options the timers read, by Apache's keys. */
export interface TimerStoreOptions extends TimerOptions {
  readonly storePathRootDir: string;
  readonly mappedFileSizeCommitLog: number;
  readonly mappedFileSizeTimerLog: number;
  /** Slots of the wheel beyond which a message rolls. */
  readonly timerRollWindowSlot: number;
  readonly timerFlushIntervalMs: number;
  readonly timerCongestNumEachSlot: number;
  readonly timerStopEnqueue: boolean;
  readonly timerStopDequeue: boolean;
  readonly appendTopicForTimerDeleteKey: boolean;
}

export interface TimerContext {
  options: TimerStoreOptions;
  store: MessageStore;
  disk: Disk;
  clock: Clock;
  random: Random;
  log: Logger;
  metricsFile: MetadataFile;
  /** Whether the broker has a topic; the counts of others are dropped. */
  hasTopic(topic: string): boolean;
}

const SLOTS_AHEAD_MAX = WHEEL_SLOTS / 2 - 60;
const CLEAN_LOG_MS = 30_000;
const CLEAN_METRICS_MS = 180_000;
/** A checkpoint in which only the time moved is written this often: it spares a start the walk over empty slots. */
const IDLE_CHECKPOINT_MS = 60_000;
/** How far somebody may have set the clock back between a checkpoint and the copies behind it. */
const CLOCK_SLACK_MS = 60_000;
/** Bytes of the log that are searched for delivered copies when no checkpoint says where to begin. */
const SCAN_BYTES_MAX = 2 ** 30;
/** How far Apache searches for the queue unit of its newest timer log unit. */
const UNIT_SEARCH = 20_000;

export class TimerMessageStore implements Timers {
  readonly #context: TimerContext;
  readonly #files: TimerFiles;
  readonly #metrics: TimerMetrics;
  readonly #enqueue: TimerEnqueue;
  readonly #dequeue: TimerDequeue;
  readonly #enqueueRate: TimerRate;
  readonly #dequeueRate: TimerRate;
  #dataVersion = { stateVersion: 0, timestamp: 0, counter: 0 };
  #lastReadTimeMs = 0;
  #lastQueueOffset = 0;
  /** What the last durable checkpoint says. */
  #durable = { queueOffset: -1, metricsCounter: -1, at: 0 };
  /** Log offset of the first copy that is still to be recognized: a checkpoint before that is through must not forget it. */
  #recognizeFrom: number | undefined;
  /** When everything of before the start is through: then nothing has to be recognized any more. */
  #startedAt = 0;
  #startQueueOffset = 0;
  #timers: Timer[] = [];
  #flushing: Promise<boolean> | undefined;

  constructor(context: TimerContext) {
    this.#context = context;
    const { options, store, disk, clock, log } = context;
    this.#files = new TimerFiles({
      disk,
      clock,
      log,
      root: options.storePathRootDir,
      timerPrecisionMs: options.timerPrecisionMs,
      mappedFileSizeTimerLog: options.mappedFileSizeTimerLog,
    });
    this.#metrics = new TimerMetrics(context.metricsFile, clock, log);
    const windowSlots = options.timerRollWindowSlot;
    this.#enqueue = new TimerEnqueue({
      store,
      clock,
      log,
      files: this.#files,
      metrics: this.#metrics,
      options,
      windowSlots: windowSlots > SLOTS_AHEAD_MAX || windowSlots < 2 ? SLOTS_AHEAD_MAX : windowSlots,
      readTime: () => this.#dequeue.readTime,
      goBackTo: (slotTime) => this.#dequeue.goBackTo(slotTime),
    });
    this.#dequeue = new TimerDequeue(
      { store, clock, log, files: this.#files, metrics: this.#metrics, options },
      this.#enqueue,
    );
    this.#enqueueRate = new TimerRate(clock, () => this.#enqueue.handled);
    this.#dequeueRate = new TimerRate(clock, () => this.#dequeue.delivery.delivered + this.#enqueue.delivery.delivered);
    store.onArrival((topic) => {
      if (topic === TIMER_TOPIC) this.#enqueue.kick();
    });
  }

  // ---- life ----

  /** Reads the files; the store must be open. */
  async load(): Promise<void> {
    const { store, clock, log } = this.#context;
    const recovery = await this.#files.open();
    const { checkpoint } = recovery;
    const min = store.minOffset(TIMER_TOPIC, 0);
    const max = store.maxOffset(TIMER_TOPIC, 0);
    const offset = await this.#queueOffsetOf(recovery, min);
    this.#enqueue.queueOffset = Math.min(Math.max(offset, min), max);
    if (offset > max) log.warn({ offset, max }, "the timer queue is shorter than the checkpoint says; corrected");
    this.#dequeue.readTime = max === 0 ? this.#files.floor(clock.now()) : recovery.readTimeMs;
    this.#metrics.load(checkpoint.ours?.metricsCounter);
    const scanFrom =
      checkpoint.ours?.scanFrom ?? (recovery.kind !== "exact" && max > 0 ? this.#recentLog() : undefined);
    if (scanFrom !== undefined) {
      const before = new DeliveredBefore();
      // Slots before the read time of Apache's checkpoint are not read again.
      const since = recovery.kind === "apache" ? checkpoint.lastReadTimeMs - CLOCK_SLACK_MS : 0;
      await before.read(store, scanFrom, since);
      if (before.size > 0) {
        this.#recognize(before);
        this.#recognizeFrom = before.first;
      }
    }
    this.#dataVersion = { ...checkpoint.dataVersion };
    this.#startedAt = clock.now();
    this.#startQueueOffset = max;
    if (max > 0) {
      log.info(
        {
          recovery: recovery.kind,
          readTimeMs: this.#dequeue.readTime,
          queueOffset: this.#enqueue.queueOffset,
          pending: this.#files.pending,
        },
        "timers recovered",
      );
    }
  }

  /** Where a whole file of the log begins, not more than {@link SCAN_BYTES_MAX} before its end. */
  #recentLog(): number {
    const { store, options } = this.#context;
    const from = store.maxLogOffset() - SCAN_BYTES_MAX;
    const fileBytes = options.mappedFileSizeCommitLog;
    return Math.max(store.minLogOffset(), Math.ceil(from / fileBytes) * fileBytes);
  }

  async #queueOffsetOf(recovery: TimerRecovery, min: number): Promise<number> {
    const { checkpoint } = recovery;
    if (recovery.kind === "rebuild") {
      this.#enqueue.rebuild = { to: checkpoint.lastTimerQueueOffset, readTimeMs: recovery.readTimeMs };
      return min;
    }
    if (recovery.kind === "exact") return checkpoint.lastTimerQueueOffset;
    // Apache's rule: behind the message of the newest unit, but no further than the last checkpoint counted. What lies
    // between the two is in the wheel already, unless it was to be delivered at once.
    const last = recovery.lastUnit === undefined ? -1 : await this.#queueOffsetAt(recovery.lastUnit.logOffset);
    if (last < 0) return Math.min(checkpoint.lastTimerQueueOffset, checkpoint.masterTimerQueueOffset);
    const from = Math.min(last + 1, checkpoint.masterTimerQueueOffset);
    const [unit] = await this.#context.store.units(TIMER_TOPIC, 0, from, 1);
    if (unit !== undefined && from <= last) this.#enqueue.entered = this.#files.enteredSince(unit.logOffset);
    return from;
  }

  /** Where the message at a log offset stands in the timer queue; -1 when it does not. */
  async #queueOffsetAt(logOffset: number): Promise<number> {
    const { store } = this.#context;
    const message = await store.messageAt(logOffset);
    if (message === undefined || message.topic !== TIMER_TOPIC) return -1;
    const stop = Math.max(0, message.queueOffset - UNIT_SEARCH);
    for (let at = message.queueOffset; at >= stop; at--) {
      const [unit] = await store.units(TIMER_TOPIC, 0, at, 1);
      if (unit?.queueOffset === at && unit.logOffset === logOffset) return at;
    }
    return message.queueOffset;
  }

  #recognize(before: DeliveredBefore | undefined): void {
    this.#enqueue.delivery.before = before;
    this.#dequeue.delivery.before = before;
  }

  /** Begins to enter and to deliver. */
  start(): void {
    const { clock, options } = this.#context;
    this.#enqueue.start();
    this.#dequeue.start();
    this.#timers = [
      clock.every(options.timerFlushIntervalMs, () => this.#tick()),
      clock.every(CLEAN_LOG_MS, () => void this.#cleanLog()),
      clock.every(CLEAN_METRICS_MS, () => this.#metrics.clean((topic) => this.#context.hasTopic(topic))),
    ];
  }

  /** Ends after the messages under way, with everything on disk. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) this.#context.clock.clear(timer);
    this.#timers = [];
    await Promise.all([this.#enqueue.stop(), this.#dequeue.stop()]);
    await this.#flushing;
    await this.flush();
    this.#files.close();
  }

  /** Lets go of the files as they are: of a broker that did not come up. */
  abandon(): void {
    this.#files.close();
  }

  // ---- rhythm ----

  #tick(): void {
    this.#enqueueRate.look();
    this.#dequeueRate.look();
    // timerStopEnqueue may have been taken back.
    this.#enqueue.kick();
    this.#forgetBefore();
    this.#versionUp();
    if (this.#flushing === undefined && this.#needsFlush()) void this.flush();
  }

  #forgetBefore(): void {
    if (this.#dequeue.delivery.before === undefined) return;
    const through =
      this.#dequeue.readTime >= this.#files.floor(this.#startedAt) &&
      this.#enqueue.queueOffset >= this.#startQueueOffset;
    if (!through) return;
    this.#recognize(undefined);
    this.#recognizeFrom = undefined;
  }

  #versionUp(): void {
    const { readTime } = this.#dequeue;
    const { queueOffset } = this.#enqueue;
    if (readTime === this.#lastReadTimeMs && queueOffset === this.#lastQueueOffset) return;
    this.#lastReadTimeMs = readTime;
    this.#lastQueueOffset = queueOffset;
    this.#dataVersion.counter++;
    this.#dataVersion.timestamp = this.#context.clock.now();
  }

  #needsFlush(): boolean {
    const durable = this.#durable;
    if (this.#files.dirty || this.#enqueue.queueOffset !== durable.queueOffset) return this.#everUsed();
    if (this.#metrics.counter !== durable.metricsCounter) return true;
    return this.#everUsed() && this.#context.clock.monotonicMs() - durable.at >= IDLE_CHECKPOINT_MS;
  }

  #everUsed(): boolean {
    return this.#context.store.maxOffset(TIMER_TOPIC, 0) > 0;
  }

  /** Makes the state of this instant durable; false when it could not be, and the last one stands. */
  flush(): Promise<boolean> {
    this.#flushing ??= this.#flushNow().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #flushNow(): Promise<boolean> {
    const { store, clock } = this.#context;
    const { queueOffset } = this.#enqueue;
    const { counter } = this.#metrics;
    const at = clock.monotonicMs();
    let metrics = "";
    const done = await this.#files.flush(
      (flushedPosition) => {
        metrics = this.#metrics.encode();
        return this.#state(flushedPosition);
      },
      async () => {
        await store.sync();
        // Before the checkpoint: its counter then finds either this file or the backup.
        await this.#metrics.persist(metrics, counter);
      },
    );
    if (done) this.#durable = { queueOffset, metricsCounter: counter, at };
    return done;
  }

  #state(flushedPosition: number): TimerCheckpointState {
    const { queueOffset } = this.#enqueue;
    const moving = [
      this.#recognizeFrom,
      this.#enqueue.movingFrom,
      this.#dequeue.movingFrom,
      this.#context.store.maxLogOffset(),
    ];
    return {
      lastReadTimeMs: this.#dequeue.readTime,
      lastTimerLogFlushPos: flushedPosition,
      lastTimerQueueOffset: queueOffset,
      masterTimerQueueOffset: queueOffset,
      dataVersion: { ...this.#dataVersion },
      ours: {
        precisionMs: this.#files.precisionMs,
        scanFrom: Math.min(...moving.filter((offset) => offset !== undefined)),
        metricsCounter: this.#metrics.counter,
        wheelDigest: this.#files.digest,
        logFrom: this.#files.logFrom,
      },
    };
  }

  async #cleanLog(): Promise<void> {
    const { store, log } = this.#context;
    try {
      const removed = await this.#files.log.removeExpired(store.minLogOffset());
      if (removed > 0) log.info({ removed }, "timer log files removed");
    } catch (error) {
      log.error({ err: error }, "expired timer log files not removed");
    }
  }

  // ---- what others see ----

  defer(message: Delayable): TimerRefusal | undefined {
    const { options, clock } = this.#context;
    return deferTimer(message, options, clock.now(), (outMs) => this.#reject(outMs));
  }

  /** Apache's isReject: none up to the limit, all from twice the limit on, some in between. */
  #reject(outMs: number): string | undefined {
    const limit = this.#context.options.timerCongestNumEachSlot;
    const num = this.#files.wheel.numAt(outMs);
    if (num <= limit) return undefined;
    const some = num < limit * 2 && this.#context.random.int(1000) <= (1000 * (num - limit)) / (limit + 0.1);
    return some ? undefined : `${num} messages wait for the slot of ${outMs} (timerCongestNumEachSlot ${limit})`;
  }

  checkpoint(): Buffer {
    return encodeTimerCheckpoint(this.#state(this.#files.flushedPosition));
  }

  metrics(): string {
    return this.#metrics.encode();
  }

  runningStats(): Map<string, string> {
    const behindMs = this.#context.clock.now() - this.#dequeue.readTime;
    return timerStats(
      Math.trunc(behindMs / 1000),
      this.#context.store.maxOffset(TIMER_TOPIC, 0) - this.#enqueue.queueOffset,
      this.#files.pending,
      this.#enqueueRate.text(),
      this.#dequeueRate.text(),
    );
  }

  forget(topic: string): void {
    this.#metrics.remove(topic);
  }

  /** Records what enters and leaves the wheel from now on. */
  record(metrics: BrokerMetrics): void {
    this.#enqueue.figures = metrics;
    this.#enqueue.delivery.figures = metrics;
    this.#dequeue.delivery.figures = metrics;
  }

  figures(): TimerFigures {
    const { store, clock } = this.#context;
    const { wheel, precisionMs } = this.#files;
    const now = this.#files.floor(clock.now());
    const due: [number, number][] = [];
    let slot = 0;
    for (const bound of TIMER_BOUNDS_SECONDS) {
      const end = Math.trunc((bound * 1000) / precisionMs);
      let messages = 0;
      for (; slot < end; slot++) messages += wheel.numAt(now + slot * precisionMs);
      due.push([bound, messages]);
    }
    return {
      enqueueLag: store.maxOffset(TIMER_TOPIC, 0) - this.#enqueue.queueOffset,
      dequeueLag: this.#files.pending,
      dequeueLatencyMs: Math.max(0, clock.now() - this.#dequeue.readTime),
      waiting: this.#metrics.counts(),
      due,
    };
  }

  /** Messages in the wheel, recalls counted backwards. */
  get pending(): number {
    return this.#files.pending;
  }
}
