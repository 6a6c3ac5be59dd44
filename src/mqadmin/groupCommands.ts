/** updateSubGroup and consumerConnection (Apache: UpdateSubGroupSubCommand, ConsumerConnectionSubCommand). */
import { javaHashCode } from "../base/javaHash.ts";
import { readBean } from "../protocol/bodies/reader.ts";
import {
  decodeSubscriptionGroupConfig,
  type GroupRetryPolicy,
  newSubscriptionGroupConfig,
  type SubscriptionGroupConfig,
} from "../protocol/bodies/subscriptionGroup.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { versionName } from "../protocol/versionName.ts";
import { attributeChanges } from "./changeTopics.ts";
import { type Command, type Context, mastersOf, NothingNamed } from "./command.ts";
import { type Given, optional, required } from "./commandLine.ts";
import { JavaFailure, parseLong } from "./failures.ts";
import { format, hashOrder } from "./format.ts";

const POLICY =
  'the json string of retry policy ( exp: {"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2}} ' +
  '{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[1000,5000,10000]}} )';

export const updateSubGroup: Command = {
  name: "updateSubGroup",
  className: "UpdateSubGroupSubCommand",
  description: "Update or create subscription group.",
  options: [
    optional("b", "brokerAddr", "create subscription group to which broker"),
    optional("c", "clusterName", "create subscription group to which cluster"),
    required("g", "groupName", "consumer group name"),
    optional("s", "consumeEnable", "consume enable"),
    optional("m", "consumeFromMinEnable", "from min offset"),
    optional("d", "consumeBroadcastEnable", "broadcast"),
    optional("o", "consumeMessageOrderly", "consume message orderly"),
    optional("q", "retryQueueNums", "retry queue nums"),
    optional("r", "retryMaxTimes", "retry max times"),
    optional("p", "groupRetryPolicy", POLICY),
    optional("i", "brokerId", "consumer from which broker id"),
    optional("w", "whichBrokerWhenConsumeSlowly", "which broker id when consume slowly"),
    optional("a", "notifyConsumerIdsChanged", "notify consumerId changed"),
    { long: "attributes", text: "attribute(+a=b,+c=d,-e)", value: true },
  ],
  async run(context, given) {
    const group = wanted(given);
    const address = given.text("b");
    if (address !== undefined) await create(context, address, group);
    else {
      const cluster = given.text("c");
      if (cluster === undefined) throw new NothingNamed();
      for (const master of await mastersOf(context, cluster)) {
        try {
          await create(context, master, group);
        } catch (error) {
          context.complain(error);
        }
      }
    }
    context.print(describeGroup(group));
  },
};

function wanted(given: Given): SubscriptionGroupConfig {
  const group = newSubscriptionGroupConfig(given.must("g"), {
    consumeBroadcastEnable: false,
    consumeFromMinEnable: false,
  });
  const yes = (key: string, absent: boolean) => (given.has(key) ? given.must(key).toLowerCase() === "true" : absent);
  const number = (key: string, absent: number) => (given.has(key) ? parseLong(given.must(key)) : absent);
  group.consumeEnable = yes("s", group.consumeEnable);
  group.consumeFromMinEnable = yes("m", group.consumeFromMinEnable);
  group.consumeBroadcastEnable = yes("d", group.consumeBroadcastEnable);
  group.consumeMessageOrderly = yes("o", group.consumeMessageOrderly);
  group.retryQueueNums = number("q", group.retryQueueNums);
  group.retryMaxTimes = number("r", group.retryMaxTimes);
  if (given.has("p")) group.groupRetryPolicy = policyOf(given.must("p"), group.groupName);
  group.brokerId = number("i", group.brokerId);
  group.whichBrokerWhenConsumeSlowly = number("w", group.whichBrokerWhenConsumeSlowly);
  group.notifyConsumerIdsChangedEnable = yes("a", group.notifyConsumerIdsChangedEnable);
  group.attributes = attributeChanges(given.text("attributes"));
  return group;
}

