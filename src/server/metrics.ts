/** Wires a broker's metrics: what records, and what exports. Neither is there, nor loaded, while nobody asks for metrics. */
import type { Logger } from "../base/log.ts";
import type { BrokerConfig } from "../config/index.ts";
import type { ExporterParts, RunningExporter } from "../http/metrics/exporter.ts";
import { BrokerMetrics } from "../metrics/brokerMetrics.ts";
import { collectorAddress } from "../metrics/collectorAddress.ts";
import { WriteFigures } from "../metrics/writeFigures.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";

export interface Recorders {
  readonly metrics: BrokerMetrics;
  readonly writeFigures: WriteFigures;
}

/** What records, when something is to be exported. */
export function makeRecorders(
  config: BrokerConfig,
  isSystemTopic: (topic: string) => boolean,
  log: Logger,
): Recorders | undefined {
  if (config.metricsExporterType === "DISABLE") return undefined;
  const target = config.metricsGrpcExporterTarget;
  if (config.metricsExporterType === "OTLP_GRPC" && collectorAddress(target) === undefined) {
    log.error(
      { metricsGrpcExporterTarget: target },
      "check metrics config failed, will not export metrics: metricsGrpcExporterTarget must be host:port, or http://host:port without TLS",
    );
    return undefined;
  }
  const isSystemGroup = (group: string): boolean => group.toLowerCase().startsWith("cid_rmq_sys_");
  const names = { request: namesOf(RequestCode), response: namesOf(ResponseCode) };
  return {
    metrics: new BrokerMetrics(config, { isSystemTopic, isSystemGroup }, names),
    writeFigures: new WriteFigures(),
  };
}

/** Starts exporting; the code for it is loaded now. */
export async function startExporting(parts: ExporterParts): Promise<RunningExporter> {
  const { startExporter } = await import("../http/metrics/exporter.ts");
  return startExporter(parts);
}

/** Names of codes in lower case, as Apache has them in labels; an unknown code is its digits. */
function namesOf(codes: Readonly<Record<string, number>>): (code: number) => string {
  const names = new Map(Object.entries(codes).map(([name, code]) => [code, name.toLowerCase()]));
  return (code) => names.get(code) ?? String(code);
}
