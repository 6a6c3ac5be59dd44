/**
 * Tells every NameServer that this broker lives and which topics it has (Apache: BrokerOuterAPI, registerBrokerAll and
 * registerIncrementBrokerData of BrokerController): all of it at the start and each registerNameServerPeriod, changed
 * topics at once. NameServers are independent: one that is away costs the others nothing, and is tried again soon
 * instead of at the next period, because routes are missing until then.
 */
import type { Buffer } from "node:buffer";
import type { Clock, Timer } from "../base/clock.ts";
import { bodyCrc32 } from "../base/crc32.ts";
import type { Logger } from "../base/log.ts";
import { decodeDataVersion, encodeDataVersion, sameDataVersion } from "../protocol/bodies/dataVersion.ts";
import { decodeKVTable } from "../protocol/bodies/kvTable.ts";
import { encodeRegisterBrokerBody } from "../protocol/bodies/registerBrokerBody.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import { newTopicConfigWrapper } from "../protocol/bodies/topicConfigWrapper.ts";
import { encodeTopicRouteData } from "../protocol/bodies/topicRoute.ts";
import type { Answer } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { isReadable, isWriteable } from "./model.ts";
import type { Topics } from "./topics.ts";

/** The options this service reads, by Apache's keys; read anew each time, so that changes act at once. */
export interface RegistrationOptions {
  readonly brokerClusterName: string;
  readonly brokerName: string;
  readonly brokerId: number;
  readonly brokerPermission: number;
  /** `host:port;host:port` */
  readonly namesrvAddr: string | undefined;
  /** ms */
  readonly registerNameServerPeriod: number;
  /** ms */
  readonly registerBrokerTimeoutMills: number;
  readonly forceRegister: boolean;
  readonly enableSingleTopicRegister: boolean;
  readonly enableSplitRegistration: boolean;
  readonly splitRegistrationSize: number;
}

/** Sends a request to `host:port` and waits; rejects when there is no answer in time. */
export type RequestTo = (
  address: string,
  code: number,
  header: Record<string, string | number | boolean | undefined>,
  body: Buffer | string | undefined,
  timeoutMs: number,
) => Promise<Answer>;

const PERIOD_MS_MIN = 10_000;
const PERIOD_MS_MAX = 60_000;
const RETRY_MS_MIN = 1_000;
const UNREGISTER_TIMEOUT_MS = 3_000;
const SINGLE_TOPIC_TIMEOUT_MS = 3_000;

/** What is known of one NameServer. */
interface NameServer {
  readonly address: string;
  /** A full registration under way. */
  running: Promise<void> | undefined;
  /** The address of this broker that it was last told. */
  announced: string | undefined;
  /** Wait before the next try after a failure, ms. */
  retryMs: number;
  retry: Timer | undefined;
}

export class Registration {
  readonly #options: RegistrationOptions;
  readonly #topics: Topics;
  readonly #request: RequestTo;
  readonly #brokerAddress: () => string;
  readonly #haAddress: () => string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #servers = new Map<string, NameServer>();
  /** Changed topics that this turn has not announced yet, by name. */
  readonly #changed = new Map<string, TopicConfig>();
  #changes: Promise<void> = Promise.resolve();
  /** Told what a NameServer knows of this broker's master. */
  #masterListener: ((masterAddr: string, haServerAddr: string) => void) | undefined;
  /** Told when this broker is registered by another address than before. */
  #addressListener: (() => void) | undefined;
  #started = false;
  #period: Timer | undefined;

