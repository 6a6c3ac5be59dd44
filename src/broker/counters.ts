/**
 * What went through the broker since it started, and how fast (Apache: StoreStatsService and BrokerStats). The hot path
 * adds to plain number fields; everything else happens once a second.
 */
import { type Clock, localTimestamp, type Timer } from "../base/clock.ts";

const SAMPLE_MS = 1_000;
/** Ten minutes and the second before. */
const SAMPLES = 601;
const WINDOWS_SECONDS = [10, 60, 600] as const;

interface Totals {
  readonly puts: number;
  readonly found: number;
  readonly missed: number;
  readonly transferred: number;
}

interface Sample extends Totals {
  /** ms, monotonic */
  readonly at: number;
}

/** Messages that came and went until a moment, without those of system topics. */
export interface DayTotals {
  readonly put: number;
  readonly got: number;
}

export class Counters {
  /** Messages appended, whatever for. */
  puts = 0;
  /** Bytes of their records. */
  putBytes = 0;
  /** Appends refused. */
  putFailures = 0;
  /** Pulls that found messages, and that found none. */
  found = 0;
  missed = 0;
  /** Messages sent to consumers. */
  transferred = 0;
  /** The longest that a pull had to wait for bytes from the disk, ms; one from memory waits for nothing. */
  getTimeMaxMs = 0;

  readonly startedAt: number;
  readonly #clock: Clock;
  readonly #totals: () => DayTotals;
  readonly #samples: Sample[] = [];
  #day: string;
  #todayMorning: DayTotals = { put: 0, got: 0 };
  #yesterdayMorning: DayTotals = { put: 0, got: 0 };
  #timer: Timer | undefined;

  constructor(clock: Clock, totals: () => DayTotals) {
    this.#clock = clock;
    this.#totals = totals;
    this.startedAt = clock.now();
    this.#day = dayOf(clock);
  }

  start(): void {
    this.sample();
    this.#timer = this.#clock.every(SAMPLE_MS, () => this.sample());
  }

  stop(): void {
    this.#clock.clear(this.#timer);
  }

  /** Takes the second's sample; at midnight the day's as well. */
  sample(): void {
    const { puts, found, missed, transferred } = this;
    this.#samples.push({ at: this.#clock.monotonicMs(), puts, found, missed, transferred });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    const day = dayOf(this.#clock);
    if (day === this.#day) return;
    this.#day = day;
    this.#yesterdayMorning = this.#todayMorning;
    this.#todayMorning = this.#totals();
  }

  /** Messages until now, until this midnight and until the one before, as mqadmin's clusterList -m wants them. */
  get days(): { now: DayTotals; todayMorning: DayTotals; yesterdayMorning: DayTotals } {
    return {
      now: this.#totals(),
      todayMorning: this.#todayMorning,
      yesterdayMorning: this.#yesterdayMorning,
    };
  }

  /** Per second over the last 10 s, 60 s and 600 s; undefined for a window that has not passed yet. */
  rates(of: (totals: Totals) => number): (number | undefined)[] {
    const last = this.#samples.at(-1);
    return WINDOWS_SECONDS.map((seconds) => {
      const first = this.#samples[this.#samples.length - 1 - seconds];
      if (last === undefined || first === undefined || last.at <= first.at) return undefined;
      return ((of(last) - of(first)) * 1000) / (last.at - first.at);
    });
  }
}

function dayOf(clock: Clock): string {
  return localTimestamp(clock.now()).slice(0, 8);
}
