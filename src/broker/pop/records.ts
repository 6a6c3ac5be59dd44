/**
 * The records of the pop journal, byte for byte as Apache writes them into its revive topic (PopCheckPoint, AckMsg,
 * BatchAckMsg as JSON under the tags ck, ack, bAck), and a fourth kind of our own under a tag that Apache passes over:
 *
 *   ck     {"bm":0,"bn":broker,"c":group,"d":[0,2],"it":60000,"n":2,"pt":popTime,"q":queue,"reviveTime":..,"ro":0,"so":5,"sp":false,"t":topic}
 *   ack    {"ao":6,"bn":broker,"c":group,"pt":popTime,"q":queue,"so":5,"t":topic}
 *   bAck   {"ao":-1,"aol":[5,7],"bn":broker,"c":group,"pt":popTime,"q":queue,"so":5,"t":topic}
 *   order  {"c":group,"co":offset,"oi":{OrderInfo},"q":queue,"t":topic}
 *
 * Properties: TAGS; TIMER_DELIVER_MS, the time of writing: from it Apache's revive service learns how far the journal has
 * come; and on ours SKYLARK_POP, `next [so pt]`: the offset to which the pop moved its queue (-1: not at all) and, when
 * it takes the place of another checkpoint's message, that checkpoint.
 */
import { Buffer } from "node:buffer";
import { parseProperties } from "../../message/properties.ts";
import type { RecordView } from "../../message/record.ts";
import { ascii, putDecimal, putPiece } from "../../protocol/asciiWriter.ts";
import { type Bean, integerKey, readBean, toInteger } from "../../protocol/bodies/reader.ts";
import { writeJavaJson } from "../../protocol/javaJson.ts";
import type { OrderInfoData } from "./orderInfo.ts";
import type { Checkpoint, PopGroup, PopQueue } from "./state.ts";

export const CK_TAG = "ck";
export const ACK_TAG = "ack";
export const BATCH_ACK_TAG = "bAck";
export const ORDER_TAG = "order";
const OURS = "SKYLARK_POP";

const A_BM = ascii('{"bm":');
const A_D = ascii(',"d":[');
const A_IT = ascii(',"it":');
const A_N = ascii(',"n":');
const A_PT = ascii(',"pt":');
const A_Q = ascii(',"q":');
const A_REVIVE = ascii(',"reviveTime":');
const A_RO = ascii(',"ro":0');
const A_RP = ascii(',"rp":"');
const A_SO = ascii(',"so":');
const A_SP_FALSE = ascii(',"sp":false');
const A_SP_TRUE = ascii(',"sp":true');
const A_AO = ascii('{"ao":');
const A_AOL = ascii(',"aol":[');
const COMMA = 0x2c;
const CLOSE = 0x5d;
const QUOTE = 0x22;

/** Constant parts of a group's records, made once. */
interface Names {
  /** `,"c":"group"` */
  group: Buffer;
  /** `,"t":"topic"}` */
  topic: Buffer;
}

/** Encodes bodies and properties into two buffers that are used again for each record. */
export class RecordWriter {
  body: Buffer = Buffer.allocUnsafeSlow(8192);
  bodyEnd = 0;
  properties: Buffer = Buffer.allocUnsafeSlow(256);
  propertiesEnd = 0;
  /** `,"bn":"broker"` */
  readonly #broker: Buffer;
  readonly #names = new WeakMap<PopGroup, Names>();

  constructor(brokerName: string) {
    this.#broker = Buffer.from(`,"bn":${JSON.stringify(brokerName)}`);
  }

