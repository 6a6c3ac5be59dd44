/**
 * The brokers of a cluster behind the gRPC protocol, spoken to by remoting (Apache: ClusterMessageService with
 * MQClientAPIExt). Keeps nothing but caches: a proxy may come and go, and any number may stand side by side.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../../base/clock.ts";
import { MESSAGE_TYPE } from "../../broker/attributes.ts";
import { AUTO_CREATE_TOPIC } from "../../broker/names.ts";
import { encodeBatch } from "../../message/batch.ts";
import { parseMessageId } from "../../message/messageId.ts";
import { formatProperties } from "../../message/properties.ts";
import {
  TRANSACTION_COMMIT,
  TRANSACTION_MASK,
  TRANSACTION_PREPARED,
  TRANSACTION_ROLLBACK,
} from "../../message/sysFlag.ts";
import { encodeLiteSubscriptions, type LiteSubscription } from "../../protocol/bodies/liteSubscription.ts";
import type { SubscriptionGroupConfig } from "../../protocol/bodies/subscriptionGroup.ts";
import type { TopicRouteData } from "../../protocol/bodies/topicRoute.ts";
import type { Answer, Caller, Reply } from "../../protocol/dispatch.ts";
import type { Fields } from "../../protocol/frameWriter.ts";
import type { EndTransactionRequestHeader } from "../../protocol/generated/headers.ts";
import { RequestCode } from "../../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../../protocol/generated/responseCodes.ts";
import type {
  Awaitable,
  Backend,
  BrokerQueues,
  OutgoingMessages,
  PopAsk,
  PopLiteAsk,
  PopSink,
  PullAsk,
  Pulled,
  SendOutcome,
  TopicType,
} from "../backend.ts";
import type { ReceiptHandle } from "../receiptHandle.ts";
import { addressIn, type Brokers } from "./brokers.ts";
import { readLitePopped, readPopped, readSources } from "./popAnswer.ts";

/** What Apache's proxy writes into the header of every send. */
const DEFAULT_TOPIC_QUEUES = 4;
/** ConsumeInitMode.MAX: a group that is new begins at the end. */
const INIT_MAX = 1;
/** What a broker may take beyond the time that a pop or pull waits. */
const POP_EXTRA_MS = 10_000;
/** PullSysFlag: wait when there is nothing; the subscription is in the request. */
const PULL_SUSPEND = 0x2;
const PULL_SUBSCRIPTION = 0x4;
const NOTHING_WRONG: Answer = {
  code: ResponseCode.SUCCESS,
  remark: undefined,
  fields: new Map(),
  body: Buffer.alloc(0),
};
const OK: Reply = Object.freeze({ code: ResponseCode.SUCCESS });

export class RemoteBackend implements Backend {
  readonly #brokers: Brokers;
  readonly #clock: Clock;
  readonly #producing: (topic: string) => void;

  /** @param producing told that transactions of a topic may have to be checked with clients of this proxy */
  constructor(brokers: Brokers, clock: Clock, producing: (topic: string) => void) {
    this.#brokers = brokers;
    this.#clock = clock;
    this.#producing = producing;
  }

  route(topic: string): Awaitable<readonly BrokerQueues[] | undefined> {
    const route = this.#brokers.route(topic);
    return route instanceof Promise ? route.then(queuesOf) : queuesOf(route);
  }

  async topicType(topic: string): Promise<TopicType> {
    const config = await this.#brokers.topic(topic);
    if (config === undefined) return "UNSPECIFIED";
    return (config.attributes.get(MESSAGE_TYPE) as TopicType | undefined) ?? "NORMAL";
  }

  group(group: string): Awaitable<SubscriptionGroupConfig | undefined> {
    return this.#brokers.group(group);
  }

  producerJoined(topic: string): void {
    this.#producing(topic);
  }

  async send(outgoing: OutgoingMessages): Promise<SendOutcome> {
    const { brokerName, topic, queueId, sysFlag, bornTimestamp, messages } = outgoing;
    const [first] = messages;
    const list = messages.length > 1;
    if ((sysFlag & TRANSACTION_MASK) === TRANSACTION_PREPARED) this.#producing(topic);
    // SendMessageRequestHeaderV2; a producer's group is the topic it sends to.
    const header = {
      a: topic,
      b: topic,
      c: AUTO_CREATE_TOPIC,
      d: DEFAULT_TOPIC_QUEUES,
      e: queueId,
      f: sysFlag,
      g: bornTimestamp,
      h: 0,
      i: list ? "" : formatProperties(first.properties),
      j: 0,
      k: false,
      m: list,
      n: brokerName,
    };
    const answer = list
      ? await this.#brokers.ask(brokerName, RequestCode.SEND_BATCH_MESSAGE, header, bodyOf(outgoing))
      : await this.#brokers.ask(brokerName, RequestCode.SEND_MESSAGE_V2, header, first.body);
    return outcomeOf(answer, messages.length);
  }

