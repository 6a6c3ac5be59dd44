/**
 * The one place where an acknowledgement is granted, and only after what it stands for has happened:
 *
 *   ASYNC_FLUSH  the write to the file returned         (survives kill -9)
 *   SYNC_FLUSH   a data sync that succeeded returned    (survives power loss)
 *   SYNC_MASTER  and inSyncReplicas - 1 slaves have it  (survives the loss of the machine)
 *
 * Group commit without waiting: `commit` runs once per event-loop turn and writes all that the turn brought; while a sync
 * runs, the next turns' writes gather for the next sync. A message becomes visible to consumers when it is granted.
 *
 * A full disk takes back what could not be written and answers so; a failed sync is never tried again: the kernel may
 * have dropped the pages and would report success. The store turns read-only and `onFatal` ends the process.
 */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { WriteFigures } from "../metrics/writeFigures.ts";
import type { CommitLog } from "./commitLog.ts";
import { type PendingAppend, PendingRing } from "./pending.ts";
import { isOutOfFiles, type WriteGate } from "./writeGate.ts";

export interface FlushHooks {
  /** Makes a granted message visible: queue unit, index, arrival. `now`: the moment of the grant, ms of the wall clock. */
  dispatch(pending: PendingAppend, now: number): void;
  /** A position in the log below which everything is granted. */
  granted(logOffset: number): void;
  /** An append was taken back; called newest first. */
  takenBack(pending: PendingAppend): void;
  /** The store cannot go on; it is read-only from here on. */
  onFatal(error: Error): void;
}

/** What SYNC_MASTER adds to a grant: messages wait until slaves have them, or until it has taken too long. */
export interface ReplicaWait {
  /** A message older than this is answered FLUSH_SLAVE_TIMEOUT and becomes visible (Apache: slaveTimeout), ms. */
  timeoutMs(): number;
  /** Such a message does not become visible before slaves have it: who else became master might lack it. */
  readonly strict?: boolean;
}

export class Flush {
  readonly ring = new PendingRing();
  readonly #log: CommitLog;
  readonly #gate: WriteGate;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #sync: boolean;
  readonly #syncTimeoutMs: () => number;
  readonly #replicaWait: ReplicaWait | undefined;
  readonly #figures: WriteFigures | undefined;
  /** Everything below is on enough slaves, or has waited for them long enough. Unbounded where nothing waits for slaves. */
  #replicated: number;
  readonly #hooks: FlushHooks;
  /** Ring position behind the last append that was written. */
  #writtenPosition = 0;
  /** Ring position up to which SYNC_FLUSH time-outs were answered. */
  #timedOutPosition = 0;
  #syncing: Promise<void> | undefined;
  #closed = false;
  /** Everything below is durable. */
  synced: number;

  constructor(
    log: CommitLog,
    gate: WriteGate,
    clock: Clock,
    logger: Logger,
    options: {
      sync: boolean;
      syncTimeoutMs: () => number;
      replicaWait?: ReplicaWait | undefined;
      figures?: WriteFigures | undefined;
    },
    hooks: FlushHooks,
  ) {
    this.#log = log;
    this.#gate = gate;
    this.#clock = clock;
    this.#logger = logger;
    this.#sync = options.sync;
    this.#syncTimeoutMs = options.syncTimeoutMs;
    this.#replicaWait = options.replicaWait;
    this.#figures = options.figures;
    // What a start finds in the log was answered in an earlier life, or its sender has given up.
    this.#replicated = options.replicaWait === undefined ? Number.POSITIVE_INFINITY : log.written;
    this.#hooks = hooks;
    this.synced = log.written;
  }

