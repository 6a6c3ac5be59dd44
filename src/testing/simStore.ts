/**
 * A message store on a simulated machine: disk, clock and turns are ours, so a whole life of a broker's store, with its
 * crash and what follows, takes milliseconds and repeats from its seed. The {@link Journal} notes from outside what was
 * sent and what was acknowledged; {@link audit} compares a reopened store with it and shares no code with recovery.
 */
import { Buffer } from "node:buffer";
import { hostBytes } from "../base/host.ts";
import { javaHashCode } from "../base/javaHash.ts";
import { type Logger, silentLogger } from "../base/log.ts";
import { seededRandom } from "../base/random.ts";
import { Turn } from "../base/turn.ts";
import { MessageDraft } from "../message/draft.ts";
import { formatProperties, parseProperties } from "../message/properties.ts";
import { PropertyScan } from "../message/propertyScan.ts";
import { BLANK_BYTES, RecordView } from "../message/record.ts";
import { MessageStore } from "../store/messageStore.ts";
import { STORE_DEFAULTS, type StoreOptions } from "../store/options.ts";
import type { AppendStatus } from "../store/types.ts";
import { FakeClock } from "./fakeClock.ts";
import { SimCrash, type SimDisk } from "./simDisk.ts";

export const ROOT = "/store";
export const COMMIT_LOG = `${ROOT}/commitlog`;

/** Small files, so that the interesting edges happen all the time. */
export const SMALL: StoreOptions = {
  ...STORE_DEFAULTS,
  storePathRootDir: ROOT,
  mappedFileSizeCommitLog: 32 * 1024,
  mappedFileSizeConsumeQueue: 16 * 20,
  maxMessageSize: 16 * 1024,
  maxHashSlotNum: 16,
  maxIndexNum: 64,
  // Never by the hour; tests ask for it.
  deleteWhen: "25",
};

const STORE_HOST = hostBytes("127.0.0.1", 10_911);
const BORN_HOST = hostBytes("10.0.0.7", 50_001);

/** One message as its sender knows it. */
export interface Sent {
  id: number;
  topic: string;
  queueId: number;
  key: string;
  tag: string;
  body: Buffer;
  noWait: boolean;
  properties: string;
  /** Which life of the topic it belongs to; deleting the topic begins the next. */
  topicLife: number;
  logOffset: number;
  queueOffset: number;
  bytes: number;
  storeTimestamp: number;
  /** The store took it in; if it was refused later, it may have reached the disk all the same. */
  taken: boolean;
  /** A crash trashed its properties, which this format cannot tell: its keys and tag are gone. */
  trashed: boolean;
  /** Undefined while nobody answered. */
  status: AppendStatus | undefined;
  reason: string;
}

export interface SendOptions {
  tag?: string;
  noWait?: boolean;
}

/** What happened, seen from outside of the store. */
export class Journal {
  /** Messages that the store took in, in the order of its log. */
  log: Sent[] = [];
  /** Messages it refused, at once or later. */
  refused: Sent[] = [];
  /** Messages that never were durable and whose properties a power loss trashed unnoticed. */
  trashed = 0;
  readonly topicLives = new Map<string, number>();
  /** Queues in which a crash brought messages of a deleted topic back, before those of its new life. */
  revenants = new Set<string>();
  #nextId = 1;

  make(topic: string, queueId: number, bodyBytes: number, options: SendOptions = {}): Sent {
    const id = this.#nextId++;
    const random = seededRandom(id);
    const body = Buffer.alloc(bodyBytes);
    // No zeros: a lost sector of zeros would go unnoticed.
    for (let i = 0; i < bodyBytes; i++) body[i] = 1 + random.int(255);
    const key = `k${id}`;
    const tag = options.tag ?? "";
    const properties = new Map([
      ["KEYS", `${key} every`],
      ["UNIQ_KEY", `U${id}`],
    ]);
    if (tag !== "") properties.set("TAGS", tag);
    if (options.noWait) properties.set("WAIT", "false");
    return {
      id,
      topic,
      queueId,
      key,
      tag,
      body,
      noWait: options.noWait ?? false,
      properties: formatProperties(properties),
      topicLife: this.topicLives.get(topic) ?? 0,
      logOffset: -1,
      queueOffset: -1,
      bytes: 0,
      storeTimestamp: 0,
      taken: false,
      trashed: false,
      status: undefined,
      reason: "",
    };
  }

