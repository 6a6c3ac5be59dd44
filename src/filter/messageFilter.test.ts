import { describe, expect, it } from "vitest";
import { EXPRESSION_CHARS_MAX } from "../base/limits.ts";
import { compileFilter } from "./messageFilter.ts";

describe("compiling a subscription's expression", () => {
  it.each([
    ["SQL92", (chars: number) => `a = '${"x".repeat(chars - 6)}'`],
    ["TAG", (chars: number) => "x".repeat(chars)],
  ])("is refused when it would take so long that everybody else waits (%s)", (type, expression) => {
    expect(() => compileFilter(expression(EXPRESSION_CHARS_MAX), type)).not.toThrow();
    expect(() => compileFilter(expression(EXPRESSION_CHARS_MAX + 1), type)).toThrow(
      `the expression has ${EXPRESSION_CHARS_MAX + 1} characters`,
    );
  });
});
