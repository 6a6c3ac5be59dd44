/**
 * The wire side of POP_MESSAGE (200050) and ACK_MESSAGE (200051): request headers to reused typed objects, reply heads to
 * bytes. The body of a pop reply is log bytes, copied behind the head by the handler.
 */
import type { Buffer } from "node:buffer";
import { Interner } from "../base/interner.ts";
import { ascii, putDecimal, putPiece } from "./asciiWriter.ts";
import type { ReplyOut } from "./dispatch.ts";
import { ExtraInfo, type OffsetInfo } from "./extraInfo.ts";
import { CURRENT_VERSION } from "./generated/versions.ts";
import { HeaderError, type HeaderView, SERIALIZE_ROCKETMQ } from "./headerView.ts";

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
  serialization: number,
  code: number,
  remark: string,
  fields: PopReplyFields,
  bodyBytes: number,
): number {
  const lists = fields.startOffsetInfo.end + fields.msgOffsetInfo.end + (fields.orderCountInfo?.end ?? 0);
  const start = out.reserve(HEAD_BYTES_MAX + lists + remark.length + bodyBytes);
  const at =
    serialization === SERIALIZE_ROCKETMQ
      ? binaryHead(out.slab, start + 8, opaque, code, remark, fields)
      : jsonHead(out.slab, start + 8, opaque, code, remark, fields);
  finish(out.slab, start, at, serialization, bodyBytes);
  return at;
}

function finish(slab: Buffer, start: number, at: number, serialization: number, bodyBytes: number): void {
  const headerBytes = at - start - 8;
  slab.writeInt32BE(4 + headerBytes + bodyBytes, start);
  slab.writeInt32BE((serialization << 24) | headerBytes, start + 4);
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

const KEY_INVISIBLE_TIME = binaryKey("invisibleTime");
const KEY_MSG_OFFSET_INFO = binaryKey("msgOffsetInfo");
const KEY_ORDER_COUNT_INFO = binaryKey("orderCountInfo");
const KEY_POP_TIME = binaryKey("popTime");
const KEY_REST_NUM = binaryKey("restNum");
const KEY_REVIVE_QID = binaryKey("reviveQid");
const KEY_START_OFFSET_INFO = binaryKey("startOffsetInfo");

function binaryHead(
  to: Buffer,
  start: number,
  opaque: number,
  code: number,
  remark: string,
  fields: PopReplyFields,
): number {
  const extAt = binaryStart(to, start, opaque, code, remark);
  let at = putNumber(to, extAt + 4, KEY_INVISIBLE_TIME, fields.invisibleTime);
  at = putList(to, at, KEY_MSG_OFFSET_INFO, fields.msgOffsetInfo);
  if (fields.orderCountInfo !== undefined) at = putList(to, at, KEY_ORDER_COUNT_INFO, fields.orderCountInfo);
  at = putNumber(to, at, KEY_POP_TIME, fields.popTime);
  at = putNumber(to, at, KEY_REST_NUM, fields.restNum);
  at = putNumber(to, at, KEY_REVIVE_QID, fields.reviveQid);
  at = putList(to, at, KEY_START_OFFSET_INFO, fields.startOffsetInfo);
  to.writeInt32BE(at - extAt - 4, extAt);
  return at;
}

/** The fixed part of a binary header; returns the place of extLength. */
function binaryStart(to: Buffer, start: number, opaque: number, code: number, remark: string): number {
  to.writeInt16BE(code, start);
  to[start + 2] = 0; // LanguageCode.JAVA
  to.writeInt16BE(CURRENT_VERSION, start + 3);
  to.writeInt32BE(opaque, start + 5);
  to.writeInt32BE(1, start + 9); // a response
  to.writeInt32BE(remark.length, start + 13);
  return start + 17 + to.write(remark, start + 17, "latin1");
}

function putNumber(to: Buffer, start: number, key: Buffer, value: number): number {
  const at = putPiece(to, start, key);
  const end = putDecimal(to, at + 4, value);
  to.writeInt32BE(end - at - 4, at);
  return end;
}

function putList(to: Buffer, start: number, key: Buffer, list: OffsetInfo): number {
  const at = putPiece(to, start, key);
  to.writeInt32BE(list.end, at);
  return list.copyTo(to, at + 4);
}

function binaryKey(name: string): Buffer {
  const key = ascii(`\0\0${name}`);
  key.writeInt16BE(name.length, 0);
  return key;
}

const SUCCESS = ascii('{"code":0,"flag":1,"language":"JAVA","opaque":');
const SUCCESS_END = ascii(`,"serializeTypeCurrentRPC":"JSON","version":${CURRENT_VERSION}}`);

/** Writes a reply that says SUCCESS and nothing else: an acknowledgement's. */
export function writeSuccess(out: ReplyOut, opaque: number, serialization: number): void {
  const start = out.reserve(160);
  const to = out.slab;
  let at: number;
  if (serialization === SERIALIZE_ROCKETMQ) {
    at = binaryStart(to, start + 8, opaque, 0, "");
    to.writeInt32BE(0, at);
    at += 4;
  } else {
    at = putDecimal(to, putPiece(to, start + 8, SUCCESS), opaque);
    at = putPiece(to, at, SUCCESS_END);
  }
  finish(to, start, at, serialization, 0);
  out.commit(at);
}
