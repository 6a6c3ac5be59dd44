/** The Grafana dashboard in docs asks only for metrics that a broker has. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

const SUFFIX = /_(bucket|count|sum)$/;

it("asks for no metric that nobody exports", () => {
  const dashboard = readFileSync(new URL("../../../docs/grafana-brokers.json", import.meta.url), "utf8");
  const source = readFileSync(new URL("./brokerFamilies.ts", import.meta.url), "utf8");
  const exported = [...source.matchAll(/"((?:rocketmq|skylark)_[a-z_]+)"/g)].map(([, name]) => name);
  const asked = new Set(dashboard.match(/(?:rocketmq|skylark)_[a-z_]+/g));
  expect(asked.size).toBeGreaterThan(25);
  const unit = "(_milliseconds|_seconds|_bytes)?";
  const unknown = [...asked].filter((name) => {
    const base = name.replace(SUFFIX, "");
    return !exported.some(
      (one) => new RegExp(`^${one}${unit}$`).test(base) || new RegExp(`^${one}${unit}$`).test(name),
    );
  });
  expect(unknown).toEqual([]);
});
