/**
 * Names of topics and groups: which are legal, which belong to the system, and how retry and dead-letter topics are
 * called (Apache: TopicValidator, MixAll, NamespaceUtil). Pure.
 */

export const RETRY_PREFIX = "%RETRY%";
export const DLQ_PREFIX = "%DLQ%";
export const AUTO_CREATE_TOPIC = "TBW102";
export const SCHEDULE_TOPIC = "SCHEDULE_TOPIC_XXXX";
export const BENCHMARK_TOPIC = "BenchmarkTest";
export const TRANS_HALF_TOPIC = "RMQ_SYS_TRANS_HALF_TOPIC";
export const TRANS_OP_HALF_TOPIC = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
export const ROCKSDB_TRANS_HALF_TOPIC = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC";
export const ROCKSDB_TRANS_OP_HALF_TOPIC = "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC";
export const TRACE_TOPIC = "RMQ_SYS_TRACE_TOPIC";
export const TRANS_CHECK_MAX_TIME_TOPIC = "TRANS_CHECK_MAX_TIME_TOPIC";
export const SELF_TEST_TOPIC = "SELF_TEST_TOPIC";
export const OFFSET_MOVED_EVENT = "OFFSET_MOVED_EVENT";
export const ROCKSDB_OFFSET_TOPIC = "CHECKPOINT_TOPIC";
export const TIMER_TOPIC = "rmq_sys_wheel_timer";
export const REVIVE_TOPIC_PREFIX = "rmq_sys_REVIVE_LOG_";
export const SYNC_BROKER_MEMBER_PREFIX = "rmq_sys_SYNC_BROKER_MEMBER_";
export const REPLY_TOPIC_POSTFIX = "REPLY_TOPIC";
const SYSTEM_TOPIC_PREFIX = "rmq_sys_";

const TOPIC_LENGTH_MAX = 127;
/** Shorter than a topic's, because a group's name becomes part of `%RETRY%group` and `%RETRY%group_topic`. */
const GROUP_LENGTH_MAX = 120;
const RETRY_OR_DLQ_LENGTH_MAX = 255;
const LEGAL = /^[%|a-zA-Z0-9_-]*$/;

const SYSTEM_TOPICS: ReadonlySet<string> = new Set([
  AUTO_CREATE_TOPIC,
  SCHEDULE_TOPIC,
  BENCHMARK_TOPIC,
  TRANS_HALF_TOPIC,
  TRACE_TOPIC,
  TRANS_OP_HALF_TOPIC,
  TRANS_CHECK_MAX_TIME_TOPIC,
  SELF_TEST_TOPIC,
  OFFSET_MOVED_EVENT,
  ROCKSDB_OFFSET_TOPIC,
  ROCKSDB_TRANS_HALF_TOPIC,
  ROCKSDB_TRANS_OP_HALF_TOPIC,
]);

const NOT_ALLOWED_TO_SEND: ReadonlySet<string> = new Set([
  SCHEDULE_TOPIC,
  TRANS_HALF_TOPIC,
  TRANS_OP_HALF_TOPIC,
  TRANS_CHECK_MAX_TIME_TOPIC,
  SELF_TEST_TOPIC,
  OFFSET_MOVED_EVENT,
  ROCKSDB_TRANS_HALF_TOPIC,
  ROCKSDB_TRANS_OP_HALF_TOPIC,
]);

/** Groups that tools and the system itself pull with (MixAll.isSysConsumerGroupPullMessage). */
const SYSTEM_PULLERS: ReadonlySet<string> = new Set([
  "DEFAULT_CONSUMER",
  "TOOLS_CONSUMER",
  "SCHEDULE_CONSUMER",
  "FILTERSRV_CONSUMER",
  "__MONITOR_CONSUMER",
  "SELF_TEST_C_GROUP",
  "CID_ONS-HTTP-PROXY",
  "CID_ONSAPI_PERMISSION",
  "CID_ONSAPI_OWNER",
  "CID_ONSAPI_PULL",
]);

export const isSystemPuller = (group: string): boolean => SYSTEM_PULLERS.has(group) || group.startsWith("CID_RMQ_SYS_");

export const retryTopic = (group: string): string => RETRY_PREFIX + group;
export const dlqTopic = (group: string): string => DLQ_PREFIX + group;
export const isRetryOrDlq = (topic: string): boolean => topic.startsWith(RETRY_PREFIX) || topic.startsWith(DLQ_PREFIX);

/** Why a topic name is refused, in Apache's words; undefined when it is legal. */
export function topicNameProblem(topic: string | undefined): string | undefined {
  if (topic === undefined || topic.trim() === "") return "The specified topic is blank.";
  if (!LEGAL.test(topic)) {
    return `The specified topic: ${topic}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`;
  }
  if (isRetryOrDlq(topic)) {
    if (topic.length <= RETRY_OR_DLQ_LENGTH_MAX) return undefined;
    return `The specified topic is DLQ or Retry topic: ${topic}, and it's longer than topic max length: ${RETRY_OR_DLQ_LENGTH_MAX}`;
  }
  if (topic.length <= TOPIC_LENGTH_MAX) return undefined;
  return `The specified topic: ${topic}, is longer than topic max length: ${TOPIC_LENGTH_MAX}`;
}

/** Why a group name is refused, in Apache's words; undefined when it is legal. */
export function groupNameProblem(group: string | undefined): string | undefined {
  if (group === undefined || group.trim() === "") return "The specified group is blank.";
  if (!LEGAL.test(group)) {
    return `The specified group: ${group}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`;
  }
  if (group.length <= GROUP_LENGTH_MAX) return undefined;
  return `The specified group: ${group}, is longer than group max length: ${GROUP_LENGTH_MAX}`;
}

/** Whether clients may not send to this topic (TopicValidator.isNotAllowedSendTopic). */
export const isNotAllowedToSend = (topic: string): boolean => NOT_ALLOWED_TO_SEND.has(topic);

/** A system topic of every broker; a broker's own (cluster name, broker name, ...) are known to its topic table. */
export const isCommonSystemTopic = (topic: string): boolean =>
  SYSTEM_TOPICS.has(topic) || topic.startsWith(SYSTEM_TOPIC_PREFIX);

/** The system topics every broker shares, in no order. */
export const commonSystemTopics = (): ReadonlySet<string> => SYSTEM_TOPICS;