  /** Messages whose sender was told that they are safe. */
  get acked(): Sent[] {
    return this.log.filter((sent) => sent.status === "ok");
  }

  /** After a failed sync nobody knows what is on disk: messages taken in and then refused may be found. */
  doubtRefused(): void {
    for (const sent of this.refused) if (sent.taken) this.log.push(sent);
    this.log.sort((a, b) => a.logOffset - b.logOffset);
    this.refused = [];
  }

  /** Begins as a copy of another journal, so that several futures of one past can be tried. */
  continueAfter(past: Journal): void {
    this.log = [...past.log];
    this.refused = [...past.refused];
    this.trashed = past.trashed;
    for (const [topic, life] of past.topicLives) this.topicLives.set(topic, life);
    this.revenants = new Set(past.revenants);
    this.#nextId = past.#nextId;
  }
}

/** One life of a store on one disk. */
export class SimStore {
  readonly disk: SimDisk;
  readonly clock: FakeClock;
  readonly journal: Journal;
  readonly store: MessageStore;
  readonly options: StoreOptions;
  /** Errors the store called fatal. */
  readonly fatal: Error[] = [];

  constructor(disk: SimDisk, journal: Journal, options: StoreOptions, now?: number, log: Logger = silentLogger()) {
    this.disk = disk;
    this.journal = journal;
    this.options = options;
    this.clock = now === undefined ? new FakeClock() : new FakeClock(now);
    disk.now = () => this.clock.now();
    this.store = new MessageStore({
      disk,
      clock: this.clock,
      turn: new Turn(this.clock),
      log,
      options,
      storeHost: STORE_HOST,
      onFatal: (error) => this.fatal.push(error),
    });
  }

  get sync(): boolean {
    return this.options.flushDiskType === "SYNC_FLUSH";
  }

