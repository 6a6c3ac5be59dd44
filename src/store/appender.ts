/**
 * The way into the log: sizes and refusals, log order, queue offsets, staged index keys (Apache: CommitLog.putMessage and
 * asyncPutMessages). What was appended waits in the flush's ring until it may be acknowledged; a refusal is answered at once.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { javaHashUtf8 } from "../base/javaHash.ts";
import * as limits from "../base/limits.ts";
import type { Turn } from "../base/turn.ts";
import { MessageDraft } from "../message/draft.ts";
import { formatLmqOffsets, LMQ_QUEUE_ID, lmqNames, topicAllowsLmq } from "../message/lmq.ts";
import { formatProperties, Property } from "../message/properties.ts";
import { PropertyScan } from "../message/propertyScan.ts";
import { PROPERTIES_BYTES_MAX } from "../message/record.ts";
import { TRANSACTION_MASK, TRANSACTION_PREPARED, TRANSACTION_ROLLBACK } from "../message/sysFlag.ts";
import type { CommitLog } from "./commitLog.ts";
import type { ConsumeQueue } from "./consumeQueue.ts";
import type { DerivedFiles } from "./derivedFiles.ts";
import type { Flush } from "./flush.ts";
import type { StoreOptions } from "./options.ts";
import { type AckTarget, type LmqPlace, PendingAppend } from "./pending.ts";
import type { AppendResult, AppendStatus, NewMessage } from "./types.ts";
import type { WriteGate } from "./writeGate.ts";

/** What Apache allows a record beyond its body: properties, topic and fields. */
const RECORD_OVERHEAD_BYTES = 64 * 1024;

export interface AppendCounters {
  /** Messages appended. */
  puts: number;
  /** Bytes of their records. */
  putBytes: number;
  /** Appends refused. */
  putFailures: number;
}

export interface AppenderContext {
  clock: Clock;
  turn: Turn;
  options: StoreOptions;
  log: CommitLog;
  flush: Flush;
  gate: WriteGate;
  derived: DerivedFiles;
  counters: AppendCounters;
}

export class Appender {
  /** Host bytes for records from now on. */
  storeHost: Buffer;
  readonly #context: AppenderContext;
  readonly #options: StoreOptions;
  readonly #log: CommitLog;
  readonly #flush: Flush;
  readonly #gate: WriteGate;
  readonly #derived: DerivedFiles;
  readonly #counters: AppendCounters;
  readonly #draft = new MessageDraft();
  readonly #scan = new PropertyScan();
  /** What a refused append is answered with. */
  readonly #refused = new PendingAppend();

