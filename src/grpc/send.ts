/** SendMessage, EndTransaction and RecallMessage (Apache: SendMessageActivity, ProducerProcessor, EndTransactionActivity). */

import type { Clock } from "../base/clock.ts";
import { bucketOf } from "../base/consistentHash.ts";
import { isWriteable } from "../broker/model.ts";
import { isRetryOrDlq } from "../broker/names.ts";
import { decodeRecallHandle } from "../broker/timer/recallHandle.ts";
import type { ProxyConfig } from "../config/index.ts";
import { Property } from "../message/properties.ts";
import {
  TRANSACTION_COMMIT,
  TRANSACTION_MASK,
  TRANSACTION_NONE,
  TRANSACTION_PREPARED,
  TRANSACTION_ROLLBACK,
} from "../message/sysFlag.ts";
import type { Caller } from "../protocol/dispatch.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { Backend, BrokerQueues, OutgoingMessage, SendOutcome, TopicType } from "./backend.ts";
import { isBlank, topicOf } from "./checks.ts";
import type { Context } from "./context.ts";
import {
  Code,
  type EndTransactionRequest,
  type EndTransactionResponse,
  type Message,
  type RecallMessageRequest,
  type RecallMessageResponse,
  type SendMessageRequest,
  type SendMessageResponse,
  type SendResultEntry,
  TransactionResolution,
  TransactionSource,
} from "./generated/messages.ts";
import { inMessage, sysFlagOf, systemOf } from "./inMessage.ts";
import { kindOf } from "./outMessage.ts";
import { RpcProperty } from "./properties.ts";
import type { Init } from "./proto.ts";
import { need } from "./route.ts";
import { OK, overall, Refusal, statusOfReply } from "./status.ts";
import { toMs } from "./times.ts";
import type { HalfMessages } from "./transactions.ts";

export interface SendParts {
  readonly clock: Clock;
  readonly config: ProxyConfig;
  readonly backend: Backend;
  readonly halfMessages: HalfMessages;
  /** As whom the broker sees the sender. */
  readonly callerOf: (context: Context) => Caller;
}

export class Producing {
  readonly #parts: SendParts;
  /** Position of the round robin over writable queues; all topics share it. */
  #turn: number;

  constructor(parts: SendParts, firstTurn: number) {
    this.#parts = parts;
    this.#turn = firstTurn;
  }

  async send(context: Context, request: SendMessageRequest): Promise<Init<SendMessageResponse>> {
    const { clock, config, backend } = this.#parts;
    const [first] = request.messages;
    if (first === undefined) throw new Refusal("MESSAGE_CORRUPTED", "no message to send");
    const topic = topicOf(first.topic);
    const now = clock.now();
    const messages = request.messages.map((message) => {
      if (!sameTopic(message, first)) throw new Refusal("MESSAGE_CORRUPTED", "topic in message is not same");
      return inMessage(config, message, topic, context.call.peer, now);
    });
    const brokers = await need(backend, topic);
    if (config.enableTopicMessageTypeCheck && !isRetryOrDlq(topic)) {
      const type = await backend.topicType(topic);
      for (const { properties } of messages) {
        if (!properties.has(RpcProperty.TRANSFER_FLAG)) checkType(type, kindOf(properties));
      }
    }
    if (messages.length > 1) checkList(messages);
    const { brokerName, queueId } = this.#choose(brokers, request.messages);
    const outgoing = {
      brokerName,
      topic,
      queueId,
      sysFlag: sysFlagOf(first),
      bornTimestamp: toMs(systemOf(first).bornTimestamp),
      messages,
    };
    const outcome = await backend.send(outgoing, this.#parts.callerOf(context));
    this.#rememberHalf(topic, brokerName, outgoing.sysFlag, outcome);
    return responseOf(messages, outcome);
  }

  /** A message with a group goes where its group goes, everything else by turns. The request's own queue does not count. */
  #choose(brokers: readonly BrokerQueues[], messages: readonly Message[]): { brokerName: string; queueId: number } {
    const writable = brokers.filter(({ perm, writeQueueNums }) => isWriteable(perm) && writeQueueNums > 0);
    const total = writable.reduce((sum, { writeQueueNums }) => sum + writeQueueNums, 0);
    if (total === 0) throw new Refusal("FORBIDDEN", "no writable queue");
    const system = systemOf(messages[0]);
    const group = messages.length === 1 ? system.messageGroup || system.liteTopic || "" : "";
    let at = group === "" ? this.#turn++ % total : bucketOf(group, total);
    for (const { brokerName, writeQueueNums } of writable) {
      if (at < writeQueueNums) return { brokerName, queueId: at };
      at -= writeQueueNums;
    }
    throw new Error("unreachable: the turn lies within the total");
  }

