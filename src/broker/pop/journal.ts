/**
 * The journal of pops: a topic of the log itself (`rmq_sys_REVIVE_LOG_<cluster>`), so that it is durable, replicated and
 * recovered with the messages it speaks of (Apache: PopBufferMergeService.putCkToStore, PopReviveService). Every record
 * is appended in the turn that it belongs to. Knows how far each queue of it has been settled: that offset is committed for
 * the group CID_RMQ_SYS_REVIVE_GROUP as in Apache (the last one that is done), and the next start reads from behind it.
 *
 * What lives long is written again at the end, so that neither the next start nor retention ever meets a long tail.
 * Records of others (an Apache broker that had this directory, whose timer brings them) are found by their places.
 */
import { Buffer } from "node:buffer";
import { javaHashCode } from "../../base/javaHash.ts";
import { ALL_UNITS } from "../../filter/tags.ts";
import { MessageDraft } from "../../message/draft.ts";
import { PropertyScan } from "../../message/propertyScan.ts";
import { RecordView } from "../../message/record.ts";
import type { MessageStore } from "../../store/messageStore.ts";
import type { AckTarget, PendingAppend } from "../../store/pending.ts";
import { Selection } from "../../store/selection.ts";
import { RecordWriter } from "./records.ts";

export const REVIVE_GROUP = "CID_RMQ_SYS_REVIVE_GROUP";

/** Someone who waits for a record to be in the log. */
export interface JournalEntry {
  /** Called once; `refusal` is the exact reason when the record was not taken. */
  journaled(refusal: string | undefined): void;
}

/** What keeps its record needed. */
export interface Live {
  /** Place of its newest record. */
  reviveOffset: number;
  readonly reviveQid: number;
  done: boolean;
}

/** A queue is cleaned when this many records lie between its oldest live one and its end, beside four per live one. */
const TAIL_RECORDS_MAX = 8_192;
/** A live record is written again after this long, well before retention could come for it. */
const REWRITE_AGE_MS = 3_600_000;
/** Records written again per round and queue. */
const REWRITES_PER_ROUND = 256;
/** Records read at a time when starting. */
const READ_RECORDS = 512;
const READ_BYTES = 1 << 20;

/** One queue of the journal. */
class Tail {
  readonly queueId: number;
  /** Queue offset behind the last record that is ours or was read. */
  cursor = 0;
  /** Live records in the order of their places; a slot whose owner has moved on or is done is passed over. */
  live: Live[] = [];
  offsets: number[] = [];
  writtenAt: number[] = [];
  head = 0;
  /** Owners that are not done. */
  liveCount = 0;
  /** Places that others wrote and that are not visible yet, as [from, to) pairs. */
  foreign: number[] = [];
  /** First places of the ranges that are being read; nothing behind them is settled. */
  readonly reading = new Set<number>();

  constructor(queueId: number) {
    this.queueId = queueId;
  }

  /** Drops settled slots at the head; afterwards the head is live, or there is none. */
  settle(): void {
    while (this.head < this.live.length && !this.#isLive(this.head)) this.head++;
    if (this.head > 1024 && this.head * 2 > this.live.length) {
      this.live = this.live.slice(this.head);
      this.offsets = this.offsets.slice(this.head);
      this.writtenAt = this.writtenAt.slice(this.head);
      this.head = 0;
    }
  }

  #isLive(slot: number): boolean {
    const owner = this.live[slot];
    return !owner.done && owner.reviveOffset === this.offsets[slot];
  }

  push(owner: Live, queueOffset: number, now: number): void {
    if (owner.reviveOffset < 0) this.liveCount++;
    owner.reviveOffset = queueOffset;
    let at = this.live.length;
    // Records of others are read after newer ones of ours were written.
    while (at > this.head && this.offsets[at - 1] > queueOffset) at--;
    if (at === this.live.length) {
      this.live.push(owner);
      this.offsets.push(queueOffset);
      this.writtenAt.push(now);
    } else {
      this.live.splice(at, 0, owner);
      this.offsets.splice(at, 0, queueOffset);
      this.writtenAt.splice(at, 0, now);
    }
  }

  /** Queue offset from which on something may not be settled. */
  unsettledFrom(): number {
    this.settle();
    let from = this.cursor;
    if (this.head < this.live.length) from = Math.min(from, this.offsets[this.head]);
    for (let i = 0; i < this.foreign.length; i += 2) from = Math.min(from, this.foreign[i]);
    for (const start of this.reading) from = Math.min(from, start);
    return from;
  }
}

