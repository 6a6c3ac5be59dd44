/** KVTable: text to text. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { readBean, textKey, toText } from "./reader.ts";

export function encodeKVTable(table: ReadonlyMap<string, string>): string {
  return writeJavaJson({ table });
}

export function decodeKVTable(body: Buffer | string): Map<string, string> {
  return readBean("KVTable", body).map("table", textKey, toText) ?? new Map();
}
