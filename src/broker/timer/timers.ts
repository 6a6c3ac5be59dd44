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
}

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
