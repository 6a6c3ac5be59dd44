/**
 * Delivers delayed messages: each delay level is one queue of SCHEDULE_TOPIC_XXXX, whose units carry the due time and
 * so lie in the order of delivery (Apache: ScheduleMessageService, config/delayOffset.json).
 *
 * A level's offset moves past a message only after its copy in the real topic was acknowledged; a crash in between
 * delivers it again, never loses it. A copy that is refused (full disk) is tried again until it is taken; one that never
 * can be is passed over, or it would hold up its level for everybody.
 * Nothing runs while nothing waits: a level wakes at its earliest due time or when its first message arrives.
 */
import type { Buffer } from "node:buffer";
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { Property } from "../message/properties.ts";
import type { BrokerMetrics } from "../metrics/brokerMetrics.ts";
import { type DataVersion, nextDataVersion, readDataVersion } from "../protocol/bodies/dataVersion.ts";
import { integerKey, readBean, toInteger } from "../protocol/bodies/reader.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import type { MetadataFile } from "../store/metadataFile.ts";
import type { AppendResult, NewMessage, QueueUnit, Store, StoredMessage } from "../store/types.ts";
import { DelayLevels } from "./delayLevels.ts";
import { SCHEDULE_TOPIC, TRANS_HALF_TOPIC } from "./names.ts";

/** The options this service reads, by Apache's keys. */
export interface ScheduleOptions {
  readonly messageDelayLevel: string;
  /** ms */
  readonly flushDelayOffsetInterval: number;
  /** Offset changes per step of the data version. */
  readonly delayOffsetUpdateVersionStep: number;
}

/** Copies under way at a time per level; bounds memory, and the repetitions after a crash. */
const BATCH = 64;
/** Wait after a refused copy (Apache: DELAY_FOR_A_WHILE). */
const RETRY_MS = 100;
/** The wall clock may jump and timers may not count sleep, so that a due time further away is looked at again. */
const LOOK_AGAIN_MS = 1_000;

/** One level's queue. */
interface Level {
  readonly level: number;
  readonly queueId: number;
  /** Queue offset of the next message to deliver. */
  next: number;
  /** When to look at the queue again, ms of the wall clock; undefined: when something arrives. */
  dueAt: number | undefined;
  running: boolean;
  /** Something arrived while it ran. */
  again: boolean;
}

export class Schedule {
  /** Records what is delivered, for whoever exports metrics. */
  metrics: BrokerMetrics | undefined = undefined;
  readonly levels: DelayLevels;
  readonly #options: ScheduleOptions;
  readonly #store: Store;
  readonly #file: MetadataFile;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #queues: Level[];
  /** Offsets of levels that messageDelayLevel no longer has: kept, so that they survive a mistake in the option. */
  readonly #others = new Map<number, number>();
  readonly #busy = new Set<Promise<void>>();
  #dataVersion: DataVersion;
  #changes = 0;
  #dirty = false;
  #running = false;
  #wake: Timer | undefined;
  #flush: Timer | undefined;

