/**
 * The slave's side under a Controller (Apache: AutoSwitchHAClient): greets the master, compares epochs, and follows its log
 * from the point up to which both are the same. Behind that point this log may hold what an earlier master wrote and nobody
 * else has: that is cut before anything is taken, which is the owner's work ({@link AutoSwitchHooks.truncate}), because queues
 * and index go with it.
 *
 * The epochs say where logs may part; the newest record, asked of the master, says whether they did.
 */
import { Buffer } from "node:buffer";
import { type Clock, repeat } from "../../base/clock.ts";
import { readInt64OrMinus1 } from "../../base/int64.ts";
import type { Logger } from "../../base/log.ts";
import { DivergedError, type ReplicaLog } from "../../store/replicaLog.ts";
import type { Comparison, HaClientOptions, MasterLinkState } from "../haClient.ts";
import { dial, type Link, type LinkEvents } from "../link.ts";
import { Meter } from "../meter.ts";
import { consistentPoint, type EpochEntry, type EpochFile } from "./epochFile.ts";
import {
  EPOCHS_HEADER_BYTES,
  encodeReport,
  encodeSlaveHandshake,
  readEpochs,
  readTransferHeader,
  STATE_BYTES,
  STATE_HANDSHAKE,
  STATE_TRANSFER,
  TRANSFER_HEADER_BYTES,
} from "./frames.ts";

/** Wait before the next try (Apache: 5 s; an election should not cost that much). */
const RETRY_MS = 1_000;
const TICK_MS = 1_000;
const PIECE_BYTES_MAX = 64 * 1024 * 1024;
/** More epochs no log has. */
const EPOCHS_BYTES_MAX = 1024 * 1024;

export interface AutoSwitchClientOptions extends HaClientOptions {
  readonly syncFromLastFile: boolean;
  readonly asyncLearner: boolean;
}

export interface AutoSwitchHooks {
  /** `host:port` where the master listens for slaves; asked before each connection. */
  haAddress(): Promise<string>;
  /** See {@link Comparison}. */
  compare: Comparison;
  /** This log must end at `logOffset` before it can follow the master; nothing more comes until it does. */
  truncate(logOffset: number): void;
}

export class AutoSwitchClient implements LinkEvents {
  readonly #options: AutoSwitchClientOptions;
  readonly #brokerId: () => number;
  readonly #replica: ReplicaLog;
  readonly #epochs: EpochFile;
  readonly #hooks: AutoSwitchHooks;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #dial: typeof dial;
  readonly #meter = new Meter({ haFlowControlEnable: false, maxHaTransferByteInSecond: 0 });
  #address: string | undefined;
  #link: Link | undefined;
  #connecting = false;
  #stopped = true;
  /** Why nothing more is replicated in this life. */
  #ended = false;
  #retryAtMs = 0;
  #rhythm: () => void = () => {};
  #warned = "";
  /** The handshake is done, frames of log bytes may come. */
  #transfer = false;
  #reported = -1;
  #receivedEpoch = -1;
  /** Everything below is confirmed, by the master's last word. */
  confirmOffset = 0;
  #readMs = 0;
  #wroteMs = 0;
  #lastRead = 0;
  #lastWrite = 0;
  // The frame that is coming.
  readonly #header = Buffer.alloc(TRANSFER_HEADER_BYTES);
  #headerBytes = 0;
  #epochsBody: Buffer | undefined;
  #epochsBytes = 0;
  #at = 0;
  #left = 0;

