// One producer: a window of sends in flight on one connection, ordered per queue, resent in the same order until the
// server acknowledges them. Single messages, batches and delayed messages, JSON or binary headers.

import { setTimeout as sleep } from "node:timers/promises";
import { RawClient, sendHeader } from "./client.mjs";
import { bodyOf, DELAY_QUEUES, DELAY_TOPIC, idOf, ORDER_QUEUES, ORDER_TOPIC } from "./names.mjs";
import { batchBody, CODE, crcOf, properties } from "./wire.mjs";

/** Statuses under which the message is stored though not as safely as asked. */
const STORED = new Set([0, 10, 11, 12]);

export class Producer {
  #running = true;
  #client;
  #retry = [];
  #flying = new Set();
  #order = 0;
  #seqs = new Map();
  #done;
  /** Called with each refusal: (code, remark). */
  onRefused = () => {};
  /** Called after each logged acknowledgement with the monotonic time. */
  onAck = () => {};
  paused = false;

  /**
   * @param {{ number: number, port: number, log: object, random: object, window: number, perSecond: number, binary: boolean,
   *   delayedShare?: number, batchShare?: number, bytes?: [number, number], retryPauseMs?: number, stored?: Set<number> }} options
   *   `stored`: the codes that count as an acknowledgement
   */
  constructor(options) {
    this.options = {
      delayedShare: 0.02,
      batchShare: 0.05,
      bytes: [40, 1200],
      retryPauseMs: 20,
      stored: STORED,
      ...options,
    };
    this.#done = this.#run();
  }

  get inFlight() {
    return this.#flying.size;
  }

  get unresolved() {
    return this.#flying.size + this.#retry.length;
  }

  /** Sends nothing new; resolves when everything sent was acknowledged, or at the limit. */
  async finish(limitMs) {
    this.#running = false;
    await Promise.race([this.#done, sleep(limitMs, undefined, { ref: false })]);
    this.#client?.destroy();
    this.stopped = true;
    return this.unresolved;
  }

  async #run() {
    const { port, binary, log, window, perSecond } = this.options;
    let tokens = 0;
    let last = performance.now();
    while (!this.stopped && (this.#running || this.unresolved > 0)) {
      if (this.#client === undefined || this.#client.closed) {
        this.#client = await RawClient.open({
          port,
          binary,
          onReply: (replies) => this.#logged(replies),
          timeoutMs: 500,
        }).catch(() => undefined);
        if (this.#client === undefined) {
          await sleep(10);
          continue;
        }
      }
      const now = performance.now();
      tokens = Math.min(window, tokens + ((now - last) * perSecond) / 1000);
      last = now;
      while (this.#flying.size < window && tokens >= 1 && !this.#client.closed && !this.paused) {
        const unit = this.#retry.shift() ?? (this.#running ? this.#make() : undefined);
        if (unit === undefined) break;
        tokens--;
        this.#send(unit);
      }
      log.flush();
      await sleep(this.#retry.length > 0 && this.#retry[0].refused ? this.options.retryPauseMs : 2);
    }
  }

  #make() {
    const { random, delayedShare, batchShare, bytes, number, log } = this.options;
    const delayed = random.chance(delayedShare);
    const queueId = random.int(delayed ? DELAY_QUEUES : ORDER_QUEUES);
    const count = !delayed && random.chance(batchShare) ? random.between(2, 5) : 1;
    const kind = delayed ? "d" : "o";
    const messages = [];
    for (let i = 0; i < count; i++) {
      const key = `${kind}.${queueId}`;
      const seq = this.#seqs.get(key) ?? 0;
      this.#seqs.set(key, seq + 1);
      const id = idOf(kind, number, queueId, seq);
      const size = random.chance(0.002) ? 150_000 : random.between(bytes[0], bytes[1]);
      const body = bodyOf(id, size);
      messages.push({
        id,
        body,
        properties: { UNIQ_KEY: id, KEYS: id, TAGS: "t", WAIT: "true", ...(delayed ? { DELAY: "1" } : {}) },
      });
      log.note(`S ${id} ${crcOf(body)} ${body.length}`);
    }
    return {
      topic: delayed ? DELAY_TOPIC : ORDER_TOPIC,
      queueId,
      messages,
      order: this.#order++,
      refused: false,
      sent: false,
    };
  }

  #send(unit) {
    const { topic, queueId, messages } = unit;
    const batch = messages.length > 1;
    const header = sendHeader({
      group: "ChaosProducers",
      topic,
      queueId,
      batch,
      properties: batch ? "" : properties(messages[0].properties),
    });
    const body = batch ? batchBody(messages) : messages[0].body;
    this.#flying.add(unit);
    if (unit.sent) for (const { id } of messages) this.options.log.note(`T ${id}`);
    unit.sent = true;
    // What is about to leave must be in the log before it does.
    this.options.log.flush();
    this.#client.ask(batch ? CODE.SEND_BATCH : CODE.SEND, header, body, { tag: unit }).then(
      (reply) => {
        this.#flying.delete(unit);
        if (!this.options.stored.has(reply.code)) {
          unit.refused = true;
          this.onRefused(reply.code, reply.remark);
          this.#again(unit);
        }
      },
      () => {
        this.#flying.delete(unit);
        this.#again(unit);
      },
    );
  }

  /** The audit's side of an answer: on file before the producer's own side above runs. */
  #logged(replies) {
    const { log, stored } = this.options;
    const now = performance.now();
    for (const { tag: unit, code, ext } of replies) {
      if (unit === undefined) continue;
      if (stored.has(code)) {
        const first = Number(ext.queueOffset);
        for (const [i, { id }] of unit.messages.entries()) log.note(`A ${id} ${first + i}`);
        this.onAck(now);
      } else {
        for (const { id } of unit.messages) log.note(`R ${id} ${code}`);
      }
    }
    log.flush();
  }

  /** Back into the line at its old place, so that a queue's order survives a crash. */
  #again(unit) {
    let at = this.#retry.length;
    while (at > 0 && this.#retry[at - 1].order > unit.order) at--;
    this.#retry.splice(at, 0, unit);
  }
}
