/**
 * How many timer messages wait for each topic: config/timermetrics (Apache: TimerMetrics). Every change counts the data
 * version up, so that the counter tells which state of the timers a file belongs to.
 */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { DATA_VERSION_ZERO, type DataVersion, readDataVersion } from "../../protocol/bodies/dataVersion.ts";
import { asBean, readBean, textKey } from "../../protocol/bodies/reader.ts";
import { writeJavaJson } from "../../protocol/javaJson.ts";
import type { MetadataFile } from "../../store/metadataFile.ts";

interface Metric {
  count: number;
  timeStamp: number;
}

/** Where changes of the counts go. */
export interface MetricsSink {
  add(topic: string, change: number): void;
}

/** Changes that belong to a slot: they count when it is done, as the checkpoint knows only whole slots. */
export class PendingMetrics implements MetricsSink {
  readonly #changes = new Map<string, number>();

  add(topic: string, change: number): void {
    this.#changes.set(topic, (this.#changes.get(topic) ?? 0) + change);
  }

  moveTo(metrics: MetricsSink): void {
    for (const [topic, change] of this.#changes) metrics.add(topic, change);
    this.#changes.clear();
  }

  clear(): void {
    this.#changes.clear();
  }
}

interface Stored {
  dataVersion: DataVersion;
  timingCount: Map<string, Metric>;
}

const SYSTEM_PREFIX = "rmq_sys_";
const LMQ_PREFIX = "%LMQ%";

export class TimerMetrics implements MetricsSink {
  readonly #file: MetadataFile;
  readonly #clock: Clock;
  readonly #log: Logger;
  #counts = new Map<string, Metric>();
  #dataVersion: DataVersion = { ...DATA_VERSION_ZERO };
  /** Counter of what the file holds. */
  #written = -1;

  constructor(file: MetadataFile, clock: Clock, log: Logger) {
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Reads the file. With a counter, the one of file and backup that has it counts: a crash between this file and the
   * checkpoint leaves the newer in the file and the right one in the backup.
   */
  load(counter: number | undefined): void {
    const damaged = (file: string, reason: string) =>
      this.#log.error({ file, reason }, "timer metrics not read from this file");
    const matching = (text: string): Stored => {
      const stored = readStored(text);
      if (stored.dataVersion.counter !== counter) throw new Error("it belongs to another checkpoint");
      return stored;
    };
    const exact = counter === undefined ? undefined : this.#file.load(matching);
    const stored = exact ?? this.#file.load(readStored, damaged);
    if (stored === undefined) return;
    this.#counts = stored.timingCount;
    this.#dataVersion = stored.dataVersion;
  }

  get counter(): number {
    return this.#dataVersion.counter;
  }

  add(topic: string, change: number): void {
    let metric = this.#counts.get(topic);
    if (metric === undefined) {
      metric = { count: 0, timeStamp: 0 };
      this.#counts.set(topic, metric);
    }
    const now = this.#clock.now();
    metric.count += change;
    metric.timeStamp = now;
    this.#dataVersion.counter++;
    this.#dataVersion.timestamp = now;
  }

  /** Messages that wait for a topic. */
  count(topic: string): number {
    return this.#counts.get(topic)?.count ?? 0;
  }

  /** Messages that wait, by topic. */
  counts(): [topic: string, count: number][] {
    return [...this.#counts].map(([topic, { count }]) => [topic, count]);
  }

  /** A topic was deleted. */
  remove(topic: string): void {
    // Apache does not count this as a change; the file must follow all the same.
    if (this.#counts.delete(topic)) this.#written = -1;
  }

  /** Forgets topics that the broker does not have (Apache: cleanMetrics, every three minutes). */
  clean(known: (topic: string) => boolean): void {
    for (const topic of [...this.#counts.keys()]) {
      if (!topic.startsWith(SYSTEM_PREFIX) && !topic.startsWith(LMQ_PREFIX) && !known(topic)) this.remove(topic);
    }
  }

  /** The content of the file, and the body of GET_TIMER_METRICS. */
  encode(): string {
    return writeJavaJson({ dataVersion: this.#dataVersion, timingCount: this.#counts });
  }

  /** Writes `encoded`, which was made when the counter was `counter`; nothing when the file has it already. */
  async persist(encoded: string, counter: number): Promise<void> {
    if (counter === this.#written) return;
    await this.#file.write(encoded);
    this.#written = counter;
  }
}

function readStored(text: string): Stored {
  const bean = readBean("TimerMetricsSerializeWrapper", text);
  const metric = asBean((one): Metric => ({ count: one.integer("count", 0), timeStamp: one.integer("timeStamp", 0) }));
  return {
    dataVersion: bean.bean("dataVersion", readDataVersion) ?? { ...DATA_VERSION_ZERO },
    timingCount: bean.map("timingCount", textKey, metric) ?? new Map(),
  };
}
