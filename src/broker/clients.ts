/**
 * Who is connected: the producers and consumers of each group, with the consumers' subscriptions (Apache:
 * ProducerManager, ConsumerManager, ConsumerGroupInfo). In memory only; clients repeat their heartbeat every 30 s.
 * Keeps queue locks out of it: a consumer that lost its connection may still be working on a queue in order, so its
 * locks live until they expire.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { SubscriptionData } from "../protocol/bodies/subscriptionData.ts";
import type { Caller } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";

/** The options this table reads, by Apache's keys. */
export interface ClientOptions {
  readonly notifyConsumerIdsChangedEnable: boolean;
  /** false: members are told every 15 s of what changed since, not at once */
  readonly realTimeNotifyConsumerChange: boolean;
  /** false: producers are not noted while nobody could check them back (rejectTransactionMessage) */
  readonly enableRegisterProducer: boolean;
  readonly rejectTransactionMessage: boolean;
  /** ms without a heartbeat after which a consumer is gone */
  readonly channelExpiredTimeout: number;
}

/** Apache: ProducerManager.CHANNEL_EXPIRED_TIMEOUT. */
const PRODUCER_EXPIRED_MS = 120_000;
/** Apache: ClientHousekeepingService. */
const SCAN_PERIOD_MS = 10_000;
/** Apache: DefaultConsumerIdsChangeListener, without realTimeNotifyConsumerChange. */
const SLOW_NOTICE_MS = 15_000;
/** Warnings about shared client ids that are remembered, so that each is given once. */
const SHARED_IDS_REMEMBERED = 10_000;

export interface Client {
  readonly caller: Caller;
  clientId: string;
  /** LanguageCode name. */
  language: string;
  /** MQVersion ordinal of the client's library. */
  version: number;
}

interface Member extends Client {
  /** Of the last heartbeat: ms of the wall clock (for showing) and of the monotonic one (for expiry). */
  lastUpdate: number;
  seen: number;
}

export type ConsumeType = "CONSUME_ACTIVELY" | "CONSUME_PASSIVELY" | "CONSUME_POP";
export type MessageModel = "BROADCASTING" | "CLUSTERING" | "LITE_SELECTIVE";

/** How a group says it consumes; the last heartbeat wins. */
export interface ConsumerKind {
  consumeType: string | undefined;
  messageModel: string | undefined;
  consumeFromWhere: string | undefined;
}

/** One consumer group with at least one connection. */
export class ConsumerGroup implements ConsumerKind {
  readonly name: string;
  consumeType: string | undefined;
  messageModel: string | undefined;
  consumeFromWhere: string | undefined;
  /** By connection. */
  readonly members = new Map<number, Member>();
  /** By topic. */
  readonly subscriptions = new Map<string, SubscriptionData>();

  constructor(name: string) {
    this.name = name;
  }

  /** Client ids in the order of joining; one that has two connections is named twice, as in Apache. */
  clientIds(): string[] {
    return [...this.members.values()].map((member) => member.clientId);
  }

  /** The connection of a client id. */
  find(clientId: string): Client | undefined {
    for (const member of this.members.values()) if (member.clientId === clientId) return member;
    return undefined;
  }

  /** Takes over a client's subscriptions; true when a topic came or went (a newer expression is no change). */
  subscribe(list: readonly SubscriptionData[]): boolean {
    let changed = false;
    const named = new Set<string>();
    for (const item of list) {
      named.add(item.topic);
      const known = this.subscriptions.get(item.topic);
      if (known === undefined) changed = true;
      else if (item.subVersion <= known.subVersion) continue;
      this.subscriptions.set(item.topic, item);
    }
    for (const topic of this.subscriptions.keys()) {
      if (named.has(topic)) continue;
      this.subscriptions.delete(topic);
      changed = true;
    }
    return changed;
  }
}

/**
 * A newcomer rebalances by itself once its heartbeat is answered, so its own notification can wait, and has to: a Java
 * client that rebalances while its first heartbeat is still under way skips the heartbeat with its new subscription
 * version, and pulls in vain (SUBSCRIPTION_NOT_LATEST) until the next one, 30 s later.
 */
