/**
 * How fast topics fill and groups consume, measured from offsets that exist anyway, so that it costs the hot path
 * nothing: every 10 s the ends of all queues and the committed offsets are summed up, and a rate is the growth over
 * the last minute (Apache: TOPIC_PUT_NUMS and GROUP_GET_NUMS of BrokerStatsManager, per minute).
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Store } from "../store/types.ts";
import type { Offsets } from "./offsets.ts";

const SAMPLE_MS = 10_000;
/** Samples kept: one minute and its beginning. */
const SAMPLES = 7;

interface Sample {
  /** ms, monotonic */
  readonly at: number;
  /** Sum of queue ends by topic. */
  readonly put: Map<string, number>;
  /** Sum of committed offsets by `topic@group`. */
  readonly consumed: Map<string, number>;
}

export class Rates {
  readonly #store: Pick<Store, "topics" | "queuesOf" | "maxOffset">;
  readonly #offsets: Pick<Offsets, "sums">;
  readonly #clock: Clock;
  readonly #samples: Sample[] = [];
  #timer: Timer | undefined;

  constructor(store: Pick<Store, "topics" | "queuesOf" | "maxOffset">, offsets: Pick<Offsets, "sums">, clock: Clock) {
    this.#store = store;
    this.#offsets = offsets;
    this.#clock = clock;
  }

  start(): void {
    this.sample();
    this.#timer = this.#clock.every(SAMPLE_MS, () => this.sample());
  }

  stop(): void {
    this.#clock.clear(this.#timer);
  }

  /** Messages per second that came into the topic during the last minute; 0 before the second sample. */
  putTps(topic: string): number {
    return this.#rate((sample) => sample.put.get(topic));
  }

  /** Messages per second that the group committed on the topic during the last minute. */
  consumeTps(group: string, topic: string): number {
    const key = `${topic}@${group}`;
    return this.#rate((sample) => sample.consumed.get(key));
  }

  sample(): void {
    const put = new Map<string, number>();
    for (const topic of this.#store.topics()) {
      let sum = 0;
      for (const queueId of this.#store.queuesOf(topic)) sum += this.#store.maxOffset(topic, queueId);
      put.set(topic, sum);
    }
    this.#samples.push({ at: this.#clock.monotonicMs(), put, consumed: this.#offsets.sums() });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  #rate(sumOf: (sample: Sample) => number | undefined): number {
    if (this.#samples.length < 2) return 0;
    const first = this.#samples[0];
    const last = this.#samples[this.#samples.length - 1];
    // A topic that is younger than the minute began at 0; an offset that was set back is no rate.
    const grown = (sumOf(last) ?? 0) - (sumOf(first) ?? 0);
    const seconds = (last.at - first.at) / 1000;
    return seconds > 0 && grown > 0 ? grown / seconds : 0;
  }
}
