/** How the outcome of an append is told to a producer (SendMessageProcessor.handlePutMessageResult). */
import type { Reply } from "../protocol/dispatch.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { AppendStatus } from "../store/types.ts";
import type { BrokerParts } from "./parts.ts";

/** Statuses under which the message is stored; the client counts them as sent. */
const STORED_CODES: Partial<Record<AppendStatus, number>> = {
  ok: ResponseCode.SUCCESS,
  flushDiskTimeout: ResponseCode.FLUSH_DISK_TIMEOUT,
  flushSlaveTimeout: ResponseCode.FLUSH_SLAVE_TIMEOUT,
  slaveNotAvailable: ResponseCode.SLAVE_NOT_AVAILABLE,
};

/** The reply with `header` when the message is stored, else the refusal with Apache's words and our exact reason. */
export function appendReply(
  parts: Pick<BrokerParts, "config">,
  outcome: { status: AppendStatus; reason: string },
  header: Reply["header"],
): Reply {
  const { status, reason } = outcome;
  const stored = STORED_CODES[status];
  if (stored !== undefined) return { code: stored, header, remark: reason === "" ? undefined : reason };
  const common = { MSG_REGION: parts.config.regionId, TRACE_ON: parts.config.traceOn };
  switch (status) {
    case "messageIllegal":
    case "propertiesTooLong":
      return {
        code: ResponseCode.MESSAGE_ILLEGAL,
        remark:
          "the message is illegal, maybe msg body or properties length not matched. msg body length limit " +
          `${parts.config.maxMessageSize}B, msg properties length limit 32KB. ${reason}`,
        header: common,
      };
    case "busy":
      return { code: ResponseCode.SYSTEM_BUSY, remark: `[PC_SYNCHRONIZED]broker busy: ${reason}`, header: common };
    case "lmqQuotaExceeded":
      return {
        code: ResponseCode.LMQ_QUOTA_EXCEEDED,
        remark: `[LMQ_CONSUME_QUEUE_NUM_EXCEEDED]lmq consume queue num exceeded. ${reason}`,
        header: common,
      };
    default:
      return { code: ResponseCode.SERVICE_NOT_AVAILABLE, remark: reason, header: common };
  }
}
