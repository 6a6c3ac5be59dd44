/**
 * A stored message as 5.x clients get it (Apache: GrpcConverter.buildMessage): RocketMQ's own properties become fields,
 * the application's stay a map.
 */
import { hash } from "node:crypto";
import { formatHost } from "../base/host.ts";
import { formatMessageId } from "../message/messageId.ts";
import { Property, parseProperties } from "../message/properties.ts";
import type { RecordView } from "../message/record.ts";
import type { StoredMessage } from "../store/types.ts";
import { readableBody } from "./bodyEncoding.ts";
import { isBlank } from "./checks.ts";
import { DigestType, type Message, MessageType, type Resource } from "./generated/messages.ts";
import { RESERVED_PROPERTIES, RpcProperty } from "./properties.ts";
import type { Init } from "./proto.ts";
import { timestamp } from "./times.ts";

/** A message as it lies in the store, as far as clients see it. */
export type MessageSource = Omit<StoredMessage, "topic" | "flag" | "preparedTransactionOffset" | "bytes">;

/** A record as a message; its bytes stay where they are. */
export function sourceOf(view: RecordView): MessageSource {
  return {
    queueId: view.queueId,
    sysFlag: view.sysFlag,
    queueOffset: view.queueOffset,
    logOffset: view.logOffset,
    bornTimestamp: view.bornTimestamp,
    bornHost: view.bornHost(),
    storeTimestamp: view.storeTimestamp,
    storeHost: view.storeHost(),
    reconsumeTimes: view.reconsumeTimes,
    body: view.body(),
    properties: parseProperties(view.properties()),
  };
}

/** Bytes of the bodies that these messages keep in memory. */
export function bodyBytes(sources: readonly MessageSource[]): number {
  let bytes = 0;
  for (const { body } of sources) bytes += body.length;
  return bytes;
}

/** What clients know a message by. */
export function idOf({ properties, storeHost, logOffset }: MessageSource): string {
  return properties.get(Property.UNIQUE_KEY) ?? formatMessageId(storeHost, logOffset);
}

/**
 * @param topic the name the client asked for; the stored one may be a retry topic's
 * @param receiptHandle what acknowledges this delivery; undefined outside of one
 */
export function outMessage(
  source: MessageSource,
  topic: string,
  receiptHandle: string | undefined,
  nowMs: number,
): Init<Message> {
  const { properties } = source;
  const { body, encoding } = readableBody(source.sysFlag, source.body);
  const keys = properties.get(Property.KEYS);
  const dlqTopic = properties.get(Property.DLQ_ORIGIN_TOPIC);
  const dlqMessageId = properties.get(Property.DLQ_ORIGIN_MESSAGE_ID);
  const priority = Number.parseInt(properties.get(RpcProperty.PRIORITY) ?? "", 10);
  const bornHost = properties.get(RpcProperty.BORN_HOST);
  return {
    topic: resource(topic),
    userProperties: userProperties(properties),
    systemProperties: {
      tag: properties.get(Property.TAGS),
      keys: keys === undefined ? [] : splitKeys(keys),
      messageId: idOf(source),
      // Clients compare: a digest of other form or case counts as a damaged body.
      bodyDigest: { type: DigestType.MD5, checksum: hash("md5", body, "hex").toUpperCase() },
      bodyEncoding: encoding,
      messageType: messageTypeOf(properties),
      bornTimestamp: timestamp(source.bornTimestamp),
      bornHost: bornHost === undefined || isBlank(bornHost) ? ipOf(source.bornHost) : bornHost,
      storeTimestamp: timestamp(source.storeTimestamp),
      storeHost: formatHost(source.storeHost),
      deliveryTimestamp: deliveryTime(properties, nowMs),
      priority: priority >= 0 ? priority : undefined,
      messageGroup: properties.get(Property.SHARDING_KEY),
      liteTopic: properties.get(RpcProperty.LITE_TOPIC),
      receiptHandle,
      queueId: source.queueId,
      queueOffset: source.queueOffset,
      deliveryAttempt: source.reconsumeTimes + 1,
      traceContext: properties.get(RpcProperty.TRACE_CONTEXT),
      deadLetterQueue:
        dlqTopic === undefined || dlqMessageId === undefined ? undefined : { topic: dlqTopic, messageId: dlqMessageId },
    },
    body,
  };
}

function ipOf(host: Buffer): string {
  return formatHost(host)
    .replace(/:\d+$|^\[/g, "")
    .replace("]", "");
}

/** `NS%topic` is a topic of a namespace (NamespaceUtil); retry and dead-letter topics begin with the sign themselves. */
export function resource(name: string): Init<Resource> {
  const at = name.startsWith("%") ? -1 : name.indexOf("%");
  return at <= 0 ? { resourceNamespace: "", name } : { resourceNamespace: name.slice(0, at), name: name.slice(at + 1) };
}

/** Java's split: trailing empty parts do not count. */
function splitKeys(keys: string): string[] {
  const parts = keys.split(" ");
  while (parts.length > 0 && parts.at(-1) === "") parts.pop();
  return parts;
}

function userProperties(properties: Map<string, string>): Record<string, string> {
  // Without a prototype: an application may call its property `__proto__`.
  const user: Record<string, string> = Object.create(null);
  for (const [name, value] of properties) if (!RESERVED_PROPERTIES.has(name)) user[name] = value;
  return user;
}

function deliveryTime(properties: Map<string, string>, nowMs: number) {
  const delaySeconds = Number.parseInt(properties.get(Property.TIMER_DELAY_SEC) ?? "", 10);
  if (delaySeconds >= 0) return timestamp(nowMs + delaySeconds * 1000);
  const deliverMs = Number.parseInt(properties.get(Property.TIMER_DELIVER_MS) ?? "", 10);
  return deliverMs >= 0 ? timestamp(deliverMs) : undefined;
}

/** TopicMessageType.parseFromMessageProperty: the first that applies. */
export function kindOf(properties: ReadonlyMap<string, string>): keyof typeof MessageType {
  if (properties.get(Property.TRANSACTION_PREPARED)?.toLowerCase() === "true") return "TRANSACTION";
  for (const name of DELAY_PROPERTIES) if (properties.has(name)) return "DELAY";
  if (properties.has(Property.SHARDING_KEY)) return "FIFO";
  if (properties.has(RpcProperty.PRIORITY)) return "PRIORITY";
  return properties.has(RpcProperty.LITE_TOPIC) ? "LITE" : "NORMAL";
}

const DELAY_PROPERTIES = [
  Property.DELAY_TIME_LEVEL,
  Property.TIMER_DELIVER_MS,
  Property.TIMER_DELAY_SEC,
  Property.TIMER_DELAY_MS,
] as const;

function messageTypeOf(properties: ReadonlyMap<string, string>): number {
  return MessageType[kindOf(properties)];
}
