/**
 * What is in flight, in memory: per group and topic the queues it pops, per queue the checkpoints whose messages are with
 * consumers (Apache: PopCheckPoint, PopCheckPointWrapper, PopInflightMessageCounter). Everything here can be rebuilt from
 * the journal; nothing here does I/O.
 */
import type { Due } from "../../base/deadlines.ts";
import { topicFlag } from "../../protocol/extraInfo.ts";
import type { OrderInfo } from "./orderInfo.ts";

/** One pop of one queue: up to 32 messages that are invisible until `dueAt` unless acknowledged before. */
export class Checkpoint implements Due {
  readonly queue: PopQueue;
  readonly startOffset: number;
  /** ms of the wall clock */
  readonly popTime: number;
  /** ms; grows when a revive is put off */
  invisibleTime: number;
  /** Messages, 1 to 32. */
  readonly count: number;
  /** Distances of the messages' queue offsets from startOffset; undefined: 0, 1, 2, ... */
  readonly diffs: readonly number[] | undefined;
  /** Bit i: message i is acknowledged or revived, and the journal says so. */
  acked = 0;
  /** Bit i: its acknowledgement (or revival) is on the way into the journal. */
  asked = 0;
  /** Part of {@link asked}: acknowledged in this turn, no record is written yet. */
  turn = 0;
  /** Bit i: its copy in the retry topic was written, though the journal may not say so yet. */
  copied = 0;
  readonly reviveQid: number;
  /** Place in the journal's queue; -1 before it is written. */
  reviveOffset = -1;
  /** Not written by this server: Apache's acknowledgements come through its timer, up to seconds behind the deadline. */
  foreign = false;
  /** NACK without counting a consumption (ChangeInvisibleTimeRequestHeader.suspend). */
  suspend = false;
  /** How often the revive was put off because it failed (rp). */
  rePutTimes = 0;
  /** The revive is reading the messages. */
  reviving = false;
  done = false;
  /** Queue offset up to which this pop moved its queue; -1 when it moved nothing. */
  nextOffset = -1;
  /** {@link PopQueue.generation} when it was popped. */
  generation = 0;
  /** Another checkpoint with the same startOffset. */
  sibling: Checkpoint | undefined = undefined;
  dueAt: number;
  heapIndex = -1;

  constructor(
    queue: PopQueue,
    startOffset: number,
    popTime: number,
    invisibleTime: number,
    count: number,
    diffs: readonly number[] | undefined,
    reviveQid: number,
  ) {
    this.queue = queue;
    this.startOffset = startOffset;
    this.popTime = popTime;
    this.invisibleTime = invisibleTime;
    this.count = count;
    this.diffs = diffs;
    this.reviveQid = reviveQid;
    this.dueAt = popTime + invisibleTime;
  }

  /** Index of the message at a queue offset; -1 when it is not one of this checkpoint's. */
  indexOf(queueOffset: number): number {
    const distance = queueOffset - this.startOffset;
    if (distance < 0) return -1;
    if (this.diffs !== undefined) return this.diffs.indexOf(distance);
    return distance < this.count ? distance : -1;
  }

  offsetAt(index: number): number {
    return this.startOffset + (this.diffs === undefined ? index : this.diffs[index]);
  }

  /** The bits of all its messages. */
  get all(): number {
    return this.count === 32 ? -1 : (1 << this.count) - 1;
  }

  get complete(): boolean {
    return this.acked === this.all;
  }

  /** Messages neither acknowledged nor revived. */
  get open(): number {
    return bits(this.all & ~this.acked);
  }
}

