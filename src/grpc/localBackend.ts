/** The broker of this process behind the gRPC protocol: the same handlers that remoting calls (Apache: LocalMessageService). */
import { Buffer } from "node:buffer";
import { MESSAGE_TYPE } from "../broker/attributes.ts";
import type { LiteMessage } from "../broker/lite/lites.ts";
import { AUTO_CREATE_TOPIC } from "../broker/names.ts";
import type { PopPart, PopResult } from "../broker/pop/popper.ts";
import { ackMessage } from "../handlers/ack.ts";
import { changeInvisible } from "../handlers/changeInvisible.ts";
import { endTransaction } from "../handlers/endTransaction.ts";
import { ackLite, applySubscription, changeLite, notifier, popLite } from "../handlers/lite.ts";
import { need } from "../handlers/parts.ts";
import { PopService, type PopTarget } from "../handlers/pop.ts";
import { PlainPuller } from "../handlers/pullPlain.ts";
import { Sender } from "../handlers/send.ts";
import { checkSend } from "../handlers/sendChecks.ts";
import { sendList } from "../handlers/sendList.ts";
import { sendMessage } from "../handlers/sendSpecial.ts";
import type { TableParts } from "../handlers/table.ts";
import { liteNameOf } from "../message/liteTopic.ts";
import { LMQ_QUEUE_ID } from "../message/lmq.ts";
import { parseMessageId } from "../message/messageId.ts";
import { RecordView } from "../message/record.ts";
import { MULTI_TAGS } from "../message/sysFlag.ts";
import type { LiteSubscription } from "../protocol/bodies/liteSubscription.ts";
import type { SubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import type { Caller, Reply, Row } from "../protocol/dispatch.ts";
import { FLAG_NORMAL, ORDER_REVIVE_QID, topicFlag } from "../protocol/extraInfo.ts";
import type { EndTransactionRequestHeader } from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { CURRENT_VERSION } from "../protocol/generated/versions.ts";
import type {
  Awaitable,
  Backend,
  BrokerQueues,
  OutgoingMessages,
  PopAsk,
  PopLiteAsk,
  Popped,
  PopSink,
  PullAsk,
  Pulled,
  SendOutcome,
  TopicType,
} from "./backend.ts";
import { sourceOf } from "./outMessage.ts";
import type { ReceiptHandle } from "./receiptHandle.ts";
import { Refusal } from "./status.ts";

/** What Apache's proxy writes into the header of every send. */
const DEFAULT_TOPIC_QUEUES = 4;
/** ConsumeInitMode.MAX: a group that is new begins at the end. */
const INIT_MAX = 1;
const OK: Reply = Object.freeze({ code: ResponseCode.SUCCESS });
const NO_BODY = Buffer.alloc(0);

export class LocalBackend implements Backend {
  readonly #parts: TableParts;
  readonly #sender: Sender;
  readonly #pops: PopService;
  readonly #puller: PlainPuller;
  readonly #rows = new Map<number, Row>();

  constructor(parts: TableParts, rows: readonly Row[]) {
    this.#parts = parts;
    this.#sender = new Sender(parts);
    this.#pops = new PopService(parts);
    this.#puller = new PlainPuller(parts);
    for (const row of rows) this.#rows.set(row.code, row);
  }

  route(topic: string): readonly BrokerQueues[] | undefined {
    const config = this.#parts.topics.get(topic);
    if (config === undefined) return undefined;
    const { perm, readQueueNums, writeQueueNums } = config;
    const { brokerName, brokerPermission } = this.#parts.config;
    return [{ brokerName, perm: perm & brokerPermission, readQueueNums, writeQueueNums }];
  }

  topicType(topic: string): TopicType {
    const config = this.#parts.topics.get(topic);
    if (config === undefined) return "UNSPECIFIED";
    return (config.attributes.get(MESSAGE_TYPE) as TopicType | undefined) ?? "NORMAL";
  }

  group(group: string): SubscriptionGroupConfig | undefined {
    return this.#parts.groups.find(group);
  }

  /** The broker's own table has it already. */
  producerJoined(): void {}

  async send(outgoing: OutgoingMessages, caller: Caller): Promise<SendOutcome> {
    this.#own(outgoing.brokerName);
    const { topic, queueId, sysFlag, bornTimestamp, messages } = outgoing;
    const request = {
      // 5.x clients have no producer group; it only names who sent to a dead-letter topic.
      producerGroup: "",
      topic,
      queueId,
      unitMode: false,
      defaultTopic: AUTO_CREATE_TOPIC,
      defaultTopicQueueNums: DEFAULT_TOPIC_QUEUES,
      reconsumeTimes: 0,
      maxReconsumeTimes: -1,
    };
    const checked = checkSend(this.#parts, request, caller);
    if ("code" in checked) return outcomeOf(checked, 0);
    const head = {
      topic,
      queueId,
      sysFlag: checked.topicFilterType === "MULTI_TAG" ? sysFlag | MULTI_TAGS : sysFlag,
      bornTimestamp,
      bornHost: caller.host,
    };
    const [first] = messages;
    const reply =
      messages.length === 1
        ? await sendMessage(this.#sender, request, checked, { ...head, ...first }, CURRENT_VERSION)
        : await sendList(this.#parts, head, messages);
    await this.#parts.topics.whenSaved(topic);
    return outcomeOf(reply, messages.length);
  }

  pop(ask: PopAsk, sink: PopSink): void {
    this.#own(ask.brokerName);
    this.#pops.pop(
      {
        group: ask.group,
        topic: ask.topic,
        queueId: ask.queueId,
        maxMsgNums: ask.maxMessages,
        invisibleTime: ask.invisibleMs,
        pollTime: ask.pollMs,
        bornTime: this.#parts.clock.now(),
        initMode: INIT_MAX,
        expType: ask.expressionType,
        exp: ask.expression,
        order: ask.order,
        attemptId: ask.attemptId,
      },
      new PopAdaptor(this.#parts, sink),
    );
  }

  popLite(ask: PopLiteAsk, sink: PopSink): void {
    this.#own(ask.brokerName);
    const alive = () => sink.open;
    popLite(this.#parts, { ...ask, alive })
      .then((outcome) => {
        if (outcome === "nothing" || outcome === "full") sink.nothing(outcome === "full", "NO_MESSAGE_IN_QUEUE");
        else if ("code" in outcome) refused(outcome, sink);
        else sink.found(outcome.messages.map((message) => this.#lite(message, outcome.popTime, ask)));
      })
      .catch((error: unknown) => sink.failed(error));
  }

  #lite({ record, lmq, offset, count }: LiteMessage, popTime: number, ask: PopLiteAsk): Popped {
    const view = new RecordView();
    if (view.read(record, 0, record.length, false) !== "record") throw new Error(`${lmq} lists what is no message`);
    const handle: ReceiptHandle = {
      startOffset: 0,
      popTime,
      invisibleTime: ask.invisibleMs,
      reviveQid: ORDER_REVIVE_QID,
      topicFlag: FLAG_NORMAL,
      brokerName: ask.brokerName,
      queueId: LMQ_QUEUE_ID,
      offset,
      commitLogOffset: view.logOffset,
      liteTopic: liteNameOf(lmq)?.lite,
    };
    return { source: { ...sourceOf(view), reconsumeTimes: count, queueOffset: offset }, handle };
  }

  async subscribeLite(subscription: LiteSubscription, caller: Caller): Promise<Reply> {
    return applySubscription(this.#parts, subscription, notifier(subscription.clientId, caller)) ?? OK;
  }

  ack(handle: ReceiptHandle, group: string, topic: string, address: string): Awaitable<Reply> {
    this.#own(handle.brokerName);
    const { liteTopic } = handle;
    if (liteTopic !== undefined) {
      const outcome = ackLite(this.#parts, { ...handle, group, topic, liteTopic });
      return outcome === "done" ? OK : outcome;
    }
    return new Promise((resolve) => {
      const sink = {
        acked: (_opaque: number, _serialization: number, refusal: string | undefined) =>
          resolve(refusal === undefined ? OK : { code: ResponseCode.SYSTEM_ERROR, remark: refusal }),
      };
      const outcome = ackMessage(this.#parts, { ...handle, group, topic }, address, sink, 0, 0);
      if (outcome !== "waiting") resolve(outcome === "done" ? OK : outcome);
    });
  }

  async changeInvisible(
    handle: ReceiptHandle,
    group: string,
    topic: string,
    invisibleMs: number,
    suspend: boolean,
    address: string,
  ): Promise<ReceiptHandle | Reply> {
    this.#own(handle.brokerName);
    const ask = { ...handle, group, topic, newInvisibleTime: invisibleMs, suspend };
    const { liteTopic } = handle;
    const reply =
      liteTopic === undefined
        ? await changeInvisible(this.#parts, ask, address)
        : changeLite(this.#parts, { ...ask, liteTopic }, invisibleMs, suspend);
    if (reply.code !== ResponseCode.SUCCESS) return reply;
    const { popTime, invisibleTime, reviveQid } = reply.header ?? {};
    return {
      ...handle,
      // The message has a checkpoint of its own now, which begins with it (MQClientAPIImpl.changeInvisibleTimeAsync).
      startOffset: handle.offset,
      popTime: Number(popTime),
      invisibleTime: Number(invisibleTime),
      reviveQid: Number(reviveQid),
    };
  }

  async pull(ask: PullAsk): Promise<Pulled | Reply> {
    this.#own(ask.brokerName);
    const pulled = await this.#puller.pull(ask);
    if ("code" in pulled) return pulled;
    const view = new RecordView();
    const sources = pulled.records.map((record) => {
      if (view.read(record, 0, record.length, false) !== "record") throw new Error("a stored record cannot be read");
      return sourceOf(view);
    });
    return { sources, nextOffset: pulled.nextOffset, outside: pulled.outside };
  }

  async endTransaction(brokerName: string, verdict: EndTransactionRequestHeader): Promise<Reply> {
    this.#own(brokerName);
    return endTransaction(this.#parts, {
      group: need(verdict.producerGroup, "producerGroup"),
      halfOffset: need(verdict.tranStateTableOffset, "tranStateTableOffset"),
      logOffset: need(verdict.commitLogOffset, "commitLogOffset"),
      decision: need(verdict.commitOrRollback, "commitOrRollback"),
      fromCheck: verdict.fromTransactionCheck ?? false,
    });
  }

  async request(
    brokerName: string,
    code: keyof typeof RequestCode,
    header: object,
    caller: Caller,
    body: Buffer = NO_BODY,
  ): Promise<Reply> {
    this.#own(brokerName);
    const row = this.#rows.get(RequestCode[code]);
    if (row?.handle === undefined) throw new Refusal("NOT_IMPLEMENTED", `the broker has no handler for ${code}`);
    const reply = await row.handle({
      code: row.code,
      header,
      body,
      caller,
      version: CURRENT_VERSION,
      language: "JAVA",
      oneway: false,
      field: () => undefined,
    });
    return reply ?? { code: 0 };
  }

  #own(brokerName: string): void {
    if (brokerName !== this.#parts.config.brokerName) {
      throw new Refusal("BAD_REQUEST", `The broker[${brokerName}] not exist`);
    }
  }
}

/** Turns what a pop found in the log into messages. */
class PopAdaptor implements PopTarget {
  readonly #parts: TableParts;
  readonly #sink: PopSink;
  /** The answer leaves in one piece, and what is slow about it is the stream's business. */
  readonly congested = false;

  constructor(parts: TableParts, sink: PopSink) {
    this.#parts = parts;
    this.#sink = sink;
  }

  get address(): string {
    return this.#sink.address;
  }

  get open(): boolean {
    return this.#sink.open;
  }

  found(result: PopResult): void {
    const counts = orderCounts(result);
    const messages: Popped[] = [];
    for (let p = 0; p < result.partCount; p++) {
      const part = result.parts[p];
      for (let i = part.from; i < part.to; i++) messages.push(this.#message(result, part, i, counts));
    }
    this.#sink.found(messages);
  }

  #message(result: PopResult, part: PopPart, i: number, counts: ReadonlyMap<string, number>): Popped {
    const { group, queueId } = part.queue;
    const bytes = Buffer.allocUnsafe(result.sizes[i]);
    const view = new RecordView();
    const copied = this.#parts.store.copy(result.logOffsets[i], bytes.length, bytes, 0);
    if (!copied || view.read(bytes, 0, bytes.length, false) !== "record") {
      throw new Error(`log bytes at ${result.logOffsets[i]} vanished`);
    }
    const offset = result.queueOffsets[i];
    // In order, attempts are counted by queue state; otherwise every attempt is a record of its own.
    const given = counts.get(`${queueId}%${offset}`) ?? 0;
    return {
      source: {
        ...sourceOf(view),
        reconsumeTimes: given > 0 ? given : view.reconsumeTimes,
      },
      handle: {
        startOffset: part.startOffset,
        popTime: result.popTime,
        invisibleTime: result.invisibleTime,
        reviveQid: result.reviveQid,
        topicFlag: topicFlag(group.topic),
        brokerName: this.#parts.config.brokerName,
        queueId,
        offset,
        commitLogOffset: view.logOffset,
      },
    };
  }

  nothing(code: number, remark: string): void {
    this.#sink.nothing(code === ResponseCode.POLLING_FULL, remark);
  }

  refused(reply: Reply): void {
    refused(reply, this.#sink);
  }
}

/** A pop that was looked at too late has found nothing, to Apache's proxy as well: on a busy machine that is no error. */
function refused(reply: Reply, sink: PopSink): void {
  if (reply.code === ResponseCode.POLLING_TIMEOUT) sink.nothing(false, reply.remark ?? "");
  else sink.refused(reply);
}

/** How often each message was given before, by `queueId%queueOffset` (orderCountInfo: `flag qoID%OFFSET count;...`). */
function orderCounts({ orderCountInfo }: PopResult): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  if (orderCountInfo === undefined || orderCountInfo.end === 0) return counts;
  for (const entry of orderCountInfo.text().split(";")) {
    const [, key, count] = entry.split(" ");
    if (key.startsWith("qo")) counts.set(key.slice(2), Number(count));
  }
  return counts;
}

function outcomeOf(reply: Reply, count: number): SendOutcome {
  const { code, remark, header = {} } = reply;
  const ids = String(header.msgId ?? "").split(",");
  const first = Number(header.queueOffset ?? 0);
  const results = Array.from({ length: count }, (_, i) => ({
    queueOffset: first + i,
    logOffset: parseMessageId(ids[i] ?? "")?.logOffset ?? -1,
    transactionId: String(header.transactionId ?? ""),
    recallHandle: String(header.recallHandle ?? ""),
  }));
  return { code, remark, results };
}
