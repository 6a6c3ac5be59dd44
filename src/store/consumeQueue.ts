/**
 * One queue of one topic: where its messages lie in the commit log (Apache: ConsumeQueue).
 *
 *   unit (20 bytes):  0 logOffset i64 | 8 size i32 | 12 tagsCode i64
 *
 *   min ........ base ........ persisted ........ max ........ next
 *   | files only  | memory, in the files | memory only | assigned, not yet granted |
 *
 * Consumers see units below `max`. `next` runs ahead by the messages that are not acknowledged yet. The queue is derived
 * from the log: nothing here needs a sync before an acknowledgement.
 */
import { Buffer } from "node:buffer";
import { readInt64OrMinus1, writeInt32, writeInt64 } from "../base/int64.ts";
import { javaHashCode } from "../base/javaHash.ts";
import { QUEUE_TAIL_UNITS_MAX, QUEUE_TAIL_UNITS_MIN } from "../base/limits.ts";
import type { PutCounts } from "../metrics/brokerStats.ts";
import type { BlockCache } from "./blockCache.ts";
import type { Segments } from "./segments.ts";

export const UNIT_BYTES = 20;
/** Size of a unit that stands for no message: Apache's pre-blank. */
export const BLANK_SIZE = 0x7fffffff;

export class ConsumeQueue {
  readonly topic: string;
  readonly topicBytes: Buffer;
  readonly queueId: number;
  /** Java hash of `topic#`, the common prefix of the topic's index keys. */
  readonly keyHashPrefix: number;
  readonly #source: string;
  readonly #segments: Segments;
  readonly #blocks: BlockCache;
  /** Units `[base, max)`; undefined while nothing is in memory. */
  #units: Buffer | undefined;
  #base = 0;
  /** Queue offset the next appended message gets. */
  next = 0;
  /** First offset that consumers do not see yet. */
  max = 0;
  /** First offset whose message is still in the log. */
  min = 0;
  /** Units below this are in the files. */
  persisted = 0;
  /** Log offset of the newest unit's message; -1 without units. A later record with an old queue offset is a new life. */
  lastLogOffset = -1;
  /** The topic was deleted: messages still under way to this queue must not bring its files back. */
  deleted = false;
  /** Waits in the table's list of queues to write. */
  dirty = false;
  /** Got units in this turn: its listeners are told at the end of the turn. */
  arrived = false;
  /** Counts its messages; set by whoever wants that. */
  counts: PutCounts | undefined;
  /** Rounds of writing without a new unit; an idle queue gives its memory back. */
  #idleRounds = 0;
  /** Units below this are durable. */
  #synced = 0;
  /** The first file still lacks the blank units before the queue's first one. */
  #blankFrom = -1;

  constructor(topic: string, queueId: number, segments: Segments, blocks: BlockCache) {
    this.topic = topic;
    this.topicBytes = Buffer.from(topic);
    this.queueId = queueId;
    this.keyHashPrefix = javaHashCode(`${topic}#`);
    this.#source = `${topic}\0${queueId}`;
    this.#segments = segments;
    this.#blocks = blocks;
  }

