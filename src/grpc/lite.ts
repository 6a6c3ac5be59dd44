/**
 * SyncLiteSubscription: which lite topics a client wants (Apache: LiteSubscriptionActivity). Clients tell each change, and
 * from time to time all of it; what is theirs goes when they go.
 */

import type { ProxyConfig } from "../config/index.ts";
import type { LiteAction, LiteSubscription, OffsetOption } from "../protocol/bodies/liteSubscription.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { Backend } from "./backend.ts";
import { checkLiteTopic, groupOf, topicOf } from "./checks.ts";
import type { GrpcClient, GrpcClients } from "./clients.ts";
import type { Context } from "./context.ts";
import {
  ClientType,
  LiteSubscriptionAction,
  type OffsetOption as OffsetOptionMessage,
  type SyncLiteSubscriptionRequest,
  type SyncLiteSubscriptionResponse,
} from "./generated/messages.ts";
import type { Init } from "./proto.ts";
import { liteQuotaOf } from "./settings.ts";
import { OK, Refusal, statusOfReply } from "./status.ts";

export interface LiteParts {
  readonly config: ProxyConfig;
  readonly backend: Backend;
  readonly clients: GrpcClients;
}

/** Clients that receive from the lite topics they subscribe to. */
export const LITE_CONSUMERS: ReadonlySet<number> = new Set([
  ClientType.LITE_PUSH_CONSUMER,
  ClientType.LITE_SIMPLE_CONSUMER,
]);

const ACTIONS = new Map<number, LiteAction>(
  Object.entries(LiteSubscriptionAction).map(([name, action]) => [action, name as LiteAction]),
);

export async function syncLiteSubscription(
  { config, backend, clients }: LiteParts,
  context: Context,
  request: SyncLiteSubscriptionRequest,
): Promise<Init<SyncLiteSubscriptionResponse>> {
  const client = clients.find(context.clientId);
  if (client?.settings === undefined || !LITE_CONSUMERS.has(client.settings.clientType)) {
    throw new Refusal("UNRECOGNIZED_CLIENT_TYPE", "only clients with the settings of a lite consumer have lite topics");
  }
  const topic = topicOf(request.topic);
  const group = groupOf(request.group);
  const groupConfig = await backend.group(group);
  const bound = groupConfig?.attributes.get("lite.bind.topic");
  if (bound !== topic) {
    throw new Refusal(
      "ILLEGAL_TOPIC",
      `lite group ${group} is expected to bind topic ${bound ?? ""}, but actual is ${topic}`,
    );
  }
  const action = ACTIONS.get(request.action);
  if (action === undefined) throw new Refusal("BAD_REQUEST", `unknown lite subscription action ${request.action}`);
  for (const liteTopic of request.liteTopicSet) checkLiteTopic(config, liteTopic);
  const quota = liteQuotaOf(groupConfig);
  if (request.liteTopicSet.length > quota) {
    const message = `${request.liteTopicSet.length} lite topics, lite.sub.client.quota of group ${group} is ${quota}`;
    throw new Refusal("LITE_SUBSCRIPTION_QUOTA_EXCEEDED", message);
  }
  const reply = await backend.subscribeLite(
    {
      action,
      clientId: context.clientId,
      group,
      liteTopicSet: request.liteTopicSet,
      offsetOption: request.offsetOption === null ? undefined : offsetOptionOf(request.offsetOption),
      topic,
      version: request.version ?? 0,
    },
    client,
  );
  return { status: reply.code === ResponseCode.SUCCESS ? OK : statusOfReply(reply) };
}

/** What to tell brokers when a client is gone; undefined for one without lite topics. */
export function goodbyeOf(client: GrpcClient): LiteSubscription | undefined {
  const { settings, clientId, group } = client;
  const topic = settings?.subscription?.subscriptions[0]?.topic?.name;
  if (settings === undefined || !LITE_CONSUMERS.has(settings.clientType)) return undefined;
  if (group === undefined || topic === undefined) return undefined;
  const action = "COMPLETE_REMOVE";
  return { action, clientId, group, topic, liteTopicSet: [], offsetOption: undefined, version: 0 };
}

function offsetOptionOf(option: OffsetOptionMessage): OffsetOption | undefined {
  switch (option.offsetType) {
    case "policy":
      return { type: "POLICY", value: option.policy };
    case "offset":
      return { type: "OFFSET", value: option.offset };
    case "tailN":
      return { type: "TAIL_N", value: option.tailN };
    case "timestamp":
      return { type: "TIMESTAMP", value: option.timestamp };
    default:
      return undefined;
  }
}
