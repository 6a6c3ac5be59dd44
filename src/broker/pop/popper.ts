/**
 * Takes messages for a pop (Apache: PopMessageProcessor): from one queue or from all of a topic in turn, mixed with the
 * group's retry topics, each queue from the group's offset on. Finding is free of side effects and never waits: what is
 * not in memory is named for loading. Taking notes every queue's part as a checkpoint, or as the state of its order.
 */

import type { Clock } from "../../base/clock.ts";
import { readInt64OrMinus1 } from "../../base/int64.ts";
import { POP_MESSAGES_MAX } from "../../base/limits.ts";
import type { Random } from "../../base/random.ts";
import type { UnitFilter } from "../../filter/unitFilter.ts";
import type { SubscriptionGroupConfig } from "../../protocol/bodies/subscriptionGroup.ts";
import type { TopicConfig } from "../../protocol/bodies/topicConfig.ts";
import { OffsetInfo, ORDER_REVIVE_QID, popRetryTopic } from "../../protocol/extraInfo.ts";
import { foundAt } from "../../store/consumeQueue.ts";
import type { MessageStore } from "../../store/messageStore.ts";
import { Selection } from "../../store/selection.ts";
import { MESSAGE_TYPE } from "../attributes.ts";
import { RETRY_PREFIX } from "../names.ts";
import type { Offsets } from "../offsets.ts";
import type { Topics } from "../topics.ts";
import type { InFlight, Taken } from "./inFlight.ts";
import type { Orders } from "./orders.ts";
import type { PopGroup, PopQueue } from "./state.ts";

/** The options this service reads, by Apache's keys. */
export interface PopOptions {
  readonly enableRetryTopicV2: boolean;
  readonly retrieveMessageFromPopRetryTopicV1: boolean;
  /** Percent of pops that look at the retry topic first. */
  readonly popFromRetryProbability: number;
  readonly popFromRetryProbabilityForPriority: number;
  readonly priorityOrderAsc: boolean;
  readonly initPopOffsetByCheckMsgInMem: boolean;
  readonly enablePopMessageThreshold: boolean;
  readonly popInflightMessageThreshold: number;
  readonly useServerSideResetOffset: boolean;
  readonly maxTransferBytesOnMessageInMemory: number;
}

/** ConsumeInitMode.MIN: a group without an offset begins with the oldest message. */
const INIT_MIN = 0;

/** Percent of pops of a priority topic that take the most urgent queue first (SubscriptionGroupConfig.getPriorityFactor). */
function priorityFactor(group: SubscriptionGroupConfig): number {
  const given = Number(group.attributes.get("priority.factor"));
  return Number.isInteger(given) ? given : 100;
}

/** What a pop asks for. */
export interface PopQuery {
  readonly group: string;
  readonly topic: string;
  /** Below 0: any queue. */
  readonly queueId: number;
  readonly maxMsgNums: number;
  /** ms */
  readonly invisibleTime: number;
  readonly initMode: number;
  readonly order: boolean;
  readonly attemptId: string | undefined;
}

/** One queue's part of a result. */
export class PopPart {
  queue!: PopQueue;
  startOffset = 0;
  nextOffset = 0;
  /** Its messages are `[from, to)` of the result's. */
  from = 0;
  to = 0;
}

/** What a pop found: places in the log, not bytes. Used again by the next pop. */
export class PopResult {
  count = 0;
  bytes = 0;
  readonly logOffsets = new Float64Array(POP_MESSAGES_MAX);
  readonly queueOffsets = new Float64Array(POP_MESSAGES_MAX);
  readonly sizes = new Int32Array(POP_MESSAGES_MAX);
  readonly parts: PopPart[] = [];
  partCount = 0;
  /** Messages left behind in the queues looked at. */
  restNum = 0;
  /** ms of the wall clock */
  popTime = 0;
  invisibleTime = 0;
  reviveQid = 0;
  readonly startOffsetInfo = new OffsetInfo();
  readonly msgOffsetInfo = new OffsetInfo();
  readonly #orderCountInfo = new OffsetInfo();
  orderCountInfo: OffsetInfo | undefined = undefined;
  /** Why nothing could be given although there is something. */
  refusal: string | undefined = undefined;

