import { describe, expect, it } from "vitest";
import { PutTimes } from "./putTimes.ts";

describe("PutTimes", () => {
  it("shows nothing before a minute has passed, then that minute only", () => {
    const times = new PutTimes();
    expect(times.distribution()).toBe("null");
    expect(times.percentileMs(0.99)).toBe(0);
    for (const ms of [0, 0, -5, 1, 9, 10, 999, 1000, 9999, 10_000, 50_000]) times.add(ms);
    expect(times.maxMs).toBe(50_000);
    times.turnMinute();
    expect(times.distribution()).toBe(
      "[<=0ms]:3 [0~10ms]:2 [10~50ms]:1 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:1 " +
        "[1~2s]:1 [2~3s]:0 [3~4s]:0 [4~5s]:0 [5~10s]:1 [10s~]:2 ",
    );
    times.turnMinute();
    expect(times.distribution()).toMatch(/^\[<=0ms\]:0 .*\[10s~\]:0 $/);
    expect(times.maxMs).toBe(50_000);
  });

  it("finds percentiles within buckets of growing width", () => {
    const times = new PutTimes();
    for (let i = 0; i < 90; i++) times.add(1);
    for (let i = 0; i < 10; i++) times.add(150);
    times.turnMinute();
    // 99 of 100: nine tenths into the bucket (140, 150].
    expect(times.percentileMs(0.99)).toBe(149);
    expect(times.percentileMs(0.45)).toBe(0.5);
  });
});
