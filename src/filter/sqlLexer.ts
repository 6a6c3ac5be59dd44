/**
 * Tokens of an SQL92 expression (Apache: SelectorParserTokenManager). Always the longest match; keywords in any case;
 * property names keep theirs. Tokens are made on demand: what nobody asks for may be anything.
 * Refuses characters that begin no token, and strings and comments that do not end.
 */
import { SqlError } from "./sqlError.ts";

const KEYWORDS = [
  "NOT",
  "AND",
  "OR",
  "BETWEEN",
  "IN",
  "TRUE",
  "FALSE",
  "NULL",
  "IS",
  "CONTAINS",
  "STARTSWITH",
  "ENDSWITH",
] as const;
const OPERATORS = ["<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "+", "-"] as const;

export type Keyword = (typeof KEYWORDS)[number];
export type Operator = (typeof OPERATORS)[number];
export type TokenKind = Keyword | Operator | "decimal" | "float" | "string" | "name" | "end";

export interface Token {
  readonly kind: TokenKind;
  /** As written. */
  readonly text: string;
  /** Offset of its first character. */
  readonly at: number;
}

const keywords: ReadonlySet<string> = new Set(KEYWORDS);

const BLANK = /[ \t\n\r\f]+/y;
const LINE_COMMENT = /--[^\n\r]*(?:\r\n|\n|\r)/y;
const BLOCK_COMMENT = /\/\*[^*]*\*(?:\*|[^*/][^*]*\*)*\//y;
const FLOAT = /[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+/y;
const DECIMAL = /0|[1-9][0-9]*[lL]?/y;
const STRING = /'(?:''|[^'])*'/y;
const NAME = /[a-zA-Z_$][a-zA-Z0-9_$]*/y;
const OPERATOR = /<>|<=|>=|[=<>(),+-]/y;

export class SqlLexer {
  readonly text: string;
  #at = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** The next token; "end" again and again behind the last one. @throws SqlError */
  next(): Token {
    while (this.#skip(BLANK) || this.#skip(LINE_COMMENT) || this.#skip(BLOCK_COMMENT));
    const { text } = this;
    const at = this.#at;
    if (at >= text.length) return { kind: "end", text: "<EOF>", at };
    const float = this.#take(FLOAT);
    if (float !== undefined) return { kind: "float", text: float, at };
    const decimal = this.#take(DECIMAL);
    if (decimal !== undefined) return { kind: "decimal", text: decimal, at };
    const name = this.#take(NAME);
    if (name !== undefined) return { kind: kindOf(name), text: name, at };
    const operator = this.#take(OPERATOR);
    if (operator !== undefined) return { kind: operator as Operator, text: operator, at };
    const string = this.#take(STRING);
    if (string !== undefined) return { kind: "string", text: string, at };
    throw this.#refusal(at);
  }

  #skip(pattern: RegExp): boolean {
    return this.#take(pattern) !== undefined;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #refusal(at: number): SqlError {
    const { text } = this;
    if (text[at] === "'") return new SqlError("Lexical error: a string that does not end begins", text, at);
    if (text.startsWith("/*", at)) return new SqlError("Lexical error: a comment that does not end begins", text, at);
    const char = String.fromCodePoint(text.codePointAt(at) as number);
    return new SqlError(`Lexical error: ${JSON.stringify(char)} begins nothing`, text, at);
  }
}

function kindOf(name: string): TokenKind {
  const upper = name.toUpperCase();
  return keywords.has(upper) ? (upper as Keyword) : "name";
}
