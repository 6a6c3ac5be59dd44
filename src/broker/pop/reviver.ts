/**
 * Gives messages again that nobody acknowledged in time (Apache: PopReviveService.reviveRetry): a copy goes into the
 * group's retry topic, with one consumption counted.
 *
 * Copies and the record that says "done" are appended in one go, so that they lie together in the log. Only a crash that
 * cuts the log between them could make a second copy; a start finds such copies by comparing (see {@link Reviver.finish}).
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../../base/clock.ts";
import { javaHashCode } from "../../base/javaHash.ts";
import type { Logger } from "../../base/log.ts";
import { MessageDraft } from "../../message/draft.ts";
import { formatProperties, Property } from "../../message/properties.ts";
import { PropertyScan } from "../../message/propertyScan.ts";
import type { BrokerMetrics } from "../../metrics/brokerMetrics.ts";
import { newTopicConfig, PERM_READ, PERM_WRITE } from "../../protocol/bodies/topicConfig.ts";
import { normalTopic, popRetryTopic } from "../../protocol/extraInfo.ts";
import type { MessageStore } from "../../store/messageStore.ts";
import type { AckTarget, PendingAppend } from "../../store/pending.ts";
import type { StoredMessage } from "../../store/types.ts";
import type { Groups } from "../groups.ts";
import { RETRY_PREFIX } from "../names.ts";
import type { Offsets } from "../offsets.ts";
import { isHopeless } from "../schedule.ts";
import type { Topics } from "../topics.ts";
import type { InFlight } from "./inFlight.ts";
import { bits, type Checkpoint } from "./state.ts";

/** The options this service reads, by Apache's keys. */
export interface ReviveOptions {
  readonly enableRetryTopicV2: boolean;
  /** A retry topic has as many queues as its topic, and a message keeps its queue. */
  readonly useSeparateRetryQueue: boolean;
}

/** Checkpoints whose messages are read at the same time. */
const CONCURRENCY = 8;
/** Wait before the next try. */
const RETRY_MS = 1_000;
/** Wait for acknowledgements that are on their way into the journal. */
const SETTLE_MS = 50;
/** Messages at the end of a retry queue that a start compares with an open checkpoint. */
const COMPARED_MAX = 4_096;

const FIRST_POP_TIME = "1ST_POP_TIME";
const ORIGIN_GROUP = "ORIGIN_GROUP";

export class Reviver {
  /** Records what is revived, for whoever exports metrics. */
  metrics: BrokerMetrics | undefined = undefined;
  readonly #options: ReviveOptions;
  readonly #store: MessageStore;
  readonly #topics: Topics;
  readonly #groups: Groups;
  readonly #offsets: Offsets;
  readonly #clock: Clock;
  readonly #log: Logger;
  #inFlight!: InFlight;
  readonly #waiting: Checkpoint[] = [];
  #waitingFrom = 0;
  readonly #busy = new Set<Promise<void>>();
  #stopped = false;
  readonly #draft = new MessageDraft();
  readonly #scan = new PropertyScan();
  /** Messages revived since the start. */
  revived = 0;

  constructor(
    options: ReviveOptions,
    store: MessageStore,
    topics: Topics,
    groups: Groups,
    offsets: Offsets,
    clock: Clock,
    log: Logger,
  ) {
    this.#options = options;
    this.#store = store;
    this.#topics = topics;
    this.#groups = groups;
    this.#offsets = offsets;
    this.#clock = clock;
    this.#log = log;
    this.#draft.taken = true;
  }

  /** The two know each other. */
  attach(inFlight: InFlight): void {
    this.#inFlight = inFlight;
  }

