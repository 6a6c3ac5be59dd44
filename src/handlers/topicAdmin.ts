/** Topics: created, changed, deleted, listed (Apache: AdminBrokerProcessor). */
import { TOPIC_QUEUES_MAX } from "../base/limits.ts";
import { MESSAGE_TYPE, parseAttributeChanges } from "../broker/attributes.ts";
import { isLiteTopic } from "../broker/lite/liteGroups.ts";
import { sameTopicConfig } from "../broker/model.ts";
import { topicNameProblem } from "../broker/names.ts";
import { decodeDataVersion, sameDataVersion } from "../protocol/bodies/dataVersion.ts";
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";
import { asBean, readBean } from "../protocol/bodies/reader.ts";
import { encodeTopicStats, type TopicOffset } from "../protocol/bodies/stats.ts";
import {
  encodeTopicConfig,
  newTopicConfig,
  readTopicConfig,
  type TopicConfig,
} from "../protocol/bodies/topicConfig.ts";
import { encodeTopicConfigWrapper, newTopicConfigWrapper } from "../protocol/bodies/topicConfigWrapper.ts";
import { encodeTopicList } from "../protocol/bodies/topicList.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import {
  CreateTopicListRequestHeader,
  CreateTopicRequestHeader,
  DeleteTopicRequestHeader,
  GetAllTopicConfigRequestHeader,
  GetTopicConfigRequestHeader,
  GetTopicStatsInfoRequestHeader,
  QueryTopicConsumeByWhoRequestHeader,
} from "../protocol/generated/headers.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<
  BrokerParts,
  | "config"
  | "clock"
  | "topics"
  | "offsets"
  | "clients"
  | "registration"
  | "stats"
  | "metrics"
  | "store"
  | "log"
  | "timers"
  | "pops"
  | "lites"
>;

const FILTER_TYPES: readonly string[] = ["SINGLE_TAG", "MULTI_TAG"];

export function topicAdminRows(parts: Parts): Row[] {
  return [
    requestRow("UPDATE_AND_CREATE_TOPIC", CreateTopicRequestHeader, (call) => create(parts, call)),
    requestRow("UPDATE_AND_CREATE_TOPIC_LIST", CreateTopicListRequestHeader, (call) => createList(parts, call)),
    requestRow("DELETE_TOPIC_IN_BROKER", DeleteTopicRequestHeader, (call) => remove(parts, call)),
    requestRow("GET_ALL_TOPIC_CONFIG", GetAllTopicConfigRequestHeader, (call) => getAll(parts, call)),
    requestRow("GET_TOPIC_CONFIG", GetTopicConfigRequestHeader, (call) => getOne(parts, call)),
    requestRow("GET_TOPIC_STATS_INFO", GetTopicStatsInfoRequestHeader, (call) => stats(parts, call)),
    requestRow("GET_SYSTEM_TOPIC_LIST_FROM_BROKER", undefined, () =>
      ok(undefined, encodeTopicList({ topicList: [...parts.topics.systemTopics()] })),
    ),
    requestRow("QUERY_TOPIC_CONSUME_BY_WHO", QueryTopicConsumeByWhoRequestHeader, ({ header }) => {
      const topic = need(header.topic, "topic");
      const groupList = [...new Set([...parts.clients.groupsOn(topic), ...parts.offsets.groupsOf(topic)])];
      return ok(undefined, writeJavaJson({ groupList }));
    }),
  ];
}

/** Creates or changes one topic. The reply comes after the file is written and the NameServers know. */
async function create(parts: Parts, { header }: Call<CreateTopicRequestHeader>): Promise<Reply> {
  if (!FILTER_TYPES.includes(header.topicFilterType)) {
    return refuse("SYSTEM_ERROR", `topicFilterType = [${header.topicFilterType ?? null}] value invalid`);
  }
  const refusal = nameRefusal(parts, header.topic);
  if (refusal !== undefined) return refusal;
  let attributes: Map<string, string>;
  try {
    attributes = parseAttributeChanges(header.attributes);
  } catch (error) {
    return refuse("SYSTEM_ERROR", (error as Error).message);
  }
  const topic = newTopicConfig(header.topic, {
    readQueueNums: need(header.readQueueNums, "readQueueNums"),
    writeQueueNums: need(header.writeQueueNums, "writeQueueNums"),
    perm: need(header.perm, "perm"),
    topicFilterType: header.topicFilterType,
    topicSysFlag: header.topicSysFlag ?? 0,
    order: header.order ?? false,
    attributes,
  });
  return typeRefusal(parts, topic) ?? queuesRefusal(topic) ?? (await apply(parts, [topic]));
}

async function createList(parts: Parts, call: Call): Promise<Reply> {
  const topics =
    readBean("CreateTopicListRequestBody", call.body).list("topicConfigList", asBean(readTopicConfig)) ?? [];
  for (const topic of topics) {
    const refusal = nameRefusal(parts, topic.topicName) ?? typeRefusal(parts, topic) ?? queuesRefusal(topic);
    if (refusal !== undefined) return refusal;
    // Apache's own: one topic that is equal already ends the whole request with success.
    if (sameTopicConfig(topic, parts.topics.get(topic.topicName))) return ok();
  }
  return apply(parts, topics);
}

function nameRefusal({ config, topics }: Parts, topic: string): Reply | undefined {
  const problem = topicNameProblem(topic);
  if (problem !== undefined) return refuse("INVALID_PARAMETER", problem);
  if (config.validateSystemTopicWhenUpdateTopic && topics.isSystem(topic)) {
    return refuse("INVALID_PARAMETER", `The topic[${topic}] is conflict with system topic.`);
  }
  return undefined;
}

