/**
 * Typed reading of JSON bodies with fastjson's conversions: a missing or null field takes the Java class's default, numbers
 * may come as text and the reverse, fractions are cut, unknown fields are ignored.
 * Refuses what cannot be converted with {@link BodyError}: class, path and reason.
 */
import type { Buffer } from "node:buffer";
import { JavaJsonError, type JavaKey, type JavaMap, type JavaValue, parseJavaJson } from "../javaJson.ts";

/** A body that is not what its request code says; the message is fit to be sent as a remark. */
export class BodyError extends Error {}

/** Reads `text` as the JSON object of Apache's class `name`. */
export function readBean(name: string, text: Buffer | string): Bean {
  const json = typeof text === "string" ? text : text.toString("utf8");
  if (json.length === 0) throw new BodyError(`${name}: the body is empty`);
  let value: JavaValue;
  try {
    value = parseJavaJson(json);
  } catch (error) {
    if (error instanceof JavaJsonError) throw new BodyError(`${name}: ${error.message}`);
    throw error;
  }
  return new Bean(beanFields(value, name), name);
}

/** One JSON object and the path that leads to it. */
export class Bean {
  readonly #fields: JavaMap;
  readonly #path: string;

  constructor(fields: JavaMap, path: string) {
    this.#fields = fields;
    this.#path = path;
  }

  has(name: string): boolean {
    return (this.#fields.get(name) ?? null) !== null;
  }

  text(name: string): string | undefined {
    const value = this.#fields.get(name) ?? null;
    return value === null ? undefined : toText(value, this.#of(name));
  }

  /** A Java int or long. */
  integer(name: string, absent: number): number {
    return this.optionalInteger(name) ?? absent;
  }

  optionalInteger(name: string): number | undefined {
    const value = this.#fields.get(name) ?? null;
    return value === null ? undefined : toInteger(value, this.#of(name));
  }

  /** A Java double. */
  double(name: string, absent: number): number {
    const value = this.#fields.get(name) ?? null;
    if (value === null) return absent;
    const number = typeof value === "string" ? Number(value) : value;
    if (typeof number !== "number" || Number.isNaN(number)) refuse(this.#of(name), value, "a number");
    return number;
  }

  /**
   * A long that is only ever compared: beyond 2^53 it is the nearest double. Go's client sends its subscription versions as
   * nanoseconds (19 digits), so two of them within 256 ns would look the same.
   */
  stamp(name: string, absent: number): number {
    const value = this.#fields.get(name) ?? null;
    return typeof value === "number" ? Math.trunc(value) : this.integer(name, absent);
  }

  boolean(name: string, absent: boolean): boolean {
    const value = this.#fields.get(name) ?? null;
    if (value === null) return absent;
    if (typeof value === "boolean") return value;
    if (value === 1 || value === "1" || value === "true" || value === "TRUE") return true;
    if (value === 0 || value === "0" || value === "false" || value === "FALSE") return false;
    return refuse(this.#of(name), value, "a boolean");
  }

  /** A list or set; undefined when absent. */
  list<T>(name: string, read: (value: JavaValue, path: string) => T): T[] | undefined {
    const value = this.#fields.get(name) ?? null;
    if (value === null) return undefined;
    return asList(read)(value, this.#of(name));
  }

  /** A map; undefined when absent. Entries with null values are left out. */
  map<K, V>(
    name: string,
    readKey: (key: JavaKey, path: string) => K,
    readValue: (value: JavaValue, path: string) => V,
  ): Map<K, V> | undefined {
    const value = this.#fields.get(name) ?? null;
    if (value === null) return undefined;
    return asMap(readKey, readValue)(value, this.#of(name));
  }

  /** A nested object; undefined when absent. */
  bean<T>(name: string, read: (bean: Bean) => T): T | undefined {
    const value = this.#fields.get(name) ?? null;
    return value === null ? undefined : read(new Bean(beanFields(value, this.#of(name)), this.#of(name)));
  }

  #of(name: string): string {
    return `${this.#path}.${name}`;
  }
}

/** Turns a reader of beans into a reader of list items or map values. */
export function asBean<T>(read: (bean: Bean) => T): (value: JavaValue, path: string) => T {
  return (value, path) => read(new Bean(beanFields(value, path), path));
}

/** A reader of lists, from a reader of items. */
export function asList<T>(read: (value: JavaValue, path: string) => T): (value: JavaValue, path: string) => T[] {
  return (value, path) => {
    if (!Array.isArray(value)) refuse(path, value, "a list");
    return value.map((item, i) => read(item, `${path}[${i}]`));
  };
}

/** A reader of maps, from readers of keys and values. Entries with null values are left out. */
export function asMap<K, V>(
  readKey: (key: JavaKey, path: string) => K,
  readValue: (value: JavaValue, path: string) => V,
): (value: JavaValue, path: string) => Map<K, V> {
  return (value, path) => {
    if (!(value instanceof Map)) refuse(path, value, "an object");
    const map = new Map<K, V>();
    for (const [key, item] of value) {
      if (item === null) continue;
      const itemPath = `${path}{${show(key)}}`;
      map.set(readKey(key, itemPath), readValue(item, itemPath));
    }
    return map;
  };
}

/** A string; numbers and booleans by their text, as in Java. */
export function toText(value: JavaValue, path: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return refuse(path, value, "a string");
}

/** A Java int or long: fractions are cut, text is parsed. */
export function toInteger(value: JavaValue, path: string): number {
  if (typeof value === "number") return whole(value, path);
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string" && /^[+-]?\d+$/.test(value)) return whole(Number(value), path);
  return refuse(path, value, "an integer");
}

/** A map key that Java declares as Integer or Long, quoted or not. */
export function integerKey(key: JavaKey, path: string): number {
  return toInteger(key, path);
}

/** A map key that Java declares as String. */
export function textKey(key: JavaKey, path: string): string {
  return toText(key, path);
}

function whole(value: number, path: string): number {
  const integer = Math.trunc(value);
  if (!Number.isSafeInteger(integer)) throw new BodyError(`${path}: ${value} is beyond the safe integers (2^53 - 1)`);
  return integer === 0 ? 0 : integer;
}

function beanFields(value: JavaValue, path: string): JavaMap {
  return value instanceof Map ? value : refuse(path, value, "an object");
}

function refuse(path: string, value: JavaValue, wanted: string): never {
  throw new BodyError(`${path}: ${show(value)} is not ${wanted}`);
}

function show(value: JavaValue): string {
  if (value instanceof Map) return "an object";
  if (Array.isArray(value)) return "a list";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
