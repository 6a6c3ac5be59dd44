/**
 * The newest part of the commit log in memory: a ring of chunks. Records are encoded straight into the current chunk
 * and written to the file from there; readers at the tail copy from the chunks and never touch the disk.
 *
 *   chunk:  base                      base + used
 *           |--- written ---|- pending -|   free   |
 */
import { Buffer } from "node:buffer";

export interface Chunk {
  readonly buf: Buffer;
  /** Log offset of `buf[0]`. */
  base: number;
  /** Bytes of `buf` in use. */
  used: number;
}

export class LogTail {
  readonly chunkBytes: number;
  readonly #ring: Chunk[] = [];
  readonly #max: number;
  /** While set, no chunk is taken from readers: what was found in one stays there although more is appended meanwhile. */
  #kept = false;
  current: Chunk;

  constructor(chunkBytes: number, chunks: number, base: number) {
    this.chunkBytes = chunkBytes;
    this.#max = chunks;
    this.current = { buf: Buffer.allocUnsafeSlow(chunkBytes), base, used: 0 };
    this.#ring.push(this.current);
  }

  /**
   * Runs `work`, during which every chunk stays. For whoever finds records, appends on their account, and copies them then.
   */
  keep<T>(work: () => T): T {
    if (this.#kept) return work();
    this.#kept = true;
    try {
      return work();
    } finally {
      this.#kept = false;
      while (this.#ring.length > this.#max) this.#ring.shift();
    }
  }

  /** Starts a new chunk at `base`; the oldest one is reused. The current one must be written out before. */
  roll(base: number): void {
    const chunk =
      this.#ring.length < this.#max || this.#kept
        ? { buf: Buffer.allocUnsafeSlow(this.chunkBytes), base, used: 0 }
        : (this.#ring.shift() as Chunk);
    chunk.base = base;
    chunk.used = 0;
    this.#ring.push(chunk);
    this.current = chunk;
  }

  /** Like {@link roll}, but what the current chunk holds from `base` on is taken along. */
  rollKeeping(base: number): void {
    const { buf, base: oldBase, used } = this.current;
    const from = base - oldBase;
    this.roll(base);
    // With a ring of one chunk it is the same buffer; copy() moves overlapping bytes well.
    buf.copy(this.current.buf, 0, from, used);
    this.current.used = used - from;
  }

  /** The chunk that holds all of `[offset, offset + bytes)`, newest first. */
  find(offset: number, bytes: number): Chunk | undefined {
    for (let i = this.#ring.length - 1; i >= 0; i--) {
      const chunk = this.#ring[i];
      if (offset >= chunk.base && offset + bytes <= chunk.base + chunk.used) return chunk;
    }
    return undefined;
  }

  /** Forgets everything from `offset` on. Only bytes of the current chunk may be cut. */
  cut(offset: number): void {
    this.current.used = offset - this.current.base;
  }
}
