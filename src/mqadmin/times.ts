/** Times as operators write them. */
import { fromLocalTime } from "../base/clock.ts";
import { JavaFailure } from "./failures.ts";

const WRITTEN = /^(\d+)-(\d+)-(\d+)#(\d+):(\d+):(\d+):(\d+)$/;

/** Milliseconds since the epoch from a number of them, or from `yyyy-MM-dd#HH:mm:ss:SSS` in local time. @throws JavaFailure */
export function parseTime(text: string): number {
  if (/^[+-]?\d+$/.test(text)) return Number(text);
  const time = fromLocalTime((WRITTEN.exec(text) ?? []).slice(1).map(Number));
  if (time !== undefined) return time;
  // Apache's words for it are those of an exception without any.
  throw new JavaFailure(
    "java.lang.NullPointerException",
    `${text} is neither milliseconds nor yyyy-MM-dd#HH:mm:ss:SSS`,
  );
}
