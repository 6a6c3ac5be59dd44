/**
 * Java's JSON dialect: what fastjson2 2.0.59 (inside Apache 5.5.0) writes and reads as command bodies and config files.
 *
 * Beside standard JSON it knows map keys without quotes: integers `{0:"a"}` and whole objects
 * `{{"brokerName":"b","queueId":1,"topic":"T"}:7}`, and reads single quotes, trailing commas, `01`, `+1`, `.5`, `1L`
 * and control characters inside strings.
 * Refuses, with the position: int64 beyond 2^53 - 1 (never rounded), names without quotes, NaN, comments, too deep nesting.
 *
 * Every JSON object is read as a {@link JavaMap} (a Map), so that no key of a peer can meet a JavaScript prototype.
 */

/** A JSON object as read. Keys keep how they were written: `"0"` is a string, `0` a number, `{..}` a map. */
export type JavaMap = Map<JavaKey, JavaValue>;
export type JavaKey = string | number | boolean | JavaMap;
export type JavaValue = null | boolean | number | string | JavaValue[] | JavaMap;

/** Java's `double`: written with a decimal point even when it is whole (`0.0`), as Double.toString does. */
export class JavaDouble {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** Marks a number as Java's `double` for {@link writeJavaJson}. */
export function javaDouble(value: number): JavaDouble {
  return new JavaDouble(value);
}

/** A value that {@link writeJavaJson} has written already. */
export class JavaWritten {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * A long that came as an integer beyond 2^53 and was rounded once (Go's subVersion counts nanoseconds), for
 * {@link writeJavaJson}: written with all its digits, so that reading it gives the same number again.
 */
export function javaStamp(value: number): number | bigint {
  return Number.isSafeInteger(value) ? value : BigInt(value);
}

/** Text that is not JSON as Java reads it; the message names the reason and the 0-based position. */
export class JavaJsonError extends Error {
  readonly position: number;
  constructor(reason: string, position: number) {
    super(`${reason} at position ${position}`);
    this.position = position;
  }
}

/** Nesting that a body may have; Apache's deepest body has 7 levels. */
const DEPTH_MAX = 64;

/** Reads one JSON value and nothing after it. Throws {@link JavaJsonError}. */
export function parseJavaJson(text: string): JavaValue {
  return new Reader(text).document();
}

export interface WriteOptions {
  /** Integer and boolean map keys in quotes, as standard JSON demands (fastjson2: BrowserCompatible). */
  quoteIntKeys: boolean;
  /** Maps in the order of their keys (fastjson2: MapSortField); otherwise in their own order. */
  sortMaps?: boolean;
}

/** What Apache writes by default. */
export const JAVA_JSON: WriteOptions = { quoteIntKeys: false };
/** What Apache's NameServer writes for clients that want standard JSON. */
export const STANDARD_JSON: WriteOptions = { quoteIntKeys: true, sortMaps: true };

/**
 * Writes `value` without white space. A plain object is a Java bean: fields by name in alphabetical order, undefined and
 * null ones left out. A Map is a Java map: entries with null values left out, keys may be strings, integers, booleans or
 * objects. Arrays keep null. Throws TypeError for what Java could not have meant (functions, unsafe integers, fractions
 * that are not marked with {@link javaDouble}).
 */
export function writeJavaJson(value: unknown, options: WriteOptions = JAVA_JSON): string {
  return writeValue(value, options, 0);
}

function writeValue(value: unknown, options: WriteOptions, depth: number): string {
  if (depth > DEPTH_MAX) throw new TypeError(`value is nested deeper than ${DEPTH_MAX} levels`);
  switch (typeof value) {
    case "string":
      return quote(value);
    case "number":
      return integer(value);
    case "bigint":
      return value.toString();
    case "boolean":
      return value ? "true" : "false";
    case "undefined":
      return "null";
    case "object":
      if (value === null) return "null";
      if (value instanceof JavaDouble) return doubleText(value.value);
      if (value instanceof JavaWritten) return value.text;
      if (Array.isArray(value)) return `[${value.map((item) => writeValue(item, options, depth + 1)).join(",")}]`;
      if (value instanceof Map) return writeMap(value, options, depth);
      return writeBean(value as Record<string, unknown>, options, depth);
    default:
      throw new TypeError(`a ${typeof value} has no JSON form`);
  }
}

function writeBean(bean: Record<string, unknown>, options: WriteOptions, depth: number): string {
  const names = Object.keys(bean);
  // Most beans are made in this order; there may be thousands of them in an answer.
  if (!isSorted(names)) names.sort();
  let text = "";
  for (const name of names) {
    const value = bean[name];
    if (value === undefined || value === null) continue;
    text += `${text === "" ? "{" : ","}${quote(name)}:${writeValue(value, options, depth + 1)}`;
  }
  return text === "" ? "{}" : `${text}}`;
}

function isSorted(names: readonly string[]): boolean {
  for (let i = 1; i < names.length; i++) if (names[i - 1] > names[i]) return false;
  return true;
}

function writeMap(map: ReadonlyMap<unknown, unknown>, options: WriteOptions, depth: number): string {
  let entries: Iterable<[unknown, unknown]> = map;
  if (options.sortMaps) entries = [...map].sort(([a], [b]) => compareKeys(a, b));
  let text = "";
  for (const [key, value] of entries) {
    if (value === undefined || value === null) continue;
    text += `${text === "" ? "{" : ","}${writeKey(key, options, depth)}:${writeValue(value, options, depth + 1)}`;
  }
  return text === "" ? "{}" : `${text}}`;
}

function writeKey(key: unknown, options: WriteOptions, depth: number): string {
  if (typeof key === "string") return quote(key);
  const text = writeValue(key, options, depth + 1);
  return options.quoteIntKeys && typeof key !== "object" ? `"${text}"` : text;
}

function compareKeys(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  return 0;
}

function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new TypeError(`${value} is not a safe integer (use javaDouble for doubles)`);
  // -0 is an integer 0 in Java.
  return value === 0 ? "0" : String(value);
}

/** Java's Double.toString: plain from 1e-3 to below 1e7, otherwise `d.dddE±n`. Not a number and infinity are null. */
function doubleText(value: number): string {
  if (!Number.isFinite(value)) return "null";
  const size = Math.abs(value);
  if (size === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  if (size >= 1e-3 && size < 1e7) return Number.isInteger(value) ? `${value}.0` : String(value);
  const [mantissa, exponent] = value.toExponential().split("e");
  return `${mantissa.includes(".") ? mantissa : `${mantissa}.0`}E${Number(exponent)}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to be escaped.
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
const ESCAPED = /["\\\u0000-\u001f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const SHORT: Record<string, string> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\f": "\\f",
  "\r": "\\r",
};

function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? `"${text.replace(ESCAPED, escapeUnit)}"` : `"${text}"`;
}

/** Escapes one unit; half a surrogate pair becomes `?`, which is what Java's UTF-8 encoder makes of it. */
function escapeUnit(unit: string): string {
  const short = SHORT[unit];
  if (short !== undefined) return short;
  const code = unit.charCodeAt(0);
  return code < 0x20 ? `\\u${code.toString(16).padStart(4, "0")}` : "?";
}

const INTEGER = /[+-]?\d+/y;
const NUMBER = /[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const ESCAPES: Record<string, string> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JavaValue {
    const value = this.#value();
    this.#blanks();
    if (this.#at < this.#text.length) this.#refuse(`unexpected ${this.#here()} after the value`);
    return value;
  }

  #value(): JavaValue {
    this.#blanks();
    const c = this.#text[this.#at];
    switch (c) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
      case "'":
        return this.#string(c);
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #object(): JavaMap {
    this.#enter();
    const map: JavaMap = new Map();
    for (;;) {
      this.#blanks();
      if (this.#text[this.#at] === "}") break;
      const key = this.#key();
      this.#blanks();
      if (this.#text[this.#at] !== ":") this.#refuse(`expected : after a key, found ${this.#here()}`);
      this.#at++;
      map.set(key, this.#value());
      if (!this.#comma("}")) break;
    }
    this.#leave();
    return map;
  }

  #array(): JavaValue[] {
    this.#enter();
    const items: JavaValue[] = [];
    for (;;) {
      this.#blanks();
      if (this.#text[this.#at] === "]") break;
      items.push(this.#value());
      if (!this.#comma("]")) break;
    }
    this.#leave();
    return items;
  }

  #key(): JavaKey {
    const c = this.#text[this.#at];
    if (c === '"' || c === "'") return this.#string(c);
    if (c === "{") return this.#object();
    if (c === "t") return this.#word("true", true);
    if (c === "f") return this.#word("false", false);
    INTEGER.lastIndex = this.#at;
    const match = INTEGER.exec(this.#text);
    if (match === null) this.#refuse(`a key must be quoted, an integer or an object, found ${this.#here()}`);
    return this.#safeInteger(match[0]);
  }

  /** True when another element follows; false at `close`. A comma before `close` is allowed, as in fastjson. */
  #comma(close: string): boolean {
    this.#blanks();
    const c = this.#text[this.#at];
    if (c === ",") {
      this.#at++;
      return true;
    }
    if (c === close) return false;
    return this.#refuse(`expected , or ${close}, found ${this.#here()}`);
  }

  #string(quoteMark: string): string {
    const text = this.#text;
    const start = ++this.#at;
    let plainFrom = start;
    let out = "";
    for (;;) {
      if (this.#at >= text.length) {
        this.#at = start - 1;
        this.#refuse("string without its closing quote");
      }
      const c = text[this.#at];
      if (c === quoteMark) break;
      if (c === "\\") {
        out += text.slice(plainFrom, this.#at) + this.#escape();
        plainFrom = this.#at;
      } else this.#at++;
    }
    out += text.slice(plainFrom, this.#at);
    this.#at++;
    return out;
  }

  #escape(): string {
    const kind = this.#text[this.#at + 1] ?? "";
    const digits = kind === "u" ? 4 : kind === "x" ? 2 : 0;
    if (digits > 0) {
      const hex = this.#text.slice(this.#at + 2, this.#at + 2 + digits);
      if (hex.length < digits || !/^[0-9a-fA-F]+$/.test(hex))
        this.#refuse(`\\${kind} needs ${digits} hexadecimal digits`);
      this.#at += 2 + digits;
      return String.fromCharCode(Number.parseInt(hex, 16));
    }
    const plain = ESCAPES[kind];
    if (plain === undefined) this.#refuse(`unknown escape \\${kind}`);
    this.#at += 2;
    return plain;
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) this.#refuse(`expected a value, found ${this.#here()}`);
    const text = match[0];
    if (/[.eE]/.test(text)) {
      const value = Number(text);
      if (!Number.isFinite(value)) this.#refuse(`${text} is beyond a double`);
      this.#at += text.length;
      return value;
    }
    const value = this.#long(text);
    if (this.#text[this.#at] === "L") this.#at++;
    return value;
  }

  /**
   * Beyond 2^53 a long becomes the nearest double; who reads it decides whether that will do (bodies/reader.ts refuses it, except for
   * stamps: the Go client numbers its subscriptions in nanoseconds).
   */
  #long(text: string): number {
    const value = Number(text);
    if (Math.abs(value) > 2 ** 63) this.#refuse(`${text} is beyond a Java long`);
    this.#at += text.length;
    return value === 0 ? 0 : value;
  }

  #safeInteger(text: string): number {
    const value = Number(text);
    if (!Number.isSafeInteger(value)) this.#refuse(`${text} is beyond the safe integers (2^53 - 1)`);
    this.#at += text.length;
    return value === 0 ? 0 : value;
  }

  #word<T extends JavaValue>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#refuse(`expected ${word}, found ${this.#here()}`);
    this.#at += word.length;
    return value;
  }

  #enter(): void {
    if (++this.#depth > DEPTH_MAX) this.#refuse(`nested deeper than ${DEPTH_MAX} levels`);
    this.#at++;
  }

  #leave(): void {
    this.#depth--;
    this.#at++;
  }

  #blanks(): void {
    const text = this.#text;
    while (this.#at < text.length && text.charCodeAt(this.#at) <= 0x20) this.#at++;
  }

  #here(): string {
    return this.#at < this.#text.length ? JSON.stringify(this.#text[this.#at]) : "the end of the text";
  }

  #refuse(reason: string): never {
    throw new JavaJsonError(reason, this.#at);
  }
}
