/**
 * Reads for those who want one message here and one there (queries by key, by id, by time; store times of many queues): what is
 * not in memory is read as it is, without the blocks around it, which would push others out of the cache.
 *
 * Most of it lies in the page cache, where a read takes a few microseconds; through a thread each costs two switches, on a busy
 * machine milliseconds. So they are made at once, until one was slow: the disk is asked. Then a good many go through threads,
 * and nobody else waits for the disk.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { readInt64OrMinus1 } from "../base/int64.ts";
import { RECORD_BYTES_MIN, RecordView, STORE_TIME_BYTES, storeTimeOf } from "../message/record.ts";
import type { CommitLog } from "./commitLog.ts";
import { type ConsumeQueue, foundAt, UNIT_BYTES } from "./consumeQueue.ts";
import { readLog, readMessage, toMessage } from "./lookup.ts";
import type { Segments } from "./segments.ts";
import type { StoredMessage } from "./types.ts";

/** Enough for most records whole. */
const LONE_BYTES = 4096;
/** Heads that are asked for together, and records larger than that of which the rest is. */
const HEADS = 64;
const RESTS = 8;
/** A read that takes longer came from the disk (or the machine is busy, which looks the same from here). */
const SLOW_MS = 0.5;
/** Larger ones always go through a thread: copying them takes a while, too. */
const AT_ONCE_BYTES_MAX = 65_536;
/** Reads through threads after a slow one. */
const PATIENT_READS = 256;

/** A record's first bytes; undefined where the record is in memory, or none can be. */
type Head = { buf: Buffer; got: number } | undefined;

export class LoneReads {
  readonly #log: CommitLog;
  readonly #clock: Clock;
  /** The first bytes of a record that is looked at before anything else is read. */
  readonly #start = Buffer.allocUnsafe(STORE_TIME_BYTES);
  /** Reads that are still to go through threads. */
  #patient = 0;

  constructor(log: CommitLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Like {@link readMessage}. */
  async message(offset: number): Promise<StoredMessage | undefined> {
    const head = this.#head(offset);
    return this.#complete(head instanceof Promise ? await head : head, offset);
  }

  /**
   * Many of them, the first bytes of all at once: each wait is a turn of a busy event loop.
   * @param show gets the messages in order, undefined for none; false ends it
   */
  async messages(offsets: readonly number[], show: (message: StoredMessage | undefined) => boolean): Promise<void> {
    for (let i = 0; i < offsets.length; i += HEADS) {
      const some = offsets.slice(i, i + HEADS);
      const heads = await Promise.all(some.map((offset) => this.#head(offset)));
      for (let k = 0; k < some.length; k += RESTS) {
        const rests = heads.slice(k, k + RESTS).map((head, n) => this.#complete(head, some[k + n]));
        for (const message of await Promise.all(rests)) if (!show(message)) return;
      }
    }
  }

  /** Like {@link readLog}. */
  async bytes(offset: number, bytes: number): Promise<Buffer | undefined> {
    const log = this.#log;
    if (offset < log.first || offset + bytes > log.written || log.resident(offset, bytes)) {
      return readLog(log, offset, bytes);
    }
    const buf = Buffer.allocUnsafe(bytes);
    return (await this.#read(log.segments, buf, 0, offset)) === bytes ? buf : undefined;
  }

  /**
   * Store time of the message at a place of a queue, ms, or -1 when its record is gone; at once unless the disk has to be waited for:
   * who asks about thousands of queues makes no promise for most of them.
   * @param queueOffset within `[min, max)`
   */
  storeTime(queue: ConsumeQueue, queueOffset: number): number | Promise<number> {
    const logOffset = this.#logOffsetOf(queue, queueOffset);
    if (typeof logOffset === "number") return this.#storeTimeAt(logOffset);
    return logOffset.then((offset) => this.#storeTimeAt(offset));
  }

  /** The newest place, which most consumers have reached, is known without its unit. */
  #logOffsetOf(queue: ConsumeQueue, queueOffset: number): number | Promise<number> {
    if (queueOffset === queue.max - 1) return queue.lastLogOffset;
    const held = queue.unitBuffer(queueOffset);
    if (held !== undefined) return readInt64OrMinus1(held, foundAt);
    const unit = Buffer.allocUnsafe(UNIT_BYTES);
    const got = this.#read(queue.segments, unit, 0, queueOffset * UNIT_BYTES);
    const offsetIn = (bytes: number) => (bytes === UNIT_BYTES ? readInt64OrMinus1(unit, 0) : -1);
    return typeof got === "number" ? offsetIn(got) : got.then(offsetIn);
  }

  #storeTimeAt(logOffset: number): number | Promise<number> {
    const log = this.#log;
    if (logOffset < log.first || logOffset + STORE_TIME_BYTES > log.written) return -1;
    if (log.copy(logOffset, STORE_TIME_BYTES, this.#start, 0)) return storeTimeOf(this.#start);
    const start = Buffer.allocUnsafe(STORE_TIME_BYTES);
    const got = this.#read(log.segments, start, 0, logOffset);
    const timeIn = (bytes: number) => (bytes === STORE_TIME_BYTES ? storeTimeOf(start) : -1);
    return typeof got === "number" ? timeIn(got) : got.then(timeIn);
  }

  #head(offset: number): Head | Promise<Head> {
    const log = this.#log;
    if (offset < log.first || offset + RECORD_BYTES_MIN > log.written || log.resident(offset, 4)) return undefined;
    const buf = Buffer.allocUnsafe(Math.min(LONE_BYTES, log.written - offset));
    const got = this.#read(log.segments, buf, 0, offset);
    return typeof got === "number" ? { buf, got } : got.then((bytes) => ({ buf, got: bytes }));
  }

  /** Fills `buf` from `start` with what lies at `offset` of the log or of a queue; returns the bytes read. */
  #read(segments: Segments, buf: Buffer, start: number, offset: number): number | Promise<number> {
    if (this.#patient > 0 || buf.length - start > AT_ONCE_BYTES_MAX) {
      if (this.#patient > 0) this.#patient--;
      return segments.readAsync(buf, start, buf.length, offset);
    }
    const began = this.#clock.monotonicMs();
    const got = segments.read(buf, start, buf.length, offset);
    if (this.#clock.monotonicMs() - began > SLOW_MS) this.#patient = PATIENT_READS;
    return got;
  }

  async #complete(head: Head, offset: number): Promise<StoredMessage | undefined> {
    const log = this.#log;
    if (head === undefined) return readMessage(log, offset);
    let { buf, got } = head;
    const bytes = got < 4 ? 0 : buf.readInt32BE(0);
    if (bytes < RECORD_BYTES_MIN || bytes > log.recordBytesMax || offset + bytes > log.written) return undefined;
    if (bytes > got) {
      const whole = Buffer.allocUnsafe(bytes);
      buf.copy(whole, 0, 0, got);
      got += await this.#read(log.segments, whole, got, offset + got);
      buf = whole;
    }
    const view = new RecordView();
    if (view.read(buf, 0, got, true) !== "record" || view.logOffset !== offset || !view.isPlausible()) return undefined;
    return toMessage(view);
  }
}
