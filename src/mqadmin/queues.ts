/** Queues as Java compares, hashes and prints them (Apache: MessageQueue). */
import { javaHashCode } from "../base/javaHash.ts";
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";

/** MessageQueue.compareTo. */
export function compareQueues(a: MessageQueue, b: MessageQueue): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  if (a.brokerName !== b.brokerName) return a.brokerName < b.brokerName ? -1 : 1;
  return a.queueId - b.queueId;
}

/** MessageQueue.hashCode. */
export function hashQueue({ topic, brokerName, queueId }: MessageQueue): number {
  let hash = (31 + javaHashCode(brokerName)) | 0;
  hash = (Math.imul(hash, 31) + queueId) | 0;
  return (Math.imul(hash, 31) + javaHashCode(topic)) | 0;
}

/** MessageQueue.toString. */
export function describeQueue({ topic, brokerName, queueId }: MessageQueue): string {
  return `MessageQueue [topic=${topic}, brokerName=${brokerName}, queueId=${queueId}]`;
}
