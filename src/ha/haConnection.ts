/**
 * A slave as its master sees it (Apache: DefaultHAConnection). The slave reports offsets, the master pushes what follows:
 *
 *   slave  -> master   [offset 8]                     the slave has everything below; the first one says where to begin
 *   master -> slave    [log offset 8][size 4][bytes]  a piece of the log; size 0 is a heartbeat
 *
 * A slave that does not read is not written to: one piece and a socket's buffer are all that it can hold here. A report that
 * cannot be true ends the connection (apache/rocketmq#3015): Apache would believe it and acknowledge messages by it.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { readInt64OrMinus1, writeInt32, writeInt64 } from "../base/int64.ts";
import type { Logger } from "../base/log.ts";
import type { LogFeed } from "../store/logFeed.ts";
import type { Link, LinkEvents } from "./link.ts";
import { Meter, type MeterOptions } from "./meter.ts";

export const REPORT_BYTES = 8;
export const PUSH_HEADER_BYTES = 12;

export interface HaMasterOptions extends MeterOptions {
  /** Silence after which a slave gets a heartbeat, ms. */
  readonly haSendHeartbeatInterval: number;
  /** Silence after which a slave counts as gone, ms. */
  readonly haHousekeepingInterval: number;
  /** Most bytes of a piece. */
  readonly haTransferBatchSize: number;
  /** A slave further behind is not in sync, bytes. */
  readonly haMaxGapNotInSync: number;
}

export interface HaHooks {
  /** Where the log of a slave at this address begins, who came empty now (`begin`) or before. */
  begins(peer: string, begin: number | undefined): number;
  /** A slave has more than before. */
  acked(): void;
  gone(connection: HaConnection): void;
}

export class HaConnection implements LinkEvents {
  readonly peer: string;
  readonly meter: Meter;
  /** The slave has everything below; -1 before its first report. */
  ackOffset = -1;
  /** The slave was given nothing before this offset; 0 for one that came with a log of its own. */
  begin = 0;
  /** Offset of the next piece; -1 before the slave's first report. */
  from = -1;
  readonly #link: Link;
  readonly #feed: LogFeed;
  readonly #options: HaMasterOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #begins: HaHooks["begins"];
  readonly #acked: () => void;
  readonly #gone: (connection: HaConnection) => void;
  /** Part of a report. */
  readonly #partial = Buffer.alloc(REPORT_BYTES);
  #partialBytes = 0;
  #blocked = false;
  #reading = false;
  #closed = false;
  #readMs: number;
  #wroteMs: number;

  constructor(link: Link, feed: LogFeed, options: HaMasterOptions, clock: Clock, log: Logger, hooks: HaHooks) {
    this.#link = link;
    this.peer = link.peer;
    this.#feed = feed;
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#begins = hooks.begins;
    this.#acked = hooks.acked;
    this.#gone = hooks.gone;
    this.meter = new Meter(options);
    this.#readMs = clock.monotonicMs();
    this.#wroteMs = this.#readMs;
  }

  // ---- reports ----

  received(bytes: Buffer): void {
    this.#readMs = this.#clock.monotonicMs();
    let at = 0;
    let news = false;
    while (at < bytes.length && !this.#closed) {
      if (this.#partialBytes === 0 && bytes.length - at >= REPORT_BYTES) {
        news = this.#report(readInt64OrMinus1(bytes, at)) || news;
        at += REPORT_BYTES;
        continue;
      }
      const n = Math.min(REPORT_BYTES - this.#partialBytes, bytes.length - at);
      bytes.copy(this.#partial, this.#partialBytes, at, at + n);
      this.#partialBytes += n;
      at += n;
      if (this.#partialBytes < REPORT_BYTES) break;
      this.#partialBytes = 0;
      news = this.#report(readInt64OrMinus1(this.#partial, 0)) || news;
    }
    if (news && !this.#closed) this.#acked();
  }

  /** @returns whether the slave has more than before */
  #report(offset: number): boolean {
    const first = this.from < 0;
    // What was never sent, nobody can have.
    const limit = first ? this.#feed.end : this.from;
    if (offset < 0 || offset > limit || offset < this.ackOffset) {
      const why =
        offset < 0
          ? "that is no offset"
          : offset < this.ackOffset
            ? `it had reported ${this.ackOffset}`
            : first
              ? `this log ends at ${limit}: its log is not a copy of this one`
              : `only bytes below ${limit} were sent to it`;
      this.#refuse(`reported offset ${offset}, but ${why}`);
      return false;
    }
    if (first) {
      // A slave without messages gets the newest file only, as in Apache.
      this.from = offset === 0 ? this.#feed.lastFile : offset;
      this.begin = this.#begins(this.peer, offset === 0 ? this.from : undefined);
      this.#log.info({ slave: this.peer, reported: offset, from: this.from }, "slave connected");
    }
    const news = offset > this.ackOffset;
    this.ackOffset = offset;
    if (first) this.push();
    return news;
  }

  // ---- pieces ----

  /** Sends what there is, as much as the slave takes. */
  push(): void {
    while (!this.#closed && !this.#blocked && !this.#reading && this.from >= 0 && this.from < this.#feed.end) {
      if (this.from < this.#feed.first) {
        this.#refuse(
          `asks for offset ${this.from}, but this log begins at ${this.#feed.first}: empty its store to start it anew`,
        );
        return;
      }
      const max = Math.min(this.#options.haTransferBatchSize, this.meter.allowance());
      if (max <= 0) return;
      const piece = this.#feed.take(this.from, max, PUSH_HEADER_BYTES);
      if (piece === undefined) {
        this.#readPiece(max);
        return;
      }
      this.#send(piece);
    }
  }

  #readPiece(max: number): void {
    this.#reading = true;
    this.#feed.read(this.from, max, PUSH_HEADER_BYTES).then(
      (piece) => {
        this.#reading = false;
        if (this.#closed) return;
        this.#send(piece);
        this.push();
      },
      (error: Error) => {
        this.#reading = false;
        this.#refuse(`cannot be sent the log from ${this.from}: ${error.message}`);
      },
    );
  }

  /** `piece` has room for its head. */
  #send(piece: Buffer): void {
    const bytes = piece.length - PUSH_HEADER_BYTES;
    writeInt64(piece, this.from, 0);
    writeInt32(piece, bytes, 8);
    this.from += bytes;
    this.meter.add(piece.length);
    this.#wroteMs = this.#clock.monotonicMs();
    if (!this.#link.send(piece)) this.#blocked = true;
  }

  drained(): void {
    this.#blocked = false;
    this.push();
  }

  // ---- life ----

  /** Called every second. */
  tick(): void {
    this.meter.tick();
    const now = this.#clock.monotonicMs();
    const silentMs = Math.round(now - this.#readMs);
    if (silentMs > this.#options.haHousekeepingInterval) {
      this.#refuse(`was silent for ${silentMs} ms, haHousekeepingInterval is ${this.#options.haHousekeepingInterval}`);
      return;
    }
    this.push();
    if (this.from < 0 || this.#blocked || this.#reading) return;
    if (now - this.#wroteMs > this.#options.haSendHeartbeatInterval) this.#send(Buffer.alloc(PUSH_HEADER_BYTES));
  }

  #refuse(reason: string): void {
    if (this.#closed) return;
    this.#log.warn({ slave: this.peer }, `connection of a slave closed: it ${reason}`);
    this.close();
  }

  close(): void {
    this.#closed = true;
    this.#link.close();
  }

  closed(reason: string): void {
    if (!this.#closed) this.#log.info({ slave: this.peer, reason }, "slave gone");
    this.#closed = true;
    this.#gone(this);
  }
}
