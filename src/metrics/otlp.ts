/**
 * OTLP's messages of metrics as bytes: ExportMetricsServiceRequest of opentelemetry.proto.collector.metrics.v1, the fields that
 * a broker fills. Made from the same account that is logged as JSON, so both exporters say the same. Nothing here is on a hot
 * path; an account is cut into pieces of so many points, so that no piece stops the event loop for long.
 */
import type { Buffer as Bytes } from "node:buffer";

/** 64-bit integers are text, as in proto3's JSON. */
export interface OtlpAttribute {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly boolValue: boolean } | { readonly intValue: string };
}

/** Labels that Apache declares as no texts (AttributeKey.booleanKey, longKey). */
const BOOLEANS = new Set(["is_system", "is_retry", "is_long_polling"]);
const INTEGERS = new Set(["queue_id"]);

/** A label of a point; labels of operators are texts whatever their name. */
export function attributeOf(key: string, text: string): OtlpAttribute {
  if (BOOLEANS.has(key)) return { key, value: { boolValue: text === "true" } };
  return { key, value: INTEGERS.has(key) ? { intValue: text } : { stringValue: text } };
}

export interface OtlpPoint {
  readonly startTimeUnixNano: string;
  readonly timeUnixNano: string;
  readonly attributes: readonly OtlpAttribute[];
  readonly asInt?: string;
  readonly asDouble?: number;
  /** Of a histogram, with what follows. */
  readonly count?: string;
  readonly sum?: number;
  readonly bucketCounts?: readonly string[];
  readonly explicitBounds?: readonly number[];
}

interface Points {
  readonly dataPoints: readonly OtlpPoint[];
  /** 1: deltas, 2: cumulative. */
  readonly aggregationTemporality?: number;
  readonly isMonotonic?: boolean;
}

export interface OtlpMetric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly gauge?: Points;
  readonly sum?: Points;
  readonly histogram?: Points;
}

/** ResourceMetrics. */
export interface OtlpAccount {
  readonly resource: object;
  readonly scopeMetrics: readonly {
    readonly scope: { readonly name: string };
    readonly metrics: readonly OtlpMetric[];
  }[];
}

/** Kinds of a metric with their field in Metric. */
const KINDS = [
  ["gauge", 5],
  ["sum", 7],
  ["histogram", 9],
] as const;

/** The metrics of an account in pieces of at most `pointsMax` points; a metric with more is in several pieces. */
export function* pieces({ scopeMetrics }: OtlpAccount, pointsMax: number): IterableIterator<OtlpMetric[]> {
  const most = Math.max(1, pointsMax);
  let piece: OtlpMetric[] = [];
  let points = 0;
  for (const metric of scopeMetrics.flatMap(({ metrics }) => metrics)) {
    const [kind] = KINDS.find(([name]) => metric[name] !== undefined) ?? ["gauge"];
    const all = metric[kind]?.dataPoints ?? [];
    for (let from = 0; from < all.length; ) {
      const taken = all.slice(from, from + most - points);
      piece.push({ ...metric, [kind]: { ...metric[kind], dataPoints: taken } });
      from += taken.length;
      points += taken.length;
      if (points < most) continue;
      yield piece;
      piece = [];
      points = 0;
    }
  }
  if (piece.length > 0) yield piece;
}

/** ExportMetricsServiceRequest with one resource without attributes, as Apache's (its labels are on the points). */
export function encodeRequest(scope: string, metrics: readonly OtlpMetric[]): Bytes {
  const out = new ProtoWriter();
  out.nest(1, () => {
    out.nest(1, () => {});
    out.nest(2, () => {
      out.nest(1, () => out.text(1, scope));
      for (const metric of metrics) out.nest(2, () => writeMetric(out, metric));
    });
  });
  return out.finish();
}

function writeMetric(out: ProtoWriter, metric: OtlpMetric): void {
  out.text(1, metric.name);
  out.text(2, metric.description);
  out.text(3, metric.unit);
  for (const [kind, field] of KINDS) {
    const data = metric[kind];
    if (data === undefined) continue;
    out.nest(field, () => {
      for (const point of data.dataPoints) {
        out.nest(1, () => (kind === "histogram" ? writeHistogram(out, point) : writeNumber(out, point)));
      }
      if (data.aggregationTemporality !== undefined) out.varint(2, data.aggregationTemporality);
      if (data.isMonotonic) out.varint(3, 1);
    });
  }
}

