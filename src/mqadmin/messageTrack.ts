/** Which groups have consumed a message (Apache: DefaultMQAdminExtImpl.messageTrackDetail, MessageTrack). */
import { javaHashCode } from "../base/javaHash.ts";
import { Property } from "../message/properties.ts";
import type { ConsumerConnection } from "../protocol/bodies/connections.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { Admin } from "./admin.ts";
import { isBrokerFailure, isClientFailure, type JavaFailure, simpleDescription } from "./failures.ts";
import { hashOrder } from "./format.ts";
import type { Message } from "./message.ts";

const MASTER_ID = 0;

/** One line for each group on the message's topic. */
export async function tracksOf(admin: Admin, message: Message): Promise<string[]> {
  const lines: string[] = [];
  const groups = hashOrder(await admin.groupsOn(message.topic), javaHashCode);
  for (const group of groups) lines.push(await trackOf(admin, message, group));
  return lines;
}

async function trackOf(admin: Admin, message: Message, group: string): Promise<string> {
  const line = (type: string, why: string | null = null) =>
    `MessageTrack [consumerGroup=${group}, trackType=${type}, exceptionDesc=${why}]`;
  let online: ConsumerConnection;
  try {
    online = await admin.consumers(group);
  } catch (error) {
    if (!isBrokerFailure(error)) return line("UNKNOWN", simpleDescription(error));
    return line(error.code === ResponseCode.CONSUMER_NOT_ONLINE ? "NOT_ONLINE" : "UNKNOWN", codeAndRemark(error));
  }
  if (online.consumeType === "CONSUME_ACTIVELY") return line("PULL");
  if (online.consumeType !== "CONSUME_PASSIVELY") return line("UNKNOWN");
  try {
    if (!(await isConsumed(admin, message, group))) return line("NOT_CONSUME_YET");
  } catch (error) {
    if (!isBrokerFailure(error) && !isClientFailure(error)) return line("UNKNOWN", simpleDescription(error));
    if (error.code === ResponseCode.CONSUMER_NOT_ONLINE) return line("NOT_ONLINE", codeAndRemark(error));
    return line(error.code === ResponseCode.BROADCAST_CONSUMPTION ? "CONSUME_BROADCASTING" : "UNKNOWN");
  }
  return line(wants(online, message) ? "CONSUMED" : "CONSUMED_BUT_FILTERED");
}

function codeAndRemark({ code, remark }: JavaFailure): string {
  return `CODE:${code} DESC:${remark}`;
}

function wants({ subscriptionTable }: ConsumerConnection, { topic, properties }: Message): boolean {
  const tags = subscriptionTable.get(topic)?.tagsSet ?? [];
  return tags.length === 0 || tags.includes("*") || tags.includes(properties.get(Property.TAGS) ?? "");
}

/** Whether the group's offset is behind the message, in its queue on the broker that stored it. */
async function isConsumed(admin: Admin, message: Message, group: string): Promise<boolean> {
  const stats = await admin.consumeStats(group);
  const info = await admin.clusterInfo();
  for (const [queue, offsets] of stats.offsetTable) {
    if (queue.topic !== message.topic || queue.queueId !== message.queueId) continue;
    const address = info.brokerAddrTable.get(queue.brokerName)?.brokerAddrs.get(MASTER_ID);
    if (address === message.storeHost && offsets.consumerOffset > message.queueOffset) return true;
  }
  return false;
}
