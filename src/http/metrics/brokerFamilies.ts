/**
 * All metrics of a broker by Apache's names, units and labels (BrokerMetricsConstant, PopMetricsConstant,
 * DefaultStoreMetricsConstant, RemotingMetricsConstant): what was recorded, and what is looked up now. Two of Apache's are
 * missing because there is nothing that they would measure: rocketmq_pop_buffer_scan_time_consume (pops are revived by deadline,
 * not by scanning), and the acknowledgements in rocketmq_pop_revive_out_message_total (the journal is not read back).
 */

import type { PopGroups } from "../../broker/pop/state.ts";
import type { TransactionMetrics } from "../../broker/transactionMetrics.ts";
import type { BrokerParts } from "../../handlers/parts.ts";
import type { BrokerMetrics, MessageType } from "../../metrics/brokerMetrics.ts";
import type { Family, MetricType, Point } from "../../metrics/exposition.ts";
import type { Counter, Histogram, Labelled, Labels } from "../../metrics/figures.ts";
import type { WriteFigures } from "../../metrics/writeFigures.ts";
import { versionName } from "../../protocol/versionName.ts";
import { type ConsumerLag, consumerLags } from "./consumerLag.ts";
import type { ProcessFigures } from "./processFigures.ts";

export type FamilyParts = Pick<
  BrokerParts,
  "config" | "clock" | "topics" | "groups" | "offsets" | "clients" | "store" | "storeOps" | "stats" | "timers"
> & {
  readonly metrics: BrokerMetrics;
  readonly writeFigures: WriteFigures;
  readonly transactions: { readonly metrics: TransactionMetrics };
  readonly pops: {
    readonly groups: PopGroups;
    readonly inFlight: { readonly count: number };
    readonly journal: { readonly topic: string; readonly queues: number; settledTo(queueId: number): number };
  };
};

/** Metrics of a gauge view, of a counter view: Apache's views replace what their instruments say of themselves. */
const GAUGE_HELP = "default view for gauge.";
const COUNTER_HELP = "default view for counter.";
const NO_LABELS: Labels = {};
/** DEFAULT_STORAGE_TYPE, DEFAULT_STORAGE_MEDIUM */
const STORAGE: Labels = { storage_type: "local", storage_medium: "disk" };
const MESSAGE_TYPES: readonly MessageType[] = ["normal", "fifo", "delay", "transaction"];
/** Apache's thread pools; here no request waits for a thread. */
const PROCESSORS = [
  "send",
  "async_put",
  "pull",
  "ack",
  "query_message",
  "client_manager",
  "heartbeat",
  "lite_pull",
  "transaction",
  "consumer_manager",
  "admin",
  "reply",
] as const;
/** ConsumeType.getTypeCN in lower case. */
const CONSUME_MODES: Readonly<Record<string, string>> = {
  CONSUME_ACTIVELY: "pull",
  CONSUME_PASSIVELY: "push",
  CONSUME_POP: "pop",
};

/** Everything that the options ask for. */
export async function brokerFamilies(parts: FamilyParts, own: ProcessFigures): Promise<Family[]> {
  const { config } = parts;
  return [
    ...(config.enableStatsMetrics ? statsFamilies(parts) : []),
    ...(config.enableRequestMetrics ? requestFamilies(parts) : []),
    ...(config.enableConnectionMetrics ? connectionFamilies(parts) : []),
    ...(config.enableLagAndDlqMetrics ? await lagFamilies(parts) : []),
    ...(config.enableTransactionMetrics ? transactionFamilies(parts) : []),
    ...(config.enableRemotingMetrics ? remotingFamilies(parts) : []),
    ...(config.enableMessageStoreMetrics ? [...(await storeFamilies(parts)), ...timerFamilies(parts)] : []),
    ...(config.enablePopMetrics ? await popFamilies(parts) : []),
    ...ownFamilies(parts, own),
  ];
}

function family(name: string, type: MetricType, help: string, unit: string, points: readonly Point[]): Family {
  return { name, type, help, unit, points };
}

