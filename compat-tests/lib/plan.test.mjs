import { expect, it } from "vitest";
import { planSuites } from "./plan.mjs";

const setups = {
  alone: { parallel: 1, ownServer: true },
  plain: { parallel: 8 },
  odd: { parallel: 4 },
};
const scenarios = {
  a: { setup: "plain" },
  b: { setup: "odd" },
  c: { setup: "alone" },
  d: { setup: "plain", without: { "old-": "cannot" } },
};
const clients = [
  { id: "new-1", offered: ["a", "b", "c", "d"] },
  { id: "old-1", offered: ["a", "c", "d"] },
];

it("puts a client's scenarios of all shared servers into one suite, and each own server into one more", () => {
  const suites = planSuites({ clients, kinds: ["apache", "skylark"], names: ["d", "a", "b", "c"] }, setups, scenarios);
  const shape = suites.map(({ client, kind, parallel, parts }) => [
    `${client.id} ${kind} ${parallel}`,
    ...parts.map(({ place, names }) => `${place.label}: ${names}`),
  ]);
  expect(shape).toEqual([
    ["new-1 apache 1", "alone, new-1: c"],
    ["new-1 apache 8", "plain: d,a", "odd: b"],
    ["new-1 skylark 1", "alone, new-1: c"],
    ["new-1 skylark 8", "plain: d,a", "odd: b"],
    ["old-1 apache 1", "alone, old-1: c"],
    ["old-1 apache 8", "plain: a"],
    ["old-1 skylark 1", "alone, old-1: c"],
    ["old-1 skylark 8", "plain: a"],
  ]);
});

it("counts who comes to a shared server, so that the last one stops it", () => {
  const suites = planSuites({ clients, kinds: ["skylark"], names: ["a", "b"] }, setups, scenarios);
  const [first, second] = suites;
  expect(first.parts[0].place).toBe(second.parts[0].place);
  expect(first.parts[0].place.users).toBe(2);
  expect(first.parts[1].place.users).toBe(1);
});

it("leaves a version between two others out of what needs its own servers, unless all is asked for", () => {
  const between = [{ ...clients[0], between: true }];
  const labels = (all) =>
    planSuites({ clients: between, kinds: ["skylark"], names: ["a", "c"], all }, setups, scenarios).map((s) => s.label);
  expect(labels(false)).toEqual(["shared servers"]);
  expect(labels(true)).toEqual(["alone", "shared servers"]);
});
