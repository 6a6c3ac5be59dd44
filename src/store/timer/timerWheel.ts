/**
 * The timing wheel: for each slot of time the ends of its chain in the timer log, in Apache's file `timerwheel`
 * (Apache: TimerWheel, Slot). Two times seven days of seconds, whatever the precision; the place of a slot is its number
 * modulo the slots, and a slot of another time counts as empty.
 *
 *    0  slot time / precision  i64
 *    8  firstPos               i64   oldest unit of the slot in the timer log
 *   16  lastPos                i64   newest unit
 *   24  num                    i32   messages, those that delete others counted backwards
 *   28  magic                  i32   0
 *
 * In memory are only the pages of 128 slots that hold something, so a million timers within a day take 3 MB. Slots that are
 * over stay in the file, as Apache leaves them: those before the checkpoint's read time are nobody's.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { crc32 } from "../../base/crc32.ts";
import { readInt64OrMinus1, writeInt32, writeInt64 } from "../../base/int64.ts";
import type { DirNames } from "../dirNames.ts";
import type { Disk, DiskFile } from "../disk.ts";

export const WHEEL_SLOTS = 2 * 7 * 24 * 3600;
const SLOT_BYTES = 32;
const PAGE_SLOTS = 128;
const PAGE_BYTES = PAGE_SLOTS * SLOT_BYTES;
const PAGES = WHEEL_SLOTS / PAGE_SLOTS;
export const WHEEL_BYTES = WHEEL_SLOTS * SLOT_BYTES;
const READ_BYTES = 256 * PAGE_BYTES;
/** Pages written in one call. */
const PAGES_PER_WRITE = 64;

/** Copies of changed pages, to be written later. */
export interface WheelPages {
  readonly indexes: readonly number[];
  readonly copies: readonly Buffer[];
}

export class TimerWheel {
  readonly path: string;
  readonly precisionMs: number;
  readonly #disk: Disk;
  readonly #names: DirNames;
  readonly #pages: (Buffer | undefined)[] = new Array(PAGES).fill(undefined);
  /** Slots in use of each page. */
  readonly #used = new Uint8Array(PAGES);
  readonly #dirty = new Set<number>();
  #file: DiskFile | undefined;
  /** Sum of `num` over all slots. */
  total = 0;
  /** Sum of the CRC-32 of all slots, modulo 2^32: tells whether what was read back is what was there. */
  digest = 0;
  /** The slot that {@link find} found. */
  firstPosition = -1;
  lastPosition = -1;
  num = 0;

  constructor(disk: Disk, names: DirNames, file: string, precisionMs: number) {
    this.#disk = disk;
    this.#names = names;
    this.path = file;
    this.precisionMs = precisionMs;
  }

