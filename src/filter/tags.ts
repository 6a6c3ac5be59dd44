/**
 * Tag expressions: `*` or `TagA || TagB`, matched by the Java hash that a ConsumeQueue unit carries
 * (FilterAPI.buildSubscriptionData, ExpressionMessageFilter). Hashes may collide: the client compares the tag itself.
 */
import { javaHashCode } from "../base/javaHash.ts";
import type { UnitFilter } from "./unitFilter.ts";

export const ALL_UNITS: UnitFilter = { matches: () => true, record: undefined };
/** Blank tags are tags that no message has. */
const NO_UNITS: UnitFilter = { matches: () => false, record: undefined };

/** The tags of an expression; empty means all. */
export function parseTags(expression: string | undefined): string[] {
  if (expression === undefined || expression.trim() === "" || expression === "*") return [];
  return expression
    .split("||")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
}

/** A filter for a tag expression. */
export function tagFilter(expression: string | undefined): UnitFilter {
  const codes = parseTags(expression).map(javaHashCode);
  if (codes.length === 0) return ALL_UNITS;
  if (codes.length === 1) {
    const only = codes[0];
    return { matches: (tagsCode) => tagsCode === only, record: undefined };
  }
  const set = new Set(codes);
  return { matches: (tagsCode) => set.has(tagsCode), record: undefined };
}

/** The filter of a subscription's tags; undefined when there is nothing between its separators (FilterAPI.buildSubscriptionData). */
export function subscribedTags(expression: string): UnitFilter | undefined {
  if (expression === "" || expression === "*" || parseTags(expression).length > 0) return tagFilter(expression);
  return expression.replaceAll("||", "") === "" ? undefined : NO_UNITS;
}
