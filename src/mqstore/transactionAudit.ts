/**
 * Counts what the log says of transactions: half messages, and which of them an op message or a committed message decides. An op
 * message that names a half message which never was is told. Memory: a bit and a number per half message, bounded.
 */
import { TRANS_HALF_TOPIC, TRANS_OP_HALF_TOPIC } from "../broker/names.ts";
import type { RecordView } from "../message/record.ts";
import { TRANSACTION_COMMIT, TRANSACTION_MASK } from "../message/sysFlag.ts";
import type { Findings } from "./findings.ts";

const AREA = "transactions";
/** Half messages whose decision is followed: 36 MB at most. */
const HALF_MAX = 4_000_000;

export interface TransactionFacts {
  halfMessages: number;
  opMessages: number;
  /** Half messages that nothing in the log decides; -1: too many to tell. */
  undecided: number;
}

export class TransactionAudit {
  readonly #findings: Findings;
  #offsets = new Float64Array(1024);
  #queueOffsets = new Float64Array(1024);
  #decided = new Uint8Array(1024);
  #count = 0;
  #tooMany = false;
  #ops = 0;
  /** Highest half queue offset that an op message names, and where. */
  #named = -1;
  #namedAt = -1;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  record(view: RecordView): void {
    if (view.topicBytes === TRANS_HALF_TOPIC.length && view.topic() === TRANS_HALF_TOPIC) this.#half(view);
    else if (view.topicBytes === TRANS_OP_HALF_TOPIC.length && view.topic() === TRANS_OP_HALF_TOPIC) this.#op(view);
    else if ((view.sysFlag & TRANSACTION_MASK) === TRANSACTION_COMMIT && view.preparedTransactionOffset > 0) {
      this.#decide(search(this.#offsets, this.#count, view.preparedTransactionOffset));
    }
  }

  #half(view: RecordView): void {
    if (this.#count === HALF_MAX) {
      this.#tooMany = true;
      return;
    }
    if (this.#count === this.#offsets.length) {
      this.#offsets = grown(this.#offsets, new Float64Array(this.#count * 2));
      this.#queueOffsets = grown(this.#queueOffsets, new Float64Array(this.#count * 2));
      this.#decided = grown(this.#decided, new Uint8Array(this.#count * 2));
    }
    this.#offsets[this.#count] = view.logOffset;
    this.#queueOffsets[this.#count++] = view.queueOffset;
  }

  #op(view: RecordView): void {
    this.#ops++;
    for (const text of view.body().toString("latin1").split(",")) {
      if (!/^\d{1,15}$/.test(text)) continue;
      const offset = Number(text);
      if (offset > this.#named) {
        this.#named = offset;
        this.#namedAt = view.logOffset;
      }
      this.#decide(search(this.#queueOffsets, this.#count, offset));
    }
  }

  #decide(at: number): void {
    if (at >= 0) this.#decided[at] = 1;
  }

  /** @param progress half messages before this queue offset are settled: the consumer offset of CID_RMQ_SYS_TRANS */
  finish(progress: number): TransactionFacts {
    let undecided = 0;
    for (let i = 0; i < this.#count; i++) {
      if (this.#decided[i] === 0 && this.#queueOffsets[i] >= progress) undecided++;
    }
    const newest = this.#count === 0 ? -1 : this.#queueOffsets[this.#count - 1];
    if (!this.#tooMany && this.#named > newest && this.#count > 0) {
      const what = `the op message at log offset ${this.#namedAt} decides half message ${this.#named}, the newest is ${newest}`;
      this.#findings.add("problem", AREA, "op ahead", TRANS_OP_HALF_TOPIC, what);
    }
    return { halfMessages: this.#count, opMessages: this.#ops, undecided: this.#tooMany ? -1 : undecided };
  }
}

function grown<T extends Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Where `value` stands in the ascending numbers; -1 when it does not. */
function search(numbers: Float64Array, count: number, value: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numbers[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low < count && numbers[low] === value ? low : -1;
}
