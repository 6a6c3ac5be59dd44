/**
 * What the NameServer knows: which brokers live, and which topics they serve. Pure state: time comes in as a value, nothing
 * is sent and nothing is logged. Lost at a restart by design: brokers register again within 30 s.
 * Mirrors RouteInfoManager. Differs where Apache leaves rubbish behind: a refused registration leaves no trace, a deleted
 * topic takes its static-topic mapping with it.
 */
import { type DataVersion, sameDataVersion } from "../protocol/bodies/dataVersion.ts";
import { PERM_READ, PERM_WRITE, type TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { TopicConfigWrapper } from "../protocol/bodies/topicConfigWrapper.ts";
import type { TopicQueueMappingInfo } from "../protocol/bodies/topicQueueMapping.ts";
import type { BrokerData, QueueData } from "../protocol/bodies/topicRoute.ts";

/** MixAll.MASTER_ID. */
export const MASTER_ID = 0;
/** A broker silent for longer is removed, unless it registered a time-out of its own (RouteInfoManager). */
export const BROKER_SILENT_MS = 120_000;

/** Who a registration, a heartbeat or a version query is about. */
export interface BrokerAddress {
  cluster: string;
  /** `ip:port` */
  addr: string;
}

export interface BrokerIdentity extends BrokerAddress {
  name: string;
  id: number;
}

export interface Registration extends BrokerIdentity {
  haServerAddr: string | undefined;
  zoneName: string | undefined;
  /** Silence after which this broker is dead; undefined: {@link BROKER_SILENT_MS}. */
  timeoutMs: number | undefined;
  /** undefined: a broker before 5.0, which knows nothing of acting masters. */
  enableActingMaster: boolean | undefined;
  topics: TopicConfigWrapper;
  filterServers: string[];
  /** The connection it came by, compared by identity only. */
  connection: object;
}

export interface LiveBroker extends BrokerAddress {
  lastHeardMs: number;
  timeoutMs: number;
  dataVersion: DataVersion;
  connection: object;
  haServerAddr: string | undefined;
}

/** The smallest broker id of a group changed: what its members have to hear (NOTIFY_MIN_BROKER_ID_CHANGE). */
export interface MinBrokerChange {
  /** Addresses of the members to tell. */
  tell: string[];
  minBrokerId: number;
  minBrokerAddr: string;
  offlineBrokerAddr: string | undefined;
  haBrokerAddr: string | undefined;
}

export type RegisterOutcome =
  | {
      kind: "registered";
      /** The broker was not known before. */
      isNew: boolean;
      /** Of the master, for a slave whose master lives. */
      masterAddr: string | undefined;
      haServerAddr: string | undefined;
      minBrokerChange: MinBrokerChange | undefined;
    }
  /** Another address holds the broker id with a newer controller term; Apache answers success and does nothing. */
  | { kind: "ignored"; reason: string }
  | { kind: "refused"; reason: string };

export class RouteTable {
  /** Topic to broker name to queues. */
  readonly topics = new Map<string, Map<string, QueueData>>();
  /** Broker name to master and slaves. */
  readonly brokers = new Map<string, BrokerData>();
  /** Cluster name to broker names. */
  readonly clusters = new Map<string, Set<string>>();
  /** By {@link keyOf}. */
  readonly live = new Map<string, LiveBroker>();
  /** Filter servers by {@link keyOf} of their broker. */
  readonly filterServers = new Map<string, string[]>();
  /** Static topics: topic to broker name to mapping. */
  readonly mappings = new Map<string, Map<string, TopicQueueMappingInfo>>();

  /** Takes in one registration at `now` (ms of a clock that never jumps: the routes must survive one that does). With `deleteMissing`, topics that it does not name are gone from this broker. */
  register(broker: Registration, now: number, deleteMissing: boolean): RegisterOutcome {
    const before = this.brokers.get(broker.name);
    const previousAddr = before?.brokerAddrs.get(broker.id);
    const conflict = this.#newerHolder(broker, previousAddr);
    if (conflict !== undefined) {
      if (before !== undefined) dropOtherIds(before.brokerAddrs, broker);
      this.live.delete(keyOf(broker));
      return { kind: "ignored", reason: conflict };
    }
    if (previousAddr === undefined && broker.topics.topicConfigTable.size === 1) {
      // With enableSingleTopicRegister each topic comes alone; only after the whole table came once.
      return {
        kind: "refused",
        reason: `broker ${broker.name}[${broker.id}] at ${broker.addr} sent a single topic before its first full registration`,
      };
    }

    const data = before ?? newBroker(broker);
    this.brokers.set(broker.name, data);
    valueAt(this.clusters, broker.cluster, () => new Set()).add(broker.name);
    data.enableActingMaster = broker.enableActingMaster ?? false;
    data.zoneName = broker.zoneName;
    const smallestBefore = smallestId(data) ?? MASTER_ID;
    dropOtherIds(data.brokerAddrs, broker);
    data.brokerAddrs.set(broker.id, broker.addr);
    data.brokerAddrs = new Map([...data.brokerAddrs].sort(([a], [b]) => a - b));

    this.#takeTopics(broker, data, previousAddr === undefined, deleteMissing);
    const key = keyOf(broker);
    const isNew = !this.live.has(key);
    this.live.set(key, {
      cluster: broker.cluster,
      addr: broker.addr,
      lastHeardMs: now,
      timeoutMs: broker.timeoutMs ?? BROKER_SILENT_MS,
      dataVersion: broker.topics.dataVersion,
      connection: broker.connection,
      haServerAddr: broker.haServerAddr,
    });
    if (broker.filterServers.length === 0) this.filterServers.delete(key);
    else this.filterServers.set(key, broker.filterServers);

    const masterAddr = broker.id === MASTER_ID ? undefined : data.brokerAddrs.get(MASTER_ID);
    const master = masterAddr && this.live.get(keyOf({ cluster: broker.cluster, addr: masterAddr }));
    return {
      kind: "registered",
      isNew,
      masterAddr: master ? masterAddr : undefined,
      haServerAddr: master ? master.haServerAddr : undefined,
      minBrokerChange: broker.id < smallestBefore ? minBrokerChange(data, undefined, broker.haServerAddr) : undefined,
    };
  }

  /** Removes brokers, all of them in one pass over the topics. Unknown ones are fine. */
  unregister(leaving: readonly BrokerIdentity[]): MinBrokerChange[] {
    const removed = new Set<string>();
    const reduced = new Set<string>();
    const changes = new Map<string, MinBrokerChange>();
    for (const broker of leaving) {
      const key = keyOf(broker);
      this.live.delete(key);
      this.filterServers.delete(key);
      const data = this.brokers.get(broker.name);
      if (data === undefined) continue;
      const wasSmallest = smallestId(data) === broker.id;
      for (const [id, addr] of data.brokerAddrs) if (addr === broker.addr) data.brokerAddrs.delete(id);
      if (data.brokerAddrs.size > 0) {
        reduced.add(broker.name);
        if (wasSmallest && data.enableActingMaster) {
          changes.set(broker.name, minBrokerChange(data, broker.addr, undefined));
        }
        continue;
      }
      removed.add(broker.name);
      reduced.delete(broker.name);
      changes.delete(broker.name);
      this.brokers.delete(broker.name);
      this.#leaveCluster(broker.cluster, broker.name);
    }
    if (removed.size + reduced.size > 0) this.#cleanTopics(removed, reduced);
    return [...changes.values()];
  }

  /** A sign of life; unknown brokers are ignored: only a registration makes one known. */
  touch(broker: BrokerAddress, now: number): void {
    const live = this.live.get(keyOf(broker));
    if (live !== undefined) live.lastHeardMs = now;
  }

  dataVersionOf(broker: BrokerAddress): DataVersion | undefined {
    return this.live.get(keyOf(broker))?.dataVersion;
  }

  /** Brokers that came by `connection`. */
  registeredBy(connection: object): BrokerIdentity[] {
    return this.#identities((live) => live.connection === connection);
  }

  /** Brokers that were silent for longer than they may be at `now`. */
  silentAt(now: number): BrokerIdentity[] {
    return this.#identities((live) => live.lastHeardMs + live.timeoutMs < now);
  }

  /** Adds the queues of one topic; false, and nothing changed, when one names a broker that is not registered. */
  registerTopic(topic: string, queues: readonly QueueData[]): boolean {
    if (!queues.every((queue) => this.brokers.has(queue.brokerName))) return false;
    const byBroker = valueAt(this.topics, topic, () => new Map());
    for (const queue of queues) byBroker.set(queue.brokerName, queue);
    return true;
  }

  /** Forgets a topic, in one cluster only when `cluster` is given. */
  deleteTopic(topic: string, cluster?: string): void {
    if (cluster === undefined) {
      this.#forgetTopic(topic);
      return;
    }
    const byBroker = this.topics.get(topic);
    if (byBroker === undefined) return;
    for (const name of this.clusters.get(cluster) ?? []) byBroker.delete(name);
    if (byBroker.size === 0) this.#forgetTopic(topic);
  }

  /** Takes write permission from all topics of a broker; returns how many topics it has. */
  wipeWritePerm(brokerName: string): number {
    return this.#setPerm(brokerName, (perm) => perm & ~PERM_WRITE);
  }

  /** Makes all topics of a broker readable and writable (and nothing else, as Apache does); returns how many it has. */
  addWritePerm(brokerName: string): number {
    return this.#setPerm(brokerName, () => PERM_READ | PERM_WRITE);
  }

  #newerHolder(broker: Registration, previousAddr: string | undefined): string | undefined {
    if (previousAddr === undefined || previousAddr === broker.addr) return undefined;
    const holder = this.live.get(keyOf({ cluster: broker.cluster, addr: previousAddr }));
    if (holder === undefined) return undefined;
    const [old, own] = [holder.dataVersion.stateVersion, broker.topics.dataVersion.stateVersion];
    if (old <= own) return undefined;
    return `broker ${broker.name}[${broker.id}] is ${previousAddr} in term ${old}; ${broker.addr} came with term ${own}`;
  }

  /** Topics are taken from the master, and from the smallest slave that understands acting masters. */
  #takeTopics(broker: Registration, data: BrokerData, isFirst: boolean, deleteMissing: boolean): void {
    const isMaster = broker.id === MASTER_ID;
    const isPrimeSlave = !isMaster && broker.enableActingMaster !== undefined && smallestId(data) === broker.id;
    if (!isMaster && !isPrimeSlave) return;
    const { topicConfigTable, topicQueueMappingInfoMap } = broker.topics;
    if (deleteMissing && topicQueueMappingInfoMap.size === 0) this.#deleteMissing(broker.name, topicConfigTable);

    const known = this.dataVersionOf(broker);
    const isChanged = isFirst || known === undefined || !sameDataVersion(known, broker.topics.dataVersion);
    const isReadOnly = isPrimeSlave && data.enableActingMaster;
    for (const config of topicConfigTable.values()) {
      const byBroker = valueAt(this.topics, config.topicName, () => new Map());
      if (isChanged || !byBroker.has(broker.name))
        byBroker.set(broker.name, queueData(broker.name, config, isReadOnly));
    }
    if (!isChanged) return;
    for (const [topic, info] of topicQueueMappingInfoMap) {
      valueAt(this.mappings, topic, () => new Map()).set(info.bname ?? broker.name, info);
    }
  }

  #deleteMissing(brokerName: string, named: ReadonlyMap<string, unknown>): void {
    for (const [topic, byBroker] of this.topics) {
      if (named.has(topic) || !byBroker.delete(brokerName)) continue;
      if (byBroker.size === 0) this.topics.delete(topic);
    }
  }

  #cleanTopics(removed: ReadonlySet<string>, reduced: ReadonlySet<string>): void {
    const masterless = [...reduced].filter((name) => {
      const data = this.brokers.get(name);
      return data?.enableActingMaster && !data.brokerAddrs.has(MASTER_ID);
    });
    for (const [topic, byBroker] of this.topics) {
      for (const name of removed) byBroker.delete(name);
      if (byBroker.size === 0) this.topics.delete(topic);
      for (const name of masterless) {
        const queues = byBroker.get(name);
        if (queues !== undefined) queues.perm &= ~PERM_WRITE;
      }
    }
  }

  #leaveCluster(cluster: string, brokerName: string): void {
    const names = this.clusters.get(cluster);
    names?.delete(brokerName);
    if (names?.size === 0) this.clusters.delete(cluster);
  }

  #forgetTopic(topic: string): void {
    this.topics.delete(topic);
    this.mappings.delete(topic);
  }

  #setPerm(brokerName: string, change: (perm: number) => number): number {
    let topics = 0;
    for (const byBroker of this.topics.values()) {
      const queues = byBroker.get(brokerName);
      if (queues === undefined) continue;
      queues.perm = change(queues.perm);
      topics++;
    }
    return topics;
  }

  #identities(isMeant: (live: LiveBroker) => boolean): BrokerIdentity[] {
    const found: BrokerIdentity[] = [];
    for (const live of this.live.values()) if (isMeant(live)) found.push(this.#identityOf(live));
    return found;
  }

  #identityOf({ cluster, addr }: LiveBroker): BrokerIdentity {
    for (const data of this.brokers.values()) {
      if (data.cluster !== cluster) continue;
      for (const [id, address] of data.brokerAddrs) {
        if (address === addr) return { cluster, addr, name: data.brokerName, id };
      }
    }
    // Its id went to another address: only the sign of life is left to remove.
    return { cluster, addr, name: "", id: -1 };
  }
}