  /**
   * @param brokerAddress `ip:port` under which clients reach this broker
   * @param haAddress `ip:port` for slaves
   */
  constructor(
    options: RegistrationOptions,
    topics: Topics,
    request: RequestTo,
    brokerAddress: () => string,
    haAddress: () => string,
    clock: Clock,
    log: Logger,
  ) {
    this.#options = options;
    this.#topics = topics;
    this.#request = request;
    this.#brokerAddress = brokerAddress;
    this.#haAddress = haAddress;
    this.#clock = clock;
    this.#log = log;
    topics.onChange((changed) => this.#topicsChanged(changed));
  }

  /** Calls `fn` after each registration that told a slave its master's addresses. */
  onMaster(fn: (masterAddr: string, haServerAddr: string) => void): void {
    this.#masterListener = fn;
  }

  /** Calls `fn` when options have given this broker another address than it was registered with. */
  onAddress(fn: () => void): void {
    this.#addressListener = fn;
  }

  /** Registers with all NameServers; resolves when each has answered or failed, never rejects. */
  async start(): Promise<void> {
    if (this.#started) return this.registerAll(true);
    this.#started = true;
    const period = Math.max(PERIOD_MS_MIN, Math.min(this.#options.registerNameServerPeriod, PERIOD_MS_MAX));
    this.#period = this.#clock.every(period, () => {
      void this.registerAll(this.#options.forceRegister);
    });
    await this.registerAll(true);
  }

  /** Says nothing more to any NameServer; what they know stays. */
  pause(): void {
    this.#started = false;
    this.#clock.clear(this.#period);
    for (const server of this.#servers.values()) this.#clock.clear(server.retry);
  }

  /** Takes this broker out of all NameServers; resolves when each has answered or failed, never rejects. */
  async stop(): Promise<void> {
    if (!this.#started) return;
    this.pause();
    await Promise.all(this.#addresses().map((address) => this.#unregister(address)));
  }

  /** Resolves when all topic changes made so far have been offered to every NameServer. */
  settled(): Promise<void> {
    // A change is announced at the end of its turn; whoever asks in the same turn waits for that announcement.
    return this.#changes;
  }

  /**
   * Registers everything with every NameServer.
   * @param force without asking first whether the NameServer has this version already
   */
  async registerAll(force: boolean): Promise<void> {
    await Promise.all(this.#addresses().map((address) => this.#registerWith(this.#server(address), force)));
  }

  /**
   * Registers everything as the options say now: one that is under way may have been begun with the old ones. Resolves when
   * each NameServer has answered or failed, never rejects.
   */
  async registerAnew(): Promise<void> {
    await Promise.all(
      this.#addresses().map(async (address) => {
        const server = this.#server(address);
        await server.running;
        await this.#registerWith(server, true);
      }),
    );
  }

  #registerWith(server: NameServer, force: boolean): Promise<void> {
    if (!this.#started) return Promise.resolve();
    this.#clock.clear(server.retry);
    server.retry = undefined;
    server.running ??= this.#register(server, force)
      .then(() => {
        if (server.retryMs > RETRY_MS_MIN) this.#log.info({ nameServer: server.address }, "registered again");
        server.retryMs = RETRY_MS_MIN;
      })
      .catch((error: unknown) => this.#failed(server, error))
      .finally(() => {
        server.running = undefined;
      });
    return server.running;
  }

  #failed(server: NameServer, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (!this.#started) return;
    this.#log.warn(
      { nameServer: server.address, reason, retryInMs: server.retryMs },
      "not registered with this NameServer",
    );
    server.retry = this.#clock.after(server.retryMs, () => {
      // It may have been taken out of namesrvAddr meanwhile.
      if (this.#addresses().includes(server.address)) void this.#registerWith(server, true);
    });
    server.retryMs = Math.min(server.retryMs * 2, PERIOD_MS_MIN);
  }

  async #register(server: NameServer, force: boolean): Promise<void> {
    const { address } = server;
    await this.#leaveOldAddress(server);
    const { enableSplitRegistration, splitRegistrationSize } = this.#options;
    if (!force && !enableSplitRegistration && !(await this.#isBehind(address))) return;
    const topics = [...this.#topics.all()];
    const size = enableSplitRegistration ? Math.max(1, splitRegistrationSize) : topics.length;
    for (let from = 0; from === 0 || from < topics.length; from += size) {
      await this.#send(address, topics.slice(from, from + size));
    }
  }

  /**
   * Takes back an address that this broker was registered with before its options changed: a NameServer would wait two
   * minutes for its sign of life, and then close the connection that both addresses came by. Before the new one, because
   * RocketMQ 4 removes by broker id.
   */
  async #leaveOldAddress(server: NameServer): Promise<void> {
    const before = server.announced;
    server.announced = this.#brokerAddress();
    if (before === undefined || before === server.announced) return;
    this.#addressListener?.();
    await this.#unregister(server.address, before);
  }

  /** Asks a NameServer whether it has another version of the topics than this broker; true when it does not say. */
  async #isBehind(address: string): Promise<boolean> {
    const version = this.#topics.dataVersion;
    const answer = await this.#request(
      address,
      RequestCode.QUERY_DATA_VERSION,
      this.#identity(),
      encodeDataVersion(version),
      this.#options.registerBrokerTimeoutMills,
    );
    if (answer.code !== ResponseCode.SUCCESS) return false;
    if (answer.body.length > 0 && !sameDataVersion(decodeDataVersion(answer.body), version)) return true;
    return answer.fields.get("changed") !== "false";
  }

  async #send(address: string, topics: readonly TopicConfig[]): Promise<void> {
    const topicConfigTable = new Map(topics.map((topic) => [topic.topicName, this.#asRegistered(topic)]));
    const body = encodeRegisterBrokerBody(
      {
        filterServerList: [],
        topicConfigSerializeWrapper: newTopicConfigWrapper({
          dataVersion: this.#topics.dataVersion,
          mappingDataVersion: { counter: 0, stateVersion: 0, timestamp: this.#clock.now() },
          topicConfigTable,
        }),
      },
      false,
    );
    const answer = await this.#request(
      address,
      RequestCode.REGISTER_BROKER,
      {
        ...this.#identity(),
        haServerAddr: this.#haAddress(),
        enableActingMaster: false,
        compressed: false,
        bodyCrc32: bodyCrc32(body, 0, body.length),
      },
      body,
      this.#options.registerBrokerTimeoutMills,
    );
    if (answer.code !== ResponseCode.SUCCESS) {
      throw new Error(`REGISTER_BROKER was answered ${answer.code}: ${answer.remark ?? "without a remark"}`);
    }
    const masterAddr = answer.fields.get("masterAddr");
    if (masterAddr) this.#masterListener?.(masterAddr, answer.fields.get("haServerAddr") ?? "");
    if (answer.body.length > 0) this.#topics.markOrdered(decodeKVTable(answer.body).keys());
  }

  async #unregister(address: string, brokerAddr = this.#brokerAddress()): Promise<void> {
    try {
      const code = RequestCode.UNREGISTER_BROKER;
      const identity = { ...this.#identity(), brokerAddr };
      const answer = await this.#request(address, code, identity, undefined, UNREGISTER_TIMEOUT_MS);
      if (answer.code !== ResponseCode.SUCCESS) throw new Error(`answered ${answer.code}: ${answer.remark ?? ""}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.warn(
        { nameServer: address, reason },
        "not unregistered from this NameServer; it will notice by itself",
      );
    }
  }

  /** Collects the changes of one turn into one registration. */
  #topicsChanged(changed: readonly TopicConfig[]): void {
    if (!this.#started) return;
    const first = this.#changed.size === 0;
    for (const topic of changed) this.#changed.set(topic.topicName, topic);
    if (!first || this.#changed.size === 0) return;
    const before = this.#changes;
    this.#changes = new Promise((resolve) => {
      this.#clock.endOfTurn(() => {
        const topics = [...this.#changed.values()];
        this.#changed.clear();
        void Promise.all([before, this.#announce(topics)]).then(() => resolve());
      });
    });
  }

  async #announce(topics: readonly TopicConfig[]): Promise<void> {
    await Promise.all(
      this.#addresses().map(async (address) => {
        const server = this.#server(address);
        // It is being told everything again anyway.
        if (server.retry !== undefined) return;
        try {
          if (!this.#options.enableSingleTopicRegister) await this.#send(address, topics);
          else for (const topic of topics) await this.#sendSingle(address, topic);
        } catch (error) {
          this.#failed(server, error);
        }
      }),
    );
  }

  /** enableSingleTopicRegister: one topic's queues, without the broker around them. */
  async #sendSingle(address: string, topic: TopicConfig): Promise<void> {
    const registered = this.#asRegistered(topic);
    const body = encodeTopicRouteData(
      {
        brokerDatas: [],
        filterServerTable: new Map(),
        queueDatas: [
          {
            brokerName: this.#options.brokerName,
            perm: registered.perm,
            readQueueNums: registered.readQueueNums,
            writeQueueNums: registered.writeQueueNums,
            topicSysFlag: registered.topicSysFlag,
          },
        ],
      },
      false,
    );
    const header = { topic: topic.topicName };
    await this.#request(address, RequestCode.REGISTER_TOPIC_IN_NAMESRV, header, body, SINGLE_TOPIC_TIMEOUT_MS);
  }

  /** A broker that may not be read or written lends its topics no more than it has itself. */
  #asRegistered(topic: TopicConfig): TopicConfig {
    const { brokerPermission } = this.#options;
    if (isReadable(brokerPermission) && isWriteable(brokerPermission)) return topic;
    return { ...topic, perm: topic.perm & brokerPermission };
  }

  #identity(): Record<string, string | number> {
    return {
      brokerName: this.#options.brokerName,
      brokerAddr: this.#brokerAddress(),
      clusterName: this.#options.brokerClusterName,
      brokerId: this.#options.brokerId,
    };
  }

  #addresses(): string[] {
    const list = (this.#options.namesrvAddr ?? "").split(";").map((address) => address.trim());
    return [...new Set(list.filter((address) => address !== ""))];
  }

  #server(address: string): NameServer {
    let server = this.#servers.get(address);
    if (server === undefined) {
      server = { address, running: undefined, announced: undefined, retryMs: RETRY_MS_MIN, retry: undefined };
      this.#servers.set(address, server);
    }
    return server;
  }
}
