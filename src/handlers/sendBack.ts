/**
 * A consumer could not process a message and sends it back (Apache: AbstractSendMessageProcessor.consumerSendMsgBack):
 * it returns through a delay level into the group's retry topic, or ends in the group's dead-letter topic.
 */

import type { Buffer } from "node:buffer";
import { TOPIC_QUEUES_MAX } from "../base/limits.ts";
import { isWriteable, TOPIC_UNIT_SUB } from "../broker/model.ts";
import { dlqTopic, retryTopic } from "../broker/names.ts";
import { isTaken } from "../broker/schedule.ts";
import { formatMessageId } from "../message/messageId.ts";
import { Property } from "../message/properties.ts";
import { PERM_READ, PERM_WRITE } from "../protocol/bodies/topicConfig.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import { ConsumerSendMsgBackRequestHeader } from "../protocol/generated/headers.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import type { AppendResult, NewMessage, StoredMessage } from "../store/types.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<
  BrokerParts,
  "config" | "random" | "log" | "topics" | "groups" | "schedule" | "stats" | "store" | "metrics"
>;

const DLQ_QUEUES = 1;
/** The first retry waits at this level: 10 s with the default levels. */
const FIRST_RETRY_LEVEL = 3;
/** Extension field: whom Apache's statistics charge (BrokerStatsManager.COMMERCIAL_OWNER). */
const OWNER = "Owner";

export function sendBackRows(parts: Parts): Row[] {
  return [requestRow("CONSUMER_SEND_MSG_BACK", ConsumerSendMsgBackRequestHeader, (call) => sendBack(parts, call))];
}

async function sendBack(parts: Parts, call: Call<ConsumerSendMsgBackRequestHeader>): Promise<Reply> {
  const { config, topics, store } = parts;
  const group = need(call.header.group, "group");
  const logOffset = need(call.header.offset, "offset");
  const delayLevel = need(call.header.delayLevel, "delayLevel");
  const { address } = call.caller;
  const groupConfig = parts.groups.find(group, address);
  if (groupConfig === undefined) {
    const why = parts.groups.creationRefusal(address);
    return refuse("SUBSCRIPTION_GROUP_NOT_EXIST", `subscription group not exist, ${group} ${FAQ_HINT}${why}`);
  }
  if (!isWriteable(config.brokerPermission)) {
    return refuse("NO_PERMISSION", `the broker[${config.brokerIP1}] sending message is forbidden`);
  }
  // No retry queues: the group does not want its messages back.
  if (groupConfig.retryQueueNums <= 0) return ok();

  const topicSysFlag = call.header.unitMode ? TOPIC_UNIT_SUB : 0;
  const retry = topics.createInSendBack(
    retryTopic(group),
    groupConfig.retryQueueNums,
    PERM_READ | PERM_WRITE,
    topicSysFlag,
  );
  if (!isWriteable(retry.perm)) {
    return refuse("NO_PERMISSION", `the topic[${retry.topicName}] sending message is forbidden`);
  }
  const message = await store.messageAt(logOffset);
  if (message === undefined) return refuse("SYSTEM_ERROR", `look message by offset failed, ${logOffset}`);

  // Older clients put nothing sensible into the header's field.
  const maxTimes = call.version >= MQVersion.V3_4_9 ? call.header.maxReconsumeTimes : undefined;
  const dead = message.reconsumeTimes >= (maxTimes ?? groupConfig.retryMaxTimes) || delayLevel < 0;
  if (dead) {
    parts.metrics?.sentToDlq(group, call.header.originTopic ?? "");
    topics.createInSendBack(dlqTopic(group), DLQ_QUEUES, PERM_READ | PERM_WRITE, 0);
  }
  const level = dead ? 0 : delayLevel === 0 ? FIRST_RETRY_LEVEL + message.reconsumeTimes : delayLevel;
  const again = returned(message, level, dead ? dlqTopic(group) : retryTopic(group));
  again.queueId = parts.random.int(dead ? DLQ_QUEUES : Math.min(groupConfig.retryQueueNums, TOPIC_QUEUES_MAX));
  parts.schedule.levels.defer(again);

  const result = await store.put(again);
  await topics.whenSaved(dead ? dlqTopic(group) : retry.topicName);
  if (!isTaken(result)) return refuse("SYSTEM_ERROR", refusal(result));
  parts.stats.sentBack(group, message.properties.get(Property.RETRY_TOPIC) ?? message.topic);
  if (dead) {
    parts.stats.sentToDlq(call.field(OWNER), call.header.originTopic, group);
    parts.log.info(
      { group, topic: again.topic, originTopic: call.header.originTopic, logOffset },
      "message sent to the dead-letter topic",
    );
  }
  return ok();
}

/** The message as it is stored again: one more consumption counted, its origin noted once and for all. */
function returned(message: StoredMessage, level: number, topic: string): NewMessage {
  const properties = new Map(message.properties);
  if (!properties.has(Property.RETRY_TOPIC)) properties.set(Property.RETRY_TOPIC, message.topic);
  properties.set(Property.WAIT_STORE_MSG_OK, "false");
  properties.set(Property.DELAY_TIME_LEVEL, String(level));
  if ((properties.get(Property.ORIGIN_MESSAGE_ID) ?? "").trim() === "") {
    properties.set(Property.ORIGIN_MESSAGE_ID, offsetMessageId(message));
  }
  return {
    topic,
    queueId: 0,
    body: message.body,
    properties,
    flag: message.flag,
    sysFlag: message.sysFlag,
    bornTimestamp: message.bornTimestamp,
    bornHost: message.bornHost,
    reconsumeTimes: message.reconsumeTimes + 1,
    taken: true,
  };
}

function offsetMessageId(message: { storeHost: Buffer; logOffset: number }): string {
  return formatMessageId(message.storeHost, message.logOffset);
}

const STATUS_NAMES: Readonly<Record<AppendResult["status"], string>> = {
  ok: "PUT_OK",
  flushDiskTimeout: "FLUSH_DISK_TIMEOUT",
  flushSlaveTimeout: "FLUSH_SLAVE_TIMEOUT",
  slaveNotAvailable: "SLAVE_NOT_AVAILABLE",
  messageIllegal: "MESSAGE_ILLEGAL",
  propertiesTooLong: "PROPERTIES_SIZE_EXCEEDED",
  notAvailable: "SERVICE_NOT_AVAILABLE",
  lmqQuotaExceeded: "LMQ_CONSUME_QUEUE_NUM_EXCEEDED",
  busy: "OS_PAGE_CACHE_BUSY",
};

/** Apache's remark, the status alone, with the reason behind it. */
function refusal(result: AppendResult): string {
  return result.reason === "" ? STATUS_NAMES[result.status] : `${STATUS_NAMES[result.status]}: ${result.reason}`;
}
