/** Queue locks of orderly consumers (Apache: AdminBrokerProcessor.lockBatchMQ and unlockBatchMQ). */
import { decodeLockBatchRequest, encodeLockBatchResponse } from "../protocol/bodies/lockBatch.ts";
import type { Row } from "../protocol/dispatch.ts";
import { LockBatchMqRequestHeader, UnlockBatchMqRequestHeader } from "../protocol/generated/headers.ts";
import { type BrokerParts, clientBody, need, ok, requestRow } from "./parts.ts";

/**
 * With lockInStrictMode a queue is locked only when most of totalReplicas hold the lock. This broker is alone (there is
 * no replication yet), so with more replicas than itself nothing can be locked, as in Apache when the others are away.
 */
export function lockRows({ config, locks, log }: Pick<BrokerParts, "config" | "locks" | "log">): Row[] {
  return [
    requestRow("LOCK_BATCH_MQ", LockBatchMqRequestHeader, (call) => {
      const { consumerGroup, clientId, mqSet, onlyThisBroker } = decodeLockBatchRequest(clientBody(call));
      const locked = locks.tryLockBatch(need(consumerGroup, "consumerGroup"), mqSet, need(clientId, "clientId"));
      const { lockInStrictMode, totalReplicas } = config;
      if (onlyThisBroker || !lockInStrictMode || totalReplicas < 2) {
        return ok(undefined, encodeLockBatchResponse(locked));
      }
      log.warn({ consumerGroup, clientId, totalReplicas }, "no queue locked: most of the replicas do not answer");
      return ok(undefined, encodeLockBatchResponse([]));
    }),
    requestRow("UNLOCK_BATCH_MQ", UnlockBatchMqRequestHeader, (call) => {
      const { consumerGroup, clientId, mqSet } = decodeLockBatchRequest(clientBody(call));
      locks.unlockBatch(need(consumerGroup, "consumerGroup"), mqSet, need(clientId, "clientId"));
      return ok();
    }),
  ];
}
