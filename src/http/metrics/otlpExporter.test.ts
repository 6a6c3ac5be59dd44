/**
 * Metrics sent to a collector: a small one of this test, which decodes what comes with protobufjs by OTLP's field numbers (compat-tests/metrics/otlp.proto), so
 * that another implementation than the encoder's judges it.
 */
import { createServer, type Http2Server, type IncomingHttpHeaders } from "node:http2";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { type Logger, pino } from "pino";
import protobuf from "protobufjs";
import { afterEach, describe, expect, it } from "vitest";
import { startCluster } from "../../index.ts";
import { type Family, toOtlpJson } from "../../metrics/exposition.ts";
import { Histogram } from "../../metrics/figures.ts";
import { encodeRequest, pieces } from "../../metrics/otlp.ts";

const PROTO = fileURLToPath(new URL("../../../compat-tests/metrics/otlp.proto", import.meta.url));
const OTLP = protobuf.loadSync(PROTO).lookupType("ExportRequest");

interface Point {
  attributes: { key: string; value: { stringValue: string } }[];
  asInt?: number;
  startTimeUnixNano: number;
  timeUnixNano: number;
}
interface Metric {
  name: string;
  gauge?: { dataPoints: Point[] };
  sum?: { dataPoints: Point[]; aggregationTemporality: number; isMonotonic: boolean };
  histogram?: { dataPoints: object[] };
}
interface Decoded {
  resourceMetrics: { scopeMetrics: { scope: { name: string }; metrics: Metric[] }[] }[];
}

const decode = (bytes: Uint8Array): Decoded =>
  OTLP.toObject(OTLP.decode(bytes), { longs: Number, arrays: true }) as Decoded;
const metricsOf = (requests: readonly Decoded[]): Metric[] =>
  requests.flatMap(({ resourceMetrics }) =>
    resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics)),
  );

interface Collected {
  readonly target: string;
  readonly requests: Decoded[];
  readonly headers: IncomingHttpHeaders[];
  /** gRPC status of the next answers. */
  status: string;
  readonly server: Http2Server;
}

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function collector(port = 0): Promise<Collected> {
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const collected: Collected = { target, requests: [], headers: [], status: "0", server };
  server.on("stream", (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const frame = Buffer.concat(chunks);
      collected.headers.push(headers);
      if (frame[0] === 1 && frame.readUInt32BE(1) === frame.length - 5) {
        collected.requests.push(decode(gunzipSync(frame.subarray(5))));
      }
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": collected.status }));
      stream.end(Buffer.alloc(5));
    });
  });
  open.push(
    () =>
      new Promise((resolve) => {
        for (const session of sessions) session.destroy();
        server.close(resolve);
      }),
  );
  return collected;
}

function collect(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  return { log: pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) }), lines };
}

async function broker(target: string, config: Record<string, string>, log: Logger = collect().log) {
  const started = await startCluster({
    log,
    config: {
      metricsExporterType: "OTLP_GRPC",
      metricsGrpcExporterTarget: target,
      metricGrpcExporterIntervalInMills: "50",
      ...config,
    },
  });
  open.push(() => started.close());
  return started;
}

const LIMIT = { timeout: 60_000, interval: 20 };

