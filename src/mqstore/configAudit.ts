/**
 * The small files below `config` and the checkpoint: whether they can be read, by their `.bak` at least, and whether what they say
 * fits the queues: progress behind a queue's end, queues that a topic does not have.
 */
import * as path from "node:path";
import { SCHEDULE_TOPIC } from "../broker/names.ts";
import { decodeConsumerFilters } from "../protocol/bodies/consumerFilter.ts";
import { decodeSubscriptionGroupWrapper } from "../protocol/bodies/subscriptionGroup.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import { decodeTopicConfigWrapper } from "../protocol/bodies/topicConfigWrapper.ts";
import { type JavaMap, type JavaValue, parseJavaJson } from "../protocol/javaJson.ts";
import type { Disk } from "../store/disk.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import type { Findings } from "./findings.ts";
import type { Layout } from "./layout.ts";
import type { QueueFacts } from "./queueAudit.ts";

const AREA = "config";
/** Offsets of consumers that have none yet, or of broadcasts: below zero means nothing. */
const NONE = -1;

/** One offset of a group in a queue. */
export interface Progress {
  group: string;
  topic: string;
  queueId: number;
  offset: number;
}

export interface ConfigFacts {
  /** Undefined without a table that can be read. */
  topics: Map<string, TopicConfig> | undefined;
  groups: number;
  progress: Progress[];
  /** By delay level. */
  delayOffsets: Map<number, number>;
}

/** Reads all files; those of a known kind also by their meaning. */
export function readConfig(disk: Disk, layout: Layout, findings: Findings): ConfigFacts {
  const facts: ConfigFacts = { topics: undefined, groups: 0, progress: [], delayOffsets: new Map() };
  const readers: Record<string, (text: string) => void> = {
    "topics.json": (text) => {
      facts.topics = decodeTopicConfigWrapper(text).topicConfigTable;
    },
    "subscriptionGroup.json": (text) => {
      facts.groups = decodeSubscriptionGroupWrapper(text).subscriptionGroupTable.size;
    },
    "consumerOffset.json": (text) => readProgress(text, facts.progress),
    "lmqConsumerOffset.json": (text) => readProgress(text, facts.progress),
    "delayOffset.json": (text) => {
      facts.delayOffsets = numbersOf(field(parseJavaJson(text), "offsetTable"));
    },
    "consumerFilter.json": (text) => void decodeConsumerFilters(text),
  };
  const names = new Set(disk.list(layout.configDir).map((name) => name.replace(/\.bak$/, "")));
  for (const name of names) {
    const file = path.join(layout.configDir, name);
    const isJson = name.endsWith(".json") || name === "timermetrics";
    if (!isJson) continue;
    const read = readers[name] ?? ((text: string) => void parseJavaJson(text));
    readOne(disk, file, read, findings);
  }
  for (const name of ["topics.json", "consumerOffset.json", "subscriptionGroup.json"]) {
    if (names.has(name) || disk.list(layout.queueDir).length === 0) continue;
    const what = "there is none: a start makes the default ones, topics, groups and progress of clients are not known";
    findings.add("note", AREA, "no file", path.join(layout.configDir, name), what);
  }
  return facts;
}

function readOne(disk: Disk, file: string, read: (text: string) => void, findings: Findings): void {
  const bad: string[] = [];
  const found = new MetadataFile(disk, file).load(
    (text) => {
      read(text);
      return true;
    },
    (name, reason) => bad.push(`${path.basename(name)}: ${reason}`),
  );
  if (found && bad.length > 0) {
    findings.add("repair", AREA, "unreadable", file, `${bad[0]}; both brokers take its .bak, which is older`);
  } else if (!found && bad.length > 0) {
    findings.add("lost", AREA, "unreadable", file, `${bad.join("; ")}: a start goes on without it`);
  }
}

