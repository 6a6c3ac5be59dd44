/** queryMsgById and queryMsgByKey (Apache: the sub commands of these names, MQAdminImpl.queryMessage). */
import { TextDecoder } from "node:util";
import { systemClock } from "../base/clock.ts";
import { formatHost } from "../base/host.ts";
import { parseMessageId } from "../message/messageId.ts";
import { Property } from "../message/properties.ts";
import { readBean } from "../protocol/bodies/reader.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { type Admin, addressOf, isRoutedByCluster } from "./admin.ts";
import type { Command, Context } from "./command.ts";
import { optional, required } from "./commandLine.ts";
import { clientFailure, JavaFailure, parseLong, runtimeFailure } from "./failures.ts";
import { format, humanTime } from "./format.ts";
import { decodeMessages, type Message, propertiesText } from "./message.ts";
import { tracksOf } from "./messageTrack.ts";
import { describeQueue } from "./queues.ts";
import { send } from "./sendMessage.ts";

const DAY_MS = 24 * 3_600_000;
/** How old a message may be that is looked for by its unique key alone. */
const UNIQUE_KEY_AGE_MS = 3 * DAY_MS;
/** Long.MAX_VALUE. */
const FOREVER = "9223372036854775807";
const QUERY_TIMEOUT_MS = 15_000;
const HOUR_MS = 3_600_000;
const RESEND_GROUP = "ReSendMsgById";

export const queryMsgById: Command = {
  name: "queryMsgById",
  className: "QueryMsgByIdSubCommand",
  description: "Query Message by Id.",
  options: [
    required("t", "topic", "topic name"),
    required("i", "msgId", "Message Id"),
    optional("g", "consumerGroup", "consumer group name"),
    optional("d", "clientId", "The consumer's client id"),
    optional("s", "sendMessage", "resend message"),
    optional("u", "unitName", "unit name"),
    optional("f", "bodyFormat", "print message body by the specified format"),
    optional("c", "cluster", "Cluster name or lmq parent topic, lmq is used to find the route."),
  ],
  async run(context, given) {
    const topic = given.must("t");
    const cluster = given.text("c");
    const [group, client] = [given.text("g"), given.text("d")];
    const charset = given.text("f");
    const decoder = charset === undefined ? undefined : decoderOf(charset);
    const ids = given
      .must("i")
      .split(",")
      .map((id) => id.trim());
    for (const id of ids.filter((one) => one !== "")) {
      if (group !== undefined && client !== undefined) await deliver(context, topic, cluster, id, group, client);
      else if (!given.has("s")) await showMessage(context, await find(context.admin, topic, id, cluster), decoder);
      else if (given.must("s").toLowerCase() === "true") await resend(context, topic, cluster, id);
    }
  },
};

function decoderOf(charset: string): TextDecoder {
  try {
    return new TextDecoder(charset);
  } catch {
    throw new JavaFailure("java.nio.charset.UnsupportedCharsetException", charset);
  }
}

/** By its offset id at the broker that this names, else by its unique key. @throws JavaFailure when it is nowhere */
async function find(admin: Admin, topic: string, id: string, cluster: string | undefined): Promise<Message> {
  const place = parseMessageId(id);
  if (place !== undefined) {
    try {
      const header = { topic, offset: place.logOffset };
      const answer = await admin.broker(formatHost(place.host), "VIEW_MESSAGE_BY_ID", header, "broker");
      const [message] = await decodeMessages(answer.body);
      if (message !== undefined) return message;
    } catch {
      // Unique keys look like offset ids.
    }
  }
  const beginTimestamp = systemClock.now() - UNIQUE_KEY_AGE_MS;
  const [message] = await search(admin, topic, cluster, {
    key: id,
    maxNum: 32,
    beginTimestamp,
    endTimestamp: FOREVER,
    type: "U",
  });
  return message;
}

