/**
 * What the store promises to those above it: message in, message out, in offsets; no commands, no sockets.
 * `MessageStore` (messageStore.ts) implements {@link Store}.
 */
import type { Buffer } from "node:buffer";

/** A message to append, on paths that are not hot (retries, schedules, system messages). */
export interface NewMessage {
  topic: string;
  queueId: number;
  body: Buffer;
  properties: Map<string, string>;
  flag?: number;
  sysFlag?: number;
  bornTimestamp?: number;
  /** Host bytes (4+4 or 16+4); default the store host. */
  bornHost?: Buffer;
  reconsumeTimes?: number;
  preparedTransactionOffset?: number;
  /** A message that was taken before, written again: maxMessageSize, which may have become smaller since, does not count. */
  taken?: boolean;
  /** ConsumeQueue tag code; default: Java hash of TAGS, 0 without tags. */
  tagsCode?: number;
}

/** Outcome of an append. Only `ok` was acknowledged in full; the next three are stored, with Apache's caveat. */
export type AppendStatus =
  | "ok"
  | "flushDiskTimeout"
  | "flushSlaveTimeout"
  | "slaveNotAvailable"
  | "messageIllegal"
  | "propertiesTooLong"
  | "notAvailable"
  | "lmqQuotaExceeded"
  | "busy";

export interface AppendResult {
  status: AppendStatus;
  /** Why, in one exact sentence, when the status is not `ok`. */
  reason: string;
  logOffset: number;
  queueOffset: number;
  /** Bytes written. */
  bytes: number;
  storeTimestamp: number;
}

/** A message read back. */
export interface StoredMessage {
  topic: string;
  queueId: number;
  flag: number;
  sysFlag: number;
  queueOffset: number;
  logOffset: number;
  bornTimestamp: number;
  bornHost: Buffer;
  storeTimestamp: number;
  storeHost: Buffer;
  reconsumeTimes: number;
  preparedTransactionOffset: number;
  body: Buffer;
  properties: Map<string, string>;
  /** The record's bytes as they lie in the log. */
  bytes: Buffer;
}

/** One ConsumeQueue unit. */
export interface QueueUnit {
  queueOffset: number;
  logOffset: number;
  bytes: number;
  tagsCode: number;
}

export type Boundary = "LOWER" | "UPPER";

export interface KeyQuery {
  topic: string;
  key: string;
  maxNum: number;
  /** Store timestamps, ms, inclusive. */
  begin: number;
  end: number;
}

export interface KeyQueryResult {
  messages: StoredMessage[];
  indexLastUpdateTimestamp: number;
  indexLastUpdateLogOffset: number;
}

/** State of the disk as writers see it. */
export interface Writability {
  writable: boolean;
  /** The exact remark for a refusal, naming figures and the option that changes them. */
  reason: string;
}

export interface Store {
  /** Host bytes of this broker in records and message ids. */
  readonly storeHost: Buffer;
  /** Appends; resolves when the acknowledgement could be given (or refused). Never rejects. */
  put(message: NewMessage): Promise<AppendResult>;
  /**
   * Reads the record that begins at `logOffset`; undefined when there is none.
   * @param lone the records around it will not be asked for
   */
  messageAt(logOffset: number, lone?: boolean): Promise<StoredMessage | undefined>;
  /** First offset still stored of a queue; 0 for a queue that never existed. */
  minOffset(topic: string, queueId: number): number;
  /** Offset the next message of the queue will get (what consumers may see). */
  maxOffset(topic: string, queueId: number): number;
  /** Units from `queueOffset` on, at most `count`; for browsing, scheduling and recovery, not for the pull path. */
  units(topic: string, queueId: number, queueOffset: number, count: number): Promise<QueueUnit[]>;
  /** Queue offset by store time (SEARCH_OFFSET_BY_TIMESTAMP semantics of Apache 5.5.0). */
  offsetByTime(topic: string, queueId: number, timestampMs: number, boundary: Boundary): Promise<number>;
  /** Store time of the message at a queue offset, ms, -1 when it is not there: at once unless the disk has to be waited for. */
  storeTimeAt(topic: string, queueId: number, queueOffset: number): number | Promise<number>;
  query(query: KeyQuery): Promise<KeyQueryResult>;
  /** Whether the message at this log offset is still in memory (Apache's checkInMem). */
  inMemory(logOffset: number): boolean;
  /** Queue ids that exist for a topic on disk. */
  queuesOf(topic: string): number[];
  topics(): string[];
  /** Forgets a topic's queues and their files at once; resolves, and never rejects, when a crash does not bring them back. */
  deleteTopic(topic: string): Promise<void>;
  minLogOffset(): number;
  maxLogOffset(): number;
  writability(): Writability;
  /** Calls `fn` once per queue and turn after messages became visible. */
  onArrival(fn: (topic: string, queueId: number, maxOffset: number) => void): void;
}