const NEWCOMER_MS = 500;

/** Hears what consumers subscribe to (Apache: ConsumerIdsChangeListener, its REGISTER and UNREGISTER). */
export interface SubscriptionListener {
  /** A heartbeat of the group came with its subscriptions. */
  subscribed(group: string, subscriptions: readonly SubscriptionData[]): void;
  /** The group's last consumer left. */
  deserted(group: string): void;
}

interface Memberships {
  readonly consumers: Set<string>;
  readonly producers: Set<string>;
  /** The client id under which its producers are found. */
  producerId: string | undefined;
}

export class Clients {
  readonly #options: ClientOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #consumers = new Map<string, ConsumerGroup>();
  readonly #producers = new Map<string, Map<number, Member>>();
  /** The connection to a client with a producer: the one that registered last, of several with one id. */
  readonly #producerIds = new Map<string, Caller>();
  /** Groups of each connection, so that a closed one is found without looking at every group. */
  readonly #byCaller = new Map<number, Memberships>();
  readonly #fingerprints = new Map<string, number>();
  /** Groups whose members are told at the end of the turn, each with the connections that joined in it. */
  readonly #toNotify = new Map<string, Set<number>>();
  readonly #sharedIds = new Set<string>();
  readonly #listeners: SubscriptionListener[] = [];
  #timer: Timer | undefined;

