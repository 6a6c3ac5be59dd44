/**
 * The slave's side under a Controller (Apache: AutoSwitchHAClient): greets the master, compares epochs, and follows its log
 * from the point up to which both are the same. Behind that point this log may hold what an earlier master wrote and nobody
 * else has: that is cut before anything is taken, which is the owner's work ({@link AutoSwitchHooks.truncate}), because queues
 * and index go with it.
 *
 * The epochs say where logs may part; the newest record, asked of the master, says whether they did.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../../base/clock.ts";
import { readInt64OrMinus1 } from "../../base/int64.ts";
import type { Logger } from "../../base/log.ts";
import type { ReplicaLog } from "../../store/replicaLog.ts";
import { IncomingPiece } from "../incomingPiece.ts";
import { dial } from "../link.ts";
import { type Comparison, type HaClientOptions, MasterLink } from "../masterLink.ts";
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

export class AutoSwitchClient extends MasterLink {
  /** Apache waits 5 s; an election should not cost that much. */
  protected readonly retryMs = 1_000;
  protected readonly failure = "not following the master";
  readonly #options: AutoSwitchClientOptions;
  readonly #brokerId: () => number;
  readonly #epochs: EpochFile;
  readonly #hooks: AutoSwitchHooks;
  /** The handshake is done, frames of log bytes may come. */
  #transfer = false;
  #receivedEpoch = -1;
  /** Everything below is confirmed, by the master's last word. */
  confirmOffset = 0;
  // The frame that is coming.
  readonly #header = Buffer.alloc(TRANSFER_HEADER_BYTES);
  #headerBytes = 0;
  #epochsBody: Buffer | undefined;
  #epochsBytes = 0;
  readonly #piece: IncomingPiece;

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
    super(options, replica, clock, log, dialer);
    this.#options = options;
    this.#brokerId = brokerId;
    this.#epochs = epochs;
    this.#hooks = hooks;
    this.#piece = new IncomingPiece(replica);
  }

  /** There is another master. */
  masterChanged(): void {
    this.turnTo(undefined);
  }

  protected get following(): boolean {
    return this.#transfer;
  }

  protected find(): Promise<string> {
    return this.#hooks.haAddress();
  }

  protected encodeReport(logOffset: number): Buffer {
    return encodeReport(logOffset);
  }

  override closed(reason: string): void {
    this.#transfer = false;
    super.closed(reason);
  }

  // ---- handshake ----

  protected opened(): void {
    this.#headerBytes = 0;
    this.#epochsBody = undefined;
    this.#piece.drop();
    this.#transfer = false;
    this.#receivedEpoch = -1;
    const { syncFromLastFile, asyncLearner } = this.#options;
    this.send(
      encodeSlaveHandshake({ fromLastFile: syncFromLastFile, learner: asyncLearner, brokerId: this.#brokerId() }),
    );
  }

  #greeted(epochs: readonly EpochEntry[], masterEnd: number): void {
    const { link } = this;
    this.#settle(epochs, masterEnd).then(
      () => {
        if (this.link !== link || this.over) return;
        this.#transfer = true;
        this.follow();
      },
      (error: Error) => {
        if (this.link !== link) return;
        this.warn(error.message);
        link?.close();
      },
    );
  }

  /** Resolves when this log is a beginning of the master's; rejects with why it is not. */
  async #settle(epochs: readonly EpochEntry[], masterEnd: number): Promise<void> {
    const { end } = this.replica;
    const ours = this.#epochs.entries;
    if (ours.length > 0 && end > 0) {
      const same = consistentPoint(ours, end, epochs, masterEnd);
      if (same < 0) {
        throw new Error(
          `nothing is replicated: none of this log's epochs ${show(ours)} is one of the master's ${show(epochs)}. Empty this broker's store to start it anew`,
        );
      }
      if (same < end) {
        this.end();
        this.log.warn(
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

  // ---- frames ----

  protected take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.over) {
      if (this.#piece.unfinished) at = this.#piece.append(bytes, at);
      else if (this.#epochsBody !== undefined) {
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
    // A heartbeat may speak of any place.
    if (bodyBytes !== 0) this.#piece.begin(logOffset, bodyBytes);
    if (epoch !== this.#receivedEpoch) {
      this.#receivedEpoch = epoch;
      if (this.#epochs.append({ epoch, startOffset: epochStart })) this.#epochs.saveSoon();
    }
    this.confirmOffset = confirmOffset;
  }
}

function show(entries: readonly EpochEntry[]): string {
  return entries.map(({ epoch, startOffset }) => `${epoch}@${startOffset}`).join(",") || "(none)";
}
