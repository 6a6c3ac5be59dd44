/** updateTopic and deleteTopic (Apache: UpdateTopicSubCommand, DeleteTopicSubCommand, AttributeParser, TopicSysFlag). */
import { javaHashCode } from "../base/javaHash.ts";
import { parseAttributeChanges } from "../broker/attributes.ts";
import {
  describeTopicConfig,
  newTopicConfig,
  PERM_PRIORITY,
  type TopicConfig,
} from "../protocol/bodies/topicConfig.ts";
import { brokerNameAt, brokerNamesOf, type Command, type Context, mastersOf } from "./command.ts";
import { type Given, oneOf, optional, required } from "./commandLine.ts";
import { clientFailure, parseLong, runtimeFailure } from "./failures.ts";
import { hashOrder } from "./format.ts";

/** Queues of a topic whose number nobody gives. */
const QUEUES = 8;
const NO_PERMISSION = 16;
const UNIT_FLAG = 1;
const UNIT_SUB_FLAG = 2;
const ORDER_NAMESPACE = "ORDER_TOPIC_CONFIG";
const AUTO_CREATE_TOPIC = "TBW102";

export const updateTopic: Command = {
  name: "updateTopic",
  className: "UpdateTopicSubCommand",
  description: "Update or create topic.",
  options: [
    oneOf("where", "b", "brokerAddr", "create topic to which broker"),
    oneOf("where", "c", "clusterName", "create topic to which cluster"),
    optional("a", "attributes", "attribute(+a=b,+c=d,-e)"),
    required("t", "topic", "topic name"),
    optional("r", "readQueueNums", "set read queue nums"),
    optional("w", "writeQueueNums", "set write queue nums"),
    optional("p", "perm", "set topic's permission(2|4|6), intro[2:W 4:R; 6:RW]"),
    optional("o", "order", "set topic's order(true|false)"),
    optional("u", "unit", "is unit topic (true|false)"),
    optional("s", "hasUnitSub", "has unit sub (true|false)"),
  ],
  async run(context, given) {
    const topic = wanted(given);
    const address = given.text("b");
    if (address === undefined) await updateCluster(context, given.must("c"), topic);
    else await updateBroker(context, address, topic);
    context.print(`${describeTopicConfig(topic)}\n`);
  },
};

function wanted(given: Given): TopicConfig {
  const number = (key: string, absent: number) => {
    const text = given.text(key);
    return text === undefined ? absent : parseLong(text);
  };
  const yes = (key: string) => given.text(key)?.toLowerCase() === "true";
  const topic = newTopicConfig(given.must("t"), { readQueueNums: QUEUES, writeQueueNums: QUEUES });
  topic.attributes = attributeChanges(given.text("a"));
  topic.readQueueNums = number("r", topic.readQueueNums);
  topic.writeQueueNums = number("w", topic.writeQueueNums);
  topic.perm = number("p", topic.perm);
  topic.topicSysFlag = (yes("u") ? UNIT_FLAG : 0) | (yes("s") ? UNIT_SUB_FLAG : 0);
  topic.order = yes("o");
  return topic;
}

/** `+key=value,-key` as signed changes, in the order of the HashMap they are in. */
export function attributeChanges(text: string | undefined): Map<string, string> {
  try {
    return new Map(hashOrder([...parseAttributeChanges(text)], ([key]) => javaHashCode(key)));
  } catch (error) {
    throw runtimeFailure((error as Error).message);
  }
}

async function updateBroker(context: Context, address: string, topic: TopicConfig): Promise<void> {
  const { admin, print } = context;
  await create(context, address, topic);
  if (topic.order) {
    const part = `${await brokerNameAt(context, address)}:${topic.writeQueueNums}`;
    await admin.putKvConfig(ORDER_NAMESPACE, topic.topicName, await withPart(context, topic.topicName, part));
    print(`set broker orderConf. isOrder=true, orderConf=[${part}]\n`);
  }
  print(`create topic to ${address} success.\n`);
}

/** The order configuration of a topic with one broker's part put into it. */
async function withPart(context: Context, topic: string, part: string): Promise<string> {
  let old: string | undefined;
  try {
    old = await context.admin.kvConfig(ORDER_NAMESPACE, topic);
  } catch (error) {
    context.complain(error);
  }
  const parts = new Map((old ?? "").split(";").map((one) => [one.split(":", 1)[0], one]));
  parts.delete("");
  parts.set(part.split(":", 1)[0], part);
  return [...parts.values()].join(";");
}

async function updateCluster(context: Context, cluster: string, topic: TopicConfig): Promise<void> {
  for (const address of await mastersOf(context, cluster)) {
    await create(context, address, topic);
    context.print(`create topic to ${address} success.\n`);
  }
  if (!topic.order) return;
  const names = await brokerNamesOf(context, cluster);
  const conf = names.map((name) => `${name}:${topic.writeQueueNums}`).join(";");
  await context.admin.putKvConfig(ORDER_NAMESPACE, topic.topicName, conf);
  context.print(`set cluster orderConf. isOrder=true, orderConf=[${conf}]\n`);
}

async function create({ admin }: Context, address: string, topic: TopicConfig): Promise<void> {
  if (topic.perm < 0 || topic.perm >= PERM_PRIORITY) {
    throw clientFailure(NO_PERMISSION, `topicPermission value: ${topic.perm} is invalid.`);
  }
  const { topicName, readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order } = topic;
  const header = {
    topic: topicName,
    defaultTopic: AUTO_CREATE_TOPIC,
    readQueueNums,
    writeQueueNums,
    perm,
    topicFilterType,
    topicSysFlag,
    order,
    attributes: [...topic.attributes].map(([key, value]) => (value === "" ? key : `${key}=${value}`)).join(","),
  };
  await admin.broker(address, "UPDATE_AND_CREATE_TOPIC", header, "client");
}

export const deleteTopic: Command = {
  name: "deleteTopic",
  className: "DeleteTopicSubCommand",
  description: "Delete topic from broker and NameServer.",
  options: [required("t", "topic", "topic name"), required("c", "clusterName", "delete topic from which cluster")],
  async run(context, given) {
    const { admin, print } = context;
    const [topic, clusterName] = [given.must("t"), given.must("c")];
    for (const address of await mastersOf(context, clusterName)) {
      await admin.broker(address, "DELETE_TOPIC_IN_BROKER", { topic }, "client");
    }
    print(`delete topic [${topic}] from cluster [${clusterName}] success.\n`);
    for (const address of admin.nameServers) {
      await admin.broker(address, "DELETE_TOPIC_IN_NAMESRV", { topic, clusterName }, "client");
    }
    print(`delete topic [${topic}] from NameServer success.\n`);
  },
};
