/** MessageQueue: one queue of one topic on one broker; also a map key, written without quotes. */

import type { JavaKey } from "../javaJson.ts";
import { asBean, type Bean, BodyError } from "./reader.ts";

export interface MessageQueue {
  brokerName: string;
  queueId: number;
  topic: string;
}

export function readMessageQueue(bean: Bean): MessageQueue {
  return {
    brokerName: bean.text("brokerName") ?? "",
    queueId: bean.integer("queueId", 0),
    topic: bean.text("topic") ?? "",
  };
}

/** A map key of Java type MessageQueue: an object, never text (Apache 5.5.0 refuses the escaped text as well). */
export function messageQueueKey(key: JavaKey, path: string): MessageQueue {
  if (!(key instanceof Map)) throw new BodyError(`${path}: the key must be an object {"brokerName","queueId","topic"}`);
  return asBean(readMessageQueue)(key, path);
}
