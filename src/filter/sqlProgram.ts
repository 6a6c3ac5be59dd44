/**
 * A tree of SQL92 as closures over one {@link PropertySlots} (Apache: the evaluate methods of rocketmq-filter).
 *
 * Conditions have four outcomes: true, false, unknown, and failed. Failed is Apache's exception: it ends the whole
 * evaluation, also in `x OR ...`, and the message does not pass. Text is read as the type of the other side: "7.5" is no
 * int, so `a < 8` fails on it; two properties are compared by <, <=, >, >= as doubles.
 * The usual comparisons (a property with a literal) have closures of their own that look at bytes; the rest goes through
 * values.
 */
import { Buffer } from "node:buffer";
import { compareDoubles, INT_MAX, INT_MIN, parseJavaDouble, parseJavaInt, parseJavaLong } from "../base/javaNumbers.ts";
import { PropertySlots } from "./propertySlots.ts";
import {
  compareNumbers,
  numberOf,
  type Order,
  type SqlBoolean,
  type SqlNode,
  type SqlNumber,
  type SqlOperand,
  type TextTest,
} from "./sqlTree.ts";

export const FALSE = 0;
export const TRUE = 1;
export const UNKNOWN = 2;
export const FAILED = 3;
export type Outcome = typeof FALSE | typeof TRUE | typeof UNKNOWN | typeof FAILED;

type Condition = () => Outcome;
/** What an operand is worth; `undefined` when its evaluation failed. */
type Value = string | boolean | SqlNumber | null | undefined;

/** Longer IN lists are looked up in a set of strings. */
const IN_SCANNED_MAX = 16;
/** No comparison gives this. */
const NOT_COMPARABLE = 2;

export class SqlProgram {
  readonly #slots: PropertySlots;
  readonly #run: Condition;

  constructor(tree: SqlBoolean) {
    const names: string[] = [];
    collectNames(tree, names);
    this.#slots = new PropertySlots(names);
    this.#run = new Compiler(this.#slots, names).condition(tree);
  }

  /** Evaluates over the property bytes in `buf[start, end)`. */
  run(buf: Buffer, start: number, end: number): Outcome {
    this.#slots.scan(buf, start, end);
    return this.#run();
  }
}

function collectNames(node: SqlNode, names: string[]): void {
  switch (node.is) {
    case "property":
    case "cast":
    case "in":
      if (!names.includes(node.name)) names.push(node.name);
      return;
    case "not":
    case "CONTAINS":
    case "STARTSWITH":
    case "ENDSWITH":
      collectNames(node.of, names);
      return;
    case "nothing":
      if (node.of !== undefined) collectNames(node.of, names);
      return;
    case "and":
    case "or":
      for (const part of node.parts) collectNames(part, names);
      return;
    case "equal":
    case "order":
      collectNames(node.left, names);
      collectNames(node.right, names);
      return;
    default:
      return;
  }
}

class Compiler {
  readonly #slots: PropertySlots;
  readonly #names: readonly string[];

  constructor(slots: PropertySlots, names: readonly string[]) {
    this.#slots = slots;
    this.#names = names;
  }

  condition(node: SqlBoolean): Condition {
    switch (node.is) {
      case "truth": {
        const outcome = node.value === null ? UNKNOWN : outcomeOf(node.value);
        return () => outcome;
      }
      case "cast": {
        // A property is a string, never a boolean.
        const { starts } = this.#slots;
        const slot = this.#slot(node.name);
        return () => (starts[slot] < 0 ? UNKNOWN : FALSE);
      }
      case "not": {
        const of = this.condition(node.of);
        return () => {
          const outcome = of();
          return outcome === TRUE ? FALSE : outcome === FALSE ? TRUE : outcome;
        };
      }
      case "and":
        return chain(
          node.parts.map((part) => this.condition(part)),
          FALSE,
          TRUE,
        );
      case "or":
        return chain(
          node.parts.map((part) => this.condition(part)),
          TRUE,
          FALSE,
        );
      case "equal":
        return this.#equal(node.left, node.right);
      case "order":
        return this.#order(node.order, node.left, node.right);
      case "in":
        return this.#in(node.name, node.list, node.not);
      default:
        return this.#textTest(node.is, node.of, node.search, node.not);
    }
  }

