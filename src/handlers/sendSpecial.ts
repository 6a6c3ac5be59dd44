/**
 * A send whose properties or topic ask for more than a plain append: delay levels, retries of old clients, properties
 * that the broker must replace. Works on a property map; the append itself is the same.
 */
import { makeHalf } from "../broker/halfMessages.ts";
import { dlqTopic, RETRY_PREFIX } from "../broker/names.ts";
import { isStored } from "../broker/transactionOps.ts";
import { formatMessageId } from "../message/messageId.ts";
import { Property, parseProperties } from "../message/properties.ts";
import { MULTI_TAGS, TRANSACTION_MASK } from "../message/sysFlag.ts";
import { newUniqueKey } from "../message/uniqueKey.ts";
import type { MessageType } from "../metrics/brokerMetrics.ts";
import { PERM_READ, PERM_WRITE, type TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { HotCall, Reply } from "../protocol/dispatch.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import type { SendRequest } from "../protocol/sendCodec.ts";
import type { NewMessage } from "../store/types.ts";
import { appendReply } from "./appendReply.ts";
import { dispatchLite } from "./lite.ts";
import { refuse } from "./parts.ts";
import { recallHandleOf } from "./recall.ts";
import type { Sender } from "./send.ts";
import { rejectedTransaction } from "./sendChecks.ts";
import { timerReply } from "./timers.ts";

const DLQ_QUEUES = 1;
const DELAYS = [
  "__STARTDELIVERTIME",
  Property.DELAY_TIME_LEVEL,
  Property.TIMER_DELIVER_MS,
  Property.TIMER_DELAY_SEC,
  Property.TIMER_DELAY_MS,
] as const;
const TIMER_PROPERTIES = [Property.TIMER_DELIVER_MS, Property.TIMER_DELAY_SEC, Property.TIMER_DELAY_MS] as const;

/** Takes everything it needs from the frame before it first waits. */
export async function sendSpecial(
  sender: Sender,
  request: SendRequest,
  topic: TopicConfig,
  call: HotCall,
  version: number,
): Promise<Reply> {
  const message: NewMessage = {
    topic: request.topic,
    queueId: request.queueId < 0 ? sender.parts.random.int(topic.writeQueueNums) : request.queueId,
    body: call.buf.subarray(call.bodyStart, call.bodyEnd),
    properties: parseProperties(call.buf.toString("utf8", request.propertiesStart, request.propertiesEnd)),
    flag: request.flag,
    sysFlag: topic.topicFilterType === "MULTI_TAG" ? request.sysFlag | MULTI_TAGS : request.sysFlag,
    bornTimestamp: request.bornTimestamp,
    bornHost: call.caller.host,
    reconsumeTimes: request.reconsumeTimes,
  };
  return sendMessage(sender, request, topic, message, version);
}

/** Sends a message that is no frame (any more): the ordinary path of remoting, and the only one of gRPC. */
export async function sendMessage(
  sender: Sender,
  request: Pick<SendRequest, "reconsumeTimes" | "maxReconsumeTimes" | "producerGroup">,
  topic: TopicConfig,
  message: NewMessage,
  version: number,
): Promise<Reply> {
  const { parts } = sender;
  const { properties } = message;
  const type = messageTypeOf(properties);
  const refusal = retryOrDlq(sender, request, message, version);
  if (refusal !== undefined) return refusal;
  properties.delete("POP_CK");
  const uniqueKey = properties.get(Property.UNIQUE_KEY) || newUniqueKey(parts.clock.now(), parts.random);
  properties.set(Property.UNIQUE_KEY, uniqueKey);
  const noLite = dispatchLite(parts.config, message.topic, properties);
  if (noLite !== undefined) return noLite;
  placeByPriority(message, topic);
  const half = isPrepared(message);
  if (half && parts.config.rejectTransactionMessage) return rejectedTransaction(parts);
  properties.set(Property.MSG_REGION, parts.config.regionId);
  properties.set(Property.TRACE_SWITCH, String(parts.config.traceOn));
  properties.set(Property.CLUSTER, parts.config.brokerClusterName);
  const { queueId, topic: realTopic } = message;
  // A half message keeps its delay for the day it is committed (Apache delays it now, and loses it).
  if (half) {
    const refused = parts.timers.defer({ ...message, properties: new Map(properties) });
    if (refused !== undefined) return timerReply(parts.config, refused);
    makeHalf(message);
  } else {
    if (isMarked(properties)) message.sysFlag = (message.sysFlag ?? 0) & ~TRANSACTION_MASK;
    parts.schedule.levels.defer(message);
    const refused = parts.timers.defer(message);
    if (refused !== undefined) return timerReply(parts.config, refused);
  }
  const result = await parts.store.put(message);
  await parts.topics.whenSaved(realTopic);
  if (half && isStored(result)) parts.transactions.metrics.add(realTopic, 1);
  if (isStored(result)) parts.metrics?.stored(message.topic, type, 1, result.bytes);
  return appendReply(parts, result, {
    msgId: formatMessageId(parts.store.storeHost, result.logOffset),
    queueId,
    queueOffset: result.queueOffset,
    transactionId: uniqueKey,
    recallHandle: recallHandleOf(parts.config.brokerName, message),
  });
}

/** A message that a client sends to a retry topic itself, because sending back failed (handleRetryAndDLQ). */
function retryOrDlq(
  sender: Sender,
  request: Pick<SendRequest, "reconsumeTimes" | "maxReconsumeTimes" | "producerGroup">,
  message: NewMessage,
  version: number,
): Reply | undefined {
  const { parts } = sender;
  if (!message.topic.startsWith(RETRY_PREFIX)) return undefined;
  const group = message.topic.slice(RETRY_PREFIX.length);
  const config = parts.groups.find(group);
  if (config === undefined) {
    return refuse("SUBSCRIPTION_GROUP_NOT_EXIST", `subscription group not exist, ${group} ${FAQ_HINT}`);
  }
  const own = version >= MQVersion.V3_4_9 && request.maxReconsumeTimes >= 0 ? request.maxReconsumeTimes : undefined;
  const dead = request.reconsumeTimes > (own ?? config.retryMaxTimes) || !parts.locks.allExpired(group);
  if (!dead) return undefined;
  parts.metrics?.sentToDlq(request.producerGroup, message.topic);
  message.topic = dlqTopic(group);
  message.queueId = parts.random.int(DLQ_QUEUES);
  message.properties.set(Property.DELAY_TIME_LEVEL, "0");
  parts.topics.createInSendBack(message.topic, DLQ_QUEUES, PERM_READ | PERM_WRITE, 0);
  return undefined;
}

/** Whether the message waits for the decision of its transaction; old clients send their retries with the mark left on. */
function isPrepared({ properties, reconsumeTimes = 0 }: NewMessage): boolean {
  if (!isMarked(properties)) return false;
  return reconsumeTimes <= 0 || !(Number(properties.get(Property.DELAY_TIME_LEVEL) ?? 0) > 0);
}

/** What Apache counts a message as (BrokerMetricsManager.getMessageType). */
function messageTypeOf(properties: Map<string, string>): MessageType {
  if (isMarked(properties)) return "transaction";
  if (properties.has(Property.SHARDING_KEY)) return "fifo";
  return DELAYS.some((name) => properties.has(name)) ? "delay" : "normal";
}

function isMarked(properties: Map<string, string>): boolean {
  return properties.get(Property.TRANSACTION_PREPARED)?.toLowerCase() === "true";
}

const PRIORITY = "_SYS_MSG_PRIORITY_";
/** A message with one of these is of another type (TopicMessageType.parseFromMessageProperty), and has no priority. */
const RULE_OUT_PRIORITY = [Property.DELAY_TIME_LEVEL, ...TIMER_PROPERTIES, Property.SHARDING_KEY] as const;

/** The priority of a message chooses its queue (SendMessageProcessor, PROPERTY_PRIORITY). */
function placeByPriority(message: NewMessage, topic: TopicConfig): void {
  const { properties } = message;
  const priority = Number.parseInt(properties.get(PRIORITY) ?? "", 10);
  if (!(priority >= 0)) return;
  if (isMarked(properties) || RULE_OUT_PRIORITY.some((name) => properties.has(name))) properties.delete(PRIORITY);
  else message.queueId = Math.min(priority, topic.writeQueueNums - 1);
}
