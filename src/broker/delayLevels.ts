/**
 * The delay levels of messageDelayLevel ("1s 5s 10s 30s 1m ... 2h") and what sending at a level does to a message
 * (Apache: ScheduleMessageService.parseDelayLevel, HookUtils.transformDelayLevelMessage). Pure.
 */
import { Property } from "../message/properties.ts";
import { TRANSACTION_COMMIT, TRANSACTION_MASK, TRANSACTION_NONE } from "../message/sysFlag.ts";
import { SCHEDULE_TOPIC } from "./names.ts";

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** What Apache adds for a level that it does not know. */
const UNKNOWN_LEVEL_MS = 1_000;

/** What the transformation touches of a message. */
export interface Delayable {
  topic: string;
  queueId: number;
  properties: Map<string, string>;
  sysFlag?: number;
}

export class DelayLevels {
  readonly #delaysMs: readonly number[];

  /** @throws Error when a level is not a number and one of s, m, h, d */
  constructor(messageDelayLevel: string) {
    this.#delaysMs = messageDelayLevel.split(" ").map((level) => {
      const match = /^(\d+)([smhd])$/.exec(level);
      if (match === null) {
        throw new Error(
          `messageDelayLevel: "${level}" is not a delay such as 10s, 5m, 2h or 1d (in "${messageDelayLevel}")`,
        );
      }
      return Number(match[1]) * UNIT_MS[match[2]];
    });
  }

  /** Levels are 1 to `max`. */
  get max(): number {
    return this.#delaysMs.length;
  }

  /** ms */
  delayMs(level: number): number {
    return this.#delaysMs[level - 1] ?? UNKNOWN_LEVEL_MS;
  }

  /** When a message stored at `storeTimestamp` is due, ms; a level above the maximum counts as the maximum. */
  deliverTime(level: number, storeTimestamp: number): number {
    return storeTimestamp + this.delayMs(Math.min(level, this.max));
  }

  /**
   * The level a message asks for, 0 without one. Half and rolled-back messages of a transaction are never delayed.
   * @throws Error when DELAY is not an integer
   */
  levelOf(message: Delayable): number {
    const text = message.properties.get(Property.DELAY_TIME_LEVEL);
    if (text === undefined) return 0;
    const transaction = (message.sysFlag ?? 0) & TRANSACTION_MASK;
    if (transaction !== TRANSACTION_NONE && transaction !== TRANSACTION_COMMIT) return 0;
    if (!/^[+-]?\d+$/.test(text)) throw new Error(`the property DELAY is "${text}", not a delay level`);
    return Math.max(0, Number(text));
  }

  /**
   * Turns a message that asks for a delay level into one of the schedule topic, which waits there; false, and no change,
   * for any other. Apache keeps the property DELAY and adds REAL_TOPIC and REAL_QID, all of which the delivered message
   * still carries.
   */
  defer(message: Delayable): boolean {
    const level = Math.min(this.levelOf(message), this.max);
    if (level <= 0) return false;
    const { properties } = message;
    properties.set(Property.DELAY_TIME_LEVEL, String(level));
    // A level rules out an exact time.
    properties.delete(Property.TIMER_DELIVER_MS);
    properties.delete(Property.TIMER_DELAY_SEC);
    properties.delete(Property.TIMER_DELAY_MS);
    properties.set(Property.REAL_TOPIC, message.topic);
    properties.set(Property.REAL_QUEUE_ID, String(message.queueId));
    message.topic = SCHEDULE_TOPIC;
    message.queueId = level - 1;
    return true;
  }
}
