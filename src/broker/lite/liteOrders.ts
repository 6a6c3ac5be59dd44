/**
 * What of each lite topic is given to a group and not acknowledged: a lite topic is consumed in order (Apache:
 * MemoryConsumerOrderInfoManager). In memory only, as in Apache: after a start what was not acknowledged is given at once.
 * A state goes when everything is acknowledged, so that there are as many as lite topics being worked on.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { Deadlines, type Due } from "../../base/deadlines.ts";
import { OrderInfo } from "../pop/orderInfo.ts";

/** A state that nobody worked on for so long is forgotten (Apache: CLEAN_SPAN_FROM_LAST). */
const FORGOTTEN_AFTER_MS = 24 * 3_600_000;
const LOOK_AGAIN_MS = 1_000;

class State implements Due {
  readonly group: string;
  readonly lmq: string;
  info: OrderInfo;
  dueAt = 0;
  heapIndex = -1;

  constructor(group: string, lmq: string, info: OrderInfo) {
    this.group = group;
    this.lmq = lmq;
    this.info = info;
  }
}

export class LiteOrders {
  readonly #clock: Clock;
  /** Called when what blocked a lite topic is visible again. */
  readonly #onFree: (group: string, lmq: string) => void;
  readonly #groups = new Map<string, Map<string, State>>();
  readonly #deadlines = new Deadlines<State>();
  #timer: Timer | undefined;

  constructor(clock: Clock, onFree: (group: string, lmq: string) => void) {
    this.#clock = clock;
    this.#onFree = onFree;
  }

  stop(): void {
    this.#clock.clear(this.#timer);
    this.#timer = undefined;
    this.#deadlines.clear();
    this.#groups.clear();
  }

  /** Lite topics being worked on, counted for each group. */
  get size(): number {
    let size = 0;
    for (const lmqs of this.#groups.values()) size += lmqs.size;
    return size;
  }

  /** Whether a pop has to leave the lite topic alone for now. */
  blocked(group: string, lmq: string, attemptId: string | undefined, invisibleMs: number): boolean {
    return this.#find(group, lmq)?.info.blocks(attemptId, invisibleMs, this.#clock.now()) ?? false;
  }

  /** Notes what a pop gave; how often each message was given before. */
  gave(
    group: string,
    lmq: string,
    attemptId: string | undefined,
    popTime: number,
    invisibleMs: number,
    offsets: readonly number[],
  ): number[] {
    const info = new OrderInfo(attemptId, popTime, invisibleMs, offsets, this.#clock.now());
    let state = this.#find(group, lmq);
    if (state === undefined) {
      state = new State(group, lmq, info);
      let lmqs = this.#groups.get(group);
      if (lmqs === undefined) {
        lmqs = new Map();
        this.#groups.set(group, lmqs);
      }
      lmqs.set(lmq, state);
    } else {
      info.follow(state.info);
      state.info = info;
    }
    this.#watch(state);
    return offsets.map((offset) => info.consumedCount.get(offset) ?? 0);
  }

  /** See {@link OrderInfo.acknowledge}; without a state the offset behind the message. */
  acknowledge(group: string, lmq: string, offset: number, popTime: number): number {
    const state = this.#find(group, lmq);
    if (state === undefined) return offset + 1;
    const next = state.info.acknowledge(offset, popTime);
    if (next < 0) return next;
    if (next > state.info.offsets[state.info.offsets.length - 1]) this.forget(group, lmq);
    else this.#watch(state);
    return next;
  }

  setNextVisible(group: string, lmq: string, offset: number, popTime: number, visibleAt: number): void {
    const state = this.#find(group, lmq);
    if (state?.info.setNextVisible(offset, popTime, visibleAt)) this.#watch(state);
  }

  /** Puts off all that is not acknowledged, without counting it as an attempt. */
  suspend(group: string, lmq: string, popTime: number, visibleAt: number): void {
    const state = this.#find(group, lmq);
    if (state === undefined || state.info.popTime !== popTime) return;
    const { info } = state;
    for (const [offset, count] of info.consumedCount) if (count > 0) info.consumedCount.set(offset, count - 1);
    info.nextVisible.clear();
    info.invisibleTime = visibleAt - popTime;
    this.#watch(state);
  }

  forget(group: string, lmq: string): void {
    const lmqs = this.#groups.get(group);
    const state = lmqs?.get(lmq);
    if (lmqs === undefined || state === undefined) return;
    this.#deadlines.remove(state);
    lmqs.delete(lmq);
    if (lmqs.size === 0) this.#groups.delete(group);
  }

  /** Forgets a lite topic that is deleted. */
  deleted(lmq: string): void {
    for (const group of [...this.#groups.keys()]) this.forget(group, lmq);
  }

  /** Forgets what nobody works on any more. */
  clean(): void {
    const limit = this.#clock.now() - FORGOTTEN_AFTER_MS;
    for (const [group, lmqs] of [...this.#groups]) {
      for (const [lmq, { info }] of [...lmqs]) if (info.lastConsumeTimestamp < limit) this.forget(group, lmq);
    }
  }

  #find(group: string, lmq: string): State | undefined {
    return this.#groups.get(group)?.get(lmq);
  }

  #watch(state: State): void {
    this.#deadlines.remove(state);
    const at = state.info.freeAt(this.#clock.now());
    if (at === undefined) return;
    state.dueAt = at;
    this.#deadlines.add(state);
    if (this.#deadlines.first === state) this.#arm();
  }

  #arm(): void {
    this.#clock.clear(this.#timer);
    this.#timer = undefined;
    const { first } = this.#deadlines;
    if (first === undefined) return;
    const delayMs = Math.max(0, Math.min(first.dueAt - this.#clock.now(), LOOK_AGAIN_MS));
    this.#timer = this.#clock.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    const now = this.#clock.now();
    for (let state = this.#deadlines.take(now); state !== undefined; state = this.#deadlines.take(now)) {
      this.#onFree(state.group, state.lmq);
      // Whoever was woken may have taken it; another message of it may block longer.
      if (state.heapIndex < 0 && this.#find(state.group, state.lmq) === state) this.#watch(state);
    }
    this.#arm();
  }
}
