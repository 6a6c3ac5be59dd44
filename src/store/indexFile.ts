/**
 * One IndexFile: a hash table from message keys to log offsets (Apache: IndexFile, IndexHeader).
 *
 *   header (40):  0 beginTimestamp i64 | 8 endTimestamp i64 | 16 beginLogOffset i64 | 24 endLogOffset i64
 *                 | 32 usedSlots i32 | 36 entryCount i32 (the next entry's number; entry 0 is never used)
 *   slots:        slotCount x i32, number of the newest entry of the slot, 0 for none
 *   entries (20): 0 keyHash i32 | 4 logOffset i64 | 12 seconds since beginTimestamp i32 | 16 previous entry of the slot i32
 *
 * Entries are appended; slots change at random places, so they live in memory and are written when the file is full or
 * the broker stops. After a crash they are rebuilt from the entries, which say everything.
 */
import { Buffer } from "node:buffer";
import { readInt64OrMinus1, writeInt32, writeInt64 } from "../base/int64.ts";
import type { DiskFile } from "./disk.ts";

const HEADER_BYTES = 40;
const ENTRY_BYTES = 20;
/** Entries gathered in memory before one write. */
const BUFFER_ENTRIES = 16_384;
/** Reading entries back to rebuild the slots goes in pieces of this many. */
const REBUILD_ENTRIES = 65_536;
/** How far the end of a file may lie before its begin because somebody set the clock back. */
const CLOCK_SLACK_MS = 366 * 24 * 3_600_000;

/** Entries looked at before others get their turn: a few milliseconds. */
const WALK_STEPS = 50_000;
/** Entries that are read at once where a chain is dense: 64 KiB. */
const WALK_ENTRIES = 3276;
/** Entries that a read counts for: some 50 of them, 3 MiB at the most, are a turn's. */
const READ_STEPS = 1_000;

/** A search for one key: what it looks for, what it found, and where in a file it stands. */
export class IndexWalk {
  readonly keyHash: number;
  /** Store times in ms, inclusive; compared by the second. */
  readonly begin: number;
  readonly end: number;
  readonly max: number;
  /** Log offsets, newest first; hashes collide, so that some may be another key's. */
  readonly found: number[] = [];
  /** Entry to look at next; -1: the newest. */
  next = -1;
  /** Entry looked at last. */
  last = Number.POSITIVE_INFINITY;
  /** Entries in view: `count` of them from `first` on. */
  buf: Buffer;
  first = 0;
  count = 0;
  /** Reads of the file so far. */
  reads = 0;
  #own: Buffer = Buffer.allocUnsafe(ENTRY_BYTES);

  constructor(keyHash: number, begin: number, end: number, max: number) {
    this.keyHash = keyHash;
    this.begin = begin;
    this.end = end;
    this.max = max;
    this.buf = this.#own;
  }

  /** A buffer for this many entries: most walks look at one or two, a dense chain at many thousand. */
  room(entries: number): Buffer {
    if (this.#own.length < entries * ENTRY_BYTES) this.#own = Buffer.allocUnsafe(WALK_ENTRIES * ENTRY_BYTES);
    return this.#own;
  }

  show(buf: Buffer, first: number, count: number): void {
    this.buf = buf;
    this.first = first;
    this.count = count;
  }

  /** Goes on to another file. */
  restart(): void {
    this.next = -1;
    this.last = Number.POSITIVE_INFINITY;
    this.count = 0;
  }
}

export class IndexFile {
  readonly #file: DiskFile;
  readonly #slotCount: number;
  readonly #entryMax: number;
  /** Undefined in a file that is complete: its slots are read where they lie. */
  #slots: Int32Array | undefined;
  #slotsDirty = false;
  #buffer: Buffer | undefined;
  /** Number of the first entry in the buffer. */
  #bufferFirst = 1;
  beginTimestamp = 0;
  endTimestamp = 0;
  beginLogOffset = 0;
  endLogOffset = 0;
  #usedSlots = 0;
  /** Number that the next entry gets. */
  #count = 1;
  /** Has bytes that no sync has covered. */
  unsynced = false;
  /** Being synced: must not be closed. */
  #pins = 0;
  #closed = false;

  constructor(file: DiskFile, slotCount: number, entryMax: number) {
    this.#file = file;
    this.#slotCount = slotCount;
    this.#entryMax = entryMax;
  }

  static bytes(slotCount: number, entryMax: number): number {
    return HEADER_BYTES + slotCount * 4 + entryMax * ENTRY_BYTES;
  }

  get path(): string {
    return this.#file.path;
  }

  get full(): boolean {
    return this.#count >= this.#entryMax;
  }

  get entryCount(): number {
    return this.#count - 1;
  }

