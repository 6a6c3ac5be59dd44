/**
 * A request or response header as positions in the frame's bytes: one pass, nothing allocated, the same view for both
 * serializations (RemotingSerializable's JSON object and RocketMQSerializable's binary form). Refuses with
 * {@link HeaderError}, which names the byte and the reason.
 *
 * Frame:   0 length i32 (all that follows) | 4 serialization u8, header length u24 | 8 header | body
 * JSON:    {"code":310,"extFields":{"a":"group",...},"flag":0,"language":"JAVA","opaque":1,"serializeTypeCurrentRPC":"JSON","version":453}
 * Binary:  code i16 | language u8 | version i16 | opaque i32 | flag i32 | remarkLength i32, remark | extLength i32, ext;
 *          ext: (keyLength i16, key, valueLength i32, value)*
 */
import type { Buffer } from "node:buffer";
import { HEADER_FIELDS_MAX } from "../base/limits.ts";
import { LANGUAGE_BY_CODE } from "./languages.ts";

/** Serialization byte of a frame. */
export const SERIALIZE_JSON = 0;
export const SERIALIZE_ROCKETMQ = 1;

/** Flag bits of a header. */
export const FLAG_RESPONSE = 0x1;
export const FLAG_ONEWAY = 0x2;

export class HeaderError extends Error {}

/** Integers of this many digits are exact in a double. */
const EXACT_DIGITS = 15;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

export class HeaderView {
  buf!: Buffer;
  serialization = SERIALIZE_JSON;
  code = 0;
  flag = 0;
  opaque = 0;
  version = 0;
  language = "OTHER";
  remark: string | undefined = undefined;
  /** Extension fields: positions of key and (unescaped) value of field i, in order of arrival. */
  count = 0;
  readonly keyStart = new Int32Array(HEADER_FIELDS_MAX);
  readonly keyEnd = new Int32Array(HEADER_FIELDS_MAX);
  readonly valueStart = new Int32Array(HEADER_FIELDS_MAX);
  readonly valueEnd = new Int32Array(HEADER_FIELDS_MAX);

  /**
   * Reads the header in `buf[start, end)`. JSON escapes of extension values are undone in place (the text only gets
   * shorter), so `buf` must be the reader's own and is changed.
   */
  read(buf: Buffer, start: number, end: number, serialization: number): void {
    this.buf = buf;
    this.serialization = serialization;
    this.count = 0;
    this.code = 0;
    this.flag = 0;
    this.opaque = 0;
    this.version = 0;
    this.language = "OTHER";
    this.remark = undefined;
    if (serialization === SERIALIZE_JSON) this.#readJson(start, end);
    else if (serialization === SERIALIZE_ROCKETMQ) this.#readBinary(start, end);
    else throw new HeaderError(`serialization type ${serialization} is neither JSON (0) nor ROCKETMQ (1)`);
  }

  /**
   * Opaque of a header in `[start, end)` that {@link read} refused; undefined when its bytes do not tell. Java and Go put
   * it behind extFields, so the reading stopped before it. Without it no request can be told of the refusal: an answer
   * with a made-up opaque would end another request of the same client.
   */
  opaqueOfRefused(start: number, end: number): number | undefined {
    if (this.serialization === SERIALIZE_ROCKETMQ) return end - start < 9 ? undefined : this.buf.readInt32BE(start + 5);
    if (this.serialization !== SERIALIZE_JSON) return undefined;
    const found = /(?<=[{,]\s*)"opaque"\s*:\s*(-?\d{1,10})\s*[,}]/.exec(this.buf.toString("latin1", start, end));
    return found === null ? undefined : Number(found[1]) | 0;
  }

  /** Index of extension field `name` (ASCII), or -1. The last one wins, as in a Java map. */
  find(name: string): number {
    for (let i = this.count - 1; i >= 0; i--) if (this.isNamed(i, name)) return i;
    return -1;
  }

