/** The console's port. What serves it is loaded by the first connection: an idle broker pays for a listening socket only. */
import { createServer, type Server, type Socket } from "node:net";
import { HTTP_CONNECTIONS_MAX } from "../../base/limits.ts";
import type { Logger } from "../../base/log.ts";

export interface SocketSink {
  accept(socket: Socket): void;
  close(): Promise<void>;
}

export class LazyListener {
  readonly #server: Server;
  readonly #early = new Set<Socket>();
  #sink: Promise<SocketSink> | undefined;

  /** @param load called once, by the first connection */
  constructor(load: () => Promise<SocketSink>, log: Logger) {
    this.#server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
      this.#early.add(socket);
      const failed = (): void => {
        socket.destroy();
      };
      socket.on("error", failed);
      socket.once("close", () => this.#early.delete(socket));
      this.#sink ??= load();
      this.#sink.then(
        (sink) => {
          this.#early.delete(socket);
          socket.off("error", failed);
          if (!socket.destroyed) sink.accept(socket);
        },
        (error: unknown) => {
          this.#sink = undefined;
          log.error({ err: error }, "the console cannot be loaded");
          socket.destroy();
        },
      );
    });
    this.#server.maxConnections = HTTP_CONNECTIONS_MAX;
  }

  /** Listens; resolves with the port (a free one for port 0). */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error) => reject(new Error(`cannot listen on ${host}:${port}: ${error.message}`)));
      this.#server.listen({ host, port }, () => {
        const address = this.#server.address();
        resolve(typeof address === "object" && address !== null ? address.port : port);
      });
    });
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#early) socket.destroy();
    await (await this.#sink?.catch(() => undefined))?.close();
  }
}
