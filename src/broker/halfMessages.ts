/**
 * What becomes of a transactional message on its way: half message, put back for another check, asked about, committed,
 * discarded (Apache: TransactionalMessageBridge, EndTransactionProcessor, TransactionalMessageUtil). Pure.
 *
 * A half message that is put back gets a new queue offset. The offset of its first life stays in the property
 * TRAN_PREPARED_QUEUE_OFFSET and is the transaction's name: {@link originOf}. Apache sets it only for messages with an
 * immunity time; on others nobody but this broker sees it.
 */
import { Buffer } from "node:buffer";
import { MessageDraft } from "../message/draft.ts";
import { formatProperties, Property } from "../message/properties.ts";
import { PROPERTIES_BYTES_MAX } from "../message/record.ts";
import { TRANSACTION_COMMIT, TRANSACTION_MASK } from "../message/sysFlag.ts";
import type { NewMessage, StoredMessage } from "../store/types.ts";
import { TRANS_CHECK_MAX_TIME_TOPIC, TRANS_HALF_TOPIC } from "./names.ts";

/** Apache's MixAll.CID_SYS_RMQ_TRANS: the group whose offsets say how far the half and op topics are worked off. */
export const TRANSACTION_GROUP = "CID_RMQ_SYS_TRANS";

/** Turns a message of a producer into the half message that waits for its decision (parseHalfMessageInner). */
export function makeHalf(message: NewMessage): void {
  const { properties } = message;
  const uniqueKey = properties.get(Property.UNIQUE_KEY);
  if (uniqueKey) properties.set(Property.TRANSACTION_ID, uniqueKey);
  properties.set(Property.REAL_TOPIC, message.topic);
  properties.set(Property.REAL_QUEUE_ID, String(message.queueId));
  message.sysFlag = (message.sysFlag ?? 0) & ~TRANSACTION_MASK;
  message.topic = TRANS_HALF_TOPIC;
  message.queueId = 0;
}

/** Topic and queue that the producer sent to; undefined for a record that is no half message. */
export function destinationOf(half: StoredMessage): { topic: string; queueId: number } | undefined {
  const topic = half.properties.get(Property.REAL_TOPIC);
  const queueId = half.properties.get(Property.REAL_QUEUE_ID);
  if (!topic || queueId === undefined || !/^\d{1,9}$/.test(queueId)) return undefined;
  return { topic, queueId: Number(queueId) };
}

/** Queue offset of the transaction's first half message; -1 when a message that Apache gave up does not tell it. */
export function originOf(half: StoredMessage): number {
  const origin = half.properties.get(Property.TRANSACTION_PREPARED_QUEUE_OFFSET);
  if (origin !== undefined && /^\d{1,15}$/.test(origin)) return Number(origin);
  return half.topic === TRANS_HALF_TOPIC ? half.queueOffset : -1;
}

/** How often producers were asked about it; undefined before the first time. */
export function checkTimesOf(half: StoredMessage): number | undefined {
  const times = half.properties.get(Property.TRANSACTION_CHECK_TIMES);
  if (times === undefined) return undefined;
  return /^[+-]?\d{1,9}$/.test(times) ? Number(times) : -1;
}

/** CHECK_IMMUNITY_TIME_IN_SECONDS in ms; undefined without the property, NaN when it is no integer. */
export function immunityMsOf(half: StoredMessage): number | undefined {
  const text = half.properties.get(Property.CHECK_IMMUNITY_TIME_IN_SECONDS);
  if (text === undefined) return undefined;
  return /^[+-]?\d{1,15}$/.test(text) ? Number(text) * 1000 : Number.NaN;
}

/** The committed message as it goes to its real topic (endMessageTransaction); it may still ask for a delay level. */
export function committed(half: StoredMessage, topic: string, queueId: number): NewMessage {
  const properties = publicProperties(half);
  properties.delete(Property.REAL_TOPIC);
  properties.delete(Property.REAL_QUEUE_ID);
  return {
    topic,
    queueId,
    body: half.body,
    properties,
    flag: half.flag,
    sysFlag: (half.sysFlag & ~TRANSACTION_MASK) | TRANSACTION_COMMIT,
    bornTimestamp: half.bornTimestamp,
    bornHost: half.bornHost,
    reconsumeTimes: half.reconsumeTimes,
    taken: true,
    preparedTransactionOffset: half.logOffset,
  };
}

