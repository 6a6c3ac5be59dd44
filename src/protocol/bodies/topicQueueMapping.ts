/** TopicQueueMappingInfo and TopicQueueMappingDetail: where the logical queues of a static topic live. */
import { asBean, asList, type Bean, integerKey, toInteger } from "./reader.ts";

export interface TopicQueueMappingInfo {
  bname?: string | undefined;
  /** Logical queue id to the queue id on this broker. */
  currIdMap: Map<number, number>;
  dirty: boolean;
  epoch: number;
  scope: string;
  topic?: string | undefined;
  totalQueues: number;
}

/** One stretch of a logical queue on one broker. */
export interface LogicQueueMappingItem {
  bname?: string | undefined;
  endOffset: number;
  gen: number;
  logicOffset: number;
  queueId: number;
  startOffset: number;
  timeOfEnd: number;
  timeOfStart: number;
}

export interface TopicQueueMappingDetail extends TopicQueueMappingInfo {
  hostedQueues: Map<number, LogicQueueMappingItem[]>;
}

/** MixAll.METADATA_SCOPE_GLOBAL. */
export const SCOPE_GLOBAL = "__global__";

export function readTopicQueueMappingInfo(bean: Bean): TopicQueueMappingInfo {
  return {
    bname: bean.text("bname"),
    currIdMap: bean.map("currIdMap", integerKey, toInteger) ?? new Map(),
    dirty: bean.boolean("dirty", false),
    epoch: bean.integer("epoch", 0),
    scope: bean.text("scope") ?? SCOPE_GLOBAL,
    topic: bean.text("topic"),
    totalQueues: bean.integer("totalQueues", 0),
  };
}

export function readTopicQueueMappingDetail(bean: Bean): TopicQueueMappingDetail {
  return {
    ...readTopicQueueMappingInfo(bean),
    hostedQueues: bean.map("hostedQueues", integerKey, asList(asBean(readItem))) ?? new Map(),
  };
}

function readItem(bean: Bean): LogicQueueMappingItem {
  return {
    bname: bean.text("bname"),
    endOffset: bean.integer("endOffset", -1),
    gen: bean.integer("gen", 0),
    logicOffset: bean.integer("logicOffset", 0),
    queueId: bean.integer("queueId", 0),
    startOffset: bean.integer("startOffset", 0),
    timeOfEnd: bean.integer("timeOfEnd", -1),
    timeOfStart: bean.integer("timeOfStart", -1),
  };
}
