/** All queues of the broker by topic and queue id: found, made, loaded, written in rounds (Apache: ConsumeQueueStore). */
import * as path from "node:path";
import { QUEUE_BLOCK_BYTES, QUEUE_BLOCKS_MAX } from "../base/limits.ts";
import { isLmq } from "../message/lmq.ts";
import { BlockCache } from "./blockCache.ts";
import { ConsumeQueue, UNIT_BYTES } from "./consumeQueue.ts";
import type { DirNames } from "./dirNames.ts";
import type { Disk } from "./disk.ts";
import type { FileCache } from "./fileCache.ts";
import { Segments } from "./segments.ts";

export class ConsumeQueues {
  readonly #disk: Disk;
  readonly #cache: FileCache;
  readonly #names: DirNames;
  readonly #dir: string;
  readonly #fileBytes: number;
  readonly #blocks = new BlockCache(QUEUE_BLOCK_BYTES, QUEUE_BLOCKS_MAX);
  /** By topic and queue id; maps, since an id may be any number: an array would be as long as the greatest. */
  readonly #topics = new Map<string, Map<number, ConsumeQueue>>();
  #dirty: ConsumeQueue[] = [];
  /** Light queues (LMQ) among the topics. */
  lmqCount = 0;
  /** Queues with units in memory, for giving memory back. */
  readonly #warm = new Set<ConsumeQueue>();

  constructor(disk: Disk, cache: FileCache, names: DirNames, dir: string, fileBytes: number) {
    this.#disk = disk;
    this.#cache = cache;
    this.#names = names;
    this.#dir = dir;
    this.#fileBytes = Math.ceil(fileBytes / UNIT_BYTES) * UNIT_BYTES;
  }

  get(topic: string, queueId: number): ConsumeQueue | undefined {
    return this.#topics.get(topic)?.get(queueId);
  }

  getOrCreate(topic: string, queueId: number): ConsumeQueue {
    let queues = this.#topics.get(topic);
    if (queues === undefined) {
      queues = new Map();
      this.#topics.set(topic, queues);
      if (isLmq(topic)) this.lmqCount++;
    }
    let queue = queues.get(queueId);
    if (queue === undefined) {
      const dir = path.join(this.#dir, topic, String(queueId));
      queue = new ConsumeQueue(
        topic,
        queueId,
        new Segments(this.#disk, this.#cache, this.#names, dir, this.#fileBytes),
        this.#blocks,
      );
      queues.set(queueId, queue);
    }
    return queue;
  }

  *all(): IterableIterator<ConsumeQueue> {
    for (const queues of this.#topics.values()) yield* queues.values();
  }

  topics(): string[] {
    return [...this.#topics.keys()];
  }

  queueIds(topic: string): number[] {
    return [...(this.#topics.get(topic)?.keys() ?? [])].sort((a, b) => a - b);
  }

  /** Opens every queue on disk; see {@link ConsumeQueue.load}. */
  load(trustedLogEnd: number): string[] {
    const repairs: string[] = [];
    for (const topic of this.#disk.list(this.#dir)) {
      const topicDir = path.join(this.#dir, topic);
      if (!this.#disk.isDirectory(topicDir)) continue;
      for (const name of this.#disk.list(topicDir)) {
        if (!/^\d+$/.test(name)) continue;
        repairs.push(...this.getOrCreate(topic, Number(name)).load(trustedLogEnd));
        // The run before may have ended before it made the names durable.
        if (trustedLogEnd !== Number.POSITIVE_INFINITY) this.#names.unknown(path.join(topicDir, name), this.#dir);
      }
    }
    return repairs;
  }

  /** Sum of the queues' max offsets. It only shrinks when a topic is deleted, or when files are lost. */
  sumOfMax(): number {
    let sum = 0;
    for (const queue of this.all()) sum += queue.max;
    return sum;
  }

  /** Sum of the first units in the queues' files. It only grows when retention removes files, or when files are lost. */
  sumOfFirst(): number {
    let sum = 0;
    for (const queue of this.all()) sum += queue.firstFileUnit;
    return sum;
  }

  /** Notes that a queue has units that its file does not. */
  markDirty(queue: ConsumeQueue): void {
    if (queue.dirty) return;
    queue.dirty = true;
    this.#dirty.push(queue);
  }

  get dirtyCount(): number {
    return this.#dirty.length;
  }

  /** Writes up to `max` dirty queues, telling of each; throws what the disk throws, with the rest still dirty. */
  persist(max: number, written: (queue: ConsumeQueue) => void): void {
    const batch = this.#dirty.slice(0, max);
    for (const queue of batch) {
      queue.persist();
      queue.dirty = false;
      this.#warm.add(queue);
      this.#dirty.shift();
      written(queue);
    }
  }

  /** One round of giving idle queues' memory back. */
  rest(): void {
    for (const queue of this.#warm) {
      queue.rest();
      if (!queue.warm && !queue.dirty) this.#warm.delete(queue);
    }
  }

  deleteTopic(topic: string): void {
    const queues = this.#topics.get(topic);
    if (!queues) return;
    this.#topics.delete(topic);
    if (isLmq(topic)) this.lmqCount--;
    this.#dirty = this.#dirty.filter((queue) => queue.topic !== topic);
    for (const queue of queues.values()) {
      this.#warm.delete(queue);
      queue.destroy();
    }
    this.#disk.removeTree(path.join(this.#dir, topic));
    this.#names.changed(this.#dir);
  }
}
