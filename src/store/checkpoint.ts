/**
 * The checkpoint file: how far derived files can be trusted after a crash (Apache: StoreCheckpoint).
 *
 *      0  physicMsgTimestamp i64 | 8 logicsMsgTimestamp i64 | 16 indexMsgTimestamp i64      Apache's fields
 *     24  masterFlushedOffset i64 | 32 confirmPhyOffset i64 | 40 logicsPhysicalOffset i64
 *   2048  "SKYLARK1" | 2056 dispatchedLogOffset i64 | 2064 firstLogOffset i64 | 2072 queueUnits i64      ours; Apache
 *   2080  queueFirstUnits i64 | 2088 indexEntries i64 | 2096 syncedLogOffset i64 | 2104 CRC-32 u32      leaves it alone
 *
 * Everything below `dispatchedLogOffset` is synced: log, queues and index; the log alone below `syncedLogOffset`. Apache measures by time, which a jumping
 * clock can mislead; its fields are kept so that it can open our store. The sums say how much the derived files held,
 * so that lost or cut ones are noticed and rebuilt. The file is replaced whole: half a checkpoint would be believed.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { crc32 } from "../base/crc32.ts";
import { readInt64OrMinus1, writeInt64 } from "../base/int64.ts";
import type { Disk } from "./disk.ts";

const BYTES = 4096;
const OURS_AT = 2048;
const CRC_AT = 2104;
const MARK = "SKYLARK1";

export interface CheckpointState {
  /** Store time of the newest message known synced, ms. */
  logTimestamp: number;
  queueTimestamp: number;
  indexTimestamp: number;
  masterFlushedOffset: number;
  confirmOffset: number;
  /** logicsPhysicalOffset: Apache 5.5.0 dispatches again from the log file with this offset on; 0: it goes by time. */
  logicsOffset: number;
  /** Undefined when only Apache wrote the file. */
  ours: DerivedState | undefined;
}

/** What the derived files hold. */
export interface DerivedState {
  /** Everything below is in them, and durable. */
  dispatchedLogOffset: number;
  /** Where the log began. */
  firstLogOffset: number;
  /** Sum of all queues' max offsets. */
  queueUnits: number;
  /** Sum of the first unit in each queue's files. */
  queueFirstUnits: number;
  /** Keys in the index files. */
  indexEntries: number;
  /** The log is durable below: damage there is no trace of a crash. */
  syncedLogOffset: number;
}

export class Checkpoint {
  readonly #disk: Disk;
  readonly #path: string;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  /** The last checkpoint; undefined when there is none that can be believed. */
  read(): CheckpointState | undefined {
    if (!this.#disk.exists(this.#path)) return undefined;
    const buf = Buffer.alloc(BYTES);
    this.#disk.readAll(this.#path).copy(buf);
    const state: CheckpointState = {
      logTimestamp: readInt64OrMinus1(buf, 0),
      queueTimestamp: readInt64OrMinus1(buf, 8),
      indexTimestamp: readInt64OrMinus1(buf, 16),
      masterFlushedOffset: readInt64OrMinus1(buf, 24),
      confirmOffset: readInt64OrMinus1(buf, 32),
      logicsOffset: readInt64OrMinus1(buf, 40),
      ours: undefined,
    };
    if (buf.subarray(OURS_AT, CRC_AT + 4).every((byte) => byte === 0)) return state;
    const whole =
      buf.toString("latin1", OURS_AT, OURS_AT + 8) === MARK && buf.readUInt32BE(CRC_AT) === crc32(buf, OURS_AT, CRC_AT);
    // Damage in our part: Apache's times may be damaged as well, and nothing protects them.
    if (!whole) return undefined;
    state.ours = {
      dispatchedLogOffset: readInt64OrMinus1(buf, OURS_AT + 8),
      firstLogOffset: readInt64OrMinus1(buf, OURS_AT + 16),
      queueUnits: readInt64OrMinus1(buf, OURS_AT + 24),
      queueFirstUnits: readInt64OrMinus1(buf, OURS_AT + 32),
      indexEntries: readInt64OrMinus1(buf, OURS_AT + 40),
      syncedLogOffset: readInt64OrMinus1(buf, OURS_AT + 48),
    };
    return state;
  }

  /**
   * Notes that derived files will be built anew from the log's beginning, before the first of them is removed: after a
   * crash in the middle, what is left of them must not be measured by the old checkpoint.
   */
  async beginRebuild(firstLogOffset: number, syncedLogOffset: number): Promise<void> {
    try {
      await this.write({
        logTimestamp: 0,
        queueTimestamp: 0,
        indexTimestamp: 0,
        masterFlushedOffset: 0,
        confirmOffset: firstLogOffset,
        logicsOffset: firstLogOffset,
        ours: {
          dispatchedLogOffset: firstLogOffset,
          firstLogOffset,
          queueUnits: 0,
          queueFirstUnits: Number.MAX_SAFE_INTEGER,
          indexEntries: 0,
          syncedLogOffset,
        },
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      // A full disk must not keep a store from starting; without a checkpoint everything is rebuilt as well.
      this.#disk.remove(this.#path);
      await this.#disk.syncDir(path.dirname(this.#path));
    }
  }

  /**
   * Notes that the log will be cut: how much derived files held counts no more, only Apache's times are left, from which
   * recovery reads whole files of the log again.
   */
  async beginCut(): Promise<void> {
    if (!this.#disk.exists(this.#path)) return;
    const file = this.#disk.open(this.#path);
    try {
      file.write(Buffer.alloc(BYTES - OURS_AT), 0, BYTES - OURS_AT, OURS_AT);
      await file.sync();
    } finally {
      file.close();
    }
  }

  /** Replaces the checkpoint; resolves when it is durable. */
  async write(state: CheckpointState & { ours: DerivedState }): Promise<void> {
    const buf = Buffer.alloc(BYTES);
    const { ours } = state;
    writeInt64(buf, state.logTimestamp, 0);
    writeInt64(buf, state.queueTimestamp, 8);
    writeInt64(buf, state.indexTimestamp, 16);
    writeInt64(buf, state.masterFlushedOffset, 24);
    writeInt64(buf, state.confirmOffset, 32);
    writeInt64(buf, state.logicsOffset, 40);
    buf.write(MARK, OURS_AT, "latin1");
    writeInt64(buf, ours.dispatchedLogOffset, OURS_AT + 8);
    writeInt64(buf, ours.firstLogOffset, OURS_AT + 16);
    writeInt64(buf, ours.queueUnits, OURS_AT + 24);
    writeInt64(buf, ours.queueFirstUnits, OURS_AT + 32);
    writeInt64(buf, ours.indexEntries, OURS_AT + 40);
    writeInt64(buf, ours.syncedLogOffset, OURS_AT + 48);
    buf.writeUInt32BE(crc32(buf, OURS_AT, CRC_AT), CRC_AT);
    const temporary = `${this.#path}.tmp`;
    const file = this.#disk.open(temporary, { create: true });
    try {
      file.truncate(0);
      file.write(buf, 0, BYTES, 0);
      await file.sync();
    } finally {
      file.close();
    }
    this.#disk.rename(temporary, this.#path);
    await this.#disk.syncDir(path.dirname(this.#path));
  }
}
