/**
 * Checkpoints from their pop to their end: opened, acknowledged, exchanged for a later deadline, due (Apache:
 * PopBufferMergeService, the journal's half of AckMessageProcessor and ChangeInvisibleTimeProcessor). Keeps memory and
 * journal in step: nothing is answered that the journal does not say, and a start from the journal finds the same state.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { Deadlines, type Due } from "../../base/deadlines.ts";
import { POP_CHECKPOINTS_MAX, POP_QUEUE_ID_MAX, POP_UNMATCHED_ACKS_MAX } from "../../base/limits.ts";
import type { Logger } from "../../base/log.ts";
import type { Turn } from "../../base/turn.ts";
import type { RecordView } from "../../message/record.ts";
import type { BrokerMetrics } from "../../metrics/brokerMetrics.ts";
import type { Offsets } from "../offsets.ts";
import { AckBatch, AckEntry, type AckListener, type AckSink, OrderEntry, settle } from "./acks.ts";
import {
  ACK_CODE,
  BATCH_ACK_CODE,
  CK_CODE,
  type Journal,
  type JournalEntry,
  type Live,
  ORDER_CODE,
  REVIVE_GROUP,
} from "./journal.ts";
import { OrderInfo } from "./orderInfo.ts";
import { type AckRecord, type CheckpointRecord, type OrderRecord, readRecord } from "./records.ts";
import { Checkpoint, type PopGroups, type PopQueue } from "./state.ts";

/** The wall clock may jump and timers may not count sleep. */
const LOOK_AGAIN_MS = 1_000;
/** How long behind the deadline Apache's acknowledgements may come out of its timer. */
const FOREIGN_GRACE_MS = 3_000;
/** An acknowledgement without its checkpoint is kept this long behind the deadline. */
const UNMATCHED_KEPT_MS = 15_000;

/** An acknowledgement whose checkpoint an Apache broker's timer still holds. */
class Unmatched implements Live, Due {
  readonly queue: PopQueue;
  readonly key: string;
  readonly startOffset: number;
  readonly popTime: number;
  readonly offset: number;
  readonly reviveQid: number;
  reviveOffset = -1;
  done = false;
  dueAt: number;
  heapIndex = -1;

  constructor(queue: PopQueue, startOffset: number, popTime: number, offset: number, reviveQid: number, dueAt: number) {
    this.queue = queue;
    this.key = keyOf(queue, startOffset, popTime);
    this.startOffset = startOffset;
    this.popTime = popTime;
    this.offset = offset;
    this.reviveQid = reviveQid;
    this.dueAt = dueAt;
  }
}

/** Which messages of a queue a pop took. */
export interface Taken {
  startOffset: number;
  popTime: number;
  invisibleTime: number;
  reviveQid: number;
  /** Queue offsets `[from, to)` of `offsets`. */
  offsets: Float64Array;
  from: number;
  to: number;
  /** Where the queue's next pop begins. */
  nextOffset: number;
}

/** One message of a checkpoint, as its handle names it. */
export interface Handle {
  startOffset: number;
  popTime: number;
  invisibleTime: number;
  reviveQid: number;
  /** Queue offset of the message. */
  offset: number;
}

/** `done`: answer success at once; `waiting`: the sink will be told; otherwise the reason of a refusal. */
export type AckOutcome = "done" | "waiting" | { refusal: string };

export class InFlight implements AckListener {
  /** Records what is journaled, for whoever exports metrics. */
  metrics: BrokerMetrics | undefined = undefined;
  readonly groups: PopGroups;
  readonly journal: Journal;
  readonly #offsets: Offsets;
  readonly #clock: Clock;
  readonly #turn: Turn;
  readonly #log: Logger;
  readonly #due: (checkpoint: Checkpoint) => void;
  readonly #deadlines = new Deadlines<Checkpoint>();
  readonly #unmatched = new Map<string, Unmatched[]>();
  readonly #unmatchedDue = new Deadlines<Unmatched>();
  /** Checkpoints with acknowledgements of this turn. */
  #dirty: Checkpoint[] = [];
  #dirtyOrders: PopQueue[] = [];
  #batch = new AckBatch();
  readonly #batches: AckBatch[] = [];
  readonly #entries: AckEntry[] = [];
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #running = false;
  #startedAt = 0;
  /** Another kind of broker wrote the offsets last: its timer may hold checkpoints that are still to come. */
  #takenOver = false;

