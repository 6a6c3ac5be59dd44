/**
 * What a slave takes over from its master besides the log (Apache: SlaveSynchronize): topics, groups, consumer and delay
 * offsets, request modes, users and rights and timer figures every minute, how far the timers came every three seconds. The same requests as
 * an Apache slave sends, so either kind of master answers them. What cannot be had is tried again the next time.
 */
import type { Buffer } from "node:buffer";
import { type Clock, repeat } from "../base/clock.ts";
import { readInt64OrMinus1 } from "../base/int64.ts";
import type { Logger } from "../base/log.ts";
import { type AclInfo, decodeAclInfos, decodeUserInfos, type UserInfo } from "../protocol/bodies/auth.ts";
import { type DataVersion, encodeDataVersion, sameDataVersion } from "../protocol/bodies/dataVersion.ts";
import { decodeSubscriptionGroupWrapper, type SubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import { decodeTopicConfigWrapper } from "../protocol/bodies/topicConfigWrapper.ts";
import type { Answer } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { MetadataFile } from "../store/metadataFile.ts";
import type { TimerCheckpoint } from "../store/timer/timerCheckpoint.ts";
import type { Groups } from "./groups.ts";
import type { Offsets } from "./offsets.ts";
import type { RequestTo } from "./registration.ts";
import type { RequestModes } from "./requestModes.ts";
import type { Schedule } from "./schedule.ts";
import type { Topics } from "./topics.ts";

const ALL_PERIOD_MS = 60_000;
const TIMER_PERIOD_MS = 3_000;
/** Between two for what the log brought. */
const SOON_MS = 1_000;
const TIMEOUT_MS = 30_000;
/** Topics or groups of one answer (Apache: BrokerOuterAPI.getMaxPageSize). */
const PAGE = 2_000;
/** Pages of one table; more is a master whose table changes all the time. */
const PAGES_MAX = 1_000;
const TIMER_CHECKPOINT_BYTES = 56;

export interface SlaveParts {
  readonly options: { readonly timerWheelEnable: boolean };
  readonly request: RequestTo;
  readonly topics: Topics;
  readonly groups: Groups;
  readonly offsets: Offsets;
  readonly schedule: Schedule;
  readonly requestModes: RequestModes;
  readonly timerMetricsFile: MetadataFile;
  /** Users and their rights; absent where nothing speaks of them. */
  readonly auth?: { follow(users: readonly UserInfo[], acls: readonly AclInfo[]): Promise<void> } | undefined;
  readonly timerCheckpoint: TimerCheckpoint;
  /** Between two times that everything is taken over, ms; undefined: a minute. */
  readonly periodMs?: number | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export class SlaveSynchronize {
  readonly #parts: SlaveParts;
  #master: string | undefined;
  #running: Promise<void> | undefined;
  /** When the last one began. */
  #beganMs = Number.NEGATIVE_INFINITY;
  #ends: (() => void)[] = [];
  /** What the master's timers said last. */
  #timerCheckpoint: Buffer | undefined;
  /** What was last wrong with each part; the same every minute would fill the log. */
  readonly #warned = new Map<string, string>();

  constructor(parts: SlaveParts) {
    this.#parts = parts;
  }

  start(): void {
    const { clock, options, periodMs = ALL_PERIOD_MS } = this.#parts;
    this.#ends.push(
      repeat(
        clock,
        () => periodMs,
        () => void this.syncAll(),
      ),
    );
    if (!options.timerWheelEnable) return;
    this.#ends.push(
      repeat(
        clock,
        () => TIMER_PERIOD_MS,
        () => void this.#part("timer checkpoint", () => this.#syncTimerCheckpoint()),
      ),
    );
  }

  async stop(): Promise<void> {
    for (const end of this.#ends) end();
    this.#ends = [];
    this.#master = undefined;
    await this.#running;
  }

  /** The master answers clients at `host:port`; everything is taken over at once. */
  setMaster(address: string): void {
    if (address === this.#master) return;
    this.#parts.log.info({ before: this.#master, address }, "the master's address");
    this.#master = address;
    void this.syncAll();
  }

  get master(): string | undefined {
    return this.#master;
  }

  /** The log brought something that the tables here do not know: they are asked for before their minute has passed. */
  syncSoon(): void {
    const now = this.#parts.clock.monotonicMs();
    if (now - this.#beganMs < SOON_MS) return;
    void this.syncAll();
  }

  /** Takes everything over; never rejects. One at a time. */
  syncAll(): Promise<void> {
    this.#beganMs = this.#parts.clock.monotonicMs();
    this.#running ??= this.#syncAll().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #syncAll(): Promise<void> {
    const { offsets, schedule, requestModes, timerMetricsFile, options } = this.#parts;
    await this.#part("topics", () => this.#syncTopics());
    await this.#part("consumer offsets", async () => {
      offsets.follow(await this.#body("GET_ALL_CONSUMER_OFFSET"));
      await offsets.persist();
    });
    await this.#part("delay offsets", async () => {
      schedule.follow(await this.#body("GET_ALL_DELAY_OFFSET"));
      await schedule.persist();
    });
    await this.#part("subscription groups", () => this.#syncGroups());
    await this.#part("request modes", async () => {
      await requestModes.follow(await this.#body("GET_ALL_MESSAGE_REQUEST_MODE"));
    });
    await this.#part("users and rights", () => this.#syncAuth());
    if (!options.timerWheelEnable) return;
    await this.#part("timer checkpoint", () => this.#syncTimerCheckpoint());
    await this.#part("timer metrics", async () => {
      await timerMetricsFile.write((await this.#body("GET_TIMER_METRICS")).toString());
    });
  }

  async #part(name: string, sync: () => Promise<void>): Promise<void> {
    if (this.#master === undefined) return;
    try {
      await sync();
      this.#warned.delete(name);
    } catch (error) {
      const reason = (error as Error).message;
      if (this.#master === undefined || this.#warned.get(name) === reason) return;
      this.#warned.set(name, reason);
      this.#parts.log.warn({ master: this.#master, reason }, `${name} not taken over from the master`);
    }
  }

  async #ask(name: keyof typeof RequestCode, header: Record<string, string | number> = {}): Promise<Answer> {
    const master = this.#master;
    if (master === undefined) throw new Error("no master is known");
    const answer = await this.#parts.request(master, RequestCode[name], header, undefined, TIMEOUT_MS);
    if (answer.code !== ResponseCode.SUCCESS) {
      throw new Error(`${name} was answered ${answer.code}: ${answer.remark ?? "without a remark"}`);
    }
    return answer;
  }

  async #body(name: keyof typeof RequestCode): Promise<Buffer> {
    return (await this.#ask(name)).body;
  }

  async #syncTopics(): Promise<void> {
    const { topics } = this.#parts;
    const table = new Map<string, TopicConfig>();
    const version = await this.#pages("GET_ALL_TOPIC_CONFIG", "topicSeq", "maxTopicNum", "totalTopicNum", (body) => {
      const page = decodeTopicConfigWrapper(body);
      return { version: page.dataVersion, entries: page.topicConfigTable, table };
    });
    if (!sameDataVersion(version, topics.dataVersion)) topics.follow(table, version);
    await topics.saved();
  }

  async #syncGroups(): Promise<void> {
    const { groups } = this.#parts;
    const table = new Map<string, SubscriptionGroupConfig>();
    const forbidden = new Map<string, Map<string, number>>();
    const version = await this.#pages(
      "GET_ALL_SUBSCRIPTIONGROUP_CONFIG",
      "groupSeq",
      "maxGroupNum",
      "totalGroupNum",
      (body) => {
        const page = decodeSubscriptionGroupWrapper(body);
        for (const [group, topics] of page.forbiddenTable) forbidden.set(group, topics);
        return { version: page.dataVersion, entries: page.subscriptionGroupTable, table };
      },
    );
    if (!sameDataVersion(version, groups.dataVersion)) groups.follow(table, forbidden, version);
    await groups.saved();
  }

  /** An Apache slave has its own, and mqadmin tells it every change; here a slave that was away has them, too. */
  async #syncAuth(): Promise<void> {
    const { auth } = this.#parts;
    if (auth === undefined) return;
    const users = decodeUserInfos(await this.#body("AUTH_LIST_USER"));
    // Without its users this broker would be nobody's: a master that has none has not been told of any.
    if (users.length > 0) await auth.follow(users, decodeAclInfos(await this.#body("AUTH_LIST_ACL")));
  }

  /** Gets a table page by page; begins anew when it changed in between. */
  async #pages<T>(
    name: keyof typeof RequestCode,
    seqField: string,
    maxField: string,
    totalField: string,
    read: (body: Buffer) => { version: DataVersion; entries: ReadonlyMap<string, T>; table: Map<string, T> },
  ): Promise<DataVersion> {
    let version: DataVersion | undefined;
    let seq = 0;
    for (let page = 0; page < PAGES_MAX; page++) {
      const dataVersion = version === undefined ? "" : encodeDataVersion(version);
      const answer = await this.#ask(name, { [seqField]: seq, [maxField]: PAGE, dataVersion });
      const got = read(answer.body);
      if (version !== undefined && !sameDataVersion(version, got.version)) {
        // The answer is the first page of another version.
        got.table.clear();
        seq = 0;
      }
      version = got.version;
      for (const [key, entry] of got.entries) got.table.set(key, entry);
      seq += got.entries.size;
      const total = answer.fields.get(totalField);
      if (total === undefined || seq >= Number(total) || got.entries.size === 0) return version;
    }
    throw new Error(`${name}: the master's table does not come to rest`);
  }

  /**
   * So that this broker's timers, were it to become a master, go on where the master's are: they find no timer log below
   * the flushed position, build the wheel again from the queue, and take what was due before for delivered.
   */
  async #syncTimerCheckpoint(): Promise<void> {
    const body = await this.#body("GET_TIMER_CHECK_POINT");
    if (body.length < TIMER_CHECKPOINT_BYTES) throw new Error(`a timer checkpoint of ${body.length} bytes came`);
    if (this.#timerCheckpoint?.equals(body)) return;
    const entered = readInt64OrMinus1(body, 24);
    await this.#parts.timerCheckpoint.write({
      lastReadTimeMs: readInt64OrMinus1(body, 0),
      lastTimerLogFlushPos: entered > 0 ? Math.max(1, readInt64OrMinus1(body, 8)) : 0,
      lastTimerQueueOffset: entered,
      masterTimerQueueOffset: entered,
      dataVersion: {
        stateVersion: readInt64OrMinus1(body, 32),
        timestamp: readInt64OrMinus1(body, 40),
        counter: readInt64OrMinus1(body, 48),
      },
      ours: undefined,
    });
    this.#timerCheckpoint = body;
  }
}
