/**
 * Tag expressions: `*` or `TagA || TagB`, matched by the Java hash that a ConsumeQueue unit carries
 * (FilterAPI.buildSubscriptionData, ExpressionMessageFilter). Hashes may collide: the client compares the tag itself.
 */
import { javaHashCode } from "../base/javaHash.ts";

/** Decides by a unit's tag code whether a message belongs to the subscription. */
export interface UnitFilter {
  matches(tagsCode: number): boolean;
}

export const ALL_UNITS: UnitFilter = { matches: () => true };

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
    return { matches: (tagsCode) => tagsCode === only };
  }
  const set = new Set(codes);
  return { matches: (tagsCode) => set.has(tagsCode) };
}