const gauge = (name: string, points: readonly Point[], unit = ""): Family =>
  family(name, "gauge", GAUGE_HELP, unit, points);

const counter = (name: string, points: readonly Point[]): Family => family(name, "counter", COUNTER_HELP, "", points);

const one = (value: number, labels: Labels = NO_LABELS): Point[] => [{ labels, value }];

function counts(figures: Labelled<string, Counter>, more: Labels = NO_LABELS): Point[] {
  return [...figures.entries()].map(([labels, { value }]) => ({ labels: { ...more, ...labels }, value }));
}

function histograms<Key>(figures: Labelled<Key, Histogram>, more: Labels = NO_LABELS): Point[] {
  return [...figures.entries()].map(([labels, value]) => ({ labels: { ...more, ...labels }, value }));
}

function statsFamilies({ config, topics, groups }: FamilyParts): Family[] {
  return [
    gauge(
      "rocketmq_processor_watermark",
      PROCESSORS.map((processor) => ({ labels: { processor }, value: 0 })),
    ),
    gauge("rocketmq_broker_permission", one(config.brokerPermission)),
    gauge("rocketmq_topic_number", one(topics.size)),
    gauge("rocketmq_consumer_group_number", one(groups.size)),
  ];
}

function requestFamilies({ metrics, stats, topics }: FamilyParts): Family[] {
  const messagesIn: Point[] = [];
  const bytesIn: Point[] = [];
  const sizes: Point[] = [];
  for (const type of MESSAGE_TYPES) {
    for (const [labels, sent] of metrics.sent[type].entries()) {
      messagesIn.push({ labels, value: sent.messages });
      bytesIn.push({ labels, value: sent.bytes });
      sizes.push({ labels, value: sent.sizes });
    }
  }
  const messagesOut: Point[] = [];
  const bytesOut: Point[] = [];
  for (const { group, topic, isRetry, messages, bytes } of stats.taken()) {
    // Apache does not count pulls of retry and dead-letter topics.
    if (isRetry === undefined && /^%(RETRY|DLQ)%/.test(topic)) continue;
    const labels = {
      topic,
      consumer_group: group,
      is_system: String(topics.isSystem(topic) || isSystemGroup(group)),
      ...(isRetry === undefined ? {} : { is_retry: String(isRetry) }),
    };
    messagesOut.push({ labels, value: messages });
    bytesOut.push({ labels, value: bytes });
  }
  for (const [labels, { messages, bytes }] of metrics.scheduled.entries()) {
    messagesOut.push({ labels, value: messages });
    bytesOut.push({ labels, value: bytes });
  }
  return [
    counter("rocketmq_messages_in_total", messagesIn),
    counter("rocketmq_messages_out_total", messagesOut),
    counter("rocketmq_throughput_in_total", bytesIn),
    counter("rocketmq_throughput_out_total", bytesOut),
    family("rocketmq_message_size", "histogram", "Incoming messages size", "", sizes),
    family(
      "rocketmq_topic_create_execution_time",
      "histogram",
      "The distribution of create topic time",
      "milliseconds",
      histograms(metrics.topicCreations),
    ),
    family(
      "rocketmq_consumer_group_create_execution_time",
      "histogram",
      "The distribution of create subscription time",
      "milliseconds",
      histograms(metrics.groupCreations),
    ),
  ];
}

function connectionFamilies({ clients }: FamilyParts): Family[] {
  const producers = new Connections();
  for (const group of clients.producerGroups()) {
    for (const client of clients.producers(group) ?? []) producers.add(client, {});
  }
  const consumers = new Connections();
  for (const group of clients.consumerGroups()) {
    const labels = {
      consumer_group: group.name,
      consume_mode: CONSUME_MODES[group.consumeType ?? ""] ?? "",
      is_system: String(isSystemGroup(group.name)),
    };
    for (const member of group.members.values()) consumers.add(member, labels);
  }
  return [
    gauge("rocketmq_producer_connections", producers.points()),
    gauge("rocketmq_consumer_connections", consumers.points()),
  ];
}

