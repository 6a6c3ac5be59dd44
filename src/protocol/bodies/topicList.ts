/** TopicList: names of topics; the answer to every "which topics" request. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { readBean, toText } from "./reader.ts";

export interface TopicList {
  /** Only with system topics: a broker to ask for its own ones. */
  brokerAddr?: string | undefined;
  topicList: string[];
}

export function encodeTopicList(list: TopicList): string {
  return writeJavaJson(list);
}

export function decodeTopicList(body: Buffer | string): TopicList {
  const bean = readBean("TopicList", body);
  return { brokerAddr: bean.text("brokerAddr"), topicList: bean.list("topicList", toText) ?? [] };
}
