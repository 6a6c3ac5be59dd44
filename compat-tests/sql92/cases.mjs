// Expressions and property sets for the differential test: grown from the grammar, with the values at which Java's types part, and
// then damaged in a third of the cases, because what is refused must be equal too.

import { generator } from "./random.mjs";

const NAMES = ["a", "b", "c", "d", "_x", "$y", "Region", "TAGS", "KEYS", "in1", "notes", "A", "trueish", "e5"];
const INTEGERS = [
  "0",
  "1",
  "5",
  "7",
  "10",
  "42",
  "99",
  "2147483647",
  "2147483648",
  "9007199254740993",
  "9223372036854775807",
];
const LONGS = ["1L", "5l", "2147483648L", "9223372036854775807L", "0L"];
const BAD_NUMBERS = [
  "9223372036854775808",
  "99999999999999999999",
  "007",
  "00",
  "0.0",
  "0e0",
  "1e400",
  "1e-400",
  "1e",
  "1.5L",
  "0x10",
];
const FLOATS = [
  "0.5",
  ".5",
  "5.",
  "5.0",
  "7.25",
  "1e3",
  "1E-3",
  "2.5e+2",
  "1.7976931348623157e308",
  "4.9e-324",
  "3e10",
  "9007199254740993.0",
];
const STRINGS = [
  "",
  "x",
  "abc",
  "ab",
  "bc",
  "it''s",
  "5",
  "5.0",
  "true",
  "TRUE",
  "中文",
  "a b",
  "%",
  "*",
  "--",
  "/*",
  "\n",
  "\\",
  "😀",
  "NULL",
];
const VALUES = [
  ..."x abc ab bc it's 5 5.0 7 7.25 -5 +5 -0 0 00 007 0.0 -0.0 42 99 100 true TRUE True false null NULL NaN -NaN".split(
    " ",
  ),
  ..."Infinity +Infinity -Infinity 1e3 1E3 1e400 -1e400 1e-400 5d 5F 5L 0x10 0x1p3 0x1.8P1 -0x.8p-2d 0x1p-1074 0x1p1024".split(
    " ",
  ),
  ..."2147483647 2147483648 -2147483648 -2147483649 9007199254740993 9223372036854775807 9223372036854775808".split(
    " ",
  ),
  ..."-9223372036854775808 -9223372036854775809 ５ ٣ ５. 中文 😀 é % * 1_000 1,5 + - . e5 .5 5. 5e 5e+ --5 0x 0x1".split(
    " ",
  ),
  ..."0x1.fffffffffffff8p0 0x1.fffffffffffff7p1023 0x1.00000000000008p0 0x1.00000000000018p0 0x0.0000000000001p-1022".split(
    " ",
  ),
  " 5",
  "5 ",
  " 5.5 ",
  "\t5\n",
  "a b",
  "\u00a05",
  "\ufffd",
];
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
];
const ODD = [
  "!",
  "#",
  "!=",
  "==",
  ";",
  "\u000b",
  '"',
  "`",
  "[",
  "]",
  "*",
  "/",
  "%",
  "||",
  "&&",
  "é",
  "\u0000",
  "\u212a",
  "\u017f",
  "@",
  ".",
  ":",
  "?",
  "\ud800",
];
const BLANKS = [
  " ",
  " ",
  " ",
  "  ",
  "\t",
  "\n",
  "\r\n",
  "\r",
  "\f",
  " /* c */ ",
  "/***/",
  "/* a * b **/",
  " -- c\n",
  "--\r\n",
  "",
];

export class Cases {
  #next;

  constructor(seed) {
    this.#next = generator(seed);
  }

