/**
 * POP_MESSAGE (Apache: PopMessageProcessor): messages of one queue or all of a topic, invisible to others until they are
 * acknowledged or their time is over. A pop that finds nothing waits in the holds. The hot path copies log bytes from
 * memory behind the reply's head; the reply leaves after the turn's write, which has the pop's checkpoint in it.
 */
import { Buffer } from "node:buffer";
import { isReadable } from "../broker/model.ts";
import type { Held } from "../broker/pop/holds.ts";
import type { PopResult } from "../broker/pop/popper.ts";
import type { Pops } from "../broker/pop/pops.ts";
import { FilterCache, isTagType } from "../filter/messageFilter.ts";
import { ALL_UNITS } from "../filter/tags.ts";
import type { UnitFilter } from "../filter/unitFilter.ts";
import { disguise } from "../message/disguise.ts";
import { Property } from "../message/properties.ts";
import type { SubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { HotCall, Reply, ReplyOut, Row } from "../protocol/dispatch.ts";
import { formatExtraInfo } from "../protocol/extraInfo.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { PopRequest, writePopHead } from "../protocol/popCodec.ts";
import type { MessageStore } from "../store/messageStore.ts";
import { type BrokerParts, refuse } from "./parts.ts";

export type PopParts = Omit<BrokerParts, "store"> & { readonly store: MessageStore; readonly pops: Pops };

/** PopMessageRequestHeader.isTimeoutTooMuch: a request this much older than its poll time is not worth an answer. */
const TOO_LATE_MS = 500;
/** Rounds of loading for one pop; more would mean that the cache is thrashing. */
const LOAD_ROUNDS_MAX = 16;

/** What a refusal carries: the primitives of PopMessageResponseHeader. */
export const NO_POP = { invisibleTime: 0, popTime: 0, restNum: 0, reviveQid: 0 };

/** What a pop asks for; see PopMessageRequestHeader. */
export type PopAsk = Pick<
  PopRequest,
  | "group"
  | "topic"
  | "queueId"
  | "maxMsgNums"
  | "invisibleTime"
  | "pollTime"
  | "bornTime"
  | "initMode"
  | "expType"
  | "exp"
  | "order"
  | "attemptId"
>;

/** Who gets the answer of a pop; exactly one of the last three is called, once. */
export interface PopTarget {
  /** `ip:port`, for remarks. */
  readonly address: string;
  readonly open: boolean;
  /** Takes its answers too slowly. */
  readonly congested: boolean;
  /** Messages; `result` is used again afterwards, and its log bytes are in memory only within this call. */
  found(result: PopResult, ask: PopAsk): void;
  /** Nothing: POLLING_TIMEOUT or POLLING_FULL. */
  nothing(code: number, remark: string, result: PopResult): void;
  refused(reply: Reply): void;
  /** It waits until something comes. */
  held?(): void;
}

export function popRows(parts: PopParts): Row[] {
  const service = new PopService(parts);
  const request = new PopRequest();
  return [
    {
      code: RequestCode.POP_MESSAGE,
      name: "POP_MESSAGE",
      hot: (call) => {
        request.read(call.view);
        service.pop(request, new WireTarget(parts, call, request));
      },
      lane: "notFast",
    },
  ];
}

/** A pop that passed all checks. */
interface Checked {
  topic: TopicConfig;
  group: SubscriptionGroupConfig;
  filter: UnitFilter;
}

export class PopService {
  readonly #parts: PopParts;
  readonly #filters = new FilterCache();
  /** How long the pop being tried waited for bytes from the disk, ms. */
  #loadedMs = 0;

  constructor(parts: PopParts) {
    this.#parts = parts;
  }

  /** Pops; the target is answered now or later. `ask` is copied when it must be kept. */
  pop(ask: PopAsk, target: PopTarget): void {
    const { clock } = this.#parts;
    if (ask.bornTime === 0) ask.bornTime = clock.now();
    this.#try(ask, target, true, LOAD_ROUNDS_MAX, undefined);
  }

  /**
   * @param maySuspend hold it when nothing is found
   * @param held the hold it is in already: finding nothing leaves it there
   * @returns whether it is answered, or went elsewhere
   */
  #try(ask: PopAsk, target: PopTarget, maySuspend: boolean, rounds: number, held: HeldPop | undefined): boolean {
    const checked = this.#check(ask, target.address);
    if ("code" in checked) {
      target.refused({ ...checked, header: NO_POP });
      return true;
    }
    const { pops, store } = this.#parts;
    const { result } = pops.popper;
    // The pop's own checkpoints are appended between finding its messages and copying them.
    const load = store.keepSelected(() => this.#take(ask, checked, target));
    if (result.count > 0) return true;
    this.#parts.counters.missed++;
    if (load !== undefined && rounds > 0) {
      this.#later(keep(ask), target, maySuspend, rounds - 1, load);
      return true;
    }
    if (result.refusal !== undefined) {
      target.nothing(ResponseCode.POLLING_FULL, result.refusal, result);
      return true;
    }
    if (maySuspend && held !== undefined) return false;
    // Others have taken all that was loaded for it: there may be more, and nobody would wake it for that.
    const outtaken = load !== undefined;
    const outcome = maySuspend && ask.pollTime > 0 && !outtaken ? this.#hold(ask, target) : "timeout";
    if (outcome === "held") return true;
    const code = outcome === "full" ? ResponseCode.POLLING_FULL : ResponseCode.POLLING_TIMEOUT;
    target.nothing(code, "NO_MESSAGE_IN_QUEUE", result);
    return true;
  }

  /** Pops, and gives what was found. Returns what to wait for when nothing was, if there is such a thing. */
  #take(ask: PopAsk, checked: Checked, target: PopTarget): (() => Promise<void>) | undefined {
    const { pops, counters, stats } = this.#parts;
    const { result } = pops.popper;
    const load = pops.popper.pop(ask, checked.topic, checked.group, checked.filter);
    if (result.count > 0) {
      counters.found++;
      counters.transferred += result.count;
      const [retries, retryBytes] = this.#parts.metrics === undefined ? NO_RETRIES : retriesOf(result, ask.topic);
      stats.popped(
        ask.group,
        ask.topic,
        result.count,
        result.bytes,
        result.partCount,
        this.#loadedMs,
        retries,
        retryBytes,
      );
      target.found(result, ask);
    }
    return load;
  }

  #later(ask: PopAsk, target: PopTarget, maySuspend: boolean, rounds: number, load: () => Promise<void>): void {
    const { clock } = this.#parts;
    const began = clock.monotonicMs();
    load()
      .then(() => {
        if (!target.open) return;
        this.#loadedMs = Math.ceil(clock.monotonicMs() - began);
        try {
          this.#try(ask, target, maySuspend, rounds, undefined);
        } finally {
          this.#loadedMs = 0;
        }
      })
      .catch((error: Error) => {
        this.#parts.log.error({ err: error, topic: ask.topic, group: ask.group }, "pop failed");
        target.refused(refuse("SYSTEM_ERROR", `reading failed: ${error.message}`));
      });
  }

  #hold(ask: PopAsk, target: PopTarget): "held" | "full" | "timeout" {
    const kept = keep(ask);
    const expiresAt = Math.min(kept.bornTime, this.#parts.clock.now()) + kept.pollTime;
    const outcome = this.#parts.pops.hold(new HeldPop(this, kept, target), expiresAt);
    if (outcome === "held") target.held?.();
    return outcome;
  }

  /** Tries a held pop again; see {@link Held.wake}. */
  wake(held: HeldPop, last: boolean): boolean {
    const { ask, target } = held;
    // Its client does not read: it waits on, and asks again when it can.
    if (target.congested && !last) return false;
    return this.#try(ask, target, !last, LOAD_ROUNDS_MAX, held);
  }

  /** Everything that can refuse a pop, in Apache's order. */
  #check(ask: PopAsk, address: string): Checked | Reply {
    const { config, topics, groups, clock } = this.#parts;
    const broker = `the broker[${config.brokerIP1}]`;
    if (clock.now() - ask.bornTime - ask.pollTime > TOO_LATE_MS) {
      return refuse("POLLING_TIMEOUT", `${broker} pop message is timeout too much`);
    }
    if (!isReadable(config.brokerPermission)) return refuse("NO_PERMISSION", `${broker} pop message is forbidden`);
    if (ask.maxMsgNums > 32) return refuse("INVALID_PARAMETER", `${broker} pop message's num is greater than 32`);
    if (!config.timerWheelEnable) {
      return refuse("SYSTEM_ERROR", `${broker} pop message is forbidden because timerWheelEnable is false`);
    }
    const topic = topics.get(ask.topic);
    if (topic === undefined) {
      return refuse("TOPIC_NOT_EXIST", `topic[${ask.topic}] not exist, apply first please! ${FAQ_HINT}`);
    }
    if (!isReadable(topic.perm)) {
      return refuse("NO_PERMISSION", `the topic[${ask.topic}] peeking message is forbidden`);
    }
    if (ask.queueId >= topic.readQueueNums) {
      return refuse(
        "INVALID_PARAMETER",
        `queueId[${ask.queueId}] is illegal, topic:[${ask.topic}] topicConfig.readQueueNums:[${topic.readQueueNums}] ` +
          `consumer:[/${address}]`,
      );
    }
    const group = groups.find(ask.group, address);
    if (group === undefined) {
      return refuse(
        "SUBSCRIPTION_GROUP_NOT_EXIST",
        `subscription group [${ask.group}] does not exist, ${FAQ_HINT}${groups.creationRefusal(address)}`,
      );
    }
    if (!group.consumeEnable) return refuse("NO_PERMISSION", `subscription group no permission, ${ask.group}`);
    const filter = filterOf(this.#filters, ask.exp, ask.expType);
    if ("code" in filter) return filter;
    return { topic, group, filter };
  }
}

