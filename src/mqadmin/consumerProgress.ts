/** consumerProgress: how far groups are (Apache: ConsumerProgressSubCommand). */
import { RETRY_PREFIX } from "../broker/names.ts";
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";
import { versionName } from "../protocol/versionName.ts";
import type { Command, Context } from "./command.ts";
import { optional } from "./commandLine.ts";
import { format, front, humanSeconds } from "./format.ts";
import { compareQueues } from "./queues.ts";

const NO_CLIENT = "N/A";
/** Separates group and topic in the name of a pop retry topic. */
const POP_RETRY_SEPARATOR = "+";

export const consumerProgress: Command = {
  name: "consumerProgress",
  className: "ConsumerProgressSubCommand",
  description: "Query consumer's progress, speed.",
  options: [
    optional("g", "groupName", "consumer group name"),
    optional("t", "topicName", "topic name"),
    optional("s", "showClientIP", "Show Client IP per Queue"),
    optional("c", "cluster", "Cluster name or lmq parent topic, lmq is used to find the route."),
  ],
  async run(context, given) {
    const group = given.text("g");
    if (group === undefined) return allGroups(context);
    const showClients = given.text("s")?.toLowerCase() === "true";
    const topic = given.text("t");
    await oneGroup(context, group, topic, topic === undefined ? undefined : given.text("c"), showClients);
  },
};

async function oneGroup(
  context: Context,
  group: string,
  topic: string | undefined,
  cluster: string | undefined,
  showClients: boolean,
): Promise<void> {
  const { admin, print } = context;
  const stats = await admin.consumeStats(group, topic, cluster);
  const clients = showClients ? await clientsByQueue(context, group) : undefined;
  const where = "%-64s  %-32s  %-4s  %-20s  %-20s  ";
  print(format(where, "#Topic", "#Broker Name", "#QID", "#Broker Offset", "#Consumer Offset"));
  if (clients !== undefined) print(format("%-20s ", "#Client IP"));
  print(format("%-20s %-20s%s%n", "#Diff", "#Inflight", "#LastTime"));
  let [diffs, inflights] = [0, 0];
  for (const [queue, offsets] of [...stats.offsetTable].sort(([a], [b]) => compareQueues(a, b))) {
    const { brokerOffset, consumerOffset, pullOffset, lastTimestamp } = offsets;
    const diff = brokerOffset - consumerOffset;
    const inflight = pullOffset - consumerOffset;
    diffs += diff;
    inflights += inflight;
    const name = front(queue.topic, 64);
    print(format(where, name, front(queue.brokerName, 32), queue.queueId, brokerOffset, consumerOffset));
    if (clients !== undefined) print(format("%-20s ", clients.get(keyOf(queue)) ?? NO_CLIENT));
    const lastTime = lastTimestamp === 0 ? "N/A" : humanSeconds(lastTimestamp);
    print(format("%-20d %-20d %s%n", diff, inflight, lastTime));
  }
  print(format("%nConsume TPS: %.2f%nConsume Diff Total: %d%n", stats.consumeTps, diffs));
  print(format("Consume Inflight Total: %d%n", inflights));
}

/** Which client has a queue; what cannot be asked is left out. */
async function clientsByQueue({ admin }: Context, group: string): Promise<Map<string, string>> {
  const clients = new Map<string, string>();
  try {
    for (const { clientId } of (await admin.consumers(group)).connectionSet) {
      const info = await admin.runningInfo(group, clientId);
      for (const queue of info?.queues ?? []) clients.set(keyOf(queue), clientId.split("@", 1)[0]);
    }
  } catch {}
  return clients;
}

function keyOf({ topic, brokerName, queueId }: MessageQueue): string {
  return `${topic}@${brokerName}@${queueId}`;
}

async function allGroups(context: Context): Promise<void> {
  const row = "%-64s  %-6s  %-24s %-5s  %-14s  %-7s  %s%n";
  context.print(format(row, "#Group", "#Count", "#Version", "#Type", "#Model", "#TPS", "#Diff Total"));
  for (const topic of await context.admin.topics()) {
    if (!topic.startsWith(RETRY_PREFIX)) continue;
    const group = groupOf(topic);
    const stats = await orNothing(context.admin.consumeStats(group));
    const found = await orNothing(context.admin.consumers(group));
    const members = found?.connectionSet ?? [];
    const isPush = found?.consumeType !== "CONSUME_ACTIVELY";
    let diff = 0;
    for (const { brokerOffset, consumerOffset } of stats?.offsetTable.values() ?? []) {
      diff += brokerOffset - consumerOffset;
    }
    context.print(
      format(
        row,
        front(group, 64),
        members.length,
        members.length === 0 ? "OFFLINE" : versionName(Math.min(...members.map(({ version }) => version))),
        members.length === 0 ? "" : isPush ? "PUSH" : "PULL",
        members.length > 0 && found?.consumeType === "CONSUME_PASSIVELY" ? (found.messageModel ?? "null") : "",
        Math.trunc(stats?.consumeTps ?? 0),
        diff,
      ),
    );
  }
}

/** A group that cannot be asked about has its row all the same. */
async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch {
    return undefined;
  }
}

/** KeyBuilder.parseGroup of a retry topic. */
function groupOf(topic: string): string {
  const name = topic.slice(RETRY_PREFIX.length);
  const plus = name.indexOf(POP_RETRY_SEPARATOR);
  return plus < 0 ? name : name.slice(0, plus);
}