function readProgress(text: string, into: Progress[]): void {
  const root = parseJavaJson(text);
  for (const [key, queues] of entriesOf(field(root, "offsetTable"))) {
    const [topic, group, ...rest] = key.split("@");
    if (group === undefined || rest.length > 0) continue;
    for (const [queueId, offset] of numbersOf(queues)) into.push({ group, topic, queueId, offset });
  }
  for (const [key, offset] of entriesOf(field(root, "lmqOffsetTable"))) {
    const [topic, group, ...rest] = key.split("@");
    if (group === undefined || rest.length > 0 || typeof offset !== "number") continue;
    into.push({ group, topic, queueId: 0, offset });
  }
}

function field(value: JavaValue, name: string): JavaValue {
  if (!(value instanceof Map)) throw new Error("the text is no JSON object");
  return value.get(name) ?? null;
}

function entriesOf(value: JavaValue): [string, JavaValue][] {
  if (value === null) return [];
  if (!(value instanceof Map)) throw new Error("a table is no JSON object");
  return [...(value as JavaMap)].map(([key, entry]) => [String(key), entry]);
}

function numbersOf(value: JavaValue): Map<number, number> {
  const numbers = new Map<number, number>();
  for (const [key, entry] of entriesOf(value)) {
    if (!/^-?\d+$/.test(key) || typeof entry !== "number") throw new Error(`an offset table has ${key}: ${entry}`);
    numbers.set(Number(key), entry);
  }
  return numbers;
}

/** What is said of queues must fit them. */
export function judgeConfig(
  facts: ConfigFacts,
  layout: Layout,
  queues: readonly QueueFacts[],
  findings: Findings,
): void {
  const byName = new Map(queues.map((queue) => [`${queue.topic} ${queue.queueId}`, queue]));
  const offsetFile = path.join(layout.configDir, "consumerOffset.json");
  for (const { group, topic, queueId, offset } of facts.progress) {
    const queue = byName.get(`${topic} ${queueId}`);
    const max = queue?.max ?? 0;
    if (offset < NONE) {
      findings.add("problem", AREA, "absurd offset", offsetFile, `${group} has ${offset} in ${topic}-${queueId}`);
    } else if (offset > max && (queue !== undefined || facts.topics?.has(topic))) {
      const what = `${group} has consumed ${topic}-${queueId} up to ${offset}, the queue ends at ${max}: its clients are sent back to the end`;
      findings.add("repair", AREA, "progress ahead", offsetFile, what);
    }
  }
  const delayFile = path.join(layout.configDir, "delayOffset.json");
  for (const [level, offset] of facts.delayOffsets) {
    const max = byName.get(`${SCHEDULE_TOPIC} ${level - 1}`)?.max ?? 0;
    if (offset <= max) continue;
    const what = `level ${level} is delivered up to ${offset}, its queue ends at ${max}: a start corrects it to the end`;
    findings.add("repair", AREA, "delay progress ahead", delayFile, what);
  }
  for (const { topic, queueId } of queues) {
    const config = facts.topics?.get(topic);
    if (config === undefined || queueId < Math.max(config.readQueueNums, config.writeQueueNums)) continue;
    if (topic === SCHEDULE_TOPIC) continue;
    const what = `queue ${queueId} is there, the topic has ${config.readQueueNums} read and ${config.writeQueueNums} write queues: nobody is given it`;
    findings.add("note", AREA, "queue out of range", path.join(layout.queueDir, topic), what);
  }
}

/** Messages that wait in delay levels, by level. */
export function waitingByLevel(facts: ConfigFacts, queues: readonly QueueFacts[]): Map<number, number> {
  const waiting = new Map<number, number>();
  for (const { topic, queueId, min, max } of queues) {
    if (topic !== SCHEDULE_TOPIC) continue;
    const from = Math.max(min, facts.delayOffsets.get(queueId + 1) ?? 0);
    if (max > from) waiting.set(queueId + 1, max - from);
  }
  return waiting;
}
