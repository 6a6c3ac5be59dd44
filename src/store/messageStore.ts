/**
 * The message store: wires log, queues, index, flush, recovery and retention together and keeps their rhythm (Apache:
 * DefaultMessageStore). Speaks topics, queues and offsets; knows no command and no socket.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import type { Clock, Timer } from "../base/clock.ts";
import { javaHashUtf8 } from "../base/javaHash.ts";
import * as limits from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { Turn } from "../base/turn.ts";
import type { UnitFilter } from "../filter/tags.ts";
import { MessageDraft } from "../message/draft.ts";
import { formatProperties, Property, parseProperties } from "../message/properties.ts";
import { PropertyScan } from "../message/propertyScan.ts";
import { PROPERTIES_BYTES_MAX, type RecordView } from "../message/record.ts";
import { TRANSACTION_MASK, TRANSACTION_PREPARED, TRANSACTION_ROLLBACK } from "../message/sysFlag.ts";
import { Checkpoint, type CheckpointState, type DerivedState } from "./checkpoint.ts";
import { CommitLog } from "./commitLog.ts";
import type { ConsumeQueue } from "./consumeQueue.ts";
import { ConsumeQueues } from "./consumeQueues.ts";
import { DirNames } from "./dirNames.ts";
import type { Disk, DiskSpace } from "./disk.ts";
import { FileCache } from "./fileCache.ts";
import { Flush } from "./flush.ts";
import { IndexService } from "./indexService.ts";
import { readLog, readMessage, readUnits, searchByTime, unitStoreTime } from "./lookup.ts";
import type { StoreOptions } from "./options.ts";
import { type AckTarget, PendingAppend } from "./pending.ts";
import { scanLog, scanStart } from "./recovery.ts";
import { Retention } from "./retention.ts";
import { Segments } from "./segments.ts";
import type { Selection } from "./selection.ts";
import type {
  AppendResult,
  AppendStatus,
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

/** What Apache allows a record beyond its body: properties, topic and fields. */
const RECORD_OVERHEAD_BYTES = 64 * 1024;
const CHECKPOINT_PERIOD_MS = 10_000;
const FULL_DISK_PROBE_MS = 500;
/** Queue files written per turn, so that 10,000 dirty queues do not stop the loop. */
const QUEUES_PER_SLICE = 200;
/** Places that recovery lists for lost messages of one queue; a larger gap is no gap but a damaged number. */
const FILL_MAX = 1_000_000;

export interface AppendCounters {
  /** Messages appended. */
  puts: number;
  /** Bytes of their records. */
  putBytes: number;
  /** Appends refused. */
  putFailures: number;
}

export interface StoreContext {
  disk: Disk;
  clock: Clock;
  turn: Turn;
  log: Logger;
  options: StoreOptions;
  /** Host bytes that records carry as their store host. */
  storeHost: Buffer;
  /** Due time of a message of the schedule topic, which its queue unit carries instead of a tag code. */
  deliverTime?: (level: number, storeTimestamp: number) => number;
  /** Counts what is appended; the caller's own object, so that counting costs an addition. */
  counters?: AppendCounters;
  /** The store failed for good: it is read-only, the process should end with an error. */
  onFatal?: (error: Error) => void;
}

export class MessageStore implements Store {
  readonly #context: StoreContext;
  readonly #options: StoreOptions;
  readonly #cache: FileCache;
  /** Names of the log's files: they must be durable before an acknowledgement. */
  readonly #logNames: DirNames;
  /** Names of derived files: they must be durable before a checkpoint. */
  readonly #derivedNames: DirNames;
  readonly #gate = new WriteGate();
  readonly #queues: ConsumeQueues;
  readonly #index: IndexService | undefined;
  readonly #checkpoint: Checkpoint;
  readonly #draft = new MessageDraft();
  /** What a refused append is answered with. */
  readonly #refused = new PendingAppend();
  readonly #scan = new PropertyScan();
  #log!: CommitLog;
  #flush!: Flush;
  #retention!: Retention;
  #lock: { release(): void } | undefined;
  #timers: Timer[] = [];
  #arrivals: ConsumeQueue[] = [];
  #arrivalListeners: ((topic: string, queueId: number, maxOffset: number) => void)[] = [];
  /** Queues written since the last checkpoint. */
  #unsyncedQueues = new Set<ConsumeQueue>();
  #checkpointing: Promise<boolean> | undefined;
  /** Syncing a derived file failed: its bytes may be gone, no later checkpoint may vouch for them. */
  #derivedFailed = false;
  /** While recovery rebuilds all queues: those it has begun anew. */
  #rebuilt: Set<ConsumeQueue> | undefined;
  /** Counts deleted topics, so that a checkpoint under way does not count their units. */
  #topicsDeleted = 0;
  #lastTimestamp = 0;
  #grantedTo = 0;
  /** Everything below is in the derived files for sure. */
  #checkpointedTo = 0;
  #writingQueues = false;
  #storeHost: Buffer;
  readonly #counters: AppendCounters;

