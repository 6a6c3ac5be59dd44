// Malformed frames from the wire's own grammar (proto/remoting.json): every request code with its header, each field
// right, missing or wrong in many ways, in both serializations; broken headers, lengths, truncations, flipped bits, other
// protocols. Names always carry a Fuzz prefix and configuration bodies only unknown keys, so that a frame that happens to
// be valid cannot change what the healthy pair lives on.
//
// A frame is { bytes, kind, opaque?, answered, after, cuts? }:
//   answered  "known": a reply with this opaque must come; "some": a reply with an unknown opaque must come; "free"
//   after     "stays": the stream goes on behind it; "either": it is answered, or the connection closed;
//             "closes": the server must close; "stuck": the server waits for more
//   cuts      write it in pieces, cut at these offsets

import { readFileSync } from "node:fs";
import { deflateSync } from "node:zlib";
import { batchBody, binaryHeader, frameOf, jsonHeader, properties } from "../chaos/lib/wire.mjs";

const schema = JSON.parse(readFileSync(new URL("../../proto/remoting.json", import.meta.url), "utf8"));
const headers = new Map(schema.headers.map((header) => [header.name, header]));
export const REQUESTS = schema.requestCodes.map(({ code, name, request }) => ({
  code,
  name,
  fields: headers.get(request)?.fields ?? [],
}));

/** Their answer may rightly wait: held pulls, and requests that are relayed to a client. */
const SLOW = new Set([
  "PULL_MESSAGE",
  "LITE_PULL_MESSAGE",
  "POP_MESSAGE",
  "POLLING_INFO",
  "NOTIFICATION",
  "PEEK_MESSAGE",
  "GET_CONSUMER_RUNNING_INFO",
  "CONSUME_MESSAGE_DIRECTLY",
  "INVOKE_BROKER_TO_GET_CONSUMER_STATUS",
  "INVOKE_BROKER_TO_RESET_OFFSET",
]);

const FRAME_MAX = 16 * 1024 * 1024;
const NAMES = 40;
const TEXTS = [
  "",
  " ",
  "*",
  "||",
  "a || b || c",
  "null",
  "true",
  "\u0000",
  "\u0001\u0002",
  "%RETRY%FuzzGroup1",
  "%DLQ%FuzzGroup1",
  "FuzzTopic@FuzzGroup1",
  "../../../../etc/passwd",
  "..",
  "C:\\con",
  "'; --",
  "\ud83d\ude00",
  "\ud800",
  "\u202e\ufeff",
  '"}{"',
  "\\u0041\\",
  "TAGS > 1 AND (a IS NOT NULL)",
  "__proto__",
  "constructor",
  "toString",
];
const NUMBERS = [
  "0",
  "-0",
  "1",
  "-1",
  "3",
  "32",
  "127",
  "255",
  "65535",
  "65536",
  "2147483647",
  "2147483648",
  "-2147483648",
  "-2147483649",
  "4294967296",
  "9007199254740991",
  "9007199254740993",
  "9223372036854775807",
  "-9223372036854775808",
  "9223372036854775808",
  "99999999999999999999999999",
];
const NOT_NUMBERS = [
  "",
  "-",
  "+",
  "1.5",
  "1e9",
  "0x10",
  "NaN",
  "Infinity",
  " 1",
  "1 ",
  "one",
  "١",
  "true",
  "null",
  "1,000",
];
const TOPIC_FIELDS = /topic|^b$|resource/i;
const GROUP_FIELDS = /group|^a$|subscriptionGroup/i;

export class Grammar {
  #random;
  #opaque = 0;

  constructor(random) {
    this.#random = random;
  }

  /** A frame behind which the stream is in step, if the server keeps the connection. */
  inStep() {
    const roll = this.#random.next();
    if (roll < 0.76) return this.#grammar();
    if (roll < 0.84) return this.#brokenHeader();
    if (roll < 0.94) return this.#flipped();
    return this.#split();
  }

  /** A frame that ends its connection, or leaves it waiting. */
  last() {
    const random = this.#random;
    const roll = random.next();
    if (roll < 0.25) return this.#badLength();
    if (roll < 0.4) return this.#badHeaderLength();
    if (roll < 0.65) return this.#truncated();
    if (roll < 0.8) return this.#otherProtocol();
    if (roll < 0.98) return this.#garbage();
    return this.#hugeHeader();
  }

  // ---- whole frames by the grammar ----

