/**
 * What sending with TIMER_DELAY_SEC, TIMER_DELAY_MS or TIMER_DELIVER_MS does to a message (Apache: HookUtils.
 * handleScheduleMessage, checkIfTimerMessage, transformTimerMessage). Pure.
 */
import { Property } from "../../message/properties.ts";
import { TRANSACTION_COMMIT, TRANSACTION_MASK, TRANSACTION_NONE } from "../../message/sysFlag.ts";
import type { Delayable } from "../delayLevels.ts";
import { TIMER_TOPIC } from "../names.ts";

/** The options this reads, by Apache's keys. */
export interface TimerOptions {
  readonly timerWheelEnable: boolean;
  readonly timerPrecisionMs: number;
  /** Seconds. */
  readonly timerMaxDelaySec: number;
}

/** Apache's PutMessageStatus WHEEL_TIMER_..., with the exact reason. */
export interface TimerRefusal {
  status: "notEnabled" | "illegal" | "flowControl";
  reason: string;
}

/**
 * Turns a message that asks for an exact time into one of the timer topic, which waits there; leaves any other as it is,
 * also one whose time is over. Half and rolled-back messages of a transaction never wait. Call it after the delay levels,
 * which rule out an exact time.
 * @param reject whether the slot of this time takes no more
 */
export function deferTimer(
  message: Delayable,
  options: TimerOptions,
  now: number,
  reject: (outMs: number) => string | undefined,
): TimerRefusal | undefined {
  const { properties } = message;
  const asked = askedFor(message);
  if (asked === undefined) return undefined;
  if (!options.timerWheelEnable) return { status: "notEnabled", reason: `${asked} asks for it` };
  const text = properties.get(asked) as string;
  const deliverMs = deliverTime(asked, text, now);
  if (deliverMs === undefined) return { status: "illegal", reason: `${asked} is "${text}", not a whole number` };
  if (deliverMs <= now) {
    if (!properties.has(Property.TIMER_DEL_UNIQKEY)) return undefined;
    return { status: "illegal", reason: `the time of the message to delete, ${deliverMs}, is over` };
  }
  if (deliverMs - now > options.timerMaxDelaySec * 1000) {
    return { status: "illegal", reason: `${asked}=${text} is ${deliverMs - now} ms away` };
  }
  const { timerPrecisionMs } = options;
  const rest = deliverMs % timerPrecisionMs;
  // The slot before: it is read when its last millisecond is over.
  const outMs = deliverMs - (rest === 0 ? timerPrecisionMs : rest);
  const rejected = reject(outMs);
  if (rejected !== undefined) return { status: "flowControl", reason: rejected };
  properties.set(Property.TIMER_OUT_MS, String(outMs));
  properties.set(Property.REAL_TOPIC, message.topic);
  properties.set(Property.REAL_QUEUE_ID, String(message.queueId));
  message.topic = TIMER_TOPIC;
  message.queueId = 0;
  return undefined;
}

/** The property by which the message asks for a time, the one that counts. */
function askedFor(message: Delayable): string | undefined {
  const { properties } = message;
  const transaction = (message.sysFlag ?? 0) & TRANSACTION_MASK;
  if (transaction !== TRANSACTION_NONE && transaction !== TRANSACTION_COMMIT) return undefined;
  // It waits already, or has waited.
  if (message.topic === TIMER_TOPIC || properties.has(Property.TIMER_OUT_MS)) return undefined;
  if (Number(properties.get(Property.DELAY_TIME_LEVEL) ?? 0) > 0) return undefined;
  return [Property.TIMER_DELAY_SEC, Property.TIMER_DELAY_MS, Property.TIMER_DELIVER_MS].find((name) =>
    properties.has(name),
  );
}

const LONG_BITS = 64;
const LONG_MAX = 2n ** 63n - 1n;
const LONG_MIN = -(2n ** 63n);

/** Java's arithmetic on longs, which may overflow; undefined where Long.parseLong throws. Far values are cut to +-2^53. */
function deliverTime(asked: string, text: string, now: number): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const value = BigInt(text);
  if (value > LONG_MAX || value < LONG_MIN) return undefined;
  const factor = asked === Property.TIMER_DELAY_SEC ? 1000n : 1n;
  const base = asked === Property.TIMER_DELIVER_MS ? 0n : BigInt(now);
  const time = Number(BigInt.asIntN(LONG_BITS, base + BigInt.asIntN(LONG_BITS, value * factor)));
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, time));
}
