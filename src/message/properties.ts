/**
 * Message properties: `name 0x01 value 0x02` repeated (MessageDecoder.string2messageProperties and its reverse), and
 * the names RocketMQ gives a meaning (MessageConst).
 */

export const NAME_VALUE_SEPARATOR = "\u0001";
export const PROPERTY_SEPARATOR = "\u0002";

export const Property = {
  KEYS: "KEYS",
  TAGS: "TAGS",
  WAIT_STORE_MSG_OK: "WAIT",
  DELAY_TIME_LEVEL: "DELAY",
  RETRY_TOPIC: "RETRY_TOPIC",
  REAL_TOPIC: "REAL_TOPIC",
  REAL_QUEUE_ID: "REAL_QID",
  TRANSACTION_PREPARED: "TRAN_MSG",
  PRODUCER_GROUP: "PGROUP",
  TRANSACTION_ID: "__transactionId__",
  TRANSACTION_CHECK_TIMES: "TRANSACTION_CHECK_TIMES",
  TRANSACTION_PREPARED_QUEUE_OFFSET: "TRAN_PREPARED_QUEUE_OFFSET",
  CHECK_IMMUNITY_TIME_IN_SECONDS: "CHECK_IMMUNITY_TIME_IN_SECONDS",
  MIN_OFFSET: "MIN_OFFSET",
  MAX_OFFSET: "MAX_OFFSET",
  ORIGIN_MESSAGE_ID: "ORIGIN_MESSAGE_ID",
  RECONSUME_TIME: "RECONSUME_TIME",
  MSG_REGION: "MSG_REGION",
  TRACE_SWITCH: "TRACE_ON",
  UNIQUE_KEY: "UNIQ_KEY",
  MAX_RECONSUME_TIMES: "MAX_RECONSUME_TIMES",
  INNER_MULTI_DISPATCH: "INNER_MULTI_DISPATCH",
  INNER_MULTI_QUEUE_OFFSET: "INNER_MULTI_QUEUE_OFFSET",
  INNER_NUM: "INNER_NUM",
  POP_CK: "POP_CK",
  CLUSTER: "CLUSTER",
  MESSAGE_TYPE: "MSG_TYPE",
  SHARDING_KEY: "__SHARDINGKEY",
  TIMER_DELIVER_MS: "TIMER_DELIVER_MS",
  TIMER_DELAY_SEC: "TIMER_DELAY_SEC",
  TIMER_DELAY_MS: "TIMER_DELAY_MS",
  TIMER_OUT_MS: "TIMER_OUT_MS",
  TIMER_ENQUEUE_MS: "TIMER_ENQUEUE_MS",
  TIMER_DEQUEUE_MS: "TIMER_DEQUEUE_MS",
  TIMER_ROLL_TIMES: "TIMER_ROLL_TIMES",
  TIMER_DEL_UNIQKEY: "TIMER_DEL_UNIQKEY",
  BORN_TIMESTAMP: "BORN_TIMESTAMP",
  TRACE_CONTEXT: "TRACE_CONTEXT",
  DLQ_ORIGIN_TOPIC: "DLQ_ORIGIN_TOPIC",
  DLQ_ORIGIN_MESSAGE_ID: "DLQ_ORIGIN_MESSAGE_ID",
  FORWARD_QUEUE_ID: "PROPERTY_FORWARD_QUEUE_ID",
  REPLY_TO_CLIENT: "REPLY_TO_CLIENT",
  CORRELATION_ID: "CORRELATION_ID",
} as const;

/** Parses a properties string, order kept. Entries without a separator, a name or a value are dropped, as Apache does. */
export function parseProperties(text: string): Map<string, string> {
  const map = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    let end = text.indexOf(PROPERTY_SEPARATOR, at);
    if (end < 0) end = text.length;
    const split = text.indexOf(NAME_VALUE_SEPARATOR, at);
    if (split > at && split < end - 1) map.set(text.slice(at, split), text.slice(split + 1, end));
    at = end + 1;
  }
  return map;
}

/** The wire form of a property map; every entry is closed by 0x02, as Apache 5.x writes it. */
export function formatProperties(properties: Iterable<[string, string]>): string {
  let text = "";
  for (const [name, value] of properties) text += name + NAME_VALUE_SEPARATOR + value + PROPERTY_SEPARATOR;
  return text;
}
