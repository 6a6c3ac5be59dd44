/**
 * SQL92 text to a tree, by recursive descent (Apache: SelectorParser). The grammar, loosest first:
 *
 *   or         and ( OR and )*
 *   and        equality ( AND equality )*
 *   equality   comparison ( "=" comparison | "<>" comparison | IS NULL | IS NOT NULL )*
 *   comparison unary ( ( "<" | "<=" | ">" | ">=" ) unary
 *                    | [NOT] ( CONTAINS | STARTSWITH | ENDSWITH ) string
 *                    | [NOT] BETWEEN unary AND unary
 *                    | [NOT] IN "(" string ( "," string )* ")" )*
 *   unary      ( "+" | "-" | NOT ) unary | primary
 *   primary    string | decimal | float | TRUE | FALSE | NULL | name | "(" or ")"
 *
 * NOT binds tighter than comparisons: `NOT a = 1` is `(NOT a) = 1`. What follows a whole expression is not looked at,
 * beyond its first token: Apache accepts `a = 1 whatever`.
 * Refuses with {@link SqlError}: what, and at which line and column.
 */
import { SQL_DEPTH_MAX } from "../base/limits.ts";
import { SqlError } from "./sqlError.ts";
import { SqlLexer, type Token, type TokenKind } from "./sqlLexer.ts";
import {
  all,
  between,
  condition,
  decimal,
  equal,
  floating,
  isNull,
  Nonsense,
  negate,
  not,
  notBetween,
  type Order,
  oneOf,
  order,
  type SqlBoolean,
  type SqlNode,
  stringValue,
  type TextTest,
  textTest,
} from "./sqlTree.ts";

/** Parses a whole expression. @throws SqlError */
export function parseSql(text: string): SqlBoolean {
  return new SqlParser(text).parse();
}

class SqlParser {
  readonly #lexer: SqlLexer;
  /** Tokens read and not yet taken; never more than the grammar looks ahead. */
  readonly #ahead: Token[] = [];
  #depth = 0;

  constructor(text: string) {
    this.#lexer = new SqlLexer(text);
  }

  parse(): SqlBoolean {
    const first = this.#peek();
    const whole = this.#or();
    return this.#sense(first, () => condition(whole));
  }

  #peek(distance = 0): Token {
    while (this.#ahead.length <= distance) this.#ahead.push(this.#lexer.next());
    return this.#ahead[distance];
  }

