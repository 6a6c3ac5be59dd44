/**
 * All options of one process role: Apache's rows joined with our help, and the look-up by any spelling that is accepted.
 */
import type { ApacheOption, Help, Option } from "./option.ts";

export interface OptionTable<Key extends string = string> {
  /** Sorted by key, as Apache prints them. */
  readonly rows: readonly Option<Key>[];
  /** Apache classes whose keys a file may set, but getBrokerConfig/getNamesrvConfig does not print. */
  readonly unprinted: ReadonlySet<string>;
  readonly byKey: ReadonlyMap<string, Option<Key>>;
}

/**
 * @param defaults values that Apache's start-up class sets before it reads the file, by key.
 * @param help the options that Skylark acts on; all others become `accepted`.
 */
export function optionTable<Key extends string>(
  options: readonly ApacheOption<Key>[],
  defaults: Partial<Record<Key, string>>,
  help: Partial<Record<Key, Help>>,
  unprinted: readonly string[],
): OptionTable<Key> {
  const rows = options.map((option): Option<Key> => {
    const ours = help[option.key];
    return {
      ...option,
      default: defaults[option.key] ?? option.default,
      effect: ours === undefined ? "accepted" : "live",
      help: ours?.help ?? "",
      reloadable: ours?.reloadable ?? true,
    };
  });
  return { rows, unprinted: new Set(unprinted), byKey: new Map(rows.map((row) => [row.key, row])) };
}

/**
 * The row that `written` names. Besides Apache 5.5.0's own keys: the other spelling of Maped/Mapped (RocketMQ 4 wrote
 * mapedFileSizeCommitLog, 5 writes mappedFileSizeCommitLog and ignores the old one in silence), and the setter's name of a
 * field that starts with `is` (Apache sets inBrokerContainer and prints isInBrokerContainer).
 */
export function findOption<Key extends string>(table: OptionTable<Key>, written: string): Option<Key> | undefined {
  const spellings = [
    written,
    written.replace(/([Mm])aped/, "$1apped"),
    written.replace(/([Mm])apped/, "$1aped"),
    `is${written.charAt(0).toUpperCase()}${written.slice(1)}`,
  ];
  for (const spelling of spellings) {
    const row = table.byKey.get(spelling);
    if (row !== undefined) return row;
  }
  return undefined;
}
