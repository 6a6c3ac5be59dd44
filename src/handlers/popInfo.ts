/**
 * What is there to pop, without popping it: PEEK_MESSAGE, NOTIFICATION (waits until there is something), POLLING_INFO (how
 * many wait), and POP_ROLLBACK (Apache: PeekMessageProcessor, NotificationProcessor, PollingInfoProcessor).
 */
import { Buffer } from "node:buffer";
import { isReadable } from "../broker/model.ts";
import type { Held } from "../broker/pop/holds.ts";
import type { PopGroup } from "../broker/pop/state.ts";
import { FilterCache } from "../filter/messageFilter.ts";
import { ALL_UNITS } from "../filter/tags.ts";
import type { UnitFilter } from "../filter/unitFilter.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { Call, HotCall, Reply, Row } from "../protocol/dispatch.ts";
import { popRetryTopic } from "../protocol/extraInfo.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import {
  NotificationRequestHeader,
  PeekMessageRequestHeader,
  PollingInfoRequestHeader,
} from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { decodeHeader } from "../protocol/headerCodec.ts";
import { Selection } from "../store/selection.ts";
import { ok, refuse, requestRow } from "./parts.ts";
import { filterOf, NO_POP, type PopParts } from "./pop.ts";

export function popInfoRows(parts: PopParts): Row[] {
  const notifier = new Notifier(parts);
  return [
    requestRow("PEEK_MESSAGE", PeekMessageRequestHeader, (call) => peek(parts, call), "notFast"),
    {
      code: RequestCode.NOTIFICATION,
      name: "NOTIFICATION",
      // Not an ordinary row: those who wait must not count against what a connection may have in flight.
      hot: (call) => notifier.ask(call),
      lane: "notFast",
    },
    requestRow("POLLING_INFO", PollingInfoRequestHeader, (call) => pollingInfo(parts, call), "notFast"),
    // Apache moves the records of its RocksDB pop store into the file store; without that store it answers the same.
    requestRow("POP_ROLLBACK", undefined, () => ok()),
  ];
}

/** The checks that these requests share, in Apache's order and words. */
function checkReadable(
  { config, topics, groups }: PopParts,
  topicName: string,
  groupName: string,
  queueId: number,
  address: string,
): TopicConfig | Reply {
  if (!isReadable(config.brokerPermission)) {
    return refuse("NO_PERMISSION", `the broker[${config.brokerIP1}] peeking message is forbidden`);
  }
  const topic = topics.get(topicName);
  if (topic === undefined) {
    return refuse("TOPIC_NOT_EXIST", `topic[${topicName}] not exist, apply first please! ${FAQ_HINT}`);
  }
  if (!isReadable(topic.perm)) {
    return refuse("NO_PERMISSION", `the topic[${topicName}] peeking message is forbidden`);
  }
  if (queueId >= topic.readQueueNums) {
    return refuse(
      "INVALID_PARAMETER",
      `queueId[${queueId}] is illegal, topic:[${topicName}] topicConfig.readQueueNums:[${topic.readQueueNums}] ` +
        `consumer:[/${address}]`,
    );
  }
  const group = groups.find(groupName);
  if (group === undefined) {
    return refuse("SUBSCRIPTION_GROUP_NOT_EXIST", `subscription group [${groupName}] does not exist, ${FAQ_HINT}`);
  }
  if (!group.consumeEnable) return refuse("NO_PERMISSION", `subscription group no permission, ${groupName}`);
  return topic;
}

// ---- PEEK_MESSAGE ----

const PEEK_LOAD_ROUNDS_MAX = 16;

