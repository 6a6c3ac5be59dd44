/**
 * The broker's statistics by Apache's names and keys: what topics and queues take in, what groups take out (Apache:
 * BrokerStatsManager). VIEW_BROKER_STATS_DATA, `statsAll`, the Dashboard and exporters read them.
 *
 * Counts messages where they become visible and where they leave, whatever brought them. The keys' texts are made once
 * per queue; counting a message is a handful of additions. Apache's figures for its own bill (COMMERCIAL_*), of connections
 * (CHANNEL_ACTIVITY) and of the time that registering a client took are not kept.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { STATS_ITEMS_MAX } from "../base/limits.ts";
import { PutTimes } from "./putTimes.ts";
import { DAY_SAMPLE_MS, HOUR_SAMPLE_MS, MINUTE_SAMPLE_MS, StatsItem } from "./statsItem.ts";

/** Tables by what they count; the key of each is said behind it. */
export type StatsName =
  | "TOPIC_PUT_NUMS" // topic
  | "TOPIC_PUT_SIZE" // topic
  | "QUEUE_PUT_NUMS" // topic@queueId
  | "QUEUE_PUT_SIZE" // topic@queueId
  | "GROUP_GET_NUMS" // topic@group
  | "GROUP_GET_SIZE" // topic@group
  | "QUEUE_GET_NUMS" // topic@queueId@group
  | "QUEUE_GET_SIZE" // topic@queueId@group
  | "GROUP_ACK_NUMS" // topic@group
  | "GROUP_CK_NUMS" // topic@group
  | "SNDBCK_PUT_NUMS" // topic@group
  | "SNDBCK2DLQ_TIMES" // owner@topic@group@SEND_BACK_TO_DLQ
  | "TOPIC_PUT_LATENCY" // queueId@topic
  | "GROUP_GET_LATENCY" // queueId@topic@group
  | "BROKER_ACK_NUMS" // cluster
  | "BROKER_CK_NUMS" // cluster
  | "BROKER_PUT_NUMS" // cluster
  | "BROKER_GET_NUMS" // cluster
  | "BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC" // cluster
  | "BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC"; // cluster

/** Where a key names its topic and its group; neither can contain the `@` between its parts. */
const PARTS: Readonly<Record<StatsName, { readonly topic?: number; readonly group?: number }>> = {
  TOPIC_PUT_NUMS: { topic: 0 },
  TOPIC_PUT_SIZE: { topic: 0 },
  QUEUE_PUT_NUMS: { topic: 0 },
  QUEUE_PUT_SIZE: { topic: 0 },
  GROUP_GET_NUMS: { topic: 0, group: 1 },
  GROUP_GET_SIZE: { topic: 0, group: 1 },
  QUEUE_GET_NUMS: { topic: 0, group: 2 },
  QUEUE_GET_SIZE: { topic: 0, group: 2 },
  GROUP_ACK_NUMS: { topic: 0, group: 1 },
  GROUP_CK_NUMS: { topic: 0, group: 1 },
  SNDBCK_PUT_NUMS: { topic: 0, group: 1 },
  SNDBCK2DLQ_TIMES: { topic: 1, group: 2 },
  TOPIC_PUT_LATENCY: { topic: 1 },
  // Without enableDetailStat the key begins with the topic.
  GROUP_GET_LATENCY: { topic: -2, group: -1 },
  BROKER_ACK_NUMS: {},
  BROKER_CK_NUMS: {},
  BROKER_PUT_NUMS: {},
  BROKER_GET_NUMS: {},
  BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC: {},
  BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC: {},
};

const MINUTE_MS = 60_000;

export interface BrokerStatsOptions {
  readonly brokerClusterName: string;
  /** Keep figures per queue, too. */
  readonly enableDetailStat: boolean;
}

/** Counts the messages of one queue. The store keeps it with the queue, so that a message costs no look-up. */
export class PutCounts {
  readonly #nums: readonly StatsItem[];
  readonly #sizes: readonly StatsItem[];
  readonly #broker: readonly StatsItem[];
  readonly #latency: StatsItem;

