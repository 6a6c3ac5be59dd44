/**
 * What is refused before anything is done: names, tags, keys, invisible times (Apache: GrpcValidator, and the Validators
 * of its client, whose words the proxy passes on).
 */
import { Buffer } from "node:buffer";
import { isCommonSystemTopic } from "../broker/names.ts";
import type { ProxyConfig } from "../config/index.ts";
import type { Resource } from "./generated/messages.ts";
import { Refusal } from "./status.ts";

const TOPIC_LENGTH_MAX = 127;
const GROUP_LENGTH_MAX = 120;
const ALLOWED = "^[%|a-zA-Z0-9_-]+$";
const LEGAL = /^[%|a-zA-Z0-9_-]+$/;
const SYSTEM_GROUP_PREFIX = "CID_RMQ_SYS_";
/** Java's Character.isISOControl. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
/** Java's Character.isWhitespace, as far as it differs from nothing at all. */
const BLANK = /^\s*$/;

export const hasControl = (text: string): boolean => CONTROL.test(text);
export const isBlank = (text: string): boolean => BLANK.test(text);

/** The topic's name. @throws Refusal */
export function topicOf(resource: Resource | null): string {
  const name = resource?.name ?? "";
  const refuse = (message: string): never => {
    throw new Refusal("ILLEGAL_TOPIC", message);
  };
  if (isBlank(name)) refuse("The specified topic is blank");
  if (name.length > TOPIC_LENGTH_MAX)
    refuse(`The specified topic is longer than topic max length ${TOPIC_LENGTH_MAX}.`);
  if (!LEGAL.test(name)) refuse(`The specified topic[${name}] contains illegal characters, allowing only ${ALLOWED}`);
  if (isCommonSystemTopic(name)) refuse("cannot access system topic");
  return name;
}

/** The group's name. @throws Refusal */
export function groupOf(resource: Resource | null): string {
  const name = resource?.name ?? "";
  const refuse = (message: string): never => {
    throw new Refusal("ILLEGAL_CONSUMER_GROUP", message);
  };
  if (isBlank(name)) refuse("the specified group is blank");
  if (name.length > GROUP_LENGTH_MAX) {
    refuse(`the specified group[${name}] is longer than group max length: ${GROUP_LENGTH_MAX}.`);
  }
  if (!LEGAL.test(name)) refuse(`the specified group[${name}] contains illegal characters, allowing only ${ALLOWED}`);
  if (name.startsWith(SYSTEM_GROUP_PREFIX)) refuse("cannot use system consumer group");
  return name;
}

export function checkInvisibleTime(config: ProxyConfig, timeMs: number, minMs: number): void {
  if (timeMs < minMs) {
    throw new Refusal("ILLEGAL_INVISIBLE_TIME", `the invisibleTime is too small. min is ${minMs}`);
  }
  const max = config.maxInvisibleTimeMills;
  if (max > 0 && timeMs > max) {
    throw new Refusal("ILLEGAL_INVISIBLE_TIME", `the invisibleTime is too large. max is ${max}`);
  }
}

/** An absent tag is none. */
export function checkTag(tag: string): void {
  if (tag === "") return;
  const refuse = (message: string): never => {
    throw new Refusal("ILLEGAL_MESSAGE_TAG", message);
  };
  if (isBlank(tag)) refuse("tag cannot be the char sequence of whitespace");
  if (tag.includes("|")) refuse("tag cannot contain '|'");
  if (hasControl(tag)) refuse("tag cannot contain control character");
}

export function checkLiteTopic(config: ProxyConfig, liteTopic: string): void {
  const refuse = (message: string): never => {
    throw new Refusal("ILLEGAL_LITE_TOPIC", message);
  };
  if (isBlank(liteTopic)) refuse("lite topic cannot be the char sequence of whitespace");
  if (Buffer.byteLength(liteTopic) > config.maxLiteTopicSize) {
    refuse(`lite topic exceed the max size ${config.maxLiteTopicSize}`);
  }
  if (!/^[a-zA-Z0-9_-]+$/.test(liteTopic)) {
    refuse("lite topic can only contain alphanumeric characters, hyphens(-), and underscores(_)");
  }
}
