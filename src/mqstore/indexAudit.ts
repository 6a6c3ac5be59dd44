/**
 * Compares index files with the log while it is read: both are in the same order, so that one pass and one entry in view are
 * enough. Every key of every message must have its entry, every entry its message, and the chains of each hash slot must be
 * those that putting the entries in order makes. Memory: the slots of one file.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { readInt64OrMinus1 } from "../base/int64.ts";
import type { Disk, DiskFile } from "../store/disk.ts";
import { IndexFile } from "../store/indexFile.ts";
import type { Findings } from "./findings.ts";
import { indexNames, type Layout } from "./layout.ts";

const AREA = "index";
const HEADER_BYTES = 40;
const ENTRY_BYTES = 20;
const CHUNK_ENTRIES = 65_536;

export interface IndexHeader {
  beginTimestamp: number;
  endTimestamp: number;
  beginLogOffset: number;
  endLogOffset: number;
  usedSlots: number;
  /** Number that the next entry gets; the first one is 1. */
  count: number;
}

export function readIndexHeader(file: DiskFile): IndexHeader {
  const buf = Buffer.alloc(HEADER_BYTES);
  file.read(buf, 0, HEADER_BYTES, 0);
  return {
    beginTimestamp: readInt64OrMinus1(buf, 0),
    endTimestamp: readInt64OrMinus1(buf, 8),
    beginLogOffset: readInt64OrMinus1(buf, 16),
    endLogOffset: readInt64OrMinus1(buf, 24),
    usedSlots: buf.readInt32BE(32),
    count: buf.readInt32BE(36),
  };
}

/** Entries of all files in order, one in view; judges the files themselves as it passes. */
class Cursor {
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #findings: Findings;
  readonly #names: string[];
  #next = 0;
  #file: DiskFile | undefined;
  #path = "";
  #header: IndexHeader | undefined;
  #number = 0;
  readonly #chunk = Buffer.allocUnsafe(CHUNK_ENTRIES * ENTRY_BYTES);
  #chunkFirst = 0;
  #chunkCount = 0;
  readonly #slots: Int32Array;
  #usedSlots = 0;
  /** The entry in view; {@link logOffset} is Infinity behind the last one. */
  hash = 0;
  logOffset = 0;
  entries = 0;

  constructor(disk: Disk, layout: Layout, findings: Findings) {
    this.#disk = disk;
    this.#layout = layout;
    this.#findings = findings;
    this.#names = indexNames(disk, layout.indexDir);
    this.#slots = new Int32Array(layout.options.maxHashSlotNum);
    this.advance();
  }

  get where(): string {
    return this.#path;
  }

  get number(): number {
    return this.#number;
  }

  get fileCount(): number {
    return this.#names.length;
  }

