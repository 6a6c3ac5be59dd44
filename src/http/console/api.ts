/**
 * The console's JSON API. What an official tool could ask goes through the broker's own dispatch rows, so that both get the same answer
 * and the same refusal; what no request tells is read from the broker's state.
 */
import { Buffer } from "node:buffer";
import {
  DLQ_PREFIX,
  isRetryOrDlq,
  isSystemPuller,
  RETRY_PREFIX,
  retryTopic,
  SCHEDULE_TOPIC,
} from "../../broker/names.ts";
import type { TransactionMetrics } from "../../broker/transactionMetrics.ts";
import { BROKER_TABLE, effectiveConfig } from "../../config/index.ts";
import type { BrokerParts } from "../../handlers/parts.ts";
import { formatMessageId } from "../../message/messageId.ts";
import { Property } from "../../message/properties.ts";
import { decodeClusterInfo } from "../../protocol/bodies/clusterInfo.ts";
import { decodeConsumerConnection } from "../../protocol/bodies/connections.ts";
import { decodeKVTable } from "../../protocol/bodies/kvTable.ts";
import { readBean, toText } from "../../protocol/bodies/reader.ts";
import { decodeConsumeStats, decodeTopicStats } from "../../protocol/bodies/stats.ts";
import { PERM_READ, PERM_WRITE } from "../../protocol/bodies/topicConfig.ts";
import type { Answer, Caller, Reply, Row } from "../../protocol/dispatch.ts";
import { RequestCode } from "../../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../../protocol/generated/responseCodes.ts";
import { MQVersion } from "../../protocol/generated/versions.ts";
import { versionName } from "../../protocol/versionName.ts";
import { HttpError, type HttpRequest } from "../httpServer.ts";
import { detailOf, findMessages, rowOf } from "./messageView.ts";

export type ApiParts = BrokerParts & {
  readonly rows: readonly Row[];
  readonly transactions: { readonly metrics: TransactionMetrics };
  /** Asks a NameServer; undefined without one. */
  readonly askNameServer: ((code: number) => Promise<Answer>) | undefined;
};

const BAD_REQUEST = 400;
const NOT_FOUND = 404;
const CONFLICT = 409;
const HOUR_MS = 3_600_000;

type Handle = (parts: ApiParts, request: HttpRequest) => unknown;

const READS: Readonly<Record<string, Handle>> = {
  "/api/overview": overview,
  "/api/rates": ({ clock, counters }) => ({
    at: clock.monotonicMs(),
    puts: counters.puts,
    putBytes: counters.putBytes,
    transferred: counters.transferred,
  }),
  "/api/topics": topicList,
  "/api/topic": topicDetail,
  "/api/groups": groupList,
  "/api/group": groupDetail,
  "/api/messages": messageList,
  "/api/message": messageDetail,
  "/api/dlq": deadLetters,
  "/api/pending": pending,
  "/api/config": configuration,
};

const CHANGES: Readonly<Record<string, (parts: ApiParts, body: Readonly<Record<string, unknown>>) => unknown>> = {
  "/api/dlq/resend": resend,
  "/api/config": changeConfig,
};

/** The value to answer with. @throws HttpError for what is not there or not allowed */
export async function api(parts: ApiParts, request: HttpRequest): Promise<unknown> {
  if (request.method === "POST") {
    const change = CHANGES[request.path];
    if (change === undefined) throw new HttpError(NOT_FOUND, `nothing can be changed at ${request.path}`);
    return change(parts, objectOf(await request.body()));
  }
  const read = Object.hasOwn(READS, request.path) ? READS[request.path] : undefined;
  if (read === undefined) throw new HttpError(NOT_FOUND, `there is no ${request.path}`);
  return read(parts, request);
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new HttpError(BAD_REQUEST, "the body must be a JSON object");
}

// ---- the broker's own rows ----

/** Stands for the console where a handler asks who is asking. */
const CONSOLE: Caller = {
  id: 0,
  address: "console",
  host: Buffer.from([127, 0, 0, 1, 0, 0, 0, 0]),
  reachedBy: "127.0.0.1",
  open: true,
  tell: () => false,
  ask: () => Promise.reject(new Error("the console cannot be asked")),
  onClose: () => {},
};

