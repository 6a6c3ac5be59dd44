/**
 * Acknowledgements of one event-loop turn, waiting together for the journal: the acks of one checkpoint become one record,
 * and nobody is answered before the record is in the log. Objects are used again; an acknowledgement costs no allocation.
 */
import type { JournalEntry } from "./journal.ts";
import type { Checkpoint, PopQueue } from "./state.ts";
import { bits } from "./state.ts";

/** Who gets the outcome of an acknowledgement; one per connection. */
export interface AckSink {
  /** `refusal` is the exact reason when it was not taken: the message will be given again. */
  acked(opaque: number, serialization: number, refusal: string | undefined): void;
}

/** Those who wait for the records of one turn. */
export class AckBatch {
  readonly #sinks: AckSink[] = [];
  readonly #opaques: number[] = [];
  readonly #serializations: number[] = [];
  #count = 0;
  /** Records that the journal has not answered. */
  outstanding = 0;
  /** Why a record was refused. */
  failed: string | undefined = undefined;

  get count(): number {
    return this.#count;
  }

  add(sink: AckSink, opaque: number, serialization: number): void {
    const i = this.#count++;
    this.#sinks[i] = sink;
    this.#opaques[i] = opaque;
    this.#serializations[i] = serialization;
  }

  /** Answers all, and is empty again. */
  finish(): void {
    const { failed } = this;
    const count = this.#count;
    this.#count = 0;
    this.failed = undefined;
    for (let i = 0; i < count; i++) this.#sinks[i].acked(this.#opaques[i], this.#serializations[i], failed);
    // The array must not keep closed connections alive.
    this.#sinks.length = 0;
  }
}

/** Hears what becomes of checkpoints. */
export interface AckListener {
  /** Messages of a checkpoint are settled for good. */
  settled(checkpoint: Checkpoint): void;
  /** A batch has all its answers. */
  finished(batch: AckBatch): void;
  /** An acknowledgement's record, to be used again. */
  reuse(record: AckEntry): void;
}

/** One record of acknowledgements on its way into the journal. */
export class AckEntry implements JournalEntry {
  checkpoint: Checkpoint | undefined = undefined;
  mask = 0;
  batch: AckBatch | undefined = undefined;
  readonly #listener: AckListener;

  constructor(listener: AckListener) {
    this.#listener = listener;
  }

  journaled(refusal: string | undefined): void {
    const { checkpoint, mask, batch } = this;
    this.checkpoint = undefined;
    this.batch = undefined;
    this.#listener.reuse(this);
    if (checkpoint !== undefined) {
      checkpoint.asked &= ~mask;
      if (refusal === undefined) settle(checkpoint, mask);
      this.#listener.settled(checkpoint);
    }
    if (batch === undefined) return;
    if (refusal !== undefined) batch.failed = refusal;
    if (--batch.outstanding === 0) this.#listener.finished(batch);
  }
}

/** Marks messages of a checkpoint as done for good. */
export function settle(checkpoint: Checkpoint, mask: number): void {
  const fresh = mask & ~checkpoint.acked;
  checkpoint.acked |= mask;
  checkpoint.queue.settled(bits(fresh));
}

/** The state of a queue in order, on its way into the journal. */
export class OrderEntry implements JournalEntry {
  readonly queue: PopQueue;
  readonly #batch: AckBatch;
  readonly #listener: AckListener;

  constructor(queue: PopQueue, batch: AckBatch, listener: AckListener) {
    this.queue = queue;
    this.#batch = batch;
    this.#listener = listener;
  }

  journaled(refusal: string | undefined): void {
    if (refusal !== undefined) this.#batch.failed = refusal;
    if (--this.#batch.outstanding === 0) this.#listener.finished(this.#batch);
  }
}
