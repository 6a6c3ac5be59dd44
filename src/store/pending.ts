/**
 * Appends that wait for their acknowledgement, in log order: a ring of objects that are made once and used again, so
 * that a message costs no allocation between its arrival and its reply.
 */
import { Buffer } from "node:buffer";
import type { ConsumeQueue } from "./consumeQueue.ts";
import type { AppendStatus } from "./types.ts";

/** Who gets the outcome of an append. */
export interface AckTarget {
  /** Called exactly once per append, in log order. `pending` is reused afterwards: copy what must stay. */
  appended(pending: PendingAppend): void;
}

/** Longest unique key that is kept for a reply; a client's is 32 characters. Longer ones go without. */
const UNIQUE_KEY_BYTES = 255;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A place in a light queue. */
export interface LmqPlace {
  readonly queue: ConsumeQueue;
  readonly offset: number;
}

export class PendingAppend {
  /** Undefined when nobody waits any more (or the record is not the last of its batch). */
  target: AckTarget | undefined = undefined;
  /** What the target needs to answer; the store does not look at these. */
  opaque = 0;
  serialization = 0;
  readonly uniqueKey = Buffer.allocUnsafeSlow(UNIQUE_KEY_BYTES);
  uniqueKeyBytes = 0;
  /** The unique key can stand in JSON as it is. */
  plainKey = true;
  /** A half message's real topic, and its queue offset once it is being committed. */
  realTopic = "";
  halfOffset = 0;
  /** When a committed half message was born, ms. */
  bornTimestamp = 0;
  /** Has a sharding key. */
  ordered = false;
  /** All log offsets of a batch, on its last record. */
  batchOffsets: number[] | undefined = undefined;

  /** Undefined for messages that no queue lists (a prepared or rolled-back transaction of the old kind). */
  queue: ConsumeQueue | undefined = undefined;
  queueId = 0;
  queueOffset = 0;
  /** The light queues that list the message, too, and where; nearly always undefined. */
  lmq: readonly LmqPlace[] | undefined = undefined;
  logOffset = 0;
  bytes = 0;
  tagsCode = 0;
  storeTimestamp = 0;
  /** Does not wait for the disk under SYNC_FLUSH. */
  noWait = false;
  status: AppendStatus = "ok";
  reason = "";

  setUniqueKey(from: Buffer, start: number, end: number): void {
    const length = start < 0 || end - start > UNIQUE_KEY_BYTES ? 0 : end - start;
    let plain = true;
    for (let i = 0; i < length; i++) {
      const byte = from[start + i];
      this.uniqueKey[i] = byte;
      if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) plain = false;
    }
    this.uniqueKeyBytes = length;
    this.plainKey = plain;
  }
}

/** The ring. Positions only grow; slot = position modulo capacity. */
export class PendingRing {
  #slots: PendingAppend[] = Array.from({ length: 256 }, () => new PendingAppend());
  /** Oldest position in use. */
  head = 0;
  /** Position of the next append. */
  tail = 0;

  get length(): number {
    return this.tail - this.head;
  }

  at(position: number): PendingAppend {
    return this.#slots[position & (this.#slots.length - 1)];
  }

  /** The slot for a new append, cleared of its last use. */
  push(): PendingAppend {
    if (this.tail - this.head === this.#slots.length) this.#grow();
    const pending = this.#slots[this.tail++ & (this.#slots.length - 1)];
    pending.target = undefined;
    pending.batchOffsets = undefined;
    pending.lmq = undefined;
    pending.uniqueKeyBytes = 0;
    pending.plainKey = true;
    pending.noWait = false;
    pending.status = "ok";
    pending.reason = "";
    return pending;
  }

  #grow(): void {
    const old = this.#slots.length;
    const slots = new Array<PendingAppend>(old * 2);
    for (let i = 0; i < old; i++) slots[(this.head + i) & (old * 2 - 1)] = this.#slots[(this.head + i) & (old - 1)];
    for (let position = this.head + old; position < this.head + old * 2; position++) {
      slots[position & (old * 2 - 1)] = new PendingAppend();
    }
    this.#slots = slots;
  }
}
