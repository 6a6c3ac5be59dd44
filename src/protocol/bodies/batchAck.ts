/**
 * BatchAckMessageRequestBody: acknowledgements of several pops. A set of messages is a Java BitSet, little-endian bytes in
 * Base64: bit i is the message at startOffset + i. Also the long names that releases before 5.1.4 sent.
 */
import { Buffer } from "node:buffer";
import { POP_MESSAGES_MAX } from "../../base/limits.ts";
import { asBean, type Bean, BodyError, readBean } from "./reader.ts";

export interface BatchAck {
  consumerGroup: string;
  topic: string;
  /** ExtraInfoUtil's flag of the topic: 0 itself, 1 and 2 the group's retry topics. */
  retry: number;
  startOffset: number;
  queueId: number;
  reviveQueueId: number;
  popTime: number;
  invisibleTime: number;
  /** Queue offsets acknowledged, no more than a pop can have given. */
  offsets: number[];
}

export interface BatchAckRequest {
  brokerName: string | undefined;
  acks: BatchAck[];
}

/** Distances beyond this are no pop's: a pop looks at a few thousand places at most. */
const BITS_MAX = 65_536;

/** @throws BodyError */
export function decodeBatchAck(body: Buffer | string): BatchAckRequest {
  const bean = readBean("BatchAckMessageRequestBody", body);
  return { brokerName: bean.text("brokerName"), acks: bean.list("acks", asBean(readAck)) ?? [] };
}

function readAck(bean: Bean): BatchAck {
  const text = (short: string, long: string): string => {
    const value = bean.text(short) ?? bean.text(long);
    if (value === undefined) throw new BodyError(`BatchAck.${long} is missing`);
    return value;
  };
  const integer = (short: string, long: string): number => bean.integer(short, bean.integer(long, 0));
  const retry = text("r", "retry");
  if (retry !== "0" && retry !== "1" && retry !== "2") throw new BodyError("getRetry fail, format is wrong");
  const startOffset = integer("so", "startOffset");
  return {
    consumerGroup: text("c", "consumerGroup"),
    topic: text("t", "topic"),
    retry: Number(retry),
    startOffset,
    queueId: integer("q", "queueId"),
    reviveQueueId: integer("rq", "reviveQueueId"),
    popTime: integer("pt", "popTime"),
    invisibleTime: integer("it", "invisibleTime"),
    offsets: offsetsOf(bean.text("b") ?? bean.text("bitSet") ?? "", startOffset),
  };
}

function offsetsOf(base64: string, startOffset: number): number[] {
  const bytes = Buffer.from(base64, "base64");
  const offsets: number[] = [];
  const bits = Math.min(bytes.length * 8, BITS_MAX);
  for (let i = 0; i < bits && offsets.length < POP_MESSAGES_MAX; i++) {
    if ((bytes[i >> 3] & (1 << (i & 7))) !== 0) offsets.push(startOffset + i);
  }
  return offsets;
}
