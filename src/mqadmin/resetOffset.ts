/** resetOffsetByTime (Apache: ResetOffsetByTimeCommand). */
import { systemClock } from "../base/clock.ts";
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";
import { addresses, isRoutedByCluster } from "./admin.ts";
import type { Command, Context } from "./command.ts";
import { type Given, optional, required } from "./commandLine.ts";
import { brokerFailure, isClientFailure, parseLong } from "./failures.ts";
import { format, front } from "./format.ts";
import { compareQueues } from "./queues.ts";
import { parseTime } from "./times.ts";

export const resetOffsetByTime: Command = {
  name: "resetOffsetByTime",
  className: "ResetOffsetByTimeCommand",
  description: "Reset consumer offset by timestamp(without client restart).",
  options: [
    required("g", "group", "set the consumer group"),
    required("t", "topic", "set the topic"),
    required("s", "timestamp", "set the timestamp[now|currentTimeMillis|yyyy-MM-dd#HH:mm:ss:SSS]"),
    optional("f", "force", "set the force rollback by timestamp switch[true|false]. Deprecated."),
    optional("b", "broker", "broker addr"),
    optional("q", "queue", "queue id"),
    optional("o", "offset", "Expect queue offset, not support old version broker"),
    optional("c", "cluster", "Cluster name or lmq parent topic, lmq is used to find the route."),
  ],
  async run(context, given) {
    const [group, topic, time] = [given.must("g"), given.must("t"), given.must("s")];
    const timestamp = time === "now" ? systemClock.now() : parseTime(time);
    const queueId = given.has("q") ? parseLong(given.must("q")) : -1;
    const address = given.text("b");
    if (address !== undefined && queueId >= 0) {
      context.print(
        `start reset consumer offset by specified, group[${group}], topic[${topic}], queueId[${queueId}], ` +
          `broker[${address}], timestamp(string)[${time}], timestamp(long)[${timestamp}]\n`,
      );
      return resetQueue(context, given, address, queueId, timestamp);
    }
    const force = given.has("f") ? given.must("f").toLowerCase() === "true" : true;
    const offsets = await resetTopic(context, given, timestamp, force);
    context.print(
      `start reset consumer offset by specified, group[${group}], topic[${topic}], force[${force}], ` +
        `timestamp(string)[${time}], timestamp(long)[${timestamp}]\n`,
    );
    const row = "%-40s  %-40s  %-40s%n";
    context.print(format(row, "#brokerName", "#queueId", "#offset"));
    for (const [queue, offset] of [...offsets].sort(([a], [b]) => compareQueues(a, b))) {
      context.print(format(row, front(queue.brokerName, 32), queue.queueId, offset));
    }
  },
};

async function resetTopic(
  { admin }: Context,
  given: Given,
  timestamp: number,
  isForce: boolean,
): Promise<Map<MessageQueue, number>> {
  const [group, topic, cluster] = [given.must("g"), given.must("t"), given.text("c")];
  const route = await admin.route(cluster !== undefined && isRoutedByCluster(topic) ? cluster : topic);
  const offsets = new Map<MessageQueue, number>();
  for (const address of addresses(route)) {
    const header = { topic, group, timestamp, isForce, offset: -1, queueId: -1 };
    for (const [queue, offset] of await admin.resetOffset(address, header)) offsets.set(queue, offset);
  }
  return offsets;
}

/** One queue, to a time or to the offset that was given. */
async function resetQueue(
  { admin, print }: Context,
  given: Given,
  address: string,
  queueId: number,
  timestamp: number,
): Promise<void> {
  const [group, topic] = [given.must("g"), given.must("t")];
  const offset = given.has("o")
    ? parseLong(given.must("o"))
    : await admin.searchOffset(address, topic, queueId, timestamp);
  print(`reset consumer offset to ${offset}\n`);
  if (offset <= 0) return;
  const header = { consumerGroup: group, topic, queueId, commitOffset: offset };
  await admin.broker(address, "UPDATE_CONSUMER_OFFSET", header, "broker");
  try {
    await admin.resetOffset(address, { topic, group, queueId, timestamp: 0, isForce: false, offset });
  } catch (error) {
    if (isClientFailure(error) && error.code !== undefined) throw brokerFailure(error.code, error.message);
    throw error;
  }
}