export class Journal implements AckTarget {
  readonly topic: string;
  /** Queues that new pops go to (reviveQueueNum). */
  readonly configured: number;
  readonly writer: RecordWriter;
  readonly #store: MessageStore;
  readonly #now: () => number;
  readonly #tails: Tail[] = [];
  readonly #draft = new MessageDraft();
  readonly #scan = new PropertyScan();
  /** Who waits for a record, by the number that travels with its append. */
  readonly #entries: (JournalEntry | undefined)[] = [];
  readonly #places: number[] = [];
  readonly #queues: number[] = [];
  readonly #free: number[] = [];
  /** An append is being tried: its refusal is seen by its caller, not by its entry. */
  #trying = false;
  /** Records appended since the start. */
  written = 0;

  constructor(store: MessageStore, topic: string, queues: number, brokerName: string, now: () => number) {
    this.#store = store;
    this.topic = topic;
    this.configured = queues;
    this.#now = now;
    this.writer = new RecordWriter(brokerName);
    for (let queueId = 0; queueId < queues; queueId++) this.#tails.push(new Tail(queueId));
  }

  /** Number of queues, as configured or as the disk has them. */
  get queues(): number {
    return this.#tails.length;
  }

  /** Live records of all queues. */
  get liveCount(): number {
    return this.#tails.reduce((sum, tail) => sum + tail.liveCount, 0);
  }

  // ---- writing ----

