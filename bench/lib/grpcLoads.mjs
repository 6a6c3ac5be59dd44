// The loads of the 5.x protocol: sends, and receives with an acknowledgement for each message, as the official clients send them.
import { codec } from "../../dist/grpc/proto.js";
import { H2Connection } from "./h2.mjs";

const SERVICE = "/apache.rocketmq.v2.MessagingService/";
const FRAME_HEAD_BYTES = 5;
const OK = 20_000;
const MESSAGE_NOT_FOUND = 40_401;
const BATCH = 32;
const PRODUCER = 1;
const SIMPLE_CONSUMER = 3;
const NORMAL = 1;
const IDENTITY = 1;
const EVERY = { type: 1, expression: "*" };
/** A message id: 34 characters, the last eight of which count. */
const ID_BYTES = 34;
/** Field tags of the wire: field number times eight and 2, bytes. */
const [FIELD_1, FIELD_2, FIELD_3, FIELD_12] = [10, 18, 26, 98];

/** A connection whose client has told its settings. */
async function connect(recorder, port, clientId, settings) {
  const headers = {
    "user-agent": "grpc-java-netty/1.53.0",
    "x-mq-client-id": clientId,
    "x-mq-language": "JAVA",
    "x-mq-client-version": "5.2.0",
    "x-mq-protocol": "v2",
    "x-mq-namespace": "default",
    "grpc-accept-encoding": "gzip",
  };
  const connection = await H2Connection.open(port, headers, (reason) => recorder.error(reason));
  await new Promise((resolve) => {
    const end = () => recorder.error("the Telemetry stream ended");
    const frame = codec("TelemetryCommand").encodeFrame({ settings });
    connection.call(`${SERVICE}Telemetry`, frame, { data: resolve, end }, true);
  });
  return connection;
}

/** The code of the status that begins an answer; 0 when it does not begin with one. */
function codeOf(bytes, from) {
  let at = from + FRAME_HEAD_BYTES;
  if (bytes[at] !== FIELD_1) return 0;
  at += 2;
  return bytes[at] === 8 ? varint(bytes, at + 1) : 0;
}

function varint(bytes, from) {
  let value = 0;
  for (let at = from, shift = 1; ; at++, shift *= 128) {
    value += (bytes[at] & 127) * shift;
    if (bytes[at] < 128) return value;
  }
}

const varintBytes = (value) => (value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4);

/** A unary call that is made again and again: one object for all of them. */
class Repeated {
  sentAt = 0;
  #code = 0;

  constructor(answered) {
    this.answered = answered;
  }

  data(bytes, from) {
    if (this.#code === 0) this.#code = codeOf(bytes, from);
  }

  end() {
    const code = this.#code;
    this.#code = 0;
    this.answered(this, code);
  }
}

/** Sends, a fixed number in flight on each connection. */
export async function sendLoad(recorder, { port, topic, connections, inFlight, bodyBytes }) {
  let acknowledged = 0;
  let running = true;
  const open = [];
  for (let c = 0; c < connections; c++) {
    const settings = { clientType: PRODUCER, publishing: { topics: [{ name: topic }] } };
    const connection = await connect(recorder, port, `bench-producer-${process.pid}-${c}`, settings);
    open.push(connection);
    const { frame, idAt } = sendFrame(topic, bodyBytes, `${process.pid}-${c}`);
    let next = 0;
    const send = (call) => {
      frame.write((next++).toString(16).padStart(8, "0"), idAt + ID_BYTES - 8, "latin1");
      call.sentAt = performance.now();
      connection.call(`${SERVICE}SendMessage`, frame, call);
    };
    const answered = (call, code) => {
      if (code === OK) {
        acknowledged++;
        recorder.messages++;
        recorder.sample(performance.now() - call.sentAt);
      } else recorder.error(`SendMessage answered ${code}`);
      if (running) send(call);
    };
    for (let i = 0; i < inFlight; i++) send(new Repeated(answered));
  }
  return {
    acknowledged: () => acknowledged,
    async stop() {
      running = false;
      await new Promise((resolve) => setTimeout(resolve, 300));
      for (const connection of open) connection.close();
    },
  };
}

/** A request as the Java client sends it, and where its message's id lies in it. */
function sendFrame(topic, bodyBytes, client) {
  const messageId = `01${client.padStart(24, "0")}`.slice(0, ID_BYTES - 8).padEnd(ID_BYTES, "0");
  const now = { seconds: Math.floor(Date.now() / 1000), nanos: 0 };
  const systemProperties = {
    messageId,
    bornTimestamp: now,
    bornHost: "benchmark",
    bodyEncoding: IDENTITY,
    queueId: 0,
    messageType: NORMAL,
  };
  const message = { topic: { name: topic }, systemProperties, body: Buffer.alloc(bodyBytes, "x") };
  const frame = codec("SendMessageRequest").encodeFrame({ messages: [message] });
  return { frame, idAt: frame.indexOf(messageId) };
}

/** Receives of 32 and an acknowledgement for each message; a message counts once its acknowledgement is answered. */
export async function receiveLoad(recorder, { port, topic, group, connections, inFlight }) {
  let acknowledged = 0;
  let running = true;
  const open = [];
  const names = { group: { name: group }, topic: { name: topic } };
  const receiveFrame = codec("ReceiveMessageRequest").encodeFrame({
    group: names.group,
    messageQueue: { topic: names.topic, id: -1, broker: { name: "broker-a" } },
    filterExpression: EVERY,
    batchSize: BATCH,
    invisibleDuration: { seconds: 60 },
    longPollingTimeout: { seconds: 5 },
  });
  const ackHead = codec("AckMessageRequest").encodeFrame(names);
  for (let c = 0; c < connections; c++) {
    const subscription = { group: names.group, subscriptions: [{ topic: names.topic, expression: EVERY }] };
    const settings = { clientType: SIMPLE_CONSUMER, subscription };
    const connection = await connect(recorder, port, `bench-consumer-${process.pid}-${c}`, settings);
    open.push(connection);
    const spare = [];
    for (let i = 0; i < inFlight; i++) {
      let left = 0;
      const receive = () => {
        if (running) connection.call(`${SERVICE}ReceiveMessage`, receiveFrame, new Answer(taken));
      };
      const acked = (call, code) => {
        if (code === OK) {
          acknowledged++;
          recorder.messages++;
          recorder.sample(performance.now() - call.sentAt);
        } else recorder.error(`AckMessage answered ${code}`);
        spare.push(call);
        if (--left === 0) receive();
      };
      const taken = (bytes) => {
        const { code, handles } = received(bytes);
        if (code !== OK && code !== MESSAGE_NOT_FOUND) recorder.error(`ReceiveMessage answered ${code}`);
        left = handles.length / 4;
        if (left === 0) return receive();
        const now = performance.now();
        for (let h = 0; h < handles.length; h += 4) {
          const call = spare.pop() ?? new Repeated(acked);
          call.answered = acked;
          call.sentAt = now;
          connection.call(`${SERVICE}AckMessage`, ackFrame(ackHead, bytes, handles, h), call);
        }
      };
      receive();
    }
  }
  return {
    acknowledged: () => acknowledged,
    async stop() {
      running = false;
      await new Promise((resolve) => setTimeout(resolve, 300));
      for (const connection of open) connection.close();
    },
  };
}

/** All bytes of a streamed answer. */
class Answer {
  #parts = [];

