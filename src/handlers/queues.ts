/** Where a queue begins, ends, and what it held at a time (Apache: AdminBrokerProcessor's offset requests). */
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import {
  GetEarliestMsgStoretimeRequestHeader,
  GetMaxOffsetRequestHeader,
  GetMinOffsetRequestHeader,
  SearchOffsetRequestHeader,
} from "../protocol/generated/headers.ts";
import { type BrokerParts, need, ok, requestRow } from "./parts.ts";

type Parts = Pick<BrokerParts, "store">;

/** No topic is checked: an unknown queue begins and ends at 0, as in Apache. */
export function queueRows({ store }: Parts): Row[] {
  return [
    requestRow("SEARCH_OFFSET_BY_TIMESTAMP", SearchOffsetRequestHeader, (call) => search(store, call)),
    requestRow("GET_MAX_OFFSET", GetMaxOffsetRequestHeader, ({ header }) =>
      ok({ offset: store.maxOffset(need(header.topic, "topic"), need(header.queueId, "queueId")) }),
    ),
    requestRow("GET_MIN_OFFSET", GetMinOffsetRequestHeader, ({ header }) =>
      ok({ offset: store.minOffset(need(header.topic, "topic"), need(header.queueId, "queueId")) }),
    ),
    requestRow("GET_EARLIEST_MSG_STORETIME", GetEarliestMsgStoretimeRequestHeader, async ({ header }) => {
      const topic = need(header.topic, "topic");
      const queueId = need(header.queueId, "queueId");
      return ok({ timestamp: await store.storeTimeAt(topic, queueId, store.minOffset(topic, queueId)) });
    }),
  ];
}

async function search(store: Parts["store"], { header }: Call<SearchOffsetRequestHeader>): Promise<Reply> {
  const topic = need(header.topic, "topic");
  const queueId = need(header.queueId, "queueId");
  const timestamp = need(header.timestamp, "timestamp");
  // A lite topic holds nothing here, and Apache answers 0 for an empty one.
  if (header.liteTopic !== undefined && header.liteTopic.trim() !== "") return ok({ offset: 0 });
  const boundary = header.boundaryType?.toUpperCase() === "UPPER" ? "UPPER" : "LOWER";
  return ok({ offset: await store.offsetByTime(topic, queueId, timestamp, boundary) });
}
