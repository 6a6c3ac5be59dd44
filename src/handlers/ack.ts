/**
 * ACK_MESSAGE and BATCH_ACK_MESSAGE (Apache: AckMessageProcessor). The acknowledgements of one turn are noted together and
 * answered when the note is in the log; one whose time is over, or that is a repetition, is answered at once.
 */
import type { Lites } from "../broker/lite/lites.ts";
import type { AckSink } from "../broker/pop/acks.ts";
import type { AckOutcome, Handle } from "../broker/pop/inFlight.ts";
import type { Pops } from "../broker/pop/pops.ts";
import { type BatchAck, decodeBatchAck } from "../protocol/bodies/batchAck.ts";
import type { Call, HotCall, Reply, ReplyOut, Row } from "../protocol/dispatch.ts";
import { ORDER_REVIVE_QID, realTopic } from "../protocol/extraInfo.ts";
import { FAQ_HINT } from "../protocol/faq.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { FLAG_ONEWAY } from "../protocol/headerView.ts";
import { AckRequest, writeSuccess } from "../protocol/popCodec.ts";
import type { MessageStore } from "../store/messageStore.ts";
import { ackLite } from "./lite.ts";
import { type BrokerParts, clientBody, ok, refuse, requestRow } from "./parts.ts";

export type AckParts = Omit<BrokerParts, "store"> & {
  readonly store: MessageStore;
  readonly pops: Pops;
  readonly lites: Lites;
};

const ATTACHMENT = "ack";

/** One message to acknowledge, by its handle. */
export interface AckAsk extends Handle {
  group: string;
  /** The topic the message came from: a retry topic for a message of one. */
  topic: string;
  queueId: number;
}

export function ackRows(parts: AckParts): Row[] {
  const request = new AckRequest();
  const ask: AckAsk = {
    group: "",
    topic: "",
    queueId: 0,
    startOffset: 0,
    popTime: 0,
    invisibleTime: 0,
    reviveQid: 0,
    offset: 0,
  };
  return [
    {
      code: RequestCode.ACK_MESSAGE,
      name: "ACK_MESSAGE",
      hot: (call) => {
        request.read(call.view);
        const { handle } = request;
        ask.group = request.group;
        ask.topic = request.topic;
        ask.queueId = request.queueId;
        ask.startOffset = handle.ckQueueOffset;
        ask.popTime = handle.popTime;
        ask.invisibleTime = handle.invisibleTime;
        ask.reviveQid = handle.reviveQid;
        ask.offset = request.offset;
        const { opaque, serialization } = request;
        const oneway = (call.view.flag & FLAG_ONEWAY) !== 0;
        const sink = oneway ? NOBODY : sinkOf(call);
        const { liteTopic } = request;
        const outcome =
          liteTopic === ""
            ? ackMessage(parts, ask, call.caller.address, sink, opaque, serialization)
            : ackLite(parts, { ...ask, liteTopic });
        if (outcome === "waiting" || oneway) return;
        if (outcome === "done") writeSuccess(call.out, opaque);
        else call.out.reply(opaque, serialization, outcome);
      },
    },
    requestRow("BATCH_ACK_MESSAGE", undefined, (call) => ackBatch(parts, call)),
  ];
}

/** Whoever sent it does not wait. */
const NOBODY: AckSink = { acked: () => {} };

class WireSink implements AckSink {
  readonly #out: ReplyOut;

  constructor(out: ReplyOut) {
    this.#out = out;
  }

