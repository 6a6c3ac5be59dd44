/** ConsumerConnection and ProducerConnection: who is connected for a group. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { CONSUME_FROM_WHERE, CONSUME_TYPE, MESSAGE_MODEL, readEnum } from "./enums.ts";
import { asBean, type Bean, readBean, textKey } from "./reader.ts";
import { readSubscriptionData, type SubscriptionData, subscriptionBean } from "./subscriptionData.ts";

export interface Connection {
  clientAddr: string;
  clientId: string;
  /** LanguageCode name. */
  language: string;
  /** MQVersion ordinal. */
  version: number;
}

export interface ConsumerConnection {
  connectionSet: Connection[];
  consumeFromWhere?: string | undefined;
  consumeType?: string | undefined;
  messageModel?: string | undefined;
  subscriptionTable: Map<string, SubscriptionData>;
}

export function encodeConsumerConnection(connection: ConsumerConnection): string {
  const table = [...connection.subscriptionTable].map(([topic, data]) => [topic, subscriptionBean(data)] as const);
  return writeJavaJson({ ...connection, subscriptionTable: new Map(table) });
}

export function decodeConsumerConnection(body: Buffer | string): ConsumerConnection {
  const bean = readBean("ConsumerConnection", body);
  return {
    connectionSet: bean.list("connectionSet", asBean(readConnection)) ?? [],
    consumeFromWhere: readEnum(bean, "consumeFromWhere", CONSUME_FROM_WHERE),
    consumeType: readEnum(bean, "consumeType", CONSUME_TYPE),
    messageModel: readEnum(bean, "messageModel", MESSAGE_MODEL),
    subscriptionTable: bean.map("subscriptionTable", textKey, asBean(readSubscriptionData)) ?? new Map(),
  };
}

export function encodeProducerConnection(connectionSet: readonly Connection[]): string {
  return writeJavaJson({ connectionSet });
}

export function decodeProducerConnection(body: Buffer | string): Connection[] {
  return readBean("ProducerConnection", body).list("connectionSet", asBean(readConnection)) ?? [];
}

function readConnection(bean: Bean): Connection {
  return {
    clientAddr: bean.text("clientAddr") ?? "",
    clientId: bean.text("clientId") ?? "",
    language: bean.text("language") ?? "OTHER",
    version: bean.integer("version", 0),
  };
}
