/**
 * What is derived from the log and could be built again from it: ConsumeQueues, index, and the checkpoint that says how far
 * both can be believed (Apache: the dispatchers and FlushConsumeQueueService of DefaultMessageStore). Owns their files, when
 * they are written and synced, and what recovery gives them; knows nothing of appends and acknowledgements.
 */
import * as path from "node:path";
import type { Clock } from "../base/clock.ts";
import { javaHashCode, javaHashUtf8 } from "../base/javaHash.ts";
import type { Logger } from "../base/log.ts";
import { MessageDraft } from "../message/draft.ts";
import { isLmq, LMQ_QUEUE_ID, lmqPlaces, topicAllowsLmq } from "../message/lmq.ts";
import { Property, parseProperties } from "../message/properties.ts";
import { PropertyScan } from "../message/propertyScan.ts";
import type { RecordView } from "../message/record.ts";
import { TRANSACTION_MASK, TRANSACTION_PREPARED, TRANSACTION_ROLLBACK } from "../message/sysFlag.ts";
import { Checkpoint, type CheckpointState, type DerivedState } from "./checkpoint.ts";
import type { ConsumeQueue } from "./consumeQueue.ts";
import { ConsumeQueues } from "./consumeQueues.ts";
import { DirNames } from "./dirNames.ts";
import type { Disk } from "./disk.ts";
import type { FileCache } from "./fileCache.ts";
import { IndexService } from "./indexService.ts";
import type { StoreOptions } from "./options.ts";
import type { PendingAppend } from "./pending.ts";
import type { Segments } from "./segments.ts";
import { isOutOfFiles, type WriteGate } from "./writeGate.ts";

/** Queue files written per turn, so that 10,000 dirty queues do not stop the loop. */
const QUEUES_PER_SLICE = 200;
/** Places that recovery lists for lost messages of one queue; a larger gap is no gap but a damaged number. */
const FILL_MAX = 1_000_000;
const SCHEDULE_TOPIC = "SCHEDULE_TOPIC_XXXX";

/** Due time of a message of the schedule topic, which its queue unit carries instead of a tag code. */
export type DeliverTime = (level: number, storeTimestamp: number) => number;

/** What a checkpoint must know of the log. */
export interface LogState {
  /** Offset of the log's first byte. */
  start(): number;
  /** Everything below is granted, so it is (or is about to be) in the derived files. */
  granted(): number;
  /** Store time of the newest granted message, ms. */
  lastTimestamp(): number;
  /** Everything below is durable. */
  synced(): number;
  /** Makes all that was written below `to` durable; not beyond a failure. */
  sync(to: number): Promise<void>;
}

export interface DerivedContext {
  disk: Disk;
  clock: Clock;
  log: Logger;
  cache: FileCache;
  gate: WriteGate;
  options: StoreOptions;
  deliverTime: DeliverTime | undefined;
  /** Whether the broker has a topic; of one that it deleted, nothing comes back. Absent: it has all. */
  hasTopic?: ((topic: string) => boolean) | undefined;
}

export class DerivedFiles {
  readonly queues: ConsumeQueues;
  /** Undefined when messageIndexEnable is off. */
  readonly index: IndexService | undefined;
  readonly checkpointFile: Checkpoint;
  /** Everything below is in the derived files for sure. */
  checkpointedTo = 0;
  readonly #context: DerivedContext;
  /** Names of derived files: they must be durable before a checkpoint. */
  readonly #names: DirNames;
  readonly #draft = new MessageDraft();
  readonly #scan = new PropertyScan();
  #logState!: LogState;
  #arrivals: ConsumeQueue[] = [];
  /** Queues written since the last checkpoint. */
  readonly #unsyncedQueues = new Set<ConsumeQueue>();
  #checkpointing: Promise<boolean> | undefined;
  /** Syncing a derived file failed: its bytes may be gone, no later checkpoint may vouch for them. */
  #failed = false;
  /** While recovery rebuilds all queues: those it has begun anew. */
  #rebuilt: Set<ConsumeQueue> | undefined;
  /** While recovery runs: what lies below this log offset was listed before. */
  #listedTo = 0;
  /** Counts deleted topics, so that a checkpoint under way does not count their units. */
  #topicsDeleted = 0;
  #writing = false;
  /** Records come from a master while consumers wait: what {@link redispatch} lists is an arrival. */
  live = false;