  constructor(
    options: AutoSwitchClientOptions,
    brokerId: () => number,
    replica: ReplicaLog,
    epochs: EpochFile,
    hooks: AutoSwitchHooks,
    clock: Clock,
    log: Logger,
    dialer: typeof dial = dial,
  ) {
    this.#options = options;
    this.#brokerId = brokerId;
    this.#replica = replica;
    this.#epochs = epochs;
    this.#hooks = hooks;
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

  /** There is another master. */
  masterChanged(): void {
    this.#retryAtMs = 0;
    this.#address = undefined;
    if (this.#link !== undefined) this.#link.close();
    else this.#connect();
  }

  state(): MasterLinkState {
    return {
      masterAddr: this.#address,
      connected: this.#transfer,
      lastReadTimestamp: this.#lastRead,
      lastWriteTimestamp: this.#lastWrite,
      transferredByteInSecond: this.#meter.lastSecondBytes,
    };
  }

  // ---- connection ----

  #connect(): void {
    if (this.#stopped || this.#ended || this.#connecting || this.#link !== undefined) return;
    if (this.#clock.monotonicMs() < this.#retryAtMs) return;
    this.#connecting = true;
    this.#retryAtMs = this.#clock.monotonicMs() + RETRY_MS;
    this.#open()
      .catch((error: Error) => this.#warn(error.message))
      .finally(() => {
        this.#connecting = false;
      });
  }

  async #open(): Promise<void> {
    // What is not synced yet may not be reported, and the report says where the master goes on.
    if (this.#replica.acknowledged < this.#replica.end) return;
    const address = await this.#hooks.haAddress();
    if (this.#stopped) return;
    this.#address = address;
    await this.#dial(address, (link) => {
      this.#link = link;
      this.#headerBytes = 0;
      this.#epochsBody = undefined;
      this.#left = 0;
      this.#transfer = false;
      this.#reported = -1;
      this.#receivedEpoch = -1;
      this.#readMs = this.#clock.monotonicMs();
      this.#lastRead = this.#clock.now();
      this.#log.info({ master: address, offset: this.#replica.end }, "connected to the master");
      const { syncFromLastFile, asyncLearner } = this.#options;
      this.#send(
        encodeSlaveHandshake({ fromLastFile: syncFromLastFile, learner: asyncLearner, brokerId: this.#brokerId() }),
      );
      return this;
    });
    if (this.#stopped) this.#link?.close();
  }

  #warn(reason: string): void {
    if (this.#stopped || reason === this.#warned) return;
    this.#warned = reason;
    this.#log.warn({ master: this.#address, retryInMs: RETRY_MS, reason }, "not following the master");
  }

  closed(reason: string): void {
    this.#link = undefined;
    this.#transfer = false;
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
    } else if (this.#transfer && now - this.#wroteMs > this.#options.haSendHeartbeatInterval) {
      this.#report(this.#reported);
    }
  }

  // ---- handshake ----

  #greeted(epochs: readonly EpochEntry[], masterEnd: number): void {
    const link = this.#link;
    this.#settle(epochs, masterEnd).then(
      () => {
        if (this.#link !== link || this.#stopped || this.#ended) return;
        this.#transfer = true;
        this.#warned = "";
        this.#report(this.#replica.end);
      },
      (error: Error) => {
        if (this.#link !== link) return;
        this.#warn(error.message);
        link?.close();
      },
    );
  }

  /** Resolves when this log is a beginning of the master's; rejects with why it is not. */
  async #settle(epochs: readonly EpochEntry[], masterEnd: number): Promise<void> {
    const { end } = this.#replica;
    const ours = this.#epochs.entries;
    if (ours.length > 0 && end > 0) {
      const same = consistentPoint(ours, end, epochs, masterEnd);
      if (same < 0) {
        throw new Error(
          `nothing is replicated: none of this log's epochs ${show(ours)} is one of the master's ${show(epochs)}. Empty this broker's store to start it anew`,
        );
      }
      if (same < end) {
        this.#ended = true;
        this.#log.warn(
          { logEnd: end, cutAt: same, ours: show(ours), masters: show(epochs), masterEnd },
          "this log holds what the master does not have: it is cut",
        );
        this.#hooks.truncate(same);
        throw new Error(`the log is being cut at ${same}`);
      }
    } else if (end > masterEnd) {
      throw new Error(`nothing is replicated: this log ends at ${end}, behind the master's at ${masterEnd}`);
    }
    const difference = await this.#hooks.compare();
    if (difference !== undefined) throw new Error(`nothing is replicated: ${difference}`);
  }

  // ---- reports ----

  #reportProgress(): void {
    if (this.#transfer && this.#replica.acknowledged > this.#reported) this.#report(this.#replica.acknowledged);
  }

  #report(offset: number): void {
    this.#reported = offset;
    this.#send(encodeReport(offset));
  }

  #send(frame: Buffer): void {
    this.#wroteMs = this.#clock.monotonicMs();
    this.#lastWrite = this.#clock.now();
    this.#link?.send(frame);
  }

