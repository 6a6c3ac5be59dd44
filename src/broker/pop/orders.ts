/**
 * Consumption in order by pop: which queues are blocked, by what, and until when (Apache: QueueLevelConsumerManager,
 * QueueLevelConsumerOrderInfoLockManager, config/consumerOrderInfo.json). The states themselves hang on the queues; every
 * change also goes into the journal, so that the file may be old without anything being given out of turn.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { Deadlines, type Due } from "../../base/deadlines.ts";
import { POP_QUEUE_ID_MAX } from "../../base/limits.ts";
import type { Logger } from "../../base/log.ts";
import { asBean, asMap, integerKey, readBean, textKey } from "../../protocol/bodies/reader.ts";
import type { OffsetInfo } from "../../protocol/extraInfo.ts";
import { writeJavaJson } from "../../protocol/javaJson.ts";
import type { MetadataFile } from "../../store/metadataFile.ts";
import type { Groups } from "../groups.ts";
import type { Topics } from "../topics.ts";
import { OrderInfo, type OrderInfoData } from "./orderInfo.ts";
import { readOrderInfo } from "./records.ts";
import type { PopGroups, PopQueue } from "./state.ts";

/** The options this table reads, by Apache's keys. */
export interface OrderOptions {
  readonly enableNotifyAfterPopOrderLockRelease: boolean;
}

/** A queue nobody has consumed from for this long is forgotten (Apache: CLEAN_SPAN_FROM_LAST). */
const FORGOTTEN_AFTER_MS = 24 * 3_600_000;
const LOOK_AGAIN_MS = 1_000;

/** A queue that becomes free at a time. */
class Free implements Due {
  readonly queue: PopQueue;
  dueAt = 0;
  heapIndex = -1;

  constructor(queue: PopQueue) {
    this.queue = queue;
  }
}

export class Orders {
  readonly #options: OrderOptions;
  readonly #file: MetadataFile;
  readonly #popGroups: PopGroups;
  readonly #topics: Topics;
  readonly #groups: Groups;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Called when a blocked queue became free by time. */
  readonly #onFree: (queue: PopQueue) => void;
  /** Log offset up to which the journal was taken into account by what the file will say next. */
  readonly #journalEnd: () => number;
  readonly #deadlines = new Deadlines<Free>();
  readonly #frees = new Map<PopQueue, Free>();
  #timer: Timer | undefined;
  #running = false;
  #dirty = false;
  #writing = 0;
  /** Log offset of the first record that the loaded file does not take into account. */
  loadedFrom = 0;

  constructor(
    options: OrderOptions,
    file: MetadataFile,
    popGroups: PopGroups,
    topics: Topics,
    groups: Groups,
    clock: Clock,
    log: Logger,
    journalEnd: () => number,
    onFree: (queue: PopQueue) => void,
  ) {
    this.#options = options;
    this.#file = file;
    this.#popGroups = popGroups;
    this.#topics = topics;
    this.#groups = groups;
    this.#clock = clock;
    this.#log = log;
    this.#journalEnd = journalEnd;
    this.#onFree = onFree;
    this.#load();
  }