  /** Appends one message; its answer is noted when it comes. */
  send(topic: string, queueId: number, bodyBytes: number, options?: SendOptions): Sent {
    const sent = this.journal.make(topic, queueId, bodyBytes, options);
    const { draft, scan } = prepare(sent);
    const target = { appended: (pending: Answer) => this.#answered([sent], pending) };
    const pending = this.store.append(draft, scan, this.store.queue(topic, queueId), target, 0, 0);
    this.#taken(sent, pending);
    return sent;
  }

  /** Appends messages that lie together; one answer for all. */
  sendBatch(topic: string, queueId: number, bodies: readonly number[]): Sent[] {
    const batch = bodies.map((bytes) => this.journal.make(topic, queueId, bytes));
    const drafts = batch.map((sent) => prepare(sent).draft);
    const sizes = drafts.map((draft) => draft.totalBytes());
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    const queue = this.store.queue(topic, queueId);
    const queueOffset = queue.next;
    const target = {
      appended: (pending: Answer & { batchOffsets?: number[] | undefined }) => {
        const offsets = pending.batchOffsets ?? [];
        check(
          offsets.every((offset, i) => offset === batch[i].logOffset),
          `a batch of ${batch.length} was told ${offsets}`,
        );
        this.#answered(batch, pending);
      },
    };
    let at = this.#endOfLog();
    if (total + BLANK_BYTES > this.options.mappedFileSizeCommitLog - (at % this.options.mappedFileSizeCommitLog)) {
      at += this.options.mappedFileSizeCommitLog - (at % this.options.mappedFileSizeCommitLog);
    }
    this.store.appendBatch(
      batch.length,
      (i, draft, scan) => {
        Object.assign(draft, drafts[i]);
        scan.scan(draft.properties, 0, draft.propertiesEnd);
      },
      queue,
      target,
      0,
      0,
    );
    if (queue.next === queueOffset) return batch;
    batch.forEach((sent, i) => {
      this.#taken(sent, {
        status: "ok",
        reason: "",
        logOffset: at,
        queueOffset: queueOffset + i,
        bytes: sizes[i],
        storeTimestamp: this.clock.now(),
      });
      at += sizes[i];
    });
    return batch;
  }

  /** Where the next record goes if it fits. */
  #endOfLog(): number {
    const last = this.journal.log.at(-1);
    return Math.max(this.store.maxLogOffset(), last === undefined ? 0 : last.logOffset + last.bytes);
  }

  deleteTopic(topic: string): void {
    void this.store.deleteTopic(topic);
    for (const name of [...this.journal.revenants]) {
      if (name.startsWith(`${topic} `)) this.journal.revenants.delete(name);
    }
    this.journal.topicLives.set(topic, (this.journal.topicLives.get(topic) ?? 0) + 1);
  }

  /** Starts the store and compares it with the journal; then forgets deleted topics that the log brought back. */
  async open(allowed: Allowance): Promise<void> {
    await this.store.start();
    await audit(this, allowed);
    for (const [topic, life] of this.journal.topicLives) {
      const alive = this.journal.log.some((sent) => sent.topic === topic && sent.topicLife === life);
      // An operator does so for topics that the broker's table does not have (CLEAN_UNUSED_TOPIC).
      if (!alive && this.store.topics().includes(topic)) void this.store.deleteTopic(topic);
      for (const queueId of this.store.queuesOf(topic)) {
        const own = this.journal.log.some(
          (sent) => sent.topic === topic && sent.queueId === queueId && sent.topicLife === life,
        );
        if (!own) this.journal.revenants.add(`${topic} ${queueId}`);
      }
    }
    await this.settle();
  }

  /** Ends the turn. Throws when the machine died. */
  async settle(): Promise<void> {
    await this.clock.settle();
    if (this.disk.crashed) throw new SimCrash("the machine is dead");
  }

  /** Runs something of the store that waits for turns to end. */
  async drive<T>(work: Promise<T>): Promise<T> {
    // Who waits for the result must be there before it can fail.
    const [result] = await Promise.all([work, this.clock.settle()]);
    if (this.disk.crashed) throw new SimCrash("the machine is dead");
    return result;
  }

  async close(): Promise<void> {
    await this.drive(this.store.close());
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.settle();
  }

  #taken(sent: Sent, pending: Answer): void {
    sent.logOffset = pending.logOffset;
    sent.queueOffset = pending.queueOffset;
    sent.bytes = pending.bytes;
    sent.storeTimestamp = pending.storeTimestamp;
    sent.taken = pending.status === "ok";
    if (sent.taken) this.journal.log.push(sent);
  }

  #answered(all: Sent[], pending: Answer): void {
    // An answer after its machine's death reaches nobody.
    if (this.disk.crashed) return;
    for (const sent of all) {
      if (sent.status !== undefined) throw new Error(`message ${sent.id} was answered twice`);
      sent.status = pending.status;
      sent.reason = pending.reason;
      if (pending.status !== "ok" && pending.status !== "flushDiskTimeout") {
        this.journal.refused.push(sent);
        this.journal.log = this.journal.log.filter((other) => other !== sent);
      }
    }
  }
}

/** What the store tells about an append. */
interface Answer {
  status: AppendStatus;
  reason: string;
  logOffset: number;
  queueOffset: number;
  bytes: number;
  storeTimestamp: number;
}

