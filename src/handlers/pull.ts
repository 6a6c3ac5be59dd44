/**
 * PULL_MESSAGE and LITE_PULL_MESSAGE (Apache: PullMessageProcessor, DefaultPullMessageResultHandler). The hot path copies
 * log bytes from memory straight behind the reply's head; what is not in memory is loaded without blocking and tried
 * again. A pull that finds nothing waits in PullHolds.
 */

import { FILTER_CACHED_CHARS_MAX } from "../base/limits.ts";
import type { BroadcastOffsets } from "../broker/broadcastOffsets.ts";
import { isSystemPuller, RETRY_PREFIX } from "../broker/names.ts";
import type { Held, PullHolds } from "../broker/pullHolds.ts";
import { RetryFilter } from "../broker/retryFilter.ts";
import { FilterCache, isTagType } from "../filter/messageFilter.ts";
import type { UnitFilter } from "../filter/unitFilter.ts";
import { PULL_COMMIT_OFFSET, PULL_SUBSCRIPTION, PULL_SUSPEND } from "../message/sysFlag.ts";
import type { SubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { Caller, HotCall, Reply, ReplyOut, Row } from "../protocol/dispatch.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { type PullReplyFields, PullRequest, SOURCE_PROXY_FOR_BROADCAST, writePullHead } from "../protocol/pullCodec.ts";
import type { MessageStore } from "../store/messageStore.ts";
import { Selection, type SelectionStatus } from "../store/selection.ts";
import { unsupportedFilter } from "./filterReplies.ts";
import type { HaView } from "./ha.ts";
import { type BrokerParts, refuse } from "./parts.ts";
import {
  BY_BROADCAST,
  BY_BROKER,
  BY_SUBSCRIPTION,
  forbidden,
  pulledTopic,
  pullingGroup,
  unreadableBroker,
} from "./pullChecks.ts";

export type PullParts = Omit<BrokerParts, "store"> & {
  readonly store: MessageStore;
  readonly holds: PullHolds;
  readonly broadcasts: BroadcastOffsets;
  readonly ha?: HaView;
};

/** PermName.INDEX_PERM_READ: the bit of a group's forbidden mask. */
const FORBIDDEN_READ = 2;
const MASTER_ID = 0;
/** Rounds of loading for one pull; more would mean that the cache is thrashing. */
const LOAD_ROUNDS_MAX = 16;

export function pullRows(parts: PullParts): Row[] {
  const puller = new Puller(parts);
  const hot = (call: HotCall) => puller.pull(call);
  return [
    { code: RequestCode.PULL_MESSAGE, name: "PULL_MESSAGE", hot, lane: "notFast" },
    { code: RequestCode.LITE_PULL_MESSAGE, name: "LITE_PULL_MESSAGE", hot, lane: "notFast" },
  ];
}

/** Who is asking and for what, as long as the pull waits; hot pulls use one object again and again. */
interface Pull {
  request: PullRequest;
  out: ReplyOut;
  caller: Caller;
  topic: TopicConfig;
  group: SubscriptionGroupConfig;
  filter: UnitFilter;
  /** Queue offset before which nothing passes the filter: a held pull looks only at what has come since. */
  seenTo: number;
  /** Queue offset to select from: behind the one asked for once loading old records has passed over unwanted ones. */
  from: number;
  /** How long bytes from the disk were waited for, ms. */
  loadedMs: number;
}

export class Puller {
  readonly #parts: PullParts;
  readonly #isSlave: boolean;
  readonly #request = new PullRequest();
  /** The pull being answered; one that outlives its frame is copied by {@link keep}. */
  readonly #pull = { request: this.#request } as Pull;
  readonly #selection = new Selection();
  readonly #filters = new FilterCache();
  readonly #fields: PullReplyFields = {
    suggestWhichBrokerId: 0,
    nextBeginOffset: 0,
    minOffset: 0,
    maxOffset: 0,
    topicSysFlag: 0,
    groupSysFlag: 0,
  };

  constructor(parts: PullParts) {
    this.#parts = parts;
    this.#isSlave = parts.config.brokerRole === "SLAVE";
    parts.store.onArrival((topic, queueId) => parts.holds.arrived(topic, queueId));
    parts.offsets.onReset((topic, queueId) => parts.holds.arrived(topic, queueId));
  }

  pull(call: HotCall): void {
    const request = this.#request;
    request.read(call.view);
    const checked = this.#check(request, call);
    if ("code" in checked) {
      call.out.reply(request.opaque, request.serialization, checked);
      return;
    }
    this.#commitOffset(request, call.caller);
    if (!this.#answer(checked, true)) this.#answerLater(keep(checked), true, LOAD_ROUNDS_MAX);
  }

  /** Everything that can refuse a pull, in Apache's order; what is left is enough to answer it. */
  #check(request: PullRequest, call: HotCall): Pull | Reply {
    const { config } = this.#parts;
    const unreadable = unreadableBroker(this.#parts);
    if (unreadable !== undefined) return unreadable;
    if (call.view.code === RequestCode.LITE_PULL_MESSAGE && !config.litePullMessageEnable) {
      return forbidden(BY_BROKER, `the broker[${config.brokerIP1}] for lite pull consumer is forbidden`);
    }
    const group = pullingGroup(this.#parts, request.group, call.caller.address);
    if ("code" in group) return group;
    const topic = pulledTopic(this.#parts, request.topic);
    if ("code" in topic) return topic;
    if (request.queueId < 0 || request.queueId >= topic.readQueueNums) {
      return refuse(
        "INVALID_PARAMETER",
        `queueId[${request.queueId}] is illegal, topic:[${request.topic}] topicConfig.readQueueNums:` +
          `[${topic.readQueueNums}] consumer:[/${call.caller.address}]`,
      );
    }
    const filter = this.#filter(request, group);
    if ("code" in filter) return filter;
    if (config.rejectPullConsumerEnable && this.#isStrayPuller(request.group, call.caller)) {
      return refuse(
        "SUBSCRIPTION_NOT_EXIST",
        `the consumer's group info not exist, or the pull consumer is rejected by server.${FAQ_HINT}`,
      );
    }
    const pull = this.#pull;
    pull.out = call.out;
    pull.caller = call.caller;
    pull.topic = topic;
    pull.group = group;
    pull.filter = filter;
    pull.seenTo = request.queueOffset;
    pull.from = request.queueOffset;
    pull.loadedMs = 0;
    return pull;
  }

  /** rejectPullConsumerEnable: who pulls must be a member of its group, unless that is one of push consumers, or a system's. */
  #isStrayPuller(group: string, caller: Caller): boolean {
    const online = this.#parts.clients.consumerGroup(group);
    if (online !== undefined && online.consumeType !== "CONSUME_ACTIVELY") return false;
    return !online?.members.has(caller.id) && !isSystemPuller(group);
  }

  #filter(request: PullRequest, group: SubscriptionGroupConfig): UnitFilter | Reply {
    if ((request.sysFlag & PULL_SUBSCRIPTION) !== 0) {
      return this.#expression(request.subscription, request.expressionType);
    }
    const { clients, groups } = this.#parts;
    const online = clients.consumerGroup(request.group);
    if (online === undefined) {
      return refuse("SUBSCRIPTION_NOT_EXIST", `the consumer's group info not exist${FAQ_HINT}`);
    }
    if (!group.consumeBroadcastEnable && online.messageModel === "BROADCASTING") {
      return forbidden(BY_BROADCAST, `the consumer group[${request.group}] can not consume by broadcast way`);
    }
    if (groups.isForbidden(request.group, request.topic, FORBIDDEN_READ)) {
      return forbidden(
        BY_SUBSCRIPTION,
        `the consumer group[${request.group}] is forbidden for topic[${request.topic}]`,
      );
    }
    const subscription = clients.subscription(request.group, request.topic);
    if (subscription === undefined) {
      return refuse("SUBSCRIPTION_NOT_EXIST", `the consumer's subscription not exist${FAQ_HINT}`);
    }
    if (subscription.subVersion < request.subVersion) {
      return refuse("SUBSCRIPTION_NOT_LATEST", "the consumer's subscription not latest");
    }
    if (isTagType(subscription.expressionType)) return this.#expression(subscription.subString, undefined);
    return this.#groupFilter(request, subscription.expressionType);
  }

  /** The property filter that the group's heartbeat brought. */
  #groupFilter({ topic, group, subVersion }: PullRequest, type: string): UnitFilter | Reply {
    const { consumerFilters, config } = this.#parts;
    const known = consumerFilters.get(topic, group);
    if (known === undefined) {
      return refuse(
        "FILTER_DATA_NOT_EXIST",
        "The broker's consumer filter data is not exist!Your expression may be wrong!",
      );
    }
    if (known.clientVersion < subVersion) {
      return refuse("FILTER_DATA_NOT_LATEST", "the consumer's consumer filter data not latest");
    }
    if (!config.enablePropertyFilter) return unsupportedFilter(type);
    const byOrigin = config.filterSupportRetry && topic.startsWith(RETRY_PREFIX);
    return byOrigin ? new RetryFilter(group, consumerFilters) : known.filter;
  }

  /** An expression that came with the pull itself, or tags, which need no compiling beforehand. */
  #expression(expression: string | undefined, type: string | undefined): UnitFilter | Reply {
    if (!isTagType(type) && expression !== undefined && expression !== "" && !this.#parts.config.enablePropertyFilter) {
      return unsupportedFilter(type);
    }
    try {
      return this.#filters.get(expression, type);
    } catch (error) {
      const words = "parse the consumer's subscription failed";
      // Tags that are none need no further reason.
      const remark = isTagType(type) ? words : `${words}: ${(error as Error).message}`;
      return refuse("SUBSCRIPTION_PARSE_FAILED", remark);
    }
  }

  #commitOffset(request: PullRequest, caller: Caller): void {
    if ((request.sysFlag & PULL_COMMIT_OFFSET) === 0) return;
    // A waiting reset must not be undone by a consumer that does not know of it yet.
    if (this.#resetWaits(request)) return;
    this.#parts.offsets.commit(request.group, request.topic, request.queueId, request.commitOffset, caller.address);
  }

  #resetWaits({ group, topic, queueId }: PullRequest): boolean {
    const { config, offsets } = this.#parts;
    return config.useServerSideResetOffset && offsets.hasReset(group, topic, queueId);
  }

  /** Answers or holds; false when bytes must be loaded first (see the selection). */
  #answer(pull: Pull, maySuspend: boolean): boolean {
    const { request } = pull;
    const { store, offsets, config } = this.#parts;
    const selection = this.#selection;
    if (this.#resetWaits(request)) {
      const offset = offsets.takeReset(request.group, request.topic, request.queueId);
      this.#fields.minOffset = store.minOffset(request.topic, request.queueId);
      this.#fields.maxOffset = store.maxOffset(request.topic, request.queueId);
      offsets.commitPull(request.group, request.topic, request.queueId, offset);
      this.#write(pull, ResponseCode.PULL_OFFSET_MOVED, "OFFSET_RESET", offset);
      return true;
    }
    const member = this.#broadcaster(pull);
    if (member !== undefined && this.#moveBroadcaster(pull, member)) return true;
    const maxBytes = Math.min(
      request.maxMsgBytes > 0 ? request.maxMsgBytes : config.maxTransferBytesOnMessageInMemory,
      config.maxTransferBytesOnMessageInMemory,
    );
    // The first message is given whatever the limits say.
    const maxCount = Math.max(1, Math.min(request.maxMsgNums, config.maxTransferCountOnMessageInMemory));
    store.select(selection, request.topic, request.queueId, pull.from, maxCount, maxBytes, pull.filter);
    if (selection.status === "missing") {
      pull.from = selection.nextOffset;
      return false;
    }
    // Nothing was wanted on the way to the end: as if one look had gone all the way.
    if (selection.status === "atEnd" && pull.from > request.queueOffset) selection.status = "noMatch";
    this.#fields.minOffset = selection.minOffset;
    this.#fields.maxOffset = selection.maxOffset;
    offsets.commitPull(request.group, request.topic, request.queueId, selection.nextOffset);
    const code = this.#codeOf(selection.status, request.queueOffset);
    if (member !== undefined) {
      this.#pulled(pull, member, code === ResponseCode.PULL_OFFSET_MOVED ? selection.nextOffset : request.queueOffset);
    }
    if (selection.status === "found") {
      this.#parts.counters.found++;
      this.#parts.counters.transferred += selection.count;
      this.#parts.stats.got(
        request.group,
        request.topic,
        request.queueId,
        selection.count,
        selection.bytes,
        pull.loadedMs,
      );
      this.#writeFound(pull);
      return true;
    }
    this.#parts.counters.missed++;
    if (code === ResponseCode.PULL_NOT_FOUND && maySuspend && this.#hold(pull)) return true;
    const nextOffset = this.#corrects(selection.status, request.queueOffset)
      ? selection.nextOffset
      : request.queueOffset;
    this.#write(pull, code, STATUS_NAMES[selection.status], nextOffset, selection.seenLogOffset);
    return true;
  }

  /** The client id of a broadcasting group's member whose pulls are noted; undefined for all others. */
  #broadcaster({ request, caller }: Pull): string | undefined {
    const { clients, broadcasts, config } = this.#parts;
    if (request.requestSource === SOURCE_PROXY_FOR_BROADCAST) {
      return config.enableBroadcastOffsetStore ? request.proxyFrowardClientId : undefined;
    }
    const group = clients.consumerGroup(request.group);
    return broadcasts.concerns(group) ? group?.members.get(caller.id)?.clientId : undefined;
  }

  /** Tells a member that comes from the other side, or without an offset, where to go on; false when it may just pull. */
  #moveBroadcaster(pull: Pull, member: string): boolean {
    const { topic, group, queueId, queueOffset, requestSource } = pull.request;
    const fromProxy = requestSource === SOURCE_PROXY_FOR_BROADCAST;
    const offset = this.#parts.broadcasts.initialOffset(group, topic, queueId, queueOffset, member, fromProxy);
    if (offset === undefined) return false;
    if (offset >= 0) this.#move(pull, member, offset);
    else this.#moveToBegin(keep(pull), member);
    return true;
  }

  /** Where a new group begins: at 0 while that message is in memory, else at the end. */
  #moveToBegin(pull: Pull, member: string): void {
    const { topic, queueId, opaque, serialization } = pull.request;
    const { store } = this.#parts;
    store
      .units(topic, queueId, 0, 1)
      .then(([first]) => {
        const young = first?.queueOffset === 0 && store.inMemory(first.logOffset);
        this.#move(pull, member, young ? 0 : store.maxOffset(topic, queueId));
      })
      .catch((error: Error) => {
        pull.out.reply(opaque, serialization, { code: 1, remark: `reading failed: ${error.message}` });
      });
  }

  #move(pull: Pull, member: string, offset: number): void {
    const { topic, group, queueId } = pull.request;
    this.#pulled(pull, member, offset);
    this.#parts.offsets.commitPull(group, topic, queueId, offset);
    // Apache does not look at the queue here.
    this.#fields.minOffset = 0;
    this.#fields.maxOffset = 0;
    if (pull.out.open) this.#write(pull, ResponseCode.PULL_OFFSET_MOVED, "OFFSET_RESET", offset);
  }

  #pulled({ request }: Pull, member: string, offset: number): void {
    const { topic, group, queueId, requestSource } = request;
    const fromProxy = requestSource === SOURCE_PROXY_FOR_BROADCAST;
    this.#parts.broadcasts.pulled(group, topic, queueId, offset, member, fromProxy);
  }

  /**
   * A slave sends those whom it has nothing for to the master while that is there. It corrects no offset (unless
   * offsetCheckInSlave), because what it lacks its master may have: who asks for it waits here, where Apache lets him ask
   * again and again.
   */
  #codeOf(status: SelectionStatus, queueOffset: number): number {
    const code = codeOf(status, queueOffset);
    if (!this.#isSlave || status === "found") return code;
    if (this.#parts.ha?.master()?.connected) return ResponseCode.PULL_RETRY_IMMEDIATELY;
    return this.#corrects(status, queueOffset) ? code : ResponseCode.PULL_NOT_FOUND;
  }

  /** Whether the answer may move the consumer's offset. */
  #corrects(status: SelectionStatus, queueOffset: number): boolean {
    if (!this.#isSlave || this.#parts.config.offsetCheckInSlave) return true;
    return codeOf(status, queueOffset) !== ResponseCode.PULL_OFFSET_MOVED;
  }

  #answerLater(pull: Pull, maySuspend: boolean, rounds: number): void {
    const { request, out } = pull;
    const { clock, counters } = this.#parts;
    const began = clock.monotonicMs();
    this.#parts.store
      .load(this.#selection, request.topic, request.queueId)
      .then(() => {
        pull.loadedMs += Math.ceil(clock.monotonicMs() - began);
        counters.getTimeMaxMs = Math.max(counters.getTimeMaxMs, pull.loadedMs);
        if (!out.open) return;
        if (out.congested) {
          // Asked for more at once than the client takes: a small answer, it asks again when it can.
          this.#write(pull, ResponseCode.PULL_RETRY_IMMEDIATELY, "CONGESTED", request.queueOffset);
          return;
        }
        if (this.#answer(pull, maySuspend)) return;
        if (rounds > 0) this.#answerLater(pull, maySuspend, rounds - 1);
        else this.#write(pull, ResponseCode.PULL_RETRY_IMMEDIATELY, "MESSAGE_WAS_REMOVING", pull.from);
      })
      .catch((error: Error) => {
        this.#parts.log.error({ err: error, topic: request.topic, queueId: request.queueId }, "pull failed");
        out.reply(request.opaque, request.serialization, { code: 1, remark: `reading failed: ${error.message}` });
      });
  }

  #hold(pull: Pull): boolean {
    const { request } = pull;
    if ((request.sysFlag & PULL_SUSPEND) === 0) return false;
    const { clock, config, holds } = this.#parts;
    const waitMs = config.longPollingEnable ? request.suspendTimeoutMillis : config.shortPollingTimeMills;
    const held = holds.hold(new HeldPull(this, keep(pull), clock.monotonicMs() + waitMs));
    if (held) pull.out.suspended?.(request.opaque);
    return held;
  }

  /** Tries a held pull again; see {@link Held.wake}. */
  wake(pull: Pull, last: boolean): boolean {
    const { request, out } = pull;
    if (out.congested) {
      // The client does not read: a small answer, it asks again when it can.
      if (last) this.#write(pull, ResponseCode.PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", request.queueOffset);
      return last;
    }
    if (!last && !this.#resetWaits(request)) {
      const { store } = this.#parts;
      const selection = this.#selection;
      for (;;) {
        store.select(selection, request.topic, request.queueId, pull.seenTo, 1, 1, pull.filter);
        if (selection.status !== "noMatch") break;
        pull.seenTo = selection.nextOffset;
      }
      // Nothing (for this filter): it waits on, as in Apache.
      if (this.#codeOf(selection.status, pull.seenTo) === ResponseCode.PULL_NOT_FOUND) return false;
    }
    pull.loadedMs = 0;
    if (!this.#answer(pull, false)) this.#answerLater(pull, false, LOAD_ROUNDS_MAX);
    return true;
  }

  #writeFound(pull: Pull): void {
    const selection = this.#selection;
    const { out, request } = pull;
    const { count, bytes, logOffsets, sizes, nextOffset } = selection;
    this.#setFields(pull, nextOffset, selection.seenLogOffset);
    let at = writePullHead(out, request, ResponseCode.SUCCESS, "FOUND", this.#fields, bytes);
    const { store } = this.#parts;
    for (let i = 0; i < count; i++) at = store.copySelected(logOffsets[i], sizes[i], out.slab, at);
    out.commit(at);
  }

  #write(pull: Pull, code: number, remark: string, nextOffset: number, seenLogOffset = -1): void {
    this.#setFields(pull, nextOffset, seenLogOffset);
    pull.out.commit(writePullHead(pull.out, pull.request, code, remark, this.#fields, 0));
  }

  #setFields(pull: Pull, nextOffset: number, seenLogOffset: number): void {
    const fields = this.#fields;
    fields.nextBeginOffset = nextOffset;
    fields.suggestWhichBrokerId = this.#suggestedBroker(pull.group, seenLogOffset);
    fields.topicSysFlag = pull.topic.topicSysFlag;
    fields.groupSysFlag = pull.group.groupSysFlag;
  }

  /**
   * Where to pull next: always here, or with slaveReadEnable where the group wants, which for messages too far behind the
   * end of the log to be in memory is another broker. `seenLogOffset` is the last message looked at, -1 when none was.
   */
  #suggestedBroker(group: SubscriptionGroupConfig, seenLogOffset: number): number {
    const { config, store, memoryBytes } = this.#parts;
    if (!config.slaveReadEnable) return MASTER_ID;
    const behind = seenLogOffset < 0 ? 0 : store.maxLogOffset() - seenLogOffset;
    const slow = behind > (memoryBytes * config.accessMessageInMemoryMaxRatio) / 100;
    if (!slow && this.#isSlave && this.#parts.ha?.master()?.connected) return MASTER_ID;
    return slow ? group.whichBrokerWhenConsumeSlowly : group.brokerId;
  }
}

class HeldPull implements Held {
  readonly #puller: Puller;
  readonly #pull: Pull;
  readonly deadline: number;

  constructor(puller: Puller, pull: Pull, deadline: number) {
    this.#puller = puller;
    this.#pull = pull;
    this.deadline = deadline;
  }

  get topic(): string {
    return this.#pull.request.topic;
  }

  get queueId(): number {
    return this.#pull.request.queueId;
  }

  get weight(): number {
    const { subscription } = this.#pull.request;
    return subscription === undefined ? 1 : expressionWeight(subscription);
  }

  alive(): boolean {
    return this.#pull.out.open;
  }

  wake(last: boolean): boolean {
    return this.#puller.wake(this.#pull, last);
  }
}

/** Text and filter of a long expression are a pull's own. */
function expressionWeight(expression: string): number {
  return expression.length <= FILTER_CACHED_CHARS_MAX ? 1 : 1 + (expression.length >> 5);
}

/** A pull that outlives its frame needs a request of its own. */
function keep(pull: Pull): Pull {
  return { ...pull, request: Object.assign(new PullRequest(), pull.request) };
}

/** Apache's GetMessageStatus names travel as the remark. */
const STATUS_NAMES: Readonly<Record<SelectionStatus, string>> = {
  found: "FOUND",
  noMatch: "NO_MATCHED_MESSAGE",
  emptyQueue: "NO_MESSAGE_IN_QUEUE",
  // Apache makes a ConsumeQueue for whoever asks, and then finds it empty.
  noQueue: "NO_MESSAGE_IN_QUEUE",
  tooSmall: "OFFSET_TOO_SMALL",
  atEnd: "OFFSET_OVERFLOW_ONE",
  beyondEnd: "OFFSET_OVERFLOW_BADLY",
  missing: "OFFSET_FOUND_NULL",
};

function codeOf(status: SelectionStatus, queueOffset: number): number {
  switch (status) {
    case "noMatch":
      return ResponseCode.PULL_RETRY_IMMEDIATELY;
    case "emptyQueue":
    case "noQueue":
      return queueOffset === 0 ? ResponseCode.PULL_NOT_FOUND : ResponseCode.PULL_OFFSET_MOVED;
    case "atEnd":
      return ResponseCode.PULL_NOT_FOUND;
    case "found":
      return ResponseCode.SUCCESS;
    default:
      return ResponseCode.PULL_OFFSET_MOVED;
  }
}
