// A collector of metrics (OTLP over gRPC) that keeps what it is sent, metric by metric, in a form that can be compared.

import { createServer } from "node:http2";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import protobuf from "protobufjs";

const SETTLE_LIMIT_MS = 120_000;
const FRAME_HEAD_BYTES = 5;
/** What Apache has and Skylark has not; the reason is in run.mjs. */
const NOT_OURS = [/^rocketmq_pop_buffer_scan_time_consume/];
/** Labels whose values say who sends; of others, values are compared by run.mjs, and which there are depends on the moment. */
const WHO = ["cluster", "node_id", "node_type"];
/** An account is whole when it has these, which the load brings about a little later. */
const LATE = [
  "rocketmq_messages_out_total",
  "rocketmq_pop_revive_in_message_total",
  "rocketmq_pop_revive_out_message_total",
  "rocketmq_send_to_dlq_messages_total",
];
/** Headers whose values are compared. */
const HEADERS = [":method", ":path", "content-type", "te", "grpc-encoding", "x-team"];
const TYPE = protobuf.loadSync(join(import.meta.dirname, "otlp.proto")).lookupType("ExportRequest");

/** Whether Skylark has what Apache calls so. */
export const isOurs = (text) => !NOT_OURS.some((one) => one.test(text));

/** Takes what it is sent and answers that all is well. */
export class Collector {
  headers;
  /** Metrics by time of their points, then name. */
  #accounts = new Map();
  #sessions = new Set();
  #server = createServer();

  async listen() {
    this.#server.on("session", (session) => this.#sessions.add(session));
    this.#server.on("stream", (stream, headers) => {
      const chunks = [];
      stream.on("error", () => {});
      stream.on("data", (chunk) => chunks.push(chunk));
      stream.on("end", () => {
        this.headers = Object.fromEntries(HEADERS.map((name) => [name, headers[name]]));
        this.#take(Buffer.concat(chunks));
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(Buffer.alloc(FRAME_HEAD_BYTES));
      });
    });
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this.#server.address().port;
  }

  #take(frame) {
    const body = frame.subarray(FRAME_HEAD_BYTES);
    const request = TYPE.toObject(TYPE.decode(frame[0] === 1 ? gunzipSync(body) : body), {
      longs: String,
      arrays: true,
    });
    for (const { resource, schemaUrl, scopeMetrics } of request.resourceMetrics) {
      for (const { scope, schemaUrl: scopeUrl, metrics } of scopeMetrics) {
        for (const metric of metrics) this.#note(metric, { resource, schemaUrl, scope, scopeUrl });
      }
    }
  }

  #note({ name, description, unit, ...data }, around) {
    const [kind] = Object.keys(data);
    const { dataPoints, ...rest } = data[kind];
    const [{ timeUnixNano }] = dataPoints;
    const account = this.#accounts.get(timeUnixNano) ?? new Map();
    this.#accounts.set(timeUnixNano, account);
    const shapes = new Set(dataPoints.map(shapeOf));
    const bounds = [...new Set(dataPoints.map(({ explicitBounds }) => explicitBounds?.join(" ")))];
    account.set(name, { kind, description, unit, ...rest, ...around, bounds, shapes: [...shapes].sort() });
  }

  /** The newest account when three in a row had the same kinds of series. */
  async settled() {
    const began = Date.now();
    for (;;) {
      // The very last one may be under way.
      const last = [...this.#accounts.values()].slice(-4, -1);
      const texts = last.map((account) =>
        JSON.stringify([...account].map(([name, { shapes }]) => [name, shapes]).sort()),
      );
      const isWhole = LATE.every((name) => last.at(-1)?.has(name));
      if (isWhole && last.length === 3 && new Set(texts).size === 1) return last[2];
      if (Date.now() - began > SETTLE_LIMIT_MS)
        throw new Error(`${this.#accounts.size} accounts came, their series do not settle`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  close() {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
  }
}

/** The labels of a point with their types. */
function shapeOf({ attributes, asInt }) {
  const labels = attributes.map(
    ({ key, value }) => `${key}=${WHO.includes(key) ? value.stringValue : Object.keys(value)}`,
  );
  return `${labels.sort().join(" ")}${asInt === undefined ? "" : " integer"}`;
}
