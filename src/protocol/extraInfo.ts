/**
 * The handle of a popped message and the offset lists of a pop reply (Apache: ExtraInfoUtil, KeyBuilder). A handle is
 * text, blank-separated:
 *
 *   ckQueueOffset popTime invisibleTime reviveQid topicFlag brokerName queueId msgQueueOffset
 *
 * topicFlag: 0 the topic itself, 1 the group's retry topic of old (`%RETRY%group_topic`), 2 of new (`%RETRY%group+topic`).
 */
import { Buffer } from "node:buffer";
import { ascii, putBytes, putDecimal, putPiece } from "./asciiWriter.ts";

const RETRY_PREFIX = "%RETRY%";
/** KeyBuilder.POP_ORDER_REVIVE_QUEUE: the reviveQid of messages popped in order, which no queue has. */
export const ORDER_REVIVE_QID = 999;

export const FLAG_NORMAL = 0;
export const FLAG_RETRY_V1 = 1;
export const FLAG_RETRY_V2 = 2;

/** Retry topic of a group's pops; `+` cannot stand in a group's or topic's name, `_` can. */
export function popRetryTopic(topic: string, group: string, v2: boolean): string {
  return `${RETRY_PREFIX}${group}${v2 ? "+" : "_"}${topic}`;
}

/** ExtraInfoUtil.getRetry: which kind of topic this is. */
export function topicFlag(topic: string): number {
  if (!topic.startsWith(RETRY_PREFIX)) return FLAG_NORMAL;
  return topic.includes("+") ? FLAG_RETRY_V2 : FLAG_RETRY_V1;
}

/** ExtraInfoUtil.getRealTopic: the topic that a popped message came from. */
export function realTopic(topic: string, group: string, flag: number): string {
  return flag === FLAG_NORMAL ? topic : popRetryTopic(topic, group, flag === FLAG_RETRY_V2);
}

/** KeyBuilder.parseNormalTopic: the topic that a pop retry topic of this group belongs to; other topics as they are. */
export function normalTopic(topic: string, group: string): string {
  if (!topic.startsWith(RETRY_PREFIX)) return topic;
  // Both separators take one character; Apache cuts without looking when it is neither.
  return topic.slice(RETRY_PREFIX.length + group.length + 1);
}

/** A handle that cannot be read; Apache throws an IllegalArgumentException or NumberFormatException, answered SYSTEM_ERROR. */
export class ExtraInfoError extends Error {}

const BLANK = 0x20;

/** A handle's parts, filled again and again by {@link ExtraInfo.read}. */
export class ExtraInfo {
  ckQueueOffset = 0;
  popTime = 0;
  invisibleTime = 0;
  reviveQid = 0;
  topicFlag = 0;
  /** Where the broker's name lies in the bytes read. */
  brokerStart = 0;
  brokerEnd = 0;

  /** Reads the first six parts, which acknowledging needs. @throws ExtraInfoError */
  read(buf: Buffer, start: number, end: number): void {
    this.#at = start;
    this.ckQueueOffset = this.#number(buf, end, "the start offset");
    this.popTime = this.#number(buf, end, "the pop time");
    this.invisibleTime = this.#number(buf, end, "the invisible time");
    this.reviveQid = this.#number(buf, end, "the revive queue");
    this.topicFlag = this.#number(buf, end, "the topic's kind");
    this.brokerStart = this.#at;
    let at = this.#at;
    while (at < end && buf[at] !== BLANK) at++;
    if (at === this.brokerStart) throw new ExtraInfoError("the handle has no broker name");
    this.brokerEnd = at;
  }

  #at = 0;

  #number(buf: Buffer, end: number, what: string): number {
    let at = this.#at;
    const negative = buf[at] === 0x2d;
    if (negative) at++;
    const first = at;
    let value = 0;
    for (; at < end && buf[at] !== BLANK; at++) {
      const digit = buf[at] - 48;
      if (digit < 0 || digit > 9) throw new ExtraInfoError(`${what} in the handle is not a number`);
      value = value * 10 + digit;
    }
    if (at === first || !Number.isSafeInteger(value)) throw new ExtraInfoError(`${what} in the handle is not a number`);
    this.#at = at + 1;
    return negative ? -value : value;
  }
}

/** The whole handle of one message (ExtraInfoUtil.buildExtraInfo). */
export function formatExtraInfo(
  ckQueueOffset: number,
  popTime: number,
  invisibleTime: number,
  reviveQid: number,
  topic: string,
  brokerName: string,
  queueId: number,
  msgQueueOffset: number,
): string {
  return `${ckQueueOffset} ${popTime} ${invisibleTime} ${reviveQid} ${topicFlag(topic)} ${brokerName} ${queueId} ${msgQueueOffset}`;
}

const SEMICOLON = 0x3b;
const COMMA = 0x2c;
/** `qo`: the key of an order count is of one message, not of a queue. */
const QUEUE_OFFSET_KEY = ascii("qo");
const PERCENT = 0x25;

/** One of the lists of a pop reply, as bytes: entries `flag key value` separated by semicolons. */
export class OffsetInfo {
  buf: Buffer = Buffer.allocUnsafeSlow(1024);
  end = 0;

  clear(): void {
    this.end = 0;
  }

  /** startOffsetInfo: where a queue's part begins. Also orderCountInfo by queue: how often its messages were given at least. */
  addQueue(flag: number, queueId: number, value: number): void {
    const at = this.#begin(flag);
    const to = putDecimal(this.buf, at, queueId);
    this.buf[to] = BLANK;
    this.end = putDecimal(this.buf, to + 1, value);
  }

  /** msgOffsetInfo: the queue offsets `[from, to)` of `offsets`. */
  addOffsets(flag: number, queueId: number, offsets: Float64Array, from: number, to: number): void {
    this.#room((to - from) * 18);
    let at = putDecimal(this.buf, this.#begin(flag), queueId);
    this.buf[at++] = BLANK;
    for (let i = from; i < to; i++) {
      if (i > from) this.buf[at++] = COMMA;
      at = putDecimal(this.buf, at, offsets[i]);
    }
    this.end = at;
  }

  /** orderCountInfo by message: how often it was given before. */
  addOrderCount(flag: number, queueId: number, queueOffset: number, count: number): void {
    let at = putPiece(this.buf, this.#begin(flag), QUEUE_OFFSET_KEY);
    at = putDecimal(this.buf, at, queueId);
    this.buf[at++] = PERCENT;
    at = putDecimal(this.buf, at, queueOffset);
    this.buf[at++] = BLANK;
    this.end = putDecimal(this.buf, at, count);
  }

  text(): string {
    return this.buf.toString("latin1", 0, this.end);
  }

  /** Copies the list to `to[at]`; returns the position after it. */
  copyTo(to: Buffer, at: number): number {
    return putBytes(to, at, this.buf, 0, this.end);
  }

  /** Separator and flag of a new entry; returns where it goes on. */
  #begin(flag: number): number {
    this.#room(64);
    let at = this.end;
    if (at > 0) this.buf[at++] = SEMICOLON;
    this.buf[at++] = 48 + flag;
    this.buf[at++] = BLANK;
    return at;
  }

  #room(bytes: number): void {
    if (this.end + bytes + 128 <= this.buf.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (this.buf.length + bytes));
    this.buf.copy(larger, 0, 0, this.end);
    this.buf = larger;
  }
}
