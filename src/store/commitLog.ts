/**
 * The commit log: all messages of the broker in one run of files, appended by one writer (Apache: CommitLog).
 *
 *   first .................. written ............ end
 *   |------ in the files ------|--- in the tail ---|
 *
 * `append` encodes into the tail, `writeOut` makes one positional write of all that is pending, `rollback` takes back
 * what could not be written. Who may be told about it is decided in flush.ts.
 */
import { Buffer } from "node:buffer";
import { writeInt32 } from "../base/int64.ts";
import type { MessageDraft } from "../message/draft.ts";
import { BLANK_BYTES, MAGIC_BLANK } from "../message/record.ts";
import { BlockCache } from "./blockCache.ts";
import type { DirNames } from "./dirNames.ts";
import { LogTail } from "./logTail.ts";
import type { Segments } from "./segments.ts";

export interface CommitLogLimits {
  tailChunkBytes: number;
  tailChunks: number;
  blockBytes: number;
  blocksMax: number;
}

const SOURCE = "log";
const NOTHING: Buffer = Buffer.alloc(0);

export class CommitLog {
  readonly segments: Segments;
  readonly #names: DirNames;
  readonly #blocks: BlockCache;
  readonly #tail: LogTail;
  /** Offset behind the last byte that a write call has taken. */
  written: number;
  /** Offset of the next record. */
  end: number;
  /** What {@link view} found: the bytes in `viewBuf[viewAt, viewEnd)`. */
  viewBuf: Buffer = NOTHING;
  viewAt = 0;
  viewEnd = 0;
  /** Holds a viewed range that two blocks share. */
  #pieced: Buffer = NOTHING;

  /** @param names the names of the log's own files, and of nothing else */
  constructor(segments: Segments, names: DirNames, end: number, limits: CommitLogLimits) {
    this.segments = segments;
    this.#names = names;
    this.#blocks = new BlockCache(limits.blockBytes, limits.blocksMax);
    this.#tail = new LogTail(limits.tailChunkBytes, limits.tailChunks, end);
    this.written = end;
    this.end = end;
  }

  get first(): number {
    return this.segments.firstOffset;
  }

  /** Largest record that fits into a file at all. */
  get recordBytesMax(): number {
    return Math.min(this.segments.fileBytes - BLANK_BYTES, this.#tail.chunkBytes);
  }

  /**
   * Makes sure that `bytes` contiguous bytes fit at the end: closes the file with a blank, or begins a new chunk.
   * May write; throws what the disk throws, with nothing lost.
   */
  reserve(bytes: number): void {
    const fileBytes = this.segments.fileBytes;
    const left = fileBytes - (this.end % fileBytes);
    const tail = this.#tail;
    if (bytes + BLANK_BYTES > left) {
      this.#writeBlank(left);
      return;
    }
    if (tail.current.used + bytes > tail.chunkBytes) {
      this.writeOut();
      tail.roll(this.end);
    }
  }

  #writeBlank(left: number): void {
    const tail = this.#tail;
    if (tail.current.used + BLANK_BYTES > tail.chunkBytes) {
      this.writeOut();
      tail.roll(this.end);
    }
    const chunk = tail.current;
    writeInt32(chunk.buf, left, chunk.used);
    writeInt32(chunk.buf, MAGIC_BLANK, chunk.used + 4);
    chunk.used += BLANK_BYTES;
    this.end += BLANK_BYTES;
    try {
      this.writeOut();
    } catch (error) {
      chunk.used -= BLANK_BYTES;
      this.end -= BLANK_BYTES;
      throw error;
    }
    this.end += left - BLANK_BYTES;
    this.written = this.end;
    tail.roll(this.end);
  }

  /** Encodes one record at the end, where {@link reserve} made room; returns its log offset. */
  append(draft: MessageDraft, bytes: number, queueOffset: number): number {
    const chunk = this.#tail.current;
    const offset = this.end;
    draft.encode(chunk.buf, chunk.used, bytes, queueOffset, offset);
    chunk.used += bytes;
    this.end += bytes;
    return offset;
  }

  /** Writes everything pending in one call. On a throw `written` stays, and the caller rolls back or tries again. */
  writeOut(): void {
    if (this.written === this.end) return;
    const chunk = this.#tail.current;
    this.segments.write(chunk.buf, this.written - chunk.base, chunk.used, this.written);
    this.written = this.end;
  }

  /** Makes an empty log begin at `offset`: a slave's, whose master gives it only its newest files. */
  beginAt(offset: number): void {
    this.#tail.roll(offset);
    this.end = offset;
    this.written = offset;
  }