  /** @param due gets checkpoints whose deadline has come with messages open */
  constructor(
    groups: PopGroups,
    journal: Journal,
    offsets: Offsets,
    clock: Clock,
    turn: Turn,
    log: Logger,
    due: (checkpoint: Checkpoint) => void,
  ) {
    this.groups = groups;
    this.journal = journal;
    this.#offsets = offsets;
    this.#clock = clock;
    this.#turn = turn;
    this.#log = log;
    this.#due = due;
    // Before the store's own commit, so that a turn's acknowledgements are part of its write.
    turn.onCommit(() => this.#flush());
  }

  /** Checkpoints in memory. */
  get count(): number {
    return this.#deadlines.size;
  }

  /** Order states wait for the next commit. */
  get orderPending(): boolean {
    return this.#dirtyOrders.length > 0;
  }

  // ---- pop ----

  /** Notes a pop. Returns the reason when it cannot be noted: then the messages must not be given. */
  open(queue: PopQueue, taken: Taken): string | undefined {
    if (this.#deadlines.size >= POP_CHECKPOINTS_MAX) {
      return `${POP_CHECKPOINTS_MAX} pops wait for their acknowledgement already; acknowledge or wait for their invisible time`;
    }
    // One handle must never mean two pops: after a reset of the offset within the same millisecond it would.
    if (queue.find(taken.startOffset, taken.popTime) !== undefined)
      return "the same messages were popped in this millisecond";
    const count = taken.to - taken.from;
    let diffs: number[] | undefined;
    for (let i = 0; i < count; i++) {
      if (taken.offsets[taken.from + i] === taken.startOffset + i) continue;
      diffs = Array.from({ length: count }, (_, j) => taken.offsets[taken.from + j] - taken.startOffset);
      break;
    }
    const { startOffset, popTime, invisibleTime, reviveQid, nextOffset } = taken;
    const checkpoint = new Checkpoint(queue, startOffset, popTime, invisibleTime, count, diffs, reviveQid);
    checkpoint.nextOffset = nextOffset;
    checkpoint.generation = queue.generation;
    this.journal.writer.checkpoint(checkpoint, 0, nextOffset, -1, -1, this.#clock.now());
    const refusal = this.journal.append(reviveQid, CK_CODE, new Opened(this, checkpoint), false, checkpoint);
    if (refusal !== undefined) return refusal;
    this.metrics?.popJournaled(queue.group.group, queue.group.topic, "CK");
    queue.writing++;
    queue.writingNext = nextOffset;
    this.#add(checkpoint);
    return undefined;
  }

  /** A pop's checkpoint is in the journal, or is not. */
  opened(checkpoint: Checkpoint, refusal: string | undefined): void {
    const { queue } = checkpoint;
    queue.writing--;
    if (refusal !== undefined) {
      this.#log.warn({ refusal }, "a pop was not noted: its messages are given again");
      this.#drop(checkpoint);
    } else if (checkpoint.generation === queue.generation) {
      const { topic, group } = queue.group;
      this.#offsets.commit(group, topic, queue.queueId, checkpoint.nextOffset, "pop");
    }
  }

  #add(checkpoint: Checkpoint): void {
    checkpoint.queue.add(checkpoint);
    this.#deadlines.add(checkpoint);
    this.#arm();
  }

  /** Forgets a checkpoint. */
  #drop(checkpoint: Checkpoint): void {
    this.#deadlines.remove(checkpoint);
    if (checkpoint.done) return;
    checkpoint.queue.remove(checkpoint);
    this.journal.settled(checkpoint);
    checkpoint.done = true;
  }

  // ---- acknowledgements ----

