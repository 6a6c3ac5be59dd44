/**
 * The subscription groups of a broker (Apache: SubscriptionGroupManager, config/subscriptionGroup.json): system
 * groups, automatic creation, updates with attributes, what a group is forbidden to read. Retry policies are kept as
 * the JSON they came in. Refuses wrong attributes by throwing with Apache's message.
 */
import type { Clock } from "../base/clock.ts";
import { DEFAULT_LIMITS, type Limits } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import { isLmq } from "../message/lmq.ts";
import { type DataVersion, nextDataVersion } from "../protocol/bodies/dataVersion.ts";
import {
  decodeSubscriptionGroupWrapper,
  encodeSubscriptionGroupWrapper,
  newSubscriptionGroupConfig,
  type SubscriptionGroupConfig,
} from "../protocol/bodies/subscriptionGroup.ts";
import type { MetadataFile } from "../store/metadataFile.ts";
import { alterAttributes, GROUP_ATTRIBUTES } from "./attributes.ts";
import { Creations } from "./creations.ts";
import { groupNameProblem } from "./names.ts";
import { TableFile } from "./tableFile.ts";

/** The options this table reads, by Apache's keys. */
export interface GroupOptions {
  readonly autoCreateSubscriptionGroup: boolean;
  readonly enableCreateSysGroup: boolean;
  /** Every group with the prefix of light queues (LMQ) exists. */
  readonly enableLmq: boolean;
}

const SYSTEM_GROUPS = [
  "TOOLS_CONSUMER",
  "FILTERSRV_CONSUMER",
  "SELF_TEST_C_GROUP",
  "CID_ONS-HTTP-PROXY",
  "CID_ONSAPI_PULL",
  "CID_ONSAPI_PERMISSION",
  "CID_ONSAPI_OWNER",
  "CID_RMQ_SYS_TRANS",
];
const SYSTEM_GROUP_PREFIX = "CID_RMQ_SYS_";

export class Groups {
  #dataVersion: DataVersion;
  readonly #options: GroupOptions;
  readonly #file: MetadataFile;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #table = new Map<string, SubscriptionGroupConfig>();
  readonly #forbidden = new Map<string, Map<string, number>>();
  readonly #saving: TableFile;
  readonly #creations: Creations;

