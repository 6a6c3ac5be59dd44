import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatProperties } from "../message/properties.ts";
import { SqlError } from "./sqlError.ts";
import { SqlFilter } from "./sqlFilter.ts";

/** Outcomes by number: false, true, unknown, failed. That they are Apache's is what compat-tests/sql92 shows. */
const OUTCOMES = ["F", "T", "N", "E"];

function outcome(expression: string, properties: Record<string, string> = {}): string {
  const bytes = Buffer.from(formatProperties(Object.entries(properties)), "utf8");
  return OUTCOMES[new SqlFilter(expression).evaluate(bytes, 0, bytes.length)];
}

function refusal(expression: string): string {
  try {
    new SqlFilter(expression);
  } catch (error) {
    if (error instanceof SqlError) return error.message;
    throw error;
  }
  return "accepted";
}

describe("an SQL92 expression", () => {
  it("reads a property as the number it is compared with", () => {
    for (const [a, expected] of [
      ["6", "T"],
      ["5", "F"],
      ["-6", "F"],
      ["+6", "T"],
      ["006", "T"],
      ["６", "T"],
      ["6.0", "E"],
      [" 6", "E"],
      ["2147483648", "E"],
      ["six", "E"],
    ]) {
      expect([a, outcome("a > 5", { a })]).toEqual([a, expected]);
    }
    expect(outcome("a > 5")).toBe("N");
    expect(outcome("a > 5L", { a: "2147483648" })).toBe("E");
    expect(outcome("a > 2147483647", { a: "2147483648" })).toBe("E");
    expect(outcome("a > 2147483648", { a: "2147483649" })).toBe("T");
    expect(outcome("a = 9223372036854775807", { a: "9223372036854775807" })).toBe("T");
    expect(outcome("a = 9223372036854775807", { a: "9223372036854775806" })).toBe("F");
    expect(outcome("a < 5.5", { a: " 5 " })).toBe("T");
    expect(outcome("a >= 1.5", { a: "0x1.8p0" })).toBe("T");
    expect(outcome("a > 1e308", { a: "NaN" })).toBe("T");
  });

  it("compares two properties as doubles by order, as text by equality", () => {
    expect(outcome("a < b", { a: "9", b: "10" })).toBe("T");
    expect(outcome("a < b", { a: "9", b: "ten" })).toBe("E");
    expect(outcome("a = b", { a: "9", b: "9.0" })).toBe("F");
    expect(outcome("a = b", { a: "9", b: "9" })).toBe("T");
    expect(outcome("a = b")).toBe("T");
  });

  it("is unknown where a value is missing on the left, false where it is on the right", () => {
    expect(outcome("a = 'x'")).toBe("N");
    expect(outcome("'x' = a")).toBe("F");
    expect(outcome("a <> 'x'")).toBe("N");
    expect(outcome("'x' <> a")).toBe("T");
    expect(outcome("a IN ('x')")).toBe("N");
    expect(outcome("a NOT IN ('x')")).toBe("N");
    expect(outcome("a IS NULL")).toBe("T");
    expect(outcome("a IS NOT NULL")).toBe("F");
    expect(outcome("a CONTAINS 'x'")).toBe("F");
    expect(outcome("a NOT CONTAINS 'x'")).toBe("F");
  });

  it("combines unknown by three-valued logic; a failure ends it all", () => {
    const known = { t: "1" };
    expect(outcome("a > 1 OR t = '1'", known)).toBe("T");
    expect(outcome("a > 1 AND t = '1'", known)).toBe("N");
    expect(outcome("a > 1 AND t = '2'", known)).toBe("F");
    expect(outcome("NOT (a > 1)", known)).toBe("N");
    expect(outcome("x > 1 OR t = '1'", { t: "1", x: "x" })).toBe("E");
    expect(outcome("t = '1' OR x > 1", { t: "1", x: "x" })).toBe("T");
  });

  it("binds NOT tighter than a comparison, and takes a bare property for a condition that is never true", () => {
    expect(outcome("NOT a = 'x'", { a: "x" })).toBe("E");
    expect(outcome("NOT (a = 'x')", { a: "x" })).toBe("F");
    expect(outcome("a", { a: "true" })).toBe("F");
    expect(outcome("NOT a", { a: "true" })).toBe("T");
    expect(outcome("a = TRUE", { a: "true" })).toBe("T");
    expect(outcome("TRUE = a", { a: "true" })).toBe("E");
  });

  it("knows text tests, ranges and lists, and their negations", () => {
    const a = "it's 中文";
    expect(outcome("a CONTAINS '''s 中'", { a })).toBe("T");
    expect(outcome("a STARTSWITH 'it'", { a })).toBe("T");
    expect(outcome("a NOT ENDSWITH '文'", { a })).toBe("F");
    expect(outcome("a CONTAINS ''", { a })).toBe("F");
    expect(outcome("a NOT CONTAINS ''", { a })).toBe("F");
    expect(outcome("n BETWEEN 1 AND 3", { n: "3" })).toBe("T");
    expect(outcome("n NOT BETWEEN 1 AND 3", { n: "3" })).toBe("F");
    expect(outcome("n BETWEEN -1 AND -3", { n: "2" })).toBe("F");
    expect(outcome("n IN ('1', '2', '3', '4', '5', '6')", { n: "6" })).toBe("T");
  });

  it("takes keywords in any case, names in theirs, comments, and anything behind its end", () => {
    expect(outcome("a iS nOt NuLl And A is null", { a: "1" })).toBe("T");
    expect(outcome("/* first */ a = '1' -- last\n", { a: "1" })).toBe("T");
    expect(outcome("a = '1' whatever ( follows #", { a: "1" })).toBe("T");
  });

  it("is refused with the place of what is wrong", () => {
    expect(refusal("a >")).toBe(
      'Encountered "<EOF>" where a property, a literal, "(", NOT, "+" or "-" was expected at line 1, column 3',
    );
    expect(refusal("a = 1\nAND b ! 2")).toBe('Lexical error: "!" begins nothing at line 2, column 7');
    expect(refusal("a = 'x")).toBe("Lexical error: a string that does not end begins at line 1, column 5");
    expect(refusal("a > 'x'")).toBe("Value ''x'' cannot be compared at line 1, column 3");
    expect(refusal("a IN (1)")).toBe('Encountered "1" where a string was expected at line 1, column 7');
    expect(refusal("a BETWEEN 3 AND 1")).toContain("Illegal values of between");
    expect(refusal("a = NULL")).toContain("use IS NULL");
    expect(refusal("'x'")).toContain("will not result in a boolean value");
    expect(refusal("a > 9223372036854775808")).toContain("does not fit into 64 bits");
    expect(refusal("a > 0.0")).toContain("less than the smallest double");
    expect(refusal("")).toContain("<EOF>");
    for (const legal of ["TRUE", "NULL", "a", "a = 5 = TRUE", "- 5 = a", "a = 007"]) {
      expect([legal, refusal(legal)]).toEqual([legal, "accepted"]);
    }
  });

  it("may be long, but not deep", () => {
    expect(outcome(`a = 1${" OR a = 7".repeat(50_000)}`, { a: "7" })).toBe("T");
    expect(outcome(`${"(".repeat(200)}a = 7${")".repeat(200)}`, { a: "7" })).toBe("T");
    for (const deep of ["(".repeat(100_000), `a${" = a".repeat(100_000)}`, `a = ${"- ".repeat(100_000)}1`]) {
      expect(refusal(deep)).toContain("nested deeper than 256");
    }
  });

  it("never throws anything but a refusal, and never evaluates to anything but its four outcomes", () => {
    const word = fc.constantFrom(
      ..."a b NOT AND OR BETWEEN IN TRUE FALSE NULL IS CONTAINS STARTSWITH ENDSWITH = <> < <= > >= ( ) , + - 'x' '5' 5 7L 1.5 ! ' /*".split(
        " ",
      ),
    );
    const text = fc.oneof(
      fc.array(word).map((words) => words.join(" ")),
      fc.string(),
    );
    const value = fc.oneof(fc.constantFrom("5", "x", "1.5", "true", "0x1p3"), fc.string());
    fc.assert(
      fc.property(text, fc.dictionary(fc.constantFrom("a", "b"), value), (expression, properties) => {
        if (refusal(expression) === "accepted") expect(OUTCOMES).toContain(outcome(expression, properties));
      }),
      { numRuns: 2000 },
    );
  });

  it("negates as SQL says", () => {
    const condition = fc.constantFrom(
      "a > 5",
      "a = 'x'",
      "a IN ('5', 'x')",
      "a IS NULL",
      "a < 2.5",
      "a",
      "b BETWEEN 1 AND 7",
    );
    const value = fc.constantFrom("5", "x", "1.5", "7", undefined);
    fc.assert(
      fc.property(condition, condition, value, value, (one, two, a, b) => {
        const set = { ...(a === undefined ? {} : { a }), ...(b === undefined ? {} : { b }) };
        const twice = outcome(`NOT (NOT (${one}))`, set);
        expect(twice).toBe(outcome(one, set));
        const both = outcome(`NOT ((${one}) AND (${two}))`, set);
        // The left side may hide the right one's failure, in both forms alike.
        expect(both).toBe(outcome(`(NOT (${one})) OR (NOT (${two}))`, set));
      }),
    );
  });
});

describe("the properties of a record", () => {
  const at = (text: string, expression: string) => {
    const bytes = Buffer.from(`junk\u0001a\u0002${text}`, "utf8");
    return OUTCOMES[new SqlFilter(expression).evaluate(bytes, 7, bytes.length)];
  };

  it("count as Apache's map does: the last of a name, none without a name or a value", () => {
    expect(at("a\u00011\u0002a\u00012\u0002", "a = '2'")).toBe("T");
    expect(at("a\u00011\u0002a\u0001\u0002", "a = '1'")).toBe("T");
    expect(at("a\u0002", "a IS NULL")).toBe("T");
    expect(at("\u0001x\u0002a\u00011", "a = '1'")).toBe("T");
    expect(at("a\u00011\u0001x\u0002", "a CONTAINS '1\u0001x'")).toBe("T");
    expect(at("", "a IS NULL")).toBe("T");
    expect(at("ab\u00011\u0002", "a IS NULL")).toBe("T");
  });

  it("with bytes that are no UTF-8 are compared as Java decodes them", () => {
    const bytes = Buffer.from([0x61, 1, 0xff, 2]);
    const filter = new SqlFilter("a = '\ufffd'");
    expect(filter.passes(bytes, 0, bytes.length)).toBe(true);
  });
});
