/** A message as a client reads it (Apache: MessageDecoder, MessageClientExt): decoded, decompressed, and as text. */
import { Buffer } from "node:buffer";
import { formatHost } from "../base/host.ts";
import { BODY_PLAIN_BYTES_MAX } from "../base/limits.ts";
import { formatMessageId } from "../message/messageId.ts";
import { Property, parseProperties } from "../message/properties.ts";
import { RecordView } from "../message/record.ts";
import { COMPRESSED, COMPRESSION_TYPE } from "../message/sysFlag.ts";
import { hashMapText } from "./format.ts";

/** Values of COMPRESSION_TYPE; everything else is zlib. */
const LZ4 = 0x100;
const ZSTD = 0x200;
/** Capacity of the map that Apache reads properties into. */
const PROPERTIES_CAPACITY = 128;

export interface Message {
  /** Who it was pulled from; undefined when it was found otherwise. */
  brokerName?: string;
  /** The unique key its producer gave it, else {@link offsetId}. */
  id: string;
  offsetId: string;
  topic: string;
  queueId: number;
  queueOffset: number;
  logOffset: number;
  flag: number;
  sysFlag: number;
  bornTimestamp: number;
  bornHost: string;
  storeTimestamp: number;
  storeHost: string;
  reconsumeTimes: number;
  preparedTransactionOffset: number;
  bodyCrc: number;
  storeSize: number;
  properties: Map<string, string>;
  body: Buffer;
}

/** All messages of an answer, one record after the other. A damaged record ends them, as in Apache. */
export async function decodeMessages(records: Buffer): Promise<Message[]> {
  const view = new RecordView();
  const messages: Message[] = [];
  for (let at = 0; view.read(records, at, records.length, false) === "record"; at += view.totalBytes) {
    const properties = parseProperties(view.properties());
    const offsetId = formatMessageId(view.storeHost(), view.logOffset);
    const compressed = (view.sysFlag & COMPRESSED) !== 0;
    const body = compressed ? await decompressed(view.sysFlag, view.body()) : view.body();
    messages.push({
      id: properties.get(Property.UNIQUE_KEY) ?? offsetId,
      offsetId,
      topic: view.topic(),
      queueId: view.queueId,
      queueOffset: view.queueOffset,
      logOffset: view.logOffset,
      flag: view.flag,
      sysFlag: compressed ? view.sysFlag & ~COMPRESSED : view.sysFlag,
      bornTimestamp: view.bornTimestamp,
      bornHost: formatHost(view.bornHost()),
      storeTimestamp: view.storeTimestamp,
      storeHost: formatHost(view.storeHost()),
      reconsumeTimes: view.reconsumeTimes,
      preparedTransactionOffset: view.preparedTransactionOffset,
      bodyCrc: records.readInt32BE(at + 8),
      storeSize: view.totalBytes,
      properties,
      body: Buffer.from(body),
    });
  }
  return messages;
}

/** Readers of compressed bodies are loaded when there is one. */
async function decompressed(sysFlag: number, body: Buffer): Promise<Buffer> {
  const type = sysFlag & COMPRESSION_TYPE;
  if (type === LZ4) return (await import("../message/lz4.ts")).readLz4Frame(body, BODY_PLAIN_BYTES_MAX);
  if (type === ZSTD) return (await import("../message/zstd.ts")).readZstd(body, BODY_PLAIN_BYTES_MAX);
  return (await import("node:zlib")).inflateSync(body, { maxOutputLength: BODY_PLAIN_BYTES_MAX });
}

export function propertiesText(message: Message): string {
  return hashMapText(message.properties, PROPERTIES_CAPACITY);
}

/** MessageExt.toString of a pulled message. */
export function describeMessage(message: Message): string {
  const { topic, flag, body } = message;
  const bytes = [...new Int8Array(body.buffer, body.byteOffset, body.length)].join(", ");
  return (
    `MessageExt [brokerName=${message.brokerName ?? null}, queueId=${message.queueId}, ` +
    `storeSize=${message.storeSize}, queueOffset=${message.queueOffset}, sysFlag=${message.sysFlag}, ` +
    `bornTimestamp=${message.bornTimestamp}, bornHost=/${message.bornHost}, storeTimestamp=${message.storeTimestamp}, ` +
    `storeHost=/${message.storeHost}, msgId=${message.offsetId}, commitLogOffset=${message.logOffset}, ` +
    `bodyCRC=${message.bodyCrc}, reconsumeTimes=${message.reconsumeTimes}, ` +
    `preparedTransactionOffset=${message.preparedTransactionOffset}, toString()=Message{topic='${topic}', flag=${flag}, ` +
    `properties=${propertiesText(message)}, body=[${bytes}], transactionId='${transactionId(message)}'}]`
  );
}

/** Clients take a transaction's id from the message that its producer prepared. */
function transactionId({ properties }: Message): string {
  const prepared = properties.get(Property.TRANSACTION_PREPARED)?.toLowerCase() === "true";
  return (prepared && properties.get(Property.UNIQUE_KEY)) || "null";
}
