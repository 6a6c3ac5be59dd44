/**
 * Offsets set by an operator: reset to a time or an offset, cloned to another group, compared between groups (Apache:
 * AdminBrokerProcessor.resetOffset, cloneGroupOffset, queryCorrectionOffset; Broker2Client.resetOffset).
 */
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import {
  CloneGroupOffsetRequestHeader,
  QueryCorrectionOffsetHeader,
  ResetOffsetRequestHeader,
} from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { versionName } from "../protocol/versionName.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "log" | "topics" | "groups" | "offsets" | "clients" | "store">;

export function resetOffsetRows(parts: Parts): Row[] {
  return [
    requestRow("INVOKE_BROKER_TO_RESET_OFFSET", ResetOffsetRequestHeader, (call) =>
      parts.config.useServerSideResetOffset ? resetHere(parts, call) : resetAtClients(parts, call),
    ),
    requestRow("CLONE_GROUP_OFFSET", CloneGroupOffsetRequestHeader, (call) => clone(parts, call)),
    requestRow("QUERY_CORRECTION_OFFSET", QueryCorrectionOffsetHeader, (call) => correction(parts, call)),
  ];
}

/**
 * The broker changes its own table and lets the consumers find out with their next pull. A negative queue id means all
 * queues, a negative time the end of the queue; a given offset counts for a single queue only.
 */
async function resetHere(parts: Parts, { header }: Call<ResetOffsetRequestHeader>): Promise<Reply> {
  const { store, offsets } = parts;
  const { topic, group } = header;
  const config = parts.topics.get(topic);
  if (config === undefined) return refuse("TOPIC_NOT_EXIST", `Topic ${topic} does not exist`);
  if (!parts.groups.has(group)) return refuse("SUBSCRIPTION_GROUP_NOT_EXIST", `Group ${group} does not exist`);
  const queueId = header.queueId ?? -1;
  const timestamp = header.timestamp ?? 0;
  const targets = new Map<number, number>();
  if (queueId < 0) {
    for (let id = 0; id < config.readQueueNums; id++) targets.set(id, await offsetAt(parts, topic, id, timestamp));
  } else if (header.offset !== undefined && header.offset !== -1) {
    const min = store.minOffset(topic, queueId);
    const max = store.maxOffset(topic, queueId);
    if (header.offset < min || header.offset > max + 1) {
      return refuse("SYSTEM_ERROR", `Target offset ${header.offset} not in consume queue range [${min}-${max}]`);
    }
    targets.set(queueId, header.offset);
  } else {
    targets.set(queueId, await offsetAt(parts, topic, queueId, timestamp));
  }
  if (targets.size === 0) return refuse("SYSTEM_ERROR", "No queues to reset.");
  for (const [id, offset] of targets) offsets.assignReset(group, topic, id, offset);
  // What an operator was told is done survives a kill.
  await offsets.persist();
  parts.log.info({ topic, group, offsets: [...targets] }, "consumer offsets reset");
  return ok(undefined, writeJavaJson({ offsetTable: byQueue(parts, config, targets) }));
}

function offsetAt({ store }: Parts, topic: string, queueId: number, timestamp: number): Promise<number> {
  if (timestamp < 0) return Promise.resolve(store.maxOffset(topic, queueId));
  return store.offsetByTime(topic, queueId, timestamp, "LOWER");
}