describe("metrics for a collector", () => {
  it("arrive as gRPC calls with the operator's headers and labels", async () => {
    const collected = await collector();
    await broker(collected.target, {
      metricsGrpcExporterHeader: "x-team:a,wrong,Authorization:secret",
      metricsLabel: "zone:b",
    });
    await expect.poll(() => collected.requests.length, LIMIT).toBeGreaterThan(1);
    expect(collected.headers[0]).toMatchObject({
      ":path": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
      ":method": "POST",
      "content-type": "application/grpc",
      "grpc-encoding": "gzip",
      "x-team": "a",
      authorization: "secret",
    });
    const permission = metricsOf(collected.requests).find(({ name }) => name === "rocketmq_broker_permission");
    const point = permission?.gauge?.dataPoints[0];
    expect(point?.asInt).toBe(6);
    expect(Object.fromEntries(point?.attributes.map(({ key, value }) => [key, value.stringValue]) ?? [])).toEqual({
      zone: "b",
      node_type: "broker",
      cluster: "DefaultCluster",
      node_id: "broker-a",
    });
    expect(collected.requests[0].resourceMetrics[0].scopeMetrics[0].scope.name).toBe("broker-meter");
  });

  it("come in pieces of so many points", async () => {
    const collected = await collector();
    await broker(collected.target, { metricsExportBatchMaxDataPoints: "3" });
    const isThere = (name: string) => metricsOf(collected.requests).some((metric) => metric.name === name);
    await expect.poll(() => isThere("skylark_resident_memory"), LIMIT).toBe(true);
    const counts = collected.requests.map((request) =>
      metricsOf([request]).reduce(
        (sum, { gauge, sum: total, histogram }) =>
          sum + [gauge, total, histogram].reduce((points, kind) => points + (kind?.dataPoints.length ?? 0), 0),
        0,
      ),
    );
    expect(Math.max(...counts)).toBe(3);
  });

  it("come again when a collector was away, which is said once", async () => {
    const away = await collector();
    const { port } = new URL(away.target);
    await open.pop()?.();
    const { log, lines } = collect();
    const { close } = await broker(away.target, {}, log);
    const said = (text: string) => lines.filter(({ msg }) => msg === text);
    await expect.poll(() => said("metrics not taken by the collector; trying again").length, LIMIT).toBe(1);
    const back = await collector(Number(port));
    await expect.poll(() => back.requests.length, LIMIT).toBeGreaterThan(0);
    await expect.poll(() => said("the collector takes metrics again").length, LIMIT).toBe(1);
    back.status = "8";
    const refused = () => said("metrics not taken by the collector; trying again").at(-1)?.reason;
    await expect.poll(refused, LIMIT).toBe(`${away.target}: gRPC status 8`);
    await close();
  });

  it("are sent once more at the end", async () => {
    const collected = await collector();
    const { close } = await broker(collected.target, { metricGrpcExporterIntervalInMills: "600000" });
    expect(collected.requests).toEqual([]);
    await close();
    expect(metricsOf(collected.requests).map(({ name }) => name)).toContain("rocketmq_topic_number");
  });

  it("are not sent to what is no address, which is said", async () => {
    const { log, lines } = collect();
    await broker("", {}, log);
    const said = lines.filter(({ msg }) => String(msg).startsWith("check metrics config failed"));
    expect(said).toMatchObject([{ level: 50, metricsGrpcExporterTarget: "" }]);
  });
});

describe("an account of metrics", () => {
  const histogram = new Histogram([1, 10]);
  for (const value of [0.5, 5, 5, 50]) histogram.record(value);
  const families: Family[] = [
    {
      name: "g",
      type: "gauge",
      help: "a gauge",
      unit: "bytes",
      points: [{ labels: { a: "ü".repeat(200) }, value: -7 }],
    },
    { name: "c_total", type: "counter", help: "", unit: "", points: [1, 2.5].map((value) => ({ labels: {}, value })) },
    {
      name: "h",
      type: "histogram",
      help: "",
      unit: "ms",
      points: [{ labels: { b: "", is_retry: "true", is_system: "false", queue_id: "7" }, value: histogram }],
    },
    { name: "none", type: "gauge", help: "", unit: "", points: [] },
  ];
  const account = toOtlpJson(families, {}, 1_700_000_000_000, 1_700_000_060_000);

  it("has OTLP's bytes", () => {
    const { metrics } = account.scopeMetrics[0];
    const text = JSON.stringify(OTLP.toObject(OTLP.decode(encodeRequest("m", metrics)), { longs: String }));
    const times = { startTimeUnixNano: "1700000000000000000", timeUnixNano: "1700000060000000000" };
    expect(JSON.parse(text)).toEqual({
      resourceMetrics: [
        {
          resource: {},
          scopeMetrics: [
            {
              scope: { name: "m" },
              metrics: [
                {
                  name: "g",
                  description: "a gauge",
                  unit: "bytes",
                  gauge: {
                    dataPoints: [
                      { ...times, asInt: "-7", attributes: [{ key: "a", value: { stringValue: "ü".repeat(200) } }] },
                    ],
                  },
                },
                {
                  name: "c_total",
                  sum: {
                    aggregationTemporality: 2,
                    isMonotonic: true,
                    dataPoints: [
                      { ...times, asInt: "1" },
                      { ...times, asDouble: 2.5 },
                    ],
                  },
                },
                {
                  name: "h",
                  unit: "ms",
                  histogram: {
                    aggregationTemporality: 2,
                    dataPoints: [
                      {
                        ...times,
                        count: "4",
                        sum: 60.5,
                        bucketCounts: ["1", "2", "1"],
                        explicitBounds: [1, 10],
                        attributes: [
                          { key: "b", value: {} },
                          { key: "is_retry", value: { boolValue: true } },
                          { key: "is_system", value: { boolValue: false } },
                          { key: "queue_id", value: { intValue: "7" } },
                        ],
                      },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  it("is cut between points, not between metrics only", () => {
    const cut = (most: number) =>
      [...pieces(account, most)].map((piece) =>
        piece.map(({ name, gauge, sum, histogram: h }) => `${name} ${(gauge ?? sum ?? h)?.dataPoints.length}`),
      );
    expect(cut(100)).toEqual([["g 1", "c_total 2", "h 1"]]);
    expect(cut(2)).toEqual([
      ["g 1", "c_total 1"],
      ["c_total 1", "h 1"],
    ]);
    expect(cut(0)).toEqual([["g 1"], ["c_total 1"], ["c_total 1"], ["h 1"]]);
  });
});
