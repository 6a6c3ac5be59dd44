// One consumer of the ordered topic's queues it was given: starts where the broker says, pulls, commits (by pull or by
// request), sends some messages back, and writes down all of it.

import { setTimeout as sleep } from "node:timers/promises";
import { RawClient } from "./client.mjs";
import { GROUP, idIn, ORDER_TOPIC } from "./names.mjs";
import { CODE, crcOf, parseRecords, SUCCESS } from "./wire.mjs";

const QUERY_NOT_FOUND = 22;

export class Consumer {
  #running = true;
  #done;
  /** Violations seen while reading: a gap, an offset that is not the asked one. */
  problems = [];
  read = 0;
  /** Called after each answered pull with the monotonic time. */
  onPull = () => {};

  /** @param {{ port: number, queues: number[], log: object, random: object, sendBackShare?: number, binary?: boolean }} options */
  constructor(options) {
    this.options = { sendBackShare: 0.005, ...options };
    this.#done = this.#run();
  }

  async finish() {
    this.#running = false;
    await this.#done;
  }

  async #run() {
    const { port, log, binary } = this.options;
    while (this.#running) {
      let client;
      try {
        client = await RawClient.open({ port, binary, timeoutMs: 500, onReply: (replies) => this.#logged(replies) });
        await this.#consume(client);
      } catch (error) {
        if (!/connection lost|connect|ECONNRE|EPIPE/.test(error.message)) this.problems.push(error.message);
      } finally {
        client?.destroy();
        log.flush();
      }
      if (this.#running) await sleep(10);
    }
  }

  async #consume(client) {
    const { queues, log } = this.options;
    const positions = new Map();
    for (const queueId of queues) {
      const reply = await client.ask(CODE.QUERY_OFFSET, { consumerGroup: GROUP, topic: ORDER_TOPIC, queueId });
      if (reply.code !== SUCCESS && reply.code !== QUERY_NOT_FOUND)
        throw new Error(`query offset: ${reply.code} ${reply.remark}`);
      const offset = reply.code === SUCCESS ? Number(reply.ext.offset) : 0;
      log.note(`Q ${queueId} ${offset} ${performance.now().toFixed(1)}`);
      positions.set(queueId, offset);
    }
    await Promise.all(queues.map((queueId) => this.#consumeQueue(client, queueId, positions.get(queueId))));
  }

  async #consumeQueue(client, queueId, start) {
    const { log, random } = this.options;
    let position = start;
    while (this.#running) {
      const byPull = random.chance(0.7);
      const committing = () => log.note(`C ${queueId} ${position} ${performance.now().toFixed(1)}`);
      if (byPull) committing();
      log.flush();
      const reply = await client.pull({
        group: GROUP,
        topic: ORDER_TOPIC,
        queueId,
        offset: position,
        commit: byPull ? position : undefined,
        suspendMs: 200,
      });
      this.onPull(performance.now());
      if (byPull) log.note(`K ${queueId} ${position} ${performance.now().toFixed(1)}`);
      if (reply.code !== SUCCESS) {
        // Nothing new, or a moment of a start; anything else is a problem.
        if (![19, 20].includes(reply.code)) {
          this.problems.push(`pull ${queueId}@${position}: ${reply.code} ${reply.remark}`);
          await sleep(100);
        }
        continue;
      }
      const records = parseRecords(reply.body);
      for (const [i, record] of records.entries()) {
        if (record.queueOffset !== position + i) {
          this.problems.push(`queue ${queueId}: asked for ${position}, record ${i} has offset ${record.queueOffset}`);
        }
        log.note(`P ${queueId} ${record.queueOffset} ${idIn(record.body)} ${crcOf(record.body)}`);
      }
      this.read += records.length;
      position = Number(reply.ext.nextBeginOffset);
      const back = records.find(() => random.chance(this.options.sendBackShare));
      if (back !== undefined) {
        const ext = {
          offset: back.logOffset,
          group: GROUP,
          delayLevel: 1,
          originMsgId: idIn(back.body),
          originTopic: ORDER_TOPIC,
          unitMode: false,
          maxReconsumeTimes: 16,
        };
        // Which send-back an answer belongs to; see #logged.
        await client.ask(CODE.SEND_BACK, ext, undefined, { tag: { back: idIn(back.body) } });
      }
      if (!byPull) {
        committing();
        log.flush();
        const done = await client.ask(CODE.UPDATE_OFFSET, {
          consumerGroup: GROUP,
          topic: ORDER_TOPIC,
          queueId,
          commitOffset: position,
        });
        if (done.code === SUCCESS) log.note(`K ${queueId} ${position} ${performance.now().toFixed(1)}`);
      }
    }
  }

  #logged(replies) {
    for (const { tag, code } of replies)
      if (tag?.back !== undefined && code === SUCCESS) this.options.log.note(`B ${tag.back}`);
    this.options.log.flush();
  }
}
