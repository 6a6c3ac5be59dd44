/**
 * One message as it lies in the CommitLog and travels in a pull reply (Apache: MessageExtEncoder, MessageDecoder).
 *
 *   0  totalSize                i32    whole record
 *   4  magic                    i32    V1 0xDAA320A7: topic length in one byte; V2 0xDAA320AB: in two
 *   8  bodyCRC                  i32    CRC-32 of the body, sign bit cleared
 *  12  queueId                  i32
 *  16  flag                     i32    the application's own
 *  20  queueOffset              i64
 *  28  physicalOffset           i64    offset of this record in the log
 *  36  sysFlag                  i32    see sysFlag.ts
 *  40  bornTimestamp            i64    ms
 *  48  bornHost                 4+4 | 16+4   address, port (V6 by sysFlag)
 *   .  storeTimestamp           i64    ms
 *   .  storeHost                4+4 | 16+4
 *   .  reconsumeTimes           i32
 *   .  preparedTransactionOffset i64
 *   .  bodyLength i32, body | topicLength u8|u16, topic | propertiesLength u16, properties
 *
 * The end of a log file that no record fits into is a blank: totalSize (all that remains), magic 0xCBD43194.
 */
import type { Buffer } from "node:buffer";
import { bodyCrc32 } from "../base/crc32.ts";
import { readInt64OrMinus1 } from "../base/int64.ts";
import { BORN_HOST_V6, STORE_HOST_V6 } from "./sysFlag.ts";

export const MAGIC_V1 = 0xdaa320a7 | 0;
export const MAGIC_V2 = 0xdaa320ab | 0;
export const MAGIC_BLANK = 0xcbd43194 | 0;
/** Bytes of a blank record's two fields: what must stay free after the last record of a file. */
export const BLANK_BYTES = 8;
/** The shortest possible record: V4 hosts, empty body, topic and properties. */
export const RECORD_BYTES_MIN = 91;
export const PROPERTIES_BYTES_MAX = 32_767;

const SPACE = 0x20;
const DOT = 0x2e;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const DELETE = 0x7f;

export const QUEUE_ID_AT = 12;
export const QUEUE_OFFSET_AT = 20;
export const LOG_OFFSET_AT = 28;
export const SYS_FLAG_AT = 36;
export const BORN_TIMESTAMP_AT = 40;

/** Size of a record with these parts, in bytes. */
export function recordBytes(sysFlag: number, bodyBytes: number, topicBytes: number, propertiesBytes: number): number {
  const born = (sysFlag & BORN_HOST_V6) === 0 ? 8 : 20;
  const store = (sysFlag & STORE_HOST_V6) === 0 ? 8 : 20;
  return 48 + born + 8 + store + 12 + 4 + bodyBytes + (topicBytes > 127 ? 2 : 1) + topicBytes + 2 + propertiesBytes;
}

/** Where the variable part of the record at `at` begins: the storeTimestamp. */
export function storeTimestampAt(buf: Buffer, at: number): number {
  return at + 48 + ((buf.readInt32BE(at + SYS_FLAG_AT) & BORN_HOST_V6) === 0 ? 8 : 20);
}

/** As much of a record's beginning has its storeTimestamp in it, whichever family its hosts are of; no record is shorter. */
export const STORE_TIME_BYTES = 76;

/** The storeTimestamp in the first {@link STORE_TIME_BYTES} of a record. */
export function storeTimeOf(start: Buffer): number {
  return readInt64OrMinus1(start, storeTimestampAt(start, 0));
}

/** Where the properties of the record in `buf[at, end)` begin (they reach to its end); -1 when its fields do not fit into it. */
export function propertiesStart(buf: Buffer, at: number, end: number): number {
  const sysFlag = buf.readInt32BE(at + SYS_FLAG_AT);
  const hosts = ((sysFlag & BORN_HOST_V6) === 0 ? 8 : 20) + ((sysFlag & STORE_HOST_V6) === 0 ? 8 : 20);
  const bodyLengthAt = at + 48 + hosts + 8 + 12;
  if (bodyLengthAt + 4 > end) return -1;
  const topicLengthAt = bodyLengthAt + 4 + buf.readInt32BE(bodyLengthAt);
  if (topicLengthAt < bodyLengthAt || topicLengthAt + 4 > end) return -1;
  const topicAt =
    buf.readInt32BE(at + 4) === MAGIC_V1
      ? topicLengthAt + 1 + buf[topicLengthAt]
      : topicLengthAt + 2 + buf.readUInt16BE(topicLengthAt);
  return topicAt + 2 <= end && topicAt + 2 + buf.readUInt16BE(topicAt) === end ? topicAt + 2 : -1;
}

/** What a record's bytes turned out to be. */
export type RecordCheck = "record" | "blank" | "end" | "damaged";

/**
 * A reusable view of one record: {@link RecordView.read} fills positions into the given buffer, nothing is copied.
 * Never throws on damaged bytes; says what they are instead.
 */
