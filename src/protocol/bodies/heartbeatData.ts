/** HeartbeatData: the producer and consumer groups of one client, with the consumers' subscriptions. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { CONSUME_FROM_WHERE, CONSUME_TYPE, MESSAGE_MODEL, readEnum } from "./enums.ts";
import { asBean, type Bean, readBean } from "./reader.ts";
import { readSubscriptionData, type SubscriptionData } from "./subscriptionData.ts";

export interface ProducerData {
  groupName: string;
}

export interface ConsumerData {
  consumeFromWhere?: string | undefined;
  consumeType?: string | undefined;
  groupName: string;
  messageModel?: string | undefined;
  subscriptionDataSet: SubscriptionData[];
  unitMode: boolean;
}

export interface HeartbeatData {
  clientID: string;
  consumerDataSet: ConsumerData[];
  /** Hash of the subscriptions; 0 from clients without heartbeat V2. */
  heartbeatFingerprint: number;
  producerDataSet: ProducerData[];
  /** Heartbeat V2: the subscriptions were sent before and did not change. */
  withoutSub: boolean;
}

export function encodeHeartbeatData(data: HeartbeatData): string {
  return writeJavaJson(data);
}

export function decodeHeartbeatData(body: Buffer | string): HeartbeatData {
  const bean = readBean("HeartbeatData", body);
  return {
    clientID: bean.text("clientID") ?? "",
    consumerDataSet: bean.list("consumerDataSet", asBean(readConsumerData)) ?? [],
    heartbeatFingerprint: bean.integer("heartbeatFingerprint", 0),
    producerDataSet:
      bean.list(
        "producerDataSet",
        asBean((producer) => ({ groupName: producer.text("groupName") ?? "" })),
      ) ?? [],
    withoutSub: bean.boolean("withoutSub", false),
  };
}

function readConsumerData(bean: Bean): ConsumerData {
  return {
    consumeFromWhere: readEnum(bean, "consumeFromWhere", CONSUME_FROM_WHERE),
    consumeType: readEnum(bean, "consumeType", CONSUME_TYPE),
    groupName: bean.text("groupName") ?? "",
    messageModel: readEnum(bean, "messageModel", MESSAGE_MODEL),
    subscriptionDataSet: bean.list("subscriptionDataSet", asBean(readSubscriptionData)) ?? [],
    unitMode: bean.boolean("unitMode", false),
  };
}
