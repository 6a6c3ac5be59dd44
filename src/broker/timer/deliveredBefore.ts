/**
 * Copies that the timers put into the log after their last checkpoint, found by reading the log from there: without it
 * every timer of the last second before a crash would come twice, as with Apache. Holds at most
 * {@link limits.TIMER_DELIVERED_MAX}; what is beyond comes twice, as at-least-once allows.
 */
import type { Buffer } from "node:buffer";
import * as limits from "../../base/limits.ts";
import { RecordView } from "../../message/record.ts";
import type { MessageStore } from "../../store/messageStore.ts";
import { TimerProperties } from "./timerProperties.ts";

const WINDOW_BYTES = 1024 * 1024;

export class DeliveredBefore {
  readonly #counts = new Map<string, number>();
  /** Log offset of the first copy found; -1 without one. */
  first = -1;

  get size(): number {
    return this.#counts.size;
  }

  /**
   * Reads the log from `logOffset`, where a record must begin, to its end.
   * @param sinceMs copies stored before it are not meant
   */
  async read(store: MessageStore, logOffset: number, sinceMs = 0): Promise<void> {
    const view = new RecordView();
    const properties = new TimerProperties();
    const end = store.maxLogOffset();
    let at = logOffset;
    let want = WINDOW_BYTES;
    while (at < end && this.#counts.size < limits.TIMER_DELIVERED_MAX) {
      const window = await store.readLog(at, Math.min(want, end - at));
      if (window === undefined) return;
      const used = this.#records(window, view, properties, sinceMs);
      if (used < 0) return;
      // A record larger than the window, or bytes that are none: the rest is not worth guessing.
      if (used === 0 && window.length < want) return;
      want = used === 0 ? want * 4 : WINDOW_BYTES;
      at += used;
    }
  }

  #records(window: Buffer, view: RecordView, properties: TimerProperties, sinceMs: number): number {
    let at = 0;
    for (;;) {
      const kind = view.read(window, at, window.length, false);
      if (kind === "damaged") return -1;
      if (kind === "end") return at;
      if (kind === "record" && view.storeTimestamp >= sinceMs) {
        properties.scan(window, view.propertiesAt, view.propertiesAt + view.propertiesBytes);
        if (properties.dequeued && properties.outMs >= 0) {
          if (this.first < 0) this.first = view.logOffset;
          this.#note(view.topic(), properties);
        }
      }
      at += view.totalBytes;
    }
  }

  #note(topic: string, properties: TimerProperties): void {
    const key = keyOf(topic, properties, properties.rollTimes);
    if (key !== undefined) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** Whether a copy to this topic, rolled so often, is there already; each counts once. */
  take(topic: string, properties: TimerProperties, rollTimes: number): boolean {
    const key = keyOf(topic, properties, rollTimes);
    if (key === undefined) return false;
    const count = this.#counts.get(key);
    if (count === undefined) return false;
    if (count === 1) this.#counts.delete(key);
    else this.#counts.set(key, count - 1);
    return true;
  }
}

/** Undefined for a message without a unique key: such a one rather comes twice. */
function keyOf(topic: string, properties: TimerProperties, rollTimes: number): string | undefined {
  const { uniqueKey } = properties;
  if (uniqueKey === undefined) return undefined;
  return `${topic} ${uniqueKey} ${properties.deletes ? "-" : ""}${properties.outMs} ${rollTimes}`;
}
