/**
 * What the gRPC protocol needs of the brokers behind it. In one process this is a thin layer over the handlers
 * (localBackend.ts); a proxy of its own would speak remoting instead. Nothing above it knows which.
 */
import type { Buffer } from "node:buffer";
import type { LiteSubscription } from "../protocol/bodies/liteSubscription.ts";
import type { SubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import type { Caller, Reply } from "../protocol/dispatch.ts";
import type { EndTransactionRequestHeader } from "../protocol/generated/headers.ts";
import type { RequestCode } from "../protocol/generated/requestCodes.ts";
import type { MessageSource } from "./outMessage.ts";
import type { ReceiptHandle } from "./receiptHandle.ts";

export type Awaitable<T> = T | Promise<T>;

/** What the message.type attribute of a topic says; UNSPECIFIED for a topic that does not exist. */
export type TopicType = "UNSPECIFIED" | "NORMAL" | "FIFO" | "DELAY" | "TRANSACTION" | "PRIORITY" | "LITE" | "MIXED";

/** The queues of a topic on one broker. */
export interface BrokerQueues {
  brokerName: string;
  /** Topic permission bits (PERM_READ, PERM_WRITE). */
  perm: number;
  readQueueNums: number;
  writeQueueNums: number;
}

/** A message on its way to the store. */
export interface OutgoingMessage {
  body: Buffer;
  properties: Map<string, string>;
}

export interface OutgoingMessages {
  brokerName: string;
  topic: string;
  queueId: number;
  sysFlag: number;
  /** ms */
  bornTimestamp: number;
  messages: readonly OutgoingMessage[];
}

/** The outcome of a send; `results` has one entry per message when it was stored. */
export interface SendOutcome {
  /** A ResponseCode: SUCCESS or one of those that say "stored, but". */
  code: number;
  remark: string | undefined;
  results: readonly { queueOffset: number; logOffset: number; transactionId: string; recallHandle: string }[];
}

/** A receive as the broker is asked for it. */
export interface PopAsk {
  brokerName: string;
  group: string;
  topic: string;
  /** -1: any. */
  queueId: number;
  maxMessages: number;
  /** ms */
  invisibleMs: number;
  /** ms to wait for a first message */
  pollMs: number;
  expressionType: string;
  expression: string;
  order: boolean;
  attemptId: string | undefined;
}

/** A receive from the lite topics that a client subscribes to. */
export interface PopLiteAsk {
  brokerName: string;
  clientId: string;
  group: string;
  /** The parent of the lite topics. */
  topic: string;
  maxMessages: number;
  /** ms */
  invisibleMs: number;
  /** ms to wait for a first message */
  pollMs: number;
  attemptId: string | undefined;
}

/** A message given to a consumer. */
export interface Popped {
  source: MessageSource;
  handle: ReceiptHandle;
}

/** Who waits for a receive; exactly one of the last four is called, once. */
export interface PopSink {
  /** `ip:port`, for remarks. */
  readonly address: string;
  readonly open: boolean;
  /** May only go out when this turn's log write is done. */
  found(messages: readonly Popped[]): void;
  /** @param full too many wait already, or too much is in flight: not a matter of time */
  nothing(full: boolean, remark: string): void;
  refused(reply: Reply): void;
  /** The broker could not be asked, or did not answer. */
  failed(error: unknown): void;
}

/** A read by offset. */
export interface PullAsk {
  brokerName: string;
  group: string;
  topic: string;
  queueId: number;
  offset: number;
  maxMessages: number;
  expressionType: string;
  expression: string;
  /** ms to wait for a first message */
  waitMs: number;
  alive(): boolean;
}

export interface Pulled {
  sources: MessageSource[];
  nextOffset: number;
  /** The offset asked for is none of the queue's. */
  outside: boolean;
}

export interface Backend {
  /** The brokers that have the topic; undefined when none has. */
  route(topic: string): Awaitable<readonly BrokerQueues[] | undefined>;
  topicType(topic: string): Awaitable<TopicType>;
  /** A group's configuration, created when that is allowed. */
  group(group: string): Awaitable<SubscriptionGroupConfig | undefined>;
  /** A client said that it sends to a topic, under the topic's name as its group. */
  producerJoined(topic: string): void;
  send(messages: OutgoingMessages, caller: Caller): Promise<SendOutcome>;
  pop(ask: PopAsk, sink: PopSink): void;
  popLite(ask: PopLiteAsk, sink: PopSink): void;
  /** Tells the brokers of a lite topic's parent what a client subscribes to; `caller` hears of what it loses. */
  subscribeLite(subscription: LiteSubscription, caller: Caller): Promise<Reply>;
  /** Acknowledges a message; `topic` is the one it was popped from. */
  ack(handle: ReceiptHandle, group: string, topic: string, address: string): Awaitable<Reply>;
  /** Gives a message a new deadline; the new handle, or why not. */
  changeInvisible(
    handle: ReceiptHandle,
    group: string,
    topic: string,
    invisibleMs: number,
    suspend: boolean,
    address: string,
  ): Promise<ReceiptHandle | Reply>;
  pull(ask: PullAsk): Promise<Pulled | Reply>;
  endTransaction(brokerName: string, verdict: EndTransactionRequestHeader): Promise<Reply>;
  /** Any request whose handler is an ordinary one. */
  request(
    brokerName: string,
    code: keyof typeof RequestCode,
    header: object,
    caller: Caller,
    body?: Buffer,
  ): Promise<Reply>;
}
