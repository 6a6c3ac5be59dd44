/** The timers as the rest of the broker sees them, and a broker without (timerWheelEnable=false). */
import type { Buffer } from "node:buffer";
import type { Delayable } from "../delayLevels.ts";
import { deferTimer, type TimerOptions, type TimerRefusal } from "./timerTransform.ts";

export interface Timers {
  /** Makes a message that asks for an exact time wait for it, or says why not; see {@link deferTimer}. */
  defer(message: Delayable): TimerRefusal | undefined;
  /** How far the timers came, in Apache's bytes; undefined without a wheel. */
  checkpoint(): Buffer | undefined;
  /** How many messages wait for each topic, in Apache's JSON; undefined without a wheel. */
  metrics(): string | undefined;
  /** What GET_BROKER_RUNTIME_INFO shows of timers. */
  runningStats(): Map<string, string>;
  /** A topic was deleted. */
  forget(topic: string): void;
  /** What metrics say of timers; undefined without a wheel. */
  figures(): TimerFigures | undefined;
}

/** See DefaultStoreMetricsManager. */
export interface TimerFigures {
  /** Messages of the timer topic that are not in the wheel yet. */
  readonly enqueueLag: number;
  /** Messages in the wheel. */
  readonly dequeueLag: number;
  /** How far the wheel's hand is behind, ms. */
  readonly dequeueLatencyMs: number;
  /** Messages that wait, by topic. */
  readonly waiting: readonly (readonly [topic: string, messages: number])[];
  /** Messages due within so many seconds, and not within the bound before. */
  readonly due: readonly (readonly [boundSeconds: number, messages: number])[];
}

/** Apache's TimerMetrics.timerDist, seconds. */
export const TIMER_BOUNDS_SECONDS = [5, 60, 300, 900, 3600, 14_400, 28_800, 86_400] as const;

export class NoTimers implements Timers {
  readonly #options: TimerOptions;
  readonly #now: () => number;

  constructor(options: TimerOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  defer(message: Delayable): TimerRefusal | undefined {
    return deferTimer(message, { ...this.#options, timerWheelEnable: false }, this.#now(), () => undefined);
  }

  checkpoint(): undefined {
    return undefined;
  }

  metrics(): undefined {
    return undefined;
  }

  runningStats(): Map<string, string> {
    return timerStats(0, 0, 0, "0.0", "0.0");
  }

  forget(): void {}

  figures(): undefined {
    return undefined;
  }
}

/** Apache's keys (AdminBrokerProcessor.prepareRuntimeInfo). */
export function timerStats(
  readBehindSeconds: number,
  offsetBehind: number,
  congestNum: number,
  enqueueTps: string,
  dequeueTps: string,
): Map<string, string> {
  return new Map([
    ["timerReadBehind", String(readBehindSeconds)],
    ["timerOffsetBehind", String(offsetBehind)],
    ["timerCongestNum", String(congestNum)],
    ["timerEnqueueTps", enqueueTps],
    ["timerDequeueTps", dequeueTps],
  ]);
}
