import { describe, expect, it } from "vitest";
import { toOtlpJson, toPrometheus } from "./exposition.ts";
import { Counter, Histogram, Labelled } from "./figures.ts";
import { type NotedRequests, RpcTimes } from "./rpcTimes.ts";

describe("Histogram", () => {
  it("counts a value that equals a bound below it", () => {
    const histogram = new Histogram([1, 10]);
    for (const value of [0, 1, 1.5, 10, 11]) histogram.record(value);
    expect([...histogram.counts]).toEqual([2, 2, 1]);
    expect([histogram.count, histogram.sum]).toEqual([5, 23.5]);
  });
});

describe("Labelled", () => {
  it("counts what is beyond its limit in one figure that says so", () => {
    const figures = new Labelled<string, Counter>(() => new Counter(), 3);
    for (const topic of ["a", "b", "c", "d", "a"]) figures.get(topic, () => ({ topic })).add(1);
    expect([...figures.entries()].map(([labels, { value }]) => [labels, value])).toEqual([
      [{ topic: "a" }, 2],
      [{ topic: "b" }, 1],
      [{ otel_metric_overflow: "true" }, 2],
    ]);
  });
});

describe("RpcTimes", () => {
  const names = { request: (code: number) => `request${code}`, response: (code: number) => `response${code}` };

  it("measures from the request's arrival to its answer, apart for those that waited", () => {
    const times = new RpcTimes(names, 100);
    const noted: NotedRequests = new Map();
    times.came(noted, 1, 11, 1000.7);
    times.came(noted, 2, 200_050, 1001);
    times.suspended(noted, 2);
    times.suspended(noted, 2);
    times.answered(noted, 2, 209, 21_001);
    times.answered(noted, 1, 0, 1003.2);
    times.answered(noted, 1, 0, 5000);
    times.oneway(10);
    const seen = [...times.latencies.entries()].map(([labels, { count, sum }]) => ({ ...labels, count, sum }));
    expect(seen).toEqual([
      {
        protocol_type: "remoting",
        is_long_polling: "true",
        request_code: "request200050",
        response_code: "response209",
        result: "success",
        count: 1,
        sum: 20_000,
      },
      {
        protocol_type: "remoting",
        is_long_polling: "false",
        request_code: "request11",
        response_code: "response0",
        result: "success",
        count: 1,
        sum: 3,
      },
      {
        protocol_type: "remoting",
        is_long_polling: "false",
        request_code: "request10",
        response_code: "response0",
        result: "oneway",
        count: 1,
        sum: 0,
      },
    ]);
    expect(noted.size).toBe(0);
  });

  it("keeps a bounded number of requests that nobody answers", () => {
    const times = new RpcTimes(names, 100);
    const noted: NotedRequests = new Map();
    for (let opaque = 0; opaque < 70_000; opaque++) times.came(noted, opaque, 11, 1);
    expect(noted.size).toBe(65_536);
    times.answered(noted, 0, 0, 2);
    expect([...times.latencies.entries()]).toEqual([]);
    times.answered(noted, 69_999, 0, 2);
    expect([...times.latencies.entries()].length).toBe(1);
  });
});

describe("exposition", () => {
  const histogram = new Histogram([1, 2.5]);
  histogram.record(2);
  const families = [
    {
      name: "z_time",
      type: "histogram",
      help: "How\nlong",
      unit: "ms",
      points: [{ labels: { le2: "x" }, value: histogram }],
    },
    { name: "a_total", type: "counter", help: "c", unit: "", points: [{ labels: { topic: 'a"\\\n' }, value: 3 }] },
    {
      name: "b_bytes",
      type: "gauge",
      help: "g",
      unit: "bytes",
      points: [{ labels: {}, value: Number.POSITIVE_INFINITY }],
    },
    { name: "none", type: "gauge", help: "g", unit: "", points: [] },
  ] as const;

  it("writes families by name, with units, the scope and escaped labels", () => {
    expect(toPrometheus(families, { "my-label": "1" })).toBe(
      [
        "# HELP a_total c",
        "# TYPE a_total counter",
        'a_total{my_label="1",otel_scope_name="broker-meter",topic="a\\"\\\\\\n"} 3',
        "# HELP b_bytes g",
        "# TYPE b_bytes gauge",
        'b_bytes{my_label="1",otel_scope_name="broker-meter"} +Inf',
        "# HELP z_time_milliseconds How\\nlong",
        "# TYPE z_time_milliseconds histogram",
        'z_time_milliseconds_bucket{le2="x",my_label="1",otel_scope_name="broker-meter",le="1.0"} 0',
        'z_time_milliseconds_bucket{le2="x",my_label="1",otel_scope_name="broker-meter",le="2.5"} 1',
        'z_time_milliseconds_bucket{le2="x",my_label="1",otel_scope_name="broker-meter",le="+Inf"} 1',
        'z_time_milliseconds_count{le2="x",my_label="1",otel_scope_name="broker-meter"} 1',
        'z_time_milliseconds_sum{le2="x",my_label="1",otel_scope_name="broker-meter"} 2',
        "# TYPE target_info gauge",
        "target_info 1",
        "",
      ].join("\n"),
    );
  });

  it("tells deltas in OTLP's JSON: what came since the last time", () => {
    const told = new Map();
    const point = { labels: {}, value: 5 };
    const counted = [{ name: "n_total", type: "counter" as const, help: "", unit: "", points: [point] }];
    const value = (): string =>
      JSON.stringify(toOtlpJson(counted, {}, 1, 2, told)).match(/"asInt":"(-?\d+)"/)?.[1] as string;
    expect(value()).toBe("5");
    point.value = 12;
    expect(value()).toBe("7");
    expect(JSON.stringify(toOtlpJson(counted, {}, 1, 2))).toContain('"asInt":"12"');
    expect(JSON.stringify(toOtlpJson(counted, {}, 1, 2))).toContain('"aggregationTemporality":2');
  });
});