  /** End of turn: writes what is pending, grants what may be granted. */
  commit(): void {
    if (this.#log.end !== this.#log.written) {
      if (this.#gate.fatal) this.#takeBack(this.#gate.state().reason);
      else {
        this.#figures?.wrote(this.ring.tail - this.#writtenPosition, this.#log.end - this.#log.written);
        this.#writeOut();
      }
    }
    const before = this.#writtenPosition;
    this.#writtenPosition = this.ring.tail;
    if (!this.#sync) {
      this.#grant(this.#log.written);
      if (this.#replicaWait !== undefined && this.ring.length > 0) this.#answerThoseWhoDoNotWait(before);
    } else if (this.ring.length > 0) {
      this.#answerThoseWhoDoNotWait(before);
      void this.syncNow();
    }
  }

  #writeOut(): void {
    try {
      this.#log.writeOut();
    } catch (error) {
      this.writeFailed(error as Error);
    }
  }

  /** A write failed: takes back every append that is not in the file, with the reason as its answer. */
  writeFailed(error: Error): void {
    this.#takeBack(this.#gate.writeFailed(error));
    if (!this.#gate.fatal && !isOutOfFiles(error)) {
      try {
        this.#log.eraseUnwritten();
      } catch (eraseError) {
        this.#gate.eraseFailed(eraseError as Error);
      }
    }
    if (this.#gate.fatal) this.#fatal(error);
  }

  /** Refuses every append that is not in the file, newest first. */
  #takeBack(refusal: string): void {
    const written = this.#log.written;
    const ring = this.ring;
    for (let position = ring.tail - 1; position >= ring.head; position--) {
      const pending = ring.at(position);
      if (pending.status !== "ok") continue;
      if (pending.logOffset < written) break;
      pending.status = "notAvailable";
      pending.reason = refusal;
      this.#hooks.takenBack(pending);
    }
    this.#log.rollback();
  }

  /**
   * Syncs what was written before the call, or joins a sync under way, which may have begun earlier. Under SYNC_FLUSH somebody
   * waits for what came meanwhile, so it goes on; under ASYNC_FLUSH nobody does, and a sync per few messages would cost more
   * than the messages.
   */
  syncNow(): Promise<void> {
    if (this.#syncing === undefined) {
      if (!this.#unsynced()) {
        if (this.#sync) this.#grant(this.synced);
        return Promise.resolve();
      }
      this.#syncing = this.#syncLoop();
    }
    return this.#syncing;
  }

  #unsynced(): boolean {
    return this.synced < this.#log.written && !this.#gate.fatal && !this.#closed;
  }

  /** Syncs until everything below `logOffset` is durable; not beyond a failure. */
  async syncTo(logOffset: number): Promise<void> {
    while (this.synced < logOffset && this.#unsynced()) {
      const before = this.synced;
      await this.syncNow();
      if (this.synced === before) return;
    }
  }

  async #syncLoop(): Promise<void> {
    do {
      const to = this.#log.written;
      const began = this.#clock.monotonicMs();
      try {
        await this.#log.sync(this.synced, to);
      } catch (error) {
        this.#syncing = undefined;
        // Nothing was synced, so nothing was lost by it: the next round may succeed.
        if (isOutOfFiles(error)) this.#logger.error({ err: error }, "the commit log is not synced; trying again");
        else this.#syncFailed(error as Error);
        return;
      }
      this.#figures?.synced(this.#clock.monotonicMs() - began);
      this.synced = to;
      if (this.#sync) this.#grant(to);
    } while (this.#sync && this.#unsynced());
    // In the step of the last look: who comes a moment later must not join a loop that looks no more.
    this.#syncing = undefined;
    if (this.#sync) this.#grant(this.synced);
  }

  #syncFailed(error: Error): void {
    const reason = this.#gate.syncFailed(error);
    if (this.#sync) {
      for (let position = this.ring.head; position < this.ring.tail; position++) {
        const pending = this.ring.at(position);
        if (pending.status === "ok") pending.status = "notAvailable";
        pending.reason = reason;
        this.#answer(pending);
      }
      this.ring.head = this.ring.tail;
    }
    this.#fatal(error);
  }

  #fatal(error: Error): void {
    this.#logger.fatal({ err: error }, this.#gate.state().reason);
    this.#hooks.onFatal(error);
  }

  /** Everything below is on enough slaves, or has waited for them long enough. */
  get replicatedTo(): number {
    return this.#replicated;
  }

  /** Slaves have everything below `logOffset`. */
  replicated(logOffset: number): void {
    if (logOffset <= this.#replicated) return;
    this.#replicated = logOffset;
    this.#grant(this.#sync ? this.synced : this.#log.written);
  }

  /** Grants appends in log order up to `localOffset`, where slaves have them, too; refused ones are answered in their turn. */
  #grant(localOffset: number): void {
    const logOffset = Math.min(localOffset, this.#replicated);
    const ring = this.ring;
    const now = ring.length === 0 ? 0 : this.#clock.now();
    while (ring.head < ring.tail) {
      const pending = ring.at(ring.head);
      if (pending.status === "ok" || isLate(pending)) {
        if (pending.logOffset + pending.bytes > logOffset || ring.head >= this.#writtenPosition) break;
        this.#hooks.dispatch(pending, now);
      }
      ring.head++;
      this.#answer(pending);
    }
    this.#hooks.granted(logOffset);
  }

  #answer(pending: PendingAppend): void {
    const target = pending.target;
    pending.target = undefined;
    if (target !== undefined) target.appended(pending);
  }

  /** Of the appends from ring position `from` on: earlier ones were looked at in their own turn. */
  #answerThoseWhoDoNotWait(from: number): void {
    for (let position = Math.max(this.ring.head, from); position < this.#writtenPosition; position++) {
      const pending = this.ring.at(position);
      if (pending.noWait || pending.status === "notAvailable") this.#answer(pending);
    }
  }

  /** Answers SYNC_FLUSH appends that have waited too long; they stay in the log and become visible when synced. */
  answerTimedOut(): void {
    const limit = this.#clock.now() - this.#syncTimeoutMs();
    let position = Math.max(this.ring.head, this.#timedOutPosition);
    for (; position < this.#writtenPosition; position++) {
      const pending = this.ring.at(position);
      if (pending.storeTimestamp > limit) break;
      if (pending.status === "ok") {
        pending.status = "flushDiskTimeout";
        pending.reason = `not synced within syncFlushTimeout (${this.#syncTimeoutMs()} ms); the message is stored`;
      }
      this.#answer(pending);
    }
    this.#timedOutPosition = position;
    // For those whose sync could not begin; one under way is joined.
    if (this.#sync && this.ring.length > 0) void this.syncNow();
  }

  /** Answers SYNC_MASTER appends that no slave has confirmed for too long; they stay in the log and become visible. */
  answerUnreplicated(): void {
    const timeoutMs = this.#replicaWait?.timeoutMs() ?? 0;
    this.#giveUpBefore(this.#clock.now() - timeoutMs, `no slave confirmed it within slaveTimeout (${timeoutMs} ms)`);
  }

  #giveUpBefore(storeTimestamp: number, reason: string, strict = this.#replicaWait?.strict === true): void {
    let to = this.#replicated;
    for (let position = this.ring.head; position < this.#writtenPosition; position++) {
      const pending = this.ring.at(position);
      if (pending.storeTimestamp > storeTimestamp) break;
      const end = pending.logOffset + pending.bytes;
      if (end <= to || pending.status === "notAvailable") continue;
      to = end;
      if (strict && pending.status === "flushSlaveTimeout") continue;
      // As in Apache, of two reasons to warn the sender the slaves' is the one that he is told.
      pending.status = "flushSlaveTimeout";
      pending.reason = `${reason}; the message is stored here`;
      if (!this.#sync && !strict) continue;
      // It is not synced either, perhaps, or must not be seen yet: then it is answered now and becomes visible later.
      this.#answer(pending);
    }
    if (!strict) this.replicated(to);
  }

  /** Writes and syncs all, for a clean stop. */
  async close(): Promise<void> {
    this.commit();
    await this.syncTo(this.#log.written);
    if (this.#replicaWait !== undefined) this.#giveUpBefore(Number.POSITIVE_INFINITY, "this broker stops", false);
    this.#closed = true;
  }

  /** Forgets everything at once, as a crash would; for tests and for a store that failed. */
  abandon(): void {
    this.#closed = true;
  }
}

/** Answered with a warning, or about to be, but in the log: it becomes visible like any other. */
function isLate(pending: PendingAppend): boolean {
  return pending.status === "flushDiskTimeout" || pending.status === "flushSlaveTimeout";
}