  /** @throws Error when messageDelayLevel cannot be read */
  constructor(options: ScheduleOptions, store: Store, file: MetadataFile, clock: Clock, log: Logger) {
    this.#options = options;
    this.#store = store;
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
    this.levels = new DelayLevels(options.messageDelayLevel);
    this.#dataVersion = { counter: 0, stateVersion: 0, timestamp: clock.now() };
    this.#queues = Array.from({ length: this.levels.max }, (_, queueId) => ({
      level: queueId + 1,
      queueId,
      next: 0,
      dueAt: undefined,
      running: false,
      again: false,
    }));
    this.#load();
    store.onArrival((topic, queueId) => {
      if (topic === SCHEDULE_TOPIC) this.#arrived(queueId);
    });
  }

  /** Begins to deliver; the store must be ready for reading and writing. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    for (const queue of this.#queues) {
      this.#correct(queue);
      this.#run(queue);
    }
    this.#flush = this.#clock.every(this.#options.flushDelayOffsetInterval, () => {
      this.persist().catch((error) =>
        this.#log.error({ err: error, file: this.#file.path }, "delay offsets not saved"),
      );
    });
  }

  /** Stops delivering; resolves after copies under way were answered and the offsets are on disk. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#clock.clear(this.#wake);
    this.#clock.clear(this.#flush);
    await Promise.all(this.#busy);
    await this.persist();
  }

  /** Offsets by level and the end of each level's queue, as GET_BROKER_RUNTIME_INFO shows them. */
  runningStats(): Map<string, string> {
    const stats = new Map<string, string>();
    for (const queue of this.#queues) {
      const end = this.#store.maxOffset(SCHEDULE_TOPIC, queue.queueId);
      if (end > 0) stats.set(`scheduleMessageOffset_${queue.level}`, `${queue.next},${end}`);
    }
    return stats;
  }

  /** Writes the file when something changed. */
  async persist(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    try {
      await this.#file.write(() => this.encode());
    } catch (error) {
      this.#dirty = true;
      throw error;
    }
  }

  /** The content of delayOffset.json. */
  encode(): string {
    const offsetTable = new Map(this.#others);
    for (const queue of this.#queues) if (queue.next > 0) offsetTable.set(queue.level, queue.next);
    return writeJavaJson({ dataVersion: this.#dataVersion, offsetTable });
  }

  #arrived(queueId: number): void {
    const queue = this.#queues[queueId];
    // Whoever waits for an earlier message will come to the new one by itself: due times only grow within a level.
    if (queue === undefined || queue.dueAt !== undefined) return;
    this.#run(queue);
  }

  #run(queue: Level): void {
    if (!this.#running) return;
    if (queue.running) {
      queue.again = true;
      return;
    }
    queue.running = true;
    queue.dueAt = undefined;
    const work = this.#deliver(queue)
      .catch((error: unknown) => {
        this.#log.error(
          { err: error, level: queue.level, offset: queue.next },
          "delayed messages not delivered; trying again",
        );
        queue.dueAt = this.#clock.now() + RETRY_MS;
      })
      .then(() => {
        this.#busy.delete(work);
        queue.running = false;
        const again = queue.again && queue.dueAt === undefined;
        queue.again = false;
        if (again) this.#run(queue);
        else this.#setTimer();
      });
    this.#busy.add(work);
  }

  /** Delivers what is due; leaves `dueAt` for what is not. */
  async #deliver(queue: Level): Promise<void> {
    while (this.#running) {
      const units = await this.#store.units(SCHEDULE_TOPIC, queue.queueId, queue.next, BATCH);
      if (units.length === 0) {
        if (this.#correct(queue)) continue;
        return;
      }
      const now = this.#clock.now();
      const due = this.#dueOf(queue, units, now);
      if (due.length > 0 && !(await this.#copy(queue, due))) {
        queue.dueAt = now + RETRY_MS;
        return;
      }
      if (due.length < units.length) {
        queue.dueAt = Math.min(units[due.length].tagsCode, now + this.levels.delayMs(queue.level));
        return;
      }
    }
  }

  /** The leading units that are due. A due time beyond the level's delay from now (the clock went back) is due as well. */
  #dueOf(queue: Level, units: QueueUnit[], now: number): QueueUnit[] {
    const latest = now + this.levels.delayMs(queue.level);
    const end = units.findIndex((unit) => unit.tagsCode > now && unit.tagsCode <= latest);
    return end < 0 ? units : units.slice(0, end);
  }

  /** Copies messages to their real topics, in order; true when all were acknowledged. */
  async #copy(queue: Level, units: QueueUnit[]): Promise<boolean> {
    const messages = await Promise.all(units.map((unit) => this.#store.messageAt(unit.logOffset)));
    const puts: (Promise<AppendResult> | undefined)[] = messages.map((message, i) => {
      const copy = message === undefined ? undefined : this.#copyOf(message, queue, units[i]);
      return copy === undefined ? undefined : this.#store.put(copy);
    });
    const results = await Promise.all(puts);
    for (let i = 0; i < units.length; i++) {
      const result = results[i];
      if (messages[i] === undefined) {
        this.#log.warn(
          { level: queue.level, offset: units[i].queueOffset },
          "a delayed message is no longer in the log",
        );
      }
      if (result !== undefined && isHopeless(result)) {
        this.#log.error(
          { level: queue.level, offset: units[i].queueOffset, logOffset: units[i].logOffset, reason: result.reason },
          "a delayed message cannot be stored in its topic; it is passed over",
        );
        this.#advance(queue, units[i].queueOffset + 1);
        continue;
      }
      // The copies after a refused one were perhaps taken: then they will be delivered twice, but none is lost.
      if (result !== undefined && !isTaken(result)) {
        this.#log.warn(
          { level: queue.level, status: result.status, reason: result.reason },
          "a delayed message was not taken",
        );
        return false;
      }
      const topic = messages[i]?.properties.get(Property.REAL_TOPIC);
      if (result !== undefined && topic !== undefined) this.metrics?.delivered(topic, result.bytes);
      this.#advance(queue, units[i].queueOffset + 1);
    }
    return true;
  }

  /** The message as it goes to its real topic, with all its properties; undefined when it has no real topic. */
  #copyOf(message: StoredMessage, queue: Level, unit: QueueUnit): NewMessage | undefined {
    const topic = message.properties.get(Property.REAL_TOPIC);
    const queueId = Number(message.properties.get(Property.REAL_QUEUE_ID));
    if (topic === undefined || topic === TRANS_HALF_TOPIC || !Number.isInteger(queueId)) {
      this.#log.error(
        { level: queue.level, offset: unit.queueOffset, topic },
        "a delayed message has no topic to go to",
      );
      return undefined;
    }
    return {
      topic,
      queueId,
      body: message.body,
      properties: message.properties,
      flag: message.flag,
      sysFlag: message.sysFlag,
      bornTimestamp: message.bornTimestamp,
      bornHost: message.bornHost,
      reconsumeTimes: message.reconsumeTimes,
      taken: true,
    };
  }

  #advance(queue: Level, next: number): void {
    queue.next = next;
    this.#dirty = true;
    if (++this.#changes % this.#options.delayOffsetUpdateVersionStep === 0) {
      this.#dataVersion = nextDataVersion(this.#dataVersion, this.#clock.now());
    }
  }

  /** Moves an offset that lies outside of the queue to its nearer end; true when it did. */
  #correct(queue: Level): boolean {
    const begin = this.#store.minOffset(SCHEDULE_TOPIC, queue.queueId);
    const end = this.#store.maxOffset(SCHEDULE_TOPIC, queue.queueId);
    const right = Math.min(Math.max(queue.next, begin), end);
    if (right === queue.next) return false;
    this.#log.warn(
      { level: queue.level, offset: queue.next, begin, end },
      "delay offset outside of its queue; corrected",
    );
    this.#advance(queue, right);
    return true;
  }

  #setTimer(): void {
    this.#clock.clear(this.#wake);
    this.#wake = undefined;
    if (!this.#running) return;
    let earliest = Number.POSITIVE_INFINITY;
    for (const queue of this.#queues) if (queue.dueAt !== undefined) earliest = Math.min(earliest, queue.dueAt);
    if (earliest === Number.POSITIVE_INFINITY) return;
    const delay = Math.min(Math.max(0, earliest - this.#clock.now()), LOOK_AGAIN_MS);
    this.#wake = this.#clock.after(delay, () => this.#woken());
  }

  #woken(): void {
    const now = this.#clock.now();
    for (const queue of this.#queues) {
      if (queue.dueAt === undefined) continue;
      // Also when the clock went back by more than the level's delay, which would otherwise hold the level up.
      if (queue.dueAt <= now || queue.dueAt > now + this.levels.delayMs(queue.level)) this.#run(queue);
    }
    this.#setTimer();
  }

  #load(): void {
    const stored = this.#file.load(readStored, (file, reason) =>
      this.#log.error({ file, reason }, "delay offsets not read from this file"),
    );
    if (stored !== undefined) this.#take(stored);
  }

  /** Takes a master's offsets over (the body of GET_ALL_DELAY_OFFSET); only while this broker delivers nothing. */
  follow(body: Buffer): void {
    this.#take(readStored(body.toString()));
    this.#dirty = true;
  }

  #take(stored: { dataVersion: DataVersion; offsetTable: Map<number, number> }): void {
    for (const [level, offset] of stored.offsetTable) {
      const queue = this.#queues[level - 1];
      if (queue === undefined) this.#others.set(level, offset);
      else queue.next = offset;
    }
    this.#dataVersion = stored.dataVersion;
  }
}

/**
 * Whether a message that the broker itself moved counts as moved. A slave that lags does not make it unsafe on this
 * broker, and Apache does not even wait for one here. One whose sync timed out may be lost, while what it was moved
 * from would be passed over.
 */
export function isTaken(result: AppendResult): boolean {
  return result.status === "ok" || result.status === "flushSlaveTimeout" || result.status === "slaveNotAvailable";
}

/** Whether a message that the broker itself moves is refused for what it is: another try would find the same. */
export function isHopeless({ status }: { status: AppendResult["status"] }): boolean {
  return status === "messageIllegal" || status === "propertiesTooLong" || status === "lmqQuotaExceeded";
}

function readStored(text: string): { dataVersion: DataVersion; offsetTable: Map<number, number> } {
  const bean = readBean("DelayOffsetSerializeWrapper", text);
  return {
    dataVersion: bean.bean("dataVersion", readDataVersion) ?? { counter: 0, stateVersion: 0, timestamp: 0 },
    offsetTable: bean.map("offsetTable", integerKey, toInteger) ?? new Map(),
  };
}
