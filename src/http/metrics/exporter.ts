/**
 * Exports a broker's metrics as metricsExporterType says (Apache: BrokerMetricsManager.init): PROM serves them at
 * /metrics, OTLP_GRPC sends them to a collector, LOG writes OTLP's JSON into the log. Loaded only when something is exported.
 */
import type { Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { BrokerConfig } from "../../config/index.ts";
import { type Family, type Told, toOtlpJson, toPrometheus } from "../../metrics/exposition.ts";
import type { Labels } from "../../metrics/figures.ts";
import { type HealthParts, healthReply } from "../health.ts";
import { type HttpReply, type HttpRequest, HttpServer } from "../httpServer.ts";
import { brokerFamilies, type FamilyParts } from "./brokerFamilies.ts";
import { startOtlp } from "./otlpExporter.ts";
import { ProcessFigures } from "./processFigures.ts";

export type ExporterParts = FamilyParts & HealthParts & { readonly log: Logger };

export interface RunningExporter {
  /** Undefined where nothing listens. */
  port: number | undefined;
  close(): Promise<void>;
}

const OK = 200;
const NOT_ALLOWED = 405;
const INDEX = `<!doctype html><title>Skylark metrics</title><p><a href="/metrics">/metrics</a> for Prometheus, <a href="/health">/health</a>,
<a href="/ready">/ready</a></p>
`;

/** @param more families of others in this process (a proxy's) */
export async function startExporter(
  parts: ExporterParts,
  more: () => readonly Family[] = () => [],
): Promise<RunningExporter> {
  const { config, log, clock } = parts;
  const common = commonLabels(config, log);
  const own = new ProcessFigures();
  own.start();
  const families = async (): Promise<Family[]> => [...(await brokerFamilies(parts, own)), ...more()];
  if (config.metricsExporterType === "LOG") {
    const startMs = clock.now();
    const told: Told | undefined = config.metricsInDelta ? new Map() : undefined;
    const tell = async (): Promise<void> => {
      log.info({ otlp: toOtlpJson(await families(), common, startMs, clock.now(), told) }, "metrics");
    };
    const timer: Timer = clock.every(config.metricLoggingExporterIntervalInMills, () => {
      tell().catch((error: Error) => log.error({ err: error }, "metrics not logged"));
    });
    return {
      port: undefined,
      async close() {
        clock.clear(timer);
        own.stop();
      },
    };
  }
  if (config.metricsExporterType === "OTLP_GRPC") {
    const running = startOtlp(parts, common, families);
    return {
      port: undefined,
      async close() {
        await running.close();
        own.stop();
      },
    };
  }
  const scrape = async (): Promise<HttpReply> => ({
    status: OK,
    type: "text/plain; version=0.0.4; charset=utf-8",
    body: toPrometheus(await families(), common),
  });
  const server = new HttpServer((request) => answer(parts, request, scrape), log);
  const host = config.metricsPromExporterHost.trim() || config.brokerIP1;
  try {
    config.metricsPromExporterPort = await server.listen(host, config.metricsPromExporterPort);
  } catch (error) {
    own.stop();
    throw new Error(`metricsExporterType=PROM: ${(error as Error).message} (metricsPromExporterHost, -Port)`);
  }
  log.info({ host, port: config.metricsPromExporterPort }, "metrics at /metrics");
  return {
    port: config.metricsPromExporterPort,
    async close() {
      await server.close();
      own.stop();
    },
  };
}

function answer(
  parts: HealthParts,
  request: HttpRequest,
  scrape: () => Promise<HttpReply>,
): HttpReply | Promise<HttpReply> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: NOT_ALLOWED, type: "text/plain", body: "only GET\n", headers: { allow: "GET, HEAD" } };
  }
  if (request.path === "/metrics") return scrape();
  return healthReply(parts, request) ?? { status: OK, type: "text/html; charset=utf-8", body: INDEX };
}

/** Labels of every point: Apache's own, and the operator's (metricsLabel=key:value,key:value). */
function commonLabels(config: BrokerConfig, log: Logger): Labels {
  const labels: Record<string, string> = {};
  for (const item of config.metricsLabel.split(",").filter((part) => part !== "")) {
    const parts = item.split(":");
    if (parts.length === 2) labels[parts[0]] = parts[1];
    else log.warn({ metricsLabel: config.metricsLabel }, "metricsLabel is not valid");
  }
  if (config.metricsInDelta) labels.aggregation = "delta";
  labels.node_type = "broker";
  labels.cluster = config.brokerClusterName;
  labels.node_id = config.brokerName;
  return labels;
}
