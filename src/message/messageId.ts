/**
 * Offset message ids: the store host (address, port) and the log offset as upper-case hex, 32 characters for IPv4 and
 * 56 for IPv6 (MessageDecoder.createMessageId). A client dials the host inside the id to read the message.
 */
import { Buffer } from "node:buffer";
import { readInt64, writeInt64 } from "../base/int64.ts";

export interface MessageId {
  /** Host bytes as in a record: address, then port as int32. */
  host: Buffer;
  logOffset: number;
}

export function formatMessageId(host: Buffer, logOffset: number): string {
  const bytes = Buffer.alloc(host.length + 8);
  host.copy(bytes);
  writeInt64(bytes, logOffset, host.length);
  return bytes.toString("hex").toUpperCase();
}

/** Parses an offset message id; undefined when it is not one. */
export function parseMessageId(id: string): MessageId | undefined {
  if ((id.length !== 32 && id.length !== 56) || !/^[0-9a-fA-F]+$/.test(id)) return undefined;
  const bytes = Buffer.from(id, "hex");
  const host = bytes.subarray(0, bytes.length - 8);
  try {
    return { host, logOffset: readInt64(bytes, host.length) };
  } catch {
    return undefined;
  }
}

/** The ids of messages that one request appended, comma-joined as a batch reply carries them. */
export function messageIdsOf(host: Buffer, logOffsets: readonly number[]): string {
  return logOffsets.map((offset) => formatMessageId(host, offset)).join(",");
}