/** The filter that a pop or a notification brings along; without an expression it takes everything. */
export function filterOf(
  filters: FilterCache,
  expression: string | undefined,
  type: string | undefined,
): UnitFilter | Reply {
  if (expression === undefined || expression === "") return ALL_UNITS;
  try {
    return filters.get(expression, type);
  } catch (error) {
    const words = "parse the consumer's subscription failed";
    const remark = isTagType(type) ? words : `${words}: ${(error as Error).message}`;
    return refuse("SUBSCRIPTION_PARSE_FAILED", remark);
  }
}

const NO_RETRIES = [0, 0] as const;

/** How many of the messages came from retry topics, and their bytes. */
function retriesOf(result: PopResult, topic: string): readonly [messages: number, bytes: number] {
  let messages = 0;
  let bytes = 0;
  for (let p = 0; p < result.partCount; p++) {
    const { queue, from, to } = result.parts[p];
    if (queue.group.topic === topic) continue;
    messages += to - from;
    for (let i = from; i < to; i++) bytes += result.sizes[i];
  }
  return [messages, bytes];
}

/** A pop that outlives its frame needs a request of its own. */
function keep(ask: PopAsk): PopAsk {
  return { ...ask };
}

class HeldPop implements Held {
  readonly #service: PopService;
  readonly ask: PopAsk;
  readonly target: PopTarget;

