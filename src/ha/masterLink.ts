/**
 * A slave's connection to its master, whatever is spoken on it: dials, tries again, reports how far this log reaches, judges
 * silence, and ends for good when what comes is no log. Those who extend it know the bytes (haClient.ts those of plain
 * replication, autoSwitch/autoSwitchClient.ts those under a Controller).
 */
import type { Buffer } from "node:buffer";
import { type Clock, repeat } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { DivergedError, type ReplicaLog } from "../store/replicaLog.ts";
import type { dial, Link, LinkEvents } from "./link.ts";
import { Meter } from "./meter.ts";

const TICK_MS = 1_000;

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

export abstract class MasterLink implements LinkEvents {
  protected readonly replica: ReplicaLog;
  protected readonly log: Logger;
  readonly #options: HaClientOptions;
  readonly #clock: Clock;
  readonly #dial: typeof dial;
  readonly #meter = new Meter({ haFlowControlEnable: false, maxHaTransferByteInSecond: 0 });
  #address: string | undefined;
  #link: Link | undefined;
  #connecting = false;
  #stopped = true;
  /** Nothing more is replicated in this life; a restart begins anew. */
  #ended = false;
  #retryAtMs = 0;
  #rhythm: () => void = () => {};
  /** What the last warning said: the same with every try would fill the log. */
  #warned = "";
  #reported = -1;
  #readMs = 0;
  #wroteMs = 0;
  #lastRead = 0;
  #lastWrite = 0;

  constructor(options: HaClientOptions, replica: ReplicaLog, clock: Clock, log: Logger, dialer: typeof dial) {
    this.#options = options;
    this.replica = replica;
    this.#clock = clock;
    this.log = log;
    this.#dial = dialer;
    this.#lastRead = clock.now();
    this.#lastWrite = this.#lastRead;
    replica.onProgress(() => {
      if (this.following && replica.acknowledged > this.#reported) this.report(replica.acknowledged);
    });
  }

  // ---- what those who extend this say ----

  /** Wait before the next try, ms. */
  protected abstract readonly retryMs: number;
  /** What a warning calls a try that failed. */
  protected abstract readonly failure: string;
  /** Whether reports may be sent. */
  protected abstract get following(): boolean;
  /** Where to connect to; undefined: nowhere now. Rejects with why not. */
  protected abstract find(): Promise<string | undefined>;
  /** The connection is open and has carried nothing. */
  protected abstract opened(): void;
  /** The frame that reports `logOffset`. */
  protected abstract encodeReport(logOffset: number): Buffer;
  /** Bytes have come from the master, however cut; they are the receiver's only during the call. */
  protected abstract take(bytes: Buffer): void;

  // ---- life ----

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

  state(): MasterLinkState {
    return {
      masterAddr: this.#address,
      connected: this.following,
      lastReadTimestamp: this.#lastRead,
      lastWriteTimestamp: this.#lastWrite,
      transferredByteInSecond: this.#meter.lastSecondBytes,
    };
  }

  /** `host:port` where the master listens for slaves, as far as is known. */
  protected get address(): string | undefined {
    return this.#address;
  }

  /** The connection of now: another one after a wait. */
  protected get link(): Link | undefined {
    return this.#link;
  }

  /** Nothing may be done any more. */
  protected get over(): boolean {
    return this.#stopped || this.#ended;
  }

  /** Nothing more is replicated in this life. */
  protected end(): void {
    this.#ended = true;
  }

  /** The master is elsewhere; undefined: {@link find} will say where. */
  protected turnTo(address: string | undefined): void {
    this.#address = address;
    this.#retryAtMs = 0;
    if (this.#link !== undefined) this.#link.close();
    else this.#connect();
  }

  /** Whether there is anything to try; without, no time passes until the next try. */
  protected wanted(): boolean {
    return true;
  }

  #connect(): void {
    if (!this.wanted() || this.over || this.#connecting || this.#link !== undefined) return;
    if (this.#clock.monotonicMs() < this.#retryAtMs) return;
    this.#connecting = true;
    this.#retryAtMs = this.#clock.monotonicMs() + this.retryMs;
    this.#open()
      .catch((error: Error) => this.warn(error.message))
      .finally(() => {
        this.#connecting = false;
      });
  }

  async #open(): Promise<void> {
    // What is not synced yet may not be reported, and the report says where the master goes on.
    if (this.replica.acknowledged < this.replica.end) return;
    const address = await this.find();
    if (this.#stopped || address === undefined) return;
    this.#address = address;
    await this.#dial(address, (link) => {
      this.#link = link;
      this.#reported = -1;
      this.#readMs = this.#clock.monotonicMs();
      this.#lastRead = this.#clock.now();
      this.log.info({ master: address, offset: this.replica.end }, "connected to the master");
      this.opened();
      return this;
    });
    if (this.#stopped) this.#link?.close();
  }

  /** A try has failed: said once as long as the reason stays the same. */
  protected warn(reason: string): void {
    if (this.#stopped || reason === this.#warned) return;
    this.#warned = reason;
    this.log.warn({ master: this.#address, retryInMs: this.retryMs, reason }, this.failure);
  }

  /** A try has succeeded: the log is followed from its end on. */
  protected follow(): void {
    this.#warned = "";
    this.report(this.replica.end);
  }

  closed(reason: string): void {
    this.#link = undefined;
    this.#retryAtMs = Math.max(this.#retryAtMs, this.#clock.monotonicMs() + this.retryMs);
    if (!this.#stopped) this.log.warn({ master: this.#address, reason }, "connection to the master ended");
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
      this.log.warn({ master: this.#address, silentMs }, "the master is silent for longer than haHousekeepingInterval");
      this.#link.close();
    } else if (this.following && now - this.#wroteMs > this.#options.haSendHeartbeatInterval) {
      this.report(this.#reported);
    }
  }

  // ---- what is said and heard ----

  protected report(offset: number): void {
    this.#reported = offset;
    this.send(this.encodeReport(offset));
  }

  protected send(frame: Buffer): void {
    this.#wroteMs = this.#clock.monotonicMs();
    this.#lastWrite = this.#clock.now();
    this.#link?.send(frame);
  }

  drained(): void {}

  received(bytes: Buffer): void {
    if (this.#link === undefined || this.#ended) return;
    this.#readMs = this.#clock.monotonicMs();
    this.#lastRead = this.#clock.now();
    this.#meter.add(bytes.length);
    try {
      this.take(bytes);
    } catch (error) {
      const reason = (error as Error).message;
      if (error instanceof DivergedError) {
        this.#ended = true;
        this.log.error({ master: this.#address }, `replication has ended, this log is not the master's: ${reason}`);
      } else this.log.error({ master: this.#address, reason }, "what the master sent was not appended");
      this.#link?.close();
    }
  }
}