  clear(order: boolean): void {
    this.count = 0;
    this.bytes = 0;
    this.partCount = 0;
    this.restNum = 0;
    this.refusal = undefined;
    this.startOffsetInfo.clear();
    this.msgOffsetInfo.clear();
    this.#orderCountInfo.clear();
    this.orderCountInfo = order ? this.#orderCountInfo : undefined;
  }

  nextPart(): PopPart {
    let part = this.parts[this.partCount];
    if (part === undefined) {
      part = new PopPart();
      this.parts.push(part);
    }
    this.partCount++;
    return part;
  }
}

export class Popper {
  readonly #options: PopOptions;
  readonly #store: MessageStore;
  readonly #topics: Topics;
  readonly #offsets: Offsets;
  readonly #inFlight: InFlight;
  readonly #orders: Orders;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #selection = new Selection();
  readonly result = new PopResult();
  readonly #taken: Taken;
  #nextReviveQid = 0;
  /** What has to be loaded before more can be found: of the last pop. */
  #missing: (() => Promise<void>) | undefined;

  constructor(
    options: PopOptions,
    store: MessageStore,
    topics: Topics,
    offsets: Offsets,
    inFlight: InFlight,
    orders: Orders,
    clock: Clock,
    random: Random,
  ) {
    this.#options = options;
    this.#store = store;
    this.#topics = topics;
    this.#offsets = offsets;
    this.#inFlight = inFlight;
    this.#orders = orders;
    this.#clock = clock;
    this.#random = random;
    const { queueOffsets } = this.result;
    this.#taken = {
      startOffset: 0,
      popTime: 0,
      invisibleTime: 0,
      reviveQid: 0,
      offsets: queueOffsets,
      from: 0,
      to: 0,
      nextOffset: 0,
    };
  }

  /**
   * Pops into {@link result}. Messages in it are noted as given; they must be delivered in this very call's turn.
   * @returns undefined, or what to wait for before trying again, when nothing was found but something must be loaded
   */
  pop(
    query: PopQuery,
    topic: TopicConfig,
    group: SubscriptionGroupConfig,
    filter: UnitFilter,
  ): (() => Promise<void>) | undefined {
    const { result } = this;
    const options = this.#options;
    const { order } = query;
    result.clear(order);
    this.#missing = undefined;
    result.popTime = this.#clock.now();
    result.invisibleTime = query.invisibleTime;
    result.reviveQid = order ? ORDER_REVIVE_QID : this.#nextReviveQid++ % this.#inFlight.journal.configured;
    let first = this.#random.int(100);
    const byPriority = topic.attributes.get(MESSAGE_TYPE) === "PRIORITY" && !order && first < priorityFactor(group);
    const retryFirst =
      first < (byPriority ? options.popFromRetryProbabilityForPriority : options.popFromRetryProbability);
    // Both kinds of retry topics share a flag's place in the reply: one of them per pop.
    const v2 = options.enableRetryTopicV2 && !(options.retrieveMessageFromPopRetryTopicV1 && first % 2 === 0);
    if (byPriority) first = 0;
    const own = this.#inFlight.groups.make(query.topic, query.group);
    own.usedAt = this.#clock.monotonicMs();
    const retry = order ? undefined : this.#retryTopic(own, v2);
    if (retry !== undefined && retryFirst) this.#fromTopic(query, retry, filter, first);
    if (query.queueId < 0) this.#fromTopic(query, topic, filter, first);
    else this.#fromQueue(query, own.queue(query.queueId), filter);
    if (retry !== undefined && !retryFirst && result.count < query.maxMsgNums) {
      this.#fromTopic(query, retry, filter, first);
    }
    if (result.count === 0) return this.#missing;
    // The rest comes with the next pop, when it is in memory.
    if (this.#missing !== undefined) void (this.#missing as () => Promise<void>)().catch(() => {});
    this.#take(query);
    return undefined;
  }

  #retryTopic(own: PopGroup, v2: boolean): TopicConfig | undefined {
    // A retry topic that is popped by its name has none of its own.
    if (own.topic.startsWith(RETRY_PREFIX)) return undefined;
    let name = own.retryNames[v2 ? 1 : 0];
    if (name === undefined) {
      name = popRetryTopic(own.topic, own.group, v2);
      own.retryNames[v2 ? 1 : 0] = name;
    }
    return this.#topics.get(name);
  }

  #fromTopic(query: PopQuery, topic: TopicConfig, filter: UnitFilter, first: number): void {
    const group = this.#inFlight.groups.make(topic.topicName, query.group);
    group.usedAt = this.#clock.monotonicMs();
    const queues = topic.readQueueNums;
    for (let i = 0; i < queues; i++) {
      const index = (this.#options.priorityOrderAsc ? queues - 1 - i : i) + first;
      this.#fromQueue(query, group.queue(index % queues), filter);
    }
  }

  #fromQueue(query: PopQuery, queue: PopQueue, filter: UnitFilter): void {
    const { result } = this;
    const store = this.#store;
    const { topic } = queue.group;
    const { queueId } = queue;
    const max = store.maxOffset(topic, queueId);
    let offset = this.#popOffset(queue, query.initMode, true);
    if (offset < 0) return;
    const options = this.#options;
    if (options.enablePopMessageThreshold && queue.inFlight > options.popInflightMessageThreshold) {
      result.restNum += max - offset;
      return;
    }
    if (query.order) {
      // What waits in a blocked queue is not left behind: the pop is woken when the queue is free.
      if (this.#orders.blocked(queue, query.attemptId, query.invisibleTime)) return;
      queue.inFlight = 0;
    }
    const wanted = Math.min(query.maxMsgNums, POP_MESSAGES_MAX) - result.count;
    const room = options.maxTransferBytesOnMessageInMemory - result.bytes;
    if (wanted <= 0 || (result.count > 0 && room <= 0)) {
      result.restNum += max - offset;
      return;
    }
    const selection = this.#selection;
    store.select(selection, topic, queueId, offset, wanted, room, filter);
    if (selection.status === "tooSmall" || selection.status === "beyondEnd") {
      offset = selection.nextOffset;
      this.#offsets.commit(queue.group.group, topic, queueId, offset, "pop");
      store.select(selection, topic, queueId, offset, wanted, room, filter);
    }
    if (selection.status === "missing") {
      this.#mustLoad(selection, queue);
      return;
    }
    if (selection.status === "found") this.#add(queue, offset);
    else if (selection.status === "noMatch" && queue.writing === 0) {
      this.#offsets.commit(queue.group.group, topic, queueId, selection.nextOffset, "pop");
    }
    result.restNum += Math.max(0, selection.maxOffset - selection.nextOffset);
  }

  #mustLoad(selection: Selection, queue: PopQueue): void {
    if (this.#missing !== undefined) return;
    const { topic } = queue.group;
    const wanted = Object.assign(new Selection(), {
      missingUnit: selection.missingUnit,
      missingLogOffset: selection.missingLogOffset,
      missingBytes: selection.missingBytes,
    });
    this.#missing = () => this.#store.load(wanted, topic, queue.queueId);
  }

  #add(queue: PopQueue, startOffset: number): void {
    const { result } = this;
    const selection = this.#selection;
    const part = result.nextPart();
    part.queue = queue;
    part.startOffset = startOffset;
    part.nextOffset = selection.nextOffset;
    part.from = result.count;
    for (let i = 0; i < selection.count; i++) {
      const at = result.count++;
      result.logOffsets[at] = selection.logOffsets[i];
      result.sizes[at] = selection.sizes[i];
      result.queueOffsets[at] = selection.queueOffsets[i];
    }
    part.to = result.count;
    result.bytes += selection.bytes;
  }

  /** Notes every part; one that cannot be noted is not given. */
  #take(query: PopQuery): void {
    const { result } = this;
    let refused = 0;
    for (let i = 0; i < result.partCount; i++) {
      const part = result.parts[i];
      const { queue } = part;
      if (query.order) {
        const offsets = Array.from(result.queueOffsets.subarray(part.from, part.to));
        this.#orders.gave(queue, query.attemptId, result.popTime, query.invisibleTime, offsets, result.orderCountInfo!);
        const { topic, group } = queue.group;
        this.#offsets.commit(group, topic, queue.queueId, part.startOffset, "pop");
        queue.inFlight += offsets.length;
        this.#inFlight.orderChanged(queue);
      } else {
        const taken = this.#taken;
        taken.startOffset = part.startOffset;
        taken.popTime = result.popTime;
        taken.invisibleTime = result.invisibleTime;
        taken.reviveQid = result.reviveQid;
        taken.from = part.from;
        taken.to = part.to;
        taken.nextOffset = part.nextOffset;
        const refusal = this.#inFlight.open(queue, taken);
        if (refusal !== undefined) {
          result.refusal = refusal;
          refused += part.to - part.from;
          part.to = part.from;
          continue;
        }
      }
      const { flag } = queue.group;
      result.startOffsetInfo.addQueue(flag, queue.queueId, part.startOffset);
      result.msgOffsetInfo.addOffsets(flag, queue.queueId, result.queueOffsets, part.from, part.to);
    }
    if (refused > 0) this.#leaveOut(refused);
  }

  /** Closes the gaps of parts that were refused; rare (a full disk, too many in flight). */
  #leaveOut(refused: number): void {
    const { result } = this;
    let at = 0;
    let bytes = 0;
    for (let i = 0; i < result.partCount; i++) {
      const part = result.parts[i];
      const from = at;
      for (let j = part.from; j < part.to; j++) {
        result.logOffsets[at] = result.logOffsets[j];
        result.queueOffsets[at] = result.queueOffsets[j];
        result.sizes[at] = result.sizes[j];
        bytes += result.sizes[at];
        at++;
      }
      part.from = from;
      part.to = at;
    }
    result.count = at;
    result.bytes = bytes;
    result.restNum += refused;
  }

  // ---- where a queue's next pop begins ----

  /**
   * The group's offset of a queue (Apache: getPopOffset); a new group gets one by its mode.
   * @param commit note a new group's offset, and obey a waiting reset
   * @returns -1 when it cannot be told before something is loaded
   */
  #popOffset(queue: PopQueue, initMode: number, commit: boolean): number {
    const { topic, group } = queue.group;
    const { queueId } = queue;
    const offsets = this.#offsets;
    if (commit && this.#options.useServerSideResetOffset && offsets.hasReset(group, topic, queueId)) {
      const offset = offsets.takeReset(group, topic, queueId);
      // What was popped before must not move the offset any more.
      queue.generation++;
      if (this.#orders.clear(queue)) this.#inFlight.orderChanged(queue);
      offsets.commit(group, topic, queueId, offset, "reset");
      return offset;
    }
    let committed = offsets.query(group, topic, queueId);
    if (committed < 0) {
      committed = this.#initOffset(queue, initMode);
      if (commit && committed >= 0) offsets.commit(group, topic, queueId, committed, "pop");
    }
    return queue.writing > 0 ? Math.max(queue.writingNext, committed) : committed;
  }

  #initOffset(queue: PopQueue, initMode: number): number {
    const { topic } = queue.group;
    const store = this.#store;
    const min = store.minOffset(topic, queue.queueId);
    if (initMode === INIT_MIN || topic.startsWith(RETRY_PREFIX)) return min;
    const max = store.maxOffset(topic, queue.queueId);
    if (this.#options.initPopOffsetByCheckMsgInMem && min <= 0 && max > 0) {
      const units = store.findQueue(topic, queue.queueId)?.unitBuffer(0);
      if (units === undefined) {
        this.#missing ??= () => store.findQueue(topic, queue.queueId)?.load1(0) ?? Promise.resolve();
        return -1;
      }
      if (store.inMemory(readInt64OrMinus1(units, foundAt))) return 0;
    }
    return Math.max(0, max - 1);
  }

  /** Where the group's next pop of a queue begins, without noting anything (NOTIFICATION, PEEK_MESSAGE). */
  nextOffset(queue: PopQueue): number {
    const { topic, group } = queue.group;
    const committed = this.#offsets.query(group, topic, queue.queueId);
    const offset = committed < 0 ? this.#store.minOffset(topic, queue.queueId) : committed;
    return queue.writing > 0 ? Math.max(queue.writingNext, offset) : offset;
  }
}
