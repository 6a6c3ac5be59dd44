/**
 * Requests to NameServers and brokers as an operator's tool makes them (Apache: DefaultMQAdminExt, MQClientAPIImpl): typed answers, and every
 * refusal as the Java exception that the official tool would print. Knows which exception each request's refusal is, because texts
 * differ. Keeps nothing but its connections.
 */
import type { Buffer } from "node:buffer";
import { systemClock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import { Turn } from "../base/turn.ts";
import { retryTopic } from "../broker/names.ts";
import { parseProperties } from "../config/properties.ts";
import { type ClusterInfo, decodeClusterInfo } from "../protocol/bodies/clusterInfo.ts";
import { type ConsumerConnection, decodeConsumerConnection } from "../protocol/bodies/connections.ts";
import { decodeKVTable } from "../protocol/bodies/kvTable.ts";
import { type MessageQueue, messageQueueKey } from "../protocol/bodies/messageQueue.ts";
import { readBean, toInteger, toText } from "../protocol/bodies/reader.ts";
import { type ConsumeStats, decodeConsumeStats, decodeTopicStats, type TopicStats } from "../protocol/bodies/stats.ts";
import { decodeTopicList } from "../protocol/bodies/topicList.ts";
import { type BrokerData, decodeTopicRouteData, type TopicRouteData } from "../protocol/bodies/topicRoute.ts";
import { type Answer, NoAnswerError } from "../protocol/dispatch.ts";
import type { Fields } from "../protocol/frameWriter.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { RemotingClient } from "../remoting/client.ts";
import { brokerFailure, clientError, clientFailure, connectFailure, sendFailure, timeoutFailure } from "./failures.ts";

export const TIMEOUT_MS = 5_000;
/** Statistics of a whole group may take longer. */
const STATS_TIMEOUT_MS = 3 * TIMEOUT_MS;
const MASTER_ID = 0;
const WHEEL_TIMER_TOPIC = "rmq_sys_wheel_timer";

type Name = keyof typeof RequestCode;
type Body = Buffer | string | undefined;
/** How a refusal is told: as MQClientException, or as MQBrokerException with or without the broker's address. */
type Refusal = "client" | "broker" | "unnamedBroker";

export class Admin {
  readonly #client: RemotingClient;
  readonly nameServers: readonly string[];

  /**
   * @param namesrvAddr `host:port;host:port`; without it only requests to given brokers are possible
   * @param sign adds a signature to the fields of each request
   */
  constructor(namesrvAddr: string | undefined, sign?: (fields: Fields, body: Body) => Fields) {
    this.nameServers = (namesrvAddr ?? "").split(";").filter((address) => address !== "");
    this.#client = new RemotingClient(systemClock, new Turn(systemClock), quiet, [], undefined, sign);
  }

  close(): void {
    this.#client.close();
  }

  /** The raw answer of a server, whatever its code. @throws JavaFailure when there is none */
  async ask(address: string, name: Name, header: Fields, body?: Body, timeoutMs = TIMEOUT_MS): Promise<Answer> {
    try {
      return await this.#client.request(address, RequestCode[name], header, body, timeoutMs);
    } catch (error) {
      if (error instanceof NoAnswerError) throw timeoutFailure(address, timeoutMs);
      throw (error as Error).message.startsWith("cannot connect") ? connectFailure(address) : sendFailure(address);
    }
  }

  /** The answer of the first NameServer that can be reached. */
  async askNameServer(name: Name, header: Fields): Promise<Answer> {
    if (this.nameServers.length === 0) {
      throw clientError("No name server address: give -n, or set NAMESRV_ADDR");
    }
    const first = systemRandom.int(this.nameServers.length);
    let failure: unknown;
    for (let i = 0; i < this.nameServers.length; i++) {
      const address = this.nameServers[(first + i) % this.nameServers.length];
      try {
        return await this.ask(address, name, header);
      } catch (error) {
        failure = error;
      }
    }
    if ((failure as Error).message.startsWith("connect to")) throw connectFailure(`[${this.nameServers.join(", ")}]`);
    throw failure;
  }

  /** A broker's answer, which must be a success. */
  async broker(
    address: string,
    name: Name,
    header: Fields,
    refusal: Refusal,
    body?: Body,
    timeoutMs = TIMEOUT_MS,
  ): Promise<Answer> {
    const answer = await this.ask(address, name, header, body, timeoutMs);
    if (answer.code !== ResponseCode.SUCCESS) throw failureOf(answer, refusal, address);
    return answer;
  }

  async clusterInfo(): Promise<ClusterInfo> {
    const answer = await this.askNameServer("GET_BROKER_CLUSTER_INFO", {});
    if (answer.code !== ResponseCode.SUCCESS) throw failureOf(answer, "unnamedBroker");
    return decodeClusterInfo(answer.body);
  }

  /** Where a topic is. @throws JavaFailure with code 17 when nobody has it */
  async route(topic: string): Promise<TopicRouteData> {
    const answer = await this.askNameServer("GET_ROUTEINFO_BY_TOPIC", { topic, acceptStandardJsonOnly: true });
    if (answer.code !== ResponseCode.SUCCESS) throw failureOf(answer, "client");
    return decodeTopicRouteData(answer.body);
  }

  /** The route; undefined when nobody has the topic. */
  async routeIfAny(topic: string): Promise<TopicRouteData | undefined> {
    try {
      return await this.route(topic);
    } catch (error) {
      if ((error as { code?: number }).code === ResponseCode.TOPIC_NOT_EXIST) return undefined;
      throw error;
    }
  }

  /** Names of all topics, sorted. */
  async topics(): Promise<string[]> {
    const answer = await this.askNameServer("GET_ALL_TOPIC_LIST_FROM_NAMESERVER", {});
    if (answer.code !== ResponseCode.SUCCESS) throw failureOf(answer, "client");
    return decodeTopicList(answer.body).topicList.sort();
  }

  async runtimeStats(address: string): Promise<Map<string, string>> {
    return decodeKVTable((await this.broker(address, "GET_BROKER_RUNTIME_INFO", {}, "broker")).body);
  }

  async brokerConfig(address: string): Promise<Map<string, string>> {
    return properties((await this.broker(address, "GET_BROKER_CONFIG", {}, "broker")).body);
  }

  async namesrvConfig(address: string): Promise<Map<string, string>> {
    return properties((await this.broker(address, "GET_NAMESRV_CONFIG", {}, "client")).body);
  }

  async topicStats(address: string, topic: string): Promise<TopicStats> {
    return decodeTopicStats((await this.broker(address, "GET_TOPIC_STATS_INFO", { topic }, "broker")).body);
  }

  async consumerConnection(address: string, consumerGroup: string): Promise<ConsumerConnection> {
    const answer = await this.broker(address, "GET_CONSUMER_CONNECTION_LIST", { consumerGroup }, "broker");
    const connection = decodeConsumerConnection(answer.body);
    if (connection.connectionSet.length > 0) return connection;
    throw clientFailure(ResponseCode.CONSUMER_NOT_ONLINE, "Not found the consumer group connection");
  }

  /** Who is online in a group, as any one of its brokers knows it. */
  async consumers(group: string): Promise<ConsumerConnection> {
    const brokers = (await this.route(retryTopic(group))).brokerDatas;
    const address = addressOf(brokers[systemRandom.int(brokers.length)]);
    if (address !== undefined) return this.consumerConnection(address, group);
    throw clientFailure(ResponseCode.CONSUMER_NOT_ONLINE, "Not found the consumer group connection");
  }

  /**
   * How far a group is, from all its brokers. `topic` limits it to one topic; `cluster` names where a light topic is.
   * @throws JavaFailure when nothing is known and nobody is online, or the group broadcasts
   */
  async consumeStats(consumerGroup: string, topic?: string, cluster?: string): Promise<ConsumeStats> {
    const places = [retryTopic(consumerGroup)];
    if (topic !== undefined) places.push(topic, retryTopic(`${consumerGroup}_${topic}`));
    if (topic !== undefined && cluster !== undefined && isRoutedByCluster(topic)) places.push(cluster);
    const route = await this.#firstRoute(places);
    const stats: ConsumeStats = { consumeTps: 0, offsetTable: new Map() };
    for (const address of addresses(route)) {
      const header = { consumerGroup, topic };
      const answer = await this.broker(address, "GET_CONSUME_STATS", header, "broker", undefined, STATS_TIMEOUT_MS);
      const part = decodeConsumeStats(answer.body);
      stats.consumeTps += part.consumeTps;
      for (const [queue, offsets] of part.offsetTable) stats.offsetTable.set(queue, offsets);
    }
    if (cluster === undefined) {
      // Apache asks for these routes and fails with the first that is missing.
      for (const one of new Set([...stats.offsetTable.keys()].map((queue) => queue.topic))) await this.route(one);
    }
    if (stats.offsetTable.size === 0) await this.#sayWhyEmpty(consumerGroup);
    return stats;
  }

  async #firstRoute(places: readonly string[]): Promise<TopicRouteData> {
    let failure: unknown;
    for (const place of places) {
      try {
        return await this.route(place);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #sayWhyEmpty(group: string): Promise<void> {
    const reason = "Not found the consumer group consume stats, because return offset table is empty";
    let model: string | undefined;
    try {
      model = (await this.consumers(group)).messageModel;
    } catch {
      throw clientFailure(ResponseCode.CONSUMER_NOT_ONLINE, `${reason}, maybe the consumer not online`);
    }
    if (model === "BROADCASTING") {
      throw clientFailure(ResponseCode.BROADCAST_CONSUMPTION, `${reason}, the consumer is under the broadcast mode`);
    }
  }

  /** Groups that consume a topic, as the first of its brokers knows them. */
  async groupsOn(topic: string): Promise<string[]> {
    for (const address of addresses(await this.route(topic))) {
      const answer = await this.broker(address, "QUERY_TOPIC_CONSUME_BY_WHO", { topic }, "broker");
      return readBean("GroupList", answer.body).list("groupList", toText) ?? [];
    }
    return [];
  }

  /** What a consumer says about itself, as its broker passes it on. */
  async runningInfo(consumerGroup: string, clientId: string): Promise<RunningInfo | undefined> {
    for (const address of addresses(await this.route(retryTopic(consumerGroup)))) {
      const header = { consumerGroup, clientId, jstackEnable: false };
      const answer = await this.broker(address, "GET_CONSUMER_RUNNING_INFO", header, "client");
      const bean = readBean("ConsumerRunningInfo", answer.body);
      const properties = bean.map("properties", toTextKey, toText) ?? new Map<string, string>();
      const queues = bean.map("mqTable", messageQueueKey, (value) => value) ?? new Map<MessageQueue, unknown>();
      return { isPush: properties.get("PROP_CONSUME_TYPE") === "CONSUME_PASSIVELY", queues: [...queues.keys()] };
    }
    return undefined;
  }

  /** Resets a group's offsets on one broker; the new offset of each queue. */
  async resetOffset(address: string, header: Fields): Promise<Map<MessageQueue, number>> {
    const answer = await this.broker(address, "INVOKE_BROKER_TO_RESET_OFFSET", header, "client");
    if (answer.body.length === 0) throw failureOf(answer, "client");
    return readBean("ResetOffsetBody", answer.body).map("offsetTable", messageQueueKey, toInteger) ?? new Map();
  }

  /** The offset of the first message from a time on, ms. */
  async searchOffset(address: string, topic: string, queueId: number, timestamp: number): Promise<number> {
    const header = { topic, queueId, timestamp };
    return offsetIn(await this.broker(address, "SEARCH_OFFSET_BY_TIMESTAMP", header, "broker"));
  }

  /** A value of the NameServers' key-value configuration. */
  async kvConfig(namespace: string, key: string): Promise<string | undefined> {
    const answer = await this.askNameServer("GET_KV_CONFIG", { namespace, key });
    if (answer.code !== ResponseCode.SUCCESS) throw failureOf(answer, "client");
    return answer.fields.get("value");
  }

  /** Sets it at every NameServer. */
  async putKvConfig(namespace: string, key: string, value: string): Promise<void> {
    let refused: Answer | undefined;
    for (const address of this.nameServers) {
      const answer = await this.ask(address, "PUT_KV_CONFIG", { namespace, key, value });
      if (answer.code !== ResponseCode.SUCCESS) refused = answer;
    }
    if (refused !== undefined) throw failureOf(refused, "client");
  }
}

export interface RunningInfo {
  isPush: boolean;
  queues: MessageQueue[];
}

/** The address to ask: the master's, else any slave's. */
export function addressOf({ brokerAddrs }: BrokerData): string | undefined {
  const master = brokerAddrs.get(MASTER_ID);
  if (master !== undefined || brokerAddrs.size === 0) return master;
  return [...brokerAddrs.values()][systemRandom.int(brokerAddrs.size)];
}

/** One address of each broker of a route. */
export function addresses(route: TopicRouteData): string[] {
  return route.brokerDatas.map(addressOf).filter((address) => address !== undefined);
}

/** Light queues and the timers' topic have no route of their own; their cluster's topic has. */
export function isRoutedByCluster(topic: string): boolean {
  return topic.startsWith("%LMQ%") || topic === WHEEL_TIMER_TOPIC;
}

/** The `offset` of an answer. */
export function offsetIn(answer: Answer): number {
  return Number(answer.fields.get("offset"));
}

export function failureOf(answer: Answer, refusal: Refusal, address?: string) {
  if (refusal === "client") return clientFailure(answer.code, answer.remark);
  return brokerFailure(answer.code, answer.remark, refusal === "broker" ? address : undefined);
}

/** Sorted: Java prints them in the order of their hashes. */
function properties(body: Buffer): Map<string, string> {
  const entries = [...parseProperties(body.toString("utf8"))];
  return new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function toTextKey(key: unknown): string {
  return String(key);
}

/** The tool says what went wrong itself; a logger would cost its start twenty milliseconds. */
const silence = () => {};
const quiet = { debug: silence, info: silence, warn: silence, error: silence } as unknown as Logger;