async function peek(parts: PopParts, call: Call<PeekMessageRequestHeader>): Promise<Reply> {
  const { topic: topicName, consumerGroup, queueId = 0, maxMsgNums = 0 } = call.header;
  const topic = checkReadable(parts, topicName, consumerGroup, queueId, call.caller.address);
  if ("code" in topic) return { ...topic, header: NO_POP };
  const { config, topics, pops, random } = parts;
  const first = random.int(100);
  const retry = topics.get(popRetryTopic(topicName, consumerGroup, config.enableRetryTopicV2));
  const sources: [PopGroup, number][] = [];
  const add = (source: TopicConfig | undefined): void => {
    if (source === undefined) return;
    const group = pops.groups.make(source.topicName, consumerGroup);
    for (let i = 0; i < source.readQueueNums; i++) sources.push([group, (first + i) % source.readQueueNums]);
  };
  // One peek in five looks at the retry topic first.
  if (first % 5 === 0) add(retry);
  if (queueId < 0) add(topic);
  else sources.push([pops.groups.make(topicName, consumerGroup), queueId]);
  if (first % 5 !== 0) add(retry);
  const bodies: Buffer[] = [];
  let restNum = 0;
  for (const [group, id] of sources) {
    const queue = group.queue(id);
    const offset = pops.popper.nextOffset(queue);
    restNum += parts.store.maxOffset(group.topic, id) - offset;
    if (bodies.length < maxMsgNums)
      bodies.push(...(await read(parts, group.topic, id, offset, maxMsgNums - bodies.length)));
  }
  const header = { ...NO_POP, restNum };
  if (bodies.length === 0) return refuse("PULL_NOT_FOUND", "NO_MESSAGE_IN_QUEUE", header);
  return { ...ok(header, Buffer.concat(bodies)), remark: "FOUND" };
}

/** Records of a queue from `offset` on; an offset that the queue does not have is corrected. */
async function read(parts: PopParts, topic: string, queueId: number, from: number, count: number): Promise<Buffer[]> {
  const { store, config } = parts;
  const selection = new Selection();
  let offset = from;
  for (let round = 0; round < PEEK_LOAD_ROUNDS_MAX; round++) {
    store.select(selection, topic, queueId, offset, count, config.maxTransferBytesOnMessageInMemory, ALL_UNITS);
    const { status } = selection;
    if (status === "missing") await store.load(selection, topic, queueId);
    else if ((status === "tooSmall" || status === "beyondEnd") && offset !== selection.nextOffset) {
      offset = selection.nextOffset;
    } else break;
  }
  if (selection.status !== "found") return [];
  const records: Buffer[] = [];
  for (let i = 0; i < selection.count; i++) {
    const record = Buffer.allocUnsafe(selection.sizes[i]);
    if (store.copy(selection.logOffsets[i], record.length, record, 0)) records.push(record);
  }
  return records;
}

// ---- POLLING_INFO ----

function pollingInfo(parts: PopParts, call: Call<PollingInfoRequestHeader>): Reply {
  const { topic: topicName, consumerGroup, queueId = 0 } = call.header;
  const topic = checkReadable(parts, topicName, consumerGroup, queueId, call.caller.address);
  if ("code" in topic) return { ...topic, header: { pollingNum: 0 } };
  return ok({ pollingNum: parts.pops.holds.waiting(topicName, consumerGroup, queueId) });
}

// ---- NOTIFICATION ----

/** What a notification waits for; see NotificationRequestHeader. */
export interface NotificationAsk {
  group: string;
  topic: string;
  queueId: number;
  pollTime: number;
  bornTime: number;
  order: boolean;
  attemptId: string | undefined;
  exp: string | undefined;
  expType: string | undefined;
}

/** Who gets the answer. */
export interface NotificationTarget {
  readonly address: string;
  readonly open: boolean;
  answer(reply: Reply): void;
}

/** What a refusal carries: the primitives of NotificationResponseHeader. */
const NOTHING = { hasMsg: false, pollingFull: false };

export class Notifier {
  readonly #parts: PopParts;
  readonly #filters = new FilterCache();
  readonly #selection = new Selection();

  constructor(parts: PopParts) {
    this.#parts = parts;
  }

  /** NOTIFICATION over the remoting wire. */
  ask(call: HotCall): void {
    const header = decodeHeader(call.view, NotificationRequestHeader);
    const { opaque, serialization } = call.view;
    const { out, caller } = call;
    this.notify(
      {
        group: header.consumerGroup ?? "",
        topic: header.topic ?? "",
        queueId: header.queueId ?? 0,
        pollTime: header.pollTime ?? 0,
        bornTime: header.bornTime ?? 0,
        order: header.order ?? false,
        attemptId: header.attemptId,
        exp: header.exp,
        expType: header.expType,
      },
      {
        address: caller.address,
        get open() {
          return out.open;
        },
        answer: (reply) => out.reply(opaque, serialization, reply),
      },
    );
  }

