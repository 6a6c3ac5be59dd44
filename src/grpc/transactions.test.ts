import { describe, expect, it } from "vitest";
import { FakeClock } from "../testing/fakeClock.ts";
import { HalfMessages } from "./transactions.ts";

const place = (offset: number) => ({ brokerName: "b", tranStateTableOffset: offset, commitLogOffset: offset * 100 });

describe("HalfMessages", () => {
  it("gives each place once, the newest first: a check that brought no verdict leaves the sender's own", () => {
    const half = new HalfMessages(new FakeClock(), 30_000, 10_000, 15);
    half.add("t", "x", place(1));
    half.add("t", "x", place(2));
    expect(half.take("t", "x")).toEqual(place(2));
    expect(half.take("t", "x")).toEqual(place(1));
    expect(half.take("t", "x")).toBeUndefined();
    expect(half.take("other", "x")).toBeUndefined();
    expect(half.size).toBe(0);
  });

  it("remembers so many places of a transaction, for so long", async () => {
    const clock = new FakeClock();
    const half = new HalfMessages(clock, 30_000, 10_000, 2);
    half.start();
    for (const offset of [1, 2, 3]) half.add("t", "x", place(offset));
    half.add("t", "y", place(9));
    expect([half.take("t", "x"), half.take("t", "x"), half.take("t", "x")]).toEqual([place(3), place(2), undefined]);
    await clock.advance(20_000);
    half.add("t", "z", place(7));
    await clock.advance(20_000);
    expect(half.size).toBe(1);
    expect(half.take("t", "y")).toBeUndefined();
    expect(half.take("t", "z")).toEqual(place(7));
    half.stop();
  });
});
