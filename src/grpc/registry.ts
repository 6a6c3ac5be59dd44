/**
 * Registration of 5.x clients among the broker's producers and consumers, so that both worlds see each other (Apache:
 * ClientActivity.registerProducer, registerConsumer). A producer's group is the topic it sends to.
 */
import { javaHashCode } from "../base/javaHash.ts";
import type { Client, Clients } from "../broker/clients.ts";
import { parseTags } from "../filter/tags.ts";
import { SUB_ALL, type SubscriptionData } from "../protocol/bodies/subscriptionData.ts";
import type { Backend } from "./backend.ts";
import { isBlank } from "./checks.ts";
import type { GrpcClient } from "./clients.ts";
import { type Context, versionOf } from "./context.ts";
import { ClientType, type FilterExpression, FilterType, type SubscriptionEntry } from "./generated/messages.ts";
import { LITE_CONSUMERS } from "./lite.ts";
import { Refusal } from "./status.ts";

const SIMPLE_CONSUMERS: ReadonlySet<number> = new Set([ClientType.SIMPLE_CONSUMER, ClientType.LITE_SIMPLE_CONSUMER]);

export function registerProducer(registrations: Clients, client: GrpcClient, context: Context, topic: string): void {
  registrations.registerProducer(topic, asClient(client, context));
}

/**
 * @param subscriptions undefined: as before (a heartbeat does not repeat them)
 * @throws Refusal for a group that does not exist, or is of the other kind than the client (lite or not)
 */
export async function registerConsumer(
  backend: Backend,
  registrations: Clients,
  client: GrpcClient,
  context: Context,
  group: string,
  clientType: number,
  subscriptions: SubscriptionData[] | undefined,
): Promise<void> {
  const config = await backend.group(group);
  if (config === undefined) throw new Refusal("ILLEGAL_CONSUMER_GROUP", `group not found: ${group}`);
  const bindTopic = config.attributes.get("lite.bind.topic") ?? "";
  const lite = LITE_CONSUMERS.has(clientType);
  if (lite && bindTopic === "") {
    throw new Refusal("ILLEGAL_CONSUMER_GROUP", `regular group cannot use LITE mode: ${group}`);
  }
  if (!lite && bindTopic !== "") throw new Refusal("ILLEGAL_CONSUMER_GROUP", `lite group must use LITE mode: ${group}`);
  const [first] = subscriptions ?? [];
  if (lite && first !== undefined && first.topic !== bindTopic) {
    throw new Refusal(
      "ILLEGAL_TOPIC",
      `lite group ${group} is expected to bind topic ${bindTopic}, but actual is ${first.topic}`,
    );
  }
  registrations.registerConsumer(
    group,
    asClient(client, context),
    {
      consumeType: SIMPLE_CONSUMERS.has(clientType) ? "CONSUME_ACTIVELY" : "CONSUME_PASSIVELY",
      messageModel: lite ? "LITE_SELECTIVE" : "CLUSTERING",
      consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
    },
    subscriptions,
    config.notifyConsumerIdsChangedEnable,
  );
}

function asClient(client: GrpcClient, context: Context): Client {
  return {
    caller: client,
    clientId: client.clientId,
    language: context.language,
    version: versionOf(context.clientVersion),
  };
}

export function subscriptionsOf(entries: readonly SubscriptionEntry[], nowMs: number): SubscriptionData[] {
  return entries.map((entry) => subscriptionOf(entry.topic?.name ?? "", entry.expression, nowMs));
}

/** What a filter expression means (FilterAPI.build). @throws Refusal */
export function subscriptionOf(topic: string, filter: FilterExpression | null, nowMs: number): SubscriptionData {
  const expression = filter?.expression ?? "";
  const common = { classFilterMode: false, subVersion: nowMs, topic };
  if (filter?.type === FilterType.SQL) {
    if (isBlank(expression)) throw new Refusal("ILLEGAL_FILTER_EXPRESSION", "Expression can't be null! SQL92");
    return { ...common, codeSet: [], expressionType: "SQL92", subString: expression, tagsSet: [] };
  }
  if (expression === "" || expression === SUB_ALL) {
    return { ...common, codeSet: [], expressionType: "TAG", subString: SUB_ALL, tagsSet: [] };
  }
  const tagsSet = [...new Set(parseTags(expression))];
  if (expression.replaceAll("||", "") === "") {
    throw new Refusal("ILLEGAL_FILTER_EXPRESSION", "expression format is not correct");
  }
  return { ...common, codeSet: tagsSet.map(javaHashCode), expressionType: "TAG", subString: expression, tagsSet };
}
