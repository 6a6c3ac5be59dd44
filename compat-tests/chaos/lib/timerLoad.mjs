// Timers under load: sends due within seconds and recalls of some of them, each noted in the outside log before anybody acts on it.
//
//   S id due crc     a timer is about to be sent; due: ms by the wall clock, which the broker shares
//   A id             the broker took it
//   R id             a recall is about to be asked for
//   K id             the broker took the recall
//   F id code        it refused the recall: no promise
//   X time | U time  the broker was killed | came up (ms, wall clock)

import { setTimeout as sleep } from "node:timers/promises";
import { RawClient, sendHeader } from "./client.mjs";
import { bodyOf } from "./names.mjs";
import { CODE, crcOf, properties } from "./wire.mjs";

export const TIMER_CHAOS_TOPIC = "ChaosTimer";
const STORED = new Set([0, 10, 11, 12]);
const WAIT_MS = [300, 14_000];
const RECALLED = 0.15;
/** A recall later than this before its time could lose the race by right. */
const RECALL_MARGIN_MS = 2_500;

export class TimerLoad {
  #client;
  #running = true;
  #done;
  #seq = 0;
  /** Handles that were not used. */
  handles = [];

  /**
   * @param {{ number: number, port: number, log: object, random: object, perSecond: number, waitMs?: [number, number] }} options
   *   `waitMs`: from when to when messages are due
   */
  constructor(options) {
    this.options = options;
    this.#done = this.#run();
  }

  get pending() {
    return this.#client?.inFlight ?? 0;
  }

  async finish() {
    this.#running = false;
    await this.#done;
    // What is under way is answered, or broken by the last kill.
    for (let i = 0; i < 50 && this.pending > 0; i++) await sleep(100);
    this.#client?.destroy();
  }

  async #run() {
    const { port, number, perSecond } = this.options;
    while (this.#running) {
      if (this.#client === undefined || this.#client.closed) {
        const open = RawClient.open({ port, binary: number % 2 === 1, timeoutMs: 500 });
        this.#client = await open.catch(() => undefined);
        if (this.#client === undefined) {
          await sleep(20);
          continue;
        }
      }
      for (let i = 0; i < Math.max(1, perSecond / 50); i++) this.#send();
      this.options.log.flush();
      await sleep(20);
    }
  }

  #send() {
    const { random, log, number } = this.options;
    const client = this.#client;
    const id = `t.${number}.0.${this.#seq++}`;
    const due = Date.now() + random.between(...(this.options.waitMs ?? WAIT_MS));
    const body = bodyOf(id, random.chance(0.01) ? 20_000 : random.between(20, 400));
    log.note(`S ${id} ${due} ${crcOf(body)}`);
    log.flush();
    const header = sendHeader({
      group: "ChaosProducers",
      topic: TIMER_CHAOS_TOPIC,
      queueId: 0,
      properties: properties({ UNIQ_KEY: id, TIMER_DELIVER_MS: due, WAIT: "true" }),
    });
    client.ask(CODE.SEND, header, body).then(
      ({ code, ext }) => {
        if (!STORED.has(code)) return;
        log.note(`A ${id}`);
        if (ext.recallHandle === undefined) return;
        if (random.chance(RECALLED)) void this.#recallSoon(client, id, due, ext.recallHandle);
        else this.handles.push({ id, due, recallHandle: ext.recallHandle });
      },
      () => {},
    );
  }

  /** Uses one handle in `every` of those that were not used, where there is time enough; resolves when all are answered. */
  async recallLate(client, every) {
    await Promise.all(
      this.handles
        .filter((_, i) => i % every === 0)
        .map(({ id, due, recallHandle }) => this.#recall(client, id, due, recallHandle)),
    );
  }

  async #recallSoon(client, id, due, recallHandle) {
    await sleep(this.options.random.between(0, 3_000));
    await this.#recall(client, id, due, recallHandle);
  }

  async #recall(client, id, due, recallHandle) {
    const { log } = this.options;
    if (due - Date.now() < RECALL_MARGIN_MS || client.closed) return;
    log.note(`R ${id}`);
    log.flush();
    const header = { producerGroup: "ChaosProducers", topic: TIMER_CHAOS_TOPIC, recallHandle };
    await client.ask(CODE.RECALL, header).then(
      ({ code }) => log.note(code === 0 ? `K ${id}` : `F ${id} ${code}`),
      () => {},
    );
    log.flush();
  }
}
