/**
 * QUERY_ASSIGNMENT, SET_MESSAGE_REQUEST_MODE, GET_ALL_MESSAGE_REQUEST_MODE (Apache: QueryAssignmentProcessor): which queues a
 * member of a group consumes, and whether it pulls or pops them.
 */
import { allocateForPop, compareQueues, STRATEGIES } from "../broker/allocation.ts";
import { RETRY_PREFIX } from "../broker/names.ts";
import type { RequestModes } from "../broker/requestModes.ts";
import type { TopicRoutes } from "../broker/topicRoutes.ts";
import {
  type AssignmentQuery,
  decodeAssignmentQuery,
  decodeRequestMode,
  encodeAssignments,
  type RequestMode,
} from "../protocol/bodies/assignment.ts";
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { type BrokerParts, clientBody, ok, refuse, requestRow } from "./parts.ts";

export type AssignmentParts = Pick<BrokerParts, "config" | "topics" | "groups" | "clients" | "log"> & {
  readonly requestModes: RequestModes;
  readonly routes: TopicRoutes;
};

const LMQ_PREFIX = "%LMQ%";

export function assignmentRows(parts: AssignmentParts): Row[] {
  return [
    requestRow("QUERY_ASSIGNMENT", undefined, async (call) => {
      const query = decodeAssignmentQuery(clientBody(call));
      const mode = modeOf(parts, query.topic, query.consumerGroup);
      return ok(undefined, encodeAssignments(await assignedQueues(parts, query, mode), mode.mode));
    }),
    requestRow("SET_MESSAGE_REQUEST_MODE", undefined, (call) => setMode(parts, call)),
    requestRow("GET_ALL_MESSAGE_REQUEST_MODE", undefined, () => ok(undefined, parts.requestModes.encode())),
  ];
}

/** A group's mode on a topic; retry topics of pulling groups are pulled whatever the default is. */
export function modeOf({ config, requestModes }: AssignmentParts, topic: string, group: string): RequestMode {
  const set = requestModes.get(topic, group);
  if (set !== undefined) return set;
  const mode = topic.startsWith(RETRY_PREFIX) ? "PULL" : config.defaultMessageRequestMode;
  const popShareQueueNum = mode === "POP" ? config.defaultPopShareQueueNum : 0;
  return { topic, consumerGroup: group, mode, popShareQueueNum };
}

/** The queues of one member; undefined: it cannot be told now, and the client keeps what it has. */
export async function assignedQueues(
  parts: AssignmentParts,
  query: AssignmentQuery,
  mode: RequestMode,
): Promise<readonly MessageQueue[] | undefined> {
  const { config, clients, routes, log } = parts;
  const { topic, consumerGroup, clientId, strategyName } = query;
  if (query.messageModel === "BROADCASTING") return routes.queues(topic);
  if (query.messageModel !== "CLUSTERING") return undefined;
  const queues = topic.startsWith(LMQ_PREFIX)
    ? [{ topic, brokerName: config.brokerName, queueId: 0 }]
    : await routes.queues(topic);
  if (queues === undefined || !config.serverLoadBalancerEnable) return queues;
  const members = clients.consumerGroup(consumerGroup)?.clientIds();
  const strategy = STRATEGIES.get(strategyName);
  if (members === undefined || members.length === 0 || strategy === undefined || clientId === "") {
    log.warn(
      { topic, group: consumerGroup, clientId, strategyName },
      "queues not assigned: no members or no such strategy",
    );
    return undefined;
  }
  if (queues.length === 0) return undefined;
  const sorted = [...queues].sort(compareQueues);
  members.sort();
  return mode.mode === "POP"
    ? allocateForPop(strategy, clientId, sorted, members, mode.popShareQueueNum)
    : strategy(clientId, sorted, members);
}

async function setMode(parts: AssignmentParts, call: Call): Promise<Reply> {
  const mode = decodeRequestMode(clientBody(call));
  if (mode.topic.startsWith(RETRY_PREFIX)) return refuse("NO_PERMISSION", "retry topic is not allowed to set mode");
  if (!parts.topics.has(mode.topic)) return refuse("TOPIC_NOT_EXIST", `topic[${mode.topic}] not exist`);
  if (parts.groups.find(mode.consumerGroup) === undefined) {
    return refuse("SUBSCRIPTION_GROUP_NOT_EXIST", "subscription group does not exist");
  }
  await parts.requestModes.set(mode);
  return ok();
}
