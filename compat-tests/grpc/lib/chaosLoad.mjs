// Producers and consumers of the 5.x protocol for chaos.mjs, noting in the outside log what ../../chaos/lib/popLoad.mjs notes for pops, in
// its format: the same judge reads both. Handles are the server's text with slashes instead of blanks.

import { setTimeout as sleep } from "node:timers/promises";
import { Rpc } from "./rpc.mjs";

const OK = 20_000;
const MESSAGE_NOT_FOUND = 40_401;
const INVALID_RECEIPT_HANDLE = 40_013;
const PUSH_CONSUMER = 2;
const SIMPLE_CONSUMER = 3;
const TAG = 1;
const EVERY = { type: TAG, expression: "*" };
const RETRY_AFTER_MS = 30;
/** grpc-js would wait for a second and more before it tries again. */
const RECONNECT = { "grpc.initial_reconnect_backoff_ms": 50, "grpc.max_reconnect_backoff_ms": 200 };
/** gRPC statuses that say that the server is not there; every other one is a finding. */
const GONE = new Set([1, 4, 13, 14]);
const gone = (error) => GONE.has(error.code);

const keyOf = (handle) => handle.replaceAll(" ", "/");

/** When a handle was given and until when it counts, ms of the server's clock. */
function timesOf(handle) {
  const [, popTime, invisibleTime] = handle.split(" ").map(Number);
  return { at: popTime, due: popTime + invisibleTime };
}

/** A client that works until it is told to finish. */
class Worker {
  problems = [];
  running = true;
  #done;

  /** @param work what it does while it is `running` */
  begin(address, clientId, work) {
    this.rpc = new Rpc(address, clientId, RECONNECT);
    this.#done = work();
  }

  async finish() {
    this.running = false;
    await this.#done;
    this.rpc.close();
  }
}

/** Sends bursts; what was not acknowledged is never sent again. */
export class RpcProducer extends Worker {
  #sent = 0;

  constructor({ number, address, log, topic, perSecond }) {
    super();
    Object.assign(this, { number, log, topic, perSecond });
    this.begin(address, `chaos-producer-${number}`, () => this.#run());
  }

  async #run() {
    const burst = Math.max(1, Math.round(this.perSecond / 50));
    while (this.running) {
      const ids = Array.from({ length: burst }, () => `p.${this.number}.${this.#sent++}`);
      for (const id of ids) this.log.note(`S ${id}`);
      this.log.flush();
      const taken = await Promise.all(ids.map((id) => this.#send(id)));
      this.log.flush();
      await sleep(taken.includes(true) ? 20 : RETRY_AFTER_MS);
    }
  }

  async #send(id) {
    const message = { topic: this.topic, body: Buffer.from(id), systemProperties: { messageId: id } };
    try {
      const { status } = await this.rpc.call("SendMessage", { messages: [message] });
      if (status.code === OK) this.log.note(`A ${id}`);
      return status.code === OK;
    } catch (error) {
      if (!gone(error)) this.problems.push(`send: ${error.message}`);
      return false;
    }
  }
}

/** Receives, and does something else with each message. */
export class RpcConsumer extends Worker {
  popped = 0;
  acked = 0;
  #telemetry;

  /**
   * @param {{ clientId: string, address: string, log: object, random: object, topic: object, group: object, ackShare?: number,
   *   changeShare?: number, invisibleSeconds?: [number, number], autoRenew?: boolean }} options
   */
  constructor({ ackShare = 0.75, changeShare = 0.15, invisibleSeconds = [10, 12], autoRenew = false, ...options }) {
    super();
    Object.assign(this, options, { ackShare, changeShare, invisibleSeconds, autoRenew });
    this.begin(options.address, options.clientId, () => this.#run());
  }

  async #run() {
    while (this.running) {
      try {
        await this.#settle();
        await this.#round();
      } catch (error) {
        if (!gone(error)) this.problems.push(error.message);
        await sleep(RETRY_AFTER_MS);
      }
    }
    this.#telemetry?.end();
  }

