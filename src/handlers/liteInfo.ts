/**
 * What operators ask about lite topics, and the order to look at all of them again (Apache: LiteManagerProcessor,
 * LiteConsumerLagCalculator.getLagCountTopK). Apache notes the oldest unread messages while it gives out full batches, with
 * liteLagLatencyCollectEnable only; here they are looked up when somebody asks, under the same option.
 */
import { expirationMinutesOf, isLiteTopic, liteGroupOf } from "../broker/lite/liteGroups.ts";
import type { Lites } from "../broker/lite/lites.ts";
import type { TopicRoutes } from "../broker/topicRoutes.ts";
import { liteNameOf, lmqOf } from "../message/liteTopic.ts";
import { isLmq, LMQ_QUEUE_ID } from "../message/lmq.ts";
import {
  encodeLiteInfo,
  type LiteClientInfo,
  type LiteGroupInfo,
  type LiteLag,
  type LiteTopicInfo,
} from "../protocol/bodies/liteInfo.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { Reply, Row } from "../protocol/dispatch.ts";
import {
  GetLiteClientInfoRequestHeader,
  GetLiteGroupInfoRequestHeader,
  GetLiteTopicInfoRequestHeader,
  GetParentTopicInfoRequestHeader,
  TriggerLiteDispatchRequestHeader,
} from "../protocol/generated/headers.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "topics" | "groups" | "offsets" | "store"> & {
  readonly lites: Lites;
  readonly routes: TopicRoutes;
};

const LITE_TOPICS_MAX = 10_000;
/** GetLiteClientInfoRequestHeader.maxCount without a word of the client. */
const LITE_TOPICS_DEFAULT = 1_000;

export function liteInfoRows(parts: Parts): Row[] {
  return [
    requestRow("GET_BROKER_LITE_INFO", undefined, () => brokerInfo(parts)),
    requestRow("GET_PARENT_TOPIC_INFO", GetParentTopicInfoRequestHeader, ({ header }) =>
      parentInfo(parts, header.topic),
    ),
    requestRow("GET_LITE_TOPIC_INFO", GetLiteTopicInfoRequestHeader, ({ header }) => topicInfo(parts, header)),
    requestRow("GET_LITE_CLIENT_INFO", GetLiteClientInfoRequestHeader, ({ header }) => clientInfo(parts, header)),
    requestRow("GET_LITE_GROUP_INFO", GetLiteGroupInfoRequestHeader, ({ header }) => groupInfo(parts, header)),
    requestRow("TRIGGER_LITE_DISPATCH", TriggerLiteDispatchRequestHeader, ({ header }) => dispatch(parts, header)),
  ];
}

function brokerInfo(parts: Parts): Reply {
  const { config, topics, offsets, store, lites } = parts;
  const names = store.topics();
  const topicMeta = new Map<string, number>();
  for (const topic of topics.all()) if (isLiteTopic(topic)) topicMeta.set(topic.topicName, expirationMinutesOf(topic));
  let touched = 0;
  for (const client of lites.subscriptions.clients()) if (client.poppedAt >= 0 || client.ready.size > 0) touched++;
  return ok(
    undefined,
    encodeLiteInfo({
      storeType: config.storeType,
      maxLmqNum: config.maxLmqConsumeQueueNum,
      currentLmqNum: names.filter(isLmq).length,
      liteSubscriptionCount: lites.subscriptions.active,
      orderInfoCount: lites.orders.size,
      cqTableSize: names.length,
      offsetTableSize: offsets.size,
      eventMapSize: touched,
      topicMeta,
      groupMeta: groupsByTopic(parts),
    }),
  );
}

function parentInfo(parts: Parts, name: string | undefined): Reply {
  const found = parentTopic(parts, name);
  if ("code" in found) return found;
  const names = parts.store.topics();
  return ok(
    undefined,
    encodeLiteInfo({
      topic: found.topicName,
      ttl: expirationMinutesOf(found),
      groups: groupsByTopic(parts).get(found.topicName),
      lmqNum: names.filter(isLmq).length,
      liteTopicCount: names.filter((lmq) => liteNameOf(lmq)?.parent === found.topicName).length,
    }),
  );
}