  constructor(context: AppenderContext, storeHost: Buffer) {
    this.#context = context;
    this.#options = context.options;
    this.#log = context.log;
    this.#flush = context.flush;
    this.#gate = context.gate;
    this.#derived = context.derived;
    this.#counters = context.counters;
    this.storeHost = storeHost;
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
    draft.taken = false;
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
    const { index } = this.#derived;
    if (index !== undefined && transaction !== TRANSACTION_ROLLBACK) {
      index.stage(draft, scan, queue.keyHashPrefix, pending.logOffset);
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
    const bodyBytesMax = draft.taken ? Number.POSITIVE_INFINITY : this.#options.maxMessageSize;
    if (draft.bodyEnd - draft.bodyStart > bodyBytesMax) return "messageIllegal";
    if (draft.propertiesBytes() > PROPERTIES_BYTES_MAX) return "propertiesTooLong";
    if (bytes > bodyBytesMax + RECORD_OVERHEAD_BYTES || bytes > this.#log.recordBytesMax) return "messageIllegal";
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

  /** Appends one message given as an object; for everything that is not hot. */
  put(message: NewMessage): Promise<AppendResult> {
    const exceeded = this.#lmqQuota(message);
    if (exceeded !== undefined) return Promise.resolve(exceeded);
    const lmq = this.#lmqPlaces(message);
    const draft = new MessageDraft();
    const properties = Buffer.from(formatProperties(message.properties));
    draft.queueId = message.queueId;
    draft.flag = message.flag ?? 0;
    draft.sysFlag = message.sysFlag ?? 0;
    draft.bornTimestamp = message.bornTimestamp ?? this.#context.clock.now();
    draft.setHosts(message.bornHost ?? this.storeHost, this.storeHost);
    draft.reconsumeTimes = message.reconsumeTimes ?? 0;
    draft.preparedTransactionOffset = message.preparedTransactionOffset ?? 0;
    draft.taken = message.taken === true;
    draft.body = message.body;
    draft.bodyEnd = message.body.length;
    draft.properties = properties;
    draft.propertiesEnd = properties.length;
    const scan = new PropertyScan();
    scan.scan(properties, 0, properties.length);
    const queue = this.#derived.queues.getOrCreate(message.topic, message.queueId);
    const tags = message.properties.get(Property.TAGS);
    draft.tagsCode = message.tagsCode ?? (tags ? javaHashUtf8(0, properties, scan.tagsStart, scan.tagsEnd) : 0);
    return new Promise((resolve) => {
      const pending = this.append(draft, scan, queue, { appended: (done) => resolve(resultOf(done)) }, 0, 0);
      if (pending.status !== "ok") return;
      if (message.tagsCode === undefined) {
        // A due time counts from the time the record got: whoever builds the queue again has no other.
        const due = () => formatProperties(message.properties);
        pending.tagsCode = this.#derived.dueTime(message.topic, due, pending.storeTimestamp) ?? pending.tagsCode;
      }
      if (lmq === undefined) return;
      pending.lmq = lmq;
      for (const place of lmq) place.queue.next = place.offset + 1;
    });
  }

  /** The light queues that a message names, when they are obeyed. */
  #lmqNames(message: NewMessage): (string | undefined)[] | undefined {
    const { enableLmq, enableMultiDispatch } = this.#options;
    if (!enableLmq || !enableMultiDispatch) return undefined;
    const value = message.properties.get(Property.INNER_MULTI_DISPATCH);
    return value === undefined || value.trim() === "" || !topicAllowsLmq(message.topic) ? undefined : lmqNames(value);
  }

  /** Refuses a message for a light queue that would be one too many (HookUtils.handleLmqQuota). */
  #lmqQuota(message: NewMessage): AppendResult | undefined {
    const { enableLmqQuota, maxLmqConsumeQueueNum } = this.#options;
    const { queues } = this.#derived;
    if (!enableLmqQuota || queues.lmqCount < maxLmqConsumeQueueNum) return undefined;
    const added = this.#lmqNames(message)?.find((name) => name && queues.get(name, LMQ_QUEUE_ID) === undefined);
    if (added === undefined) return undefined;
    this.#counters.putFailures++;
    const reason = `there are ${queues.lmqCount} already, maxLmqConsumeQueueNum is ${maxLmqConsumeQueueNum}: ${added} is not made`;
    return { status: "lmqQuotaExceeded", reason, logOffset: -1, queueOffset: -1, bytes: 0, storeTimestamp: 0 };
  }

  /** Where the light queues will list a message; notes it in the message's properties. */
  #lmqPlaces(message: NewMessage): LmqPlace[] | undefined {
    const names = this.#lmqNames(message);
    if (names === undefined) return undefined;
    const places = new Map<string, LmqPlace>();
    const offsets = names.map((name) => {
      if (name === undefined) return undefined;
      const queue = this.#derived.queues.getOrCreate(name, LMQ_QUEUE_ID);
      places.set(name, { queue, offset: queue.next });
      return queue.next;
    });
    message.properties.set(Property.INNER_MULTI_QUEUE_OFFSET, formatLmqOffsets(offsets));
    return places.size === 0 ? undefined : [...places.values()];
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
