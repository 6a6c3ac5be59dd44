/** Messages looked up by key or by id (Apache: QueryMessageProcessor). */
import { Buffer } from "node:buffer";
import { CONNECTION_IN_FLIGHT_MAX } from "../base/limits.ts";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { QueryMessageRequestHeader, ViewMessageRequestHeader } from "../protocol/generated/headers.ts";
import { type BrokerParts, need, ok, refuse, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "config" | "store">;

/** Extension field of QUERY_MESSAGE: look for the client's unique id instead of a key (MixAll.UNIQUE_MSG_QUERY_FLAG). */
const UNIQUE_KEY_QUERY = "_UNIQUE_KEY_QUERY";
/** Index type of tags; their keys carry it as a prefix (MessageConst.INDEX_TAG_TYPE). */
const TAG_INDEX = "T";
/** An answer may have 15 MiB: four of a connection at a time. */
const QUERY_WEIGHT = CONNECTION_IN_FLIGHT_MAX / 4;
/** A message of 4 MiB. */
const VIEW_WEIGHT = CONNECTION_IN_FLIGHT_MAX / 16;

export function messageRows(parts: Parts): Row[] {
  return [
    requestRow("QUERY_MESSAGE", QueryMessageRequestHeader, (call) => query(parts, call), "any", QUERY_WEIGHT),
    requestRow("VIEW_MESSAGE_BY_ID", ViewMessageRequestHeader, (call) => view(parts, call), "any", VIEW_WEIGHT),
  ];
}

async function view({ store }: Parts, { header }: Call<ViewMessageRequestHeader>): Promise<Reply> {
  const logOffset = need(header.offset, "offset");
  const message = await store.messageAt(logOffset, true);
  if (message === undefined) return refuse("SYSTEM_ERROR", `can not find message by the offset, ${logOffset}`);
  return ok(undefined, message.bytes);
}

/** The body is the records as they lie in the log, one after the other; the client compares the keys itself. */
async function query({ config, store }: Parts, call: Call<QueryMessageRequestHeader>): Promise<Reply> {
  const { header } = call;
  const unique = call.field(UNIQUE_KEY_QUERY)?.toLowerCase() === "true";
  const key = need(header.key, "key");
  const asked = unique ? config.defaultQueryMaxNum : need(header.maxNum, "maxNum");
  const result = await store.query({
    topic: need(header.topic, "topic"),
    key: !unique && header.indexType === TAG_INDEX ? `${TAG_INDEX}#${key}` : key,
    maxNum: Math.min(asked, config.maxMsgsNumBatch),
    begin: need(header.beginTimestamp, "beginTimestamp"),
    end: need(header.endTimestamp, "endTimestamp"),
  });
  const state = {
    indexLastUpdateTimestamp: result.indexLastUpdateTimestamp,
    indexLastUpdatePhyoffset: result.indexLastUpdateLogOffset,
  };
  if (result.messages.length === 0) {
    return refuse("QUERY_NOT_FOUND", "can not find message, maybe time range not correct", state);
  }
  return ok(state, Buffer.concat(result.messages.map((message) => message.bytes)));
}
