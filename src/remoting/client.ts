/** Outgoing connections of this server, one per address, opened on demand (Apache: NettyRemotingClient). */
import { connect, type Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Turn } from "../base/turn.ts";
import type { Answer, Row } from "../protocol/dispatch.ts";
import type { Fields } from "../protocol/frameWriter.ts";
import type { ClientTls } from "../tls/clientTls.ts";
import { Connection, type ConnectionContext, notSupported } from "./connection.ts";
import { SlabPool } from "./output.ts";

const CONNECT_TIMEOUT_MS = 3_000;

export class RemotingClient {
  readonly #context: ConnectionContext;
  readonly #connections = new Map<string, Promise<Connection>>();
  readonly #tls: ClientTls | undefined;
  #ids = 0;

  /**
   * @param rows what the other side may ask over our connections
   * @param tls makes all connections TLS ones
   * @param sign adds a signature to the fields of each request
   */
  constructor(
    clock: Clock,
    turn: Turn,
    log: Logger,
    rows: readonly Row[] = [],
    tls?: ClientTls,
    sign?: (fields: Fields, body: Buffer | string | undefined) => Fields,
  ) {
    this.#tls = tls;
    const byCode = new Map(rows.map((row) => [row.code, row]));
    const dirty: Connection[] = [];
    this.#context = {
      clock,
      turn,
      log,
      slabs: new SlabPool(),
      lookup: (code) => byCode.get(code) ?? notSupported(code),
      outgoing: true,
      sign,
      dirty,
      nextId: () => --this.#ids,
    };
    turn.onOutput(() => {
      for (let i = 0; i < dirty.length; i++) dirty[i].flush();
      dirty.length = 0;
    });
  }

  /** Sends a request to `host:port` and waits for its answer. Rejects with a reason that names the address. */
  async request(
    address: string,
    code: number,
    header: Fields,
    body: Buffer | string | undefined,
    timeoutMs: number,
  ): Promise<Answer> {
    const connection = await this.#to(address);
    return connection.ask(code, header, body, timeoutMs);
  }

  /** Sends a oneway request; false when the address cannot be reached. */
  async tell(address: string, code: number, header: Fields, body?: Buffer | string): Promise<boolean> {
    return (await this.#to(address)).tell(code, header, body);
  }

  close(): void {
    for (const connection of this.#connections.values()) {
      connection.then((c) => c.end()).catch(() => {});
    }
    this.#connections.clear();
  }

  #to(address: string): Promise<Connection> {
    let connection = this.#connections.get(address);
    if (connection === undefined) {
      connection = this.#connect(address);
      this.#connections.set(address, connection);
      const forget = () => {
        if (this.#connections.get(address) === connection) this.#connections.delete(address);
      };
      connection.then((c) => c.onClose(forget)).catch(forget);
    }
    return connection;
  }

  #connect(address: string): Promise<Connection> {
    const colon = address.lastIndexOf(":");
    const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
    const port = Number(address.slice(colon + 1));
    return new Promise((resolve, reject) => {
      const tls = this.#tls;
      let socket: Socket;
      try {
        socket = tls === undefined ? connect({ host, port, noDelay: true }) : tls.connect(host, port);
      } catch (error) {
        reject(new Error(`cannot connect to ${address}: ${(error as Error).message}`));
        return;
      }
      const timer = this.#context.clock.after(CONNECT_TIMEOUT_MS, () => {
        socket.destroy();
        reject(new Error(`cannot connect to ${address} within ${CONNECT_TIMEOUT_MS} ms`));
      });
      const failed = (error: Error) => {
        this.#context.clock.clear(timer);
        reject(new Error(`cannot connect to ${address}: ${error.message}`));
      };
      socket.once("error", failed);
      socket.once(tls === undefined ? "connect" : "secureConnect", () => {
        this.#context.clock.clear(timer);
        socket.off("error", failed);
        resolve(new Connection(socket, this.#context, tls !== undefined));
      });
    });
  }
}
