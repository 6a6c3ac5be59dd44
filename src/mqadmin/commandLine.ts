/**
 * Command lines as the official mqadmin reads them (Apache: ServerUtil on commons-cli 1.5's DefaultParser and HelpFormatter): options in
 * any of `-t v`, `-tv`, `-t=v`, `--topic v`, `--topic=v`, `-topic v`, unambiguous beginnings of long names; the same complaints, the same help
 * texts. Own code instead of a library, because scripts meet exactly these rules: `-a -message.type` is an option with a value here.
 * Refuses with {@link UsageError}; what it knows not is left to its caller.
 */

/** One option; `long` without `short` is possible, the reverse is not. */
export interface Option {
  short?: string;
  long: string;
  text: string;
  /** False for a switch. */
  value: boolean;
  required?: boolean;
  /** Options of one group exclude each other, and one of them must be given. */
  group?: string;
}

/** The command line is wrong; the message is commons-cli's. */
export class UsageError extends Error {}

/** What every command takes besides its own options. */
const COMMON: readonly Option[] = [
  { short: "h", long: "help", text: "Print help", value: false },
  {
    short: "n",
    long: "namesrvAddr",
    text: "Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'",
    value: true,
  },
];

/** A required option with a value. */
export function required(short: string, long: string, text: string): Option {
  return { short, long, text, value: true, required: true };
}

/** An option with a value that may be left out. */
export function optional(short: string, long: string, text: string): Option {
  return { short, long, text, value: true };
}

/** An option without a value. */
export function flag(short: string, long: string, text: string): Option {
  return { short, long, text, value: false };
}

/** One of several options of which exactly one must be given. */
export function oneOf(group: string, short: string, long: string, text: string): Option {
  return { short, long, text, value: true, group };
}

/** The options that a command line gave. */
export class Given {
  readonly #values: ReadonlyMap<string, string>;

  constructor(values: ReadonlyMap<string, string>) {
    this.#values = values;
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** An option's value without blanks around it; undefined when it was not given. Keys are short names, long ones where there is none. */
  text(key: string): string | undefined {
    return this.#values.get(key)?.trim();
  }

  /** The value of an option that is required. */
  must(key: string): string {
    return this.text(key) as string;
  }
}

/** Reads `args` by `own` and the common options. @throws UsageError with commons-cli's words */
export function parse(own: readonly Option[], args: readonly string[]): Given {
  return new Parser(allOptions(own)).parse(args);
}

/** The help text of a command, 110 columns wide, as commons-cli prints it. */
export function help(command: string, own: readonly Option[]): string {
  const options = allOptions(own);
  return `${usage(command, options)}\n${table(options)}\n`;
}

/** By short name; where two options have the same one, the later one counts for it. */
function allOptions(own: readonly Option[]): Option[] {
  const byKey = new Map<string, Option>();
  for (const option of [...COMMON, ...own]) byKey.set(keyOf(option), option);
  return [...byKey.values()];
}

function keyOf(option: Option): string {
  return option.short ?? option.long;
}

class Parser {
  readonly #options: readonly Option[];
  readonly #values = new Map<string, string>();
  readonly #groups = new Map<string, Option>();
  /** The option that waits for its value. */
  #open: Option | undefined;

  constructor(options: readonly Option[]) {
    this.#options = options;
  }

  parse(args: readonly string[]): Given {
    let skip = false;
    for (const token of args) {
      if (skip) continue;
      if (token === "--") skip = true;
      else if (this.#open !== undefined && this.#isArgument(token)) this.#give(unquoted(token));
      else if (token.startsWith("--")) this.#long(token);
      else if (token.startsWith("-") && token !== "-") this.#shortOrLong(token);
      // Words that belong to no option are passed over, as mqadmin does.
    }
    this.#needNoValue();
    if (!this.#values.has("h")) this.#needRequired();
    return new Given(this.#values);
  }

  #isArgument(token: string): boolean {
    return !this.#isOption(token) || /^-(\d|\.\d)/.test(token);
  }

  #isOption(token: string): boolean {
    if (!token.startsWith("-") || token.length === 1) return false;
    const name = token.replace(/^--?/, "").split("=", 1)[0];
    if (this.#matching(name).length > 0) return true;
    if (token.startsWith("--")) return false;
    return this.#prefix(name) !== undefined || this.#short(name) !== undefined || this.#short(name[0]) !== undefined;
  }

  #short(name: string | undefined): Option | undefined {
    return this.#options.find((option) => option.short === name && name !== undefined);
  }

  /** The options whose long name begins so; the one whose name it is, if there is one. */
  #matching(beginning: string): Option[] {
    if (beginning === "") return [];
    const exact = this.#options.filter((option) => option.long === beginning);
    return exact.length > 0 ? exact : this.#options.filter((option) => option.long.startsWith(beginning));
  }

  /** The option whose long name the text begins with (`-topicABC`), the longest that is one. */
  #prefix(text: string): Option | undefined {
    for (let end = text.length - 2; end > 1; end--) {
      const found = this.#options.find((option) => option.long === text.slice(0, end));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #long(token: string): void {
    const [name, value] = split(token.slice(2));
    this.#takeMaybeWith(this.#unambiguous(name, token), value, token);
  }

