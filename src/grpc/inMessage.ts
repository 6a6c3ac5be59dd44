/**
 * A message of a 5.x producer as the broker stores it: fields become RocketMQ's properties (Apache: SendMessageActivity).
 * Refuses what no broker should see, with the codes that clients branch on. Body digest and encoding are not verified,
 * as in Apache: the stored bytes are the sender's.
 */
import { Buffer } from "node:buffer";
import type { ProxyConfig } from "../config/index.ts";
import { Property } from "../message/properties.ts";
import { COMPRESSED, TRANSACTION_PREPARED } from "../message/sysFlag.ts";
import type { OutgoingMessage } from "./backend.ts";
import { checkLiteTopic, checkTag, hasControl, isBlank } from "./checks.ts";
import { Encoding, type Message, MessageType, type SystemProperties } from "./generated/messages.ts";
import type { Peer } from "./peer.ts";
import { RESERVED_PROPERTIES, RpcProperty } from "./properties.ts";
import { Refusal } from "./status.ts";
import { toMs } from "./times.ts";

const NO_SYSTEM_PROPERTIES = { keys: [] as string[] } as unknown as SystemProperties;

export const systemOf = (message: Message): SystemProperties => message.systemProperties ?? NO_SYSTEM_PROPERTIES;

/** The sysFlag of a request; its first message speaks for all. */
export function sysFlagOf(message: Message): number {
  const { bodyEncoding, messageType } = systemOf(message);
  const compressed = bodyEncoding === Encoding.GZIP ? COMPRESSED : 0;
  return messageType === MessageType.TRANSACTION ? compressed | TRANSACTION_PREPARED : compressed;
}

/** @param producerGroup the topic's name: it is asked for the outcome of transactions. @throws Refusal */
export function inMessage(
  config: ProxyConfig,
  message: Message,
  producerGroup: string,
  peer: Peer,
  nowMs: number,
): OutgoingMessage {
  checkBody(config, message.body);
  const system = systemOf(message);
  const properties = new Map<string, string>();
  let bytes = takeUserProperties(config, message.userProperties, properties);

  const tag = system.tag ?? "";
  checkTag(tag);
  bytes += Buffer.byteLength(tag);
  if (tag !== "") properties.set(Property.TAGS, tag);

  for (const key of system.keys) {
    checkKey(key);
    bytes += Buffer.byteLength(key);
  }
  if (system.keys.length > 0) properties.set(Property.KEYS, system.keys.join(" ").trim());
  if (bytes > config.maxUserPropertySize) {
    throw new Refusal(
      "MESSAGE_PROPERTIES_TOO_LARGE",
      `the total size of user property is too large, max is ${config.maxUserPropertySize}`,
    );
  }

  const messageId = system.messageId ?? "";
  if (isBlank(messageId)) throw new Refusal("ILLEGAL_MESSAGE_ID", "message id cannot be empty");
  properties.set(Property.UNIQUE_KEY, messageId);

  if (system.messageType === MessageType.TRANSACTION) takeTransaction(config, system, properties);
  if (system.deliveryTimestamp) takeDelay(config, toMs(system.deliveryTimestamp), properties, nowMs);
  if (typeof system.priority === "number") takePriority(system.priority, properties);
  properties.set(Property.RECONSUME_TIME, String(system.deliveryAttempt ?? 0));
  properties.set(Property.PRODUCER_GROUP, producerGroup);

  const messageGroup = system.messageGroup ?? "";
  if (messageGroup !== "") {
    checkMessageGroup(config, messageGroup);
    properties.set(Property.SHARDING_KEY, messageGroup);
  }
  const liteTopic = system.liteTopic ?? "";
  if (liteTopic !== "") {
    checkLiteTopic(config, liteTopic);
    properties.set(RpcProperty.LITE_TOPIC, liteTopic);
  }
  if (system.traceContext) properties.set(RpcProperty.TRACE_CONTEXT, system.traceContext);
  properties.set(RpcProperty.BORN_HOST, system.bornHost && !isBlank(system.bornHost) ? system.bornHost : peer.address);
  properties.set(RpcProperty.BORN_TIMESTAMP, String(toMs(system.bornTimestamp)));
  return { body: message.body, properties };
}

