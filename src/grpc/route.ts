/** QueryRoute and QueryAssignment (Apache: RouteActivity). */
import { isReadable, isWriteable } from "../broker/model.ts";
import type { ProxyConfig } from "../config/index.ts";
import type { Backend, BrokerQueues, TopicType } from "./backend.ts";
import { groupOf, topicOf } from "./checks.ts";
import type { Context } from "./context.ts";
import {
  AddressScheme,
  type Assignment,
  type Broker,
  type Endpoints,
  type MessageQueue,
  MessageType,
  Permission,
  type QueryAssignmentRequest,
  type QueryAssignmentResponse,
  type QueryRouteRequest,
  type QueryRouteResponse,
  type Resource,
} from "./generated/messages.ts";
import type { Init } from "./proto.ts";
import { OK, Refusal } from "./status.ts";

export interface RouteParts {
  readonly config: ProxyConfig;
  readonly backend: Backend;
}

/** Clients use only this broker id for sending and receiving. */
const MASTER_ID = 0;

export async function queryRoute(
  { config, backend }: RouteParts,
  context: Context,
  request: QueryRouteRequest,
): Promise<Init<QueryRouteResponse>> {
  const topic = topicOf(request.topic);
  const brokers = await need(backend, topic);
  const acceptMessageTypes = acceptedTypes(await backend.topicType(topic));
  const endpoints = endpointsFor(config, context, request.endpoints);
  const messageQueues = brokers.flatMap((queues) =>
    messageQueuesOf(queues, request.topic, brokerOf(queues.brokerName, endpoints), acceptMessageTypes),
  );
  return { status: OK, messageQueues };
}

export async function queryAssignment(
  { config, backend }: RouteParts,
  context: Context,
  request: QueryAssignmentRequest,
): Promise<Init<QueryAssignmentResponse>> {
  const topic = topicOf(request.topic);
  const group = groupOf(request.group);
  const brokers = await need(backend, topic);
  const groupConfig = await backend.group(group);
  const lite = (groupConfig?.attributes.get("lite.bind.topic") ?? "") !== "";
  const byQueue = groupConfig?.consumeMessageOrderly === true && !lite;
  const endpoints = endpointsFor(config, context, request.endpoints);
  const assignments: Init<Assignment>[] = [];
  for (const { brokerName, perm, readQueueNums } of brokers) {
    if (!isReadable(perm) || readQueueNums <= 0) continue;
    const broker = brokerOf(brokerName, endpoints);
    // Only an ordered group receives queue by queue; others let the broker choose.
    const ids = byQueue ? Array.from({ length: readQueueNums }, (_, id) => id) : [-1];
    for (const id of ids) {
      assignments.push({ messageQueue: { topic: request.topic, id, permission: permissionOf(perm), broker } });
    }
  }
  if (assignments.length === 0) throw new Refusal("FORBIDDEN", "no readable queue");
  return { status: OK, assignments };
}

/** The brokers of a topic. @throws Refusal when there are none */
export async function need(backend: Backend, topic: string): Promise<readonly BrokerQueues[]> {
  const brokers = await backend.route(topic);
  if (brokers === undefined)
    throw new Refusal("TOPIC_NOT_FOUND", `No topic route info in name server for the topic: ${topic}`);
  return brokers;
}

function brokerOf(name: string, endpoints: Init<Endpoints>): Init<Broker> {
  return { name, id: MASTER_ID, endpoints };
}

/**
 * Clients are told the addresses by which they came, with this server's port. One that names none gets the address its
 * connection arrived at.
 */
function endpointsFor(config: ProxyConfig, context: Context, asked: Endpoints | null): Init<Endpoints> {
  const { grpcServerPort, useEndpointPortFromRequest } = config;
  if (asked !== null && asked.addresses.length > 0) {
    return {
      scheme: asked.scheme,
      addresses: asked.addresses.map(({ host, port }) => ({
        host,
        port: useEndpointPortFromRequest ? port : grpcServerPort,
      })),
    };
  }
  const { reachedBy, reachedByPort } = context.call.peer;
  return {
    scheme: reachedBy.includes(":") ? AddressScheme.IPv6 : AddressScheme.IPv4,
    addresses: [{ host: reachedBy, port: reachedByPort }],
  };
}

/** Queues that can only be read come first, then those that can only be written, then those for both. */
function messageQueuesOf(
  queues: BrokerQueues,
  topic: Resource | null,
  broker: Init<Broker>,
  acceptMessageTypes: readonly number[],
): Init<MessageQueue>[] {
  const { perm, readQueueNums: reads, writeQueueNums: writes } = queues;
  const counts: [number, number][] = [];
  if (isReadable(perm) && isWriteable(perm)) {
    const both = Math.min(reads, writes);
    counts.push([reads - both, Permission.READ], [writes - both, Permission.WRITE], [both, Permission.READ_WRITE]);
  } else if (isWriteable(perm)) counts.push([writes, Permission.WRITE]);
  else if (isReadable(perm)) counts.push([reads, Permission.READ]);
  else counts.push([Math.max(1, reads, writes), Permission.NONE]);
  const permissions = counts.flatMap(([count, permission]) => new Array<number>(count).fill(permission));
  return permissions.map((permission, id) => ({ topic, id, permission, broker, acceptMessageTypes }));
}

function permissionOf(perm: number): number {
  if (isReadable(perm)) return isWriteable(perm) ? Permission.READ_WRITE : Permission.READ;
  return isWriteable(perm) ? Permission.WRITE : Permission.NONE;
}

/** Clients compare a message's type with these before they send. A list with UNSPECIFIED in it makes Java's throw. */
function acceptedTypes(type: TopicType): readonly number[] {
  if (type === "MIXED") return [MessageType.NORMAL, MessageType.FIFO, MessageType.DELAY, MessageType.TRANSACTION];
  return type === "UNSPECIFIED" ? [MessageType.MESSAGE_TYPE_UNSPECIFIED] : [MessageType[type]];
}