  constructor(taken) {
    this.taken = taken;
  }

  data(bytes, from, to) {
    this.#parts.push(bytes.subarray(from, to));
  }

  end() {
    this.taken(this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts));
  }
}

/** The status of a receive, and where the ids and handles of its messages lie: from, to, from, to. */
function received(bytes) {
  const handles = [];
  let code = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = at + FRAME_HEAD_BYTES + bytes.readUInt32BE(at + 1);
    const kind = bytes[at + FRAME_HEAD_BYTES];
    if (kind === FIELD_1) code = codeOf(bytes, at);
    else if (kind === FIELD_2) {
      const [from, to] = inside(bytes, at + FRAME_HEAD_BYTES, end, FIELD_2);
      const [system, systemEnd] = inside(bytes, from, to, FIELD_3);
      handles.push(...inside(bytes, system, systemEnd, FIELD_3), ...inside(bytes, system, systemEnd, FIELD_12));
    }
    at = end;
  }
  return { code, handles };
}

/** Where the content of a field of a message lies. */
function inside(bytes, from, to, tag) {
  for (let at = from; at < to; ) {
    const key = varint(bytes, at);
    at += varintBytes(key);
    const length = varint(bytes, at);
    const kind = key & 7;
    at += varintBytes(length);
    if (kind === 2) {
      if (key === tag) return [at, at + length];
      at += length;
    } else if (kind !== 0) throw new Error(`wire type ${kind} in an answer`);
    else while (bytes[at - 1] >= 128) at++;
  }
  throw new Error(`an answer lacks the field of tag ${tag}`);
}

/** The request that acknowledges one message, its id and handle copied. */
function ackFrame(head, bytes, handles, h) {
  const [idFrom, idTo, from, to] = handles.slice(h, h + 4);
  const entry = 2 + (idTo - idFrom) + 2 + (to - from);
  const frame = Buffer.allocUnsafe(head.length + 1 + varintBytes(entry) + entry);
  let at = head.copy(frame, 0);
  frame[at++] = FIELD_3;
  if (entry >= 128) frame[at++] = (entry & 127) | 128;
  frame[at++] = entry >= 128 ? entry >> 7 : entry;
  frame[at++] = FIELD_1;
  frame[at++] = idTo - idFrom;
  at += bytes.copy(frame, at, idFrom, idTo);
  frame[at++] = FIELD_2;
  frame[at++] = to - from;
  bytes.copy(frame, at, from, to);
  frame.writeUInt32BE(frame.length - FRAME_HEAD_BYTES, 1);
  return frame;
}