  /**
   * Appends bytes of a master's log as they are and writes them; they end anywhere. Throws what the disk throws, with nothing
   * taken. The caller cuts at file borders.
   * @param keepFrom begin of the record that is not whole yet; it stays in one piece in memory
   */
  appendRaw(buf: Buffer, start: number, end: number, keepFrom: number): void {
    const tail = this.#tail;
    if (tail.current.used + end - start > tail.chunkBytes) tail.rollKeeping(keepFrom);
    const chunk = tail.current;
    buf.copy(chunk.buf, chunk.used, start, end);
    chunk.used += end - start;
    this.end += end - start;
    try {
      this.writeOut();
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** Bytes that fit into the newest chunk, with the record from `keepFrom` on kept whole. */
  rawRoom(keepFrom: number): number {
    return this.#tail.chunkBytes - (this.end - keepFrom);
  }

  /** Shows what memory holds of the newest chunk from `offset` on in {@link viewBuf}; false when it does not hold it. */
  viewTail(offset: number): boolean {
    const chunk = this.#tail.find(offset, 1);
    return chunk !== undefined && this.#show(chunk.buf, offset - chunk.base, chunk.base + chunk.used - offset);
  }

  /** Forgets everything from `offset` on, also in the file. Only for bytes of the newest chunk. */
  cutRaw(offset: number): void {
    this.#tail.cut(offset);
    this.end = offset;
    this.written = offset;
    this.#blocks.drop(SOURCE);
    this.segments.cutAt(offset);
  }

  /** Takes back everything not written; the next record gets the offset of the first one taken back. */
  rollback(): void {
    this.#tail.cut(this.written);
    this.end = this.written;
  }

  /**
   * Removes what a write that failed may have left in the file: whole records could be among it, and they would come
   * back after a crash although their senders were refused. Throws what the disk throws.
   */
  eraseUnwritten(): void {
    this.segments.cutAt(this.written);
  }

  /** Resolves when all bytes in `[from, to)` are durable, and the names of the files that hold them. */
  async sync(from: number, to: number): Promise<void> {
    await this.segments.sync(from, to);
    await this.#names.sync();
  }

  /** Runs `work`, within which what is {@link resident} stays so, whatever is appended. */
  keepResident<T>(work: () => T): T {
    return this.#tail.keep(work);
  }

  /** Whether `[offset, offset + bytes)` can be copied without waiting. */
  resident(offset: number, bytes: number): boolean {
    if (this.#tail.find(offset, bytes)) return true;
    const size = this.#blocks.blockBytes;
    for (let index = Math.floor(offset / size); index * size < offset + bytes; index++) {
      if (!this.#blocks.peek(SOURCE, index, Math.min(size, offset + bytes - index * size))) return false;
    }
    return true;
  }

  /** Whether the record is in the tail (the newest bytes). */
  inTail(offset: number): boolean {
    return this.#tail.find(offset, 1) !== undefined;
  }

  /** Copies `[offset, offset + bytes)` to `to[at]`; false when some of it is not in memory (see {@link load}). */
  copy(offset: number, bytes: number, to: Buffer, at: number): boolean {
    const chunk = this.#tail.find(offset, bytes);
    if (chunk) {
      const from = offset - chunk.base;
      chunk.buf.copy(to, at, from, from + bytes);
      return true;
    }
    const size = this.#blocks.blockBytes;
    let done = 0;
    while (done < bytes) {
      const index = Math.floor((offset + done) / size);
      const from = offset + done - index * size;
      const n = Math.min(bytes - done, size - from);
      const block = this.#blocks.peek(SOURCE, index, from + n);
      if (!block) return false;
      block.copy(to, at + done, from, from + n);
      done += n;
    }
    return true;
  }

  /**
   * Shows `[offset, offset + bytes)` in {@link viewBuf} without copying where it lies in one piece; false when some of it
   * is not in memory (see {@link load}). To be used before the next call.
   */
  view(offset: number, bytes: number): boolean {
    const chunk = this.#tail.find(offset, bytes);
    if (chunk) return this.#show(chunk.buf, offset - chunk.base, bytes);
    const size = this.#blocks.blockBytes;
    const from = offset % size;
    if (from + bytes <= size) {
      const block = this.#blocks.peek(SOURCE, Math.floor(offset / size), from + bytes);
      return block !== undefined && this.#show(block, from, bytes);
    }
    if (this.#pieced.length < bytes) this.#pieced = Buffer.allocUnsafe(bytes);
    return this.copy(offset, bytes, this.#pieced, 0) && this.#show(this.#pieced, 0, bytes);
  }

  #show(buf: Buffer, at: number, bytes: number): boolean {
    this.viewBuf = buf;
    this.viewAt = at;
    this.viewEnd = at + bytes;
    return true;
  }

  /** Brings `[offset, offset + bytes)` into memory, and the block behind it, which a reader wants next. */
  async load(offset: number, bytes: number): Promise<void> {
    const size = this.#blocks.blockBytes;
    const first = Math.floor(offset / size);
    const last = Math.floor((offset + bytes - 1) / size);
    const loads: Promise<void>[] = [];
    for (let index = first; index <= last; index++) {
      const need = Math.min(size, offset + bytes - index * size);
      if (!this.#blocks.peek(SOURCE, index, need)) {
        loads.push(this.#blocks.load(SOURCE, index, this.segments, this.written));
      }
    }
    const ahead = (last + 1) * size;
    if (ahead + size <= this.written && !this.#blocks.peek(SOURCE, last + 1, size)) {
      this.#blocks.load(SOURCE, last + 1, this.segments, this.written).catch(() => {});
    }
    await Promise.all(loads);
  }

  /** Removes the first file; false when it is the only one. */
  removeFirstFile(): boolean {
    return this.segments.removeFirst();
  }
}
