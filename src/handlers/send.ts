/**
 * SEND_MESSAGE, SEND_MESSAGE_V2 and SEND_BATCH_MESSAGE (Apache: SendMessageProcessor). The hot path: a plain message goes
 * from the frame to the log's tail in one copy, and its reply is written when the store grants it. A message whose
 * properties ask for more (delay, retry, ...) takes the ordinary path of sendSpecial.ts.
 */
import { Buffer } from "node:buffer";
import { javaHashUtf8 } from "../base/javaHash.ts";
import { RETRY_PREFIX } from "../broker/names.ts";
import { isStored } from "../broker/transactionOps.ts";
import type { Transactions } from "../broker/transactions.ts";
import { type Batch, BatchError, readBatch } from "../message/batch.ts";
import { MessageDraft } from "../message/draft.ts";
import { messageIdsOf } from "../message/messageId.ts";
import { formatProperties, Property } from "../message/properties.ts";
import { PropertyScan } from "../message/propertyScan.ts";
import { MULTI_TAGS } from "../message/sysFlag.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { HotCall, Reply, ReplyOut, Row } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { SendReplyPieces, SendRequest } from "../protocol/sendCodec.ts";
import type { MessageStore } from "../store/messageStore.ts";
import type { AckTarget, PendingAppend } from "../store/pending.ts";
import { appendReply } from "./appendReply.ts";
import { HalfSender } from "./halfSend.ts";
import type { BrokerParts } from "./parts.ts";
import { checkSend, rejectedTransaction } from "./sendChecks.ts";
import { sendSpecial } from "./sendSpecial.ts";

export type SendParts = Omit<BrokerParts, "store"> & {
  readonly store: MessageStore;
  readonly transactions: Transactions;
};

const FLAG_ONEWAY = 0x2;
const ATTACHMENT = "send";

export function sendRows(parts: SendParts): Row[] {
  const sender = new Sender(parts);
  return [
    { code: RequestCode.SEND_MESSAGE, name: "SEND_MESSAGE", hot: (call) => sender.send(call, false) },
    { code: RequestCode.SEND_MESSAGE_V2, name: "SEND_MESSAGE_V2", hot: (call) => sender.send(call, true) },
    { code: RequestCode.SEND_BATCH_MESSAGE, name: "SEND_BATCH_MESSAGE", hot: (call) => sender.sendBatch(call) },
  ];
}

/** Answers one batch; its unique key stands in the request's own properties, not in those of its messages. */
class BatchReplier implements AckTarget {
  readonly #out: ReplyOut | undefined;
  readonly #sender: Sender;
  readonly #uniqueKey: string | undefined;

  constructor(out: ReplyOut | undefined, sender: Sender, uniqueKey: string | undefined) {
    this.#out = out;
    this.#sender = sender;
    this.#uniqueKey = uniqueKey;
  }

  appended(pending: PendingAppend): void {
    const { metrics } = this.#sender.parts;
    const { batchOffsets } = pending;
    if (metrics !== undefined && batchOffsets !== undefined && isStored(pending)) {
      const bytes = pending.logOffset + pending.bytes - batchOffsets[0];
      metrics.stored(pending.queue?.topic ?? "", "normal", batchOffsets.length, bytes);
    }
    if (this.#out !== undefined) this.#sender.answer(this.#out, pending, pending.queue?.topic, this.#uniqueKey);
  }
}

/** Writes the replies of one connection; made with its first send. The one without a connection is for oneway sends. */
class SendReplier implements AckTarget {
  readonly #out: ReplyOut | undefined;
  readonly #sender: Sender;

  constructor(out: ReplyOut | undefined, sender: Sender) {
    this.#out = out;
    this.#sender = sender;
  }

  appended(pending: PendingAppend): void {
    const sender = this.#sender;
    const { metrics } = sender.parts;
    if (metrics !== undefined && isStored(pending)) {
      metrics.stored(pending.queue?.topic ?? "", pending.ordered ? "fifo" : "normal", 1, pending.bytes);
    }
    const out = this.#out;
    if (out === undefined || !out.open) return;
    if (pending.status === "ok" && pending.plainKey && !sender.parts.topics.hasUnsaved) {
      sender.pieces().write(out, pending.serialization, pending.opaque, pending);
    } else {
      sender.answer(out, pending, pending.queue?.topic);
    }
  }
}

export class Sender {
  readonly parts: SendParts;
  readonly #request = new SendRequest();
  readonly #draft = new MessageDraft();
  readonly #scan = new PropertyScan();
  readonly #half: HalfSender;
  readonly #oneway: SendReplier;
  #pieces: SendReplyPieces | undefined;
  #piecesHost: Buffer | undefined;
  #suffix: Buffer = EMPTY;
  /** The options that pieces and suffix were made of. */
  #regionId: string | undefined;
  #traceOn: boolean | undefined;

