/**
 * What clients are told of the {@link RouteTable}: the route of a topic, clusters, topic lists. Every answer is a copy.
 * Mirrors the reading half of RouteInfoManager, and ZoneRouteRPCHook.
 */
import type { BrokerMemberGroup } from "../protocol/bodies/brokerMemberGroup.ts";
import type { ClusterInfo } from "../protocol/bodies/clusterInfo.ts";
import { PERM_WRITE } from "../protocol/bodies/topicConfig.ts";
import type { TopicList } from "../protocol/bodies/topicList.ts";
import type { BrokerData, QueueData, TopicRouteData } from "../protocol/bodies/topicRoute.ts";
import { keyOf, MASTER_ID, type RouteTable } from "./routeTable.ts";

/** Turns a registered broker address into the one that the asking client shall use. */
export type Rewrite = (addr: string) => string;

/** TopicValidator.SYNC_BROKER_MEMBER_GROUP_PREFIX: topics in which brokers need their real master. */
const MEMBER_GROUP_TOPIC_PREFIX = "rmq_sys_SYNC_BROKER_MEMBER_";

/** TopicSysFlag. */
const FLAG_UNIT = 1;
const FLAG_UNIT_SUB = 2;

/**
 * The route of `topic`; undefined when no registered broker serves it. With `supportActingMaster` a group that lost its
 * master shows its smallest slave as the master, read-only.
 */
export function routeOf(
  table: RouteTable,
  topic: string,
  supportActingMaster: boolean,
  rewrite: Rewrite,
): TopicRouteData | undefined {
  const byBroker = table.topics.get(topic);
  if (byBroker === undefined) return undefined;
  const brokerDatas: BrokerData[] = [];
  const filterServerTable = new Map<string, string[]>();
  for (const name of byBroker.keys()) {
    const data = table.brokers.get(name);
    if (data === undefined) continue;
    brokerDatas.push(copyBroker(data, rewrite));
    for (const addr of data.brokerAddrs.values()) {
      const servers = table.filterServers.get(keyOf({ cluster: data.cluster, addr }));
      if (servers !== undefined) filterServerTable.set(rewrite(addr), servers);
    }
  }
  if (brokerDatas.length === 0) return undefined;
  const queueDatas = [...byBroker.values()].map((queues) => ({ ...queues }));
  if (supportActingMaster && !topic.startsWith(MEMBER_GROUP_TOPIC_PREFIX)) showActingMasters(brokerDatas, queueDatas);
  return { brokerDatas, filterServerTable, queueDatas, topicQueueMappingByBroker: table.mappings.get(topic) };
}

/** Only the brokers of `zone`, and those without a master, which must stay reachable from everywhere. */
export function routeInZone(route: TopicRouteData, zone: string): TopicRouteData {
  const isNear = (data: BrokerData): boolean =>
    !data.brokerAddrs.has(MASTER_ID) || data.zoneName?.toLowerCase() === zone.toLowerCase();
  const far = route.brokerDatas.filter((data) => !isNear(data));
  const farNames = new Set(far.map((data) => data.brokerName));
  const farAddrs = new Set(far.flatMap((data) => [...data.brokerAddrs.values()]));
  return {
    ...route,
    brokerDatas: route.brokerDatas.filter(isNear),
    queueDatas: route.queueDatas.filter((queues) => !farNames.has(queues.brokerName)),
    filterServerTable: new Map([...route.filterServerTable].filter(([addr]) => !farAddrs.has(addr))),
  };
}

export function clusterInfoOf(table: RouteTable, rewrite: Rewrite): ClusterInfo {
  return {
    brokerAddrTable: new Map([...table.brokers].map(([name, data]) => [name, copyBroker(data, rewrite)])),
    clusterAddrTable: new Map([...table.clusters].map(([cluster, names]) => [cluster, [...names]])),
  };
}

/** The members of a broker name; an unknown one has none. */
export function memberGroupOf(table: RouteTable, cluster: string, brokerName: string): BrokerMemberGroup {
  return { brokerAddrs: new Map(table.brokers.get(brokerName)?.brokerAddrs), brokerName, cluster };
}

export function allTopics(table: RouteTable): TopicList {
  return { topicList: [...table.topics.keys()] };
}

/** Topics served by any broker of a cluster; an unknown cluster has none. */
export function topicsOfCluster(table: RouteTable, cluster: string): TopicList {
  const names = [...(table.clusters.get(cluster) ?? [])];
  return topicsWhere(table, (byBroker) => names.some((name) => byBroker.has(name)));
}

/** Cluster and broker names, which are topics by convention, and a broker to ask for its own system topics. */
export function systemTopics(table: RouteTable, rewrite: Rewrite): TopicList {
  const topics = new Set<string>();
  for (const [cluster, names] of table.clusters) {
    topics.add(cluster);
    for (const name of names) topics.add(name);
  }
  const first = [...table.brokers.values()].flatMap((data) => [...data.brokerAddrs.values()])[0];
  return { brokerAddr: first === undefined ? undefined : rewrite(first), topicList: [...topics] };
}

export function unitTopics(table: RouteTable): TopicList {
  return topicsWhere(table, (byBroker) => (sysFlagOf(byBroker) & FLAG_UNIT) !== 0);
}

export function unitSubTopics(table: RouteTable): TopicList {
  return topicsWhere(table, (byBroker) => (sysFlagOf(byBroker) & FLAG_UNIT_SUB) !== 0);
}

export function unitSubUnunitTopics(table: RouteTable): TopicList {
  return topicsWhere(table, (byBroker) => (sysFlagOf(byBroker) & (FLAG_UNIT | FLAG_UNIT_SUB)) === FLAG_UNIT_SUB);
}

function topicsWhere(table: RouteTable, isMeant: (byBroker: ReadonlyMap<string, QueueData>) => boolean): TopicList {
  const topicList: string[] = [];
  for (const [topic, byBroker] of table.topics) if (isMeant(byBroker)) topicList.push(topic);
  return { topicList };
}

/** The flags of a topic are those of its first broker, as in Apache. */
function sysFlagOf(byBroker: ReadonlyMap<string, QueueData>): number {
  for (const queues of byBroker.values()) return queues.topicSysFlag;
  return 0;
}

function copyBroker(data: BrokerData, rewrite: Rewrite): BrokerData {
  return { ...data, brokerAddrs: new Map([...data.brokerAddrs].map(([id, addr]) => [id, rewrite(addr)])) };
}

function showActingMasters(brokers: readonly BrokerData[], queueDatas: readonly QueueData[]): void {
  for (const data of brokers) {
    if (data.brokerAddrs.size === 0 || data.brokerAddrs.has(MASTER_ID) || !data.enableActingMaster) continue;
    const queues = queueDatas.find((candidate) => candidate.brokerName === data.brokerName);
    if (queues === undefined || (queues.perm & PERM_WRITE) !== 0) continue;
    const smallest = Math.min(...data.brokerAddrs.keys());
    const addr = data.brokerAddrs.get(smallest) ?? "";
    data.brokerAddrs.delete(smallest);
    data.brokerAddrs = new Map([[MASTER_ID, addr], ...data.brokerAddrs]);
  }
}
