/**
 * What the gRPC protocol needs of the brokers behind it. In one process this is a thin layer over the handlers
 * (localBackend.ts); a proxy of its own would speak remoting instead. Nothing above it knows which.
 */
import type { Buffer } from "node:buffer";
import type { SubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import type { Caller, Reply } from "../protocol/dispatch.ts";
import type { EndTransactionRequestHeader } from "../protocol/generated/headers.ts";
import type { RequestCode } from "../protocol/generated/requestCodes.ts";

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

export interface Backend {
  /** The brokers that have the topic; undefined when none has. */
  route(topic: string): Awaitable<readonly BrokerQueues[] | undefined>;
  topicType(topic: string): Awaitable<TopicType>;
  /** A group's configuration, created when that is allowed. */
  group(group: string): Awaitable<SubscriptionGroupConfig | undefined>;
  send(messages: OutgoingMessages, caller: Caller): Promise<SendOutcome>;
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
