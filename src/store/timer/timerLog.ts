/**
 * The timer log: one unit per timer message that entered the wheel, appended only; the units of one slot are chained
 * backwards (Apache: TimerLog, directory `timerlog`).
 *
 *    0  size         i32   52
 *    4  prevPos      i64   unit before this one in the same slot, -1 for the first
 *   12  magic        i32   1 always | 2 roll: back into the timer topic when due | 4 delete: marks another message
 *   16  enqueueTime  i64   when it entered, ms, cut to timerPrecisionMs
 *   24  delayMs      i32   slot time - enqueueTime; below 0 when its time was over already
 *   28  logOffset    i64   the message in the commit log
 *   36  bytes        i32   of the message
 *   40  topicHash    i32   Java's hash of the real topic
 *   44  reserved     i64   0
 *
 * A file ends with a blank (size = all that remains, prevPos 0, BLANK_MAGIC) where no unit and blank fit any more.
 * Positions are log-wide like the commit log's. What is appended is in memory until {@link TimerLog.writeOut}.
 */
import { Buffer } from "node:buffer";
import { readInt64OrMinus1, writeInt32, writeInt64 } from "../../base/int64.ts";
import * as limits from "../../base/limits.ts";
import { BlockCache } from "../blockCache.ts";
import type { DirNames } from "../dirNames.ts";
import type { Disk } from "../disk.ts";
import type { FileCache } from "../fileCache.ts";
import { Segments } from "../segments.ts";

export const TIMER_UNIT_BYTES = 52;
const BLANK_BYTES = 16;
const BLANK_MAGIC = 0xcbd43194 | 0;

export const MAGIC_DEFAULT = 1;
export const MAGIC_ROLL = 2;
export const MAGIC_DELETE = 4;

const SOURCE = "timerlog";

/** One unit as read; reused by its reader. */
export class TimerUnit {
  position = -1;
  prevPosition = -1;
  magic = 0;
  enqueueTime = 0;
  /** The slot's time, ms. */
  slotTime = 0;
  logOffset = 0;
  bytes = 0;
  topicHash = 0;

  get rolls(): boolean {
    return (this.magic & MAGIC_ROLL) !== 0;
  }

  get deletes(): boolean {
    return (this.magic & MAGIC_DELETE) !== 0;
  }

  /** Takes the unit at `buf[at]`; "blank" at a file's end, "none" for bytes that no writer makes. */
  read(buf: Buffer, at: number, position: number): "unit" | "blank" | "none" {
    const size = buf.readInt32BE(at);
    const magic = buf.readInt32BE(at + 12);
    if (magic === BLANK_MAGIC) return "blank";
    // What Apache believes: any of the low four bits.
    if (size !== TIMER_UNIT_BYTES || (magic | 0xf) !== 0xf || magic === 0) return "none";
    this.position = position;
    this.prevPosition = readInt64OrMinus1(buf, at + 4);
    this.magic = magic;
    this.enqueueTime = readInt64OrMinus1(buf, at + 16);
    this.slotTime = this.enqueueTime + buf.readInt32BE(at + 24);
    this.logOffset = readInt64OrMinus1(buf, at + 28);
    this.bytes = buf.readInt32BE(at + 36);
    this.topicHash = buf.readInt32BE(at + 40);
    const sound = this.prevPosition < position && this.enqueueTime >= 0 && this.logOffset >= 0 && this.bytes > 0;
    return sound ? "unit" : "none";
  }
}

export class TimerLog {
  readonly segments: Segments;
  readonly #blocks: BlockCache;
  readonly #tail: Buffer;
  /** Position of the tail's first byte; everything from there on is in memory. */
  #tailBase = 0;
  /** Position behind the last byte that is in the files. */
  written = 0;
  /** Position of the next unit. */
  end = 0;

