// What a broker holds of the transactional load, and when it has settled.

import { setTimeout as sleep } from "node:timers/promises";
import { RawClient } from "./client.mjs";
import { drain } from "./harvest.mjs";
import { HALF_TOPIC, TRANSACTION_GROUP, TX_QUEUES, TX_TOPIC } from "./txNames.mjs";
import { CODE } from "./wire.mjs";

const SETTLE_LIMIT_MS = 120_000;

/** Waits until the broker has passed every half message; returns how many it has not. */
export async function settled(port, producers) {
  const client = await RawClient.open({ port });
  try {
    const began = performance.now();
    let calm = 0;
    for (;;) {
      const end = await client.number(CODE.MAX_OFFSET, { topic: HALF_TOPIC, queueId: 0 });
      const reply = await client.ask(CODE.QUERY_OFFSET, {
        consumerGroup: TRANSACTION_GROUP,
        topic: HALF_TOPIC,
        queueId: 0,
      });
      const left = end - Number(reply.ext.offset ?? 0);
      calm = left === 0 && producers.every((producer) => producer.idle) ? calm + 1 : 0;
      if (calm > 5 || performance.now() - began > SETTLE_LIMIT_MS) return left;
      await sleep(300);
    }
  } finally {
    client.destroy();
  }
}

export async function harvestTx(port) {
  const client = await RawClient.open({ port, binary: true });
  try {
    const queues = [];
    for (let queueId = 0; queueId < TX_QUEUES; queueId++) queues.push(await drain(client, TX_TOPIC, queueId));
    return queues;
  } finally {
    client.destroy();
  }
}
