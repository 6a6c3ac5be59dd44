/** Metrics of a running broker over HTTP; equality with Apache's is compat-tests/metrics. */
import { createServer } from "node:net";
import { type Logger, pino } from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { startCluster } from "../index.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

async function cluster(config: Record<string, string>, log?: Logger) {
  const port = await freePort();
  const started = await startCluster({
    config: { metricsPromExporterPort: String(port), ...config },
    ...(log === undefined ? {} : { log }),
  });
  open.push(started);
  return { started, base: `http://127.0.0.1:${port}` };
}

function collect(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  return { log: pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) }), lines };
}

describe("metrics of a broker", () => {
  it("serves them with PROM, beside health and readiness, until it closes", async () => {
    const { started, base } = await cluster({ metricsExporterType: "PROM", metricsLabel: "team:a,wrong,zone:b" });
    const scraped = await fetch(`${base}/metrics`);
    expect([scraped.status, scraped.headers.get("content-type"), scraped.headers.get("content-encoding")]).toEqual([
      200,
      "text/plain; version=0.0.4; charset=utf-8",
      "gzip",
    ]);
    const text = await scraped.text();
    expect(text).toMatch(
      /^rocketmq_broker_permission\{cluster="DefaultCluster",node_id="broker-a",[^\n]*team="a",zone="b"\} 6$/m,
    );
    expect(text).toMatch(/^rocketmq_processor_watermark\{[^}]*processor="send"[^}]*\} 0$/m);
    expect(await (await fetch(`${base}/ready`)).json()).toEqual({ status: "ready" });
    expect(await (await fetch(`${base}/health`)).json()).toMatchObject({ status: "up" });
    expect(await (await fetch(`${base}/-/healthy`)).text()).toBe("Exporter is healthy.\n");
    expect((await fetch(`${base}/metrics`, { method: "POST", body: "x" })).status).toBe(405);
    await started.close();
    open.length = 0;
    await expect(fetch(`${base}/metrics`)).rejects.toThrow();
  });

  it("leaves out what an option turns off", async () => {
    const { base } = await cluster({ metricsExporterType: "PROM", enableStatsMetrics: "false" });
    const text = await (await fetch(`${base}/metrics`)).text();
    expect(text).not.toContain("rocketmq_broker_permission");
    expect(text).toContain("rocketmq_storage_size_bytes");
  });

  it("exports nothing by default", async () => {
    const { base } = await cluster({});
    await expect(fetch(`${base}/metrics`)).rejects.toThrow();
  });

  it("writes OTLP's JSON into the log with LOG", async () => {
    const { log, lines } = collect();
    await cluster({ metricsExporterType: "LOG", metricLoggingExporterIntervalInMills: "20" }, log);
    await expect.poll(() => lines.some(({ msg }) => msg === "metrics"), { timeout: 10_000 }).toBe(true);
    const { otlp } = lines.find(({ msg }) => msg === "metrics") as {
      otlp: { scopeMetrics: { metrics: { name: string }[] }[] };
    };
    expect(otlp.scopeMetrics[0].metrics.map(({ name }) => name)).toContain("rocketmq_topic_number");
  });

  it("does not start on a port that is taken, and says which option to change", async () => {
    const { base } = await cluster({ metricsExporterType: "PROM" });
    const port = base.split(":").at(-1) as string;
    const second = startCluster({ config: { metricsExporterType: "PROM", metricsPromExporterPort: port } });
    await expect(second).rejects.toThrow(
      /metricsExporterType=PROM: cannot listen on 127\.0\.0\.1:\d+: .*metricsPromExporterPort|-Port/,
    );
  });
});
