/**
 * How many half messages of each topic wait for their decision (Apache: TransactionMetrics, config/transactionMetrics,
 * without an ending). Written every transactionMetricFlushInterval when something changed; a crash loses the counts of
 * that time, as in Apache: they are shown, nothing depends on them.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { type DataVersion, readDataVersion } from "../protocol/bodies/dataVersion.ts";
import { Bean, BodyError, readBean, textKey } from "../protocol/bodies/reader.ts";
import { type JavaValue, writeJavaJson } from "../protocol/javaJson.ts";
import type { MetadataFile } from "../store/metadataFile.ts";

export interface TransactionMetric {
  /** Half messages that wait; below zero when a crash took their beginning. */
  count: number;
  /** Of the last change, ms. */
  timeStamp: number;
}

export class TransactionMetrics {
  readonly #intervalMs: number;
  readonly #file: MetadataFile;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #topics = new Map<string, TransactionMetric>();
  #dataVersion: DataVersion;
  /** Changes since the data version was made: the hot path only adds one. */
  #changes = 0;
  #timer: Timer | undefined;

  /** @param intervalMs transactionMetricFlushInterval */
  constructor(intervalMs: number, file: MetadataFile, clock: Clock, log: Logger) {
    this.#intervalMs = intervalMs;
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
    this.#dataVersion = { counter: 0, stateVersion: 0, timestamp: clock.now() };
    this.#load();
  }

  start(): void {
    this.#timer = this.#clock.every(this.#intervalMs, () => void this.save());
  }

  stop(): void {
    this.#clock.clear(this.#timer);
  }

  /** Hot: one map look-up. */
  add(topic: string, delta: number): void {
    let metric = this.#topics.get(topic);
    if (metric === undefined) {
      metric = { count: 0, timeStamp: 0 };
      this.#topics.set(topic, metric);
    }
    metric.count += delta;
    metric.timeStamp = this.#clock.now();
    this.#changes++;
  }

  /** Half messages of a topic that wait. */
  count(topic: string): number {
    return this.#topics.get(topic)?.count ?? 0;
  }

  entries(): IterableIterator<[topic: string, metric: TransactionMetric]> {
    return this.#topics.entries();
  }

  /** A deleted topic is counted no more. */
  deleteTopic(topic: string): void {
    if (this.#topics.delete(topic)) this.#changes++;
  }

  /** Writes the file when something changed. Never rejects: the counts are not worth holding up a stop. */
  async save(): Promise<void> {
    const changes = this.#changes;
    if (changes === 0) return;
    const { counter, stateVersion } = this.#dataVersion;
    this.#dataVersion = { counter: counter + changes, stateVersion, timestamp: this.#clock.now() };
    this.#changes = 0;
    try {
      await this.#file.write(() => this.encode());
    } catch (error) {
      this.#changes++;
      this.#log.error({ err: error, file: this.#file.path }, "transaction metrics not saved");
    }
  }

  /** The content of the file. */
  encode(): string {
    return writeJavaJson({ dataVersion: this.#dataVersion, transactionCount: this.#topics });
  }

  #load(): void {
    const stored = this.#file.load(readStored, (file, reason) =>
      this.#log.error({ file, reason }, "transaction metrics not read from this file"),
    );
    if (stored === undefined) return;
    this.#dataVersion = stored.dataVersion;
    for (const [topic, metric] of stored.topics) this.#topics.set(topic, metric);
  }
}

function readStored(text: string): { dataVersion: DataVersion; topics: Map<string, TransactionMetric> } {
  const bean = readBean("TransactionMetricsSerializeWrapper", text);
  return {
    dataVersion: bean.bean("dataVersion", readDataVersion) ?? { counter: 0, stateVersion: 0, timestamp: 0 },
    topics: bean.map("transactionCount", textKey, readMetric) ?? new Map(),
  };
}

function readMetric(value: JavaValue, path: string): TransactionMetric {
  if (!(value instanceof Map)) throw new BodyError(`${path}: the metric must be an object`);
  const bean = new Bean(value, path);
  return { count: bean.integer("count", 0), timeStamp: bean.integer("timeStamp", 0) };
}
