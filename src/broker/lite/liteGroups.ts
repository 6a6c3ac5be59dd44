/** What the attributes of topics and groups say about lite topics (Apache: LiteMetadataUtil). */
import type { SubscriptionGroupConfig } from "../../protocol/bodies/subscriptionGroup.ts";
import type { TopicConfig } from "../../protocol/bodies/topicConfig.ts";
import { MESSAGE_TYPE } from "../attributes.ts";

export interface LiteGroup {
  /** The parent topic whose lite topics the group consumes; undefined for an ordinary group. */
  bindTopic: string | undefined;
  /** A lite topic has one subscriber of the group, the newest. */
  exclusive: boolean;
  resetWhenExcluded: boolean;
  resetWhenUnsubscribed: boolean;
  /** Subscribed to all lite topics of the parent. */
  wildcard: boolean;
}

export function liteGroupOf({ attributes }: Pick<SubscriptionGroupConfig, "attributes">): LiteGroup {
  const isTrue = (name: string) => attributes.get(name)?.toLowerCase() === "true";
  return {
    bindTopic: attributes.get("lite.bind.topic"),
    exclusive: attributes.get("lite.sub.model") === "Exclusive",
    resetWhenExcluded: isTrue("lite.sub.reset.offset.exclusive"),
    resetWhenUnsubscribed: isTrue("lite.sub.reset.offset.unsubscribe"),
    wildcard: attributes.has("lite.sub.wildcard"),
  };
}

export function isLiteTopic(config: TopicConfig | undefined): boolean {
  return config?.attributes.get(MESSAGE_TYPE) === "LITE";
}

/** Minutes after its last message that a lite topic of this parent is deleted; not above 0: never. */
export function expirationMinutesOf({ attributes }: TopicConfig): number {
  return Number(attributes.get("lite.topic.expiration") ?? -1);
}