  advance(): void {
    for (;;) {
      if (this.#header !== undefined && this.#number + 1 < this.#header.count && this.#take(this.#number + 1)) return;
      this.#close();
      if (!this.#openNext()) {
        this.logOffset = Number.POSITIVE_INFINITY;
        return;
      }
    }
  }

  #take(number: number): boolean {
    if (number >= this.#chunkFirst + this.#chunkCount) {
      const { maxHashSlotNum } = this.#layout.options;
      const at = HEADER_BYTES + maxHashSlotNum * 4 + number * ENTRY_BYTES;
      const want = Math.min(CHUNK_ENTRIES, (this.#header as IndexHeader).count - number) * ENTRY_BYTES;
      const got = (this.#file as DiskFile).read(this.#chunk, 0, want, at);
      this.#chunkFirst = number;
      this.#chunkCount = Math.floor(got / ENTRY_BYTES);
      if (this.#chunkCount === 0) return false;
    }
    const p = (number - this.#chunkFirst) * ENTRY_BYTES;
    this.#number = number;
    this.hash = this.#chunk.readInt32BE(p);
    this.logOffset = readInt64OrMinus1(this.#chunk, p + 4);
    this.entries++;
    if (this.hash < 0) {
      this.#findings.add("problem", AREA, "wrong entry", this.#path, `entry ${number} has the hash ${this.hash}`);
      return true;
    }
    const slot = this.hash % this.#slots.length;
    const previous = this.#chunk.readInt32BE(p + 16);
    if (previous !== this.#slots[slot]) {
      const what = `entry ${number} is chained to ${previous}, the one before it in slot ${slot} is ${this.#slots[slot]}: keys of older messages are not found`;
      this.#findings.add("problem", AREA, "broken chain", this.#path, what);
    }
    if (this.#slots[slot] === 0) this.#usedSlots++;
    this.#slots[slot] = number;
    return true;
  }

  #openNext(): boolean {
    if (this.#next === this.#names.length) return false;
    this.#path = path.join(this.#layout.indexDir, this.#names[this.#next++]);
    const { maxHashSlotNum, maxIndexNum } = this.#layout.options;
    const want = IndexFile.bytes(maxHashSlotNum, maxIndexNum);
    const size = this.#disk.sizeOf(this.#path);
    if (size !== want) {
      const what = `${size} bytes instead of ${want} (${maxHashSlotNum} slots, ${maxIndexNum} entries)`;
      this.#findings.add("problem", AREA, "file size", this.#path, what);
      return true;
    }
    this.#file = this.#disk.open(this.#path, { readOnly: true });
    const header = readIndexHeader(this.#file);
    if (header.count > maxIndexNum) {
      const what = `the header counts ${header.count} entries, there is room for ${maxIndexNum}`;
      this.#findings.add("problem", AREA, "header", this.#path, what);
      this.#file.close();
      this.#file = undefined;
      return true;
    }
    this.#header = header;
    this.#number = 0;
    this.#chunkFirst = 0;
    this.#chunkCount = 0;
    this.#slots.fill(0);
    this.#usedSlots = 0;
    return true;
  }

  /** Ends a file: its header and its slots must be what its entries say. */
  #close(): void {
    const file = this.#file;
    const header = this.#header;
    this.#file = undefined;
    this.#header = undefined;
    if (file === undefined || header === undefined) return;
    if (header.count > 1) {
      this.#checkHeader(file, header);
      this.#checkSlots(file, header);
    }
    file.close();
  }

  #checkHeader(file: DiskFile, header: IndexHeader): void {
    const { maxHashSlotNum } = this.#layout.options;
    const entry = Buffer.alloc(ENTRY_BYTES);
    const wrong: string[] = [];
    file.read(entry, 0, ENTRY_BYTES, HEADER_BYTES + maxHashSlotNum * 4 + ENTRY_BYTES);
    const first = readInt64OrMinus1(entry, 4);
    if (first !== header.beginLogOffset) wrong.push(`begins at ${header.beginLogOffset}, the first entry at ${first}`);
    if (this.#number === header.count - 1 && this.logOffset !== header.endLogOffset) {
      wrong.push(`ends at ${header.endLogOffset}, the last entry is at ${this.logOffset}`);
    }
    if (header.beginTimestamp <= 0) wrong.push(`begin time ${header.beginTimestamp}`);
    if (header.usedSlots !== this.#usedSlots)
      wrong.push(`${header.usedSlots} slots in use, in truth ${this.#usedSlots}`);
    for (const text of wrong) this.#findings.add("problem", AREA, "header", this.#path, `the header says: ${text}`);
  }

  #checkSlots(file: DiskFile, header: IndexHeader): void {
    const slots = this.#slots;
    const chunk = Buffer.allocUnsafe(1024 * 1024);
    for (let slot = 0; slot < slots.length; ) {
      const want = Math.min(chunk.length, (slots.length - slot) * 4);
      const got = file.read(chunk, 0, want, HEADER_BYTES + slot * 4);
      for (let p = 0; p + 4 <= got; p += 4, slot++) {
        const found = chunk.readInt32BE(p);
        if (found === slots[slot]) continue;
        const what = `slot ${slot} names entry ${found}, its newest is ${slots[slot]} of ${header.count - 1}`;
        this.#findings.add("problem", AREA, "slots", this.#path, what);
      }
      if (got < want) return;
    }
  }
}

export class IndexAudit {
  readonly #findings: Findings;
  readonly #layout: Layout;
  readonly #cursor: Cursor | undefined;
  readonly #found: number[] = [];
  #missing = 0;
  #firstMissing = -1;
  #lastMissing = -1;
  #twice = 0;
  #lastOffset = -1;

  constructor(disk: Disk, layout: Layout, findings: Findings) {
    this.#findings = findings;
    this.#layout = layout;
    this.#cursor = layout.options.messageIndexEnable ? new Cursor(disk, layout, findings) : undefined;
  }

  get entries(): number {
    return this.#cursor?.entries ?? 0;
  }

  get fileCount(): number {
    return this.#cursor?.fileCount ?? 0;
  }

  /** A message as it comes in the log, with the first `count` of `hashes` as its keys'. */
  record(logOffset: number, hashes: readonly number[], count: number, logFirst: number): void {
    const cursor = this.#cursor;
    if (cursor === undefined) return;
    this.#passUnknown(logOffset, logFirst);
    const found = this.#found;
    found.length = 0;
    while (cursor.logOffset === logOffset) {
      found.push(cursor.hash);
      cursor.advance();
    }
    this.#lastOffset = logOffset;
    for (let i = 0; i < count; i++) {
      const at = found.indexOf(hashes[i]);
      if (at >= 0) {
        found[at] = found[found.length - 1];
        found.length--;
        continue;
      }
      if (this.#missing++ === 0) this.#firstMissing = logOffset;
      this.#lastMissing = logOffset;
    }
    for (const hash of found) {
      let known = false;
      for (let i = 0; i < count && !known; i++) known = hashes[i] === hash;
      // Apache enters the last message of a complete file once more after a crash.
      if (known) this.#twice++;
      else {
        const what = `an entry of hash ${hash} for the message at log offset ${logOffset}, which has no such key`;
        this.#findings.add("problem", AREA, "wrong entry", cursor.where, what);
      }
    }
  }

  /** Entries before `logOffset` that no message of the log claims. */
  #passUnknown(logOffset: number, logFirst: number): void {
    const cursor = this.#cursor as Cursor;
    while (cursor.logOffset < logOffset) {
      if (cursor.logOffset >= logFirst || cursor.logOffset < 0) {
        const back = cursor.logOffset <= this.#lastOffset ? `, behind entries up to ${this.#lastOffset}` : "";
        const what = `entry ${cursor.number} points to log offset ${cursor.logOffset}, where no message begins${back}`;
        this.#findings.add("problem", AREA, "wrong entry", cursor.where, what);
      }
      cursor.advance();
    }
  }

  /** After the last message. */
  finish(logFirst: number): void {
    const cursor = this.#cursor;
    if (cursor === undefined) {
      this.#findings.add("note", AREA, "none", this.#layout.indexDir, "there is no index: queries by key find nothing");
      return;
    }
    this.#passUnknown(Number.POSITIVE_INFINITY, logFirst);
    if (this.#missing > 0) {
      const span = `of messages from log offset ${this.#firstMissing} to ${this.#lastMissing}`;
      const what = `${this.#missing} keys ${span} have no entry: queries by them find nothing`;
      this.#findings.add("problem", AREA, "missing entries", this.#layout.indexDir, what);
    }
    if (this.#twice > 0) {
      const what = `${this.#twice} entries are there twice; queries list their messages twice`;
      this.#findings.add("note", AREA, "entries twice", this.#layout.indexDir, what);
    }
  }
}