function writeNumber(out: ProtoWriter, point: OtlpPoint): void {
  out.fixed64(2, point.startTimeUnixNano);
  out.fixed64(3, point.timeUnixNano);
  if (point.asInt !== undefined) out.fixed64(6, point.asInt);
  else out.double(4, point.asDouble ?? 0);
  writeAttributes(out, 7, point);
}

function writeHistogram(out: ProtoWriter, point: OtlpPoint): void {
  out.fixed64(2, point.startTimeUnixNano);
  out.fixed64(3, point.timeUnixNano);
  out.fixed64(4, point.count ?? "0");
  out.double(5, point.sum ?? 0);
  out.nest(6, () => {
    for (const count of point.bucketCounts ?? []) out.bareFixed64(count);
  });
  out.nest(7, () => {
    for (const bound of point.explicitBounds ?? []) out.bareDouble(bound);
  });
  writeAttributes(out, 9, point);
}

function writeAttributes(out: ProtoWriter, field: number, { attributes }: OtlpPoint): void {
  for (const { key, value } of attributes) {
    out.nest(field, () => {
      out.text(1, key);
      out.nest(2, () => {
        if ("boolValue" in value) out.varint(2, value.boolValue ? 1 : 0);
        else if ("intValue" in value) out.varint(3, Number(value.intValue));
        else out.text(1, value.stringValue);
      });
    });
  }
}

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIRST_BYTES = 16 * 1024;
const FIXED64_BYTES = 8;
const VARINT_BYTES_MAX = 5;
const VARINT_BITS = 7;
const MORE = 0x80;

/** Protocol Buffers' wire format, forwards; the length of what is nested is put in afterwards. */
class ProtoWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;

  finish(): Bytes {
    return this.#buffer.subarray(0, this.#at);
  }

  varint(field: number, value: number): void {
    this.#tag(field, VARINT);
    this.#room(VARINT_BYTES_MAX);
    this.#at = putVarint(this.#buffer, this.#at, value);
  }

  /** A text; without one the field is left out, as proto3 does. */
  text(field: number, value: string): void {
    if (value === "") return;
    const bytes = Buffer.byteLength(value);
    this.#tag(field, DELIMITED);
    this.#room(VARINT_BYTES_MAX + bytes);
    this.#at = putVarint(this.#buffer, this.#at, bytes);
    this.#at += this.#buffer.write(value, this.#at);
  }

  /** fixed64 and sfixed64 are the same 64 bits. */
  fixed64(field: number, value: string): void {
    this.#tag(field, FIXED64);
    this.bareFixed64(value);
  }

  double(field: number, value: number): void {
    this.#tag(field, FIXED64);
    this.bareDouble(value);
  }

  bareFixed64(value: string): void {
    this.#room(FIXED64_BYTES);
    this.#at = this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), this.#at);
  }

  bareDouble(value: number): void {
    this.#room(FIXED64_BYTES);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  /** A message, or packed numbers. */
  nest(field: number, write: () => void): void {
    this.#tag(field, DELIMITED);
    this.#room(1);
    const lengthAt = this.#at++;
    const start = this.#at;
    write();
    const bytes = this.#at - start;
    const more = varintBytes(bytes) - 1;
    if (more > 0) {
      this.#room(more);
      this.#buffer.copyWithin(start + more, start, this.#at);
      this.#at += more;
    }
    putVarint(this.#buffer, lengthAt, bytes);
  }

  #tag(field: number, type: number): void {
    this.#room(VARINT_BYTES_MAX);
    this.#at = putVarint(this.#buffer, this.#at, field * 8 + type);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value >>> VARINT_BITS; rest > 0; rest >>>= VARINT_BITS) bytes++;
  return bytes;
}

/** @returns the offset behind it */
function putVarint(buffer: Bytes, at: number, value: number): number {
  let to = at;
  let rest = value;
  for (; rest >= MORE; rest >>>= VARINT_BITS) buffer[to++] = (rest & (MORE - 1)) | MORE;
  buffer[to++] = rest;
  return to;
}