  /** Whether field `i` has this (ASCII) name. */
  isNamed(i: number, name: string): boolean {
    return sameText(this.buf, this.keyStart[i], this.keyEnd[i], name);
  }

  /** The text of extension field `name`, or undefined. */
  text(name: string): string | undefined {
    const i = this.find(name);
    return i < 0 ? undefined : this.valueText(i);
  }

  keyText(i: number): string {
    return this.buf.toString("utf8", this.keyStart[i], this.keyEnd[i]);
  }

  valueText(i: number): string {
    return this.buf.toString("utf8", this.valueStart[i], this.valueEnd[i]);
  }

  /**
   * Value of field `i` as a decimal integer, beyond 2^53 the nearest double; throws {@link HeaderError} naming the field
   * when it is not one.
   */
  integer(i: number): number {
    const buf = this.buf;
    let at = this.valueStart[i];
    const end = this.valueEnd[i];
    const negative = buf[at] === 0x2d;
    if (negative || buf[at] === 0x2b) at++;
    if (at >= end || end - at > 19) this.#notInteger(i);
    const long = end - at > EXACT_DIGITS;
    let value = 0;
    for (; at < end; at++) {
      const digit = buf[at] - 48;
      if (digit < 0 || digit > 9) this.#notInteger(i);
      value = value * 10 + digit;
    }
    // Digit by digit would round more than once: a heartbeat's subVersion of 19 digits (Go) must equal a pull's.
    if (long) return Number(this.valueText(i));
    return negative ? -value : value;
  }

  /** Value of field `i` as a Java int; throws {@link HeaderError} naming the field when it is not one. */
  int(i: number): number {
    const n = this.integer(i);
    if (n < -2147483648 || n > 2147483647) {
      throw new HeaderError(`field ${this.keyText(i)}: ${this.valueText(i)} is not a 32-bit integer`);
    }
    return n;
  }

  /** Value of field `i` as a Java long, clamped to the safe integers; throws {@link HeaderError} when it is none. */
  long(i: number): number {
    // Long.MAX_VALUE is how clients and tools say "without limit"; no offset and no time comes near 2^53.
    return Math.max(Number.MIN_SAFE_INTEGER, Math.min(this.integer(i), Number.MAX_SAFE_INTEGER));
  }

  /** Value of field `i` as Java's Boolean.parseBoolean: "true" in any case. */
  boolean(i: number): boolean {
    return this.valueEnd[i] - this.valueStart[i] === 4 && this.valueText(i).toLowerCase() === "true";
  }

