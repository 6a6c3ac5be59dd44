/**
 * PullMessage: reading a queue by offset, which the protocol describes, no released client uses, and Apache's proxy
 * answers with UNIMPLEMENTED. A stream: the status, the messages, the offset to go on from.
 */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { ProxyConfig } from "../config/index.ts";
import { Property } from "../message/properties.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { Backend } from "./backend.ts";
import { groupOf } from "./checks.ts";
import type { Context } from "./context.ts";
import { Code, type PullMessageRequest, type PullMessageResponse } from "./generated/messages.ts";
import { queueOf } from "./offsets.ts";
import type { Outbound } from "./outbound.ts";
import { bodyBytes, type MessageSource, outMessage } from "./outMessage.ts";
import { codec, type Init } from "./proto.ts";
import { subscriptionOf } from "./registry.ts";
import type { FrameSink } from "./server.ts";
import { OK, type OutStatus, Refusal, statusOf, statusOfReply } from "./status.ts";
import { toMs } from "./times.ts";

export interface PullParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly config: ProxyConfig;
  readonly backend: Backend;
  readonly outbound: Outbound;
}

const MESSAGES_MAX = 32;
/** The answer must reach the client before it gives up. */
const RESERVE_MS = 500;

/** What a pull comes to: without messages there is a reason in the status. */
interface Outcome {
  status: OutStatus;
  topic: string;
  sources: readonly MessageSource[];
  nextOffset: number;
}

export async function pullMessage(
  parts: PullParts,
  context: Context,
  request: PullMessageRequest,
  sink: FrameSink,
): Promise<void> {
  const frames = codec("PullMessageResponse");
  const frame = (response: Init<PullMessageResponse>) => frames.encodeFrame(response);
  const outcome = await pull(parts, context, request).catch((error: unknown): Outcome => {
    if (!(error instanceof Refusal)) parts.log.error({ err: error }, "a pull failed");
    return { status: statusOf(error), topic: "", sources: [], nextOffset: request.offset };
  });
  const { status, topic, sources, nextOffset } = outcome;
  sink.write(frame({ status }));
  let behindBytes = bodyBytes(sources);
  for (const source of sources) {
    behindBytes -= source.body.length;
    const message = frame({ message: outMessage(source, topic, undefined, parts.clock.now()) });
    // Who does not get them all gets no offset to go on from, and pulls again from where it was.
    if (!(await parts.outbound.write(context, sink, message, behindBytes))) return;
  }
  sink.write(frame({ nextOffset }));
  sink.end();
}

async function pull(parts: PullParts, { call }: Context, request: PullMessageRequest): Promise<Outcome> {
  const { backend, clock, config } = parts;
  const group = groupOf(request.group);
  const { brokerName, topic, queueId } = await queueOf(backend, request.messageQueue);
  const { expressionType, subString, tagsSet } = subscriptionOf(topic, request.filterExpression, clock.now());
  parts.outbound.needRoom();
  const { offset } = request;
  const longest = config.grpcClientConsumerMaxLongPollingTimeoutMillis;
  const remaining = (call.remainingMs() ?? Number.POSITIVE_INFINITY) - RESERVE_MS;
  const pulled = await backend.pull({
    brokerName,
    group,
    topic,
    queueId,
    offset,
    maxMessages: Math.max(1, Math.min(request.batchSize, MESSAGES_MAX)),
    expressionType,
    expression: subString,
    waitMs: Math.max(0, Math.min(toMs(request.longPollingTimeout), longest, remaining)),
    alive: () => !call.cancelled,
  });
  const none = (status: OutStatus, nextOffset: number): Outcome => ({ status, topic, sources: [], nextOffset });
  if (!("sources" in pulled)) {
    if (pulled.code !== ResponseCode.SUBSCRIPTION_PARSE_FAILED) return none(statusOfReply(pulled), offset);
    const message = pulled.remark ?? "expression format is not correct";
    return none({ code: Code.ILLEGAL_FILTER_EXPRESSION, message }, offset);
  }
  const { nextOffset } = pulled;
  if (pulled.outside) {
    const message = `offset ${offset} is none of the queue's, the nearest is ${nextOffset}`;
    return none({ code: Code.ILLEGAL_OFFSET, message }, nextOffset);
  }
  // Tags are compared by hash in the queue: this is where two of one hash are told apart.
  const wanted = (source: MessageSource) =>
    tagsSet.length === 0 || tagsSet.includes(source.properties.get(Property.TAGS) ?? "");
  const sources = pulled.sources.filter(wanted);
  if (sources.length > 0) {
    parts.outbound.needRoom();
    return { status: OK, topic, sources, nextOffset };
  }
  return none({ code: Code.MESSAGE_NOT_FOUND, message: "no new message" }, nextOffset);
}
