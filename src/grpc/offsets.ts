/**
 * UpdateOffset, GetOffset and QueryOffset: reading by offset, which the protocol describes and Apache's proxy answers with
 * UNIMPLEMENTED. Codes are those of the protocol's own description.
 */
import type { Caller } from "../protocol/dispatch.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { Backend } from "./backend.ts";
import { groupOf, topicOf } from "./checks.ts";
import type { Context } from "./context.ts";
import {
  type GetOffsetRequest,
  type GetOffsetResponse,
  type MessageQueue,
  QueryOffsetPolicy,
  type QueryOffsetRequest,
  type QueryOffsetResponse,
  type UpdateOffsetRequest,
  type UpdateOffsetResponse,
} from "./generated/messages.ts";
import type { Init } from "./proto.ts";
import { need } from "./route.ts";
import { OK, Refusal, statusOfReply } from "./status.ts";
import { toMs } from "./times.ts";

export interface OffsetParts {
  readonly backend: Backend;
  readonly callerOf: (context: Context) => Caller;
}

/** A queue of a topic on one broker. */
export interface QueuePlace {
  brokerName: string;
  topic: string;
  queueId: number;
}

/** @throws Refusal when there is no such queue */
export async function queueOf(backend: Backend, queue: MessageQueue | null): Promise<QueuePlace> {
  const topic = topicOf(queue?.topic ?? null);
  const brokers = await need(backend, topic);
  const named = queue?.broker?.name ?? "";
  const broker = named === "" ? brokers[0] : brokers.find(({ brokerName }) => brokerName === named);
  if (broker === undefined) throw new Refusal("BAD_REQUEST", `The broker[${named}] not exist`);
  const queueId = queue?.id ?? -1;
  if (queueId < 0 || queueId >= broker.readQueueNums) {
    throw new Refusal(
      "BAD_REQUEST",
      `queue ${queueId} of topic ${topic} cannot be read: it has ${broker.readQueueNums}`,
    );
  }
  return { brokerName: broker.brokerName, topic, queueId };
}

export async function updateOffset(
  { backend, callerOf }: OffsetParts,
  context: Context,
  request: UpdateOffsetRequest,
): Promise<Init<UpdateOffsetResponse>> {
  const consumerGroup = groupOf(request.group);
  const { brokerName, topic, queueId } = await queueOf(backend, request.messageQueue);
  if (request.offset < 0) throw new Refusal("ILLEGAL_OFFSET", `offset ${request.offset} is negative`);
  await needGroup(backend, consumerGroup);
  const header = { consumerGroup, topic, queueId, commitOffset: request.offset };
  const reply = await backend.request(brokerName, "UPDATE_CONSUMER_OFFSET", header, callerOf(context));
  return { status: reply.code === ResponseCode.SUCCESS ? OK : statusOfReply(reply) };
}

export async function getOffset(
  { backend, callerOf }: OffsetParts,
  context: Context,
  request: GetOffsetRequest,
): Promise<Init<GetOffsetResponse>> {
  const consumerGroup = groupOf(request.group);
  const { brokerName, topic, queueId } = await queueOf(backend, request.messageQueue);
  const header = { consumerGroup, topic, queueId, setZeroIfNotFound: false };
  const reply = await backend.request(brokerName, "QUERY_CONSUMER_OFFSET", header, callerOf(context));
  if (reply.code === ResponseCode.QUERY_NOT_FOUND) {
    throw new Refusal("OFFSET_NOT_FOUND", `group ${consumerGroup} has no offset of queue ${queueId} of ${topic}`);
  }
  if (reply.code !== ResponseCode.SUCCESS) return { status: statusOfReply(reply) };
  return { status: OK, offset: Number(reply.header?.offset ?? 0) };
}

export async function queryOffset(
  { backend, callerOf }: OffsetParts,
  context: Context,
  request: QueryOffsetRequest,
): Promise<Init<QueryOffsetResponse>> {
  const { brokerName, topic, queueId } = await queueOf(backend, request.messageQueue);
  const caller = callerOf(context);
  const ask = () => {
    switch (request.queryOffsetPolicy) {
      case QueryOffsetPolicy.BEGINNING:
        return backend.request(brokerName, "GET_MIN_OFFSET", { topic, queueId }, caller);
      case QueryOffsetPolicy.END:
        return backend.request(brokerName, "GET_MAX_OFFSET", { topic, queueId, committed: true }, caller);
      case QueryOffsetPolicy.TIMESTAMP: {
        if (request.timestamp === null) throw new Refusal("BAD_REQUEST", "the policy TIMESTAMP needs a timestamp");
        const header = { topic, queueId, timestamp: toMs(request.timestamp), boundaryType: "LOWER" };
        return backend.request(brokerName, "SEARCH_OFFSET_BY_TIMESTAMP", header, caller);
      }
      default:
        throw new Refusal("BAD_REQUEST", `unknown query offset policy ${request.queryOffsetPolicy}`);
    }
  };
  const reply = await ask();
  if (reply.code !== ResponseCode.SUCCESS) return { status: statusOfReply(reply) };
  return { status: OK, offset: Number(reply.header?.offset ?? 0) };
}

async function needGroup(backend: Backend, group: string): Promise<void> {
  if ((await backend.group(group)) === undefined) {
    throw new Refusal("CONSUMER_GROUP_NOT_FOUND", `subscription group [${group}] does not exist`);
  }
}