  constructor(
    nums: readonly StatsItem[],
    sizes: readonly StatsItem[],
    broker: readonly StatsItem[],
    latency: StatsItem,
  ) {
    this.#nums = nums;
    this.#sizes = sizes;
    this.#broker = broker;
    this.#latency = latency;
  }

  /** One message became visible, `ms` after it arrived in the store (below 0: the wall clock went back). */
  add(bytes: number, ms: number): void {
    this.#latency.add(Math.max(ms, 0), 1);
    for (let i = 0; i < this.#nums.length; i++) this.#nums[i].add(1, 1);
    for (let i = 0; i < this.#sizes.length; i++) this.#sizes[i].add(bytes, 1);
    // Apache counts no calls in the broker's own figures.
    for (let i = 0; i < this.#broker.length; i++) this.#broker[i].add(1, 0);
  }
}

/** Where what is not of one queue is counted. */
const NO_QUEUE = 0;

/** Messages that a group took of a topic, for whoever exports metrics. */
export interface TakenFigures {
  readonly group: string;
  readonly topic: string;
  /** Undefined for pulls; else whether pops took them from a retry topic. */
  readonly isRetry: boolean | undefined;
  readonly messages: number;
  readonly bytes: number;
}

interface GetCounts {
  messages: number;
  bytes: number;
  /** Of them, those that pops took from retry topics. */
  retries: number;
  retryBytes: number;
  readonly nums: readonly StatsItem[];
  readonly sizes: readonly StatsItem[];
  readonly broker: readonly StatsItem[];
  readonly latency: StatsItem;
}

interface PopCounts {
  readonly acks: StatsItem;
  readonly checkpoints: StatsItem;
  readonly brokerAcks: StatsItem;
  readonly brokerCheckpoints: StatsItem;
}

export class BrokerStats {
  /** How long appends took. */
  readonly putTimes = new PutTimes();
  readonly #options: BrokerStatsOptions;
  readonly #clock: Clock;
  readonly #isSystemTopic: (topic: string) => boolean;
  readonly #tables = new Map<StatsName, Map<string, StatsItem>>();
  /** By group, topic and queue id + 1; see {@link NO_QUEUE}. */
  readonly #gets = new Map<string, Map<string, (GetCounts | undefined)[]>>();
  /** By group and topic. */
  readonly #pops = new Map<string, Map<string, PopCounts>>();
  readonly #itemsMax: number;
  readonly #uncounted = new StatsItem();
  /** Items of all tables. */
  #items = 0;
  #ticks = 0;
  #timer: Timer | undefined;

  constructor(
    options: BrokerStatsOptions,
    clock: Clock,
    isSystemTopic: (topic: string) => boolean,
    itemsMax = STATS_ITEMS_MAX,
  ) {
    this.#itemsMax = itemsMax;
    this.#options = options;
    this.#clock = clock;
    this.#isSystemTopic = isSystemTopic;
  }

  start(): void {
    this.#timer = this.#clock.every(MINUTE_SAMPLE_MS, () => this.#tick());
  }

  stop(): void {
    this.#clock.clear(this.#timer);
  }

  /** The figure of one name and key; undefined for one that was never counted. */
  find(name: string, key: string): StatsItem | undefined {
    return this.#tables.get(name as StatsName)?.get(key);
  }

  /** Messages that came in and went out since the start, without those of system topics. */
  get totals(): { readonly put: number; readonly got: number } {
    const cluster = this.#options.brokerClusterName;
    return {
      put: this.find("BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC", cluster)?.value ?? 0,
      got: this.find("BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC", cluster)?.value ?? 0,
    };
  }

  /** Messages per second that came into the topic during the last minute. */
  putTps(topic: string): number {
    return this.find("TOPIC_PUT_NUMS", topic)?.minute.snapshot().tps ?? 0;
  }

  /** Messages per second that the group took from the topic during the last minute. */
  getTps(group: string, topic: string): number {
    return this.find("GROUP_GET_NUMS", `${topic}@${group}`)?.minute.snapshot().tps ?? 0;
  }

  /** What counts the messages of a queue; the caller keeps it. */
  putCounts(topic: string, queueId: number): PutCounts {
    const nums = [this.#item("TOPIC_PUT_NUMS", topic)];
    const sizes = [this.#item("TOPIC_PUT_SIZE", topic)];
    if (this.#options.enableDetailStat) {
      nums.push(this.#item("QUEUE_PUT_NUMS", `${topic}@${queueId}`));
      sizes.push(this.#item("QUEUE_PUT_SIZE", `${topic}@${queueId}`));
    }
    const latency = this.#item("TOPIC_PUT_LATENCY", `${queueId}@${topic}`);
    return new PutCounts(nums, sizes, this.#ofBroker(topic, "PUT"), latency);
  }

  /**
   * A pop took messages, of whatever queues: as in Apache they do not count for a queue. On the hot path.
   * @param checkpoints queues that they came from
   * @param ms how long their bytes had to be waited for
   * @param retries of the messages, those of retry topics; told only when metrics are exported
   */
  popped(
    group: string,
    topic: string,
    messages: number,
    bytes: number,
    checkpoints: number,
    ms: number,
    retries = 0,
    retryBytes = 0,
  ): void {
    const taken = this.#count(group, topic, NO_QUEUE, messages, bytes, ms);
    taken.retries += retries;
    taken.retryBytes += retryBytes;
    const counts = this.#popCounts(group, topic);
    counts.checkpoints.add(checkpoints, 1);
    counts.brokerCheckpoints.add(checkpoints, 0);
  }

  /** A popped message was acknowledged. On the hot path. */
  acked(group: string, topic: string): void {
    const counts = this.#popCounts(group, topic);
    counts.acks.add(1, 1);
    counts.brokerAcks.add(1, 0);
  }

  /** A pull took messages, whose bytes it had to wait for `ms`. On the hot path. */
  got(group: string, topic: string, queueId: number, messages: number, bytes: number, ms: number): void {
    this.#count(group, topic, queueId + 1, messages, bytes, ms);
  }

  /** No text is made after the queue's first time. */
  #count(group: string, topic: string, slot: number, messages: number, bytes: number, ms: number): GetCounts {
    let topics = this.#gets.get(group);
    if (topics === undefined) {
      topics = new Map();
      this.#gets.set(group, topics);
    }
    let queues = topics.get(topic);
    if (queues === undefined) {
      queues = [];
      topics.set(topic, queues);
    }
    let counts = queues[slot];
    if (counts === undefined) {
      counts = this.#getCounts(group, topic, slot - 1);
      queues[slot] = counts;
    }
    for (let i = 0; i < counts.nums.length; i++) counts.nums[i].add(messages, 1);
    for (let i = 0; i < counts.sizes.length; i++) counts.sizes[i].add(bytes, 1);
    for (let i = 0; i < counts.broker.length; i++) counts.broker[i].add(messages, 0);
    counts.latency.add(ms, 1);
    counts.messages += messages;
    counts.bytes += bytes;
    return counts;
  }

  /** What groups took since the start, or since their topic or group was made again. */
  *taken(): IterableIterator<TakenFigures> {
    for (const [group, topics] of this.#gets) {
      for (const [topic, queues] of topics) yield* takenOf(group, topic, queues);
    }
  }

  /** A group's consumer gave a message of the topic back. */
  sentBack(group: string, topic: string): void {
    this.#item("SNDBCK_PUT_NUMS", `${topic}@${group}`).add(1, 1);
  }

  /**
   * What was given back was given up.
   * @param owner whom Apache's commercial edition bills, by the request's field `Owner`
   */
  sentToDlq(owner: string | undefined, topic: string | undefined, group: string): void {
    this.#item("SNDBCK2DLQ_TIMES", `${owner ?? null}@${topic ?? null}@${group}@SEND_BACK_TO_DLQ`).add(1, 1);
  }

  topicDeleted(topic: string): void {
    this.#delete("topic", topic);
    for (const topics of this.#gets.values()) topics.delete(topic);
    for (const topics of this.#pops.values()) topics.delete(topic);
  }

  groupDeleted(group: string): void {
    this.#delete("group", group);
    this.#gets.delete(group);
    this.#pops.delete(group);
  }

  #getCounts(group: string, topic: string, queueId: number): GetCounts {
    const nums = [this.#item("GROUP_GET_NUMS", `${topic}@${group}`)];
    const sizes = [this.#item("GROUP_GET_SIZE", `${topic}@${group}`)];
    if (this.#options.enableDetailStat && queueId >= 0) {
      nums.push(this.#item("QUEUE_GET_NUMS", `${topic}@${queueId}@${group}`));
      sizes.push(this.#item("QUEUE_GET_SIZE", `${topic}@${queueId}@${group}`));
    }
    const place = this.#options.enableDetailStat ? `${queueId}@${topic}@${group}` : `${topic}@${group}`;
    return {
      messages: 0,
      bytes: 0,
      retries: 0,
      retryBytes: 0,
      nums,
      sizes,
      broker: this.#ofBroker(topic, "GET"),
      latency: this.#item("GROUP_GET_LATENCY", place),
    };
  }

  #popCounts(group: string, topic: string): PopCounts {
    let topics = this.#pops.get(group);
    if (topics === undefined) {
      topics = new Map();
      this.#pops.set(group, topics);
    }
    let counts = topics.get(topic);
    if (counts === undefined) {
      const cluster = this.#options.brokerClusterName;
      counts = {
        acks: this.#item("GROUP_ACK_NUMS", `${topic}@${group}`),
        checkpoints: this.#item("GROUP_CK_NUMS", `${topic}@${group}`),
        brokerAcks: this.#item("BROKER_ACK_NUMS", cluster),
        brokerCheckpoints: this.#item("BROKER_CK_NUMS", cluster),
      };
      topics.set(topic, counts);
    }
    return counts;
  }

  #ofBroker(topic: string, way: "PUT" | "GET"): StatsItem[] {
    const cluster = this.#options.brokerClusterName;
    const all = this.#item(`BROKER_${way}_NUMS`, cluster);
    return this.#isSystemTopic(topic) ? [all] : [all, this.#item(`BROKER_${way}_NUMS_WITHOUT_SYSTEM_TOPIC`, cluster)];
  }

  /** The item, made when missing; beyond the limit one that all others share and nobody finds. */
  #item(name: StatsName, key: string): StatsItem {
    let table = this.#tables.get(name);
    if (table === undefined) {
      table = new Map();
      this.#tables.set(name, table);
    }
    let item = table.get(key);
    if (item === undefined) {
      if (this.#items >= this.#itemsMax) return this.#uncounted;
      item = new StatsItem();
      table.set(key, item);
      this.#items++;
    }
    return item;
  }

  #delete(part: "topic" | "group", name: string): void {
    for (const [table, items] of this.#tables) {
      const place = PARTS[table][part];
      if (place === undefined) continue;
      for (const key of items.keys()) {
        if (!key.includes(name) || key.split("@").at(place) !== name) continue;
        items.delete(key);
        this.#items--;
      }
    }
  }

  #tick(): void {
    const now = this.#clock.now();
    this.#ticks++;
    if ((this.#ticks * MINUTE_SAMPLE_MS) % MINUTE_MS === 0) this.putTimes.turnMinute();
    const hour = (this.#ticks * MINUTE_SAMPLE_MS) % HOUR_SAMPLE_MS === 0;
    const day = (this.#ticks * MINUTE_SAMPLE_MS) % DAY_SAMPLE_MS === 0;
    for (const table of this.#tables.values()) {
      for (const item of table.values()) {
        item.minute.sample(now, item.value, item.times);
        if (hour) item.hour.sample(now, item.value, item.times);
        if (day) item.day.sample(now, item.value, item.times);
      }
    }
  }
}

function* takenOf(
  group: string,
  topic: string,
  queues: readonly (GetCounts | undefined)[],
): IterableIterator<TakenFigures> {
  let messages = 0;
  let bytes = 0;
  for (const [slot, counts] of queues.entries()) {
    if (counts === undefined) continue;
    if (slot !== NO_QUEUE) {
      messages += counts.messages;
      bytes += counts.bytes;
      continue;
    }
    const { retries, retryBytes } = counts;
    const fresh = counts.messages - retries;
    if (fresh > 0) yield { group, topic, isRetry: false, messages: fresh, bytes: counts.bytes - retryBytes };
    if (retries > 0) yield { group, topic, isRetry: true, messages: retries, bytes: retryBytes };
  }
  if (messages > 0) yield { group, topic, isRetry: undefined, messages, bytes };
}
