/**
 * What the timers need of a message's properties, found in one pass over their bytes without making strings, and the
 * properties of its copy: all it had, with the times of its wait (Apache: TimerMessageStore.convert).
 */
import { Buffer } from "node:buffer";
import { Property } from "../../message/properties.ts";

const NAME_END = 0x01;
const VALUE_END = 0x02;
const UPPER_R = 0x52;
const UPPER_T = 0x54;
const UPPER_U = 0x55;

/** Java's Long.MAX_VALUE: the enqueue time of a message that never entered the wheel. */
export const NEVER_ENQUEUED = "9223372036854775807";

const NAMES = {
  outMs: Buffer.from(Property.TIMER_OUT_MS),
  enqueueMs: Buffer.from(Property.TIMER_ENQUEUE_MS),
  dequeueMs: Buffer.from(Property.TIMER_DEQUEUE_MS),
  rollTimes: Buffer.from(Property.TIMER_ROLL_TIMES),
  deleteKey: Buffer.from(Property.TIMER_DEL_UNIQKEY),
  realTopic: Buffer.from(Property.REAL_TOPIC),
  realQueueId: Buffer.from(Property.REAL_QUEUE_ID),
  uniqueKey: Buffer.from(Property.UNIQUE_KEY),
};

/** Room for the three properties that a copy gets. */
const ADDED_BYTES = 128;

export class TimerProperties {
  /** TIMER_OUT_MS: when the message's slot is due, ms; -1 without a readable one. */
  outMs = -1;
  /** TIMER_ROLL_TIMES, 0 without. */
  rollTimes = 0;
  /** REAL_QID; -1 without a readable one. */
  realQueueId = -1;
  /** It has been in the wheel before and came back: a copy that the timers made. */
  dequeued = false;
  /** TIMER_ENQUEUE_MS says that it never entered the wheel. */
  neverEnqueued = false;
  realTopicStart = -1;
  realTopicEnd = -1;
  uniqueKeyStart = -1;
  uniqueKeyEnd = -1;
  deleteKeyStart = -1;
  deleteKeyEnd = -1;
  #buf: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  scan(buf: Buffer, start: number, end: number): void {
    this.#buf = buf;
    this.#start = start;
    this.#end = end;
    this.outMs = -1;
    this.rollTimes = 0;
    this.realQueueId = -1;
    this.dequeued = false;
    this.neverEnqueued = false;
    this.realTopicStart = -1;
    this.uniqueKeyStart = -1;
    this.deleteKeyStart = -1;
    for (let at = start; at < end; ) {
      const nameEnd = endOf(buf, at, end, NAME_END);
      const valueEnd = endOf(buf, nameEnd, end, VALUE_END);
      this.#entry(at, nameEnd, valueEnd);
      at = valueEnd + 1;
    }
  }

  #entry(at: number, nameEnd: number, valueEnd: number): void {
    const buf = this.#buf;
    const value = nameEnd + 1;
    switch (buf[at]) {
      case UPPER_T:
        if (is(buf, at, nameEnd, NAMES.outMs)) this.outMs = toNumber(buf, value, valueEnd);
        else if (is(buf, at, nameEnd, NAMES.rollTimes)) this.rollTimes = Math.max(0, toNumber(buf, value, valueEnd));
        else if (is(buf, at, nameEnd, NAMES.dequeueMs)) this.dequeued = true;
        else if (is(buf, at, nameEnd, NAMES.enqueueMs)) {
          this.neverEnqueued = buf.toString("latin1", value, valueEnd) === NEVER_ENQUEUED;
        } else if (is(buf, at, nameEnd, NAMES.deleteKey)) {
          this.deleteKeyStart = value;
          this.deleteKeyEnd = valueEnd;
        }
        break;
      case UPPER_R:
        if (is(buf, at, nameEnd, NAMES.realTopic)) {
          this.realTopicStart = value;
          this.realTopicEnd = valueEnd;
        } else if (is(buf, at, nameEnd, NAMES.realQueueId)) this.realQueueId = toNumber(buf, value, valueEnd);
        break;
      case UPPER_U:
        if (is(buf, at, nameEnd, NAMES.uniqueKey)) {
          this.uniqueKeyStart = value;
          this.uniqueKeyEnd = valueEnd;
        }
        break;
    }
  }

  get deletes(): boolean {
    return this.deleteKeyStart >= 0;
  }

  get realTopic(): string | undefined {
    return this.realTopicStart < 0 ? undefined : this.#buf.toString("utf8", this.realTopicStart, this.realTopicEnd);
  }

  get uniqueKey(): string | undefined {
    return this.uniqueKeyStart < 0 ? undefined : this.#buf.toString("utf8", this.uniqueKeyStart, this.uniqueKeyEnd);
  }

  get deleteKey(): string | undefined {
    return this.deleteKeyStart < 0 ? undefined : this.#buf.toString("utf8", this.deleteKeyStart, this.deleteKeyEnd);
  }

  /**
   * Writes the properties of the copy to `to`, which has {@link COPY_BYTES_MAX}: what the message has, less the times of an
   * earlier wait, plus those of this one.
   * @param enqueueMs as text; undefined leaves all times out, for a message that has no room for them
   * @returns their length
   */
  copy(to: Buffer, enqueueMs: string | undefined, dequeueMs: number, rolls: boolean): number {
    const buf = this.#buf;
    let o = 0;
    for (let at = this.#start; at < this.#end; ) {
      const nameEnd = endOf(buf, at, this.#end, NAME_END);
      const valueEnd = endOf(buf, nameEnd, this.#end, VALUE_END);
      // An entry without a value does not survive being read by Apache.
      if (valueEnd > nameEnd + 1 && !this.#replaced(at, nameEnd, rolls)) {
        o += buf.copy(to, o, at, valueEnd);
        to[o++] = VALUE_END;
      }
      at = valueEnd + 1;
    }
    if (enqueueMs !== undefined) {
      o = put(to, o, Property.TIMER_ENQUEUE_MS, enqueueMs);
      o = put(to, o, Property.TIMER_DEQUEUE_MS, String(dequeueMs));
    }
    return rolls ? put(to, o, Property.TIMER_ROLL_TIMES, String(this.rollTimes + 1)) : o;
  }

  #replaced(at: number, nameEnd: number, rolls: boolean): boolean {
    const buf = this.#buf;
    if (buf[at] !== UPPER_T) return false;
    return (
      is(buf, at, nameEnd, NAMES.enqueueMs) ||
      is(buf, at, nameEnd, NAMES.dequeueMs) ||
      (rolls && is(buf, at, nameEnd, NAMES.rollTimes))
    );
  }
}

export const COPY_BYTES_MAX = 65_536 + ADDED_BYTES;

function put(to: Buffer, at: number, name: string, value: string): number {
  let o = at + to.write(name, at, "latin1");
  to[o++] = NAME_END;
  o += to.write(value, o, "latin1");
  to[o++] = VALUE_END;
  return o;
}

function endOf(buf: Buffer, at: number, end: number, mark: number): number {
  let p = at;
  while (p < end && buf[p] !== mark && buf[p] !== VALUE_END) p++;
  return p;
}

function is(buf: Buffer, start: number, end: number, name: Buffer): boolean {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (buf[start + i] !== name[i]) return false;
  return true;
}

/** A decimal number below 2^53 without a sign; -1 for anything else. */
function toNumber(buf: Buffer, start: number, end: number): number {
  if (end - start > 15 || end <= start) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = buf[i] - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