function prepare(sent: Sent): { draft: MessageDraft; scan: PropertyScan } {
  const draft = new MessageDraft();
  draft.queueId = sent.queueId;
  draft.bornTimestamp = sent.id;
  draft.setHosts(BORN_HOST, STORE_HOST);
  draft.topic = Buffer.from(sent.topic);
  draft.body = sent.body;
  draft.bodyEnd = sent.body.length;
  draft.properties = Buffer.from(sent.properties);
  draft.propertiesEnd = draft.properties.length;
  draft.tagsCode = sent.tag === "" ? 0 : javaHashCode(sent.tag);
  const scan = new PropertyScan();
  scan.scan(draft.properties, 0, draft.propertiesEnd);
  return { draft, scan };
}

/** How much may be missing after a crash. */
export interface Allowance {
  /** Everything acknowledged must be there (not those who did not wait for the disk). */
  acked: "all" | "allWhoWaited" | "synced";
  /** With "synced": log offset below which everything was synced at the crash. */
  syncedTo: number;
  /** Highest log start that retention had reached. */
  trimmedTo: number;
  /** Keys may wait for an index that cannot be written now. */
  indexWaits?: boolean;
}

/**
 * Compares a running store with the journal and throws at the first broken promise. Messages that a crash rightly lost
 * leave the journal, so that the next life is held to what this one found.
 */
export async function audit(sim: SimStore, allowed: Allowance): Promise<void> {
  const { store, journal } = sim;
  const first = store.minLogOffset();
  check(first <= allowed.trimmedTo, `the log begins at ${first}, retention came to ${allowed.trimmedTo}`);
  const survivors = auditLog(sim, first, allowed);
  const alive = new Set(survivors);
  for (const sent of journal.log) {
    if (alive.has(sent) || sent.logOffset < first) continue;
    check(
      !mustSurvive(sent, allowed),
      `message ${sent.id} at ${sent.logOffset} was ${sent.status ?? "not answered"} and is lost`,
    );
  }
  journal.log = journal.log.filter((sent) => alive.has(sent) || sent.logOffset < first);
  await auditQueues(sim, first);
  if (!allowed.indexWaits) await auditIndex(sim, survivors);
}

function mustSurvive(sent: Sent, allowed: Allowance): boolean {
  if (allowed.acked === "synced") return sent.logOffset + sent.bytes <= allowed.syncedTo;
  return sent.status === "ok" && (allowed.acked === "all" || !sent.noWait);
}

/** Whether the record's properties hold bytes that only {@link SimDisk} puts there. */
function isTrashed(view: RecordView): boolean {
  const properties = view.buf.subarray(view.propertiesAt, view.propertiesAt + view.propertiesBytes);
  return properties.some((byte) => byte >= 0xf8);
}

/** Walks the log's files: the journal's messages from `first` on, in order, without a hole, an alien or a ghost. */
function auditLog(sim: SimStore, first: number, allowed: Allowance): Sent[] {
  const { disk, store, journal, options } = sim;
  const fileBytes = options.mappedFileSizeCommitLog;
  const end = store.maxLogOffset();
  const view = new RecordView();
  const expected = journal.log.filter((sent) => sent.logOffset >= first);
  const survivors: Sent[] = [];
  let at = first;
  while (at < end) {
    const start = at - (at % fileBytes);
    const file = disk.bytes(`${COMMIT_LOG}/${String(start).padStart(20, "0")}`);
    check(file.length === fileBytes, `log file ${start} has ${file.length} bytes`);
    while (at < Math.min(end, start + fileBytes)) {
      const kind = view.read(file, at - start, fileBytes, true);
      if (kind === "blank") {
        at = start + fileBytes;
        break;
      }
      check(kind === "record", `log offset ${at}: ${kind}`);
      let sent = expected[survivors.length];
      check(sent !== undefined, `log offset ${at}: a message nobody sent (${view.properties()})`);
      check(
        view.logOffset === at && sent.logOffset === at,
        `message ${sent.id} belongs at ${sent.logOffset}, not ${at}`,
      );
      check(view.topic() === sent.topic && view.queueId === sent.queueId, `message ${sent.id}: other queue`);
      check(view.queueOffset === sent.queueOffset, `message ${sent.id}: queue offset ${view.queueOffset}`);
      check(view.body().equals(sent.body), `message ${sent.id}: other body`);
      if (isTrashed(view) && !mustSurvive(sent, allowed)) {
        const trashed = { ...sent, properties: view.properties(), trashed: true };
        journal.log[journal.log.indexOf(sent)] = trashed;
        journal.trashed++;
        sent = trashed;
      }
      check(view.properties() === sent.properties, `message ${sent.id}: other properties`);
      check(view.storeTimestamp === sent.storeTimestamp, `message ${sent.id}: other store time`);
      survivors.push(sent);
      at += view.totalBytes;
    }
    if (at < start + fileBytes) {
      check(
        file.subarray(at - start).every((byte) => byte === 0),
        `ghost bytes behind the log's end ${at}`,
      );
    }
  }
  check(at === end, `the log ends at ${end}, its last record at ${at}`);
  return survivors;
}

