/**
 * Half messages of which a verdict may come: what EndTransaction does not say, but the broker must know (Apache:
 * TransactionDataManager). Filled by a send and by every check; forgotten after a while, because a later check fills it
 * again. Refuses nothing: the oldest gives way.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { GRPC_TRANSACTIONS_MAX } from "../base/limits.ts";

export interface HalfMessage {
  brokerName: string;
  /** Offset in the queue of half messages. */
  tranStateTableOffset: number;
  commitLogOffset: number;
}

interface Remembered extends HalfMessage {
  /** Monotonic ms. */
  expires: number;
}

export class HalfMessages {
  readonly #clock: Clock;
  readonly #expireMs: number;
  readonly #scanMs: number;
  /** Several of one transaction: sent, and then checked, perhaps more than once. In the order of their expiry. */
  readonly #byKey = new Map<string, Remembered>();
  #timer: Timer | undefined;

  constructor(clock: Clock, expireMs: number, scanMs: number) {
    this.#clock = clock;
    this.#expireMs = expireMs;
    this.#scanMs = scanMs;
  }

  start(): void {
    this.#timer = this.#clock.every(this.#scanMs, () => this.#clean());
  }

  stop(): void {
    this.#clock.clear(this.#timer);
    this.#byKey.clear();
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** A newer place of the same transaction replaces the older: the broker moves a half message when it checks it. */
  add(producerGroup: string, transactionId: string, half: HalfMessage): void {
    const key = keyOf(producerGroup, transactionId);
    this.#byKey.delete(key);
    if (this.#byKey.size >= GRPC_TRANSACTIONS_MAX) {
      for (const oldest of this.#byKey.keys()) {
        this.#byKey.delete(oldest);
        break;
      }
    }
    this.#byKey.set(key, { ...half, expires: this.#clock.monotonicMs() + this.#expireMs });
  }

  /** Takes it out: a second verdict finds nothing. */
  take(producerGroup: string, transactionId: string): HalfMessage | undefined {
    const key = keyOf(producerGroup, transactionId);
    const half = this.#byKey.get(key);
    this.#byKey.delete(key);
    return half !== undefined && half.expires >= this.#clock.monotonicMs() ? half : undefined;
  }

  #clean(): void {
    const now = this.#clock.monotonicMs();
    for (const [key, { expires }] of this.#byKey) {
      if (expires >= now) break;
      this.#byKey.delete(key);
    }
  }
}

function keyOf(producerGroup: string, transactionId: string): string {
  return `${producerGroup}@${transactionId}`;
}