  constructor(parts: SendParts) {
    this.parts = parts;
    this.#half = new HalfSender(this);
    this.#oneway = new SendReplier(undefined, this);
  }

  /** Properties that Apache's broker adds to every message it takes; another object when they change. */
  get suffix(): Buffer {
    this.#lookAtOptions();
    return this.#suffix;
  }

  /** Both options can be changed at any time. */
  #lookAtOptions(): void {
    const { regionId, traceOn, brokerClusterName } = this.parts.config;
    if (regionId === this.#regionId && traceOn === this.#traceOn) return;
    this.#regionId = regionId;
    this.#traceOn = traceOn;
    this.#pieces = undefined;
    this.#suffix = Buffer.from(
      formatProperties([
        [Property.MSG_REGION, regionId],
        [Property.TRACE_SWITCH, String(traceOn)],
        [Property.CLUSTER, brokerClusterName],
      ]),
    );
  }

  pieces(): SendReplyPieces {
    this.#lookAtOptions();
    const host = this.parts.store.storeHost;
    if (this.#pieces === undefined || this.#piecesHost !== host) {
      this.#pieces = new SendReplyPieces(this.parts.config.regionId, this.parts.config.traceOn, host);
      this.#piecesHost = host;
    }
    return this.#pieces;
  }

  send(call: HotCall, shortNames: boolean): void {
    const { view } = call;
    const request = this.#request;
    request.read(view, shortNames);
    if (call.bodyStart === call.bodyEnd) {
      // Apache fails on it, too; its consumers would hand a null body to their listeners.
      this.#refuse(call, { code: 1, remark: "the message has no body" });
      return;
    }
    // Older clients mark a batch in the header of an ordinary send.
    if (request.batch) {
      this.#batch(call, request);
      return;
    }
    const checked = checkSend(this.parts, request, call.caller);
    if ("code" in checked) {
      this.#refuse(call, checked);
      return;
    }
    const scan = this.#scan;
    scan.scan(call.buf, request.propertiesStart, request.propertiesEnd);
    const unnamed = scan.uniqueStart < 0 || scan.uniqueStart === scan.uniqueEnd;
    if (scan.special || unnamed || request.topic.startsWith(RETRY_PREFIX)) {
      this.#special(call, request, checked);
      return;
    }
    if (scan.prepared) {
      if (this.parts.config.rejectTransactionMessage) this.#refuse(call, rejectedTransaction(this.parts));
      else this.#half.send(call, request, checked, this.#draft, scan);
      return;
    }
    this.#plain(call, request, checked, scan);
  }

  #plain(call: HotCall, request: SendRequest, topic: TopicConfig, scan: PropertyScan): void {
    const { store, random } = this.parts;
    const queueId = request.queueId < 0 ? random.int(topic.writeQueueNums) : request.queueId;
    const queue = store.queue(request.topic, queueId);
    const draft = this.#draft;
    draft.queueId = queueId;
    draft.flag = request.flag;
    draft.sysFlag = topic.topicFilterType === "MULTI_TAG" ? request.sysFlag | MULTI_TAGS : request.sysFlag;
    draft.bornTimestamp = request.bornTimestamp;
    draft.setHosts(call.caller.host, store.storeHost);
    draft.reconsumeTimes = request.reconsumeTimes;
    draft.preparedTransactionOffset = 0;
    draft.body = call.buf;
    draft.bodyStart = call.bodyStart;
    draft.bodyEnd = call.bodyEnd;
    draft.properties = call.buf;
    draft.propertiesStart = request.propertiesStart;
    draft.propertiesEnd = request.propertiesEnd;
    draft.suffix = this.suffix;
    draft.tagsCode =
      scan.tagsStart >= 0 && scan.tagsEnd > scan.tagsStart
        ? javaHashUtf8(0, call.buf, scan.tagsStart, scan.tagsEnd)
        : 0;
    const pending = store.append(draft, scan, queue, this.#target(call), call.view.opaque, call.view.serialization);
    pending.setUniqueKey(call.buf, scan.uniqueStart, scan.uniqueEnd);
    pending.ordered = scan.ordered;
  }

