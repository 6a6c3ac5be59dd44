/** Records as brokers send them, for tests of those who read them. */
import { Buffer } from "node:buffer";
import { hostBytes } from "../base/host.ts";
import { MessageDraft } from "../message/draft.ts";
import { formatProperties } from "../message/properties.ts";

export interface RecordParts {
  topic: string;
  queueId: number;
  queueOffset: number;
  logOffset: number;
  body: string;
  properties?: [string, string][];
  reconsumeTimes?: number;
}

export function recordBytesOf(parts: RecordParts): Buffer {
  const draft = new MessageDraft();
  draft.queueId = parts.queueId;
  draft.setHosts(hostBytes("127.0.0.1", 1), hostBytes("127.0.0.1", 2));
  draft.topic = Buffer.from(parts.topic);
  draft.body = Buffer.from(parts.body);
  draft.bodyEnd = draft.body.length;
  draft.properties = Buffer.from(formatProperties(parts.properties ?? []));
  draft.propertiesEnd = draft.properties.length;
  draft.reconsumeTimes = parts.reconsumeTimes ?? 0;
  const bytes = Buffer.alloc(draft.totalBytes());
  draft.encode(bytes, 0, bytes.length, parts.queueOffset, parts.logOffset);
  return bytes;
}