  /**
   * Finds the end of what the files hold, trusting only units that point below `trustedLogEnd`; later ones are zeroed,
   * recovery dispatches them again. Infinity trusts all, as after a clean stop.
   * @returns repairs of the files, one sentence each
   */
  load(trustedLogEnd: number): string[] {
    const repairs = this.#segments.load((_, head) => isBelow(head, trustedLogEnd));
    const first = this.#segments.firstOffset / UNIT_BYTES;
    let low = first;
    let high = this.#segments.endOffset / UNIT_BYTES;
    const unit = Buffer.alloc(UNIT_BYTES);
    // The pre-blank of a queue that did not begin at a file's start counts as below: its units have no real message.
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#isBelow(unit, middle, trustedLogEnd)) low = middle + 1;
      else high = middle;
    }
    if (
      low > first &&
      this.#segments.read(unit, 0, UNIT_BYTES, (low - 1) * UNIT_BYTES) === UNIT_BYTES &&
      isBlank(unit)
    ) {
      // Nothing but a pre-blank: the units behind it are not trusted, so neither is where the queue begins.
      this.reset();
      return repairs;
    }
    this.#setEnd(low);
    this.min = first;
    this.lastLogOffset = low > first ? readInt64OrMinus1(unit, 0) : -1;
    if (this.#segments.has(low * UNIT_BYTES) && (trustedLogEnd !== Number.POSITIVE_INFINITY || this.#holds(low))) {
      this.#segments.cutAt(low * UNIT_BYTES);
    }
    return repairs;
  }

  /** Whether anything stands at a unit's place. */
  #holds(queueOffset: number): boolean {
    const unit = Buffer.alloc(UNIT_BYTES);
    this.#segments.read(unit, 0, UNIT_BYTES, queueOffset * UNIT_BYTES);
    return unit.some((byte) => byte !== 0);
  }

  /** The files, for who reads single units from them; those below {@link persisted}. */
  get segments(): Segments {
    return this.#segments;
  }

  /** Whether files that should connect the rest are missing. */
  get incomplete(): boolean {
    return this.#segments.incomplete;
  }

  /** First unit that the files hold or will hold: with {@link max} what a checkpoint notes to notice lost files. */
  get firstFileUnit(): number {
    if (this.#segments.count > 0) return this.#segments.firstOffset / UNIT_BYTES;
    const perFile = this.#segments.fileBytes / UNIT_BYTES;
    return this.persisted - (this.persisted % perFile);
  }

  /** Begins anew without a unit: for a rebuild from the log. */
  reset(): void {
    this.#segments.destroy();
    this.#blocks.drop(this.#source);
    this.#setEnd(0);
    this.min = 0;
    this.lastLogOffset = -1;
    this.#blankFrom = -1;
  }

  #isBelow(unit: Buffer, queueOffset: number, logEnd: number): boolean {
    if (this.#segments.read(unit, 0, UNIT_BYTES, queueOffset * UNIT_BYTES) < UNIT_BYTES) return false;
    return isBelow(unit, logEnd);
  }

  #setEnd(queueOffset: number): void {
    this.next = queueOffset;
    this.max = queueOffset;
    this.persisted = queueOffset;
    this.#synced = queueOffset;
    this.#base = queueOffset;
    this.#units = undefined;
  }

  /** Log offset behind the last unit's message, or 0: what is below it was dispatched. Reads the file. */
  dispatchedLogEnd(): number {
    if (this.max === 0 || this.max === this.min) return 0;
    const unit = Buffer.alloc(UNIT_BYTES);
    if (this.#segments.read(unit, 0, UNIT_BYTES, (this.max - 1) * UNIT_BYTES) < UNIT_BYTES) return 0;
    return Math.max(0, readInt64OrMinus1(unit, 0)) + unit.readInt32BE(8);
  }

  /** Begins an empty queue at `queueOffset`: its earlier messages were deleted or never came here. */
  startAt(queueOffset: number): void {
    this.reset();
    this.#setEnd(queueOffset);
    this.min = queueOffset;
    const unitsPerFile = this.#segments.fileBytes / UNIT_BYTES;
    this.#blankFrom = queueOffset - (queueOffset % unitsPerFile);
  }

  /**
   * Lists places whose message the log no longer has, up to `queueOffset`: the queue's offsets stay dense and readers
   * step over them, as over a pre-blank. They carry the damage's log offset, so that units stay in log order.
   */
  fillTo(queueOffset: number, logOffset: number): void {
    while (this.max < queueOffset) this.push(logOffset, BLANK_SIZE, 0);
  }

  /** Forgets units that point at or behind `logEnd`: the log lost those messages. */
  cutBehind(logEnd: number): number {
    const unit = Buffer.alloc(UNIT_BYTES);
    const before = this.max;
    let end = this.max;
    while (end > this.min) {
      if (this.#segments.read(unit, 0, UNIT_BYTES, (end - 1) * UNIT_BYTES) < UNIT_BYTES) break;
      if (readInt64OrMinus1(unit, 0) < logEnd) break;
      end--;
    }
    if (end !== before) {
      this.#segments.cutAt(end * UNIT_BYTES);
      this.#blocks.drop(this.#source);
      this.#setEnd(end);
      this.lastLogOffset = end > this.min ? readInt64OrMinus1(unit, 0) : -1;
    }
    return before - end;
  }

  /** Makes one granted message visible. Only memory is touched. */
  push(logOffset: number, bytes: number, tagsCode: number): void {
    this.lastLogOffset = logOffset;
    let units = this.#units;
    if (units === undefined || (this.max - this.#base) * UNIT_BYTES === units.length) units = this.#makeRoom();
    const at = (this.max - this.#base) * UNIT_BYTES;
    writeInt64(units, logOffset, at);
    writeInt32(units, bytes, at + 8);
    writeInt64(units, tagsCode, at + 12);
    this.max++;
    if (this.next < this.max) this.next = this.max;
    this.#idleRounds = 0;
  }

  #makeRoom(): Buffer {
    const units = this.#units;
    if (units === undefined) {
      this.#base = this.max;
      this.#units = Buffer.allocUnsafeSlow(QUEUE_TAIL_UNITS_MIN * UNIT_BYTES);
      return this.#units;
    }
    const used = this.max - this.#base;
    // Keep the newer half, but never drop a unit that is not in a file yet: a full disk only makes the buffer grow.
    const keepFrom = Math.min(this.persisted, this.max - (used >> 1));
    if (used >= QUEUE_TAIL_UNITS_MAX && keepFrom > this.#base) {
      units.copyWithin(0, (keepFrom - this.#base) * UNIT_BYTES, used * UNIT_BYTES);
      this.#base = keepFrom;
      return units;
    }
    const larger = Buffer.allocUnsafeSlow(units.length * 2);
    units.copy(larger, 0, 0, used * UNIT_BYTES);
    this.#units = larger;
    return larger;
  }

  /** Whether so much waits in memory that it should be written before its time. */
  get pressed(): boolean {
    return this.max - this.persisted >= QUEUE_TAIL_UNITS_MAX / 2;
  }

  /** Writes what only memory holds. Throws what the disk throws; nothing is lost then. */
  persist(): void {
    const units = this.#units;
    if (units === undefined || this.persisted >= this.max || this.deleted) return;
    if (this.#blankFrom >= 0) this.#preBlank();
    const from = (this.persisted - this.#base) * UNIT_BYTES;
    const to = (this.max - this.#base) * UNIT_BYTES;
    this.#segments.write(units, from, to, this.persisted * UNIT_BYTES);
    this.persisted = this.max;
  }

  /** Fills the first file up to a queue's first unit as Apache does, so that Apache finds the unit behind it. */
  #preBlank(): void {
    const blank = Buffer.alloc((this.min - this.#blankFrom) * UNIT_BYTES);
    for (let i = 0; i < blank.length; i += UNIT_BYTES) writeInt32(blank, BLANK_SIZE, i + 8);
    this.#segments.write(blank, 0, blank.length, this.#blankFrom * UNIT_BYTES);
    this.#blankFrom = -1;
  }

  /** Whether units are held in memory. */
  get warm(): boolean {
    return this.#units !== undefined;
  }

  /** Gives the memory of an idle queue back; call once per round of writing. */
  rest(): void {
    if (this.#units === undefined || this.persisted < this.max) return;
    if (++this.#idleRounds < 30) return;
    this.#units = undefined;
    this.#base = this.max;
  }

  /** Makes what {@link persist} wrote durable (the files' names: DirNames). Rejects once; then never trust it again. */
  async sync(): Promise<void> {
    const to = this.persisted;
    // One byte more: a file that was only cut has no unit behind the cut.
    await this.#segments.sync(this.#synced * UNIT_BYTES, to * UNIT_BYTES + 1);
    this.#synced = Math.max(this.#synced, to);
  }

  /**
   * Where unit `queueOffset` lies: the buffer and, in {@link foundAt}, the position. Undefined when it must be loaded
   * first; `queueOffset` must be in `[min, max)`.
   */
  unitBuffer(queueOffset: number): Buffer | undefined {
    if (queueOffset >= this.#base && this.#units !== undefined) {
      foundAt = (queueOffset - this.#base) * UNIT_BYTES;
      return this.#units;
    }
    const at = queueOffset * UNIT_BYTES;
    const size = this.#blocks.blockBytes;
    const index = Math.floor(at / size);
    foundAt = at - index * size;
    return this.#blocks.peek(this.#source, index, foundAt + UNIT_BYTES);
  }

  /**
   * Units from `queueOffset` to the end of the buffer that {@link unitBuffer} has just given for it. A block that was read
   * before its last units were written holds only those of before.
   */
  unitsInBuffer(queueOffset: number): number {
    if (queueOffset >= this.#base && this.#units !== undefined) return this.max - queueOffset;
    const perBlock = this.#blocks.blockBytes / UNIT_BYTES;
    const left = Math.floor(this.#blocks.validBytes / UNIT_BYTES) - (queueOffset % perBlock);
    const inFiles = (this.#units === undefined ? this.max : this.#base) - queueOffset;
    return Math.min(left, inFiles);
  }

  /** Brings the block of unit `queueOffset` into memory. */
  load1(queueOffset: number): Promise<void> {
    const index = Math.floor((queueOffset * UNIT_BYTES) / this.#blocks.blockBytes);
    return this.#blocks.load(this.#source, index, this.#segments, this.persisted * UNIT_BYTES);
  }

  /** Moves `min` to the first unit whose message lies at or behind `logStart`, and removes files before it. */
  trim(logStart: number): void {
    const unit = Buffer.alloc(UNIT_BYTES);
    let low = Math.max(this.min, this.#segments.firstOffset / UNIT_BYTES);
    let high = this.max;
    // Of many queues most need no search: nothing of them is gone, or everything.
    if (low < high && this.lastLogOffset < logStart) low = high;
    else if (low < high && this.#logOffsetAt(unit, low) >= logStart) high = low;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#logOffsetAt(unit, middle) < logStart) low = middle + 1;
      else high = middle;
    }
    this.min = low;
    const unitsPerFile = this.#segments.fileBytes / UNIT_BYTES;
    let dropped = false;
    while (this.#segments.count > 1 && this.#segments.firstOffset / UNIT_BYTES + unitsPerFile <= this.min) {
      dropped = this.#segments.removeFirst() || dropped;
    }
    if (dropped) this.#blocks.drop(this.#source);
  }

  #logOffsetAt(unit: Buffer, queueOffset: number): number {
    if (this.#units !== undefined && queueOffset >= this.#base) {
      return readInt64OrMinus1(this.#units, (queueOffset - this.#base) * UNIT_BYTES);
    }
    if (this.#segments.read(unit, 0, UNIT_BYTES, queueOffset * UNIT_BYTES) < UNIT_BYTES) return -1;
    return readInt64OrMinus1(unit, 0);
  }

  destroy(): void {
    this.deleted = true;
    this.#segments.destroy();
    this.#blocks.drop(this.#source);
  }
}

function isBelow(unit: Buffer, logEnd: number): boolean {
  const offset = readInt64OrMinus1(unit, 0);
  return unit.readInt32BE(8) > 0 && offset >= 0 && offset < logEnd;
}

/** A pre-blank unit as Apache writes it. */
function isBlank(unit: Buffer): boolean {
  return readInt64OrMinus1(unit, 0) === 0 && unit.readInt32BE(8) === BLANK_SIZE;
}

/** Position of the unit that the last {@link ConsumeQueue.unitBuffer} found: saves an object per unit on the pull path. */
export let foundAt = 0;
