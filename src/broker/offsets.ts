/**
 * How far each consumer group has consumed each queue (Apache: ConsumerOffsetManager, config/consumerOffset.json),
 * with the offsets of the last pulls and the resets that wait for their group's next pull. Group and topic are not
 * validated here. A commit per pull lands here, so that nothing on the commit and query paths allocates once the
 * queue is known.
 */
import type { Buffer } from "node:buffer";
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { isLmq, LMQ_QUEUE_ID } from "../message/lmq.ts";
import { type DataVersion, nextDataVersion, readDataVersion } from "../protocol/bodies/dataVersion.ts";
import { BodyError, integerKey, readBean, textKey, toInteger } from "../protocol/bodies/reader.ts";
import type { JavaValue } from "../protocol/javaJson.ts";
import type { MetadataFile } from "../store/metadataFile.ts";

/** The options this table reads, by Apache's keys. */
export interface OffsetOptions {
  readonly useServerSideResetOffset: boolean;
  /** Commits per step of the data version. */
  readonly consumerOffsetUpdateVersionStep: number;
  /** ms */
  readonly flushConsumerOffsetInterval: number;
  /** The file is lmqConsumerOffset.json, with a table of its own for the groups of light queues (LMQ). */
  readonly enableLmq: boolean;
}

/** Who keeps a journal of what moves offsets, so that the file need not be newer than it (pops). */
export interface OffsetJournal {
  /** Writes what has to be durable before the offsets are. */
  beforePersist(): Promise<void>;
  /** Log offset up to which the journal's moves are in the table now. */
  position(): number;
}

const NONE = -1;
/** Queue ids below this lie in an array; others (no real topic has them) in a map, so that an id cannot cost memory. */
const DENSE_QUEUES_MAX = 4096;

/** Offsets by queue id of one topic and group; -1 where there is none. */
class QueueOffsets {
  #dense: Float64Array = new Float64Array(8).fill(NONE);
  #sparse: Map<number, number> | undefined;

