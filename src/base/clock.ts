/**
 * The Clock port: the only file of the product that touches `Date`, timers and `setImmediate`.
 * Everything that waits or stamps takes a Clock, so that tests can stop, jump and replay time.
 */

/** A running timer; pass it to {@link Clock.clear}. Opaque to callers. */
export type Timer = { readonly timer: unique symbol } | object;

export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump. */
  now(): number;
  /** Milliseconds that never go back; only differences mean anything. */
  monotonicMs(): number;
  /** Calls `fn` once after `delayMs`. Does not keep the process alive by itself. */
  after(delayMs: number, fn: () => void): Timer;
  /** Calls `fn` every `periodMs`, first after one period. Does not keep the process alive by itself. */
  every(periodMs: number, fn: () => void): Timer;
  clear(timer: Timer | undefined): void;
  /** Calls `fn` once, after all I/O callbacks of this event-loop turn. */
  endOfTurn(fn: () => void): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, fn) => setTimeout(fn, delayMs).unref(),
  every: (periodMs, fn) => setInterval(fn, periodMs).unref(),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  endOfTurn: (fn) => {
    setImmediate(fn);
  },
};

/** A promise that resolves after `delayMs` on the given clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/**
 * Calls `fn` again and again, each time after what `periodMs` then says: for periods that can be changed meanwhile.
 * Returns what ends it.
 */
export function repeat(clock: Clock, periodMs: () => number, fn: () => void): () => void {
  let timer: Timer | undefined;
  const arm = (): void => {
    timer = clock.after(periodMs(), () => {
      arm();
      fn();
    });
  };
  arm();
  return () => clock.clear(timer);
}

/** yyyyMMddHHmmssSSS in local time: how Apache names index files (UtilAll.timeMillisToHumanString). */
export function localTimestamp(timeMs: number): string {
  const d = new Date(timeMs);
  const two = (n: number) => String(n).padStart(2, "0");
  return (
    `${d.getFullYear()}${two(d.getMonth() + 1)}${two(d.getDate())}` +
    `${two(d.getHours())}${two(d.getMinutes())}${two(d.getSeconds())}${String(d.getMilliseconds()).padStart(3, "0")}`
  );
}

/**
 * A local time, in ms since the epoch; undefined when a part is no number. Parts beyond their range run over, as in Java's lenient calendar.
 * @param parts year, month (1-12), day, hour, minute, second, millisecond
 */
export function fromLocalTime(parts: readonly number[]): number | undefined {
  const [year, month, day, hour, minute, second, ms] = parts;
  const time = new Date(year, month - 1, day, hour, minute, second, ms).getTime();
  return Number.isNaN(time) ? undefined : time;
}

/** Hour of the day in local time, 0-23. */
export function localHour(timeMs: number): number {
  return new Date(timeMs).getHours();
}

/** `yyyy-MM-ddTHH:mm:ss.SSSZ`. */
export function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
