/** Java enums inside bodies, in Java's order: fastjson takes a name in any case, or the ordinal; an unknown one is absent. */
import type { Bean } from "./reader.ts";

export const CONSUME_TYPE = ["CONSUME_ACTIVELY", "CONSUME_PASSIVELY", "CONSUME_POP"] as const;
export const MESSAGE_MODEL = ["BROADCASTING", "CLUSTERING", "LITE_SELECTIVE"] as const;
export const CONSUME_FROM_WHERE = [
  "CONSUME_FROM_LAST_OFFSET",
  "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
  "CONSUME_FROM_MIN_OFFSET",
  "CONSUME_FROM_MAX_OFFSET",
  "CONSUME_FROM_FIRST_OFFSET",
  "CONSUME_FROM_TIMESTAMP",
] as const;
export const RETRY_POLICY_TYPE = ["EXPONENTIAL", "CUSTOMIZED"] as const;

export function readEnum<T extends string>(bean: Bean, field: string, names: readonly T[]): T | undefined {
  const text = bean.text(field);
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return names[Number(text)];
  return names.find((name) => name === text || name.toLowerCase() === text.toLowerCase());
}
