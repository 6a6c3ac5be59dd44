/**
 * Where the brokers of a cluster are and what they have: routes from the NameServers, configurations of topics and groups
 * from the brokers, each cached (Apache: TopicRouteService, ClusterTopicRouteService, ClusterMetadataService).
 */
import type { Buffer } from "node:buffer";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { ProxyConfig } from "../../config/index.ts";
import {
  decodeSubscriptionGroupConfig,
  type SubscriptionGroupConfig,
} from "../../protocol/bodies/subscriptionGroup.ts";
import { decodeTopicConfig, type TopicConfig } from "../../protocol/bodies/topicConfig.ts";
import { type BrokerData, decodeTopicRouteData, type TopicRouteData } from "../../protocol/bodies/topicRoute.ts";
import { type Answer, NoAnswerError } from "../../protocol/dispatch.ts";
import type { Fields } from "../../protocol/frameWriter.ts";
import { RequestCode } from "../../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../../protocol/generated/responseCodes.ts";
import { Refusal } from "../status.ts";
import { type CacheOptions, RefreshingCache } from "./cache.ts";

/** Outgoing requests, by address `host:port`. Rejects when there is no answer; with NoAnswerError when it was only late. */
export interface Requests {
  request(
    address: string,
    code: number,
    header: Fields,
    body: Buffer | string | undefined,
    timeoutMs: number,
  ): Promise<Answer>;
  /** Oneway; false or a rejection when the address cannot be reached. */
  tell(address: string, code: number, header: Fields, body?: Buffer | string): Promise<boolean>;
}

/** Apache: the proxy's default for every request to a broker. */
export const REQUEST_TIMEOUT_MS = 3_000;
const MASTER_ID = 0;

export class Brokers {
  readonly requests: Requests;
  readonly #log: Logger;
  readonly #clusterName: string;
  readonly #nameServers: readonly string[];
  /** The NameServer that answered last. */
  #nameServer: number;
  readonly #routes: RefreshingCache<TopicRouteData>;
  readonly #topics: RefreshingCache<TopicConfig>;
  readonly #groups: RefreshingCache<SubscriptionGroupConfig>;
  /** Broker name to the address of its master, from the routes seen last. */
  readonly #addresses = new Map<string, string>();
  #turn = 0;