  #rememberHalf(topic: string, brokerName: string, sysFlag: number, outcome: SendOutcome): void {
    if ((sysFlag & TRANSACTION_MASK) !== TRANSACTION_PREPARED || outcome.code !== ResponseCode.SUCCESS) return;
    for (const { transactionId, queueOffset, logOffset } of outcome.results) {
      if (transactionId === "") continue;
      const half = { brokerName, tranStateTableOffset: queueOffset, commitLogOffset: logOffset };
      this.#parts.halfMessages.add(topic, transactionId, half);
    }
  }

  async endTransaction(request: EndTransactionRequest): Promise<Init<EndTransactionResponse>> {
    const topic = topicOf(request.topic);
    const { transactionId, messageId } = request;
    if (isBlank(transactionId)) throw new Refusal("INVALID_TRANSACTION_ID", "transaction id cannot be empty");
    const half = this.#parts.halfMessages.take(topic, transactionId);
    if (half === undefined) throw new Refusal("INTERNAL_SERVER_ERROR", "cannot found transaction data");
    const reply = await this.#parts.backend.endTransaction(half.brokerName, {
      topic,
      producerGroup: topic,
      tranStateTableOffset: half.tranStateTableOffset,
      commitLogOffset: half.commitLogOffset,
      commitOrRollback: VERDICTS.get(request.resolution) ?? TRANSACTION_NONE,
      fromTransactionCheck: request.source === TransactionSource.SOURCE_SERVER_CHECK,
      msgId: messageId,
      transactionId,
    });
    // Apache sends the verdict oneway and says OK whatever becomes of it; a client can only learn from the truth.
    return { status: reply.code === ResponseCode.SUCCESS ? OK : statusOfReply(reply) };
  }

  async recall(context: Context, request: RecallMessageRequest): Promise<Init<RecallMessageResponse>> {
    const { backend, config } = this.#parts;
    const topic = topicOf(request.topic);
    if (config.enableTopicMessageTypeCheck) checkType(await backend.topicType(topic), "DELAY");
    const { recallHandle } = request;
    const brokerName = brokerOf(recallHandle);
    const header = { topic, recallHandle, brokerName };
    const reply = await backend.request(brokerName, "RECALL_MESSAGE", header, this.#parts.callerOf(context));
    if (reply.code !== ResponseCode.SUCCESS) return { status: statusOfReply(reply) };
    return { status: OK, messageId: String(reply.header?.msgId ?? "") };
  }
}

/** @throws Refusal with Apache's words for what is no handle */
function brokerOf(recallHandle: string): string {
  try {
    return decodeRecallHandle(recallHandle).brokerName;
  } catch (error) {
    throw new Refusal("INTERNAL_SERVER_ERROR", (error as Error).message);
  }
}

const VERDICTS = new Map<number, number>([
  [TransactionResolution.COMMIT, TRANSACTION_COMMIT],
  [TransactionResolution.ROLLBACK, TRANSACTION_ROLLBACK],
]);

function sameTopic(a: Message, b: Message): boolean {
  return a.topic?.name === b.topic?.name && a.topic?.resourceNamespace === b.topic?.resourceNamespace;
}

/** DefaultTopicMessageTypeValidator. */
function checkType(expected: TopicType, actual: string): void {
  if (actual === expected || expected === "MIXED") return;
  throw new Refusal(
    "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE",
    `TopicMessageType validate failed, the expected type is ${expected}, but actual type is ${actual}`,
  );
}

/** What the store does with a message by itself, it cannot do with one of a list (MessageBatch.generateFromList). */
function checkList(messages: readonly OutgoingMessage[]): void {
  for (const { properties } of messages) {
    const kind = kindOf(properties);
    if (kind === "NORMAL" || kind === "FIFO") continue;
    const what = kind === "DELAY" ? "TimeDelayLevel" : `a message of type ${kind}`;
    throw new Refusal("BAD_REQUEST", `${what} is not supported for batching: send it by itself`);
  }
}

const STORED_BUT = new Map<number, keyof typeof Code>([
  [ResponseCode.FLUSH_DISK_TIMEOUT, "MASTER_PERSISTENCE_TIMEOUT"],
  [ResponseCode.FLUSH_SLAVE_TIMEOUT, "SLAVE_PERSISTENCE_TIMEOUT"],
  [ResponseCode.SLAVE_NOT_AVAILABLE, "HA_NOT_AVAILABLE"],
]);
const SEND_STATUS = new Map<number, string>([
  [ResponseCode.FLUSH_DISK_TIMEOUT, "FLUSH_DISK_TIMEOUT"],
  [ResponseCode.FLUSH_SLAVE_TIMEOUT, "FLUSH_SLAVE_TIMEOUT"],
  [ResponseCode.SLAVE_NOT_AVAILABLE, "SLAVE_NOT_AVAILABLE"],
]);

function responseOf(messages: readonly OutgoingMessage[], outcome: SendOutcome): Init<SendMessageResponse> {
  const stored = STORED_BUT.get(outcome.code);
  if (outcome.code !== ResponseCode.SUCCESS && stored === undefined) return { status: statusOfReply(outcome) };
  const entries: Init<SendResultEntry>[] = messages.map(({ properties }, i) => {
    if (stored !== undefined) {
      const message = `send message failed, sendStatus=${SEND_STATUS.get(outcome.code)}`;
      return { status: { code: Code[stored], message } };
    }
    const { queueOffset, transactionId, recallHandle } = outcome.results[i];
    return {
      status: OK,
      messageId: properties.get(Property.UNIQUE_KEY) ?? "",
      transactionId,
      offset: queueOffset,
      recallHandle,
    };
  });
  const statuses = entries.map(({ status }) => status as { code: number; message: string });
  return { status: overall(statuses, "send status is empty"), entries };
}