  #slot(name: string): number {
    return this.#names.indexOf(name);
  }

  #equal(left: SqlNode, right: SqlNode): Condition {
    if (left.is === "property") {
      if (right.is === "truth" && right.value === null) return this.#missing(left.name);
      if (right.is === "text" && isPlain(right.value)) return this.#equalText(left.name, right.value);
      if (right.is === "number" && right.number.kind !== "double")
        return this.#compareInteger(left.name, right.number, isZero);
    }
    const l = this.#value(left);
    const r = this.#value(right);
    return () => equalValues(l(), r());
  }

  #missing(name: string): Condition {
    const { starts } = this.#slots;
    const slot = this.#slot(name);
    return () => (starts[slot] < 0 ? TRUE : FALSE);
  }

  #equalText(name: string, text: string): Condition {
    const slots = this.#slots;
    const slot = this.#slot(name);
    const bytes = Buffer.from(text, "utf8");
    return () => (slots.starts[slot] < 0 ? UNKNOWN : slots.is(slot, bytes) ? TRUE : FALSE);
  }

  #order(order: Order, left: SqlOperand, right: SqlOperand): Condition {
    const holds = HOLDS[order];
    if (left.is === "property" && right.is === "number" && right.number.kind !== "double") {
      return this.#compareInteger(left.name, right.number, holds);
    }
    const l = this.#value(left);
    const r = this.#value(right);
    return () => {
      const lv = l();
      if (lv === null) return UNKNOWN;
      if (lv === undefined) return FAILED;
      const rv = r();
      if (rv === null) return UNKNOWN;
      if (rv === undefined) return FAILED;
      const answer = typeof lv === "string" && typeof rv === "string" ? compareAsDoubles(lv, rv) : compare(lv, rv);
      return answer === NOT_COMPARABLE ? FAILED : outcomeOf(holds(answer));
    };
  }

  /** A property with an int or long: most values are plain digits and need no string. */
  #compareInteger(name: string, number: SqlNumber, holds: (answer: number) => boolean): Condition {
    const slots = this.#slots;
    const slot = this.#slot(name);
    const { value, exact } = number;
    const min = number.kind === "int" ? INT_MIN : Number.NEGATIVE_INFINITY;
    const max = number.kind === "int" ? INT_MAX : Number.POSITIVE_INFINITY;
    return () => {
      if (slots.starts[slot] < 0) return UNKNOWN;
      const plain = slots.plainInteger(slot);
      if (plain >= min && plain <= max && exact === undefined) return outcomeOf(holds(plain - value));
      const parsed = parseLike(slots.text(slot) as string, number.kind);
      return parsed === undefined ? FAILED : outcomeOf(holds(compareNumbers(parsed, number)));
    };
  }

  #in(name: string, list: readonly string[], not: boolean): Condition {
    const slots = this.#slots;
    const slot = this.#slot(name);
    const yes = not ? FALSE : TRUE;
    const no = not ? TRUE : FALSE;
    if (list.length > IN_SCANNED_MAX || !list.every(isPlain)) {
      const set = new Set<string | null>(list);
      return () => (slots.starts[slot] < 0 ? UNKNOWN : set.has(slots.text(slot)) ? yes : no);
    }
    const encoded = list.map((text) => Buffer.from(text, "utf8"));
    return () => {
      if (slots.starts[slot] < 0) return UNKNOWN;
      for (let i = 0; i < encoded.length; i++) if (slots.is(slot, encoded[i])) return yes;
      return no;
    };
  }

  /** What has no text is false either way, and so is every search for nothing. */
  #textTest(test: TextTest, of: SqlNode, search: string, not: boolean): Condition {
    if (search === "") return () => FALSE;
    const yes = not ? FALSE : TRUE;
    const no = not ? TRUE : FALSE;
    if (of.is === "property" && isPlain(search)) {
      const slots = this.#slots;
      const slot = this.#slot(of.name);
      const bytes = Buffer.from(search, "utf8");
      switch (test) {
        case "CONTAINS":
          return () => (slots.starts[slot] < 0 ? FALSE : slots.contains(slot, bytes) ? yes : no);
        case "STARTSWITH":
          return () => (slots.starts[slot] < 0 ? FALSE : slots.beginsWith(slot, bytes) ? yes : no);
        default:
          return () => (slots.starts[slot] < 0 ? FALSE : slots.endsWith(slot, bytes) ? yes : no);
      }
    }
    const value = this.#value(of);
    const found = TEXT_TESTS[test];
    return () => {
      const text = value();
      if (text === undefined) return FAILED;
      if (typeof text !== "string") return FALSE;
      return found(text, search) ? yes : no;
    };
  }

  #value(node: SqlNode): () => Value {
    switch (node.is) {
      case "property": {
        const slots = this.#slots;
        const slot = this.#slot(node.name);
        return () => slots.text(slot);
      }
      case "text":
        return () => node.value;
      case "number":
        return () => node.number;
      case "nothing": {
        if (node.of === undefined) return () => null;
        const of = this.condition(node.of);
        return () => (of() === FAILED ? undefined : null);
      }
      default: {
        const of = this.condition(node);
        return () => VALUES[of()];
      }
    }
  }
}

