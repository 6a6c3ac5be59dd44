/**
 * Server-side assignment of queues: QueryAssignmentRequestBody, QueryAssignmentResponseBody (MessageQueueAssignment) and
 * SetMessageRequestModeRequestBody.
 */
import type { Buffer } from "node:buffer";
import { writeJavaJson } from "../javaJson.ts";
import type { MessageQueue } from "./messageQueue.ts";
import { type Bean, BodyError, readBean } from "./reader.ts";

export type Mode = "PULL" | "POP";

export interface RequestMode {
  topic: string;
  consumerGroup: string;
  mode: Mode;
  /** How many members may pop a queue beside its own; 0 or less: all pop all queues. */
  popShareQueueNum: number;
}

export interface AssignmentQuery {
  topic: string;
  consumerGroup: string;
  clientId: string;
  strategyName: string;
  messageModel: string;
}

/** @throws BodyError */
export function decodeRequestMode(body: Buffer | string): RequestMode {
  return readRequestMode(readBean("SetMessageRequestModeRequestBody", body));
}

/** Missing fields as in the Java class: PULL, all members pop all queues. */
export function readRequestMode(bean: Bean): RequestMode {
  const mode = bean.text("mode") ?? "PULL";
  if (mode !== "PULL" && mode !== "POP") throw new BodyError(`mode: ${mode} is neither PULL nor POP`);
  return {
    consumerGroup: need(bean, "consumerGroup"),
    mode,
    popShareQueueNum: bean.integer("popShareQueueNum", 0),
    topic: need(bean, "topic"),
  };
}

/** @throws BodyError */
export function decodeAssignmentQuery(body: Buffer | string): AssignmentQuery {
  const bean = readBean("QueryAssignmentRequestBody", body);
  return {
    topic: need(bean, "topic"),
    consumerGroup: need(bean, "consumerGroup"),
    clientId: bean.text("clientId") ?? "",
    strategyName: bean.text("strategyName") ?? "",
    messageModel: need(bean, "messageModel"),
  };
}

function need(bean: Bean, name: string): string {
  const value = bean.text(name);
  if (value === undefined) throw new BodyError(`${name} is missing`);
  return value;
}

/** `queues` undefined: the client keeps what it has. */
export function encodeAssignments(queues: readonly MessageQueue[] | undefined, mode: Mode): string {
  return writeJavaJson({ messageQueueAssignments: queues?.map((messageQueue) => ({ messageQueue, mode })) });
}