  constructor(service: PopService, ask: PopAsk, target: PopTarget) {
    this.#service = service;
    this.ask = ask;
    this.target = target;
  }

  get topic(): string {
    return this.ask.topic;
  }

  get group(): string {
    return this.ask.group;
  }

  get queueId(): number {
    return Math.max(-1, this.ask.queueId);
  }

  alive(): boolean {
    return this.target.open;
  }

  wake(last: boolean): boolean {
    return this.#service.wake(this, last);
  }
}

/** A pop that came over the remoting wire. */
class WireTarget implements PopTarget {
  readonly address: string;
  readonly #parts: PopParts;
  readonly #out: ReplyOut;
  readonly #opaque: number;
  readonly #serialization: number;

  constructor(parts: PopParts, call: HotCall, request: PopRequest) {
    this.#parts = parts;
    this.address = call.caller.address;
    this.#out = call.out;
    this.#opaque = request.opaque;
    this.#serialization = request.serialization;
  }

  get open(): boolean {
    return this.#out.open;
  }

  get congested(): boolean {
    return this.#out.congested;
  }

  found(result: PopResult, ask: PopAsk): void {
    // Retry topics come first or last; one that is popped by its own name stays as it is.
    const { topic } = ask;
    const mixed =
      result.parts[0].queue.group.topic !== topic || result.parts[result.partCount - 1].queue.group.topic !== topic;
    if (mixed && !this.#parts.config.popResponseReturnActualRetryTopic) this.#writeDisguised(result, ask);
    else this.#writeAsStored(result);
  }

  #writeAsStored(result: PopResult): void {
    const out = this.#out;
    const { store } = this.#parts;
    const { count, logOffsets, sizes } = result;
    let at = writePopHead(out, this.#opaque, ResponseCode.SUCCESS, "FOUND", result, result.bytes);
    for (let i = 0; i < count; i++) at = store.copySelected(logOffsets[i], sizes[i], out.slab, at);
    out.commit(at);
  }

  /** With messages of a retry topic, which the client gets under the topic it asked for. */
  #writeDisguised(result: PopResult, ask: PopAsk): void {
    const records = seenByClient(this.#parts, result, ask);
    const bytes = records.reduce((sum, record) => sum + record.length, 0);
    const out = this.#out;
    let at = writePopHead(out, this.#opaque, ResponseCode.SUCCESS, "FOUND", result, bytes);
    for (const record of records) at += record.copy(out.slab, at);
    out.commit(at);
  }

  nothing(code: number, remark: string, result: PopResult): void {
    if (!this.open) return;
    this.#out.commit(writePopHead(this.#out, this.#opaque, code, printable(remark), result, 0));
  }

  held(): void {
    this.#out.suspended?.(this.#opaque);
  }

  refused(reply: Reply): void {
    if (this.open) this.#out.reply(this.#opaque, this.#serialization, reply);
  }
}

/** The records of a result as clients see them, one by one: for everybody but the hot path. */
export function seenByClient(parts: PopParts, result: PopResult, ask: PopAsk): Buffer[] {
  const records: Buffer[] = [];
  const topic = Buffer.from(ask.topic);
  for (let p = 0; p < result.partCount; p++) {
    const part = result.parts[p];
    const { group, queueId } = part.queue;
    for (let i = part.from; i < part.to; i++) {
      const record = Buffer.allocUnsafe(result.sizes[i]);
      parts.store.copySelected(result.logOffsets[i], record.length, record, 0);
      if (group.topic === ask.topic) {
        records.push(record);
        continue;
      }
      const handle = formatExtraInfo(
        part.startOffset,
        result.popTime,
        result.invisibleTime,
        result.reviveQid,
        group.topic,
        parts.config.brokerName,
        queueId,
        result.queueOffsets[i],
      );
      records.push(disguise(record, topic, Property.POP_CK, handle));
    }
  }
  return records;
}

/** The head's writer takes plain ASCII without quotes. */
function printable(remark: string): string {
  return remark.replace(/[^ !#-[\]-~]/g, "?");
}
