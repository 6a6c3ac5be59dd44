/**
 * A connection's output of one turn, formatted into slabs that are lent from a pool and come back when the socket has
 * taken them. A connection without output holds none, so 10,000 idle ones cost nothing.
 */
import { Buffer } from "node:buffer";

const SLAB_BYTES = 64 * 1024;
/** Slabs for pull replies; larger ones are made to measure and not kept. */
const LARGE_SLAB_BYTES = 512 * 1024;
const POOLED_SLABS_MAX = 64;
const POOLED_LARGE_MAX = 16;

export class Slab {
  readonly buf: Buffer;
  used = 0;
  readonly #home: Slab[] | undefined;
  readonly #homeMax: number;

  constructor(bytes: number, home: Slab[] | undefined, homeMax: number) {
    this.buf = Buffer.allocUnsafeSlow(bytes);
    this.#home = home;
    this.#homeMax = homeMax;
  }

  /** Back to the pool. */
  release(): void {
    this.used = 0;
    if (this.#home !== undefined && this.#home.length < this.#homeMax) this.#home.push(this);
  }
}

export class SlabPool {
  readonly #small: Slab[] = [];
  readonly #large: Slab[] = [];

  /** A slab with room for at least `bytes`. */
  take(bytes: number): Slab {
    if (bytes <= SLAB_BYTES) return this.#small.pop() ?? new Slab(SLAB_BYTES, this.#small, POOLED_SLABS_MAX);
    if (bytes <= LARGE_SLAB_BYTES)
      return this.#large.pop() ?? new Slab(LARGE_SLAB_BYTES, this.#large, POOLED_LARGE_MAX);
    return new Slab(bytes, undefined, 0);
  }
}