  /** Acknowledges one message; see {@link AckOutcome}. Hot. */
  ack(
    topic: string,
    group: string,
    queueId: number,
    handle: Handle,
    sink: AckSink,
    opaque: number,
    serialization: number,
  ): AckOutcome {
    const queue = this.groups.find(topic, group)?.queues[queueId];
    const checkpoint = queue?.find(handle.startOffset, handle.popTime);
    if (checkpoint === undefined) {
      // Not made for whoever names a group that never popped.
      if (!this.#maybeForeign(handle)) return "done";
      return this.#ackUnknown(this.groups.make(topic, group).queue(queueId), handle, sink, opaque, serialization);
    }
    const index = checkpoint.indexOf(handle.offset);
    // Apache logs a wrong offset and says success, too.
    if (index < 0) return "done";
    const bit = 1 << index;
    if ((checkpoint.acked & bit) !== 0) return "done";
    this.#ask(checkpoint, bit);
    this.#batch.add(sink, opaque, serialization);
    return "waiting";
  }

  /** Puts an acknowledgement into this turn's record of its checkpoint, unless it is on its way already. */
  #ask(checkpoint: Checkpoint, bit: number): void {
    this.#turn.request();
    if ((checkpoint.asked & bit) !== 0) return;
    checkpoint.asked |= bit;
    if (checkpoint.turn === 0) this.#dirty.push(checkpoint);
    checkpoint.turn |= bit;
  }

