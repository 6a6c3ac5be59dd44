/**
 * gRPC over node:http2: frames, deadlines, cancellation, statuses; knows no message type. Of the two ways to serve gRPC
 * that were measured, this one takes a third less CPU per call than grpc-js and lets connections be counted and bounded.
 *
 *   a message on the wire: compressed (1 byte) | length (uint32) | bytes
 *
 * Refuses: other content types (415), unknown methods (UNIMPLEMENTED), messages above the limit (RESOURCE_EXHAUSTED),
 * broken frames (INTERNAL).
 */
import { Buffer } from "node:buffer";
import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Clock, Timer } from "../base/clock.ts";
import {
  GRPC_INBOUND_BYTES_MAX,
  GRPC_SLOW_STREAM_MS,
  GRPC_STREAM_WINDOW_BYTES,
  GRPC_STREAMS_PER_CONNECTION_MAX,
} from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import { GrpcError, GrpcStatus } from "./grpcStatus.ts";
import { Inflater } from "./inflater.ts";
import type { Peer } from "./peer.ts";

/** One call as a method sees it. */
export interface RpcCall {
  readonly peer: Peer;
  /** A request header; empty when absent. */
  metadata(name: string): string;
  /** Milliseconds until the client gives up; undefined when it waits without limit. */
  remainingMs(): number | undefined;
  /** The client gave up, or its connection is gone. */
  readonly cancelled: boolean;
  /** Calls `fn` once when the client gives up before the call has ended (at once if it already has). */
  onCancel(fn: () => void): void;
}

/** Where a streaming method writes its frames. */
export interface FrameSink {
  /** Writes a frame; false when the client takes them too slowly: wait for {@link FrameSink.drained}. */
  write(frame: Buffer): boolean;
  /** Nobody has ended it, and the client is there. */
  readonly open: boolean;
  /** Resolves when the client has taken what was written, or is gone. */
  drained(): Promise<void>;
  /** Ends the stream with a status (default OK); later calls do nothing. */
  end(error?: GrpcError): void;
}

/** What a client's stream brings. */
export interface Incoming {
  message(bytes: Buffer): void;
  /** The client has nothing more to say. */
  ended(): void;
}

/** A method by its kind. `path` is `/package.Service/Method`. */
export type Method =
  | { path: string; kind: "unary"; handle(call: RpcCall, request: Buffer): Buffer | Promise<Buffer> }
  | {
      path: string;
      kind: "serverStream";
      handle(call: RpcCall, request: Buffer, sink: FrameSink): void | Promise<void>;
    }
  | { path: string; kind: "bidi"; open(call: RpcCall, sink: FrameSink): Incoming };

export interface GrpcServerOptions {
  clock: Clock;
  log: Logger;
  methods: readonly Method[];
  /** Largest request message, bytes. */
  inboundBytesMax: number;
  /** A connection without calls is closed after this. */
  idleMs: number;
}

