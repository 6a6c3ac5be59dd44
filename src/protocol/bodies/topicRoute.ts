/** TopicRouteData: the brokers of a topic and the queues each of them has; answer to GET_ROUTEINFO_BY_TOPIC. */
import type { Buffer } from "node:buffer";
import { JAVA_JSON, STANDARD_JSON, writeJavaJson } from "../javaJson.ts";
import { asBean, asList, type Bean, integerKey, readBean, textKey, toText } from "./reader.ts";
import { readTopicQueueMappingInfo, type TopicQueueMappingInfo } from "./topicQueueMapping.ts";

export interface QueueData {
  brokerName: string;
  perm: number;
  readQueueNums: number;
  topicSysFlag: number;
  writeQueueNums: number;
}

/** A master and its slaves. */
export interface BrokerData {
  /** Broker id (0 is the master) to `ip:port`. */
  brokerAddrs: Map<number, string>;
  brokerName: string;
  cluster: string;
  enableActingMaster: boolean;
  zoneName?: string | undefined;
}

export interface TopicRouteData {
  brokerDatas: BrokerData[];
  /** Broker address to filter servers. */
  filterServerTable: Map<string, string[]>;
  orderTopicConf?: string | undefined;
  queueDatas: QueueData[];
  /** Broker name to its part of a static topic. */
  topicQueueMappingByBroker?: Map<string, TopicQueueMappingInfo> | undefined;
}

/** With `standardJson` integer keys are quoted: for clients from 4.9.4 on, and those that ask for it. */
export function encodeTopicRouteData(route: TopicRouteData, standardJson: boolean): string {
  return writeJavaJson(route, standardJson ? STANDARD_JSON : JAVA_JSON);
}

export function decodeTopicRouteData(body: Buffer | string): TopicRouteData {
  const bean = readBean("TopicRouteData", body);
  return {
    brokerDatas: bean.list("brokerDatas", asBean(readBrokerData)) ?? [],
    filterServerTable: bean.map("filterServerTable", textKey, asList(toText)) ?? new Map(),
    orderTopicConf: bean.text("orderTopicConf"),
    queueDatas: bean.list("queueDatas", asBean(readQueueData)) ?? [],
    topicQueueMappingByBroker: bean.map("topicQueueMappingByBroker", textKey, asBean(readTopicQueueMappingInfo)),
  };
}

export function readQueueData(bean: Bean): QueueData {
  return {
    brokerName: bean.text("brokerName") ?? "",
    perm: bean.integer("perm", 0),
    readQueueNums: bean.integer("readQueueNums", 0),
    topicSysFlag: bean.integer("topicSysFlag", 0),
    writeQueueNums: bean.integer("writeQueueNums", 0),
  };
}

export function readBrokerData(bean: Bean): BrokerData {
  return {
    brokerAddrs: bean.map("brokerAddrs", integerKey, toText) ?? new Map(),
    brokerName: bean.text("brokerName") ?? "",
    cluster: bean.text("cluster") ?? "",
    enableActingMaster: bean.boolean("enableActingMaster", false),
    zoneName: bean.text("zoneName"),
  };
}
