/**
 * What Apache's BrokerMetricsManager, PopMetricsManager and DefaultStoreMetricsManager record as it happens; what they look up
 * when asked (gauges) is found in src/http/metrics. There is none while metricsExporterType is DISABLE, so that whoever
 * records asks for it first. With metrics a message costs a look-up of its topic's figures and a few additions.
 */
import { Counter, Histogram, Labelled } from "./figures.ts";
import { type RpcNames, RpcTimes } from "./rpcTimes.ts";

/** TopicMessageType.getMetricsValue */
export type MessageType = "normal" | "fifo" | "delay" | "transaction";

/** PopReviveMessageType */
export type ReviveRecord = "CK" | "ACK";

export interface MetricsOptions {
  readonly metricsOtelCardinalityLimit: number;
  readonly enableRequestMetrics: boolean;
  readonly enableLagAndDlqMetrics: boolean;
  readonly enableTransactionMetrics: boolean;
  readonly enablePopMetrics: boolean;
  readonly enableRemotingMetrics: boolean;
  readonly enableMessageStoreMetrics: boolean;
}

export interface SystemNames {
  isSystemTopic(topic: string): boolean;
  isSystemGroup(group: string): boolean;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MESSAGE_SIZE_BOUNDS = [KIB, 4 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB] as const;
/** Seconds, although Apache calls the unit ms. */
const FINISH_BOUNDS = [5, MINUTE, 10 * MINUTE, HOUR, 12 * HOUR, DAY] as const;
const CREATE_BOUNDS_MS = [10, 100, 1000, 3000, 5000] as const;
const DELAY_BOUNDS_SECONDS = [MINUTE, 10 * MINUTE, HOUR, 12 * HOUR, DAY, 3 * DAY] as const;

/** Messages of one topic and type that clients sent. */
class Sent {
  messages = 0;
  bytes = 0;
  readonly sizes = new Histogram(MESSAGE_SIZE_BOUNDS);
}

/** Messages that left. */
export class Taken {
  messages = 0;
  bytes = 0;
}

export class BrokerMetrics {
  readonly options: MetricsOptions;
  readonly rpc: RpcTimes | undefined;
  /** By type, then topic. */
  readonly sent: Readonly<Record<MessageType, Labelled<string, Sent>>>;
  readonly scheduled: Labelled<string, Taken>;
  readonly topicCreations: Labelled<string, Histogram>;
  readonly groupCreations: Labelled<string, Histogram>;
  readonly dlq: Labelled<string, Counter>;
  readonly commits: Labelled<string, Counter>;
  readonly rollbacks: Labelled<string, Counter>;
  readonly finishTimes: Labelled<string, Histogram>;
  readonly timerEnqueued: Labelled<string, Counter>;
  readonly timerDequeued: Labelled<string, Counter>;
  readonly timerDelays: Labelled<string, Histogram>;
  readonly reviveIn: Labelled<string, Counter>;
  readonly reviveOut: Labelled<string, Counter>;
  readonly reviveRetries: Labelled<string, Counter>;
  readonly #names: SystemNames;

  constructor(options: MetricsOptions, names: SystemNames, rpcNames: RpcNames) {
    const limit = options.metricsOtelCardinalityLimit;
    const counters = () => new Labelled<string, Counter>(() => new Counter(), limit);
    const histograms = (bounds: readonly number[]) =>
      new Labelled<string, Histogram>(() => new Histogram(bounds), limit);
    const sent = () => new Labelled<string, Sent>(() => new Sent(), limit);
    this.options = options;
    this.#names = names;
    this.rpc = options.enableRemotingMetrics ? new RpcTimes(rpcNames, limit) : undefined;
    this.sent = { normal: sent(), fifo: sent(), delay: sent(), transaction: sent() };
    this.scheduled = new Labelled(() => new Taken(), limit);
    this.topicCreations = histograms(CREATE_BOUNDS_MS);
    this.groupCreations = histograms(CREATE_BOUNDS_MS);
    this.dlq = counters();
    this.commits = counters();
    this.rollbacks = counters();
    this.finishTimes = histograms(FINISH_BOUNDS);
    this.timerEnqueued = counters();
    this.timerDequeued = counters();
    this.timerDelays = histograms(DELAY_BOUNDS_SECONDS);
    this.reviveIn = counters();
    this.reviveOut = counters();
    this.reviveRetries = counters();
  }

