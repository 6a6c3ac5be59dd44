/**
 * The topic table of a broker (Apache: TopicConfigManager, config/topics.json): system topics, automatic creation on
 * send and send-back, updates with attributes, deletion. Knows no wire and no store; refuses updates whose attributes
 * are wrong by throwing with Apache's message.
 */
import type { Clock } from "../base/clock.ts";
import { DEFAULT_LIMITS, type Limits, TOPIC_QUEUES_MAX } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import { isLmq } from "../message/lmq.ts";
import { type DataVersion, nextDataVersion } from "../protocol/bodies/dataVersion.ts";
import {
  newTopicConfig,
  PERM_INHERIT,
  PERM_READ,
  PERM_WRITE,
  type TopicConfig,
} from "../protocol/bodies/topicConfig.ts";
import { decodeTopicConfigWrapper } from "../protocol/bodies/topicConfigWrapper.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import type { MetadataFile } from "../store/metadataFile.ts";
import { alterAttributes, TOPIC_ATTRIBUTES } from "./attributes.ts";
import { Creations } from "./creations.ts";
import { isInherited } from "./model.ts";
import {
  AUTO_CREATE_TOPIC,
  BENCHMARK_TOPIC,
  commonSystemTopics,
  isCommonSystemTopic,
  OFFSET_MOVED_EVENT,
  REPLY_TOPIC_POSTFIX,
  REVIVE_TOPIC_PREFIX,
  ROCKSDB_TRANS_HALF_TOPIC,
  ROCKSDB_TRANS_OP_HALF_TOPIC,
  SCHEDULE_TOPIC,
  SELF_TEST_TOPIC,
  SYNC_BROKER_MEMBER_PREFIX,
  TIMER_TOPIC,
  TRANS_HALF_TOPIC,
  TRANS_OP_HALF_TOPIC,
} from "./names.ts";
import { TableFile } from "./tableFile.ts";

/** The options this table reads, by Apache's keys. */
export interface TopicOptions {
  readonly brokerClusterName: string;
  readonly brokerName: string;
  readonly autoCreateTopicEnable: boolean;
  readonly defaultTopicQueueNums: number;
  readonly clusterTopicEnable: boolean;
  readonly brokerTopicEnable: boolean;
  readonly traceTopicEnable: boolean;
  readonly msgTraceTopicName: string;
  readonly reviveQueueNum: number;
  readonly timerWheelEnable: boolean;
  /** Every light queue (LMQ) is a topic that nobody created. */
  readonly enableLmq: boolean;
}

/** Hears of topics that were created or changed; no topics means that only the version changed (a deletion). */
export type TopicsChanged = (changed: TopicConfig[]) => void;

/** Apache creates this many whatever messageDelayLevel says. */
const SCHEDULE_QUEUES = 18;

export class Topics {
  #dataVersion: DataVersion;
  /** The Controller's epoch of this master; 0 without a Controller. */
  #stateVersion = 0;
  readonly #options: TopicOptions;
  readonly #file: MetadataFile;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #table = new Map<string, TopicConfig>();
  readonly #system = new Set<string>(commonSystemTopics());
  readonly #listeners: TopicsChanged[] = [];
  readonly #saving: TableFile;
  readonly #creations: Creations;
  /** The file was there and whole: what is not in it, the broker does not have. */
  #known = false;

