/**
 * POP_LITE_MESSAGE and LITE_SUBSCRIPTION_CTL (Apache: PopLiteMessageProcessor, LiteSubscriptionCtlProcessor), and what
 * ACK_MESSAGE and CHANGE_MESSAGE_INVISIBLETIME do with a message of a lite topic.
 */
import { Buffer } from "node:buffer";
import { isLiteTopic, liteGroupOf } from "../broker/lite/liteGroups.ts";
import { LiteQuotaError, type Notify } from "../broker/lite/liteSubscriptions.ts";
import { type LiteMessage, type LitePop, LiteSubscriptionError, type Lites } from "../broker/lite/lites.ts";
import { isReadable } from "../broker/model.ts";
import { LITE_TOPIC_PROPERTY, liteNameOf, lmqOf } from "../message/liteTopic.ts";
import { Property } from "../message/properties.ts";
import { decodeLiteSubscriptions, type LiteSubscription } from "../protocol/bodies/liteSubscription.ts";
import type { Call, Caller, Reply, Row } from "../protocol/dispatch.ts";
import { ORDER_REVIVE_QID } from "../protocol/extraInfo.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import { LiteSubscriptionCtlRequestHeader, PopLiteMessageRequestHeader } from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

export type LiteParts = Pick<BrokerParts, "config" | "topics" | "groups" | "stats" | "clock" | "log"> & {
  readonly lites: Lites;
};

const MESSAGES_MAX = 32;

export function liteRows(parts: LiteParts): Row[] {
  return [
    requestRow("POP_LITE_MESSAGE", PopLiteMessageRequestHeader, (call) => popFromWire(parts, call), "notFast"),
    requestRow("LITE_SUBSCRIPTION_CTL", LiteSubscriptionCtlRequestHeader, (call) => control(parts, call)),
  ];
}

/** A receive from lite topics. */
export interface PopLiteAsk extends LitePop {
  /** The parent of the lite topics. */
  topic: string;
  /** ms to wait for a first message */
  pollMs: number;
  alive(): boolean;
}

/** Messages, or why there are none: nothing in time, too many wait already, or a refusal. */
export type PopLiteOutcome = { popTime: number; messages: LiteMessage[] } | "nothing" | "full" | Reply;

export async function popLite(parts: LiteParts, ask: PopLiteAsk): Promise<PopLiteOutcome> {
  const refusal = checkPop(parts, ask);
  if (refusal !== undefined) return refusal;
  const { lites, clock, stats } = parts;
  const pop = (): PopLiteOutcome | undefined => {
    const popTime = clock.now();
    const messages = lites.pop(ask, popTime);
    if (messages.length === 0) return undefined;
    const bytes = messages.reduce((sum, { record }) => sum + record.length, 0);
    stats.got(ask.group, ask.topic, 0, messages.length, bytes, 0);
    return { popTime, messages };
  };
  const found = pop();
  if (found !== undefined) return found;
  if (ask.pollMs <= 0) return "nothing";
  const client = known(lites, ask);
  if (client === undefined) return "full";
  return new Promise((resolve) => {
    const waiting = lites.subscriptions.wait(client, {
      clientId: ask.clientId,
      deadline: clock.monotonicMs() + ask.pollMs,
      alive: ask.alive,
      wake: (last) => {
        const late = pop();
        if (late !== undefined || last) resolve(late ?? "nothing");
        return late !== undefined || last;
      },
    });
    if (!waiting) resolve("full");
  });
}

/** A client may ask before it has said what it subscribes to; undefined when there are too many. */
function known({ subscriptions }: Lites, { clientId, group, topic }: PopLiteAsk) {
  try {
    return subscriptions.touch(clientId, group, topic);
  } catch (error) {
    if (error instanceof LiteQuotaError) return undefined;
    throw error;
  }
}

