/**
 * Light message queues: a message names further queues in INNER_MULTI_DISPATCH (`%LMQ%a,%LMQ%b`), is stored once and listed
 * in each; INNER_MULTI_QUEUE_OFFSET says at which offsets (Apache: MixAll.isLmq, LmqDispatch, MultiDispatchUtils).
 * A name becomes a directory, so that one which could leave its place is passed over.
 */
import { Buffer } from "node:buffer";

export const LMQ_PREFIX = "%LMQ%";
/** Every light queue is queue 0 of the topic of its name. */
export const LMQ_QUEUE_ID = 0;
const SEPARATOR = ",";
/** Longest name of a directory. */
const NAME_BYTES_MAX = 255;

export function isLmq(name: string): boolean {
  return name.startsWith(LMQ_PREFIX);
}

/**
 * Whether messages of a topic are listed in light queues. Retries, dead letters and what waits in a system topic are not:
 * they are or will be where they belong. (Apache lists half messages, too, before anybody has committed them.)
 */
export function topicAllowsLmq(topic: string): boolean {
  return !/^(?:%RETRY%|%DLQ%|rmq_sys_|RMQ_SYS_|SCHEDULE_TOPIC_XXXX$)/.test(topic);
}

/** The names in a value of INNER_MULTI_DISPATCH; those that are no light queue keep their place as undefined. */
export function lmqNames(value: string): (string | undefined)[] {
  return value.split(SEPARATOR).map((name) => (isUsable(name) ? name : undefined));
}

/** The value of INNER_MULTI_QUEUE_OFFSET for these offsets; undefined ones are empty, as Java joins null. */
export function formatLmqOffsets(offsets: readonly (number | undefined)[]): string {
  return offsets.map((offset) => offset ?? "").join(SEPARATOR);
}

/** Names and offsets of a stored message, in pairs; nothing when the two lists do not fit together. */
export function lmqPlaces(names: string | undefined, offsets: string | undefined): [name: string, offset: number][] {
  if (names === undefined || offsets === undefined) return [];
  const split = lmqNames(names);
  const numbers = offsets.split(SEPARATOR);
  if (split.length !== numbers.length) return [];
  const places = new Map<string, number>();
  for (const [i, name] of split.entries()) {
    const offset = /^\d+$/.test(numbers[i]) ? Number(numbers[i]) : Number.NaN;
    if (name !== undefined && Number.isSafeInteger(offset) && !places.has(name)) places.set(name, offset);
  }
  return [...places];
}

function isUsable(name: string): boolean {
  if (!isLmq(name) || name.length === LMQ_PREFIX.length || Buffer.byteLength(name) > NAME_BYTES_MAX) return false;
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    if (c <= 0x20 || c === 0x7f || c === 0x2f || c === 0x5c) return false;
  }
  return true;
}