  /** Answers as soon as there is something to pop, or when the time is over. */
  notify(ask: NotificationAsk, target: NotificationTarget): void {
    if (ask.bornTime === 0) ask.bornTime = this.#parts.clock.now();
    const hasMsg = this.#look(ask, target);
    if (typeof hasMsg !== "boolean") {
      target.answer(hasMsg);
      return;
    }
    if (hasMsg) {
      target.answer(ok({ hasMsg: true, pollingFull: false }));
      return;
    }
    const expiresAt = Math.min(ask.bornTime, this.#parts.clock.now()) + ask.pollTime;
    const held = new HeldNotification(this, ask, target);
    const outcome = ask.pollTime > 0 ? this.#parts.pops.holdNotification(held, expiresAt) : "timeout";
    if (outcome !== "held") target.answer(ok({ hasMsg: false, pollingFull: outcome === "full" }));
  }

  /** Tries a held one again; see {@link Held.wake}. */
  wake(ask: NotificationAsk, target: NotificationTarget, last: boolean): boolean {
    const hasMsg = this.#look(ask, target);
    if (hasMsg === false && !last) return false;
    target.answer(typeof hasMsg === "boolean" ? ok({ hasMsg, pollingFull: false }) : hasMsg);
    return true;
  }

  #look(ask: NotificationAsk, target: NotificationTarget): boolean | Reply {
    const { config, pops, topics } = this.#parts;
    const topic = checkReadable(this.#parts, ask.topic, ask.group, ask.queueId, target.address);
    if ("code" in topic) return { ...topic, header: NOTHING };
    let filter: UnitFilter = ALL_UNITS;
    if (config.useMessageFilterForNotification && ask.expType && ask.exp) {
      const given = filterOf(this.#filters, ask.exp, ask.expType);
      if ("code" in given) return { ...given, header: NOTHING };
      filter = given;
    }
    const group = pops.groups.make(ask.topic, ask.group);
    const own =
      ask.queueId < 0
        ? this.#inTopic(ask, group, topic.readQueueNums, filter)
        : this.#inQueue(ask, group, ask.queueId, filter);
    if (own) return true;
    const inRetry = (v2: boolean): boolean => {
      const retry = topics.get(popRetryTopic(ask.topic, ask.group, v2));
      return (
        retry !== undefined &&
        this.#inTopic(ask, pops.groups.make(retry.topicName, ask.group), retry.readQueueNums, ALL_UNITS)
      );
    };
    if (inRetry(config.enableRetryTopicV2)) return true;
    return config.enableRetryTopicV2 && config.retrieveMessageFromPopRetryTopicV1 && inRetry(false);
  }

  #inTopic(ask: NotificationAsk, group: PopGroup, queues: number, filter: UnitFilter): boolean {
    for (let queueId = 0; queueId < queues; queueId++) if (this.#inQueue(ask, group, queueId, filter)) return true;
    return false;
  }

  #inQueue(ask: NotificationAsk, group: PopGroup, queueId: number, filter: UnitFilter): boolean {
    const { pops, store, config } = this.#parts;
    const queue = group.queue(queueId);
    if (ask.order && pops.orders.blocked(pops.groups.make(ask.topic, ask.group).queue(queueId), ask.attemptId, 0)) {
      return false;
    }
    const offset = pops.popper.nextOffset(queue);
    const rest = store.maxOffset(group.topic, queueId) - offset;
    if (rest <= 0 || filter === ALL_UNITS || rest >= config.maxMessageFilterNumForNotification) return rest > 0;
    const selection = this.#selection;
    store.select(selection, group.topic, queueId, offset, 1, 1, filter);
    // What is not in memory may match: better one look too many than a message that waits.
    return selection.status === "found" || selection.status === "missing";
  }
}

class HeldNotification implements Held {
  readonly #notifier: Notifier;
  readonly #ask: NotificationAsk;
  readonly #target: NotificationTarget;

  constructor(notifier: Notifier, ask: NotificationAsk, target: NotificationTarget) {
    this.#notifier = notifier;
    this.#ask = ask;
    this.#target = target;
  }

  get topic(): string {
    return this.#ask.topic;
  }

  get group(): string {
    return this.#ask.group;
  }

  get queueId(): number {
    return Math.max(-1, this.#ask.queueId);
  }

  alive(): boolean {
    return this.#target.open;
  }

  wake(last: boolean): boolean {
    return this.#notifier.wake(this.#ask, this.#target, last);
  }
}
