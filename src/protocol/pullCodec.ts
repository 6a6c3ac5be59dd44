/**
 * The wire side of PULL_MESSAGE (11) and LITE_PULL_MESSAGE (361): request header to a reused typed object, reply head to
 * bytes; the body behind it is log bytes, copied by the handler.
 */
import { Interner } from "../base/interner.ts";
import { ascii, putDecimal, putPiece } from "./asciiWriter.ts";
import type { ReplyOut } from "./dispatch.ts";
import { CURRENT_VERSION } from "./generated/versions.ts";
import { HeaderError, type HeaderView, SERIALIZE_ROCKETMQ } from "./headerView.ts";

const names = new Interner();

/** RequestSource: a client itself, and a proxy for a member of a broadcasting group. */
const SOURCE_SDK = -1;
export const SOURCE_PROXY_FOR_BROADCAST = 1;

export class PullRequest {
  group = "";
  topic = "";
  queueId = 0;
  queueOffset = 0;
  maxMsgNums = 0;
  sysFlag = 0;
  commitOffset = 0;
  suspendTimeoutMillis = 0;
  subVersion = 0;
  /** Bytes the client can take; 0: not said. */
  maxMsgBytes = 0;
  subscription: string | undefined = undefined;
  expressionType: string | undefined = undefined;
  /** Apache's RequestSource: who pulls for whom; -1: a client for itself. */
  requestSource = SOURCE_SDK;
  /** The client for which a proxy pulls. */
  proxyFrowardClientId: string | undefined = undefined;
  opaque = 0;
  serialization = 0;

  /** @throws HeaderError naming the field that is missing or no number */
  read(view: HeaderView): void {
    this.opaque = view.opaque;
    this.serialization = view.serialization;
    this.subscription = undefined;
    this.expressionType = undefined;
    this.requestSource = SOURCE_SDK;
    this.proxyFrowardClientId = undefined;
    this.maxMsgBytes = 0;
    let seen = 0;
    for (let i = 0; i < view.count; i++) seen |= this.#field(view, i);
    if (seen !== 0x1ff) throw new HeaderError(`the custom field <${missing(seen)}> is null`);
  }

  /** Takes field `i`; returns its bit among the required ones. The length leaves at most two names to compare with. */
  #field(view: HeaderView, i: number): number {
    switch (view.keyEnd[i] - view.keyStart[i]) {
      case 5:
        if (!view.isNamed(i, "topic")) return 0;
        this.topic = names.get(view.buf, view.valueStart[i], view.valueEnd[i]);
        return 1;
      case 7:
        if (view.isNamed(i, "queueId")) {
          this.queueId = view.int(i);
          return 2;
        }
        if (!view.isNamed(i, "sysFlag")) return 0;
        this.sysFlag = view.int(i);
        return 4;
      case 10:
        if (view.isNamed(i, "maxMsgNums")) {
          this.maxMsgNums = view.int(i);
          return 8;
        }
        if (!view.isNamed(i, "subVersion")) return 0;
        // Only compared; Go's are nanoseconds, beyond 2^53.
        this.subVersion = view.integer(i);
        return 16;
      case 11:
        if (view.isNamed(i, "queueOffset")) {
          this.queueOffset = view.long(i);
          return 32;
        }
        if (view.isNamed(i, "maxMsgBytes")) this.maxMsgBytes = view.int(i);
        return 0;
      case 12:
        if (view.isNamed(i, "commitOffset")) {
          this.commitOffset = view.long(i);
          return 64;
        }
        if (view.isNamed(i, "subscription")) {
          this.subscription = names.get(view.buf, view.valueStart[i], view.valueEnd[i]);
        }
        return 0;
      case 13:
        if (!view.isNamed(i, "consumerGroup")) {
          if (view.isNamed(i, "requestSource")) this.requestSource = view.int(i);
          return 0;
        }
        this.group = names.get(view.buf, view.valueStart[i], view.valueEnd[i]);
        return 128;
      case 14:
        if (view.isNamed(i, "expressionType")) {
          this.expressionType = names.get(view.buf, view.valueStart[i], view.valueEnd[i]);
        }
        return 0;
      case 20:
        if (!view.isNamed(i, "suspendTimeoutMillis")) {
          if (view.isNamed(i, "proxyFrowardClientId")) this.proxyFrowardClientId = view.valueText(i);
          return 0;
        }
        this.suspendTimeoutMillis = view.long(i);
        return 256;
      default:
        return 0;
    }
  }
}

const REQUIRED_NAMES = [
  "topic",
  "queueId",
  "sysFlag",
  "maxMsgNums",
  "subVersion",
  "queueOffset",
  "commitOffset",
  "consumerGroup",
  "suspendTimeoutMillis",
];