  pop(ask: PopAsk, sink: PopSink): void {
    const header = {
      consumerGroup: ask.group,
      topic: ask.topic,
      queueId: ask.queueId,
      maxMsgNums: ask.maxMessages,
      invisibleTime: ask.invisibleMs,
      pollTime: ask.pollMs,
      bornTime: this.#clock.now(),
      initMode: INIT_MAX,
      expType: ask.expressionType,
      exp: ask.expression,
      order: ask.order,
      attemptId: ask.attemptId,
    };
    this.#popped(ask, RequestCode.POP_MESSAGE, header, sink, readPopped);
  }

  #popped(
    { brokerName, topic, pollMs }: Pick<PopAsk, "brokerName" | "topic" | "pollMs">,
    code: number,
    header: Fields,
    sink: PopSink,
    read: typeof readPopped,
  ): void {
    this.#brokers
      .ask(brokerName, code, header, undefined, pollMs + POP_EXTRA_MS)
      .then((answer) => {
        switch (answer.code) {
          case ResponseCode.SUCCESS:
            sink.found(read(answer, brokerName, topic));
            return;
          case ResponseCode.POLLING_FULL:
          case ResponseCode.POLLING_TIMEOUT:
          case ResponseCode.PULL_NOT_FOUND:
            sink.nothing(answer.code === ResponseCode.POLLING_FULL, answer.remark ?? "");
            return;
          default:
            sink.refused(answer);
        }
      })
      .catch((error: unknown) => sink.failed(error));
  }

  popLite(ask: PopLiteAsk, sink: PopSink): void {
    const header = {
      clientId: ask.clientId,
      consumerGroup: ask.group,
      topic: ask.topic,
      maxMsgNum: ask.maxMessages,
      invisibleTime: ask.invisibleMs,
      pollTime: ask.pollMs,
      bornTime: this.#clock.now(),
      attemptId: ask.attemptId,
    };
    this.#popped(ask, RequestCode.POP_LITE_MESSAGE, header, sink, readLitePopped);
  }

  /** Every broker of the parent hears of it: each has the lite topics whose messages it was sent. */
  async subscribeLite(subscription: LiteSubscription): Promise<Reply> {
    const brokers = (await this.route(subscription.topic)) ?? [];
    const body = encodeLiteSubscriptions([subscription]);
    const answers = await Promise.all(
      brokers.map(({ brokerName }) => this.#brokers.ask(brokerName, RequestCode.LITE_SUBSCRIPTION_CTL, {}, body)),
    );
    return replyOf(answers.find(({ code }) => code !== ResponseCode.SUCCESS) ?? NOTHING_WRONG);
  }

  async ack(handle: ReceiptHandle, group: string, topic: string): Promise<Reply> {
    return this.#brokers.ask(handle.brokerName, RequestCode.ACK_MESSAGE, settling(handle, group, topic));
  }

  async changeInvisible(
    handle: ReceiptHandle,
    group: string,
    topic: string,
    invisibleMs: number,
    suspend: boolean,
  ): Promise<ReceiptHandle | Reply> {
    const header = { ...settling(handle, group, topic), invisibleTime: invisibleMs, suspend };
    const answer = await this.#brokers.ask(handle.brokerName, RequestCode.CHANGE_MESSAGE_INVISIBLETIME, header);
    if (answer.code !== ResponseCode.SUCCESS) return replyOf(answer);
    const { fields } = answer;
    return {
      ...handle,
      // The change is a checkpoint of its own, of this message only.
      startOffset: handle.offset,
      popTime: Number(fields.get("popTime")),
      invisibleTime: Number(fields.get("invisibleTime")),
      reviveQid: Number(fields.get("reviveQid")),
    };
  }

  async pull(ask: PullAsk): Promise<Pulled | Reply> {
    const deadline = this.#clock.monotonicMs() + ask.waitMs;
    for (let offset = ask.offset; ; ) {
      const waitMs = Math.max(0, deadline - this.#clock.monotonicMs());
      const header = {
        consumerGroup: ask.group,
        topic: ask.topic,
        queueId: ask.queueId,
        queueOffset: offset,
        maxMsgNums: ask.maxMessages,
        sysFlag: PULL_SUBSCRIPTION | (waitMs > 0 ? PULL_SUSPEND : 0),
        commitOffset: 0,
        suspendTimeoutMillis: waitMs,
        subscription: ask.expression,
        subVersion: this.#clock.now(),
        expressionType: ask.expressionType,
      };
      const code = RequestCode.PULL_MESSAGE;
      const answer = await this.#brokers.ask(ask.brokerName, code, header, undefined, waitMs + POP_EXTRA_MS);
      const nextOffset = Number(answer.fields.get("nextBeginOffset") ?? offset);
      switch (answer.code) {
        case ResponseCode.SUCCESS:
          return { sources: readSources(answer.body, ask.brokerName), nextOffset, outside: false };
        case ResponseCode.PULL_NOT_FOUND:
          return { sources: [], nextOffset, outside: false };
        case ResponseCode.PULL_OFFSET_MOVED:
          return { sources: [], nextOffset, outside: true };
        case ResponseCode.PULL_RETRY_IMMEDIATELY:
          // Nothing here is for this subscription; what follows may be.
          if (nextOffset > offset && waitMs > 0 && ask.alive()) break;
          return { sources: [], nextOffset, outside: false };
        default:
          return replyOf(answer);
      }
      offset = nextOffset;
    }
  }

  /** A verdict that decides nothing is not answered by brokers. */
  async endTransaction(brokerName: string, verdict: EndTransactionRequestHeader): Promise<Reply> {
    const header = fieldsOf(verdict);
    const { commitOrRollback } = verdict;
    if (commitOrRollback === TRANSACTION_COMMIT || commitOrRollback === TRANSACTION_ROLLBACK) {
      return replyOf(await this.#brokers.ask(brokerName, RequestCode.END_TRANSACTION, header));
    }
    const address = await this.#brokers.addressOf(brokerName);
    await this.#brokers.requests.tell(address, RequestCode.END_TRANSACTION, header);
    return OK;
  }

  async request(
    brokerName: string,
    code: keyof typeof RequestCode,
    header: object,
    _caller: Caller,
    body?: Buffer,
  ): Promise<Reply> {
    return replyOf(await this.#brokers.ask(brokerName, RequestCode[code], fieldsOf(header), body));
  }
}

function queuesOf(route: TopicRouteData | undefined): readonly BrokerQueues[] | undefined {
  if (route === undefined) return undefined;
  const reachable = new Set<string>();
  for (const broker of route.brokerDatas) if (addressIn(broker) !== undefined) reachable.add(broker.brokerName);
  return route.queueDatas.filter(({ brokerName }) => reachable.has(brokerName));
}

/** What names a delivery to the broker. */
function settling(handle: ReceiptHandle, group: string, topic: string) {
  const { startOffset, popTime, invisibleTime, reviveQid, topicFlag, brokerName, queueId, offset, liteTopic } = handle;
  return {
    liteTopic,
    consumerGroup: group,
    topic,
    queueId,
    offset,
    extraInfo: `${startOffset} ${popTime} ${invisibleTime} ${reviveQid} ${topicFlag} ${brokerName} ${queueId} ${offset}`,
  };
}

function bodyOf({ messages }: OutgoingMessages): Buffer {
  return encodeBatch(
    messages.map(({ body, properties }) => ({ body, properties: Buffer.from(formatProperties(properties)) })),
  );
}

function outcomeOf({ code, remark, fields }: Answer, count: number): SendOutcome {
  const ids = (fields.get("msgId") ?? "").split(",");
  const first = Number(fields.get("queueOffset") ?? 0);
  const results = Array.from({ length: count }, (_, i) => ({
    queueOffset: first + i,
    logOffset: parseMessageId(ids[i] ?? "")?.logOffset ?? -1,
    transactionId: fields.get("transactionId") ?? "",
    recallHandle: fields.get("recallHandle") ?? "",
  }));
  return { code, remark, results };
}

function replyOf({ code, remark, fields, body }: Answer): Reply {
  return { code, remark, header: Object.fromEntries(fields), body };
}

/** A typed header as extFields: texts, numbers and booleans; what is null stays out. */
function fieldsOf(header: object): Fields {
  const fields: Fields = {};
  for (const [name, value] of Object.entries(header)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") fields[name] = value;
  }
  return fields;
}
