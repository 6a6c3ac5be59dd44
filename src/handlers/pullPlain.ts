/**
 * Reading a queue by offset for whoever is no remoting client: the checks and the waiting of a pull (Apache:
 * PullMessageProcessor), with messages as objects. Not hot.
 */
import { Buffer } from "node:buffer";
import type { Held, PullHolds } from "../broker/pullHolds.ts";
import { FilterCache, isTagType } from "../filter/messageFilter.ts";
import type { UnitFilter } from "../filter/unitFilter.ts";
import type { Reply } from "../protocol/dispatch.ts";
import type { MessageStore } from "../store/messageStore.ts";
import { Selection, type SelectionStatus } from "../store/selection.ts";
import { unsupportedFilter } from "./filterReplies.ts";
import { type BrokerParts, refuse } from "./parts.ts";
import { pulledTopic, pullingGroup, unreadableBroker } from "./pullChecks.ts";

export type PullPlainParts = Omit<BrokerParts, "store"> & { readonly store: MessageStore; readonly holds: PullHolds };

export interface PullAsk {
  group: string;
  topic: string;
  queueId: number;
  offset: number;
  maxMessages: number;
  expressionType: string | undefined;
  expression: string | undefined;
  /** ms to wait for a first message */
  waitMs: number;
  /** Whether the asker is still there. */
  alive(): boolean;
}

export interface Pulled {
  /** Whole records, as they lie in the log. */
  records: Buffer[];
  /** Where to go on. */
  nextOffset: number;
  /** The offset asked for is none of the queue's: `nextOffset` is the nearest that is. */
  outside: boolean;
}

/** Rounds of loading for one pull; more would mean that the cache is thrashing: the asker tries again. */
const LOAD_ROUNDS_MAX = 16;

export class PlainPuller {
  readonly #parts: PullPlainParts;
  readonly #filters = new FilterCache();

  constructor(parts: PullPlainParts) {
    this.#parts = parts;
  }

  async pull(ask: PullAsk): Promise<Pulled | Reply> {
    const filter = this.#check(ask);
    if ("code" in filter) return filter;
    const { store, config, clock } = this.#parts;
    const deadline = clock.monotonicMs() + ask.waitMs;
    const maxCount = Math.max(1, Math.min(ask.maxMessages, config.maxTransferCountOnMessageInMemory));
    const selection = new Selection();
    let { offset } = ask;
    let loadedMs = 0;
    for (let loads = 0; ; ) {
      store.select(
        selection,
        ask.topic,
        ask.queueId,
        offset,
        maxCount,
        config.maxTransferBytesOnMessageInMemory,
        filter,
      );
      const { status, nextOffset } = selection;
      if (status === "found") return this.#found(ask, selection, loadedMs);
      if (status === "missing") {
        offset = nextOffset;
        if (loads++ === LOAD_ROUNDS_MAX) return this.#nothing(ask, offset, false);
        const began = clock.monotonicMs();
        await store.load(selection, ask.topic, ask.queueId);
        loadedMs += Math.ceil(clock.monotonicMs() - began);
        continue;
      }
      if (isOutside(status, offset)) return this.#nothing(ask, nextOffset, true);
      const over = clock.monotonicMs() >= deadline || !ask.alive();
      if (status === "noMatch") {
        offset = nextOffset;
        if (over) return this.#nothing(ask, offset, false);
        // A long queue without a match must not stop the loop.
        await new Promise<void>((resolve) => clock.endOfTurn(resolve));
      } else if (over || !(await this.#arrival(ask, deadline))) return this.#nothing(ask, offset, false);
    }
  }

  #found(ask: PullAsk, selection: Selection, loadedMs: number): Pulled {
    const { counters, offsets, stats } = this.#parts;
    const { count, bytes, nextOffset } = selection;
    counters.found++;
    counters.transferred += count;
    stats.got(ask.group, ask.topic, ask.queueId, count, bytes, loadedMs);
    offsets.commitPull(ask.group, ask.topic, ask.queueId, nextOffset);
    return { records: this.#copy(selection), nextOffset, outside: false };
  }

  #nothing(ask: PullAsk, nextOffset: number, outside: boolean): Pulled {
    const { counters, offsets } = this.#parts;
    counters.missed++;
    offsets.commitPull(ask.group, ask.topic, ask.queueId, nextOffset);
    return { records: [], nextOffset, outside };
  }

  #check(ask: PullAsk): UnitFilter | Reply {
    const unreadable = unreadableBroker(this.#parts);
    if (unreadable !== undefined) return unreadable;
    const group = pullingGroup(this.#parts, ask.group);
    if ("code" in group) return group;
    const topic = pulledTopic(this.#parts, ask.topic);
    if ("code" in topic) return topic;
    if (!isTagType(ask.expressionType) && !this.#parts.config.enablePropertyFilter)
      return unsupportedFilter(ask.expressionType);
    try {
      return this.#filters.get(ask.expression, ask.expressionType);
    } catch (error) {
      return refuse("SUBSCRIPTION_PARSE_FAILED", (error as Error).message);
    }
  }

  #copy({ count, logOffsets, sizes }: Selection): Buffer[] {
    return Array.from({ length: count }, (_, i) => {
      const record = Buffer.allocUnsafe(sizes[i]);
      this.#parts.store.copySelected(logOffsets[i], record.length, record, 0);
      return record;
    });
  }

  /** Resolves when something arrived (true) or the time is over; false also when too many wait already. */
  #arrival(ask: PullAsk, deadline: number): Promise<boolean> {
    return new Promise((resolve) => {
      const held: Held = {
        topic: ask.topic,
        queueId: ask.queueId,
        deadline,
        weight: 1,
        alive: () => {
          // Whoever left is dropped without a word: the promise must not wait for ever.
          if (!ask.alive()) resolve(false);
          return ask.alive();
        },
        wake: (last) => {
          resolve(!last);
          return true;
        },
      };
      if (!this.#parts.holds.hold(held)) resolve(false);
    });
  }
}

/** Whether an offset is none of the queue's; a queue that never had a message has offset 0. */
function isOutside(status: SelectionStatus, offset: number): boolean {
  switch (status) {
    case "tooSmall":
    case "beyondEnd":
      return true;
    case "noQueue":
    case "emptyQueue":
      return offset !== 0;
    default:
      return false;
  }
}