function checkPop({ config, topics, groups }: LiteParts, ask: PopLiteAsk): Reply | undefined {
  const broker = `the broker[${config.brokerIP1}]`;
  if (!isReadable(config.brokerPermission)) return refuse("NO_PERMISSION", `${broker} pop message is forbidden`);
  if (ask.maxMessages > MESSAGES_MAX) {
    return refuse("INVALID_PARAMETER", `${broker} pop message's num is greater than ${MESSAGES_MAX}`);
  }
  const topic = topics.get(ask.topic);
  if (topic === undefined) {
    return refuse("TOPIC_NOT_EXIST", `topic [${ask.topic}] not exist, apply first please! ${FAQ_HINT}`);
  }
  if (!isReadable(topic.perm)) {
    return refuse("NO_PERMISSION", `the topic [${ask.topic}] peeking message is forbidden`);
  }
  if (!isLiteTopic(topic)) return refuse("INVALID_PARAMETER", `the topic [${ask.topic}] message type not match`);
  const group = groups.find(ask.group);
  if (group === undefined) {
    return refuse("SUBSCRIPTION_GROUP_NOT_EXIST", `subscription group [${ask.group}] not exist, ${FAQ_HINT}`);
  }
  if (!group.consumeEnable) return refuse("NO_PERMISSION", `subscription group no permission, ${ask.group}`);
  if (liteGroupOf(group).bindTopic !== ask.topic) {
    return refuse("INVALID_PARAMETER", `subscription bind topic not match, ${ask.group}`);
  }
  return undefined;
}

async function popFromWire(parts: LiteParts, call: Call<PopLiteMessageRequestHeader>): Promise<Reply> {
  const { header, caller } = call;
  const { clock, config } = parts;
  const now = clock.now();
  const bornTime = header.bornTime || now;
  const pollTime = need(header.pollTime, "pollTime");
  if (now - bornTime > pollTime + TIMEOUT_EXTRA_MS) {
    return refuse("POLLING_TIMEOUT", `the broker[${config.brokerIP1}] pop message is timeout too much`);
  }
  const invisibleMs = need(header.invisibleTime, "invisibleTime");
  const outcome = await popLite(parts, {
    clientId: need(header.clientId, "clientId"),
    group: need(header.consumerGroup, "consumerGroup"),
    topic: need(header.topic, "topic"),
    maxMessages: need(header.maxMsgNum, "maxMsgNum"),
    invisibleMs,
    attemptId: header.attemptId,
    pollMs: bornTime + pollTime - now,
    alive: () => caller.open,
  });
  if (outcome === "full") return refuse("POLLING_FULL", "NO_MESSAGE_IN_QUEUE");
  if (outcome === "nothing") return refuse("POLLING_TIMEOUT", "NO_MESSAGE_IN_QUEUE");
  if ("code" in outcome) return outcome;
  return {
    code: 0,
    remark: "FOUND",
    header: {
      popTime: outcome.popTime,
      invisibleTime: invisibleMs,
      reviveQid: ORDER_REVIVE_QID,
      orderCountInfo: outcome.messages.map(({ count }) => count).join(";"),
    },
    body: Buffer.concat(outcome.messages.map(({ record }) => record)),
  };
}

/** PopLiteMessageRequestHeader.isTimeoutTooMuch. */
const TIMEOUT_EXTRA_MS = 500;

// ---- subscriptions ----

function control(parts: LiteParts, { body, caller }: Call): Reply {
  if (body.length === 0) return refuse("ILLEGAL_OPERATION", "Request body is null.");
  const subscriptions = decodeLiteSubscriptions(body);
  if (subscriptions.length === 0) return refuse("ILLEGAL_OPERATION", "LiteSubscriptionCtlRequestBody is empty.");
  for (const subscription of subscriptions) {
    const { clientId, group, topic } = subscription;
    if (clientId.trim() === "" || group.trim() === "" || topic.trim() === "") {
      parts.log.warn({ clientId, group, topic }, "a lite subscription without a client, group or topic is passed over");
      continue;
    }
    const refusal = applySubscription(parts, subscription, notifier(clientId, caller));
    if (refusal !== undefined) return refusal;
  }
  return ok();
}