  #take(kind: TokenKind, wanted: string): Token {
    const token = this.#peek();
    if (token.kind !== kind) throw this.#unexpected(token, wanted);
    this.#ahead.shift();
    return token;
  }

  #unexpected(token: Token, wanted: string): SqlError {
    return new SqlError(`Encountered "${token.text}" where ${wanted} was expected`, this.#lexer.text, token.at);
  }

  /** Makes a node; what makes no sense is blamed on `token`. */
  #sense<T>(token: Token, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (error instanceof Nonsense) throw new SqlError(error.message, this.#lexer.text, token.at);
      throw error;
    }
  }

  /** A tree that is too deep would not survive its evaluation. */
  #deeper(token: Token): void {
    if (++this.#depth <= SQL_DEPTH_MAX) return;
    throw new SqlError(`The expression is nested deeper than ${SQL_DEPTH_MAX}`, this.#lexer.text, token.at);
  }

  #or(): SqlNode {
    return this.#chain("OR", () => this.#and());
  }

  #and(): SqlNode {
    return this.#chain("AND", () => this.#equality());
  }

  #chain(kind: "AND" | "OR", part: () => SqlNode): SqlNode {
    const first = this.#peek();
    const left = part();
    if (this.#peek().kind !== kind) return left;
    const parts = [left];
    const begins = [first];
    while (this.#peek().kind === kind) {
      this.#take(kind, kind);
      begins.push(this.#peek());
      parts.push(part());
    }
    const conditions = parts.map((node, i) => this.#sense(begins[i], () => condition(node)));
    return all(kind === "AND" ? "and" : "or", conditions);
  }

  #equality(): SqlNode {
    const depth = this.#depth;
    let left = this.#comparison();
    for (;;) {
      const token = this.#peek();
      switch (token.kind) {
        case "=":
        case "<>": {
          this.#take(token.kind, token.kind);
          this.#deeper(token);
          const before = left;
          const right = this.#comparison();
          const same = this.#sense(token, () => equal(before, right));
          left = token.kind === "=" ? same : not(same);
          break;
        }
        case "IS": {
          this.#take("IS", "IS");
          this.#deeper(token);
          const negative = this.#peek().kind === "NOT";
          if (negative) this.#take("NOT", "NOT");
          this.#take("NULL", negative ? "NULL" : "NULL or NOT NULL");
          left = negative ? not(isNull(left)) : isNull(left);
          break;
        }
        default:
          this.#depth = depth;
          return left;
      }
    }
  }

  #comparison(): SqlNode {
    const depth = this.#depth;
    let left = this.#unary();
    for (;;) {
      const token = this.#peek();
      const next = this.#comparedWith(left, token);
      if (next === undefined) {
        this.#depth = depth;
        return left;
      }
      left = next;
    }
  }

  /** One operator of a comparison and its right side; undefined when `token` is none. */
  #comparedWith(left: SqlNode, token: Token): SqlNode | undefined {
    switch (token.kind) {
      case "<":
      case "<=":
      case ">":
      case ">=": {
        this.#take(token.kind, token.kind);
        this.#deeper(token);
        const right = this.#unary();
        return this.#sense(token, () => order(token.kind as Order, left, right));
      }
      case "NOT":
        this.#take("NOT", "NOT");
        return this.#named(left, token, true);
      case "CONTAINS":
      case "STARTSWITH":
      case "ENDSWITH":
      case "BETWEEN":
      case "IN":
        return this.#named(left, token, false);
      default:
        return undefined;
    }
  }

  /** The comparisons with a name, which NOT may precede. */
  #named(left: SqlNode, from: Token, negative: boolean): SqlNode {
    const token = this.#peek();
    this.#deeper(token);
    switch (token.kind) {
      case "CONTAINS":
      case "STARTSWITH":
      case "ENDSWITH": {
        this.#take(token.kind, token.kind);
        return textTest(token.kind as TextTest, left, this.#string(), negative);
      }
      case "BETWEEN": {
        this.#take("BETWEEN", "BETWEEN");
        const low = this.#unary();
        this.#take("AND", "AND");
        const high = this.#unary();
        return this.#sense(from, () => (negative ? notBetween(left, low, high) : between(left, low, high)));
      }
      case "IN": {
        this.#take("IN", "IN");
        this.#take("(", '"("');
        const list = [this.#string()];
        while (this.#peek().kind === ",") {
          this.#take(",", '","');
          list.push(this.#string());
        }
        this.#take(")", '"," or ")"');
        return this.#sense(from, () => oneOf(left, list, negative));
      }
      default:
        throw this.#unexpected(token, "BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH");
    }
  }

  #string(): string {
    return stringValue(this.#take("string", "a string").text);
  }

  #unary(): SqlNode {
    const token = this.#peek();
    switch (token.kind) {
      case "+":
      case "-":
      case "NOT": {
        this.#take(token.kind, token.kind);
        this.#deeper(token);
        const of = this.#unary();
        this.#depth--;
        if (token.kind === "+") return of;
        return token.kind === "-" ? negate(of) : this.#sense(token, () => not(condition(of)));
      }
      default:
        return this.#primary(token);
    }
  }

  #primary(token: Token): SqlNode {
    switch (token.kind) {
      case "string":
        return { is: "text", value: this.#string() };
      case "decimal":
        this.#take("decimal", "a number");
        return this.#sense(token, () => decimal(token.text));
      case "float":
        this.#take("float", "a number");
        return this.#sense(token, () => floating(token.text));
      case "TRUE":
      case "FALSE":
      case "NULL":
        this.#take(token.kind, token.kind);
        return { is: "truth", value: token.kind === "NULL" ? null : token.kind === "TRUE" };
      case "name":
        this.#take("name", "a property");
        return { is: "property", name: token.text };
      case "(": {
        this.#take("(", '"("');
        this.#deeper(token);
        const inner = this.#or();
        this.#take(")", '")"');
        this.#depth--;
        return inner;
      }
      default:
        throw this.#unexpected(token, 'a property, a literal, "(", NOT, "+" or "-"');
    }
  }
}
