/**
 * The files of the timers as one: wheel, log and checkpoint, and how they come back after a stop or a crash (Apache:
 * TimerMessageStore.recover). Knows slots and units; what is in them and when it is due is the broker's.
 *
 * Order of every flush: commit log, timer log, wheel, checkpoint. So the wheel on disk never points to a unit that is not
 * durable, and the checkpoint never counts what is not. A delivered slot stays until a checkpoint has passed it: a recall in
 * it may have to meet its message again. After a crash our own files are taken back to the checkpoint: slots that are ahead of
 * it follow their chain backwards, units behind it are cut and entered again from the queue. A digest of the slots proves the
 * result, for pages are written in place and a power loss may tear one; then the wheel is chained again from the log. So
 * nothing enters twice; by Apache's own rule (believe every whole unit in the last files) some messages do.
 */
import * as path from "node:path";
import type { Clock } from "../../base/clock.ts";
import * as limits from "../../base/limits.ts";
import type { Logger } from "../../base/log.ts";
import { DirNames } from "../dirNames.ts";
import type { Disk } from "../disk.ts";
import { FileCache } from "../fileCache.ts";
import { isOutOfFiles } from "../writeGate.ts";
import { TIMER_CHECKPOINT_ZERO, TimerCheckpoint, type TimerCheckpointState } from "./timerCheckpoint.ts";
import { TimerLog, TimerUnit } from "./timerLog.ts";
import { TimerWheel, WHEEL_SLOTS } from "./timerWheel.ts";

/** Slots that the oldest readable time stays ahead of the oldest slot (Apache: TIMER_BLANK_SLOTS). */
const BLANK_SLOTS = 60;

export interface TimerFilesContext {
  disk: Disk;
  clock: Clock;
  log: Logger;
  /** storePathRootDir */
  root: string;
  timerPrecisionMs: number;
  mappedFileSizeTimerLog: number;
}

/** How the files were found. */
export interface TimerRecovery {
  /**
   * "exact": ours, back at the checkpoint. "apache": Apache's, the log read to its end. "rebuild": wheel, log or checkpoint are
   * lost (or never were); every message still in the queue must be entered again.
   */
  kind: "exact" | "apache" | "rebuild";
  checkpoint: TimerCheckpointState;
  /** Slots before it are delivered, ms. */
  readTimeMs: number;
  /** With "apache": the newest unit, whose message tells how far the queue was read. */
  lastUnit: { logOffset: number; bytes: number } | undefined;
}

export class TimerFiles {
  readonly wheel: TimerWheel;
  readonly log: TimerLog;
  readonly checkpoint: TimerCheckpoint;
  readonly precisionMs: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #root: string;
  readonly #names: DirNames;
  readonly #cache: FileCache;
  /** The timer log is durable below. */
  #synced = 0;
  /** Units before this position were entered again behind it. */
  #logFrom = 0;
  /** Slots that are delivered but lie behind the last checkpoint's read time, and their messages. */
  readonly #done = new Map<number, number>();
  #doneMessages = 0;
  #doneDigest = 0;
  /** A sync failed: bytes may be gone, no later checkpoint may vouch for them. */
  #failed = false;

