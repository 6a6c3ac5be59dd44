/** LockBatchRequestBody, UnlockBatchRequestBody (the same fields) and LockBatchResponseBody: queues of orderly consumers. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { type MessageQueue, readMessageQueue } from "./messageQueue.ts";
import { asBean, readBean } from "./reader.ts";

export interface LockBatchRequest {
  clientId?: string | undefined;
  consumerGroup?: string | undefined;
  mqSet: MessageQueue[];
  /** Not to be passed on to the other replicas (lockInStrictMode). */
  onlyThisBroker: boolean;
}

export function encodeLockBatchRequest(request: LockBatchRequest): string {
  return writeJavaJson(request);
}

/** Reads the body of LOCK_BATCH_MQ and of UNLOCK_BATCH_MQ. */
export function decodeLockBatchRequest(body: Buffer | string): LockBatchRequest {
  const bean = readBean("LockBatchRequestBody", body);
  return {
    clientId: bean.text("clientId"),
    consumerGroup: bean.text("consumerGroup"),
    mqSet: bean.list("mqSet", asBean(readMessageQueue)) ?? [],
    onlyThisBroker: bean.boolean("onlyThisBroker", false),
  };
}

export function encodeLockBatchResponse(lockOKMQSet: readonly MessageQueue[]): string {
  return writeJavaJson({ lockOKMQSet });
}

export function decodeLockBatchResponse(body: Buffer | string): MessageQueue[] {
  return readBean("LockBatchResponseBody", body).list("lockOKMQSet", asBean(readMessageQueue)) ?? [];
}
