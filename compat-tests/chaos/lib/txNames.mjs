// Topics, groups and plans of the transactional load.

export const TX_TOPIC = "ChaosTx";
export const TX_QUEUES = 4;
export const TX_GROUP = "ChaosTxProducers";
export const HALF_TOPIC = "RMQ_SYS_TRANS_HALF_TOPIC";
export const TRANSACTION_GROUP = "CID_RMQ_SYS_TRANS";

export const COMMIT = 8;
export const ROLLBACK = 12;
export const UNKNOWN = 0;

/** `t.producer.queue.seq` */
export function txIdOf(producer, queueId, seq) {
  return `t.${producer}.${queueId}.${seq}`;
}
