/**
 * The request codes of Apache 5.5.0 that this server knows and refuses, each with the reason that the client gets as
 * remark of REQUEST_CODE_NOT_SUPPORTED. A test demands that every other code is a row of the broker or the NameServer.
 */
import type { Unsupported } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";

type Name = keyof typeof RequestCode;

const DEAD = "no release of Apache RocketMQ sends or serves this code; it is only a name";
const TO_CLIENTS = "brokers send this code to clients; no broker takes it";
const STATIC = "static topics, whose queues span several brokers, are not part of this version yet";
const ACTING_MASTER = "slaves that act for their master (enableSlaveActingMaster) are not part of this version yet";
const CONTROLLER = "this is not a controller: run Apache's Controller for automatic failover";
const CONTAINER = "this is not a broker container: start one process per broker";
const ROCKSDB = "there is no RocksDB in this broker: queues and metadata lie in Apache's plain files";

const REASONS: readonly (readonly [reason: string, ...names: Name[]])[] = [
  [
    DEAD,
    "QUERY_BROKER_OFFSET",
    "GET_TOPIC_CONFIG_LIST",
    "GET_TOPIC_NAME_LIST",
    "TRIGGER_DELETE_FILES",
    "GET_CLIENT_CONFIG",
    "SUSPEND_CONSUMER",
    "RESUME_CONSUMER",
    "ACK_LITE_MESSAGE",
    "RESET_CONSUMER_OFFSET_IN_CONSUMER",
    "RESET_CONSUMER_OFFSET_IN_BROKER",
    "ADJUST_CONSUMER_THREAD_POOL",
    "WHO_CONSUME_THE_MESSAGE",
    "REGISTER_FILTER_SERVER",
    "REGISTER_MESSAGE_FILTER_CLASS",
  ],
  [
    TO_CLIENTS,
    "CHECK_TRANSACTION_STATE",
    "NOTIFY_CONSUMER_IDS_CHANGED",
    "RESET_CONSUMER_CLIENT_OFFSET",
    "GET_CONSUMER_STATUS_FROM_CLIENT",
    "PUSH_REPLY_MESSAGE_TO_CLIENT",
    "NOTIFY_UNSUBSCRIBE_LITE",
  ],
  [STATIC, "UPDATE_AND_CREATE_STATIC_TOPIC"],
  [ACTING_MASTER, "NOTIFY_MIN_BROKER_ID_CHANGE"],
  [
    CONTROLLER,
    "CONTROLLER_ALTER_SYNC_STATE_SET",
    "CONTROLLER_ELECT_MASTER",
    "CONTROLLER_REGISTER_BROKER",
    "CONTROLLER_GET_REPLICA_INFO",
    "CONTROLLER_GET_METADATA_INFO",
    "CONTROLLER_GET_SYNC_STATE_DATA",
    "UPDATE_CONTROLLER_CONFIG",
    "GET_CONTROLLER_CONFIG",
    "CLEAN_BROKER_DATA",
    "CONTROLLER_GET_NEXT_BROKER_ID",
    "CONTROLLER_APPLY_BROKER_ID",
  ],
  [CONTAINER, "ADD_BROKER", "REMOVE_BROKER"],
  [ROCKSDB, "CHECK_ROCKSDB_CQ_WRITE_PROGRESS", "EXPORT_ROCKSDB_CONFIG_TO_JSON"],
];

export const UNSUPPORTED: readonly Unsupported[] = REASONS.flatMap(([reason, ...names]) =>
  names.map((name) => ({ code: RequestCode[name], name, reason })),
);
