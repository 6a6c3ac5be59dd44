/** What comes out of a compressed body: grows up to a limit, whatever the compressed bytes claim. */
import { Buffer } from "node:buffer";

const BYTES_FIRST = 64 * 1024;
/** How much of what comes out is expected beforehand, as a multiple of what goes in. */
const RATIO_EXPECTED = 4;

/** Compressed bytes are damaged, of an unknown kind, or too much would come out; the message says where and why. */
export class InflateError extends Error {}

export class Inflated {
  #buf: Buffer;
  #end = 0;
  readonly #bytesMax: number;

  /** @param bytesIn how many compressed bytes there are @param bytesMax the most that may come out */
  constructor(bytesIn: number, bytesMax: number) {
    this.#buf = Buffer.allocUnsafe(Math.min(bytesMax, Math.max(BYTES_FIRST, bytesIn * RATIO_EXPECTED)));
    this.#bytesMax = bytesMax;
  }

  copy(from: Buffer, start: number, length: number): void {
    this.#room(length);
    from.copy(this.#buf, this.#end, start, start + length);
    this.#end += length;
  }

  /** One byte, again and again. */
  fill(byte: number, length: number): void {
    this.#room(length);
    this.#buf.fill(byte, this.#end, this.#end + length);
    this.#end += length;
  }

  /** Repeats what was written `distance` bytes before; may overlap what it writes. */
  repeat(distance: number, length: number): void {
    if (distance < 1 || distance > this.#end) {
      throw new InflateError(`a match points ${distance} bytes back, where ${this.#end} are written`);
    }
    if (distance === 1) {
      this.fill(this.#buf[this.#end - 1], length);
      return;
    }
    this.#room(length);
    const buf = this.#buf;
    const to = this.#end;
    const from = to - distance;
    if (distance >= length) buf.copyWithin(to, from, from + length);
    else for (let i = 0; i < length; i++) buf[to + i] = buf[from + i];
    this.#end = to + length;
  }

  bytes(): Buffer {
    return this.#buf.subarray(0, this.#end);
  }

  #room(length: number): void {
    const wanted = this.#end + length;
    if (wanted <= this.#buf.length) return;
    if (wanted > this.#bytesMax) throw new InflateError(`more than ${this.#bytesMax} bytes come out`);
    const larger = Buffer.allocUnsafe(Math.min(this.#bytesMax, Math.max(wanted, this.#buf.length * 2)));
    this.#buf.copy(larger, 0, 0, this.#end);
    this.#buf = larger;
  }
}
