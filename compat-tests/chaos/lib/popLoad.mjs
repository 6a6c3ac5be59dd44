// Producers and consumers that pop, for `npm run chaos -- pop`: some messages are acknowledged, some get more time, some are left to
// their fate. Everything is noted in the outside log before anybody acts on it:
//
//   S id              a message is about to be sent
//   A id              the server acknowledged it
//   P id key at due   it was popped: by handle `key`, at the server's pop time, invisible until `due`
//   K id key at       its acknowledgement is about to be sent
//   D id key at       the acknowledgement was answered with success
//   N id key at       a new invisible time is about to be asked for
//   M id key key2 due the new handle and its deadline
//   U at, X at        the broker came up, was killed (ms of this machine's wall clock, which the broker shares)

import { setTimeout as sleep } from "node:timers/promises";
import { Broken, RawClient, sendHeader } from "./client.mjs";
import { parseProperties, parseRecords, properties } from "./wire.mjs";

export const POP_TOPIC = "ChaosPop";
export const POP_GROUP = "ChaosPopGroup";
export const POP_QUEUES = 4;
const BROKER = "broker-a";
const SEND = 310;
const POP = 200_050;
const ACK = 200_051;
const CHANGE = 200_053;
const POLLING_TIMEOUT = 210;
const POLLING_FULL = 209;
const RETRY_AFTER_MS = 30;

/** A client that is opened again whenever the broker is there. */
class Line {
  #port;
  #client;

  constructor(port) {
    this.#port = port;
  }

  /** The connection, or undefined while there is none. */
  async get() {
    if (this.#client === undefined || this.#client.closed) {
      try {
        this.#client = await RawClient.open({ port: this.#port });
      } catch {
        await sleep(RETRY_AFTER_MS);
        return undefined;
      }
    }
    return this.#client;
  }

  close() {
    this.#client?.destroy();
  }
}

/** Sends one message after the other, a window of them at a time; one that was not acknowledged is never sent again. */
export class PopProducer {
  sent = 0;
  #running = true;
  #done;

  constructor({ number, port, log, perSecond }) {
    Object.assign(this, { number, log, perSecond });
    this.line = new Line(port);
    this.#done = this.#run();
  }

  async finish() {
    this.#running = false;
    await this.#done;
    this.line.close();
  }

  async #run() {
    const burst = Math.max(1, Math.round(this.perSecond / 50));
    while (this.#running) {
      const client = await this.line.get();
      if (client === undefined) continue;
      const sends = Array.from({ length: burst }, () => this.#send(client));
      this.log.flush();
      await Promise.allSettled(sends.map((send) => send()));
      this.log.flush();
      await sleep(20);
    }
  }

  /** Notes a message; the function sends it. */
  #send(client) {
    const id = `p.${this.number}.${this.sent++}`;
    this.log.note(`S ${id}`);
    return async () => {
      const header = sendHeader({
        group: "ChaosPopProducer",
        topic: POP_TOPIC,
        queueId: this.sent % POP_QUEUES,
        properties: properties({ UNIQ_KEY: id, WAIT: "true" }),
      });
      const reply = await client.ask(SEND, header, Buffer.from(id));
      if (reply.code === 0) this.log.note(`A ${id}`);
    };
  }
}

/** What is in a pop reply: messages with the handles that a Java client makes. */
export function popped(reply) {
  const starts = new Map();
  for (const entry of reply.ext.startOffsetInfo.split(";")) {
    const [kind, queueId, start] = entry.split(" ");
    starts.set(`${kind} ${queueId}`, start);
  }
  const { popTime, invisibleTime, reviveQid } = reply.ext;
  return parseRecords(reply.body).map((record) => {
    const { queueId, queueOffset } = record;
    const own = parseProperties(record.properties);
    const handle =
      own.POP_CK ??
      `${starts.get(`0 ${queueId}`)} ${popTime} ${invisibleTime} ${reviveQid} 0 ${BROKER} ${queueId} ${queueOffset}`;
    return { id: record.body.toString("latin1"), queueId, queueOffset, handle, uniqueKey: own.UNIQ_KEY };
  });
}

