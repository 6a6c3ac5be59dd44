/**
 * RegisterBrokerBody: what a broker registers, as JSON or compressed (zlib stream of):
 *
 *   i32 n, n bytes   DataVersion as JSON
 *   i32 topics, then per topic: i32 n, n bytes TopicConfig line
 *   i32 n, n bytes   filter servers as a JSON list
 *   i32 mappings, then per mapping: i32 n, n bytes TopicQueueMappingInfo as JSON     (brokers from 5.0 on)
 *
 * Refuses a stream that inflates beyond {@link INFLATED_BYTES_MAX} or lengths that leave it.
 */
import { Buffer } from "node:buffer";
import { deflateSync, inflateSync } from "node:zlib";
import { FRAME_BYTES_MAX } from "../../base/limits.ts";
import { MQVersion } from "../generated/versions.ts";
import { JavaJsonError, parseJavaJson, writeJavaJson } from "../javaJson.ts";
import { decodeDataVersion, encodeDataVersion } from "./dataVersion.ts";
import { BodyError, readBean, toText } from "./reader.ts";
import { decodeTopicConfigLine, encodeTopicConfigLine } from "./topicConfig.ts";
import { newTopicConfigWrapper, readTopicConfigWrapper, type TopicConfigWrapper } from "./topicConfigWrapper.ts";
import { readTopicQueueMappingInfo } from "./topicQueueMapping.ts";

export interface RegisterBrokerBody {
  /** `ip:port` of filter servers; only brokers before 4.3 have any. */
  filterServerList: string[];
  topicConfigSerializeWrapper: TopicConfigWrapper;
}

/** What a frame could have brought as it is, some 300,000 topics; without a bound a small frame could ask for gigabytes. */
const INFLATED_BYTES_MAX = FRAME_BYTES_MAX;
/** Java's Deflater.BEST_COMPRESSION, which Apache uses. */
const BEST_COMPRESSION = 9;

export function encodeRegisterBrokerBody(body: RegisterBrokerBody, compressed: boolean): Buffer {
  if (!compressed) return Buffer.from(writeJavaJson(body));
  const { dataVersion, topicConfigTable, topicQueueMappingInfoMap } = body.topicConfigSerializeWrapper;
  const parts: Buffer[] = [];
  pushBlock(parts, encodeDataVersion(dataVersion));
  parts.push(int32(topicConfigTable.size));
  for (const config of topicConfigTable.values()) pushBlock(parts, encodeTopicConfigLine(config));
  pushBlock(parts, writeJavaJson(body.filterServerList));
  parts.push(int32(topicQueueMappingInfoMap.size));
  for (const info of topicQueueMappingInfoMap.values()) pushBlock(parts, writeJavaJson(info));
  return deflateSync(Buffer.concat(parts), { level: BEST_COMPRESSION });
}

/** First byte of every zlib stream that Java's Deflater writes; JSON never begins with it. */
const ZLIB_FIRST_BYTE = 0x78;

/**
 * `brokerVersion` is the MQVersion of the sender's header. A deflated body is recognised also when the header denies it: the
 * broker of Apache 5.5.0 with compressedRegister=true deflates the body and sends compressed=false (BrokerOuterAPI), so
 * that Apache's own NameServer refuses it. Throws {@link BodyError}.
 */
export function decodeRegisterBrokerBody(body: Buffer, compressed: boolean, brokerVersion: number): RegisterBrokerBody {
  if (compressed || body[0] === ZLIB_FIRST_BYTE) return decodeCompressed(body, brokerVersion);
  const bean = readBean("RegisterBrokerBody", body);
  return {
    filterServerList: bean.list("filterServerList", toText) ?? [],
    topicConfigSerializeWrapper:
      bean.bean("topicConfigSerializeWrapper", readTopicConfigWrapper) ?? newTopicConfigWrapper(),
  };
}

function decodeCompressed(body: Buffer, brokerVersion: number): RegisterBrokerBody {
  const blocks = new Blocks(inflate(body));
  const wrapper = newTopicConfigWrapper({ dataVersion: decodeDataVersion(blocks.text("dataVersion")) });
  for (let left = blocks.int32("number of topics"); left > 0; left--) {
    const config = decodeTopicConfigLine(blocks.text("topic"));
    wrapper.topicConfigTable.set(config.topicName, config);
  }
  const filterServerList = filterServers(blocks.text("filter servers"));
  if (brokerVersion >= MQVersion.V5_0_0) {
    for (let left = blocks.int32("number of mappings"); left > 0; left--) {
      const info = readTopicQueueMappingInfo(readBean("TopicQueueMappingInfo", blocks.text("mapping")));
      wrapper.topicQueueMappingInfoMap.set(info.topic ?? "", info);
    }
  }
  return { filterServerList, topicConfigSerializeWrapper: wrapper };
}

function inflate(body: Buffer): Buffer {
  try {
    return inflateSync(body, { maxOutputLength: INFLATED_BYTES_MAX });
  } catch (error) {
    throw new BodyError(
      `RegisterBrokerBody: not a zlib stream of at most ${INFLATED_BYTES_MAX >> 20} MiB: ${(error as Error).message}`,
    );
  }
}

/** A list that cannot be read is no list, as in Apache: routes must not depend on it. */
function filterServers(json: string): string[] {
  try {
    const value = parseJavaJson(json);
    return Array.isArray(value) ? value.map((item) => toText(item, "filterServerList")) : [];
  } catch (error) {
    if (error instanceof JavaJsonError || error instanceof BodyError) return [];
    throw error;
  }
}

/** Reads length-prefixed blocks from front to back. */
class Blocks {
  readonly #buf: Buffer;
  #at = 0;

  constructor(buf: Buffer) {
    this.#buf = buf;
  }

  int32(what: string): number {
    if (this.#at + 4 > this.#buf.length) throw new BodyError(`RegisterBrokerBody: ends before the ${what}`);
    const value = this.#buf.readInt32BE(this.#at);
    if (value < 0) throw new BodyError(`RegisterBrokerBody: ${what} is ${value}`);
    this.#at += 4;
    return value;
  }

  text(what: string): string {
    const bytes = this.int32(what);
    const end = this.#at + bytes;
    if (end > this.#buf.length) throw new BodyError(`RegisterBrokerBody: ends inside a ${what} of ${bytes} bytes`);
    const text = this.#buf.toString("utf8", this.#at, end);
    this.#at = end;
    return text;
  }
}

function int32(value: number): Buffer {
  const buf = Buffer.allocUnsafe(4);
  buf.writeInt32BE(value);
  return buf;
}

function pushBlock(parts: Buffer[], text: string): void {
  const bytes = Buffer.from(text);
  parts.push(int32(bytes.length), bytes);
}
