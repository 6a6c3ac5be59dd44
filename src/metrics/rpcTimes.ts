/**
 * How long requests took from their arrival to their answer, by request code, response code and whether they waited for
 * something to come (Apache: RemotingMetricsManager, rocketmq_rpc_latency). Connections note a request when it comes and find
 * it again by its opaque when its answer is written; without metrics they do neither.
 */
import { Histogram, Labelled, type Labels } from "./figures.ts";

const BOUNDS_MS = [1, 3, 5, 7, 10, 100, 1000, 2000, 3000] as const;
/** Requests of one connection that are noted at a time; above it the oldest is measured no more. */
const NOTED_MAX = 65_536;
/** A note is one number: when it came (ms), its code, whether it waits. Apache's codes end below 2^18. */
const CODES = 262_144;
const NOTE_CODES = CODES * 2;

/** Apache's RemotingMetricsConstant.RESULT_*. */
export type RpcResult = "success" | "oneway";

export interface RpcNames {
  /** RemotingHelper.getRequestCodeDesc: the code's name in lower case, or its digits. */
  request(code: number): string;
  response(code: number): string;
}

/** The requests of one connection that are not answered yet: notes by opaque. */
export type NotedRequests = Map<number, number>;

export class RpcTimes {
  readonly latencies: Labelled<number, Histogram>;
  readonly #names: RpcNames;

  /** @param limit metricsOtelCardinalityLimit */
  constructor(names: RpcNames, limit: number) {
    this.#names = names;
    this.latencies = new Labelled(() => new Histogram(BOUNDS_MS), limit);
  }

  /** A request came, and will be answered. On the hot path. `nowMs`: monotonic. */
  came(noted: NotedRequests, opaque: number, code: number, nowMs: number): void {
    if (code < 0 || code >= CODES) return;
    if (noted.size >= NOTED_MAX) {
      for (const oldest of noted.keys()) {
        noted.delete(oldest);
        break;
      }
    }
    noted.set(opaque, Math.floor(nowMs) * NOTE_CODES + code * 2);
  }

  /** A request waits until something comes, or its time is over. */
  suspended(noted: NotedRequests, opaque: number): void {
    const note = noted.get(opaque);
    if (note !== undefined && note % 2 === 0) noted.set(opaque, note + 1);
  }

  /** An answer was written. On the hot path. */
  answered(noted: NotedRequests, opaque: number, responseCode: number, nowMs: number): void {
    const note = noted.get(opaque);
    if (note === undefined) return;
    noted.delete(opaque);
    const came = Math.floor(note / NOTE_CODES);
    const rest = note - came * NOTE_CODES;
    this.#record(rest >> 1, responseCode, (rest & 1) === 1, "success", Math.max(0, Math.floor(nowMs) - came));
  }

  /** A request that nobody answers was carried out. */
  oneway(code: number): void {
    if (code >= 0 && code < CODES) this.#record(code, 0, false, "oneway", 0);
  }

  #record(request: number, response: number, waited: boolean, result: RpcResult, ms: number): void {
    const key = ((response * CODES + request) * 2 + (waited ? 1 : 0)) * 2 + (result === "oneway" ? 1 : 0);
    const found = this.latencies.find(key);
    if (found !== undefined) found.record(ms);
    else this.latencies.get(key, () => this.#labels(request, response, waited, result)).record(ms);
  }

  #labels(request: number, response: number, waited: boolean, result: RpcResult): Labels {
    return {
      protocol_type: "remoting",
      is_long_polling: String(waited),
      request_code: this.#names.request(request),
      response_code: this.#names.response(response),
      result,
    };
  }
}
