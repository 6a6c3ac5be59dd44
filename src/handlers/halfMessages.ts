/** RESUME_CHECK_HALF_MESSAGE (Apache: AdminBrokerProcessor.resumeCheckHalfMessage): a transaction that was given up is checked anew. */
import { destinationOf, renewed } from "../broker/halfMessages.ts";
import { TRANS_CHECK_MAX_TIME_TOPIC, TRANS_HALF_TOPIC } from "../broker/names.ts";
import { isStored } from "../broker/transactionOps.ts";
import type { Transactions } from "../broker/transactions.ts";
import { parseMessageId } from "../message/messageId.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { ResumeCheckHalfMessageRequestHeader } from "../protocol/generated/headers.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "log" | "store"> & { readonly transactions: Transactions };

const TOPICS: ReadonlySet<string> = new Set([TRANS_HALF_TOPIC, TRANS_CHECK_MAX_TIME_TOPIC]);

export function halfMessageRows(parts: Parts): Row[] {
  return [
    requestRow("RESUME_CHECK_HALF_MESSAGE", ResumeCheckHalfMessageRequestHeader, (call) => resumeCheck(parts, call)),
  ];
}

async function resumeCheck(parts: Parts, { header }: Call<ResumeCheckHalfMessageRequestHeader>): Promise<Reply> {
  const { store, transactions, log } = parts;
  const msgId = need(header.msgId, "msgId");
  const id = parseMessageId(msgId);
  const message = id === undefined ? undefined : await store.messageAt(id.logOffset);
  if (message === undefined) return failed(msgId, "there is no message with this id");
  // Apache puts back anything, and later fails to check it.
  const destination = TOPICS.has(message.topic) ? destinationOf(message) : undefined;
  if (destination === undefined) return failed(msgId, "it is not the half message of a transaction");
  const result = await transactions.resume(message, () => store.put(renewed(message, 0)));
  if (result === undefined) return failed(msgId, "its transaction was committed");
  if (!isStored(result)) {
    return refuse("SYSTEM_ERROR", `Put message back to RMQ_SYS_TRANS_HALF_TOPIC failed. ${result.reason}`);
  }
  log.info({ msgId, topic: destination.topic }, "half message put back by hand");
  return ok();
}

function failed(msgId: string, reason: string): Reply {
  const apaches = "Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC.";
  return refuse("SYSTEM_ERROR", `${apaches} ${msgId}: ${reason}`);
}
