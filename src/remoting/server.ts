/** Listening sockets of one dispatch table (Apache: NettyRemotingServer). Plain TCP; a TLS hello is logged as one and closed. */
import { createServer, type Server, type Socket } from "node:net";
import type { Clock, Timer } from "../base/clock.ts";
import { CONNECTION_IDLE_MS } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { Turn } from "../base/turn.ts";
import type { Lane, Reply, Row, Unsupported } from "../protocol/dispatch.ts";
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
  readonly #context: ConnectionContext;
  #server: Server | undefined;
  #sweep: Timer | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
    for (const { code, reason } of options.unsupported) this.#rows.set(code, notSupported(code, reason));
    const hidden: Lane = "notFast";
    for (const row of options.rows) if (!options.fast || row.lane !== hidden) this.#rows.set(row.code, row);
    const dirty: Connection[] = [];
    this.#context = {
      clock: options.clock,
      turn: options.turn,
      log: options.log,
      slabs: new SlabPool(),
      lookup: (code) => this.#rows.get(code) ?? notSupported(code),
      outgoing: false,
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

  get connections(): number {
    return this.#connections.size;
  }

  /** Stops accepting, without touching open connections. */
  stopAccepting(): void {
    this.#server?.close();
  }

  /** Closes the listener and every connection, after their output has left. */
  async close(): Promise<void> {
    this.#options.clock.clear(this.#sweep);
    this.stopAccepting();
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
    const connection = new Connection(socket, this.#context);
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
  }
}

function flushAll(dirty: Connection[]): void {
  for (let i = 0; i < dirty.length; i++) dirty[i].flush();
  dirty.length = 0;
}
