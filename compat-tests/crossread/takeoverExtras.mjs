// What a take-over must carry besides plain messages: delayed messages, timers and their recalls, transactions that nobody has ended, retries and dead
// letters, consumers' progress. Each kind is sent just before a change of brokers and judged at the end.

import { setTimeout as sleep } from "node:timers/promises";
import { RawClient, sendHeader } from "../chaos/lib/client.mjs";
import { drain } from "../chaos/lib/harvest.mjs";
import { bodyOf, idIn } from "../chaos/lib/names.mjs";
import { COMMIT, HALF_TOPIC, ROLLBACK, TRANSACTION_GROUP, UNKNOWN } from "../chaos/lib/txNames.mjs";
import { CODE, parseRecords, properties } from "../chaos/lib/wire.mjs";
import { MANY_QUEUES, MANY_TOPIC } from "./takeoverLedger.mjs";

export const DELAY_TOPIC = "TakeoverDelay";
export const TIMER_TOPIC = "TakeoverTimer";
export const TX_TOPIC = "TakeoverTx";
const TX_GROUP = "TakeoverTxProducers";
const RETRY_GROUP = "TakeoverRetry";
const GROUPS = ["TakeoverA", "TakeoverB", "TakeoverC"];
/** By wall clock: a timer's slot is one second. */
const EARLY_MS = 1_000;

export class Extras {
  /** @param {{ levelsMs: number[], spreadMs: number, perKind: number }} options spreadMs: until when timers are due */
  constructor(options) {
    this.options = options;
    this.delayed = new Map();
    this.timers = new Map();
    this.recalled = new Set();
    this.transactions = new Map();
    this.retries = new Map();
    this.progress = new Map();
    this.checks = 0;
    this.answering = false;
  }

  /** @param {number} round of the change that follows */
  async send(client, round) {
    const { perKind, levelsMs, spreadMs } = this.options;
    const works = [];
    for (let n = 0; n < perKind; n++) {
      works.push(this.#delay(client, `d.${round}.${n}`, 1 + (n % levelsMs.length)));
      works.push(this.#timer(client, `t.${round}.${n}`, Date.now() + 1_000 + Math.floor((n * spreadMs) / perKind)));
      works.push(this.#transaction(client, `x.${round}.${n}`, n));
      if (works.length >= 60) await Promise.all(works.splice(0));
    }
    await Promise.all(works);
    await this.#sendBack(client, round);
    await this.#commitOffsets(client, round);
  }

  async #put(client, topic, id, extra, sysFlag = 0) {
    const queueId = 0;
    const map = { UNIQ_KEY: id, KEYS: `key-${id}`, TAGS: "extra", WAIT: "true", ...extra };
    const header = sendHeader({ group: TX_GROUP, topic, queueId, properties: properties(map) });
    header.f = sysFlag;
    const reply = await client.ask(CODE.SEND, header, bodyOf(id, 120), { timeoutMs: 60_000 });
    if (reply.code !== 0) throw new Error(`${id} was refused: ${reply.code} ${reply.remark}`);
    return reply;
  }

  async #delay(client, id, level) {
    const sentAt = Date.now();
    await this.#put(client, DELAY_TOPIC, id, { DELAY: `${level}` });
    this.delayed.set(id, sentAt + this.options.levelsMs[level - 1]);
  }

  async #timer(client, id, due) {
    const reply = await this.#put(client, TIMER_TOPIC, id, { TIMER_DELIVER_MS: `${due}` });
    this.timers.set(id, { due, handle: reply.ext.recallHandle });
  }