const HEAD_BYTES = 5;
const IDLE_SWEEP_MS = 10_000;
const UNREAD_SWEEPS_MAX = GRPC_SLOW_STREAM_MS / IDLE_SWEEP_MS;
/** Per session and in MiB, as node:http2 counts; above it new streams are refused. */
const SESSION_MEMORY_MIB = 256;
const GOODBYE_MS = 500;
const REPLY_HEADERS = {
  [constants.HTTP2_HEADER_STATUS]: 200,
  [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
  "grpc-accept-encoding": "identity,gzip",
};
/** Nobody reads a date, and each answer would carry one. */
const REPLY_OPTIONS = { waitForTrailers: true, sendDate: false };
const OK_TRAILERS = { "grpc-status": "0" };

interface Session {
  peer: Peer;
  /** Until their streams are closed, which an unread answer puts off. */
  calls: Set<Call>;
  idleSince: number;
}

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #methods = new Map<string, Method>();
  readonly #sessions = new Map<ServerHttp2Session, Session>();
  readonly #plain: Http2Server;
  #secure: Http2SecureServer | undefined;
  /** Peers of connections under way, by their socket's remote address: a TLS session does not show its raw socket. */
  readonly #peers = new Map<string, Peer>();
  readonly #sweep: Timer;
  /** Bytes of requests that are not complete or not inflated yet, over all connections. */
  #inboundBytes = 0;
  readonly #inflater: Inflater;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#inflater = new Inflater(options.inboundBytesMax, (bytes) => this.#count(bytes));
    for (const method of options.methods) this.#methods.set(method.path, method);
    this.#plain = this.#prepare(createServer(this.#settings()));
    this.#sweep = options.clock.every(IDLE_SWEEP_MS, () => this.#closeIdle());
  }

  /** Makes TLS connections possible, or gives those to come another certificate. @throws Error when it cannot be used */
  secure(certificate: { cert: string; key: string; passphrase?: string }): void {
    const minVersion = "TLSv1.2";
    const secure = createSecureServer({ ...this.#settings(), ...certificate, minVersion, allowHTTP1: false });
    this.#secure = this.#prepare(secure);
    this.#secure.on("tlsClientError", (error: Error, socket: Socket) => {
      this.#options.log.debug({ err: error.message }, "TLS handshake failed");
      // Node leaves that to us where the time was over.
      socket.destroy();
    });
  }

  /** Takes a connection whose first bytes were looked at and put back. */
  accept(socket: Socket, tls: boolean, peer: Peer): void {
    const server = tls ? this.#secure : this.#plain;
    if (server === undefined) {
      socket.destroy();
      return;
    }
    const key = remoteKey(socket);
    this.#peers.set(key, peer);
    socket.once("close", () => {
      if (this.#peers.get(key) === peer) this.#peers.delete(key);
    });
    server.emit("connection", socket);
  }

  get connections(): number {
    return this.#sessions.size;
  }

  /** Calls whose streams are not closed, over all connections. */
  get calls(): number {
    let count = 0;
    for (const { calls } of this.#sessions.values()) count += calls.size;
    return count;
  }

  /** Lets calls under way end for a moment, then cuts. */
  async close(): Promise<void> {
    const { clock } = this.#options;
    clock.clear(this.#sweep);
    const sessions = [...this.#sessions.keys()];
    if (sessions.length === 0) return;
    await new Promise<void>((resolve) => {
      const timer = clock.after(GOODBYE_MS, () => {
        for (const session of sessions) session.destroy();
      });
      let left = sessions.length;
      for (const session of sessions) {
        session.once("close", () => {
          if (--left > 0) return;
          clock.clear(timer);
          resolve();
        });
        session.close();
      }
    });
  }

  #settings() {
    return {
      settings: {
        initialWindowSize: GRPC_STREAM_WINDOW_BYTES,
        maxConcurrentStreams: GRPC_STREAMS_PER_CONNECTION_MAX,
        enablePush: false,
      },
      maxSessionMemory: SESSION_MEMORY_MIB,
    };
  }

  #prepare<S extends Http2Server | Http2SecureServer>(server: S): S {
    server.on("session", (session: ServerHttp2Session) => this.#open(session));
    server.on("sessionError", (error: Error) => this.#options.log.debug({ err: error.message }, "gRPC session failed"));
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => this.#call(stream, headers));
    return server;
  }

  #open(session: ServerHttp2Session): void {
    const peer = this.#peers.get(remoteKey(session.socket));
    if (peer === undefined) {
      session.destroy();
      return;
    }
    // Stream windows alone would let one connection hold a single window's worth of all its streams together.
    session.setLocalWindowSize(GRPC_STREAM_WINDOW_BYTES * 4);
    this.#sessions.set(session, { peer, calls: new Set(), idleSince: this.#options.clock.monotonicMs() });
    session.on("close", () => this.#sessions.delete(session));
    session.on("error", () => {});
  }

  #closeIdle(): void {
    const limit = this.#options.clock.monotonicMs() - this.#options.idleMs;
    for (const [session, { calls, idleSince }] of this.#sessions) {
      if (calls.size === 0 && idleSince < limit && !session.closed) session.close();
      for (const call of calls) call.cutIfUnread();
    }
  }

  #call(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // A stream that breaks says so once more here; what matters is its close.
    stream.on("error", ignore);
    const session = stream.session === undefined ? undefined : this.#sessions.get(stream.session as ServerHttp2Session);
    if (session === undefined) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    const contentType = String(headers[constants.HTTP2_HEADER_CONTENT_TYPE] ?? "");
    if (!contentType.startsWith("application/grpc")) {
      refuse(stream, GrpcStatus.INTERNAL, `Content-Type '${contentType}' is not supported`, 415);
      return;
    }
    const path = String(headers[constants.HTTP2_HEADER_PATH] ?? "");
    const method = this.#methods.get(path);
    if (method === undefined) {
      refuse(stream, GrpcStatus.UNIMPLEMENTED, `Method not found: ${path.slice(1)}`);
      return;
    }
    const { clock } = this.#options;
    const call = new Call(stream, headers, session.peer, clock, () => {
      session.calls.delete(call);
      session.idleSince = clock.monotonicMs();
    });
    session.calls.add(call);
    const reader = new FrameReader(this.#options.inboundBytesMax, (bytes) => this.#count(bytes));
    call.reader = reader;
    this.#run(method, call, reader);
  }

  /** Counts bytes that wait for the rest of their message; throws when all connections together hold too many. */
  #count(bytes: number): void {
    this.#inboundBytes += bytes;
    if (bytes > 0 && this.#inboundBytes > GRPC_INBOUND_BYTES_MAX) {
      throw new GrpcError(
        "RESOURCE_EXHAUSTED",
        `all clients together have ${this.#inboundBytes} bytes of unfinished requests under way`,
      );
    }
  }

  #run(method: Method, call: Call, reader: FrameReader): void {
    const { stream } = call;
    const fail = (error: unknown) => call.end(asGrpcError(error));
    const guard = (work: () => void) => {
      try {
        work();
      } catch (error) {
        fail(error);
      }
    };
    if (method.kind === "bidi") {
      let incoming: Incoming | undefined;
      // Streams wait for their first message without an answer: headers go out at once, some clients wait for them.
      guard(() => {
        call.respond();
        incoming = method.open(call, call);
      });
      // One compressed message makes all that follow wait for it.
      let last: Promise<void> | undefined;
      reader.onMessage = (bytes, compressed) => {
        if (!compressed && last === undefined) {
          guard(() => incoming?.message(bytes));
          return;
        }
        const plain = compressed ? this.#inflate(bytes, call) : Promise.resolve(bytes);
        last = Promise.all([plain, last])
          .then(([message]) => incoming?.message(message))
          .catch(fail);
      };
      stream.on("data", (chunk: Buffer) => guard(() => reader.push(chunk)));
      stream.on("end", () => {
        if (last === undefined) guard(() => incoming?.ended());
        else void last.then(() => guard(() => incoming?.ended()));
      });
      return;
    }
    let request: Buffer | undefined;
    let compressed = false;
    reader.onMessage = (bytes, isCompressed) => {
      if (request !== undefined) throw new GrpcError("INTERNAL", "more than one request message");
      request = bytes;
      compressed = isCompressed;
    };
    stream.on("data", (chunk: Buffer) => guard(() => reader.push(chunk)));
    stream.on("end", () => {
      if (call.ended) return;
      if (request === undefined) {
        fail(new GrpcError("INTERNAL", "no complete request message"));
        return;
      }
      if (compressed) {
        this.#inflate(request, call)
          .then((plain) => this.#answer(method, call, plain))
          .catch(fail);
      } else this.#answer(method, call, request);
    });
  }

  #inflate(bytes: Buffer, call: Call): Promise<Buffer> {
    return this.#inflater.inflate(bytes, call.metadata("grpc-encoding"), () => call.open);
  }

  #answer(method: Exclude<Method, { kind: "bidi" }>, call: Call, request: Buffer): void {
    const fail = (error: unknown) => {
      // Whoever sends bytes that are no request must not fill the log.
      if (error instanceof GrpcError) {
        this.#options.log.debug({ reason: error.message, method: method.path }, "gRPC call refused");
      } else this.#options.log.error({ err: error, method: method.path }, "a gRPC method failed");
      call.end(asGrpcError(error));
    };
    try {
      if (method.kind === "unary") {
        const reply = method.handle(call, request);
        if (reply instanceof Promise) reply.then((frame) => call.finish(frame), fail);
        else call.finish(reply);
      } else {
        const done = method.handle(call, request, call);
        if (done instanceof Promise) done.catch(fail);
      }
    } catch (error) {
      fail(error);
    }
  }
}

