/** Messages per second over the last whole ten seconds, as Apache counts them (PerfCounter). */
import type { Clock } from "../../base/clock.ts";

const WINDOW_MS = 10_000;

export class TimerRate {
  readonly #clock: Clock;
  readonly #total: () => number;
  #since: number;
  #base = 0;
  #rate = 0;

  /** @param total counts up, since the start */
  constructor(clock: Clock, total: () => number) {
    this.#clock = clock;
    this.#total = total;
    this.#since = clock.monotonicMs();
  }

  /** To be called every second or so. */
  look(): void {
    const now = this.#clock.monotonicMs();
    const elapsed = now - this.#since;
    if (elapsed < WINDOW_MS) return;
    const count = this.#total() - this.#base;
    // Apache's rounding: it adds a tenth of a message to whatever it counted.
    this.#rate = count === 0 ? 0 : ((count + 0.1) * 1000) / elapsed;
    this.#base += count;
    this.#since = now;
  }

  /** Float.toString of the rate. */
  text(): string {
    const value = Math.fround(this.#rate);
    for (let digits = 1; digits < 10; digits++) {
      const text = String(Number(value.toPrecision(digits)));
      if (Math.fround(Number(text)) === value) return text.includes(".") ? text : `${text}.0`;
    }
    return String(value);
  }
}
