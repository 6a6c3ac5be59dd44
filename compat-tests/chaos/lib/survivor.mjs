// The audit of one death: what was acknowledged since the one before must be on the slave, read as from a slave; and the slave's log must be
// the beginning of its dead master's, in which the log of the generation before still stands.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { RawClient } from "./client.mjs";
import { drain } from "./harvest.mjs";
import { ORDER_QUEUES, ORDER_TOPIC } from "./names.mjs";
import { brokenCopies, fingerprint, notItsBeginning, readStoreLog } from "./storeLog.mjs";
import { CODE } from "./wire.mjs";

/** A slave takes in what its socket holds when its master has died. */
const ARRIVAL_LIMIT_MS = 30_000;

export class SurvivorAudit {
  #log;
  /** How much of the audit log earlier deaths have judged. */
  #judgedBytes = 0;
  #sent = new Map();
  /** Per queue, the first offset that no earlier death has judged. */
  #next = new Array(ORDER_QUEUES).fill(0);
  #before;
  problems = [];
  acknowledged = 0;
  /** Log bytes that died with their masters; none of them was acknowledged. */
  diedBytes = 0;
  brokenCaught = 0;
  brokenPlanted = 0;

  constructor(log) {
    this.#log = log;
  }

  /** Reads from the slave, whose master has died, what was acknowledged since the last time. */
  async readAsSlave(port) {
    const acked = this.#ackedSince();
    const goal = new Array(ORDER_QUEUES).fill(0);
    for (const { queueId, offset } of acked) goal[queueId] = Math.max(goal[queueId], offset + 1);
    const client = await RawClient.open({ port, binary: true });
    try {
      const there = new Map();
      for (let queueId = 0; queueId < ORDER_QUEUES; queueId++) {
        await arrival(client, queueId, goal[queueId]);
        const { max, records } = await drain(client, ORDER_TOPIC, queueId, this.#next[queueId]);
        for (const [i, record] of records.entries()) {
          if (record.queueOffset !== this.#next[queueId] + i)
            this.#problem(`slave, queue ${queueId}: offset ${record.queueOffset} stands at ${this.#next[queueId] + i}`);
          there.set(`${queueId}@${record.queueOffset}`, record);
        }
        // What no sender was told yet may be judged again: it is behind everything that was.
        this.#next[queueId] = Math.min(max, Math.max(goal[queueId], this.#next[queueId]));
      }
      for (const { id, queueId, offset } of acked) {
        const record = there.get(`${queueId}@${offset}`);
        if (record?.id === id && record.crc === this.#sent.get(id)) continue;
        this.#problem(`${id} was acknowledged at ${queueId}@${offset}; the slave has ${record?.id} there`);
      }
    } finally {
      client.destroy();
    }
    this.acknowledged += acked.length;
  }

  /** Compares the logs of two stores that nobody has open. `canary` names a defect to be planted first. */
  compareLogs(masterStore, slaveStore, canary) {
    const master = readStoreLog(masterStore);
    const real = readStoreLog(slaveStore);
    const slave = brokenCopies(real)[canary] ?? real;
    const difference = notItsBeginning(slave, master);
    if (difference !== undefined) this.#problem(`the slave's log is no copy of its master's: ${difference}`);
    if (this.#before !== undefined && fingerprint(master, this.#before.end) !== this.#before.print)
      this.#problem(`what the survivor of the last death had below ${this.#before.end} is not in this log any more`);
    this.#before = { end: slave.end, print: fingerprint(slave, slave.end) };
    this.diedBytes += master.bytes.length - slave.bytes.length;
  }

  /** Whether the comparison finds a message lost, altered or doubled in the slave's log. */
  testComparison(masterStore, slaveStore) {
    const master = readStoreLog(masterStore);
    for (const [name, copy] of Object.entries(brokenCopies(readStoreLog(slaveStore)))) {
      this.brokenPlanted++;
      if (notItsBeginning(copy, master) === undefined) this.#problem(`the comparison of logs did not notice: ${name}`);
      else this.brokenCaught++;
    }
  }

  #ackedSince() {
    this.#log.flush();
    const bytes = readFileSync(this.#log.file);
    const end = bytes.lastIndexOf(0x0a) + 1;
    const acked = [];
    for (const line of bytes.toString("latin1", this.#judgedBytes, end).split("\n")) {
      const [kind, id, number] = line.split(" ");
      if (kind === "S") this.#sent.set(id, Number(number));
      if (kind === "A" && id.startsWith("o."))
        acked.push({ id, queueId: Number(id.split(".")[2]), offset: Number(number) });
    }
    this.#judgedBytes = end;
    return acked;
  }

  #problem(text) {
    if (this.problems.length < 20) this.problems.push(text);
  }
}

async function arrival(client, queueId, goal) {
  const deadline = Date.now() + ARRIVAL_LIMIT_MS;
  const question = { topic: ORDER_TOPIC, queueId, committed: true };
  while (Date.now() < deadline && (await client.number(CODE.MAX_OFFSET, question)) < goal) await sleep(20);
}
