/**
 * What handlers work on, and the few words they all use to answer. A handler file takes only the parts it needs.
 * A handler that throws is answered SYSTEM_ERROR with the error's message by the dispatcher, as in Apache.
 */
import type { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { CLIENT_BODY_BYTES_MAX } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Clients } from "../broker/clients.ts";
import type { ConsumerFilters } from "../broker/consumerFilters.ts";
import type { Counters } from "../broker/counters.ts";
import type { Groups } from "../broker/groups.ts";
import type { Lites } from "../broker/lite/lites.ts";
import type { Offsets } from "../broker/offsets.ts";
import type { Pops } from "../broker/pop/pops.ts";
import type { QueueLocks } from "../broker/queueLocks.ts";
import type { Registration } from "../broker/registration.ts";
import type { Schedule } from "../broker/schedule.ts";
import type { Timers } from "../broker/timer/timers.ts";
import type { Topics } from "../broker/topics.ts";
import type { BrokerConfig } from "../config/index.ts";
import type { BrokerMetrics } from "../metrics/brokerMetrics.ts";
import type { BrokerStats } from "../metrics/brokerStats.ts";
import { BodyError } from "../protocol/bodies/reader.ts";
import { type Call, type Handler, type Lane, type Reply, type Row, row } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { HeaderSchema } from "../protocol/headerSchema.ts";
import type { MetadataFile } from "../store/metadataFile.ts";
import type { Store } from "../store/types.ts";

/** What operators ask of the store beyond messages. */
export interface StoreOps {
  readonly commitLogPath: string;
  /** Bytes of the disk the store lies on. */
  space(): { totalBytes: number; availableBytes: number };
  /** Bytes written but not yet synced. */
  flushBehindBytes(): number;
  /** Deletes expired files now, whatever the hour; returns how many. */
  deleteExpired(): number;
}

export type ConfigFile = Pick<MetadataFile, "write">;

export interface BrokerParts {
  readonly config: BrokerConfig;
  /** The file the options came from, rewritten when they change; undefined without one. */
  readonly configFile: ConfigFile | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly store: Store;
  readonly storeOps: StoreOps;
  readonly counters: Counters;
  readonly topics: Topics;
  readonly groups: Groups;
  readonly offsets: Offsets;
  readonly clients: Clients;
  readonly consumerFilters: ConsumerFilters;
  readonly locks: QueueLocks;
  readonly schedule: Schedule;
  readonly timers: Timers;
  readonly pops: Pick<Pops, "topicDeleted">;
  readonly lites: Pick<Lites, "parentDeleted">;
  readonly registration: Registration;
  readonly stats: BrokerStats;
  /** Records for whoever exports metrics; undefined when nobody does. */
  readonly metrics?: BrokerMetrics | undefined;
  /** Memory of the machine: what lies further behind the end of the log cannot all be cached. */
  readonly memoryBytes: number;
  /** `ip:port` under which clients know this broker. */
  readonly address: () => string;
}

/** A row for a code by its name. */
export function requestRow<H>(
  name: keyof typeof RequestCode,
  header: HeaderSchema<H> | undefined,
  handle: Handler<H>,
  lane: Lane = "any",
  weight = 1,
): Row {
  return row(RequestCode[name], name, header, handle, lane, weight);
}

export function ok(header?: Reply["header"], body?: Buffer | string): Reply {
  return { code: ResponseCode.SUCCESS, header, body };
}

export function refuse(code: keyof typeof ResponseCode, remark: string, header?: Reply["header"]): Reply {
  return { code: ResponseCode[code], remark, header };
}

/**
 * The body of a request that every client sends all the time, and that has no reason to be large: it is read in one go.
 * @throws BodyError when it is
 */
export function clientBody({ body }: Call): Buffer {
  if (body.length <= CLIENT_BODY_BYTES_MAX) return body;
  throw new BodyError(`the body has ${body.length} bytes, at most ${CLIENT_BODY_BYTES_MAX} are read`);
}

/**
 * A header field without which nothing can be done. Apache does not enforce its @CFNotNull fields on most headers, so a
 * frame without one gets this far; there it ends in a NullPointerException, here in a remark that names the field.
 */
export function need<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new Error(`the header field ${field} is missing or not of its type`);
  return value;
}
