/**
 * Text entries -> a typed configuration, and back. One problem refuses the whole configuration ({@link ConfigError}, all
 * problems at once); what merely has no effect becomes a warning. Mirrors MixAll.properties2Object and
 * org.apache.rocketmq.remoting.Configuration, which do the same silently.
 */
import { isLimitKey } from "./limits.ts";
import { type Machine, resolveDefault } from "./machine.ts";
import { nearestKey } from "./nearest.ts";
import { ConfigError, coerce, type Option, type OptionValue, textOf } from "./option.ts";
import { findOption, type OptionTable } from "./table.ts";
import { isTlsKey } from "./tls.ts";

/** What every configuration carries besides its options. */
export interface Provenance {
  /** The entries as given, unknown keys included. `given.has("brokerIP1")`: the operator chose it, it is no default. */
  readonly given: Map<string, string>;
  /** Changes that wait for the next start, by key. */
  readonly pending: Map<string, string>;
}

export type Configuration<Options> = Options & Provenance;

export interface Loaded<Options> {
  readonly config: Configuration<Options>;
  readonly warnings: string[];
}

/** The outcome of a change at run time. */
export interface Updated {
  /** Keys that act at once. */
  readonly changed: string[];
  /** Keys that act at the next start. */
  readonly pending: string[];
  readonly warnings: string[];
}

type Values = Record<string, OptionValue>;

/** A configuration of `table` from its defaults and `entries`. @throws ConfigError */
export function load<Options extends object>(
  table: OptionTable<keyof Options & string>,
  entries: ReadonlyMap<string, string>,
  machine: Machine,
): Loaded<Options> {
  const read = readEntries(table, entries);
  const values: Values = {};
  for (const row of table.rows) {
    values[row.key] = row.default === undefined ? undefined : coerce(row, resolveDefault(row.default, machine));
  }
  const given = new Map(read.unknown);
  for (const [key, { written, value, text }] of read.known) {
    values[key] = value;
    given.set(written, text);
  }
  const config = { ...values, given, pending: new Map<string, string>() } as unknown as Configuration<Options>;
  return { config, warnings: read.warnings };
}

/**
 * Changes `config` in place: reloadable options at once, others are remembered and printed but act at the next start.
 * Nothing changes when one value is wrong. @throws ConfigError
 */
export function update<Options extends object>(
  table: OptionTable<keyof Options & string>,
  config: Configuration<Options>,
  entries: ReadonlyMap<string, string>,
): Updated {
  const { known, unknown, warnings } = readEntries(table, entries);
  // What is in a file at the start may be a newer release's; what is asked for by name is a mistake.
  if (unknown.size > 0) throw new ConfigError(unknownKeys(table, [...unknown.keys()]));
  const changed: string[] = [];
  const pending: string[] = [];
  for (const [key, { row, value, text }] of known) {
    if (row.reloadable) {
      (config as unknown as Values)[key] = value;
      changed.push(key);
    } else {
      config.pending.set(key, textOf(row, value) ?? "");
      pending.push(key);
      warnings.push(`${key}=${text} acts at the next start`);
    }
    for (const other of config.given.keys()) if (findOption(table, other) === row) config.given.delete(other);
    config.given.set(key, text);
  }
  return { changed, pending, warnings };
}

/** Options whose values are passwords: used, never shown. */
export const SECRET_KEYS: readonly string[] = [
  "initAuthenticationUser",
  "innerClientAuthenticationCredentials",
  "tlsKeyPassword",
];

/**
 * Every option as text but passwords, sorted by key, as Apache's Configuration.getAllConfigsFormatString gives them: null options are left
 * out, entries that Apache does not know stay as they were given.
 */
export function print<Options extends object>(
  table: OptionTable<keyof Options & string>,
  config: Configuration<Options>,
): Map<string, string> {
  const texts = new Map(config.given);
  for (const row of table.rows) {
    if (table.unprinted.has(row.apache)) continue;
    const text = config.pending.get(row.key) ?? textOf(row, (config as unknown as Values)[row.key]);
    if (text !== undefined) texts.set(row.key, text);
  }
  for (const key of SECRET_KEYS) texts.delete(key);
  return new Map([...texts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

interface Entry {
  readonly row: Option;
  readonly written: string;
  readonly value: OptionValue;
  readonly text: string;
}

interface ReadEntries {
  readonly known: Map<string, Entry>;
  readonly unknown: Map<string, string>;
  readonly warnings: string[];
}

/** Unknown keys that are named one by one: a request may hold tens of thousands, and each is compared with every known one. */
const UNKNOWN_TOLD_MAX = 8;

function unknownKeys(table: OptionTable, keys: readonly string[]): string[] {
  const told = keys.slice(0, UNKNOWN_TOLD_MAX).map((key) => unknownKey(table, key));
  const more = keys.length - told.length;
  return more === 0 ? told : [...told, `${more} more unknown keys have no effect`];
}

function unknownKey(table: OptionTable, key: string): string {
  const nearest = nearestKey(key, table.byKey.keys());
  return `unknown key ${key} has no effect${nearest === undefined ? "" : `; did you mean ${nearest}?`}`;
}

function readEntries(table: OptionTable, entries: ReadonlyMap<string, string>): ReadEntries {
  const known = new Map<string, Entry>();
  const unknown = new Map<string, string>();
  const warnings: string[] = [];
  const problems: string[] = [];
  for (const [written, text] of entries) {
    const row = findOption(table, written);
    if (row === undefined) {
      unknown.set(written, text);
      continue;
    }
    try {
      const other = known.get(row.key);
      const entry = { row, written, value: coerce(row, text, written), text: text.trim() };
      if (other !== undefined && other.value !== entry.value) {
        problems.push(
          `${other.written}=${shown(row, other.text)} and ${written}=${shown(row, entry.text)}: two spellings of one option`,
        );
      }
      known.set(row.key, entry);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
      continue;
    }
    if (hasNoEffect(row, text))
      warnings.push(`${written}=${shown(row, text.trim())} has no effect here (an option of Apache's ${row.apache})`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  // TLS keys are read by loadTls, limits by loadLimits, and kept among the given ones.
  const strange = [...unknown.keys()].filter((key) => !isTlsKey(key) && !isLimitKey(key));
  return { known, unknown, warnings: [...unknownKeys(table, strange), ...warnings] };
}

/** A value as a message may show it. */
function shown(row: Option, text: string): string {
  return SECRET_KEYS.includes(row.key) ? "..." : text;
}

/** Saying the default of an option that nothing acts on changes nothing, so it deserves no warning. */
function hasNoEffect(row: Option, text: string): boolean {
  return row.effect === "accepted" && text.trim() !== (row.default ?? "");
}
