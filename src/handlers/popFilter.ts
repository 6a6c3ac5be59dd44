/** The filter that a pop or a notification brings along (Apache: FilterAPI.build, ExpressionMessageFilter). */
import { ALL_UNITS, parseTags, tagFilter, type UnitFilter } from "../filter/tags.ts";

const CACHED_MAX = 4096;

export class PopFilters {
  readonly #byExpression = new Map<string, UnitFilter | undefined>();

  /** The filter of an expression; undefined when it cannot be read. No expression passes everything. */
  of(expression: string | undefined, type: string | undefined): UnitFilter | undefined {
    if (expression === undefined || expression === "") return ALL_UNITS;
    if (type !== undefined && type !== "" && type !== "TAG") return undefined;
    let filter = this.#byExpression.get(expression);
    if (filter === undefined) {
      if (this.#byExpression.size >= CACHED_MAX) this.#byExpression.clear();
      filter = read(expression);
      if (filter !== undefined) this.#byExpression.set(expression, filter);
    }
    return filter;
  }
}

/** Blank tags are tags that no message has; nothing but separators is no expression. */
function read(expression: string): UnitFilter | undefined {
  if (expression === "*" || parseTags(expression).length > 0) return tagFilter(expression);
  return expression.replaceAll("||", "") === "" ? undefined : { matches: () => false };
}
