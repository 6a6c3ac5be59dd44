/**
 * The wire side of SEND_MESSAGE (10, long field names), SEND_MESSAGE_V2 (310) and SEND_BATCH_MESSAGE (320, one-letter
 * names): request header to a reused typed object, acknowledgement to bytes. Written by hand because they are hot; the
 * generated schemas stay the reference (sendCodec.test.ts compares).
 *
 *   V2: a producerGroup | b topic | c defaultTopic | d defaultTopicQueueNums | e queueId | f sysFlag | g bornTimestamp
 *       h flag | i properties | j reconsumeTimes | k unitMode | l maxReconsumeTimes | m batch | n brokerName
 */
import { Buffer } from "node:buffer";
import { Interner } from "../base/interner.ts";
import { ascii, putBytes, putDecimal, putHex16, putPiece } from "./asciiWriter.ts";
import type { ReplyOut } from "./dispatch.ts";
import { CURRENT_VERSION } from "./generated/versions.ts";
import { HeaderError, type HeaderView, SERIALIZE_ROCKETMQ } from "./headerView.ts";

const names = new Interner();

/** Field letter (or long name) to its number; the number is the bit in `seen`. */
const LONG_NAMES = [
  "producerGroup",
  "topic",
  "defaultTopic",
  "defaultTopicQueueNums",
  "queueId",
  "sysFlag",
  "bornTimestamp",
  "flag",
  "properties",
  "reconsumeTimes",
  "unitMode",
  "maxReconsumeTimes",
  "batch",
];
/** a, b, c, d, e, f, g, h must be there (CFNotNull). */
const REQUIRED = 0xff;

export class SendRequest {
  topic = "";
  queueId = 0;
  sysFlag = 0;
  bornTimestamp = 0;
  flag = 0;
  reconsumeTimes = 0;
  /** -1: not given, the group's own limit counts. */
  maxReconsumeTimes = -1;
  defaultTopicQueueNums = 0;
  unitMode = false;
  batch = false;
  /** Property bytes in the frame. */
  propertiesStart = 0;
  propertiesEnd = 0;
  #view!: HeaderView;
  #groupField = 0;
  #defaultTopicField = 0;

  /** Asked for rarely, so made only then. */
  get producerGroup(): string {
    return this.#view.valueText(this.#groupField);
  }

  get defaultTopic(): string {
    return this.#view.valueText(this.#defaultTopicField);
  }

  /** @throws HeaderError naming the field that is missing or no number */
  read(view: HeaderView, shortNames: boolean): void {
    this.#view = view;
    this.reconsumeTimes = 0;
    this.maxReconsumeTimes = -1;
    this.unitMode = false;
    this.batch = false;
    this.propertiesStart = 0;
    this.propertiesEnd = 0;
    let seen = 0;
    for (let i = 0; i < view.count; i++) {
      const field = shortNames ? letter(view, i) : LONG_NAMES.indexOf(view.keyText(i));
      if (field < 0) continue;
      seen |= 1 << field;
      this.#set(view, field, i);
    }
    if ((seen & REQUIRED) !== REQUIRED) {
      const missing = LONG_NAMES.find((_, field) => (REQUIRED & ~seen & (1 << field)) !== 0) as string;
      const name = shortNames ? String.fromCharCode(97 + LONG_NAMES.indexOf(missing)) : missing;
      throw new HeaderError(`the custom field <${name}> is null`);
    }
  }

  #set(view: HeaderView, field: number, i: number): void {
    switch (field) {
      case 0:
        this.#groupField = i;
        break;
      case 1:
        this.topic = names.get(view.buf, view.valueStart[i], view.valueEnd[i]);
        break;
      case 2:
        this.#defaultTopicField = i;
        break;
      case 3:
        this.defaultTopicQueueNums = view.int(i);
        break;
      case 4:
        this.queueId = view.int(i);
        break;
      case 5:
        this.sysFlag = view.int(i);
        break;
      case 6:
        this.bornTimestamp = view.long(i);
        break;
      case 7:
        this.flag = view.int(i);
        break;
      case 8:
        this.propertiesStart = view.valueStart[i];
        this.propertiesEnd = view.valueEnd[i];
        break;
      case 9:
        this.reconsumeTimes = view.int(i);
        break;
      case 10:
        this.unitMode = view.boolean(i);
        break;
      case 11:
        this.maxReconsumeTimes = view.int(i);
        break;
      case 12:
        this.batch = view.boolean(i);
        break;
    }
  }
}

/** Number of the field with a one-letter key, -1 for another key. `n` (broker name) and beyond mean nothing here. */
function letter(view: HeaderView, i: number): number {
  const at = view.keyStart[i];
  if (view.keyEnd[i] - at !== 1) return -1;
  const field = view.buf[at] - 97;
  return field >= 0 && field <= 12 ? field : -1;
}

/** The constant parts of an acknowledgement in both serializations; made once per broker configuration. */
export class SendReplyPieces {
  readonly #jsonHead: Buffer;
  readonly #binaryHead: Buffer;

