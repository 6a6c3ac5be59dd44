/** Texts as Java prints them: `String.format`, dates, maps in HashMap's order, fastjson2's indented JSON. Pure functions. */
import { localTimestamp } from "../base/clock.ts";
import { javaHashCode } from "../base/javaHash.ts";
import { javaDouble, writeJavaJson } from "../protocol/javaJson.ts";

/** `String.format` with %s, %d, %f, widths, `-` and precisions; %n is a line feed. */
export function format(pattern: string, ...args: readonly unknown[]): string {
  let next = 0;
  return pattern.replace(/%(?:n|(-?)(\d*)(?:\.(\d+))?([sdf]))/g, (found, left, width, precision, kind) => {
    if (found === "%n") return "\n";
    const value = args[next++];
    const text = kind === "f" ? (value as number).toFixed(Number(precision)) : String(value ?? "null");
    return left === "-" ? text.padEnd(Number(width)) : text.padStart(Number(width));
  });
}

/** UtilAll.frontStringAtLeast: at most `length` characters. */
export function front(text: string, length: number): string {
  return text.slice(0, length);
}

/** `yyyy-MM-dd HH:mm:ss,SSS` in local time. */
export function humanTime(timeMs: number): string {
  return `${humanSeconds(timeMs)},${localTimestamp(timeMs).slice(14)}`;
}

/** `yyyy-MM-dd HH:mm:ss` in local time. */
export function humanSeconds(timeMs: number): string {
  const t = localTimestamp(timeMs);
  return `${t.slice(0, 4)}-${t.slice(4, 6)}-${t.slice(6, 8)} ${t.slice(8, 10)}:${t.slice(10, 12)}:${t.slice(12, 14)}`;
}

/** Double.toString. */
export function doubleText(value: number): string {
  return writeJavaJson(javaDouble(value));
}

/** Map.toString of a HashMap: `{a=1, b=2}` in the order of its buckets. `capacity` is what the map was made with. */
export function hashMapText(map: ReadonlyMap<string, string>, capacity = 16): string {
  return `{${hashOrder([...map], ([key]) => javaHashCode(key), capacity)
    .map(([key, value]) => `${key}=${value}`)
    .join(", ")}}`;
}

/** Items in the order in which a HashMap or HashSet of theirs is walked through; `capacity` is what it was made with. */
export function hashOrder<T>(items: readonly T[], hash: (item: T) => number, capacity = 16): T[] {
  let size = 16;
  while (size < capacity || items.length > size * 0.75) size *= 2;
  const bucket = (item: T) => {
    const h = hash(item);
    return (h ^ (h >>> 16)) & (size - 1);
  };
  return items
    .map((item) => ({ item, at: bucket(item) }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** JSON with tabs, as fastjson2's PrettyFormat; beans are plain objects (fields by name), maps are Maps, integer keys stay bare. */
export function prettyJson(value: unknown, depth = 0): string {
  const inner = "\t".repeat(depth + 1);
  const outer = "\t".repeat(depth);
  const block = (open: string, items: string[], close: string) =>
    items.length === 0 ? open + close : `${open}\n${inner}${items.join(`,\n${inner}`)}\n${outer}${close}`;
  if (Array.isArray(value)) {
    return block(
      "[",
      value.map((item) => prettyJson(item, depth + 1)),
      "]",
    );
  }
  if (value === null || typeof value !== "object") return writeJavaJson(value);
  const entries =
    value instanceof Map ? [...value] : Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const items = entries
    .filter(([, item]) => item !== undefined && item !== null)
    .map(([key, item]) => `${writeJavaJson(key)}:${prettyJson(item, depth + 1)}`);
  return block("{", items, "}");
}
