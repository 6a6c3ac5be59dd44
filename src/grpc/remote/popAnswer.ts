/**
 * The messages in a broker's answer to POP_MESSAGE, each with the handle that acknowledges it (Apache:
 * MQClientAPIImpl.processPopResponse, ExtraInfoUtil). The records lie one after the other in the body; what the handles
 * need stands in the header's lists, `flag queueId value` separated by semicolons.
 */
import type { Buffer } from "node:buffer";
import { liteNameOf } from "../../message/liteTopic.ts";
import { LMQ_QUEUE_ID, lmqPlaces } from "../../message/lmq.ts";
import { Property } from "../../message/properties.ts";
import { RecordView } from "../../message/record.ts";
import type { Answer } from "../../protocol/dispatch.ts";
import { FLAG_NORMAL, topicFlag } from "../../protocol/extraInfo.ts";
import type { Popped } from "../backend.ts";
import { type MessageSource, sourceOf } from "../outMessage.ts";
import { type ReceiptHandle, readHandle } from "../receiptHandle.ts";

/** @throws Error when the answer cannot be understood */
export function readPopped(answer: Answer, brokerName: string, topic: string): Popped[] {
  const { fields, body } = answer;
  const starts = readList(fields.get("startOffsetInfo"));
  const counts = readList(fields.get("orderCountInfo"));
  const base = {
    popTime: numberOf(answer, "popTime"),
    invisibleTime: numberOf(answer, "invisibleTime"),
    reviveQid: numberOf(answer, "reviveQid"),
    brokerName,
  };
  const popped: Popped[] = [];
  for (const view of recordsIn(body, brokerName)) {
    const source = sourceOf(view);
    const given = source.properties.get(Property.POP_CK);
    if (given !== undefined) {
      // A retried message under its first topic's name: the broker says itself what acknowledges it.
      popped.push({ source, handle: { ...readHandle(given), commitLogOffset: view.logOffset } });
      continue;
    }
    const place = placeOf(view, source, topic);
    const queueKey = `${place.flag} ${place.queueId}`;
    const count = counts.get(`${place.flag} qo${place.queueId}%${place.offset}`) ?? counts.get(queueKey) ?? 0;
    const handle: ReceiptHandle = {
      ...base,
      startOffset: starts.get(queueKey) ?? place.offset,
      topicFlag: place.flag,
      queueId: place.queueId,
      offset: place.offset,
      commitLogOffset: view.logOffset,
    };
    popped.push({ source: count > 0 ? { ...source, reconsumeTimes: count } : source, handle });
  }
  return popped;
}

/** The messages in a broker's answer to POP_LITE_MESSAGE (processPopLiteResponse). @throws Error when it cannot be understood */
export function readLitePopped(answer: Answer, brokerName: string): Popped[] {
  const counts = (answer.fields.get("orderCountInfo") ?? "").split(";");
  const views = [...recordsIn(answer.body, brokerName)];
  return views.flatMap((view, i) => {
    const source = sourceOf(view);
    const { properties } = source;
    const [place] = lmqPlaces(
      properties.get(Property.INNER_MULTI_DISPATCH),
      properties.get(Property.INNER_MULTI_QUEUE_OFFSET),
    );
    const lite = place === undefined ? undefined : liteNameOf(place[0]);
    if (lite === undefined) return [];
    // A count by itself, or `flag qoQUEUE%OFFSET count`.
    const count = counts.length === views.length ? Number(counts[i].split(" ").at(-1)) || 0 : 0;
    const handle: ReceiptHandle = {
      startOffset: 0,
      popTime: numberOf(answer, "popTime"),
      invisibleTime: numberOf(answer, "invisibleTime"),
      reviveQid: numberOf(answer, "reviveQid"),
      brokerName,
      topicFlag: FLAG_NORMAL,
      queueId: LMQ_QUEUE_ID,
      offset: place[1],
      commitLogOffset: view.logOffset,
      liteTopic: lite.lite,
    };
    return [{ source: { ...source, reconsumeTimes: count, queueOffset: place[1] }, handle }];
  });
}

/** The messages in a broker's answer to PULL_MESSAGE. @throws Error when it cannot be understood */
export function readSources(body: Buffer, brokerName: string): MessageSource[] {
  return [...recordsIn(body, brokerName)].map(sourceOf);
}

function* recordsIn(body: Buffer, brokerName: string): IterableIterator<RecordView> {
  for (let at = 0; at < body.length; ) {
    const view = new RecordView();
    if (view.read(body, at, body.length, false) !== "record") {
      throw new Error(`the broker ${brokerName} answered with bytes that are no message`);
    }
    at += view.totalBytes;
    yield view;
  }
}

/** Which queue a message came from: its own, or the light queue that was asked for. */
function placeOf(view: RecordView, source: MessageSource, topic: string) {
  const { properties, queueId, queueOffset } = source;
  const places = lmqPlaces(
    properties.get(Property.INNER_MULTI_DISPATCH),
    properties.get(Property.INNER_MULTI_QUEUE_OFFSET),
  );
  const light = places.find(([name]) => name === topic);
  if (light !== undefined) return { flag: FLAG_NORMAL, queueId: LMQ_QUEUE_ID, offset: light[1] };
  return { flag: topicFlag(view.topic()), queueId, offset: queueOffset };
}

/** `flag key value;...` by `flag key`. */
function readList(text: string | undefined): Map<string, number> {
  const list = new Map<string, number>();
  for (const entry of (text ?? "").split(";")) {
    const [flag, key, value] = entry.split(" ");
    if (value !== undefined) list.set(`${flag} ${key}`, Number(value));
  }
  return list;
}

function numberOf({ fields }: Answer, name: string): number {
  const value = Number(fields.get(name));
  if (!Number.isSafeInteger(value)) throw new Error(`a pop's answer has ${name}=${fields.get(name)}`);
  return value;
}