  #notInteger(i: number): never {
    throw new HeaderError(`field ${this.keyText(i)}: "${this.valueText(i)}" is not an integer`);
  }

  #readJson(start: number, end: number): void {
    let at = this.#blanks(start, end);
    if (at >= end || this.buf[at] !== OPEN) throw new HeaderError(`header is not a JSON object (byte ${at - start})`);
    at = this.#blanks(at + 1, end);
    while (at < end && this.buf[at] !== CLOSE) {
      at = this.#jsonField(at, end);
      at = this.#blanks(at, end);
      if (this.buf[at] === COMMA) at = this.#blanks(at + 1, end);
      else if (this.buf[at] !== CLOSE) throw new HeaderError(`expected , or } at header byte ${at - start}`);
    }
    if (at >= end) throw new HeaderError("JSON header ends before its closing brace");
  }

  /** One `"key": value` of the outer object; returns the position after it. */
  #jsonField(at: number, end: number): number {
    const buf = this.buf;
    const keyStart = at + 1;
    const keyEnd = this.#stringEnd(at, end);
    let p = this.#blanks(keyEnd + 1, end);
    if (buf[p] !== COLON) throw new HeaderError(`expected : after a key at byte ${p}`);
    p = this.#blanks(p + 1, end);
    const first = buf[p];
    if (first === OPEN) {
      if (sameText(buf, keyStart, keyEnd, "extFields")) return this.#jsonExtFields(p, end);
      return this.#skipNested(p, end);
    }
    if (first === QUOTE) {
      const close = this.#stringEnd(p, end);
      this.#outerString(keyStart, keyEnd, p + 1, close);
      return close + 1;
    }
    if (first === 0x5b) return this.#skipNested(p, end);
    const valueStart = p;
    while (p < end && buf[p] !== COMMA && buf[p] !== CLOSE && buf[p] > 0x20) p++;
    this.#outerScalar(keyStart, keyEnd, valueStart, p);
    return p;
  }

  #outerScalar(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    const buf = this.buf;
    switch (keyEnd - keyStart) {
      case 4: // code, flag
        if (buf[keyStart] === 0x63) this.code = decimal(buf, valueStart, valueEnd, "code");
        else if (buf[keyStart] === 0x66) this.flag = decimal(buf, valueStart, valueEnd, "flag");
        break;
      case 6: // opaque
        if (buf[keyStart] === 0x6f) this.opaque = decimal(buf, valueStart, valueEnd, "opaque");
        break;
      case 7: // version
        if (buf[keyStart] === 0x76) this.version = decimal(buf, valueStart, valueEnd, "version");
        break;
      case 8: // language: Go and others may send the number
        if (buf[keyStart] === 0x6c && buf[valueStart] !== 0x6e)
          this.language = LANGUAGE_BY_CODE[decimal(buf, valueStart, valueEnd, "language")] ?? "OTHER";
        break;
    }
  }

  #outerString(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    const buf = this.buf;
    if (keyEnd - keyStart === 8 && buf[keyStart] === 0x6c) this.language = languageName(buf, valueStart, valueEnd);
    else if (sameText(buf, keyStart, keyEnd, "remark")) this.remark = jsonText(buf, valueStart, valueEnd);
    else this.#outerScalar(keyStart, keyEnd, valueStart, valueEnd === valueStart ? valueStart : valueEnd);
  }

  /** `{"name":"value",...}`; numbers, booleans and null as values are taken by their text (null: field absent). */
  #jsonExtFields(at: number, end: number): number {
    const buf = this.buf;
    let p = this.#blanks(at + 1, end);
    while (p < end && buf[p] !== CLOSE) {
      const keyStart = p + 1;
      const keyEnd = this.#stringEnd(p, end);
      p = this.#blanks(keyEnd + 1, end);
      if (buf[p] !== COLON) throw new HeaderError(`expected : after an extFields key at byte ${p}`);
      p = this.#blanks(p + 1, end);
      const i = this.count;
      if (i === HEADER_FIELDS_MAX) throw new HeaderError(`more than ${HEADER_FIELDS_MAX} extension fields`);
      if (buf[p] === QUOTE) {
        const valueStart = p + 1;
        let q = valueStart;
        while (q < end && buf[q] !== QUOTE && buf[q] !== BACKSLASH) q++;
        this.valueStart[i] = valueStart;
        if (q >= end) throw new HeaderError("extFields string without its closing quote");
        this.valueEnd[i] = q;
        if (buf[q] === BACKSLASH) q = this.#unescape(i, q, end);
        this.keyStart[i] = keyStart;
        this.keyEnd[i] = keyEnd;
        this.count = i + 1;
        p = q + 1;
      } else {
        const valueStart = p;
        if (buf[p] === OPEN || buf[p] === 0x5b) throw new HeaderError(`extFields value at byte ${p} is not a scalar`);
        while (p < end && buf[p] !== COMMA && buf[p] !== CLOSE && buf[p] > 0x20) p++;
        if (p === valueStart) throw new HeaderError(`extFields value missing at byte ${p}`);
        if (!sameText(buf, valueStart, p, "null")) {
          this.keyStart[i] = keyStart;
          this.keyEnd[i] = keyEnd;
          this.valueStart[i] = valueStart;
          this.valueEnd[i] = p;
          this.count = i + 1;
        }
      }
      p = this.#blanks(p, end);
      if (buf[p] === COMMA) p = this.#blanks(p + 1, end);
      else if (buf[p] !== CLOSE) throw new HeaderError(`expected , or } in extFields at byte ${p}`);
    }
    if (p >= end) throw new HeaderError("extFields without its closing brace");
    return p + 1;
  }

  /** Position of the closing quote of the string whose opening quote is at `at`. */
  #stringEnd(at: number, end: number): number {
    const buf = this.buf;
    if (buf[at] !== QUOTE) throw new HeaderError(`expected a string at byte ${at}`);
    let p = at + 1;
    while (p < end && buf[p] !== QUOTE) p += buf[p] === BACKSLASH ? 2 : 1;
    if (p >= end) throw new HeaderError("string without its closing quote");
    return p;
  }

  /**
   * Undoes the JSON escapes of value `i` in place, from the first backslash at `at` on; sets its end and returns the position
   * of its closing quote. One pass: properties have an escape every few bytes. Lone surrogates become U+FFFD, as in Java.
   */
  #unescape(i: number, at: number, end: number): number {
    const buf = this.buf;
    let to = at;
    let from = at;
    while (from < end) {
      const b = buf[from];
      if (b === QUOTE) {
        this.valueEnd[i] = to;
        return from;
      }
      if (b !== BACKSLASH) {
        buf[to++] = b;
        from++;
        continue;
      }
      const kind = buf[from + 1];
      from += 2;
      switch (kind) {
        case 0x75: {
          let unit = hex4(buf, from, end);
          from += 4;
          if (unit < 0x80) {
            buf[to++] = unit;
            break;
          }
          if (unit >= 0xd800 && unit < 0xdc00 && buf[from] === BACKSLASH && buf[from + 1] === 0x75) {
            const low = hex4(buf, from + 2, end);
            if (low >= 0xdc00 && low < 0xe000) {
              unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
              from += 6;
            }
          }
          to = writeUtf8(buf, to, unit);
          break;
        }
        case 0x6e:
          buf[to++] = 0x0a;
          break;
        case 0x74:
          buf[to++] = 0x09;
          break;
        case 0x72:
          buf[to++] = 0x0d;
          break;
        case 0x62:
          buf[to++] = 0x08;
          break;
        case 0x66:
          buf[to++] = 0x0c;
          break;
        case QUOTE:
        case BACKSLASH:
        case 0x2f:
          buf[to++] = kind;
          break;
        default:
          if (from > end) throw new HeaderError("string without its closing quote");
          throw new HeaderError(`unknown JSON escape \\${String.fromCharCode(kind)}`);
      }
    }
    throw new HeaderError("string without its closing quote");
  }

  #skipNested(at: number, end: number): number {
    let depth = 0;
    let p = at;
    while (p < end) {
      const b = this.buf[p];
      if (b === QUOTE) p = this.#stringEnd(p, end);
      else if (b === OPEN || b === 0x5b) depth++;
      else if ((b === CLOSE || b === 0x5d) && --depth === 0) return p + 1;
      p++;
    }
    throw new HeaderError("nested value without its end");
  }

  #blanks(at: number, end: number): number {
    while (at < end && this.buf[at] <= 0x20) at++;
    return at;
  }

  #readBinary(start: number, end: number): void {
    const buf = this.buf;
    if (end - start < 21) throw new HeaderError(`binary header of ${end - start} bytes, at least 21 are needed`);
    this.code = buf.readInt16BE(start);
    this.language = LANGUAGE_BY_CODE[buf[start + 2]] ?? "OTHER";
    this.version = buf.readInt16BE(start + 3);
    this.opaque = buf.readInt32BE(start + 5);
    this.flag = buf.readInt32BE(start + 9);
    const remarkBytes = buf.readInt32BE(start + 13);
    let at = start + 17;
    if (remarkBytes < 0 || remarkBytes > end - at - 4)
      throw new HeaderError(`remark length ${remarkBytes} exceeds the header`);
    if (remarkBytes > 0) this.remark = buf.toString("utf8", at, at + remarkBytes);
    at += remarkBytes;
    const extBytes = buf.readInt32BE(at);
    at += 4;
    if (extBytes < 0 || extBytes > end - at) throw new HeaderError(`extFields length ${extBytes} exceeds the header`);
    const stop = at + extBytes;
    while (at < stop) {
      const i = this.count;
      if (i === HEADER_FIELDS_MAX) throw new HeaderError(`more than ${HEADER_FIELDS_MAX} extension fields`);
      if (stop - at < 6) throw new HeaderError("extension field cut short");
      const keyBytes = buf.readInt16BE(at);
      at += 2;
      if (keyBytes < 0 || keyBytes > stop - at - 4)
        throw new HeaderError(`extension key length ${keyBytes} exceeds the header`);
      this.keyStart[i] = at;
      this.keyEnd[i] = at + keyBytes;
      at += keyBytes;
      const valueBytes = buf.readInt32BE(at);
      at += 4;
      if (valueBytes < 0 || valueBytes > stop - at)
        throw new HeaderError(`extension value length ${valueBytes} exceeds the header`);
      this.valueStart[i] = at;
      this.valueEnd[i] = at + valueBytes;
      at += valueBytes;
      this.count = i + 1;
    }
  }
}

