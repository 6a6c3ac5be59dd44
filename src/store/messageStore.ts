/**
 * The message store: wires log, derived files, appender, flush, recovery and retention together and keeps their rhythm
 * (Apache: DefaultMessageStore). Speaks topics, queues and offsets; knows no command and no socket.
 */
import type { Buffer } from "node:buffer";
import * as path from "node:path";
import { type Clock, repeat, type Timer } from "../base/clock.ts";
import * as limits from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { Turn } from "../base/turn.ts";
import type { UnitFilter } from "../filter/unitFilter.ts";
import type { MessageDraft } from "../message/draft.ts";
import type { PropertyScan } from "../message/propertyScan.ts";
import type { PutCounts } from "../metrics/brokerStats.ts";
import type { PutTimes } from "../metrics/putTimes.ts";
import type { WriteFigures } from "../metrics/writeFigures.ts";
import { type AppendCounters, Appender } from "./appender.ts";
import { CommitLog } from "./commitLog.ts";
import type { ConsumeQueue } from "./consumeQueue.ts";
import type { ConsumeQueues } from "./consumeQueues.ts";
import { type DeliverTime, DerivedFiles } from "./derivedFiles.ts";
import { DirNames } from "./dirNames.ts";
import type { Disk, DiskSpace } from "./disk.ts";
import { FileCache } from "./fileCache.ts";
import { Flush } from "./flush.ts";
import { LogFeed } from "./logFeed.ts";
import { LoneReads } from "./loneReads.ts";
import { readLog, readMessage, readUnits } from "./lookup.ts";
import type { StoreOptions } from "./options.ts";
import type { AckTarget, PendingAppend } from "./pending.ts";
import type { RecordReads } from "./recordReads.ts";
import { type Recovered, recoverStore } from "./recovery.ts";
import { ReplicaLog } from "./replicaLog.ts";
import { Retention } from "./retention.ts";
import type { Selection } from "./selection.ts";
import { searchByTime } from "./timeSearch.ts";
import type {
  AppendResult,
  Boundary,
  KeyQuery,
  KeyQueryResult,
  NewMessage,
  QueueUnit,
  Store,
  StoredMessage,
  Writability,
} from "./types.ts";
import { WriteGate } from "./writeGate.ts";

const CHECKPOINT_PERIOD_MS = 10_000;
const FULL_DISK_PROBE_MS = 500;
/** Between looks for messages that slaves have not confirmed in time. */
const SLAVE_LOOK_MS = 100;

export interface StoreContext {
  disk: Disk;
  clock: Clock;
  turn: Turn;
  log: Logger;
  options: StoreOptions;
  /** Host bytes that records carry as their store host. */
  storeHost: Buffer;
  deliverTime?: DeliverTime;
  /** See {@link DerivedContext.hasTopic}. */
  hasTopic?: (topic: string) => boolean;
  /** Counts what is appended; the caller's own object, so that counting costs an addition. */
  counters?: AppendCounters;
  /** Counts each queue's messages as they become visible. */
  stats?: { readonly putTimes: PutTimes; putCounts(topic: string, queueId: number): PutCounts };
  /** Sizes of writes and times of syncs, for whoever exports metrics. */
  figures?: WriteFigures | undefined;
  /** The store failed for good: it is read-only, the process should end with an error. */
  onFatal?: (error: Error) => void;
}

export class MessageStore implements Store {
  readonly #context: StoreContext;
  readonly #options: StoreOptions;
  readonly #cache: FileCache;
  /** Names of the log's files: they must be durable before an acknowledgement. */
  readonly #logNames: DirNames;
  readonly #gate = new WriteGate();
  readonly #derived: DerivedFiles;
  readonly #queues: ConsumeQueues;
  readonly #counters: AppendCounters;
  #log!: CommitLog;
  #lone!: LoneReads;
  #flush!: Flush;
  #appender!: Appender;
  #retention!: Retention;
  #replica: ReplicaLog | undefined;
  #lock: { release(): void } | undefined;
  #timers: Timer[] = [];
  /** Ends what recurs by an option that can change. */
  #rhythms: (() => void)[] = [];
  readonly #arrivalListeners: ((topic: string, queueId: number, maxOffset: number) => void)[] = [];
  #lastTimestamp = 0;
  #grantedTo = 0;
  #storeHost: Buffer;