  constructor(context: DerivedContext) {
    this.#context = context;
    const { disk, clock, log, cache, options } = context;
    const root = options.storePathRootDir;
    this.#names = new DirNames(disk);
    this.queues = new ConsumeQueues(
      disk,
      cache,
      this.#names,
      path.join(root, "consumequeue"),
      options.mappedFileSizeConsumeQueue,
    );
    this.index = options.messageIndexEnable
      ? new IndexService(
          disk,
          clock,
          log,
          this.#names,
          path.join(root, "index"),
          options.maxHashSlotNum,
          options.maxIndexNum,
        )
      : undefined;
    this.checkpointFile = new Checkpoint(disk, path.join(root, "checkpoint"));
  }

  /** From here on checkpoints can be written. */
  attach(logState: LogState): void {
    this.#logState = logState;
  }

  // ---- recovery ----

  /** Opens the files and decides which must be built again from the whole log, because some were lost. */
  async load(
    clean: boolean,
    from: number,
    durable: number,
    noted: DerivedState | undefined,
    segments: Segments,
    repairs: string[],
  ): Promise<{ queues: boolean; index: boolean }> {
    this.#listedTo = durable;
    const trusted = clean ? Number.POSITIVE_INFINITY : from;
    repairs.push(...this.queues.load(trusted));
    const loaded = this.index?.load(trusted) ?? { damaged: "", removed: "" };
    // Retention also removes derived files: then only what it leaves alone can be compared.
    const sameStart = noted !== undefined && noted.firstLogOffset === segments.firstOffset;
    let queues = [...this.queues.all()].some((queue) => queue.incomplete);
    if (noted !== undefined) {
      queues ||= this.queues.sumOfMax() < noted.queueUnits;
      queues ||= sameStart && this.queues.sumOfFirst() > noted.queueFirstUnits;
    }
    let index = loaded.damaged !== "";
    if (this.index) {
      if (sameStart) index ||= this.index.entryCount < noted.indexEntries;
      else index ||= loaded.removed !== "";
    }
    if (queues || index) await this.checkpointFile.beginRebuild(segments.firstOffset, durable);
    if (queues) {
      repairs.push("ConsumeQueue files were lost or cut: all queues are rebuilt from the commit log");
      this.#rebuilt = new Set();
    }
    if (index) {
      repairs.push(`index files were lost or damaged: all are rebuilt from the commit log ${loaded.damaged}`);
      this.index?.reset();
    }
    return { queues, index };
  }

  /** All queues are built anew by the records that {@link redispatch} gets from now on. */
  async rebuildQueues(logStart: number, durable: number): Promise<void> {
    await this.checkpointFile.beginRebuild(logStart, durable);
    this.#rebuilt = new Set();
  }

