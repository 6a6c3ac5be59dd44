/**
 * What must be true before a message is taken (Apache: AbstractSendMessageProcessor.msgCheck). Remarks are Apache's. A
 * topic's own write permission is not asked here: as in Apache it only takes the queues out of the route.
 */

import { localTimestamp } from "../base/clock.ts";
import { isWriteable, TOPIC_UNIT, TOPIC_UNIT_SUB } from "../broker/model.ts";
import { isNotAllowedToSend, RETRY_PREFIX, topicNameProblem } from "../broker/names.ts";
import { describeTopicConfig, PERM_READ, PERM_WRITE, type TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { Caller, Reply } from "../protocol/dispatch.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import type { SendRequest } from "../protocol/sendCodec.ts";
import { type BrokerParts, refuse } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "topics" | "clock">;
/** What is asked of a send request, whatever protocol brought it. */
type Request = Pick<SendRequest, "topic" | "queueId" | "unitMode" | "defaultTopic" | "defaultTopicQueueNums">;

/** Apache's words when rejectTransactionMessage is set. */
export function rejectedTransaction({ config }: Pick<Parts, "config">): Reply {
  return refuse("NO_PERMISSION", `the broker[${config.brokerIP1}] sending transaction message is forbidden`);
}

/** The topic to send to, created if that is allowed, or the refusal. */
export function checkSend(parts: Parts, request: Request, caller: Caller): TopicConfig | Reply {
  const { topic } = request;
  const { startAcceptSendRequestTimeStamp: opensAt } = parts.config;
  if (opensAt > 0 && parts.clock.now() < opensAt) {
    return refuse("SYSTEM_ERROR", `broker unable to service, until ${readable(opensAt)}`);
  }
  const known = parts.topics.get(topic);
  if (
    known !== undefined &&
    request.queueId < known.writeQueueNums &&
    known.writeQueueNums > 0 &&
    isWriteable(parts.config.brokerPermission)
  ) {
    return isNotAllowedToSend(topic) ? notAllowed(topic) : known;
  }
  return checkSlowly(parts, request, caller, known);
}

function checkSlowly(
  parts: Parts,
  request: Request,
  caller: Caller,
  known: TopicConfig | undefined,
): TopicConfig | Reply {
  const { topic } = request;
  if (!isWriteable(parts.config.brokerPermission) && parts.topics.isOrder(topic)) {
    return refuse("NO_PERMISSION", `the broker[${parts.config.brokerIP1}] sending message is forbidden`);
  }
  const problem = topicNameProblem(topic);
  if (problem !== undefined) return refuse("INVALID_PARAMETER", problem);
  if (isNotAllowedToSend(topic)) return notAllowed(topic);
  const config = known ?? create(parts, request, caller);
  if (config === undefined) {
    const reason = parts.topics.creationRefusal(caller.address);
    const why = reason === undefined ? "" : ` Not created: ${reason}`;
    return refuse("TOPIC_NOT_EXIST", `topic[${topic}] not exist, apply first please!${FAQ_HINT}${why}`);
  }
  const queues = Math.max(config.writeQueueNums, config.readQueueNums);
  if (request.queueId >= queues) {
    return refuse(
      "INVALID_PARAMETER",
      `request queueId[${request.queueId}] is illegal, ${describeTopicConfig(config)} Producer: ${caller.address}`,
    );
  }
  if (request.queueId < 0 && config.writeQueueNums <= 0) {
    // Apache divides by zero here, which its client sees as SYSTEM_ERROR, too.
    return refuse("SYSTEM_ERROR", `topic ${topic} has no queue to choose from: its writeQueueNums is 0`);
  }
  return config;
}

function notAllowed(topic: string): Reply {
  return refuse("NO_PERMISSION", `Sending message to topic[${topic}] is forbidden.`);
}

function create(parts: Parts, request: Request, caller: Caller): TopicConfig | undefined {
  const retry = request.topic.startsWith(RETRY_PREFIX);
  const sysFlag = request.unitMode ? (retry ? TOPIC_UNIT_SUB : TOPIC_UNIT) : 0;
  const { topic, defaultTopic, defaultTopicQueueNums } = request;
  const created = parts.topics.createInSend(topic, defaultTopic, defaultTopicQueueNums, sysFlag, caller.address);
  if (created !== undefined || !retry || parts.topics.creationRefusal(caller.address) !== undefined) return created;
  return parts.topics.createInSendBack(topic, 1, PERM_READ | PERM_WRITE, sysFlag);
}

/** `yyyy-MM-dd HH:mm:ss,SSS` in local time (UtilAll.timeMillisToHumanString2). */
function readable(timeMs: number): string {
  const t = localTimestamp(timeMs);
  return `${t.slice(0, 4)}-${t.slice(4, 6)}-${t.slice(6, 8)} ${t.slice(8, 10)}:${t.slice(10, 12)}:${t.slice(12, 14)},${t.slice(14)}`;
}
