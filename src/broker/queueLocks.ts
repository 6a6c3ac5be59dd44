/**
 * Which client of a group may consume a queue in order (Apache: RebalanceLockManager). A lock is a lease that its
 * owner renews by locking again; in memory only, so a restarted broker starts without locks.
 */
import type { Clock } from "../base/clock.ts";
import { QUEUE_LOCKS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { MessageQueue } from "../protocol/bodies/messageQueue.ts";

/** Apache: system property rocketmq.broker.rebalance.lockMaxLiveTime. */
export const LOCK_LIVE_MS = 60_000;

interface Lock {
  clientId: string;
  /** Last renewal, ms of the monotonic clock. */
  renewed: number;
}

export class QueueLocks {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #liveMs: number;
  readonly #byGroup = new Map<string, Map<string, Lock>>();
  #sweptAt: number;
  /** Locks of all groups. */
  #count = 0;

  constructor(clock: Clock, log: Logger, liveMs: number = LOCK_LIVE_MS) {
    this.#clock = clock;
    this.#log = log;
    this.#liveMs = liveMs;
    this.#sweptAt = clock.monotonicMs();
  }

  /** Locks or renews; false while another client holds the queue, or when there are QUEUE_LOCKS_MAX of others. */
  tryLock(group: string, queue: MessageQueue, clientId: string): boolean {
    const now = this.#clock.monotonicMs();
    if (now - this.#sweptAt > this.#liveMs) this.#sweep(now);
    let locks = this.#byGroup.get(group);
    const key = keyOf(queue);
    const lock = locks?.get(key);
    if (lock === undefined) {
      if (this.#count >= QUEUE_LOCKS_MAX) return false;
      if (locks === undefined) {
        locks = new Map();
        this.#byGroup.set(group, locks);
      }
      locks.set(key, { clientId, renewed: now });
      this.#count++;
      return true;
    }
    if (lock.clientId !== clientId) {
      if (!this.#expired(lock, now)) return false;
      this.#log.warn({ group, queue, from: lock.clientId, to: clientId }, "queue lock expired and taken over");
      lock.clientId = clientId;
    }
    lock.renewed = now;
    return true;
  }

  /** Locks what it can; returns the queues the client holds now. */
  tryLockBatch(group: string, queues: readonly MessageQueue[], clientId: string): MessageQueue[] {
    return queues.filter((queue) => this.tryLock(group, queue, clientId));
  }

  /** Gives up the client's locks; those of others stay. */
  unlockBatch(group: string, queues: readonly MessageQueue[], clientId: string): void {
    const locks = this.#byGroup.get(group);
    if (locks === undefined) return;
    for (const queue of queues) {
      const key = keyOf(queue);
      const lock = locks.get(key);
      if (lock === undefined) continue;
      if (lock.clientId === clientId) {
        locks.delete(key);
        this.#count--;
      } else
        this.#log.warn(
          { group, queue, holder: lock.clientId, clientId },
          "queue not unlocked: locked by another client",
        );
    }
    if (locks.size === 0) this.#byGroup.delete(group);
  }

  /** Whether no client of the group holds any queue. */
  allExpired(group: string): boolean {
    const now = this.#clock.monotonicMs();
    for (const lock of this.#byGroup.get(group)?.values() ?? []) if (!this.#expired(lock, now)) return false;
    return true;
  }

  /** Forgets expired locks now and then, so that groups that are gone cost nothing. */
  #sweep(now: number): void {
    this.#sweptAt = now;
    for (const [group, locks] of this.#byGroup) {
      for (const [key, lock] of locks) {
        // One period more than the lease: a lock that merely expired still tells who held it.
        if (now - lock.renewed <= 2 * this.#liveMs) continue;
        locks.delete(key);
        this.#count--;
      }
      if (locks.size === 0) this.#byGroup.delete(group);
    }
  }

  #expired(lock: Lock, now: number): boolean {
    return now - lock.renewed > this.#liveMs;
  }
}

/** The broker name is part of the key, as in MessageQueue.equals; `@` is in no legal name. */
function keyOf(queue: MessageQueue): string {
  return `${queue.topic}@${queue.brokerName}@${queue.queueId}`;
}
