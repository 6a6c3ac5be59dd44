/**
 * Replies of request-reply calls (Apache: ReplyMessageProcessor). A reply is handed on to the connection of the client
 * that asked, which its REPLY_TO_CLIENT property names, and stored beside that (storeReplyMessageEnable) where its sender
 * put it, usually the cluster's reply topic. The answer says whether the asker took it; storing does not change that.
 * Refuses what any other send would be refused, and a reply to a client that is not connected here.
 */
import { Buffer } from "node:buffer";
import { isTaken } from "../broker/schedule.ts";
import { formatMessageId } from "../message/messageId.ts";
import { formatProperties, Property, parseProperties } from "../message/properties.ts";
import { COMPRESSED, COMPRESSION_TYPE } from "../message/sysFlag.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { SendMessageRequestHeader, SendMessageRequestHeaderV2 } from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { type BrokerParts, ok, refuse, requestRow } from "./parts.ts";
import { checkSend } from "./sendChecks.ts";

type Parts = Pick<
  BrokerParts,
  "config" | "clock" | "random" | "log" | "topics" | "clients" | "schedule" | "store" | "address"
>;

/** Broker2Client.callClient: how long the asker may take to take its reply. */
const PUSH_TIMEOUT_MS = 10_000;
/** Property of the pushed message: ms at which it was pushed (MessageConst.PROPERTY_PUSH_REPLY_TIME). */
const PUSH_REPLY_TIME = "PUSH_REPLY_TIME";

export function replyRows(parts: Parts): Row[] {
  return [
    requestRow("SEND_REPLY_MESSAGE", SendMessageRequestHeader, (call) => reply(parts, call, call.header)),
    requestRow("SEND_REPLY_MESSAGE_V2", SendMessageRequestHeaderV2, (call) =>
      reply(parts, call, longNames(call.header)),
    ),
  ];
}

async function reply(parts: Parts, call: Call, header: SendMessageRequestHeader): Promise<Reply> {
  const { config } = parts;
  const common = { MSG_REGION: config.regionId, TRACE_ON: config.traceOn };
  // Apache trips over it, too: a Go client that leaves the body to CreateReplyMessage sends such replies.
  if (call.body.length === 0) return refuse("SYSTEM_ERROR", "the message has no body", common);
  const checked = checkSend(parts, { ...header, unitMode: header.unitMode ?? false }, call.caller);
  if ("code" in checked) return { ...checked, header: common };
  // The frame is gone once this waits.
  const body = Buffer.from(call.body);
  const properties = parseProperties(header.properties ?? "");
  properties.set(Property.MSG_REGION, config.regionId);
  properties.set(Property.TRACE_SWITCH, String(config.traceOn));
  const { host } = call.caller;

  const failure = await push(parts, call, header, properties, body);
  const stored = config.storeReplyMessageEnable
    ? await store(parts, header, checked, properties, body, host)
    : undefined;
  if (failure !== undefined) {
    return { code: ResponseCode.SYSTEM_ERROR, remark: failure, header: { ...common, ...stored } };
  }
  // The client reads these fields without looking: zeros where nothing was stored.
  return ok({ ...common, msgId: "0", queueId: Math.max(0, header.queueId), queueOffset: 0, ...stored });
}

/** Hands the reply to the client that asked; returns Apache's remark when it did not get there. */
async function push(
  { clients, clock, log, address }: Parts,
  { caller }: Call,
  header: SendMessageRequestHeader,
  properties: ReadonlyMap<string, string>,
  body: Buffer,
): Promise<string | undefined> {
  const askerId = properties.get(Property.REPLY_TO_CLIENT);
  if (askerId === undefined) return `reply message properties[${Property.REPLY_TO_CLIENT}] is null`;
  const asker = clients.findProducer(askerId);
  if (asker === undefined) return `push reply message fail, channel of <${askerId}> not found.`;
  const now = clock.now();
  const fields = {
    producerGroup: header.producerGroup,
    topic: header.topic,
    defaultTopic: header.defaultTopic,
    defaultTopicQueueNums: header.defaultTopicQueueNums,
    queueId: header.queueId,
    sysFlag: header.sysFlag,
    bornTimestamp: header.bornTimestamp,
    flag: header.flag,
    properties: formatProperties([...properties, [PUSH_REPLY_TIME, String(now)]]),
    reconsumeTimes: header.reconsumeTimes,
    unitMode: header.unitMode ?? false,
    bornHost: caller.address,
    storeHost: address(),
    storeTimestamp: now,
  };
  let reason: string | undefined;
  try {
    const answer = await asker.ask(RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT, fields, body, PUSH_TIMEOUT_MS);
    if (answer.code === ResponseCode.SUCCESS) return undefined;
    reason = answer.remark;
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  log.warn({ clientId: askerId, topic: header.topic, reason }, "a reply did not reach the client that asked");
  return `push reply message to ${askerId}fail.`;
}

/** Keeps the reply in its topic; what goes wrong here is logged only, as in Apache. */
async function store(
  { random, schedule, store, log }: Parts,
  header: SendMessageRequestHeader,
  topic: TopicConfig,
  properties: Map<string, string>,
  body: Buffer,
  bornHost: Buffer,
): Promise<Record<string, string | number> | undefined> {
  const queueId = header.queueId < 0 ? random.int(topic.writeQueueNums) : header.queueId;
  const message = {
    topic: header.topic,
    queueId,
    body,
    properties,
    flag: header.flag,
    // Apache forgets the flag; without it nobody could read a compressed body again.
    sysFlag: header.sysFlag & (COMPRESSED | COMPRESSION_TYPE),
    bornTimestamp: header.bornTimestamp,
    bornHost,
    reconsumeTimes: header.reconsumeTimes ?? 0,
    tagsCode: 0,
  };
  schedule.levels.defer(message);
  const result = await store.put(message);
  if (!isTaken(result)) {
    log.warn({ topic: header.topic, status: result.status, reason: result.reason }, "a reply was not stored");
    return undefined;
  }
  return { msgId: formatMessageId(store.storeHost, result.logOffset), queueId, queueOffset: result.queueOffset };
}

function longNames(header: SendMessageRequestHeaderV2): SendMessageRequestHeader {
  return {
    producerGroup: header.a,
    topic: header.b,
    defaultTopic: header.c,
    defaultTopicQueueNums: header.d,
    queueId: header.e,
    sysFlag: header.f,
    bornTimestamp: header.g,
    flag: header.h,
    properties: header.i,
    reconsumeTimes: header.j,
    unitMode: header.k,
  };
}