  constructor(options: GroupOptions, file: MetadataFile, clock: Clock, log: Logger, limits: Limits = DEFAULT_LIMITS) {
    this.#creations = new Creations({
      what: "groups",
      max: limits["limit.groups"],
      maxKey: "limit.groups",
      perClient: limits["limit.groupsPerClient"],
      perClientKey: "limit.groupsPerClient",
    });
    this.#options = options;
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
    this.#saving = new TableFile(file, () => this.encode(), clock, log);
    this.#dataVersion = { counter: 0, stateVersion: 0, timestamp: clock.now() };
    for (const group of SYSTEM_GROUPS) this.#table.set(group, newSubscriptionGroupConfig(group));
    this.#load();
  }

  /** The config of a group that exists. Hot: one map look-up, no allocation. */
  get(group: string): SubscriptionGroupConfig | undefined {
    return this.#table.get(group) ?? this.#light(group);
  }

  /**
   * The config of a group, created when missing and allowed (autoCreateSubscriptionGroup). Hot like {@link get}.
   * @param by `host:port` of the client whose use makes it
   */
  find(group: string, by?: string): SubscriptionGroupConfig | undefined {
    return this.get(group) ?? this.#create(group, by);
  }

  /** Why a client may not make another group by using it, for a remark; empty when no limit says so. */
  creationRefusal(by?: string): string {
    const reason = this.#creations.refuse(this.#table.size, by);
    return reason === undefined ? "" : ` Not created: ${reason}`;
  }

  /** LmqSubscriptionGroupManager: the defaults, never stored. */
  #light(group: string): SubscriptionGroupConfig | undefined {
    return this.#options.enableLmq && isLmq(group) ? newSubscriptionGroupConfig(group) : undefined;
  }

  /** Whether the group exists; a blank name does not. */
  has(group: string): boolean {
    return this.get(group) !== undefined;
  }

  /** The table's version; a new value after each change. */
  get dataVersion(): DataVersion {
    return this.#dataVersion;
  }

  get size(): number {
    return this.#table.size;
  }

  all(): IterableIterator<SubscriptionGroupConfig> {
    return this.#table.values();
  }

  /** Resolves when every change made so far is on disk; rejects when it could not be written. */
  saved(): Promise<void> {
    return this.#saving.saved();
  }

  /** The last write; rejects when the table is not on disk. */
  stop(): Promise<void> {
    return this.#saving.stop();
  }

  /** Creates or replaces groups; `attributes` of each are signed changes. Throws with Apache's message. */
  update(configs: SubscriptionGroupConfig[]): void {
    let changed = false;
    try {
      for (const config of configs) {
        if (this.#light(config.groupName) !== undefined) continue;
        const current = this.#table.get(config.groupName);
        const refusal = current === undefined ? this.#creations.refuse(this.#table.size) : undefined;
        if (refusal !== undefined) throw new Error(refusal);
        config.attributes = alterAttributes(
          current === undefined,
          GROUP_ATTRIBUTES,
          current?.attributes ?? new Map(),
          config.attributes,
        );
        this.#table.set(config.groupName, config);
        this.#nextVersion();
        changed = true;
      }
    } finally {
      if (changed) this.#saving.save();
    }
  }

  /** Takes a master's tables over, with their version. */
  follow(
    table: ReadonlyMap<string, SubscriptionGroupConfig>,
    forbidden: ReadonlyMap<string, Map<string, number>>,
    version: DataVersion,
  ): void {
    this.#table.clear();
    for (const [name, config] of table) this.#table.set(name, config);
    this.#forbidden.clear();
    for (const [group, topics] of forbidden) this.#forbidden.set(group, topics);
    this.#dataVersion = version;
    this.#saving.save();
  }

  /** Forgets a group and what it was forbidden; false when there was none. */
  delete(group: string): boolean {
    this.#forbidden.delete(group);
    if (!this.#table.delete(group)) return false;
    this.#nextVersion();
    this.#saving.save();
    return true;
  }

  /** Whether bit `index` (0 = reading) of the group's prohibitions on the topic is set. */
  isForbidden(group: string, topic: string, index: number): boolean {
    return (this.forbidden(group, topic) & (1 << index)) !== 0;
  }

  /** All prohibition bits of a group on a topic. Hot: map look-ups only. */
  forbidden(group: string, topic: string): number {
    const bits = this.#forbidden.get(group)?.get(topic);
    return bits === undefined || bits < 0 ? 0 : bits;
  }

  /** Apache drops the whole group once one topic's bits are clear, and the file keeps them until the next change. */
  setForbidden(group: string, topic: string, index: number, on: boolean): void {
    const now = this.forbidden(group, topic);
    const bits = on ? now | (1 << index) : now & ~(1 << index);
    if (bits === now) return;
    let topics = this.#forbidden.get(group);
    if (topics === undefined) {
      topics = new Map();
      this.#forbidden.set(group, topics);
    }
    if (bits > 0) topics.set(topic, bits);
    else topics.delete(topic);
    if (topics.size === 0) this.#forbidden.delete(group);
    this.#nextVersion();
    this.#saving.save();
  }

  /** The prohibitions of the given groups (default all), for dumps. */
  forbiddenTable(groups?: ReadonlySet<string>): Map<string, Map<string, number>> {
    return new Map([...this.#forbidden].filter(([group]) => groups === undefined || groups.has(group)));
  }

  /** One page of the table in name order; see Topics.page. */
  page(seq: number, max: number, sameVersion: boolean): SubscriptionGroupConfig[] {
    const begin = seq !== 0 && !sameVersion ? 0 : seq;
    const names = [...this.#table.keys()].sort();
    return names.slice(begin, begin + max).map((name) => this.#table.get(name)!);
  }

  /** The content of subscriptionGroup.json. */
  encode(): string {
    return encodeSubscriptionGroupWrapper({
      dataVersion: this.#dataVersion,
      forbiddenTable: this.#forbidden,
      subscriptionGroupTable: this.#table,
    });
  }

  #create(group: string, by: string | undefined): SubscriptionGroupConfig | undefined {
    const mayCreate =
      this.#options.autoCreateSubscriptionGroup ||
      (this.#options.enableCreateSysGroup && group.startsWith(SYSTEM_GROUP_PREFIX));
    if (!mayCreate || groupNameProblem(group) !== undefined) return undefined;
    const refusal = this.#creations.refuse(this.#table.size, by);
    if (refusal !== undefined) {
      this.#log.warn({ group, client: by, reason: refusal }, "subscription group not created");
      return undefined;
    }
    this.#creations.count(by);
    const config = newSubscriptionGroupConfig(group);
    this.#table.set(group, config);
    this.#log.info({ group }, "subscription group created");
    this.#nextVersion();
    this.#saving.save();
    return config;
  }

  #load(): void {
    const stored = this.#file.load(decodeSubscriptionGroupWrapper, (file, reason) =>
      this.#log.error({ file, reason }, "groups not read from this file"),
    );
    if (stored === undefined) return;
    for (const [name, config] of stored.subscriptionGroupTable) this.#table.set(name, config);
    for (const [group, topics] of stored.forbiddenTable) this.#forbidden.set(group, topics);
    this.#dataVersion = stored.dataVersion;
  }

  #nextVersion(): void {
    this.#dataVersion = nextDataVersion(this.#dataVersion, this.#clock.now());
  }
}
