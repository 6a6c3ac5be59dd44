/**
 * A message about to be appended, as ranges of other people's buffers: nothing is copied before it is encoded into the
 * log's tail. One draft object serves a whole connection loop; all fields are set for each message.
 */
import { Buffer } from "node:buffer";
import { bodyCrc32 } from "../base/crc32.ts";
import { writeInt32, writeInt64 } from "../base/int64.ts";
import { MAGIC_V1, MAGIC_V2, recordBytes } from "./record.ts";
import { BORN_HOST_V6, STORE_HOST_V6 } from "./sysFlag.ts";

const NOTHING: Buffer = Buffer.alloc(0);

export class MessageDraft {
  queueId = 0;
  flag = 0;
  /** Host-family bits are set by {@link MessageDraft.setHosts}. */
  sysFlag = 0;
  bornTimestamp = 0;
  bornHost: Buffer = NOTHING;
  storeHost: Buffer = NOTHING;
  storeTimestamp = 0;
  reconsumeTimes = 0;
  preparedTransactionOffset = 0;
  tagsCode = 0;
  topic: Buffer = NOTHING;
  body: Buffer = NOTHING;
  bodyStart = 0;
  bodyEnd = 0;
  properties: Buffer = NOTHING;
  propertiesStart = 0;
  propertiesEnd = 0;
  /** Properties that the broker adds to every message, already encoded; may be empty. */
  suffix: Buffer = NOTHING;
  /** What was taken before is written again: maxMessageSize, which may have become smaller since, does not count. */
  taken = false;

  setHosts(bornHost: Buffer, storeHost: Buffer): void {
    this.bornHost = bornHost;
    this.storeHost = storeHost;
    this.sysFlag &= ~(BORN_HOST_V6 | STORE_HOST_V6);
    if (bornHost.length === 20) this.sysFlag |= BORN_HOST_V6;
    if (storeHost.length === 20) this.sysFlag |= STORE_HOST_V6;
  }

  /** Bytes of properties in the record: a separator is added when the client's part is not closed by one. */
  propertiesBytes(): number {
    const own = this.propertiesEnd - this.propertiesStart;
    return own + this.suffix.length + (this.#needsSeparator() ? 1 : 0);
  }

  totalBytes(): number {
    return recordBytes(this.sysFlag, this.bodyEnd - this.bodyStart, this.topic.length, this.propertiesBytes());
  }

  #needsSeparator(): boolean {
    return (
      this.suffix.length > 0 &&
      this.propertiesEnd > this.propertiesStart &&
      this.properties[this.propertiesEnd - 1] !== 0x02
    );
  }

  /** Encodes the record at `to[at]`, which has room for `totalBytes`. Layout: record.ts. */
  encode(to: Buffer, at: number, totalBytes: number, queueOffset: number, logOffset: number): void {
    const bodyBytes = this.bodyEnd - this.bodyStart;
    writeInt32(to, totalBytes, at);
    writeInt32(to, this.topic.length > 127 ? MAGIC_V2 : MAGIC_V1, at + 4);
    writeInt32(to, bodyBytes === 0 ? 0 : bodyCrc32(this.body, this.bodyStart, this.bodyEnd), at + 8);
    writeInt32(to, this.queueId, at + 12);
    writeInt32(to, this.flag, at + 16);
    writeInt64(to, queueOffset, at + 20);
    writeInt64(to, logOffset, at + 28);
    writeInt32(to, this.sysFlag, at + 36);
    writeInt64(to, this.bornTimestamp, at + 40);
    let o = copyShort(this.bornHost, to, at + 48, 0, this.bornHost.length);
    writeInt64(to, this.storeTimestamp, o);
    o = copyShort(this.storeHost, to, o + 8, 0, this.storeHost.length);
    writeInt32(to, this.reconsumeTimes, o);
    writeInt64(to, this.preparedTransactionOffset, o + 4);
    writeInt32(to, bodyBytes, o + 12);
    o += 16;
    o = copyRange(this.body, to, o, this.bodyStart, this.bodyEnd);
    const topicBytes = this.topic.length;
    if (topicBytes > 127) to[o++] = topicBytes >> 8;
    to[o++] = topicBytes;
    o = copyShort(this.topic, to, o, 0, topicBytes);
    const propertiesBytes = this.propertiesBytes();
    to[o] = propertiesBytes >> 8;
    to[o + 1] = propertiesBytes;
    o += 2;
    o = copyRange(this.properties, to, o, this.propertiesStart, this.propertiesEnd);
    if (this.#needsSeparator()) to[o++] = 0x02;
    copyRange(this.suffix, to, o, 0, this.suffix.length);
  }
}

/** Up to here a loop is not slower than Buffer.copy, which makes an object of 100 bytes for each range (measured on Node 20). */
const SHORT_BYTES = 64;

function copyRange(from: Buffer, to: Buffer, at: number, start: number, end: number): number {
  if (end - start <= SHORT_BYTES) return copyShort(from, to, at, start, end);
  from.copy(to, at, start, end);
  return at + end - start;
}

/** For a handful of bytes a loop is cheaper than the call into native code. */
function copyShort(from: Buffer, to: Buffer, at: number, start: number, end: number): number {
  let o = at;
  for (let i = start; i < end; i++) to[o++] = from[i];
  return o;
}
