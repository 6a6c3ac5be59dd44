/** What a compiled subscription decides by: first the queue unit alone, then the record. */
import type { Buffer } from "node:buffer";

/** Decides by a queue unit, and where that does not say enough by the record, whether a message is wanted. */
export interface UnitFilter {
  /** By the unit's tag code (its low 32 bits). */
  matches(tagsCode: number): boolean;
  /** What must also hold of the record; undefined when the unit says it all. */
  readonly record: RecordFilter | undefined;
}

/** A predicate on a record's properties. */
export interface RecordFilter {
  /** @param buf holds the property bytes in `[start, end)`; only valid during the call */
  passes(buf: Buffer, start: number, end: number): boolean;
}
