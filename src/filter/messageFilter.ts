/**
 * Which messages a subscription wants: TAG or SQL92 expressions as predicates for those who read queues (pull, POP,
 * notifications). Mirrors FilterAPI.build, ExpressionType, and FilterFactory of Apache.
 */
import { EXPRESSION_CHARS_MAX, FILTER_CACHED_CHARS_MAX, FILTERS_CACHED_MAX } from "../base/limits.ts";
import { SqlFilter } from "./sqlFilter.ts";
import { subscribedTags } from "./tags.ts";
import type { UnitFilter } from "./unitFilter.ts";

export const TAG_TYPE = "TAG";
export const SQL92_TYPE = "SQL92";

/** ExpressionType.isTagType: none counts as TAG. */
export function isTagType(type: string | undefined): boolean {
  return type === undefined || type === "" || type === TAG_TYPE;
}

/**
 * Compiles a subscription's expression.
 * @throws Error (a SqlError with line and column for SQL92) saying what is wrong; fit to be sent as a remark
 */
export function compileFilter(expression: string | undefined, type: string | undefined): UnitFilter {
  if (expression !== undefined && expression.length > EXPRESSION_CHARS_MAX) {
    throw new Error(`the expression has ${expression.length} characters, at most ${EXPRESSION_CHARS_MAX} are compiled`);
  }
  if (isTagType(type)) {
    const filter = subscribedTags(expression ?? "*");
    if (filter === undefined) throw new Error(`there is no tag in the expression ${JSON.stringify(expression)}`);
    return filter;
  }
  if (type !== SQL92_TYPE) throw new Error(`there is no filter of type ${type}: use ${TAG_TYPE} or ${SQL92_TYPE}`);
  if (expression === undefined || expression === "") throw new Error(`Expression can't be null! ${type}`);
  return new SqlFilter(expression);
}

/** Keeps compiled expressions: clients that bring theirs with every pull bring the same ones again and again. */
export class FilterCache {
  readonly #filters = new Map<string, Map<string, UnitFilter>>();
  #count = 0;

  /** Like {@link compileFilter}. Hot: two look-ups without allocation when the expression is known. */
  get(expression: string | undefined, type: string | undefined): UnitFilter {
    const key = expression ?? "*";
    const kind = type ?? "";
    const known = this.#filters.get(kind)?.get(key);
    if (known !== undefined) return known;
    const filter = compileFilter(expression, type);
    if (key.length <= FILTER_CACHED_CHARS_MAX) this.#keep(kind, key, filter);
    return filter;
  }

  #keep(kind: string, key: string, filter: UnitFilter): void {
    if (this.#count >= FILTERS_CACHED_MAX) {
      this.#filters.clear();
      this.#count = 0;
    }
    let ofKind = this.#filters.get(kind);
    if (ofKind === undefined) {
      ofKind = new Map();
      this.#filters.set(kind, ofKind);
    }
    ofKind.set(key, filter);
    this.#count++;
  }
}
