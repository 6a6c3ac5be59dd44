/**
 * TopicConfig: queues, permission and attributes of a topic on one broker, as JSON and as the line
 * `name readQueueNums writeQueueNums perm topicFilterType {"attribute":"value"}` of a compressed registration.
 */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { type Bean, BodyError, readBean, textKey, toText } from "./reader.ts";

export interface TopicConfig {
  attributes: Map<string, string>;
  order: boolean;
  /** PermName bits. */
  perm: number;
  readQueueNums: number;
  topicFilterType: string;
  topicName: string;
  topicSysFlag: number;
  writeQueueNums: number;
}

/** PermName. */
export const PERM_PRIORITY = 8;
export const PERM_READ = 4;
export const PERM_WRITE = 2;
export const PERM_INHERIT = 1;

/** A topic as `new TopicConfig(topicName)` makes it, with `fields` in place of the defaults. */
export function newTopicConfig(topicName: string, fields: Partial<TopicConfig> = {}): TopicConfig {
  return {
    attributes: new Map(),
    order: false,
    perm: PERM_READ | PERM_WRITE,
    readQueueNums: 16,
    topicFilterType: "SINGLE_TAG",
    topicSysFlag: 0,
    writeQueueNums: 16,
    ...fields,
    topicName,
  };
}

/** As Apache prints a topic in its remarks (TopicConfig.toString); attributes in the order of their map. */
export function describeTopicConfig(config: TopicConfig): string {
  const { perm } = config;
  const perms = `${perm & PERM_READ ? "R" : "-"}${perm & PERM_WRITE ? "W" : "-"}${perm & PERM_INHERIT ? "X" : "-"}`;
  const attributes = [...config.attributes].map(([key, value]) => `${key}=${value}`).join(", ");
  return (
    `TopicConfig [topicName=${config.topicName}, readQueueNums=${config.readQueueNums}, ` +
    `writeQueueNums=${config.writeQueueNums}, perm=${perms}, topicFilterType=${config.topicFilterType}, ` +
    `topicSysFlag=${config.topicSysFlag}, order=${config.order}, attributes={${attributes}}]`
  );
}

export function encodeTopicConfig(config: TopicConfig): string {
  return writeJavaJson(config);
}

export function decodeTopicConfig(body: Buffer | string): TopicConfig {
  return readTopicConfig(readBean("TopicConfig", body));
}

export function readTopicConfig(bean: Bean): TopicConfig {
  return {
    attributes: bean.map("attributes", textKey, toText) ?? new Map(),
    order: bean.boolean("order", false),
    perm: bean.integer("perm", PERM_READ | PERM_WRITE),
    readQueueNums: bean.integer("readQueueNums", 16),
    topicFilterType: bean.text("topicFilterType") ?? "SINGLE_TAG",
    topicName: bean.text("topicName") ?? "",
    topicSysFlag: bean.integer("topicSysFlag", 0),
    writeQueueNums: bean.integer("writeQueueNums", 16),
  };
}

/** The line of a compressed registration. It carries neither topicSysFlag nor order. */
export function encodeTopicConfigLine(config: TopicConfig): string {
  const { topicName, readQueueNums, writeQueueNums, perm, topicFilterType, attributes } = config;
  return `${topicName} ${readQueueNums} ${writeQueueNums} ${perm} ${topicFilterType} ${writeJavaJson(attributes)}`;
}

/** Reverse of {@link encodeTopicConfigLine}; attributes may contain blanks (Apache's own reader drops those). */
export function decodeTopicConfigLine(line: string): TopicConfig {
  const match = /^(\S+) (-?\d+) (-?\d+) (-?\d+) (\S+)(?: (.*))?$/s.exec(line);
  if (match === null) throw new BodyError(`TopicConfig: "${line.slice(0, 100)}" is not a topic line`);
  const [, topicName, reads, writes, perm, topicFilterType, attributes] = match;
  return newTopicConfig(topicName, {
    readQueueNums: Number(reads),
    writeQueueNums: Number(writes),
    perm: Number(perm),
    topicFilterType,
    attributes: attributes ? readAttributes(attributes) : new Map(),
  });
}

function readAttributes(json: string): Map<string, string> {
  return readBean("TopicConfig.attributes", `{"attributes":${json}}`).map("attributes", textKey, toText) ?? new Map();
}
