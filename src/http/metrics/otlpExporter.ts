/**
 * metricsExporterType=OTLP_GRPC: sends all metrics to a collector every metricGrpcExporterIntervalInMills, and once more at the end
 * (Apache: PeriodicMetricReader over OtlpGrpcMetricExporter and BatchSplittingMetricExporter). A collector that does not answer is
 * said once, and again when it does; what it missed of cumulative counters comes with the next account.
 */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { BrokerConfig } from "../../config/index.ts";
import { collectorAddress } from "../../metrics/collectorAddress.ts";
import { type Family, METER_NAME, type Told, toOtlpJson } from "../../metrics/exposition.ts";
import type { Labels } from "../../metrics/figures.ts";
import { encodeRequest, pieces } from "../../metrics/otlp.ts";
import { Collector } from "./otlpClient.ts";

export interface OtlpParts {
  readonly config: BrokerConfig;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RunningOtlp {
  /** Sends what is new once more and ends; takes as long as one call may. */
  close(): Promise<void>;
}

/** @param families what there is to tell now */
export function startOtlp(parts: OtlpParts, common: Labels, families: () => Promise<Family[]>): RunningOtlp {
  const { config, clock, log } = parts;
  const target = collectorAddress(config.metricsGrpcExporterTarget);
  // makeRecorders refused it before.
  if (target === undefined)
    throw new Error(`metricsGrpcExporterTarget=${config.metricsGrpcExporterTarget}: no address`);
  const timeoutMs = config.metricGrpcExporterTimeOutInMills;
  const collector = new Collector({ target, headers: headersOf(config, log), timeoutMs }, clock);
  const told: Told | undefined = config.metricsInDelta ? new Map() : undefined;
  let sinceMs = clock.now();
  let underWay: Promise<void> | undefined;
  let isFailing = false;

  const tell = async (): Promise<void> => {
    const nowMs = clock.now();
    const account = toOtlpJson(await families(), common, sinceMs, nowMs, told);
    if (told !== undefined) sinceMs = nowMs;
    for (const piece of pieces(account, config.metricsExportBatchMaxDataPoints)) {
      await collector.send(encodeRequest(METER_NAME, piece));
    }
  };
  const export_ = (): Promise<void> => {
    underWay ??= tell()
      .then(() => {
        if (isFailing) log.info({ target: target.origin }, "the collector takes metrics again");
        isFailing = false;
      })
      .catch((error: Error) => {
        if (!isFailing) log.warn({ reason: error.message }, "metrics not taken by the collector; trying again");
        isFailing = true;
      })
      .finally(() => {
        underWay = undefined;
      });
    return underWay;
  };

  const timer = clock.every(config.metricGrpcExporterIntervalInMills, () => void export_());
  log.info({ target: target.origin, everyMs: config.metricGrpcExporterIntervalInMills }, "metrics to the collector");
  return {
    async close() {
      clock.clear(timer);
      await underWay;
      // A collector that has not answered lately would only hold up the stop.
      if (!isFailing) await export_();
      collector.close();
    },
  };
}

/** metricsGrpcExporterHeader=name:value,name:value */
function headersOf(config: BrokerConfig, log: Logger): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const item of config.metricsGrpcExporterHeader.split(",").filter((part) => part.trim() !== "")) {
    const parts = item.split(":");
    // The value may be a secret: only what is not understood is not shown either.
    if (parts.length === 2 && /^[\w-]+$/.test(parts[0].trim()))
      headers[parts[0].trim().toLowerCase()] = parts[1].trim();
    else log.warn("metricsGrpcExporterHeader is not valid: name:value,name:value");
  }
  return headers;
}