async function dispatch(
  { rows }: ApiParts,
  name: keyof typeof RequestCode,
  header: object,
  body: Buffer = Buffer.alloc(0),
): Promise<Reply> {
  const row = rows.find(({ code }) => code === RequestCode[name]);
  if (row?.handle === undefined) throw new HttpError(NOT_FOUND, `this broker does not answer ${name}`);
  const reply = await row.handle({
    code: row.code,
    header,
    body,
    caller: CONSOLE,
    version: MQVersion.V5_5_0,
    language: "JAVA",
    oneway: false,
    field: () => undefined,
  });
  if (reply === undefined) throw new HttpError(NOT_FOUND, `${name} has no answer`);
  return reply;
}

/** The body of a success. @throws HttpError with the broker's words */
async function ask(parts: ApiParts, name: keyof typeof RequestCode, header: object, body?: Buffer): Promise<Buffer> {
  const reply = await dispatch(parts, name, header, body);
  if (reply.code !== ResponseCode.SUCCESS) throw new HttpError(CONFLICT, reply.remark ?? `code ${reply.code}`);
  return Buffer.from(reply.body ?? "");
}

// ---- pages ----

async function overview(parts: ApiParts): Promise<object> {
  const { config, store, topics, groups, clients } = parts;
  const runtime = decodeKVTable(await ask(parts, "GET_BROKER_RUNTIME_INFO", {}));
  const answer = await parts.askNameServer?.(RequestCode.GET_BROKER_CLUSTER_INFO).catch(() => undefined);
  const info = answer?.code === ResponseCode.SUCCESS ? decodeClusterInfo(answer.body) : undefined;
  const { writable, reason } = store.writability();
  return {
    cluster: config.brokerClusterName,
    broker: config.brokerName,
    role: config.brokerRole,
    address: parts.address(),
    namesrvAddr: config.namesrvAddr ?? "",
    version: versionName(MQVersion.V5_5_0),
    uptimeMs: parts.clock.now() - parts.counters.startedAt,
    writable,
    reason,
    topics: topics.size,
    groups: groups.size,
    consumers: [...clients.consumerGroups()].reduce((sum, group) => sum + group.members.size, 0),
    producers: clients.producerGroups().reduce((sum, group) => sum + (clients.producers(group)?.length ?? 0), 0),
    logBytes: store.maxLogOffset() - store.minLogOffset(),
    disk: parts.storeOps.space(),
    runtime: Object.fromEntries(runtime),
    brokers:
      info === undefined
        ? undefined
        : [...info.brokerAddrTable.values()].map(({ brokerName, cluster, brokerAddrs }) => ({
            name: brokerName,
            cluster,
            addresses: [...brokerAddrs].map(([id, address]) => ({ id, address })),
          })),
  };
}

function topicList({ topics, stats, store }: ApiParts): object {
  return [...topics.all()].map(({ topicName, readQueueNums, writeQueueNums, perm, attributes }) => {
    let messages = 0;
    for (let queueId = 0; queueId < Math.max(readQueueNums, writeQueueNums); queueId++) {
      messages += Math.max(0, store.maxOffset(topicName, queueId) - store.minOffset(topicName, queueId));
    }
    return {
      name: topicName,
      kind: topics.isSystem(topicName) ? "system" : isRetryOrDlq(topicName) ? "retry" : "normal",
      type: attributes.get("message.type") ?? "",
      readQueues: readQueueNums,
      writeQueues: writeQueueNums,
      perm,
      messages,
      tps: stats.putTps(topicName),
    };
  });
}

async function topicDetail(parts: ApiParts, { query }: HttpRequest): Promise<object> {
  const topic = wanted(query, "name");
  const stats = decodeTopicStats(await ask(parts, "GET_TOPIC_STATS_INFO", { topic }));
  const groups = readBean("GroupList", await ask(parts, "QUERY_TOPIC_CONSUME_BY_WHO", { topic })).list(
    "groupList",
    toText,
  );
  const queues = [...stats.offsetTable].map(([queue, offsets]) => ({ queueId: queue.queueId, ...offsets }));
  return {
    name: topic,
    tps: parts.stats.putTps(topic),
    queues: queues.sort((a, b) => a.queueId - b.queueId),
    groups: groups ?? [],
  };
}