/** Number of bits set. */
export function bits(mask: number): number {
  let n = mask - ((mask >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** One queue as one group pops it. */
export class PopQueue {
  readonly group: PopGroup;
  readonly queueId: number;
  readonly #checkpoints = new Map<number, Checkpoint>();
  /** Messages popped and neither acknowledged nor revived (PopInflightMessageCounter). */
  inFlight = 0;
  /** Checkpoints that are not in the journal yet; while there are any, the next pop begins at {@link writingNext}. */
  writing = 0;
  writingNext = 0;
  /** Counts resets: a checkpoint of before one must not move the offset of after it. */
  generation = 0;
  /** State of the group's consumption in order; undefined when it never was. */
  order: OrderInfo | undefined = undefined;
  /** The order state changed and is not in the journal yet. */
  orderDirty = false;
  /** While replaying: log offsets of the records that moved the queue, and that told its order state, last. */
  movedBy = -1;
  orderedBy = -1;

  constructor(group: PopGroup, queueId: number) {
    this.group = group;
    this.queueId = queueId;
  }

  find(startOffset: number, popTime: number): Checkpoint | undefined {
    let checkpoint = this.#checkpoints.get(startOffset);
    while (checkpoint !== undefined && checkpoint.popTime !== popTime) checkpoint = checkpoint.sibling;
    return checkpoint;
  }

  add(checkpoint: Checkpoint): void {
    checkpoint.sibling = this.#checkpoints.get(checkpoint.startOffset);
    this.#checkpoints.set(checkpoint.startOffset, checkpoint);
    this.inFlight += checkpoint.open;
  }

  remove(checkpoint: Checkpoint): void {
    this.inFlight = Math.max(0, this.inFlight - checkpoint.open);
    const first = this.#checkpoints.get(checkpoint.startOffset);
    if (first === checkpoint) {
      if (checkpoint.sibling === undefined) this.#checkpoints.delete(checkpoint.startOffset);
      else this.#checkpoints.set(checkpoint.startOffset, checkpoint.sibling);
      return;
    }
    for (let at = first; at !== undefined; at = at.sibling) {
      if (at.sibling === checkpoint) at.sibling = checkpoint.sibling;
    }
  }

  /** Start offsets with a checkpoint. */
  get checkpoints(): number {
    return this.#checkpoints.size;
  }

  *all(): IterableIterator<Checkpoint> {
    for (const first of this.#checkpoints.values()) {
      for (let at: Checkpoint | undefined = first; at !== undefined; at = at.sibling) yield at;
    }
  }

  /** Messages acknowledged: the counter's part of it. */
  settled(count: number): void {
    this.inFlight = Math.max(0, this.inFlight - count);
  }
}

/** One topic as one group pops it. */
export class PopGroup {
  readonly topic: string;
  readonly group: string;
  /** ExtraInfoUtil's flag of the topic: 0, 1 or 2. */
  readonly flag: number;
  readonly queues: PopQueue[] = [];
  /** Its retry topics of old and of new, once asked for. */
  readonly retryNames: [string | undefined, string | undefined] = [undefined, undefined];
  /** Its retry topics wake its waiters. */
  watched = false;
  /** ms of the monotonic clock */
  usedAt = 0;

  constructor(topic: string, group: string) {
    this.topic = topic;
    this.group = group;
    this.flag = topicFlag(topic);
  }

  queue(queueId: number): PopQueue {
    let queue = this.queues[queueId];
    if (queue === undefined) {
      // Dense: queue ids are below the topic's readQueueNums, which was checked.
      while (this.queues.length <= queueId) this.queues.push(new PopQueue(this, this.queues.length));
      queue = this.queues[queueId];
    }
    return queue;
  }

  /** Nothing would be lost if it were forgotten. */
  get idle(): boolean {
    return this.queues.every((queue) => queue.checkpoints === 0 && queue.writing === 0 && queue.order === undefined);
  }
}

/** All of them: two look-ups, no key to build. */
export class PopGroups {
  readonly #byTopic = new Map<string, Map<string, PopGroup>>();

  find(topic: string, group: string): PopGroup | undefined {
    return this.#byTopic.get(topic)?.get(group);
  }

  make(topic: string, group: string): PopGroup {
    let groups = this.#byTopic.get(topic);
    if (groups === undefined) {
      groups = new Map();
      this.#byTopic.set(topic, groups);
    }
    let found = groups.get(group);
    if (found === undefined) {
      found = new PopGroup(topic, group);
      groups.set(group, found);
    }
    return found;
  }

  /** Everybody who pops a topic. */
  of(topic: string): PopGroup[] {
    return [...(this.#byTopic.get(topic)?.values() ?? [])];
  }

  delete(group: PopGroup): void {
    const groups = this.#byTopic.get(group.topic);
    groups?.delete(group.group);
    if (groups?.size === 0) this.#byTopic.delete(group.topic);
  }

  *all(): IterableIterator<PopGroup> {
    for (const groups of this.#byTopic.values()) yield* groups.values();
  }
}
