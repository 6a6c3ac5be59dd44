/**
 * Listening sockets of one dispatch table (Apache: NettyRemotingServer). The first byte of a connection tells TLS from plain; after it
 * nothing is asked again.
 */
import type { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import type { Clock, Timer } from "../base/clock.ts";
import { CONNECTION_IDLE_MS } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { Turn } from "../base/turn.ts";
import type { RpcTimes } from "../metrics/rpcTimes.ts";
import type { Gate, Lane, Reply, Row, Unsupported } from "../protocol/dispatch.ts";
import { modeRefusal, type ServerTls, TLS_HANDSHAKE } from "../tls/serverTls.ts";
import { Admission } from "./admission.ts";
import { Connection, type ConnectionContext, notSupported } from "./connection.ts";
import { SlabPool } from "./output.ts";

const IDLE_SWEEP_MS = 5_000;
/** Time for the last replies to leave before a stopping server cuts its connections. */
const GOODBYE_MS = 500;

export interface ServerOptions {
  clock: Clock;
  turn: Turn;
  log: Logger;
  rows: readonly Row[];
  unsupported: readonly Unsupported[];
  /** Apache's options of the listener; its defaults where absent. */
  config?: { readonly serverSocketBacklog: number; readonly serverChannelMaxIdleTimeSeconds: number };
  /** What takes TLS clients; absent: only plain ones are taken. */
  tls?: ServerTls;
  /** Decides about each request; absent: everybody may do everything. */
  gate?: Gate | undefined;
  /** What connections may take together, those of the process' other ports included; absent: a limit of this port's own. */
  admission?: Admission;
  /** Measures requests for whoever exports metrics. */
  rpc?: RpcTimes | undefined;
  /** The broker's fast port leaves rows of lane "notFast" out. */
  fast?: boolean;
}

/** Apache's serverSocketBacklog. */
const BACKLOG = 1024;

let connectionIds = 0;

export class RemotingServer {
  readonly #options: ServerOptions;
  readonly #rows = new Map<number, Row | Reply>();
  readonly #connections = new Set<Connection>();
  /** Connections that have not said what they speak, or whose handshake is under way, and since when (monotonic ms). */
  readonly #early = new Map<Socket, number>();
  readonly #context: ConnectionContext;
  readonly #admission: Admission;
  #server: Server | undefined;
  #sweep: Timer | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
    for (const { code, reason } of options.unsupported) this.#rows.set(code, notSupported(code, reason));
    const hidden: Lane = "notFast";
    for (const row of options.rows) if (!options.fast || row.lane !== hidden) this.#rows.set(row.code, row);
    const dirty: Connection[] = [];
    this.#admission = options.admission ?? new Admission();
    this.#context = {
      clock: options.clock,
      turn: options.turn,
      log: options.log,
      slabs: new SlabPool(),
      lookup: (code) => this.#rows.get(code) ?? notSupported(code),
      gate: options.gate,
      admission: this.#admission,
      outgoing: false,
      rpc: options.rpc,
      dirty,
      nextId: () => ++connectionIds,
    };
    options.turn.onOutput(() => flushAll(dirty));
  }

  /** Listens; resolves with the port (a free one for port 0). Rejects with a reason that names the address. */
  listen(host: string, port: number): Promise<number> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      const refused = (error: Error) => reject(new Error(`cannot listen on ${host}:${port}: ${error.message}`));
      server.once("error", refused);
      server.listen({ host, port, backlog: this.#options.config?.serverSocketBacklog ?? BACKLOG }, () => {
        server.off("error", refused);
        // Too many open files, for instance: whoever is connected must not suffer from it.
        server.on("error", (error) => this.#options.log.error({ err: error }, "a connection could not be accepted"));
        this.#sweep = this.#options.clock.every(IDLE_SWEEP_MS, () => this.#closeIdle());
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : port);
      });
    });
  }

  /** Open connections, those included that have said nothing yet. */
  get connections(): number {
    return this.#connections.size + this.#early.size;
  }

  /** Stops accepting, without touching open connections. */
  stopAccepting(): void {
    this.#server?.close();
  }

  /** Closes the listener and every connection, after their output has left. */
  async close(): Promise<void> {
    this.#options.clock.clear(this.#sweep);
    this.stopAccepting();
    for (const socket of this.#early.keys()) socket.destroy();
    const open = [...this.#connections];
    for (const connection of open) connection.end();
    if (open.length === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(GOODBYE_MS, () => {
        for (const connection of open) connection.destroy();
      });
      let left = open.length;
      for (const connection of open) {
        connection.onClose(() => {
          if (--left === 0) {
            this.#options.clock.clear(timer);
            resolve();
          }
        });
      }
    });
  }

  #accept(socket: Socket): void {
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const { remoteAddress } = socket;
    const refused = this.#admission.refuse(remoteAddress);
    if (refused !== undefined) {
      this.#options.log.warn({ peer: remoteAddress, reason: refused }, "connection refused");
      socket.destroy();
      return;
    }
    socket.once("close", () => this.#admission.left(remoteAddress));
    this.#early.set(socket, this.#options.clock.monotonicMs());
    const failed = (error: Error) => this.#options.log.debug({ err: error.message }, "connection error");
    socket.on("error", failed);
    socket.once("close", () => this.#early.delete(socket));
    socket.once("data", (chunk: Buffer) => {
      const isTls = chunk[0] === TLS_HANDSHAKE;
      const tls = this.#options.tls;
      const refusal = modeRefusal(tls?.mode ?? "disabled", isTls);
      if (refusal !== undefined) {
        this.#options.log.warn({ peer: `${socket.remoteAddress}:${socket.remotePort}` }, refusal);
        socket.destroy();
      } else if (isTls && tls !== undefined) {
        // The handshake reads from the start, and by itself.
        socket.pause();
        socket.unshift(chunk);
        tls.accept(socket, (secured) => {
          this.#early.delete(socket);
          this.#adopt(new Connection(secured, this.#context, true));
        });
      } else {
        this.#early.delete(socket);
        socket.off("error", failed);
        const connection = new Connection(socket, this.#context);
        this.#adopt(connection);
        connection.take(chunk);
      }
    });
  }

  #adopt(connection: Connection): void {
    this.#connections.add(connection);
    connection.onClose(() => this.#connections.delete(connection));
  }

  #closeIdle(): void {
    const seconds = this.#options.config?.serverChannelMaxIdleTimeSeconds;
    const limit = this.#options.clock.monotonicMs() - (seconds === undefined ? CONNECTION_IDLE_MS : seconds * 1000);
    for (const connection of this.#connections) {
      if (connection.activeAt < limit) {
        this.#options.log.info({ peer: connection.address }, "idle connection closed");
        connection.destroy();
      }
    }
    for (const [socket, since] of this.#early) {
      if (since >= limit) continue;
      this.#options.log.info({ peer: `${socket.remoteAddress}:${socket.remotePort}` }, "idle connection closed");
      socket.destroy();
    }
  }
}

function flushAll(dirty: Connection[]): void {
  for (let i = 0; i < dirty.length; i++) dirty[i].flush();
  dirty.length = 0;
}