  constructor(context: TimerFilesContext) {
    const { disk, clock, log, root, timerPrecisionMs } = context;
    this.#clock = clock;
    this.#logger = log;
    this.#root = root;
    this.precisionMs = timerPrecisionMs;
    this.#names = new DirNames(disk);
    this.#cache = new FileCache(disk, limits.TIMER_OPEN_FILES_MAX);
    this.wheel = new TimerWheel(disk, this.#names, path.join(root, "timerwheel"), timerPrecisionMs);
    this.log = new TimerLog(
      disk,
      this.#cache,
      this.#names,
      path.join(root, "timerlog"),
      context.mappedFileSizeTimerLog,
    );
    this.checkpoint = new TimerCheckpoint(disk, path.join(root, "config", "timercheck"));
  }

  /** Position below which the timer log is durable (Apache: lastTimerLogFlushPos). */
  get flushedPosition(): number {
    return this.#synced;
  }

  /** Position from which the units of the timer log count (see TimerCheckpointState). */
  get logFrom(): number {
    return this.#logFrom;
  }

  floor(timeMs: number): number {
    return timeMs - (timeMs % this.precisionMs);
  }

  /** Reads the files and brings them to one state. */
  async open(): Promise<TimerRecovery> {
    const noted = this.checkpoint.read();
    const checkpoint = noted ?? TIMER_CHECKPOINT_ZERO;
    const flushed = Math.max(0, checkpoint.lastTimerLogFlushPos);
    for (const repair of this.log.load((start) => start <= flushed))
      this.#logger.warn({ repair }, "timer log repaired");
    // A wheel has room for so many days back; who was away for longer has lost the slots before, as with Apache.
    const oldest = this.floor(this.#clock.now()) - (WHEEL_SLOTS / 2 - BLANK_SLOTS) * this.precisionMs;
    const readTimeMs = Math.max(this.floor(checkpoint.lastReadTimeMs), oldest);
    const wheel = this.wheel.load(readTimeMs);
    const recovery: TimerRecovery = { kind: "exact", checkpoint, readTimeMs, lastUnit: undefined };
    if (noted === undefined) {
      recovery.kind = "rebuild";
    } else if (checkpoint.ours === undefined) {
      recovery.kind = "apache";
      this.#readToEnd(recovery, flushed, wheel === "loaded");
    } else if (flushed > this.log.segments.endOffset || (flushed > 0 && this.log.first > flushed)) {
      recovery.kind = "rebuild";
    } else {
      this.#logFrom = checkpoint.ours.logFrom;
      const same = checkpoint.ours.precisionMs === this.precisionMs && (wheel === "loaded" || flushed === 0);
      const exact = same && (await this.#rewind(flushed)) && this.wheel.digest === checkpoint.ours.wheelDigest;
      this.log.cutAt(flushed);
      if (!exact && !this.#relink(flushed, readTimeMs)) recovery.kind = "rebuild";
    }
    if (recovery.kind === "rebuild") {
      if (this.log.segments.count > 0 || wheel !== "absent" || noted !== undefined) {
        this.#logger.warn("timer wheel, log or checkpoint are lost: they are built again from rmq_sys_wheel_timer");
      }
      this.wheel.reset();
      this.log.reset();
      this.#logFrom = 0;
    }
    this.#synced = recovery.kind === "exact" ? flushed : 0;
    return recovery;
  }

  /** Takes slots that are ahead of the checkpoint back to it; false when a chain is broken. */
  async #rewind(flushed: number): Promise<boolean> {
    const { wheel, log } = this;
    const ahead: number[] = [];
    for (const time of wheel.times()) if (wheel.find(time) && wheel.lastPosition >= flushed) ahead.push(time);
    const unit = new TimerUnit();
    for (const time of ahead) {
      wheel.find(time);
      const { firstPosition } = wheel;
      let { lastPosition, num } = wheel;
      while (lastPosition >= flushed) {
        if (!(await log.read(lastPosition, unit))) return false;
        num -= unit.deletes ? -1 : 1;
        lastPosition = unit.prevPosition;
      }
      if (lastPosition < 0) wheel.clear(time);
      else wheel.put(time, firstPosition, lastPosition, num);
    }
    return true;
  }

  /**
   * Apache's rule: every whole unit of the files around and behind the checkpoint counts, the log ends at the first bytes
   * that are none (recoverAndRevise). A wheel that is missing, or points behind that end, is chained again from the whole log.
   */
  #readToEnd(recovery: TimerRecovery, flushed: number, wheelLoaded: boolean): void {
    const { wheel, log } = this;
    const { segments } = log;
    if (segments.count === 0) {
      log.cutAt(0);
      if (flushed > 0) recovery.kind = "rebuild";
      else wheel.reset();
      return;
    }
    const begin = Math.max(log.first, flushed - segments.fileBytes);
    const stop = log.scan(begin - (begin % segments.fileBytes), segments.endOffset, (unit) => {
      recovery.lastUnit = { logOffset: unit.logOffset, bytes: unit.bytes };
      if (!wheelLoaded || unit.slotTime < recovery.readTimeMs) return;
      const known = wheel.find(unit.slotTime);
      if (known && wheel.lastPosition >= unit.position) return;
      const first = known ? wheel.firstPosition : unit.position;
      wheel.put(unit.slotTime, first, unit.position, wheel.num + (unit.deletes ? -1 : 1));
    });
    log.cutAt(stop);
    let sound = wheelLoaded;
    for (const time of wheel.times()) if (wheel.find(time) && wheel.lastPosition >= stop) sound = false;
    if (!sound && !this.#relink(stop, recovery.readTimeMs)) recovery.kind = "rebuild";
  }

  /** Enters every unit of the log that is still to come again, at the log's end; false when the log cannot be read. */
  #relink(end: number, readTimeMs: number): boolean {
    const { wheel, log } = this;
    const from = Math.max(log.first, this.#logFrom);
    this.#logger.warn({ from, to: end }, "the timer wheel is chained again from the timer log");
    wheel.reset();
    this.#logFrom = end;
    const stop = log.scan(from, end, (unit) => {
      if (unit.slotTime < readTimeMs) return;
      this.add(unit.slotTime, unit.magic, unit.enqueueTime, unit.logOffset, unit.bytes, unit.topicHash, unit.deletes);
    });
    return stop === end;
  }

  /** Log offsets of messages among the newest units, from `fromLogOffset` on: those need not enter again. */
  enteredSince(fromLogOffset: number): Set<number> {
    const found = new Set<number>();
    const { log } = this;
    const begin = Math.max(log.first, log.written - 2 * log.segments.fileBytes);
    log.scan(begin - (begin % log.segments.fileBytes), log.written, (unit) => {
      if (unit.logOffset >= fromLogOffset) found.add(unit.logOffset);
    });
    return found;
  }

  /** Enters a message into a slot. Throws what the disk throws, with nothing changed. */
  add(
    slotTime: number,
    magic: number,
    enqueueTime: number,
    logOffset: number,
    bytes: number,
    topicHash: number,
    deletes: boolean,
  ): void {
    const { wheel, log } = this;
    const known = wheel.find(slotTime);
    const { firstPosition, lastPosition, num } = wheel;
    const position = log.append(lastPosition, magic, enqueueTime, slotTime - enqueueTime, logOffset, bytes, topicHash);
    wheel.put(slotTime, known ? firstPosition : position, position, num + (deletes ? -1 : 1));
  }

  /** A slot is delivered; it goes when a checkpoint has passed it. */
  finish(slotTime: number): void {
    const num = this.wheel.numAt(slotTime);
    this.#done.set(slotTime, num);
    this.#doneMessages += num;
    this.#doneDigest = (this.#doneDigest + this.wheel.digestAt(slotTime)) >>> 0;
  }

  /** Digest of the slots to come. */
  get digest(): number {
    return (this.wheel.digest - this.#doneDigest) >>> 0;
  }

  #dropDone(slotTimes: Iterable<number>): void {
    for (const slotTime of slotTimes) {
      const num = this.#done.get(slotTime);
      if (num === undefined) continue;
      this.#done.delete(slotTime);
      this.#doneMessages -= num;
      this.#doneDigest = (this.#doneDigest - this.wheel.digestAt(slotTime)) >>> 0;
      this.wheel.drop(slotTime);
    }
  }

  /** The times of `[from, to)` come again, because the clock went back: what was delivered in them must not. */
  comeAgain(from: number, to: number): void {
    this.#dropDone([...this.#done.keys()].filter((slotTime) => slotTime >= from));
    this.wheel.erase(from, to);
  }

  /** Messages in slots to come, recalls counted backwards. */
  get pending(): number {
    return this.wheel.total - this.#doneMessages;
  }

  /** Whether a flush would write more than a checkpoint with another read time. */
  get dirty(): boolean {
    return this.wheel.dirty || this.log.end !== this.#synced;
  }

  /**
   * Makes everything durable up to now, then the checkpoint that says so. One at a time.
   * @param stateOf the checkpoint of this instant, asked before anything is awaited
   * @param messages makes the commit log durable up to now
   * @returns false when it could not be done; the old checkpoint stands
   */
  async flush(
    stateOf: (flushedPosition: number) => TimerCheckpointState,
    messages: () => Promise<void>,
  ): Promise<boolean> {
    if (this.#failed) return false;
    const { wheel, log } = this;
    try {
      log.writeOut();
    } catch (error) {
      this.#notFlushed(error as Error);
      return false;
    }
    const to = log.end;
    const state = stateOf(to);
    const pages = wheel.take();
    const done = [...this.#done.keys()];
    let syncing = false;
    try {
      await messages();
      syncing = true;
      await log.sync(this.#synced, to);
      await this.#names.sync();
      syncing = false;
      await wheel.write(pages, () => new Promise((resolve) => this.#clock.endOfTurn(resolve)));
      await this.#names.sync();
      await this.checkpoint.write(state);
      this.#synced = to;
      this.#dropDone(done);
      return true;
    } catch (error) {
      wheel.back(pages);
      const { code } = error as NodeJS.ErrnoException;
      // The kernel reports a lost write once; a later sync would vouch for bytes that are not there. Without a file to sync,
      // none was tried.
      if (syncing && code !== "ENOSPC" && !isOutOfFiles(error)) this.#failed = true;
      this.#notFlushed(error as Error);
      return false;
    }
  }

  #notFlushed(error: Error): void {
    this.#logger.error({ err: error, dir: this.#root }, "timers not flushed; the last checkpoint stands");
  }

  close(): void {
    this.wheel.close();
    this.#cache.closeAll();
  }
}
