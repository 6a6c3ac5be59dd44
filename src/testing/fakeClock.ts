/** A clock that only moves when a test says so. Timers run in the order of their time, turns when asked for. */
import type { Clock, Timer } from "../base/clock.ts";

interface Entry {
  at: number;
  readonly periodMs: number | undefined;
  readonly fn: () => void;
}

export class FakeClock implements Clock {
  #now: number;
  #monotonic = 0;
  readonly #timers = new Set<Entry>();
  #turn: (() => void)[] = [];

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#monotonic;
  }

  after(delayMs: number, fn: () => void): Timer {
    const entry: Entry = { at: this.#monotonic + delayMs, periodMs: undefined, fn };
    this.#timers.add(entry);
    return entry;
  }

  every(periodMs: number, fn: () => void): Timer {
    const entry: Entry = { at: this.#monotonic + periodMs, periodMs, fn };
    this.#timers.add(entry);
    return entry;
  }

  clear(timer: Timer | undefined): void {
    this.#timers.delete(timer as Entry);
  }

  endOfTurn(fn: () => void): void {
    this.#turn.push(fn);
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Moves the wall clock alone, as an operator or NTP does. */
  jump(ms: number): void {
    this.#now += ms;
  }

  /** Ends the turn and lets promises run until nothing is left to do. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 20; idle++) {
      const turn = this.#turn;
      this.#turn = [];
      if (turn.length > 0) idle = 0;
      for (const fn of turn) fn();
      await Promise.resolve();
    }
    // Real I/O (a test's temporary files) needs the real event loop.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets time pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    await this.settle();
    const end = this.#monotonic + ms;
    for (;;) {
      const due = [...this.#timers].filter((entry) => entry.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#moveTo(due.at);
      if (due.periodMs === undefined) this.#timers.delete(due);
      else due.at += due.periodMs;
      due.fn();
      await this.settle();
    }
    this.#moveTo(end);
  }

  #moveTo(monotonic: number): void {
    const step = Math.max(0, monotonic - this.#monotonic);
    this.#monotonic += step;
    this.#now += step;
  }
}
