/**
 * Deleting old files and watching the disk (Apache: CleanCommitLogService, CleanConsumeQueueService). Looks every
 * cleanResourceInterval: expired files go at `deleteWhen` o'clock; from diskMaxUsedSpaceRatio on at any hour; from
 * diskSpaceCleanForciblyRatio on the oldest file goes even if it is not expired; from diskSpaceWarningLevelRatio on writes
 * are refused until the disk is below again. The options are read at each look, so that a change acts at once.
 */
import { type Clock, localHour } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { CommitLog } from "./commitLog.ts";
import type { Disk } from "./disk.ts";
import type { StoreOptions } from "./options.ts";
import type { WriteGate } from "./writeGate.ts";

const HOUR_MS = 3_600_000;

/** Apache keeps each ratio within bounds of its own (MessageStoreConfig, DefaultMessageStore.CleanCommitLogService). */
const MAX_USED = { least: 10, most: 95 };
const CLEAN_FORCIBLY = { least: 30, most: 85 };
const WARNING_LEVEL = { least: 35, most: 90 };

function within(percent: number, bounds: { least: number; most: number }): number {
  return Math.min(bounds.most, Math.max(bounds.least, percent));
}

export interface RetentionHooks {
  /** Files that reach beyond this log offset must stay: derived files do not hold their messages' offsets for sure. */
  removableTo(): number;
  /** The log now begins at this offset. */
  trimmed(logStart: number): void;
}

export class Retention {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #log: CommitLog;
  readonly #gate: WriteGate;
  readonly #options: StoreOptions;
  readonly #hooks: RetentionHooks;

  constructor(
    disk: Disk,
    clock: Clock,
    logger: Logger,
    log: CommitLog,
    gate: WriteGate,
    options: StoreOptions,
    hooks: RetentionHooks,
  ) {
    this.#disk = disk;
    this.#clock = clock;
    this.#logger = logger;
    this.#log = log;
    this.#gate = gate;
    this.#options = options;
    this.#hooks = hooks;
  }

  /** Used share of the log's file system, percent. */
  usedPercent(): number {
    const { totalBytes, availableBytes } = this.#disk.space(this.#log.segments.dir);
    return totalBytes === 0 ? 0 : (100 * (totalBytes - availableBytes)) / totalBytes;
  }

  /** One look. `manual` deletes expired files at any hour. Returns the number of files removed. */
  look(manual = false): number {
    const used = this.usedPercent();
    const forced = used >= this.#forcedPercent && this.#options.cleanFileForciblyEnable;
    const short = used >= within(this.#options.diskMaxUsedSpaceRatio, MAX_USED);
    let removed = 0;
    if (manual || forced || short || this.#isTime()) removed = this.#remove(forced);
    this.#watermark(removed > 0 ? this.usedPercent() : used);
    return removed;
  }

  get #forcedPercent(): number {
    return within(this.#options.diskSpaceCleanForciblyRatio, CLEAN_FORCIBLY);
  }

  #isTime(): boolean {
    const hour = localHour(this.#clock.now());
    return this.#options.deleteWhen.split(";").some((when) => Number(when) === hour);
  }

  #remove(forced: boolean): number {
    let removed = 0;
    const { segments } = this.#log;
    const removableTo = this.#hooks.removableTo();
    while (removed < this.#options.deleteFileBatchMax && segments.count > 1) {
      if (segments.firstOffset + segments.fileBytes > removableTo) break;
      const file = segments.fileOf(segments.firstOffset);
      const ageMs = this.#clock.now() - this.#disk.modifiedMs(file);
      if (!forced && ageMs < this.#options.fileReservedTime * HOUR_MS) break;
      this.#log.removeFirstFile();
      this.#logger.info({ file, forced, ageHours: Math.round(ageMs / HOUR_MS) }, "commit log file removed");
      removed++;
      if (forced && this.usedPercent() < this.#forcedPercent) break;
    }
    if (removed > 0) this.#hooks.trimmed(this.#log.first);
    return removed;
  }

  #watermark(used: number): void {
    const refused = within(this.#options.diskSpaceWarningLevelRatio, WARNING_LEVEL);
    if (used >= refused) {
      this.#gate.watermark(
        `the disk of ${this.#log.segments.dir} is ${used.toFixed(1)} % full, writes stop at ${refused} % ` +
          "(diskSpaceWarningLevelRatio) and resume below; shorten fileReservedTime or free space",
      );
    } else {
      this.#gate.watermark(undefined);
    }
  }
}
