// The few remoting frames the generator needs, encoded once. Their shape (field order, quoting, flags, properties) was captured from the
// official Java client 5.5.0; only opaque and the counter in UNIQ_KEY are given a fixed width, so that they can be patched in place.
//
//   4 bytes  length of all that follows
//   1 byte   header serialization: 0 JSON, 1 ROCKETMQ binary      3 bytes  header length
//   header, body

import { fieldsOf, isSigning } from "./secure.mjs";

/** MQVersion.V5_5_0 as the 5.5.0 client sends it. */
const VERSION = 513;
const JAVA = 0;
const FLAG_REQUEST = 0;

export const REQUEST = {
  PULL_MESSAGE: 11,
  UPDATE_AND_CREATE_TOPIC: 17,
  GET_MAX_OFFSET: 30,
  HEART_BEAT: 34,
  END_TRANSACTION: 37,
  SEND_MESSAGE_V2: 310,
  POP_MESSAGE: 200_050,
  ACK_MESSAGE: 200_051,
};

export const RESPONSE = { SUCCESS: 0, PULL_NOT_FOUND: 19, POLLING_TIMEOUT: 210 };

/** Opaques start here, so that each has nine digits for the length of a run. */
export const OPAQUE_BASE = 100_000_000;

/** ASCII of 0000..9999, four bytes each: patching a number is two look-ups instead of eight divisions. */
const FOUR_DIGITS = new Uint8Array(40_000);
for (let n = 0; n < 10_000; n++) {
  for (let digit = 3, rest = n; digit >= 0; digit--, rest = Math.floor(rest / 10)) {
    FOUR_DIGITS[n * 4 + digit] = 48 + (rest % 10);
  }
}

/** Writes `value` (0 <= value < 10^8) as eight digits. */
export function putEightDigits(buffer, at, value) {
  let high = Math.floor(value / 10_000);
  let low = (value - high * 10_000) * 4;
  high *= 4;
  buffer[at] = FOUR_DIGITS[high++];
  buffer[at + 1] = FOUR_DIGITS[high++];
  buffer[at + 2] = FOUR_DIGITS[high++];
  buffer[at + 3] = FOUR_DIGITS[high];
  buffer[at + 4] = FOUR_DIGITS[low++];
  buffer[at + 5] = FOUR_DIGITS[low++];
  buffer[at + 6] = FOUR_DIGITS[low++];
  buffer[at + 7] = FOUR_DIGITS[low];
}

function frame(serialization, header, body) {
  const out = Buffer.alloc(8 + header.length + body.length);
  out.writeUInt32BE(4 + header.length + body.length, 0);
  out.writeUInt32BE((serialization << 24) | header.length, 4);
  header.copy(out, 8);
  body.copy(out, 8 + header.length);
  return out;
}

/** A request with a JSON header, keys in the order of the Java client. */
export function jsonRequest(code, extFields, opaque, body = Buffer.alloc(0)) {
  const header = {
    code,
    extFields: fieldsOf(extFields, body),
    flag: FLAG_REQUEST,
    language: "JAVA",
    opaque,
    serializeTypeCurrentRPC: "JSON",
    version: VERSION,
  };
  return frame(0, Buffer.from(JSON.stringify(header)), body);
}

/** The same request in the ROCKETMQ binary header; opaque stands at byte 8 + 5 of the frame. */
export function binaryRequest(code, extFields, opaque, body = Buffer.alloc(0)) {
  const fields = Buffer.concat(
    Object.entries(fieldsOf(extFields, body)).map(([key, value]) => {
      const entry = Buffer.alloc(2 + key.length + 4 + Buffer.byteLength(value));
      entry.writeUInt16BE(key.length, 0);
      entry.write(key, 2);
      entry.writeUInt32BE(Buffer.byteLength(value), 2 + key.length);
      entry.write(value, 6 + key.length);
      return entry;
    }),
  );
  const head = Buffer.alloc(21);
  head.writeUInt16BE(code, 0);
  head.writeUInt8(JAVA, 2);
  head.writeUInt16BE(VERSION, 3);
  head.writeUInt32BE(opaque, 5);
  head.writeUInt32BE(FLAG_REQUEST, 9);
  head.writeUInt32BE(0, 13); // no remark
  head.writeUInt32BE(fields.length, 17);
  return frame(1, Buffer.concat([head, fields]), body);
}

