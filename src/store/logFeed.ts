/**
 * The commit log as a slave is sent it: pieces of bytes from any offset to the end of what is written, cut where they like
 * but never across two files (Apache: DefaultMessageStore.getCommitLogData). The newest bytes come from memory; older ones
 * are read past the block cache, so that a slave that catches up costs consumers nothing.
 */
import { Buffer } from "node:buffer";
import type { CommitLog } from "./commitLog.ts";

export class LogFeed {
  readonly #log: CommitLog;

  constructor(log: CommitLog) {
    this.#log = log;
  }

  /** First offset that is still stored. */
  get first(): number {
    return this.#log.first;
  }

  /** Offset behind the last written byte. */
  get end(): number {
    return this.#log.written;
  }

  /** Begin of the file that `end` lies in: where a slave without messages starts. */
  get lastFile(): number {
    return this.end - (this.end % this.#log.segments.fileBytes);
  }

  /** Bytes that a piece at `offset` may have: no more than `max`, within one file, all written. */
  #pieceBytes(offset: number, max: number): number {
    const { fileBytes } = this.#log.segments;
    return Math.min(max, fileBytes - (offset % fileBytes), this.end - offset);
  }

  /** A piece at `offset` behind `headroom` free bytes of a new buffer; undefined when it must be read from the disk. */
  take(offset: number, max: number, headroom: number): Buffer | undefined {
    const log = this.#log;
    if (!log.viewTail(offset)) return undefined;
    const bytes = Math.min(this.#pieceBytes(offset, max), log.viewEnd - log.viewAt);
    const piece = Buffer.allocUnsafe(headroom + bytes);
    log.viewBuf.copy(piece, headroom, log.viewAt, log.viewAt + bytes);
    return piece;
  }

  /** Like {@link take}, from the disk. */
  async read(offset: number, max: number, headroom: number): Promise<Buffer> {
    const bytes = this.#pieceBytes(offset, max);
    const piece = Buffer.allocUnsafe(headroom + bytes);
    const got = await this.#log.segments.readAsync(piece, headroom, headroom + bytes, offset);
    if (got < bytes) throw new Error(`the commit log gave ${got} of ${bytes} bytes at ${offset}`);
    return piece;
  }
}
