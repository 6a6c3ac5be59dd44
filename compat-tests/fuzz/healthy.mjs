// The healthy pair: a producer that sends at a fixed pace and a consumer that long-polls, each on a connection of its
// own, every body compared byte by byte and every offset with the one before.

import { setTimeout as sleep } from "node:timers/promises";
import { createTopic, RawClient, sendHeader } from "../chaos/lib/client.mjs";
import { percentile } from "../chaos/lib/options.mjs";
import { CODE, crcOf, parseRecords, properties } from "../chaos/lib/wire.mjs";

export const TOPIC = "CanaryTopic";
const GROUP = "CanaryGroup";
const BODY_BYTES = 500;
const WINDOW = 64;

export class HealthyPair {
  errors = [];
  consumed = 0;
  #running = true;
  #latencies = [];
  #crcs = new Map();
  #done;

  static async start(port, perSecond) {
    const producer = await RawClient.open({ port });
    const consumer = await RawClient.open({ port, binary: true });
    await createTopic(producer, TOPIC, 1);
    return new HealthyPair(producer, consumer, perSecond);
  }

  constructor(producer, consumer, perSecond) {
    this.#done = Promise.all([this.#produce(producer, perSecond), this.#consume(consumer)]);
    this.close = () => {
      this.#running = false;
      producer.destroy();
      consumer.destroy();
      return this.#done;
    };
  }

  /** Messages per second and latencies from send to consumption over a time. */
  async measure(ms) {
    const from = this.mark();
    await sleep(ms);
    return this.since(from);
  }

  mark() {
    this.#latencies = [];
    return { consumed: this.consumed, at: performance.now() };
  }

  since(from) {
    const perSecond = ((this.consumed - from.consumed) * 1000) / (performance.now() - from.at);
    return { perSecond, p50: percentile(this.#latencies, 0.5), p99: percentile(this.#latencies, 0.99) };
  }

  async #produce(client, perSecond) {
    let seq = 0;
    const began = performance.now();
    let skipped = 0;
    while (this.#running) {
      const due = Math.floor(((performance.now() - began) * perSecond) / 1000) - skipped;
      while (seq < due && client.inFlight < WINDOW && this.#running) this.#send(client, seq++);
      // What could not be sent in time is not made up for: the pace is the measure.
      if (seq < due) skipped += due - seq;
      await sleep(2);
    }
  }

  #send(client, seq) {
    const body = Buffer.alloc(BODY_BYTES, `${seq}:`);
    body.writeDoubleBE(performance.now(), 0);
    this.#crcs.set(seq, crcOf(body));
    const header = sendHeader({
      group: "CanaryProducers",
      topic: TOPIC,
      queueId: 0,
      properties: properties({ UNIQ_KEY: `C${seq}`, SEQ: seq }),
    });
    client.ask(CODE.SEND, header, body).then(
      (reply) => reply.code !== 0 && this.#error(`send ${seq}: ${reply.code} ${reply.remark}`),
      (error) => this.#running && this.#error(`send ${seq}: ${error.message}`),
    );
  }

  async #consume(client) {
    let offset = await client.number(CODE.MAX_OFFSET, { topic: TOPIC, queueId: 0 });
    let seq = 0;
    while (this.#running) {
      let reply;
      try {
        reply = await client.pull({ group: GROUP, topic: TOPIC, queueId: 0, offset, commit: offset, suspendMs: 1_000 });
      } catch (error) {
        if (this.#running) this.#error(`pull: ${error.message}`);
        return;
      }
      if (reply.code === 0) {
        const now = performance.now();
        for (const record of parseRecords(reply.body)) {
          if (record.queueOffset !== offset) this.#error(`offset ${record.queueOffset} instead of ${offset}`);
          offset = record.queueOffset + 1;
          if (!record.properties.includes(`UNIQ_KEY\u0001C${seq}\u0002`))
            this.#error(`message ${seq} came with properties ${record.properties}`);
          if (crcOf(record.body) !== this.#crcs.get(seq)) this.#error(`message ${seq} came with another body`);
          this.#crcs.delete(seq++);
          this.#latencies.push(now - record.body.readDoubleBE(0));
          this.consumed++;
        }
      } else if (reply.code !== 19 && reply.code !== 20) {
        this.#error(`pull at ${offset}: ${reply.code} ${reply.remark}`);
        await sleep(100);
      }
    }
  }

  #error(text) {
    this.errors.push(text);
  }
}