  constructor(options: ClientOptions, clock: Clock, log: Logger) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
  }

  /** Starts looking for silent clients every 10 s. */
  start(): void {
    this.#timer = this.#clock.every(SCAN_PERIOD_MS, () => this.scan());
  }

  stop(): void {
    this.#clock.clear(this.#timer);
  }

  /** Adds a listener; it cannot be removed. */
  onSubscriptions(listener: SubscriptionListener): void {
    this.#listeners.push(listener);
  }

  /** What a group wants of a topic, if a connected consumer said so. Hot: two map look-ups, no allocation. */
  subscription(group: string, topic: string): SubscriptionData | undefined {
    return this.#consumers.get(group)?.subscriptions.get(topic);
  }

  /** A group with at least one consumer connection. */
  consumerGroup(group: string): ConsumerGroup | undefined {
    return this.#consumers.get(group);
  }

  consumerGroups(): IterableIterator<ConsumerGroup> {
    return this.#consumers.values();
  }

  /** Connections of a producer group; undefined when there is none. */
  producers(group: string): readonly (Client & { lastUpdate: number })[] | undefined {
    const members = this.#producers.get(group);
    return members === undefined ? undefined : [...members.values()];
  }

  /** The connection to the client with this id, if it has a producer (ProducerManager.findChannel). */
  findProducer(clientId: string): Caller | undefined {
    return this.#producerIds.get(clientId);
  }

  producerGroups(): string[] {
    return [...this.#producers.keys()];
  }

  /** Groups whose consumers subscribe to a topic now. */
  groupsOn(topic: string): string[] {
    const groups: string[] = [];
    for (const group of this.#consumers.values()) if (group.subscriptions.has(topic)) groups.push(group.name);
    return groups;
  }

  /**
   * A consumer's heartbeat. `subscriptions` undefined: the client says that they are as before.
   * @param notify whether this group's members want to hear of changes (notifyConsumerIdsChangedEnable of the group)
   * @returns whether the group's members or topics changed
   */
  registerConsumer(
    group: string,
    client: Client,
    kind: ConsumerKind,
    subscriptions: readonly SubscriptionData[] | undefined,
    notify: boolean,
  ): boolean {
    if (!client.caller.open) return false;
    let info = this.#consumers.get(group);
    if (info === undefined) {
      info = new ConsumerGroup(group);
      this.#consumers.set(group, info);
    }
    info.consumeType = kind.consumeType;
    info.messageModel = kind.messageModel;
    info.consumeFromWhere = kind.consumeFromWhere;
    const joined = this.#join(info.members, client, (others) => this.#warnSharedId(group, client, others));
    if (joined) {
      this.#watch(client.caller).consumers.add(group);
      this.#log.info({ group, clientId: client.clientId, address: client.caller.address }, "consumer joined");
    }
    const changed = (subscriptions !== undefined && info.subscribe(subscriptions)) || joined;
    if (changed && notify) this.#notify(info, joined ? client.caller.id : undefined);
    if (subscriptions !== undefined) for (const heard of this.#listeners) heard.subscribed(group, subscriptions);
    return changed;
  }

  /** A producer's heartbeat. */
  registerProducer(group: string, client: Client): void {
    if (!client.caller.open) return;
    let members = this.#producers.get(group);
    const { enableRegisterProducer, rejectTransactionMessage } = this.#options;
    if (!enableRegisterProducer && rejectTransactionMessage && !members?.has(client.caller.id)) return;
    if (members === undefined) {
      members = new Map();
      this.#producers.set(group, members);
    }
    const joined = this.#join(members, client);
    const watched = this.#watch(client.caller);
    this.#nameProducer(watched, client, joined);
    if (!joined) return;
    watched.producers.add(group);
    this.#log.info({ group, clientId: client.clientId, address: client.caller.address }, "producer joined");
  }

  /** A consumer says goodbye; the others of its group hear of it when `notify`. */
  unregisterConsumer(group: string, caller: Caller, notify: boolean): void {
    const info = this.#consumers.get(group);
    if (info === undefined) return;
    this.#byCaller.get(caller.id)?.consumers.delete(group);
    this.#leave(info, caller.id, notify);
  }

  unregisterProducer(group: string, caller: Caller): void {
    this.#byCaller.get(caller.id)?.producers.delete(group);
    this.#leaveProducers(group, caller.id);
  }

  /**
   * Keeps the fingerprint of a registered consumer's last heartbeat (V2); true when another client of its group sent a
   * different one before.
   */
  noteFingerprint(group: string, fingerprint: number): boolean {
    if (!this.#consumers.has(group)) return false;
    const before = this.#fingerprints.get(group);
    this.#fingerprints.set(group, fingerprint);
    return before !== undefined && before !== fingerprint;
  }

  /** Removes clients whose heartbeat is overdue. */
  scan(): void {
    const now = this.#clock.monotonicMs();
    for (const group of [...this.#consumers.values()]) {
      for (const member of [...group.members.values()]) {
        if (now - member.seen <= this.#options.channelExpiredTimeout) continue;
        this.#logExpired("consumer", group.name, member);
        this.#byCaller.get(member.caller.id)?.consumers.delete(group.name);
        this.#leave(group, member.caller.id, true);
      }
    }
    for (const [group, members] of [...this.#producers]) {
      for (const member of [...members.values()]) {
        if (now - member.seen <= PRODUCER_EXPIRED_MS) continue;
        this.#logExpired("producer", group, member);
        this.#byCaller.get(member.caller.id)?.producers.delete(group);
        this.#leaveProducers(group, member.caller.id);
      }
    }
  }

  /** True when the connection is new among `members`. */
  #join(members: Map<number, Member>, client: Client, onNew?: (others: Iterable<Member>) => void): boolean {
    const lastUpdate = this.#clock.now();
    const seen = this.#clock.monotonicMs();
    const known = members.get(client.caller.id);
    if (known === undefined) {
      onNew?.(members.values());
      members.set(client.caller.id, { ...client, lastUpdate, seen });
      return true;
    }
    if (known.clientId !== client.clientId) {
      this.#log.error(
        { before: known.clientId, now: client.clientId, address: client.caller.address },
        "a connection changed its client id",
      );
      known.clientId = client.clientId;
    }
    known.language = client.language;
    known.version = client.version;
    known.lastUpdate = lastUpdate;
    known.seen = seen;
    return false;
  }

  #watch(caller: Caller): Memberships {
    let groups = this.#byCaller.get(caller.id);
    if (groups === undefined) {
      groups = { consumers: new Set(), producers: new Set(), producerId: undefined };
      this.#byCaller.set(caller.id, groups);
      caller.onClose(() => this.#closed(caller));
    }
    return groups;
  }

  #closed(caller: Caller): void {
    const groups = this.#byCaller.get(caller.id);
    if (groups === undefined) return;
    this.#byCaller.delete(caller.id);
    for (const group of groups.consumers) {
      const info = this.#consumers.get(group);
      if (info !== undefined) this.#leave(info, caller.id, true);
    }
    for (const group of groups.producers) this.#leaveProducers(group, caller.id);
    this.#forgetProducer(groups, caller.id);
  }

  /** A newcomer takes the id over from another connection; an old one only takes it back when nobody has it. */
  #nameProducer(watched: Memberships, { clientId, caller }: Client, joined: boolean): void {
    if (watched.producerId !== clientId) this.#forgetProducer(watched, caller.id);
    watched.producerId = clientId;
    if (joined || !this.#producerIds.has(clientId)) this.#producerIds.set(clientId, caller);
  }

  #forgetProducer(watched: Memberships, callerId: number): void {
    const { producerId } = watched;
    watched.producerId = undefined;
    if (producerId !== undefined && this.#producerIds.get(producerId)?.id === callerId) {
      this.#producerIds.delete(producerId);
    }
  }

  #leave(info: ConsumerGroup, callerId: number, notify: boolean): void {
    const member = info.members.get(callerId);
    if (member === undefined) return;
    info.members.delete(callerId);
    this.#log.info({ group: info.name, clientId: member.clientId, address: member.caller.address }, "consumer left");
    if (info.members.size === 0) {
      this.#consumers.delete(info.name);
      this.#fingerprints.delete(info.name);
      for (const heard of this.#listeners) heard.deserted(info.name);
    } else if (notify) {
      this.#notify(info);
    }
  }

  #leaveProducers(group: string, callerId: number): void {
    const members = this.#producers.get(group);
    if (members === undefined) return;
    members.delete(callerId);
    if (members.size === 0) this.#producers.delete(group);
    // Apache forgets the client with its first group that leaves; the others would get no replies from then on.
    const watched = this.#byCaller.get(callerId);
    if (watched !== undefined && watched.producers.size === 0) this.#forgetProducer(watched, callerId);
  }

  /** Tells the members to rebalance: once per turn (or 15 s), however many of them came or went in it. */
  #notify(info: ConsumerGroup, newcomer?: number): void {
    if (!this.#options.notifyConsumerIdsChangedEnable || info.messageModel === "BROADCASTING") return;
    if (this.#toNotify.size === 0) {
      if (this.#options.realTimeNotifyConsumerChange) this.#clock.endOfTurn(() => this.#sendNotifications());
      else this.#clock.after(SLOW_NOTICE_MS, () => this.#sendNotifications());
    }
    let newcomers = this.#toNotify.get(info.name);
    if (newcomers === undefined) {
      newcomers = new Set();
      this.#toNotify.set(info.name, newcomers);
    }
    if (newcomer !== undefined) newcomers.add(newcomer);
  }

  #sendNotifications(): void {
    for (const [group, newcomers] of this.#toNotify) {
      for (const member of this.#consumers.get(group)?.members.values() ?? []) {
        if (newcomers.has(member.caller.id)) this.#clock.after(NEWCOMER_MS, () => tellChanged(member, group));
        else tellChanged(member, group);
      }
    }
    this.#toNotify.clear();
  }

  /** Two consumers with one client id get the same queues, so that some queues have no consumer: the usual mystery. */
  #warnSharedId(group: string, client: Client, others: Iterable<Member>): void {
    for (const other of others) {
      if (other.clientId !== client.clientId || !other.caller.open) continue;
      const key = `${group}@${client.clientId}`;
      if (this.#sharedIds.has(key)) return;
      if (this.#sharedIds.size >= SHARED_IDS_REMEMBERED) this.#sharedIds.clear();
      this.#sharedIds.add(key);
      this.#log.warn(
        { group, clientId: client.clientId, addresses: [other.caller.address, client.caller.address] },
        "two connections of one group use the same client id: set a different instanceName on each, or some queues stay unconsumed",
      );
      return;
    }
  }

  #logExpired(role: string, group: string, member: Member): void {
    this.#log.warn(
      { role, group, clientId: member.clientId, address: member.caller.address },
      "client removed: no heartbeat for too long",
    );
  }
}

function tellChanged(member: Member, group: string): void {
  member.caller.tell(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, { consumerGroup: group });
}
