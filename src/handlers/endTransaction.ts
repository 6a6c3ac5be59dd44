/**
 * END_TRANSACTION (Apache: EndTransactionProcessor): commit, rollback or "unknown" for a half message. A commit is hot: the
 * half message is copied from the log's memory to its real topic. Whatever is not plain (older messages, delays, messages
 * that were checked, rollbacks) takes the ordinary path. A transaction is ended once: whoever comes later is told SUCCESS
 * for the same decision and refused for a commit after a rollback, where Apache delivers again.
 */
import { Buffer } from "node:buffer";
import { readInt64OrMinus1 } from "../base/int64.ts";
import { javaHashUtf8 } from "../base/javaHash.ts";
import type { Logger } from "../base/log.ts";
import { committed, destinationOf, immunityMsOf } from "../broker/halfMessages.ts";
import { TRANS_HALF_TOPIC } from "../broker/names.ts";
import type { TimerRefusal } from "../broker/timer/timerTransform.ts";
import { isStored } from "../broker/transactionOps.ts";
import type { HalfState, OpenHalf, Transactions } from "../broker/transactions.ts";
import { MessageDraft } from "../message/draft.ts";
import { HalfRecord } from "../message/halfRecord.ts";
import { Property } from "../message/properties.ts";
import { PropertyScan } from "../message/propertyScan.ts";
import { RecordView } from "../message/record.ts";
import { TRANSACTION_COMMIT, TRANSACTION_MASK } from "../message/sysFlag.ts";
import type { HotCall, Reply, ReplyOut, Row } from "../protocol/dispatch.ts";
import {
  DECISION_COMMIT,
  DECISION_ROLLBACK,
  DECISION_UNKNOWN,
  EndTransactionRequest,
} from "../protocol/endTransactionCodec.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { foundAt } from "../store/consumeQueue.ts";
import type { MessageStore } from "../store/messageStore.ts";
import type { AckTarget, PendingAppend } from "../store/pending.ts";
import type { AppendResult, AppendStatus, StoredMessage } from "../store/types.ts";
import { type BrokerParts, ok, refuse } from "./parts.ts";

export type EndParts = Pick<BrokerParts, "config" | "clock" | "log" | "schedule" | "timers" | "metrics"> & {
  readonly store: MessageStore;
  readonly transactions: Transactions;
};

const FLAG_ONEWAY = 0x2;
const ATTACHMENT = "endTransaction";
const EMPTY: Buffer = Buffer.alloc(0);
/** Half messages up to this size are copied without a new buffer. */
const SCRATCH_BYTES = 64 * 1024;

export function endTransactionRows(parts: EndParts): Row[] {
  const ender = new Ender(parts);
  return [{ code: RequestCode.END_TRANSACTION, name: "END_TRANSACTION", hot: (call) => ender.end(call) }];
}

/** What an ordinary path must remember of a request, whose frame is gone when it goes on. */
export interface Ending {
  group: string;
  halfOffset: number;
  logOffset: number;
  decision: number;
  fromCheck: boolean;
}

/** Notes the outcome of hot commits, and answers those of one connection that wait for it. */
class CommitReplier implements AckTarget {
  readonly #out: ReplyOut | undefined;
  readonly #transactions: Transactions;
  readonly #maxMessageSize: () => number;
  readonly #parts: EndParts;

  constructor(out: ReplyOut | undefined, parts: EndParts) {
    this.#parts = parts;
    this.#out = out;
    this.#transactions = parts.transactions;
    this.#maxMessageSize = () => parts.config.maxMessageSize;
  }

