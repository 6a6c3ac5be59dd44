/**
 * ReceiveMessage (Apache: ReceiveMessageActivity, ReceiveMessageResponseStreamWriter): a pop whose messages go out as a
 * stream: the status, the messages, the time of delivery. What a client no longer takes is given back at once.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { isReadable } from "../broker/model.ts";
import type { ProxyConfig } from "../config/index.ts";
import { Property } from "../message/properties.ts";
import type { SubscriptionData } from "../protocol/bodies/subscriptionData.ts";
import type { Caller, Reply } from "../protocol/dispatch.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { Backend, Popped, PopSink } from "./backend.ts";
import { checkInvisibleTime, groupOf, topicOf } from "./checks.ts";
import type { GrpcClients } from "./clients.ts";
import type { Context } from "./context.ts";
import { Code, type ReceiveMessageRequest } from "./generated/messages.ts";
import { GrpcError } from "./grpcStatus.ts";
import type { Outbound } from "./outbound.ts";
import { idOf, outMessage } from "./outMessage.ts";
import { codec } from "./proto.ts";
import { topicOfHandle, writeHandle } from "./receiptHandle.ts";
import { subscriptionOf } from "./registry.ts";
import type { Renewals } from "./renewals.ts";
import { need } from "./route.ts";
import type { FrameSink } from "./server.ts";
import { OK, type OutStatus, Refusal, statusOf, statusOfReply } from "./status.ts";
import type { Consumption } from "./telemetry.ts";
import { timestamp, toMs } from "./times.ts";

export interface ReceiveParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly config: ProxyConfig;
  readonly backend: Backend;
  readonly clients: GrpcClients;
  readonly renewals: Renewals;
  readonly outbound: Outbound;
  readonly callerOf: (context: Context) => Caller;
  readonly consumptionOf: (context: Context) => Promise<Consumption>;
  readonly deadLetter: (popped: Popped, group: string, topic: string, caller: Caller) => Promise<Reply>;
}

/** ProxyUtils.MAX_MSG_NUMS_FOR_POP_REQUEST. */
const MESSAGES_MAX = 32;
/** A delivery that does not reach its client is hidden for this long only. */
const GIVE_BACK_MS = 1_000;
/** How long before its client gives up a receive is answered: Rust's waits for no longer than it asks the server to. */
const RESERVE_MS = 500;
/** Frames are joined up to this: writing to an HTTP/2 stream costs far more than copying. */
const WRITE_BYTES = 65_536;
/** Clients from this version on know ILLEGAL_POLLING_TIME. Compared as text, as in Apache. */
const KNOWS_POLLING_TIME = "5.0.3";

/** A receive that passed all checks. */
interface Receive {
  context: Context;
  caller: Caller;
  group: string;
  topic: string;
  subscription: SubscriptionData;
  maxAttempts: number;
  autoRenew: boolean;
  sink: FrameSink;
}

export class Receiving {
  readonly #parts: ReceiveParts;
  readonly #frames = codec("ReceiveMessageResponse");
  readonly #ok = this.#frames.encodeFrame({ status: OK });

  constructor(parts: ReceiveParts) {
    this.#parts = parts;
  }

  async receive(context: Context, request: ReceiveMessageRequest, sink: FrameSink): Promise<void> {
    try {
      await this.#pop(context, request, sink);
    } catch (error) {
      this.#finish(sink, statusOf(error));
      if (!(error instanceof Refusal)) this.#parts.log.error({ err: error }, "a receive failed");
    }
  }