  drained(): void {}

  // ---- frames ----

  received(bytes: Buffer): void {
    if (this.#link === undefined || this.#ended) return;
    this.#readMs = this.#clock.monotonicMs();
    this.#lastRead = this.#clock.now();
    this.#meter.add(bytes.length);
    try {
      this.#take(bytes);
    } catch (error) {
      const reason = (error as Error).message;
      if (error instanceof DivergedError) {
        this.#ended = true;
        this.#log.error({ master: this.#address }, `replication has ended, this log is not the master's: ${reason}`);
      } else this.#log.error({ master: this.#address, reason }, "what the master sent was not appended");
      this.#link?.close();
    }
  }

  #take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.#ended) {
      if (this.#left > 0) {
        const n = Math.min(this.#left, bytes.length - at);
        this.#replica.append(bytes, at, at + n, this.#at);
        this.#at += n;
        this.#left -= n;
        at += n;
      } else if (this.#epochsBody !== undefined) {
        const n = Math.min(this.#epochsBody.length - this.#epochsBytes, bytes.length - at);
        bytes.copy(this.#epochsBody, this.#epochsBytes, at, at + n);
        this.#epochsBytes += n;
        at += n;
      } else {
        const n = Math.min(this.#headerLength() - this.#headerBytes, bytes.length - at);
        bytes.copy(this.#header, this.#headerBytes, at, at + n);
        this.#headerBytes += n;
        at += n;
        if (this.#headerBytes >= STATE_BYTES && this.#headerBytes === this.#headerLength()) this.#begin();
      }
      if (this.#epochsBody !== undefined && this.#epochsBytes === this.#epochsBody.length) {
        const epochs = readEpochs(this.#epochsBody);
        this.#epochsBody = undefined;
        this.#greeted(epochs, readInt64OrMinus1(this.#header, 8));
      }
    }
  }

  #headerLength(): number {
    if (this.#headerBytes < STATE_BYTES) return STATE_BYTES;
    return this.#header.readInt32BE(0) === STATE_HANDSHAKE ? EPOCHS_HEADER_BYTES : TRANSFER_HEADER_BYTES;
  }

  #begin(): void {
    this.#headerBytes = 0;
    const state = this.#header.readInt32BE(0);
    if (state === STATE_HANDSHAKE && !this.#transfer) {
      const bodyBytes = this.#header.readInt32BE(4);
      if (bodyBytes < 0 || bodyBytes > EPOCHS_BYTES_MAX)
        throw new Error(`the master announced ${bodyBytes} bytes of epochs`);
      this.#epochsBody = Buffer.alloc(bodyBytes);
      this.#epochsBytes = 0;
      return;
    }
    if (state !== STATE_TRANSFER || !this.#transfer) throw new Error(`a frame of state ${state} came out of turn`);
    const { bodyBytes, logOffset, epoch, epochStart, confirmOffset } = readTransferHeader(this.#header);
    if (bodyBytes < 0 || bodyBytes > PIECE_BYTES_MAX) {
      throw new Error(
        `the master announced ${bodyBytes} bytes at log offset ${logOffset}: that is no master for slaves`,
      );
    }
    const { end, empty } = this.#replica;
    if (bodyBytes > 0 && logOffset !== end && !(empty && end === 0)) {
      throw new Error(`the master pushes log offset ${logOffset}, this log ends at ${end}`);
    }
    if (epoch !== this.#receivedEpoch) {
      this.#receivedEpoch = epoch;
      if (this.#epochs.append({ epoch, startOffset: epochStart })) this.#epochs.saveSoon();
    }
    this.confirmOffset = confirmOffset;
    this.#at = logOffset;
    this.#left = bodyBytes;
  }
}

function show(entries: readonly EpochEntry[]): string {
  return entries.map(({ epoch, startOffset }) => `${epoch}@${startOffset}`).join(",") || "(none)";
}
