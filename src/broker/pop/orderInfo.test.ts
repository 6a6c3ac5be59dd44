import { describe, expect, it } from "vitest";
import { OrderInfo } from "./orderInfo.ts";

describe("the state of a queue in order", () => {
  it("blocks others until all is acknowledged or visible again, but not the same attempt", () => {
    const info = new OrderInfo("one", 1_000, 500, [3, 4, 6], 1_000);
    expect(info.blocks("two", 500, 1_499)).toBe(true);
    expect(info.blocks(undefined, 500, 1_499)).toBe(true);
    expect(info.blocks("one", 500, 1_499)).toBe(false);
    expect(info.blocks("two", 500, 1_500)).toBe(false);
    for (const offset of [3, 4, 6]) info.acknowledge(offset, 1_000);
    expect(info.blocks("two", 500, 1_001)).toBe(false);
  });

  it("commits up to the first message that is open", () => {
    const info = new OrderInfo(undefined, 1_000, 500, [3, 4, 6], 1_000);
    expect(info.acknowledge(4, 1_000)).toBe(3);
    expect(info.acknowledge(3, 1_000)).toBe(6);
    expect(info.acknowledge(6, 1_000)).toBe(7);
    expect(info.acknowledge(5, 1_000)).toBe(-1);
    expect(info.acknowledge(3, 999)).toBe(-2);
  });

  it("counts how often a message was given, the same attempt once", () => {
    const first = new OrderInfo("one", 1_000, 500, [3, 4], 1_000);
    const second = new OrderInfo("two", 2_000, 500, [4, 5], 2_000);
    second.follow(first);
    expect([...second.consumedCount]).toEqual([[4, 1]]);
    const again = new OrderInfo("two", 2_100, 500, [4, 5], 2_100);
    again.follow(second);
    expect([...again.consumedCount]).toEqual([[4, 1]]);
    const third = new OrderInfo("three", 3_000, 500, [4, 5, 6], 3_000);
    third.follow(again);
    expect([...third.consumedCount]).toEqual([
      [4, 2],
      [5, 1],
    ]);
  });

  it("lets one message's time be changed, and says when the queue is free", () => {
    const info = new OrderInfo(undefined, 1_000, 500, [3, 4], 1_000);
    expect(info.setNextVisible(4, 999, 9_000)).toBe(false);
    expect(info.setNextVisible(4, 1_000, 9_000)).toBe(true);
    expect(info.freeAt(1_100)).toBe(1_500);
    info.acknowledge(3, 1_000);
    expect(info.freeAt(1_600)).toBe(9_000);
    expect(info.blocks("x", 500, 8_999)).toBe(true);
    expect(info.freeAt(9_000)).toBeUndefined();
  });

  it("is the same after it was stored as Apache stores it", () => {
    const info = new OrderInfo("two", 2_000, 500, [4, 6, 7], 2_000);
    info.follow(new OrderInfo("one", 1_000, 500, [3, 4], 1_000));
    info.acknowledge(6, 2_000);
    info.setNextVisible(7, 2_000, 9_000);
    expect(info.data()).toMatchObject({ o: [4, 2, 3], cm: 2, a: "two", popTime: 2_000, i: 500 });
    const back = OrderInfo.from(info.data());
    expect(back.data()).toEqual(info.data());
    expect(back.acknowledge(4, 2_000)).toBe(7);
  });
});