/**
 * One SEND_MESSAGE_V2 frame to be stamped again and again, and where its changing bytes stand.
 * `keyPrefix` makes UNIQ_KEY unique across connections: 24 hex digits; 8 more are patched.
 */
export function sendTemplate({ topic, bodyBytes, binary, keyPrefix, queues }) {
  const born = String(Date.now());
  const fields = (number, queueId) => ({
    a: "bench_producer",
    b: topic,
    c: "TBW102",
    d: "4",
    e: String(queueId),
    f: "0",
    g: born,
    h: "0",
    i: `UNIQ_KEY\u0001${keyPrefix}${String(number).padStart(8, "0")}\u0002WAIT\u0001true\u0002TAGS\u0001bench\u0002`,
    j: "0",
    k: "false",
    m: "false",
    n: "broker-a",
  });
  const body = Buffer.alloc(bodyBytes, "x");
  const encode = binary ? binaryRequest : jsonRequest;
  const make = (number, queueId) => encode(REQUEST.SEND_MESSAGE_V2, fields(number, queueId), OPAQUE_BASE, body);
  const bytes = make(0, 0);
  return {
    bytes,
    /** Signed frames are made beforehand, each with its own key and queue: only opaque, which no signature covers, changes from lap to lap. */
    frameOf: isSigning() ? (slot) => make(slot, slot % queues) : undefined,
    binary,
    opaqueAt: binary ? 8 + 5 : bytes.indexOf('"opaque":') + '"opaque":'.length,
    keyAt: bytes.indexOf(keyPrefix) + keyPrefix.length,
    queueAt: binary
      ? bytes.indexOf(Buffer.from("\u0000\u0001e\u0000\u0000\u0000\u0001", "latin1")) + 7
      : bytes.indexOf('"e":"0"') + 5,
    bodyAt: bytes.length - bodyBytes,
  };
}

/** A push consumer's PULL_MESSAGE; holdMs > 0 asks for long polling. */
export function pullRequest({ group, topic, queueId, queueOffset, maxMessages, holdMs, opaque, subVersion }) {
  const suspend = 2;
  return jsonRequest(
    REQUEST.PULL_MESSAGE,
    {
      queueId: String(queueId),
      maxMsgBytes: "262144",
      maxMsgNums: String(maxMessages),
      sysFlag: String(holdMs > 0 ? suspend : 0),
      suspendTimeoutMillis: String(holdMs),
      commitOffset: "0",
      bname: "broker-a",
      topic,
      queueOffset: String(queueOffset),
      expressionType: "TAG",
      subVersion: String(subVersion),
      consumerGroup: group,
    },
    opaque,
  );
}

/** The heartbeat that makes the broker know the group's subscription; without it a pull is refused. */
export function heartbeatRequest({ group, topic, clientId, subVersion, opaque }) {
  const body = {
    clientID: clientId,
    consumerDataSet: [
      {
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        consumeType: "CONSUME_PASSIVELY",
        groupName: group,
        messageModel: "CLUSTERING",
        subscriptionDataSet: [
          {
            classFilterMode: false,
            codeSet: [],
            expressionType: "TAG",
            subString: "*",
            subVersion,
            tagsSet: [],
            topic,
          },
        ],
        unitMode: false,
      },
    ],
    heartbeatFingerprint: 0,
    producerDataSet: [],
    withoutSub: false,
  };
  return jsonRequest(REQUEST.HEART_BEAT, {}, opaque, Buffer.from(JSON.stringify(body)));
}

