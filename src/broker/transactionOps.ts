/**
 * The op topic (RMQ_SYS_TRANS_OP_HALF_TOPIC): which half messages are decided, in batches (Apache:
 * TransactionalOpBatchService). The body of an op message is the queue offsets of half messages, each followed by a comma;
 * its tag is "d".
 *
 * Commits wait up to transactionOpBatchInterval or transactionOpMsgMaxSize for their op message: until then the committed
 * message itself, which names its half message's log offset, is what a restart finds (transactionRecovery.ts). The property
 * {@link DECIDED_TO} tells it from where to look. A rollback leaves no other trace, so its op message is written at once and
 * its sender answered only then.
 */
import { Buffer } from "node:buffer";
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { Property } from "../message/properties.ts";
import type { AppendResult, NewMessage } from "../store/types.ts";
import { TRANS_OP_HALF_TOPIC } from "./names.ts";

/**
 * Every decision whose committed message lies below this log offset is in this op message or an earlier one; 0 when nothing
 * is known of that. Apache's op messages have none.
 */
export const DECIDED_TO = "SKYLARK_DECIDED_TO";
export const OP_TAG = "d";
/** Wait after op messages were refused. */
const RETRY_MS = 100;

/** The answer to a rollback of a message that was itself refused. */
const TAKEN_BACK: AppendResult = {
  status: "notAvailable",
  reason: "the half message was taken back",
  logOffset: -1,
  queueOffset: -1,
  bytes: 0,
  storeTimestamp: 0,
};

/** The options this service reads, by Apache's keys. */
export interface OpOptions {
  /** Bytes of a body above which no offset is added. */
  readonly transactionOpMsgMaxSize: number;
  /** ms */
  readonly transactionOpBatchInterval: number;
}

/** What the service must know of the decisions themselves. */
export interface Decisions {
  isDecided(halfOffset: number): boolean;
  /** Log offset below which every committed message was given to {@link TransactionOps.add}. */
  decidedTo(): number;
}

export interface OpStore {
  put(message: NewMessage): Promise<AppendResult>;
}

/** An op message that is still needed, because half messages it decides are not passed by yet. */
interface Op {
  queueOffset: number;
  /** Largest queue offset of a half message in it. */
  lastHalf: number;
}

export class TransactionOps {
  readonly #options: OpOptions;
  readonly #store: OpStore;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #decisions: Decisions;
  /** Decisions without an op message. */
  #waiting: number[] = [];
  /** Bytes of their body. */
  #waitingBytes = 0;
  #rollbacks: ((result: AppendResult) => void)[] = [];
  #ops: Op[] = [];
  #opsHead = 0;
  /** Queue offset behind the last op message. */
  #end = 0;
  #timer: Timer | undefined;
  #flushRequested = false;
  #flushing: Promise<void> = Promise.resolve();

  constructor(options: OpOptions, store: OpStore, clock: Clock, log: Logger, decisions: Decisions) {
    this.#options = options;
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#decisions = decisions;
  }

