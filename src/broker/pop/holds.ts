/**
 * Pops and notifications that wait for a message (Apache: PopLongPollingService). Woken one by one as long as each finds
 * something, when a message arrives in their topic or its retry topics, when an acknowledgement frees a queue in order,
 * or when their time is over. Holds nothing but what the callback needs.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { Deadlines, type Due } from "../../base/deadlines.ts";

/** The options this service reads, by Apache's keys. */
export interface HoldOptions {
  /** Most held requests of the broker. */
  readonly maxPopPollingSize: number;
  /** Most held requests of one group on one queue. */
  readonly popPollingSize: number;
}

/** What holding came to (Apache: PollingResult). */
export type HoldOutcome = "held" | "full" | "timeout";

export interface Held {
  readonly topic: string;
  readonly group: string;
  /** -1: any queue. */
  readonly queueId: number;
  /** Whether anybody is still there to be answered. */
  alive(): boolean;
  /**
   * Tries again. With `last` it must answer; otherwise it may find nothing and goes on waiting.
   * @returns true when it was answered (or took itself over)
   */
  wake(last: boolean): boolean;
}

/** Apache answers this much before a poll's time is over. */
const EARLY_MS = 50;
/** Timers may not count sleep: whoever waits long is looked at again after this. */
const LOOK_AGAIN_MS = 1_000;

class Entry implements Due {
  readonly held: Held;
  readonly list: Entry[];
  /** ms of the monotonic clock */
  dueAt: number;
  heapIndex = -1;

  constructor(held: Held, list: Entry[], dueAt: number) {
    this.held = held;
    this.list = list;
    this.dueAt = dueAt;
  }
}

/** Waiting requests of one group on one topic, by queue id. */
type Waiting = Map<number, Entry[]>;

export class PopHolds {
  readonly #options: HoldOptions;
  readonly #clock: Clock;
  /** By topic, then by group. */
  readonly #topics = new Map<string, Map<string, Waiting>>();
  readonly #deadlines = new Deadlines<Entry>();
  /** The newest is woken first (Apache does so for notifications). */
  readonly #newestFirst: boolean;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(options: HoldOptions, clock: Clock, newestFirst = false) {
    this.#options = options;
    this.#clock = clock;
    this.#newestFirst = newestFirst;
  }

  get count(): number {
    return this.#deadlines.size;
  }

  /** Requests of a group that wait on exactly this queue id (POLLING_INFO). */
  waiting(topic: string, group: string, queueId: number): number {
    return this.#topics.get(topic)?.get(group)?.get(queueId)?.length ?? 0;
  }

  /** Whether anybody of a group waits on a topic. */
  waits(topic: string, group: string): boolean {
    return this.#topics.get(topic)?.has(group) ?? false;
  }

  /** @param expiresAt ms of the wall clock at which the client stops waiting */
  hold(held: Held, expiresAt: number): HoldOutcome {
    if (this.#stopped) return "timeout";
    if (this.#deadlines.size >= this.#options.maxPopPollingSize) return "full";
    const waitMs = expiresAt - EARLY_MS - this.#clock.now();
    if (waitMs < 0) return "timeout";
    const crowd = this.#topics.get(held.topic)?.get(held.group)?.get(held.queueId);
    if (crowd !== undefined && crowd.length > this.#options.popPollingSize) {
      this.#dropGone(crowd);
      if (crowd.length > this.#options.popPollingSize) return "full";
    }
    let groups = this.#topics.get(held.topic);
    if (groups === undefined) {
      groups = new Map();
      this.#topics.set(held.topic, groups);
    }
    let waiting = groups.get(held.group);
    if (waiting === undefined) {
      waiting = new Map();
      groups.set(held.group, waiting);
    }
    let list = waiting.get(held.queueId);
    if (list === undefined) {
      list = [];
      waiting.set(held.queueId, list);
    }
    // The client counts the time it waits; if the wall clock goes back, it has left all the same, and must get no message.
    const entry = new Entry(held, list, this.#clock.monotonicMs() + waitMs);
    list.push(entry);
    this.#deadlines.add(entry);
    this.#arm();
    return "held";
  }

  /** Messages became visible in a queue of the topic. */
  arrived(topic: string, queueId: number): void {
    const groups = this.#topics.get(topic);
    if (groups === undefined) return;
    for (const waiting of groups.values()) {
      this.#wakeAll(waiting.get(-1));
      if (queueId >= 0) this.#wakeAll(waiting.get(queueId));
    }
  }

  /** Something may have become available to one group: in its retry topic, or because a queue is free again. */
  freed(topic: string, group: string, queueId: number): void {
    const waiting = this.#topics.get(topic)?.get(group);
    if (waiting === undefined) return;
    this.#wakeAll(waiting.get(-1));
    if (queueId >= 0) this.#wakeAll(waiting.get(queueId));
    else for (const [id, list] of waiting) if (id >= 0) this.#wakeAll(list);
  }

  /** Wakes in turn until one finds nothing: then the others would not either. */
  #wakeAll(list: Entry[] | undefined): void {
    if (list === undefined) return;
    // Requests that hold themselves again meanwhile are not looked at twice.
    for (let left = list.length; left > 0 && list.length > 0; left--) {
      const entry = this.#newestFirst ? list[list.length - 1] : list[0];
      if (!entry.held.alive()) {
        this.#take(entry);
        continue;
      }
      if (!entry.held.wake(false)) return;
      this.#take(entry);
    }
  }

  /** Whoever gave up keeps nobody else out: a client may ask and leave again faster than its polls' time is over. */
  #dropGone(list: Entry[]): void {
    for (const entry of [...list]) if (!entry.held.alive()) this.#take(entry);
  }

  #take(entry: Entry): void {
    this.#deadlines.remove(entry);
    const { list } = entry;
    const at = list[0] === entry ? 0 : list.lastIndexOf(entry);
    if (at === 0) list.shift();
    else if (at > 0) list.splice(at, 1);
    if (list.length === 0) this.#forget(entry.held, list);
  }

  #forget(held: Held, list: Entry[]): void {
    const groups = this.#topics.get(held.topic);
    const waiting = groups?.get(held.group);
    if (waiting?.get(held.queueId) !== list) return;
    waiting.delete(held.queueId);
    if (waiting.size > 0) return;
    groups?.delete(held.group);
    if (groups?.size === 0) this.#topics.delete(held.topic);
  }

  #arm(): void {
    const first = this.#deadlines.first;
    if (first === undefined || this.#stopped) return;
    const now = this.#clock.monotonicMs();
    const at = Math.max(now, Math.min(first.dueAt, now + LOOK_AGAIN_MS));
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    this.#clock.clear(this.#timer);
    this.#timerAt = at;
    this.#timer = this.#clock.after(at - now, () => {
      this.#timer = undefined;
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#expire();
      this.#arm();
    });
  }

  #expire(): void {
    const now = this.#clock.monotonicMs();
    for (let entry = this.#deadlines.take(now); entry !== undefined; entry = this.#deadlines.take(now)) {
      this.#take(entry);
      if (entry.held.alive()) entry.held.wake(true);
    }
  }

  /** Answers everybody, for a stop. */
  stop(): void {
    this.#stopped = true;
    this.#clock.clear(this.#timer);
    this.#timer = undefined;
    for (const groups of [...this.#topics.values()]) {
      for (const waiting of [...groups.values()]) {
        for (const list of [...waiting.values()]) {
          for (const entry of [...list]) if (entry.held.alive()) entry.held.wake(true);
        }
      }
    }
    this.#topics.clear();
    this.#deadlines.clear();
  }
}