/** Counts clients by what they are. */
class Connections {
  readonly #counts = new Map<string, { labels: Labels; value: number }>();

  add({ language, version }: { language: string; version: number }, more: Labels): void {
    const key = `${language}@${version}@${more.consumer_group ?? ""}`;
    const found = this.#counts.get(key);
    if (found !== undefined) {
      found.value++;
      return;
    }
    const labels = {
      ...more,
      language: language.toLowerCase(),
      version: versionName(version).toLowerCase(),
      protocol_type: "remoting",
    };
    this.#counts.set(key, { labels, value: 1 });
  }

  points(): Point[] {
    return [...this.#counts.values()];
  }
}

async function lagFamilies(parts: FamilyParts): Promise<Family[]> {
  const { topics, metrics } = parts;
  const lags = await consumerLags(parts);
  const points = (of: (lag: ConsumerLag) => number): Point[] =>
    lags.map((lag) => ({
      labels: {
        consumer_group: lag.group,
        topic: lag.topic,
        is_retry: String(lag.isRetry),
        is_system: String(topics.isSystem(lag.topic) || isSystemGroup(lag.group)),
      },
      value: of(lag),
    }));
  return [
    gauge(
      "rocketmq_consumer_lag_messages",
      points(({ lag }) => lag),
    ),
    gauge(
      "rocketmq_consumer_lag_latency",
      points(({ lagMs }) => lagMs),
      "milliseconds",
    ),
    gauge(
      "rocketmq_consumer_inflight_messages",
      points(({ inFlight }) => inFlight),
    ),
    gauge(
      "rocketmq_consumer_queueing_latency",
      points(({ queueingMs }) => queueingMs),
      "milliseconds",
    ),
    gauge(
      "rocketmq_consumer_ready_messages",
      points(({ available }) => available),
    ),
    counter("rocketmq_send_to_dlq_messages_total", counts(metrics.dlq)),
  ];
}

function transactionFamilies({ metrics, transactions }: FamilyParts): Family[] {
  const half = [...transactions.metrics.entries()].map(([topic, { count }]) => ({ labels: { topic }, value: count }));
  return [
    counter("rocketmq_commit_messages_total", counts(metrics.commits)),
    counter("rocketmq_rollback_messages_total", counts(metrics.rollbacks)),
    // Seconds, although Apache says ms.
    family(
      "rocketmq_finish_message_latency",
      "histogram",
      "Transaction finish latency",
      "ms",
      histograms(metrics.finishTimes),
    ),
    gauge("rocketmq_half_messages", half),
  ];
}

function remotingFamilies({ metrics }: FamilyParts): Family[] {
  const { rpc } = metrics;
  const points = rpc === undefined ? [] : histograms(rpc.latencies);
  return [family("rocketmq_rpc_latency", "histogram", "Rpc latency", "milliseconds", points)];
}

async function storeFamilies({ store, storeOps, clock }: FamilyParts): Promise<Family[]> {
  const { totalBytes, availableBytes } = storeOps.space();
  const oldest = (await store.messageAt(store.minLogOffset(), true))?.storeTimestamp ?? 0;
  return [
    gauge("rocketmq_storage_size", totalBytes > 0 ? one(totalBytes - availableBytes, STORAGE) : [], "bytes"),
    gauge("rocketmq_storage_flush_behind_bytes", one(storeOps.flushBehindBytes(), STORAGE), "bytes"),
    // A message is dispatched before it is acknowledged.
    gauge("rocketmq_storage_dispatch_behind_bytes", one(0, STORAGE), "bytes"),
    gauge(
      "rocketmq_storage_message_reserve_time",
      oldest > 0 ? one(clock.now() - oldest, STORAGE) : [],
      "milliseconds",
    ),
  ];
}

function timerFamilies({ timers, metrics }: FamilyParts): Family[] {
  const figures = timers.figures();
  if (figures === undefined) return [];
  return [
    gauge("rocketmq_timer_enqueue_lag", one(figures.enqueueLag, STORAGE)),
    // What is behind enters at once: there is no thread that could be late.
    gauge("rocketmq_timer_enqueue_latency", one(0, STORAGE), "milliseconds"),
    gauge("rocketmq_timer_dequeue_lag", one(figures.dequeueLag, STORAGE)),
    gauge("rocketmq_timer_dequeue_latency", one(figures.dequeueLatencyMs, STORAGE), "milliseconds"),
    gauge(
      "rocketmq_timing_messages",
      figures.waiting.map(([topic, value]) => ({ labels: { ...STORAGE, topic }, value })),
    ),
    counter("rocketmq_timer_enqueue_total", counts(metrics.timerEnqueued, STORAGE)),
    counter("rocketmq_timer_dequeue_total", counts(metrics.timerDequeued, STORAGE)),
    gauge(
      "rocketmq_timer_message_snapshot",
      figures.due.map(([bound, value]) => ({ labels: { ...STORAGE, timer_bound_s: String(bound) }, value })),
    ),
    family(
      "rocketmq_delay_message_latency",
      "histogram",
      "Timer message set latency distribution",
      "seconds",
      histograms(metrics.timerDelays, STORAGE),
    ),
  ];
}

async function popFamilies({ pops, store, clock, metrics }: FamilyParts): Promise<Family[]> {
  const { journal, inFlight } = pops;
  const lag: Point[] = [];
  const latency: Point[] = [];
  const now = clock.now();
  for (let queueId = 0; queueId < journal.queues; queueId++) {
    const labels = { queue_id: String(queueId) };
    const next = journal.settledTo(queueId) + 1;
    const behind = Math.max(0, store.maxOffset(journal.topic, queueId) - next);
    lag.push({ labels, value: behind });
    const since = behind > 0 ? await store.storeTimeAt(journal.topic, queueId, next) : now;
    latency.push({ labels, value: since > 0 ? Math.max(0, now - since) : 0 });
  }
  return [
    counter("rocketmq_pop_revive_in_message_total", counts(metrics.reviveIn)),
    counter("rocketmq_pop_revive_out_message_total", counts(metrics.reviveOut)),
    counter("rocketmq_pop_revive_retry_messages_total", counts(metrics.reviveRetries)),
    // Offsets are committed with their checkpoints.
    gauge("rocketmq_pop_offset_buffer_size", one(0)),
    gauge("rocketmq_pop_checkpoint_buffer_size", one(inFlight.count)),
    gauge("rocketmq_pop_revive_lag", lag, "milliseconds"),
    gauge("rocketmq_pop_revive_latency", latency, "milliseconds"),
  ];
}

/** What Apache has no names for. */
function ownFamilies({ writeFigures }: FamilyParts, own: ProcessFigures): Family[] {
  const { batchMessages, batchBytes, syncMs } = writeFigures;
  const lags = own.loopLagMs().map(([quantile, value]) => ({ labels: { quantile }, value }));
  return [
    family("skylark_event_loop_lag", "gauge", "Delay of the event loop since the last look", "milliseconds", lags),
    family("skylark_resident_memory", "gauge", "Memory of the process", "bytes", one(own.residentBytes())),
    family("skylark_write_batch_messages", "histogram", "Messages per write of the log", "", [
      { labels: NO_LABELS, value: batchMessages },
    ]),
    family("skylark_write_batch_bytes", "histogram", "Bytes per write of the log", "bytes", [
      { labels: NO_LABELS, value: batchBytes },
    ]),
    family("skylark_fsync_latency", "histogram", "Time that a sync of the log took", "milliseconds", [
      { labels: NO_LABELS, value: syncMs },
    ]),
  ];
}

/** BrokerMetricsManager.isSystemGroup */
export function isSystemGroup(group: string): boolean {
  return group.toLowerCase().startsWith("cid_rmq_sys_");
}
