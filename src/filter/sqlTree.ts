/**
 * What an SQL92 expression means, as a tree, and which combinations make sense (Apache: the create* methods of
 * ComparisonExpression, UnaryExpression and LogicExpression). Nodes are made here only, so that a tree is always legal.
 */
import { compareDoubles, INT_MAX, parseJavaDouble, parseJavaLong } from "../base/javaNumbers.ts";

/** A number of the expression: Apache keeps Integer, Long and Double apart, since text is read as the other side's type. */
export interface SqlNumber {
  readonly kind: "int" | "long" | "double";
  readonly value: number;
  /** Of a long beyond 2^53. */
  readonly exact: bigint | undefined;
}

export type Order = "<" | "<=" | ">" | ">=";
export type TextTest = "CONTAINS" | "STARTSWITH" | "ENDSWITH";

/** The last member of the union has no truth value of its own; all others are boolean expressions. */
export type SqlBoolean =
  | { readonly is: "truth"; readonly value: boolean | null }
  | { readonly is: "cast"; readonly name: string }
  | { readonly is: "not"; readonly of: SqlBoolean }
  | { readonly is: "and" | "or"; readonly parts: readonly SqlBoolean[] }
  | { readonly is: "equal"; readonly left: SqlNode; readonly right: SqlNode }
  | { readonly is: "order"; readonly order: Order; readonly left: SqlOperand; readonly right: SqlOperand }
  | { readonly is: "in"; readonly name: string; readonly list: readonly string[]; readonly not: boolean }
  | { readonly is: TextTest; readonly of: SqlNode; readonly search: string; readonly not: boolean };

export type SqlOperand =
  | { readonly is: "property"; readonly name: string }
  | { readonly is: "text"; readonly value: string }
  /** `constant` is false behind a minus sign: Apache checks ranges of plain literals only. */
  | { readonly is: "number"; readonly number: SqlNumber; readonly constant: boolean }
  /** A minus before what is no number: null, but what it stands before is evaluated all the same. */
  | { readonly is: "nothing"; readonly of: SqlBoolean | undefined };

export type SqlNode = SqlBoolean | SqlOperand;

/** A combination that Apache does not accept; the parser adds the position. */
export class Nonsense extends Error {}

export function isBoolean(node: SqlNode): node is SqlBoolean {
  return node.is !== "property" && node.is !== "text" && node.is !== "number" && node.is !== "nothing";
}

/** What stands where a condition is needed: a bare property is one (false when set, unknown when not). */
export function condition(node: SqlNode): SqlBoolean {
  if (isBoolean(node)) return node;
  if (node.is === "property") return { is: "cast", name: node.name };
  throw new Nonsense(`Expression will not result in a boolean value: ${show(node)}`);
}

/** `12`, `12L`: an int where it fits, as in Apache. */
export function decimal(image: string): SqlOperand {
  const value = parseJavaLong(image.replace(/[lL]$/, ""));
  if (value === undefined) throw new Nonsense(`${image} does not fit into 64 bits`);
  const kind = value <= INT_MAX ? "int" : "long";
  return { is: "number", number: numberOf(kind, value), constant: true };
}

/** `1.5`, `.5`, `5E10`. Apache takes the smallest double for a lower bound, so that 0.0 is refused. */
export function floating(image: string): SqlOperand {
  const value = parseJavaDouble(image) as number;
  if (value > Number.MAX_VALUE) throw new Nonsense(`${image} is greater than ${Number.MAX_VALUE}`);
  if (value < Number.MIN_VALUE) throw new Nonsense(`${image} is less than the smallest double, 4.9E-324`);
  return { is: "number", number: numberOf("double", value), constant: true };
}

/** A string literal without its quotes; two quotes inside are one. */
export function stringValue(image: string): string {
  return image.slice(1, -1).replaceAll("''", "'");
}

export function negate(node: SqlNode): SqlOperand {
  if (isBoolean(node)) return { is: "nothing", of: node };
  if (node.is === "nothing") return node;
  if (node.is !== "number") return { is: "nothing", of: undefined };
  const { kind, value, exact } = node.number;
  // An int has no -0.
  const negative = kind === "double" ? -value : 0 - value;
  return { is: "number", number: { kind, value: negative, exact: exact && -exact }, constant: false };
}