  /**
   * Appends what the writer holds. `entry` hears when it is in the log, never within this call.
   * @param wait under SYNC_FLUSH, wait for the disk
   * @returns undefined when it was taken, else why not (then `entry` hears nothing)
   */
  append(
    queueId: number,
    tagsCode: number,
    entry: JournalEntry | undefined,
    wait: boolean,
    owner?: Live,
  ): string | undefined {
    const { writer } = this;
    const draft = this.#draft;
    const store = this.#store;
    const tail = this.#tails[queueId];
    draft.queueId = queueId;
    draft.flag = 0;
    draft.sysFlag = 0;
    draft.bornTimestamp = this.#now();
    draft.setHosts(store.storeHost, store.storeHost);
    draft.body = writer.body;
    draft.bodyStart = 0;
    draft.bodyEnd = writer.bodyEnd;
    draft.properties = writer.properties;
    draft.propertiesStart = 0;
    draft.propertiesEnd = writer.propertiesEnd;
    draft.tagsCode = tagsCode;
    // Nobody looks for these records by key.
    this.#scan.noWait = !wait;
    const slot = this.#free.pop() ?? this.#entries.length;
    this.#entries[slot] = entry;
    this.#trying = true;
    const pending = store.append(draft, this.#scan, store.queue(this.topic, queueId), this, slot, 0);
    this.#trying = false;
    if (pending.status !== "ok") {
      this.#entries[slot] = undefined;
      this.#free.push(slot);
      return pending.reason;
    }
    this.#places[slot] = pending.queueOffset;
    this.#queues[slot] = queueId;
    if (pending.queueOffset > tail.cursor) tail.foreign.push(tail.cursor, pending.queueOffset);
    tail.cursor = pending.queueOffset + 1;
    if (owner !== undefined) tail.push(owner, pending.queueOffset, this.#now());
    this.written++;
    return undefined;
  }

  /** A record's outcome, from the store. */
  appended(pending: PendingAppend): void {
    if (this.#trying) return;
    const slot = pending.opaque;
    const entry = this.#entries[slot];
    this.#entries[slot] = undefined;
    this.#free.push(slot);
    const refused = pending.status === "notAvailable" || pending.status === "busy";
    if (refused) {
      // The place is free again.
      const tail = this.#tails[this.#queues[slot]];
      tail.cursor = Math.min(tail.cursor, this.#places[slot]);
    }
    entry?.journaled(refused ? pending.reason : undefined);
  }

  /** Its owner is done: its record is not needed any more. */
  settled(owner: Live): void {
    if (owner.done) return;
    owner.done = true;
    if (owner.reviveOffset < 0) return;
    const tail = this.#tails[owner.reviveQid];
    tail.liveCount--;
    // Usually the oldest is settled first, and nothing is kept.
    if (tail.live[tail.head] === owner) tail.settle();
  }

  // ---- what is done ----

  /** Offset of the last settled record of a queue, as Apache commits it for the revive group; -1 when there is none. */
  settledTo(queueId: number): number {
    return Math.min(this.#tails[queueId].unsettledFrom(), this.#store.maxOffset(this.topic, queueId)) - 1;
  }

  /**
   * Writes again what lies too far back. Call once per second.
   * @param rewrite appends an owner's record again; false when that is not possible now
   */
  maintain(rewrite: (owner: Live) => boolean): void {
    const now = this.#now();
    for (const tail of this.#tails) {
      tail.settle();
      for (let i = 0; i < REWRITES_PER_ROUND && tail.head < tail.live.length; i++) {
        const far = tail.cursor - tail.offsets[tail.head] > TAIL_RECORDS_MAX + 4 * tail.liveCount;
        const old = now - tail.writtenAt[tail.head] > REWRITE_AGE_MS;
        if (!far && !old) break;
        if (!rewrite(tail.live[tail.head])) break;
        tail.settle();
      }
    }
  }

  // ---- reading ----

  /**
   * Reads what the journal holds behind the settled offsets, in the order of each queue.
   * @param settledTo the revive group's committed offset of a queue; -1: none
   */
  async replay(settledTo: (queueId: number) => number, read: RecordReader): Promise<number> {
    for (const queueId of this.#store.queuesOf(this.topic)) {
      while (this.#tails.length <= queueId) this.#tails.push(new Tail(this.#tails.length));
    }
    let count = 0;
    for (const tail of this.#tails) {
      const max = this.#store.maxOffset(this.topic, tail.queueId);
      const from = Math.min(max, settledTo(tail.queueId) + 1);
      tail.cursor = max;
      count += await this.#read(
        tail.queueId,
        Math.max(from, this.#store.minOffset(this.topic, tail.queueId)),
        max,
        read,
      );
    }
    return count;
  }

  /** Takes note of a live record found by reading. */
  found(owner: Live, queueOffset: number): void {
    this.#tails[owner.reviveQid].push(owner, queueOffset, this.#now());
  }

  /** The journal grew to `max`: reads what is not ours. */
  async arrived(queueId: number, max: number, read: RecordReader): Promise<void> {
    const tail = this.#tails[queueId];
    if (tail === undefined) return;
    if (max > tail.cursor) {
      tail.foreign.push(tail.cursor, max);
      tail.cursor = max;
    }
    if (tail.foreign.length === 0) return;
    const ranges = tail.foreign;
    tail.foreign = [];
    for (let i = 0; i < ranges.length; i += 2) {
      if (ranges[i + 1] > max) tail.foreign.push(ranges[i], ranges[i + 1]);
      else await this.#read(queueId, ranges[i], ranges[i + 1], read);
    }
  }

  /** Whether arrivals of this queue have something for {@link arrived}. */
  hasForeign(queueId: number, max: number): boolean {
    const tail = this.#tails[queueId];
    return tail !== undefined && (max > tail.cursor || tail.foreign.length > 0);
  }

  async #read(queueId: number, from: number, to: number, read: RecordReader): Promise<number> {
    const store = this.#store;
    const selection = new Selection();
    const view = new RecordView();
    let at = from;
    let count = 0;
    const tail = this.#tails[queueId];
    tail.reading.add(from);
    while (at < to) {
      store.select(selection, this.topic, queueId, at, Math.min(READ_RECORDS, to - at), READ_BYTES, ALL_UNITS);
      if (selection.status === "missing") {
        await store.load(selection, this.topic, queueId);
        continue;
      }
      if (selection.status !== "found") {
        if (selection.nextOffset <= at) break;
        at = selection.nextOffset;
        continue;
      }
      const bytes = Buffer.allocUnsafe(selection.bytes);
      let end = 0;
      for (let i = 0; i < selection.count; i++) {
        const size = selection.sizes[i];
        if (!store.copy(selection.logOffsets[i], size, bytes, end)) break;
        if (view.read(bytes, end, end + size, true) === "record") {
          count++;
          read(view, queueId);
        }
        end += size;
      }
      at = selection.nextOffset;
    }
    tail.reading.delete(from);
    return count;
  }
}

/** Gets each record; the view is valid within the call only. */
export type RecordReader = (view: RecordView, queueId: number) => void;

/** ConsumeQueue tag codes of the record kinds. */
export const CK_CODE = javaHashCode("ck");
export const ACK_CODE = javaHashCode("ack");
export const BATCH_ACK_CODE = javaHashCode("bAck");
export const ORDER_CODE = javaHashCode("order");
