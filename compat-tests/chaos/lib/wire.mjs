// The remoting wire and the stored record, written from the wire facts alone: what judges the server must not share its
// code. Mirrors nothing; Apache's RemotingCommand and MessageDecoder define the bytes.
//
// Frame:  length i32 | serialization u8, header length u24 | header | body
// Record: see parseRecords.

import { crc32 } from "node:zlib";

export const CODE = {
  SEND: 310,
  SEND_BATCH: 320,
  PULL: 11,
  QUERY_OFFSET: 14,
  UPDATE_OFFSET: 15,
  CREATE_TOPIC: 17,
  MAX_OFFSET: 30,
  MIN_OFFSET: 31,
  HEART_BEAT: 34,
  SEND_BACK: 36,
  END_TRANSACTION: 37,
  CHECK_TRANSACTION_STATE: 39,
  RECALL: 370,
  ROUTE: 105,
};

export const SUCCESS = 0;
export const PULL_NOT_FOUND = 19;

const JAVA = 0;
const GO_OR_OTHER = "OTHER";
const VERSION = 453;
const ONEWAY = 2;

/**
 * One request frame.
 * @param {{ code: number, opaque: number, ext?: Record<string, unknown>, body?: Buffer, binary?: boolean, oneway?: boolean }} request
 */
export function encodeRequest({ code, opaque, ext = {}, body, binary = false, oneway = false }) {
  const flag = oneway ? ONEWAY : 0;
  const header = binary ? binaryHeader(code, opaque, flag, ext) : jsonHeader(code, opaque, flag, ext);
  return frameOf(binary ? 1 : 0, header, body);
}

/** A frame around header bytes, correct in its lengths. */
export function frameOf(serialization, header, body = Buffer.alloc(0)) {
  const frame = Buffer.allocUnsafe(8 + header.length + body.length);
  frame.writeInt32BE(4 + header.length + body.length, 0);
  frame.writeUInt32BE(((serialization << 24) | header.length) >>> 0, 4);
  header.copy(frame, 8);
  body.copy(frame, 8 + header.length);
  return frame;
}

export function jsonHeader(code, opaque, flag, ext) {
  const extFields = {};
  for (const [key, value] of Object.entries(ext)) if (value !== undefined) extFields[key] = `${value}`;
  return Buffer.from(
    JSON.stringify({
      code,
      extFields,
      flag,
      language: GO_OR_OTHER,
      opaque,
      serializeTypeCurrentRPC: "JSON",
      version: VERSION,
    }),
  );
}

export function binaryHeader(code, opaque, flag, ext) {
  const fields = [];
  for (const [key, value] of Object.entries(ext)) {
    if (value === undefined) continue;
    const k = Buffer.from(key);
    const v = Buffer.from(`${value}`);
    const field = Buffer.allocUnsafe(2 + k.length + 4 + v.length);
    field.writeInt16BE(k.length, 0);
    k.copy(field, 2);
    field.writeInt32BE(v.length, 2 + k.length);
    v.copy(field, 6 + k.length);
    fields.push(field);
  }
  const ext_ = Buffer.concat(fields);
  const head = Buffer.alloc(21);
  // Codes above a short are cut, as Java's cast does.
  head.writeUInt16BE(code & 0xffff, 0);
  head[2] = JAVA;
  head.writeInt16BE(VERSION, 3);
  head.writeInt32BE(opaque, 5);
  head.writeInt32BE(flag, 9);
  head.writeInt32BE(0, 13);
  head.writeInt32BE(ext_.length, 17);
  return Buffer.concat([head, ext_]);
}

/** A reply from the bytes behind a frame's length field. */
export function decodeReply(frame) {
  const word = frame.readUInt32BE(0);
  const headerLength = word & 0xffffff;
  const header = frame.subarray(4, 4 + headerLength);
  const body = frame.subarray(4 + headerLength);
  if (word >>> 24 === 1) return { ...decodeBinary(header), body };
  const json = JSON.parse(header.toString("utf8"));
  return {
    code: json.code,
    opaque: json.opaque,
    flag: json.flag,
    remark: json.remark,
    ext: json.extFields ?? {},
    body,
  };
}

function decodeBinary(header) {
  const remarkLength = header.readInt32BE(13);
  let at = 17 + remarkLength;
  const end = at + 4 + header.readInt32BE(at);
  const ext = {};
  at += 4;
  while (at < end) {
    const keyLength = header.readInt16BE(at);
    const key = header.toString("utf8", at + 2, at + 2 + keyLength);
    at += 2 + keyLength;
    const valueLength = header.readInt32BE(at);
    ext[key] = header.toString("utf8", at + 4, at + 4 + valueLength);
    at += 4 + valueLength;
  }
  return {
    code: header.readInt16BE(0),
    opaque: header.readInt32BE(5),
    flag: header.readInt32BE(9),
    remark: remarkLength > 0 ? header.toString("utf8", 17, 17 + remarkLength) : undefined,
    ext,
  };
}