  /** Decisions that no op message tells yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Hot: notes that a half message's committed message is stored. */
  add(halfOffset: number): void {
    this.#push(halfOffset);
    if (this.#waitingBytes >= this.#options.transactionOpMsgMaxSize) this.#flushAtTurn();
    else this.#timer ??= this.#clock.after(this.#options.transactionOpBatchInterval, () => this.#flushAtTurn());
  }

  /** Notes a decision that has no other trace; resolves when its op message is stored or refused. */
  addNow(halfOffsets: readonly number[]): Promise<AppendResult> {
    for (const offset of halfOffsets) this.#push(offset);
    this.#flushAtTurn();
    return new Promise((resolve) => this.#rollbacks.push(resolve));
  }

  #push(halfOffset: number): void {
    this.#waiting.push(halfOffset);
    let bytes = 2;
    for (let limit = 10; halfOffset >= limit; limit *= 10) bytes++;
    this.#waitingBytes += bytes;
  }

  #flushAtTurn(): void {
    if (this.#flushRequested) return;
    this.#flushRequested = true;
    this.#clock.endOfTurn(() => {
      this.#flushRequested = false;
      void this.flush();
    });
  }

  /**
   * Writes what waits; resolves when it is stored or could not be. One after the other: an op message says that all decisions
   * up to a place in the log are told, so those of an earlier one that was refused must be in it.
   */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flush());
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    this.#clock.clear(this.#timer);
    this.#timer = undefined;
    // A message that was put back may have been taken out of the log again: its offset now belongs to another one.
    const offsets = this.#waiting.filter((offset) => this.#decisions.isDecided(offset));
    const rollbacks = this.#rollbacks;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#rollbacks = [];
    if (offsets.length === 0) {
      for (const resolve of rollbacks) resolve(TAKEN_BACK);
      return;
    }
    const bodies = batches(offsets, this.#options.transactionOpMsgMaxSize);
    const decidedTo = this.#decisions.decidedTo();
    const results = await Promise.all(
      bodies.map((batch, i) => this.#store.put(this.#message(batch.body, i === bodies.length - 1 ? decidedTo : 0))),
    );
    let refused: AppendResult | undefined;
    for (const [i, result] of results.entries()) {
      if (isStored(result)) this.noteOp(result.queueOffset, bodies[i].last);
      else {
        refused ??= result;
        for (const offset of bodies[i].offsets) this.#push(offset);
      }
    }
    if (refused !== undefined) {
      this.#log.warn({ status: refused.status, reason: refused.reason }, "op messages were not taken; trying again");
      this.#timer ??= this.#clock.after(RETRY_MS, () => this.#flushAtTurn());
    }
    const outcome = refused ?? results[results.length - 1];
    for (const resolve of rollbacks) resolve(outcome);
  }

  #message(body: string, decidedTo: number): NewMessage {
    const properties = new Map<string, string>([
      [Property.TAGS, OP_TAG],
      [Property.WAIT_STORE_MSG_OK, "true"],
      [DECIDED_TO, String(decidedTo)],
    ]);
    return { topic: TRANS_OP_HALF_TOPIC, queueId: 0, body: Buffer.from(body, "latin1"), properties };
  }

  // ---- how far the op topic is needed ----

  /** Begins at an op message's queue offset; recovery then tells what is found from there on. */
  begin(queueOffset: number): void {
    this.#ops = [];
    this.#opsHead = 0;
    this.#end = queueOffset;
  }

  /** Notes a stored op message, in the order of their queue offsets. */
  noteOp(queueOffset: number, lastHalf: number): void {
    this.#ops.push({ queueOffset, lastHalf });
    this.#end = queueOffset + 1;
  }

  /** Queue offset of the first op message that decides a half message at or behind `halfOffset`. */
  neededFrom(halfOffset: number): number {
    while (this.#opsHead < this.#ops.length && this.#ops[this.#opsHead].lastHalf < halfOffset) this.#opsHead++;
    if (this.#opsHead * 2 > this.#ops.length) {
      this.#ops = this.#ops.slice(this.#opsHead);
      this.#opsHead = 0;
    }
    return this.#ops[this.#opsHead]?.queueOffset ?? this.#end;
  }
}

/** Whether the message is in the log and will be seen, whatever its sender should think of it. */
export function isStored(result: { status: AppendResult["status"] }): boolean {
  const { status } = result;
  return (
    status === "ok" || status === "flushDiskTimeout" || status === "flushSlaveTimeout" || status === "slaveNotAvailable"
  );
}

/** Bodies of op messages: offsets are added while a body is shorter than `maxBytes`. */
function batches(offsets: readonly number[], maxBytes: number): { body: string; offsets: number[]; last: number }[] {
  const all: { body: string; offsets: number[]; last: number }[] = [];
  let batch = { body: "", offsets: [] as number[], last: 0 };
  for (const offset of offsets) {
    if (batch.body.length >= maxBytes) {
      all.push(batch);
      batch = { body: "", offsets: [], last: 0 };
    }
    batch.body += `${offset},`;
    batch.offsets.push(offset);
    batch.last = Math.max(batch.last, offset);
  }
  if (batch.offsets.length > 0) all.push(batch);
  return all;
}

/** The queue offsets in an op message's body; what is no number is left out, as in Apache. */
export function opOffsets(body: Buffer): number[] {
  return body
    .toString("latin1")
    .split(",")
    .filter((text) => /^\d{1,15}$/.test(text))
    .map(Number);
}
