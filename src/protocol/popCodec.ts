/**
 * The wire side of POP_MESSAGE (200050) and ACK_MESSAGE (200051): request headers to reused typed objects, reply heads to
 * bytes. The body of a pop reply is log bytes, copied behind the head by the handler. JSON headers only: the codes do not
 * fit into the two bytes that the binary header has for them.
 */
import type { Buffer } from "node:buffer";
import { Interner } from "../base/interner.ts";
import { ascii, putDecimal, putPiece } from "./asciiWriter.ts";
import type { ReplyOut } from "./dispatch.ts";
import { ExtraInfo, type OffsetInfo } from "./extraInfo.ts";
import { CURRENT_VERSION } from "./generated/versions.ts";
import { HeaderError, type HeaderView } from "./headerView.ts";

const names = new Interner();

/** PopMessageRequestHeader. Numbers that are not sent are 0, as Java's primitives; group and topic are required. */
export class PopRequest {
  group = "";
  topic = "";
  queueId = 0;
  maxMsgNums = 0;
  /** ms */
  invisibleTime = 0;
  /** ms that the client wants to wait for a message. */
  pollTime = 0;
  /** ms of the client's clock; 0: not said. */
  bornTime = 0;
  initMode = 0;
  expType: string | undefined = undefined;
  exp: string | undefined = undefined;
  order = false;
  attemptId: string | undefined = undefined;
  opaque = 0;
  serialization = 0;

  /** @throws HeaderError naming the field that is missing or no number */
  read(view: HeaderView): void {
    this.group = "";
    this.topic = "";
    this.queueId = 0;
    this.maxMsgNums = 0;
    this.invisibleTime = 0;
    this.pollTime = 0;
    this.bornTime = 0;
    this.initMode = 0;
    this.expType = undefined;
    this.exp = undefined;
    this.order = false;
    this.attemptId = undefined;
    this.opaque = view.opaque;
    this.serialization = view.serialization;
    for (let i = 0; i < view.count; i++) this.#field(view, i);
    if (this.group === "") throw new HeaderError("the custom field <consumerGroup> is null");
    if (this.topic === "") throw new HeaderError("the custom field <topic> is null");
  }

  #field(view: HeaderView, i: number): void {
    switch (view.keyEnd[i] - view.keyStart[i]) {
      case 3:
        if (view.isNamed(i, "exp")) this.exp = textOf(view, i);
        break;
      case 5:
        if (view.isNamed(i, "topic")) this.topic = textOf(view, i);
        else if (view.isNamed(i, "order")) this.order = view.boolean(i);
        break;
      case 7:
        if (view.isNamed(i, "queueId")) this.queueId = view.int(i);
        else if (view.isNamed(i, "expType")) this.expType = textOf(view, i);
        break;
      case 8:
        if (view.isNamed(i, "pollTime")) this.pollTime = view.long(i);
        else if (view.isNamed(i, "bornTime")) this.bornTime = view.long(i);
        else if (view.isNamed(i, "initMode")) this.initMode = view.int(i);
        break;
      case 9:
        if (view.isNamed(i, "attemptId")) this.attemptId = view.valueText(i);
        break;
      case 10:
        if (view.isNamed(i, "maxMsgNums")) this.maxMsgNums = view.int(i);
        break;
      case 13:
        if (view.isNamed(i, "consumerGroup")) this.group = textOf(view, i);
        else if (view.isNamed(i, "invisibleTime")) this.invisibleTime = view.long(i);
        break;
    }
  }
}

/** AckMessageRequestHeader, with its handle taken apart. */
export class AckRequest {
  group = "";
  topic = "";
  queueId = 0;
  /** Queue offset of the message. */
  offset = 0;
  liteTopic = "";
  readonly handle = new ExtraInfo();
  brokerName = "";
  opaque = 0;
  serialization = 0;

  /** @throws HeaderError naming the field; @throws ExtraInfoError when the handle cannot be read */
  read(view: HeaderView): void {
    this.opaque = view.opaque;
    this.serialization = view.serialization;
    this.liteTopic = "";
    let seen = 0;
    let handleAt = -1;
    for (let i = 0; i < view.count; i++) {
      switch (view.keyEnd[i] - view.keyStart[i]) {
        case 5:
          if (view.isNamed(i, "topic")) {
            this.topic = textOf(view, i);
            seen |= 1;
          }
          break;
        case 6:
          if (view.isNamed(i, "offset")) {
            this.offset = view.long(i);
            seen |= 2;
          }
          break;
        case 7:
          if (view.isNamed(i, "queueId")) {
            this.queueId = view.int(i);
            seen |= 4;
          }
          break;
        case 9:
          if (view.isNamed(i, "extraInfo")) {
            handleAt = i;
            seen |= 8;
          } else if (view.isNamed(i, "liteTopic")) this.liteTopic = textOf(view, i);
          break;
        case 13:
          if (view.isNamed(i, "consumerGroup")) {
            this.group = textOf(view, i);
            seen |= 16;
          }
          break;
      }
    }
    if (seen !== 31) throw new HeaderError(`the custom field <${missing(seen)}> is null`);
    this.handle.read(view.buf, view.valueStart[handleAt], view.valueEnd[handleAt]);
    this.brokerName = names.get(view.buf, this.handle.brokerStart, this.handle.brokerEnd);
  }
}