/**
 * The half message as it is written again behind the newest one. Unlike Apache it keeps the application's flag, which a
 * message that was ever checked would otherwise lose.
 * @param checkTimes undefined: it is put back only to make way, which is no check (Apache counts it, and so discards
 *   messages with a long immunity time unasked). As in Apache such a message no longer waits for the disk.
 */
export function renewed(half: StoredMessage, checkTimes: number | undefined): NewMessage {
  const properties = new Map(half.properties);
  if (checkTimes === undefined) properties.set(Property.WAIT_STORE_MSG_OK, "false");
  else properties.set(Property.TRANSACTION_CHECK_TIMES, String(checkTimes));
  nameOrigin(half, properties);
  return again(half, TRANS_HALF_TOPIC, properties);
}

/** The half message as it goes to TRANS_CHECK_MAX_TIME_TOPIC, where an operator may find it. */
export function discarded(half: StoredMessage): NewMessage {
  const properties = new Map(half.properties);
  nameOrigin(half, properties);
  return again(half, TRANS_CHECK_MAX_TIME_TOPIC, properties);
}

/**
 * What {@link renewed} or {@link discarded} made of a half message, without our notes: its properties leave no room for them.
 * It then counts no checks, and after a crash its lives are told apart as those that Apache puts back.
 */
export function withoutNotes(half: StoredMessage, again: NewMessage): NewMessage {
  return { ...again, properties: new Map(half.properties) };
}

function nameOrigin(half: StoredMessage, properties: Map<string, string>): void {
  const origin = originOf(half);
  if (origin >= 0) properties.set(Property.TRANSACTION_PREPARED_QUEUE_OFFSET, String(origin));
}

function again(half: StoredMessage, topic: string, properties: Map<string, string>): NewMessage {
  return {
    topic,
    queueId: 0,
    body: half.body,
    properties,
    flag: half.flag,
    sysFlag: half.sysFlag,
    bornTimestamp: half.bornTimestamp,
    bornHost: half.bornHost,
    reconsumeTimes: half.reconsumeTimes,
    taken: true,
  };
}

/**
 * The body of CHECK_TRANSACTION_STATE: the message with its real topic and queue, and the place of the half message that
 * the producer must name in its answer (MessageDecoder.encode).
 */
export function checkBody(half: StoredMessage, checkTimes: number, queueOffset: number, logOffset: number): Buffer {
  const { topic, queueId } = destinationOf(half) as { topic: string; queueId: number };
  const properties = publicProperties(half);
  properties.set(Property.TRANSACTION_CHECK_TIMES, String(checkTimes));
  properties.set(Property.WAIT_STORE_MSG_OK, "false");
  let bytes = Buffer.from(formatProperties(properties));
  // Clients read the length as a short: with a note too many they would see no properties at all, not even their group.
  if (bytes.length > PROPERTIES_BYTES_MAX) bytes = Buffer.from(formatProperties(publicProperties(half)));
  const draft = new MessageDraft();
  draft.topic = Buffer.from(topic);
  draft.queueId = queueId;
  draft.flag = half.flag;
  draft.sysFlag = half.sysFlag;
  draft.bornTimestamp = half.bornTimestamp;
  draft.setHosts(half.bornHost, half.storeHost);
  draft.storeTimestamp = half.storeTimestamp;
  draft.reconsumeTimes = half.reconsumeTimes;
  draft.preparedTransactionOffset = half.preparedTransactionOffset;
  draft.body = half.body;
  draft.bodyEnd = half.body.length;
  draft.properties = bytes;
  draft.propertiesEnd = bytes.length;
  const body = Buffer.alloc(draft.totalBytes());
  draft.encode(body, 0, body.length, queueOffset, logOffset);
  return body;
}

/** Without the mark that only this broker sets; a message with an immunity time has it in Apache, too. */
function publicProperties(half: StoredMessage): Map<string, string> {
  const properties = new Map(half.properties);
  if (!properties.has(Property.CHECK_IMMUNITY_TIME_IN_SECONDS)) {
    properties.delete(Property.TRANSACTION_PREPARED_QUEUE_OFFSET);
  }
  return properties;
}