function groupList(parts: ApiParts): object {
  const { groups, offsets, clients, topics, store, stats } = parts;
  return [...groups.all()].map(({ groupName, consumeEnable, retryMaxTimes }) => {
    const online = clients.consumerGroup(groupName);
    const consumed = offsets.topicsOf(groupName).filter((topic) => topics.get(topic) !== undefined);
    let lag = 0;
    let tps = 0;
    for (const topic of consumed) {
      tps += stats.getTps(groupName, topic);
      for (const [queueId, offset] of offsets.ofGroup(groupName, topic) ?? []) {
        lag += Math.max(0, store.maxOffset(topic, queueId) - offset);
      }
    }
    return {
      name: groupName,
      isSystem: isSystemPuller(groupName),
      members: online?.members.size ?? 0,
      type: online?.consumeType ?? "",
      model: online?.messageModel ?? "",
      topics: consumed.filter((topic) => !topic.startsWith(RETRY_PREFIX)),
      consumeEnable,
      retryMaxTimes,
      lag,
      tps,
    };
  });
}

async function groupDetail(parts: ApiParts, { query }: HttpRequest): Promise<object> {
  const consumerGroup = wanted(query, "name");
  if (!parts.groups.has(consumerGroup)) throw new HttpError(NOT_FOUND, `there is no group ${consumerGroup}`);
  const stats = decodeConsumeStats(await ask(parts, "GET_CONSUME_STATS", { consumerGroup }));
  const connected = await dispatch(parts, "GET_CONSUMER_CONNECTION_LIST", { consumerGroup });
  const connection =
    connected.code === ResponseCode.SUCCESS
      ? decodeConsumerConnection(Buffer.from(connected.body ?? "").toString())
      : undefined;
  const queues = [...stats.offsetTable].map(([{ topic, queueId }, offsets]) => ({ topic, queueId, ...offsets }));
  return {
    name: consumerGroup,
    tps: stats.consumeTps,
    type: connection?.consumeType ?? "",
    model: connection?.messageModel ?? "",
    queues: queues.sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.queueId - b.queueId)),
    members: (connection?.connectionSet ?? []).map(({ clientId, clientAddr, language, version }) => ({
      clientId,
      address: clientAddr,
      language,
      version: versionName(version),
    })),
    subscriptions: [...(connection?.subscriptionTable ?? [])].map(([topic, { subString, expressionType }]) => ({
      topic,
      expression: subString,
      type: expressionType,
    })),
  };
}

async function messageList(parts: ApiParts, { query }: HttpRequest): Promise<object> {
  const now = parts.clock.now();
  const found = await findMessages(parts, {
    topic: query.get("topic") || undefined,
    id: query.get("id") || undefined,
    key: query.get("key") || undefined,
    begin: numberIn(query, "begin", query.has("id") || query.has("key") ? 0 : now - HOUR_MS),
    end: numberIn(query, "end", now + HOUR_MS),
  });
  return found.map(rowOf);
}

async function messageDetail(parts: ApiParts, { query }: HttpRequest): Promise<object> {
  const message = await parts.store.messageAt(numberIn(query, "logOffset", -1), true);
  if (message === undefined) throw new HttpError(NOT_FOUND, "there is no message at this place (any more)");
  return detailOf(message);
}

function deadLetters({ topics, store }: ApiParts): object {
  const lists: object[] = [];
  for (const { topicName, readQueueNums } of topics.all()) {
    if (!topicName.startsWith(DLQ_PREFIX)) continue;
    let messages = 0;
    for (let queueId = 0; queueId < readQueueNums; queueId++) {
      messages += Math.max(0, store.maxOffset(topicName, queueId) - store.minOffset(topicName, queueId));
    }
    lists.push({ topic: topicName, group: topicName.slice(DLQ_PREFIX.length), messages });
  }
  return lists;
}