/** A call's stream, as methods and as the server use it. */
class Call implements RpcCall, FrameSink {
  readonly stream: ServerHttp2Stream;
  readonly peer: Peer;
  reader: FrameReader | undefined;
  ended = false;
  cancelled = false;
  readonly #headers: IncomingHttpHeaders;
  readonly #clock: Clock;
  /** Monotonic ms; infinite without a deadline. */
  readonly #deadline: number;
  #cancelListeners: (() => void)[] | undefined;
  #trailers: Record<string, string> = OK_TRAILERS;
  /** Sweeps that found it ended here and still not closed. */
  #unreadSweeps = 0;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer, clock: Clock, closed: () => void) {
    this.stream = stream;
    this.peer = peer;
    this.#headers = headers;
    this.#clock = clock;
    this.#deadline = clock.monotonicMs() + timeoutMs(headers["grpc-timeout"]);
    stream.on("close", () => {
      this.reader?.discard();
      if (!this.ended) {
        this.ended = true;
        this.cancelled = true;
        const listeners = this.#cancelListeners;
        this.#cancelListeners = undefined;
        for (const fn of listeners ?? []) fn();
      }
      closed();
    });
  }

  get open(): boolean {
    return !this.ended;
  }

  /** An answer that nobody takes stays in memory, however small it is: its stream is cut at the third sweep. */
  cutIfUnread(): void {
    if (this.ended && ++this.#unreadSweeps > UNREAD_SWEEPS_MAX) this.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  metadata(name: string): string {
    const value = this.#headers[name];
    return typeof value === "string" ? value : (value?.[0] ?? "");
  }

  remainingMs(): number | undefined {
    return this.#deadline === Number.POSITIVE_INFINITY ? undefined : this.#deadline - this.#clock.monotonicMs();
  }

  onCancel(fn: () => void): void {
    if (this.cancelled) fn();
    else if (this.#cancelListeners === undefined) this.#cancelListeners = [fn];
    else this.#cancelListeners.push(fn);
  }

  respond(): void {
    if (this.ended || this.stream.headersSent) return;
    this.stream.on("wantTrailers", () => this.stream.sendTrailers(this.#trailers));
    this.stream.respond(REPLY_HEADERS, REPLY_OPTIONS);
  }

  /** The one reply of a unary call. */
  finish(frame: Buffer): void {
    if (this.ended) return;
    this.respond();
    this.ended = true;
    this.stream.end(frame);
  }

  write(frame: Buffer): boolean {
    if (this.ended) return false;
    this.respond();
    return this.stream.write(frame);
  }

  drained(): Promise<void> {
    const { stream } = this;
    if (this.ended || stream.destroyed || !stream.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        stream.off("drain", done);
        stream.off("close", done);
        resolve();
      };
      stream.on("drain", done);
      stream.on("close", done);
    });
  }

  end(error?: GrpcError): void {
    if (this.ended) return;
    this.ended = true;
    this.reader?.discard();
    if (!this.stream.headersSent) {
      refuse(this.stream, error?.status ?? GrpcStatus.OK, error?.message ?? "");
      return;
    }
    if (error !== undefined && this.stream.writableNeedDrain) {
      // Trailers would wait behind what the client does not take.
      this.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    if (error !== undefined) this.#trailers = trailersOf(error.status, error.message);
    this.stream.end();
  }
}

/** Cuts a stream's bytes into messages. */
class FrameReader {
  onMessage: (bytes: Buffer, compressed: boolean) => void = ignore;
  readonly #bytesMax: number;
  readonly #count: (bytes: number) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** Bytes of the message under way, its head included; 0 while the head is not complete. */
  #wanted = 0;
  #done = false;

  constructor(bytesMax: number, count: (bytes: number) => void) {
    this.#bytesMax = bytesMax;
    this.#count = count;
  }

  push(chunk: Buffer): void {
    if (this.#done) return;
    // Mostly one chunk is one message.
    if (this.#bytes === 0 && chunk.length >= HEAD_BYTES && chunk.readUInt32BE(1) === chunk.length - HEAD_BYTES) {
      if (chunk.length - HEAD_BYTES <= this.#bytesMax) {
        this.onMessage(chunk.subarray(HEAD_BYTES), chunk[0] === 1);
        return;
      }
    }
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    this.#count(chunk.length);
    while (this.#bytes >= Math.max(HEAD_BYTES, this.#wanted)) {
      if (this.#wanted === 0) {
        const head = this.#join();
        const length = head.readUInt32BE(1);
        if (length > this.#bytesMax) {
          throw new GrpcError(
            "RESOURCE_EXHAUSTED",
            `gRPC message exceeds maximum size ${this.#bytesMax}: ${length} (grpcMaxInboundMessageSize)`,
          );
        }
        this.#wanted = HEAD_BYTES + length;
        continue;
      }
      const all = this.#join();
      const message = all.subarray(HEAD_BYTES, this.#wanted);
      const rest = all.subarray(this.#wanted);
      this.#parts = rest.length === 0 ? [] : [rest];
      this.#bytes = rest.length;
      this.#count(-this.#wanted);
      this.#wanted = 0;
      this.onMessage(message, all[0] === 1);
    }
  }

  /** Forgets what is incomplete; nothing more is read. */
  discard(): void {
    this.#count(-this.#bytes);
    this.#done = true;
    this.#parts = [];
    this.#bytes = 0;
  }

  #join(): Buffer {
    if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts, this.#bytes)];
    return this.#parts[0];
  }
}

/** An answer that is nothing but a status. */
function refuse(stream: ServerHttp2Stream, status: number, message: string, httpStatus = 200): void {
  if (stream.destroyed || stream.headersSent) return;
  const http = { ...REPLY_HEADERS, [constants.HTTP2_HEADER_STATUS]: httpStatus };
  stream.respond({ ...http, ...trailersOf(status, message) }, { endStream: true });
  // What the client still sends is not wanted any more.
  if (!stream.readableEnded) stream.resume();
}

function trailersOf(status: number, message: string): Record<string, string> {
  return { "grpc-status": String(status), "grpc-message": percentEncoded(message) };
}

/** Header values are ASCII: everything else, and the percent sign, is written as UTF-8 bytes in hex. */
function percentEncoded(text: string): string {
  return text.replace(/[^ -$&-~]+/g, (part) =>
    [...Buffer.from(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

const UNIT_MS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000001 };

/** `100m`, `5S`: at most eight digits and a unit. Anything else is no deadline. */
export function timeoutMs(header: string | string[] | undefined): number {
  const match = typeof header === "string" ? /^(\d{1,8})([HMSmun])$/.exec(header) : null;
  return match === null ? Number.POSITIVE_INFINITY : Number(match[1]) * UNIT_MS[match[2]];
}

function asGrpcError(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  return new GrpcError("INTERNAL", error instanceof Error ? error.message : String(error));
}

function remoteKey(socket: Pick<Socket, "remoteAddress" | "remotePort">): string {
  return `${socket.remoteAddress}|${socket.remotePort}`;
}

function ignore(): void {}
