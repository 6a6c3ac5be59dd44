/**
 * What becomes of a delivery: AckMessage, ChangeInvisibleDuration, ForwardMessageToDeadLetterQueue (Apache:
 * AckMessageActivity, ChangeInvisibleDurationActivity, ForwardMessageToDLQActivity, ConsumerProcessor).
 */
import type { Clock } from "../base/clock.ts";
import type { ProxyConfig } from "../config/index.ts";
import { Property } from "../message/properties.ts";
import type { Caller, Reply } from "../protocol/dispatch.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { Backend, Popped } from "./backend.ts";
import { checkInvisibleTime, groupOf, topicOf } from "./checks.ts";
import type { Context } from "./context.ts";
import {
  type AckMessageEntry,
  type AckMessageRequest,
  type AckMessageResponse,
  type ChangeInvisibleDurationRequest,
  type ChangeInvisibleDurationResponse,
  Code,
  type ForwardMessageToDeadLetterQueueRequest,
  type ForwardMessageToDeadLetterQueueResponse,
} from "./generated/messages.ts";
import type { Init } from "./proto.ts";
import { needLive, type ReceiptHandle, topicOfHandle, writeHandle } from "./receiptHandle.ts";
import type { Renewals } from "./renewals.ts";
import { OK, type OutStatus, overall, Refusal, statusOf, statusOfReply } from "./status.ts";
import { toMs } from "./times.ts";

export interface SettleParts {
  readonly clock: Clock;
  readonly config: ProxyConfig;
  readonly backend: Backend;
  readonly renewals: Renewals;
  readonly callerOf: (context: Context) => Caller;
}

export async function ackMessage(
  parts: SettleParts,
  context: Context,
  request: AckMessageRequest,
): Promise<Init<AckMessageResponse>> {
  const topic = topicOf(request.topic);
  const group = groupOf(request.group);
  const statuses = await Promise.all(request.entries.map((entry) => ackOne(parts, context, group, topic, entry)));
  const entries = request.entries.map(({ messageId, receiptHandle }, i) => ({
    messageId,
    receiptHandle,
    status: statuses[i],
  }));
  return { status: overall(statuses, "ack message result is empty"), entries };
}

async function ackOne(
  { backend, renewals, clock }: SettleParts,
  { clientId, call }: Context,
  group: string,
  topic: string,
  entry: AckMessageEntry,
): Promise<OutStatus> {
  try {
    const taken = await renewals.take(clientId, group, entry.messageId, entry.receiptHandle);
    const handle = withLiteTopic(taken, entry.liteTopic);
    needLive(handle, clock.now());
    const reply = await backend.ack(handle, group, topicOfHandle(handle, topic, group), call.peer.address);
    if (reply.code === ResponseCode.SUCCESS) return OK;
    const message = `ack failed: status is abnormal${because(reply)}`;
    return { code: Code.INTERNAL_SERVER_ERROR, message };
  } catch (error) {
    return statusOf(error);
  }
}

/** Every answer has a handle, also a refusal's: there are clients that take it before they look at the status. */
export async function changeInvisibleDuration(
  { backend, renewals, clock, config }: SettleParts,
  { clientId, call }: Context,
  request: ChangeInvisibleDurationRequest,
): Promise<Init<ChangeInvisibleDurationResponse>> {
  const { receiptHandle, messageId } = request;
  try {
    const topic = topicOf(request.topic);
    const group = groupOf(request.group);
    const invisibleMs = toMs(request.invisibleDuration);
    checkInvisibleTime(config, invisibleMs, 0);
    const taken = await renewals.take(clientId, group, messageId, receiptHandle);
    const handle = withLiteTopic(taken, request.liteTopic);
    needLive(handle, clock.now());
    const changed = await backend.changeInvisible(
      handle,
      group,
      topicOfHandle(handle, topic, group),
      invisibleMs,
      request.suspend ?? false,
      call.peer.address,
    );
    if ("popTime" in changed) return { status: OK, receiptHandle: writeHandle(changed) };
    const message = `changeInvisibleDuration failed: status is abnormal${because(changed)}`;
    return { status: { code: Code.INTERNAL_SERVER_ERROR, message }, receiptHandle };
  } catch (error) {
    return { status: statusOf(error), receiptHandle };
  }
}

export async function forwardToDeadLetterQueue(
  parts: SettleParts,
  context: Context,
  request: ForwardMessageToDeadLetterQueueRequest,
): Promise<Init<ForwardMessageToDeadLetterQueueResponse>> {
  const topic = topicOf(request.topic);
  const group = groupOf(request.group);
  const { messageId } = request;
  const taken = await parts.renewals.take(context.clientId, group, messageId, request.receiptHandle);
  const handle = withLiteTopic(taken, request.liteTopic);
  const caller = parts.callerOf(context);
  const reply = await forward(parts, handle, messageId, group, topic, caller);
  return { status: reply.code === ResponseCode.SUCCESS ? OK : statusOfReply(reply) };
}

/** The dead letter of a message that was tried often enough; the delivery is acknowledged behind it. */
export function deadLetter(
  parts: Pick<SettleParts, "backend">,
  { source, handle }: Popped,
  group: string,
  topic: string,
  caller: Caller,
): Promise<Reply> {
  return forward(parts, handle, source.properties.get(Property.UNIQUE_KEY) ?? "", group, topic, caller);
}

async function forward(
  { backend }: Pick<SettleParts, "backend">,
  handle: ReceiptHandle,
  messageId: string,
  group: string,
  topic: string,
  caller: Caller,
): Promise<Reply> {
  if (handle.commitLogOffset < 0) throw new Refusal("INVALID_RECEIPT_HANDLE", "commit log offset is empty");
  const from = topicOfHandle(handle, topic, group);
  const header = {
    offset: handle.commitLogOffset,
    group,
    delayLevel: -1,
    originMsgId: messageId,
    originTopic: from,
    maxReconsumeTimes: 0,
  };
  const reply = await backend.request(handle.brokerName, "CONSUMER_SEND_MSG_BACK", header, caller);
  if (reply.code === ResponseCode.SUCCESS) await backend.ack(handle, group, from, caller.address);
  return reply;
}

function because({ remark }: Reply): string {
  return remark === undefined || remark === "" ? "" : ` (${remark})`;
}

/** Handles do not name the lite topic; clients do. */
function withLiteTopic(handle: ReceiptHandle, liteTopic: string | null): ReceiptHandle {
  return liteTopic ? { ...handle, liteTopic } : handle;
}
