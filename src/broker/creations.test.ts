import { expect, it } from "vitest";
import { Creations } from "./creations.ts";

const of = (max: number, perClient: number) =>
  new Creations({ what: "topics", max, maxKey: "limit.topics", perClient, perClientKey: "limit.topicsPerClient" });

it("lets an address make so many, whatever connections it comes by, and operators more", () => {
  const topics = of(100, 2);
  for (const port of [1, 2]) {
    expect(topics.refuse(0, `10.0.0.1:${port}`)).toBeUndefined();
    topics.count(`10.0.0.1:${port}`);
  }
  expect(topics.refuse(2, "10.0.0.1:3")).toBe(
    "clients at 10.0.0.1 have made 2 topics since the start, which is the most (limit.topicsPerClient)",
  );
  expect(topics.refuse(2, "10.0.0.2:1")).toBeUndefined();
  expect(topics.refuse(2)).toBeUndefined();
});

it("lets nobody make more than there may be", () => {
  expect(of(3, 2).refuse(2)).toBeUndefined();
  expect(of(3, 2).refuse(3)).toBe("there are 3 topics, which is the most (limit.topics)");
});

it("counts a bounded number of addresses", () => {
  const topics = of(1_000_000, 1);
  for (let i = 0; i <= 10_000; i++) topics.count(`host${i}:1`);
  expect(topics.refuse(0, "host0:1")).toBeUndefined();
  expect(topics.refuse(0, "host1:1")).toBeDefined();
});