  /**
   * Reads the file; slots before `fromMs` are left out. "absent" without one (an empty one counts as none), "damaged"
   * when it has another length than any wheel.
   */
  load(fromMs: number): "loaded" | "absent" | "damaged" {
    if (!this.#disk.exists(this.path)) return "absent";
    const bytes = this.#disk.sizeOf(this.path);
    if (bytes !== WHEEL_BYTES) return bytes === 0 ? "absent" : "damaged";
    const from = Math.floor(fromMs / this.precisionMs);
    const file = this.#open();
    const window = Buffer.alloc(READ_BYTES);
    const nothing = Buffer.alloc(READ_BYTES);
    for (let at = 0; at < WHEEL_BYTES; at += READ_BYTES) {
      const got = file.read(window, 0, Math.min(READ_BYTES, WHEEL_BYTES - at), at);
      if (window.compare(nothing, 0, got, 0, got) === 0) continue;
      for (let p = 0; p + SLOT_BYTES <= got; p += SLOT_BYTES) {
        const number = readInt64OrMinus1(window, p);
        if (number < from || number <= 0) continue;
        const index = (at + p) / SLOT_BYTES;
        // A slot that lies where its time does not belong is nobody's.
        if (number % WHEEL_SLOTS !== index) continue;
        window.copy(this.#pageOf(index), (index % PAGE_SLOTS) * SLOT_BYTES, p, p + SLOT_BYTES);
        this.#used[Math.floor(index / PAGE_SLOTS)]++;
        this.total += window.readInt32BE(p + 24);
        this.#digested(window, p, 1);
      }
    }
    return "loaded";
  }

  /** Makes the slot of `timeMs` the current one; false when it is empty. */
  find(timeMs: number): boolean {
    const number = Math.floor(timeMs / this.precisionMs);
    const index = number % WHEEL_SLOTS;
    const page = this.#pages[Math.floor(index / PAGE_SLOTS)];
    const at = (index % PAGE_SLOTS) * SLOT_BYTES;
    if (page === undefined || readInt64OrMinus1(page, at) !== number) {
      this.firstPosition = -1;
      this.lastPosition = -1;
      this.num = 0;
      return false;
    }
    this.firstPosition = readInt64OrMinus1(page, at + 8);
    this.lastPosition = readInt64OrMinus1(page, at + 16);
    this.num = page.readInt32BE(at + 24);
    return true;
  }

  /** Messages in the slot of `timeMs`. */
  numAt(timeMs: number): number {
    this.find(timeMs);
    return this.num;
  }

  /** Sets the slot of `timeMs`. */
  put(timeMs: number, firstPosition: number, lastPosition: number, num: number): void {
    const number = Math.floor(timeMs / this.precisionMs);
    const index = number % WHEEL_SLOTS;
    const page = this.#pageOf(index);
    const at = (index % PAGE_SLOTS) * SLOT_BYTES;
    if (readInt64OrMinus1(page, at) === 0) this.#used[Math.floor(index / PAGE_SLOTS)]++;
    else this.#digested(page, at, -1);
    // A slot of another turn of the wheel is overwritten, as it was never read.
    this.total += num - page.readInt32BE(at + 24);
    writeInt64(page, number, at);
    writeInt64(page, firstPosition, at + 8);
    writeInt64(page, lastPosition, at + 16);
    writeInt32(page, num, at + 24);
    writeInt32(page, 0, at + 28);
    this.#digested(page, at, 1);
    this.#dirty.add(Math.floor(index / PAGE_SLOTS));
  }

  /** Empties the slot of `timeMs`, also in the file. */
  clear(timeMs: number): void {
    if (this.find(timeMs)) this.#dirty.add(this.#empty(timeMs));
  }

  /** Empties the slot of `timeMs` in memory only: the checkpoint has passed it. */
  drop(timeMs: number): void {
    if (!this.find(timeMs)) return;
    const pageIndex = this.#empty(timeMs);
    if (this.#used[pageIndex] === 0 && !this.#dirty.has(pageIndex)) this.#pages[pageIndex] = undefined;
  }

  /** Empties the slots of `[fromMs, toMs)`, also those that are only left in the file: their times come again. */
  erase(fromMs: number, toMs: number): void {
    const end = Math.min(toMs, fromMs + WHEEL_SLOTS * this.precisionMs);
    for (let time = fromMs; time < end; time += this.precisionMs) {
      this.clear(time);
      const index = Math.floor(time / this.precisionMs) % WHEEL_SLOTS;
      this.#pageOf(index);
      this.#dirty.add(Math.floor(index / PAGE_SLOTS));
    }
  }

  /** Empties the slot found last; returns its page. */
  #empty(timeMs: number): number {
    const index = Math.floor(timeMs / this.precisionMs) % WHEEL_SLOTS;
    const pageIndex = Math.floor(index / PAGE_SLOTS);
    const at = (index % PAGE_SLOTS) * SLOT_BYTES;
    const page = this.#pages[pageIndex] as Buffer;
    this.total -= this.num;
    this.#digested(page, at, -1);
    page.fill(0, at, at + SLOT_BYTES);
    this.#used[pageIndex]--;
    return pageIndex;
  }

  /** Forgets all slots; the file follows with the next write. */
  reset(): void {
    for (let i = 0; i < PAGES; i++) {
      if (this.#pages[i] === undefined) continue;
      this.#pages[i]?.fill(0);
      this.#dirty.add(i);
    }
    this.#used.fill(0);
    this.total = 0;
    this.digest = 0;
  }

  /** What the slot of `timeMs` adds to {@link digest}. */
  digestAt(timeMs: number): number {
    if (!this.find(timeMs)) return 0;
    const index = Math.floor(timeMs / this.precisionMs) % WHEEL_SLOTS;
    const at = (index % PAGE_SLOTS) * SLOT_BYTES;
    return crc32(this.#pages[Math.floor(index / PAGE_SLOTS)] as Buffer, at, at + SLOT_BYTES);
  }

  #digested(buf: Buffer, at: number, sign: 1 | -1): void {
    this.digest = (this.digest + sign * crc32(buf, at, at + SLOT_BYTES)) >>> 0;
  }

  /** Times of all slots in use, in no order. */
  *times(): IterableIterator<number> {
    for (let i = 0; i < PAGES; i++) {
      const page = this.#pages[i];
      if (page === undefined || this.#used[i] === 0) continue;
      for (let at = 0; at < PAGE_BYTES; at += SLOT_BYTES) {
        const number = readInt64OrMinus1(page, at);
        if (number > 0) yield number * this.precisionMs;
      }
    }
  }

  get dirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Pages in memory. */
  get pages(): number {
    return this.#pages.reduce((count, page) => count + (page === undefined ? 0 : 1), 0);
  }

  /** Hands out copies of what changed since the last call; who cannot write them gives them {@link back}. */
  take(): WheelPages {
    const indexes = [...this.#dirty].sort((a, b) => a - b);
    const copies = indexes.map((index) => Buffer.from(this.#pages[index] as Buffer));
    this.#dirty.clear();
    // What became empty is empty in the copy as well.
    for (const index of indexes) if (this.#used[index] === 0) this.#pages[index] = undefined;
    return { indexes, copies };
  }

  /** Pages that were not written after all. */
  back(pages: WheelPages): void {
    for (const index of pages.indexes) {
      this.#pages[index] ??= Buffer.alloc(PAGE_BYTES);
      this.#dirty.add(index);
    }
  }

  /** Writes pages, a few per turn, and syncs them. `pause` ends the turn. */
  async write(pages: WheelPages, pause: () => Promise<void>): Promise<void> {
    if (pages.indexes.length === 0) return;
    const file = this.#open();
    if (file.size() !== WHEEL_BYTES) file.truncate(WHEEL_BYTES);
    const { indexes, copies } = pages;
    for (let i = 0; i < indexes.length; ) {
      let n = 1;
      while (i + n < indexes.length && n < PAGES_PER_WRITE && indexes[i + n] === indexes[i] + n) n++;
      const run = n === 1 ? copies[i] : Buffer.concat(copies.slice(i, i + n));
      file.write(run, 0, run.length, indexes[i] * PAGE_BYTES);
      i += n;
      if (i < indexes.length) await pause();
    }
    await file.sync();
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #open(): DiskFile {
    if (this.#file === undefined) {
      if (!this.#disk.exists(this.path)) {
        this.#names.mkdir(path.dirname(this.path));
        this.#names.changed(path.dirname(this.path));
      }
      this.#file = this.#disk.open(this.path, { create: true });
    }
    return this.#file;
  }

  #pageOf(slotIndex: number): Buffer {
    const index = Math.floor(slotIndex / PAGE_SLOTS);
    let page = this.#pages[index];
    if (page === undefined) {
      page = Buffer.alloc(PAGE_BYTES);
      this.#pages[index] = page;
    }
    return page;
  }
}
