/** config/consumerFilter.json: ConsumerFilterManager with its FilterDataMapByTopic and ConsumerFilterData. */
import { javaStamp, writeJavaJson } from "../javaJson.ts";
import { asBean, type Bean, readBean, textKey, toInteger } from "./reader.ts";

export interface ConsumerFilterData {
  bloomFilterData: { bitNum: number; bitPos: readonly number[] } | undefined;
  /** When the subscription came, ms. */
  bornTime: number;
  /** subVersion of the subscription. */
  clientVersion: number;
  consumerGroup: string;
  /** When the group's last consumer left, ms; 0 while it lives. */
  deadTime: number;
  expression: string;
  expressionType: string;
  topic: string;
}

/** By topic, then by group. */
export type ConsumerFilterTable = Map<string, Map<string, ConsumerFilterData>>;

export function encodeConsumerFilters(table: ConsumerFilterTable): string {
  const filterDataByTopic = new Map<string, unknown>();
  for (const [topic, groups] of table) {
    const groupFilterData = new Map<string, unknown>();
    for (const [group, data] of groups) groupFilterData.set(group, bean(data));
    filterDataByTopic.set(topic, { groupFilterData, topic });
  }
  return writeJavaJson({ filterDataByTopic });
}

/** In fastjson's order, with its derived field. */
function bean(data: ConsumerFilterData): unknown {
  return {
    bloomFilterData: data.bloomFilterData,
    bornTime: data.bornTime,
    clientVersion: javaStamp(data.clientVersion),
    consumerGroup: data.consumerGroup,
    dead: data.deadTime >= data.bornTime,
    deadTime: data.deadTime,
    expression: data.expression,
    expressionType: data.expressionType,
    topic: data.topic,
  };
}

/** @throws BodyError */
export function decodeConsumerFilters(text: string): ConsumerFilterTable {
  const topics = readBean("ConsumerFilterManager", text).map("filterDataByTopic", textKey, asBean(readTopic));
  return topics ?? new Map();
}

function readTopic(topic: Bean): Map<string, ConsumerFilterData> {
  return topic.map("groupFilterData", textKey, asBean(readData)) ?? new Map();
}

function readData(data: Bean): ConsumerFilterData {
  return {
    bloomFilterData: data.bean("bloomFilterData", (bloom) => ({
      bitNum: bloom.integer("bitNum", 0),
      bitPos: bloom.list("bitPos", toInteger) ?? [],
    })),
    bornTime: data.integer("bornTime", 0),
    clientVersion: data.stamp("clientVersion", 0),
    consumerGroup: data.text("consumerGroup") ?? "",
    deadTime: data.integer("deadTime", 0),
    expression: data.text("expression") ?? "",
    expressionType: data.text("expressionType") ?? "",
    topic: data.text("topic") ?? "",
  };
}
