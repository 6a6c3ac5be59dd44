/**
 * A slave as its elected master sees it (Apache: AutoSwitchHAConnection): answers its handshake with the epochs of this log,
 * then pushes what follows the slave's first report, one epoch per frame. As in plain replication (haConnection.ts) a report
 * that cannot be true ends the connection.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../../base/clock.ts";
import { readInt64OrMinus1 } from "../../base/int64.ts";
import type { Logger } from "../../base/log.ts";
import type { LogFeed } from "../../store/logFeed.ts";
import type { Link } from "../link.ts";
import { type HaMasterOptions, SlaveLink } from "../slaveLink.ts";
import type { EpochFile } from "./epochFile.ts";
import {
  encodeEpochsFrame,
  REPORT_BYTES,
  readSlaveHandshake,
  SLAVE_HANDSHAKE_BYTES,
  STATE_BYTES,
  STATE_HANDSHAKE,
  STATE_TRANSFER,
  TRANSFER_HEADER_BYTES,
  writeTransferHeader,
} from "./frames.ts";

export interface ConnectionHooks {
  /** Everything below is on all brokers that must have it. */
  confirmOffset(): number;
  /** A slave has told how far it is. */
  acked(connection: AutoSwitchConnection): void;
  gone(connection: AutoSwitchConnection): void;
}

export class AutoSwitchConnection extends SlaveLink {
  protected readonly headerBytes = TRANSFER_HEADER_BYTES;
  /** The Controller's id of the slave; -1 before its handshake. */
  slaveId = -1;
  /** The slave never counts as one that holds everything. */
  learner = false;
  /** When the slave was last known to have all there was, monotonic ms; -1: never. */
  caughtUpMs = -1;
  readonly #epochs: EpochFile;
  readonly #hooks: ConnectionHooks;
  #fromLastFile = false;
  /** The frame that is coming. */
  readonly #frame = Buffer.alloc(SLAVE_HANDSHAKE_BYTES);
  #frameBytes = 0;
  /** End of the log when the last piece went, and when that was. */
  #lastEnd = -1;
  #lastPieceMs: number;

  constructor(
    link: Link,
    feed: LogFeed,
    epochs: EpochFile,
    options: HaMasterOptions,
    clock: Clock,
    log: Logger,
    hooks: ConnectionHooks,
  ) {
    super(link, feed, options, clock, log);
    this.#epochs = epochs;
    this.#hooks = hooks;
    this.#lastPieceMs = clock.monotonicMs();
  }

  // ---- what the slave says ----

  protected take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.over) {
      const n = Math.min(this.#frameLength() - this.#frameBytes, bytes.length - at);
      bytes.copy(this.#frame, this.#frameBytes, at, at + n);
      this.#frameBytes += n;
      at += n;
      if (this.#frameBytes < STATE_BYTES || this.#frameBytes < this.#frameLength()) continue;
      this.#frameBytes = 0;
      if (this.#frame.readInt32BE(0) === STATE_HANDSHAKE) this.#handshake();
      else this.#report(readInt64OrMinus1(this.#frame, 4));
    }
  }

  /** Bytes of the frame that is coming, as far as is known yet. */
  #frameLength(): number {
    if (this.#frameBytes < STATE_BYTES) return STATE_BYTES;
    const state = this.#frame.readInt32BE(0);
    if (state === STATE_HANDSHAKE) return SLAVE_HANDSHAKE_BYTES;
    if (state !== STATE_TRANSFER) this.refuse(`sent a frame of state ${state}, which no slave sends`);
    return REPORT_BYTES;
  }

  #handshake(): void {
    const { brokerId, fromLastFile, learner } = readSlaveHandshake(this.#frame);
    this.slaveId = brokerId;
    this.#fromLastFile = fromLastFile;
    this.learner = learner;
    this.from = -1;
    this.ackOffset = -1;
    const { entries } = this.#epochs;
    this.log.info({ slave: this.peer, brokerId, learner, epochs: entries.length }, "slave greets");
    this.say(encodeEpochsFrame(entries, this.feed.end));
  }

  #report(offset: number): void {
    if (this.slaveId < 0) {
      this.refuse("reported an offset without a handshake");
      return;
    }
    const first = this.from < 0;
    const limit = first ? this.feed.end : this.from;
    if (offset < 0 || offset > limit || offset < this.ackOffset) {
      const why = first ? `this log ends at ${limit}` : `it had reported ${this.ackOffset} and was sent up to ${limit}`;
      this.refuse(`reported offset ${offset}, but ${why}`);
      return;
    }
    if (first) {
      // A slave without messages begins where a file does.
      this.from = offset > 0 ? offset : this.#fromLastFile ? this.feed.lastFile : this.feed.first;
      this.log.info({ slave: this.peer, brokerId: this.slaveId, from: this.from }, "slave follows");
    }
    this.ackOffset = offset;
    if (offset >= this.#lastEnd) {
      const all = offset === this.feed.end;
      this.caughtUpMs = Math.max(this.caughtUpMs, all ? this.clock.monotonicMs() : this.#lastPieceMs);
    }
    this.#hooks.acked(this);
    if (first) this.push();
  }

  // ---- pieces ----

  /** The bytes of one piece belong to one epoch. */
  protected override room(): number {
    const span = this.#epochs.spanAt(this.from);
    return span === undefined ? 0 : span.endOffset - this.from;
  }

  protected writeHead(piece: Buffer, bodyBytes: number): boolean {
    // A heartbeat at the end of the log speaks of the newest epoch.
    const span = this.#epochs.spanAt(this.from);
    if (span === undefined) return false;
    writeTransferHeader(piece, {
      bodyBytes,
      logOffset: this.from,
      epoch: span.epoch,
      epochStart: span.startOffset,
      confirmOffset: this.#hooks.confirmOffset(),
    });
    return true;
  }

  protected override sent(nowMs: number): void {
    this.#lastEnd = this.feed.end;
    this.#lastPieceMs = nowMs;
  }

  protected override allSent(nowMs: number): void {
    this.caughtUpMs = nowMs;
  }

  // ---- life ----

  protected override who(): { slave: string; brokerId: number } {
    return { slave: this.peer, brokerId: this.slaveId };
  }

  protected gone(): void {
    this.#hooks.gone(this);
  }
}