const VALUES: readonly (boolean | null | undefined)[] = [false, true, null, undefined];

const HOLDS: Readonly<Record<Order, (answer: number) => boolean>> = {
  "<": (answer) => answer < 0,
  "<=": (answer) => answer <= 0,
  ">": (answer) => answer > 0,
  ">=": (answer) => answer >= 0,
};

const TEXT_TESTS: Readonly<Record<TextTest, (text: string, search: string) => boolean>> = {
  CONTAINS: (text, search) => text.includes(search),
  STARTSWITH: (text, search) => text.startsWith(search),
  ENDSWITH: (text, search) => text.endsWith(search),
};

function isZero(answer: number): boolean {
  return answer === 0;
}

function outcomeOf(truth: boolean): Outcome {
  return truth ? TRUE : FALSE;
}

/** AND and OR over their parts in order: `decisive` ends it, and so does a failure; unknown is remembered. */
function chain(parts: readonly Condition[], decisive: Outcome, otherwise: Outcome): Condition {
  return () => {
    let answer = otherwise;
    for (let i = 0; i < parts.length; i++) {
      const outcome = parts[i]();
      if (outcome === decisive || outcome === FAILED) return outcome;
      if (outcome === UNKNOWN) answer = UNKNOWN;
    }
    return answer;
  };
}

/** Null equals null; null on the left alone is unknown, on the right alone it is just not equal. */
function equalValues(left: Value, right: Value): Outcome {
  if (left === undefined || right === undefined) return FAILED;
  if (left === null) return right === null ? TRUE : UNKNOWN;
  if (right === null) return FALSE;
  const answer = compare(left, right);
  return answer === NOT_COMPARABLE ? FAILED : outcomeOf(answer === 0);
}

/**
 * ComparisonExpression.__compare: text is read as the other side's type; {@link NOT_COMPARABLE} where it cannot be. A
 * boolean and a number are never equal; a boolean on the left of text is a ClassCastException in Apache.
 */
function compare(left: string | boolean | SqlNumber, right: string | boolean | SqlNumber): number {
  if (typeof left === "string") {
    if (typeof right === "string") return left < right ? -1 : left > right ? 1 : 0;
    if (typeof right === "boolean") return Number(left.toLowerCase() === "true") - Number(right);
    const number = parseLike(left, right.kind);
    return number === undefined ? NOT_COMPARABLE : compareNumbers(number, right);
  }
  if (typeof left === "boolean") {
    if (typeof right === "boolean") return Number(left) - Number(right);
    return typeof right === "string" ? NOT_COMPARABLE : -1;
  }
  if (typeof right === "boolean") return -1;
  if (typeof right !== "string") return compareNumbers(left, right);
  const number = parseLike(right, left.kind);
  return number === undefined ? NOT_COMPARABLE : compareNumbers(left, number);
}

function compareAsDoubles(left: string, right: string): number {
  const l = parseJavaDouble(left);
  const r = parseJavaDouble(right);
  return l === undefined || r === undefined ? NOT_COMPARABLE : compareDoubles(l, r);
}

function parseLike(text: string, kind: SqlNumber["kind"]): SqlNumber | undefined {
  const value = kind === "int" ? parseJavaInt(text) : kind === "long" ? parseJavaLong(text) : parseJavaDouble(text);
  return value === undefined ? undefined : numberOf(kind, value);
}

/** Text whose UTF-8 bytes stand for it and nothing else: no lone surrogate, no replacement character. */
function isPlain(text: string): boolean {
  return !/\p{Surrogate}|\ufffd/u.test(text);
}
