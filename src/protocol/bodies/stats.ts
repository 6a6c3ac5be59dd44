/** TopicStatsTable and ConsumeStats: offsets per queue, keyed by the queue itself. */
import type { Buffer } from "node:buffer";
import { javaDouble, writeJavaJson } from "../javaJson.ts";
import { type MessageQueue, messageQueueKey } from "./messageQueue.ts";
import { asBean, type Bean, readBean } from "./reader.ts";

export interface TopicOffset {
  /** Store time of the newest message, ms; 0 for an empty queue. */
  lastUpdateTimestamp: number;
  maxOffset: number;
  minOffset: number;
}

export interface TopicStats {
  offsetTable: Map<MessageQueue, TopicOffset>;
  topicPutTps: number;
}

export interface OffsetWrapper {
  brokerOffset: number;
  consumerOffset: number;
  /** Store time of the last consumed message, ms. */
  lastTimestamp: number;
  pullOffset: number;
}

export interface ConsumeStats {
  consumeTps: number;
  offsetTable: Map<MessageQueue, OffsetWrapper>;
}

export function encodeTopicStats(stats: TopicStats): string {
  return writeJavaJson({ ...stats, topicPutTps: javaDouble(stats.topicPutTps) });
}

export function decodeTopicStats(body: Buffer | string): TopicStats {
  const bean = readBean("TopicStatsTable", body);
  return {
    offsetTable: bean.map("offsetTable", messageQueueKey, asBean(readTopicOffset)) ?? new Map(),
    topicPutTps: bean.double("topicPutTps", 0),
  };
}

export function encodeConsumeStats(stats: ConsumeStats): string {
  return writeJavaJson({ ...stats, consumeTps: javaDouble(stats.consumeTps) });
}

export function decodeConsumeStats(body: Buffer | string): ConsumeStats {
  const bean = readBean("ConsumeStats", body);
  return {
    consumeTps: bean.double("consumeTps", 0),
    offsetTable: bean.map("offsetTable", messageQueueKey, asBean(readOffsetWrapper)) ?? new Map(),
  };
}

function readTopicOffset(bean: Bean): TopicOffset {
  return {
    lastUpdateTimestamp: bean.integer("lastUpdateTimestamp", 0),
    maxOffset: bean.integer("maxOffset", 0),
    minOffset: bean.integer("minOffset", 0),
  };
}

function readOffsetWrapper(bean: Bean): OffsetWrapper {
  return {
    brokerOffset: bean.integer("brokerOffset", 0),
    consumerOffset: bean.integer("consumerOffset", 0),
    lastTimestamp: bean.integer("lastTimestamp", 0),
    pullOffset: bean.integer("pullOffset", 0),
  };
}
