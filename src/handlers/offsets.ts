/** Consumer offsets: asked for and committed outside of a pull (Apache: ConsumerManageProcessor). */
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { QueryConsumerOffsetRequestHeader, UpdateConsumerOffsetRequestHeader } from "../protocol/generated/headers.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "topics" | "groups" | "offsets" | "store">;

export function offsetRows(parts: Parts): Row[] {
  return [
    requestRow("QUERY_CONSUMER_OFFSET", QueryConsumerOffsetRequestHeader, (call) => query(parts, call)),
    requestRow("UPDATE_CONSUMER_OFFSET", UpdateConsumerOffsetRequestHeader, (call) => update(parts, call)),
  ];
}

/**
 * Neither group nor topic is checked. A queue without a committed offset answers 0 while its very first message is
 * still there and in memory, because a new group on a young queue is meant to see everything; else "not found", upon
 * which the client follows its consumeFromWhere.
 */
function query(parts: Parts, call: Call<QueryConsumerOffsetRequestHeader>): Reply | Promise<Reply> {
  const topic = need(call.header.topic, "topic");
  const group = need(call.header.consumerGroup, "consumerGroup");
  const queueId = need(call.header.queueId, "queueId");
  const offset = parts.offsets.query(group, topic, queueId);
  if (offset >= 0) return ok({ offset });
  if (call.header.setZeroIfNotFound === false) {
    return refuse("QUERY_NOT_FOUND", "Not found, do not set to zero, maybe this group boot first");
  }
  if (parts.store.minOffset(topic, queueId) > 0) return neverConsumed();
  return zeroWhileInMemory(parts, topic, queueId);
}

async function zeroWhileInMemory(parts: Parts, topic: string, queueId: number): Promise<Reply> {
  const [first] = await parts.store.units(topic, queueId, 0, 1);
  if (first === undefined || first.queueOffset !== 0 || !parts.store.inMemory(first.logOffset)) return neverConsumed();
  return ok({ offset: 0 });
}

function neverConsumed(): Reply {
  return refuse("QUERY_NOT_FOUND", "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first");
}

function update(parts: Parts, call: Call<UpdateConsumerOffsetRequestHeader>): Reply {
  const { topic, consumerGroup: group, queueId, commitOffset } = call.header;
  if (!parts.groups.has(group)) return refuse("SUBSCRIPTION_GROUP_NOT_EXIST", `Group ${group} not exist!`);
  if (!parts.topics.has(topic)) return refuse("TOPIC_NOT_EXIST", `Topic ${topic} not exist!`);
  if (queueId === undefined) return refuse("INVALID_PARAMETER", `QueueId is null, topic is ${topic}`);
  if (commitOffset === undefined) return refuse("INVALID_PARAMETER", `Offset is null, topic is ${topic}`);
  // The client that commits does not know yet that its offset was reset; its next pull will tell it.
  if (parts.config.useServerSideResetOffset && parts.offsets.hasReset(group, topic, queueId)) {
    return { ...ok(), remark: "Offset has been previously reset" };
  }
  parts.offsets.commit(group, topic, queueId, commitOffset, call.caller.address);
  return ok();
}