  /** @returns {{ expression: string, properties: string[] }} properties in their wire form, `sets` of them */
  next(sets) {
    const kind = this.#next();
    let expression;
    if (kind < 0.6) expression = this.#render(this.#or(0));
    else if (kind < 0.75) expression = this.#render(this.#soup());
    else expression = this.#damage(this.#render(this.#or(0)));
    return { expression, properties: Array.from({ length: sets }, () => this.#properties()) };
  }

  #below(n) {
    return Math.floor(this.#next() * n);
  }

  #one(list) {
    return list[this.#below(list.length)];
  }

  #often(p) {
    return this.#next() < p;
  }

  /** Tokens with something between them; what needs no blank sometimes gets none. */
  #render(tokens) {
    let text = this.#often(0.1) ? this.#one(BLANKS) : "";
    for (const token of tokens) {
      let between = this.#often(0.85) ? " " : this.#one(BLANKS);
      if (between === "" && /[\w$']$/.test(text) && /^[\w$'.]/.test(token) && this.#often(0.9)) between = " ";
      text += (text === "" ? "" : between) + (KEYWORDS.includes(token) ? this.#cased(token) : token);
    }
    return this.#often(0.1) ? text + this.#one(BLANKS) : text;
  }

  #cased(word) {
    if (this.#often(0.7)) return word;
    if (this.#often(0.5)) return word.toLowerCase();
    return [...word].map((c) => (this.#often(0.5) ? c.toLowerCase() : c)).join("");
  }

  #or(depth) {
    return this.#chain("OR", depth, () => this.#and(depth));
  }

  #and(depth) {
    return this.#chain("AND", depth, () => this.#equality(depth));
  }

  #chain(word, depth, part) {
    const tokens = part();
    for (let more = this.#often(0.35) ? 1 + this.#below(depth === 0 ? 4 : 2) : 0; more > 0; more--)
      tokens.push(word, ...part());
    return tokens;
  }

  #equality(depth) {
    const tokens = this.#comparison(depth);
    for (let more = this.#often(0.5) ? 1 + Number(this.#often(0.05)) : 0; more > 0; more--) {
      const kind = this.#below(4);
      if (kind === 0) tokens.push("IS", "NULL");
      else if (kind === 1) tokens.push("IS", "NOT", "NULL");
      else tokens.push(kind === 2 ? "=" : "<>", ...this.#comparison(depth));
    }
    return tokens;
  }

  #comparison(depth) {
    const usual = this.#often(0.85);
    const tokens = usual ? [this.#one(NAMES)] : this.#unary(depth);
    for (let more = this.#often(0.6) ? 1 + Number(this.#often(0.03)) : 0; more > 0; more--)
      tokens.push(...this.#compared(depth));
    return tokens;
  }

  #compared(depth) {
    const not = this.#often(0.3) ? ["NOT"] : [];
    switch (this.#below(6)) {
      case 0:
        return [...not, "BETWEEN", ...this.#bound(depth), "AND", ...this.#bound(depth)];
      case 1: {
        const list = [this.#string()];
        for (let more = this.#below(this.#often(0.1) ? 20 : 4); more > 0; more--) list.push(",", this.#string());
        return [...not, "IN", "(", ...list, ")"];
      }
      case 2:
        return [...not, this.#one(["CONTAINS", "STARTSWITH", "ENDSWITH"]), this.#string()];
      default:
        return [this.#one(["<", "<=", ">", ">="]), ...this.#bound(depth)];
    }
  }

  #bound(depth) {
    if (this.#often(0.75)) return [...(this.#often(0.2) ? [this.#one(["-", "+"])] : []), this.#number()];
    return this.#often(0.6) ? [this.#one(NAMES)] : this.#unary(depth);
  }

  #unary(depth) {
    const prefix = [];
    while (this.#often(0.15)) prefix.push(this.#one(["NOT", "-", "+"]));
    return [...prefix, ...this.#primary(depth)];
  }

  #primary(depth) {
    const kind = this.#below(depth > 3 ? 7 : 10);
    if (kind < 3) return [this.#one(NAMES)];
    if (kind < 4) return [this.#string()];
    if (kind < 6) return [this.#number()];
    if (kind < 7) return [this.#one(["TRUE", "FALSE", "NULL"])];
    return ["(", ...this.#or(depth + 1), ")"];
  }

  #string() {
    return `'${this.#one(STRINGS)}'`;
  }

  #number() {
    const kind = this.#below(20);
    if (kind < 10) return this.#one(INTEGERS);
    if (kind < 12) return this.#one(LONGS);
    if (kind < 19) return this.#one(FLOATS);
    return this.#one(BAD_NUMBERS);
  }

  #soup() {
    return Array.from({ length: 1 + this.#below(9) }, () => this.#token());
  }

  #token() {
    const kind = this.#below(20);
    if (kind < 5) return this.#one(NAMES);
    if (kind < 9) return this.#one(KEYWORDS);
    if (kind < 13) return this.#one(["=", "<>", "<", "<=", ">", ">=", "(", ")", ",", "+", "-"]);
    if (kind < 16) return this.#number();
    if (kind < 18) return this.#string();
    return kind < 19 ? this.#one(ODD) : this.#one(BAD_NUMBERS);
  }

  /** One to three small wounds. */
  #damage(text) {
    let hurt = text;
    for (let wounds = 1 + this.#below(3); wounds > 0; wounds--) {
      const at = this.#below(hurt.length + 1);
      const end = Math.min(hurt.length, at + 1 + this.#below(6));
      switch (this.#below(5)) {
        case 0:
          hurt = hurt.slice(0, at) + hurt.slice(end);
          break;
        case 1:
          hurt = hurt.slice(0, at) + this.#one(ODD) + hurt.slice(at);
          break;
        case 2:
          hurt = `${hurt.slice(0, at)} ${this.#token()} ${hurt.slice(at)}`;
          break;
        case 3:
          hurt = hurt.slice(0, end) + hurt.slice(at);
          break;
        default:
          hurt = hurt.slice(0, at);
      }
    }
    return hurt;
  }

  #properties() {
    let text = "";
    for (let count = this.#below(8); count > 0; count--) {
      const name = this.#often(0.95) ? this.#one(NAMES) : this.#one(["", "zz", "aa", "名"]);
      const value = this.#often(0.95) ? this.#one(VALUES) : "";
      text += `${name}${this.#often(0.98) ? "\u0001" : ""}${value}\u0002`;
    }
    return this.#often(0.2) ? text.slice(0, -1) : text;
  }
}