interface Search {
  key: string;
  maxNum: number;
  beginTimestamp: number;
  endTimestamp: number | string;
  /** Unique key, key, tag. */
  type: "U" | "K" | "T";
  lastKey?: string | undefined;
}

/** Asks all brokers of the topic's index. @throws JavaFailure when there is no message, or no broker */
async function search(admin: Admin, topic: string, cluster: string | undefined, what: Search): Promise<Message[]> {
  const isLight = topic.startsWith("%LMQ%");
  const routeTopic = cluster !== undefined && isRoutedByCluster(topic) ? cluster : topic;
  const { key, maxNum, beginTimestamp, endTimestamp, type, lastKey } = what;
  const header = {
    topic: isLight && cluster !== undefined ? cluster : topic,
    key,
    maxNum,
    beginTimestamp,
    endTimestamp,
    indexType: type,
    lastKey,
    _UNIQUE_KEY_QUERY: type === "U",
  };
  const route = await admin.routeIfAny(routeTopic);
  const brokers = (route?.brokerDatas ?? []).filter(
    (broker) => isLight || cluster === undefined || broker.cluster === cluster,
  );
  const places = brokers.map(addressOf).filter((address) => address !== undefined);
  if (places.length === 0) {
    throw clientFailure(ResponseCode.TOPIC_NOT_EXIST, `The topic[${topic}] not matched route info`);
  }
  const answers = await Promise.allSettled(
    places.map((address) => admin.broker(address, "QUERY_MESSAGE", header, "broker", undefined, QUERY_TIMEOUT_MS)),
  );
  const messages: Message[] = [];
  for (const answer of answers) {
    if (answer.status === "fulfilled") messages.push(...(await decodeMessages(answer.value.body)));
  }
  // The index knows hashes; others may have the same.
  const matching = messages.filter((message) => matches(message, type, key, isLight ? undefined : topic));
  if (matching.length > 0) return matching;
  throw clientFailure(ResponseCode.NO_MESSAGE, "query message by key finished, but no message.");
}

function matches(message: Message, type: Search["type"], key: string, topic: string | undefined): boolean {
  if (type === "U") return message.id === key;
  if (topic !== undefined && message.topic !== topic) return false;
  if (type === "T") return message.properties.get(Property.TAGS) === key;
  return (message.properties.get(Property.KEYS) ?? "").split(" ").includes(key);
}

async function showMessage(context: Context, message: Message, decoder: TextDecoder | undefined): Promise<void> {
  const { print } = context;
  const line = (name: string, value: unknown) => print(format("%-20s %s%n", name, value));
  const { properties } = message;
  const path = context.saveBody(message.id, message.body);
  line("OffsetID:", message.offsetId);
  line("Topic:", message.topic);
  line("Tags:", `[${properties.get(Property.TAGS) ?? null}]`);
  line("Keys:", `[${properties.get(Property.KEYS) ?? null}]`);
  line("Queue ID:", message.queueId);
  line("Queue Offset:", message.queueOffset);
  line("CommitLog Offset:", message.logOffset);
  line("Reconsume Times:", message.reconsumeTimes);
  line("Born Timestamp:", humanTime(message.bornTimestamp));
  line("Store Timestamp:", humanTime(message.storeTimestamp));
  line("Born Host:", message.bornHost);
  line("Store Host:", message.storeHost);
  line("System Flag:", message.sysFlag);
  line("Properties:", propertiesText(message));
  line("Message Body Path:", path);
  if (decoder !== undefined) line("Message Body:", decoder.decode(message.body));
  try {
    const tracks = await tracksOf(context.admin, message);
    if (tracks.length === 0) print("\n\nWARN: No Consumer");
    else print(`\n\n${tracks.join("\n")}\n`);
  } catch (error) {
    context.complain(error);
  }
}

