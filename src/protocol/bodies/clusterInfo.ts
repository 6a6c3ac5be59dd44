/** ClusterInfo: every cluster, its broker names and their addresses; answer to GET_BROKER_CLUSTER_INFO. */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { asBean, asList, readBean, textKey, toText } from "./reader.ts";
import { type BrokerData, readBrokerData } from "./topicRoute.ts";

export interface ClusterInfo {
  brokerAddrTable: Map<string, BrokerData>;
  /** Cluster name to broker names. */
  clusterAddrTable: Map<string, string[]>;
}

/** Apache writes this body with unquoted broker ids for every client. */
export function encodeClusterInfo(info: ClusterInfo): string {
  return writeJavaJson(info);
}

export function decodeClusterInfo(body: Buffer | string): ClusterInfo {
  const bean = readBean("ClusterInfo", body);
  return {
    brokerAddrTable: bean.map("brokerAddrTable", textKey, asBean(readBrokerData)) ?? new Map(),
    clusterAddrTable: bean.map("clusterAddrTable", textKey, asList(toText)) ?? new Map(),
  };
}