  appended(pending: PendingAppend): void {
    const transactions = this.#transactions;
    if (isStored(pending)) {
      transactions.committed(pending.halfOffset);
      transactions.metrics.add(pending.realTopic, -1);
      const { metrics, clock } = this.#parts;
      metrics?.committed(pending.realTopic, clock.now() - pending.bornTimestamp);
    } else {
      transactions.refused(pending.halfOffset);
    }
    const out = this.#out;
    if (out?.open) out.reply(pending.opaque, pending.serialization, outcome(pending, this.#maxMessageSize()));
  }
}

class Ender {
  readonly #parts: EndParts;
  readonly #log: Logger;
  readonly #request = new EndTransactionRequest();
  readonly #view = new RecordView();
  readonly #half = new HalfRecord();
  readonly #draft = new MessageDraft();
  readonly #scan = new PropertyScan();
  readonly #oneway: CommitReplier;
  #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

  constructor(parts: EndParts) {
    this.#parts = parts;
    this.#log = parts.log;
    this.#oneway = new CommitReplier(undefined, parts);
    this.#draft.taken = true;
  }

  end(call: HotCall): void {
    const request = this.#request;
    request.read(call.view);
    if (this.#parts.config.brokerRole === "SLAVE") {
      this.#reply(call, slave());
      return;
    }
    if (request.decision === DECISION_UNKNOWN) {
      this.#log.debug(
        { group: request.group, msgId: request.messageId, fromCheck: request.fromCheck, producer: call.caller.address },
        "the producer does not know yet how a transaction ends",
      );
      // Apache answers nothing, and whoever waits for it waits in vain.
      this.#reply(call, ok());
      return;
    }
    if (request.decision === DECISION_COMMIT && this.#commitNow(call)) return;
    this.#slowly(call);
  }

  /** The hot commit; false, and nothing done, when something about it is not plain. */
  #commitNow(call: HotCall): boolean {
    const { store, transactions } = this.#parts;
    const { halfOffset, logOffset, groupStart, groupEnd } = this.#request;
    const size = this.#unitSize(halfOffset, logOffset);
    if (size <= 0 || size > this.#scratch.length || !transactions.isOpen(halfOffset)) return false;
    const scratch = this.#scratch;
    if (!store.copy(logOffset, size, scratch, 0)) return false;
    const view = this.#view;
    if (view.read(scratch, 0, size, false) !== "record" || view.queueOffset !== halfOffset) return false;
    const half = this.#half;
    const properties = view.propertiesAt;
    half.read(scratch, properties, properties + view.propertiesBytes, call.buf, groupStart, groupEnd);
    if (half.special || !half.sameGroup || half.topic === "" || half.queueId < 0) return false;
    const draft = this.#fill(view, half);
    const target = this.#target(call);
    const { opaque, serialization } = call.view;
    transactions.committing(halfOffset);
    // The answer needs what is set behind the append, so the target comes last.
    const queue = store.queue(half.topic, half.queueId);
    const pending = store.append(draft, this.#scan, queue, undefined, opaque, serialization);
    pending.halfOffset = halfOffset;
    pending.realTopic = half.topic;
    pending.bornTimestamp = view.bornTimestamp;
    if (pending.status === "ok") pending.target = target;
    else target.appended(pending);
    return true;
  }

  /** Size of the half message's record when it lies where the request says and its unit is in memory; else 0. */
  #unitSize(halfOffset: number, logOffset: number): number {
    const queue = this.#parts.store.findQueue(TRANS_HALF_TOPIC, 0);
    if (queue === undefined || halfOffset < queue.min || halfOffset >= queue.max) return 0;
    const units = queue.unitBuffer(halfOffset);
    if (units === undefined) return 0;
    const at = foundAt;
    return readInt64OrMinus1(units, at) === logOffset ? units.readInt32BE(at + 8) : 0;
  }

  #fill(view: RecordView, half: HalfRecord): MessageDraft {
    const draft = this.#draft;
    const scan = this.#scan;
    const { buf } = view;
    scan.scan(buf, view.propertiesAt, half.propertiesEnd);
    draft.queueId = half.queueId;
    draft.flag = view.flag;
    draft.sysFlag = (view.sysFlag & ~TRANSACTION_MASK) | TRANSACTION_COMMIT;
    draft.bornTimestamp = view.bornTimestamp;
    draft.setHosts(view.bornHost(), this.#parts.store.storeHost);
    draft.reconsumeTimes = view.reconsumeTimes;
    draft.preparedTransactionOffset = view.logOffset;
    draft.body = buf;
    draft.bodyStart = view.bodyAt;
    draft.bodyEnd = view.bodyAt + view.bodyBytes;
    draft.properties = buf;
    draft.propertiesStart = view.propertiesAt;
    draft.propertiesEnd = half.propertiesEnd;
    draft.suffix = EMPTY;
    draft.tagsCode =
      scan.tagsStart >= 0 && scan.tagsEnd > scan.tagsStart ? javaHashUtf8(0, buf, scan.tagsStart, scan.tagsEnd) : 0;
    return draft;
  }

  #target(call: HotCall): CommitReplier {
    if ((call.view.flag & FLAG_ONEWAY) !== 0) return this.#oneway;
    let replier = call.attachments.get(ATTACHMENT) as CommitReplier | undefined;
    if (replier === undefined) {
      replier = new CommitReplier(call.out, this.#parts);
      call.attachments.set(ATTACHMENT, replier);
    }
    return replier;
  }

  #slowly(call: HotCall): void {
    const { group, halfOffset, logOffset, decision, fromCheck } = this.#request;
    const { opaque, serialization, flag } = call.view;
    const { out } = call;
    const oneway = (flag & FLAG_ONEWAY) !== 0;
    const ending = { group, halfOffset, logOffset, decision, fromCheck };
    endSlowly(this.#parts, ending)
      .catch((error: Error): Reply => {
        this.#log.error({ err: error, ...ending }, "transaction not ended");
        return refuse("SYSTEM_ERROR", error.message);
      })
      .then((reply) => {
        if (!oneway && out.open) out.reply(opaque, serialization, reply);
      });
  }

  #reply(call: HotCall, reply: Reply): void {
    if ((call.view.flag & FLAG_ONEWAY) === 0) call.out.reply(call.view.opaque, call.view.serialization, reply);
  }
}

/** Ends a transaction for a verdict that is no frame: the only path of gRPC. */
export async function endTransaction(parts: EndParts, ending: Ending): Promise<Reply> {
  if (parts.config.brokerRole === "SLAVE") return slave();
  if (ending.decision !== DECISION_UNKNOWN) return endSlowly(parts, ending);
  parts.log.warn({ ...ending }, "the producer does not know yet how a transaction ends");
  return ok();
}

function slave(): Reply {
  return refuse("SLAVE_NOT_AVAILABLE", "this broker is a slave: only its master ends transactions");
}

async function endSlowly(parts: EndParts, ending: Ending): Promise<Reply> {
  const half = await parts.store.messageAt(ending.logOffset);
  const refusal = check(parts, half, ending);
  if (refusal !== undefined) return refusal;
  const found = half as StoredMessage;
  const state = await parts.transactions.stateOf(found);
  if (ending.decision === DECISION_ROLLBACK) return rollBack(parts, found, state);
  if (state.state === "decided") return ok();
  if (state.state === "rolledBack") {
    return refuse("SYSTEM_ERROR", "Find prepared transaction message failed: it was rolled back before");
  }
  return commit(parts, found, state);
}

/** What must be true of the half message, in Apache's order and words. */
function check(parts: EndParts, half: StoredMessage | undefined, ending: Ending): Reply | undefined {
  const { clock, config } = parts;
  if (half === undefined) return refuse("SYSTEM_ERROR", "Find prepared transaction message failed");
  const immunityMs = immunityMsOf(half);
  if (immunityMs !== undefined && !ending.fromCheck) {
    const immune = Math.max(Number.isNaN(immunityMs) ? 0 : immunityMs, config.transactionTimeOut);
    const age = clock.now() - half.bornTimestamp;
    if (age > immune) {
      return refuse(
        "ILLEGAL_OPERATION",
        `the message is ${age} ms old, its immunity time was ${immune} ms: the producer will be asked`,
      );
    }
  }
  if (half.properties.get(Property.PRODUCER_GROUP) !== ending.group) {
    return refuse("SYSTEM_ERROR", "The producer group wrong");
  }
  if (half.queueOffset !== ending.halfOffset) {
    return refuse("SYSTEM_ERROR", "The transaction state table offset wrong");
  }
  if (half.topic !== TRANS_HALF_TOPIC || destinationOf(half) === undefined) {
    return refuse("SYSTEM_ERROR", "Find prepared transaction message failed: the message there is no half message");
  }
  return undefined;
}

async function rollBack(
  { transactions, config, metrics }: EndParts,
  half: StoredMessage,
  state: HalfState,
): Promise<Reply> {
  const result = state.state === "open" ? await transactions.rollBack(half, state) : undefined;
  if (result !== undefined && isStored(result)) metrics?.rolledBack(destinationOf(half)?.topic ?? "");
  return result === undefined ? ok() : outcome(result, config.maxMessageSize);
}

async function commit(parts: EndParts, half: StoredMessage, state: OpenHalf): Promise<Reply> {
  const { store, schedule, timers, transactions, config } = parts;
  const { topic, queueId } = destinationOf(half) as { topic: string; queueId: number };
  const result = await transactions.commit(half, state, () => {
    const message = committed(half, topic, queueId);
    schedule.levels.defer(message);
    const refused = timers.defer(message);
    return refused === undefined ? store.put(message) : Promise.resolve(notDeferred(refused));
  });
  if (result !== undefined && isStored(result)) parts.metrics?.committed(topic, parts.clock.now() - half.bornTimestamp);
  return result === undefined ? ok() : outcome(result, config.maxMessageSize);
}

/** A message that asks for an exact time which it cannot have (any more): it stays half, and its producer is asked again. */
function notDeferred({ status, reason }: TimerRefusal): AppendResult {
  return {
    status: status === "flowControl" ? "busy" : "messageIllegal",
    reason,
    logOffset: -1,
    queueOffset: -1,
    bytes: 0,
    storeTimestamp: 0,
  };
}

/** Apache's codes and words for the append of a committed message (sendFinalMessage), with the exact reason behind. */
function outcome(result: { status: AppendStatus; reason: string } | AppendResult, maxMessageSize: number): Reply {
  const { status, reason } = result;
  if (isStored(result)) return ok();
  switch (status) {
    case "messageIllegal":
    case "propertiesTooLong":
      return refuse(
        "MESSAGE_ILLEGAL",
        "The message is illegal, maybe msg body or properties length not matched. msg body length limit " +
          `${maxMessageSize}B, msg properties length limit 32KB. ${reason}`,
      );
    case "busy":
      return refuse("SYSTEM_ERROR", `OS page cache busy, please try another machine: ${reason}`);
    default:
      return refuse("SERVICE_NOT_AVAILABLE", `Service not available now. ${reason}`);
  }
}
