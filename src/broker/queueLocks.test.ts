import { describe, expect, it } from "vitest";
import { QUEUE_LOCKS_MAX } from "../base/limits.ts";
import { silentLogger } from "../base/log.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { LOCK_LIVE_MS, QueueLocks } from "./queueLocks.ts";

const queue = (queueId: number, topic = "T") => ({ brokerName: "b", queueId, topic });

function make() {
  const clock = new FakeClock();
  return { clock, locks: new QueueLocks(clock, silentLogger()) };
}

describe("QueueLocks", () => {
  it("gives a queue to one client of a group at a time, and to each group by itself", () => {
    const { locks } = make();
    expect(locks.tryLock("g", queue(0), "a")).toBe(true);
    expect(locks.tryLock("g", queue(0), "a")).toBe(true);
    expect(locks.tryLock("g", queue(0), "b")).toBe(false);
    expect(locks.tryLock("h", queue(0), "b")).toBe(true);
  });

  it("answers a batch with the queues the client holds now", () => {
    const { locks } = make();
    locks.tryLock("g", queue(1), "b");
    expect(locks.tryLockBatch("g", [queue(0), queue(1), queue(2)], "a")).toEqual([queue(0), queue(2)]);
  });

  it("keeps a lock for 60 s after its last renewal, no longer", async () => {
    const { locks, clock } = make();
    locks.tryLock("g", queue(0), "a");
    await clock.advance(LOCK_LIVE_MS);
    expect(locks.tryLock("g", queue(0), "b")).toBe(false);
    locks.tryLock("g", queue(0), "a");
    await clock.advance(LOCK_LIVE_MS + 1);
    expect(locks.allExpired("g")).toBe(true);
    expect(locks.tryLock("g", queue(0), "b")).toBe(true);
    expect(locks.tryLock("g", queue(0), "a")).toBe(false);
    expect(locks.allExpired("g")).toBe(false);
  });

  it("refuses more locks than it has memory for, until some are given up", () => {
    const { locks } = make();
    const many = Array.from({ length: QUEUE_LOCKS_MAX }, (_, i) => queue(i));
    expect(locks.tryLockBatch("g", many, "a")).toHaveLength(QUEUE_LOCKS_MAX);
    expect(locks.tryLock("h", queue(0), "b")).toBe(false);
    expect(locks.tryLock("g", queue(0), "a")).toBe(true);
    locks.unlockBatch("g", [queue(0)], "a");
    expect(locks.tryLock("h", queue(0), "b")).toBe(true);
    expect(locks.tryLock("h", queue(1), "b")).toBe(false);
  });

  it("unlocks only what the client holds", () => {
    const { locks } = make();
    locks.tryLock("g", queue(0), "a");
    locks.unlockBatch("g", [queue(0), queue(9)], "b");
    expect(locks.tryLock("g", queue(0), "b")).toBe(false);
    locks.unlockBatch("g", [queue(0)], "a");
    expect(locks.tryLock("g", queue(0), "b")).toBe(true);
    locks.unlockBatch("nobody", [queue(0)], "a");
  });

  it("is not impressed by a wall clock that jumps", () => {
    const { locks, clock } = make();
    locks.tryLock("g", queue(0), "a");
    clock.jump(3_600_000);
    expect(locks.tryLock("g", queue(0), "b")).toBe(false);
  });
});