const ACK_REQUIRED = ["topic", "offset", "queueId", "extraInfo", "consumerGroup"];

function missing(seen: number): string {
  return ACK_REQUIRED[ACK_REQUIRED.findIndex((_, bit) => (seen & (1 << bit)) === 0)];
}

function textOf(view: HeaderView, i: number): string {
  return names.get(view.buf, view.valueStart[i], view.valueEnd[i]);
}

/** What every pop reply says, whatever its code (PopMessageResponseHeader). */
export interface PopReplyFields {
  /** ms */
  popTime: number;
  /** ms */
  invisibleTime: number;
  reviveQid: number;
  /** Messages that were left behind. */
  restNum: number;
  startOffsetInfo: OffsetInfo;
  msgOffsetInfo: OffsetInfo;
  /** Only of pops in order. */
  orderCountInfo: OffsetInfo | undefined;
}

const CODE = ascii('{"code":');
const INVISIBLE_TIME = ascii(',"extFields":{"invisibleTime":"');
const MSG_OFFSET_INFO = ascii('","msgOffsetInfo":"');
const ORDER_COUNT_INFO = ascii('","orderCountInfo":"');
const POP_TIME = ascii('","popTime":"');
const REST_NUM = ascii('","restNum":"');
const REVIVE_QID = ascii('","reviveQid":"');
const START_OFFSET_INFO = ascii('","startOffsetInfo":"');
const OPAQUE = ascii('"},"flag":1,"language":"JAVA","opaque":');
const REMARK = ascii(',"remark":"');
const END = ascii(`","serializeTypeCurrentRPC":"JSON","version":${CURRENT_VERSION}}`);
const HEAD_BYTES_MAX = 640;

/**
 * Writes a pop reply up to its body and reserves room for `bodyBytes` behind it.
 * @returns where the body goes in `out.slab`; the caller fills it and calls `out.commit`
 */
export function writePopHead(
  out: ReplyOut,
  opaque: number,
  code: number,
  remark: string,
  fields: PopReplyFields,
  bodyBytes: number,
): number {
  const lists = fields.startOffsetInfo.end + fields.msgOffsetInfo.end + (fields.orderCountInfo?.end ?? 0);
  const start = out.reserve(HEAD_BYTES_MAX + lists + remark.length + bodyBytes);
  const at = jsonHead(out.slab, start + 8, opaque, code, remark, fields);
  finish(out.slab, start, at, bodyBytes);
  return at;
}

function finish(slab: Buffer, start: number, at: number, bodyBytes: number): void {
  const headerBytes = at - start - 8;
  slab.writeInt32BE(4 + headerBytes + bodyBytes, start);
  slab.writeInt32BE(headerBytes, start + 4);
}

function jsonHead(
  to: Buffer,
  start: number,
  opaque: number,
  code: number,
  remark: string,
  fields: PopReplyFields,
): number {
  let at = putDecimal(to, putPiece(to, start, CODE), code);
  at = putDecimal(to, putPiece(to, at, INVISIBLE_TIME), fields.invisibleTime);
  at = fields.msgOffsetInfo.copyTo(to, putPiece(to, at, MSG_OFFSET_INFO));
  if (fields.orderCountInfo !== undefined) at = fields.orderCountInfo.copyTo(to, putPiece(to, at, ORDER_COUNT_INFO));
  at = putDecimal(to, putPiece(to, at, POP_TIME), fields.popTime);
  at = putDecimal(to, putPiece(to, at, REST_NUM), fields.restNum);
  at = putDecimal(to, putPiece(to, at, REVIVE_QID), fields.reviveQid);
  at = fields.startOffsetInfo.copyTo(to, putPiece(to, at, START_OFFSET_INFO));
  at = putDecimal(to, putPiece(to, at, OPAQUE), opaque);
  at = putPiece(to, at, REMARK);
  at += to.write(remark, at, "latin1");
  return putPiece(to, at, END);
}

const SUCCESS = ascii('{"code":0,"flag":1,"language":"JAVA","opaque":');
const SUCCESS_END = ascii(`,"serializeTypeCurrentRPC":"JSON","version":${CURRENT_VERSION}}`);

/** Writes a reply that says SUCCESS and nothing else: an acknowledgement's. */
export function writeSuccess(out: ReplyOut, opaque: number): void {
  const start = out.reserve(160);
  const to = out.slab;
  let at = putDecimal(to, putPiece(to, start + 8, SUCCESS), opaque);
  at = putPiece(to, at, SUCCESS_END);
  finish(to, start, at, 0);
  out.commit(at);
}
