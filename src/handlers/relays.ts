/** Questions of operators that only a connected consumer can answer (Apache: AdminBrokerProcessor, Broker2Client). */
import type { Buffer } from "node:buffer";
import type { Client } from "../broker/clients.ts";
import { parseMessageId } from "../message/messageId.ts";
import { messageQueueKey } from "../protocol/bodies/messageQueue.ts";
import { readBean, toInteger } from "../protocol/bodies/reader.ts";
import type { Answer, Call, Reply, Row } from "../protocol/dispatch.ts";
import {
  ConsumeMessageDirectlyResultRequestHeader,
  GetConsumerRunningInfoRequestHeader,
  GetConsumerStatusRequestHeader,
} from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import { writeJavaJson } from "../protocol/javaJson.ts";
import { versionName } from "../protocol/versionName.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "log" | "topics" | "groups" | "clients" | "store">;
type Fields = Record<string, string | number | boolean | undefined>;

const RELAY_TIMEOUT_MS = 10_000;
const STATUS_TIMEOUT_MS = 5_000;

export function relayRows(parts: Parts): Row[] {
  return [
    requestRow("GET_CONSUMER_RUNNING_INFO", GetConsumerRunningInfoRequestHeader, ({ header }) =>
      relay(
        parts,
        RequestCode.GET_CONSUMER_RUNNING_INFO,
        header.consumerGroup,
        header.clientId,
        { ...header },
        undefined,
      ),
    ),
    requestRow("CONSUME_MESSAGE_DIRECTLY", ConsumeMessageDirectlyResultRequestHeader, (call) =>
      consumeDirectly(parts, call),
    ),
    requestRow("INVOKE_BROKER_TO_GET_CONSUMER_STATUS", GetConsumerStatusRequestHeader, (call) =>
      consumerStatus(parts, call),
    ),
  ];
}

/** Asks one consumer and passes its answer on as it is. */
async function relay(
  { clients }: Parts,
  code: number,
  group: string,
  clientId: string | undefined,
  header: Fields,
  body: Buffer | undefined,
): Promise<Reply> {
  const client = clientId === undefined ? undefined : clients.consumerGroup(group)?.find(clientId);
  if (client === undefined) return refuse("SYSTEM_ERROR", `The Consumer <${group}> <${clientId ?? null}> not online`);
  if (client.version < MQVersion.V3_1_8_SNAPSHOT) {
    return refuse(
      "SYSTEM_ERROR",
      `The Consumer <${clientId}> Version <${versionName(client.version)}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT`,
    );
  }
  try {
    return asReply(await client.caller.ask(code, header, body, RELAY_TIMEOUT_MS));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (client.caller.open) {
      return refuse("CONSUME_MSG_TIMEOUT", `consumer <${group}> <${clientId}> Timeout: ${reason}`);
    }
    return refuse("SYSTEM_ERROR", `invoke consumer <${group}> <${clientId}> Exception: ${reason}`);
  }
}

function asReply(answer: Answer): Reply {
  return { code: answer.code, remark: answer.remark, header: Object.fromEntries(answer.fields), body: answer.body };
}

/** Lets a chosen consumer process a stored message now, outside of its queues. */
async function consumeDirectly(
  parts: Parts,
  { header }: Call<ConsumeMessageDirectlyResultRequestHeader>,
): Promise<Reply> {
  const group = need(header.consumerGroup, "consumerGroup");
  const msgId = need(header.msgId, "msgId");
  const id = parseMessageId(msgId);
  const message = id === undefined ? undefined : await parts.store.messageAt(id.logOffset);
  if (message === undefined) return refuse("SYSTEM_ERROR", `can not find message by the id, ${msgId}`);
  const fields: Fields = {
    ...header,
    brokerName: parts.config.brokerName,
    topicSysFlag: header.topic === undefined ? undefined : parts.topics.get(header.topic)?.topicSysFlag,
    groupSysFlag: parts.groups.find(group)?.groupSysFlag,
  };
  return relay(parts, RequestCode.CONSUME_MESSAGE_DIRECTLY, group, header.clientId, fields, message.bytes);
}

/** Offsets as the consumers of a group themselves see them; one that does not answer is left out. */
async function consumerStatus(parts: Parts, { header }: Call<GetConsumerStatusRequestHeader>): Promise<Reply> {
  const group = need(header.group, "group");
  const topic = need(header.topic, "topic");
  const members = [...(parts.clients.consumerGroup(group)?.members.values() ?? [])];
  if (members.length === 0) {
    return refuse("SYSTEM_ERROR", `No Any Consumer online in the consumer group: [${group}]`);
  }
  const only = header.clientAddr?.trim() ? header.clientAddr : undefined;
  const consumerTable = new Map<string, Map<unknown, number>>();
  for (const member of members) {
    if (member.version < MQVersion.V3_0_7_SNAPSHOT) {
      return refuse("SYSTEM_ERROR", `the client does not support this feature. version=${versionName(member.version)}`);
    }
    if (only !== undefined && only !== member.clientId) continue;
    const table = await statusOf(parts, member, topic, group);
    if (table !== undefined) consumerTable.set(member.clientId, table);
  }
  return ok(undefined, writeJavaJson({ consumerTable, messageQueueTable: new Map() }));
}

async function statusOf(
  { log }: Parts,
  member: Client,
  topic: string,
  group: string,
): Promise<Map<unknown, number> | undefined> {
  try {
    const code = RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT;
    const answer = await member.caller.ask(code, { topic, group }, undefined, STATUS_TIMEOUT_MS);
    if (answer.code !== ResponseCode.SUCCESS || answer.body.length === 0) return undefined;
    const body = readBean("GetConsumerStatusBody", answer.body);
    return body.map("messageQueueTable", messageQueueKey, toInteger) ?? new Map();
  } catch (error) {
    log.warn({ err: error, group, topic, clientId: member.clientId }, "a consumer did not tell its offsets");
    return undefined;
  }
}