  constructor(options: TopicOptions, file: MetadataFile, clock: Clock, log: Logger, limits: Limits = DEFAULT_LIMITS) {
    this.#creations = new Creations({
      what: "topics",
      max: limits["limit.topics"],
      maxKey: "limit.topics",
      perClient: limits["limit.topicsPerClient"],
      perClientKey: "limit.topicsPerClient",
    });
    this.#options = options;
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
    this.#saving = new TableFile(file, () => this.encode(), clock, log);
    this.#dataVersion = { counter: 0, stateVersion: 0, timestamp: clock.now() };
    this.#addSystemTopics();
    this.#load();
  }

  /** The config of a topic. Hot: one map look-up, no allocation. */
  get(topic: string): TopicConfig | undefined {
    return this.#table.get(topic) ?? this.#light(topic);
  }

  has(topic: string): boolean {
    return this.#table.has(topic) || this.#isLight(topic);
  }

  /** Whether it is sure that the broker does not have a topic any more, so that nobody will ever miss its messages. */
  isGone(topic: string): boolean {
    return this.#known && !this.#table.has(topic) && !this.isSystem(topic) && !isLmq(topic);
  }

  /** LmqTopicConfigManager: one queue, read and write, never stored and never registered. */
  #light(topic: string): TopicConfig | undefined {
    if (!this.#isLight(topic)) return undefined;
    return newTopicConfig(topic, { readQueueNums: 1, writeQueueNums: 1, perm: PERM_READ | PERM_WRITE });
  }

  #isLight(topic: string): boolean {
    return this.#options.enableLmq && isLmq(topic);
  }

  /** The table's version; a new value after each change. */
  get dataVersion(): DataVersion {
    return this.#dataVersion;
  }

  get size(): number {
    return this.#table.size;
  }

  all(): IterableIterator<TopicConfig> {
    return this.#table.values();
  }

  /** Whether the name belongs to the system on this broker (TopicValidator.isSystemTopic). */
  isSystem(topic: string): boolean {
    return this.#system.has(topic) || isCommonSystemTopic(topic);
  }

  /** Names of the system topics of this broker (GET_SYSTEM_TOPIC_LIST_FROM_BROKER). */
  systemTopics(): IterableIterator<string> {
    return this.#system.values();
  }

  isOrder(topic: string): boolean {
    return this.#table.get(topic)?.order ?? false;
  }

  /** Calls `fn` after each change; used to register with the NameServers at once. */
  onChange(fn: TopicsChanged): void {
    this.#listeners.push(fn);
  }

  /** Resolves when every change made so far is on disk; rejects when it could not be written. */
  saved(): Promise<void> {
    return this.#saving.saved();
  }

  /** Whether a topic was created that is not on disk yet. Hot. */
  get hasUnsaved(): boolean {
    return this.#saving.hasUnsaved;
  }

  /**
   * Undefined when the topic is on disk, else a promise that never rejects: a message must not be acknowledged before its new
   * topic survives a crash, or consumers could not ask for it.
   */
  whenSaved(topic: string): Promise<void> | undefined {
    return this.#saving.whenSaved(topic);
  }

  /** The last write; rejects when the table is not on disk. */
  stop(): Promise<void> {
    return this.#saving.stop();
  }

  /** Why a client may not make another topic by sending to it; undefined when no limit says so. */
  creationRefusal(by?: string): string | undefined {
    return this.#creations.refuse(this.#table.size, by);
  }

  /**
   * The topic of a send, created from `defaultTopic` when it does not exist and that one lets others inherit.
   * undefined when the topic does not exist and may not be created.
   */
  createInSend(
    topic: string,
    defaultTopic: string,
    clientQueueNums: number,
    topicSysFlag: number,
    producer: string,
  ): TopicConfig | undefined {
    const known = this.#table.get(topic);
    if (known !== undefined) return known;
    const parent = this.#table.get(defaultTopic);
    if (parent === undefined) {
      this.#log.warn({ topic, defaultTopic, producer }, "topic not created: the default topic does not exist");
      return undefined;
    }
    // TBW102 may come from an older topics.json although creation is off now.
    if (defaultTopic === AUTO_CREATE_TOPIC && !this.#options.autoCreateTopicEnable) {
      parent.perm = PERM_READ | PERM_WRITE;
    }
    if (!isInherited(parent.perm)) {
      this.#log.warn(
        { topic, defaultTopic, perm: parent.perm, producer },
        "topic not created: no permission to inherit",
      );
      return undefined;
    }
    const refusal = this.creationRefusal(producer);
    if (refusal !== undefined) {
      this.#log.warn({ topic, producer, reason: refusal }, "topic not created");
      return undefined;
    }
    this.#creations.count(producer);
    const queueNums = Math.max(0, Math.min(clientQueueNums, parent.writeQueueNums));
    return this.#add(
      newTopicConfig(topic, {
        readQueueNums: queueNums,
        writeQueueNums: queueNums,
        perm: parent.perm & ~PERM_INHERIT,
        topicSysFlag,
        topicFilterType: parent.topicFilterType,
      }),
    );
  }

  /**
   * The retry or dead-letter topic of a group, created when missing, with no more queues than any topic may have
   * (retryQueueNums is any number that somebody gave); an existing one follows `order` where it is given.
   * (Apache lets every send-back clear the mark that the next heartbeat sets again.)
   */
  createInSendBack(topic: string, queueNums: number, perm: number, topicSysFlag: number, order?: boolean): TopicConfig {
    const known = this.#table.get(topic);
    if (known !== undefined) {
      if (order !== undefined && known.order !== order) {
        known.order = order;
        this.#touch([known]);
      }
      return known;
    }
    const queues = Math.min(queueNums, TOPIC_QUEUES_MAX);
    return this.#add(
      newTopicConfig(topic, {
        readQueueNums: queues,
        writeQueueNums: queues,
        perm,
        topicSysFlag,
        order: order ?? false,
      }),
    );
  }

  /** Adds a topic that the broker itself needs, unless it exists. */
  createIfAbsent(config: TopicConfig): TopicConfig {
    return this.#table.get(config.topicName) ?? this.#add(config);
  }

  /**
   * Creates or replaces topics; `attributes` of each are signed changes (`+key`, `-key`) on the current ones.
   * Throws with Apache's message when one of them is wrong; those before it in the list stay applied, as in Apache.
   */
  update(configs: TopicConfig[]): void {
    const done: TopicConfig[] = [];
    try {
      for (const config of configs) {
        if (this.#isLight(config.topicName)) continue;
        const current = this.#table.get(config.topicName);
        const refusal = current === undefined ? this.creationRefusal() : undefined;
        if (refusal !== undefined) throw new Error(refusal);
        config.attributes = alterAttributes(
          current === undefined,
          TOPIC_ATTRIBUTES,
          current?.attributes ?? new Map(),
          config.attributes,
        );
        this.#table.set(config.topicName, config);
        this.#nextVersion();
        done.push(config);
      }
    } finally {
      if (done.length > 0) this.#announce(done);
    }
  }

  /** Marks the topics of a NameServer's ORDER_TOPIC_CONFIG as ordered. */
  markOrdered(topics: Iterable<string>): void {
    let changed = false;
    for (const topic of topics) {
      const config = this.#table.get(topic);
      if (config === undefined || config.order) continue;
      config.order = true;
      changed = true;
    }
    if (!changed) return;
    this.#nextVersion();
    this.#saving.save();
  }

  /** Forgets a topic; false when there was none. */
  delete(topic: string): boolean {
    if (!this.#table.delete(topic)) return false;
    this.#nextVersion();
    this.#announce([]);
    return true;
  }

  /** Takes a master's table over, with its version. */
  follow(table: ReadonlyMap<string, TopicConfig>, version: DataVersion): void {
    this.#table.clear();
    for (const [name, config] of table) this.#table.set(name, config);
    this.#dataVersion = version;
    this.#announce([...table.values()]);
  }

  /** Counts a change that is not a topic's: the broker's permission, which multiplies into every topic's. */
  bumpVersion(): void {
    this.#nextVersion();
  }

  /** A Controller has made this broker the master of an epoch: NameServers believe the table of the latest one. */
  beginEpoch(masterEpoch: number): void {
    this.#stateVersion = masterEpoch;
    this.#nextVersion();
  }

  /**
   * One page of the table in name order. A page other than the first is only valid for the version it was asked for;
   * otherwise the caller gets the first one again.
   */
  page(seq: number, max: number, sameVersion: boolean): TopicConfig[] {
    const begin = seq !== 0 && !sameVersion ? 0 : seq;
    const names = [...this.#table.keys()].sort(compareUtf16);
    return names.slice(begin, begin + max).map((name) => this.#table.get(name)!);
  }

  /** The content of topics.json. */
  encode(): string {
    return writeJavaJson({ dataVersion: this.#dataVersion, topicConfigTable: this.#table });
  }

  #add(config: TopicConfig): TopicConfig {
    this.#table.set(config.topicName, config);
    this.#log.info({ topic: config.topicName, queues: config.writeQueueNums, perm: config.perm }, "topic created");
    this.#nextVersion();
    this.#announce([config], config.topicName);
    return config;
  }

  #touch(changed: TopicConfig[]): void {
    this.#nextVersion();
    this.#announce(changed);
  }

  #announce(changed: TopicConfig[], added?: string): void {
    this.#saving.save(added);
    for (const listener of this.#listeners) listener(changed);
  }

  #load(): void {
    let damaged = false;
    const stored = this.#file.load(decodeTopicConfigWrapper, (file, reason) => {
      damaged = true;
      this.#log.error({ file, reason }, "topics not read from this file");
    });
    if (stored === undefined) return;
    this.#known = !damaged;
    for (const [name, config] of stored.topicConfigTable) this.#table.set(name, config);
    this.#dataVersion = stored.dataVersion;
  }

  #nextVersion(): void {
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#clock.now(), this.#stateVersion);
  }

  #addSystemTopics(): void {
    const o = this.#options;
    const add = (topic: string, queues: number, perm: number = PERM_READ | PERM_WRITE): void => {
      this.#system.add(topic);
      this.#table.set(topic, newTopicConfig(topic, { readQueueNums: queues, writeQueueNums: queues, perm }));
    };
    const shared = (enabled: boolean): number => PERM_INHERIT | (enabled ? PERM_READ | PERM_WRITE : 0);
    add(SELF_TEST_TOPIC, 1);
    if (o.autoCreateTopicEnable) add(AUTO_CREATE_TOPIC, o.defaultTopicQueueNums, shared(true));
    add(BENCHMARK_TOPIC, 1024);
    add(o.brokerClusterName, 16, shared(o.clusterTopicEnable));
    add(o.brokerName, 1, shared(o.brokerTopicEnable));
    add(OFFSET_MOVED_EVENT, 1);
    add(SCHEDULE_TOPIC, SCHEDULE_QUEUES);
    if (o.traceTopicEnable) add(o.msgTraceTopicName, 1);
    add(`${o.brokerClusterName}_${REPLY_TOPIC_POSTFIX}`, 1);
    add(REVIVE_TOPIC_PREFIX + o.brokerClusterName, o.reviveQueueNum);
    add(SYNC_BROKER_MEMBER_PREFIX + o.brokerName, 1, PERM_INHERIT);
    add(TRANS_HALF_TOPIC, 1);
    add(TRANS_OP_HALF_TOPIC, 1);
    add(ROCKSDB_TRANS_HALF_TOPIC, 1);
    add(ROCKSDB_TRANS_OP_HALF_TOPIC, 1);
    if (o.timerWheelEnable) add(TIMER_TOPIC, 1);
  }
}

/** Java's String order. */
function compareUtf16(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
