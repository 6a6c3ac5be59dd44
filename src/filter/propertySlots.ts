/**
 * The properties that an expression names, found in a record's property bytes in one pass without making strings
 * (Apache decodes all of them to a map: MessageDecoder.string2messageProperties). As there: an entry without a name or a
 * value does not count, and the last of several with one name does.
 */
import { Buffer } from "node:buffer";

const NAME_END = 0x01;
const VALUE_END = 0x02;

export class PropertySlots {
  buf: Buffer = Buffer.alloc(0);
  /** Where each value lies; start -1: the message has no such property. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly #names: readonly Buffer[];
  /** Whether any name begins with this byte: dismisses most entries at once. */
  readonly #firsts = new Uint8Array(256);

  /** @param names distinct; a name's index is its slot */
  constructor(names: readonly string[]) {
    this.#names = names.map((name) => Buffer.from(name, "utf8"));
    for (const name of this.#names) this.#firsts[name[0]] = 1;
    this.starts = new Int32Array(names.length).fill(-1);
    this.ends = new Int32Array(names.length);
  }

  /** Looks at the properties in `buf[start, end)`. */
  scan(buf: Buffer, start: number, end: number): void {
    this.buf = buf;
    const { starts } = this;
    for (let i = 0; i < starts.length; i++) starts[i] = -1;
    let at = start;
    while (at < end) {
      const name = at;
      while (at < end && buf[at] !== NAME_END && buf[at] !== VALUE_END) at++;
      if (at >= end) return;
      if (buf[at] === VALUE_END) {
        at++;
        continue;
      }
      const nameEnd = at;
      const value = ++at;
      while (at < end && buf[at] !== VALUE_END) at++;
      if (nameEnd > name && at > value && this.#firsts[buf[name]] !== 0) this.#entry(name, nameEnd, value, at);
      at++;
    }
  }

  #entry(name: number, nameEnd: number, value: number, valueEnd: number): void {
    const { buf } = this;
    const names = this.#names;
    const length = nameEnd - name;
    next: for (let slot = 0; slot < names.length; slot++) {
      const wanted = names[slot];
      if (wanted.length !== length) continue;
      for (let i = 0; i < length; i++) if (wanted[i] !== buf[name + i]) continue next;
      this.starts[slot] = value;
      this.ends[slot] = valueEnd;
      return;
    }
  }

  /** The value as a string; null without one. */
  text(slot: number): string | null {
    const start = this.starts[slot];
    return start < 0 ? null : this.buf.toString("utf8", start, this.ends[slot]);
  }

  /** Whether the value (which must exist) is these bytes. */
  is(slot: number, bytes: Buffer): boolean {
    return this.ends[slot] - this.starts[slot] === bytes.length && this.#at(this.starts[slot], bytes);
  }

  beginsWith(slot: number, bytes: Buffer): boolean {
    return this.ends[slot] - this.starts[slot] >= bytes.length && this.#at(this.starts[slot], bytes);
  }

  endsWith(slot: number, bytes: Buffer): boolean {
    return this.ends[slot] - this.starts[slot] >= bytes.length && this.#at(this.ends[slot] - bytes.length, bytes);
  }

  contains(slot: number, bytes: Buffer): boolean {
    const last = this.ends[slot] - bytes.length;
    for (let at = this.starts[slot]; at <= last; at++) if (this.#at(at, bytes)) return true;
    return false;
  }

  #at(at: number, bytes: Buffer): boolean {
    const { buf } = this;
    for (let i = 0; i < bytes.length; i++) if (buf[at + i] !== bytes[i]) return false;
    return true;
  }

  /**
   * The value as a plain integer: a sign and at most 15 ASCII digits; NaN for everything else, which may still be a
   * number to Java.
   */
  plainInteger(slot: number): number {
    const { buf } = this;
    const end = this.ends[slot];
    let at = this.starts[slot];
    const sign = buf[at];
    if (sign === 0x2d || sign === 0x2b) at++;
    if (at === end || end - at > 15) return Number.NaN;
    let value = 0;
    for (; at < end; at++) {
      const digit = buf[at] - 0x30;
      if (digit < 0 || digit > 9) return Number.NaN;
      value = value * 10 + digit;
    }
    return sign === 0x2d ? 0 - value : value;
  }
}
