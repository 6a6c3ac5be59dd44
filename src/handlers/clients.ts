/**
 * Heartbeats, farewells and who consumes with whom (Apache: ClientManageProcessor, and the consumer list of
 * ConsumerManageProcessor).
 */
import { TOPIC_UNIT_SUB } from "../broker/model.ts";
import { retryTopic } from "../broker/names.ts";
import { compileFilter, isTagType } from "../filter/messageFilter.ts";
import { encodeConsumerList } from "../protocol/bodies/consumerList.ts";
import { type ConsumerData, decodeHeartbeatData } from "../protocol/bodies/heartbeatData.ts";
import { readBean } from "../protocol/bodies/reader.ts";
import { readSubscriptionData } from "../protocol/bodies/subscriptionData.ts";
import { PERM_READ, PERM_WRITE } from "../protocol/bodies/topicConfig.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import {
  GetConsumerListByGroupRequestHeader,
  HeartbeatRequestHeader,
  UnregisterClientRequestHeader,
} from "../protocol/generated/headers.ts";
import { unsupportedFilter } from "./filterReplies.ts";
import { type BrokerParts, clientBody, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "topics" | "groups" | "clients" | "locks">;

export function clientRows(parts: Parts): Row[] {
  return [
    requestRow("HEART_BEAT", HeartbeatRequestHeader, (call) => heartbeat(parts, call)),
    requestRow("UNREGISTER_CLIENT", UnregisterClientRequestHeader, (call) => unregister(parts, call)),
    requestRow("GET_CONSUMER_LIST_BY_GROUP", GetConsumerListByGroupRequestHeader, (call) => consumerList(parts, call)),
    requestRow("CHECK_CLIENT_CONFIG", undefined, (call) => checkClient(parts, call)),
  ];
}

/**
 * One frame registers every producer and consumer group of a client. A group that does not exist and may not be
 * created is passed over in silence: the other groups of the client must not suffer from it.
 */
function heartbeat(parts: Parts, call: Call): Reply {
  const data = decodeHeartbeatData(clientBody(call));
  const client = { caller: call.caller, clientId: data.clientID, language: call.language, version: call.version };
  const v2 = data.heartbeatFingerprint !== 0;
  // Without V2 the client must always send its subscriptions, so it is told that something changed.
  let subscriptionsChanged = !v2;
  for (const consumer of data.consumerDataSet) {
    if (parts.config.rejectPullConsumerEnable && consumer.consumeType === "CONSUME_ACTIVELY") continue;
    const group = parts.groups.find(consumer.groupName, call.caller.address);
    if (group === undefined) continue;
    createRetryTopic(parts, consumer, group.retryQueueNums);
    parts.clients.registerConsumer(
      consumer.groupName,
      client,
      {
        consumeType: consumer.consumeType,
        messageModel: consumer.messageModel,
        consumeFromWhere: consumer.consumeFromWhere,
      },
      v2 && data.withoutSub ? undefined : consumer.subscriptionDataSet,
      group.notifyConsumerIdsChangedEnable,
    );
    const different = parts.clients.noteFingerprint(consumer.groupName, data.heartbeatFingerprint);
    subscriptionsChanged ||= v2 && different;
  }
  for (const producer of data.producerDataSet) parts.clients.registerProducer(producer.groupName, client);
  return ok({ IS_SUPPORT_HEART_BEAT_V2: true, IS_SUB_CHANGE: subscriptionsChanged });
}

/** mqadmin and the retry itself look the retry topic's route up, so that it must exist before the first retry. */
function createRetryTopic(parts: Parts, consumer: ConsumerData, queues: number): void {
  const ordered = consumer.subscriptionDataSet.some((item) => parts.topics.isOrder(item.topic));
  const topicSysFlag = consumer.unitMode ? TOPIC_UNIT_SUB : 0;
  parts.topics.createInSendBack(retryTopic(consumer.groupName), queues, PERM_READ | PERM_WRITE, topicSysFlag, ordered);
}

function unregister(parts: Parts, call: Call<UnregisterClientRequestHeader>): Reply {
  const { producerGroup, consumerGroup } = call.header;
  if (producerGroup !== undefined) parts.clients.unregisterProducer(producerGroup, call.caller);
  if (consumerGroup !== undefined) {
    const notify = parts.groups.find(consumerGroup)?.notifyConsumerIdsChangedEnable ?? true;
    parts.clients.unregisterConsumer(consumerGroup, call.caller, notify);
  }
  return ok();
}

function consumerList(parts: Parts, call: Call<GetConsumerListByGroupRequestHeader>): Reply {
  const group = need(call.header.consumerGroup, "consumerGroup");
  const clientIds = parts.clients.consumerGroup(group)?.clientIds() ?? [];
  // An empty list would make a client give up all its queues; an error makes it keep them and ask again.
  if (clientIds.length === 0) return refuse("SYSTEM_ERROR", `no consumer for this group, ${group}`);
  return ok(undefined, encodeConsumerList(clientIds));
}

/** A push consumer asks at its start whether the broker can filter the way it wants. */
function checkClient(parts: Parts, call: Call): Reply {
  const subscription = readBean("CheckClientRequestBody", clientBody(call)).bean(
    "subscriptionData",
    readSubscriptionData,
  );
  if (subscription === undefined || isTagType(subscription.expressionType)) return ok();
  const { expressionType, subString } = subscription;
  if (!parts.config.enablePropertyFilter) return unsupportedFilter(expressionType);
  try {
    compileFilter(subString, expressionType);
  } catch (error) {
    return refuse("SUBSCRIPTION_PARSE_FAILED", (error as Error).message);
  }
  return ok();
}