/** Cuts a stream into frames and gives each (without its length field) to `onFrame`; the bytes are the receiver's. */
export class Splitter {
  #chunks = [];
  #have = 0;

  constructor(onFrame) {
    this.onFrame = onFrame;
  }

  push(chunk) {
    this.#chunks.push(chunk);
    this.#have += chunk.length;
    if (this.#have < 4) return;
    // Only join when the frame at the front is whole, so that a long body costs one copy.
    let front = this.#chunks[0];
    if (front.length < 4) front = this.#join();
    if (this.#have < 4 + front.readInt32BE(0)) return;
    const all = this.#join();
    let at = 0;
    while (all.length - at >= 4) {
      const length = all.readInt32BE(at);
      if (all.length - at - 4 < length) break;
      this.onFrame(all.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    this.#chunks = at < all.length ? [all.subarray(at)] : [];
    this.#have = all.length - at;
  }

  #join() {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}

const KEY_END = "\u0001";
const PAIR_END = "\u0002";

/** Message properties as the wire has them. */
export function properties(map) {
  return Object.entries(map)
    .map(([key, value]) => `${key}${KEY_END}${value}${PAIR_END}`)
    .join("");
}

export function parseProperties(text) {
  const map = {};
  for (const pair of text.split(PAIR_END)) {
    const at = pair.indexOf(KEY_END);
    if (at > 0) map[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return map;
}

/** The body of a batch: (totalSize i32, magic i32, bodyCRC i32, flag i32, bodyLength i32, body, propertiesLength i16, properties)*. */
export function batchBody(messages) {
  return Buffer.concat(
    messages.map(({ body, properties: map }) => {
      const props = Buffer.from(properties(map));
      const one = Buffer.alloc(22 + body.length + props.length);
      one.writeInt32BE(one.length, 0);
      one.writeInt32BE(body.length, 16);
      body.copy(one, 20);
      one.writeInt16BE(props.length, 20 + body.length);
      props.copy(one, 22 + body.length);
      return one;
    }),
  );
}

export function crcOf(body) {
  return crc32(body) & 0x7fffffff;
}

const MAGIC_V1 = 0xdaa320a7;
const MAGIC_V2 = 0xdaa320ab;

/**
 * The records of a pull reply's body.
 *
 * 0 total i32 | 4 magic | 8 bodyCRC | 12 queueId | 16 flag | 20 queueOffset i64 | 28 logOffset i64 | 36 sysFlag |
 * 40 bornTime i64 | born host | storeTime i64 | store host | reconsumeTimes i32 | prepared i64 | body | topic | properties
 * @throws Error on bytes that are no record: a server that hands those out is broken
 */
export function parseRecords(buf) {
  const records = [];
  let at = 0;
  while (at < buf.length) {
    const total = buf.readInt32BE(at);
    const magic = buf.readUInt32BE(at + 4);
    if ((magic !== MAGIC_V1 && magic !== MAGIC_V2) || total < 91 || at + total > buf.length) {
      throw new Error(`no record at byte ${at} of ${buf.length}: total ${total}, magic ${magic.toString(16)}`);
    }
    const sysFlag = buf.readInt32BE(at + 36);
    let p = at + 48 + (sysFlag & 16 ? 20 : 8);
    const storeTime = Number(buf.readBigInt64BE(p));
    p += 8 + (sysFlag & 32 ? 20 : 8);
    const reconsumeTimes = buf.readInt32BE(p);
    p += 12;
    const body = buf.subarray(p + 4, p + 4 + buf.readInt32BE(p));
    p += 4 + body.length;
    const topicLength = magic === MAGIC_V1 ? buf[p] : buf.readUInt16BE(p);
    p += magic === MAGIC_V1 ? 1 : 2;
    const topic = buf.toString("utf8", p, p + topicLength);
    p += topicLength;
    const propsLength = buf.readUInt16BE(p);
    const props = buf.toString("utf8", p + 2, p + 2 + propsLength);
    if (p + 2 + propsLength !== at + total)
      throw new Error(`record at byte ${at}: its parts do not add up to ${total}`);
    records.push({
      topic,
      queueId: buf.readInt32BE(at + 12),
      queueOffset: Number(buf.readBigInt64BE(at + 20)),
      logOffset: Number(buf.readBigInt64BE(at + 28)),
      crc: buf.readInt32BE(at + 8),
      storeTime,
      reconsumeTimes,
      body,
      properties: props,
      bytes: total,
    });
    at += total;
  }
  return records;
}