/** useServerSideResetOffset=false: every consumer of the group is told its new offsets and commits them itself. */
async function resetAtClients(parts: Parts, call: Call<ResetOffsetRequestHeader>): Promise<Reply> {
  const { topic, group, timestamp, isForce } = call.header;
  const config = parts.topics.get(topic);
  if (config === undefined) {
    return refuse("TOPIC_NOT_EXIST", `[reset-offset] reset offset failed, no topic in this broker. topic=${topic}`);
  }
  const targets = new Map<number, number>();
  for (let queueId = 0; queueId < config.writeQueueNums; queueId++) {
    const consumed = parts.offsets.query(group, topic, queueId);
    if (consumed === -1) return refuse("SYSTEM_ERROR", `THe consumer group <${group}> not exist`);
    const wanted = Math.max(0, await offsetAt(parts, topic, queueId, timestamp));
    targets.set(queueId, isForce || wanted < consumed ? wanted : consumed);
  }
  const members = [...(parts.clients.consumerGroup(group)?.members.values() ?? [])];
  if (members.length === 0) {
    return refuse(
      "CONSUMER_NOT_ONLINE",
      `Consumer not online, so can not reset offset, Group: ${group} Topic: ${topic} Timestamp: ${timestamp}`,
    );
  }
  const offsetTable = byQueue(parts, config, targets);
  const body = writeJavaJson({ offsetTable });
  // C++ clients read a list, because their JSON knows no object as a key.
  const forCpp = [...offsetTable].map(([queue, offset]) => ({ ...queue, offset }));
  const toClients = call.language === "CPP" ? writeJavaJson({ offsetTable: forCpp }) : body;
  for (const member of members) {
    if (member.version < MQVersion.V3_0_7_SNAPSHOT) {
      return refuse("SYSTEM_ERROR", `the client does not support this feature. version=${versionName(member.version)}`);
    }
    member.caller.tell(
      RequestCode.RESET_CONSUMER_CLIENT_OFFSET,
      { topic, group, queueId: -1, timestamp, isForce: false },
      toClients,
    );
  }
  return ok(undefined, body);
}

function byQueue(
  { config }: Parts,
  topic: TopicConfig,
  offsets: ReadonlyMap<number, number>,
): Map<MessageQueue, number> {
  return new Map(
    [...offsets].map(([queueId, offset]) => [
      { brokerName: config.brokerName, queueId, topic: topic.topicName },
      offset,
    ]),
  );
}

/** Without a topic all topics of the group are cloned; Apache means to, but then clones the topic `null`. */
async function clone(
  { topics, offsets, clients }: Parts,
  { header }: Call<CloneGroupOffsetRequestHeader>,
): Promise<Reply> {
  const from = need(header.srcGroup, "srcGroup");
  const to = need(header.destGroup, "destGroup");
  const named = header.topic !== undefined && header.topic.trim() !== "";
  for (const topic of named ? [header.topic!] : offsets.topicsOf(from)) {
    if (!topics.has(topic)) continue;
    const subscriptions = clients.consumerGroup(from)?.subscriptions;
    const dropped = subscriptions !== undefined && subscriptions.size > 0 && !subscriptions.has(topic);
    if (header.offline !== true && dropped) continue;
    offsets.clone(from, to, topic);
  }
  await offsets.persist();
  return ok();
}

/**
 * The smallest offset that any group but the filtered ones has per queue, and "never" where the compared group is not
 * behind it. Apache drops the filtered groups' offsets for good while it answers; here they are only passed over.
 */
function correction({ offsets, store }: Parts, { header }: Call<QueryCorrectionOffsetHeader>): Reply {
  const topic = need(header.topic, "topic");
  const compareGroup = need(header.compareGroup, "compareGroup");
  const filtered = new Set((header.filterGroups ?? "").split(","));
  const smallest = new Map<number, number>();
  for (const group of offsets.groupsOf(topic)) {
    if (filtered.has(group)) continue;
    for (const [queueId, offset] of offsets.ofGroup(group, topic) ?? []) {
      if (offset < store.minOffset(topic, queueId)) continue;
      smallest.set(queueId, Math.min(offset, smallest.get(queueId) ?? offset));
    }
  }
  let body = "";
  for (const [queueId, offset] of smallest) {
    const compared = offsets.ofGroup(compareGroup, topic)?.get(queueId);
    // Long.MAX_VALUE is no safe integer, but it is what clients compare with.
    const text = compared !== undefined && offset > compared ? "9223372036854775807" : String(offset);
    body += `${body === "" ? "" : ","}${queueId}:${text}`;
  }
  return ok(undefined, `{"correctionOffsets":{${body}}}`);
}