  /**
   * A client's send was stored, where it lies now: a delayed message counts for the topic it waits in. On the hot path.
   * @param messages more than one for a batch
   */
  stored(topic: string, type: MessageType, messages: number, bytes: number): void {
    if (topic.charCodeAt(0) === PERCENT && isRetryOrDlq(topic)) return;
    this.#stored(topic, type, messages, bytes);
  }

  /** A delayed message reached its topic, whichever that is. */
  delivered(topic: string, bytes: number): void {
    this.#stored(topic, "delay", 1, bytes);
    const scheduled = this.scheduled.get("", () => ({
      topic: "SCHEDULE_TOPIC_XXXX",
      consumer_group: "SCHEDULE_CONSUMER",
      is_system: "true",
    }));
    scheduled.messages++;
    scheduled.bytes += bytes;
  }

  #stored(topic: string, type: MessageType, messages: number, bytes: number): void {
    const figures = this.sent[type];
    const sent =
      figures.find(topic) ??
      figures.get(topic, () => ({
        topic,
        message_type: type,
        is_system: String(this.#names.isSystemTopic(topic)),
      }));
    sent.messages += messages;
    sent.bytes += bytes;
    // As Apache does: a batch is one message of the average size.
    sent.sizes.record(Math.floor(bytes / messages));
  }

  topicCreated(topic: string, ok: boolean, ms: number): void {
    const labels = { invocation_status: statusOf(ok), is_system: String(this.#names.isSystemTopic(topic)) };
    this.topicCreations.get(`${labels.invocation_status}@${labels.is_system}`, () => labels).record(ms);
  }

  groupCreated(ok: boolean, ms: number): void {
    this.groupCreations.get(statusOf(ok), () => ({ invocation_status: statusOf(ok) })).record(ms);
  }

  sentToDlq(group: string, topic: string): void {
    const { isSystemTopic, isSystemGroup } = this.#names;
    this.dlq
      .get(`${topic}@${group}`, () => ({
        consumer_group: group,
        topic,
        is_system: String(isSystemTopic(topic) || isSystemGroup(group)),
      }))
      .add(1);
  }

  /** @param ageMs since the half message was born, which Apache records in whole seconds */
  committed(topic: string, ageMs: number): void {
    this.commits.get(topic, () => ({ topic })).add(1);
    this.finishTimes.get(topic, () => ({ topic })).record(Math.max(0, Math.floor(ageMs / 1000)));
  }

  rolledBack(topic: string): void {
    this.rollbacks.get(topic, () => ({ topic })).add(1);
  }

  /** A message entered the wheel, to be delivered in `delayMs`. */
  timerEntered(topic: string, delayMs: number): void {
    this.timerEnqueued.get(topic, () => ({ topic })).add(1);
    this.timerDelays.get(topic, () => ({ topic })).record(Math.max(0, Math.floor(delayMs / 1000)));
  }

  timerDelivered(topic: string): void {
    this.timerDequeued.get(topic, () => ({ topic })).add(1);
  }

  /** A pop's checkpoint or acknowledgement went into the journal. On the hot path. */
  popJournaled(group: string, topic: string, record: ReviveRecord): void {
    const key = `${record}@${topic}@${group}`;
    const counter =
      this.reviveIn.find(key) ??
      this.reviveIn.get(key, () => ({
        consumer_group: group,
        topic,
        revive_message_type: record,
        put_status: "PUT_OK",
      }));
    counter.add(1);
  }

  /** The time of a pop is over, and what it did not acknowledge is looked for. */
  popDue(group: string, topic: string, queueId: number): void {
    this.reviveOut
      .get(`${queueId}@${topic}@${group}`, () => ({
        consumer_group: group,
        topic,
        queue_id: String(queueId),
        revive_message_type: "CK",
      }))
      .add(1);
  }

  /** A message that was popped and not acknowledged was copied to its retry topic. */
  popRevived(group: string, topic: string): void {
    this.reviveRetries.get(`${topic}@${group}`, () => ({ consumer_group: group, topic, put_status: "PUT_OK" })).add(1);
  }
}

const PERCENT = 0x25;

function isRetryOrDlq(topic: string): boolean {
  return topic.startsWith("%RETRY%") || topic.startsWith("%DLQ%");
}

/** InvocationStatus.getName */
function statusOf(ok: boolean): string {
  return ok ? "success" : "failure";
}