export function not(of: SqlBoolean): SqlBoolean {
  return { is: "not", of };
}

/** Chains become one node: they may be long, and neither their making nor their evaluation may recurse. */
export function all(is: "and" | "or", parts: readonly SqlBoolean[]): SqlBoolean {
  return parts.length === 1 ? parts[0] : { is, parts };
}

export function equal(left: SqlNode, right: SqlNode): SqlBoolean {
  for (const side of [left, right]) {
    if (side.is === "truth" && side.value === null) throw new Nonsense("'NULL' cannot be compared: use IS NULL");
  }
  if (left.is === "truth" && isLiteral(right) && right.is !== "truth") {
    throw new Nonsense(`'${show(left)}' cannot be compared with '${show(right)}'`);
  }
  return { is: "equal", left, right };
}

export function isNull(of: SqlNode): SqlBoolean {
  return { is: "equal", left: of, right: { is: "truth", value: null } };
}

/** @throws Nonsense when a side is text or a condition: only numbers, and properties read as such, have an order */
export function order(order: Order, left: SqlNode, right: SqlNode): SqlBoolean {
  return { is: "order", order, left: orderable(left), right: orderable(right) };
}

function orderable(node: SqlNode): SqlOperand {
  if (isBoolean(node) || node.is === "text") throw new Nonsense(`Value '${show(node)}' cannot be compared`);
  return node;
}

export function between(value: SqlNode, low: SqlNode, high: SqlNode): SqlBoolean {
  for (const side of [low, high]) {
    if (side.is === "truth" && side.value === null) {
      throw new Nonsense("Illegal values of between, values can not be null!");
    }
  }
  if (low.is === "number" && high.is === "number" && low.constant && high.constant) {
    if (compareNumbers(high.number, low.number) < 0) {
      throw new Nonsense(
        `Illegal values of between, left value(${show(low)}) must less than or equal to right value(${show(high)})`,
      );
    }
  }
  return all("and", [order(">=", value, low), order("<=", value, high)]);
}

export function notBetween(value: SqlNode, low: SqlNode, high: SqlNode): SqlBoolean {
  return all("or", [order("<", value, low), order(">", value, high)]);
}

export function oneOf(left: SqlNode, list: readonly string[], not: boolean): SqlBoolean {
  if (left.is !== "property") throw new Nonsense(`Expected a property for In expression, got: ${show(left)}`);
  return { is: "in", name: left.name, list, not };
}

export function textTest(test: TextTest, of: SqlNode, search: string, not: boolean): SqlBoolean {
  return { is: test, of, search, not };
}

/** A value as a number of this kind; `exact` is set where a double could not hold it. */
export function numberOf(kind: SqlNumber["kind"], value: number | bigint): SqlNumber {
  return typeof value === "bigint" ? { kind, value: Number(value), exact: value } : { kind, value, exact: undefined };
}

/** Compares after promotion: a double on either side makes both doubles. */
export function compareNumbers(a: SqlNumber, b: SqlNumber): number {
  if (a.kind === "double" || b.kind === "double") return compareDoubles(a.value, b.value);
  if (a.exact === undefined && b.exact === undefined) return Math.sign(a.value - b.value);
  const left = a.exact ?? BigInt(a.value);
  const right = b.exact ?? BigInt(b.value);
  return left < right ? -1 : left > right ? 1 : 0;
}

function isLiteral(node: SqlNode): boolean {
  return node.is === "text" || node.is === "truth" || (node.is === "number" && node.constant);
}

/** A short word for a node in a refusal. */
function show(node: SqlNode): string {
  switch (node.is) {
    case "property":
    case "cast":
      return node.name;
    case "text":
      return `'${node.value}'`;
    case "number":
      return String(node.number.exact ?? node.number.value);
    case "truth":
      return String(node.value).toUpperCase();
    case "nothing":
      return "- of what is no number";
    default:
      return "a condition";
  }
}
