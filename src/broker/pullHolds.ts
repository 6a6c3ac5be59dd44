/**
 * Pulls that wait for a message (Apache: PullRequestHoldService): woken in the turn that makes one visible, or looked
 * at every five seconds until their time is over. Holds nothing but what the callback needs.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { PULL_HOLDS_MAX } from "../base/limits.ts";

const SWEEP_MS = 5_000;

export interface Held {
  readonly topic: string;
  readonly queueId: number;
  /** Monotonic ms at which waiting ends. */
  readonly deadline: number;
  /** How many ordinary pulls it counts for: more than 1 when it keeps an expression that nobody shares. */
  readonly weight: number;
  /** Whether anybody is still there to be answered. */
  alive(): boolean;
  /**
   * Tries again. With `last` it must answer; otherwise it may find nothing for its filter and go on waiting.
   * @returns true when it was answered (or took itself over)
   */
  wake(last: boolean): boolean;
}

export class PullHolds {
  readonly #clock: Clock;
  readonly #queues = new Map<string, Map<number, Held[]>>();
  /** Sum of the weights. */
  #count = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(): void {
    this.#timer = this.#clock.every(SWEEP_MS, () => this.sweep());
  }

  /** Answers everybody, for a stop. */
  stop(): void {
    this.#clock.clear(this.#timer);
    for (const queues of this.#queues.values()) {
      for (const held of queues.values()) for (const one of held) if (one.alive()) one.wake(true);
    }
    this.#queues.clear();
    this.#count = 0;
  }

  /** What waits, in ordinary pulls. */
  get count(): number {
    return this.#count;
  }

  /** Takes a pull in; false when there are too many, then it must be answered at once. */
  hold(held: Held): boolean {
    if (this.#count >= PULL_HOLDS_MAX) return false;
    this.#keep(held);
    return true;
  }

  /** Takes a pull in that may be one that waited before: nobody would answer it if it found no room again. */
  #keep(held: Held): void {
    let queues = this.#queues.get(held.topic);
    if (queues === undefined) {
      queues = new Map();
      this.#queues.set(held.topic, queues);
    }
    const list = queues.get(held.queueId);
    if (list === undefined) queues.set(held.queueId, [held]);
    else list.push(held);
    this.#count += held.weight;
  }

  /** Messages became visible in a queue. */
  arrived(topic: string, queueId: number): void {
    const queues = this.#queues.get(topic);
    const list = queues?.get(queueId);
    if (queues === undefined || list === undefined || list.length === 0) return;
    // Woken pulls may hold again: they go into a new list.
    queues.delete(queueId);
    for (const held of list) this.#count -= held.weight;
    for (const held of list) if (held.alive() && !held.wake(false)) this.#keep(held);
  }

  /** Lets go whose time is over or whose client has left. */
  sweep(): void {
    const now = this.#clock.monotonicMs();
    // Over copies: a pull that goes on waiting is put back into the maps, which their iterators would visit for ever.
    for (const [topic, queues] of [...this.#queues]) {
      for (const [queueId, list] of [...queues]) {
        queues.delete(queueId);
        for (const held of list) this.#count -= held.weight;
        for (const held of list) {
          if (!held.alive()) continue;
          const last = held.deadline <= now;
          if (!held.wake(last) && !last) this.#keep(held);
        }
      }
      if (queues.size === 0) this.#queues.delete(topic);
    }
  }
}
