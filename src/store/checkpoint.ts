/**
 * The checkpoint file: how far derived files can be trusted after a crash (Apache: StoreCheckpoint).
 *
 *      0  physicMsgTimestamp i64 | 8 logicsMsgTimestamp i64 | 16 indexMsgTimestamp i64      Apache's fields
 *     24  masterFlushedOffset i64 | 32 confirmPhyOffset i64 | 40 logicsPhysicalOffset i64
 *   2048  "SKYLARK1" | 2056 dispatchedLogOffset i64 | 2064 CRC-32 of [2048, 2064) u32        ours; Apache leaves it alone
 *
 * Everything below `dispatchedLogOffset` is synced: log, queues and index. Apache measures by time, which a jumping
 * clock can mislead; its fields are kept so that it can open our store.
 */
import { Buffer } from "node:buffer";
import { crc32 } from "../base/crc32.ts";
import { readInt64OrMinus1, writeInt64 } from "../base/int64.ts";
import type { Disk } from "./disk.ts";

const BYTES = 4096;
const OURS_AT = 2048;
const MARK = "SKYLARK1";

export interface CheckpointState {
  /** Store time of the newest message known synced, ms. */
  logTimestamp: number;
  queueTimestamp: number;
  indexTimestamp: number;
  masterFlushedOffset: number;
  confirmOffset: number;
  /** Undefined when only Apache wrote the file. */
  dispatchedLogOffset: number | undefined;
}

export class Checkpoint {
  readonly #disk: Disk;
  readonly #path: string;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  read(): CheckpointState | undefined {
    if (!this.#disk.exists(this.#path)) return undefined;
    const buf = Buffer.alloc(BYTES);
    this.#disk.readAll(this.#path).copy(buf);
    const ours =
      buf.toString("latin1", OURS_AT, OURS_AT + 8) === MARK &&
      buf.readUInt32BE(OURS_AT + 16) === crc32(buf, OURS_AT, OURS_AT + 16);
    return {
      logTimestamp: readInt64OrMinus1(buf, 0),
      queueTimestamp: readInt64OrMinus1(buf, 8),
      indexTimestamp: readInt64OrMinus1(buf, 16),
      masterFlushedOffset: readInt64OrMinus1(buf, 24),
      confirmOffset: readInt64OrMinus1(buf, 32),
      dispatchedLogOffset: ours ? readInt64OrMinus1(buf, OURS_AT + 8) : undefined,
    };
  }

  async write(state: CheckpointState): Promise<void> {
    const buf = Buffer.alloc(BYTES);
    writeInt64(buf, state.logTimestamp, 0);
    writeInt64(buf, state.queueTimestamp, 8);
    writeInt64(buf, state.indexTimestamp, 16);
    writeInt64(buf, state.masterFlushedOffset, 24);
    writeInt64(buf, state.confirmOffset, 32);
    writeInt64(buf, state.dispatchedLogOffset ?? 0, 40);
    buf.write(MARK, OURS_AT, "latin1");
    writeInt64(buf, state.dispatchedLogOffset ?? 0, OURS_AT + 8);
    buf.writeUInt32BE(crc32(buf, OURS_AT, OURS_AT + 16), OURS_AT + 16);
    const file = this.#disk.open(this.#path, { create: true });
    try {
      file.write(buf, 0, BYTES, 0);
      await file.sync();
    } finally {
      file.close();
    }
  }
}
