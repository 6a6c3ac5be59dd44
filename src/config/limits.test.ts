import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { DEFAULT_LIMITS, KEYED_LIMITS } from "../base/limits.ts";
import { loadBrokerConfig } from "./broker.ts";
import { loadLimits } from "./limits.ts";

const of = (entries: Record<string, string>) => loadLimits(new Map(Object.entries(entries)));

it("are ours where nobody says otherwise", () => {
  expect(of({})).toEqual(DEFAULT_LIMITS);
  expect(of({ "limit.topics": " 7 ", brokerName: "a" })).toEqual({ ...DEFAULT_LIMITS, "limit.topics": 7 });
});

it("are kept and shown with the options that they were given among, without a warning", () => {
  const { config, warnings } = loadBrokerConfig(new Map([["limit.topics", "7"]]));
  expect(warnings).toEqual([]);
  expect(config.given.get("limit.topics")).toBe("7");
});

it("are refused where they are wrong, all at once", () => {
  expect(() => of({ "limit.topic": "1", "limit.groups": "0", "limit.topics": "many" })).toThrow(
    "unknown limit limit.topic; did you mean limit.topics?\nlimit.groups=0: not a whole number above 0\nlimit.topics=many: not a whole number above 0",
  );
});

it("all stand in docs/limits.md, with what they are", () => {
  const page = readFileSync(new URL("../../docs/limits.md", import.meta.url), "utf8").replaceAll(",", "");
  for (const [key, { value, reason }] of Object.entries(KEYED_LIMITS)) {
    expect(page).toContain(`| \`${key}\` | ${value} | ${reason.replaceAll(",", "")} |`);
  }
});