  /** Takes a checkpoint whose time is over. */
  due(checkpoint: Checkpoint): void {
    if (this.#stopped) return;
    checkpoint.reviving = true;
    const { group, topic } = checkpoint.queue.group;
    this.metrics?.popDue(group, topic, checkpoint.reviveQid);
    this.#waiting.push(checkpoint);
    this.#pump();
  }

  /** Stops; resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#busy);
  }

  #pump(): void {
    while (this.#busy.size < CONCURRENCY && this.#waitingFrom < this.#waiting.length && !this.#stopped) {
      const checkpoint = this.#waiting[this.#waitingFrom++];
      if (this.#waitingFrom === this.#waiting.length) {
        this.#waiting.length = 0;
        this.#waitingFrom = 0;
      }
      const work = this.#revive(checkpoint)
        .catch((error: unknown) => {
          const { topic, group } = checkpoint.queue.group;
          this.#log.error({ err: error, topic, group }, "messages not revived; trying again");
          this.#inFlight.postpone(checkpoint, RETRY_MS);
        })
        .then(() => {
          checkpoint.reviving = false;
          this.#busy.delete(work);
          this.#pump();
        });
      this.#busy.add(work);
    }
  }

  async #revive(checkpoint: Checkpoint): Promise<void> {
    const inFlight = this.#inFlight;
    if (checkpoint.done) return;
    const { group, topic } = checkpoint.queue.group;
    if (!this.#topics.has(normalTopic(topic, group)) || this.#groups.find(group) === undefined) {
      this.#log.info({ topic, group }, "messages of a pop given up: their topic or group is gone");
      inFlight.abandon(checkpoint);
      inFlight.postpone(checkpoint, RETRY_MS);
      return;
    }
    const retry = this.#retryTopicOf(topic, group);
    // A copy in a topic that a crash takes away again would be lost.
    if (this.#ensureTopic(retry, group)) await this.#topics.saved();
    const messages = await this.#read(checkpoint);
    if (checkpoint.done || this.#stopped) return;
    // From here to the record nothing is awaited: the acknowledgements of this turn are in `asked`.
    const open = checkpoint.all & ~checkpoint.acked & ~checkpoint.asked;
    let settled = 0;
    let refusal: string | undefined;
    for (let i = 0; i < checkpoint.count && refusal === undefined; i++) {
      const bit = 1 << i;
      if ((open & bit) === 0) continue;
      const message = messages[i];
      if ((checkpoint.copied & bit) === 0 && message !== undefined) {
        refusal = this.#copy(checkpoint, bit, message, retry);
      }
      if (refusal === undefined) settled |= bit;
    }
    if (settled !== 0) refusal = inFlight.revived(checkpoint, settled) ?? refusal;
    if (refusal !== undefined) this.#log.warn({ topic, group, refusal }, "messages not revived; trying again");
    // Looked at again until the journal has said that everything is done; usually it has by then.
    inFlight.postpone(checkpoint, refusal === undefined ? SETTLE_MS : RETRY_MS);
  }

  /** The open messages by index. */
  #read(checkpoint: Checkpoint): Promise<(StoredMessage | undefined)[]> {
    const { queueId, group } = checkpoint.queue;
    return Promise.all(
      Array.from({ length: checkpoint.count }, async (_, i) => {
        if (((checkpoint.acked | checkpoint.copied) & (1 << i)) !== 0) return undefined;
        const offset = checkpoint.offsetAt(i);
        const [unit] = await this.#store.units(group.topic, queueId, offset, 1);
        const message = unit?.queueOffset === offset ? await this.#store.messageAt(unit.logOffset) : undefined;
        if (message === undefined) {
          this.#log.info({ topic: group.topic, queueId, offset }, "a message to revive is no longer stored");
        }
        return message;
      }),
    );
  }

