/**
 * Metrics as text: Prometheus' exposition format 0.0.4, as Apache's exporter writes it (names with their unit, the scope as a label,
 * families by name), and OTLP's JSON, which Apache logs.
 */
import { Histogram, type Labels } from "./figures.ts";
import { attributeOf, type OtlpAccount, type OtlpPoint } from "./otlp.ts";

export type MetricType = "gauge" | "counter" | "histogram";

export interface Point {
  readonly labels: Labels;
  readonly value: number | Histogram;
}

/** One metric by its OpenTelemetry name. */
export interface Family {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** As Apache declares it; empty without one. */
  readonly unit: string;
  readonly points: readonly Point[];
}

/** Apache's BrokerMetricsConstant.OPEN_TELEMETRY_METER_NAME; the proxy's is the same. */
export const METER_NAME = "broker-meter";
/** Units that the exporter spells out. */
const UNIT_NAMES: Readonly<Record<string, string>> = { ms: "milliseconds", s: "seconds", By: "bytes" };

/** The name that Prometheus sees: with the unit behind, and of a counter with `_total`. */
export function prometheusName({ name, type, unit }: Pick<Family, "name" | "type" | "unit">): string {
  const unitName = UNIT_NAMES[unit] ?? unit;
  const base = type === "counter" ? name.replace(/_total$/, "") : name;
  const full = unitName === "" || base.endsWith(`_${unitName}`) ? base : `${base}_${unitName}`;
  return type === "counter" ? `${full}_total` : full;
}

/** @param common labels of every point (cluster, node, ...) */
export function toPrometheus(families: readonly Family[], common: Labels): string {
  const named = families
    .filter(({ points }) => points.length > 0)
    .map((family) => ({ family, name: prometheusName(family) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const lines: string[] = [];
  for (const { family, name } of named) {
    lines.push(
      `# HELP ${name} ${family.help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}`,
      `# TYPE ${name} ${family.type}`,
    );
    for (const { labels, value } of family.points) {
      const text = labelText({ ...common, otel_scope_name: METER_NAME, ...labels });
      if (typeof value === "number") lines.push(`${name}{${text}} ${numberText(value)}`);
      else histogramLines(lines, name, text, value);
    }
  }
  lines.push("# TYPE target_info gauge", "target_info 1", "");
  return lines.join("\n");
}

function histogramLines(lines: string[], name: string, labels: string, histogram: Histogram): void {
  let sum = 0;
  for (const [i, bound] of histogram.bounds.entries()) {
    sum += histogram.counts[i];
    // Java writes doubles: 10.0.
    lines.push(`${name}_bucket{${labels},le="${Number.isInteger(bound) ? `${bound}.0` : bound}"} ${sum}`);
  }
  lines.push(
    `${name}_bucket{${labels},le="+Inf"} ${histogram.count}`,
    `${name}_count{${labels}} ${histogram.count}`,
    `${name}_sum{${labels}} ${numberText(histogram.sum)}`,
  );
}

function labelText(labels: Labels): string {
  return Object.keys(labels)
    .sort()
    .map(
      (key) => `${labelName(key)}="${labels[key].replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`,
    )
    .join(",");
}

/** An operator's own label may have any name; Prometheus' have not. */
function labelName(key: string): string {
  return key.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d)/, "_");
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

/** What a point was when it was last told, for deltas. */
export type Told = Map<string, number | Histogram>;

/**
 * OTLP's JSON (ResourceMetrics), as OtlpJsonLoggingMetricExporter logs it.
 * @param told given: counters and histograms as what came since the last time, which it remembers
 */
export function toOtlpJson(
  families: readonly Family[],
  common: Labels,
  startMs: number,
  nowMs: number,
  told?: Told,
): OtlpAccount {
  const metrics = families
    .filter(({ points }) => points.length > 0)
    .map(({ name, help, unit, type, points }) => {
      const delta = told !== undefined && type !== "gauge";
      const dataPoints = points.map((point) => {
        const labels = { ...common, ...point.labels };
        const key = `${name}{${labelText(labels)}}`;
        const value = delta ? since(told, key, point.value) : point.value;
        return {
          startTimeUnixNano: nanos(startMs),
          timeUnixNano: nanos(nowMs),
          attributes: [
            ...Object.entries(common).map(([k, stringValue]) => ({ key: k, value: { stringValue } })),
            ...Object.entries(point.labels).map(([k, text]) => attributeOf(k, text)),
          ],
          ...pointOf(value),
        };
      });
      const aggregationTemporality = delta ? 1 : 2;
      if (type === "gauge") return { name, description: help, unit, gauge: { dataPoints } };
      if (type === "histogram") {
        return { name, description: help, unit, histogram: { dataPoints, aggregationTemporality } };
      }
      return { name, description: help, unit, sum: { dataPoints, aggregationTemporality, isMonotonic: true } };
    });
  return { resource: {}, scopeMetrics: [{ scope: { name: METER_NAME }, metrics }] };
}

function since(told: Told, key: string, value: number | Histogram): number | Histogram {
  const before = told.get(key);
  if (typeof value === "number") {
    told.set(key, value);
    return value - (typeof before === "number" ? before : 0);
  }
  const kept = new Histogram(value.bounds);
  kept.counts.set(value.counts);
  kept.count = value.count;
  kept.sum = value.sum;
  told.set(key, kept);
  if (!(before instanceof Histogram)) return kept;
  const difference = new Histogram(value.bounds);
  for (let i = 0; i < difference.counts.length; i++) difference.counts[i] = kept.counts[i] - before.counts[i];
  difference.count = kept.count - before.count;
  difference.sum = kept.sum - before.sum;
  return difference;
}

function pointOf(value: number | Histogram): Partial<OtlpPoint> {
  if (typeof value === "number") return Number.isInteger(value) ? { asInt: String(value) } : { asDouble: value };
  return {
    count: String(value.count),
    sum: value.sum,
    bucketCounts: [...value.counts].map(String),
    explicitBounds: value.bounds,
  };
}

/** Nanoseconds of the wall clock are beyond 2^53: written as text. */
function nanos(ms: number): string {
  return `${Math.trunc(ms)}000000`;
}
