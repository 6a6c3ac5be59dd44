/**
 * Cuts a byte stream into frames. A frame that lies whole in one chunk is handed out in place; only one that is split
 * over chunks is gathered in a buffer of its own, which grows with what has really arrived, not with what was announced.
 */
import { Buffer } from "node:buffer";
import { FRAME_BYTES_MAX } from "../base/limits.ts";

/** The stream cannot be understood any more; the connection must go. */
export class FrameError extends Error {}

/** Smallest buffer for a split frame. */
const GATHER_BYTES_MIN = 16 * 1024;

export class FrameSplitter {
  readonly #onFrame: (buf: Buffer, start: number, end: number) => void;
  readonly #onHeld: ((bytes: number) => void) | undefined;
  #gathered: Buffer | undefined;
  #have = 0;
  #stopped = false;
  /** Bytes that came while no frame was wanted. */
  #rest: Buffer | undefined;

  /**
   * @param onFrame called with the frame's range behind its length field; the bytes are the receiver's to change
   * @param onHeld told how large the buffer of a split frame is, whenever that changes; 0: none is held
   */
  constructor(onFrame: (buf: Buffer, start: number, end: number) => void, onHeld?: (bytes: number) => void) {
    this.#onFrame = onFrame;
    this.#onHeld = onHeld;
  }

  /** Takes the next chunk. @throws FrameError */
  push(chunk: Buffer): void {
    if (this.#stopped) {
      this.#rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
      return;
    }
    let at = 0;
    if (this.#gathered !== undefined) {
      at = this.#gather(chunk);
      if (at < 0) return;
    }
    const end = chunk.length;
    while (end - at >= 4 && !this.#stopped) {
      const length = frameLength(chunk, at);
      if (end - at - 4 < length) break;
      this.#onFrame(chunk, at + 4, at + 4 + length);
      at += 4 + length;
    }
    if (at === end) return;
    if (this.#stopped) this.#rest = chunk.subarray(at);
    else this.#begin(chunk, at);
  }

  /** Hands out no further frame, also none of the chunk that is being cut; to be called by `onFrame`. */
  stop(): void {
    this.#stopped = true;
  }

  /** Goes on where {@link stop} stopped. @throws FrameError */
  resume(): void {
    this.#stopped = false;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) this.push(rest);
  }

  /** Bytes of an unfinished frame that are held. */
  get pendingBytes(): number {
    return this.#have;
  }

  #begin(chunk: Buffer, at: number): void {
    const have = chunk.length - at;
    const total = have >= 4 ? 4 + frameLength(chunk, at) : GATHER_BYTES_MIN;
    this.#gathered = Buffer.allocUnsafeSlow(Math.min(total, Math.max(GATHER_BYTES_MIN, have * 2)));
    chunk.copy(this.#gathered, 0, at);
    this.#have = have;
    this.#onHeld?.(this.#gathered.length);
  }

  /** Adds to the split frame; returns where the chunk goes on after it, or -1 when it is still not whole. */
  #gather(chunk: Buffer): number {
    let at = 0;
    while (this.#have < 4) {
      if (at === chunk.length) return -1;
      (this.#gathered as Buffer)[this.#have++] = chunk[at++];
    }
    const total = 4 + frameLength(this.#gathered as Buffer, 0);
    const take = Math.min(total - this.#have, chunk.length - at);
    this.#ensure(this.#have + take, total);
    const buf = this.#gathered as Buffer;
    chunk.copy(buf, this.#have, at, at + take);
    this.#have += take;
    if (this.#have < total) return -1;
    this.#gathered = undefined;
    this.#have = 0;
    this.#onHeld?.(0);
    this.#onFrame(buf, 4, total);
    return at + take;
  }

  #ensure(bytes: number, total: number): void {
    const buf = this.#gathered as Buffer;
    if (bytes <= buf.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.min(total, Math.max(bytes, buf.length * 2)));
    buf.copy(larger, 0, 0, this.#have);
    this.#gathered = larger;
    this.#onHeld?.(larger.length);
  }
}

function frameLength(buf: Buffer, at: number): number {
  const length = buf.readInt32BE(at);
  if (length < 4 || length > FRAME_BYTES_MAX) {
    throw new FrameError(`frame length ${length} is not between 4 and ${FRAME_BYTES_MAX}`);
  }
  return length;
}
