import { describe, expect, it } from "vitest";
import { javaHashCode } from "../base/javaHash.ts";
import { ALL_UNITS, parseTags, tagFilter } from "./tags.ts";

describe("a tag expression", () => {
  it("is split at || and trimmed; nothing, blanks and * mean all", () => {
    expect(parseTags("TagA || TagB||  TagC ||")).toEqual(["TagA", "TagB", "TagC"]);
    for (const all of [undefined, "", "  ", "*"]) expect(parseTags(all)).toEqual([]);
  });

  it("matches by Java's hash of the tag", () => {
    expect(tagFilter("*")).toBe(ALL_UNITS);
    expect(ALL_UNITS.matches(0)).toBe(true);
    const one = tagFilter("TagA");
    expect([one.matches(javaHashCode("TagA")), one.matches(javaHashCode("TagB")), one.matches(0)]).toEqual([
      true,
      false,
      false,
    ]);
    const two = tagFilter("TagA || TagB");
    expect(["TagA", "TagB", "TagC"].map((tag) => two.matches(javaHashCode(tag)))).toEqual([true, true, false]);
  });
});
