/**
 * Lite topics: each is the light queue `%LMQ%$parent$lite`, and its messages lie in the parent topic (Apache: LiteUtil).
 * Neither name contains a `$`.
 */
import { LMQ_PREFIX } from "./lmq.ts";

/** MessageConst.PROPERTY_LITE_TOPIC: the lite topic that a message goes to. */
export const LITE_TOPIC_PROPERTY = "__LITE_TOPIC";

const SEPARATOR = "$";
const PREFIX = LMQ_PREFIX + SEPARATOR;

export interface LiteName {
  parent: string;
  lite: string;
}

/** The light queue of a lite topic. */
export function lmqOf(parent: string, lite: string): string {
  return PREFIX + parent + SEPARATOR + lite;
}

/** What a light queue stands for; undefined when it is not one of a lite topic. */
export function liteNameOf(lmq: string): LiteName | undefined {
  if (!lmq.startsWith(PREFIX)) return undefined;
  const [parent, lite, ...more] = lmq.slice(PREFIX.length).split(SEPARATOR);
  return parent !== "" && lite !== undefined && lite !== "" && more.length === 0 ? { parent, lite } : undefined;
}
