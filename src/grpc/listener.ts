/**
 * The port of the gRPC protocol: TLS and plaintext HTTP/2 on one port, told apart by the first bytes, after an optional
 * PROXY header of a load balancer (Apache: ProxyAndTlsProtocolNegotiator). What is behind the port is loaded by its first
 * connection, so that a server whose clients all speak remoting pays neither time nor memory for it.
 */
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import { GRPC_CONNECTIONS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { TlsMode } from "../config/index.ts";
import { modeRefusal, TLS_HANDSHAKE } from "../tls/serverTls.ts";
import { type Peer, peerOf } from "./peer.ts";
import { ProxyHeaderError, readProxyHeader } from "./proxyHeader.ts";

/** Time for a client to say its first bytes. */
const HELLO_MS = 10_000;
/** A Telemetry stream is silent for minutes: TCP itself asks whether its client's machine is still there. */
const PROBE_AFTER_MS = 60_000;
/** A TLS record's head; below it nothing is decided. */
const DECIDE_BYTES = 5;
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** What takes a connection over once it is known what it speaks. */
export interface ConnectionSink {
  accept(socket: Socket, tls: boolean, peer: Peer): void;
  close(): Promise<void>;
}

export interface ListenerOptions {
  clock: Clock;
  log: Logger;
  /** tls.server.mode. */
  mode: TlsMode;
  /** Called once, by the first connection. */
  load: () => Promise<ConnectionSink>;
}

/** The port cannot be had. */
export class ListenError extends Error {}

export class GrpcListener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  /** Connections that have not said what they speak, or wait for the load. */
  readonly #early = new Set<Socket>();
  #connections = 0;
  #sink: Promise<ConnectionSink> | undefined;
  #closed = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    const keepAlive = { keepAlive: true, keepAliveInitialDelay: PROBE_AFTER_MS };
    this.#server = createServer({ noDelay: true, ...keepAlive }, (socket) => this.#accept(socket));
  }

  /** Listens; resolves with the port (a free one for port 0). Rejects with a reason that names the address. */
  listen(host: string, port: number): Promise<number> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const refused = (error: Error) => reject(new ListenError(`cannot listen on ${host}:${port}: ${error.message}`));
      server.once("error", refused);
      server.listen({ host, port, backlog: 1024 }, () => {
        server.off("error", refused);
        // Too many open files, for instance: whoever is connected must not suffer from it.
        server.on("error", (error) =>
          this.#options.log.error({ err: error }, "a gRPC connection could not be accepted"),
        );
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : port);
      });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#server.close();
    for (const socket of this.#early) socket.destroy();
    const sink = await this.#sink?.catch(() => undefined);
    await sink?.close();
  }

  #accept(socket: Socket): void {
    if (socket.remoteAddress === undefined || this.#closed) {
      socket.destroy();
      return;
    }
    if (this.#connections >= GRPC_CONNECTIONS_MAX) {
      this.#options.log.warn({ connections: this.#connections }, "gRPC connection refused: too many are open");
      socket.destroy();
      return;
    }
    this.#connections++;
    this.#early.add(socket);
    const timer = this.#options.clock.after(HELLO_MS, () => socket.destroy());
    socket.on("close", () => {
      this.#options.clock.clear(timer);
      this.#early.delete(socket);
      this.#connections--;
    });
    socket.on("error", (error) => this.#options.log.debug({ err: error.message }, "gRPC connection error"));
    let seen = Buffer.alloc(0);
    const look = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = seen.length === 0 ? (chunk as typeof seen) : Buffer.concat([seen, chunk]);
      let hello: Hello | undefined;
      try {
        hello = readHello(seen, socket);
      } catch (error) {
        if (!(error instanceof ProxyHeaderError)) throw error;
        this.#options.log.warn({ peer: socket.remoteAddress, reason: error.message }, "gRPC connection closed");
        socket.destroy();
        return;
      }
      if (hello === undefined) return;
      const refusal = modeRefusal(this.#options.mode, hello.tls);
      if (refusal !== undefined) {
        this.#options.log.warn({ peer: socket.remoteAddress }, refusal);
        socket.destroy();
        return;
      }
      socket.off("readable", look);
      this.#options.clock.clear(timer);
      this.#handOver(socket, hello, seen);
    };
    socket.on("readable", look);
  }

  #handOver(socket: Socket, { tls, peer, headBytes }: Hello, seen: Buffer): void {
    this.#sink ??= this.#options.load();
    this.#sink
      .then((sink) => {
        this.#early.delete(socket);
        if (socket.destroyed) return;
        socket.unshift(seen.subarray(headBytes));
        sink.accept(socket, tls, peer);
      })
      .catch((error: Error) => {
        this.#options.log.error({ err: error }, "the gRPC protocol cannot be served");
        socket.destroy();
      });
  }
}

interface Hello {
  tls: boolean;
  peer: Peer;
  /** Bytes of the PROXY header, which are for us and not for the protocol. */
  headBytes: number;
}

/** Undefined while more bytes are needed. */
function readHello(seen: Buffer, socket: Socket): Hello | undefined {
  const proxied = readProxyHeader(seen);
  if (proxied === "more") return undefined;
  const rest = seen.subarray(proxied.bytes);
  const tls = rest[0] === TLS_HANDSHAKE;
  if (rest.length < DECIDE_BYTES) return undefined;
  if (
    !tls &&
    PREFACE.compare(rest, 0, Math.min(rest.length, PREFACE.length), 0, Math.min(rest.length, PREFACE.length)) !== 0
  ) {
    throw new ProxyHeaderError("neither TLS nor HTTP/2");
  }
  const remote = proxied.source ?? { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
  const peer = peerOf(remote.address, remote.port, socket.localAddress ?? "", socket.localPort ?? 0);
  return { tls, peer, headBytes: proxied.bytes };
}