  /** @param first which NameServer to ask first */
  constructor(
    requests: Requests,
    config: ProxyConfig,
    nameServers: readonly string[],
    first: number,
    clock: Clock,
    log: Logger,
  ) {
    this.requests = requests;
    this.#log = log;
    this.#clusterName = config.rocketMQClusterName;
    this.#nameServers = nameServers;
    this.#nameServer = first % nameServers.length;
    const options = (refreshSeconds: number, expireSeconds: number, max: number): CacheOptions => ({
      refreshMs: refreshSeconds * 1000,
      expireMs: expireSeconds * 1000,
      max,
    });
    this.#routes = new RefreshingCache(
      clock,
      options(
        config.topicRouteServiceCacheRefreshSeconds,
        config.topicRouteServiceCacheExpiredSeconds,
        config.topicRouteServiceCacheMaxNum,
      ),
      (topic) => this.#loadRoute(topic),
    );
    this.#topics = new RefreshingCache(
      clock,
      options(
        config.topicConfigCacheRefreshSeconds,
        config.topicConfigCacheExpiredSeconds,
        config.topicConfigCacheMaxNum,
      ),
      (topic) => this.#loadTopic(topic),
    );
    this.#groups = new RefreshingCache(
      clock,
      options(
        config.subscriptionGroupConfigCacheRefreshSeconds,
        config.subscriptionGroupConfigCacheExpiredSeconds,
        config.subscriptionGroupConfigCacheMaxNum,
      ),
      (group) => this.#loadGroup(group),
    );
  }

  /** The brokers of a topic; undefined when no broker has it. */
  route(topic: string): TopicRouteData | undefined | Promise<TopicRouteData | undefined> {
    return this.#routes.get(topic);
  }

  topic(topic: string): TopicConfig | undefined | Promise<TopicConfig | undefined> {
    return this.#topics.get(topic);
  }

  group(group: string): SubscriptionGroupConfig | undefined | Promise<SubscriptionGroupConfig | undefined> {
    return this.#groups.get(group);
  }

  /** Asks a broker by its name. @throws Refusal when no route names it, or when its answer is late */
  async ask(
    brokerName: string,
    code: number,
    header: Fields,
    body?: Buffer | string,
    timeoutMs = REQUEST_TIMEOUT_MS,
  ): Promise<Answer> {
    const address = await this.addressOf(brokerName);
    try {
      return await this.requests.request(address, code, header, body, timeoutMs);
    } catch (error) {
      if (error instanceof NoAnswerError) throw new Refusal("PROXY_TIMEOUT", error.message);
      // It may have moved: the next route that is loaded says where to.
      if (this.#addresses.get(brokerName) === address) this.#addresses.delete(brokerName);
      this.#routes.doubt(brokerName);
      throw error;
    }
  }

  /** `host:port` of a broker. @throws Refusal when no route names it */
  async addressOf(brokerName: string): Promise<string> {
    const known = this.#addresses.get(brokerName);
    if (known !== undefined) return known;
    // Every broker has a topic of its own name.
    const route = await this.route(brokerName);
    for (const broker of route?.brokerDatas ?? []) {
      const address = broker.brokerName === brokerName ? addressIn(broker) : undefined;
      if (address !== undefined) {
        this.#addresses.set(brokerName, address);
        return address;
      }
    }
    throw new Refusal("BAD_REQUEST", `The broker[${brokerName}] not exist`);
  }

  /** The name of the broker at an address, as far as the routes seen say it. */
  nameOf(address: string): string | undefined {
    for (const [name, known] of this.#addresses) if (known === address) return name;
    return undefined;
  }

  async #loadRoute(topic: string): Promise<TopicRouteData | undefined> {
    const answer = await this.#askNameServer(RequestCode.GET_ROUTEINFO_BY_TOPIC, {
      topic,
      acceptStandardJsonOnly: true,
    });
    if (answer.code === ResponseCode.TOPIC_NOT_EXIST) return undefined;
    if (answer.code !== ResponseCode.SUCCESS) {
      throw new Error(`route of topic ${topic}: ${answer.code} ${answer.remark ?? ""}`);
    }
    const route = decodeTopicRouteData(answer.body);
    for (const broker of route.brokerDatas) {
      const address = addressIn(broker);
      if (address !== undefined) this.#addresses.set(broker.brokerName, address);
    }
    return route;
  }

  /** From the one that answered last on, each once. */
  async #askNameServer(code: number, header: Fields): Promise<Answer> {
    const reasons: string[] = [];
    for (let i = 0; i < this.#nameServers.length; i++) {
      const at = (this.#nameServer + i) % this.#nameServers.length;
      try {
        const answer = await this.requests.request(this.#nameServers[at], code, header, undefined, REQUEST_TIMEOUT_MS);
        this.#nameServer = at;
        return answer;
      } catch (error) {
        reasons.push((error as Error).message);
      }
    }
    this.#log.warn({ reasons }, "no NameServer answers");
    throw new Error(`no NameServer answers: ${reasons.join("; ")}`);
  }

  async #loadTopic(topic: string): Promise<TopicConfig | undefined> {
    const answer = await this.#askOneOf(topic, RequestCode.GET_TOPIC_CONFIG, { topic, lo: true });
    return answer?.code === ResponseCode.SUCCESS ? decodeTopicConfig(answer.body) : undefined;
  }

  /** Groups are the same on all brokers of a cluster; every cluster has a topic of its name. */
  async #loadGroup(group: string): Promise<SubscriptionGroupConfig | undefined> {
    const answer = await this.askCluster(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, { group });
    if (answer === undefined) {
      this.#log.warn({ cluster: this.#clusterName }, "no broker of the cluster rocketMQClusterName is registered");
      return undefined;
    }
    return answer.code === ResponseCode.SUCCESS ? decodeSubscriptionGroupConfig(answer.body) : undefined;
  }

  /** Asks one broker of the cluster, what all of them know; undefined when none is registered. */
  askCluster(code: number, header: Fields): Promise<Answer | undefined> {
    return this.#askOneOf(this.#clusterName, code, header);
  }

  /** Asks the brokers of a topic, by turns, until one answers. */
  async #askOneOf(topic: string, code: number, header: Fields): Promise<Answer | undefined> {
    const addresses = ((await this.route(topic))?.brokerDatas ?? [])
      .map(addressIn)
      .filter((address) => address !== undefined);
    const first = this.#turn++;
    let failure: unknown;
    for (let i = 0; i < addresses.length; i++) {
      const address = addresses[(first + i) % addresses.length];
      try {
        return await this.requests.request(address, code, header, undefined, REQUEST_TIMEOUT_MS);
      } catch (error) {
        failure = error;
      }
    }
    if (failure !== undefined) throw failure;
    return undefined;
  }
}

/** The master's address; while there is none, that of the slave which acts in its place. */
export function addressIn({ brokerAddrs }: BrokerData): string | undefined {
  const master = brokerAddrs.get(MASTER_ID);
  return master ?? (brokerAddrs.size === 0 ? undefined : brokerAddrs.get(Math.min(...brokerAddrs.keys())));
}