  /** @param storeHost host bytes that begin every offset message id of this broker */
  constructor(regionId: string, traceOn: boolean, storeHost: Buffer) {
    const region = JSON.stringify(regionId);
    const id = storeHost.toString("hex").toUpperCase();
    this.#jsonHead = Buffer.from(
      `{"code":0,"extFields":{"MSG_REGION":${region},"TRACE_ON":"${traceOn}","msgId":"${id}`,
    );
    this.#binaryHead = Buffer.concat([
      binaryField("MSG_REGION", regionId),
      binaryField("TRACE_ON", String(traceOn)),
      // The value's length counts the 16 digits of the log offset that follow.
      binaryKey("msgId", id.length + 16),
      ascii(id),
    ]);
  }

  /** Writes the acknowledgement of one message. `uniqueKey` is what Apache calls the transaction id. */
  write(out: ReplyOut, serialization: number, opaque: number, reply: SendReplyFields): void {
    const binary = serialization === SERIALIZE_ROCKETMQ;
    const head = binary ? this.#binaryHead : this.#jsonHead;
    const start = out.reserve(head.length + REPLY_REST_BYTES + reply.uniqueKeyBytes);
    const to = out.slab;
    const at = binary ? binaryReply(to, start + 8, head, opaque, reply) : jsonReply(to, start + 8, head, opaque, reply);
    const bytes = at - start - 8;
    to.writeInt32BE(4 + bytes, start);
    to.writeInt32BE((serialization << 24) | bytes, start + 4);
    out.commit(at);
  }
}

/** What differs between acknowledgements. */
export interface SendReplyFields {
  logOffset: number;
  queueOffset: number;
  queueId: number;
  uniqueKey: Buffer;
  uniqueKeyBytes: number;
}

/** Bound on what follows the constant head, without the unique key. */
const REPLY_REST_BYTES = 320;
const JSON_QUEUE_ID = ascii('","queueId":"');
const JSON_QUEUE_OFFSET = ascii('","queueOffset":"');
const JSON_TRANSACTION_ID = ascii('","transactionId":"');
const JSON_TAIL = ascii('"},"flag":1,"language":"JAVA","opaque":');
const JSON_END = ascii(`,"serializeTypeCurrentRPC":"JSON","version":${CURRENT_VERSION}}`);

function jsonReply(to: Buffer, start: number, head: Buffer, opaque: number, reply: SendReplyFields): number {
  let at = putHex16(to, putPiece(to, start, head), reply.logOffset);
  at = putDecimal(to, putPiece(to, at, JSON_QUEUE_ID), reply.queueId);
  at = putDecimal(to, putPiece(to, at, JSON_QUEUE_OFFSET), reply.queueOffset);
  if (reply.uniqueKeyBytes > 0) {
    at = putBytes(to, putPiece(to, at, JSON_TRANSACTION_ID), reply.uniqueKey, 0, reply.uniqueKeyBytes);
  }
  at = putDecimal(to, putPiece(to, at, JSON_TAIL), opaque);
  return putPiece(to, at, JSON_END);
}

const BINARY_QUEUE_ID = binaryKey("queueId", 0);
const BINARY_QUEUE_OFFSET = binaryKey("queueOffset", 0);
const BINARY_TRANSACTION_ID = binaryKey("transactionId", 0);

function binaryReply(to: Buffer, start: number, head: Buffer, opaque: number, reply: SendReplyFields): number {
  to.writeInt16BE(0, start); // SUCCESS
  to[start + 2] = 0; // LanguageCode.JAVA
  to.writeInt16BE(CURRENT_VERSION, start + 3);
  to.writeInt32BE(opaque, start + 5);
  to.writeInt32BE(1, start + 9); // a response
  to.writeInt32BE(0, start + 13); // no remark
  const extAt = start + 17;
  let at = putHex16(to, putPiece(to, extAt + 4, head), reply.logOffset);
  at = binaryDecimal(to, at, BINARY_QUEUE_ID, reply.queueId);
  at = binaryDecimal(to, at, BINARY_QUEUE_OFFSET, reply.queueOffset);
  if (reply.uniqueKeyBytes > 0) {
    at = putPiece(to, at, BINARY_TRANSACTION_ID);
    to.writeInt32BE(reply.uniqueKeyBytes, at - 4);
    at = putBytes(to, at, reply.uniqueKey, 0, reply.uniqueKeyBytes);
  }
  to.writeInt32BE(at - extAt - 4, extAt);
  return at;
}

/** A field with a decimal value, whose length is written behind the key once it is known. */
function binaryDecimal(to: Buffer, start: number, key: Buffer, value: number): number {
  const at = putPiece(to, start, key);
  const end = putDecimal(to, at, value);
  to.writeInt32BE(end - at, at - 4);
  return end;
}

function binaryKey(name: string, valueBytes: number): Buffer {
  const key = Buffer.alloc(6 + name.length);
  key.writeInt16BE(name.length, 0);
  key.write(name, 2, "latin1");
  key.writeInt32BE(valueBytes, 2 + name.length);
  return key;
}

function binaryField(name: string, value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([binaryKey(name, bytes.length), bytes]);
}