  #grammar(request = this.#random.pick(REQUESTS)) {
    const random = this.#random;
    const opaque = ++this.#opaque;
    const strange = random.chance(0.03);
    const code = strange ? random.pick([-1, 0, 9, 999, 4711, 32767, -32768]) : request.code;
    const oneway = random.chance(0.05);
    const isReply = random.chance(0.02);
    const flag = (oneway ? 2 : 0) | (isReply ? 1 : 0);
    const binary = random.chance(0.5);
    const ext = this.#ext(request.fields);
    const header = binary ? binaryHeader(code, opaque, flag, ext) : jsonHeader(code, opaque, flag, ext);
    const bytes = frameOf(binary ? 1 : 0, header, this.#body(request.name));
    const answered = oneway || isReply || SLOW.has(request.name) ? "free" : "known";
    return { bytes, kind: `grammar ${request.name}`, opaque, answered, after: "stays" };
  }

  #ext(fields) {
    const random = this.#random;
    const ext = {};
    const tidy = random.chance(0.35);
    for (const { name, type } of fields) {
      if (!tidy && random.chance(0.12)) continue;
      ext[name] = tidy || random.chance(0.7) ? this.#good(name, type) : this.#bad();
    }
    if (random.chance(0.05)) for (let i = random.int(30); i > 0; i--) ext[`fuzz${i}`] = this.#bad();
    if (random.chance(0.004)) for (let i = random.between(200, 400); i > 0; i--) ext[`fuzz${i}`] = i;
    return ext;
  }

  #good(name, type) {
    const random = this.#random;
    switch (type) {
      case "Integer":
      case "int":
      case "Long":
      case "long":
      case "Short":
      case "Byte":
        // Numbers of queues stay small: a topic of two thousand million queues is its creator's wish, not a defect.
        return /queueNums|^d$/i.test(name) ? random.int(5) : random.pick([0, 0, 1, 2, 3, 7, 32, 1_000, Date.now()]);
      case "Boolean":
      case "boolean":
        return random.chance(0.5);
      default:
        if (/properties|^i$/.test(name)) return this.#properties();
        if (TOPIC_FIELDS.test(name)) return this.#name("FuzzTopic");
        if (GROUP_FIELDS.test(name)) return this.#name("FuzzGroup");
        return this.#name("Fuzz");
    }
  }

  #name(prefix) {
    return `${prefix}${this.#random.int(NAMES)}`;
  }

  /** Anything but a topic of somebody else: free text never is an existing name. */
  #bad() {
    const random = this.#random;
    const roll = random.next();
    if (roll < 0.35) return random.pick(TEXTS);
    if (roll < 0.6) return random.pick(NOT_NUMBERS);
    if (roll < 0.9) return random.pick(NUMBERS);
    if (roll < 0.99) return "F".repeat(random.pick([64, 127, 128, 255, 256, 1_000]));
    return "F".repeat(random.pick([32_767, 32_768, 65_536]));
  }

  #properties() {
    const random = this.#random;
    const roll = random.next();
    if (roll < 0.5) {
      return properties({
        TAGS: "fuzz",
        UNIQ_KEY: `F${random.int(1e9)}`,
        ...(random.chance(0.1) ? { DELAY: random.pick(["1", "0", "-1", "99", "x", ""]) } : {}),
        ...(random.chance(0.05) ? { TRAN_MSG: random.pick(["true", "false", "x"]) } : {}),
        ...(random.chance(0.05) ? { TIMER_DELIVER_MS: random.pick(NUMBERS) } : {}),
        ...(random.chance(0.05) ? { REAL_TOPIC: "FuzzTopic1", REAL_QID: random.pick(NUMBERS) } : {}),
        ...(random.chance(0.05) ? { INNER_NUM: random.pick(NUMBERS), RECONSUME_TIME: random.pick(NUMBERS) } : {}),
      });
    }
    return random.pick([
      "\u0001",
      "\u0002",
      "\u0001\u0002",
      "a\u0001",
      "a\u0001\u0002\u0002",
      "\u0001b\u0002",
      "KEYS\u0001 \u0002",
      `KEYS\u0001${"k ".repeat(300)}\u0002`,
      "UNIQ_KEY\u0001\u0002TAGS",
      `x\u0001${"y".repeat(33_000)}\u0002`,
      "TAGS\u0001a\u0001b\u0002",
    ]);
  }

  #body(name) {
    const random = this.#random;
    const roll = random.next();
    if (roll < 0.25) return Buffer.alloc(0);
    if (/SEND_BATCH/.test(name) && roll < 0.8) return this.#batch();
    if (roll < 0.45) return Buffer.from(this.#json(0));
    if (roll < 0.6) return this.#beanBody();
    if (roll < 0.7)
      return Buffer.from(`fuzz${random.int(9)}=${random.pick(TEXTS)}\nfuzzKey = ${random.pick(NUMBERS)}\n#\n=\n\\u00`);
    if (roll < 0.75) return this.#batch();
    if (roll < 0.8) return mutate(random, deflateSync(Buffer.from(this.#json(0))), 0.5);
    if (roll < 0.999) return random.bytes(random.int(400));
    return random.bytes(random.pick([65_536, 300_000]));
  }

  #batch() {
    const random = this.#random;
    const body = batchBody(
      Array.from({ length: random.between(1, 4) }, () => ({
        body: random.bytes(random.int(50)),
        properties: { UNIQ_KEY: `F${random.int(1e9)}` },
      })),
    );
    if (random.chance(0.3)) return body;
    if (random.chance(0.5))
      body.writeInt32BE(random.pick([0, -1, 1, 2147483647, body.length + 1]), random.pick([0, 16]));
    return mutate(random, body, 0.5);
  }

  /** A body with the keys of real ones (heartbeats, locks, topics, groups, registrations), filled with anything. */
  #beanBody() {
    const random = this.#random;
    const any = () => this.#jsonValue(2);
    const shapes = [
      () => ({
        clientID: random.chance(0.8) ? this.#name("FuzzClient") : any(),
        producerDataSet: random.chance(0.7) ? [{ groupName: this.#name("FuzzGroup") }, any()] : any(),
        consumerDataSet: random.chance(0.7)
          ? [
              {
                groupName: random.chance(0.8) ? this.#name("FuzzGroup") : any(),
                consumeType: random.pick(["CONSUME_PASSIVELY", "x", 7, null]),
                messageModel: random.pick(["CLUSTERING", "BROADCASTING", "x", null]),
                consumeFromWhere: random.pick(["CONSUME_FROM_LAST_OFFSET", "x", null]),
                subscriptionDataSet: random.chance(0.7)
                  ? [
                      {
                        topic: this.#name("FuzzTopic"),
                        subString: random.pick(TEXTS),
                        tagsSet: any(),
                        codeSet: any(),
                        subVersion: any(),
                      },
                    ]
                  : any(),
                unitMode: any(),
              },
            ]
          : any(),
        heartbeatFingerprint: any(),
        withoutSub: any(),
      }),
      () => ({
        consumerGroup: this.#name("FuzzGroup"),
        clientId: random.chance(0.8) ? this.#name("FuzzClient") : any(),
        mqSet: random.chance(0.7)
          ? [{ topic: this.#name("FuzzTopic"), brokerName: "FuzzBroker", queueId: any() }, any()]
          : any(),
      }),
      () => ({
        topicName: this.#name("FuzzTopic"),
        topicConfigList: [
          { topicName: this.#name("FuzzTopic"), readQueueNums: any(), writeQueueNums: 2, perm: any(), order: any() },
          any(),
        ],
        topicConfigTable: { [this.#name("FuzzTopic")]: any(), x: { topicName: this.#name("FuzzTopic"), perm: any() } },
        topicConfigSerializeWrapper: { topicConfigTable: any(), dataVersion: any() },
        filterServerList: any(),
        dataVersion: any(),
      }),
      () => ({
        groupName: random.chance(0.8) ? this.#name("FuzzGroup") : any(),
        groupConfigList: [{ groupName: this.#name("FuzzGroup"), retryQueueNums: any() }, any()],
        consumeEnable: any(),
        retryMaxTimes: any(),
        brokerId: any(),
        groupRetryPolicy: any(),
        attributes: any(),
      }),
    ];
    const text = JSON.stringify(random.pick(shapes)());
    const body = Buffer.from(random.chance(0.2) ? unquoteKeys(text) : text);
    return random.chance(0.3) ? mutate(random, body, 0.5) : body;
  }

  #json(depth) {
    const random = this.#random;
    if (random.chance(0.02)) return random.pick(["[", '{"a":']).repeat(random.pick([10, 100, 1_000, 20_000]));
    if (random.chance(0.1))
      return random.pick([
        "",
        "null",
        "[]",
        "{}",
        "{",
        "}",
        '"',
        "0",
        "tru",
        "{]",
        '{"a"}',
        "{1:2}",
        "{a:b}",
        "'a'",
        "\u0000",
      ]);
    return JSON.stringify(this.#jsonValue(depth)) ?? "null";
  }

  #jsonValue(depth) {
    const random = this.#random;
    const roll = random.next();
    if (depth < 4 && roll < 0.2)
      return Object.fromEntries(
        Array.from({ length: random.int(4) }, () => [random.pick(TEXTS), this.#jsonValue(depth + 1)]),
      );
    if (depth < 4 && roll < 0.35) return Array.from({ length: random.int(4) }, () => this.#jsonValue(depth + 1));
    if (roll < 0.6) return random.pick(TEXTS);
    if (roll < 0.85) return Number(random.pick(NUMBERS));
    return random.pick([null, true, false, 1.5, -1e300]);
  }

  // ---- broken headers in sound frames ----

  #brokenHeader() {
    const random = this.#random;
    return random.chance(0.6) ? this.#brokenJson() : this.#brokenBinary();
  }

  #brokenJson() {
    const random = this.#random;
    const sound = jsonHeader(random.pick(REQUESTS).code, ++this.#opaque, 0, {
      topic: this.#name("FuzzTopic"),
      group: "FuzzGroup1",
    }).toString();
    const text = random.pick([
      () => sound.slice(0, random.int(sound.length)),
      () => `${sound.slice(0, -1)},`,
      () => sound.replace('"code":', '"code":"x'),
      () =>
        sound.replace(
          /"code":-?\d+/,
          `"code":${random.pick(["null", "true", "1.5", "1e3", "[]", "{}", '""', "9".repeat(40), "-"])}`,
        ),
      () =>
        sound.replace(
          /"opaque":\d+/,
          `"opaque":${random.pick(["null", "-", "[]", "{}", "99999999999999999999", '"x"', "1.5"])}`,
        ),
      () => sound.replace('"extFields":{', '"extFields":['),
      () =>
        sound.replace(
          /"extFields":\{[^}]*\}/,
          `"extFields":${random.pick(["null", "[]", "1", '"x"', '{"a":{}}', '{"a":[1]}', '{"a"}', "{,}", '{"a":}'])}`,
        ),
      () => `{"extFields":${"[".repeat(random.pick([10, 1_000, 50_000]))}`,
      () => '{"a":'.repeat(random.pick([10, 1_000, 20_000])),
      () => sound.replace("{", `{"x":${"[".repeat(500)}${"]".repeat(500)},`),
      () => sound.replace("FuzzGroup1", random.pick(["\\u12", "\\uzzzz", "\\q", "\\", "\\ud800", "\\u0000"])),
      () => sound.replaceAll('"', "'"),
      () => "",
      () => random.pick(["null", "[]", "0", '"x"', "{}", "{}{}", "\u0000\u0000", "{\u0000}", "\ufeff{}"]),
      () => sound + sound,
      () => sound.replace('"flag":0', `"flag":${random.pick(["-1", "null", '"0"', "4294967295", "[]"])}`),
    ])();
    const header = Buffer.from(text);
    return {
      bytes: frameOf(0, header, random.bytes(random.int(20))),
      kind: "broken JSON header",
      answered: "free",
      after: "stays",
    };
  }

  #brokenBinary() {
    const random = this.#random;
    const header = binaryHeader(random.pick(REQUESTS).code, ++this.#opaque, 0, {
      topic: this.#name("FuzzTopic"),
      group: "FuzzGroup1",
    });
    const lie = random.pick([-1, -2147483648, 2147483647, header.length, header.length + 1, 65_536, 1]);
    const broken = random.pick([
      () => int32(header, lie, 13),
      () => int32(header, lie, 17),
      () => int16(header, random.pick([-1, -32768, 32767, 300, 0]), 21),
      () => int32(header, lie, 28),
      () => header.subarray(0, random.int(header.length)),
      () => Buffer.concat([header, random.bytes(random.between(1, 8))]),
      () => random.bytes(random.int(60)),
    ])();
    const serialization = random.chance(0.9) ? 1 : random.pick([2, 3, 77, 127, 255]);
    return { bytes: frameOf(serialization, broken), kind: "broken binary header", answered: "free", after: "either" };
  }

  /** A sound frame with flipped bits behind its length and header length. */
  #flipped() {
    const random = this.#random;
    const { bytes } = this.#grammar();
    for (let i = random.between(1, 3); i > 0; i--) {
      const at = random.between(8, bytes.length - 1);
      if (at < bytes.length) bytes[at] ^= 1 << random.int(8);
    }
    return { bytes, kind: "flipped bits", answered: "free", after: "either" };
  }

  /** A frame by the grammar, written in pieces: at every offset when it is short. */
  #split() {
    const random = this.#random;
    const frame = this.#grammar();
    const { length } = frame.bytes;
    const every = length < 400 && random.chance(0.2);
    const cuts = every
      ? Array.from({ length: length - 1 }, (_, i) => i + 1)
      : Array.from({ length: random.between(1, 5) }, () => random.between(1, length - 1)).sort((a, b) => a - b);
    return { ...frame, kind: `split ${frame.kind}`, cuts };
  }

  // ---- what ends a connection ----

  #badLength() {
    const random = this.#random;
    const { bytes } = this.#grammar();
    const length = random.pick([0, 1, 3, -1, -4, -2147483648, 2147483647, FRAME_MAX + 1, FRAME_MAX * 2, 0x7fffff00]);
    bytes.writeInt32BE(length, 0);
    return { bytes, kind: `frame length ${length}`, answered: "free", after: "closes" };
  }

  #badHeaderLength() {
    const random = this.#random;
    const { bytes } = this.#grammar();
    const most = bytes.readInt32BE(0) - 4;
    const length = random.pick([most + 1, most + 1000, 0xffffff]);
    bytes.writeUInt32BE(((bytes[4] << 24) | Math.min(length, 0xffffff)) >>> 0, 4);
    return { bytes, kind: `header length ${length} of ${most}`, answered: "free", after: "closes" };
  }

  #truncated() {
    const random = this.#random;
    const { bytes } = this.#grammar();
    if (random.chance(0.5)) bytes.writeInt32BE(bytes.readInt32BE(0) + random.pick([1, 100, 65_536, 8_000_000]), 0);
    else
      return {
        bytes: bytes.subarray(0, random.between(1, bytes.length - 1)),
        kind: "truncated",
        answered: "free",
        after: "stuck",
      };
    return { bytes, kind: "announces more", answered: "free", after: "stuck" };
  }

  #otherProtocol() {
    const random = this.#random;
    const bytes = random.pick([
      () => Buffer.from("GET / HTTP/1.1\r\nHost: fuzz\r\n\r\n"),
      () => Buffer.from("POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd"),
      () => Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      () => Buffer.concat([Buffer.from("160301020001000001fc0303", "hex"), random.bytes(500)]),
      () => Buffer.from("SSH-2.0-Fuzz\r\n"),
      () => Buffer.from("*1\r\n$4\r\nPING\r\n"),
      () => Buffer.from("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
    ])();
    return { bytes, kind: "another protocol", answered: "free", after: "closes" };
  }

  #garbage() {
    return {
      bytes: this.#random.bytes(this.#random.between(1, 300)),
      kind: "garbage",
      answered: "free",
      after: "stuck",
    };
  }

  /** A header of up to 16 MiB: as many extension fields as fit, or one value. */
  #hugeHeader() {
    const random = this.#random;
    const size = random.pick([1_100_000, 4_000_000, 0xfffff0 - 200]);
    const many = random.chance(0.5);
    let header;
    if (many) {
      const field = Buffer.from([0, 1, 0x61, 0, 0, 0, 1, 0x62]);
      const count = Math.floor((size - 21) / field.length);
      header = Buffer.concat([binaryHeader(10, ++this.#opaque, 0, {}), Buffer.alloc(count * field.length, field)]);
      header.writeInt32BE(count * field.length, 17);
    } else {
      header = jsonHeader(10, ++this.#opaque, 0, { topic: "F".repeat(size) });
    }
    return {
      bytes: frameOf(many ? 1 : 0, header),
      kind: `header of ${header.length} bytes`,
      answered: "free",
      after: "stuck",
    };
  }
}

function int32(buf, value, at) {
  buf.writeInt32BE(value, at);
  return buf;
}

function int16(buf, value, at) {
  buf.writeInt16BE(value, at);
  return buf;
}

/** Flips, cuts or doubles some bytes with probability `p`. */
function mutate(random, buf, p) {
  if (buf.length === 0 || !random.chance(p)) return buf;
  const roll = random.next();
  if (roll < 0.4) return buf.subarray(0, random.int(buf.length));
  if (roll < 0.6) return Buffer.concat([buf, buf.subarray(random.int(buf.length))]);
  const copy = Buffer.from(buf);
  for (let i = random.between(1, 4); i > 0; i--) copy[random.int(copy.length)] = random.int(256);
  return copy;
}

/** Old clients write {1:"x"}: keys without quotes. */
function unquoteKeys(text) {
  return text.replace(/"(\w+)":/g, "$1:");
}