/** Key of {@link RouteTable.live}: Apache's BrokerAddrInfo. */
export function keyOf({ cluster, addr }: BrokerAddress): string {
  return `${cluster}\n${addr}`;
}

/** One address has one id: a slave that became master leaves its old id. */
function dropOtherIds(addrs: Map<number, string>, broker: BrokerIdentity): void {
  for (const [id, addr] of addrs) if (addr === broker.addr && id !== broker.id) addrs.delete(id);
}

function newBroker({ cluster, name }: BrokerIdentity): BrokerData {
  return { brokerAddrs: new Map(), brokerName: name, cluster, enableActingMaster: false };
}

function queueData(brokerName: string, config: TopicConfig, isReadOnly: boolean): QueueData {
  return {
    brokerName,
    perm: isReadOnly ? config.perm & ~PERM_WRITE : config.perm,
    readQueueNums: config.readQueueNums,
    topicSysFlag: config.topicSysFlag,
    writeQueueNums: config.writeQueueNums,
  };
}

function smallestId(data: BrokerData): number | undefined {
  return data.brokerAddrs.size === 0 ? undefined : Math.min(...data.brokerAddrs.keys());
}

function minBrokerChange(
  data: BrokerData,
  offlineBrokerAddr: string | undefined,
  haBrokerAddr: string | undefined,
): MinBrokerChange {
  const minBrokerId = smallestId(data) ?? MASTER_ID;
  const minBrokerAddr = data.brokerAddrs.get(minBrokerId) ?? "";
  // A newcomer knows its own arrival; when one left, all that remain must hear.
  const tellAll = offlineBrokerAddr !== undefined || data.brokerAddrs.size === 1;
  const tell = [...data.brokerAddrs].filter(([id]) => tellAll || id !== minBrokerId).map(([, addr]) => addr);
  return { tell, minBrokerId, minBrokerAddr, offlineBrokerAddr, haBrokerAddr };
}

function valueAt<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