  #shortOrLong(token: string): void {
    const text = token.slice(1);
    const [name, value] = split(text);
    const short = this.#short(name);
    if (name.length === 1 && value !== undefined && !short?.value) {
      throw new UsageError(`Unrecognized option: ${token}`);
    }
    if (short !== undefined && (name.length === 1 || value === undefined)) {
      this.#takeMaybeWith(short, value, token);
    } else if (value !== undefined || (text.length > 1 && this.#matching(text).length > 0)) {
      this.#takeMaybeWith(this.#unambiguous(name, token), value, token);
    } else {
      const prefix = this.#prefix(text);
      if (prefix?.value) this.#takeMaybeWith(prefix, text.slice(prefix.long.length), token);
      else this.#letters(token);
    }
  }

  /** `-lt X`: switches one after the other, the rest is the value of the first that takes one. */
  #letters(token: string): void {
    for (let i = 1; i < token.length; i++) {
      const option = this.#short(token[i]);
      if (option === undefined) throw new UsageError(`Unrecognized option: ${token}`);
      this.#take(option);
      if (this.#open === undefined || i + 1 === token.length) continue;
      this.#give(token.slice(i + 1));
      return;
    }
  }

  #unambiguous(name: string, token: string): Option {
    const found = this.#matching(name);
    if (found.length === 0) throw new UsageError(`Unrecognized option: ${token}`);
    if (found.length > 1) {
      const could = found.map((option) => `'${option.long}'`).join(", ");
      throw new UsageError(`Ambiguous option: '${token}'  (could be: ${could})`);
    }
    return found[0];
  }

  #takeMaybeWith(option: Option, value: string | undefined, token: string): void {
    if (value !== undefined && !option.value) throw new UsageError(`Unrecognized option: ${token}`);
    this.#take(option);
    if (value !== undefined) this.#give(value);
  }

  #take(option: Option): void {
    this.#needNoValue();
    if (option.group !== undefined) {
      const other = this.#groups.get(option.group);
      if (other !== undefined && other !== option) {
        throw new UsageError(
          `The option '${keyOf(option)}' was specified but an option from this group has already been selected: '${keyOf(other)}'`,
        );
      }
      this.#groups.set(option.group, option);
    }
    if (option.value) this.#open = option;
    else this.#values.set(keyOf(option), "");
  }

  #give(value: string): void {
    const key = keyOf(this.#open as Option);
    // Given twice, the first one counts.
    if (!this.#values.has(key)) this.#values.set(key, value);
    this.#open = undefined;
  }

  #needNoValue(): void {
    if (this.#open !== undefined) throw new UsageError(`Missing argument for option: ${keyOf(this.#open)}`);
  }

  #needRequired(): void {
    const missing: string[] = [];
    for (const option of this.#options) {
      if (option.required && !this.#values.has(keyOf(option))) missing.push(keyOf(option));
      else if (option.group !== undefined && !this.#groups.has(option.group)) {
        const members = this.#options.filter(({ group }) => group === option.group);
        const text = `[${members.map((member) => `-${keyOf(member)} ${member.text}`).join(", ")}]`;
        if (!missing.includes(text)) missing.push(text);
      }
    }
    if (missing.length > 0) {
      throw new UsageError(`Missing required option${missing.length === 1 ? "" : "s"}: ${missing.join(", ")}`);
    }
  }
}

function split(text: string): [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** commons-cli takes one pair of quotes away that a shell has left. */
function unquoted(text: string): string {
  return text.length > 1 && /^"[^"]*"$/.test(text) ? text.slice(1, -1) : text;
}

const WIDTH = 110;
const PREFIX = "usage: ";
const GAP = 3;

function sorted(options: readonly Option[]): Option[] {
  return [...options].sort((a, b) => {
    const [one, other] = [keyOf(a).toLowerCase(), keyOf(b).toLowerCase()];
    return one < other ? -1 : one > other ? 1 : 0;
  });
}

function usage(command: string, options: readonly Option[]): string {
  const parts: string[] = [];
  const groups = new Set<string>();
  const one = (option: Option) =>
    `${option.short === undefined ? `--${option.long}` : `-${option.short}`}${option.value ? " <arg>" : ""}`;
  for (const option of sorted(options)) {
    if (option.group === undefined) parts.push(option.required ? one(option) : `[${one(option)}]`);
    else if (!groups.has(option.group)) {
      groups.add(option.group);
      const members = sorted(options.filter(({ group }) => group === option.group));
      // HelpFormatter leaves one more blank behind a group.
      parts.push(`${members.map(one).join(" | ")} `);
    }
  }
  const text = `${PREFIX}${command} ${parts.join(" ")}`;
  return wrapped(text.trimEnd(), PREFIX.length);
}

function table(options: readonly Option[]): string {
  const rows = sorted(options).map((option) => {
    const name = option.short === undefined ? `    --${option.long}` : ` -${option.short},--${option.long}`;
    return { left: name + (option.value ? " <arg>" : ""), text: option.text };
  });
  const width = Math.max(...rows.map(({ left }) => left.length)) + GAP;
  return rows.map(({ left, text }) => wrapped(left.padEnd(width) + text, width)).join("\n");
}

/** Breaks a text at blanks into lines of at most {@link WIDTH} columns, all but the first indented. */
function wrapped(text: string, indent: number): string {
  const lines: string[] = [];
  let rest = text;
  let end = breakAt(rest);
  while (end !== -1) {
    lines.push(rest.slice(0, end).trimEnd());
    rest = " ".repeat(indent) + rest.slice(end).trim();
    end = breakAt(rest);
    if (end === indent - 1 && rest.length > WIDTH) end = WIDTH;
  }
  lines.push(rest);
  return lines.join("\n");
}

function breakAt(text: string): number {
  if (text.length <= WIDTH) return -1;
  const at = text.lastIndexOf(" ", WIDTH);
  return at > 0 ? at : WIDTH;
}
