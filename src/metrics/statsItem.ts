/**
 * One figure that grows, and how fast it grew during the last minute, hour and day (Apache: StatsItem, CallSnapshot,
 * StatsSnapshot). A period is measured between samples, so that adding costs two additions.
 */

/** Growth over a period. */
export interface StatsSnapshot {
  readonly sum: number;
  /** Sum per second. */
  readonly tps: number;
  /** Sum per addition. */
  readonly avgpt: number;
}

const NOTHING: StatsSnapshot = { sum: 0, tps: 0, avgpt: 0 };

/** Numbers of one sample: when (ms of the wall clock), value, times. */
const STRIDE = 3;

/**
 * The last samples of one period; the first one is preceded by one of a sampling interval earlier. Flat, and given back
 * when nothing grew for the whole period: there may be an item for each of 10,000 queues.
 */
class Period {
  readonly #intervalMs: number;
  readonly #kept: number;
  #samples: number[] | undefined;
  /** Value and times before the first sample. */
  #value = 0;
  #times = 0;

  constructor(intervalMs: number, kept: number) {
    this.#intervalMs = intervalMs;
    this.#kept = kept * STRIDE;
  }

  sample(at: number, value: number, times: number): void {
    if (this.#samples === undefined) {
      if (value === this.#value && times === this.#times) return;
      this.#samples = [at - this.#intervalMs, this.#value, this.#times];
    }
    const samples = this.#samples;
    samples.push(at, value, times);
    if (samples.length > this.#kept) samples.splice(0, STRIDE);
    if (samples[1] !== value || samples[2] !== times) return;
    this.#samples = undefined;
    this.#value = value;
    this.#times = times;
  }

  snapshot(): StatsSnapshot {
    const samples = this.#samples;
    if (samples === undefined) return NOTHING;
    const last = samples.length - STRIDE;
    const passedMs = samples[last] - samples[0];
    // The wall clock may have gone back.
    if (passedMs <= 0) return NOTHING;
    const sum = samples[last + 1] - samples[1];
    const times = samples[last + 2] - samples[2];
    return { sum, tps: (sum * 1000) / passedMs, avgpt: times > 0 ? sum / times : 0 };
  }
}

export const MINUTE_SAMPLE_MS = 10_000;
export const HOUR_SAMPLE_MS = 600_000;
export const DAY_SAMPLE_MS = 3_600_000;

export class StatsItem {
  value = 0;
  times = 0;
  readonly minute = new Period(MINUTE_SAMPLE_MS, 7);
  readonly hour = new Period(HOUR_SAMPLE_MS, 7);
  readonly day = new Period(DAY_SAMPLE_MS, 25);

  /** On the hot path. */
  add(value: number, times: number): void {
    this.value += value;
    this.times += times;
  }
}
