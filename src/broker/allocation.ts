/**
 * Who of a group gets which queues (Apache: AllocateMessageQueueAveragely, ...ByCircle, and QueryAssignmentProcessor's
 * allocate4Pop). Pure; queues and client ids must be sorted alike by everybody.
 */
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";

/** @returns the part of `clientId`; empty when it is not among `clients` */
export type Strategy = (
  clientId: string,
  queues: readonly MessageQueue[],
  clients: readonly string[],
) => MessageQueue[];

/** Neighbouring queues in equal parts; the first members take one more where it does not come out even. */
const averagely: Strategy = (clientId, queues, clients) => {
  const index = clients.indexOf(clientId);
  if (index < 0) return [];
  const rest = queues.length % clients.length;
  const more = rest > 0 && index < rest;
  const size = queues.length <= clients.length ? 1 : Math.floor(queues.length / clients.length) + (more ? 1 : 0);
  const from = more ? index * size : index * size + rest;
  return queues.slice(from, from + Math.min(size, Math.max(0, queues.length - from)));
};

/** Every n-th queue. */
const byCircle: Strategy = (clientId, queues, clients) => {
  const index = clients.indexOf(clientId);
  return index < 0 ? [] : queues.filter((_, i) => i % clients.length === index);
};

/** By the name that clients send. */
export const STRATEGIES: ReadonlyMap<string, Strategy> = new Map([
  ["AVG", averagely],
  ["AVG_BY_CIRCLE", byCircle],
]);

/** MessageQueue.compareTo: topic, broker, queue. */
export function compareQueues(a: MessageQueue, b: MessageQueue): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  if (a.brokerName !== b.brokerName) return a.brokerName < b.brokerName ? -1 : 1;
  return a.queueId - b.queueId;
}

/**
 * Queues for popping: all members pop all queues (as one queue -1 per broker) unless only `share` others may join a queue's
 * owner; then each member also gets the queues of those that follow it.
 */
export function allocateForPop(
  strategy: Strategy,
  clientId: string,
  queues: readonly MessageQueue[],
  clients: readonly string[],
  share: number,
): MessageQueue[] {
  if (share <= 0 || share >= clients.length - 1) {
    return unique(queues.map((queue) => ({ ...queue, queueId: -1 })));
  }
  const index = clients.indexOf(clientId);
  if (clients.length > queues.length) return index < 0 ? [] : [queues[index % queues.length]];
  const own = strategy(clientId, queues, clients);
  if (index < 0) return own;
  for (let i = 1; i <= share; i++) own.push(...strategy(clients[(index + i) % clients.length], queues, clients));
  return unique(own);
}

function unique(queues: readonly MessageQueue[]): MessageQueue[] {
  const known = new Set<string>();
  return queues.filter((queue) => {
    const key = `${queue.brokerName}@${queue.queueId}`;
    if (known.has(key)) return false;
    known.add(key);
    return true;
  });
}
