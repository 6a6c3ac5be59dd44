/** The handle by which a producer takes a timer message back (Apache: RecallMessageHandle.HandleV1). */
import { Buffer } from "node:buffer";

const VERSION = "v1";
const INVALID = "recall handle is invalid";

export interface RecallHandle {
  topic: string;
  brokerName: string;
  /** When the message is due at the earliest, as text: whoever made the handle may have put anything there. */
  timestamp: string;
  /** The message's unique key. */
  messageId: string;
}

/** base64url, padded as Java does, of the parts with a space between them. */
export function encodeRecallHandle(handle: RecallHandle): string {
  const raw = [VERSION, handle.topic, handle.brokerName, handle.timestamp, handle.messageId].join(" ");
  const text = Buffer.from(raw, "utf8").toString("base64url");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/** @throws Error with Apache's words for anything that is not a handle */
export function decodeRecallHandle(text: string): RecallHandle {
  if (!isBase64Url(text)) throw new Error(INVALID);
  const items = Buffer.from(text, "base64url").toString("utf8").split(" ");
  // Java's split drops empty parts at the end.
  while (items.at(-1) === "") items.pop();
  if (items.length < 5 || items[0] !== VERSION) throw new Error(INVALID);
  const [, topic, brokerName, timestamp, messageId] = items;
  return { topic, brokerName, timestamp, messageId };
}

/** What Java's URL decoder takes: no other characters, the padding whole or left out. */
function isBase64Url(text: string): boolean {
  const match = /^([A-Za-z0-9_-]+)(={0,2})$/.exec(text);
  if (match === null) return false;
  const [, digits, padding] = match;
  if (digits.length % 4 === 1) return false;
  return padding === "" || (digits.length + padding.length) % 4 === 0;
}