async function topicInfo(parts: Parts, header: GetLiteTopicInfoRequestHeader): Promise<Reply> {
  const { config, store, lites, routes } = parts;
  const found = parentTopic(parts, header.parentTopic);
  if ("code" in found) return found;
  const parent = found.topicName;
  const lite = need(header.liteTopic || undefined, "liteTopic");
  const lmq = lmqOf(parent, lite);
  const maxOffset = Math.max(0, store.maxOffset(lmq, LMQ_QUEUE_ID));
  const info: LiteTopicInfo = {
    parentTopic: parent,
    liteTopic: lite,
    subscriber: subscribers(lites, parent, lmq),
    topicOffset: { lastUpdateTimestamp: 0, maxOffset, minOffset: 0 },
    shardingToBroker: ((await routes.brokerOfLite(parent, lite)) ?? config.brokerName) === config.brokerName,
  };
  if (maxOffset > 0) {
    info.topicOffset.minOffset = Math.max(0, store.minOffset(lmq, LMQ_QUEUE_ID));
    info.topicOffset.lastUpdateTimestamp = await store.storeTimeAt(lmq, LMQ_QUEUE_ID, maxOffset - 1);
  }
  return ok(undefined, encodeLiteInfo(info));
}

/** Everybody who gets messages of a lite topic; of a group that gets all of them no more than its name. */
function subscribers({ subscriptions }: Lites, parent: string, lmq: string): LiteTopicInfo["subscriber"] {
  const found: LiteTopicInfo["subscriber"] = [];
  for (const [group, clients] of subscriptions.subscribers(lmq) ?? []) {
    for (const { clientId } of clients) found.push({ clientId, group });
  }
  for (const group of subscriptions.wildcardGroups(parent)) found.push({ clientId: "*", group });
  return found;
}

function clientInfo(parts: Parts, header: GetLiteClientInfoRequestHeader): Reply {
  const { groups, lites } = parts;
  const found = parentTopic(parts, header.parentTopic);
  if ("code" in found) return found;
  const parent = found.topicName;
  const group = header.group ?? "null";
  const config = groups.find(group);
  if (config === undefined) return refuse("SUBSCRIPTION_GROUP_NOT_EXIST", `Group [${group}] not exist.`);
  if (liteGroupOf(config).bindTopic !== parent) {
    return refuse("INVALID_PARAMETER", `Subscription [${group}]-[${parent}] not match.`);
  }
  const clientId = need(header.clientId, "clientId");
  const info: LiteClientInfo = {
    parentTopic: parent,
    group,
    clientId,
    lastAccessTime: -1,
    lastConsumeTime: 0,
    liteTopicCount: -1,
    liteTopicSet: undefined,
  };
  const client = lites.subscriptions.find(clientId);
  if (client !== undefined) {
    // Apache notes a wildcard subscription as one to a queue of this name.
    const lmqs = lites.subscriptions.isWildcard(client) ? [`${client.topic}@${client.group}`] : [...client.lmqs];
    info.lastAccessTime = client.poppedAt;
    info.liteTopicCount = lmqs.length;
    info.liteTopicSet = lmqs.slice(0, Math.max(0, Math.min(header.maxCount ?? LITE_TOPICS_DEFAULT, LITE_TOPICS_MAX)));
  }
  return ok(undefined, encodeLiteInfo(info));
}

async function groupInfo(parts: Parts, header: GetLiteGroupInfoRequestHeader): Promise<Reply> {
  const found = boundTopic(parts, header.group);
  if (typeof found !== "string") return found;
  const liteTopic = header.liteTopic || undefined;
  const info: LiteGroupInfo = {
    group: header.group,
    parentTopic: found,
    liteTopic: header.liteTopic,
    earliestUnconsumedTimestamp: -1,
    totalLagCount: 0,
  };
  if (liteTopic === undefined) await addTops(parts, info, header.topK ?? 0);
  else await addLag(parts, info, lmqOf(found, liteTopic));
  return ok(undefined, encodeLiteInfo(info));
}