  /**
   * Gives a record found by recovery to the files that lack it.
   * @param fill list places for messages that the log lost to damage; otherwise a gap is answered by false
   */
  redispatch(view: RecordView, fill: boolean): boolean {
    const transaction = view.sysFlag & TRANSACTION_MASK;
    if (transaction === TRANSACTION_PREPARED || transaction === TRANSACTION_ROLLBACK) return true;
    this.#scan.scan(view.buf, view.propertiesAt, view.propertiesAt + view.propertiesBytes);
    const topic = view.topic();
    const queue = this.#wasDeleted(topic, view) ? undefined : this.queues.getOrCreate(topic, view.queueId);
    if (queue !== undefined && !this.#relist(queue, view.queueOffset, view, fill)) return false;
    if (this.#lmq && topicAllowsLmq(topic) && !this.#relistInLmqs(view, fill)) return false;
    if (this.index && view.logOffset > this.index.endLogOffset) {
      const draft = this.#draft;
      draft.properties = view.buf;
      draft.storeTimestamp = view.storeTimestamp;
      this.index.stage(draft, this.#scan, queue?.keyHashPrefix ?? javaHashCode(`${topic}#`), view.logOffset);
      this.index.grant(view.logOffset + 1);
    }
    return true;
  }

  /** Whether a record was listed before, and its queue went with its topic. */
  #wasDeleted(topic: string, view: RecordView): boolean {
    if (view.logOffset >= this.#listedTo || this.queues.get(topic, view.queueId) !== undefined) return false;
    return this.#context.hasTopic?.(topic) === false;
  }

  /** Lists a record that recovery found at its offset in a queue; see {@link redispatch}. */
  #relist(queue: ConsumeQueue, queueOffset: number, view: RecordView, fill: boolean): boolean {
    if (this.#rebuilt?.has(queue) === false) {
      // Only now: a queue whose messages are all gone from the log must keep its files, they tell its next offset.
      this.#rebuilt.add(queue);
      queue.reset();
    }
    if (view.logOffset <= queue.lastLogOffset) return true;
    const empty = queue.max === queue.min;
    if (queueOffset > queue.max && !empty) {
      if (!fill || queueOffset - queue.max > FILL_MAX) return false;
      queue.fillTo(queueOffset, queue.lastLogOffset);
    } else if (queueOffset !== queue.max) {
      // The queue's first message here, or the first one after its topic was deleted and made again.
      queue.startAt(queueOffset);
    }
    queue.push(view.logOffset, view.totalBytes, this.#tagsCodeOf(view));
    this.queues.markDirty(queue);
    if (this.live) this.#arrived(queue);
    else if (queue.pressed) this.#persistOne(queue);
    return true;
  }

  get #lmq(): boolean {
    const { enableLmq, enableMultiDispatch } = this.#context.options;
    return enableLmq && enableMultiDispatch;
  }

  /** The record itself says at which offsets of its light queues it was listed. */
  #relistInLmqs(view: RecordView, fill: boolean): boolean {
    const text = view.properties();
    if (!text.includes(Property.INNER_MULTI_QUEUE_OFFSET)) return true;
    const properties = parseProperties(text);
    const places = lmqPlaces(
      properties.get(Property.INNER_MULTI_DISPATCH),
      properties.get(Property.INNER_MULTI_QUEUE_OFFSET),
    );
    for (const [name, offset] of places) {
      if (!this.#relist(this.queues.getOrCreate(name, LMQ_QUEUE_ID), offset, view, fill)) return false;
    }
    return true;
  }

  /** Ends recovery: cuts what points outside of the log. */
  settle(clean: boolean, logStart: number, logEnd: number, repairs: string[]): void {
    for (const queue of this.queues.all()) {
      if (queue.dispatchedLogEnd() > logEnd) {
        const cut = queue.cutBehind(logEnd);
        repairs.push(`${queue.topic}-${queue.queueId}: ${cut} units pointed behind the commit log`);
        this.#unsyncedQueues.add(queue);
      }
      if (logStart > 0) queue.trim(logStart);
      // A cut that is not synced could be undone by the next power loss, and its units believed then.
      if (!clean) this.#unsyncedQueues.add(queue);
    }
    this.#rebuilt = undefined;
    this.#listedTo = 0;
  }

  #tagsCodeOf(view: RecordView): number {
    const due = this.dueTime(view.topic(), () => view.properties(), view.storeTimestamp);
    if (due !== undefined) return due;
    const scan = this.#scan;
    return scan.tagsStart < 0 || scan.tagsEnd === scan.tagsStart
      ? 0
      : javaHashUtf8(0, view.buf, scan.tagsStart, scan.tagsEnd);
  }

  /** Units of the schedule topic carry the due time where others carry the tag (CommitLog.checkMessageAndReturnSize). */
  dueTime(topic: string, properties: () => string, storeTimestamp: number): number | undefined {
    const { deliverTime } = this.#context;
    if (topic !== SCHEDULE_TOPIC || deliverTime === undefined) return undefined;
    const level = parseProperties(properties()).get(Property.DELAY_TIME_LEVEL);
    return level === undefined ? undefined : deliverTime(Number(level), storeTimestamp);
  }

  // ---- what was granted ----

  /** Lists a granted message in its queue. */
  dispatch(pending: PendingAppend): void {
    if (pending.queue !== undefined) this.#list(pending.queue, pending);
    if (pending.lmq !== undefined) for (const { queue } of pending.lmq) this.#list(queue, pending);
  }

  #list(queue: ConsumeQueue, pending: PendingAppend): void {
    if (queue.deleted) return;
    queue.push(pending.logOffset, pending.bytes, pending.tagsCode);
    this.queues.markDirty(queue);
    this.#arrived(queue);
  }

