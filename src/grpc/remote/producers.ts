/**
 * Makes brokers ask this proxy about undecided transactions, and passes their questions on (Apache:
 * ClusterTransactionService, ProxyClientRemotingProcessor). A topic's brokers are told at once that it has producers of
 * transactions here, and again each transactionHeartbeatPeriodSecond; a producer's group is the topic it sends to.
 */
import type { Buffer } from "node:buffer";
import type { Clock, Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Clients } from "../../broker/clients.ts";
import type { ProxyConfig } from "../../config/index.ts";
import { Property, parseProperties } from "../../message/properties.ts";
import { RecordView } from "../../message/record.ts";
import { encodeHeartbeatData } from "../../protocol/bodies/heartbeatData.ts";
import { type Caller, type Row, row } from "../../protocol/dispatch.ts";
import { RequestCode } from "../../protocol/generated/requestCodes.ts";
import type { TopicType } from "../backend.ts";
import { addressIn, type Brokers } from "./brokers.ts";

/** As which client brokers know every proxy. */
const CLIENT_ID = "rmq-proxy-producer-client";
const TRANSACTIONAL: ReadonlySet<TopicType> = new Set(["TRANSACTION", "MIXED"]);

export interface ProducerParts {
  readonly config: ProxyConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly brokers: Brokers;
  /** The clients of this proxy. */
  readonly registrations: Clients;
  readonly topicType: (topic: string) => Promise<TopicType>;
}

export class TransactionProducers {
  readonly #parts: ProducerParts;
  /** Topics whose brokers were told of at the last round or since. */
  readonly #told = new Set<string>();
  #timer: Timer | undefined;
  #turn = 0;

  constructor(parts: ProducerParts) {
    this.#parts = parts;
  }

  start(): void {
    const periodMs = this.#parts.config.transactionHeartbeatPeriodSecond * 1000;
    this.#timer = this.#parts.clock.every(periodMs, () => void this.heartbeat());
  }

  stop(): void {
    this.#parts.clock.clear(this.#timer);
  }

  /** A client of this proxy may send transactions to a topic: its brokers hear of it now if they have not. */
  joined(topic: string): void {
    if (this.#told.has(topic)) return;
    this.#told.add(topic);
    void this.#tell([topic]);
  }

  /** Tells all brokers of all topics with producers here. */
  heartbeat(): Promise<void> {
    this.#told.clear();
    const topics = this.#parts.registrations.producerGroups();
    for (const topic of topics) this.#told.add(topic);
    return this.#tell(topics);
  }

  /** What brokers ask of this proxy. */
  rows(): Row[] {
    return [
      row(RequestCode.CHECK_TRANSACTION_STATE, "CHECK_TRANSACTION_STATE", undefined, ({ body, caller, field }) => {
        this.#check(body, caller, field);
        return undefined;
      }),
    ];
  }

  async #tell(topics: readonly string[]): Promise<void> {
    const { brokers, config, log } = this.#parts;
    const groups = new Map<string, string[]>();
    for (const topic of topics) {
      try {
        for (const address of await this.#brokersOf(topic)) {
          const list = groups.get(address) ?? [];
          groups.set(address, list);
          list.push(topic);
        }
      } catch (error) {
        this.#told.delete(topic);
        log.warn({ topic, err: (error as Error).message }, "who has this topic is unknown; its transactions wait");
      }
    }
    const batch = Math.max(1, config.transactionHeartbeatBatchNum);
    for (const [address, names] of groups) {
      for (let i = 0; i < names.length; i += batch) {
        const some = names.slice(i, i + batch);
        const reached = await brokers.requests
          .tell(address, RequestCode.HEART_BEAT, {}, heartbeatOf(some))
          .catch(() => false);
        if (reached) continue;
        for (const topic of some) this.#told.delete(topic);
        log.warn({ address }, "a broker was not told of this proxy's producers; it is at the next heartbeat");
      }
    }
  }

  async #brokersOf(topic: string): Promise<string[]> {
    const { brokers, topicType } = this.#parts;
    if (!TRANSACTIONAL.has(await topicType(topic))) return [];
    const route = await brokers.route(topic);
    return (route?.brokerDatas ?? []).map(addressIn).filter((address) => address !== undefined);
  }

  /** Asks one client of the half message's group, another one each time. Nobody there: the broker asks again. */
  #check(body: Buffer, broker: Caller, field: (name: string) => string | undefined): void {
    const { registrations, brokers, log } = this.#parts;
    const view = new RecordView();
    if (view.read(body, 0, body.length, false) !== "record") {
      log.warn({ broker: broker.address }, "a broker asks about a message that cannot be read");
      return;
    }
    const group = parseProperties(view.properties()).get(Property.PRODUCER_GROUP) ?? "";
    const header = {
      tranStateTableOffset: field("tranStateTableOffset"),
      commitLogOffset: field("commitLogOffset"),
      msgId: field("msgId"),
      transactionId: field("transactionId"),
      offsetMsgId: field("offsetMsgId"),
      bname: field("bname") ?? brokers.nameOf(broker.address),
    };
    const producers = registrations.producers(group) ?? [];
    const first = this.#turn++;
    for (let i = 0; i < producers.length; i++) {
      const { caller } = producers[(first + i) % producers.length];
      if (caller.tell(RequestCode.CHECK_TRANSACTION_STATE, header, body)) return;
    }
    log.warn({ group, broker: broker.address }, "no producer is there to say what became of a transaction");
  }
}

function heartbeatOf(groups: readonly string[]): string {
  return encodeHeartbeatData({
    clientID: CLIENT_ID,
    consumerDataSet: [],
    heartbeatFingerprint: 0,
    producerDataSet: groups.map((groupName) => ({ groupName })),
    withoutSub: false,
  });
}
