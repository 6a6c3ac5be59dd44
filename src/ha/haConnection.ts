/**
 * A slave as its master sees it in plain replication (Apache: DefaultHAConnection). The slave reports offsets, the master
 * pushes what follows:
 *
 *   slave  -> master   [offset 8]                     the slave has everything below; the first one says where to begin
 *   master -> slave    [log offset 8][size 4][bytes]  a piece of the log; size 0 is a heartbeat
 *
 * A report that cannot be true ends the connection (apache/rocketmq#3015): Apache would believe it and acknowledge messages
 * by it.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { readInt64OrMinus1, writeInt32, writeInt64 } from "../base/int64.ts";
import type { Logger } from "../base/log.ts";
import type { LogFeed } from "../store/logFeed.ts";
import type { Link } from "./link.ts";
import { type HaMasterOptions, SlaveLink } from "./slaveLink.ts";

export const REPORT_BYTES = 8;
export const PUSH_HEADER_BYTES = 12;

export interface HaHooks {
  /** Where the log of a slave at this address begins, who came empty now (`begin`) or before. */
  begins(peer: string, begin: number | undefined): number;
  /** A slave has more than before. */
  acked(): void;
  gone(connection: HaConnection): void;
}

export class HaConnection extends SlaveLink {
  protected readonly headerBytes = PUSH_HEADER_BYTES;
  /** The slave was given nothing before this offset; 0 for one that came with a log of its own. */
  begin = 0;
  readonly #hooks: HaHooks;
  /** Part of a report. */
  readonly #partial = Buffer.alloc(REPORT_BYTES);
  #partialBytes = 0;

  constructor(link: Link, feed: LogFeed, options: HaMasterOptions, clock: Clock, log: Logger, hooks: HaHooks) {
    super(link, feed, options, clock, log);
    this.#hooks = hooks;
  }

  protected take(bytes: Buffer): void {
    let at = 0;
    let news = false;
    while (at < bytes.length && !this.over) {
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
    if (news && !this.over) this.#hooks.acked();
  }

  /** @returns whether the slave has more than before */
  #report(offset: number): boolean {
    const first = this.from < 0;
    // What was never sent, nobody can have.
    const limit = first ? this.feed.end : this.from;
    if (offset < 0 || offset > limit || offset < this.ackOffset) {
      const why =
        offset < 0
          ? "that is no offset"
          : offset < this.ackOffset
            ? `it had reported ${this.ackOffset}`
            : first
              ? `this log ends at ${limit}: its log is not a copy of this one`
              : `only bytes below ${limit} were sent to it`;
      this.refuse(`reported offset ${offset}, but ${why}`);
      return false;
    }
    if (first) {
      // A slave without messages gets the newest file only, as in Apache.
      this.from = offset === 0 ? this.feed.lastFile : offset;
      this.begin = this.#hooks.begins(this.peer, offset === 0 ? this.from : undefined);
      this.log.info({ slave: this.peer, reported: offset, from: this.from }, "slave connected");
    }
    const news = offset > this.ackOffset;
    this.ackOffset = offset;
    if (first) this.push();
    return news;
  }

  protected writeHead(piece: Buffer, bodyBytes: number): boolean {
    writeInt64(piece, this.from, 0);
    writeInt32(piece, bodyBytes, 8);
    return true;
  }

  protected gone(): void {
    this.#hooks.gone(this);
  }
}