function topicOf(handle) {
  const kind = handle.split(" ")[4];
  if (kind === "0") return POP_TOPIC;
  return `%RETRY%${POP_GROUP}${kind === "1" ? "_" : "+"}${POP_TOPIC}`;
}

const keyOf = (handle) => handle.replaceAll(" ", "/");

/** Pops and does something else with each message. */
export class PopConsumer {
  popped = 0;
  problems = [];
  #running = true;
  #done;

  /** @param {{ port: number, log: object, random: object, ackShare?: number, invisibleMs?: [number, number] }} options */
  constructor({ port, log, random, ackShare = 0.75, invisibleMs = [2_000, 5_000] }) {
    Object.assign(this, { log, random, ackShare, invisibleMs });
    this.line = new Line(port);
    this.#done = this.#run();
  }

  async finish() {
    this.#running = false;
    await this.#done;
    this.line.close();
  }

  async #run() {
    while (this.#running) {
      const client = await this.line.get();
      if (client === undefined) continue;
      try {
        await this.#round(client);
      } catch (error) {
        if (!(error instanceof Broken)) this.problems.push(error.message);
      }
    }
  }

  async #round(client) {
    const { random, log } = this;
    const invisibleTime = random.between(...this.invisibleMs);
    const reply = await client.ask(POP, {
      consumerGroup: POP_GROUP,
      topic: POP_TOPIC,
      queueId: -1,
      maxMsgNums: random.between(1, 32),
      invisibleTime,
      pollTime: 500,
      bornTime: Date.now(),
      initMode: 0,
      order: false,
    });
    if (reply.code === POLLING_TIMEOUT || reply.code === POLLING_FULL) return;
    if (reply.code !== 0) throw new Error(`pop: ${reply.code} ${reply.remark}`);
    const popTime = Number(reply.ext.popTime);
    const messages = popped(reply);
    for (const { id, handle, uniqueKey } of messages) {
      if (uniqueKey !== id) this.problems.push(`${id} came with the properties of ${uniqueKey}`);
      log.note(`P ${id} ${keyOf(handle)} ${popTime} ${popTime + invisibleTime}`);
    }
    log.flush();
    this.popped += messages.length;
    await Promise.allSettled(messages.map((message) => this.#treat(client, message)));
    log.flush();
  }

  async #treat(client, message) {
    const { random } = this;
    if (random.chance(0.06)) return this.#change(client, message);
    if (random.chance(this.ackShare)) return this.#ack(client, message);
    return undefined;
  }

  async #ack(client, { id, handle, queueId, queueOffset }) {
    const { log } = this;
    log.note(`K ${id} ${keyOf(handle)} ${Date.now()}`);
    log.flush();
    const reply = await client.ask(ACK, {
      consumerGroup: POP_GROUP,
      topic: topicOf(handle),
      queueId,
      extraInfo: handle,
      offset: queueOffset,
    });
    if (reply.code !== 0) throw new Error(`ack: ${reply.code} ${reply.remark}`);
    log.note(`D ${id} ${keyOf(handle)} ${Date.now()}`);
    log.flush();
  }

  async #change(client, message) {
    const { log, random } = this;
    const { id, handle, queueId, queueOffset } = message;
    const invisibleTime = random.between(1_000, 6_000);
    log.note(`N ${id} ${keyOf(handle)} ${Date.now()}`);
    log.flush();
    const reply = await client.ask(CHANGE, {
      consumerGroup: POP_GROUP,
      topic: topicOf(handle),
      queueId,
      extraInfo: handle,
      offset: queueOffset,
      invisibleTime,
    });
    if (reply.code !== 0) throw new Error(`change: ${reply.code} ${reply.remark}`);
    const { popTime, reviveQid } = reply.ext;
    const kind = handle.split(" ")[4];
    const renewed = `${queueOffset} ${popTime} ${invisibleTime} ${reviveQid} ${kind} ${BROKER} ${queueId} ${queueOffset}`;
    log.note(`M ${id} ${keyOf(handle)} ${keyOf(renewed)} ${Number(popTime) + invisibleTime}`);
    log.flush();
    if (random.chance(0.5)) await this.#ack(client, { ...message, handle: renewed });
  }
}
