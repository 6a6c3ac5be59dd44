/** What operators are told about lite topics (Apache: GetBrokerLiteInfoResponseBody and its siblings). Answers only. */
import { writeJavaJson } from "../javaJson.ts";
import type { OffsetWrapper, TopicOffset } from "./stats.ts";

export interface BrokerLiteInfo {
  storeType: string;
  maxLmqNum: number;
  currentLmqNum: number;
  /** Pairs of client and lite topic. */
  liteSubscriptionCount: number;
  /** Lite topics that groups have messages of, given and not acknowledged. */
  orderInfoCount: number;
  /** Topics, light queues among them, that have a queue. */
  cqTableSize: number;
  offsetTableSize: number;
  /** Clients that were told of something or asked for it. */
  eventMapSize: number;
  /** Parent topic to the minutes that its lite topics live after their last message; -1: for good. */
  topicMeta: Map<string, number>;
  /** Parent topic to the groups bound to it. */
  groupMeta: Map<string, string[]>;
}

export interface ParentTopicInfo {
  topic: string;
  /** minutes; -1: for good */
  ttl: number;
  groups: string[] | undefined;
  /** Light queues of the broker. */
  lmqNum: number;
  liteTopicCount: number;
}

export interface LiteTopicInfo {
  parentTopic: string;
  liteTopic: string;
  subscriber: { clientId: string; group: string }[];
  topicOffset: TopicOffset;
  /** Whether this broker is where messages of the lite topic go. */
  shardingToBroker: boolean;
}

export interface LiteClientInfo {
  parentTopic: string;
  group: string;
  clientId: string;
  /** ms; -1 without a pop */
  lastAccessTime: number;
  /** Never set by Apache. */
  lastConsumeTime: number;
  /** -1 for a client that the broker does not know. */
  liteTopicCount: number;
  /** Light queues. */
  liteTopicSet: string[] | undefined;
}

export interface LiteLag {
  liteTopic: string;
  lagCount: number;
  /** ms */
  earliestUnconsumedTimestamp: number;
}

export interface LiteGroupInfo {
  group: string;
  parentTopic: string;
  liteTopic: string | undefined;
  /** ms; -1 when nothing is known */
  earliestUnconsumedTimestamp: number;
  totalLagCount: number;
  /** With a lite topic only. */
  liteTopicOffsetWrapper?: OffsetWrapper | undefined;
  /** Without a lite topic only. */
  lagCountTopK?: LiteLag[] | undefined;
  lagTimestampTopK?: LiteLag[] | undefined;
}

export function encodeLiteInfo(
  info: BrokerLiteInfo | ParentTopicInfo | LiteTopicInfo | LiteClientInfo | LiteGroupInfo,
): string {
  return writeJavaJson(info);
}