/** Each queue lists exactly its messages, dense, with the right bounds. */
async function auditQueues(sim: SimStore, first: number): Promise<void> {
  const { store, journal } = sim;
  const queues = new Map<string, Sent[]>();
  for (const sent of journal.log) {
    const name = `${sent.topic} ${sent.queueId}`;
    const list = queues.get(name);
    if (list === undefined || list[0].topicLife !== sent.topicLife) queues.set(name, [sent]);
    else list.push(sent);
  }
  for (const [name, all] of queues) {
    const { topic, queueId, topicLife } = all[0];
    const deleted = topicLife !== (journal.topicLives.get(topic) ?? 0);
    if (deleted) continue;
    // Deleting a topic is not in the log. Where its old messages came back, only the new ones are looked at.
    const ownMin = all.find((sent) => sent.logOffset >= first)?.queueOffset;
    const min = (journal.revenants.has(name) ? ownMin : undefined) ?? store.minOffset(topic, queueId);
    const max = store.maxOffset(topic, queueId);
    const last = all[all.length - 1];
    check(max === last.queueOffset + 1, `queue ${name}: max offset ${max}, last message ${last.queueOffset}`);
    const there = all.filter((sent) => sent.logOffset >= first);
    check(min === (there[0]?.queueOffset ?? max), `queue ${name}: min offset ${min}, first ${there[0]?.queueOffset}`);
    const units = await store.units(topic, queueId, min, max - min);
    check(units.length === there.length, `queue ${name}: ${units.length} units for ${there.length} messages`);
    for (let i = 0; i < there.length; i++) {
      const sent = there[i];
      const unit = units[i];
      check(sent.queueOffset === min + i, `queue ${name}: hole at ${min + i}`);
      check(unit.logOffset === sent.logOffset, `queue ${name}: unit ${min + i} points to ${unit.logOffset}`);
      check(unit.bytes === sent.bytes, `queue ${name}: unit ${min + i} has size ${unit.bytes}`);
      if (sent.trashed) continue;
      check(unit.tagsCode === javaHashCode(sent.tag), `queue ${name}: unit ${min + i} has tag ${unit.tagsCode}`);
      const message = await store.messageAt(unit.logOffset);
      check(message?.properties.get("UNIQ_KEY") === `U${sent.id}`, `message ${sent.id} cannot be read`);
    }
  }
}

/** Every key of every surviving message is found. */
async function auditIndex(sim: SimStore, survivors: Sent[]): Promise<void> {
  for (const sent of survivors) {
    if (sent.trashed) continue;
    for (const key of [sent.key, `U${sent.id}`]) {
      const query = { topic: sent.topic, key, maxNum: 64, begin: 0, end: Number.MAX_SAFE_INTEGER };
      const { messages } = await sim.store.query(query);
      const found = messages.some((message) => message.logOffset === sent.logOffset);
      check(found, `message ${sent.id} at ${sent.logOffset} is not found by ${key}`);
    }
  }
}

export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

/** The id of a message in the log, from its properties. */
export function idOf(properties: string): number {
  return Number(parseProperties(properties).get("UNIQ_KEY")?.slice(1));
}