function checkBody(config: ProxyConfig, body: Buffer): void {
  if (config.enableMessageBodyEmptyCheck && body.length === 0) {
    throw new Refusal("MESSAGE_BODY_EMPTY", "message body cannot be empty");
  }
  const max = config.maxMessageSize;
  if (max > 0 && body.length > max) {
    throw new Refusal("MESSAGE_BODY_TOO_LARGE", `message body cannot exceed the max ${max}`);
  }
}

/** @returns bytes of names and values */
function takeUserProperties(
  config: ProxyConfig,
  user: Record<string, string>,
  properties: Map<string, string>,
): number {
  const names = Object.keys(user);
  if (names.length > config.userPropertyMaxNum) {
    throw new Refusal("MESSAGE_PROPERTIES_TOO_LARGE", `too many user properties, max is ${config.userPropertyMaxNum}`);
  }
  let bytes = 0;
  for (const name of names) {
    const value = user[name];
    const refuse = (message: string): never => {
      throw new Refusal("ILLEGAL_MESSAGE_PROPERTY_KEY", message);
    };
    if (RESERVED_PROPERTIES.has(name)) refuse(`property is used by system: ${name}`);
    if (hasControl(name)) refuse("the key of property cannot contain control character");
    if (hasControl(value)) refuse("the value of property cannot contain control character");
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
    properties.set(name, value);
  }
  return bytes;
}

function checkKey(key: string): void {
  if (key === "") return;
  if (isBlank(key)) throw new Refusal("ILLEGAL_MESSAGE_KEY", "key cannot be the char sequence of whitespace");
  if (hasControl(key)) throw new Refusal("ILLEGAL_MESSAGE_KEY", "key cannot contain control character");
}

function checkMessageGroup(config: ProxyConfig, messageGroup: string): void {
  const refuse = (message: string): never => {
    throw new Refusal("ILLEGAL_MESSAGE_GROUP", message);
  };
  if (isBlank(messageGroup)) refuse("message group cannot be the char sequence of whitespace");
  const max = config.maxMessageGroupSize;
  if (max <= 0) return;
  if (Buffer.byteLength(messageGroup) >= max) refuse(`message group exceed the max size ${max}`);
  if (hasControl(messageGroup)) refuse("message group cannot contain control character");
}

function takeTransaction(config: ProxyConfig, system: SystemProperties, properties: Map<string, string>): void {
  properties.set(Property.TRANSACTION_PREPARED, "true");
  if (!system.orphanedTransactionRecoveryDuration) return;
  const { seconds } = system.orphanedTransactionRecoveryDuration;
  const max = config.maxTransactionRecoverySecond;
  if (max > 0 && seconds > max) {
    throw new Refusal("BAD_REQUEST", `the max transaction recovery time of message is too large, max is ${max}`);
  }
  properties.set(RpcProperty.CHECK_IMMUNITY_SECONDS, String(seconds));
}

/** Apache's words and code are those of an exception that nobody catches. */
function takePriority(priority: number, properties: Map<string, string>): void {
  if (priority < 0) {
    throw new Refusal("INTERNAL_SERVER_ERROR", "The priority must be greater than or equal to 0");
  }
  properties.set(RpcProperty.PRIORITY, String(priority));
}

/** A time that has passed is no mistake: the message is due at once. */
function takeDelay(config: ProxyConfig, deliverMs: number, properties: Map<string, string>, nowMs: number): void {
  const max = config.maxDelayTimeMills;
  if (max > 0 && deliverMs - nowMs > max) {
    throw new Refusal("ILLEGAL_DELIVERY_TIME", `the max delay time of message is too large, max is ${max}`);
  }
  if (config.useDelayLevel) {
    const level = delayLevelOf(config.messageDelayLevel, deliverMs - nowMs);
    properties.set(Property.DELAY_TIME_LEVEL, String(level));
  }
  properties.set(Property.TIMER_DELIVER_MS, String(deliverMs));
}

const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The first level that waits longer; the last one when none does (ProxyConfig.computeDelayLevel). */
function delayLevelOf(levels: string, delayMs: number): number {
  const delays = levels
    .trim()
    .split(/\s+/)
    .map((level) => Number.parseInt(level, 10) * (UNIT_MS[level.at(-1) ?? ""] ?? 0));
  const level = delays.findIndex((delay) => delay > delayMs);
  return level < 0 ? delays.length : level + 1;
}