  constructor(context: StoreContext) {
    this.#context = context;
    this.#options = context.options;
    this.#storeHost = context.storeHost;
    this.#counters = context.counters ?? { puts: 0, putBytes: 0, putFailures: 0 };
    const { storePathRootDir: root } = context.options;
    this.#cache = new FileCache(context.disk, limits.STORE_OPEN_FILES_MAX);
    this.#logNames = new DirNames(context.disk);
    this.#derivedNames = new DirNames(context.disk);
    this.#queues = new ConsumeQueues(
      context.disk,
      this.#cache,
      this.#derivedNames,
      path.join(root, "consumequeue"),
      context.options.mappedFileSizeConsumeQueue,
    );
    this.#index = context.options.messageIndexEnable
      ? new IndexService(
          context.disk,
          context.clock,
          context.log,
          this.#derivedNames,
          path.join(root, "index"),
          context.options.maxHashSlotNum,
          context.options.maxIndexNum,
        )
      : undefined;
    this.#checkpoint = new Checkpoint(context.disk, path.join(root, "checkpoint"));
  }

  // ---- life ----

  /** Locks the store, recovers it, starts its rhythm. */
  async start(): Promise<void> {
    const { disk, clock, turn } = this.#context;
    const root = this.#options.storePathRootDir;
    this.#logNames.mkdir(root);
    this.#lock = disk.lock(path.join(root, "lock"));
    const clean = !disk.exists(this.#abortPath);
    // Before recovery changes anything: a crash in the middle of it must not look like a clean stop.
    disk.open(this.#abortPath, { create: true }).close();
    this.#logNames.unknown(root, root);
    await this.#logNames.sync();
    const from = await this.#recover(clean);
    // What recovery found may have been in the page cache only. Consumers see it from now on, so it must stay.
    if (!clean) this.#logNames.unknown(this.commitLogPath, root);
    await this.#log.sync(clean ? this.#log.end : from, this.#log.end + 1);
    this.#flush.synced = this.#log.end;
    turn.onCommit(() => this.#commit());
    this.#retention.look();
    this.#timers.push(
      clock.every(this.#options.flushIntervalCommitLog, () => this.#backgroundSync()),
      clock.every(this.#options.flushIntervalConsumeQueue, () => this.#writeQueues()),
      clock.every(CHECKPOINT_PERIOD_MS, () => void this.checkpoint()),
      clock.every(this.#options.cleanResourceInterval, () => this.#retention.look()),
      clock.every(FULL_DISK_PROBE_MS, () => this.#probeFullDisk()),
    );
    if (this.#sync) this.#timers.push(clock.every(500, () => this.#flush.answerTimedOut()));
  }

  /** Flushes and closes everything; a later start is clean if all of it could be written. */
  async close(): Promise<void> {
    for (const timer of this.#timers) this.#context.clock.clear(timer);
    this.#timers = [];
    this.#gate.shutDown();
    try {
      if (!this.#gate.fatal) await this.#flush.close();
      await this.#checkpointing;
      if (!this.#gate.fatal && (await this.#runCheckpoint(true))) {
        this.#context.disk.remove(this.#abortPath);
        await this.#context.disk.syncDir(this.#options.storePathRootDir);
      } else {
        this.#context.log.warn("the store could not be closed in order; the next start recovers it");
      }
    } finally {
      this.#flush.abandon();
      this.#index?.close();
      this.#cache.closeAll();
      this.#lock?.release();
    }
  }

  get #abortPath(): string {
    return path.join(this.#options.storePathRootDir, "abort");
  }

  get #sync(): boolean {
    return this.#options.flushDiskType === "SYNC_FLUSH";
  }

  /** Brings log and derived files to one state; returns the log offset below which all was known durable. */
  async #recover(clean: boolean): Promise<number> {
    const { disk, clock, log: logger } = this.#context;
    const began = clock.monotonicMs();
    const dir = this.#options.storePathCommitLog || path.join(this.#options.storePathRootDir, "commitlog");
    this.#logNames.mkdir(dir);
    const segments = new Segments(disk, this.#cache, this.#logNames, dir, this.#options.mappedFileSizeCommitLog);
    const checkpoint = this.#checkpoint.read();
    // Files above the checkpoint may be torn from the rest by a power loss, files below only by retention.
    const synced = checkpoint?.ours?.syncedLogOffset ?? 0;
    const repairs = segments.load((start) => clean || start < synced);
    const logStart = checkpoint?.ours?.firstLogOffset ?? 0;
    while (segments.firstOffset + segments.fileBytes <= logStart && segments.removeFirst()) {
      repairs.push("a commit log file that retention had removed was back after a power loss");
    }
    let gap = false;
    const input = {
      segments,
      clean,
      checkpoint,
      log: logger,
      dispatch: (view: RecordView) => {
        if (!gap) gap = !this.#redispatch(view, false);
      },
    };
    const from = scanStart(input);
    // Damage below is fenced, not taken for the end: no crash makes it.
    const durable = Math.max(from, Math.min(synced, segments.endOffset));
    const rebuild = await this.#loadDerived(clean, from, durable, checkpoint?.ours, segments, repairs);
    let result = scanLog(input, rebuild.index || rebuild.queues ? segments.firstOffset : from, durable);
    if (gap) {
      logger.warn("a ConsumeQueue lacks units of before the checkpoint: all queues are rebuilt from the commit log");
      await this.#checkpoint.beginRebuild(segments.firstOffset, Math.min(durable, result.end));
      this.#rebuilt = new Set();
      input.dispatch = (view) => this.#redispatch(view, true);
      result = scanLog(input, segments.firstOffset, Math.min(durable, result.end));
    }
    for (const queue of this.#queues.all()) {
      if (queue.dispatchedLogEnd() > result.end) {
        const cut = queue.cutBehind(result.end);
        repairs.push(`${queue.topic}-${queue.queueId}: ${cut} units pointed behind the commit log`);
        this.#unsyncedQueues.add(queue);
      }
      if (segments.firstOffset > 0) queue.trim(segments.firstOffset);
      // A cut that is not synced could be undone by the next power loss, and its units believed then.
      if (!clean) this.#unsyncedQueues.add(queue);
    }
    this.#rebuilt = undefined;
    for (const repair of repairs) logger.warn({ repair }, "store repaired");
    this.#log = new CommitLog(segments, this.#logNames, result.end, {
      // A chunk never reaches beyond its file.
      tailChunkBytes: Math.min(
        Math.max(limits.LOG_TAIL_CHUNK_BYTES, 2 * this.#options.maxMessageSize),
        this.#options.mappedFileSizeCommitLog,
      ),
      tailChunks: limits.LOG_TAIL_CHUNKS,
      blockBytes: limits.LOG_BLOCK_BYTES,
      blocksMax: limits.LOG_BLOCKS_MAX,
    });
    this.#grantedTo = result.end;
    this.#checkpointedTo = rebuild.queues || rebuild.index || gap ? 0 : from;
    this.#lastTimestamp = Math.max(result.lastTimestamp, checkpoint?.logTimestamp ?? 0);
    this.#flush = new Flush(
      this.#log,
      this.#gate,
      clock,
      logger,
      { sync: this.#sync, syncTimeoutMs: this.#options.syncFlushTimeout },
      {
        dispatch: (pending) => this.#dispatch(pending),
        granted: (logOffset) => this.#granted(logOffset),
        takenBack: (pending) => this.#takenBack(pending),
        onFatal: (error) => this.#context.onFatal?.(error),
      },
    );
    this.#retention = new Retention(disk, clock, logger, this.#log, this.#gate, this.#options, {
      // A queue whose newest messages are gone from the log could not tell its next offset after a crash.
      removableTo: () => this.#checkpointedTo,
      trimmed: (logStart) => this.#trim(logStart),
    });
    logger.info(
      {
        clean,
        scannedFrom: from,
        end: result.end,
        dispatched: result.dispatched,
        ms: Math.round(clock.monotonicMs() - began),
      },
      "store recovered",
    );
    return Math.min(from, result.end);
  }

  /** Opens the derived files and decides which must be built again from the whole log, because files were lost. */
  async #loadDerived(
    clean: boolean,
    from: number,
    durable: number,
    noted: DerivedState | undefined,
    segments: Segments,
    repairs: string[],
  ): Promise<{ queues: boolean; index: boolean }> {
    const trusted = clean ? Number.POSITIVE_INFINITY : from;
    repairs.push(...this.#queues.load(trusted));
    const loaded = this.#index?.load(trusted) ?? { damaged: "", removed: "" };
    // Retention also removes derived files: then only what it leaves alone can be compared.
    const sameStart = noted !== undefined && noted.firstLogOffset === segments.firstOffset;
    let queues = [...this.#queues.all()].some((queue) => queue.incomplete);
    if (noted !== undefined) {
      queues ||= this.#queues.sumOfMax() < noted.queueUnits;
      queues ||= sameStart && this.#queues.sumOfFirst() > noted.queueFirstUnits;
    }
    let index = loaded.damaged !== "";
    if (this.#index) {
      if (sameStart) index ||= this.#index.entryCount < noted.indexEntries;
      else index ||= loaded.removed !== "";
    }
    if (queues || index) await this.#checkpoint.beginRebuild(segments.firstOffset, durable);
    if (queues) {
      repairs.push("ConsumeQueue files were lost or cut: all queues are rebuilt from the commit log");
      this.#rebuilt = new Set();
    }
    if (index) {
      repairs.push(`index files were lost or damaged: all are rebuilt from the commit log ${loaded.damaged}`);
      this.#index?.reset();
    }
    return { queues, index };
  }

  /**
   * Gives a record found by recovery to the derived files that lack it.
   * @param fill list places for messages that the log lost to damage; otherwise a gap is answered by false
   */
  #redispatch(view: RecordView, fill: boolean): boolean {
    const transaction = view.sysFlag & TRANSACTION_MASK;
    if (transaction === TRANSACTION_PREPARED || transaction === TRANSACTION_ROLLBACK) return true;
    this.#scan.scan(view.buf, view.propertiesAt, view.propertiesAt + view.propertiesBytes);
    const queue = this.#queues.getOrCreate(view.topic(), view.queueId);
    if (this.#rebuilt?.has(queue) === false) {
      // Only now: a queue whose messages are all gone from the log must keep its files, they tell its next offset.
      this.#rebuilt.add(queue);
      queue.reset();
    }
    if (view.logOffset > queue.lastLogOffset) {
      const empty = queue.max === queue.min;
      if (view.queueOffset > queue.max && !empty) {
        if (!fill || view.queueOffset - queue.max > FILL_MAX) return false;
        queue.fillTo(view.queueOffset, queue.lastLogOffset);
      } else if (view.queueOffset !== queue.max) {
        // The queue's first message here, or the first one after its topic was deleted and made again.
        queue.startAt(view.queueOffset);
      }
      queue.push(view.logOffset, view.totalBytes, this.#tagsCodeOf(view));
      this.#queues.markDirty(queue);
      if (queue.pressed) this.#persistOne(queue);
    }
    if (this.#index && view.logOffset > this.#index.endLogOffset) {
      const draft = this.#draft;
      draft.properties = view.buf;
      draft.storeTimestamp = view.storeTimestamp;
      this.#index.stage(draft, this.#scan, queue.keyHashPrefix, view.logOffset);
      this.#index.grant(view.logOffset + 1);
    }
    return true;
  }

  #tagsCodeOf(view: RecordView): number {
    const due = this.#dueTime(view.topic(), () => view.properties(), view.storeTimestamp);
    if (due !== undefined) return due;
    const scan = this.#scan;
    return scan.tagsStart < 0 || scan.tagsEnd === scan.tagsStart
      ? 0
      : javaHashUtf8(0, view.buf, scan.tagsStart, scan.tagsEnd);
  }

  /** Units of the schedule topic carry the due time where others carry the tag (CommitLog.checkMessageAndReturnSize). */
  #dueTime(topic: string, properties: () => string, storeTimestamp: number): number | undefined {
    if (topic !== "SCHEDULE_TOPIC_XXXX" || this.#context.deliverTime === undefined) return undefined;
    const level = parseProperties(properties()).get(Property.DELAY_TIME_LEVEL);
    return level === undefined ? undefined : this.#context.deliverTime(Number(level), storeTimestamp);
  }

  // ---- append ----

  /** Host bytes for records from now on (the advertised address changed). */
  set storeHost(host: Buffer) {
    this.#storeHost = host;
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

  /**
   * Appends one message; the hot path. `draft` has everything but time, offsets and topic; `scan` is of its properties.
   * The target is called at the end of the turn or later, in log order; for a refusal at once.
   */
  append(
    draft: MessageDraft,
    scan: PropertyScan,
    queue: ConsumeQueue,
    target: AckTarget | undefined,
    opaque: number,
    serialization: number,
  ): PendingAppend {
    draft.topic = queue.topicBytes;
    const bytes = draft.totalBytes();
    const refusal = this.#refusal(draft, bytes);
    if (refusal === undefined) {
      try {
        this.#log.reserve(bytes);
      } catch (error) {
        this.#flush.writeFailed(error as Error);
      }
    }
    this.#context.turn.request();
    if (refusal !== undefined || !this.#gate.writable) {
      const status = refusal ?? "notAvailable";
      return this.#refuse(target, opaque, serialization, status, this.#refusalReason(status, draft, bytes));
    }
    const pending = this.#flush.ring.push();
    pending.target = target;
    pending.opaque = opaque;
    pending.serialization = serialization;
    this.#appendReserved(draft, scan, queue, pending, bytes);
    return pending;
  }

  /** Appends messages of one queue that lie together in the log, all or none. `next` sets draft and scan to message i. */
  appendBatch(
    count: number,
    next: (i: number, draft: MessageDraft, scan: PropertyScan) => void,
    queue: ConsumeQueue,
    target: AckTarget,
    opaque: number,
    serialization: number,
  ): void {
    const draft = this.#draft;
    const scan = this.#scan;
    draft.topic = queue.topicBytes;
    let total = 0;
    let refusal: AppendStatus | undefined;
    let reason = "";
    for (let i = 0; i < count && refusal === undefined; i++) {
      next(i, draft, scan);
      const bytes = draft.totalBytes();
      total += bytes;
      refusal = this.#refusal(draft, bytes);
      if (refusal !== undefined) {
        const cause = this.#refusalReason(refusal, draft, bytes);
        reason = refusal === "notAvailable" || refusal === "busy" ? cause : `message ${i} of the batch: ${cause}`;
      }
    }
    if (
      refusal === undefined &&
      total > Math.min(this.#log.recordBytesMax, this.#options.maxMessageSize + RECORD_OVERHEAD_BYTES)
    ) {
      refusal = "messageIllegal";
      reason = `the batch takes ${total} bytes in the log, more than maxMessageSize ${this.#options.maxMessageSize} allows`;
    }
    if (refusal === undefined) {
      try {
        this.#log.reserve(total);
      } catch (error) {
        this.#flush.writeFailed(error as Error);
      }
      if (!this.#gate.writable) {
        refusal = "notAvailable";
        reason = this.#gate.state().reason;
      }
    }
    this.#context.turn.request();
    if (refusal !== undefined) {
      this.#refuse(target, opaque, serialization, refusal, reason);
      return;
    }
    const offsets: number[] = [];
    for (let i = 0; i < count; i++) {
      next(i, draft, scan);
      const pending = this.#flush.ring.push();
      this.#appendReserved(draft, scan, queue, pending, draft.totalBytes());
      offsets.push(pending.logOffset);
      if (i === count - 1) {
        pending.target = target;
        pending.opaque = opaque;
        pending.serialization = serialization;
        pending.batchOffsets = offsets;
      }
    }
  }

  #appendReserved(
    draft: MessageDraft,
    scan: PropertyScan,
    queue: ConsumeQueue,
    pending: PendingAppend,
    bytes: number,
  ): void {
    const transaction = draft.sysFlag & TRANSACTION_MASK;
    const listed = transaction !== TRANSACTION_PREPARED && transaction !== TRANSACTION_ROLLBACK;
    const queueOffset = listed ? queue.next++ : 0;
    const now = this.#context.clock.now();
    draft.storeTimestamp = now;
    pending.queue = listed ? queue : undefined;
    pending.queueId = queue.queueId;
    pending.queueOffset = queueOffset;
    pending.bytes = bytes;
    pending.storeTimestamp = now;
    pending.tagsCode = draft.tagsCode;
    pending.noWait = scan.noWait;
    pending.logOffset = this.#log.append(draft, bytes, queueOffset);
    if (this.#index !== undefined && transaction !== TRANSACTION_ROLLBACK) {
      this.#index.stage(draft, scan, queue.keyHashPrefix, pending.logOffset);
    }
  }

  /** Answers at once, outside of the ring: what was never taken must not wait behind what was. */
  #refuse(
    target: AckTarget | undefined,
    opaque: number,
    serialization: number,
    status: AppendStatus,
    reason: string,
  ): PendingAppend {
    const refused = this.#refused;
    refused.opaque = opaque;
    refused.serialization = serialization;
    refused.status = status;
    refused.reason = reason;
    this.#counters.putFailures++;
    target?.appended(refused);
    return refused;
  }

  #refusal(draft: MessageDraft, bytes: number): AppendStatus | undefined {
    if (draft.bodyEnd - draft.bodyStart > this.#options.maxMessageSize) return "messageIllegal";
    if (draft.propertiesBytes() > PROPERTIES_BYTES_MAX) return "propertiesTooLong";
    if (bytes > this.#options.maxMessageSize + RECORD_OVERHEAD_BYTES || bytes > this.#log.recordBytesMax) {
      return "messageIllegal";
    }
    if (!this.#gate.writable) return "notAvailable";
    return this.#flush.ring.length < limits.APPENDS_PENDING_MAX ? undefined : "busy";
  }

  #refusalReason(status: AppendStatus, draft: MessageDraft, bytes: number): string {
    if (status === "notAvailable") return this.#gate.state().reason;
    if (status === "busy") return `${this.#flush.ring.length} messages wait for the disk already; send again later`;
    const { maxMessageSize } = this.#options;
    const bodyBytes = draft.bodyEnd - draft.bodyStart;
    if (status === "propertiesTooLong") {
      return `the properties take ${draft.propertiesBytes()} bytes, at most ${PROPERTIES_BYTES_MAX} fit into a message`;
    }
    if (bodyBytes > maxMessageSize) return `the body has ${bodyBytes} bytes, maxMessageSize is ${maxMessageSize}`;
    return `the message takes ${bytes} bytes in the log, more than maxMessageSize ${maxMessageSize} or a file of mappedFileSizeCommitLog ${this.#options.mappedFileSizeCommitLog} allows`;
  }

  put(message: NewMessage): Promise<AppendResult> {
    const draft = new MessageDraft();
    const properties = Buffer.from(formatProperties(message.properties));
    draft.queueId = message.queueId;
    draft.flag = message.flag ?? 0;
    draft.sysFlag = message.sysFlag ?? 0;
    draft.bornTimestamp = message.bornTimestamp ?? this.#context.clock.now();
    draft.setHosts(message.bornHost ?? this.#storeHost, this.#storeHost);
    draft.reconsumeTimes = message.reconsumeTimes ?? 0;
    draft.preparedTransactionOffset = message.preparedTransactionOffset ?? 0;
    draft.body = message.body;
    draft.bodyEnd = message.body.length;
    draft.properties = properties;
    draft.propertiesEnd = properties.length;
    const scan = new PropertyScan();
    scan.scan(properties, 0, properties.length);
    const queue = this.queue(message.topic, message.queueId);
    const tags = message.properties.get(Property.TAGS);
    const now = this.#context.clock.now();
    draft.tagsCode =
      message.tagsCode ??
      this.#dueTime(message.topic, () => formatProperties(message.properties), now) ??
      (tags ? javaHashUtf8(0, properties, scan.tagsStart, scan.tagsEnd) : 0);
    return new Promise((resolve) => {
      this.append(draft, scan, queue, { appended: (pending) => resolve(resultOf(pending)) }, 0, 0);
    });
  }

  #commit(): void {
    this.#flush.commit();
    this.#tellArrivals();
  }

  #dispatch(pending: PendingAppend): void {
    const queue = pending.queue;
    this.#counters.puts++;
    this.#counters.putBytes += pending.bytes;
    this.#lastTimestamp = pending.storeTimestamp;
    if (queue === undefined || queue.deleted) return;
    queue.push(pending.logOffset, pending.bytes, pending.tagsCode);
    this.#queues.markDirty(queue);
    if (!queue.arrived) {
      queue.arrived = true;
      this.#arrivals.push(queue);
    }
  }

  #granted(logOffset: number): void {
    this.#grantedTo = Math.max(this.#grantedTo, logOffset);
    this.#index?.grant(logOffset);
    // Under SYNC_FLUSH a grant comes from a sync, between turns: the output phase must follow.
    if (this.#sync) this.#context.turn.request();
  }

  #takenBack(pending: PendingAppend): void {
    this.#counters.putFailures++;
    if (pending.queue) pending.queue.next = pending.queueOffset;
    this.#index?.unstage(pending.logOffset);
  }

  #tellArrivals(): void {
    if (this.#arrivals.length === 0) return;
    const arrivals = this.#arrivals;
    this.#arrivals = [];
    for (const queue of arrivals) {
      queue.arrived = false;
      if (queue.pressed) this.#persistOne(queue);
      for (const listener of this.#arrivalListeners) listener(queue.topic, queue.queueId, queue.max);
    }
  }

  onArrival(fn: (topic: string, queueId: number, maxOffset: number) => void): void {
    this.#arrivalListeners.push(fn);
  }

  // ---- rhythm ----

  #backgroundSync(): void {
    if (!this.#sync && !this.#gate.fatal) void this.#flush.syncNow();
  }

  #persistOne(queue: ConsumeQueue): void {
    if (this.#gate.full) return;
    try {
      queue.persist();
      this.#unsyncedQueues.add(queue);
    } catch (error) {
      this.#derivedWriteFailed(error as Error);
    }
  }

  /** Writes dirty queues and the index, a slice per turn. */
  #writeQueues(): void {
    if (this.#writingQueues || this.#gate.full || this.#gate.fatal) return;
    this.#writingQueues = true;
    const slice = () => {
      try {
        this.#queues.persist(QUEUES_PER_SLICE, (queue) => this.#unsyncedQueues.add(queue));
        this.#index?.flush();
      } catch (error) {
        this.#derivedWriteFailed(error as Error);
        this.#writingQueues = false;
        return;
      }
      if (this.#queues.dirtyCount > 0) this.#context.clock.endOfTurn(slice);
      else {
        this.#writingQueues = false;
        this.#queues.rest();
      }
    };
    slice();
  }

  /** A derived file could not be written. Memory and the log still have everything; a full disk closes the gate. */
  #derivedWriteFailed(error: Error): void {
    const code = (error as NodeJS.ErrnoException).code;
    this.#context.log.error({ err: error }, "a derived file was not written; it is rebuilt from the commit log");
    if (code === "ENOSPC" || code === "EDQUOT") this.#gate.writeFailed(error);
  }

  #probeFullDisk(): void {
    // Space that returned is noticed at once, not only at the next round of retention.
    if (this.#gate.atWatermark) this.#retention.look();
    if (!this.#gate.full) return;
    this.#gate.spaceChanged(this.#context.disk.space(this.#log.segments.dir));
    if (!this.#gate.full) this.#context.log.info("the disk has space again, writing resumes");
  }

  #trim(logStart: number): void {
    for (const queue of this.#queues.all()) queue.trim(logStart);
    this.#index?.trim(logStart);
    // Until the next checkpoint, lost derived files cannot be told from removed ones.
    void this.checkpoint();
  }

  /** Makes everything derived durable up to now and notes so. One at a time; a failure leaves the old checkpoint. */
  async checkpoint(): Promise<void> {
    this.#checkpointing ??= this.#runCheckpoint(false).finally(() => {
      this.#checkpointing = undefined;
    });
    await this.#checkpointing;
  }

  /** @returns whether the checkpoint was written, and with `everything` whether no recovery is needed after it */
  async #runCheckpoint(everything: boolean): Promise<boolean> {
    if (this.#gate.fatal || this.#derivedFailed || (this.#gate.full && !everything)) return false;
    try {
      const to = this.#grantedTo;
      const timestamp = this.#lastTimestamp;
      const topicsDeleted = this.#topicsDeleted;
      if (everything) this.#index?.writeAll();
      else this.#index?.flush();
      if (this.#index?.complete === false) return false;
      const ours: DerivedState = {
        dispatchedLogOffset: to,
        firstLogOffset: this.#log.first,
        queueUnits: this.#queues.sumOfMax(),
        queueFirstUnits: this.#queues.sumOfFirst(),
        indexEntries: this.#index?.entryCount ?? 0,
        syncedLogOffset: to,
      };
      // Only the queues dirty now: under load there are always new ones.
      for (let left = this.#queues.dirtyCount; left > 0; left -= QUEUES_PER_SLICE) {
        this.#queues.persist(Math.min(left, QUEUES_PER_SLICE), (queue) => this.#unsyncedQueues.add(queue));
        if (!everything) await new Promise<void>((resolve) => this.#context.clock.endOfTurn(resolve));
      }
      if (this.#flush.synced < to) await this.#flush.syncNow();
      // A sync that was under way may have begun before the last write.
      if (this.#flush.synced < to) await this.#flush.syncNow();
      if (this.#flush.synced < to) return false;
      await this.#syncDerived();
      if (topicsDeleted !== this.#topicsDeleted) return false;
      await this.#checkpoint.write({
        logTimestamp: timestamp,
        queueTimestamp: timestamp,
        indexTimestamp: this.#index?.completeTimestamp ?? 0,
        masterFlushedOffset: 0,
        confirmOffset: to,
        ours,
      } satisfies CheckpointState);
      this.#checkpointedTo = to;
      return true;
    } catch (error) {
      this.#derivedWriteFailed(error as Error);
      return false;
    }
  }

  async #syncDerived(): Promise<void> {
    try {
      for (const queue of [...this.#unsyncedQueues]) {
        this.#unsyncedQueues.delete(queue);
        await queue.sync();
      }
      await this.#index?.sync();
      await this.#derivedNames.sync();
    } catch (error) {
      // The kernel reports a lost write once; a later sync would vouch for bytes that are not there.
      this.#derivedFailed = true;
      throw error;
    }
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

  /** Copies a selected record; false when it was pushed out of memory since. */
  copy(logOffset: number, bytes: number, to: Buffer, at: number): boolean {
    return this.#log.copy(logOffset, bytes, to, at);
  }

  messageAt(logOffset: number): Promise<StoredMessage | undefined> {
    return readMessage(this.#log, logOffset);
  }

  /** Raw bytes of the log, for verification and replication. */
  readLog(logOffset: number, bytes: number): Promise<Buffer | undefined> {
    return readLog(this.#log, logOffset, bytes);
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
    return queue ? searchByTime(this.#log, queue, timestampMs, boundary) : 0;
  }

  async storeTimeAt(topic: string, queueId: number, queueOffset: number): Promise<number> {
    const queue = this.#queues.get(topic, queueId);
    if (!queue || queueOffset < queue.min || queueOffset >= queue.max) return -1;
    const [unit] = await readUnits(queue, queueOffset, 1);
    return unit ? unitStoreTime(this.#log, unit) : -1;
  }

  async query(query: KeyQuery): Promise<KeyQueryResult> {
    const index = this.#index;
    const result: KeyQueryResult = {
      messages: [],
      indexLastUpdateTimestamp: index?.endTimestamp ?? 0,
      indexLastUpdateLogOffset: Math.max(0, index?.endLogOffset ?? 0),
    };
    if (!index) return result;
    const offsets = index.select(query.topic, query.key, query.begin, query.end, query.maxNum);
    for (const offset of [...new Set(offsets)].sort((a, b) => a - b)) {
      const message = await this.messageAt(offset);
      if (message?.topic === query.topic) result.messages.push(message);
    }
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

  deleteTopic(topic: string): void {
    for (const queue of [...this.#unsyncedQueues]) if (queue.topic === topic) this.#unsyncedQueues.delete(queue);
    this.#queues.deleteTopic(topic);
    this.#topicsDeleted++;
    // The last checkpoint counts the topic's units: until the next one, they look lost.
    void (this.#checkpointing ?? Promise.resolve()).then(() => this.checkpoint());
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
    await this.#flush.syncNow();
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

function resultOf(pending: PendingAppend): AppendResult {
  return {
    status: pending.status,
    reason: pending.reason,
    logOffset: pending.logOffset,
    queueOffset: pending.queueOffset,
    bytes: pending.bytes,
    storeTimestamp: pending.storeTimestamp,
  };
}
