/** SubscriptionGroupConfig and SubscriptionGroupWrapper: how consumer groups may consume; also subscriptionGroup.json. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { type DataVersion, readDataVersion } from "./dataVersion.ts";
import { RETRY_POLICY_TYPE, readEnum } from "./enums.ts";
import { asBean, asMap, type Bean, readBean, textKey, toInteger, toText } from "./reader.ts";

/** GroupRetryPolicy: delays between deliveries of a message; the policy named by `type` counts. Times are ms. */
export interface GroupRetryPolicy {
  customizedRetryPolicy?: { next: number[] } | undefined;
  exponentialRetryPolicy?: { initial: number; max: number; multiplier: number } | undefined;
  type: string;
}

export interface SimpleSubscriptionData {
  expression?: string | undefined;
  expressionType?: string | undefined;
  topic?: string | undefined;
  version: number;
}

export interface SubscriptionGroupConfig {
  attributes: Map<string, string>;
  brokerId: number;
  consumeBroadcastEnable: boolean;
  consumeEnable: boolean;
  consumeFromMinEnable: boolean;
  consumeMessageOrderly: boolean;
  consumeTimeoutMinute: number;
  groupName: string;
  groupRetryPolicy: GroupRetryPolicy;
  groupSysFlag: number;
  notifyConsumerIdsChangedEnable: boolean;
  retryMaxTimes: number;
  retryQueueNums: number;
  subscriptionDataSet?: SimpleSubscriptionData[] | undefined;
  whichBrokerWhenConsumeSlowly: number;
}

export interface SubscriptionGroupWrapper {
  dataVersion: DataVersion;
  /** Group to topic to forbidden bits. */
  forbiddenTable: Map<string, Map<string, number>>;
  subscriptionGroupTable: Map<string, SubscriptionGroupConfig>;
}

/** CustomizedRetryPolicy's delays, ms: those of the delay levels 1 to 18. */
const CUSTOMIZED_NEXT = [
  1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000, 480_000, 540_000, 600_000,
  1_200_000, 1_800_000, 3_600_000, 7_200_000,
];

/** A group as `new SubscriptionGroupConfig()` makes it, with `fields` in place of the defaults. */
export function newSubscriptionGroupConfig(
  groupName: string,
  fields: Partial<SubscriptionGroupConfig> = {},
): SubscriptionGroupConfig {
  return {
    attributes: new Map(),
    brokerId: 0,
    consumeBroadcastEnable: true,
    consumeEnable: true,
    consumeFromMinEnable: true,
    consumeMessageOrderly: false,
    consumeTimeoutMinute: 15,
    groupRetryPolicy: { type: "CUSTOMIZED" },
    groupSysFlag: 0,
    notifyConsumerIdsChangedEnable: true,
    retryMaxTimes: 16,
    retryQueueNums: 1,
    whichBrokerWhenConsumeSlowly: 1,
    ...fields,
    groupName,
  };
}

export function encodeSubscriptionGroupConfig(config: SubscriptionGroupConfig): string {
  return writeJavaJson(config);
}

export function decodeSubscriptionGroupConfig(body: Buffer | string): SubscriptionGroupConfig {
  return readSubscriptionGroupConfig(readBean("SubscriptionGroupConfig", body));
}

export function encodeSubscriptionGroupWrapper(wrapper: SubscriptionGroupWrapper): string {
  return writeJavaJson(wrapper);
}

export function decodeSubscriptionGroupWrapper(body: Buffer | string): SubscriptionGroupWrapper {
  const bean = readBean("SubscriptionGroupWrapper", body);
  return {
    dataVersion: bean.bean("dataVersion", readDataVersion) ?? { counter: 0, stateVersion: 0, timestamp: 0 },
    forbiddenTable: bean.map("forbiddenTable", textKey, asMap(textKey, toInteger)) ?? new Map(),
    subscriptionGroupTable:
      bean.map("subscriptionGroupTable", textKey, asBean(readSubscriptionGroupConfig)) ?? new Map(),
  };
}

export function readSubscriptionGroupConfig(bean: Bean): SubscriptionGroupConfig {
  const absent = newSubscriptionGroupConfig(bean.text("groupName") ?? "");
  return {
    attributes: bean.map("attributes", textKey, toText) ?? absent.attributes,
    brokerId: bean.integer("brokerId", absent.brokerId),
    consumeBroadcastEnable: bean.boolean("consumeBroadcastEnable", absent.consumeBroadcastEnable),
    consumeEnable: bean.boolean("consumeEnable", absent.consumeEnable),
    consumeFromMinEnable: bean.boolean("consumeFromMinEnable", absent.consumeFromMinEnable),
    consumeMessageOrderly: bean.boolean("consumeMessageOrderly", absent.consumeMessageOrderly),
    consumeTimeoutMinute: bean.integer("consumeTimeoutMinute", absent.consumeTimeoutMinute),
    groupName: absent.groupName,
    groupRetryPolicy: bean.bean("groupRetryPolicy", readRetryPolicy) ?? absent.groupRetryPolicy,
    groupSysFlag: bean.integer("groupSysFlag", absent.groupSysFlag),
    notifyConsumerIdsChangedEnable: bean.boolean(
      "notifyConsumerIdsChangedEnable",
      absent.notifyConsumerIdsChangedEnable,
    ),
    retryMaxTimes: bean.integer("retryMaxTimes", absent.retryMaxTimes),
    retryQueueNums: bean.integer("retryQueueNums", absent.retryQueueNums),
    subscriptionDataSet: bean.list("subscriptionDataSet", asBean(readSimpleSubscription)),
    whichBrokerWhenConsumeSlowly: bean.integer("whichBrokerWhenConsumeSlowly", absent.whichBrokerWhenConsumeSlowly),
  };
}

function readRetryPolicy(bean: Bean): GroupRetryPolicy {
  return {
    customizedRetryPolicy: bean.bean("customizedRetryPolicy", (policy) => ({
      next: policy.list("next", toInteger) ?? [...CUSTOMIZED_NEXT],
    })),
    exponentialRetryPolicy: bean.bean("exponentialRetryPolicy", (policy) => ({
      initial: policy.integer("initial", 5_000),
      max: policy.integer("max", 7_200_000),
      multiplier: policy.integer("multiplier", 2),
    })),
    type: readEnum(bean, "type", RETRY_POLICY_TYPE) ?? "CUSTOMIZED",
  };
}

function readSimpleSubscription(bean: Bean): SimpleSubscriptionData {
  return {
    expression: bean.text("expression"),
    expressionType: bean.text("expressionType"),
    topic: bean.text("topic"),
    version: bean.integer("version", 0),
  };
}
