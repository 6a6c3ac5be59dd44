/** Queue locks of orderly consumers (Apache: AdminBrokerProcessor.lockBatchMQ and unlockBatchMQ). */
import { decodeLockBatchRequest, encodeLockBatchResponse } from "../protocol/bodies/lockBatch.ts";
import type { Row } from "../protocol/dispatch.ts";
import { LockBatchMqRequestHeader, UnlockBatchMqRequestHeader } from "../protocol/generated/headers.ts";
import { type BrokerParts, need, ok, requestRow } from "./parts.ts";

/**
 * Only this broker's own locks count: lockInStrictMode asks the other replicas of a broker group, and a broker without
 * slaves is its whole quorum.
 */
export function lockRows({ locks }: Pick<BrokerParts, "locks">): Row[] {
  return [
    requestRow("LOCK_BATCH_MQ", LockBatchMqRequestHeader, (call) => {
      const { consumerGroup, clientId, mqSet } = decodeLockBatchRequest(call.body);
      const locked = locks.tryLockBatch(need(consumerGroup, "consumerGroup"), mqSet, need(clientId, "clientId"));
      return ok(undefined, encodeLockBatchResponse(locked));
    }),
    requestRow("UNLOCK_BATCH_MQ", UnlockBatchMqRequestHeader, (call) => {
      const { consumerGroup, clientId, mqSet } = decodeLockBatchRequest(call.body);
      locks.unlockBatch(need(consumerGroup, "consumerGroup"), mqSet, need(clientId, "clientId"));
      return ok();
    }),
  ];
}
