/** The broker of this process behind the gRPC protocol: the same handlers that remoting calls (Apache: LocalMessageService). */
import { Buffer } from "node:buffer";
import { MESSAGE_TYPE } from "../broker/attributes.ts";
import { AUTO_CREATE_TOPIC } from "../broker/names.ts";
import { endTransaction } from "../handlers/endTransaction.ts";
import { need } from "../handlers/parts.ts";
import { Sender } from "../handlers/send.ts";
import { checkSend } from "../handlers/sendChecks.ts";
import { sendList } from "../handlers/sendList.ts";
import { sendMessage } from "../handlers/sendSpecial.ts";
import type { TableParts } from "../handlers/table.ts";
import { parseMessageId } from "../message/messageId.ts";
import { MULTI_TAGS } from "../message/sysFlag.ts";
import type { SubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import type { Caller, Reply, Row } from "../protocol/dispatch.ts";
import type { EndTransactionRequestHeader } from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { CURRENT_VERSION } from "../protocol/generated/versions.ts";
import type { Backend, BrokerQueues, OutgoingMessages, SendOutcome, TopicType } from "./backend.ts";
import { Refusal } from "./status.ts";

/** What Apache's proxy writes into the header of every send. */
const DEFAULT_TOPIC_QUEUES = 4;
const NO_BODY = Buffer.alloc(0);

export class LocalBackend implements Backend {
  readonly #parts: TableParts;
  readonly #sender: Sender;
  readonly #rows = new Map<number, Row>();

  constructor(parts: TableParts, rows: readonly Row[]) {
    this.#parts = parts;
    this.#sender = new Sender(parts);
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

  async send(outgoing: OutgoingMessages, caller: Caller): Promise<SendOutcome> {
    this.#own(outgoing.brokerName);
    const { topic, queueId, sysFlag, bornTimestamp, messages } = outgoing;
    const request = {
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
    return outcomeOf(reply, messages.length);
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