/** Gives a dead letter to its group once more: a copy, with all tries before it, in the group's retry topic. */
async function resend(parts: ApiParts, body: Readonly<Record<string, unknown>>): Promise<object> {
  const { logOffset } = body;
  if (!Number.isSafeInteger(logOffset)) throw new HttpError(BAD_REQUEST, "logOffset must be a number");
  if (parts.config.brokerRole === "SLAVE") throw new HttpError(CONFLICT, "this broker is a slave: ask its master");
  const message = await parts.store.messageAt(logOffset as number, true);
  if (message === undefined || !message.topic.startsWith(DLQ_PREFIX)) {
    throw new HttpError(NOT_FOUND, "there is no dead letter at this place (any more)");
  }
  const group = message.topic.slice(DLQ_PREFIX.length);
  const config = parts.groups.find(group);
  if (config === undefined) throw new HttpError(CONFLICT, `the group ${group} is gone`);
  const queues = Math.max(1, config.retryQueueNums);
  const topic = retryTopic(group);
  const retry = parts.topics.createInSendBack(topic, queues, PERM_READ | PERM_WRITE, 0);
  const properties = new Map(message.properties);
  properties.delete(Property.DELAY_TIME_LEVEL);
  if (!properties.has(Property.ORIGIN_MESSAGE_ID)) {
    properties.set(Property.ORIGIN_MESSAGE_ID, formatMessageId(message.storeHost, message.logOffset));
  }
  const result = await parts.store.put({
    topic,
    queueId: parts.random.int(Math.max(1, retry.writeQueueNums)),
    body: message.body,
    properties,
    flag: message.flag,
    sysFlag: message.sysFlag,
    bornTimestamp: message.bornTimestamp,
    bornHost: message.bornHost,
    reconsumeTimes: 0,
  });
  await parts.topics.whenSaved(topic);
  if (result.status !== "ok") throw new HttpError(CONFLICT, result.reason || result.status);
  parts.log.info({ audit: true, group, logOffset, caller: "console" }, "dead letter given again");
  return { topic, queueOffset: result.queueOffset };
}

function pending({ timers, transactions, schedule, config, store }: ApiParts): object {
  const levels = config.messageDelayLevel.trim().split(/\s+/);
  const scheduled: object[] = [];
  for (const [key, value] of schedule.runningStats()) {
    const level = Number(key.slice(key.lastIndexOf("_") + 1));
    const [next, end] = value.split(",").map(Number);
    scheduled.push({ level, delay: levels[level - 1] ?? "", waiting: Math.max(0, end - next) });
  }
  return {
    transactions: [...transactions.metrics.entries()].map(([topic, { count }]) => ({ topic, count })),
    timers: timers.figures(),
    delayed: { topic: SCHEDULE_TOPIC, levels: scheduled, stored: store.queuesOf(SCHEDULE_TOPIC).length },
  };
}

function configuration({ config }: ApiParts): object {
  const effective = effectiveConfig(config);
  return BROKER_TABLE.rows
    .filter((option) => effective.has(option.key))
    .map((option) => ({
      key: option.key,
      type: option.type,
      help: option.help,
      values: option.values,
      acts: option.effect === "accepted" ? "never" : option.reloadable ? "at once" : "at the next start",
      standard: option.default ?? "",
      value: isSecret(option.key) ? "***" : effective.get(option.key),
      isGiven: config.given.has(option.key),
    }));
}

function isSecret(key: string): boolean {
  return /password|secret|credential|initAuthenticationUser/i.test(key);
}

async function changeConfig(parts: ApiParts, body: Readonly<Record<string, unknown>>): Promise<object> {
  const { key, value } = body;
  if (typeof key !== "string" || typeof value !== "string") {
    throw new HttpError(BAD_REQUEST, "key and value must be texts");
  }
  // What separates properties would change other keys.
  if (/[^\w.]/.test(key) || /[\r\n]/.test(value)) throw new HttpError(BAD_REQUEST, "no such key or value");
  const line = `${key}=${value.replaceAll("\\", "\\\\")}`;
  const reply = await dispatch(parts, "UPDATE_BROKER_CONFIG", {}, Buffer.from(line));
  if (reply.code !== ResponseCode.SUCCESS) throw new HttpError(CONFLICT, reply.remark ?? `code ${reply.code}`);
  return { remark: reply.remark ?? "" };
}

function wanted(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value === null || value === "") throw new HttpError(BAD_REQUEST, `${name} is missing`);
  return value;
}

function numberIn(query: URLSearchParams, name: string, absent: number): number {
  const text = query.get(name);
  if (text === null || text === "") return absent;
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new HttpError(BAD_REQUEST, `${name} is no number`);
  return value;
}
