import { describe, expect, it } from "vitest";
import { FakeClock } from "../testing/fakeClock.ts";
import { Counters } from "./counters.ts";

describe("Counters", () => {
  it("gives a rate for each window that has passed", async () => {
    const clock = new FakeClock();
    const totals = { put: 0, got: 0 };
    const counters = new Counters(clock, () => totals);
    counters.start();
    counters.puts = 100;
    await clock.advance(9_000);
    expect(counters.rates((c) => c.puts)).toEqual([undefined, undefined, undefined]);
    await clock.advance(1_000);
    expect(counters.rates((c) => c.puts)).toEqual([10, undefined, undefined]);
    await clock.advance(50_000);
    expect(counters.rates((c) => c.puts)).toEqual([0, 100 / 60, undefined]);
    await clock.advance(540_000);
    expect(counters.rates((c) => c.puts)).toEqual([0, 0, 100 / 600]);
  });

  it("keeps what there was at the last two midnights", async () => {
    const clock = new FakeClock(new Date(2026, 0, 1, 23, 59, 50).getTime());
    const totals = { put: 0, got: 0 };
    const counters = new Counters(clock, () => ({ ...totals }));
    counters.start();
    totals.put = 5;
    totals.got = 3;
    await clock.advance(20_000);
    totals.put = 7;
    expect(counters.days).toEqual({
      now: { put: 7, got: 3 },
      todayMorning: { put: 5, got: 3 },
      yesterdayMorning: { put: 0, got: 0 },
    });
    clock.jump(86_400_000);
    await clock.advance(1_000);
    expect(counters.days.yesterdayMorning).toEqual({ put: 5, got: 3 });
  });
});
