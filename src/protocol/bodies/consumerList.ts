/** GetConsumerListByGroupResponseBody: the client ids of a group, from which each member computes its queues. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { readBean, toText } from "./reader.ts";

export function encodeConsumerList(consumerIdList: readonly string[]): string {
  return writeJavaJson({ consumerIdList });
}

export function decodeConsumerList(body: Buffer | string): string[] {
  return readBean("GetConsumerListByGroupResponseBody", body).list("consumerIdList", toText) ?? [];
}
