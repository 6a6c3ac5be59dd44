/** topicList, topicStatus, topicRoute (Apache: the sub commands of the same names). */
import { DLQ_PREFIX, RETRY_PREFIX } from "../broker/names.ts";
import type { ClusterInfo } from "../protocol/bodies/clusterInfo.ts";
import type { TopicStats } from "../protocol/bodies/stats.ts";
import type { TopicRouteData } from "../protocol/bodies/topicRoute.ts";
import { type Admin, addresses } from "./admin.ts";
import type { Command, Context } from "./command.ts";
import { flag, optional, required } from "./commandLine.ts";
import { clientError } from "./failures.ts";
import { doubleText, format, front, humanTime, prettyJson } from "./format.ts";
import { compareQueues } from "./queues.ts";

export const topicList: Command = {
  name: "topicList",
  className: "TopicListSubCommand",
  description: "Fetch all topic list from name server.",
  options: [flag("c", "clusterModel", "clusterModel")],
  async run(context, given) {
    if (given.has("c")) return listByCluster(context);
    for (const topic of await context.admin.topics()) context.print(`${topic}\n`);
  },
};

async function listByCluster({ admin, print }: Context): Promise<void> {
  const info = await admin.clusterInfo();
  print(format("%-20s  %-48s  %-48s%n", "#Cluster Name", "#Topic", "#Consumer Group"));
  for (const topic of await admin.topics()) {
    if (topic.startsWith(RETRY_PREFIX) || topic.startsWith(DLQ_PREFIX)) continue;
    const { cluster, groups } = await placeOf(admin, topic, info);
    for (const group of groups.length === 0 ? [""] : groups) {
      print(format("%-20s  %-64s  %-64s%n", front(cluster, 20), front(topic, 64), front(group, 64)));
    }
  }
}

/** A topic without a route or an answer is listed all the same. */
async function placeOf(admin: Admin, topic: string, info: ClusterInfo): Promise<{ cluster: string; groups: string[] }> {
  const place = { cluster: "", groups: [] as string[] };
  try {
    const name = (await admin.route(topic)).brokerDatas[0]?.brokerName ?? "";
    place.cluster = [...info.clusterAddrTable].find(([, brokers]) => brokers.includes(name))?.[0] ?? "";
    place.groups = (await admin.groupsOn(topic)).sort();
  } catch {}
  return place;
}

export const topicStatus: Command = {
  name: "topicStatus",
  className: "TopicStatusSubCommand",
  description: "Examine topic Status info.",
  options: [
    required("t", "topic", "topic name"),
    optional("c", "cluster", "cluster name or lmq parent topic, lmq is used to find the route."),
  ],
  async run({ admin, print }, given) {
    const topic = given.must("t");
    const cluster = given.text("c");
    const stats: TopicStats = { offsetTable: new Map(), topicPutTps: 0 };
    for (const address of addresses(await admin.route(cluster ?? topic))) {
      const part = await admin.topicStats(address, topic);
      for (const [queue, offsets] of part.offsetTable) stats.offsetTable.set(queue, offsets);
    }
    if (cluster === undefined && stats.offsetTable.size === 0) throw clientError("Not found the topic stats info");
    print(
      format(
        "%-32s  %-4s  %-20s  %-20s    %s%n",
        "#Broker Name",
        "#QID",
        "#Min Offset",
        "#Max Offset",
        "#Last Updated",
      ),
    );
    for (const [queue, offsets] of [...stats.offsetTable].sort(([a], [b]) => compareQueues(a, b))) {
      const { minOffset, maxOffset, lastUpdateTimestamp } = offsets;
      const updated = lastUpdateTimestamp > 0 ? humanTime(lastUpdateTimestamp) : "";
      const name = front(queue.brokerName, 32);
      print(format("%-32s  %-4d  %-20d  %-20d    %s%n", name, queue.queueId, minOffset, maxOffset, updated));
    }
    print(`\nTopic Put TPS: ${doubleText(stats.topicPutTps)}\n`);
  },
};

const ROUTE_ROW = "%-45s %-32s %-50s %-10s %-11s %-5s%n";
const ROUTE_RULE = 158;

export const topicRoute: Command = {
  name: "topicRoute",
  className: "TopicRouteSubCommand",
  description: "Examine topic route info.",
  options: [required("t", "topic", "topic name"), flag("l", "list", "Use list format to print data")],
  async run({ admin, print }, given) {
    const route = await admin.route(given.must("t"));
    print(given.has("l") ? routeTable(route) : `${prettyJson(route)}\n`);
  },
};

function routeTable(route: TopicRouteData): string {
  const queues = new Map(route.queueDatas.map((queue) => [queue.brokerName, queue]));
  const brokers = [...route.brokerDatas].sort((a, b) => (a.brokerName < b.brokerName ? -1 : 1));
  let [reads, writes] = [0, 0];
  let text = format(ROUTE_ROW, "#ClusterName", "#BrokerName", "#BrokerAddrs", "#ReadQueue", "#WriteQueue", "#Perm");
  for (const { cluster, brokerName, brokerAddrs } of brokers) {
    const queue = queues.get(brokerName);
    if (queue === undefined) continue;
    reads += queue.readQueueNums;
    writes += queue.writeQueueNums;
    const where = `{${[...brokerAddrs].map(([id, address]) => `${id}=${address}`).join(", ")}}`;
    text += format(ROUTE_ROW, cluster, brokerName, where, queue.readQueueNums, queue.writeQueueNums, queue.perm);
  }
  return `${text}${"-".repeat(ROUTE_RULE)}\n${format(ROUTE_ROW, "Total:", queues.size, "", reads, writes, "")}`;
}