/** Topic creation ahead of the run, so that auto-creation is not what is measured. */
export function createTopicRequest(topic, queues, opaque) {
  return jsonRequest(
    REQUEST.UPDATE_AND_CREATE_TOPIC,
    {
      topic,
      defaultTopic: "TBW102",
      readQueueNums: String(queues),
      writeQueueNums: String(queues),
      perm: "6",
      topicFilterType: "SINGLE_TAG",
      topicSysFlag: "0",
      order: "false",
    },
    opaque,
  );
}

export function maxOffsetRequest(topic, queueId, opaque) {
  return jsonRequest(REQUEST.GET_MAX_OFFSET, { topic, queueId: String(queueId) }, opaque);
}

/** Whether a parsed frame answers a request; if not, it is the broker's own, such as "consumer ids changed". */
export function isReply({ flag }) {
  return (flag & 1) === 1;
}

/** Slow and complete: the reply's header as an object, for set-up calls and for error texts. */
export function parseReply(buffer, start, end) {
  const headerLength = buffer.readUInt32BE(start + 4) & 0xffffff;
  const headerAt = start + 8;
  const body = buffer.subarray(headerAt + headerLength, end);
  if (buffer[start + 4] === 0) {
    return { ...JSON.parse(buffer.toString("utf8", headerAt, headerAt + headerLength)), body };
  }
  const remarkLength = buffer.readUInt32BE(headerAt + 13);
  return {
    code: buffer.readInt16BE(headerAt),
    opaque: buffer.readInt32BE(headerAt + 5),
    flag: buffer.readInt32BE(headerAt + 9),
    remark: buffer.toString("utf8", headerAt + 17, headerAt + 17 + remarkLength),
    extFields: {},
    body,
  };
}

/**
 * Reads code and opaque of a reply without parsing it. A server writes every reply of one kind alike, so where the opaque stood in
 * the last reply, from the header's start or end, is where it stands in this one; anything unexpected takes the slow way.
 */
export class ReplyScanner {
  code = 0;
  opaque = 0;
  /** False for the broker's own requests, which share the connection. */
  isReply = true;
  #fromEnd = 0;
  #fromStart = 0;

  /** The frame is buffer[start..], its length field included. */
  scan(buffer, start) {
    const headerAt = start + 8;
    const headerLength = (buffer[start + 5] << 16) | (buffer[start + 6] << 8) | buffer[start + 7];
    if (buffer[start + 4] === 1) {
      this.code = (buffer[headerAt] << 8) | buffer[headerAt + 1];
      this.opaque = buffer.readInt32BE(headerAt + 5);
      this.isReply = (buffer[headerAt + 12] & 1) === 1;
      return;
    }
    this.isReply = true;
    const end = headerAt + headerLength;
    // {"code":0,
    if (buffer[headerAt + 2] === 99 && buffer[headerAt + 8] === 48 && buffer[headerAt + 9] === 44) {
      this.code = 0;
      const known =
        this.#readOpaque(buffer, end - this.#fromEnd, headerAt, end) ||
        this.#readOpaque(buffer, headerAt + this.#fromStart, headerAt, end);
      if (known) return;
    }
    this.#learn(buffer, start, headerAt, end);
  }

  /** Only within this header: where replies differ in length, the place of the last one's may lie in a neighbour's. */
  #readOpaque(buffer, at, headerAt, end) {
    if (at < headerAt || at + 9 > end) return false;
    // ...ue":
    if (buffer[at - 1] !== 58 || buffer[at - 2] !== 34 || buffer[at - 3] !== 101 || buffer[at - 4] !== 117)
      return false;
    let value = 0;
    for (let i = at; i < at + 9; i++) value = value * 10 + buffer[i] - 48;
    this.opaque = value;
    return true;
  }

  #learn(buffer, start, headerAt, end) {
    const reply = parseReply(buffer, start, end);
    this.code = reply.code;
    this.opaque = reply.opaque;
    this.isReply = isReply(reply);
    const at = buffer.indexOf('"opaque":', headerAt, "latin1") + '"opaque":'.length;
    this.#fromEnd = end - at;
    this.#fromStart = at - headerAt;
  }
}
