import { describe, expect, it } from "vitest";
import { PULL_HOLDS_MAX } from "../base/limits.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { type Held, PullHolds } from "./pullHolds.ts";

function held(overrides: Partial<Held> & { wakes?: boolean[] } = {}): Held & { woken: boolean[] } {
  const woken: boolean[] = [];
  return {
    topic: "T",
    queueId: 0,
    deadline: 15_000,
    weight: 1,
    alive: () => true,
    wake: (last) => {
      woken.push(last);
      return last;
    },
    woken,
    ...overrides,
  };
}

describe("PullHolds", () => {
  it("wakes those who wait on the queue that got a message, in their order, and nobody else", () => {
    const holds = new PullHolds(new FakeClock());
    const order: string[] = [];
    const wake = (name: string) => () => {
      order.push(name);
      return true;
    };
    holds.hold(held({ wake: wake("first") }));
    holds.hold(held({ wake: wake("second") }));
    holds.hold(held({ wake: wake("other queue"), queueId: 1 }));
    holds.hold(held({ wake: wake("other topic"), topic: "U" }));
    holds.arrived("T", 0);
    expect(order).toEqual(["first", "second"]);
    expect(holds.count).toBe(2);
  });

  it("keeps one that found nothing for its filter, and a sweep ends although it keeps it again", () => {
    const holds = new PullHolds(new FakeClock());
    const one = held();
    holds.hold(one);
    holds.arrived("T", 0);
    holds.sweep();
    expect(one.woken).toEqual([false, false]);
    expect(holds.count).toBe(1);
  });

  it("loses nobody who goes on waiting while there are too many: without room he would never be answered", () => {
    const clock = new FakeClock();
    const holds = new PullHolds(clock);
    const one = held({ queueId: 1 });
    expect(holds.hold(one)).toBe(true);
    // The last one that is taken may count for more than the room that is left.
    for (let i = 1; i < PULL_HOLDS_MAX - 1; i++) holds.hold(held());
    expect(holds.hold(held({ weight: 500 }))).toBe(true);
    expect(holds.hold(held())).toBe(false);
    holds.arrived("T", 1);
    holds.arrived("T", 1);
    expect(one.woken).toEqual([false, false]);
  });

  it("answers for the last time once the wait is over", async () => {
    const clock = new FakeClock();
    const holds = new PullHolds(clock);
    holds.start();
    const one = held({ deadline: clock.monotonicMs() + 12_000 });
    holds.hold(one);
    await clock.advance(20_000);
    expect(one.woken.at(-1)).toBe(true);
    expect(holds.count).toBe(0);
  });

  it("forgets those whose client has left", () => {
    const holds = new PullHolds(new FakeClock());
    const one = held({ alive: () => false });
    holds.hold(one);
    holds.sweep();
    expect(one.woken).toEqual([]);
    expect(holds.count).toBe(0);
  });

  it("counts a pull for as many as its memory is worth", () => {
    const holds = new PullHolds(new FakeClock());
    expect(holds.hold(held({ weight: PULL_HOLDS_MAX, queueId: 1, wake: () => true }))).toBe(true);
    expect(holds.hold(held())).toBe(false);
    holds.arrived("T", 1);
    expect(holds.count).toBe(0);
    expect(holds.hold(held())).toBe(true);
  });

  it("answers everybody when the broker stops", () => {
    const holds = new PullHolds(new FakeClock());
    const one = held();
    holds.hold(one);
    holds.stop();
    expect(one.woken).toEqual([true]);
  });
});
