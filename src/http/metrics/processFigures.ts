/** Figures of this process: the delay of its event loop and its memory. The delay is sampled only while metrics are exported. */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

const RESOLUTION_MS = 10;
const NANOS_PER_MS = 1e6;

export class ProcessFigures {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  start(): void {
    this.#delay.enable();
  }

  stop(): void {
    this.#delay.disable();
  }

  /** By quantile, ms, since the last call. The sampling timer's own period is taken off. */
  loopLagMs(): [quantile: string, ms: number][] {
    const delay = this.#delay;
    const ms = (nanos: number): number => Math.max(0, nanos / NANOS_PER_MS - RESOLUTION_MS);
    const lags: [string, number][] =
      delay.count === 0
        ? []
        : [
            ["0.5", ms(delay.percentile(50))],
            ["0.99", ms(delay.percentile(99))],
            ["1", ms(delay.max)],
          ];
    delay.reset();
    return lags;
  }

  residentBytes(): number {
    return process.memoryUsage.rss();
  }
}
