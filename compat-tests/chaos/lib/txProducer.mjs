// One producer of transactions: sends half messages, ends most of them (oneway as clients do, or answered, some twice, some late, some
// never), and answers what the server asks, also about transactions of the others and of those before a crash.

import { setTimeout as sleep } from "node:timers/promises";
import { RawClient, sendHeader } from "./client.mjs";
import { bodyOf, idIn } from "./names.mjs";
import { COMMIT, ROLLBACK, TX_GROUP, TX_QUEUES, TX_TOPIC, txIdOf, UNKNOWN } from "./txNames.mjs";
import { CODE, crcOf, parseProperties, parseRecords, properties, SUCCESS } from "./wire.mjs";

const STORED = new Set([0, 10, 11, 12]);

/** What all producers of the group know: any of them may be asked. */
export class Plans {
  #plans = new Map();
  #ends;

  /** @param {string[]} [ends] the ways to end, each as often as it is named */
  constructor(ends = ["oneway", "oneway", "answered", "answered", "twice", "late", "never"]) {
    this.#ends = ends;
  }

  /** How a transaction ends, and how. `vague`: so many checks are answered with "unknown". */
  make(id, random) {
    const plan = {
      decision: random.chance(0.65) ? COMMIT : ROLLBACK,
      end: random.pick(this.#ends),
      vague: random.chance(0.2) ? random.between(1, 2) : 0,
    };
    this.#plans.set(id, plan);
    return plan;
  }

  of(id) {
    return this.#plans.get(id);
  }
}

export class TxProducer {
  #running = true;
  #client;
  #flying = 0;
  #seq = 0;
  #done;
  #late = new Set();
  problems = [];
  checks = 0;

  /** @param {{ number: number, port: number, log: object, random: object, plans: Plans, window: number, perSecond: number, binary: boolean }} options */
  constructor(options) {
    this.options = options;
    this.#done = this.#run();
  }

  get inFlight() {
    return this.#flying;
  }

  /** Begins nothing new, but goes on answering until {@link stop}. */
  quiesce() {
    this.#running = false;
  }

  get idle() {
    return this.#flying === 0 && this.#late.size === 0;
  }

  async stop() {
    this.stopped = true;
    await this.#done;
    this.#client?.destroy();
  }

  async #run() {
    const { port, binary, log, window, perSecond, number } = this.options;
    let tokens = 0;
    let last = performance.now();
    while (!this.stopped) {
      if (this.#client === undefined || this.#client.closed) {
        this.#client = await RawClient.open({
          port,
          binary,
          onReply: () => log.flush(),
          onRequest: (request) => this.#asked(request),
          timeoutMs: 500,
        }).catch(() => undefined);
        if (this.#client === undefined) {
          await sleep(10);
          continue;
        }
        const heartbeat = { clientID: `tx-${number}`, producerDataSet: [{ groupName: TX_GROUP }], consumerDataSet: [] };
        this.#client.ask(CODE.HEART_BEAT, {}, Buffer.from(JSON.stringify(heartbeat))).catch(() => {});
      }
      const now = performance.now();
      tokens = Math.min(window, tokens + ((now - last) * perSecond) / 1000);
      last = now;
      while (this.#running && this.#flying < window && tokens >= 1 && !this.#client.closed) {
        tokens--;
        this.#begin();
      }
      log.flush();
      await sleep(2);
    }
  }

  #begin() {
    const { random, number, log, plans } = this.options;
    const queueId = random.int(TX_QUEUES);
    const id = txIdOf(number, queueId, this.#seq++);
    const body = bodyOf(id, random.chance(0.002) ? 150_000 : random.between(40, 1200));
    const plan = plans.make(id, random);
    log.note(`S ${id} ${crcOf(body)} ${body.length} ${plan.decision === COMMIT ? "commit" : "rollback"}`);
    const header = sendHeader({
      group: TX_GROUP,
      topic: TX_TOPIC,
      queueId,
      properties: properties({ UNIQ_KEY: id, KEYS: id, TAGS: "t", WAIT: "true", TRAN_MSG: "true", PGROUP: TX_GROUP }),
    });
    header.f = 4;
    this.#flying++;
    // What is about to leave must be in the log before it does.
    log.flush();
    const client = this.#client;
    client.ask(CODE.SEND, header, body).then(
      (reply) => {
        this.#flying--;
        if (!STORED.has(reply.code)) {
          log.note(`R ${id} ${reply.code}`);
          return;
        }
        const half = {
          halfOffset: Number(reply.ext.queueOffset),
          logOffset: Number(BigInt(`0x${reply.ext.msgId.slice(-16)}`)),
        };
        log.note(`A ${id} ${half.halfOffset}`);
        this.#end(id, half, plan, client);
      },
      () => {
        this.#flying--;
      },
    );
  }

  #end(id, half, { decision, end }, client) {
    if (end === "never") return;
    if (end === "late") {
      // About when the server begins to ask.
      const timer = setTimeout(
        () => {
          this.#late.delete(timer);
          if (this.#client !== undefined) this.#tell(id, half, decision, false, this.#client);
        },
        this.options.random.between(700, 3_000),
      );
      this.#late.add(timer);
      return;
    }
    if (end === "answered") this.#ask(id, half, decision, client);
    else this.#tell(id, half, decision, false, client);
    if (end === "twice") this.#tell(id, half, decision, false, client);
  }

  #header(id, { halfOffset, logOffset }, decision, fromCheck) {
    return {
      producerGroup: TX_GROUP,
      tranStateTableOffset: halfOffset,
      commitLogOffset: logOffset,
      commitOrRollback: decision,
      fromTransactionCheck: fromCheck,
      msgId: id,
      transactionId: id,
    };
  }

  #tell(id, half, decision, fromCheck, client) {
    if (decision !== UNKNOWN) {
      this.options.log.note(`E ${id}`);
      this.options.log.flush();
    }
    client.tell(CODE.END_TRANSACTION, this.#header(id, half, decision, fromCheck));
  }

  #ask(id, half, decision, client) {
    const { log } = this.options;
    log.note(`E ${id}`);
    log.flush();
    client.ask(CODE.END_TRANSACTION, this.#header(id, half, decision, false)).then(
      (reply) => {
        if (reply.code === SUCCESS) log.note(`K ${id} ${performance.now().toFixed(1)}`);
        else this.problems.push(`the end of ${id} was refused: ${reply.code} ${reply.remark}`);
      },
      () => {},
    );
  }

  #asked({ code, ext, body }) {
    if (code !== CODE.CHECK_TRANSACTION_STATE) return;
    this.checks++;
    const [record] = parseRecords(body);
    const id = idIn(record.body);
    const plan = this.options.plans.of(id);
    this.options.log.note(`Q ${id} ${performance.now().toFixed(1)}`);
    if (plan === undefined || record.topic !== TX_TOPIC || parseProperties(record.properties).UNIQ_KEY !== ext.msgId) {
      this.problems.push(`asked about ${id} in ${record.topic}, key ${ext.msgId}, which nobody sent`);
      return;
    }
    const half = { halfOffset: Number(ext.tranStateTableOffset), logOffset: Number(ext.commitLogOffset) };
    this.#tell(id, half, plan.vague-- > 0 ? UNKNOWN : plan.decision, true, this.#client);
  }
}
