// Topics, groups and message identities of the load.

export const ORDER_TOPIC = "ChaosOrder";
export const DELAY_TOPIC = "ChaosDelay";
export const GROUP = "ChaosGroup";
export const RETRY_TOPIC = `%RETRY%${GROUP}`;
export const ORDER_QUEUES = 8;
export const DELAY_QUEUES = 4;

/** `o.producer.queue.seq` for ordered messages, `d.producer.queue.seq` for delayed ones. */
export function idOf(kind, producer, queueId, seq) {
  return `${kind}.${producer}.${queueId}.${seq}`;
}

/** The identity at the front of a body, or undefined when these are not our bytes. */
export function idIn(body) {
  const end = body.subarray(0, 64).indexOf(0x7c);
  return end < 0 ? undefined : body.toString("latin1", 0, end);
}

/** Body of a message: its identity, a bar, and filler that depends on nothing but the identity and the size. */
export function bodyOf(id, bytes) {
  const head = Buffer.from(`${id}|`, "latin1");
  const body = Buffer.allocUnsafe(Math.max(bytes, head.length));
  head.copy(body);
  let word = 2166136261;
  for (let i = 0; i < head.length; i++) word = Math.imul(word ^ head[i], 16777619);
  for (let i = head.length; i < body.length; i++) {
    word = (Math.imul(word, 1664525) + 1013904223) | 0;
    body[i] = word >>> 24;
  }
  return body;
}