  /**
   * @param bitMap messages that are acknowledged already: 0 but for a checkpoint that is written again
   * @param replaced the checkpoint whose message this one takes over; undefined for a pop
   */
  checkpoint(
    checkpoint: Checkpoint,
    bitMap: number,
    next: number,
    replacedStart: number,
    replacedPopTime: number,
    now: number,
  ): void {
    const names = this.#namesOf(checkpoint.queue.group);
    const to = this.body;
    let at = putDecimal(to, putPiece(to, 0, A_BM), bitMap);
    at = putPiece(to, putPiece(to, at, this.#broker), names.group);
    const { diffs } = checkpoint;
    if (diffs !== undefined) {
      at = putPiece(to, at, A_D);
      for (let i = 0; i < diffs.length; i++) {
        if (i > 0) to[at++] = COMMA;
        at = putDecimal(to, at, diffs[i]);
      }
      to[at++] = CLOSE;
    }
    at = putDecimal(to, putPiece(to, at, A_IT), checkpoint.invisibleTime);
    at = putDecimal(to, putPiece(to, at, A_N), checkpoint.count);
    at = putDecimal(to, putPiece(to, at, A_PT), checkpoint.popTime);
    at = putDecimal(to, putPiece(to, at, A_Q), checkpoint.queue.queueId);
    at = putDecimal(to, putPiece(to, at, A_REVIVE), checkpoint.popTime + checkpoint.invisibleTime);
    at = putPiece(to, at, A_RO);
    if (checkpoint.rePutTimes > 0) {
      at = putDecimal(to, putPiece(to, at, A_RP), checkpoint.rePutTimes);
      to[at++] = QUOTE;
    }
    at = putDecimal(to, putPiece(to, at, A_SO), checkpoint.startOffset);
    at = putPiece(to, at, checkpoint.suspend ? A_SP_TRUE : A_SP_FALSE);
    this.bodyEnd = putPiece(to, at, names.topic);
    this.#properties(CK_PROPERTIES, now);
    this.#ours(next, replacedStart, replacedPopTime);
  }

  /** Acknowledges the messages of `mask`. */
  acks(checkpoint: Checkpoint, mask: number, now: number): void {
    const to = this.body;
    let at = putPiece(to, 0, A_AO);
    const single = (mask & (mask - 1)) === 0;
    if (single) {
      at = putDecimal(to, at, checkpoint.offsetAt(31 - Math.clz32(mask)));
    } else {
      at = putPiece(to, putDecimal(to, at, -1), A_AOL);
      let first = true;
      for (let i = 0; i < checkpoint.count; i++) {
        if ((mask & (1 << i)) === 0) continue;
        if (!first) to[at++] = COMMA;
        first = false;
        at = putDecimal(to, at, checkpoint.offsetAt(i));
      }
      to[at++] = CLOSE;
    }
    this.#ackRest(at, checkpoint.queue, checkpoint.popTime, checkpoint.startOffset);
    this.#properties(single ? ACK_PROPERTIES : BATCH_ACK_PROPERTIES, now);
    this.#ours(-1, -1, -1);
  }

  /** Acknowledges one message of a checkpoint that is not known (yet). */
  ackOf(queue: PopQueue, startOffset: number, popTime: number, offset: number, now: number): void {
    const at = putDecimal(this.body, putPiece(this.body, 0, A_AO), offset);
    this.#ackRest(at, queue, popTime, startOffset);
    // Without our mark: the next start must keep it for the checkpoint that is still to come.
    this.#properties(ACK_PROPERTIES, now);
  }

  #ackRest(start: number, queue: PopQueue, popTime: number, startOffset: number): void {
    const names = this.#namesOf(queue.group);
    const to = this.body;
    let at = putPiece(to, putPiece(to, start, this.#broker), names.group);
    at = putDecimal(to, putPiece(to, at, A_PT), popTime);
    at = putDecimal(to, putPiece(to, at, A_Q), queue.queueId);
    at = putDecimal(to, putPiece(to, at, A_SO), startOffset);
    this.bodyEnd = putPiece(to, at, names.topic);
  }

  /** The state of a queue consumed in order; `undefined`: there is none any more. */
  order(queue: PopQueue, committed: number, info: OrderInfoData | undefined, now: number): void {
    const { topic, group } = queue.group;
    const text = writeJavaJson({ c: group, co: committed, oi: info, q: queue.queueId, t: topic });
    const bytes = Buffer.byteLength(text);
    if (bytes > this.body.length) this.body = Buffer.allocUnsafeSlow(2 * bytes);
    this.bodyEnd = this.body.write(text, 0);
    this.#properties(ORDER_PROPERTIES, now);
    this.#ours(-1, -1, -1);
  }

  #properties(head: Buffer, now: number): void {
    const at = putDecimal(this.properties, putPiece(this.properties, 0, head), now);
    this.properties[at] = 0x02;
    this.propertiesEnd = at + 1;
  }

  #ours(next: number, replacedStart: number, replacedPopTime: number): void {
    const to = this.properties;
    let at = putDecimal(to, putPiece(to, this.propertiesEnd, OURS_NAME), next);
    if (replacedStart >= 0) {
      to[at] = 0x20;
      at = putDecimal(to, at + 1, replacedStart);
      to[at] = 0x20;
      at = putDecimal(to, at + 1, replacedPopTime);
    }
    to[at] = 0x02;
    this.propertiesEnd = at + 1;
  }

  #namesOf(group: PopGroup): Names {
    let names = this.#names.get(group);
    if (names === undefined) {
      names = {
        group: Buffer.from(`,"c":${JSON.stringify(group.group)}`),
        topic: Buffer.from(`,"t":${JSON.stringify(group.topic)}}`),
      };
      this.#names.set(group, names);
    }
    return names;
  }
}

const propertiesOf = (tag: string): Buffer => ascii(`TAGS\u0001${tag}\u0002TIMER_DELIVER_MS\u0001`);
const CK_PROPERTIES = propertiesOf(CK_TAG);
const ACK_PROPERTIES = propertiesOf(ACK_TAG);
const BATCH_ACK_PROPERTIES = propertiesOf(BATCH_ACK_TAG);
const ORDER_PROPERTIES = propertiesOf(ORDER_TAG);
const OURS_NAME = ascii(`${OURS}\u0001`);

