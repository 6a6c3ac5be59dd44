/** Messages as the console shows them: found by id, key or time, with as much of the body as a page can bear. */
import type { Buffer } from "node:buffer";
import { isUtf8 } from "node:buffer";
import { formatHost } from "../../base/host.ts";
import type { BrokerParts } from "../../handlers/parts.ts";
import { formatMessageId, parseMessageId } from "../../message/messageId.ts";
import { Property } from "../../message/properties.ts";
import type { StoredMessage } from "../../store/types.ts";

type Parts = Pick<BrokerParts, "store" | "topics">;

/** Messages of one answer, and queues that are looked at for them. */
const FOUND_MAX = 64;
const QUEUES_MAX = 256;
/** Bytes of a body that are shown. */
const BODY_BYTES_MAX = 64 * 1024;

export interface MessageQuery {
  readonly topic: string | undefined;
  readonly id: string | undefined;
  readonly key: string | undefined;
  /** ms */
  readonly begin: number;
  readonly end: number;
}

/** The newest first. */
export async function findMessages(parts: Parts, query: MessageQuery): Promise<StoredMessage[]> {
  const { topic, id, key, begin, end } = query;
  let found: StoredMessage[] = [];
  if (id !== undefined && id !== "") {
    const place = parseMessageId(id);
    const message = place === undefined ? undefined : await parts.store.messageAt(place.logOffset, true);
    if (message !== undefined) found = [message];
    else if (topic !== undefined) found = await byKey(parts, topic, id, begin, end);
  } else if (topic !== undefined && key !== undefined && key !== "") {
    found = await byKey(parts, topic, key, begin, end);
  } else if (topic !== undefined) found = await byTime(parts, topic, begin, end);
  return found.sort((a, b) => b.storeTimestamp - a.storeTimestamp || b.logOffset - a.logOffset).slice(0, FOUND_MAX);
}

async function byKey({ store }: Parts, topic: string, key: string, begin: number, end: number) {
  const { messages } = await store.query({ topic, key, maxNum: FOUND_MAX, begin, end });
  return messages.filter(({ properties }) => {
    const keys = (properties.get(Property.KEYS) ?? "").split(" ");
    return keys.includes(key) || properties.get(Property.UNIQUE_KEY) === key;
  });
}

/** The newest of each queue that were stored within the time. */
async function byTime({ store, topics }: Parts, topic: string, begin: number, end: number): Promise<StoredMessage[]> {
  const found: StoredMessage[] = [];
  const queues = Math.min(QUEUES_MAX, topics.get(topic)?.readQueueNums ?? 0);
  const each = Math.max(1, Math.ceil(FOUND_MAX / Math.max(1, queues)));
  for (let queueId = 0; queueId < queues; queueId++) {
    const last = store.maxOffset(topic, queueId);
    if (last <= 0) continue;
    const first = Math.max(store.minOffset(topic, queueId), await store.offsetByTime(topic, queueId, begin, "LOWER"));
    const upper = Math.min(last, (await store.offsetByTime(topic, queueId, end, "UPPER")) + 1);
    for (const unit of await store.units(topic, queueId, Math.max(first, upper - each), each)) {
      const message = await store.messageAt(unit.logOffset, true);
      if (message !== undefined && message.storeTimestamp >= begin && message.storeTimestamp <= end)
        found.push(message);
    }
  }
  return found;
}

/** Without the body. */
export function rowOf(message: StoredMessage): object {
  const { topic, queueId, queueOffset, logOffset, properties, reconsumeTimes } = message;
  return {
    topic,
    queueId,
    queueOffset,
    logOffset,
    id: formatMessageId(message.storeHost, logOffset),
    uniqueKey: properties.get(Property.UNIQUE_KEY) ?? "",
    tags: properties.get(Property.TAGS) ?? "",
    keys: properties.get(Property.KEYS) ?? "",
    reconsumeTimes,
    bodyBytes: message.body.length,
    bornAt: message.bornTimestamp,
    storedAt: message.storeTimestamp,
  };
}

/** With body and properties. */
export function detailOf(message: StoredMessage): object {
  return {
    ...rowOf(message),
    bornHost: formatHost(message.bornHost),
    storeHost: formatHost(message.storeHost),
    sysFlag: message.sysFlag,
    flag: message.flag,
    recordBytes: message.bytes.length,
    properties: Object.fromEntries(message.properties),
    body: bodyOf(message.body),
  };
}

/** As text where it is some, else as hexadecimal digits. */
function bodyOf(body: Buffer): { text: string; isText: boolean; isWhole: boolean } {
  const isWhole = body.length <= BODY_BYTES_MAX;
  const shown = body.subarray(0, BODY_BYTES_MAX);
  // A cut may go through a character.
  const isText = isUtf8(isWhole ? shown : shown.subarray(0, lastWhole(shown))) && !shown.includes(0);
  return { text: isText ? shown.toString("utf8") : shown.toString("hex"), isText, isWhole };
}

function lastWhole(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes.length - end < 4 && (bytes[end - 1] & 0xc0) === 0x80) end--;
  return end > 0 && bytes[end - 1] >= 0xc0 ? end - 1 : bytes.length;
}
