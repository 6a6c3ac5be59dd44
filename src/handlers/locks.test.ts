import { describe, expect, it } from "vitest";
import { decodeLockBatchResponse, encodeLockBatchRequest } from "../protocol/bodies/lockBatch.ts";
import { type FakeBroker, fakeBroker } from "../testing/brokerParts.ts";

const queue = (queueId: number) => ({ brokerName: "broker-a", queueId, topic: "T" });

function body(clientId: string, queues: number[], onlyThisBroker = false): string {
  return encodeLockBatchRequest({ clientId, consumerGroup: "g", mqSet: queues.map(queue), onlyThisBroker });
}

async function lock(broker: FakeBroker, clientId: string, queues: number[], onlyThisBroker = false): Promise<number[]> {
  const reply = await broker.ask("LOCK_BATCH_MQ", {}, { body: body(clientId, queues, onlyThisBroker) });
  expect(reply.code).toBe(0);
  return decodeLockBatchResponse(String(reply.body)).map(({ queueId }) => queueId);
}

describe("LOCK_BATCH_MQ", () => {
  it("locks what nobody else holds, until it is unlocked by its owner", async () => {
    const broker = fakeBroker();
    expect(await lock(broker, "a", [0, 1])).toEqual([0, 1]);
    expect(await lock(broker, "b", [1, 2])).toEqual([2]);
    await broker.ask("UNLOCK_BATCH_MQ", {}, { body: body("b", [0, 1]) });
    expect(await lock(broker, "b", [0, 1])).toEqual([]);
    await broker.ask("UNLOCK_BATCH_MQ", {}, { body: body("a", [1]) });
    expect(await lock(broker, "b", [0, 1])).toEqual([1]);
  });

  it("in strict mode: as ever where this broker is its own majority, nothing where it is not", async () => {
    const alone = fakeBroker({ lockInStrictMode: "true" });
    expect(await lock(alone, "a", [0])).toEqual([0]);
    const oneOfTwo = fakeBroker({ lockInStrictMode: "true", totalReplicas: "2" });
    expect(await lock(oneOfTwo, "a", [0])).toEqual([]);
    // Asked by another replica for its majority.
    expect(await lock(oneOfTwo, "a", [0], true)).toEqual([0]);
    const careless = fakeBroker({ totalReplicas: "2" });
    expect(await lock(careless, "a", [0])).toEqual([0]);
  });
});