  get(queueId: number): number {
    if (queueId >= 0 && queueId < this.#dense.length) return this.#dense[queueId];
    return this.#sparse?.get(queueId) ?? NONE;
  }

  set(queueId: number, offset: number): void {
    if (queueId >= 0 && queueId < this.#dense.length) {
      this.#dense[queueId] = offset;
    } else if (queueId >= 0 && queueId < DENSE_QUEUES_MAX) {
      const wider = new Float64Array(Math.max(queueId + 1, this.#dense.length * 2)).fill(NONE);
      wider.set(this.#dense);
      wider[queueId] = offset;
      this.#dense = wider;
    } else {
      this.#sparse ??= new Map();
      this.#sparse.set(queueId, offset);
    }
  }

  delete(queueId: number): void {
    if (queueId >= 0 && queueId < this.#dense.length) this.#dense[queueId] = NONE;
    else this.#sparse?.delete(queueId);
  }

  *entries(): IterableIterator<[queueId: number, offset: number]> {
    for (let i = 0; i < this.#dense.length; i++) if (this.#dense[i] !== NONE) yield [i, this.#dense[i]];
    if (this.#sparse !== undefined) yield* this.#sparse;
  }
}

/** A table of queue offsets by topic and group: two look-ups, no key to build. */
class OffsetTable {
  readonly #byGroup = new Map<string, Map<string, QueueOffsets>>();

  find(group: string, topic: string): QueueOffsets | undefined {
    return this.#byGroup.get(group)?.get(topic);
  }

  get(group: string, topic: string, queueId: number): number {
    const queues = this.#byGroup.get(group)?.get(topic);
    return queues === undefined ? NONE : queues.get(queueId);
  }

  make(group: string, topic: string): QueueOffsets {
    let topics = this.#byGroup.get(group);
    if (topics === undefined) {
      topics = new Map();
      this.#byGroup.set(group, topics);
    }
    let queues = topics.get(topic);
    if (queues === undefined) {
      queues = new QueueOffsets();
      topics.set(topic, queues);
    }
    return queues;
  }

  delete(group: string, topic: string): boolean {
    const topics = this.#byGroup.get(group);
    if (topics === undefined || !topics.delete(topic)) return false;
    if (topics.size === 0) this.#byGroup.delete(group);
    return true;
  }

  deleteGroup(group: string): boolean {
    return this.#byGroup.delete(group);
  }

  topicsOf(group: string): string[] {
    return [...(this.#byGroup.get(group)?.keys() ?? [])];
  }

  *entries(): IterableIterator<[group: string, topic: string, queues: QueueOffsets]> {
    for (const [group, topics] of this.#byGroup) for (const [topic, queues] of topics) yield [group, topic, queues];
  }
}

export class Offsets {
  #dataVersion: DataVersion;
  readonly #options: OffsetOptions;
  readonly #file: MetadataFile;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #committed = new OffsetTable();
  readonly #pulled = new OffsetTable();
  readonly #reset = new OffsetTable();
  readonly #resetListeners: ((topic: string, queueId: number) => void)[] = [];
  #resets = 0;
  #commits = 0;
  /** Changes since the last write, so that an idle broker writes nothing. */
  #dirty = false;
  /** The last write that was begun. */
  #persisted: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  #journal: OffsetJournal | undefined;
  /** The journal's position as the master told it, on a slave. */
  #followed: number | undefined;
  /** The journal's position when the loaded file was written; undefined when another kind of broker wrote it. */
  loadedPosition: number | undefined = 0;

  /** @param before read when `file` does not exist yet: the one of before enableLmq was turned on */
  constructor(options: OffsetOptions, file: MetadataFile, clock: Clock, log: Logger, before?: MetadataFile) {
    this.#options = options;
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
    this.#dataVersion = { counter: 0, stateVersion: 0, timestamp: clock.now() };
    this.#load(file, before);
  }

  set journal(journal: OffsetJournal) {
    this.#journal = journal;
  }

  /** The table's version. */
  get dataVersion(): DataVersion {
    return this.#dataVersion;
  }

  /** Starts writing the file every flushConsumerOffsetInterval. */
  start(): void {
    this.#timer = this.#clock.every(this.#options.flushConsumerOffsetInterval, () => {
      this.persist().catch((error) => this.#log.error({ err: error, file: this.#file.path }, "offsets not saved"));
    });
  }

  /** Writes the last commits. */
  async stop(): Promise<void> {
    this.#clock.clear(this.#timer);
    await this.persist();
  }

  /** Notes how far a group is, whatever it was before: going back is the client's right (and worth a log line). */
  commit(group: string, topic: string, queueId: number, offset: number, client = ""): void {
    const queues = this.#committed.find(group, topic) ?? this.#committed.make(group, topic);
    const before = queues.get(queueId);
    if (offset < before) {
      this.#log.warn(
        { group, topic, queueId, offset, before, client },
        "consumer offset committed below the stored one",
      );
    }
    queues.set(queueId, offset);
    this.#dirty = true;
    if (++this.#commits % this.#options.consumerOffsetUpdateVersionStep === 0) {
      this.#dataVersion = nextDataVersion(this.#dataVersion, this.#clock.now());
    }
  }

  /** Notes from where a group pulled last; only for consume statistics, never written. */
  commitPull(group: string, topic: string, queueId: number, offset: number): void {
    (this.#pulled.find(group, topic) ?? this.#pulled.make(group, topic)).set(queueId, offset);
  }

  /** A waiting reset of the queue, else the committed offset, else -1. */
  query(group: string, topic: string, queueId: number): number {
    if (this.#resets > 0 && this.#options.useServerSideResetOffset) {
      const reset = this.#reset.get(group, topic, queueId);
      if (reset !== NONE) return reset;
    }
    return this.#committed.get(group, topic, queueId);
  }

  /** Where the group pulled last, or the consume offset when it has not pulled from this broker yet. */
  queryPull(group: string, topic: string, queueId: number): number {
    const offset = this.#pulled.get(group, topic, queueId);
    return offset === NONE ? this.query(group, topic, queueId) : offset;
  }

  /** Makes the next pull of the queue continue at `offset` (mqadmin resetOffsetByTime), and commits it as well. */
  assignReset(group: string, topic: string, queueId: number, offset: number): void {
    if (topic === "" || group === "" || queueId < 0 || offset < 0) return;
    const queues = this.#reset.make(group, topic);
    if (queues.get(queueId) === NONE) this.#resets++;
    queues.set(queueId, offset);
    // So that a group that is offline finds it even when nothing pulls before a restart.
    this.#committed.make(group, topic).set(queueId, offset);
    this.#dirty = true;
    for (const listener of this.#resetListeners) listener(topic, queueId);
  }

  /** Calls `fn` after each assigned reset; a pull of the queue that waits should obey it now. */
  onReset(fn: (topic: string, queueId: number) => void): void {
    this.#resetListeners.push(fn);
  }

  /** Whether a reset waits for this queue's next pull; commits are ignored until then. */
  hasReset(group: string, topic: string, queueId: number): boolean {
    return this.#resets > 0 && this.#reset.get(group, topic, queueId) !== NONE;
  }

  /** The waiting reset, which is then done; -1 without one. Called by the pull that obeys it. */
  takeReset(group: string, topic: string, queueId: number): number {
    if (this.#resets === 0) return NONE;
    const offset = this.#reset.get(group, topic, queueId);
    if (offset === NONE) return NONE;
    this.#reset.find(group, topic)!.delete(queueId);
    this.#resets--;
    return offset;
  }

  /** Committed offsets of a group on a topic by queue id; undefined when there are none. */
  ofGroup(group: string, topic: string): Map<number, number> | undefined {
    const queues = this.#committed.find(group, topic);
    return queues === undefined ? undefined : new Map(queues.entries());
  }

  /** Topics a group has offsets for. */
  topicsOf(group: string): string[] {
    return this.#committed.topicsOf(group);
  }

  /** Pairs of group and topic that have offsets, those of light queues' groups left out. */
  get size(): number {
    let size = 0;
    for (const [group] of this.#committed.entries()) if (!isLmq(group)) size++;
    return size;
  }

  /** Groups that have offsets for a topic. */
  groupsOf(topic: string): string[] {
    const groups: string[] = [];
    for (const [group, name] of this.#committed.entries()) if (name === topic) groups.push(group);
    return groups;
  }

  /** Takes a master's offsets over (the body of GET_ALL_CONSUMER_OFFSET); offsets that only this broker has stay. */
  follow(body: Buffer): void {
    this.#merge(readStored(body.toString()));
    this.#followed = this.loadedPosition;
    this.#dirty = true;
  }

  /** Forgets all offsets of a group. */
  deleteGroup(group: string): void {
    this.#dirty = this.#committed.deleteGroup(group) || this.#dirty;
    this.#pulled.deleteGroup(group);
    for (const topic of this.#reset.topicsOf(group)) this.#dropResets(group, topic);
  }

  /** Forgets all offsets of a topic. */
  deleteTopic(topic: string): void {
    for (const group of this.groupsOf(topic)) {
      this.#committed.delete(group, topic);
      this.#pulled.delete(group, topic);
      this.#dropResets(group, topic);
      this.#dirty = true;
    }
  }

  /** Copies a group's offsets on a topic to another group (CLONE_GROUP_OFFSET). */
  clone(from: string, to: string, topic: string): void {
    const source = this.#committed.find(from, topic);
    if (source === undefined) return;
    this.#committed.delete(to, topic);
    const target = this.#committed.make(to, topic);
    for (const [queueId, offset] of source.entries()) target.set(queueId, offset);
    this.#dirty = true;
  }

  /** Writes the file when something changed; resolves when all that was changed before the call is on disk. */
  persist(): Promise<void> {
    if (this.#dirty) this.#persisted = this.#persist();
    return this.#persisted;
  }

  async #persist(): Promise<void> {
    this.#dirty = false;
    try {
      await this.#journal?.beforePersist();
      await this.#file.write(() => this.encode());
    } catch (error) {
      this.#dirty = true;
      throw error;
    }
  }

  /** The content of the file (consumerOffset.json or, with light queues, lmqConsumerOffset.json), and the body of GET_ALL_CONSUMER_OFFSET with both tables. */
  encode(): string {
    const v = this.#dataVersion;
    const version = `{"counter":${v.counter},"stateVersion":${v.stateVersion},"timestamp":${v.timestamp}}`;
    // Apache's slaves pass over this table, and cannot pass over bare numbers as keys: they would take no offsets at all.
    // No group-to-topics map: Apache writes one by accident of a getter and ignores it when reading.
    // Ours; Apache passes over it, and leaves it out when it writes the file.
    const position = this.#journal?.position() ?? this.#followed;
    const journal = position === undefined ? "" : `,\n\t"popJournal":${position}`;
    return `{\n\t"dataVersion":${version},\n\t${this.#encodeCommittedTables()}${journal},\n\t"pullOffsetTable":${encodeTable(this.#pulled, all, '"')}\n}`;
  }

  /** Committed offsets as `"topic@group":{0:12,...}` (ConsumerOffsetSerializeWrapper). */
  encodeCommitted(): string {
    return encodeTable(this.#committed);
  }

  #dropResets(group: string, topic: string): void {
    const queues = this.#reset.find(group, topic);
    if (queues === undefined) return;
    for (const _ of queues.entries()) this.#resets--;
    this.#reset.delete(group, topic);
  }

  /** A light queue has one offset for each group, without a queue id (LmqConsumerOffsetManager). */
  #encodeCommittedTables(): string {
    if (!this.#options.enableLmq) return `"offsetTable":${encodeTable(this.#committed)}`;
    let light = "";
    for (const [group, topic, queues] of this.#committed.entries()) {
      if (!isLmq(group)) continue;
      for (const [, offset] of queues.entries()) {
        light += `${light === "" ? "" : ","}\n\t\t${JSON.stringify(`${topic}@${group}`)}:${offset}`;
        break;
      }
    }
    const others = encodeTable(this.#committed, (group) => !isLmq(group));
    return `"lmqOffsetTable":{${light}},\n\t"offsetTable":${others}`;
  }

  #load(file: MetadataFile, before: MetadataFile | undefined): void {
    const damaged = (name: string, reason: string) =>
      this.#log.error({ file: name, reason }, "consumer offsets not read from this file");
    const stored = file.load(readStored, damaged) ?? before?.load(readStored, damaged);
    if (stored !== undefined) this.#merge(stored);
  }

  #merge(stored: Stored): void {
    for (const [key, offset] of stored.lmqOffsetTable) {
      const parts = key.split("@");
      if (parts.length === 2) this.#committed.make(parts[1], parts[0]).set(LMQ_QUEUE_ID, offset);
    }
    for (const [key, queues] of stored.offsetTable) {
      const parts = key.split("@");
      if (parts.length !== 2) continue;
      const target = this.#committed.make(parts[1], parts[0]);
      for (const [queueId, offset] of queues) target.set(queueId, offset);
    }
    this.#dataVersion = stored.dataVersion;
    this.loadedPosition = stored.position;
  }
}

interface Stored {
  dataVersion: DataVersion;
  offsetTable: Map<string, Map<number, number>>;
  lmqOffsetTable: Map<string, number>;
  position: number | undefined;
}

function readStored(text: string): Stored {
  const bean = readBean("ConsumerOffsetManager", text);
  return {
    dataVersion: bean.bean("dataVersion", readDataVersion) ?? { counter: 0, stateVersion: 0, timestamp: 0 },
    offsetTable: bean.map("offsetTable", textKey, readQueues) ?? new Map(),
    lmqOffsetTable: bean.map("lmqOffsetTable", textKey, toInteger) ?? new Map(),
    position: bean.optionalInteger("popJournal"),
  };
}

function readQueues(value: JavaValue, path: string): Map<number, number> {
  if (!(value instanceof Map)) throw new BodyError(`${path}: the queues must be an object`);
  return new Map([...value].map(([queueId, offset]) => [integerKey(queueId, path), toInteger(offset, path)]));
}

const all = (): boolean => true;

/** @param quote around queue ids; Apache writes them bare */
function encodeTable(table: OffsetTable, wanted: (group: string) => boolean = all, quote = ""): string {
  let text = "{";
  for (const [group, topic, queues] of table.entries()) {
    if (!wanted(group)) continue;
    if (text.length > 1) text += ",";
    text += `\n\t\t${JSON.stringify(`${topic}@${group}`)}:{`;
    let first = true;
    for (const [queueId, offset] of queues.entries()) {
      text += `${first ? "" : ","}${quote}${queueId}${quote}:${offset}`;
      first = false;
    }
    text += "}";
  }
  return `${text}}`;
}
