/** SubscriptionData: which messages of a topic a consumer group wants. */
import type { Buffer } from "node:buffer";
import { javaStamp, writeJavaJson } from "../javaJson.ts";
import { type Bean, readBean, toInteger, toText } from "./reader.ts";

export interface SubscriptionData {
  classFilterMode: boolean;
  /** Java's hash codes of the tags. */
  codeSet: number[];
  /** TAG or SQL92. */
  expressionType: string;
  subString: string;
  /** When the client made it, ms; the newer subscription of a group wins. */
  subVersion: number;
  tagsSet: string[];
  topic: string;
}

/** SubscriptionData.SUB_ALL. */
export const SUB_ALL = "*";

export function encodeSubscriptionData(data: SubscriptionData): string {
  return writeJavaJson(subscriptionBean(data));
}

/** As it stands in other bodies. */
export function subscriptionBean(data: SubscriptionData): unknown {
  return { ...data, subVersion: javaStamp(data.subVersion) };
}

export function decodeSubscriptionData(body: Buffer | string): SubscriptionData {
  return readSubscriptionData(readBean("SubscriptionData", body));
}

export function readSubscriptionData(bean: Bean): SubscriptionData {
  return {
    classFilterMode: bean.boolean("classFilterMode", false),
    codeSet: bean.list("codeSet", toInteger) ?? [],
    expressionType: bean.text("expressionType") ?? "TAG",
    subString: bean.text("subString") ?? "",
    subVersion: bean.stamp("subVersion", 0),
    tagsSet: bean.list("tagsSet", toText) ?? [],
    topic: bean.text("topic") ?? "",
  };
}