function typeRefusal({ config }: Parts, topic: TopicConfig): Reply | undefined {
  if (config.enableMixedMessageType || topic.attributes.get(`+${MESSAGE_TYPE}`) !== "MIXED") return undefined;
  return refuse("INVALID_PARAMETER", "MIXED message type is not supported.");
}

/** Apache takes any number, and ends with OutOfMemoryError when somebody asks for the topic's figures. */
function queuesRefusal({ topicName, readQueueNums, writeQueueNums }: TopicConfig): Reply | undefined {
  if (Math.max(readQueueNums, writeQueueNums) <= TOPIC_QUEUES_MAX) return undefined;
  const given = `readQueueNums ${readQueueNums}, writeQueueNums ${writeQueueNums}`;
  return refuse(
    "INVALID_PARAMETER",
    `topic ${topicName} cannot have ${TOPIC_QUEUES_MAX + 1} or more queues (${given})`,
  );
}

/** Applies what was found right, and measures it. */
async function apply(parts: Parts, topics: TopicConfig[]): Promise<Reply> {
  const { clock, metrics } = parts;
  const began = clock.monotonicMs();
  const reply = await update(parts, topics);
  const ms = clock.monotonicMs() - began;
  // Apache joins the names of a list, and asks whether that is a system topic.
  metrics?.topicCreated(topics.map(({ topicName }) => topicName).join(";"), reply.code === ResponseCode.SUCCESS, ms);
  return reply;
}

async function update(parts: Parts, topics: TopicConfig[]): Promise<Reply> {
  if (topics.length === 1 && sameTopicConfig(topics[0], parts.topics.get(topics[0].topicName))) return ok();
  try {
    parts.topics.update(topics);
  } catch (error) {
    return refuse("SYSTEM_ERROR", (error as Error).message);
  }
  await parts.topics.saved();
  await parts.registration.settled();
  return ok();
}

async function remove(parts: Parts, { header }: Call<DeleteTopicRequestHeader>): Promise<Reply> {
  const { config, topics, offsets, store } = parts;
  const topic = header.topic ?? "";
  if (topic.trim() === "") return refuse("INVALID_PARAMETER", "The specified topic is blank.");
  if (config.validateSystemTopicWhenUpdateTopic && topics.isSystem(topic)) {
    return refuse("INVALID_PARAMETER", `The topic[${topic}] is conflict with system topic.`);
  }
  const doomed = [topic];
  if (config.clearRetryTopicWhenDeleteTopic) {
    for (const group of offsets.groupsOf(topic)) {
      // Retry topics of POP consumers are per group and topic, in two spellings.
      for (const retry of [`%RETRY%${group}+${topic}`, `%RETRY%${group}_${topic}`]) {
        if (topics.has(retry)) doomed.push(retry);
      }
    }
  }
  const deletions: Promise<void>[] = [];
  if (isLiteTopic(topics.get(topic))) deletions.push(parts.lites.parentDeleted(topic));
  for (const name of doomed) {
    topics.delete(name);
    offsets.deleteTopic(name);
    deletions.push(store.deleteTopic(name));
    parts.timers.forget(name);
    parts.pops.topicDeleted(name);
    if (config.autoDeleteUnusedStats) parts.stats.topicDeleted(name);
    parts.log.info({ topic: name }, "topic deleted");
  }
  await topics.saved();
  await offsets.persist();
  await Promise.all(deletions);
  return ok();
}

/** All topics, or one page of them; tools that know no pages send no fields and get everything. */
function getAll({ config, topics }: Parts, { header }: Call<GetAllTopicConfigRequestHeader>): Reply {
  const { topicSeq, maxTopicNum, dataVersion } = header;
  const whole =
    !config.enableSplitMetadata || (topicSeq === undefined && maxTopicNum === undefined && dataVersion === undefined);
  const page = whole
    ? [...topics.all()]
    : topics.page(
        topicSeq ?? 0,
        Math.min(config.splitMetadataSize, maxTopicNum ?? Number.MAX_SAFE_INTEGER),
        dataVersion !== undefined &&
          dataVersion !== "" &&
          sameDataVersion(decodeDataVersion(dataVersion), topics.dataVersion),
      );
  const body = newTopicConfigWrapper({
    dataVersion: topics.dataVersion,
    topicConfigTable: new Map(page.map((topic) => [topic.topicName, topic])),
  });
  return ok({ totalTopicNum: topics.size }, encodeTopicConfigWrapper(body));
}

function getOne({ topics }: Parts, { header }: Call<GetTopicConfigRequestHeader>): Reply {
  const config = topics.get(header.topic);
  if (config === undefined) return refuse("TOPIC_NOT_EXIST", `No topic in this broker. topic: ${header.topic}`);
  return ok(undefined, encodeTopicConfig(config));
}

async function stats(parts: Parts, { header }: Call<GetTopicStatsInfoRequestHeader>): Promise<Reply> {
  const { store } = parts;
  const topic = header.topic;
  const config = parts.topics.get(topic);
  if (config === undefined) return refuse("TOPIC_NOT_EXIST", `topic[${topic}] not exist`);
  const offsetTable = new Map<MessageQueue, TopicOffset>();
  const queues = Math.max(config.writeQueueNums, config.readQueueNums);
  for (let queueId = 0; queueId < queues; queueId++) {
    const maxOffset = Math.max(0, store.maxOffset(topic, queueId));
    offsetTable.set(
      { brokerName: parts.config.brokerName, queueId, topic },
      {
        lastUpdateTimestamp: maxOffset > 0 ? await store.storeTimeAt(topic, queueId, maxOffset - 1) : 0,
        maxOffset,
        minOffset: Math.max(0, store.minOffset(topic, queueId)),
      },
    );
  }
  return ok(undefined, encodeTopicStats({ offsetTable, topicPutTps: parts.stats.putTps(topic) }));
}
