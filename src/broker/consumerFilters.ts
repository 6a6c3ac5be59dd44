/**
 * The property filters of consumer groups (Apache: ConsumerFilterManager, config/consumerFilter.json): compiled when a
 * heartbeat brings them, kept while the group is away, forgotten filterDataCleanTimeSpan after its last consumer left.
 * An expression that does not compile is not kept: pulls are refused (FILTER_DATA_NOT_EXIST) until a right one comes.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { BloomFilter } from "../filter/bloomFilter.ts";
import { compileFilter, isTagType } from "../filter/messageFilter.ts";
import type { UnitFilter } from "../filter/unitFilter.ts";
import {
  type ConsumerFilterData,
  type ConsumerFilterTable,
  decodeConsumerFilters,
  encodeConsumerFilters,
} from "../protocol/bodies/consumerFilter.ts";
import type { SubscriptionData } from "../protocol/bodies/subscriptionData.ts";
import type { MetadataFile } from "../store/metadataFile.ts";
import type { SubscriptionListener } from "./clients.ts";

/** The options this table reads, by Apache's keys. */
export interface ConsumerFilterOptions {
  /** percent */
  readonly maxErrorRateOfBloomFilter: number;
  readonly expectConsumerNumUseFilter: number;
  /** ms */
  readonly filterDataCleanTimeSpan: number;
}

/** Apache: BrokerController persists it every 10 s. */
const PERSIST_PERIOD_MS = 10_000;
/** A group that was alive at the last stop counts as dead since this long before the start. */
const DEAD_BEFORE_START_MS = 30_000;

export interface GroupFilter extends ConsumerFilterData {
  readonly filter: UnitFilter;
}

export class ConsumerFilters implements SubscriptionListener {
  readonly #options: ConsumerFilterOptions;
  readonly #file: MetadataFile;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #bloom: BloomFilter;
  readonly #table = new Map<string, Map<string, GroupFilter>>();
  #changed = false;
  #timer: Timer | undefined;

  constructor(options: ConsumerFilterOptions, file: MetadataFile, clock: Clock, log: Logger) {
    this.#options = options;
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
    this.#bloom = new BloomFilter(options.maxErrorRateOfBloomFilter, options.expectConsumerNumUseFilter);
    this.#load();
  }

  /** Starts writing the file every 10 s when something changed. */
  start(): void {
    this.#timer = this.#clock.every(PERSIST_PERIOD_MS, () => {
      this.persist().catch((error) => this.#log.error({ err: error, file: this.#file.path }, "filters not saved"));
    });
  }

  async stop(): Promise<void> {
    this.#clock.clear(this.#timer);
    await this.persist();
  }

  /** The filter of a group on a topic; also of one whose consumers are away. Hot: two look-ups. */
  get(topic: string, group: string): GroupFilter | undefined {
    return this.#table.get(topic)?.get(group);
  }

  /** Takes over what a consumer's heartbeat says of its group. */
  subscribed(group: string, subscriptions: readonly SubscriptionData[]): void {
    for (const item of subscriptions) {
      if (!isTagType(item.expressionType) && item.subString !== "") this.#register(group, item);
    }
    if (this.#table.size === 0) return;
    // A topic that the group no longer subscribes to.
    const named = new Set(subscriptions.map((item) => item.topic));
    for (const [topic, groups] of this.#table) {
      const known = groups.get(group);
      if (known === undefined || isDead(known) || named.has(topic)) continue;
      known.deadTime = this.#clock.now();
      this.#changed = true;
    }
  }

  #register(group: string, item: SubscriptionData): void {
    const { topic, subString: expression, expressionType, subVersion } = item;
    const known = this.get(topic, group);
    if (known !== undefined && subVersion <= known.clientVersion) {
      if (subVersion === known.clientVersion && isDead(known)) this.#revive(known);
      return;
    }
    if (known !== undefined && known.expression === expression && known.expressionType === expressionType) {
      known.clientVersion = subVersion;
      this.#changed = true;
      if (isDead(known)) this.#revive(known);
      return;
    }
    try {
      this.#set({
        bloomFilterData: this.#bloom.place(`${group}#${topic}`),
        bornTime: this.#clock.now(),
        clientVersion: subVersion,
        consumerGroup: group,
        deadTime: 0,
        expression,
        expressionType,
        topic,
        filter: compileFilter(expression, expressionType),
      });
      this.#log.info({ group, topic, expression, expressionType }, "property filter registered");
    } catch (error) {
      // Not kept, so that the group's pulls are refused until the expression is right.
      this.#table.get(topic)?.delete(group);
      this.#changed ||= known !== undefined;
      const reason = (error as Error).message;
      this.#log.warn({ group, topic, expression, expressionType, reason }, "a subscription's expression is wrong");
    }
  }

  #set(filter: GroupFilter): void {
    let groups = this.#table.get(filter.topic);
    if (groups === undefined) {
      groups = new Map();
      this.#table.set(filter.topic, groups);
    }
    groups.set(filter.consumerGroup, filter);
    this.#changed = true;
  }

  #revive(filter: GroupFilter): void {
    filter.deadTime = 0;
    this.#changed = true;
  }

  /** The last consumer of a group left: its filters are kept for its return. */
  deserted(group: string): void {
    for (const groups of this.#table.values()) {
      const known = groups.get(group);
      if (known === undefined || isDead(known)) continue;
      known.deadTime = this.#clock.now();
      this.#changed = true;
    }
  }

  /** Forgets filters whose group has been away for too long. */
  clean(): void {
    const now = this.#clock.now();
    for (const [topic, groups] of this.#table) {
      for (const [group, filter] of groups) {
        if (!isDead(filter) || now - filter.deadTime < this.#options.filterDataCleanTimeSpan) continue;
        groups.delete(group);
        this.#changed = true;
        this.#log.info({ group, topic }, "property filter forgotten: its group has been away for too long");
      }
      if (groups.size === 0) this.#table.delete(topic);
    }
  }

  /** Writes the file when something changed. */
  async persist(): Promise<void> {
    this.clean();
    if (!this.#changed) return;
    this.#changed = false;
    try {
      await this.#file.write(() => this.encode());
    } catch (error) {
      this.#changed = true;
      throw error;
    }
  }

  /** The file's content. */
  encode(): string {
    return encodeConsumerFilters(this.#table);
  }

  #load(): void {
    const stored = this.#file.load(decodeConsumerFilters, (file, reason) =>
      this.#log.error({ file, reason }, "consumer filters not read from this file"),
    );
    for (const groups of (stored ?? (new Map() as ConsumerFilterTable)).values()) {
      for (const data of groups.values()) this.#restore(data);
    }
    this.#changed = false;
  }

  #restore(data: ConsumerFilterData): void {
    try {
      const filter = compileFilter(data.expression, data.expressionType);
      // Nobody is connected yet.
      const deadTime = data.deadTime || Math.max(data.bornTime, this.#clock.now() - DEAD_BEFORE_START_MS);
      const bloomFilterData = this.#bloom.place(`${data.consumerGroup}#${data.topic}`);
      this.#set({ ...data, bloomFilterData, deadTime, filter });
    } catch (error) {
      const { consumerGroup: group, topic, expression } = data;
      this.#log.error({ group, topic, expression, reason: (error as Error).message }, "stored filter passed over");
    }
  }
}

/** ConsumerFilterData.isDead. */
function isDead(filter: ConsumerFilterData): boolean {
  return filter.deadTime >= filter.bornTime;
}
