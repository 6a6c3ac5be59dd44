/**
 * Reads many whole records by offset and size, without blocking the event loop and without the block cache: for readers
 * that want one record here and one there, for which a block each would be hundreds of times too much. Records that lie
 * together come in one read.
 */
import { Buffer } from "node:buffer";
import type { CommitLog } from "./commitLog.ts";

/** Bytes between two records that are read along rather than asked for twice. */
const GAP_BYTES = 4096;
const RUN_BYTES_MAX = 256 * 1024;
const SLAB_BYTES = 256 * 1024;

export class RecordReads {
  readonly offsets: Float64Array;
  readonly bytes: Int32Array;
  /** Position of each record in {@link slab}; -1 when it is not there. */
  readonly at: Int32Array;
  count = 0;
  /** Sum of {@link bytes}. */
  totalBytes = 0;
  slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);

  constructor(max: number) {
    this.offsets = new Float64Array(max);
    this.bytes = new Int32Array(max);
    this.at = new Int32Array(max);
  }

  clear(): void {
    this.count = 0;
    this.totalBytes = 0;
  }

  add(logOffset: number, bytes: number): void {
    this.offsets[this.count] = logOffset;
    this.bytes[this.count] = bytes;
    this.count++;
    this.totalBytes += bytes;
  }

  get full(): boolean {
    return this.count === this.offsets.length;
  }

  /** Fills {@link slab}; what it held before is gone. */
  async run(log: CommitLog): Promise<void> {
    const { offsets, bytes, at, count } = this;
    let used = 0;
    for (let i = 0; i < count; ) {
      const end = this.#runEnd(log, i);
      used += this.#runBytes(log, i, end);
      i = end;
    }
    if (used > this.slab.length) this.slab = Buffer.allocUnsafeSlow(used);
    else if (this.slab.length > 4 * SLAB_BYTES && used <= SLAB_BYTES) this.slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    const { slab } = this;
    const waits: Promise<void>[] = [];
    let to = 0;
    for (let i = 0; i < count; ) {
      const begin = i;
      const end = this.#runEnd(log, begin);
      const start = to;
      i = end;
      to += this.#runBytes(log, begin, end);
      if (!this.#exists(log, begin)) at[begin] = -1;
      else if (end === begin + 1 && log.copy(offsets[begin], bytes[begin], slab, start)) at[begin] = start;
      else waits.push(this.#read(log, begin, end, start, to));
    }
    if (waits.length > 0) await Promise.all(waits);
  }

  async #read(log: CommitLog, begin: number, end: number, start: number, stop: number): Promise<void> {
    const { offsets, bytes, at } = this;
    const got = await log.segments.readAsync(this.slab, start, stop, offsets[begin]);
    for (let k = begin; k < end; k++) {
      const p = offsets[k] - offsets[begin];
      at[k] = p + bytes[k] <= got ? start + p : -1;
    }
  }

  #exists(log: CommitLog, i: number): boolean {
    const begin = this.offsets[i];
    const bytes = this.bytes[i];
    return begin >= log.first && bytes > 0 && bytes <= log.recordBytesMax && begin + bytes <= log.written;
  }

  /** Index behind the last record that is read together with record `i`: those on disk that lie together. */
  #runEnd(log: CommitLog, i: number): number {
    const { offsets, bytes, count } = this;
    let k = i + 1;
    if (!this.#exists(log, i) || log.inTail(offsets[i])) return k;
    let end = offsets[i] + bytes[i];
    for (; k < count; k++) {
      if (offsets[k] < end || offsets[k] > end + GAP_BYTES || offsets[k] + bytes[k] - offsets[i] > RUN_BYTES_MAX) break;
      if (!this.#exists(log, k) || log.inTail(offsets[k])) break;
      end = offsets[k] + bytes[k];
    }
    return k;
  }

  #runBytes(log: CommitLog, i: number, end: number): number {
    return this.#exists(log, i) ? this.offsets[end - 1] + this.bytes[end - 1] - this.offsets[i] : 0;
  }
}
