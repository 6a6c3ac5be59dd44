/**
 * Half messages of which a verdict may come: what EndTransaction does not say, but the broker must know (Apache:
 * TransactionDataManager). Filled by a send and by every check, which moves the half message; every place is good for one
 * verdict, the newest first. Forgotten after a while, because a later check fills it again. Refuses nothing: the oldest
 * gives way.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { GRPC_TRANSACTIONS_MAX } from "../base/limits.ts";

export interface HalfMessage {
  brokerName: string;
  /** Offset in the queue of half messages. */
  tranStateTableOffset: number;
  commitLogOffset: number;
}

interface Places {
  /** Oldest first. */
  readonly list: HalfMessage[];
  /** Monotonic ms at which the newest is forgotten; the older ones go with it. */
  expires: number;
}

export class HalfMessages {
  readonly #clock: Clock;
  readonly #expireMs: number;
  readonly #scanMs: number;
  readonly #placesMax: number;
  /** In the order of their expiry. */
  readonly #byKey = new Map<string, Places>();
  #timer: Timer | undefined;

  /** @param placesMax places remembered of one transaction */
  constructor(clock: Clock, expireMs: number, scanMs: number, placesMax: number) {
    this.#clock = clock;
    this.#expireMs = expireMs;
    this.#scanMs = scanMs;
    this.#placesMax = placesMax;
  }

  start(): void {
    this.#timer = this.#clock.every(this.#scanMs, () => this.#clean());
  }

  stop(): void {
    this.#clock.clear(this.#timer);
    this.#byKey.clear();
  }

  /** Transactions remembered. */
  get size(): number {
    return this.#byKey.size;
  }

  add(producerGroup: string, transactionId: string, half: HalfMessage): void {
    const key = keyOf(producerGroup, transactionId);
    const list = this.#live(key)?.list ?? [];
    list.push(half);
    if (list.length > this.#placesMax) list.shift();
    this.#byKey.delete(key);
    if (this.#byKey.size >= GRPC_TRANSACTIONS_MAX) {
      for (const oldest of this.#byKey.keys()) {
        this.#byKey.delete(oldest);
        break;
      }
    }
    this.#byKey.set(key, { list, expires: this.#clock.monotonicMs() + this.#expireMs });
  }

  /** Takes the newest place out. */
  take(producerGroup: string, transactionId: string): HalfMessage | undefined {
    const key = keyOf(producerGroup, transactionId);
    const places = this.#live(key);
    const half = places?.list.pop();
    if (places === undefined || places.list.length === 0) this.#byKey.delete(key);
    return half;
  }

  #live(key: string): Places | undefined {
    const places = this.#byKey.get(key);
    return places !== undefined && places.expires >= this.#clock.monotonicMs() ? places : undefined;
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
