/**
 * A group's filter on its retry topic: each message is judged by the expression for the topic it came from
 * (Apache: ExpressionForRetryMessageFilter, with filterSupportRetry).
 */
import type { Buffer } from "node:buffer";
import { PropertySlots } from "../filter/propertySlots.ts";
import type { RecordFilter, UnitFilter } from "../filter/unitFilter.ts";
import { Property } from "../message/properties.ts";
import type { ConsumerFilters } from "./consumerFilters.ts";

export class RetryFilter implements UnitFilter, RecordFilter {
  readonly record: RecordFilter = this;
  readonly #group: string;
  readonly #filters: ConsumerFilters;
  readonly #slots = new PropertySlots([Property.RETRY_TOPIC]);

  constructor(group: string, filters: ConsumerFilters) {
    this.#group = group;
    this.#filters = filters;
  }

  matches(): boolean {
    return true;
  }

  /** What comes from a topic without an expression passes. */
  passes(buf: Buffer, start: number, end: number): boolean {
    this.#slots.scan(buf, start, end);
    const topic = this.#slots.text(0);
    if (topic === null) return true;
    return this.#filters.get(topic, this.#group)?.filter.record?.passes(buf, start, end) ?? true;
  }
}
