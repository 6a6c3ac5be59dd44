/**
 * What an option is, and how its text becomes a value. Refuses text that is not of the option's type with one exact
 * sentence, where Apache (MixAll.properties2Object) silently keeps the default.
 */

export type OptionType = "string" | "int" | "long" | "double" | "boolean" | "enum";
export type OptionValue = string | number | boolean | undefined;

/** An option as Apache's classes declare it: a generated row. */
export interface ApacheOption<Key extends string = string> {
  readonly key: Key;
  readonly type: OptionType;
  /** As text, machine-dependent parts as `${...}` (see machine.ts); undefined is Java's null. */
  readonly default: string | undefined;
  /** The Apache class that declares it. */
  readonly apache: string;
  /** The names an enum option takes. */
  readonly values?: readonly string[];
  /** Absent means true; false: Apache prints the key, but no properties file can set it. */
  readonly settable?: false;
  /** Printed by `mqbroker -m`. */
  readonly important?: true;
}

/** What is ours to say about an option that Skylark acts on. */
export interface Help {
  /** One line, with the unit. */
  readonly help: string;
  /** Whether a change by `mqadmin updateBrokerConfig` acts at once; otherwise at the next start. */
  readonly reloadable: boolean;
}

/** A full option row. `accepted`: the key is Apache's and is kept and printed, but nothing here acts on it. */
export interface Option<Key extends string = string> extends ApacheOption<Key>, Help {
  readonly effect: "live" | "accepted";
}

/** One or more things wrong with a configuration; `message` has one problem per line. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

/**
 * The value of `text` for `option`; surrounding blanks do not count. `written` is the key as the operator wrote it.
 * @throws ConfigError such as `listenPort=abc: not an integer`.
 */
export function coerce(option: ApacheOption, text: string, written: string = option.key): OptionValue {
  const value = text.trim();
  const refuse = (reason: string): never => {
    throw new ConfigError([`${written}=${value}: ${reason}`]);
  };
  switch (option.type) {
    case "string":
      return value;
    case "int":
    case "long": {
      if (!/^[+-]?\d+$/.test(value)) return refuse("not an integer");
      const number = Number(value);
      if (option.type === "int" && (number < INT_MIN || number > INT_MAX)) return refuse("not a 32-bit integer");
      if (!Number.isSafeInteger(number)) return refuse("larger than 2^53");
      return number;
    }
    case "double":
      return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value) ? Number(value) : refuse("not a number");
    case "boolean": {
      const lower = value.toLowerCase();
      return lower === "true" || lower === "false" ? lower === "true" : refuse("neither true nor false");
    }
    case "enum":
      return option.values?.includes(value) ? value : refuse(`not one of ${option.values?.join(", ")}`);
  }
}

/** The text of a value as Java prints it; undefined stays undefined (Apache leaves null options out). */
export function textOf(option: ApacheOption, value: OptionValue): string | undefined {
  if (value === undefined) return undefined;
  return option.type === "double" && typeof value === "number" ? doubleText(value) : String(value);
}

/** Double.toString: a fraction always, and an exponent outside [1e-3, 1e7). */
function doubleText(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) {
    const [mantissa, exponent] = value.toExponential().split("e");
    return `${mantissa.includes(".") ? mantissa : `${mantissa}.0`}E${Number(exponent)}`;
  }
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}