  /** Ends a third at once, leaves the others to the brokers that follow. */
  async #transaction(client, id, n) {
    const reply = await this.#put(client, TX_TOPIC, id, { TRAN_MSG: "true", PGROUP: TX_GROUP }, 4);
    const decision = n % 2 === 0 ? COMMIT : ROLLBACK;
    this.transactions.set(id, { decision, vague: n % 4 === 3 ? 2 : 0 });
    if (n % 3 !== 0) return;
    await client.ask(CODE.END_TRANSACTION, {
      producerGroup: TX_GROUP,
      tranStateTableOffset: Number(reply.ext.queueOffset),
      commitLogOffset: Number(BigInt(`0x${reply.ext.msgId.slice(-16)}`)),
      commitOrRollback: decision,
      fromTransactionCheck: false,
      msgId: id,
      transactionId: id,
    });
  }

  /** Recalls some timers that are still far away, with the handles that whoever took them gave. */
  async recall(client, marginMs) {
    let n = 0;
    for (const [id, { due, handle }] of this.timers) {
      if (this.recalled.has(id) || handle === undefined || due - Date.now() < marginMs || n++ % 5 !== 0) continue;
      const header = { producerGroup: TX_GROUP, topic: TIMER_TOPIC, recallHandle: handle };
      const reply = await client.ask(CODE.RECALL, header);
      if (reply.code === 0) this.recalled.add(id);
    }
  }

  async #sendBack(client, round) {
    const queueId = round % MANY_QUEUES;
    const reply = await client.pull({ group: RETRY_GROUP, topic: MANY_TOPIC, queueId, offset: 20 * round, max: 15 });
    const records = parseRecords(reply.body).slice(0, 15);
    for (const [n, record] of records.entries()) {
      const dead = n >= 10;
      const answer = await client.ask(CODE.SEND_BACK, {
        offset: record.logOffset,
        group: RETRY_GROUP,
        delayLevel: dead ? -1 : 1 + (n % this.options.levelsMs.length),
        originMsgId: `${round}-${n}`,
        originTopic: MANY_TOPIC,
        unitMode: false,
        maxReconsumeTimes: 16,
      });
      if (answer.code !== 0) throw new Error(`send back: ${answer.code} ${answer.remark}`);
      this.retries.set(idIn(record.body), dead ? `%DLQ%${RETRY_GROUP}` : `%RETRY%${RETRY_GROUP}`);
    }
  }

  async #commitOffsets(client, round) {
    for (const [g, group] of GROUPS.entries()) {
      // A broker keeps the progress of groups that it knows only, and a pull makes one known.
      await client.pull({ group, topic: MANY_TOPIC, queueId: 0, offset: 0, max: 1 });
      for (let queueId = 0; queueId < MANY_QUEUES; queueId++) {
        const commitOffset = 10 * (round + 1) + g * 7 + queueId;
        const ext = { consumerGroup: group, topic: MANY_TOPIC, queueId, commitOffset };
        const reply = await client.ask(CODE.UPDATE_OFFSET, ext);
        if (reply.code !== 0) throw new Error(`progress of ${group} was refused: ${reply.code} ${reply.remark}`);
        this.progress.set(`${group} ${queueId}`, commitOffset);
      }
    }
  }

  /** @returns {Promise<string[]>} groups whose progress is not what it was */
  async wrongProgress(client) {
    const wrong = [];
    for (const [name, offset] of this.progress) {
      const [consumerGroup, queueId] = name.split(" ");
      const reply = await client.ask(CODE.QUERY_OFFSET, { consumerGroup, topic: MANY_TOPIC, queueId: Number(queueId) });
      const found = Number(reply.ext.offset ?? -1);
      if (found !== offset) wrong.push(`${name}: ${found} instead of ${offset}`);
    }
    return wrong;
  }

  /** A producer that answers what the broker asks about its transactions. */
  async answer(port) {
    const client = await RawClient.open({ port, onRequest: (request) => this.#asked(client, request) });
    const beat = { clientID: "takeover-tx", producerDataSet: [{ groupName: TX_GROUP }], consumerDataSet: [] };
    const tell = () => client.ask(CODE.HEART_BEAT, {}, Buffer.from(JSON.stringify(beat))).catch(() => {});
    await tell();
    const timer = setInterval(tell, 20_000);
    return () => {
      clearInterval(timer);
      client.destroy();
    };
  }

  #asked(client, { code, ext, body }) {
    if (code !== CODE.CHECK_TRANSACTION_STATE) return;
    this.checks++;
    const [record] = parseRecords(body);
    const plan = this.transactions.get(idIn(record.body));
    const decision = plan === undefined || plan.vague-- > 0 ? UNKNOWN : plan.decision;
    if (decision === UNKNOWN) return;
    client.tell(CODE.END_TRANSACTION, {
      producerGroup: TX_GROUP,
      tranStateTableOffset: Number(ext.tranStateTableOffset),
      commitLogOffset: Number(ext.commitLogOffset),
      commitOrRollback: decision,
      fromTransactionCheck: true,
      msgId: ext.msgId,
      transactionId: ext.transactionId,
    });
  }

  /** Waits until everything that waits is due and every transaction is decided. */
  async settle(port, limitMs) {
    const client = await RawClient.open({ port });
    const until = Date.now() + limitMs;
    const dues = [...this.delayed.values(), ...[...this.timers.values()].map(({ due }) => due)];
    const last = Math.max(...dues);
    try {
      for (;;) {
        const settled = await client.ask(CODE.QUERY_OFFSET, {
          consumerGroup: TRANSACTION_GROUP,
          topic: HALF_TOPIC,
          queueId: 0,
        });
        const end = await client.number(CODE.MAX_OFFSET, { topic: HALF_TOPIC, queueId: 0 });
        const left = end - Number(settled.ext.offset ?? 0);
        if (left <= 0 && Date.now() > last + 8_000) return left;
        if (Date.now() > until) return left;
        await sleep(500);
      }
    } finally {
      client.destroy();
    }
  }

  /**
   * @param {number} notBefore recalled timers that were due before this time, ms, are counted and not judged: Apache delivers those that were to be rolled and
   *   to come while nobody ran, also in a store of its own (see timers.mjs)
   * @returns {Promise<{ counts: Record<string, number>, problems: string[] }>} what of each kind came, and what is wrong with it
   */
  async judge(client, notBefore) {
    let recalledCame = 0;
    const problems = [];
    const add = (text) => problems.push(text);
    const came = async (topic) => {
      const { records } = await drain(client, topic, 0);
      const times = new Map();
      for (const { id, storeTime } of records) {
        if (times.has(id)) add(`${topic}: ${id} came twice`);
        times.set(id, storeTime);
      }
      return times;
    };
    const delayed = await came(DELAY_TOPIC);
    for (const [id, due] of this.delayed) {
      if (!delayed.has(id)) add(`${id} never came`);
      else if (delayed.get(id) < due - 100) add(`${id} came ${due - delayed.get(id)} ms early`);
    }
    const timers = await came(TIMER_TOPIC);
    for (const [id, { due }] of this.timers) {
      const time = timers.get(id);
      if (this.recalled.has(id)) {
        if (time !== undefined && due < notBefore) recalledCame++;
        else if (time !== undefined) add(`${id} was recalled and came`);
      } else if (time === undefined) add(`${id} never came`);
      else if (time < due - EARLY_MS) add(`${id} came ${due - time} ms early`);
    }
    const committed = await came(TX_TOPIC);
    for (const [id, { decision }] of this.transactions) {
      if (decision === COMMIT && !committed.has(id)) add(`${id} was committed and never came`);
      if (decision === ROLLBACK && committed.has(id)) add(`${id} was rolled back and came`);
    }
    const back = new Map();
    for (const topic of new Set(this.retries.values())) back.set(topic, await came(topic));
    for (const [id, topic] of this.retries) if (!back.get(topic).has(id)) add(`${id} never came to ${topic}`);
    const counts = {
      delayed: delayed.size,
      timers: timers.size,
      recalled: this.recalled.size,
      recalledWhileNobodyRan: recalledCame,
      committed: committed.size,
      transactions: this.transactions.size,
      retries: this.retries.size,
      checks: this.checks,
    };
    return { counts, problems };
  }
}