function sameText(buf: Buffer, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (buf[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

function decimal(buf: Buffer, start: number, end: number, name: string): number {
  let at = start;
  const negative = buf[at] === 0x2d;
  if (negative) at++;
  let value = 0;
  if (at === end || end - at > 15) throw new HeaderError(`${name} is not an integer`);
  for (; at < end; at++) {
    const digit = buf[at] - 48;
    if (digit < 0 || digit > 9) throw new HeaderError(`${name} is not an integer`);
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}

function languageName(buf: Buffer, start: number, end: number): string {
  // JAVA and GO are nearly all of the traffic; the others may cost a string.
  if (end - start === 4 && buf[start] === 0x4a && buf[start + 3] === 0x41) return "JAVA";
  if (end - start === 2 && buf[start] === 0x47) return "GO";
  return buf.toString("latin1", start, end);
}

function jsonText(buf: Buffer, start: number, end: number): string {
  const text = buf.toString("utf8", start - 1, end + 1);
  try {
    return JSON.parse(text) as string;
  } catch {
    return text.slice(1, -1);
  }
}

function hex4(buf: Buffer, at: number, end: number): number {
  if (at + 4 > end) throw new HeaderError("\\u escape cut short");
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const c = buf[at + i];
    const digit = c >= 48 && c <= 57 ? c - 48 : (c | 32) >= 97 && (c | 32) <= 102 ? (c | 32) - 87 : -1;
    if (digit < 0) throw new HeaderError(`\\u escape ${c === QUOTE ? "cut short" : "is not hexadecimal"}`);
    value = (value << 4) | digit;
  }
  return value;
}

function writeUtf8(buf: Buffer, at: number, codePoint: number): number {
  let c = codePoint;
  if (c >= 0xd800 && c < 0xe000) c = 0xfffd;
  if (c < 0x800) {
    buf[at] = 0xc0 | (c >> 6);
    buf[at + 1] = 0x80 | (c & 0x3f);
    return at + 2;
  }
  if (c < 0x10000) {
    buf[at] = 0xe0 | (c >> 12);
    buf[at + 1] = 0x80 | ((c >> 6) & 0x3f);
    buf[at + 2] = 0x80 | (c & 0x3f);
    return at + 3;
  }
  buf[at] = 0xf0 | (c >> 18);
  buf[at + 1] = 0x80 | ((c >> 12) & 0x3f);
  buf[at + 2] = 0x80 | ((c >> 6) & 0x3f);
  buf[at + 3] = 0x80 | (c & 0x3f);
  return at + 4;
}
