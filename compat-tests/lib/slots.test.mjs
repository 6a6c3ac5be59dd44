import { expect, it } from "vitest";
import { Slots } from "./slots.mjs";

it("runs as many jobs at once as it has slots, in their order, and goes on after a failure", async () => {
  const slots = new Slots(2);
  const running = new Set();
  const begun = [];
  const release = [];
  const jobs = [0, 1, 2, 3].map((id) =>
    slots.run(async () => {
      running.add(id);
      begun.push(id);
      await new Promise((resolve, reject) => {
        release[id] = id === 1 ? () => reject(new Error("no")) : resolve;
      });
      running.delete(id);
      return id;
    }),
  );
  const settled = Promise.allSettled(jobs);
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await turn();
  expect([...running]).toEqual([0, 1]);
  release[1]();
  await turn();
  expect(begun).toEqual([0, 1, 2]);
  release[0]();
  await turn();
  expect(begun).toEqual([0, 1, 2, 3]);
  release[2]();
  release[3]();
  expect((await settled).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
});
