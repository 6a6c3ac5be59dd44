/**
 * The store's contract kept in memory, for tests of what stands on it: queues, records by log offset, arrivals. Keeps no
 * bytes of records beyond a stand-in, and refuses or delays appends when a test says so.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { hostBytes } from "../base/host.ts";
import { javaHashCode } from "../base/javaHash.ts";
import { Property } from "../message/properties.ts";
import type {
  AppendResult,
  AppendStatus,
  Boundary,
  KeyQuery,
  KeyQueryResult,
  NewMessage,
  QueueUnit,
  Store,
  StoredMessage,
  Writability,
} from "../store/types.ts";

interface Queue {
  /** Queue offset of `units[0]`. */
  min: number;
  units: QueueUnit[];
}

export class FakeStore implements Store {
  readonly storeHost = hostBytes("127.0.0.1", 10_911);
  readonly messages = new Map<number, StoredMessage>();
  /** What the next appends answer, one each; "ok" when empty. */
  readonly statuses: AppendStatus[] = [];
  /** Due time of a message of the schedule topic, as the real store asks for it. */
  deliverTime: (level: number, storeTimestamp: number) => number = (_, storeTimestamp) => storeTimestamp;
  /** Log offsets from which messages count as in memory. */
  inMemoryFrom = 0;
  readonly #clock: Clock;
  readonly #topics = new Map<string, Map<number, Queue>>();
  readonly #listeners: ((topic: string, queueId: number, maxOffset: number) => void)[] = [];
  #end = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  put(message: NewMessage): Promise<AppendResult> {
    const status = this.statuses.shift() ?? "ok";
    const storeTimestamp = this.#clock.now();
    if (
      status === "busy" ||
      status === "notAvailable" ||
      status === "messageIllegal" ||
      status === "propertiesTooLong" ||
      status === "lmqQuotaExceeded"
    ) {
      return Promise.resolve({
        status,
        reason: "the test says so",
        logOffset: -1,
        queueOffset: -1,
        bytes: 0,
        storeTimestamp,
      });
    }
    const queue = this.#queue(message.topic, message.queueId);
    const queueOffset = queue.min + queue.units.length;
    const logOffset = this.#end;
    const bytes = 100 + message.body.length;
    this.#end += bytes;
    this.messages.set(logOffset, {
      topic: message.topic,
      queueId: message.queueId,
      flag: message.flag ?? 0,
      sysFlag: message.sysFlag ?? 0,
      queueOffset,
      logOffset,
      bornTimestamp: message.bornTimestamp ?? storeTimestamp,
      bornHost: message.bornHost ?? this.storeHost,
      storeTimestamp,
      storeHost: this.storeHost,
      reconsumeTimes: message.reconsumeTimes ?? 0,
      preparedTransactionOffset: message.preparedTransactionOffset ?? 0,
      body: Buffer.from(message.body),
      properties: new Map(message.properties),
      bytes: Buffer.from(`record@${logOffset}`),
    });
    queue.units.push({ queueOffset, logOffset, bytes, tagsCode: this.#tagsCode(message, storeTimestamp) });
    for (const listener of this.#listeners) listener(message.topic, message.queueId, queueOffset + 1);
    const reason = status === "ok" ? "" : "the test says so";
    return Promise.resolve({ status, reason, logOffset, queueOffset, bytes, storeTimestamp });
  }

  /** Appends a message of which only the queue matters. */
  fill(topic: string, queueId: number, count: number): Promise<AppendResult[]> {
    const one = () => this.put({ topic, queueId, body: Buffer.from("x"), properties: new Map() });
    return Promise.all(Array.from({ length: count }, one));
  }

  /** Forgets the first messages of a queue, as expiry does. */
  expire(topic: string, queueId: number, count: number): void {
    const queue = this.#queue(topic, queueId);
    for (const unit of queue.units.splice(0, count)) this.messages.delete(unit.logOffset);
    queue.min += count;
  }

  /** All messages of a queue in order. */
  all(topic: string, queueId: number): StoredMessage[] {
    return this.#queue(topic, queueId).units.map((unit) => this.messages.get(unit.logOffset)!);
  }

  async messageAt(logOffset: number): Promise<StoredMessage | undefined> {
    return this.messages.get(logOffset);
  }

  minOffset(topic: string, queueId: number): number {
    return this.#topics.get(topic)?.get(queueId)?.min ?? 0;
  }

  maxOffset(topic: string, queueId: number): number {
    const queue = this.#topics.get(topic)?.get(queueId);
    return queue === undefined ? 0 : queue.min + queue.units.length;
  }

  async units(topic: string, queueId: number, queueOffset: number, count: number): Promise<QueueUnit[]> {
    const queue = this.#topics.get(topic)?.get(queueId);
    if (queue === undefined || queueOffset < queue.min) return [];
    return queue.units.slice(queueOffset - queue.min, queueOffset - queue.min + count);
  }

  async offsetByTime(topic: string, queueId: number, timestampMs: number, boundary: Boundary): Promise<number> {
    const queue = this.#queue(topic, queueId);
    const after = (time: number): boolean => (boundary === "LOWER" ? time >= timestampMs : time > timestampMs);
    const index = queue.units.findIndex((unit) => after(this.messages.get(unit.logOffset)!.storeTimestamp));
    const found = index < 0 ? queue.units.length : index;
    return queue.min + (boundary === "LOWER" ? found : Math.max(0, found - 1));
  }

  async storeTimeAt(topic: string, queueId: number, queueOffset: number): Promise<number> {
    const [unit] = await this.units(topic, queueId, queueOffset, 1);
    return unit === undefined ? -1 : this.messages.get(unit.logOffset)!.storeTimestamp;
  }

  async query(query: KeyQuery): Promise<KeyQueryResult> {
    const messages = [...this.messages.values()]
      .filter((message) => message.topic === query.topic)
      .filter((message) => message.storeTimestamp >= query.begin && message.storeTimestamp <= query.end)
      .filter((message) => this.#keysOf(message).includes(query.key))
      .slice(0, query.maxNum);
    return { messages, indexLastUpdateTimestamp: this.#clock.now(), indexLastUpdateLogOffset: this.#end };
  }

  inMemory(logOffset: number): boolean {
    return logOffset >= this.inMemoryFrom;
  }

  queuesOf(topic: string): number[] {
    return [...(this.#topics.get(topic)?.keys() ?? [])];
  }

  topics(): string[] {
    return [...this.#topics.keys()];
  }

  deleteTopic(topic: string): Promise<void> {
    this.#topics.delete(topic);
    return Promise.resolve();
  }

  minLogOffset(): number {
    return 0;
  }

  maxLogOffset(): number {
    return this.#end;
  }

  writability(): Writability {
    return { writable: true, reason: "" };
  }

  onArrival(fn: (topic: string, queueId: number, maxOffset: number) => void): void {
    this.#listeners.push(fn);
  }

  #queue(topic: string, queueId: number): Queue {
    let queues = this.#topics.get(topic);
    if (queues === undefined) {
      queues = new Map();
      this.#topics.set(topic, queues);
    }
    let queue = queues.get(queueId);
    if (queue === undefined) {
      queue = { min: 0, units: [] };
      queues.set(queueId, queue);
    }
    return queue;
  }

  #tagsCode(message: NewMessage, storeTimestamp: number): number {
    const level = message.properties.get(Property.DELAY_TIME_LEVEL);
    if (message.topic === "SCHEDULE_TOPIC_XXXX" && level) return this.deliverTime(Number(level), storeTimestamp);
    return message.tagsCode ?? javaHashCode(message.properties.get(Property.TAGS) ?? "");
  }

  #keysOf(message: StoredMessage): string[] {
    const tags = message.properties.get(Property.TAGS);
    return [
      ...(message.properties.get(Property.KEYS) ?? "").split(" "),
      message.properties.get(Property.UNIQUE_KEY) ?? "",
      tags === undefined ? "" : `T#${tags}`,
    ].filter((key) => key !== "");
  }
}
