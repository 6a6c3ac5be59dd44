// A raw client: one connection, requests matched to replies by opaque, no retries, no comfort.

import { connect } from "node:net";
import { CODE, crcOf, decodeReply, encodeRequest, Splitter } from "./wire.mjs";

const COMMIT = 1;
const SUSPEND = 2;
const SUBSCRIPTION = 4;

/** The connection broke before the answer: what was asked may or may not have happened. */
export class Broken extends Error {}

export class RawClient {
  #socket;
  #waiting = new Map();
  #opaque = 0;
  #ackHook;
  #onRequest;
  closed = false;

  /**
   * @param {{ port: number, host?: string, binary?: boolean, onReply?: (replies: object[]) => void, onRequest?: (request: object) => void }} options
   *   `onReply` sees all replies of one read before any waiter does: the place for an audit log. `onRequest` gets what the server asks.
   */
  static open({ port, host = "127.0.0.1", binary = false, onReply, onRequest, timeoutMs = 5_000 }) {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true });
      const timer = setTimeout(() => socket.destroy(new Error("connect timed out")), timeoutMs);
      socket.once("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.removeAllListeners("error");
        resolve(new RawClient(socket, binary, onReply, onRequest));
      });
    });
  }

  constructor(socket, binary, onReply, onRequest) {
    this.#socket = socket;
    this.binary = binary;
    this.#ackHook = onReply;
    this.#onRequest = onRequest;
    let batch = [];
    const splitter = new Splitter((frame) => batch.push(decodeReply(frame)));
    socket.on("data", (chunk) => {
      batch = [];
      splitter.push(chunk);
      const answered = [];
      for (const reply of batch) {
        if ((reply.flag & 1) === 0) this.#onRequest?.(reply);
        const waiter = this.#waiting.get(reply.opaque);
        if ((reply.flag & 1) === 0 || waiter === undefined) continue;
        this.#waiting.delete(reply.opaque);
        reply.tag = waiter.tag;
        answered.push([waiter, reply]);
      }
      this.#ackHook?.(answered.map(([, reply]) => reply));
      for (const [waiter, reply] of answered) waiter.resolve(reply);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
      for (const waiter of this.#waiting.values()) waiter.reject(new Broken("connection lost"));
      this.#waiting.clear();
    });
  }

  get inFlight() {
    return this.#waiting.size;
  }

  /** Sends a request; resolves with the reply, whatever its code. `tag` comes back on the reply for the hook. */
  ask(code, ext, body, { timeoutMs = 20_000, tag } = {}) {
    if (this.closed) return Promise.reject(new Broken("connection lost"));
    const opaque = ++this.#opaque;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(opaque);
        reject(new Error(`no answer to request ${code} within ${timeoutMs} ms`));
      }, timeoutMs);
      const done = (fn) => (value) => {
        clearTimeout(timer);
        fn(value);
      };
      this.#waiting.set(opaque, { resolve: done(resolve), reject: done(reject), tag });
      this.#socket.write(encodeRequest({ code, opaque, ext, body, binary: this.binary }));
    });
  }

  /** Sends a request that nobody answers. */
  tell(code, ext, body) {
    if (this.closed) return;
    this.#socket.write(encodeRequest({ code, opaque: ++this.#opaque, ext, body, binary: this.binary, oneway: true }));
  }

  pull({ group, topic, queueId, offset, max = 32, commit, suspendMs = 0, timeoutMs }) {
    const ext = {
      consumerGroup: group,
      topic,
      queueId,
      queueOffset: offset,
      maxMsgNums: max,
      sysFlag: SUBSCRIPTION | (commit === undefined ? 0 : COMMIT) | (suspendMs > 0 ? SUSPEND : 0),
      commitOffset: commit ?? 0,
      suspendTimeoutMillis: suspendMs,
      subscription: "*",
      subVersion: 0,
      expressionType: "TAG",
    };
    return this.ask(CODE.PULL, ext, undefined, { timeoutMs: timeoutMs ?? suspendMs + 20_000 });
  }

  async number(code, ext) {
    const reply = await this.ask(code, ext);
    if (reply.code !== 0) throw new Error(`request ${code}: ${reply.code} ${reply.remark}`);
    return Number(reply.ext.offset);
  }

  destroy() {
    this.#socket.destroy();
  }

  get socket() {
    return this.#socket;
  }
}

/** Header of SEND_MESSAGE_V2 (and of SEND_BATCH_MESSAGE). */
export function sendHeader({ group, topic, queueId, properties, batch = false, now = Date.now() }) {
  return {
    a: group,
    b: topic,
    c: "TBW102",
    d: 4,
    e: queueId,
    f: 0,
    g: now,
    h: 0,
    i: properties,
    j: 0,
    k: false,
    l: 0,
    m: batch,
  };
}

/** Creates or changes a topic. */
export async function createTopic(client, topic, queues) {
  const reply = await client.ask(CODE.CREATE_TOPIC, {
    topic,
    defaultTopic: "TBW102",
    readQueueNums: queues,
    writeQueueNums: queues,
    perm: 6,
    topicFilterType: "SINGLE_TAG",
    topicSysFlag: 0,
    order: false,
  });
  if (reply.code !== 0) throw new Error(`creating ${topic}: ${reply.code} ${reply.remark}`);
}

export { crcOf };
