import { describe, expect, it } from "vitest";
import { FakeClock } from "../../testing/fakeClock.ts";
import { type Held, PopHolds } from "./holds.ts";

const OPTIONS = { maxPopPollingSize: 10, popPollingSize: 10 };

function held(woken: boolean[]): Held {
  return {
    topic: "T",
    group: "g",
    queueId: -1,
    alive: () => true,
    wake: (last) => {
      woken.push(last);
      return last;
    },
  };
}

describe("PopHolds", () => {
  it.each([-3_600_000, 3_600_000])(
    "ends a wait when its client stops waiting, though the clock jumps by %i ms",
    async (ms) => {
      const clock = new FakeClock();
      const holds = new PopHolds(OPTIONS, clock);
      const woken: boolean[] = [];
      expect(holds.hold(held(woken), clock.now() + 15_000)).toBe("held");
      clock.jump(ms);
      await clock.advance(14_000);
      expect(woken).toEqual([]);
      await clock.advance(1_000);
      expect(woken).toEqual([true]);
      expect(holds.count).toBe(0);
    },
  );

  it("takes nobody in whose time is over", () => {
    const clock = new FakeClock();
    expect(new PopHolds(OPTIONS, clock).hold(held([]), clock.now() + 40)).toBe("timeout");
  });
});
