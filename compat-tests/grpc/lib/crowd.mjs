// Clients by the thousand for load.mjs, on node:http2: a connection, an open Telemetry stream and a long poll each, and little else.

import { connect, constants } from "node:http2";
import { codec } from "../../../dist/grpc/proto.js";

const SERVICE = "/apache.rocketmq.v2.MessagingService/";
const HEAD_BYTES = 5;
const OK = 20_000;
const MESSAGE_NOT_FOUND = 40_401;
const RESOURCE_EXHAUSTED = 8;
const SIMPLE_CONSUMER = 3;
const EVERY = { type: 1, expression: "*" };
const POLL_SECONDS = 20;
/** Who is silent for two minutes is forgotten; on a busy machine a wave takes longer. */
const HEARTBEAT_MS = 40_000;

/** Cuts a stream's bytes into messages of a type. */
export function onFrames(stream, name, take) {
  const { decode } = codec(name);
  let rest = Buffer.alloc(0);
  stream.on("data", (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= HEAD_BYTES && rest.length >= HEAD_BYTES + rest.readUInt32BE(1)) {
      const end = HEAD_BYTES + rest.readUInt32BE(1);
      take(decode(rest.subarray(HEAD_BYTES, end)));
      rest = rest.subarray(end);
    }
  });
}

/** One connection to the server under a client's name. */
export class Wire {
  closed;

  constructor(address, clientId) {
    this.session = connect(`http://${address}`, { settings: { enablePush: false } });
    this.session.on("error", () => {});
    this.closed = new Promise((resolve) => this.session.once("close", resolve));
    this.headers = {
      ":method": "POST",
      "content-type": "application/grpc",
      te: "trailers",
      "x-mq-client-id": clientId,
      "x-mq-language": "JAVA",
      "x-mq-client-version": "5.2.0",
      "x-mq-protocol": "v2",
    };
  }

  /** A call's stream; its gRPC status resolves `stream.status`. */
  open(name, more = {}) {
    const stream = this.session.request({ ...this.headers, ":path": SERVICE + name, ...more });
    stream.status = new Promise((resolve) => {
      let http = 0;
      let status;
      const look = (headers) => {
        http = headers[":status"] ?? http;
        status = headers["grpc-status"] ?? status;
      };
      stream.on("response", look);
      stream.on("trailers", look);
      stream.on("error", () => {});
      const end = () => resolve({ http, code: status === undefined ? undefined : Number(status), rst: stream.rstCode });
      // A stream that nobody reads is aborted by the server, but never closed here.
      stream.on("aborted", end);
      stream.on("close", end);
    });
    return stream;
  }

  /** A call's answers and its gRPC status. */
  async call(name, request, timeout = "30S") {
    const stream = this.open(name, { "grpc-timeout": timeout });
    const replies = [];
    onFrames(stream, `${name}Response`, (reply) => replies.push(reply));
    stream.end(codec(`${name}Request`).encodeFrame(request));
    const status = await stream.status;
    return { ...status, replies };
  }

  destroy() {
    this.session.destroy(undefined, constants.NGHTTP2_CANCEL);
  }
}

/** A simple consumer that is always waiting for a message. */
export class Member {
  /** What its polls brought. */
  empty = 0;
  messages = [];
  problems = [];
  #leaving = false;
  #heart;

  constructor(address, clientId, topic, group) {
    Object.assign(this, { address, clientId, topic, group });
  }

  async join() {
    this.wire = new Wire(this.address, this.clientId);
    this.telemetry = this.wire.open("Telemetry");
    const settled = new Promise((resolve, reject) => {
      onFrames(this.telemetry, "TelemetryCommand", resolve);
      this.telemetry.on("close", () => reject(new Error(`${this.clientId}: the Telemetry stream ended`)));
    });
    const subscription = { group: this.group, subscriptions: [{ topic: this.topic, expression: EVERY }] };
    const settings = { clientType: SIMPLE_CONSUMER, subscription };
    this.telemetry.write(codec("TelemetryCommand").encodeFrame({ settings }));
    const { status } = await settled;
    if (status?.code !== OK) throw new Error(`${this.clientId}: settings answered ${status?.code}`);
    const heartbeat = { group: this.group, clientType: SIMPLE_CONSUMER };
    this.#heart = setInterval(() => void this.wire.call("Heartbeat", heartbeat), HEARTBEAT_MS);
  }

  /** Polls until it leaves. */
  async poll(batchSize = 1) {
    while (!this.#leaving) {
      const { code, replies } = await this.wire.call("ReceiveMessage", this.request(batchSize));
      if (this.#leaving) return;
      const status = replies.find((reply) => reply.status)?.status;
      const got = replies.flatMap(({ message }) => message ?? []);
      const at = performance.now();
      for (const { body, systemProperties } of got) this.messages.push({ body, systemProperties, at });
      if (status?.code === MESSAGE_NOT_FOUND) this.empty++;
      else if (status?.code !== OK) this.problems.push(`receive: gRPC ${code}, ${status?.code} ${status?.message}`);
      if (got.length > 0) await this.#ack(got);
    }
  }

  request(batchSize) {
    return {
      group: this.group,
      messageQueue: { topic: this.topic, id: -1, broker: { name: "broker-a" } },
      filterExpression: EVERY,
      batchSize,
      invisibleDuration: { seconds: 60 },
      longPollingTimeout: { seconds: POLL_SECONDS },
    };
  }

  async #ack(messages) {
    const entries = messages.map(({ systemProperties: { messageId, receiptHandle } }) => ({
      messageId,
      receiptHandle,
    }));
    const { replies } = await this.wire.call("AckMessage", { topic: this.topic, group: this.group, entries });
    const code = replies[0]?.status.code;
    if (code !== OK && !this.#leaving) this.problems.push(`ack: ${code} ${replies[0]?.status.message}`);
  }

  /** A receive whose answer is never read. @returns whether the server cut it off; false when it got nothing that it would have had to read */
  stare() {
    const stream = this.wire.open("ReceiveMessage", { "grpc-timeout": "60S" });
    stream.end(codec("ReceiveMessageRequest").encodeFrame(this.request(32)));
    // Trailers are seen without reading, but only behind what fits into the stream's window.
    const fits = new Promise((resolve) => stream.on("trailers", () => resolve(false)));
    return Promise.race([fits, stream.status.then(({ rst, code }) => rst !== 0 || code === RESOURCE_EXHAUSTED)]);
  }

  /** With a goodbye, or as a process that was killed. */
  async leave(polite) {
    this.#leaving = true;
    clearInterval(this.#heart);
    if (polite) await this.wire.call("NotifyClientTermination", { group: this.group });
    this.wire.destroy();
    await this.wire.closed;
  }
}
