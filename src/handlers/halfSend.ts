/**
 * The short way of a half message (Apache: TransactionalMessageService.asyncPrepareMessage): like a plain send, but it
 * goes to the half topic, and its own topic and queue into its properties. The reply names the queue it was sent to.
 */
import { Buffer } from "node:buffer";
import { javaHashUtf8 } from "../base/javaHash.ts";
import { TRANS_HALF_TOPIC } from "../broker/names.ts";
import { isStored } from "../broker/transactionOps.ts";
import type { MessageDraft } from "../message/draft.ts";
import { formatProperties, Property } from "../message/properties.ts";
import type { PropertyScan } from "../message/propertyScan.ts";
import { MULTI_TAGS, TRANSACTION_MASK } from "../message/sysFlag.ts";
import type { TopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { HotCall, ReplyOut } from "../protocol/dispatch.ts";
import type { SendRequest } from "../protocol/sendCodec.ts";
import type { AckTarget, PendingAppend } from "../store/pending.ts";
import type { Sender } from "./send.ts";

const FLAG_ONEWAY = 0x2;
const ATTACHMENT = "half";
/** Destinations whose properties are kept ready; more than a broker has queues in use at a time. */
const SUFFIXES_MAX = 4096;

/** Answers the half messages of one connection, and counts them. */
class HalfReplier implements AckTarget {
  readonly #out: ReplyOut | undefined;
  readonly #sender: Sender;

  constructor(out: ReplyOut | undefined, sender: Sender) {
    this.#out = out;
    this.#sender = sender;
  }

  appended(pending: PendingAppend): void {
    const sender = this.#sender;
    if (isStored(pending)) {
      sender.parts.transactions.metrics.add(pending.realTopic, 1);
      sender.parts.metrics?.stored(TRANS_HALF_TOPIC, "transaction", 1, pending.bytes);
    }
    const out = this.#out;
    if (out === undefined || !out.open) return;
    if (pending.status === "ok" && pending.plainKey && !sender.parts.topics.hasUnsaved) {
      sender.pieces().write(out, pending.serialization, pending.opaque, pending);
    } else {
      sender.answer(out, pending, pending.realTopic);
    }
  }
}

/** What the broker adds to the properties of a half message for one queue. */
interface Suffix {
  readonly bytes: Buffer;
  /** Length of the unique keys it has room for. */
  readonly keyBytes: number;
  /** What every message gets, as it was then. */
  readonly common: Buffer;
}

export class HalfSender {
  readonly #sender: Sender;
  readonly #oneway: HalfReplier;
  /** By `topic`, then queue id: what the broker adds to the properties; its end is the transaction id of the moment. */
  readonly #suffixes = new Map<string, Map<number, Suffix>>();
  #suffixCount = 0;

  constructor(sender: Sender) {
    this.#sender = sender;
    this.#oneway = new HalfReplier(undefined, sender);
  }

  /** `scan` is of the request's properties, which have a unique key. */
  send(call: HotCall, request: SendRequest, topic: TopicConfig, draft: MessageDraft, scan: PropertyScan): void {
    const { store, random } = this.#sender.parts;
    const queueId = request.queueId < 0 ? random.int(topic.writeQueueNums) : request.queueId;
    draft.queueId = 0;
    draft.flag = request.flag;
    draft.sysFlag = request.sysFlag & ~TRANSACTION_MASK;
    if (topic.topicFilterType === "MULTI_TAG") draft.sysFlag |= MULTI_TAGS;
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
    draft.suffix = this.#suffix(request.topic, queueId, call.buf, scan.uniqueStart, scan.uniqueEnd);
    draft.tagsCode =
      scan.tagsStart >= 0 && scan.tagsEnd > scan.tagsStart
        ? javaHashUtf8(0, call.buf, scan.tagsStart, scan.tagsEnd)
        : 0;
    const target = this.#target(call);
    const { opaque, serialization } = call.view;
    // The answer needs what is set behind the append, so the target comes last.
    const pending = store.append(draft, scan, store.queue(TRANS_HALF_TOPIC, 0), undefined, opaque, serialization);
    if (pending.status !== "ok") {
      target.appended(pending);
      return;
    }
    pending.target = target;
    pending.queueId = queueId;
    pending.realTopic = request.topic;
    pending.setUniqueKey(call.buf, scan.uniqueStart, scan.uniqueEnd);
  }

  #target(call: HotCall): HalfReplier {
    if ((call.view.flag & FLAG_ONEWAY) !== 0) return this.#oneway;
    let replier = call.attachments.get(ATTACHMENT) as HalfReplier | undefined;
    if (replier === undefined) {
      replier = new HalfReplier(call.out, this.#sender);
      call.attachments.set(ATTACHMENT, replier);
    }
    return replier;
  }

  /** The broker's properties for a destination, with this message's unique key as transaction id. */
  #suffix(topic: string, queueId: number, buf: Buffer, start: number, end: number): Buffer {
    let byQueue = this.#suffixes.get(topic);
    if (byQueue === undefined) {
      if (this.#suffixCount >= SUFFIXES_MAX) {
        this.#suffixes.clear();
        this.#suffixCount = 0;
      }
      byQueue = new Map();
      this.#suffixes.set(topic, byQueue);
    }
    const keyBytes = end - start;
    const common = this.#sender.suffix;
    let suffix = byQueue.get(queueId);
    if (suffix?.keyBytes !== keyBytes || suffix.common !== common) {
      if (suffix === undefined) this.#suffixCount++;
      suffix = { keyBytes, common, bytes: Buffer.concat([common, ownProperties(topic, queueId, keyBytes)]) };
      byQueue.set(queueId, suffix);
    }
    const { bytes } = suffix;
    let at = bytes.length - 1 - keyBytes;
    for (let i = start; i < end; i++) bytes[at++] = buf[i];
    return bytes;
  }
}

/** The properties of a half message beyond a plain one's; the transaction id is the last, with room for its value. */
function ownProperties(topic: string, queueId: number, keyBytes: number): Buffer {
  return Buffer.from(
    formatProperties([
      [Property.REAL_TOPIC, topic],
      [Property.REAL_QUEUE_ID, String(queueId)],
      [Property.TRANSACTION_ID, "0".repeat(keyBytes)],
    ]),
  );
}