function missing(seen: number): string {
  return REQUIRED_NAMES[REQUIRED_NAMES.findIndex((_, bit) => (seen & (1 << bit)) === 0)];
}

/** What every pull reply says, whatever its code. */
export interface PullReplyFields {
  suggestWhichBrokerId: number;
  nextBeginOffset: number;
  minOffset: number;
  maxOffset: number;
  topicSysFlag: number;
  groupSysFlag: number;
}

const CODE = ascii('{"code":');
const GROUP_SYS_FLAG = ascii(',"extFields":{"groupSysFlag":"');
const MAX_OFFSET = ascii('","maxOffset":"');
const MIN_OFFSET = ascii('","minOffset":"');
const NEXT = ascii('","nextBeginOffset":"');
const SUGGEST = ascii('","suggestWhichBrokerId":"');
const TOPIC_SYS_FLAG = ascii('","topicSysFlag":"');
const OPAQUE = ascii('"},"flag":1,"language":"JAVA","opaque":');
const REMARK = ascii(',"remark":"');
const END = ascii(`","serializeTypeCurrentRPC":"JSON","version":${CURRENT_VERSION}}`);
const HEAD_BYTES_MAX = 512;

/**
 * Writes a pull reply up to its body and reserves room for `bodyBytes` behind it.
 * @returns where the body goes in `out.slab`; the caller fills it and calls `out.commit`
 */
export function writePullHead(
  out: ReplyOut,
  request: PullRequest,
  code: number,
  remark: string,
  fields: PullReplyFields,
  bodyBytes: number,
): number {
  const start = out.reserve(HEAD_BYTES_MAX + remark.length + bodyBytes);
  const at =
    request.serialization === SERIALIZE_ROCKETMQ
      ? binaryHead(out.slab, start + 8, request.opaque, code, remark, fields)
      : jsonHead(out.slab, start + 8, request.opaque, code, remark, fields);
  const headerBytes = at - start - 8;
  out.slab.writeInt32BE(4 + headerBytes + bodyBytes, start);
  out.slab.writeInt32BE((request.serialization << 24) | headerBytes, start + 4);
  return at;
}

function jsonHead(
  to: Buffer,
  start: number,
  opaque: number,
  code: number,
  remark: string,
  fields: PullReplyFields,
): number {
  let at = putDecimal(to, putPiece(to, start, CODE), code);
  at = putDecimal(to, putPiece(to, at, GROUP_SYS_FLAG), fields.groupSysFlag);
  at = putDecimal(to, putPiece(to, at, MAX_OFFSET), fields.maxOffset);
  at = putDecimal(to, putPiece(to, at, MIN_OFFSET), fields.minOffset);
  at = putDecimal(to, putPiece(to, at, NEXT), fields.nextBeginOffset);
  at = putDecimal(to, putPiece(to, at, SUGGEST), fields.suggestWhichBrokerId);
  at = putDecimal(to, putPiece(to, at, TOPIC_SYS_FLAG), fields.topicSysFlag);
  at = putDecimal(to, putPiece(to, at, OPAQUE), opaque);
  at = putPiece(to, at, REMARK);
  at += to.write(remark, at, "latin1");
  return putPiece(to, at, END);
}

const FIELD_NAMES = [
  "suggestWhichBrokerId",
  "nextBeginOffset",
  "minOffset",
  "maxOffset",
  "topicSysFlag",
  "groupSysFlag",
] as const;
const FIELD_KEYS = FIELD_NAMES.map(ascii);

function binaryHead(
  to: Buffer,
  start: number,
  opaque: number,
  code: number,
  remark: string,
  fields: PullReplyFields,
): number {
  to.writeInt16BE(code, start);
  to[start + 2] = 0; // LanguageCode.JAVA
  to.writeInt16BE(CURRENT_VERSION, start + 3);
  to.writeInt32BE(opaque, start + 5);
  to.writeInt32BE(1, start + 9); // a response
  to.writeInt32BE(remark.length, start + 13);
  let at = start + 17 + to.write(remark, start + 17, "latin1");
  const extAt = at;
  at += 4;
  for (let i = 0; i < FIELD_KEYS.length; i++) {
    to.writeInt16BE(FIELD_KEYS[i].length, at);
    at = putPiece(to, at + 2, FIELD_KEYS[i]);
    const end = putDecimal(to, at + 4, fields[FIELD_NAMES[i]]);
    to.writeInt32BE(end - at - 4, at);
    at = end;
  }
  to.writeInt32BE(at - extAt - 4, extAt);
  return at;
}