  /** Appends the copy of one message; returns the reason when it is refused. */
  #copy(checkpoint: Checkpoint, bit: number, message: StoredMessage, topic: string): string | undefined {
    const { group } = checkpoint.queue.group;
    const properties = new Map(message.properties);
    if (message.reconsumeTimes === 0 || !properties.has(FIRST_POP_TIME)) {
      properties.set(FIRST_POP_TIME, String(checkpoint.popTime));
    }
    properties.set(ORIGIN_GROUP, group);
    const draft = this.#draft;
    const store = this.#store;
    draft.queueId = this.#queueOf(topic, message.queueId);
    draft.flag = message.flag;
    draft.sysFlag = message.sysFlag;
    draft.bornTimestamp = message.bornTimestamp;
    draft.setHosts(store.storeHost, store.storeHost);
    draft.reconsumeTimes = message.reconsumeTimes + (checkpoint.suspend ? 0 : 1);
    draft.preparedTransactionOffset = 0;
    draft.body = message.body;
    draft.bodyStart = 0;
    draft.bodyEnd = message.body.length;
    const tags = properties.get(Property.TAGS);
    draft.tagsCode = tags === undefined || tags === "" ? 0 : javaHashCode(tags);
    setProperties(draft, this.#scan, properties);
    const queue = store.queue(topic, draft.queueId);
    const copy = new Copy(this, checkpoint, bit);
    let pending = store.append(draft, this.#scan, queue, copy, 0, 0);
    if (pending.status === "propertiesTooLong" || pending.status === "messageIllegal") {
      // Better without our two notes than never.
      setProperties(draft, this.#scan, message.properties);
      pending = store.append(draft, this.#scan, queue, copy, 0, 0);
    }
    if (isHopeless(pending)) {
      // Given up, or the messages behind it in its pop would never be given again.
      this.#log.error(
        { topic, group, logOffset: message.logOffset, reason: pending.reason },
        "a message cannot be stored in its retry topic; it is not revived",
      );
      return undefined;
    }
    return pending.status === "ok" ? undefined : pending.reason;
  }

  /** A copy is in the log. */
  copied(checkpoint: Checkpoint, bit: number): void {
    checkpoint.copied |= bit;
    this.revived++;
    const { group, topic } = checkpoint.queue.group;
    this.metrics?.popRevived(group, topic);
  }

  /** The topic that copies go to. A message that was in a retry topic goes into the same one again. */
  #retryTopicOf(topic: string, group: string): string {
    return topic.startsWith(RETRY_PREFIX) ? topic : popRetryTopic(topic, group, this.#options.enableRetryTopicV2);
  }

  /** Makes a retry topic when it is missing, or has too few queues; whether it did. */
  #ensureTopic(retry: string, group: string): boolean {
    const known = this.#topics.get(retry);
    if (known !== undefined && !this.#options.useSeparateRetryQueue) return false;
    const queues = this.#options.useSeparateRetryQueue
      ? (this.#topics.get(normalTopic(retry, group))?.writeQueueNums ?? 1)
      : 1;
    if (known !== undefined && known.writeQueueNums === queues) return false;
    const config = newTopicConfig(retry, {
      readQueueNums: queues,
      writeQueueNums: queues,
      perm: PERM_READ | PERM_WRITE,
    });
    if (known === undefined) this.#topics.createIfAbsent(config);
    else this.#topics.update([config]);
    for (let queueId = 0; queueId < queues; queueId++) {
      if (this.#offsets.query(group, retry, queueId) < 0) this.#offsets.commit(group, retry, queueId, 0, "pop");
    }
    return true;
  }

  #queueOf(retryTopic: string, queueId: number): number {
    if (!this.#options.useSeparateRetryQueue) return 0;
    return queueId < (this.#topics.get(retryTopic)?.writeQueueNums ?? 1) ? queueId : 0;
  }

  // ---- after a crash ----

  /**
   * A crash may have cut the log between the copies of a checkpoint and the record that says so. Such copies lie at the
   * end of the retry queue: they are compared with the open messages of the checkpoints that were due.
   */
  async finish(): Promise<number> {
    const now = this.#clock.now();
    const ends = new Map<string, Set<StoredMessage>>();
    let found = 0;
    for (const checkpoint of [...this.#inFlight.all()]) {
      if (checkpoint.dueAt > now || checkpoint.done) continue;
      const { topic, group } = checkpoint.queue.group;
      const retries = topic.startsWith(RETRY_PREFIX)
        ? [topic]
        : [popRetryTopic(topic, group, false), popRetryTopic(topic, group, true)];
      const copies: Set<StoredMessage>[] = [];
      for (const retry of retries) {
        let end = ends.get(retry);
        if (end === undefined) {
          if (this.#store.queuesOf(retry).length > 0) this.#ensureTopic(retry, group);
          end = await this.#endOf(retry);
          ends.set(retry, end);
        }
        if (end.size > 0) copies.push(end);
      }
      if (copies.length > 0) found += await this.#finishOne(checkpoint, copies);
    }
    return found;
  }

  /** Each copy counts for one message only. */
  async #finishOne(checkpoint: Checkpoint, copies: readonly Set<StoredMessage>[]): Promise<number> {
    const messages = await this.#read(checkpoint);
    let done = 0;
    for (let i = 0; i < checkpoint.count; i++) {
      const message = messages[i];
      if (message === undefined) continue;
      for (const end of copies) {
        const copy = [...end].find((one) => one.storeTimestamp >= checkpoint.dueAt && isCopy(one, message, checkpoint));
        if (copy === undefined) continue;
        end.delete(copy);
        done |= 1 << i;
        break;
      }
    }
    if (done === 0) return 0;
    // The record is written with the next revival; until then memory knows.
    checkpoint.copied |= done;
    return bits(done);
  }

  /** The newest messages of a retry topic. */
  async #endOf(topic: string): Promise<Set<StoredMessage>> {
    const messages = new Set<StoredMessage>();
    for (const queueId of this.#store.queuesOf(topic)) {
      const max = this.#store.maxOffset(topic, queueId);
      const from = Math.max(this.#store.minOffset(topic, queueId), max - COMPARED_MAX);
      for (const unit of await this.#store.units(topic, queueId, from, max - from)) {
        const message = await this.#store.messageAt(unit.logOffset);
        if (message !== undefined) messages.add(message);
      }
    }
    return messages;
  }
}

/** Whether a message of a retry topic was made from this one for this checkpoint. Without a unique key nobody can tell. */
function isCopy(copy: StoredMessage, message: StoredMessage, checkpoint: Checkpoint): boolean {
  return (
    message.properties.has(Property.UNIQUE_KEY) &&
    copy.reconsumeTimes === message.reconsumeTimes + (checkpoint.suspend ? 0 : 1) &&
    copy.bornTimestamp === message.bornTimestamp &&
    copy.properties.get(Property.UNIQUE_KEY) === message.properties.get(Property.UNIQUE_KEY) &&
    copy.logOffset > message.logOffset &&
    copy.body.equals(message.body)
  );
}

/** One copy on its way into the log. */
class Copy implements AckTarget {
  readonly #reviver: Reviver;
  readonly #checkpoint: Checkpoint;
  readonly #bit: number;

  constructor(reviver: Reviver, checkpoint: Checkpoint, bit: number) {
    this.#reviver = reviver;
    this.#checkpoint = checkpoint;
    this.#bit = bit;
  }

  appended(pending: PendingAppend): void {
    const { status } = pending;
    if (
      status === "ok" ||
      status === "flushSlaveTimeout" ||
      status === "slaveNotAvailable" ||
      status === "flushDiskTimeout"
    ) {
      this.#reviver.copied(this.#checkpoint, this.#bit);
    }
  }
}

function setProperties(draft: MessageDraft, scan: PropertyScan, properties: Map<string, string>): void {
  const bytes: Buffer = Buffer.from(formatProperties(properties));
  draft.properties = bytes;
  draft.propertiesStart = 0;
  draft.propertiesEnd = bytes.length;
  scan.scan(bytes, 0, bytes.length);
}
