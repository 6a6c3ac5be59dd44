/**
 * The limits that a configuration file may set, by keys of ours (base/limits.ts says what each is for). They act at the start, and no request
 * changes them.
 */
import { KEYED_LIMITS, type LimitKey, type Limits } from "../base/limits.ts";
import { nearestKey } from "./nearest.ts";
import { ConfigError } from "./option.ts";

const KEYS = Object.keys(KEYED_LIMITS) as LimitKey[];

/** Whether a key of a file belongs here. */
export function isLimitKey(key: string): boolean {
  return key.startsWith("limit.");
}

/** The limits of a configuration's entries. @throws ConfigError naming every wrong one */
export function loadLimits(entries: ReadonlyMap<string, string>): Limits {
  const problems: string[] = [];
  for (const [key, text] of entries) {
    if (!isLimitKey(key)) continue;
    if (!(key in KEYED_LIMITS)) {
      const nearest = nearestKey(key, KEYS);
      problems.push(`unknown limit ${key}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`);
    } else if (!/^\d+$/.test(text.trim()) || !(Number(text) > 0) || !Number.isSafeInteger(Number(text))) {
      problems.push(`${key}=${text.trim()}: not a whole number above 0`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.fromEntries(KEYS.map((key) => [key, Number(entries.get(key) ?? KEYED_LIMITS[key].value)])) as Record<
    LimitKey,
    number
  >;
}
