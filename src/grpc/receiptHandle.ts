/**
 * Receipt handles (Apache: ReceiptHandle): the handle of a popped message as the broker knows it (extraInfo.ts) and,
 * behind it, the message's place in the log, which dead-lettering needs. Text, blank-separated; opaque to clients.
 *
 *   startOffset popTime invisibleTime reviveQid topicFlag brokerName queueId queueOffset commitLogOffset
 */
import { realTopic } from "../protocol/extraInfo.ts";
import { Refusal } from "./status.ts";

export interface ReceiptHandle {
  startOffset: number;
  /** ms of the wall clock */
  popTime: number;
  /** ms */
  invisibleTime: number;
  reviveQid: number;
  /** Which topic it came from: 0 the topic itself, 1 or 2 the group's retry topic. */
  topicFlag: number;
  brokerName: string;
  queueId: number;
  offset: number;
  /** -1 when the handle does not say. */
  commitLogOffset: number;
  /** The lite topic it came from; clients say it beside the text. */
  liteTopic?: string | undefined;
}

const PARTS_MIN = 8;

/** @throws Refusal INVALID_RECEIPT_HANDLE: clients stop trying with it, whereas any other error they repeat for ever */
export function readHandle(text: string): ReceiptHandle {
  const parts = text.split(" ");
  if (parts.length < PARTS_MIN) {
    throw new Refusal("INVALID_RECEIPT_HANDLE", `Parse failed, dataList size ${parts.length}`);
  }
  const number = (at: number): number => {
    const value = Number(parts[at]);
    if (!/^-?\d+$/.test(parts[at]) || !Number.isSafeInteger(value)) {
      throw new Refusal("INVALID_RECEIPT_HANDLE", `part ${at + 1} of the receipt handle is not a number`);
    }
    return value;
  };
  return {
    startOffset: number(0),
    popTime: number(1),
    invisibleTime: number(2),
    reviveQid: number(3),
    topicFlag: number(4),
    brokerName: parts[5],
    queueId: number(6),
    offset: number(7),
    commitLogOffset: parts.length > PARTS_MIN ? number(8) : -1,
  };
}

export function writeHandle(handle: ReceiptHandle): string {
  const { startOffset, popTime, invisibleTime, reviveQid, topicFlag, brokerName, queueId, offset } = handle;
  return `${startOffset} ${popTime} ${invisibleTime} ${reviveQid} ${topicFlag} ${brokerName} ${queueId} ${offset} ${handle.commitLogOffset}`;
}

/** When the message can be given to others. */
export const visibleAt = (handle: ReceiptHandle): number => handle.popTime + handle.invisibleTime;

/** @throws Refusal when its time is over */
export function needLive(handle: ReceiptHandle, nowMs: number): void {
  if (visibleAt(handle) <= nowMs) throw new Refusal("INVALID_RECEIPT_HANDLE", "receipt handle is expired");
}

/** The topic that the message was popped from. */
export const topicOfHandle = (handle: ReceiptHandle, topic: string, group: string): string =>
  realTopic(topic, group, handle.topicFlag);

/** What names the message to the broker, whatever its handle was renewed to. */
export const placeOf = (handle: ReceiptHandle): string =>
  `${handle.brokerName} ${handle.queueId} ${handle.offset} ${handle.topicFlag}`;
