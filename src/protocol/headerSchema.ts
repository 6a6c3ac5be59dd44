/** How a command header's fields travel: the shape of the generated tables, and what a schema-driven codec needs. */

export type FieldType = "string" | "int" | "long" | "boolean";

export interface FieldSchema {
  name: string;
  type: FieldType;
  /** Apache marks it @CFNotNull. */
  required: boolean;
  /** What Apache's header object holds when the field is absent, where that is neither null, 0 nor false. */
  initial?: string | number | boolean;
}

/** `H` is the generated interface of the header's fields. */
export interface HeaderSchema<H> {
  name: string;
  fields: readonly FieldSchema[];
  /** Apache enforces required fields only on FastCodesHeader classes. */
  enforced: boolean;
  /** Type carrier; never set. */
  readonly shape?: H;
}
