import { describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { FakeStore } from "../testing/fakeStore.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { Counters } from "./counters.ts";
import { Offsets } from "./offsets.ts";
import { Rates } from "./rates.ts";

function make() {
  const clock = new FakeClock();
  const store = new FakeStore(clock);
  const options = {
    useServerSideResetOffset: true,
    consumerOffsetUpdateVersionStep: 500,
    flushConsumerOffsetInterval: 5000,
  };
  const offsets = new Offsets(options, new MetadataFile(new MemoryDisk(), "/o.json"), clock, silentLogger());
  return { clock, store, offsets, rates: new Rates(store, offsets, clock) };
}

describe("Rates", () => {
  it("is the growth of the last minute, over all queues", async () => {
    const { clock, store, offsets, rates } = make();
    rates.start();
    await store.fill("T", 0, 60);
    await store.fill("T", 1, 60);
    offsets.commit("g", "T", 0, 30);
    await clock.advance(60_000);
    expect(rates.putTps("T")).toBe(2);
    expect(rates.consumeTps("g", "T")).toBe(0.5);
    await clock.advance(60_000);
    expect(rates.putTps("T")).toBe(0);
    rates.stop();
    expect(clock.timers).toBe(0);
  });

  it("is 0 for what is unknown, not measured yet, or set back", async () => {
    const { clock, offsets, rates } = make();
    offsets.commit("g", "T", 0, 100);
    rates.start();
    expect(rates.putTps("T")).toBe(0);
    offsets.commit("g", "T", 0, 10);
    await clock.advance(10_000);
    expect(rates.consumeTps("g", "T")).toBe(0);
    expect(rates.putTps("Unknown")).toBe(0);
  });
});

describe("Counters", () => {
  it("gives a rate for each window that has passed", async () => {
    const clock = new FakeClock();
    const counters = new Counters(clock);
    counters.start();
    counters.puts = 100;
    await clock.advance(9_000);
    expect(counters.rates((c) => c.puts)).toEqual([]);
    await clock.advance(1_000);
    expect(counters.rates((c) => c.puts)).toEqual([10]);
    await clock.advance(50_000);
    expect(counters.rates((c) => c.puts)).toEqual([0, 100 / 60]);
    await clock.advance(540_000);
    expect(counters.rates((c) => c.puts)).toHaveLength(3);
  });

  it("keeps what there was at the last two midnights", async () => {
    const clock = new FakeClock(new Date(2026, 0, 1, 23, 59, 50).getTime());
    const counters = new Counters(clock);
    counters.start();
    counters.puts = 5;
    counters.transferred = 3;
    await clock.advance(20_000);
    counters.puts = 7;
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
