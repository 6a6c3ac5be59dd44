/**
 * A slave as its elected master sees it (Apache: AutoSwitchHAConnection): answers its handshake with the epochs of this log,
 * then pushes what follows the slave's first report, one epoch per frame. As with plain replication (haConnection.ts), a slave
 * that does not read is not written to, and a report that cannot be true ends the connection.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../../base/clock.ts";
import { readInt64OrMinus1 } from "../../base/int64.ts";
import type { Logger } from "../../base/log.ts";
import type { LogFeed } from "../../store/logFeed.ts";
import type { HaMasterOptions } from "../haConnection.ts";
import type { Link, LinkEvents } from "../link.ts";
import { Meter } from "../meter.ts";
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

export class AutoSwitchConnection implements LinkEvents {
  readonly peer: string;
  readonly meter: Meter;
  /** The Controller's id of the slave; -1 before its handshake. */
  slaveId = -1;
  /** The slave never counts as one that holds everything. */
  learner = false;
  /** The slave has everything below; -1 before its first report. */
  ackOffset = -1;
  /** Offset of the next piece; -1 before the slave's first report. */
  from = -1;
  /** When the slave was last known to have all there was, monotonic ms; -1: never. */
  caughtUpMs = -1;
  readonly #link: Link;
  readonly #feed: LogFeed;
  readonly #epochs: EpochFile;
  readonly #options: HaMasterOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #hooks: ConnectionHooks;
  #fromLastFile = false;
  /** The frame that is coming. */
  readonly #frame = Buffer.alloc(SLAVE_HANDSHAKE_BYTES);
  #frameBytes = 0;
  #blocked = false;
  #reading = false;
  #closed = false;
  #readMs: number;
  #wroteMs: number;
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
    this.#link = link;
    this.peer = link.peer;
    this.#feed = feed;
    this.#epochs = epochs;
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#hooks = hooks;
    this.meter = new Meter(options);
    this.#readMs = clock.monotonicMs();
    this.#wroteMs = this.#readMs;
    this.#lastPieceMs = this.#readMs;
  }

  // ---- what the slave says ----

  received(bytes: Buffer): void {
    this.#readMs = this.#clock.monotonicMs();
    let at = 0;
    while (at < bytes.length && !this.#closed) {
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
    if (state !== STATE_TRANSFER) this.#refuse(`sent a frame of state ${state}, which no slave sends`);
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
    this.#log.info({ slave: this.peer, brokerId, learner, epochs: entries.length }, "slave greets");
    this.#wroteMs = this.#clock.monotonicMs();
    this.#link.send(encodeEpochsFrame(entries, this.#feed.end));
  }

  #report(offset: number): void {
    if (this.slaveId < 0) {
      this.#refuse("reported an offset without a handshake");
      return;
    }
    const first = this.from < 0;
    const limit = first ? this.#feed.end : this.from;
    if (offset < 0 || offset > limit || offset < this.ackOffset) {
      const why = first ? `this log ends at ${limit}` : `it had reported ${this.ackOffset} and was sent up to ${limit}`;
      this.#refuse(`reported offset ${offset}, but ${why}`);
      return;
    }
    if (first) {
      // A slave without messages begins where a file does.
      this.from = offset > 0 ? offset : this.#fromLastFile ? this.#feed.lastFile : this.#feed.first;
      this.#log.info({ slave: this.peer, brokerId: this.slaveId, from: this.from }, "slave follows");
    }
    this.ackOffset = offset;
    if (offset >= this.#lastEnd) {
      const all = offset === this.#feed.end;
      this.caughtUpMs = Math.max(this.caughtUpMs, all ? this.#clock.monotonicMs() : this.#lastPieceMs);
    }
    this.#hooks.acked(this);
    if (first) this.push();
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
      const span = this.#epochs.spanAt(this.from);
      if (span === undefined) return;
      const max = Math.min(this.#options.haTransferBatchSize, this.meter.allowance(), span.endOffset - this.from);
      if (max <= 0) return;
      const piece = this.#feed.take(this.from, max, TRANSFER_HEADER_BYTES);
      if (piece === undefined) {
        this.#readPiece(max);
        return;
      }
      this.#send(piece);
    }
  }

  #readPiece(max: number): void {
    this.#reading = true;
    this.#feed.read(this.from, max, TRANSFER_HEADER_BYTES).then(
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
    const bodyBytes = piece.length - TRANSFER_HEADER_BYTES;
    // A heartbeat at the end of the log speaks of the newest epoch.
    const span = this.#epochs.spanAt(this.from);
    if (span === undefined) return;
    writeTransferHeader(piece, {
      bodyBytes,
      logOffset: this.from,
      epoch: span.epoch,
      epochStart: span.startOffset,
      confirmOffset: this.#hooks.confirmOffset(),
    });
    this.from += bodyBytes;
    this.meter.add(piece.length);
    this.#wroteMs = this.#clock.monotonicMs();
    if (bodyBytes > 0) {
      this.#lastEnd = this.#feed.end;
      this.#lastPieceMs = this.#wroteMs;
    }
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
    if (this.from === this.#feed.end) this.caughtUpMs = now;
    if (now - this.#wroteMs > this.#options.haSendHeartbeatInterval) this.#send(Buffer.alloc(TRANSFER_HEADER_BYTES));
  }

  #refuse(reason: string): void {
    if (this.#closed) return;
    this.#log.warn({ slave: this.peer, brokerId: this.slaveId }, `connection of a slave closed: it ${reason}`);
    this.close();
  }

  close(): void {
    this.#closed = true;
    this.#link.close();
  }

  closed(reason: string): void {
    if (!this.#closed) this.#log.info({ slave: this.peer, brokerId: this.slaveId, reason }, "slave gone");
    this.#closed = true;
    this.#hooks.gone(this);
  }
}
