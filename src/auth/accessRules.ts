/**
 * What each request code of the broker wants (Apache: DefaultAuthorizationContextBuilder and the annotations of the header classes; the
 * compatibility suite reads those from the jars and compares). Where Apache asks for nothing although the request reads or
 * changes what others own, the rule is ours and stands in a section of its own: there, any user could change the broker's
 * options, delete files or acknowledge others' messages.
 */
import type { Buffer } from "node:buffer";
import { Interner } from "../base/interner.ts";
import { RETRY_PREFIX } from "../broker/names.ts";
import type { Access, Action, ActionSet, Asked, Wants } from "../protocol/access.ts";
import { decodeAssignmentQuery, decodeRequestMode } from "../protocol/bodies/assignment.ts";
import { decodeBatchAck } from "../protocol/bodies/batchAck.ts";
import { decodeHeartbeatData } from "../protocol/bodies/heartbeatData.ts";
import { decodeLiteSubscriptions } from "../protocol/bodies/liteSubscription.ts";
import { decodeLockBatchRequest } from "../protocol/bodies/lockBatch.ts";
import { asBean, readBean } from "../protocol/bodies/reader.ts";
import { decodeSubscriptionGroupConfig, readSubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import { readTopicConfig } from "../protocol/bodies/topicConfig.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";

type Name = keyof typeof RequestCode;

const any = (...names: Action[]): ActionSet => ({ names });
export const PUB = any("Pub");
export const SUB = any("Sub");
export const PUB_SUB = any("Pub", "Sub");
const GET = any("Get");
const SUB_GET = any("Sub", "Get");
const SUB_UPDATE = any("Sub", "Update");
const CREATE = any("Create");
const UPDATE = any("Update");
const DELETE = any("Delete");

/** Names in headers repeat all the time. */
const names = new Interner();

/** The text of a header's field; "" when it is not there, which only rights on all names cover. */
function field({ view }: Asked, name: string): string {
  const i = view.find(name);
  return i < 0 ? "" : names.get(view.buf, view.valueStart[i], view.valueEnd[i]);
}

function bodyOf({ buf, bodyStart, bodyEnd }: Asked): Buffer {
  return buf.subarray(bodyStart, bodyEnd);
}

/** A topic, or the group whose retry topic it is: no right is given on retry topics. */
export function topicOrGroup(wants: Wants, topic: string, actions: ActionSet): void {
  if (topic.startsWith(RETRY_PREFIX)) wants.group(topic.slice(RETRY_PREFIX.length), actions);
  else wants.topic(topic, actions);
}

function groupOf(name: string): string {
  return name.startsWith(RETRY_PREFIX) ? name.slice(RETRY_PREFIX.length) : name;
}

/** It is enough to be somebody. */
const known: Access = () => {};

const cluster =
  (actions: ActionSet): Access =>
  (_, wants) =>
    wants.cluster(undefined, actions);

interface Named {
  readonly name: string;
  readonly isTopic: boolean;
}
const topic = (name: string): Named => ({ name, isTopic: true });
const group = (name: string): Named => ({ name, isTopic: false });

/**
 * Fields that name topics and groups, in the order in which Apache looks at them. One that is not there is passed over, unless it
 * would have been the only one.
 */
const fields =
  (actions: ActionSet, ...all: readonly Named[]): Access =>
  (asked, wants) => {
    let isNamed = false;
    for (const { name, isTopic } of all) {
      if (asked.view.find(name) < 0) continue;
      isNamed = true;
      if (isTopic) topicOrGroup(wants, field(asked, name), actions);
      else wants.group(groupOf(field(asked, name)), actions);
    }
    if (isNamed) return;
    if (all[0].isTopic) wants.topic("", actions);
    else wants.group("", actions);
  };

/** A message goes into a topic, or back to a group: then the right to consume is what counts. */
const send =
  (topicField: string): Access =>
  (asked, wants) => {
    const topic = field(asked, topicField);
    if (topic.startsWith(RETRY_PREFIX)) wants.group(topic.slice(RETRY_PREFIX.length), SUB);
    else wants.topic(topic, PUB);
  };

const consume: Access = (asked, wants) => {
  topicOrGroup(wants, field(asked, "topic"), SUB);
  wants.group(groupOf(field(asked, "consumerGroup")), SUB);
};

const offset =
  (actions: ActionSet): Access =>
  (asked, wants) => {
    topicOrGroup(wants, field(asked, "topic"), actions);
    wants.group(groupOf(field(asked, "consumerGroup")), actions);
  };

const heartbeat: Access = (asked, wants) => {
  for (const { groupName, subscriptionDataSet } of decodeHeartbeatData(bodyOf(asked)).consumerDataSet) {
    wants.group(groupOf(groupName), SUB);
    for (const { topic } of subscriptionDataSet) if (!topic.startsWith(RETRY_PREFIX)) wants.topic(topic, SUB);
  }
};

const locks: Access = (asked, wants) => {
  const { consumerGroup, mqSet } = decodeLockBatchRequest(bodyOf(asked));
  wants.group(groupOf(consumerGroup ?? ""), SUB);
  for (const { topic } of mqSet) if (!topic.startsWith(RETRY_PREFIX)) wants.topic(topic, SUB);
};

/** Names that stand in one field, each followed by `separator`. */
function list(asked: Asked, name: string, separator: string): string[] {
  return field(asked, name)
    .split(separator)
    .filter((one) => one !== "");
}

const APACHE: Partial<Record<Name, Access>> = {
  SEND_MESSAGE: send("topic"),
  SEND_MESSAGE_V2: send("b"),
  SEND_BATCH_MESSAGE: send("b"),
  RECALL_MESSAGE: fields(PUB, topic("topic")),
  END_TRANSACTION: (asked, wants) => {
    // Clients before 5.0 do not say which topic they mean.
    const topic = field(asked, "topic");
    if (topic.trim() !== "") wants.topic(topic, PUB);
  },
  CONSUMER_SEND_MSG_BACK: (asked, wants) => wants.group(groupOf(field(asked, "group")), SUB),
  PULL_MESSAGE: consume,
  QUERY_MESSAGE: (asked, wants) => wants.topic(field(asked, "topic"), SUB_GET),
  HEART_BEAT: heartbeat,
  UNREGISTER_CLIENT: (asked, wants) => {
    const group = field(asked, "consumerGroup");
    if (group.trim() !== "") wants.group(groupOf(group), SUB);
  },
  GET_CONSUMER_LIST_BY_GROUP: (asked, wants) => wants.group(groupOf(field(asked, "consumerGroup")), SUB_GET),
  QUERY_CONSUMER_OFFSET: offset(SUB_GET),
  UPDATE_CONSUMER_OFFSET: offset(SUB_UPDATE),
  LOCK_BATCH_MQ: locks,
  UNLOCK_BATCH_MQ: locks,
  UPDATE_AND_CREATE_TOPIC: fields(CREATE, topic("topic")),
  SEARCH_OFFSET_BY_TIMESTAMP: fields(GET, topic("topic")),
  GET_MAX_OFFSET: fields(GET, topic("topic")),
  GET_MIN_OFFSET: fields(GET, topic("topic")),
  GET_EARLIEST_MSG_STORETIME: fields(GET, topic("topic")),
  VIEW_MESSAGE_BY_ID: fields(GET, topic("topic")),
  POP_MESSAGE: fields(SUB, group("consumerGroup"), topic("topic")),
  ACK_MESSAGE: fields(SUB, group("consumerGroup"), topic("topic")),
  PEEK_MESSAGE: fields(SUB, topic("topic"), group("consumerGroup")),
  CHANGE_MESSAGE_INVISIBLETIME: fields(SUB, group("consumerGroup"), topic("topic")),
  NOTIFICATION: fields(SUB, group("consumerGroup"), topic("topic")),
  POLLING_INFO: fields(GET, group("consumerGroup"), topic("topic")),
  GET_TOPIC_STATS_INFO: fields(GET, topic("topic")),
  GET_CONSUMER_CONNECTION_LIST: fields(GET, group("consumerGroup")),
  GET_PRODUCER_CONNECTION_LIST: cluster(GET),
  DELETE_SUBSCRIPTIONGROUP: fields(DELETE, group("groupName")),
  GET_CONSUME_STATS: (asked, wants) => {
    wants.group(groupOf(field(asked, "consumerGroup")), GET);
    if (asked.view.find("topic") >= 0) topicOrGroup(wants, field(asked, "topic"), GET);
    for (const topic of list(asked, "topicList", ";")) topicOrGroup(wants, topic, GET);
  },
  DELETE_TOPIC_IN_BROKER: fields(DELETE, topic("topic")),
  INVOKE_BROKER_TO_RESET_OFFSET: fields(UPDATE, group("group"), topic("topic")),
  INVOKE_BROKER_TO_GET_CONSUMER_STATUS: fields(GET, topic("topic"), group("group")),
  QUERY_TOPIC_CONSUME_BY_WHO: fields(GET, topic("topic")),
  QUERY_TOPICS_BY_CONSUMER: fields(GET, group("group")),
  QUERY_SUBSCRIPTION_BY_CONSUMER: fields(GET, group("group"), topic("topic")),
  QUERY_CONSUME_TIME_SPAN: fields(GET, topic("topic"), group("group")),
  GET_CONSUMER_RUNNING_INFO: fields(GET, group("consumerGroup")),
  QUERY_CORRECTION_OFFSET: (asked, wants) => {
    for (const group of list(asked, "filterGroups", ",")) wants.group(groupOf(group), GET);
    fields(GET, group("compareGroup"), topic("topic"))(asked, wants);
  },
  CONSUME_MESSAGE_DIRECTLY: fields(SUB, group("consumerGroup"), topic("topic")),
  CLONE_GROUP_OFFSET: fields(UPDATE, group("destGroup"), topic("topic")),
  VIEW_BROKER_STATS_DATA: cluster(GET),
  GET_BROKER_CONSUME_STATS: cluster(GET),
  QUERY_CONSUME_QUEUE: fields(GET, topic("topic"), group("consumerGroup")),
  RESUME_CHECK_HALF_MESSAGE: fields(UPDATE, topic("topic")),
  GET_ALL_PRODUCER_INFO: cluster(GET),
  GET_TOPIC_CONFIG: fields(GET, topic("topic")),
  GET_SUBSCRIPTIONGROUP_CONFIG: fields(GET, group("group")),
  UPDATE_AND_GET_GROUP_FORBIDDEN: fields(UPDATE, group("group"), topic("topic")),
  EXCHANGE_BROKER_HA_INFO: cluster(UPDATE),
  NOTIFY_BROKER_ROLE_CHANGED: cluster(UPDATE),
  RESET_MASTER_FLUSH_OFFSET: cluster(UPDATE),
  AUTH_CREATE_USER: cluster(UPDATE),
  AUTH_UPDATE_USER: cluster(UPDATE),
  AUTH_DELETE_USER: cluster(UPDATE),
  AUTH_GET_USER: cluster(GET),
  AUTH_LIST_USER: cluster(GET),
  AUTH_CREATE_ACL: cluster(UPDATE),
  AUTH_UPDATE_ACL: cluster(UPDATE),
  AUTH_DELETE_ACL: cluster(UPDATE),
  AUTH_GET_ACL: cluster(GET),
  AUTH_LIST_ACL: cluster(GET),
};

/** Codes for which Apache 5.5.0 asks for nothing but a user. */
const OURS: Partial<Record<Name, Access>> = {
  // What a client needs for what it has rights on anyway.
  LITE_PULL_MESSAGE: consume,
  POP_LITE_MESSAGE: fields(SUB, group("consumerGroup"), topic("topic")),
  BATCH_ACK_MESSAGE: (asked, wants) => {
    const body = bodyOf(asked);
    if (body.length === 0) return;
    for (const { consumerGroup, topic } of decodeBatchAck(body).acks) {
      wants.group(groupOf(consumerGroup), SUB);
      topicOrGroup(wants, topic, SUB);
    }
  },
  LITE_SUBSCRIPTION_CTL: (asked, wants) => {
    for (const { group, topic } of decodeLiteSubscriptions(bodyOf(asked))) {
      wants.group(groupOf(group), SUB);
      wants.topic(topic, SUB);
    }
  },
  QUERY_ASSIGNMENT: (asked, wants) => {
    const { topic, consumerGroup } = decodeAssignmentQuery(bodyOf(asked));
    wants.group(groupOf(consumerGroup), SUB);
    topicOrGroup(wants, topic, SUB);
  },
  POP_ROLLBACK: known,
  // A filter is only read, and an answer goes to a topic that no user is given rights on.
  CHECK_CLIENT_CONFIG: known,
  SEND_REPLY_MESSAGE: known,
  SEND_REPLY_MESSAGE_V2: known,
  // Topics and groups of an operator, whose names stand in the body.
  UPDATE_AND_CREATE_TOPIC_LIST: (asked, wants) => {
    const bean = readBean("CreateTopicListRequestBody", bodyOf(asked));
    for (const { topicName } of bean.list("topicConfigList", asBean(readTopicConfig)) ?? [])
      wants.topic(topicName, CREATE);
  },
  UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: (asked, wants) => {
    const body = bodyOf(asked);
    if (body.length > 0) wants.group(decodeSubscriptionGroupConfig(body).groupName, CREATE);
  },
  UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST: (asked, wants) => {
    const bean = readBean("SubscriptionGroupList", bodyOf(asked));
    const groups = bean.list("groupConfigList", asBean(readSubscriptionGroupConfig)) ?? [];
    for (const { groupName } of groups) wants.group(groupName, CREATE);
  },
  SET_MESSAGE_REQUEST_MODE: (asked, wants) => {
    const { topic, consumerGroup } = decodeRequestMode(bodyOf(asked));
    wants.group(groupOf(consumerGroup), UPDATE);
    topicOrGroup(wants, topic, UPDATE);
  },
  // What operators ask of lite topics.
  GET_PARENT_TOPIC_INFO: fields(GET, topic("topic")),
  GET_LITE_TOPIC_INFO: fields(GET, topic("parentTopic")),
  GET_LITE_CLIENT_INFO: fields(GET, group("group"), topic("parentTopic")),
  GET_LITE_GROUP_INFO: fields(GET, group("group")),
  TRIGGER_LITE_DISPATCH: fields(UPDATE, group("group")),
  GET_BROKER_LITE_INFO: cluster(GET),
  // What belongs to the whole broker.
  GET_ALL_TOPIC_CONFIG: cluster(GET),
  GET_ALL_SUBSCRIPTIONGROUP_CONFIG: cluster(GET),
  GET_ALL_CONSUMER_OFFSET: cluster(GET),
  GET_ALL_DELAY_OFFSET: cluster(GET),
  GET_ALL_MESSAGE_REQUEST_MODE: cluster(GET),
  GET_TIMER_CHECK_POINT: cluster(GET),
  GET_TIMER_METRICS: cluster(GET),
  GET_SYSTEM_TOPIC_LIST_FROM_BROKER: cluster(GET),
  GET_BROKER_CONFIG: cluster(GET),
  GET_BROKER_RUNTIME_INFO: cluster(GET),
  GET_BROKER_HA_STATUS: cluster(GET),
  GET_BROKER_EPOCH_CACHE: cluster(GET),
  GET_COLD_DATA_FLOW_CTR_INFO: cluster(GET),
  UPDATE_BROKER_CONFIG: cluster(UPDATE),
  CLEAN_EXPIRED_CONSUMEQUEUE: cluster(UPDATE),
  CLEAN_UNUSED_TOPIC: cluster(UPDATE),
  DELETE_EXPIRED_COMMITLOG: cluster(UPDATE),
  UPDATE_COLD_DATA_FLOW_CTR_CONFIG: cluster(UPDATE),
  REMOVE_COLD_DATA_FLOW_CTR_CONFIG: cluster(UPDATE),
  SET_COMMITLOG_READ_MODE: cluster(UPDATE),
  SWITCH_TIMER_ENGINE: cluster(UPDATE),
};

const RULES = new Map<number, Access>(
  Object.entries({ ...APACHE, ...OURS }).map(([name, access]) => [RequestCode[name as Name], access]),
);

/** Names of the codes that have a rule. */
export const RULED: readonly string[] = Object.keys({ ...APACHE, ...OURS });

/** Codes whose rule is stricter than Apache's, by name. */
export const STRICTER: ReadonlySet<string> = new Set(Object.keys(OURS).filter((name) => OURS[name as Name] !== known));

/** The rule of a row's code. @throws Error when there is none: no row may be without */
export function accessOf(row: { code: number; name: string }): Access {
  const access = RULES.get(row.code);
  if (access === undefined)
    throw new Error(`${row.name}: nothing says what such a request wants (auth/accessRules.ts)`);
  return access;
}