  #ackUnknown(queue: PopQueue, handle: Handle, sink: AckSink, opaque: number, serialization: number): AckOutcome {
    const { startOffset, popTime, offset } = handle;
    const refusal = this.#keepUnmatched(queue, handle, this.#batch);
    if (refusal !== undefined) return { refusal };
    this.#log.debug({ startOffset, popTime, offset }, "acknowledgement kept for a checkpoint that is still to come");
    this.#batch.add(sink, opaque, serialization);
    this.#turn.request();
    return "waiting";
  }

  /** Whether a handle that is not known may be of a pop of the Apache broker that had this directory before. */
  #maybeForeign(handle: Handle): boolean {
    return (
      this.#takenOver &&
      handle.popTime < this.#startedAt &&
      handle.popTime + handle.invisibleTime + FOREIGN_GRACE_MS > this.#clock.now()
    );
  }

  #keepUnmatched(queue: PopQueue, handle: Handle, batch: AckBatch | undefined): string | undefined {
    if (this.#unmatchedDue.size >= POP_UNMATCHED_ACKS_MAX)
      return "too many acknowledgements wait for their checkpoints";
    const { startOffset, popTime, offset } = handle;
    const reviveQid = handle.reviveQid >= 0 ? handle.reviveQid % this.journal.queues : 0;
    const dueAt = popTime + handle.invisibleTime + UNMATCHED_KEPT_MS;
    const unmatched = new Unmatched(queue, startOffset, popTime, offset, reviveQid, dueAt);
    this.journal.writer.ackOf(queue, startOffset, popTime, offset, this.#clock.now());
    const entry = batch === undefined ? undefined : this.#entry(undefined, 0, batch);
    const refusal = this.journal.append(reviveQid, ACK_CODE, entry, true, unmatched);
    if (refusal !== undefined) return refusal;
    if (batch !== undefined) batch.outstanding++;
    this.#addUnmatched(unmatched);
    return undefined;
  }

  #addUnmatched(unmatched: Unmatched): void {
    const list = this.#unmatched.get(unmatched.key);
    if (list === undefined) this.#unmatched.set(unmatched.key, [unmatched]);
    else list.push(unmatched);
    this.#unmatchedDue.add(unmatched);
    this.#arm();
  }

  /**
   * Gives one message a new deadline: a checkpoint of its own, which takes the place of its part in the old one.
   * "done": there is nothing to change any more. The pop time is the new handle's.
   */
  renew(
    topic: string,
    group: string,
    queueId: number,
    handle: Handle,
    invisibleTime: number,
    suspend: boolean,
    sink: AckSink,
    opaque: number,
    serialization: number,
  ): { outcome: AckOutcome; popTime: number } {
    const now = this.#clock.now();
    const known = this.groups.find(topic, group)?.queues[queueId];
    const origin = known?.find(handle.startOffset, handle.popTime);
    const index = origin?.indexOf(handle.offset) ?? -1;
    const bit = index < 0 ? 0 : 1 << index;
    const gone =
      origin === undefined ? !this.#maybeForeign(handle) : index < 0 || ((origin.acked | origin.asked) & bit) !== 0;
    // Acknowledged, or in the retry topic by now: a new checkpoint would bring it back.
    if (gone) return { outcome: "done", popTime: now };
    const queue = known ?? this.groups.make(topic, group).queue(queueId);
    let popTime = now;
    while (queue.find(handle.offset, popTime) !== undefined) popTime++;
    const reviveQid = origin?.reviveQid ?? Math.max(0, handle.reviveQid) % this.journal.queues;
    const checkpoint = new Checkpoint(queue, handle.offset, popTime, invisibleTime, 1, undefined, reviveQid);
    checkpoint.suspend = suspend;
    this.journal.writer.checkpoint(checkpoint, 0, -1, handle.startOffset, handle.popTime, now);
    const entry = new Renewed(this, checkpoint, origin, bit, this.#batch);
    const refusal = this.journal.append(reviveQid, CK_CODE, entry, true, checkpoint);
    if (refusal !== undefined) return { outcome: { refusal }, popTime };
    this.#batch.outstanding++;
    this.#add(checkpoint);
    // For an Apache broker that reads the journal; ours takes it from the new checkpoint's own record.
    if (origin !== undefined) this.#ask(origin, bit);
    else this.#keepUnmatched(queue, handle, this.#batch);
    this.#batch.add(sink, opaque, serialization);
    this.#turn.request();
    return { outcome: "waiting", popTime };
  }

  /** A renewed message's checkpoint is in the journal, or is not. */
  renewed(
    checkpoint: Checkpoint,
    origin: Checkpoint | undefined,
    bit: number,
    batch: AckBatch,
    refusal: string | undefined,
  ): void {
    if (refusal !== undefined) {
      batch.failed = refusal;
      this.#drop(checkpoint);
    } else if (origin !== undefined) {
      settle(origin, bit);
      this.settled(origin);
    }
    if (--batch.outstanding === 0) this.finished(batch);
  }

  /** The order state of a queue changed: it goes into the journal, and the sink hears when it is there. */
  orderChanged(queue: PopQueue, sink?: AckSink, opaque = 0, serialization = 0): void {
    if (!queue.orderDirty) {
      queue.orderDirty = true;
      this.#dirtyOrders.push(queue);
    }
    if (sink !== undefined) this.#batch.add(sink, opaque, serialization);
    this.#turn.request();
  }

  /** Before the store's commit: writes the records of this turn's acknowledgements. */
  #flush(): void {
    const batch = this.#batch;
    if (this.#dirty.length === 0 && this.#dirtyOrders.length === 0 && batch.count === 0 && batch.outstanding === 0)
      return;
    this.#batch = this.#batches.pop() ?? new AckBatch();
    const now = this.#clock.now();
    const dirty = this.#dirty;
    for (let i = 0; i < dirty.length; i++) {
      const checkpoint = dirty[i];
      const mask = checkpoint.turn;
      checkpoint.turn = 0;
      const refusal = this.#appendAcks(checkpoint, mask, batch, now);
      if (refusal !== undefined) {
        checkpoint.asked &= ~mask;
        batch.failed = refusal;
      }
    }
    dirty.length = 0;
    for (const queue of this.#dirtyOrders) {
      queue.orderDirty = false;
      const { topic, group } = queue.group;
      const committed = this.#offsets.query(group, topic, queue.queueId);
      this.journal.writer.order(queue, committed, queue.order?.data(), now);
      const entry = new OrderEntry(queue, batch, this);
      const refusal = this.journal.append(queue.queueId % this.journal.queues, ORDER_CODE, entry, true);
      if (refusal === undefined) batch.outstanding++;
      else batch.failed = refusal;
    }
    this.#dirtyOrders.length = 0;
    if (batch.outstanding === 0) this.finished(batch);
  }

  #appendAcks(checkpoint: Checkpoint, mask: number, batch: AckBatch | undefined, now: number): string | undefined {
    this.journal.writer.acks(checkpoint, mask, now);
    const entry = this.#entry(checkpoint, mask, batch);
    const code = (mask & (mask - 1)) === 0 ? ACK_CODE : BATCH_ACK_CODE;
    const refusal = this.journal.append(checkpoint.reviveQid, code, entry, true);
    if (refusal === undefined && batch !== undefined) batch.outstanding++;
    if (refusal !== undefined) this.reuse(entry);
    else {
      const { group, topic } = checkpoint.queue.group;
      this.metrics?.popJournaled(group, topic, "ACK");
    }
    return refusal;
  }

  #entry(checkpoint: Checkpoint | undefined, mask: number, batch: AckBatch | undefined): AckEntry {
    const entry = this.#entries.pop() ?? new AckEntry(this);
    entry.checkpoint = checkpoint;
    entry.mask = mask;
    entry.batch = batch;
    return entry;
  }

  reuse(entry: AckEntry): void {
    if (this.#entries.length < 1024) this.#entries.push(entry);
  }

  settled(checkpoint: Checkpoint): void {
    if (checkpoint.complete && !checkpoint.done) this.#drop(checkpoint);
  }

  finished(batch: AckBatch): void {
    batch.finish();
    if (this.#batches.length < 64) this.#batches.push(batch);
  }

  // ---- deadlines ----

  /**
   * Notes that messages of a due checkpoint were revived (or are gone): their record goes into this turn's write.
   * @returns the reason when it could not be appended
   */
  revived(checkpoint: Checkpoint, mask: number): string | undefined {
    checkpoint.asked |= mask;
    const refusal = this.#appendAcks(checkpoint, mask, undefined, this.#clock.now());
    if (refusal !== undefined) checkpoint.asked &= ~mask;
    return refusal;
  }

  /** Looks at a checkpoint again later: its revival failed, or waits for acknowledgements under way. */
  postpone(checkpoint: Checkpoint, delayMs: number): void {
    if (checkpoint.done) return;
    if (checkpoint.complete) {
      this.#drop(checkpoint);
      return;
    }
    this.#deadlines.remove(checkpoint);
    checkpoint.dueAt = this.#clock.now() + delayMs;
    this.#deadlines.add(checkpoint);
    this.#arm();
  }

  /** Forgets a checkpoint whose messages nobody can want any more, with a record that says so. */
  abandon(checkpoint: Checkpoint): void {
    const mask = checkpoint.all & ~checkpoint.acked & ~checkpoint.asked;
    if (mask !== 0) this.revived(checkpoint, mask);
  }

  #arm(): void {
    if (!this.#running) return;
    const first = Math.min(
      this.#deadlines.first?.dueAt ?? Number.POSITIVE_INFINITY,
      this.#unmatchedDue.first?.dueAt ?? Number.POSITIVE_INFINITY,
    );
    if (first >= this.#timerAt || first === Number.POSITIVE_INFINITY) return;
    const now = this.#clock.now();
    const at = Math.max(now, Math.min(first, now + LOOK_AGAIN_MS));
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    this.#clock.clear(this.#timer);
    this.#timerAt = at;
    this.#timer = this.#clock.after(at - now, this.#fire);
  }

  readonly #fire = (): void => {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    for (let due = this.#deadlines.take(now); due !== undefined; due = this.#deadlines.take(now)) this.#due(due);
    for (let due = this.#unmatchedDue.take(now); due !== undefined; due = this.#unmatchedDue.take(now)) {
      const list = this.#unmatched.get(due.key);
      if (list !== undefined && list.length > 1) list.splice(list.indexOf(due), 1);
      else this.#unmatched.delete(due.key);
      this.journal.settled(due);
    }
    this.#arm();
  };

  // ---- life ----

  /**
   * Rebuilds the state from the journal.
   * @param offsetsFrom log offset from which on records moved offsets that the offset table does not know; undefined when
   *   another kind of broker wrote the table
   * @param ordersFrom log offset from which on records tell order states that their file does not know
   */
  async start(offsetsFrom: number | undefined, ordersFrom: number): Promise<void> {
    const began = this.#clock.monotonicMs();
    this.#startedAt = this.#clock.now();
    this.#takenOver = offsetsFrom === undefined;
    const { topic } = this.journal;
    const records = await this.journal.replay(
      (queueId) => this.#offsets.query(REVIVE_GROUP, topic, queueId),
      (view, queueId) => this.#replay(view, queueId, offsetsFrom, ordersFrom),
    );
    this.#running = true;
    this.#arm();
    const ms = Math.round(this.#clock.monotonicMs() - began);
    this.#log.info({ records, checkpoints: this.#deadlines.size, ms }, "pops in flight read from the journal");
  }

  stop(): void {
    this.#running = false;
    this.#clock.clear(this.#timer);
    this.#timer = undefined;
  }

  /** The journal has records that are not ours; see {@link Journal.arrived}. */
  async arrived(queueId: number, max: number): Promise<void> {
    await this.journal.arrived(queueId, max, (view, qid) =>
      this.#replay(view, qid, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY),
    );
    this.#arm();
  }

  /** Keeps the journal short; call once per second. */
  maintain(): void {
    this.journal.maintain((owner) => this.#rewrite(owner));
  }

  /** How far each queue of the journal is settled. */
  settledTo(): number[] {
    return Array.from({ length: this.journal.queues }, (_, queueId) => this.journal.settledTo(queueId));
  }

  /** Commits that for the next start. */
  commitSettled(settledTo: readonly number[]): void {
    const { topic } = this.journal;
    for (let queueId = 0; queueId < settledTo.length; queueId++) {
      if (settledTo[queueId] <= this.#offsets.query(REVIVE_GROUP, topic, queueId)) continue;
      this.#offsets.commit(REVIVE_GROUP, topic, queueId, settledTo[queueId], "revive");
    }
  }

  /** Checkpoints in memory, for tests and audits. */
  *all(): IterableIterator<Checkpoint> {
    for (const group of this.groups.all()) for (const queue of group.queues) yield* queue.all();
  }

  #rewrite(owner: Live): boolean {
    const now = this.#clock.now();
    if (owner instanceof Unmatched) {
      this.journal.writer.ackOf(owner.queue, owner.startOffset, owner.popTime, owner.offset, now);
      return this.journal.append(owner.reviveQid, ACK_CODE, undefined, false, owner) === undefined;
    }
    const checkpoint = owner as Checkpoint;
    // A record that says "acknowledged" must not be written before its acknowledgement was taken.
    if (checkpoint.asked !== 0 || checkpoint.queue.writing > 0) return false;
    this.journal.writer.checkpoint(checkpoint, checkpoint.acked, -1, -1, -1, now);
    return this.journal.append(checkpoint.reviveQid, CK_CODE, undefined, false, checkpoint) === undefined;
  }

  #replay(view: RecordView, queueId: number, offsetsFrom: number | undefined, ordersFrom: number): void {
    let record: ReturnType<typeof readRecord>;
    try {
      record = readRecord(view);
    } catch (error) {
      this.#log.error(
        { err: error, queueId, queueOffset: view.queueOffset },
        "a record of the pop journal cannot be read",
      );
      return;
    }
    if (record === undefined || record.queueId < 0 || record.queueId > POP_QUEUE_ID_MAX) return;
    const queue = this.groups.make(record.topic, record.group).queue(record.queueId);
    if (record.kind === "ck") this.#replayCheckpoint(record, queue, view, queueId, offsetsFrom);
    else if (record.kind === "ack") this.#replayAck(record, queue, view, queueId);
    else this.#replayOrder(record, queue, view, offsetsFrom, ordersFrom);
  }

  #replayCheckpoint(
    record: CheckpointRecord,
    queue: PopQueue,
    view: RecordView,
    reviveQid: number,
    offsetsFrom: number | undefined,
  ): void {
    const known = queue.find(record.startOffset, record.popTime);
    const checkpoint =
      known ??
      new Checkpoint(
        queue,
        record.startOffset,
        record.popTime,
        record.invisibleTime,
        record.count,
        record.diffs,
        reviveQid,
      );
    checkpoint.suspend = record.suspend;
    checkpoint.rePutTimes = record.rePutTimes;
    checkpoint.foreign = !record.ours;
    const mask = record.bitMap & checkpoint.all;
    if (known === undefined) {
      checkpoint.acked = mask;
      // The acknowledgements of an Apache broker come out of its timer behind the deadline.
      if (checkpoint.foreign) checkpoint.dueAt += FOREIGN_GRACE_MS;
      queue.add(checkpoint);
      this.#deadlines.add(checkpoint);
    } else {
      settle(checkpoint, mask);
    }
    this.journal.found(checkpoint, view.queueOffset);
    if (record.replaced !== undefined) {
      const origin = queue.find(record.replaced.startOffset, record.replaced.popTime);
      const index = origin?.indexOf(record.startOffset) ?? -1;
      if (origin !== undefined && index >= 0) {
        settle(origin, 1 << index);
        this.settled(origin);
      }
    }
    for (const unmatched of this.#unmatched.get(keyOf(queue, record.startOffset, record.popTime)) ?? []) {
      const index = checkpoint.indexOf(unmatched.offset);
      if (index >= 0) settle(checkpoint, 1 << index);
    }
    if (record.next >= 0) this.#move(queue, record.next, view.logOffset, offsetsFrom);
    this.settled(checkpoint);
  }

  #replayAck(record: AckRecord, queue: PopQueue, view: RecordView, reviveQid: number): void {
    const checkpoint = queue.find(record.startOffset, record.popTime);
    if (checkpoint !== undefined) {
      for (const offset of record.offsets) {
        const index = checkpoint.indexOf(offset);
        if (index >= 0) settle(checkpoint, 1 << index);
      }
      this.settled(checkpoint);
      return;
    }
    // Ours without a checkpoint: it was done before the part that is read. Others': the checkpoint may be still to come.
    if (record.ours || this.#unmatchedDue.size >= POP_UNMATCHED_ACKS_MAX) return;
    const dueAt = this.#clock.now() + UNMATCHED_KEPT_MS;
    for (const offset of record.offsets) {
      const unmatched = new Unmatched(queue, record.startOffset, record.popTime, offset, reviveQid, dueAt);
      this.journal.found(unmatched, view.queueOffset);
      this.#addUnmatched(unmatched);
    }
  }

  #replayOrder(
    record: OrderRecord,
    queue: PopQueue,
    view: RecordView,
    offsetsFrom: number | undefined,
    ordersFrom: number,
  ): void {
    if (view.logOffset >= ordersFrom && view.logOffset > queue.orderedBy) {
      queue.orderedBy = view.logOffset;
      queue.order = record.info === undefined ? undefined : OrderInfo.from(record.info);
    }
    if (record.committed >= 0) this.#move(queue, record.committed, view.logOffset, offsetsFrom);
  }

  /** A record says how far its queue was: it holds unless the offset table is newer. */
  #move(queue: PopQueue, next: number, logOffset: number, offsetsFrom: number | undefined): void {
    if (logOffset <= queue.movedBy) return;
    const { topic, group } = queue.group;
    if (offsetsFrom !== undefined) {
      if (logOffset < offsetsFrom) return;
      queue.movedBy = logOffset;
    } else if (next <= this.#offsets.query(group, topic, queue.queueId)) {
      // Nobody says how old the table is: a pop can only have moved on.
      return;
    }
    this.#offsets.commit(group, topic, queue.queueId, next, "journal");
  }
}