/** Has a consumer consume a message at once. */
async function deliver(
  context: Context,
  topic: string,
  cluster: string | undefined,
  id: string,
  consumerGroup: string,
  clientId: string,
): Promise<void> {
  const { admin, print } = context;
  try {
    if (!(await admin.runningInfo(consumerGroup, clientId))?.isPush) {
      return print(`this ${clientId} client is not push consumer ,not support direct push \n`);
    }
    const message = await find(admin, topic, id, cluster);
    const header = { consumerGroup, clientId, topic, msgId: message.offsetId };
    const answer = await admin.broker(message.storeHost, "CONSUME_MESSAGE_DIRECTLY", header, "client");
    const bean = readBean("ConsumeMessageDirectlyResult", answer.body);
    print(
      `ConsumeMessageDirectlyResult [order=${bean.boolean("order", false)}, ` +
        `autoCommit=${bean.boolean("autoCommit", true)}, consumeResult=${bean.text("consumeResult") ?? null}, ` +
        `remark=${bean.text("remark") ?? null}, spentTimeMills=${bean.integer("spentTimeMills", 0)}]`,
    );
  } catch (error) {
    context.complain(error);
  }
}

/** Sends a message once more, as it is. */
async function resend(context: Context, topic: string, cluster: string | undefined, id: string): Promise<void> {
  try {
    const message = await find(context.admin, topic, id, cluster);
    context.print(`prepare resend msg. originalMsgId=${id}`);
    const sent = await send(context.admin, {
      group: RESEND_GROUP,
      topic: message.topic,
      body: message.body,
      properties: message.properties,
      flag: message.flag,
    });
    const queue = describeQueue({ topic: message.topic, brokerName: sent.brokerName, queueId: sent.queueId });
    context.print(
      `SendResult [sendStatus=${sent.status}, msgId=${sent.id}, offsetMsgId=${sent.offsetId}, messageQueue=${queue}, ` +
        `queueOffset=${sent.queueOffset}, recallHandle=${sent.recallHandle ?? null}]`,
    );
  } catch (error) {
    context.complain(error);
  }
}

export const queryMsgByKey: Command = {
  name: "queryMsgByKey",
  className: "QueryMsgByKeySubCommand",
  description: "Query Message by Key.",
  options: [
    required("t", "topic", "Topic name"),
    required("k", "msgKey", "Message Key"),
    optional("b", "beginTimestamp", "Begin timestamp(ms). default:0, eg:1676730526212"),
    optional("e", "endTimestamp", "End timestamp(ms). default:Long.MAX_VALUE, eg:1676730526212"),
    optional("m", "maxNum", "The maximum number of messages returned by the query, default:64"),
    optional("c", "cluster", "Cluster name or lmq parent topic, lmq is used to find the route."),
    optional("p", "keyType", "Index key type, default index key type is K, you can use K for keys OR T for tags"),
    optional("l", "lastKey", "Last Key"),
  ],
  async run({ admin, print }, given) {
    const [topic, key] = [given.must("t"), given.must("k")];
    const number = (option: string) => (given.has(option) ? parseLong(given.must(option)) : undefined);
    const type = given.text("p") ?? "K";
    if (type !== "K" && type !== "T") throw runtimeFailure("index type error, just support K for keys or T for tags");
    const messages = await search(admin, topic, given.text("c"), {
      key,
      maxNum: number("m") ?? 64,
      beginTimestamp: number("b") ?? 0,
      endTimestamp: number("e") ?? FOREVER,
      type,
      lastKey: given.text("l"),
    });
    print(format("%-50s %4s %40s %-200s%n", "#Message ID", "#QID", "#Offset", "#IndexKey"));
    for (const message of messages) {
      const { id, queueId, queueOffset, logOffset, storeTimestamp } = message;
      const hour = storeTimestamp - (storeTimestamp % HOUR_MS);
      // The key under which Apache's RocksDB index has it: where a next page begins.
      const indexKey = [hour, topic, type, key, id, logOffset].join("@");
      print(format("%-50s %4d %40d %-200s%n", id, queueId, queueOffset, indexKey));
    }
  },
};
