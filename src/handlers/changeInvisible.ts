/**
 * CHANGE_MESSAGE_INVISIBLETIME (Apache: ChangeInvisibleTimeProcessor): one popped message gets a new deadline and a new
 * handle; zero gives it back at once. In order, the queue stays blocked until then.
 */
import { Buffer } from "node:buffer";
import type { Call, Reply, Row } from "../protocol/dispatch.ts";
import { ExtraInfo, ORDER_REVIVE_QID } from "../protocol/extraInfo.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import { ChangeInvisibleTimeRequestHeader } from "../protocol/generated/headers.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { AckAsk, AckParts } from "./ack.ts";
import { changeLite } from "./lite.ts";
import { need, ok, refuse, requestRow } from "./parts.ts";

export function changeInvisibleRows(parts: AckParts): Row[] {
  return [
    requestRow("CHANGE_MESSAGE_INVISIBLETIME", ChangeInvisibleTimeRequestHeader, (call) => changeFromWire(parts, call)),
  ];
}

/** The primitives of ChangeInvisibleTimeResponseHeader where nothing was changed. */
const UNCHANGED = { invisibleTime: 0, popTime: 0, reviveQid: 0 };

/** What is asked: {@link AckAsk} names the message as it was popped. */
export interface ChangeAsk extends AckAsk {
  /** ms from now */
  newInvisibleTime: number;
  /** The consumption does not count. */
  suspend: boolean;
}

function changeFromWire(parts: AckParts, call: Call<ChangeInvisibleTimeRequestHeader>): Reply | Promise<Reply> {
  const { header } = call;
  const text = Buffer.from(need(header.extraInfo, "extraInfo"));
  const handle = new ExtraInfo();
  handle.read(text, 0, text.length);
  const ask = {
    group: need(header.consumerGroup, "consumerGroup"),
    topic: need(header.topic, "topic"),
    queueId: need(header.queueId, "queueId"),
    offset: need(header.offset, "offset"),
    newInvisibleTime: need(header.invisibleTime, "invisibleTime"),
    suspend: header.suspend ?? false,
    startOffset: handle.ckQueueOffset,
    popTime: handle.popTime,
    invisibleTime: handle.invisibleTime,
    reviveQid: handle.reviveQid,
  };
  const { liteTopic } = header;
  if (liteTopic !== undefined && liteTopic !== "") {
    return changeLite(parts, { ...ask, liteTopic }, ask.newInvisibleTime, ask.suspend);
  }
  return changeInvisible(parts, ask, call.caller.address);
}

/** Gives a message a new deadline; the reply's header is what its new handle is made of. */
export function changeInvisible(parts: AckParts, ask: ChangeAsk, address: string): Reply | Promise<Reply> {
  const { topics, store } = parts;
  const config = topics.get(ask.topic);
  if (config === undefined) {
    return refuse("TOPIC_NOT_EXIST", `topic[${ask.topic}] not exist, apply first please! ${FAQ_HINT}`, UNCHANGED);
  }
  if (ask.queueId >= config.readQueueNums || ask.queueId < 0) {
    return refuse(
      "MESSAGE_ILLEGAL",
      `queueId[${ask.queueId}] is illegal, topic:[${ask.topic}] topicConfig.readQueueNums:[${config.readQueueNums}] ` +
        `consumer:[/${address}]`,
      UNCHANGED,
    );
  }
  const { queueId, topic, offset } = ask;
  if (offset < store.minOffset(topic, queueId) || offset >= store.maxOffset(topic, queueId)) {
    return { code: ResponseCode.NO_MESSAGE, header: UNCHANGED };
  }
  return ask.reviveQid === ORDER_REVIVE_QID ? changeInOrder(parts, ask) : changeOne(parts, ask);
}

function changeOne(parts: AckParts, ask: ChangeAsk): Reply | Promise<Reply> {
  return new Promise((resolve) => {
    let popTime = 0;
    const success = (): Reply => ok({ invisibleTime: ask.newInvisibleTime, popTime, reviveQid: ask.reviveQid });
    const sink = {
      acked: (_opaque: number, _serialization: number, refusal: string | undefined) =>
        resolve(refusal === undefined ? success() : notTaken(refusal)),
    };
    const { inFlight } = parts.pops;
    const { topic, group, queueId, newInvisibleTime, suspend } = ask;
    const renewed = inFlight.renew(topic, group, queueId, ask, newInvisibleTime, suspend, sink, 0, 0);
    popTime = renewed.popTime;
    if (renewed.outcome === "done") resolve(success());
    else if (renewed.outcome !== "waiting") resolve(notTaken(renewed.outcome.refusal));
  });
}

function notTaken(refusal: string): Reply {
  return refuse("SYSTEM_ERROR", `the new invisible time was not taken: ${refusal}`);
}

function changeInOrder(parts: AckParts, ask: ChangeAsk): Reply | Promise<Reply> {
  const { offsets, pops, clock } = parts;
  const { group, topic, queueId, offset, popTime } = ask;
  // Apache leaves the header's numbers at 0 here.
  if (offset < offsets.query(group, topic, queueId)) return ok(UNCHANGED);
  const visibleAt = clock.now() + ask.newInvisibleTime;
  const queue = pops.groups.find(topic, group)?.queues[queueId];
  const reply = ok({ invisibleTime: visibleAt - popTime, popTime, reviveQid: ask.reviveQid });
  if (queue === undefined || !pops.orders.setNextVisible(queue, offset, popTime, visibleAt)) return reply;
  return new Promise((resolve) => {
    pops.inFlight.orderChanged(queue, {
      acked: (_opaque, _serialization, refusal) => resolve(refusal === undefined ? reply : notTaken(refusal)),
    });
  });
}