  acked(opaque: number, serialization: number, refusal: string | undefined): void {
    if (!this.#out.open) return;
    if (refusal === undefined) writeSuccess(this.#out, opaque);
    else this.#out.reply(opaque, serialization, notTaken(refusal));
  }
}

function sinkOf(call: HotCall): AckSink {
  let sink = call.attachments.get(ATTACHMENT) as WireSink | undefined;
  if (sink === undefined) {
    sink = new WireSink(call.out);
    call.attachments.set(ATTACHMENT, sink);
  }
  return sink;
}

/** An acknowledgement that could not be noted; Apache logs that and says success, and the message comes back. */
function notTaken(refusal: string): Reply {
  return refuse("SYSTEM_ERROR", `the acknowledgement was not taken, the message will be given again: ${refusal}`);
}

/**
 * Acknowledges one message.
 * @param address of the client, for remarks
 * @returns "waiting": the sink will be told; "done": success already; or a refusal
 */
export function ackMessage(
  parts: AckParts,
  ask: AckAsk,
  address: string,
  sink: AckSink,
  opaque: number,
  serialization: number,
): "waiting" | "done" | Reply {
  const { topics, store, pops } = parts;
  const config = topics.get(ask.topic);
  if (config === undefined) {
    return refuse("TOPIC_NOT_EXIST", `topic[${ask.topic}] not exist, apply first please! ${FAQ_HINT}`);
  }
  if (ask.queueId >= config.readQueueNums || ask.queueId < 0) {
    return refuse(
      "MESSAGE_ILLEGAL",
      `queueId[${ask.queueId}] is illegal, topic:[${ask.topic}] topicConfig.readQueueNums:[${config.readQueueNums}] ` +
        `consumer:[/${address}]`,
    );
  }
  const min = store.minOffset(ask.topic, ask.queueId);
  const max = store.maxOffset(ask.topic, ask.queueId);
  if (ask.offset < min || ask.offset > max) {
    return refuse(
      "NO_MESSAGE",
      `offset is illegal, key:${ask.topic}@${ask.queueId}, commit:${ask.offset}, store:${min}~${max}`,
    );
  }
  const outcome =
    ask.reviveQid === ORDER_REVIVE_QID
      ? ackInOrder(parts, ask, address, sink, opaque, serialization)
      : replyOf(pops.inFlight.ack(ask.topic, ask.group, ask.queueId, ask, sink, opaque, serialization));
  if (typeof outcome === "string") parts.stats.acked(ask.group, ask.topic);
  return outcome;
}

function replyOf(outcome: AckOutcome): "waiting" | "done" | Reply {
  return typeof outcome === "string" ? outcome : notTaken(outcome.refusal);
}

/** A message of a queue consumed in order: the queue's offset moves, and the queue may be free. */
function ackInOrder(
  parts: AckParts,
  ask: AckAsk,
  address: string,
  sink: AckSink,
  opaque: number,
  serialization: number,
): "waiting" | "done" | Reply {
  const { offsets, pops, config } = parts;
  const { group, topic, queueId, offset } = ask;
  const before = offsets.query(group, topic, queueId);
  if (offset < before) return "done";
  const queue = pops.groups.make(topic, group).queue(queueId);
  const next = pops.orders.acknowledge(queue, offset, ask.popTime);
  if (next === -1) {
    return refuse(
      "MESSAGE_ILLEGAL",
      `offset is illegal, key:${topic}@${group}@${queueId}, old:${before}, commit:${offset}, next:${next}, /${address}`,
    );
  }
  if (next < 0) return "done";
  if (!(config.useServerSideResetOffset && offsets.hasReset(group, topic, queueId))) {
    offsets.commit(group, topic, queueId, next, address);
  }
  queue.settled(1);
  pops.inFlight.orderChanged(queue, sink, opaque, serialization);
  if (!pops.orders.blocked(queue, undefined, ask.invisibleTime)) pops.freed(queue);
  return "waiting";
}

/** BATCH_ACK_MESSAGE: parts that cannot be acknowledged are passed over, as in Apache. */
function ackBatch(parts: AckParts, call: Call): Reply | Promise<Reply> {
  if (call.body.length === 0) return { code: ResponseCode.NO_MESSAGE };
  const { acks } = decodeBatchAck(clientBody(call));
  if (acks.length === 0) return { code: ResponseCode.NO_MESSAGE };
  return new Promise((resolve) => {
    const sink = new BatchSink(resolve);
    for (const ack of acks) ackOne(parts, ack, call.caller.address, sink);
    sink.begun();
  });
}

function ackOne(parts: AckParts, ack: BatchAck, address: string, sink: BatchSink): void {
  const topic = realTopic(ack.topic, ack.consumerGroup, ack.retry);
  const ask: AckAsk = {
    group: ack.consumerGroup,
    topic,
    queueId: ack.queueId,
    startOffset: ack.startOffset,
    popTime: ack.popTime,
    invisibleTime: ack.invisibleTime,
    reviveQid: ack.reviveQueueId,
    offset: 0,
  };
  for (const offset of ack.offsets) {
    ask.offset = offset;
    sink.count(ackMessage(parts, ask, address, sink, 0, 0));
  }
}

/** Waits for all acknowledgements of one request. */
class BatchSink implements AckSink {
  readonly #resolve: (reply: Reply) => void;
  #outstanding = 1;
  #refusal: string | undefined = undefined;

  constructor(resolve: (reply: Reply) => void) {
    this.#resolve = resolve;
  }

  count(outcome: "waiting" | "done" | Reply): void {
    if (outcome === "waiting") this.#outstanding++;
  }

  begun(): void {
    this.#finishOne();
  }

  acked(_opaque: number, _serialization: number, refusal: string | undefined): void {
    this.#refusal ??= refusal;
    this.#finishOne();
  }

  #finishOne(): void {
    if (--this.#outstanding > 0) return;
    this.#resolve(this.#refusal === undefined ? ok() : notTaken(this.#refusal));
  }
}
