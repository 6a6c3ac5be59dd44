/**
 * The slave's side of replication (Apache: DefaultHAClient): connects to the master, says how far its log reaches, appends
 * what comes exactly there, and reports progress. The bytes of a piece are appended as they arrive, without waiting for all
 * of it: whatever cuts the connection, the next one goes on where the log ends.
 *
 * Nothing is connected before the newest record here is found to be the master's, too; a log that differs is left alone.
 */
import { Buffer } from "node:buffer";
import { type Clock, repeat } from "../base/clock.ts";
import { readInt64OrMinus1, writeInt64 } from "../base/int64.ts";
import type { Logger } from "../base/log.ts";
import { DivergedError, type ReplicaLog } from "../store/replicaLog.ts";
import { PUSH_HEADER_BYTES, REPORT_BYTES } from "./haConnection.ts";
import { dial, type Link, type LinkEvents } from "./link.ts";
import { Meter } from "./meter.ts";

/** Wait before the next try (Apache: 5 s). */
const RETRY_MS = 5_000;
const TICK_MS = 1_000;
/** No master sends larger pieces; a larger number is no header. */
const PIECE_BYTES_MAX = 64 * 1024 * 1024;

export interface HaClientOptions {
  /** Silence after which the master is told the offset again, ms. */
  readonly haSendHeartbeatInterval: number;
  /** Silence after which the master counts as gone, ms. */
  readonly haHousekeepingInterval: number;
}

/** What mqadmin haStatus shows of a slave. */
export interface MasterLinkState {
  masterAddr: string | undefined;
  connected: boolean;
  lastReadTimestamp: number;
  lastWriteTimestamp: number;
  transferredByteInSecond: number;
}

/** Compares the newest record with the master's; resolves with what differs, undefined when nothing is known to. */
export type Comparison = () => Promise<string | undefined>;

export class HaClient implements LinkEvents {
  readonly #options: HaClientOptions;
  readonly #replica: ReplicaLog;
  readonly #compare: Comparison;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #dial: typeof dial;
  readonly #meter = new Meter({ haFlowControlEnable: false, maxHaTransferByteInSecond: 0 });
  #address: string | undefined;
  #link: Link | undefined;
  #connecting = false;
  #stopped = true;
  /** Why replication has ended for good; a restart begins anew. */
  #ended = false;
  #retryAtMs = 0;
  #rhythm: () => void = () => {};
  /** What the last warning said: the same every 5 s would fill the log. */
  #warned = "";
  #reported = -1;
  #readMs = 0;
  #wroteMs = 0;
  #lastRead = 0;
  #lastWrite = 0;
  // The piece that is coming.
  readonly #header = Buffer.alloc(PUSH_HEADER_BYTES);
  #headerBytes = 0;
  /** Where the piece's next byte goes, and how many are missing. */
  #at = 0;
  #left = 0;

  constructor(
    options: HaClientOptions,
    replica: ReplicaLog,
    compare: Comparison,
    clock: Clock,
    log: Logger,
    dialer: typeof dial = dial,
  ) {
    this.#options = options;
    this.#replica = replica;
    this.#compare = compare;
    this.#clock = clock;
    this.#log = log;
    this.#dial = dialer;
    this.#lastRead = clock.now();
    this.#lastWrite = this.#lastRead;
    replica.onProgress(() => this.#reportProgress());
  }

  start(): void {
    this.#stopped = false;
    this.#rhythm = repeat(
      this.#clock,
      () => TICK_MS,
      () => this.#tick(),
    );
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#rhythm();
    this.#link?.close();
  }

