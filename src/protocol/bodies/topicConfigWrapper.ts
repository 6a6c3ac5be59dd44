/**
 * TopicConfigAndMappingSerializeWrapper, the superset of TopicConfigSerializeWrapper: a broker's topic table, as slaves
 * fetch it (GET_ALL_TOPIC_CONFIG) and as it is registered at a NameServer.
 */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import { type DataVersion, readDataVersion } from "./dataVersion.ts";
import { asBean, type Bean, readBean, textKey } from "./reader.ts";
import { readTopicConfig, type TopicConfig } from "./topicConfig.ts";
import {
  readTopicQueueMappingDetail,
  readTopicQueueMappingInfo,
  type TopicQueueMappingDetail,
  type TopicQueueMappingInfo,
} from "./topicQueueMapping.ts";

export interface TopicConfigWrapper {
  dataVersion: DataVersion;
  mappingDataVersion: DataVersion;
  topicConfigTable: Map<string, TopicConfig>;
  topicQueueMappingDetailMap: Map<string, TopicQueueMappingDetail>;
  topicQueueMappingInfoMap: Map<string, TopicQueueMappingInfo>;
}

export function newTopicConfigWrapper(fields: Partial<TopicConfigWrapper> = {}): TopicConfigWrapper {
  return {
    dataVersion: { counter: 0, stateVersion: 0, timestamp: 0 },
    mappingDataVersion: { counter: 0, stateVersion: 0, timestamp: 0 },
    topicConfigTable: new Map(),
    topicQueueMappingDetailMap: new Map(),
    topicQueueMappingInfoMap: new Map(),
    ...fields,
  };
}

export function encodeTopicConfigWrapper(wrapper: TopicConfigWrapper): string {
  return writeJavaJson(wrapper);
}

export function decodeTopicConfigWrapper(body: Buffer | string): TopicConfigWrapper {
  return readTopicConfigWrapper(readBean("TopicConfigAndMappingSerializeWrapper", body));
}

/** Reads either class: a broker before 5.0 sends no mapping fields. */
export function readTopicConfigWrapper(bean: Bean): TopicConfigWrapper {
  const absent = newTopicConfigWrapper();
  return {
    dataVersion: bean.bean("dataVersion", readDataVersion) ?? absent.dataVersion,
    mappingDataVersion: bean.bean("mappingDataVersion", readDataVersion) ?? absent.mappingDataVersion,
    topicConfigTable: bean.map("topicConfigTable", textKey, asBean(readTopicConfig)) ?? absent.topicConfigTable,
    topicQueueMappingDetailMap:
      bean.map("topicQueueMappingDetailMap", textKey, asBean(readTopicQueueMappingDetail)) ??
      absent.topicQueueMappingDetailMap,
    topicQueueMappingInfoMap:
      bean.map("topicQueueMappingInfoMap", textKey, asBean(readTopicQueueMappingInfo)) ??
      absent.topicQueueMappingInfoMap,
  };
}