/** How far a group is behind on one lite topic. */
async function addLag({ store, offsets }: Parts, info: LiteGroupInfo, lmq: string): Promise<void> {
  const brokerOffset = store.maxOffset(lmq, LMQ_QUEUE_ID);
  if (brokerOffset <= 0) {
    info.totalLagCount = -1;
    return;
  }
  const consumerOffset = offsets.query(info.group, lmq, LMQ_QUEUE_ID);
  if (consumerOffset < 0) return;
  const lastTimestamp = consumerOffset > 0 ? await store.storeTimeAt(lmq, LMQ_QUEUE_ID, consumerOffset - 1) : 0;
  info.totalLagCount = brokerOffset - consumerOffset;
  info.earliestUnconsumedTimestamp = await store.storeTimeAt(lmq, LMQ_QUEUE_ID, consumerOffset);
  info.liteTopicOffsetWrapper = { brokerOffset, consumerOffset, lastTimestamp, pullOffset: 0 };
}

/** The lite topics on which a group is behind most, and those where its oldest unread messages are. */
async function addTops({ config, store, offsets }: Parts, info: LiteGroupInfo, topK: number): Promise<void> {
  if (topK < 1) throw new Error(`topK is ${topK}: no such list`);
  const behind: { lmq: string; offset: number; lag: LiteLag }[] = [];
  for (const lmq of offsets.topicsOf(info.group)) {
    const liteTopic = liteNameOf(lmq)?.lite;
    const offset = offsets.query(info.group, lmq, LMQ_QUEUE_ID);
    if (liteTopic === undefined || offset < 0) continue;
    const lagCount = store.maxOffset(lmq, LMQ_QUEUE_ID) - offset;
    if (lagCount <= 0) continue;
    info.totalLagCount += lagCount;
    behind.push({ lmq, offset, lag: { liteTopic, lagCount, earliestUnconsumedTimestamp: -1 } });
  }
  behind.sort((a, b) => b.lag.lagCount - a.lag.lagCount);
  const most = behind.slice(0, topK);
  for (const { lmq, offset, lag } of config.liteLagLatencyCollectEnable ? behind : most) {
    lag.earliestUnconsumedTimestamp = await store.storeTimeAt(lmq, LMQ_QUEUE_ID, offset);
  }
  info.lagCountTopK = most.map(({ lag }) => lag);
  info.lagTimestampTopK = [];
  if (!config.liteLagLatencyCollectEnable) return;
  info.lagTimestampTopK = behind
    .map(({ lag }) => lag)
    .filter(({ earliestUnconsumedTimestamp }) => earliestUnconsumedTimestamp > 0)
    .sort((a, b) => a.earliestUnconsumedTimestamp - b.earliestUnconsumedTimestamp)
    .slice(0, Math.min(topK, config.liteLagLatencyTopK));
  info.earliestUnconsumedTimestamp = info.lagTimestampTopK[0]?.earliestUnconsumedTimestamp ?? -1;
}

function dispatch(parts: Parts, { group, clientId }: TriggerLiteDispatchRequestHeader): Reply {
  const found = boundTopic(parts, group);
  if (typeof found !== "string") return found;
  if (parts.config.enableLiteEventMode) parts.lites.dispatch(group, clientId || undefined);
  return ok();
}

/** A parent of lite topics, or the refusal. */
function parentTopic({ topics }: Parts, name: string | undefined): TopicConfig | Reply {
  const config = name === undefined ? undefined : topics.get(name);
  if (config === undefined) return refuse("TOPIC_NOT_EXIST", `Topic [${name ?? "null"}] not exist.`);
  if (!isLiteTopic(config)) return refuse("INVALID_PARAMETER", `Topic [${name}] type not match.`);
  return config;
}

/** The parent topic that a group is bound to, or the refusal. */
function boundTopic({ groups }: Parts, group: string): string | Reply {
  const config = groups.find(group);
  if (config === undefined) return refuse("SUBSCRIPTION_GROUP_NOT_EXIST", `Group [${group}] not exist.`);
  const { bindTopic } = liteGroupOf(config);
  return bindTopic || refuse("INVALID_PARAMETER", `Group [${group}] is not a LITE group.`);
}

function groupsByTopic({ groups }: Parts): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const config of groups.all()) {
    const { bindTopic } = liteGroupOf(config);
    if (bindTopic === undefined) continue;
    const names = found.get(bindTopic);
    if (names === undefined) found.set(bindTopic, [config.groupName]);
    else names.push(config.groupName);
  }
  return found;
}
