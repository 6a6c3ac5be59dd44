/**
 * The queues of topics over all brokers, as a NameServer tells them (Apache: TopicRouteInfoManager): for assigning queues
 * to the members of a group. Asked when first needed, then refreshed for as long as somebody asks; what a NameServer
 * cannot tell at the moment stays as it was.
 */
import type { Buffer } from "node:buffer";
import type { Clock, Timer } from "../base/clock.ts";
import { bucketOf } from "../base/consistentHash.ts";
import { TOPIC_QUEUES_MAX, TOPIC_ROUTES_MAX } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";
import { decodeTopicRouteData } from "../protocol/bodies/topicRoute.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { isReadable, isWriteable } from "./model.ts";
import type { RequestTo } from "./registration.ts";

/** The options this service reads, by Apache's keys. */
export interface RouteOptions {
  /** `host:port;host:port` */
  readonly namesrvAddr: string | undefined;
  /** ms */
  readonly loadBalancePollNameServerInterval: number;
}

const MASTER_ID = 0;
const ASK_TIMEOUT_MS = 3_000;
/** A topic nobody asked for in so many rounds is forgotten. */
const IDLE_ROUNDS = 20;

interface Known {
  queues: MessageQueue[];
  /** The broker of each writable queue, in the order in which clients choose among them (MQClientInstance). */
  writers: string[];
  idleRounds: number;
}

export class TopicRoutes {
  readonly #options: RouteOptions;
  readonly #request: RequestTo;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<void>>();
  #timer: Timer | undefined;

  constructor(options: RouteOptions, request: RequestTo, clock: Clock, log: Logger) {
    this.#options = options;
    this.#request = request;
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    this.#timer = this.#clock.every(this.#options.loadBalancePollNameServerInterval, () => void this.refresh());
  }

  stop(): void {
    this.#clock.clear(this.#timer);
  }

  /** Readable queues of a topic, in no order; undefined when no NameServer knows the topic. */
  async queues(topic: string): Promise<readonly MessageQueue[] | undefined> {
    return (await this.#find(topic))?.queues;
  }

  /** The name of the broker that a lite topic belongs to; undefined when no NameServer knows a writable queue of its parent. */
  async brokerOfLite(parent: string, lite: string): Promise<string | undefined> {
    const writers = (await this.#find(parent))?.writers ?? [];
    return writers.length === 0 ? undefined : writers[bucketOf(lite, writers.length)];
  }

  async #find(topic: string): Promise<Known | undefined> {
    const known = this.#known.get(topic);
    if (known === undefined || known.queues.length === 0) await this.#ask(topic);
    const now = this.#known.get(topic);
    if (now !== undefined) now.idleRounds = 0;
    return now;
  }

  /** Asks again for every topic in use. */
  async refresh(): Promise<void> {
    for (const [topic, known] of [...this.#known]) {
      if (++known.idleRounds > IDLE_ROUNDS) this.#known.delete(topic);
      else await this.#ask(topic);
    }
  }

  #ask(topic: string): Promise<void> {
    let asking = this.#asking.get(topic);
    if (asking === undefined) {
      asking = this.#update(topic).finally(() => this.#asking.delete(topic));
      this.#asking.set(topic, asking);
    }
    return asking;
  }

  async #update(topic: string): Promise<void> {
    for (const address of (this.#options.namesrvAddr ?? "").split(";").filter((one) => one.trim() !== "")) {
      try {
        const answer = await this.#request(
          address.trim(),
          RequestCode.GET_ROUTEINFO_BY_TOPIC,
          { topic },
          undefined,
          ASK_TIMEOUT_MS,
        );
        if (answer.code === ResponseCode.SUCCESS) {
          this.#set(topic, answer.body);
          return;
        }
        if (answer.code === ResponseCode.TOPIC_NOT_EXIST) this.#known.delete(topic);
      } catch (error) {
        this.#log.warn({ topic, nameServer: address, reason: (error as Error).message }, "route not asked for");
      }
    }
  }

  #set(topic: string, body: Buffer): void {
    const queues: MessageQueue[] = [];
    const { queueDatas, brokerDatas } = decodeTopicRouteData(body);
    const masters = new Set(brokerDatas.filter((one) => one.brokerAddrs.has(MASTER_ID)).map((one) => one.brokerName));
    const writers = queueDatas
      .filter(({ brokerName, perm }) => isWriteable(perm) && masters.has(brokerName))
      .sort((a, b) => (a.brokerName < b.brokerName ? -1 : 1))
      .flatMap((data) => Array<string>(Math.min(data.writeQueueNums, TOPIC_QUEUES_MAX)).fill(data.brokerName));
    for (const data of queueDatas) {
      if (!isReadable(data.perm)) continue;
      const count = Math.min(data.readQueueNums, TOPIC_QUEUES_MAX);
      for (let queueId = 0; queueId < count; queueId++) {
        queues.push({ brokerName: data.brokerName, queueId, topic });
      }
    }
    const known = this.#known.get(topic);
    if (known !== undefined) {
      known.queues = queues;
      known.writers = writers;
      return;
    }
    if (this.#known.size >= TOPIC_ROUTES_MAX) this.#known.clear();
    this.#known.set(topic, { queues, writers, idleRounds: 0 });
  }
}
