/**
 * Which half messages are decided (committed, rolled back, or put back under a newer offset): one bit per queue offset of
 * the half topic from {@link DecidedOffsets.base} on. Everything below the base is decided. A million pending halves take
 * 125 KB. Pure.
 */

const BITS = 32;

export class DecidedOffsets {
  #words = new Uint32Array(1024);
  /** Queue offset of bit 0; a multiple of 32 at or below the base. */
  #origin = 0;
  #base = 0;

  /** First offset that may be undecided. */
  get base(): number {
    return this.#base;
  }

  /** Begins anew at `base`, with nothing decided from there on. */
  reset(base: number): void {
    this.#words = new Uint32Array(1024);
    this.#origin = base - (base % BITS);
    this.#base = base;
  }

  /** Hot: whether this half message is decided. */
  has(offset: number): boolean {
    if (offset < this.#base) return true;
    const bit = offset - this.#origin;
    const word = Math.floor(bit / BITS);
    return word < this.#words.length && (this.#words[word] & (1 << (bit % BITS))) !== 0;
  }

  /** Hot: notes a decision; one below the base is known already. */
  add(offset: number): void {
    if (offset < this.#base) return;
    const bit = offset - this.#origin;
    const word = Math.floor(bit / BITS);
    if (word >= this.#words.length) this.#grow(word + 1);
    this.#words[word] |= 1 << (bit % BITS);
  }

  /** Takes a decision back. Below the base this moves the base down: everything between stays decided. */
  delete(offset: number): void {
    if (offset < this.#base) this.#reopen(offset);
    const bit = offset - this.#origin;
    const word = Math.floor(bit / BITS);
    if (word < this.#words.length) this.#words[word] &= ~(1 << (bit % BITS));
  }

  /** First undecided offset at or behind `from`, at most `end`. */
  nextUndecided(from: number, end: number): number {
    let offset = Math.max(from, this.#base);
    while (offset < end) {
      const bit = offset - this.#origin;
      const word = Math.floor(bit / BITS);
      if (word >= this.#words.length) return offset;
      const undecided = (~this.#words[word] >>> (bit % BITS)) >>> 0;
      if (undecided !== 0) return Math.min(end, offset + (31 - Math.clz32(undecided & -undecided)));
      offset += BITS - (bit % BITS);
    }
    return end;
  }

  /** Declares everything below `base` decided, and gives its memory back. */
  advance(base: number): void {
    if (base <= this.#base) return;
    const origin = base - (base % BITS);
    const drop = Math.min((origin - this.#origin) / BITS, this.#words.length);
    this.#words.copyWithin(0, drop);
    this.#words.fill(0, this.#words.length - drop);
    this.#origin = origin;
    this.#base = base;
  }

  #reopen(offset: number): void {
    const origin = offset - (offset % BITS);
    const more = (this.#origin - origin) / BITS;
    const words = new Uint32Array(this.#words.length + more);
    words.set(this.#words, more);
    words.fill(0xffffffff, 0, more);
    for (let at = this.#origin; at < this.#base; at++) {
      const bit = at - origin;
      words[Math.floor(bit / BITS)] |= 1 << (bit % BITS);
    }
    this.#words = words;
    this.#origin = origin;
    this.#base = offset;
  }

  #grow(words: number): void {
    const larger = new Uint32Array(Math.max(words, this.#words.length * 2));
    larger.set(this.#words);
    this.#words = larger;
  }
}