  #arrived(queue: ConsumeQueue): void {
    if (queue.arrived) return;
    queue.arrived = true;
    this.#arrivals.push(queue);
  }

  /** Queues that got messages since the last call; undefined when there are none. */
  takeArrivals(): ConsumeQueue[] | undefined {
    if (this.#arrivals.length === 0) return undefined;
    const arrivals = this.#arrivals;
    this.#arrivals = [];
    for (const queue of arrivals) {
      queue.arrived = false;
      if (queue.pressed) this.#persistOne(queue);
    }
    return arrivals;
  }

  // ---- writing ----

  #persistOne(queue: ConsumeQueue): void {
    if (this.#context.gate.full) return;
    try {
      queue.persist();
      this.#unsyncedQueues.add(queue);
    } catch (error) {
      this.#writeFailed(error as Error);
    }
  }

  /** Writes dirty queues and the index, a slice per turn. */
  write(): void {
    const { gate, clock } = this.#context;
    if (this.#writing || gate.full || gate.fatal) return;
    this.#writing = true;
    const slice = () => {
      try {
        this.queues.persist(QUEUES_PER_SLICE, (queue) => this.#unsyncedQueues.add(queue));
        this.index?.flush();
      } catch (error) {
        this.#writeFailed(error as Error);
        this.#writing = false;
        return;
      }
      if (this.queues.dirtyCount > 0) clock.endOfTurn(slice);
      else {
        this.#writing = false;
        this.queues.rest();
      }
    };
    slice();
  }

  /** A derived file could not be written. Memory and the log still have everything; a full disk closes the gate. */
  #writeFailed(error: Error): void {
    const code = (error as NodeJS.ErrnoException).code;
    this.#context.log.error({ err: error }, "a derived file was not written; it is rebuilt from the commit log");
    if (code === "ENOSPC" || code === "EDQUOT" || isOutOfFiles(error)) this.#context.gate.writeFailed(error);
  }

  /** The log now begins at this offset. */
  trim(logStart: number): void {
    for (const queue of this.queues.all()) queue.trim(logStart);
    this.#removeEmptyLmqs();
    this.index?.trim(logStart);
    // Until the next checkpoint, lost derived files cannot be told from removed ones.
    void this.checkpoint();
  }

  /** A light queue whose messages are all gone goes, too: they come and go in great numbers, and no table lists them. */
  #removeEmptyLmqs(): void {
    for (const queue of [...this.queues.all()]) {
      if (!isLmq(queue.topic) || queue.min < queue.max || queue.next !== queue.max || queue.max === 0) continue;
      this.#unsyncedQueues.delete(queue);
      this.queues.deleteTopic(queue.topic);
      this.#topicsDeleted++;
    }
  }

  /** Resolves behind the next checkpoint: before it, a crash would list the topic's newest messages again. */
  deleteTopic(topic: string): Promise<void> {
    for (const queue of [...this.#unsyncedQueues]) if (queue.topic === topic) this.#unsyncedQueues.delete(queue);
    this.queues.deleteTopic(topic);
    this.#topicsDeleted++;
    // The last checkpoint counts the topic's units: until the next one, they look lost.
    return (this.#checkpointing ?? Promise.resolve()).then(() => this.checkpoint());
  }

  // ---- checkpoint ----

  /** Makes everything derived durable up to now and notes so. One at a time; a failure leaves the old checkpoint. */
  async checkpoint(): Promise<void> {
    this.#checkpointing ??= this.#run(false).finally(() => {
      this.#checkpointing = undefined;
    });
    await this.#checkpointing;
  }

  /** The checkpoint of a clean stop. @returns whether no recovery is needed after it */
  async lastCheckpoint(): Promise<boolean> {
    // One that waited for the last one begins in the moment that ends.
    while (this.#checkpointing !== undefined) await this.#checkpointing;
    return this.#run(true);
  }

  async #run(everything: boolean): Promise<boolean> {
    const { gate, clock } = this.#context;
    const log = this.#logState;
    if (gate.fatal || this.#failed || (gate.full && !everything)) return false;
    try {
      const to = log.granted();
      const timestamp = log.lastTimestamp();
      const topicsDeleted = this.#topicsDeleted;
      if (everything) this.index?.writeAll();
      else this.index?.flush();
      if (this.index?.complete === false) return false;
      const ours: DerivedState = {
        dispatchedLogOffset: to,
        firstLogOffset: log.start(),
        queueUnits: this.queues.sumOfMax(),
        queueFirstUnits: this.queues.sumOfFirst(),
        indexEntries: this.index?.entryCount ?? 0,
        syncedLogOffset: to,
      };
      // Only the queues dirty now: under load there are always new ones.
      for (let left = this.queues.dirtyCount; left > 0; left -= QUEUES_PER_SLICE) {
        this.queues.persist(Math.min(left, QUEUES_PER_SLICE), (queue) => this.#unsyncedQueues.add(queue));
        if (!everything) await new Promise<void>((resolve) => clock.endOfTurn(resolve));
      }
      await log.sync(to);
      if (log.synced() < to) return false;
      await this.#sync();
      if (topicsDeleted !== this.#topicsDeleted) return false;
      // After a crash Apache throws away index files that are not complete, but dispatches again only what came after its
      // three other marks: if they lay behind the index's, it would lose the keys between.
      const complete = this.index?.completeTo ?? { timestamp, logOffset: to };
      const dispatched = Math.min(timestamp, complete.timestamp);
      await this.checkpointFile.write({
        logTimestamp: dispatched,
        queueTimestamp: dispatched,
        indexTimestamp: this.index === undefined ? 0 : complete.timestamp,
        logicsOffset: Math.min(to, complete.logOffset),
        masterFlushedOffset: 0,
        confirmOffset: to,
        ours,
      } satisfies CheckpointState);
      this.checkpointedTo = to;
      return true;
    } catch (error) {
      this.#writeFailed(error as Error);
      return false;
    }
  }

  async #sync(): Promise<void> {
    try {
      for (const queue of [...this.#unsyncedQueues]) {
        this.#unsyncedQueues.delete(queue);
        try {
          await queue.sync();
        } catch (error) {
          this.#unsyncedQueues.add(queue);
          throw error;
        }
      }
      await this.index?.sync();
      await this.#names.sync();
    } catch (error) {
      // No sync was tried.
      if (isOutOfFiles(error)) throw error;
      // The kernel reports a lost write once; a later sync would vouch for bytes that are not there.
      this.#failed = true;
      throw error;
    }
  }
}
