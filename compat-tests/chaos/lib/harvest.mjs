// Everything a broker holds of the load's topics, pulled from each queue's first offset to its last.

import { setTimeout as sleep } from "node:timers/promises";
import { RawClient } from "./client.mjs";
import { DELAY_QUEUES, DELAY_TOPIC, idIn, ORDER_QUEUES, ORDER_TOPIC, RETRY_TOPIC } from "./names.mjs";
import { CODE, crcOf, parseProperties, parseRecords } from "./wire.mjs";

const GROUP = "ChaosAudit";

/** @returns {Promise<{ topic: string, queueId: number, min: number, max: number, records: object[] }[]>} */
export async function harvest(port) {
  const client = await RawClient.open({ port, binary: true });
  try {
    const queues = [];
    for (const [topic, count] of [
      [ORDER_TOPIC, ORDER_QUEUES],
      [DELAY_TOPIC, DELAY_QUEUES],
      [RETRY_TOPIC, 1],
    ]) {
      for (let queueId = 0; queueId < count; queueId++) queues.push(await drain(client, topic, queueId));
    }
    return queues;
  } finally {
    client.destroy();
  }
}

/** One queue, from its first offset (or `from`) to its last. */
export async function drain(client, topic, queueId, from) {
  const min = from ?? (await client.number(CODE.MIN_OFFSET, { topic, queueId }));
  const max = await client.number(CODE.MAX_OFFSET, { topic, queueId, committed: true });
  const records = [];
  let offset = min;
  let idle = 0;
  while (offset < max) {
    const reply = await client.pull({ group: GROUP, topic, queueId, offset });
    if (reply.code === 0) {
      for (const record of parseRecords(reply.body)) {
        records.push({
          id: idIn(record.body),
          crc: crcOf(record.body),
          storedCrc: record.crc,
          bytes: record.body.length,
          queueOffset: record.queueOffset,
          logOffset: record.logOffset,
          storeTime: record.storeTime,
          key: parseProperties(record.properties).UNIQ_KEY,
          topic: record.topic,
          queueId: record.queueId,
        });
      }
      idle = 0;
    } else if (++idle > 50) {
      throw new Error(`${topic}-${queueId}: nothing at ${offset} of ${max}: ${reply.code} ${reply.remark}`);
    } else {
      await sleep(100);
    }
    const next = Number(reply.ext.nextBeginOffset);
    if (reply.code === 0 && next <= offset) throw new Error(`${topic}-${queueId}: pull at ${offset} leads to ${next}`);
    offset = next;
  }
  return { topic, queueId, min, max, records };
}

/** Waits until delayed and returned messages have arrived: `done` says so, or nothing has arrived for `quietMs`. */
export async function settle(port, expected, { quietMs = 8_000, limitMs = 60_000 } = {}) {
  const client = await RawClient.open({ port });
  try {
    const began = performance.now();
    let changed = began;
    let before = -1;
    for (;;) {
      let sum = 0;
      for (let q = 0; q < DELAY_QUEUES; q++)
        sum += await client.number(CODE.MAX_OFFSET, { topic: DELAY_TOPIC, queueId: q });
      const retry = await client.ask(CODE.MAX_OFFSET, { topic: RETRY_TOPIC, queueId: 0 });
      if (retry.code === 0) sum += Number(retry.ext.offset);
      const now = performance.now();
      if (sum !== before) changed = now;
      before = sum;
      // The last ones may still be duplicates of earlier ones: once all could be there, a short quiet time is enough.
      const quiet = sum >= expected ? 2_500 : quietMs;
      if (now - changed > quiet || now - began > limitMs) return sum;
      await sleep(200);
    }
  } finally {
    client.destroy();
  }
}
