/**
 * How far the timers came: config/timercheck (Apache: TimerCheckpoint).
 *
 *    0  lastReadTimeMs i64          slots before it are delivered
 *    8  lastTimerLogFlushPos i64    the timer log is durable below
 *   16  lastTimerQueueOffset i64 | 24 masterTimerQueueOffset i64    messages of rmq_sys_wheel_timer below entered the wheel
 *   32  stateVersion i64 | 40 timestamp i64 | 48 counter i64        DataVersion
 *   64  "SKYTIMER" | 72 precisionMs i64 | 80 scanFrom i64 | 88 metricsCounter i64                           ours
 *   96  wheelDigest u32 | 100 logFrom i64 | 108 CRC-32 u32 of all above
 *
 * Apache writes the first 56 bytes in place and leaves the rest: then the CRC no longer fits, and the store is recovered by
 * Apache's rule. The file is replaced whole, for half a checkpoint would be believed.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { crc32 } from "../../base/crc32.ts";
import { readInt64OrMinus1, writeInt64 } from "../../base/int64.ts";
import type { Disk } from "../disk.ts";

/** A page, as Apache maps it. */
const BYTES = 4096;
const APACHE_BYTES = 56;
const OURS_AT = 64;
const CRC_AT = 108;
const MARK = "SKYTIMER";

export interface TimerCheckpointState {
  lastReadTimeMs: number;
  lastTimerLogFlushPos: number;
  lastTimerQueueOffset: number;
  masterTimerQueueOffset: number;
  dataVersion: { stateVersion: number; timestamp: number; counter: number };
  /** Undefined when Apache wrote the file last. */
  ours:
    | {
        precisionMs: number;
        /** Commit log offset from which delivered copies may lie that the other fields do not count as delivered. */
        scanFrom: number;
        /** Counter of the metrics that belong to this state. */
        metricsCounter: number;
        /** Of the slots that are not delivered (see TimerWheel.digest). */
        wheelDigest: number;
        /** Timer log units before this position were entered again behind it. */
        logFrom: number;
      }
    | undefined;
}

export const TIMER_CHECKPOINT_ZERO: TimerCheckpointState = {
  lastReadTimeMs: 0,
  lastTimerLogFlushPos: 0,
  lastTimerQueueOffset: 0,
  masterTimerQueueOffset: 0,
  dataVersion: { stateVersion: 0, timestamp: 0, counter: 0 },
  ours: undefined,
};

/** Apache's 56 bytes (TimerCheckpoint.encode), also the body of GET_TIMER_CHECK_POINT. */
export function encodeTimerCheckpoint(state: TimerCheckpointState): Buffer {
  const buf = Buffer.alloc(APACHE_BYTES);
  writeInt64(buf, state.lastReadTimeMs, 0);
  writeInt64(buf, state.lastTimerLogFlushPos, 8);
  writeInt64(buf, state.lastTimerQueueOffset, 16);
  writeInt64(buf, state.masterTimerQueueOffset, 24);
  writeInt64(buf, state.dataVersion.stateVersion, 32);
  writeInt64(buf, state.dataVersion.timestamp, 40);
  writeInt64(buf, state.dataVersion.counter, 48);
  return buf;
}

export class TimerCheckpoint {
  readonly path: string;
  readonly #disk: Disk;

  constructor(disk: Disk, file: string) {
    this.#disk = disk;
    this.path = file;
  }

  /** The last checkpoint; undefined when there is none. */
  read(): TimerCheckpointState | undefined {
    if (!this.#disk.exists(this.path)) return undefined;
    const buf = Buffer.alloc(BYTES);
    this.#disk.readAll(this.path).copy(buf);
    const state: TimerCheckpointState = {
      lastReadTimeMs: readInt64OrMinus1(buf, 0),
      lastTimerLogFlushPos: readInt64OrMinus1(buf, 8),
      lastTimerQueueOffset: readInt64OrMinus1(buf, 16),
      masterTimerQueueOffset: readInt64OrMinus1(buf, 24),
      dataVersion: {
        stateVersion: readInt64OrMinus1(buf, 32),
        timestamp: readInt64OrMinus1(buf, 40),
        counter: readInt64OrMinus1(buf, 48),
      },
      ours: undefined,
    };
    if (
      buf.toString("latin1", OURS_AT, OURS_AT + 8) === MARK &&
      buf.readUInt32BE(CRC_AT) === crc32(buf, 0, CRC_AT) &&
      state.lastTimerLogFlushPos >= 0
    ) {
      state.ours = {
        precisionMs: readInt64OrMinus1(buf, 72),
        scanFrom: readInt64OrMinus1(buf, 80),
        metricsCounter: readInt64OrMinus1(buf, 88),
        wheelDigest: buf.readUInt32BE(96),
        logFrom: readInt64OrMinus1(buf, 100),
      };
    }
    return state;
  }

  /** Replaces the checkpoint; resolves when it is durable. */
  async write(state: TimerCheckpointState): Promise<void> {
    const buf = Buffer.alloc(BYTES);
    encodeTimerCheckpoint(state).copy(buf);
    if (state.ours !== undefined) {
      buf.write(MARK, OURS_AT, "latin1");
      writeInt64(buf, state.ours.precisionMs, 72);
      writeInt64(buf, state.ours.scanFrom, 80);
      writeInt64(buf, state.ours.metricsCounter, 88);
      buf.writeUInt32BE(state.ours.wheelDigest, 96);
      writeInt64(buf, state.ours.logFrom, 100);
      buf.writeUInt32BE(crc32(buf, 0, CRC_AT), CRC_AT);
    }
    const dir = path.dirname(this.path);
    const temporary = `${this.path}.tmp`;
    this.#disk.mkdir(dir);
    const file = this.#disk.open(temporary, { create: true });
    try {
      file.truncate(0);
      file.write(buf, 0, BYTES, 0);
      await file.sync();
    } finally {
      file.close();
    }
    this.#disk.rename(temporary, this.path);
    await this.#disk.syncDir(dir);
  }
}
