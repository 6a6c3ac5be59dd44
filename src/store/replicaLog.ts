/**
 * The commit log of a slave: bytes come from its master and lie where they lay there (Apache: appendToCommitLog and the
 * ReputMessageService of DefaultMessageStore). Whole records go to queues and index as they come.
 *
 *   first ............... dispatchedTo ...... end
 *   |--- whole records ---|- part of a record -|
 *
 * Refuses bytes that do not continue the log and bytes that are no records: a log that is not the master's must not grow.
 */
import type { Buffer } from "node:buffer";
import type { Logger } from "../base/log.ts";
import type { Turn } from "../base/turn.ts";
import { BLANK_BYTES, RecordView } from "../message/record.ts";
import type { CommitLog } from "./commitLog.ts";
import type { DerivedFiles } from "./derivedFiles.ts";
import type { Flush } from "./flush.ts";
import { readMessage } from "./lookup.ts";
import type { WriteGate } from "./writeGate.ts";

/** The master's log does not continue this one: going on would corrupt it. */
export class DivergedError extends Error {}

export class ReplicaLog {
  /** Everything below was given to queues and index; the begin of a record. */
  dispatchedTo: number;
  /** Store time of the newest record, ms. */
  lastTimestamp = 0;
  readonly #log: CommitLog;
  readonly #flush: Flush;
  readonly #gate: WriteGate;
  readonly #derived: DerivedFiles;
  readonly #syncFlush: boolean;
  readonly #turn: Turn;
  readonly #logger: Logger;
  #listener: () => void = () => {};
  readonly #view = new RecordView();
  #diverged: DivergedError | undefined;

  constructor(
    log: CommitLog,
    flush: Flush,
    gate: WriteGate,
    derived: DerivedFiles,
    syncFlush: boolean,
    turn: Turn,
    logger: Logger,
  ) {
    this.#log = log;
    this.#flush = flush;
    this.#gate = gate;
    this.#derived = derived;
    this.#syncFlush = syncFlush;
    this.#turn = turn;
    this.#logger = logger;
    this.dispatchedTo = log.end;
    derived.live = true;
    gate.slave();
  }

  /** Where the master's next byte goes. */
  get end(): number {
    return this.#log.end;
  }

  /** Nothing was ever stored: the log may begin at any file of the master. */
  get empty(): boolean {
    return this.#log.segments.count === 0;
  }

  /** What the master may be told that this slave has: under SYNC_FLUSH only what is synced. */
  get acknowledged(): number {
    return this.#syncFlush ? Math.min(this.#flush.synced, this.#log.end) : this.#log.end;
  }

  /** Begin of the newest record that a queue lists, for comparing it with the master's; -1 when there is none. */
  lastRecordAt(): number {
    let last = -1;
    for (const queue of this.#derived.queues.all()) last = Math.max(last, queue.lastLogOffset);
    return last;
  }

  /** The bytes of the record at `logOffset`; undefined when none begins there. */
  async recordAt(logOffset: number): Promise<Buffer | undefined> {
    return (await readMessage(this.#log, logOffset))?.bytes;
  }

  /** Calls `fn` when {@link acknowledged} may have grown. */
  onProgress(fn: () => void): void {
    this.#listener = fn;
  }

  /** For the store: the end of a turn or of a sync has come. */
  progressed(): void {
    this.#listener();
  }

  /**
   * Appends `buf[start, end)`, which lies at `logOffset` in the master's log.
   * @throws DivergedError when they are not a log's; or what the disk throws: then nothing of them was taken
   */
  append(buf: Buffer, start: number, end: number, logOffset: number): void {
    if (this.#diverged !== undefined) throw this.#diverged;
    const log = this.#log;
    const { fileBytes } = log.segments;
    if (this.empty && log.end !== logOffset) this.#begin(logOffset);
    if (logOffset !== log.end) throw new Error(`bytes of log offset ${logOffset} came, this log ends at ${log.end}`);
    let at = start;
    while (at < end) {
      const inFile = fileBytes - (log.end % fileBytes);
      const room = log.rawRoom(this.dispatchedTo);
      if (room <= 0) this.#diverge(this.#tooLarge());
      const bytes = Math.min(end - at, inFile, room);
      try {
        log.appendRaw(buf, at, at + bytes, this.dispatchedTo);
      } catch (error) {
        this.#flush.writeFailed(error as Error);
        throw error;
      }
      at += bytes;
      this.#dispatch();
    }
    this.#turn.request();
  }

  #begin(logOffset: number): void {
    const { fileBytes } = this.#log.segments;
    if (logOffset % fileBytes !== 0) {
      this.#diverge(
        `the master's log begins at ${logOffset}, where no file of mappedFileSizeCommitLog=${fileBytes} begins: is it the master's?`,
      );
    }
    this.#log.beginAt(logOffset);
    this.dispatchedTo = logOffset;
    this.#flush.synced = logOffset;
  }

  /** Gives all whole records to queues and index. */
  #dispatch(): void {
    const log = this.#log;
    const view = this.#view;
    const { fileBytes } = log.segments;
    if (this.dispatchedTo === log.end || !log.viewTail(this.dispatchedTo)) return;
    const base = this.dispatchedTo - log.viewAt;
    const { viewBuf, viewEnd } = log;
    while (this.dispatchedTo < log.end) {
      const at = this.dispatchedTo - base;
      const fileEnd = this.dispatchedTo - (this.dispatchedTo % fileBytes) + fileBytes;
      const check = view.read(viewBuf, at, viewEnd, true);
      if (check === "record" && view.logOffset === this.dispatchedTo && view.isPlausible()) {
        if (this.dispatchedTo + view.totalBytes > fileEnd) this.#notRecord(fileEnd);
        if (!this.#derived.redispatch(view, true)) {
          this.#logger.error(
            { logOffset: this.dispatchedTo, topic: view.topic(), queueId: view.queueId, queueOffset: view.queueOffset },
            "a message of the master is not listed in its queue: its place lies too far behind the last one",
          );
        }
        this.lastTimestamp = view.storeTimestamp;
        this.dispatchedTo += view.totalBytes;
      } else if (check === "blank" && this.dispatchedTo + view.totalBytes === fileEnd) {
        // The zeros behind it may still be on their way.
        if (log.end < fileEnd) return;
        this.dispatchedTo = fileEnd;
      } else if (check === "end" && (viewEnd - at < BLANK_BYTES || view.totalBytes > 0)) {
        if (this.dispatchedTo + Math.max(view.totalBytes, 0) > fileEnd && viewEnd - at >= BLANK_BYTES)
          this.#notRecord(fileEnd);
        if (log.end === fileEnd) this.#notRecord(fileEnd);
        return;
      } else this.#notRecord(fileEnd);
    }
  }

  #tooLarge(): string {
    return `the message at log offset ${this.dispatchedTo} is larger than maxMessageSize of this slave allows: it must be as on the master`;
  }

  #notRecord(fileEnd: number): never {
    const at = this.dispatchedTo;
    this.#diverge(
      `what the master sent for log offset ${at} is no message of that place (a file ends at ${fileEnd}: are mappedFileSizeCommitLog and the master the right ones?)`,
    );
  }

  /** Ends replication for the life of this process, with the log cut to what was right. */
  #diverge(reason: string): never {
    this.#diverged = new DivergedError(reason);
    if (!this.empty && this.dispatchedTo < this.#log.end && !this.#gate.fatal) this.#log.cutRaw(this.dispatchedTo);
    throw this.#diverged;
  }
}
