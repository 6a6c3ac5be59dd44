/**
 * The client of a collector: MetricsService/Export over gRPC, one connection, one call at a time (Apache: OtlpGrpcMetricExporter with
 * gzip). Fails with one exact reason, within its time; the next call connects anew when the connection is gone.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { promisify } from "node:util";
import { gzip as gzipWithCallback } from "node:zlib";
import type { Clock } from "../../base/clock.ts";

const gzip = promisify(gzipWithCallback);

const PATH = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const FRAME_HEAD_BYTES = 5;
const COMPRESSED = 1;
const HTTP_OK = 200;
/** What a collector answers is a few bytes; more is not kept. */
const ANSWER_BYTES_MAX = 64 * 1024;

export interface CollectorOptions {
  /** With https://, or, unencrypted, http://. */
  readonly target: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export class Collector {
  readonly #options: CollectorOptions;
  readonly #clock: Clock;
  #session: ClientHttp2Session | undefined;

  constructor(options: CollectorOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Sends one ExportMetricsServiceRequest. @throws Error when the collector did not take it in time */
  async send(request: Buffer): Promise<void> {
    const body = await gzip(request);
    const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + body.length);
    frame[0] = COMPRESSED;
    frame.writeUInt32BE(body.length, 1);
    body.copy(frame, FRAME_HEAD_BYTES);
    await this.#call(frame);
  }

  close(): void {
    this.#session?.destroy();
    this.#session = undefined;
  }

  #call(frame: Buffer): Promise<void> {
    const { target, headers, timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => {
        this.#clock.clear(timer);
        this.close();
        reject(new Error(`${target.origin}: ${reason}`));
      };
      const timer = this.#clock.after(timeoutMs, () => fail(`no answer within ${timeoutMs} ms`));
      const session = this.#connected();
      session.once("error", (error) => fail(error.message));
      let stream: ClientHttp2Stream;
      try {
        stream = session.request({
          ":method": "POST",
          ":path": PATH,
          "content-type": "application/grpc",
          te: "trailers",
          "grpc-encoding": "gzip",
          "grpc-timeout": `${timeoutMs}m`,
          ...headers,
        });
      } catch (error) {
        fail((error as Error).message);
        return;
      }
      const status: Status = {};
      let answerBytes = 0;
      stream.on("response", (head) => note(status, head));
      stream.on("trailers", (tail) => note(status, tail));
      stream.on("data", (chunk: Buffer) => {
        answerBytes += chunk.length;
        if (answerBytes > ANSWER_BYTES_MAX) fail(`the answer has more than ${ANSWER_BYTES_MAX} bytes`);
      });
      stream.on("error", (error) => fail(error.message));
      stream.on("close", () => {
        this.#clock.clear(timer);
        const refusal = refusalOf(status);
        if (refusal === undefined) resolve();
        else reject(new Error(`${target.origin}: ${refusal}`));
      });
      stream.end(frame);
    });
  }

  #connected(): ClientHttp2Session {
    const known = this.#session;
    if (known !== undefined && !known.closed && !known.destroyed) {
      known.removeAllListeners("error");
      return known;
    }
    const session = connect(this.#options.target.origin);
    // A connection that stays must not keep a process alive that is done.
    session.unref();
    session.on("close", () => {
      if (this.#session === session) this.#session = undefined;
    });
    this.#session = session;
    return session;
  }
}

interface Status {
  http?: number;
  grpc?: string;
  message?: string;
}

/** Both come with the head where a call is refused at once, else behind the answer. */
function note(status: Status, headers: Readonly<Record<string, unknown>>): void {
  if (typeof headers[":status"] === "number") status.http = headers[":status"];
  if (typeof headers["grpc-status"] === "string") status.grpc = headers["grpc-status"];
  if (typeof headers["grpc-message"] === "string") status.message = headers["grpc-message"];
}

function refusalOf({ http, grpc, message }: Status): string | undefined {
  if (grpc === "0") return undefined;
  if (grpc !== undefined) return `gRPC status ${grpc}${message === undefined ? "" : ` (${message})`}`;
  if (http === undefined) return "the connection was closed before an answer came";
  return http === HTTP_OK ? "the answer has no gRPC status" : `HTTP status ${http}: no collector for OTLP over gRPC`;
}