  constructor(context: StoreContext) {
    this.#context = context;
    this.#options = context.options;
    this.#storeHost = context.storeHost;
    this.#counters = context.counters ?? { puts: 0, putBytes: 0, putFailures: 0 };
    this.#cache = new FileCache(context.disk, limits.STORE_OPEN_FILES_MAX);
    this.#logNames = new DirNames(context.disk);
    this.#derived = new DerivedFiles({
      disk: context.disk,
      clock: context.clock,
      log: context.log,
      cache: this.#cache,
      gate: this.#gate,
      options: context.options,
      deliverTime: context.deliverTime,
      hasTopic: context.hasTopic,
    });
    this.#queues = this.#derived.queues;
  }

  // ---- life ----

  /** Locks the store, recovers it, starts its rhythm. */
  async start(): Promise<void> {
    const { disk } = this.#context;
    const root = this.#options.storePathRootDir;
    this.#logNames.mkdir(root);
    this.#lock = disk.lock(path.join(root, "lock"));
    try {
      await this.#open();
    } catch (error) {
      this.#letGo();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const { disk, clock, turn } = this.#context;
    const root = this.#options.storePathRootDir;
    const clean = !disk.exists(this.#abortPath);
    // Before recovery changes anything: a crash in the middle of it must not look like a clean stop.
    disk.open(this.#abortPath, { create: true }).close();
    this.#logNames.unknown(root, root);
    await this.#logNames.sync();
    const { segments, from, ...recovered } = await recoverStore({
      disk,
      clock,
      log: this.#context.log,
      cache: this.#cache,
      names: this.#logNames,
      options: this.#options,
      derived: this.#derived,
      clean,
    });
    this.#wire(segments, recovered);
    // What recovery found may have been in the page cache only. Consumers see it from now on, so it must stay.
    if (!clean) this.#logNames.unknown(this.commitLogPath, root);
    await this.#log.sync(clean ? this.#log.end : from, this.#log.end + 1);
    this.#flush.synced = this.#log.end;
    turn.onCommit(() => this.#commit());
    this.#retention.look();
    this.#rhythms = [
      repeat(
        clock,
        () => this.#options.flushIntervalCommitLog,
        () => this.#backgroundSync(),
      ),
      repeat(
        clock,
        () => this.#options.flushIntervalConsumeQueue,
        () => this.#derived.write(),
      ),
    ];
    this.#timers.push(
      clock.every(CHECKPOINT_PERIOD_MS, () => void this.checkpoint()),
      clock.every(this.#options.cleanResourceInterval, () => this.#retention.look()),
      clock.every(FULL_DISK_PROBE_MS, () => this.#probeFullDisk()),
    );
    if (this.#sync) this.#timers.push(clock.every(500, () => this.#flush.answerTimedOut()));
    if (this.waitsForSlaves) this.#timers.push(clock.every(SLAVE_LOOK_MS, () => this.#flush.answerUnreplicated()));
  }

  /** Flushes and closes everything; a later start is clean if all of it could be written. */
  async close(): Promise<void> {
    for (const timer of this.#timers) this.#context.clock.clear(timer);
    this.#timers = [];
    for (const end of this.#rhythms) end();
    this.#rhythms = [];
    this.#gate.shutDown();
    try {
      if (!this.#gate.fatal) await this.#flush.close();
      if (await this.#derived.lastCheckpoint()) {
        this.#context.disk.remove(this.#abortPath);
        await this.#context.disk.syncDir(this.#options.storePathRootDir);
      } else {
        this.#context.log.warn("the store could not be closed in order; the next start recovers it");
      }
    } finally {
      this.#flush.abandon();
      this.#letGo();
    }
  }

  /** Files and lock, for others. */
  #letGo(): void {
    this.#derived.index?.close();
    this.#cache.closeAll();
    this.#lock?.release();
  }

  get #abortPath(): string {
    return path.join(this.#options.storePathRootDir, "abort");
  }

  get #sync(): boolean {
    return this.#options.flushDiskType === "SYNC_FLUSH";
  }

  /** Builds what works on the recovered log. */
  #wire(segments: Recovered["segments"], { end, lastTimestamp }: Pick<Recovered, "end" | "lastTimestamp">): void {
    const { disk, clock, turn, log: logger } = this.#context;
    const log = new CommitLog(segments, this.#logNames, end, {
      // A chunk never reaches beyond its file.
      tailChunkBytes: Math.min(
        Math.max(limits.LOG_TAIL_CHUNK_BYTES, 2 * this.#options.maxMessageSize),
        this.#options.mappedFileSizeCommitLog,
      ),
      tailChunks: limits.LOG_TAIL_CHUNKS,
      blockBytes: limits.LOG_BLOCK_BYTES,
      blocksMax: limits.LOG_BLOCKS_MAX,
    });
    this.#log = log;
    this.#lone = new LoneReads(log, this.#context.clock);
    this.#grantedTo = end;
    this.#lastTimestamp = lastTimestamp;
    const flush = new Flush(
      log,
      this.#gate,
      clock,
      logger,
      {
        sync: this.#sync,
        syncTimeoutMs: () => this.#options.syncFlushTimeout,
        figures: this.#context.figures,
        replicaWait: this.waitsForSlaves
          ? { timeoutMs: () => this.#options.slaveTimeout, strict: this.#waitsForAll }
          : undefined,
      },
      {
        dispatch: (pending, now) => this.#dispatch(pending, now),
        granted: (logOffset) => this.#granted(logOffset),
        takenBack: (pending) => this.#takenBack(pending),
        onFatal: (error) => this.#context.onFatal?.(error),
      },
    );
    this.#flush = flush;
    if (this.#options.brokerRole === "SLAVE") {
      this.#replica = new ReplicaLog(log, flush, this.#gate, this.#derived, this.#sync, turn, logger);
    }
    this.#derived.attach({
      start: () => log.first,
      granted: () => this.#grantedTo,
      lastTimestamp: () => this.#lastTimestamp,
      synced: () => flush.synced,
      sync: (to) => flush.syncTo(to),
    });
    this.#appender = new Appender(
      {
        clock,
        turn,
        options: this.#options,
        log,
        flush,
        gate: this.#gate,
        derived: this.#derived,
        counters: this.#counters,
      },
      this.#storeHost,
    );
    this.#retention = new Retention(disk, clock, logger, log, this.#gate, this.#options, {
      // A queue whose newest messages are gone from the log could not tell its next offset after a crash.
      removableTo: () => this.#derived.checkpointedTo,
      trimmed: (logStart) => this.#derived.trim(logStart),
    });
  }

  // ---- append ----

  /** Host bytes for records from now on (the advertised address changed). */
  set storeHost(host: Buffer) {
    this.#storeHost = host;
    if (this.#appender !== undefined) this.#appender.storeHost = host;
  }

  get storeHost(): Buffer {
    return this.#storeHost;
  }

  /** The queue of a topic, made when missing. */
  queue(topic: string, queueId: number): ConsumeQueue {
    return this.#queues.getOrCreate(topic, queueId);
  }

  /** The queue if it exists. */
  findQueue(topic: string, queueId: number): ConsumeQueue | undefined {
    return this.#queues.get(topic, queueId);
  }

  /** See {@link Appender.append}. */
  append(
    draft: MessageDraft,
    scan: PropertyScan,
    queue: ConsumeQueue,
    target: AckTarget | undefined,
    opaque: number,
    serialization: number,
  ): PendingAppend {
    return this.#appender.append(draft, scan, queue, target, opaque, serialization);
  }

  /** See {@link Appender.appendBatch}. */
  appendBatch(
    count: number,
    next: (i: number, draft: MessageDraft, scan: PropertyScan) => void,
    queue: ConsumeQueue,
    target: AckTarget,
    opaque: number,
    serialization: number,
  ): void {
    this.#appender.appendBatch(count, next, queue, target, opaque, serialization);
  }

  put(message: NewMessage): Promise<AppendResult> {
    return this.#appender.put(message);
  }

  #commit(): void {
    this.#flush.commit();
    if (this.#replica !== undefined && this.#sync) void this.#flush.syncNow();
    const arrivals = this.#derived.takeArrivals();
    if (arrivals === undefined) return;
    for (const queue of arrivals) {
      for (const listener of this.#arrivalListeners) listener(queue.topic, queue.queueId, queue.max);
    }
  }

  /** `now`: the moment of the grant, ms of the wall clock. */
  #dispatch(pending: PendingAppend, now: number): void {
    this.#counters.puts++;
    this.#counters.putBytes += pending.bytes;
    this.#lastTimestamp = pending.storeTimestamp;
    this.#derived.dispatch(pending);
    const { stats } = this.#context;
    if (stats === undefined) return;
    const tookMs = now - pending.storeTimestamp;
    stats.putTimes.add(tookMs);
    const { queue } = pending;
    if (queue === undefined || queue.deleted) return;
    queue.counts ??= stats.putCounts(queue.topic, queue.queueId);
    queue.counts.add(pending.bytes, tookMs);
  }

  #granted(logOffset: number): void {
    if (this.#replica !== undefined) {
      // A slave's log may end within a record.
      this.#grantedTo = this.#replica.dispatchedTo;
      this.#lastTimestamp = Math.max(this.#lastTimestamp, this.#replica.lastTimestamp);
      this.#replica.progressed();
      return;
    }
    this.#grantedTo = Math.max(this.#grantedTo, logOffset);
    this.#derived.index?.grant(logOffset);
    // A grant that comes from a sync or a slave's report comes between turns: the output phase must follow.
    if (this.#sync || this.waitsForSlaves) this.#context.turn.request();
  }

  #takenBack(pending: PendingAppend): void {
    this.#counters.putFailures++;
    if (pending.queue) pending.queue.next = pending.queueOffset;
    for (const { queue, offset } of pending.lmq ?? []) queue.next = offset;
    this.#derived.index?.unstage(pending.logOffset);
  }

  onArrival(fn: (topic: string, queueId: number, maxOffset: number) => void): void {
    this.#arrivalListeners.push(fn);
  }

  // ---- replication ----

  /** Whether acknowledgements wait for slaves: SYNC_MASTER with inSyncReplicas above 1, as Apache has it. */
  get waitsForSlaves(): boolean {
    return this.#options.brokerRole === "SYNC_MASTER" && (this.#options.inSyncReplicas > 1 || this.#waitsForAll);
  }

  /** Whether the set of brokers that hold everything decides what consumers may see. */
  get #waitsForAll(): boolean {
    return this.#options.enableControllerMode && this.#options.allAckInSyncStateSet;
  }

  /** Enough slaves have everything below `logOffset`. */
  replicated(logOffset: number): void {
    this.#flush.replicated(logOffset);
  }

  /** Below this offset nobody waits for slaves any more. */
  get replicatedTo(): number {
    return this.#flush.replicatedTo;
  }

  /** The log as a stream for slaves. */
  feed(): LogFeed {
    return new LogFeed(this.#log);
  }

  /** The log as a slave fills it. @throws when this broker is no slave */
  replica(): ReplicaLog {
    if (this.#replica === undefined) throw new Error(`brokerRole=${this.#options.brokerRole}: this is no slave`);
    return this.#replica;
  }

  // ---- rhythm ----

  #backgroundSync(): void {
    if (!this.#sync && !this.#gate.fatal) void this.#flush.syncNow();
  }

  #probeFullDisk(): void {
    // Space that returned is noticed at once, not only at the next round of retention.
    if (this.#gate.atWatermark) this.#retention.look();
    if (!this.#gate.full) return;
    this.#gate.spaceChanged(this.#context.disk.space(this.#log.segments.dir));
    if (!this.#gate.full) this.#context.log.info("writing the store resumes");
  }

  /** Makes everything derived durable up to now and notes so. */
  checkpoint(): Promise<void> {
    return this.#derived.checkpoint();
  }

  // ---- reading ----

  /** Finds the records a pull asks for; see {@link Selection}. */
  select(
    into: Selection,
    topic: string,
    queueId: number,
    offset: number,
    maxCount: number,
    maxBytes: number,
    filter: UnitFilter,
  ): void {
    into.select(this.#log, this.#queues.get(topic, queueId), offset, maxCount, maxBytes, filter);
  }

  /** Brings into memory what a selection found missing. */
  async load(selection: Selection, topic: string, queueId: number): Promise<void> {
    if (selection.missingLogOffset >= 0) await this.#log.load(selection.missingLogOffset, selection.missingBytes);
    else await this.#queues.get(topic, queueId)?.load1(selection.missingUnit);
  }

  /** Runs `work`, within which what was selected can be copied, whatever is appended in between. */
  keepSelected<T>(work: () => T): T {
    return this.#log.keepResident(work);
  }

  /** Copies a selected record; false when it was pushed out of memory since. */
  copy(logOffset: number, bytes: number, to: Buffer, at: number): boolean {
    return this.#log.copy(logOffset, bytes, to, at);
  }

  /** Copies a record that was selected in this very turn, so that it still is in memory; returns where it ends. */
  copySelected(logOffset: number, bytes: number, to: Buffer, at: number): number {
    if (!this.#log.copy(logOffset, bytes, to, at)) throw new Error(`log bytes at ${logOffset} vanished`);
    return at + bytes;
  }

  messageAt(logOffset: number, lone = false): Promise<StoredMessage | undefined> {
    return lone ? this.#lone.message(logOffset) : readMessage(this.#log, logOffset);
  }

  /** Raw bytes of the log, for verification and replication. */
  readLog(logOffset: number, bytes: number): Promise<Buffer | undefined> {
    return readLog(this.#log, logOffset, bytes);
  }

  /** Reads many whole records, each by offset and size. */
  readRecords(reads: RecordReads): Promise<void> {
    return reads.run(this.#log);
  }

  minOffset(topic: string, queueId: number): number {
    return this.#queues.get(topic, queueId)?.min ?? 0;
  }

  maxOffset(topic: string, queueId: number): number {
    return this.#queues.get(topic, queueId)?.max ?? 0;
  }

  async units(topic: string, queueId: number, queueOffset: number, count: number): Promise<QueueUnit[]> {
    const queue = this.#queues.get(topic, queueId);
    return queue ? readUnits(queue, queueOffset, count) : [];
  }

  async offsetByTime(topic: string, queueId: number, timestampMs: number, boundary: Boundary): Promise<number> {
    const queue = this.#queues.get(topic, queueId);
    return queue ? searchByTime(this.#log, queue, timestampMs, boundary, this.#lone) : 0;
  }

  storeTimeAt(topic: string, queueId: number, queueOffset: number): number | Promise<number> {
    const queue = this.#queues.get(topic, queueId);
    if (!queue || queueOffset < queue.min || queueOffset >= queue.max) return -1;
    return this.#lone.storeTime(queue, queueOffset);
  }

  async query(query: KeyQuery): Promise<KeyQueryResult> {
    const { index } = this.#derived;
    const result: KeyQueryResult = {
      messages: [],
      indexLastUpdateTimestamp: index?.endTimestamp ?? 0,
      indexLastUpdateLogOffset: Math.max(0, index?.endLogOffset ?? 0),
    };
    if (!index) return result;
    const pause = () => new Promise<void>((resolve) => this.#context.clock.endOfTurn(resolve));
    const found = await index.select(query.topic, query.key, query.begin, query.end, query.maxNum, pause);
    const offsets = [...new Set(found)].sort((a, b) => a - b);
    let bytes = 0;
    await this.#lone.messages(offsets, (message) => {
      if (message?.topic !== query.topic) return true;
      bytes += message.bytes.length;
      // More than fits into a frame, no client could take.
      if (bytes > limits.QUERY_BYTES_MAX && result.messages.length > 0) return false;
      result.messages.push(message);
      return true;
    });
    return result;
  }

  inMemory(logOffset: number): boolean {
    return this.#log.inTail(logOffset);
  }

  queuesOf(topic: string): number[] {
    return this.#queues.queueIds(topic);
  }

  topics(): string[] {
    return this.#queues.topics();
  }

  deleteTopic(topic: string): Promise<void> {
    return this.#derived.deleteTopic(topic);
  }

  minLogOffset(): number {
    return this.#log.first;
  }

  maxLogOffset(): number {
    return this.#log.written;
  }

  /** Resolves when every message visible now is durable; rejects when the store cannot promise that any more. */
  async sync(): Promise<void> {
    const to = this.#grantedTo;
    await this.#flush.syncTo(to);
    if (this.#flush.synced < to) throw new Error(`the commit log is not synced: ${this.#gate.state().reason}`);
  }

  /** Bytes written but not yet synced. */
  flushBehindBytes(): number {
    return this.#log.written - this.#flush.synced;
  }

  writability(): Writability {
    return this.#gate.state();
  }

  get commitLogPath(): string {
    return this.#log.segments.dir;
  }

  /** Bytes of the disk the log lies on. */
  space(): DiskSpace {
    return this.#context.disk.space(this.#log.segments.dir);
  }

  /** Deletes expired files now, whatever the hour (DELETE_EXPIRED_COMMITLOG). */
  deleteExpired(): number {
    return this.#retention.look(true);
  }
}
