/** What refuses a pull, however it came: group and topic, in Apache's order and words (PullMessageProcessor). */
import { isReadable } from "../broker/model.ts";
import type { SubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { Reply } from "../protocol/dispatch.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import { type BrokerParts, refuse } from "./parts.ts";

/** ForbiddenType of a refused pull. */
export const BY_BROKER = 1;
export const BY_GROUP = 2;
export const BY_TOPIC = 3;
export const BY_BROADCAST = 4;
export const BY_SUBSCRIPTION = 5;

export function forbidden(type: number, remark: string): Reply {
  return refuse("NO_PERMISSION", remark, { forbiddenType: type });
}

/** The refusal of a broker that may not be read. */
export function unreadableBroker({ config }: Pick<BrokerParts, "config">): Reply | undefined {
  if (isReadable(config.brokerPermission)) return undefined;
  return forbidden(BY_BROKER, `the broker[${config.brokerIP1}] pulling message is forbidden`);
}

/**
 * The group that pulls, made when it may be.
 * @param by `host:port` of the client
 */
export function pullingGroup(
  { groups }: Pick<BrokerParts, "groups">,
  name: string,
  by?: string,
): SubscriptionGroupConfig | Reply {
  const group = groups.find(name, by);
  if (group === undefined) {
    return refuse(
      "SUBSCRIPTION_GROUP_NOT_EXIST",
      `subscription group [${name}] does not exist, ${FAQ_HINT}${groups.creationRefusal(by)}`,
    );
  }
  return group.consumeEnable ? group : forbidden(BY_GROUP, `subscription group no permission, ${name}`);
}

/** The topic that is pulled. */
export function pulledTopic({ topics }: Pick<BrokerParts, "topics">, name: string): TopicConfig | Reply {
  const topic = topics.get(name);
  if (topic === undefined) {
    return refuse("TOPIC_NOT_EXIST", `topic[${name}] not exist, apply first please! ${FAQ_HINT}`);
  }
  return isReadable(topic.perm) ? topic : forbidden(BY_TOPIC, `the topic[${name}] pulling message is forbidden`);
}
