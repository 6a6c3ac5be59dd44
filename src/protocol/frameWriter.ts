/** Writes whole frames, request or reply, in the serialization that the other side uses (layouts: headerView.ts). */
import { Buffer } from "node:buffer";
import { CURRENT_VERSION } from "./generated/versions.ts";
import { SERIALIZE_ROCKETMQ } from "./headerView.ts";

export type Fields = Record<string, string | number | boolean | undefined>;

export interface FrameHead {
  code: number;
  flag: number;
  opaque: number;
  serialization: number;
  remark?: string | undefined;
  /** Become extFields; undefined ones are left out. Undefined as a whole: no extFields at all. */
  fields?: Fields | undefined;
}

/** One frame as a buffer. `body` is copied. */
export function encodeFrame(head: FrameHead, body: Buffer | string | undefined): Buffer {
  const header = head.serialization === SERIALIZE_ROCKETMQ ? binaryHeader(head) : Buffer.from(jsonHeader(head));
  const bodyBytes = body === undefined ? 0 : typeof body === "string" ? Buffer.byteLength(body) : body.length;
  const frame = Buffer.allocUnsafe(8 + header.length + bodyBytes);
  frame.writeInt32BE(4 + header.length + bodyBytes, 0);
  frame.writeInt32BE((head.serialization << 24) | header.length, 4);
  header.copy(frame, 8);
  if (typeof body === "string") frame.write(body, 8 + header.length);
  else if (body !== undefined) body.copy(frame, 8 + header.length);
  return frame;
}

/** Field order is Apache's (alphabetical, as fastjson writes it); values are always strings: Go parses nothing else. */
function jsonHeader(head: FrameHead): string {
  let text = `{"code":${head.code}`;
  if (head.fields !== undefined) {
    text += ',"extFields":{';
    let first = true;
    for (const name in head.fields) {
      const value = head.fields[name];
      if (value === undefined) continue;
      text += `${first ? "" : ","}"${name}":${typeof value === "string" ? JSON.stringify(value) : `"${value}"`}`;
      first = false;
    }
    text += "}";
  }
  text += `,"flag":${head.flag},"language":"JAVA","opaque":${head.opaque}`;
  if (head.remark !== undefined) text += `,"remark":${JSON.stringify(head.remark)}`;
  return `${text},"serializeTypeCurrentRPC":"JSON","version":${CURRENT_VERSION}}`;
}

function binaryHeader(head: FrameHead): Buffer {
  const remark = Buffer.from(head.remark ?? "");
  const parts: Buffer[] = [];
  for (const name in head.fields) {
    const value = head.fields[name];
    if (value === undefined) continue;
    const key = Buffer.from(name);
    const bytes = Buffer.from(String(value));
    const lengths = Buffer.alloc(6 + key.length);
    lengths.writeInt16BE(key.length, 0);
    key.copy(lengths, 2);
    lengths.writeInt32BE(bytes.length, 2 + key.length);
    parts.push(lengths, bytes);
  }
  const ext = Buffer.concat(parts);
  const header = Buffer.alloc(21 + remark.length + ext.length);
  header.writeInt16BE(head.code, 0);
  header[2] = 0; // LanguageCode.JAVA
  header.writeInt16BE(CURRENT_VERSION, 3);
  header.writeInt32BE(head.opaque, 5);
  header.writeInt32BE(head.flag, 9);
  header.writeInt32BE(remark.length, 13);
  remark.copy(header, 17);
  header.writeInt32BE(ext.length, 17 + remark.length);
  ext.copy(header, 21 + remark.length);
  return header;
}
