/** google.protobuf.Duration and Timestamp as milliseconds. Both are seconds and nanoseconds. Pure. */
import type { Seconds } from "./generated/messages.ts";

const NANOS_PER_MS = 1_000_000;

/** Whole milliseconds, cut as Java's Durations.toMillis and Timestamps.toMillis do; an absent one is 0. */
export function toMs(time: Seconds | null | undefined): number {
  return time ? time.seconds * 1000 + Math.trunc(time.nanos / NANOS_PER_MS) : 0;
}

/** A duration: both parts have the sign of the whole. */
export function duration(ms: number): Seconds {
  const seconds = Math.trunc(ms / 1000);
  return { seconds, nanos: (ms - seconds * 1000) * NANOS_PER_MS };
}

/** A moment: nanos are never negative. */
export function timestamp(ms: number): Seconds {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: (ms - seconds * 1000) * NANOS_PER_MS };
}
