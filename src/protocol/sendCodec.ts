/**
 * The wire side of SEND_MESSAGE (10, long field names), SEND_MESSAGE_V2 (310) and SEND_BATCH_MESSAGE (320, one-letter
 * names): request header to a reused typed object, acknowledgement to bytes. Written by hand because they are hot; the
 * generated schemas stay the reference (sendCodec.test.ts compares).
 *
 *   V2: a producerGroup | b topic | c defaultTopic | d defaultTopicQueueNums | e queueId | f sysFlag | g bornTimestamp
 *       h flag | i properties | j reconsumeTimes | k unitMode | l maxReconsumeTimes | m batch | n brokerName
 */
import type { Buffer } from "node:buffer";
import { Interner } from "../base/interner.ts";
import { ascii, putBytes, putDecimal, putHex16, putPiece } from "./asciiWriter.ts";
import type { ReplyOut } from "./dispatch.ts";
import { CURRENT_VERSION } from "./generated/versions.ts";
import { HeaderError, type HeaderView } from "./headerView.ts";

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
        this.defaultTopicQueueNums = view.integer(i);
        break;
      case 4:
        this.queueId = view.integer(i);
        break;
      case 5:
        this.sysFlag = view.integer(i);
        break;
      case 6:
        this.bornTimestamp = view.integer(i);
        break;
      case 7:
        this.flag = view.integer(i);
        break;
      case 8:
        this.propertiesStart = view.valueStart[i];
        this.propertiesEnd = view.valueEnd[i];
        break;
      case 9:
        this.reconsumeTimes = view.integer(i);
        break;
      case 10:
        this.unitMode = view.boolean(i);
        break;
      case 11:
        this.maxReconsumeTimes = view.integer(i);
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

/** The constant parts of an acknowledgement; made once per broker configuration. */
export class SendReplyPieces {
  readonly #head: Buffer;
  readonly #queueId = ascii('","queueId":"');
  readonly #queueOffset = ascii('","queueOffset":"');
  readonly #transactionId = ascii('","transactionId":"');
  readonly #tail = ascii('"},"flag":1,"language":"JAVA","opaque":');
  readonly #end = ascii(`,"serializeTypeCurrentRPC":"JSON","version":${CURRENT_VERSION}}`);
  /** Bound on a reply's size without the transaction id. */
  readonly #bytes: number;

  /** @param storeHost host bytes that begin every offset message id of this broker */
  constructor(regionId: string, traceOn: boolean, storeHost: Buffer) {
    const region = JSON.stringify(regionId);
    const id = storeHost.toString("hex").toUpperCase();
    this.#head = ascii(`{"code":0,"extFields":{"MSG_REGION":${region},"TRACE_ON":"${traceOn}","msgId":"${id}`);
    this.#bytes = this.#head.length + 256;
  }

  /** Writes the JSON acknowledgement of one message. `uniqueKey` is what Apache calls the transaction id. */
  write(
    out: ReplyOut,
    opaque: number,
    logOffset: number,
    queueId: number,
    queueOffset: number,
    uniqueKey: Buffer,
    uniqueKeyBytes: number,
  ): void {
    const start = out.reserve(this.#bytes + uniqueKeyBytes);
    const to = out.slab;
    let at = putPiece(to, start + 8, this.#head);
    at = putHex16(to, at, logOffset);
    at = putPiece(to, at, this.#queueId);
    at = putDecimal(to, at, queueId);
    at = putPiece(to, at, this.#queueOffset);
    at = putDecimal(to, at, queueOffset);
    if (uniqueKeyBytes > 0) {
      at = putPiece(to, at, this.#transactionId);
      at = putBytes(to, at, uniqueKey, 0, uniqueKeyBytes);
    }
    at = putPiece(to, at, this.#tail);
    at = putDecimal(to, at, opaque);
    at = putPiece(to, at, this.#end);
    const bytes = at - start - 8;
    to.writeInt32BE(4 + bytes, start);
    to.writeInt32BE(bytes, start + 4);
    out.commit(at);
  }
}