  /** The server must know the client's settings; after a restart it knows nothing. */
  async #settle() {
    if (this.#telemetry !== undefined) return;
    const clientType = this.autoRenew ? PUSH_CONSUMER : SIMPLE_CONSUMER;
    const subscriptions = [{ topic: this.topic, expression: EVERY }];
    const stream = await this.rpc.telemetry({ clientType, subscription: { group: this.group, subscriptions } });
    this.#telemetry = stream;
    const lost = () => {
      if (this.#telemetry === stream) this.#telemetry = undefined;
    };
    stream.on("error", lost);
    stream.on("end", lost);
  }

  async #round() {
    const { log, random, topic, group, autoRenew } = this;
    const invisible = autoRenew
      ? { autoRenew: true }
      : { invisibleDuration: { seconds: random.between(...this.invisibleSeconds) } };
    const messages = [];
    let status;
    const request = {
      group,
      messageQueue: { topic, id: -1, broker: { name: "broker-a" } },
      filterExpression: EVERY,
      batchSize: random.between(1, 32),
      longPollingTimeout: { seconds: 5 },
      ...invisible,
    };
    // What came before the stream broke was given as well as what came with its end.
    const failure = await this.rpc
      .each("ReceiveMessage", request, (reply) => {
        if (reply.status) status = reply.status;
        if (!reply.message) return;
        const { messageId, receiptHandle } = reply.message.systemProperties;
        const id = reply.message.body.toString("latin1");
        if (id !== messageId) this.problems.push(`${id} came with the id of ${messageId}`);
        const { at, due } = timesOf(receiptHandle);
        log.note(`P ${id} ${keyOf(receiptHandle)} ${at} ${due}`);
        messages.push({ id, handle: receiptHandle });
      })
      .then(
        () => undefined,
        (error) => error,
      );
    log.flush();
    this.popped += messages.length;
    if (messages.length > 0) await this.#treat(messages);
    log.flush();
    if (failure !== undefined) throw failure;
    if (status !== undefined && status.code !== OK && status.code !== MESSAGE_NOT_FOUND) {
      throw new Error(`receive: ${status.code} ${status.message}`);
    }
  }

  async #treat(messages) {
    const { random } = this;
    const [changed, rest] = split(messages, () => random.chance(this.changeShare));
    const [acked] = split(rest, () => random.chance(this.ackShare));
    const renewed = await Promise.all(changed.map((message) => this.#change(message)));
    const again = renewed.filter((message) => message !== undefined && random.chance(Math.max(0.5, this.ackShare)));
    await this.#ack([...acked, ...again]);
  }

  async #ack(messages) {
    if (messages.length === 0) return;
    const { log, topic, group } = this;
    for (const { id, handle } of messages) log.note(`K ${id} ${keyOf(handle)} ${Date.now()}`);
    log.flush();
    const entries = messages.map(({ id, handle }) => ({ messageId: id, receiptHandle: handle }));
    const reply = await this.rpc.call("AckMessage", { topic, group, entries });
    for (const [i, { messageId, status }] of reply.entries.entries()) {
      const { id, handle } = messages[i];
      if (status.code === OK) {
        log.note(`D ${id} ${keyOf(handle)} ${Date.now()}`);
        this.acked++;
      }
      // A handle whose time was over while the server was away is refused.
      else if (status.code !== INVALID_RECEIPT_HANDLE || timesOf(handle).due > Date.now()) {
        this.problems.push(`ack of ${messageId}: ${status.code} ${status.message}`);
      }
    }
    log.flush();
  }

  /** @returns the message with its new handle; undefined when it got none */
  async #change({ id, handle }) {
    const { log, random, topic, group } = this;
    const invisibleDuration = { seconds: random.between(1, 6) };
    log.note(`N ${id} ${keyOf(handle)} ${Date.now()}`);
    log.flush();
    const request = { topic, group, messageId: id, receiptHandle: handle, invisibleDuration };
    const { status, receiptHandle } = await this.rpc.call("ChangeInvisibleDuration", request);
    if (status.code !== OK) {
      if (status.code === INVALID_RECEIPT_HANDLE && timesOf(handle).due <= Date.now()) return undefined;
      throw new Error(`change of ${id}: ${status.code} ${status.message}`);
    }
    log.note(`M ${id} ${keyOf(handle)} ${keyOf(receiptHandle)} ${timesOf(receiptHandle).due}`);
    log.flush();
    return { id, handle: receiptHandle };
  }
}

function split(list, chosen) {
  const [yes, no] = [[], []];
  for (const each of list) (chosen(each) ? yes : no).push(each);
  return [yes, no];
}
