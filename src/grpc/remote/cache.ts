/**
 * What a proxy remembers of others' configuration (Apache: AbstractCacheLoader over Caffeine). A value is used at once
 * while it is young, used and asked for again behind the answer when it is older, and not used any more when it is old:
 * while nobody answers, what was known lasts until then. That something does not exist is believed for a moment only,
 * because whoever makes it uses it next. Bounded: what was asked for longest ago goes first.
 */
import type { Clock } from "../../base/clock.ts";

/** How long an absence is believed: spares the others a storm of questions, and nobody notices. */
const ABSENT_MS = 1_000;

export interface CacheOptions {
  /** Age in ms from which a value is asked for again. */
  readonly refreshMs: number;
  /** Age in ms from which it is not used any more. */
  readonly expireMs: number;
  readonly max: number;
}

interface Entry<T> {
  value: T | undefined;
  /** Monotonic ms. */
  loadedAt: number;
}

export class RefreshingCache<T> {
  readonly #clock: Clock;
  readonly #options: CacheOptions;
  readonly #load: (key: string) => Promise<T | undefined>;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #loading = new Map<string, Promise<T | undefined>>();

  /** @param load undefined: it does not exist; rejects when nobody could say */
  constructor(clock: Clock, options: CacheOptions, load: (key: string) => Promise<T | undefined>) {
    this.#clock = clock;
    this.#options = options;
    this.#load = load;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The value, now when it is known. A promise rejects when it is not known and nobody could say. */
  get(key: string): T | undefined | Promise<T | undefined> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return this.#reload(key);
    const age = this.#clock.monotonicMs() - entry.loadedAt;
    if (entry.value === undefined) return age < ABSENT_MS ? undefined : this.#reload(key);
    if (age < this.#options.refreshMs) return entry.value;
    const loading = this.#reload(key);
    if (age >= this.#options.expireMs) return loading;
    // Nobody waits for this one; the next look says whether it came.
    loading.catch(() => {});
    return entry.value;
  }

  /** What was said last, however long ago. */
  last(key: string): T | undefined {
    return this.#entries.get(key)?.value;
  }

  /** The next look asks anew, and uses the old value only if nobody answers. */
  doubt(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.value !== undefined) {
      entry.loadedAt = Math.min(entry.loadedAt, this.#clock.monotonicMs() - this.#options.refreshMs);
    }
  }

  #reload(key: string): Promise<T | undefined> {
    let loading = this.#loading.get(key);
    if (loading === undefined) {
      loading = this.#load(key)
        .then((value) => {
          this.#entries.delete(key);
          if (this.#entries.size >= this.#options.max) this.#forgetOldest();
          this.#entries.set(key, { value, loadedAt: this.#clock.monotonicMs() });
          return value;
        })
        .finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  #forgetOldest(): void {
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }
}