  #target(call: HotCall): AckTarget {
    if ((call.view.flag & FLAG_ONEWAY) !== 0) return this.#oneway;
    let replier = call.attachments.get(ATTACHMENT) as SendReplier | undefined;
    if (replier === undefined) {
      replier = new SendReplier(call.out, this);
      call.attachments.set(ATTACHMENT, replier);
    }
    return replier;
  }

  #special(call: HotCall, request: SendRequest, topic: TopicConfig): void {
    const { opaque, serialization, flag, version } = call.view;
    const { out } = call;
    const reply = sendSpecial(this, request, topic, call, version);
    reply
      .then((r) => {
        if ((flag & FLAG_ONEWAY) === 0)
          out.reply(opaque, serialization, { ...r, header: { ...this.common(), ...r.header } });
      })
      .catch((error: Error) => {
        this.parts.log.error({ err: error, topic: request.topic }, "send failed");
        out.reply(opaque, serialization, { code: 1, remark: error.message, header: this.common() });
      });
  }

  sendBatch(call: HotCall): void {
    this.#request.read(call.view, true);
    this.#batch(call, this.#request);
  }

  #batch(call: HotCall, request: SendRequest): void {
    const checked = checkSend(this.parts, request, call.caller);
    if ("code" in checked) {
      this.#refuse(call, checked);
      return;
    }
    if (request.topic.startsWith(RETRY_PREFIX)) {
      this.#refuse(call, { code: 13, remark: `batch request does not support retry group ${request.topic}` });
      return;
    }
    let batch: Batch;
    try {
      batch = readBatch(call.buf, call.bodyStart, call.bodyEnd);
    } catch (error) {
      if (!(error instanceof BatchError)) throw error;
      this.#refuse(call, { code: 13, remark: `the batch cannot be read: ${error.message}` });
      return;
    }
    const { store, random } = this.parts;
    const queueId = request.queueId < 0 ? random.int(checked.writeQueueNums) : request.queueId;
    const multiTags = checked.topicFilterType === "MULTI_TAG" ? MULTI_TAGS : 0;
    const next = (i: number, draft: MessageDraft, scan: PropertyScan) => {
      draft.queueId = queueId;
      draft.flag = batch.flags[i];
      draft.sysFlag = request.sysFlag | multiTags;
      draft.bornTimestamp = request.bornTimestamp;
      draft.setHosts(call.caller.host, store.storeHost);
      draft.reconsumeTimes = request.reconsumeTimes;
      draft.preparedTransactionOffset = 0;
      draft.body = call.buf;
      draft.bodyStart = batch.bodyStarts[i];
      draft.bodyEnd = batch.bodyEnds[i];
      draft.properties = call.buf;
      draft.propertiesStart = batch.propertiesStarts[i];
      draft.propertiesEnd = batch.propertiesEnds[i];
      draft.suffix = EMPTY;
      scan.scan(call.buf, draft.propertiesStart, draft.propertiesEnd);
      draft.tagsCode =
        scan.tagsStart >= 0 && scan.tagsEnd > scan.tagsStart
          ? javaHashUtf8(0, call.buf, scan.tagsStart, scan.tagsEnd)
          : 0;
    };
    const queue = store.queue(request.topic, queueId);
    const scan = this.#scan;
    scan.scan(call.buf, request.propertiesStart, request.propertiesEnd);
    const uniqueKey =
      scan.uniqueStart < 0 ? undefined : call.buf.toString("utf8", scan.uniqueStart, scan.uniqueEnd) || undefined;
    const oneway = (call.view.flag & FLAG_ONEWAY) !== 0;
    const target = new BatchReplier(oneway ? undefined : call.out, this, uniqueKey);
    store.appendBatch(batch.count, next, queue, target, call.view.opaque, call.view.serialization);
  }

  /** Answers an append the long way; when its topic is new, not before that is on disk. */
  answer(out: ReplyOut, pending: PendingAppend, topic = "", batchKey?: string): void {
    if (!out.open) return;
    const { opaque, serialization } = pending;
    const reply = this.replyOf(pending, batchKey);
    const saved = this.parts.topics.whenSaved(topic);
    if (saved === undefined) out.reply(opaque, serialization, reply);
    else void saved.then(() => out.reply(opaque, serialization, reply));
  }

  /** The reply of an append that does not take the short way: a batch, or anything but plain success. */
  replyOf(pending: PendingAppend, batchKey?: string): Reply {
    const host = this.parts.store.storeHost;
    const first = pending.queueOffset - (pending.batchOffsets ? pending.batchOffsets.length - 1 : 0);
    return appendReply(this.parts, pending, {
      ...this.common(),
      msgId: messageIdsOf(host, pending.batchOffsets ?? [pending.logOffset]),
      queueId: pending.queueId,
      queueOffset: first,
      transactionId:
        pending.uniqueKeyBytes > 0 ? pending.uniqueKey.toString("utf8", 0, pending.uniqueKeyBytes) : batchKey,
    });
  }

  /** What every send reply carries, also a refusal: the Java client reads it without looking. */
  common(): Record<string, string | number | boolean | undefined> {
    return { MSG_REGION: this.parts.config.regionId, TRACE_ON: this.parts.config.traceOn };
  }

  #refuse(call: HotCall, reply: Reply): void {
    if ((call.view.flag & FLAG_ONEWAY) !== 0) return;
    call.out.reply(call.view.opaque, call.view.serialization, { ...reply, header: this.common() });
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
