/**
 * Taking a timer message back before it is delivered (Apache: RecallMessageProcessor). The recall is itself a timer message,
 * for the same slot: when that is due, recalls are read first, and what they name is dropped. So it is as durable as
 * what it recalls.
 */
import { Buffer } from "node:buffer";
import { isWriteable } from "../broker/model.ts";
import { decodeRecallHandle, encodeRecallHandle, type RecallHandle } from "../broker/timer/recallHandle.ts";
import { Property } from "../message/properties.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { RecallMessageRequestHeader } from "../protocol/generated/headers.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { AppendStatus, NewMessage } from "../store/types.ts";
import { type BrokerParts, need, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "clock" | "topics" | "timers" | "store" | "random">;

const RECALL_TAG = "_RECALL_TAG_";
const RETRY_PREFIX = "%RETRY%";
/** Statuses under which the recall is in the log. */
const STORED: ReadonlySet<AppendStatus> = new Set(["ok", "flushDiskTimeout", "flushSlaveTimeout", "slaveNotAvailable"]);

export function recallRows(parts: Parts): Row[] {
  return [requestRow("RECALL_MESSAGE", RecallMessageRequestHeader, (call) => recall(parts, call))];
}

/**
 * The handle that a send's reply carries: for a message that waits for an exact time (attachRecallHandle). Its time is one
 * millisecond behind the slot's begin, so that flooring finds the slot again.
 */
export function recallHandleOf(brokerName: string, message: NewMessage): string | undefined {
  const { properties } = message;
  const outMs = properties.get(Property.TIMER_OUT_MS);
  const topic = properties.get(Property.REAL_TOPIC);
  if (outMs === undefined || topic === undefined || topic.startsWith(RETRY_PREFIX)) return undefined;
  return encodeRecallHandle({
    topic,
    brokerName,
    timestamp: String(Number(outMs) + 1),
    messageId: properties.get(Property.UNIQUE_KEY) ?? "null",
  });
}

async function recall(parts: Parts, call: Call<RecallMessageRequestHeader>): Promise<Reply> {
  const { config, clock } = parts;
  const header = { [Property.MSG_REGION]: config.regionId };
  const refusal = (code: keyof typeof ResponseCode, remark: string): Reply => ({
    code: ResponseCode[code],
    remark,
    header,
  });
  if (!config.recallMessageEnable) {
    return refusal("NO_PERMISSION", "recall failed, operation is forbidden: recallMessageEnable is false");
  }
  if (config.brokerRole === "SLAVE") {
    return refusal("SLAVE_NOT_AVAILABLE", "recall failed, broker service not available: it is a slave");
  }
  if (clock.now() < config.startAcceptSendRequestTimeStamp) {
    return refusal(
      "SERVICE_NOT_AVAILABLE",
      `recall failed, broker service not available: before startAcceptSendRequestTimeStamp ${config.startAcceptSendRequestTimeStamp}`,
    );
  }
  if (!isWriteable(config.brokerPermission) && !config.allowRecallWhenBrokerNotWriteable) {
    return refusal(
      "SERVICE_NOT_AVAILABLE",
      `recall failed, broker service not available: brokerPermission is ${config.brokerPermission}`,
    );
  }
  const topic = need(call.header.topic, "topic");
  if (parts.topics.get(topic) === undefined) {
    return refusal("TOPIC_NOT_EXIST", `recall failed, the topic[${topic}] not exist`);
  }
  let handle: RecallHandle;
  try {
    handle = decodeRecallHandle(call.header.recallHandle ?? "");
  } catch (error) {
    return refusal("ILLEGAL_OPERATION", (error as Error).message);
  }
  if (handle.topic !== topic) {
    return refusal("ILLEGAL_OPERATION", `recall failed, topic not match: the handle is of ${handle.topic}`);
  }
  if (handle.brokerName !== config.brokerName) {
    return refusal(
      "ILLEGAL_OPERATION",
      `recall failed, broker service not available: the handle is of broker ${handle.brokerName}, this is ${config.brokerName}`,
    );
  }
  const timestamp = /^[+-]?\d+$/.test(handle.timestamp) ? Number(handle.timestamp) : -1;
  const leftMs = timestamp - clock.now();
  if (leftMs <= 0 || leftMs >= config.timerMaxDelaySec * 1000) {
    const reason =
      leftMs <= 0
        ? `the time ${handle.timestamp} is over`
        : `${leftMs} ms are more than timerMaxDelaySec ${config.timerMaxDelaySec}`;
    return refusal("ILLEGAL_OPERATION", `recall failed, timestamp invalid: ${reason}`);
  }
  const message = recallMessage(parts, call, handle);
  const refused = parts.timers.defer(message);
  const status = refused === undefined ? await parts.store.put(message) : undefined;
  if (status === undefined || !STORED.has(status.status)) {
    return refusal("SYSTEM_ERROR", `recall failed, execute error: ${refused?.reason ?? status?.reason}`);
  }
  return { code: ResponseCode.SUCCESS, header: { ...header, msgId: handle.messageId } };
}

/** The message that marks another one as recalled (buildMessage). */
function recallMessage(parts: Parts, call: Call<RecallMessageRequestHeader>, handle: RecallHandle): NewMessage {
  const { config, clock } = parts;
  const now = clock.now();
  const key = config.appendTopicForTimerDeleteKey ? `${handle.topic}+${handle.messageId}` : handle.messageId;
  const properties = new Map([
    [Property.TAGS, RECALL_TAG],
    [Property.TIMER_DEL_UNIQKEY, key],
    [Property.UNIQUE_KEY, handle.messageId],
    [Property.TIMER_DELIVER_MS, handle.timestamp],
    [Property.BORN_TIMESTAMP, String(now)],
    [Property.TRACE_CONTEXT, ""],
  ] as [string, string][]);
  if (call.header.producerGroup !== undefined) properties.set(Property.PRODUCER_GROUP, call.header.producerGroup);
  return {
    topic: handle.topic,
    queueId: 0,
    body: Buffer.from("0"),
    properties,
    bornTimestamp: now,
    bornHost: call.caller.host,
  };
}
