/** clusterList and brokerStatus: what brokers say about themselves (Apache: ClusterListSubCommand, BrokerStatusSubCommand). */
import { sleep, systemClock } from "../base/clock.ts";
import type { ClusterInfo } from "../protocol/bodies/clusterInfo.ts";
import { type Command, type Context, membersOf } from "./command.ts";
import { flag, type Given, oneOf, optional } from "./commandLine.ts";
import { parseLong } from "./failures.ts";
import { format } from "./format.ts";

const HOUR_MS = 3_600_000;
const TEN_THOUSAND = 10_000;

const BASE_HEAD = "%-22s  %-22s  %-4s  %-22s %-16s  %16s  %30s  %-22s  %-11s  %-12s  %-8s  %-10s%n";
const BASE_ROW = "%-22s  %-22s  %-4s  %-22s %-16s  %16s  %30s  %-22s  %11s  %-12s  %-8s  %10s%n";
const MORE_ROW = "%-16s  %-32s %14s %14s %14s %14s%n";

export const clusterList: Command = {
  name: "clusterList",
  className: "ClusterListSubCommand",
  description: "List cluster infos.",
  options: [
    flag("m", "moreStats", "Print more stats"),
    optional("i", "interval", "specify intervals numbers, it is in seconds"),
    optional("c", "clusterName", "which cluster"),
  ],
  async run(context, given) {
    const interval = given.text("i");
    const periodMs = interval === undefined ? 0 : parseLong(interval) * 1000;
    for (;;) {
      const info = await context.admin.clusterInfo();
      const cluster = given.text("c");
      const clusters = cluster ? [cluster] : [...info.clusterAddrTable.keys()].sort();
      await (given.has("m") ? more(context, clusters, info) : base(context, clusters, info));
      if (interval === undefined) return;
      await sleep(systemClock, periodMs);
    }
  },
};

async function base(context: Context, clusters: string[], info: ClusterInfo): Promise<void> {
  context.print(
    format(
      BASE_HEAD,
      "#Cluster Name",
      "#Broker Name",
      "#BID",
      "#Addr",
      "#Version",
      "#InTPS(LOAD)",
      "#OutTPS(LOAD)",
      "#Timer(Progress)",
      "#PCWait(ms)",
      "#Hour",
      "#SPACE",
      "#ACTIVATED",
    ),
  );
  for (const { cluster, name, id, address } of rows(clusters, info)) {
    const stats = await statsOf(context, address, true);
    const text = (key: string, absent = "null") => stats?.get(key) ?? (stats === undefined ? "" : absent);
    const number = (key: string) => Number(stats?.get(key)) || 0;
    const rate = (key: string) => Number(stats?.get(key)?.split(" ", 1)[0]) || 0;
    const earliest = number("earliestMessageTimeStamp");
    const known = (stats?.get("earliestMessageTimeStamp") ?? "") !== "";
    context.print(
      format(
        BASE_ROW,
        cluster,
        name,
        id,
        address,
        text("brokerVersionDesc"),
        format(
          "%9.2f(%s,%sms)",
          rate("putTps"),
          text("sendThreadPoolQueueSize"),
          text("sendThreadPoolQueueHeadWaitTimeMills"),
        ),
        format(
          "%9.2f(%s,%sms|%s,%sms)",
          rate("getTransferredTps"),
          text("pullThreadPoolQueueSize"),
          text("pullThreadPoolQueueHeadWaitTimeMills"),
          text("ackThreadPoolQueueSize", "N"),
          text("ackThreadPoolQueueHeadWaitTimeMills", "N"),
        ),
        format(
          "%d-%d(%.1fw, %.1f, %.1f)",
          number("timerReadBehind"),
          number("timerOffsetBehind"),
          number("timerCongestNum") / TEN_THOUSAND,
          number("timerEnqueueTps"),
          number("timerDequeueTps"),
        ),
        text("pageCacheLockTimeMills"),
        (known ? (systemClock.now() - earliest) / HOUR_MS : 0).toFixed(2),
        number("commitLogDiskRatio").toFixed(4),
        text("brokerActive") === "true",
      ),
    );
  }
}

async function more(context: Context, clusters: string[], info: ClusterInfo): Promise<void> {
  context.print(
    format(
      MORE_ROW,
      "#Cluster Name",
      "#Broker Name",
      "#InTotalYest",
      "#OutTotalYest",
      "#InTotalToday",
      "#OutTotalToday",
    ),
  );
  for (const { cluster, name, address } of rows(clusters, info)) {
    const stats = await statsOf(context, address, false);
    const number = (key: string) => Number(stats?.get(key)) || 0;
    const since = (what: string, from: string, to: string) =>
      number(`msg${what}Total${to}`) - number(`msg${what}Total${from}`);
    context.print(
      format(
        MORE_ROW,
        cluster,
        name,
        since("Put", "YesterdayMorning", "TodayMorning"),
        since("Get", "YesterdayMorning", "TodayMorning"),
        since("Put", "TodayMorning", "TodayNow"),
        since("Get", "TodayMorning", "TodayNow"),
      ),
    );
  }
}

/** A broker that does not answer still has its row. */
async function statsOf(context: Context, address: string, complain: boolean): Promise<Map<string, string> | undefined> {
  try {
    return await context.admin.runtimeStats(address);
  } catch (error) {
    if (complain) context.complain(error);
    return undefined;
  }
}

function* rows(clusters: string[], info: ClusterInfo) {
  for (const cluster of clusters) {
    for (const name of [...(info.clusterAddrTable.get(cluster) ?? [])].sort()) {
      const broker = info.brokerAddrTable.get(name);
      if (broker === undefined) continue;
      for (const [id, address] of broker.brokerAddrs) yield { cluster, name, id, address };
    }
  }
}

export const brokerStatus: Command = {
  name: "brokerStatus",
  className: "BrokerStatusSubCommand",
  description: "Fetch broker runtime status data.",
  options: [oneOf("where", "b", "brokerAddr", "Broker address"), oneOf("where", "c", "clusterName", "which cluster")],
  async run(context: Context, given: Given) {
    const address = given.text("b");
    if (address !== undefined) return status(context, address, "");
    for (const member of await membersOf(context, given.must("c"))) {
      try {
        await status(context, member, format("%-24s ", member));
      } catch (error) {
        context.complain(error);
      }
    }
  },
};

async function status(context: Context, address: string, head: string): Promise<void> {
  const entries = [...(await context.admin.runtimeStats(address))].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, value] of entries) context.print(head + format("%-32s: %s%n", key, value));
}
