/**
 * A piece of the master's log on its way into this one. Its bytes are appended as they arrive, without waiting for all of it:
 * whatever cuts the connection, the next one goes on where the log ends.
 */
import type { Buffer } from "node:buffer";
import type { ReplicaLog } from "../store/replicaLog.ts";

/** No master sends larger pieces; a larger number is no header. */
const PIECE_BYTES_MAX = 64 * 1024 * 1024;

export class IncomingPiece {
  readonly #replica: ReplicaLog;
  /** Where the next byte goes, and how many are missing. */
  #at = 0;
  #left = 0;

  constructor(replica: ReplicaLog) {
    this.#replica = replica;
  }

  /** Whether bytes of the piece are still to come. */
  get unfinished(): boolean {
    return this.#left > 0;
  }

  /** What was to come does not come any more. */
  drop(): void {
    this.#left = 0;
  }

  /** Its head has come. @throws when the log cannot be continued with such a piece */
  begin(logOffset: number, pieceBytes: number): void {
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

  /**
   * Appends what belongs to the piece of `bytes` from `start` on.
   * @returns where in `bytes` the rest begins
   * @throws what {@link ReplicaLog.append} throws
   */
  append(bytes: Buffer, start: number): number {
    const end = Math.min(start + this.#left, bytes.length);
    this.#replica.append(bytes, start, end, this.#at);
    this.#at += end - start;
    this.#left -= end - start;
    return end;
  }
}