  /** Whether a pop in order has to leave the queue alone for now. */
  blocked(queue: PopQueue, attemptId: string | undefined, invisibleTime: number): boolean {
    return queue.order?.blocks(attemptId, invisibleTime, this.#clock.now()) ?? false;
  }

  /**
   * Notes what a pop gave out of a queue.
   * @param counts gets how often each message was given before, and the least of them for the queue as a whole
   */
  gave(
    queue: PopQueue,
    attemptId: string | undefined,
    popTime: number,
    invisibleTime: number,
    offsets: readonly number[],
    counts: OffsetInfo,
  ): void {
    const info = new OrderInfo(attemptId, popTime, invisibleTime, offsets, this.#clock.now());
    if (queue.order !== undefined) info.follow(queue.order);
    queue.order = info;
    const { flag } = queue.group;
    let least = info.consumedCount.size === offsets.length ? Number.POSITIVE_INFINITY : 0;
    for (const [offset, count] of info.consumedCount) {
      counts.addOrderCount(flag, queue.queueId, offset, count);
      least = Math.min(least, count);
    }
    counts.addQueue(flag, queue.queueId, least);
    this.#changed(queue);
  }

  /** Acknowledges a message; see {@link OrderInfo.acknowledge}. A queue without a state commits behind the message. */
  acknowledge(queue: PopQueue, queueOffset: number, popTime: number): number {
    if (queue.order === undefined) return queueOffset + 1;
    const next = queue.order.acknowledge(queueOffset, popTime);
    if (next >= 0) this.#changed(queue);
    return next;
  }

  /** Sets when a message may be given again; false when it is not one of the queue's last pop. */
  setNextVisible(queue: PopQueue, queueOffset: number, popTime: number, visibleAt: number): boolean {
    if (queue.order === undefined || !queue.order.setNextVisible(queueOffset, popTime, visibleAt)) return false;
    this.#changed(queue);
    return true;
  }

  /** Forgets what blocks a queue: its offset was reset. */
  clear(queue: PopQueue): boolean {
    if (queue.order === undefined) return false;
    queue.order = undefined;
    this.#changed(queue);
    return true;
  }

  #changed(queue: PopQueue): void {
    this.#dirty = true;
    this.#watch(queue);
  }

  // ---- becoming free ----

  /** Wakes waiting pops when the queue's first blocking message is visible again. */
  #watch(queue: PopQueue): void {
    let free = this.#frees.get(queue);
    const at = this.#options.enableNotifyAfterPopOrderLockRelease ? queue.order?.freeAt(this.#clock.now()) : undefined;
    if (at === undefined) {
      if (free !== undefined) {
        this.#deadlines.remove(free);
        this.#frees.delete(queue);
      }
      return;
    }
    if (free === undefined) {
      free = new Free(queue);
      this.#frees.set(queue, free);
    } else {
      this.#deadlines.remove(free);
    }
    free.dueAt = at;
    this.#deadlines.add(free);
    if (this.#deadlines.first === free) this.#arm();
  }

  #arm(): void {
    this.#clock.clear(this.#timer);
    this.#timer = undefined;
    const first = this.#deadlines.first;
    if (first === undefined || !this.#running) return;
    const delayMs = Math.max(0, Math.min(first.dueAt - this.#clock.now(), LOOK_AGAIN_MS));
    this.#timer = this.#clock.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    const now = this.#clock.now();
    for (let free = this.#deadlines.take(now); free !== undefined; free = this.#deadlines.take(now)) {
      this.#frees.delete(free.queue);
      this.#onFree(free.queue);
      // Another message of the queue may block longer.
      this.#watch(free.queue);
    }
    this.#arm();
  }

  // ---- life ----

  start(): void {
    this.#running = true;
    for (const group of this.#popGroups.all()) {
      for (const queue of group.queues) if (queue.order !== undefined) this.#watch(queue);
    }
    this.#arm();
  }

  stop(): void {
    this.#running = false;
    this.#clock.clear(this.#timer);
    this.#timer = undefined;
  }

  /** Writes the file when something changed. */
  async persist(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    this.#writing++;
    try {
      await this.#file.write(() => this.encode());
    } catch (error) {
      this.#dirty = true;
      throw error;
    } finally {
      this.#writing--;
    }
  }

  /** Whether the file says everything. */
  get saved(): boolean {
    return !this.#dirty && this.#writing === 0;
  }

  /** The content of consumerOrderInfo.json, and where the journal was when it was made. */
  encode(): string {
    this.#clean();
    const table = new Map<string, Map<number, OrderInfoData>>();
    for (const group of this.#popGroups.all()) {
      const queues = new Map<number, OrderInfoData>();
      for (const queue of group.queues) if (queue.order !== undefined) queues.set(queue.queueId, queue.order.data());
      if (queues.size > 0) table.set(`${group.topic}@${group.group}`, queues);
    }
    return writeJavaJson({
      orderInfoCount: table.size,
      orderedConsumptionLevel: "QUEUE",
      popJournal: this.#journalEnd(),
      table,
    });
  }

  /** Forgets queues that nobody consumes any more, and those of topics and groups that are gone. */
  #clean(): void {
    const now = this.#clock.now();
    for (const group of this.#popGroups.all()) {
      const topic = this.#topics.get(group.topic);
      const gone = topic === undefined || this.#groups.get(group.group) === undefined;
      for (const queue of group.queues) {
        if (queue.order === undefined) continue;
        const old = now - queue.order.lastConsumeTimestamp > FORGOTTEN_AFTER_MS;
        if (gone || old || queue.queueId >= (topic?.readQueueNums ?? 0)) {
          queue.order = undefined;
          this.#watch(queue);
        }
      }
    }
  }

  #load(): void {
    const stored = this.#file.load(readStored, (file, reason) =>
      this.#log.error({ file, reason }, "order states not read from this file"),
    );
    if (stored === undefined) return;
    // Without it another kind of broker wrote the file, after our records: it knows better.
    this.loadedFrom = stored.popJournal ?? Number.POSITIVE_INFINITY;
    for (const [key, queues] of stored.table) {
      const parts = key.split("@");
      if (parts.length !== 2) continue;
      const group = this.#popGroups.make(parts[0], parts[1]);
      for (const [queueId, data] of queues) {
        if (queueId >= 0 && queueId <= POP_QUEUE_ID_MAX) group.queue(queueId).order = OrderInfo.from(data);
      }
    }
  }
}

function readStored(text: string): {
  popJournal: number | undefined;
  table: Map<string, Map<number, OrderInfoData>>;
} {
  const bean = readBean("QueueLevelConsumerManager", text);
  return {
    popJournal: bean.optionalInteger("popJournal"),
    table: bean.map("table", textKey, asMap(integerKey, asBean(readOrderInfo))) ?? new Map(),
  };
}
