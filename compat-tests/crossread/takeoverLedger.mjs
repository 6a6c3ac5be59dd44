// What the take-over's load was told by the brokers, and the audit: every message of the topic by itself, against what it must be and against
// the bytes that were pulled when it was looked at first.

import { crc32 } from "node:zlib";
import { sendHeader } from "../chaos/lib/client.mjs";
import { bodyOf } from "../chaos/lib/names.mjs";
import { batchBody, CODE, crcOf, parseProperties, parseRecords, properties } from "../chaos/lib/wire.mjs";

export const MANY_TOPIC = "TakeoverMany";
export const MANY_QUEUES = 8;
const GROUP = "TakeoverProducers";
const WINDOW = 64;
const BATCH = 40;
const PULL_MAX = 512;

export class Ledger {
  /** @param {number} capacity messages at most */
  constructor(capacity) {
    this.queueOffset = new Float64Array(capacity).fill(-1);
    this.logOffset = new Float64Array(capacity).fill(-1);
    this.recordCrc = new Float64Array(capacity).fill(-1);
    this.sent = 0;
    this.refused = 0;
  }

  /** Messages of each queue up to now. */
  perQueue() {
    const counts = new Array(MANY_QUEUES).fill(0);
    for (let i = 0; i < this.sent; i++) counts[queueOf(i)]++;
    return counts;
  }
}

/** Blocks of messages share a queue, so that a batch can be made of them. */
export function queueOf(i) {
  return Math.floor(i / BATCH) % MANY_QUEUES;
}

export function propertiesOf(i) {
  const map = { UNIQ_KEY: `TAKEOVER${i}`, KEYS: `k${i} g${i % 5000}`, number: `${i}`, text: `w\u00f6rt \u4e16${i}` };
  if (i % 3 !== 0) map.TAGS = `tag${i % 7}`;
  return map;
}

export function messageBody(i) {
  return bodyOf(`m.${i}`, i % 5000 === 4999 ? 100_000 : 16 + ((i * 7919) % 400));
}

/** Sends messages `[from, to)`, most of them in batches, and notes what the broker answers. */
export async function sendMany(client, ledger, from, to) {
  const flying = new Set();
  for (let i = from; i < to; ) {
    const end = Math.min(to, i + BATCH - (i % BATCH));
    const batch = Math.floor(i / BATCH) % 20 !== 0 && end - i > 1 && end % 5000 !== 0;
    for (const [first, last] of batch ? [[i, end]] : Array.from({ length: end - i }, (_, n) => [i + n, i + n + 1])) {
      const work = send(client, ledger, first, last).finally(() => flying.delete(work));
      flying.add(work);
      if (flying.size >= WINDOW) await Promise.race(flying);
    }
    i = end;
  }
  await Promise.all(flying);
  ledger.sent = to;
}

async function send(client, ledger, first, last) {
  const queueId = queueOf(first);
  const single = last - first === 1;
  const common = { group: GROUP, topic: MANY_TOPIC, queueId };
  let reply;
  if (single) {
    const header = sendHeader({ ...common, properties: properties({ ...propertiesOf(first), WAIT: "true" }) });
    reply = await client.ask(CODE.SEND, header, messageBody(first), { timeoutMs: 120_000 });
  } else {
    const messages = [];
    for (let i = first; i < last; i++) messages.push({ body: messageBody(i), properties: propertiesOf(i) });
    const header = sendHeader({ ...common, properties: properties({ WAIT: "true" }), batch: true });
    reply = await client.ask(CODE.SEND_BATCH, header, batchBody(messages), { timeoutMs: 120_000 });
  }
  if (reply.code !== 0) throw new Error(`message ${first} was refused: ${reply.code} ${reply.remark}`);
  const ids = reply.ext.msgId.split(",");
  if (ids.length !== last - first) throw new Error(`message ${first}: ${ids.length} ids for ${last - first} messages`);
  ids.forEach((id, n) => {
    ledger.queueOffset[first + n] = Number(reply.ext.queueOffset) + n;
    ledger.logOffset[first + n] = Number(BigInt(`0x${id.slice(-16)}`));
  });
}

/** Pulls everything and compares it message by message. @returns {Promise<{ compared: number, again: number, problems: string[] }>} */
export async function auditMany(client, ledger) {
  const problems = [];
  const add = (text) => problems.length < 10 && problems.push(text);
  const counts = ledger.perQueue();
  let compared = 0;
  let again = 0;
  for (let queueId = 0; queueId < MANY_QUEUES; queueId++) {
    const max = await client.number(CODE.MAX_OFFSET, { topic: MANY_TOPIC, queueId, committed: true });
    if (max !== counts[queueId]) add(`queue ${queueId} ends at ${max}, ${counts[queueId]} messages were sent to it`);
    for (let offset = 0; offset < max; ) {
      const reply = await client.pull({ group: "TakeoverAudit", topic: MANY_TOPIC, queueId, offset, max: PULL_MAX });
      if (reply.code !== 0) {
        add(`queue ${queueId}: nothing at ${offset} of ${max}: ${reply.code} ${reply.remark}`);
        break;
      }
      let at = 0;
      for (const record of parseRecords(reply.body)) {
        const crc = crc32(reply.body.subarray(at, at + record.bytes));
        at += record.bytes;
        if (record.queueOffset !== offset++) add(`queue ${queueId}: ${record.queueOffset} came as ${offset - 1}`);
        const i = Number(record.body.toString("latin1", 2, Math.min(20, record.body.length)).split("|")[0]);
        if (ledger.recordCrc[i] >= 0) {
          again++;
          if (ledger.recordCrc[i] !== crc) add(`message ${i} has other bytes than before`);
        } else {
          const problem = wrongWith(ledger, i, record, queueId);
          if (problem !== "") add(`message ${i}: ${problem}`);
          ledger.recordCrc[i] = crc;
        }
        compared++;
      }
    }
  }
  if (compared !== ledger.sent) add(`${compared} messages came, ${ledger.sent} were sent`);
  return { compared, again, problems };
}

/** What of a message seen for the first time is not as it was sent and answered; "" when all is. */
function wrongWith(ledger, i, record, queueId) {
  const body = messageBody(i);
  if (queueOf(i) !== queueId) return `in queue ${queueId}`;
  if (ledger.queueOffset[i] !== record.queueOffset) return `queue offset ${record.queueOffset}`;
  if (ledger.logOffset[i] !== record.logOffset) return `log offset ${record.logOffset}`;
  if (!record.body.equals(body) || record.crc !== crcOf(body)) return "another body";
  const found = parseProperties(record.properties);
  const wrong = Object.entries(propertiesOf(i)).find(([name, value]) => found[name] !== value);
  return wrong === undefined ? "" : `property ${wrong[0]} is ${found[wrong[0]]}`;
}
