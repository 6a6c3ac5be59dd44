/**
 * Timers on a simulated machine: store, wheel and clock are ours, so that a life with its crash and what follows takes
 * milliseconds and repeats from its seed. {@link TimerJournal} notes from outside what was sent, recalled and acknowledged;
 * {@link auditTimers} compares the log with it when all are due.
 */
import { Buffer } from "node:buffer";
import { hostBytes } from "../base/host.ts";
import { silentLogger } from "../base/log.ts";
import { seededRandom } from "../base/random.ts";
import { Turn } from "../base/turn.ts";
import { TimerMessageStore, type TimerStoreOptions } from "../broker/timer/timerMessageStore.ts";
import { MessageStore } from "../store/messageStore.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import type { AppendResult, NewMessage, StoredMessage } from "../store/types.ts";
import { FakeClock } from "./fakeClock.ts";
import { SimCrash, type SimDisk } from "./simDisk.ts";
import { ROOT, SMALL } from "./simStore.ts";

export const TOPIC = "T";

export const TIMER_DEFAULTS: TimerStoreOptions = {
  timerWheelEnable: true,
  timerPrecisionMs: 1000,
  timerMaxDelaySec: 3600,
  storePathRootDir: ROOT,
  mappedFileSizeCommitLog: SMALL.mappedFileSizeCommitLog,
  mappedFileSizeTimerLog: 52 * 20 + 16,
  timerRollWindowSlot: 6,
  timerFlushIntervalMs: 1000,
  timerCongestNumEachSlot: 1_000_000,
  timerStopEnqueue: false,
  timerStopDequeue: false,
  appendTopicForTimerDeleteKey: false,
};

export interface SentTimer {
  id: string;
  /** When it asked to be delivered, ms. */
  dueMs: number;
  result: AppendResult | undefined;
  /** Outcome of its recall, if any. */
  recall: AppendResult | undefined;
  recalled: boolean;
}

/** What happened, seen from outside. */
export class TimerJournal {
  readonly sent = new Map<string, SentTimer>();

  copy(): TimerJournal {
    const journal = new TimerJournal();
    for (const [id, sent] of this.sent) journal.sent.set(id, { ...sent });
    return journal;
  }
}

export class SimTimers {
  readonly disk: SimDisk;
  readonly clock: FakeClock;
  readonly store: MessageStore;
  readonly timers: TimerMessageStore;
  readonly options: TimerStoreOptions;
  readonly journal: TimerJournal;

  constructor(
    disk: SimDisk,
    journal: TimerJournal,
    given: Partial<TimerStoreOptions> & { flushDiskType?: string } = {},
    now?: number,
    fileBytes: Partial<typeof SMALL> = {},
  ) {
    this.disk = disk;
    this.journal = journal;
    this.clock = now === undefined ? new FakeClock() : new FakeClock(now);
    disk.now = () => this.clock.now();
    const log = silentLogger();
    const { flushDiskType = "ASYNC_FLUSH", ...options } = given;
    this.options = { ...TIMER_DEFAULTS, ...options };
    this.store = new MessageStore({
      disk,
      clock: this.clock,
      turn: new Turn(this.clock),
      log,
      options: { ...SMALL, ...fileBytes, flushDiskType },
      storeHost: hostBytes("127.0.0.1", 10_911),
    });
    this.timers = new TimerMessageStore({
      options: this.options,
      store: this.store,
      disk,
      clock: this.clock,
      random: seededRandom(1),
      log,
      metricsFile: new MetadataFile(disk, `${ROOT}/config/timermetrics`),
      hasTopic: () => true,
    });
  }

  async open(): Promise<void> {
    await this.drive(this.store.start());
    await this.drive(this.timers.load());
    this.timers.start();
    await this.settle();
  }

