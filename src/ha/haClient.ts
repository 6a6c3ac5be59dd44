/**
 * The slave's side of plain replication (Apache: DefaultHAClient): connects to the master, says how far its log reaches,
 * appends what comes exactly there, and reports progress.
 *
 * Nothing is connected before the newest record here is found to be the master's, too; a log that differs is left alone.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { readInt64OrMinus1, writeInt64 } from "../base/int64.ts";
import type { Logger } from "../base/log.ts";
import type { ReplicaLog } from "../store/replicaLog.ts";
import { PUSH_HEADER_BYTES, REPORT_BYTES } from "./haConnection.ts";
import { IncomingPiece } from "./incomingPiece.ts";
import { dial } from "./link.ts";
import { type Comparison, type HaClientOptions, MasterLink } from "./masterLink.ts";

export class HaClient extends MasterLink {
  /** As Apache's. */
  protected readonly retryMs = 5_000;
  protected readonly failure = "not connected to the master";
  readonly #compare: Comparison;
  readonly #header = Buffer.alloc(PUSH_HEADER_BYTES);
  #headerBytes = 0;
  readonly #piece: IncomingPiece;

  constructor(
    options: HaClientOptions,
    replica: ReplicaLog,
    compare: Comparison,
    clock: Clock,
    log: Logger,
    dialer: typeof dial = dial,
  ) {
    super(options, replica, clock, log, dialer);
    this.#compare = compare;
    this.#piece = new IncomingPiece(replica);
  }

  /** The master listens for slaves at `host:port`, as far as is known. */
  setMaster(address: string): void {
    if (address === this.address) return;
    this.log.info({ before: this.address, address }, "the master's address for slaves");
    this.turnTo(address);
  }

  protected get following(): boolean {
    return this.link !== undefined;
  }

  protected override wanted(): boolean {
    return this.address !== undefined;
  }

  protected async find(): Promise<string | undefined> {
    const { address } = this;
    const difference = await this.#compare();
    if (difference !== undefined) throw new Error(`nothing is replicated: ${difference}`);
    return address === this.address ? address : undefined;
  }

  protected opened(): void {
    this.#headerBytes = 0;
    this.#piece.drop();
    this.follow();
  }

  protected encodeReport(logOffset: number): Buffer {
    const report = Buffer.allocUnsafe(REPORT_BYTES);
    writeInt64(report, logOffset, 0);
    return report;
  }

  protected take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#piece.unfinished) {
        at = this.#piece.append(bytes, at);
        continue;
      }
      const n = Math.min(PUSH_HEADER_BYTES - this.#headerBytes, bytes.length - at);
      bytes.copy(this.#header, this.#headerBytes, at, at + n);
      this.#headerBytes += n;
      at += n;
      if (this.#headerBytes < PUSH_HEADER_BYTES) return;
      this.#headerBytes = 0;
      this.#piece.begin(readInt64OrMinus1(this.#header, 0), this.#header.readInt32BE(8));
    }
  }
}
