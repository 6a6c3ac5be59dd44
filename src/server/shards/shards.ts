/**
 * Keeps the broker processes of `skylark start --shards N` running: starts them together, starts one that died again, after a
 * growing delay, and leaves the others alone; stops them together. Knows nothing of what they do. Does not start a shard again
 * whose store failed: after a failed sync nobody knows what the disk holds, and a start would read it from the page cache.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { ProcessEnd, ShardOrder, ShardProcess, ShardWord, StartShard } from "./processes.ts";

/** Delay of the first new start; each further one waits twice as long. */
export const RESTART_MIN_MS = 1_000;
export const RESTART_MAX_MS = 30_000;
/** A shard that ran this long has recovered: the next delay is the first one again. */
export const STEADY_MS = 60_000;
/** A shard that does not stop in order within this time is ended. */
export const STOP_LIMIT_MS = 60_000;

export interface ShardsOptions {
  readonly names: readonly string[];
  /** What shard `index` is told; asked before each of its starts. */
  order(index: number): ShardOrder;
  readonly startShard: StartShard;
  readonly clock: Clock;
  readonly log: Logger;
  /** Every shard's store has failed: nobody is served any more. */
  onNoneLeft(): void;
}

export class Shards {
  readonly #shards: Shard[];
  #stopping: Promise<boolean> | undefined;

  constructor(options: ShardsOptions) {
    const onLost = (): void => {
      if (this.#shards.every((shard) => shard.isLost)) options.onNoneLeft();
    };
    this.#shards = options.names.map((_, index) => new Shard(index, options, onLost));
  }

  /**
   * Starts all at once.
   * @returns their addresses, when all are ready
   * @throws Error with the reason of the first that could not start; all others have been stopped by then
   */
  async start(): Promise<string[]> {
    try {
      return await Promise.all(this.#shards.map((shard) => shard.begin()));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Stops all at once. @returns whether each of them ended in order, also one that waited for its next start */
  stop(): Promise<boolean> {
    this.#stopping ??= Promise.all(this.#shards.map((shard) => shard.stop())).then((ends) => ends.every(Boolean));
    return this.#stopping;
  }
}

class Shard {
  readonly #index: number;
  readonly #name: string;
  readonly #options: ShardsOptions;
  readonly #onLost: () => void;
  #process: ShardProcess | undefined;
  #lastEnd: ProcessEnd = { code: 0, signal: null };
  #problems: readonly string[] = [];
  /** Why it will not be started again. */
  #fatal: string | undefined;
  #delayMs = RESTART_MIN_MS;
  #readyAt: number | undefined;
  #restart: Timer | undefined;
  #stopping = false;
  /** Those who wait for the first start, or for the end. */
  #begun: { resolve(address: string): void; reject(error: Error): void } | undefined;
  #onEnd: (() => void) | undefined;

  constructor(index: number, options: ShardsOptions, onLost: () => void) {
    this.#index = index;
    this.#name = options.names[index];
    this.#options = options;
    this.#onLost = onLost;
  }

  get isLost(): boolean {
    return this.#fatal !== undefined && this.#process === undefined;
  }

  begin(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#begun = { resolve, reject };
      this.#start();
    });
  }

  async stop(): Promise<boolean> {
    const { clock, log } = this.#options;
    this.#stopping = true;
    clock.clear(this.#restart);
    const running = this.#process;
    if (running !== undefined) {
      const ended = new Promise<void>((resolve) => {
        this.#onEnd = resolve;
      });
      const limit = clock.after(STOP_LIMIT_MS, () => {
        log.error(`${this.#name} (pid ${running.pid}) has not stopped within ${STOP_LIMIT_MS / 1_000} s: it is killed`);
        running.kill();
      });
      running.terminate();
      await ended;
      clock.clear(limit);
    }
    return this.#lastEnd.code === 0 && this.#fatal === undefined;
  }

  #start(): void {
    this.#problems = [];
    this.#readyAt = undefined;
    this.#process = this.#options.startShard(this.#options.order(this.#index), {
      word: (word) => this.#hear(word),
      ended: (end) => {
        const pid = this.#process?.pid;
        this.#process = undefined;
        this.#ended(pid, end);
      },
    });
  }

  #hear(word: ShardWord): void {
    const { clock, log } = this.#options;
    switch (word.kind) {
      case "ready":
        this.#readyAt = clock.monotonicMs();
        log.info(
          `${this.#name} is ${this.#begun === undefined ? "back" : "ready"} (pid ${this.#process?.pid}, ${word.address})`,
        );
        this.#begun?.resolve(word.address);
        this.#begun = undefined;
        return;
      case "failed":
        this.#problems = word.problems;
        return;
      case "fatal":
        this.#fatal = word.reason;
        return;
    }
  }

  #ended(pid: number | undefined, end: ProcessEnd): void {
    this.#lastEnd = end;
    if (this.#stopping) {
      this.#begun?.reject(new Error(`${this.#name} was stopped while it started`));
      this.#onEnd?.();
    } else if (this.#begun !== undefined) {
      const reasons = this.#problems.length > 0 ? this.#problems : [howItEnded(end)];
      this.#begun.reject(new Error(reasons.map((reason) => `${this.#name}: ${reason}`).join("\n")));
    } else if (this.#fatal !== undefined) {
      this.#options.log.fatal(
        `${this.#name} (pid ${pid}) is not started again, its store failed: ${this.#fatal}. The other shards go on; look at its disk, then start all anew`,
      );
      this.#onLost();
    } else {
      this.#startLater(pid, end);
    }
    this.#begun = undefined;
  }

  #startLater(pid: number | undefined, end: ProcessEnd): void {
    const { clock, log } = this.#options;
    if (this.#readyAt !== undefined && clock.monotonicMs() - this.#readyAt >= STEADY_MS) this.#delayMs = RESTART_MIN_MS;
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(2 * delayMs, RESTART_MAX_MS);
    const why = this.#problems.length > 0 ? ` (${this.#problems.join("; ")})` : "";
    log.error(
      `${this.#name} (pid ${pid}) ${howItEnded(end)}${why}; it is started again in ${delayMs / 1_000} s, the other shards go on`,
    );
    this.#restart = clock.after(delayMs, () => this.#start());
  }
}

function howItEnded({ code, signal }: ProcessEnd): string {
  if (signal !== null) return `was ended by ${signal}`;
  return code === null ? "could not be started" : `ended with status ${code}`;
}