  constructor(disk: Disk, cache: FileCache, names: DirNames, dir: string, fileBytes: number) {
    this.segments = new Segments(disk, cache, names, dir, fileBytes);
    this.#blocks = new BlockCache(limits.TIMER_BLOCK_BYTES, limits.TIMER_BLOCKS_MAX);
    this.#tail = Buffer.alloc(limits.TIMER_TAIL_BYTES);
  }

  /**
   * Lists the files; the log ends where {@link cutAt} puts it. Of files with holes between them those count that
   * `believed` accepts by their first position. Returns what was repaired.
   */
  load(believed: (start: number) => boolean): string[] {
    const repairs = this.segments.load(believed);
    this.#endAt(this.segments.endOffset);
    return repairs;
  }

  #endAt(position: number): void {
    this.#blocks.drop(SOURCE);
    this.#tailBase = position;
    this.written = position;
    this.end = position;
  }

  /** Position of the first unit that is kept. */
  get first(): number {
    return this.segments.firstOffset;
  }

  /** Forgets every unit from `position` on. */
  cutAt(position: number): void {
    this.segments.cutAt(position);
    this.#endAt(position);
  }

  /** Forgets everything. */
  reset(): void {
    this.segments.destroy();
    this.#endAt(0);
  }

  /** Appends a unit in memory; returns its position. May write to the files; then throws what the disk throws, with nothing lost. */
  append(
    prevPosition: number,
    magic: number,
    enqueueTime: number,
    delayMs: number,
    logOffset: number,
    bytes: number,
    topicHash: number,
  ): number {
    const left = this.segments.fileBytes - (this.end % this.segments.fileBytes);
    if (left < TIMER_UNIT_BYTES + BLANK_BYTES) this.#blank(left);
    const at = this.#reserve(TIMER_UNIT_BYTES);
    const buf = this.#tail;
    writeInt32(buf, TIMER_UNIT_BYTES, at);
    writeInt64(buf, prevPosition, at + 4);
    writeInt32(buf, magic, at + 12);
    writeInt64(buf, enqueueTime, at + 16);
    writeInt32(buf, delayMs, at + 24);
    writeInt64(buf, logOffset, at + 28);
    writeInt32(buf, bytes, at + 36);
    writeInt32(buf, topicHash, at + 40);
    writeInt64(buf, 0, at + 44);
    const position = this.end;
    this.end += TIMER_UNIT_BYTES;
    return position;
  }

  /** Ends the file: the bytes behind the blank's head stay the zeros they are. */
  #blank(left: number): void {
    if (left >= BLANK_BYTES) {
      const at = this.#reserve(BLANK_BYTES);
      writeInt32(this.#tail, left, at);
      writeInt64(this.#tail, 0, at + 4);
      writeInt32(this.#tail, BLANK_MAGIC, at + 12);
      this.end += BLANK_BYTES;
    }
    this.writeOut();
    this.#tailBase = this.end + left - (left >= BLANK_BYTES ? BLANK_BYTES : 0);
    this.end = this.#tailBase;
    this.written = this.#tailBase;
  }

  #reserve(bytes: number): number {
    if (this.end - this.#tailBase + bytes > this.#tail.length) {
      this.writeOut();
      this.#tailBase = this.end;
    }
    return this.end - this.#tailBase;
  }

  /** Writes what is in memory only, in one call. On a throw it stays in memory. */
  writeOut(): void {
    if (this.written === this.end) return;
    this.segments.write(this.#tail, this.written - this.#tailBase, this.end - this.#tailBase, this.written);
    this.written = this.end;
  }

  /** Resolves when all units below `to` that were written are durable (their files' names apart). */
  sync(from: number, to: number): Promise<void> {
    return this.segments.sync(from, to);
  }

  /** Reads the unit at `position` from memory: false when it must be {@link load1}ed, "gone" when there is none. */
  peek(position: number, into: TimerUnit): "unit" | "gone" | false {
    if (position < this.first || position + TIMER_UNIT_BYTES > this.end) return "gone";
    if (position >= this.#tailBase) {
      return into.read(this.#tail, position - this.#tailBase, position) === "unit" ? "unit" : "gone";
    }
    const size = this.#blocks.blockBytes;
    const index = Math.floor(position / size);
    const at = position - index * size;
    const block = this.#blocks.peek(SOURCE, index, Math.min(size, at + TIMER_UNIT_BYTES));
    if (block === undefined) return false;
    if (at + TIMER_UNIT_BYTES <= size) return into.read(block, at, position) === "unit" ? "unit" : "gone";
    // The unit lies over the border of two blocks.
    const rest = at + TIMER_UNIT_BYTES - size;
    block.copy(SPLIT, 0, at, size);
    const next = this.#blocks.peek(SOURCE, index + 1, rest);
    if (next === undefined) return false;
    next.copy(SPLIT, TIMER_UNIT_BYTES - rest, 0, rest);
    return into.read(SPLIT, 0, position) === "unit" ? "unit" : "gone";
  }

  /** Brings the unit at `position` into memory without blocking. */
  async load1(position: number): Promise<void> {
    const size = this.#blocks.blockBytes;
    const index = Math.floor(position / size);
    const last = Math.floor((position + TIMER_UNIT_BYTES - 1) / size);
    await this.#blocks.load(SOURCE, index, this.segments, this.written);
    if (last !== index) await this.#blocks.load(SOURCE, last, this.segments, this.written);
  }

  /** Reads the unit at `position`; false when there is none. */
  async read(position: number, into: TimerUnit): Promise<boolean> {
    // A block just read can be pushed out before it is used; a few rounds always do.
    for (let round = 0; round < 8; round++) {
      const found = this.peek(position, into);
      if (found !== false) return found === "unit";
      await this.load1(position);
    }
    return false;
  }

  /**
   * Shows the units of `[from, to)` in order, which must be in the files. `from` must be a unit's or a file's position.
   * @returns where the first bytes stand that are no unit, or `to`
   */
  scan(from: number, to: number, show: (unit: TimerUnit) => void): number {
    const unit = new TimerUnit();
    const { fileBytes } = this.segments;
    const window = Buffer.allocUnsafe(TIMER_UNIT_BYTES * 5000);
    let at = from;
    while (at < to) {
      const fileEnd = at - (at % fileBytes) + fileBytes;
      const got = this.segments.read(window, 0, Math.min(window.length, fileEnd - at, to - at), at);
      let p = 0;
      let blank = false;
      for (; p + BLANK_BYTES <= got; p += TIMER_UNIT_BYTES) {
        const kind = p + TIMER_UNIT_BYTES <= got || isBlank(window, p) ? unit.read(window, p, at + p) : "none";
        if (kind === "blank") {
          blank = true;
          break;
        }
        if (kind === "none") return at + p;
        show(unit);
      }
      if (blank) at = fileEnd;
      else if (p === 0) return at;
      else at += p;
    }
    return at;
  }

  /** Removes first files whose last message lies below `minLogOffset` in the commit log (Apache: deleteExpiredFileByOffsetForTimerLog). */
  async removeExpired(minLogOffset: number): Promise<number> {
    const { segments } = this;
    const lastUnitAt =
      segments.fileBytes - ((segments.fileBytes - BLANK_BYTES) % TIMER_UNIT_BYTES) - BLANK_BYTES - TIMER_UNIT_BYTES;
    const unit = new TimerUnit();
    let removed = 0;
    while (segments.count > 1) {
      const first = segments.firstOffset;
      if (!(await this.read(first + lastUnitAt, unit)) || unit.logOffset >= minLogOffset) break;
      if (segments.firstOffset !== first || !segments.removeFirst()) break;
      removed++;
    }
    if (removed > 0) this.#blocks.drop(SOURCE);
    return removed;
  }
}

const SPLIT: Buffer = Buffer.alloc(TIMER_UNIT_BYTES);

function isBlank(buf: Buffer, at: number): boolean {
  return buf.readInt32BE(at + 12) === BLANK_MAGIC;
}
