/** Whole tables for slaves (Apache: AdminBrokerProcessor), and a look into a queue. */
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { QueryConsumeQueueRequestHeader } from "../protocol/generated/headers.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "offsets" | "schedule" | "clients" | "store">;

/** Units one answer may carry: some 4 MB of JSON. */
const UNITS_MAX = 32_768;

export function dumpRows(parts: Parts): Row[] {
  return [
    requestRow("GET_ALL_CONSUMER_OFFSET", undefined, () => ok(undefined, parts.offsets.encode())),
    requestRow("GET_ALL_DELAY_OFFSET", undefined, () => ok(undefined, parts.schedule.encode())),
    requestRow("QUERY_CONSUME_QUEUE", QueryConsumeQueueRequestHeader, (call) => browse(parts, call)),
  ];
}

/** Units of a queue as they are, for `mqadmin queryCq`. */
async function browse({ clients, store }: Parts, { header }: Call<QueryConsumeQueueRequestHeader>): Promise<Reply> {
  const topic = need(header.topic, "topic");
  const queueId = header.queueId ?? 0;
  const index = header.index ?? 0;
  const count = Math.min(Math.max(0, header.count ?? 0), UNITS_MAX);
  if (!store.queuesOf(topic).includes(queueId)) return refuse("SYSTEM_ERROR", `${queueId}@${topic} is not exist!`);
  const group = header.consumerGroup;
  const subscriptionData = group === undefined ? undefined : clients.subscription(group, topic);
  const min = store.minOffset(topic, queueId);
  const max = store.maxOffset(topic, queueId);
  if (index < min || index >= max) {
    return { ...ok(), remark: `Index ${index} of ${queueId}@${topic} is not exist!` };
  }
  const units = await store.units(topic, queueId, index, count);
  return ok(
    undefined,
    writeJavaJson({
      // Apache prints the consumer's SQL filter here, "null" without one.
      filterData:
        group === undefined ? undefined : subscriptionData === undefined ? `${group}@${topic} is not online!` : "null",
      maxQueueIndex: max,
      minQueueIndex: min,
      queueData: units.map((unit) => ({
        eval: false,
        physicOffset: unit.logOffset,
        physicSize: unit.bytes,
        tagsCode: unit.tagsCode,
      })),
      subscriptionData,
    }),
  );
}