export class RecordView {
  buf!: Buffer;
  at = 0;
  totalBytes = 0;
  queueId = 0;
  flag = 0;
  queueOffset = 0;
  logOffset = 0;
  sysFlag = 0;
  bornTimestamp = 0;
  bornHostAt = 0;
  bornHostBytes = 8;
  storeTimestamp = 0;
  storeHostAt = 0;
  storeHostBytes = 8;
  reconsumeTimes = 0;
  preparedTransactionOffset = 0;
  bodyAt = 0;
  bodyBytes = 0;
  topicAt = 0;
  topicBytes = 0;
  propertiesAt = 0;
  propertiesBytes = 0;

  /**
   * Reads the record at `at`; `end` is where valid bytes stop. "end" means zeros (nothing written yet) or fewer than
   * the record's bytes before `end` (a torn tail); "damaged" means bytes that no writer makes.
   * @param checkBody also compare the body with its CRC
   */
  read(buf: Buffer, at: number, end: number, checkBody: boolean): RecordCheck {
    if (end - at < BLANK_BYTES) return "end";
    this.buf = buf;
    this.at = at;
    this.totalBytes = buf.readInt32BE(at);
    const magic = buf.readInt32BE(at + 4);
    if (magic === MAGIC_BLANK) return this.totalBytes >= BLANK_BYTES ? "blank" : "damaged";
    if (this.totalBytes === 0 && magic === 0) return "end";
    if (magic !== MAGIC_V1 && magic !== MAGIC_V2) return "damaged";
    if (this.totalBytes < RECORD_BYTES_MIN) return "damaged";
    if (end - at < this.totalBytes) return "end";
    const stop = at + this.totalBytes;
    this.queueId = buf.readInt32BE(at + 12);
    this.flag = buf.readInt32BE(at + 16);
    this.queueOffset = readInt64OrMinus1(buf, at + 20);
    this.logOffset = readInt64OrMinus1(buf, at + 28);
    this.sysFlag = buf.readInt32BE(at + 36);
    this.bornTimestamp = readInt64OrMinus1(buf, at + 40);
    this.bornHostAt = at + 48;
    this.bornHostBytes = (this.sysFlag & BORN_HOST_V6) === 0 ? 8 : 20;
    let p = at + 48 + this.bornHostBytes;
    this.storeHostBytes = (this.sysFlag & STORE_HOST_V6) === 0 ? 8 : 20;
    if (p + 8 + this.storeHostBytes + 12 + 4 > stop) return "damaged";
    this.storeTimestamp = readInt64OrMinus1(buf, p);
    this.storeHostAt = p + 8;
    p += 8 + this.storeHostBytes;
    this.reconsumeTimes = buf.readInt32BE(p);
    this.preparedTransactionOffset = readInt64OrMinus1(buf, p + 4);
    this.bodyBytes = buf.readInt32BE(p + 12);
    this.bodyAt = p + 16;
    if (this.bodyBytes < 0 || this.bodyAt + this.bodyBytes + 3 > stop) return "damaged";
    p = this.bodyAt + this.bodyBytes;
    if (magic === MAGIC_V1) {
      this.topicBytes = buf[p];
      this.topicAt = p + 1;
    } else {
      this.topicBytes = buf.readUInt16BE(p);
      this.topicAt = p + 2;
    }
    p = this.topicAt + this.topicBytes;
    if (p + 2 > stop) return "damaged";
    this.propertiesBytes = buf.readUInt16BE(p);
    this.propertiesAt = p + 2;
    if (this.propertiesAt + this.propertiesBytes !== stop) return "damaged";
    if (checkBody && this.bodyBytes > 0) {
      if (bodyCrc32(buf, this.bodyAt, this.bodyAt + this.bodyBytes) !== buf.readInt32BE(at + 8)) return "damaged";
    }
    return "record";
  }

  /**
   * Whether the fields that no checksum covers can be a writer's. The topic becomes a directory's name: only what
   * Apache's TopicValidator lets pass may be believed.
   */
  isPlausible(): boolean {
    if (this.queueId < 0 || this.queueOffset < 0 || this.topicBytes === 0) return false;
    const { buf, topicAt, topicBytes } = this;
    for (let i = topicAt; i < topicAt + topicBytes; i++) {
      const c = buf[i];
      if (c <= SPACE || c >= DELETE || c === SLASH || c === BACKSLASH) return false;
    }
    return buf[topicAt] !== DOT;
  }

  topic(): string {
    return this.buf.toString("utf8", this.topicAt, this.topicAt + this.topicBytes);
  }

  properties(): string {
    return this.buf.toString("utf8", this.propertiesAt, this.propertiesAt + this.propertiesBytes);
  }

  body(): Buffer {
    return this.buf.subarray(this.bodyAt, this.bodyAt + this.bodyBytes);
  }

  bornHost(): Buffer {
    return this.buf.subarray(this.bornHostAt, this.bornHostAt + this.bornHostBytes);
  }

  storeHost(): Buffer {
    return this.buf.subarray(this.storeHostAt, this.storeHostAt + this.storeHostBytes);
  }
}