/** Takes what a client says of its subscriptions; undefined when it was taken. */
export function applySubscription(
  { lites }: LiteParts,
  { action, clientId, group, topic, liteTopicSet, offsetOption }: LiteSubscription,
  notify: Notify,
): Reply | undefined {
  try {
    switch (action) {
      case "PARTIAL_ADD":
        lites.subscribe(clientId, group, topic, liteTopicSet, offsetOption, notify);
        return undefined;
      case "PARTIAL_REMOVE":
        lites.unsubscribe(clientId, group, topic, liteTopicSet);
        return undefined;
      case "COMPLETE_ADD":
        lites.subscribeAll(clientId, group, topic, liteTopicSet, notify);
        return undefined;
      case "COMPLETE_REMOVE":
        lites.clientGone(clientId);
        return undefined;
      default:
        return refuse("ILLEGAL_OPERATION", "the subscription names no action");
    }
  } catch (error) {
    if (error instanceof LiteQuotaError) return refuse("LITE_SUBSCRIPTION_QUOTA_EXCEEDED", error.message);
    if (error instanceof LiteSubscriptionError) return refuse("ILLEGAL_OPERATION", error.message);
    throw error;
  }
}

/** Tells a client, or the proxy it is connected to, that it lost a lite topic. */
export function notifier(clientId: string, caller: Caller): Notify {
  return (consumerGroup, lmq) => {
    const liteTopic = liteNameOf(lmq)?.lite ?? "";
    caller.tell(RequestCode.NOTIFY_UNSUBSCRIBE_LITE, { clientId, consumerGroup, liteTopic });
  };
}

// ---- messages ----

/** A message that was popped from a lite topic, by its handle. */
export interface LiteHandle {
  group: string;
  /** The parent. */
  topic: string;
  liteTopic: string;
  queueId: number;
  offset: number;
  popTime: number;
  reviveQid: number;
}

export function ackLite({ lites, groups, stats }: LiteParts, ask: LiteHandle): Reply | "done" {
  const { group, topic, liteTopic, offset, popTime } = ask;
  const config = groups.find(group);
  if (config === undefined || liteGroupOf(config).bindTopic !== topic) {
    return refuse("INVALID_PARAMETER", "group type or bind topic not match.");
  }
  if (ask.queueId !== 0 || ask.reviveQid !== ORDER_REVIVE_QID) {
    return refuse("INVALID_PARAMETER", "ack queue illegal.");
  }
  const problem = lites.ack(group, topic, liteTopic, offset, popTime);
  if (problem !== undefined) {
    return refuse(problem === "outside" ? "NO_MESSAGE" : "MESSAGE_ILLEGAL", "ack offset illegal.");
  }
  stats.acked(group, topic);
  return "done";
}

export function changeLite({ lites }: LiteParts, ask: LiteHandle, invisibleMs: number, suspend: boolean): Reply {
  const { group, topic, liteTopic, offset, popTime, reviveQid } = ask;
  const visibleAt = lites.changeInvisible(group, topic, liteTopic, offset, popTime, invisibleMs, suspend);
  if (visibleAt === "outside") return refuse("NO_MESSAGE", "the lite topic has no such message");
  // Apache leaves the header's numbers at 0 for a message that is done.
  if (visibleAt === undefined) return ok({ invisibleTime: 0, popTime: 0, reviveQid: 0 });
  return ok({ invisibleTime: visibleAt - popTime, popTime, reviveQid });
}

/**
 * A message for a lite topic is listed in the light queue of its name (SendMessageProcessor).
 * @returns the refusal where there are no light queues; Apache stores it where nobody can receive it
 */
export function dispatchLite(
  { enableLmq, enableMultiDispatch }: BrokerParts["config"],
  topic: string,
  properties: Map<string, string>,
): Reply | undefined {
  const lite = properties.get(LITE_TOPIC_PROPERTY);
  if (lite === undefined || lite === "") return undefined;
  if (!enableLmq || !enableMultiDispatch) {
    return refuse("MESSAGE_ILLEGAL", "lite topics need enableLmq=true and enableMultiDispatch=true");
  }
  properties.set(Property.INNER_MULTI_DISPATCH, lmqOf(topic, lite));
  return undefined;
}
