/** Schema-driven decoding of a request header: the path of every code that is not hot. */
import type { FieldSchema, HeaderSchema } from "./headerSchema.ts";
import { HeaderError, type HeaderView } from "./headerView.ts";

/**
 * The typed header of a request. As in Apache, a missing required field is an error only for headers it enforces
 * (FastCodesHeader); elsewhere the field is simply absent (0 / "" for primitives are the handler's business).
 * @throws HeaderError naming the field
 */
export function decodeHeader<H>(view: HeaderView, schema: HeaderSchema<H>): H {
  const header: Record<string, string | number | boolean | undefined> = {};
  for (const field of schema.fields) {
    const i = view.find(field.name);
    if (i >= 0) header[field.name] = value(view, i, field);
    else if (field.required && schema.enforced) {
      throw new HeaderError(`the custom field <${field.name}> of ${schema.name} is missing`);
    }
  }
  return header as H;
}

function value(view: HeaderView, i: number, field: FieldSchema): string | number | boolean {
  switch (field.type) {
    case "string":
      return view.valueText(i);
    case "boolean":
      return view.boolean(i);
    case "int":
      return view.int(i);
    case "long":
      return view.long(i);
  }
}