  /**
   * Reads an existing file, keeping entries that point below `trustedLogEnd`.
   * @param clean the broker stopped in order: the file is complete, its slots can be taken as they are
   * @returns false when the header does not belong to the entries: the file must be built again
   */
  load(trustedLogEnd: number, clean: boolean): boolean {
    const header = Buffer.alloc(HEADER_BYTES);
    this.#file.read(header, 0, HEADER_BYTES, 0);
    this.beginTimestamp = readInt64OrMinus1(header, 0);
    this.endTimestamp = readInt64OrMinus1(header, 8);
    this.beginLogOffset = readInt64OrMinus1(header, 16);
    this.endLogOffset = readInt64OrMinus1(header, 24);
    this.#usedSlots = header.readInt32BE(32);
    this.#count = Math.max(1, header.readInt32BE(36));
    this.#bufferFirst = this.#count;
    if (this.#count === 1) return true;
    const first = Buffer.alloc(ENTRY_BYTES);
    this.#file.read(first, 0, ENTRY_BYTES, this.#entryAt(1));
    if (this.#count > this.#entryMax || readInt64OrMinus1(first, 4) !== this.beginLogOffset) return false;
    if (this.beginTimestamp <= 0 || this.endTimestamp < this.beginTimestamp - CLOCK_SLACK_MS) return false;
    // A file that was full below the checkpoint was completed and synced before the checkpoint was written.
    const last = Buffer.alloc(ENTRY_BYTES);
    this.#file.read(last, 0, ENTRY_BYTES, this.#entryAt(this.#count - 1));
    const whole =
      this.full &&
      this.endLogOffset < trustedLogEnd &&
      readInt64OrMinus1(last, 4) === this.endLogOffset &&
      !isEmpty(last, 0);
    if (!clean && !whole) {
      this.#rebuild(trustedLogEnd);
    } else if (!this.full) {
      this.#slots = new Int32Array(this.#slotCount);
      const slots = Buffer.from(this.#slots.buffer);
      this.#file.read(slots, 0, slots.length, HEADER_BYTES);
      slots.swap32();
    }
    this.#bufferFirst = this.#count;
    return true;
  }

  /**
   * Links the entries that the header counts again, stopping at the first that is empty or points behind the trusted
   * log, and zeroes what lies behind: entries of a life that a crash undid could be taken for this one's.
   */
  #rebuild(trustedLogEnd: number): void {
    const slots = new Int32Array(this.#slotCount);
    this.#slots = slots;
    this.#usedSlots = 0;
    const counted = this.#count;
    const piece = Buffer.allocUnsafe(Math.min(REBUILD_ENTRIES, this.#entryMax) * ENTRY_BYTES);
    let number = 1;
    let lastOffset = -1;
    scan: while (number < counted) {
      const want = Math.min(piece.length, (counted - number) * ENTRY_BYTES);
      const got = this.#file.read(piece, 0, want, this.#entryAt(number));
      if (got < ENTRY_BYTES) break;
      for (let at = 0; at + ENTRY_BYTES <= got; at += ENTRY_BYTES) {
        const hash = piece.readInt32BE(at);
        const offset = readInt64OrMinus1(piece, at + 4);
        if (isEmpty(piece, at) || hash < 0 || offset < lastOffset || offset < 0 || offset >= trustedLogEnd) break scan;
        lastOffset = offset;
        const slot = hash % this.#slotCount;
        if (slots[slot] === 0) this.#usedSlots++;
        if (piece.readInt32BE(at + 16) !== slots[slot]) {
          piece.writeInt32BE(slots[slot], at + 16);
          this.#file.write(piece, at + 16, at + 20, this.#entryAt(number) + 16);
        }
        this.endLogOffset = offset;
        this.endTimestamp = this.beginTimestamp + piece.readInt32BE(at + 12) * 1000 + 999;
        slots[slot] = number++;
      }
    }
    this.#count = number;
    this.#file.truncate(this.#entryAt(number));
    this.#file.truncate(IndexFile.bytes(this.#slotCount, this.#entryMax));
    this.#writeHeader();
    this.#slotsDirty = true;
    this.unsynced = true;
  }

  /** Adds one key; the caller looked at {@link full}. */
  put(keyHash: number, logOffset: number, storeTimestamp: number): void {
    const number = this.#count;
    if (number === 1) {
      this.beginTimestamp = storeTimestamp;
      this.beginLogOffset = logOffset;
    }
    let buffer = this.#buffer;
    if (buffer === undefined) {
      buffer = Buffer.allocUnsafeSlow(Math.min(BUFFER_ENTRIES, this.#entryMax) * ENTRY_BYTES);
      this.#buffer = buffer;
    }
    if ((number - this.#bufferFirst) * ENTRY_BYTES === buffer.length) this.flush();
    this.#slots ??= new Int32Array(this.#slotCount);
    const slot = keyHash % this.#slotCount;
    const previous = this.#slots[slot];
    const seconds = Math.floor((storeTimestamp - this.beginTimestamp) / 1000);
    const at = (number - this.#bufferFirst) * ENTRY_BYTES;
    writeInt32(buffer, keyHash, at);
    writeInt64(buffer, logOffset, at + 4);
    writeInt32(buffer, Math.max(0, Math.min(seconds, 0x7fffffff)), at + 12);
    writeInt32(buffer, previous, at + 16);
    if (previous === 0) this.#usedSlots++;
    this.#slots[slot] = number;
    this.#slotsDirty = true;
    this.endTimestamp = storeTimestamp;
    this.endLogOffset = logOffset;
    this.#count = number + 1;
  }

  /** Writes entries that only memory holds, then the header that counts them. Throws what the disk throws. */
  flush(): void {
    if (this.#count === this.#bufferFirst || this.#buffer === undefined) return;
    const bytes = (this.#count - this.#bufferFirst) * ENTRY_BYTES;
    this.#file.write(this.#buffer, 0, bytes, this.#entryAt(this.#bufferFirst));
    this.#writeHeader();
    this.#bufferFirst = this.#count;
    this.unsynced = true;
  }

  #writeHeader(): void {
    const header = Buffer.alloc(HEADER_BYTES);
    writeInt64(header, this.beginTimestamp, 0);
    writeInt64(header, this.endTimestamp, 8);
    writeInt64(header, this.beginLogOffset, 16);
    writeInt64(header, this.endLogOffset, 24);
    header.writeInt32BE(this.#usedSlots, 32);
    header.writeInt32BE(this.#count, 36);
    this.#file.write(header, 0, HEADER_BYTES, 0);
  }

  /** Writes entries and slots: the file is then complete by itself, for Apache too. */
  writeAll(): void {
    this.flush();
    if (!this.#slotsDirty || this.#slots === undefined) return;
    const slots = Buffer.from(Buffer.from(this.#slots.buffer));
    slots.swap32();
    this.#file.write(slots, 0, slots.length, HEADER_BYTES);
    this.#writeHeader();
    this.#slotsDirty = false;
    this.unsynced = true;
    if (!this.full) return;
    this.#slots = undefined;
    this.#buffer = undefined;
  }

  /** Makes what was written durable. On a throw it counts as unsynced; but what failed once must not be believed. */
  async sync(): Promise<void> {
    this.unsynced = false;
    this.#pins++;
    try {
      await this.#file.sync();
    } catch (error) {
      this.unsynced = true;
      throw error;
    } finally {
      if (--this.#pins === 0 && this.#closed) this.#file.close();
    }
  }

  /** Closes the file, after the sync under way if there is one. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#pins === 0) this.#file.close();
  }

  /**
   * Follows a walk through this file's entries of its hash, newest first; at most WALK_STEPS of them, and fewer where each
   * must be read, so that the chain of a key that a million messages share does not stop the event loop.
   * @returns whether the walk is done with this file
   */
  walk(walk: IndexWalk): boolean {
    const { keyHash, begin, end, max, found } = walk;
    // What was in view may have been written out or over since.
    walk.count = 0;
    if (walk.next < 0) walk.next = this.#newestOf(keyHash % this.#slotCount);
    const reads = walk.reads;
    for (let steps = 0; steps + (walk.reads - reads) * READ_STEPS < WALK_STEPS; steps++) {
      const number = walk.next;
      if (number <= 0 || number >= this.#count || found.length >= max) return true;
      const at = this.#locate(walk, number);
      const { buf } = walk;
      const seconds = buf.readInt32BE(at + 12);
      if (seconds < 0) return true;
      const time = this.beginTimestamp + seconds * 1000;
      // The stored time is rounded down to the second.
      if (time + 999 >= begin && time <= end && buf.readInt32BE(at) === keyHash) {
        found.push(readInt64OrMinus1(buf, at + 4));
      }
      if (time + 999 < begin) return true;
      const previous = buf.readInt32BE(at + 16);
      if (previous >= number) return true;
      walk.next = previous;
    }
    return false;
  }

  /** Brings an entry into the walk's view; returns its place there. Entries near the last one come with their neighbours. */
  #locate(walk: IndexWalk, number: number): number {
    if (number >= this.#bufferFirst && this.#buffer !== undefined) {
      walk.show(this.#buffer, this.#bufferFirst, this.#count - this.#bufferFirst);
    } else if (number < walk.first || number >= walk.first + walk.count) {
      const near = walk.last - number < WALK_ENTRIES;
      const first = near ? Math.max(1, number - WALK_ENTRIES + 1) : number;
      const bytes = (number - first + 1) * ENTRY_BYTES;
      const own = walk.room(number - first + 1);
      walk.reads++;
      this.#file.read(own, 0, bytes, this.#entryAt(first));
      walk.show(own, first, number - first + 1);
    }
    walk.last = number;
    return (number - walk.first) * ENTRY_BYTES;
  }

  #newestOf(slot: number): number {
    if (this.#slots !== undefined) return this.#slots[slot];
    const bytes = Buffer.alloc(4);
    this.#file.read(bytes, 0, 4, HEADER_BYTES + slot * 4);
    return bytes.readInt32BE(0);
  }

  #entryAt(number: number): number {
    return HEADER_BYTES + this.#slotCount * 4 + number * ENTRY_BYTES;
  }
}

/** Whether an entry was never written. (A key of hash 0 of the log's very first message looks the same: no harm.) */
function isEmpty(entry: Buffer, at: number): boolean {
  return entry.readInt32BE(at) === 0 && readInt64OrMinus1(entry, at + 4) === 0 && entry.readInt32BE(at + 12) === 0;
}
