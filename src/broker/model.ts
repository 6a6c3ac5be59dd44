/** Questions about the plain shapes that a broker remembers; the shapes themselves are those of the bodies. */
import { PERM_INHERIT, PERM_READ, PERM_WRITE, type TopicConfig } from "../protocol/bodies/topicConfig.ts";

export const isReadable = (perm: number): boolean => (perm & PERM_READ) !== 0;
export const isWriteable = (perm: number): boolean => (perm & PERM_WRITE) !== 0;
export const isInherited = (perm: number): boolean => (perm & PERM_INHERIT) !== 0;

/** Bits of topicSysFlag (TopicSysFlag). */
export const TOPIC_UNIT = 0x1;
export const TOPIC_UNIT_SUB = 0x2;

/** TopicConfig.equals of Apache: every field, attributes as a map. */
export function sameTopicConfig(a: TopicConfig, b: TopicConfig | undefined): boolean {
  return (
    b !== undefined &&
    a.topicName === b.topicName &&
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.perm === b.perm &&
    a.topicSysFlag === b.topicSysFlag &&
    a.order === b.order &&
    a.topicFilterType === b.topicFilterType &&
    sameMap(a.attributes, b.attributes)
  );
}

function sameMap(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