  /** The master listens for slaves at `host:port`, as far as is known. */
  setMaster(address: string): void {
    if (address === this.#address) return;
    this.#log.info({ before: this.#address, address }, "the master's address for slaves");
    this.#address = address;
    this.#retryAtMs = 0;
    if (this.#link !== undefined) this.#link.close();
    else this.#connect();
  }

  state(): MasterLinkState {
    return {
      masterAddr: this.#address,
      connected: this.#link !== undefined,
      lastReadTimestamp: this.#lastRead,
      lastWriteTimestamp: this.#lastWrite,
      transferredByteInSecond: this.#meter.lastSecondBytes,
    };
  }

  // ---- connection ----

  #connect(): void {
    const address = this.#address;
    if (address === undefined || this.#stopped || this.#ended || this.#connecting || this.#link !== undefined) return;
    if (this.#clock.monotonicMs() < this.#retryAtMs) return;
    this.#connecting = true;
    this.#retryAtMs = this.#clock.monotonicMs() + RETRY_MS;
    this.#open(address)
      .catch((error: Error) => this.#warn(address, error.message))
      .finally(() => {
        this.#connecting = false;
      });
  }

  async #open(address: string): Promise<void> {
    // What is not synced yet may not be reported, and the report says where the master goes on.
    if (this.#replica.acknowledged < this.#replica.end) return;
    const difference = await this.#compare();
    if (difference !== undefined) throw new Error(`nothing is replicated: ${difference}`);
    if (this.#stopped || address !== this.#address) return;
    await this.#dial(address, (link) => {
      this.#link = link;
      this.#headerBytes = 0;
      this.#left = 0;
      this.#readMs = this.#clock.monotonicMs();
      this.#lastRead = this.#clock.now();
      this.#warned = "";
      this.#log.info({ master: address, offset: this.#replica.end }, "connected to the master");
      this.#report(this.#replica.end);
      return this;
    });
    if (this.#stopped) this.#link?.close();
  }

  #warn(address: string, reason: string): void {
    if (this.#stopped || reason === this.#warned) return;
    this.#warned = reason;
    this.#log.warn({ master: address, retryInMs: RETRY_MS, reason }, "not connected to the master");
  }

  closed(reason: string): void {
    this.#link = undefined;
    this.#retryAtMs = Math.max(this.#retryAtMs, this.#clock.monotonicMs() + RETRY_MS);
    if (!this.#stopped) this.#log.warn({ master: this.#address, reason }, "connection to the master ended");
  }

  #tick(): void {
    this.#meter.tick();
    if (this.#link === undefined) {
      this.#connect();
      return;
    }
    const now = this.#clock.monotonicMs();
    const silentMs = Math.round(now - this.#readMs);
    if (silentMs > this.#options.haHousekeepingInterval) {
      this.#log.warn(
        { master: this.#address, silentMs },
        "the master is silent for longer than haHousekeepingInterval",
      );
      this.#link.close();
    } else if (now - this.#wroteMs > this.#options.haSendHeartbeatInterval) this.#report(this.#reported);
  }

  // ---- reports ----

  #reportProgress(): void {
    if (this.#link !== undefined && this.#replica.acknowledged > this.#reported)
      this.#report(this.#replica.acknowledged);
  }

  #report(offset: number): void {
    const report = Buffer.allocUnsafe(REPORT_BYTES);
    writeInt64(report, offset, 0);
    this.#reported = offset;
    this.#wroteMs = this.#clock.monotonicMs();
    this.#lastWrite = this.#clock.now();
    this.#link?.send(report);
  }

  drained(): void {}

  // ---- pieces ----

  received(bytes: Buffer): void {
    if (this.#link === undefined || this.#ended) return;
    this.#readMs = this.#clock.monotonicMs();
    this.#lastRead = this.#clock.now();
    this.#meter.add(bytes.length);
    try {
      this.#take(bytes);
    } catch (error) {
      if (error instanceof DivergedError) {
        this.#ended = true;
        this.#log.error(
          { master: this.#address },
          `replication has ended, this log is not the master's: ${error.message}`,
        );
      } else
        this.#log.error(
          { master: this.#address, reason: (error as Error).message },
          "what the master sent was not appended",
        );
      this.#link.close();
    }
  }

  #take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const n = Math.min(this.#left, bytes.length - at);
        this.#replica.append(bytes, at, at + n, this.#at);
        this.#at += n;
        this.#left -= n;
        at += n;
        continue;
      }
      const n = Math.min(PUSH_HEADER_BYTES - this.#headerBytes, bytes.length - at);
      bytes.copy(this.#header, this.#headerBytes, at, at + n);
      this.#headerBytes += n;
      at += n;
      if (this.#headerBytes < PUSH_HEADER_BYTES) return;
      this.#headerBytes = 0;
      this.#begin(readInt64OrMinus1(this.#header, 0), this.#header.readInt32BE(8));
    }
  }

  #begin(logOffset: number, pieceBytes: number): void {
    if (logOffset < 0 || pieceBytes < 0 || pieceBytes > PIECE_BYTES_MAX) {
      throw new Error(
        `the master announced ${pieceBytes} bytes at log offset ${logOffset}: that is no master for slaves`,
      );
    }
    const { end, empty } = this.#replica;
    // An empty log begins where the master says; any other must be continued.
    if (logOffset !== end && !(empty && end === 0)) {
      throw new Error(`the master pushes log offset ${logOffset}, this log ends at ${end}`);
    }
    this.#at = logOffset;
    this.#left = pieceBytes;
  }
}