  async #pop(context: Context, request: ReceiveMessageRequest, sink: FrameSink): Promise<void> {
    const { config, backend, clock } = this.#parts;
    const { maxAttempts, fifo, lite, requestTimeoutMs } = await this.#parts.consumptionOf(context);
    const pollMs = this.#pollingMs(context, request, requestTimeoutMs);
    const topic = topicOf(request.messageQueue?.topic ?? null);
    const group = groupOf(request.group);
    const autoRenew = config.enableProxyAutoRenew && request.autoRenew;
    const invisibleMs = autoRenew ? config.defaultInvisibleTimeMills : toMs(request.invisibleDuration);
    if (!autoRenew) checkInvisibleTime(config, invisibleMs, config.minInvisibleTimeMillsForRecv);
    const subscription = subscriptionOf(topic, request.filterExpression, clock.now());
    const brokers = (await need(backend, topic)).filter(
      ({ perm, readQueueNums }) => isReadable(perm) && readQueueNums > 0,
    );
    const named = request.messageQueue?.broker?.name ?? "";
    const broker = brokers.find(({ brokerName }) => brokerName === named) ?? brokers[0];
    if (broker === undefined) throw new Refusal("FORBIDDEN", "no readable queue");
    this.#parts.outbound.needRoom();
    if (context.call.cancelled) return;
    const caller = this.#parts.callerOf(context);
    const receive = { context, caller, group, topic, subscription, maxAttempts, autoRenew, sink };
    const { call } = context;
    const { brokerName } = broker;
    const maxMessages = Math.min(request.batchSize, MESSAGES_MAX);
    const attemptId = request.attemptId ?? undefined;
    const popSink: PopSink = {
      address: call.peer.address,
      get open() {
        return !call.cancelled;
      },
      // What was popped is noted by this turn's log write, and must not be seen before.
      found: (messages) =>
        clock.endOfTurn(() => {
          this.#deliver(receive, messages).catch((error) => this.#failed(receive, messages, error));
        }),
      nothing: (full, remark) =>
        this.#finish(
          sink,
          full
            ? { code: Code.TOO_MANY_REQUESTS, message: `polling full: ${remark}` }
            : { code: Code.MESSAGE_NOT_FOUND, message: "no new message" },
        ),
      refused: (reply) => this.#finish(sink, refusalOf(reply)),
      failed: (error) => this.#finish(sink, statusOf(error)),
    };
    if (lite) {
      const { clientId } = context;
      backend.popLite({ brokerName, clientId, group, topic, maxMessages, invisibleMs, pollMs, attemptId }, popSink);
      return;
    }
    backend.pop(
      {
        brokerName,
        group,
        topic,
        // The queue that a client names does not count, also not for an ordered group.
        queueId: -1,
        maxMessages,
        invisibleMs,
        pollMs,
        expressionType: subscription.expressionType,
        expression: subscription.subString,
        order: fifo,
        attemptId,
      },
      popSink,
    );
  }

  /** How long it may wait: as the client wishes, within bounds, and not beyond its deadline. */
  #pollingMs({ call, clientVersion }: Context, request: ReceiveMessageRequest, requestTimeoutMs: number): number {
    const min = this.#parts.config.grpcClientConsumerMinLongPollingTimeoutMillis;
    const max = this.#parts.config.grpcClientConsumerMaxLongPollingTimeoutMillis;
    const remaining = call.remainingMs() ?? Number.POSITIVE_INFINITY;
    const wished = request.longPollingTimeout ? toMs(request.longPollingTimeout) : remaining - requestTimeoutMs / 2;
    const polling = Math.min(max, Math.max(min, wished));
    if (polling <= remaining || remaining >= min)
      return Math.max(0, Math.floor(Math.min(polling, remaining - RESERVE_MS)));
    throw new Refusal(
      clientVersion < KNOWS_POLLING_TIME ? "BAD_REQUEST" : "ILLEGAL_POLLING_TIME",
      "The deadline time remaining is not enough for polling, please check network condition",
    );
  }

  async #deliver(receive: Receive, popped: readonly Popped[]): Promise<void> {
    const { context, group, topic, sink, autoRenew } = receive;
    const { clients, renewals, clock, outbound } = this.#parts;
    const wanted = popped.filter((one) => this.#isWanted(receive, one));
    const { clientId, call } = context;
    if (call.cancelled || (autoRenew && clients.find(clientId) === undefined)) {
      this.#giveBack(receive, wanted);
      const message = `The client [${clientId}] is disconnected.`;
      this.#finish(sink, { code: Code.MESSAGE_NOT_FOUND, message });
      return;
    }
    if (wanted.length === 0) {
      this.#finish(sink, { code: Code.MESSAGE_NOT_FOUND, message: "no match message" });
      return;
    }
    try {
      outbound.needRoom();
    } catch (error) {
      this.#giveBack(receive, wanted);
      this.#finish(sink, statusOf(error));
      return;
    }
    let sent = 0;
    let frames: Buffer[] = [this.#ok];
    let bytes = this.#ok.length;
    let behindBytes = 0;
    for (const { source } of wanted) behindBytes += source.body.length;
    for (let i = 0; i < wanted.length; i++) {
      const { source, handle } = wanted[i];
      const message = outMessage(source, topic, writeHandle(handle), clock.now());
      const frame = this.#frames.encodeFrame({ message });
      frames.push(frame);
      bytes += frame.length;
      behindBytes -= source.body.length;
      const last = i === wanted.length - 1;
      if (last) frames.push(this.#deliveryTime());
      else if (bytes < WRITE_BYTES) continue;
      const taken = outbound.write(context, sink, Buffer.concat(frames), behindBytes);
      if (taken !== true && !(await taken)) break;
      frames = [];
      bytes = 0;
      for (; sent <= i; sent++) {
        if (!autoRenew) continue;
        const { source: given, handle: renewed } = wanted[sent];
        renewals.add(clientId, group, topic, idOf(given), given.reconsumeTimes, renewed);
      }
    }
    // Whether the last write reached the client nobody knows; what was not even written did not.
    if (sent < wanted.length) this.#giveBack(receive, wanted.slice(sent));
    sink.end();
  }

  /** Nobody knows how many of them were written: the client acknowledges those it got. */
  #failed(receive: Receive, popped: readonly Popped[], error: unknown): void {
    this.#parts.log.error({ err: error, group: receive.group, topic: receive.topic }, "messages were not delivered");
    this.#giveBack(receive, popped);
    receive.sink.end(new GrpcError("INTERNAL", "the messages could not be delivered"));
  }

  /** Messages that are not for this group, or were tried often enough, do not go to the client. */
  #isWanted(receive: Receive, popped: Popped): boolean {
    const { caller, group, topic, subscription, maxAttempts } = receive;
    const { backend, log } = this.#parts;
    const { source, handle } = popped;
    const { tagsSet } = subscription;
    const warn = (error: Error) => log.warn({ err: error, group, topic }, "a popped message was not settled");
    // Tags are compared by hash in the queue: this is where two of one hash are told apart.
    if (tagsSet.length > 0 && !tagsSet.includes(source.properties.get(Property.TAGS) ?? "")) {
      const from = topicOfHandle(handle, topic, group);
      Promise.resolve(backend.ack(handle, group, from, caller.address)).catch(warn);
      return false;
    }
    if (source.reconsumeTimes >= maxAttempts) {
      this.#parts.deadLetter(popped, group, topic, caller).catch(warn);
      return false;
    }
    return true;
  }

  #giveBack({ caller, group, topic }: Receive, popped: readonly Popped[]): void {
    const { backend, log } = this.#parts;
    for (const { handle } of popped) {
      backend
        .changeInvisible(handle, group, topicOfHandle(handle, topic, group), GIVE_BACK_MS, true, caller.address)
        .catch((error: Error) => log.warn({ err: error, group, topic }, "a message was not given back"));
    }
  }

  #finish(sink: FrameSink, status: OutStatus): void {
    sink.write(Buffer.concat([this.#frames.encodeFrame({ status }), this.#deliveryTime()]));
    sink.end();
  }

  #deliveryTime(): Buffer {
    return this.#frames.encodeFrame({ deliveryTimestamp: timestamp(this.#parts.clock.now()) });
  }
}

/** Apache's proxy gives a filter's error by itself; the broker's is the same. */
function refusalOf(reply: Reply): OutStatus {
  return reply.code === ResponseCode.SUBSCRIPTION_PARSE_FAILED
    ? { code: Code.ILLEGAL_FILTER_EXPRESSION, message: reply.remark ?? "expression format is not correct" }
    : statusOfReply(reply);
}