function policyOf(json: string, groupName: string): GroupRetryPolicy {
  try {
    const type = readBean("GroupRetryPolicy", json).text("type");
    if (type !== undefined && !/^(EXPONENTIAL|CUSTOMIZED|[01])$/i.test(type)) {
      throw new Error(`the type ${type} is neither EXPONENTIAL nor CUSTOMIZED`);
    }
    const name = JSON.stringify(groupName);
    return decodeSubscriptionGroupConfig(`{"groupName":${name},"groupRetryPolicy":${json}}`).groupRetryPolicy;
  } catch (error) {
    throw new JavaFailure("com.alibaba.fastjson2.JSONException", (error as Error).message);
  }
}

async function create({ admin, print }: Context, address: string, group: SubscriptionGroupConfig): Promise<void> {
  await admin.broker(address, "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP", {}, "client", writeJavaJson(group));
  print(`create subscription group to ${address} success.\n`);
}

/** SubscriptionGroupConfig.toString. */
function describeGroup(group: SubscriptionGroupConfig): string {
  const { exponentialRetryPolicy: exponential, customizedRetryPolicy: customized } = group.groupRetryPolicy;
  const grows =
    exponential &&
    `ExponentialRetryPolicy{initial=${exponential.initial}, max=${exponential.max}, multiplier=${exponential.multiplier}}`;
  const policy =
    `GroupRetryPolicy{type=${group.groupRetryPolicy.type}, exponentialRetryPolicy=${grows ?? null}, ` +
    `customizedRetryPolicy=${customized ? `CustomizedRetryPolicy{next=[${customized.next.join(", ")}]}` : null}}`;
  const attributes = [...group.attributes].map(([key, value]) => `${key}=${value}`).join(", ");
  return (
    `SubscriptionGroupConfig{groupName=${group.groupName}, consumeEnable=${group.consumeEnable}, ` +
    `consumeFromMinEnable=${group.consumeFromMinEnable}, consumeBroadcastEnable=${group.consumeBroadcastEnable}, ` +
    `consumeMessageOrderly=${group.consumeMessageOrderly}, retryQueueNums=${group.retryQueueNums}, ` +
    `retryMaxTimes=${group.retryMaxTimes}, groupRetryPolicy=${policy}, brokerId=${group.brokerId}, ` +
    `whichBrokerWhenConsumeSlowly=${group.whichBrokerWhenConsumeSlowly}, ` +
    `notifyConsumerIdsChangedEnable=${group.notifyConsumerIdsChangedEnable}, groupSysFlag=${group.groupSysFlag}, ` +
    `consumeTimeoutMinute=${group.consumeTimeoutMinute}, subscriptionDataSet=null, attributes={${attributes}}}`
  );
}

export const consumerConnection: Command = {
  name: "consumerConnection",
  className: "ConsumerConnectionSubCommand",
  description: "Query consumer's socket connection, client version and subscription.",
  options: [required("g", "consumerGroup", "consumer group name"), optional("b", "brokerAddr", "broker address")],
  async run({ admin, print }, given) {
    const group = given.must("g");
    const address = given.text("b");
    const found = await (address === undefined ? admin.consumers(group) : admin.consumerConnection(address, group));
    const row = "%-36s %-22s %-10s %s%n";
    print(format(row, "#ClientId", "#ClientAddr", "#Language", "#Version"));
    for (const { clientId, clientAddr, language, version } of found.connectionSet) {
      print(format(row, clientId, clientAddr, language, versionName(version)));
    }
    print(`\nBelow is subscription:\n${format("%-20s %s%n", "#Topic", "#SubExpression")}`);
    const subscriptions = hashOrder([...found.subscriptionTable.values()], ({ topic }) => javaHashCode(topic));
    for (const { topic, subString } of subscriptions) print(format("%-20s %s%n", topic, subString));
    print(`\nConsumeType: ${found.consumeType ?? null}\nMessageModel: ${found.messageModel ?? null}\n`);
    print(`ConsumeFromWhere: ${found.consumeFromWhere ?? null}\n`);
  },
};