/** A pop's record on its way into the journal. */
class Opened implements JournalEntry {
  readonly #home: InFlight;
  readonly #checkpoint: Checkpoint;

  constructor(home: InFlight, checkpoint: Checkpoint) {
    this.#home = home;
    this.#checkpoint = checkpoint;
  }

  journaled(refusal: string | undefined): void {
    this.#home.opened(this.#checkpoint, refusal);
  }
}

/** A renewed message's record on its way into the journal. */
class Renewed implements JournalEntry {
  readonly #home: InFlight;
  readonly #checkpoint: Checkpoint;
  readonly #origin: Checkpoint | undefined;
  readonly #bit: number;
  readonly #batch: AckBatch;

  constructor(home: InFlight, checkpoint: Checkpoint, origin: Checkpoint | undefined, bit: number, batch: AckBatch) {
    this.#home = home;
    this.#checkpoint = checkpoint;
    this.#origin = origin;
    this.#bit = bit;
    this.#batch = batch;
  }

  journaled(refusal: string | undefined): void {
    this.#home.renewed(this.#checkpoint, this.#origin, this.#bit, this.#batch, refusal);
  }
}

function keyOf(queue: PopQueue, startOffset: number, popTime: number): string {
  const { topic, group } = queue.group;
  return `${topic}\0${group}\0${queue.queueId}\0${startOffset}\0${popTime}`;
}
