/** An SQL92 expression as a filter of messages: only what evaluates to true passes, unknown and failed do not. */
import type { Buffer } from "node:buffer";
import { parseSql } from "./sqlParser.ts";
import { type Outcome, SqlProgram, TRUE } from "./sqlProgram.ts";
import type { RecordFilter, UnitFilter } from "./unitFilter.ts";

export class SqlFilter implements UnitFilter, RecordFilter {
  readonly record: RecordFilter = this;
  readonly #program: SqlProgram;

  /** @throws SqlError */
  constructor(expression: string) {
    this.#program = new SqlProgram(parseSql(expression));
  }

  /** A queue unit knows nothing of properties. */
  matches(): boolean {
    return true;
  }

  passes(buf: Buffer, start: number, end: number): boolean {
    return this.#program.run(buf, start, end) === TRUE;
  }

  /** The outcome itself, for tests. */
  evaluate(buf: Buffer, start: number, end: number): Outcome {
    return this.#program.run(buf, start, end);
  }
}
