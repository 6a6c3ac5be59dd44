/**
 * A master's connection to one of its slaves, whatever is spoken on it: pushes pieces of the log from where the slave is,
 * greets it when there is nothing, and judges its silence. Those who extend it know the bytes (haConnection.ts those of plain
 * replication, autoSwitch/autoSwitchConnection.ts those under a Controller).
 *
 * A slave that does not read is not written to: one piece and a socket's buffer are all that it can hold here.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { LogFeed } from "../store/logFeed.ts";
import type { Link, LinkEvents } from "./link.ts";
import { Meter, type MeterOptions } from "./meter.ts";

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

export abstract class SlaveLink implements LinkEvents {
  readonly peer: string;
  readonly meter: Meter;
  /** The slave has everything below; -1 before its first report. */
  ackOffset = -1;
  /** Offset of the next piece; -1 before the slave's first report. */
  from = -1;
  protected readonly feed: LogFeed;
  protected readonly clock: Clock;
  protected readonly log: Logger;
  readonly #link: Link;
  readonly #options: HaMasterOptions;
  #blocked = false;
  #reading = false;
  #closed = false;
  #readMs: number;
  #wroteMs: number;

  constructor(link: Link, feed: LogFeed, options: HaMasterOptions, clock: Clock, log: Logger) {
    this.#link = link;
    this.peer = link.peer;
    this.feed = feed;
    this.#options = options;
    this.clock = clock;
    this.log = log;
    this.meter = new Meter(options);
    this.#readMs = clock.monotonicMs();
    this.#wroteMs = this.#readMs;
  }

  // ---- what those who extend this say ----

  /** Room that a piece has for its head, bytes. */
  protected abstract readonly headerBytes: number;
  /** Bytes have come from the slave, however cut; they are the receiver's only during the call. */
  protected abstract take(bytes: Buffer): void;
  /** Writes the head of a piece with `bodyBytes` of the log from {@link from} on; false: it cannot be sent now. */
  protected abstract writeHead(piece: Buffer, bodyBytes: number): boolean;
  /** The connection has ended. */
  protected abstract gone(): void;

  /** Most bytes of the log that a piece from {@link from} on may have. */
  protected room(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** Bytes of the log were sent. */
  protected sent(_nowMs: number): void {}

  /** The slave was sent all there is. */
  protected allSent(_nowMs: number): void {}

  /** How log lines name the slave. */
  protected who(): { slave: string; brokerId?: number } {
    return { slave: this.peer };
  }

  // ---- pieces ----

  /** Sends what there is, as much as the slave takes. */
  push(): void {
    const { feed } = this;
    while (!this.#closed && !this.#blocked && !this.#reading && this.from >= 0 && this.from < feed.end) {
      if (this.from < feed.first) {
        this.refuse(
          `asks for offset ${this.from}, but this log begins at ${feed.first}: empty its store to start it anew`,
        );
        return;
      }
      const max = Math.min(this.#options.haTransferBatchSize, this.meter.allowance(), this.room());
      if (max <= 0) return;
      const piece = feed.take(this.from, max, this.headerBytes);
      if (piece === undefined) {
        this.#readPiece(max);
        return;
      }
      this.#send(piece);
    }
  }

  #readPiece(max: number): void {
    this.#reading = true;
    this.feed.read(this.from, max, this.headerBytes).then(
      (piece) => {
        this.#reading = false;
        if (this.#closed) return;
        this.#send(piece);
        this.push();
      },
      (error: Error) => {
        this.#reading = false;
        this.refuse(`cannot be sent the log from ${this.from}: ${error.message}`);
      },
    );
  }

  /** `piece` has room for its head. */
  #send(piece: Buffer): void {
    const bodyBytes = piece.length - this.headerBytes;
    if (!this.writeHead(piece, bodyBytes)) return;
    this.from += bodyBytes;
    this.meter.add(piece.length);
    if (!this.say(piece)) this.#blocked = true;
    if (bodyBytes > 0) this.sent(this.#wroteMs);
  }

  /** Sends a frame; false: the slave takes no more for now. */
  protected say(frame: Buffer): boolean {
    this.#wroteMs = this.clock.monotonicMs();
    return this.#link.send(frame);
  }

  drained(): void {
    this.#blocked = false;
    this.push();
  }

  received(bytes: Buffer): void {
    this.#readMs = this.clock.monotonicMs();
    this.take(bytes);
  }

  // ---- life ----

  /** Called every second. */
  tick(): void {
    this.meter.tick();
    const now = this.clock.monotonicMs();
    const silentMs = Math.round(now - this.#readMs);
    if (silentMs > this.#options.haHousekeepingInterval) {
      this.refuse(`was silent for ${silentMs} ms, haHousekeepingInterval is ${this.#options.haHousekeepingInterval}`);
      return;
    }
    this.push();
    if (this.from < 0 || this.#blocked || this.#reading) return;
    if (this.from === this.feed.end) this.allSent(now);
    if (now - this.#wroteMs > this.#options.haSendHeartbeatInterval) this.#send(Buffer.alloc(this.headerBytes));
  }

  /** Ends the connection with a warning: `reason` goes on after "it". */
  protected refuse(reason: string): void {
    if (this.#closed) return;
    this.log.warn(this.who(), `connection of a slave closed: it ${reason}`);
    this.close();
  }

  /** Closed by either side, or about to be. */
  protected get over(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    this.#link.close();
  }

  closed(reason: string): void {
    if (!this.#closed) this.log.info({ ...this.who(), reason }, "slave gone");
    this.#closed = true;
    this.gone();
  }
}