/** A record read back. */
export type JournalRecord = CheckpointRecord | AckRecord | OrderRecord;

export interface CheckpointRecord {
  kind: "ck";
  topic: string;
  group: string;
  queueId: number;
  brokerName: string | undefined;
  startOffset: number;
  popTime: number;
  invisibleTime: number;
  count: number;
  diffs: number[] | undefined;
  bitMap: number;
  suspend: boolean;
  rePutTimes: number;
  /** Written by this server's kind. */
  ours: boolean;
  next: number;
  replaced: { startOffset: number; popTime: number } | undefined;
}

export interface AckRecord {
  kind: "ack";
  topic: string;
  group: string;
  queueId: number;
  startOffset: number;
  popTime: number;
  offsets: number[];
  /** Written by this server's kind, for a checkpoint that it knew. */
  ours: boolean;
}

export interface OrderRecord {
  kind: "order";
  topic: string;
  group: string;
  queueId: number;
  committed: number;
  info: OrderInfoData | undefined;
}

/** Reads a record of the revive topic; undefined for one of no known kind. @throws BodyError for damaged JSON */
export function readRecord(view: RecordView): JournalRecord | undefined {
  const properties = parseProperties(view.properties());
  const tag = properties.get("TAGS");
  const body = view.body();
  if (tag === CK_TAG) return readCheckpoint(readBean("PopCheckPoint", body), properties.get(OURS));
  if (tag === ACK_TAG || tag === BATCH_ACK_TAG) return readAck(readBean("AckMsg", body), properties.has(OURS));
  if (tag === ORDER_TAG) return readOrder(readBean("OrderRecord", body));
  return undefined;
}

/** Most messages of a checkpoint: its bit map is an int. */
const MESSAGES_MAX = 32;

function readCheckpoint(bean: Bean, ours: string | undefined): CheckpointRecord | undefined {
  const topic = bean.text("t");
  const group = bean.text("c");
  const count = bean.integer("n", 0);
  // Apache passes over those without names, too.
  if (topic === undefined || group === undefined || count <= 0 || count > MESSAGES_MAX) return undefined;
  const diffs = bean.list("d", toInteger);
  const [next, replacedStart, replacedPopTime] = (ours ?? "").split(" ").map(Number);
  return {
    kind: "ck",
    topic,
    group,
    queueId: bean.integer("q", 0),
    brokerName: bean.text("bn"),
    startOffset: bean.integer("so", 0),
    popTime: bean.integer("pt", 0),
    invisibleTime: bean.integer("it", 0),
    count,
    diffs: diffs === undefined || diffs.length === 0 || isDense(diffs) ? undefined : diffs,
    bitMap: bean.integer("bm", 0) | 0,
    suspend: bean.boolean("sp", false),
    rePutTimes: Number(bean.text("rp") ?? 0) || 0,
    ours: ours !== undefined,
    next: ours === undefined || !Number.isSafeInteger(next) ? -1 : next,
    replaced:
      Number.isSafeInteger(replacedStart) && Number.isSafeInteger(replacedPopTime)
        ? { startOffset: replacedStart, popTime: replacedPopTime }
        : undefined,
  };
}

function isDense(diffs: readonly number[]): boolean {
  return diffs.every((diff, i) => diff === i);
}

/** Also the long names that releases before 5.1 wrote. */
function readAck(bean: Bean, ours: boolean): AckRecord | undefined {
  const topic = bean.text("t") ?? bean.text("topic");
  const group = bean.text("c") ?? bean.text("consumerGroup");
  if (topic === undefined || group === undefined) return undefined;
  const number = (short: string, long: string): number => bean.integer(short, bean.integer(long, 0));
  const list = bean.list("aol", toInteger) ?? bean.list("ackOffsetList", toInteger);
  return {
    kind: "ack",
    topic,
    group,
    queueId: number("q", "queueId"),
    startOffset: number("so", "startOffset"),
    popTime: number("pt", "popTime"),
    offsets: list ?? [number("ao", "ackOffset")],
    ours,
  };
}

function readOrder(bean: Bean): OrderRecord | undefined {
  const topic = bean.text("t");
  const group = bean.text("c");
  if (topic === undefined || group === undefined) return undefined;
  return {
    kind: "order",
    topic,
    group,
    queueId: bean.integer("q", 0),
    committed: bean.integer("co", -1),
    info: bean.bean("oi", readOrderInfo),
  };
}

/** OrderInfo as in consumerOrderInfo.json. */
export function readOrderInfo(bean: Bean): OrderInfoData {
  return {
    popTime: bean.integer("popTime", 0),
    i: bean.integer("i", 0),
    o: bean.list("o", toInteger) ?? [],
    ot: bean.map("ot", integerKey, toInteger),
    oc: bean.map("oc", integerKey, toInteger),
    l: bean.integer("l", 0),
    cm: bean.integer("cm", 0),
    a: bean.text("a"),
  };
}