  /** Sends a message that is due at `dueMs`; nothing is awaited. */
  send(id: string, dueMs: number, bytes = 20): void {
    const sent: SentTimer = { id, dueMs, result: undefined, recall: undefined, recalled: false };
    this.journal.sent.set(id, sent);
    this.#put(id, id, new Map([["TIMER_DELIVER_MS", String(dueMs)]]), bytes, (result) => {
      sent.result = result;
    });
  }

  /** Recalls a message, as RECALL_MESSAGE does. */
  recall(id: string): void {
    const sent = this.journal.sent.get(id) as SentTimer;
    sent.recalled = true;
    const properties = new Map([
      ["TIMER_DEL_UNIQKEY", id],
      ["TIMER_DELIVER_MS", String(sent.dueMs)],
    ]);
    this.#put(id, "0", properties, 1, (result) => {
      sent.recall = result;
    });
  }

  #put(
    id: string,
    text: string,
    properties: Map<string, string>,
    bytes: number,
    answered: (result: AppendResult) => void,
  ): void {
    properties.set("UNIQ_KEY", id);
    const body = Buffer.alloc(Math.max(bytes, text.length), 0x2e);
    body.write(text);
    const message: NewMessage = { topic: TOPIC, queueId: 0, body, properties };
    const refused = this.timers.defer(message);
    if (refused !== undefined) throw new Error(`${id}: ${refused.reason}`);
    void this.store.put(message).then((result) => {
      // An answer after its machine's death reaches nobody.
      if (!this.disk.crashed) answered(result);
    });
  }

  /** Everything in the topic, in order; for a message of another kind the text of its body. */
  async delivered(): Promise<StoredMessage[]> {
    const max = this.store.maxOffset(TOPIC, 0);
    const units = await this.drive(this.store.units(TOPIC, 0, this.store.minOffset(TOPIC, 0), max));
    const messages: StoredMessage[] = [];
    for (const unit of units) {
      const message = await this.drive(this.store.messageAt(unit.logOffset));
      if (message !== undefined) messages.push(message);
    }
    return messages;
  }

  async settle(): Promise<void> {
    await this.clock.settle();
    if (this.disk.crashed) throw new SimCrash("the machine is dead");
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    if (this.disk.crashed) throw new SimCrash("the machine is dead");
  }

  async drive<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const result = work.finally(() => {
      done = true;
    });
    result.catch(() => {});
    for (let i = 0; !done && i < 1000; i++) await this.settle();
    return result;
  }

  async close(): Promise<void> {
    await this.drive(this.timers.stop());
    await this.drive(this.store.close());
  }
}

export const textOf = (message: StoredMessage) => message.body.toString().replace(/\.+$/, "");

/** What must hold when everything sent is due. */
export interface TimerAllowance {
  /** Log offset below which records must have survived; all acknowledged ones when undefined. */
  syncedTo: number | undefined;
}

/** Throws at the first broken promise; returns how many messages came more than once. */
export async function auditTimers(sim: SimTimers, allowed: TimerAllowance): Promise<number> {
  const counts = new Map<string, number>();
  for (const message of await sim.delivered()) {
    const id = textOf(message);
    const sent = sim.journal.sent.get(id);
    if (sent === undefined) throw new Error(`a message nobody sent was delivered: ${id}`);
    if (message.storeTimestamp < sent.dueMs) {
      throw new Error(`${id} came ${sent.dueMs - message.storeTimestamp} ms before its time`);
    }
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const survived = (result: AppendResult | undefined): boolean =>
    result?.status === "ok" && (allowed.syncedTo === undefined || result.logOffset + result.bytes <= allowed.syncedTo);
  let repeated = 0;
  for (const sent of sim.journal.sent.values()) {
    const count = counts.get(sent.id) ?? 0;
    if (count > 1) repeated++;
    if (sent.recalled && survived(sent.recall) && count > 0) throw new Error(`${sent.id} was recalled and came`);
    if (!sent.recalled && survived(sent.result) && count === 0) throw new Error(`${sent.id} was lost`);
  }
  return repeated;
}
