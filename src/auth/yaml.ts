/**
 * The part of YAML that plain_acl.yml and its like are written in: one mapping, whose values are scalars, lists of scalars, or
 * lists of mappings of the same kind; comments; quotes. Everything has its line, because whoever mistyped a right must be told
 * where. Refuses everything else with {@link YamlError} rather than guess what a right means.
 */

export class YamlError extends Error {
  readonly line: number;

  /** @param line counted from 1 */
  constructor(line: number, reason: string) {
    super(reason);
    this.line = line;
  }
}

export interface Scalar {
  readonly kind: "scalar";
  readonly text: string;
  readonly line: number;
}
export interface Sequence {
  readonly kind: "list";
  readonly items: readonly Yaml[];
  readonly line: number;
}
export interface Mapping {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, Yaml>;
  readonly line: number;
}
export type Yaml = Scalar | Sequence | Mapping;

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

/** The mapping that `text` is. @throws YamlError */
export function parseYaml(text: string): Mapping {
  const lines: Line[] = [];
  for (const [i, raw] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    const bare = withoutComment(raw, i + 1).trimEnd();
    if (bare.trim() === "" || (bare === "---" && lines.length === 0)) continue;
    const indent = bare.length - bare.trimStart().length;
    if (bare.slice(0, indent).includes("\t")) throw new YamlError(i + 1, "tabs cannot indent");
    lines.push({ number: i + 1, indent, text: bare.trimStart() });
  }
  if (lines.length === 0) return { kind: "map", entries: new Map(), line: 1 };
  const reader = new Reader(lines);
  const map = reader.mapping(lines[0].indent);
  reader.end();
  return map;
}

class Reader {
  readonly #lines: Line[];
  #at = 0;

  constructor(lines: Line[]) {
    this.#lines = lines;
  }

  end(): void {
    const next = this.#lines[this.#at];
    if (next !== undefined) throw new YamlError(next.number, "is indented like nothing before it");
  }

  mapping(indent: number): Mapping {
    const entries = new Map<string, Yaml>();
    const { number } = this.#lines[this.#at];
    for (;;) {
      const line = this.#lines[this.#at];
      if (line === undefined || line.indent !== indent || isItem(line)) break;
      const found = /^([^\s:"'[\]{},#&*!|>%@`-][^:]*?)\s*:(?:\s+(.*))?$/.exec(line.text);
      if (found === null) throw new YamlError(line.number, `expected "key: value", found ${quoted(line.text)}`);
      const [, key, value] = found;
      if (entries.has(key)) throw new YamlError(line.number, `${key} is there twice`);
      this.#at++;
      entries.set(key, value === undefined || value === "" ? this.#below(line) : scalar(value, line.number));
    }
    return { kind: "map", entries, line: number };
  }

  /** What stands under a key; nothing at all is an empty text. */
  #below(key: Line): Yaml {
    const next = this.#lines[this.#at];
    if (next !== undefined && isItem(next) && next.indent >= key.indent) return this.#list(next.indent);
    if (next !== undefined && next.indent > key.indent) return this.mapping(next.indent);
    return { kind: "scalar", text: "", line: key.number };
  }

  #list(indent: number): Sequence {
    const items: Yaml[] = [];
    const { number } = this.#lines[this.#at];
    for (;;) {
      const line = this.#lines[this.#at];
      if (line === undefined || line.indent !== indent || !isItem(line)) break;
      const rest = line.text.slice(1).trimStart();
      if (rest === "") throw new YamlError(line.number, "an item without anything in it");
      if (/^[^\s"'[\]{}][^:]*:(\s|$)/.test(rest)) {
        // The mapping of an item begins behind its dash.
        const inner = indent + line.text.length - rest.length;
        this.#lines[this.#at] = { number: line.number, indent: inner, text: rest };
        items.push(this.mapping(inner));
      } else {
        items.push(scalar(rest, line.number));
        this.#at++;
      }
    }
    return { kind: "list", items, line: number };
  }
}

function isItem({ text }: Line): boolean {
  return text === "-" || text.startsWith("- ");
}

function scalar(text: string, line: number): Scalar | Sequence {
  const flow = /^\[(.*)\]$/.exec(text);
  if (flow !== null) {
    const items = flow[1].trim() === "" ? [] : flow[1].split(",").map((item) => scalar(item.trim(), line));
    return { kind: "list", items, line };
  }
  const double = /^"((?:[^"\\]|\\.)*)"$/.exec(text);
  if (double !== null) return { kind: "scalar", text: double[1].replaceAll(/\\(["\\/])/g, "$1"), line };
  const single = /^'((?:[^']|'')*)'$/.exec(text);
  if (single !== null) return { kind: "scalar", text: single[1].replaceAll("''", "'"), line };
  if (/^["'[{&*!|>%@`]/.test(text) && text !== "*" && !text.startsWith("*.")) {
    throw new YamlError(line, `${quoted(text)} is none of the values that can be here`);
  }
  return { kind: "scalar", text: text === "~" || text === "null" ? "" : text, line };
}

/** A `#` begins a comment at the start of a line and behind a blank, outside of quotes. */
function withoutComment(line: string, number: number): string {
  let quote = "";
  for (let i = 0; i < line.length; i++) {
    const c = line[i];
    if (quote !== "") {
      if (c === "\\" && quote === '"') i++;
      else if (c === quote) quote = "";
    } else if ((c === '"' || c === "'") && /[\s:[,-]/.test(line[i - 1] ?? " ")) quote = c;
    else if (c === "#" && /\s/.test(line[i - 1] ?? " ")) return line.slice(0, i);
  }
  if (quote !== "") throw new YamlError(number, "a quote that does not end");
  return line;
}

/** What is wrong may be next to a secret: its first characters do. */
function quoted(text: string): string {
  return `"${text.slice(0, 12)}${text.length > 12 ? "..." : ""}"`;
}
