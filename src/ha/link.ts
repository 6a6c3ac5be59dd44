/** The sockets of replication: the only file of it that knows TCP. Those above see links, which tests replace. */
import type { Buffer } from "node:buffer";
import { connect, createServer, type Socket } from "node:net";

/** Bytes that may wait in a socket before its writer is told to stop. */
const SEND_BUFFER_BYTES = 256 * 1024;
const CONNECT_TIMEOUT_MS = 3_000;

/** One end of a connection between master and slave. */
export interface Link {
  /** `ip:port` of the other end. */
  readonly peer: string;
  /** Sends bytes; false: no more until {@link LinkEvents.drained}. */
  send(bytes: Buffer): boolean;
  /** Cuts the connection; {@link LinkEvents.closed} follows. */
  close(): void;
}

export interface LinkEvents {
  /** The bytes are the receiver's only during the call. */
  received(bytes: Buffer): void;
  drained(): void;
  /** Called once, whoever ended it. */
  closed(reason: string): void;
}

export interface Listener {
  readonly port: number;
  close(): void;
}

/** Listens for slaves. Rejects with a reason that names the address. */
export function listen(host: string, port: number, onLink: (link: Link) => LinkEvents): Promise<Listener> {
  const server = createServer({ noDelay: true, highWaterMark: SEND_BUFFER_BYTES }, (socket) => {
    if (socket.remoteAddress === undefined) socket.destroy();
    else attach(socket, onLink(linkOf(socket)));
  });
  return new Promise((resolve, reject) => {
    // Stays: errors of accepting come later, and must not end the process. The slave tries again.
    server.on("error", (error) => reject(new Error(`cannot listen for slaves on ${host}:${port}: ${error.message}`)));
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve({
        port: typeof address === "object" && address !== null ? address.port : port,
        close: () => void server.close(),
      });
    });
  });
}

/** Connects to `host:port`. Rejects with a reason that names the address. */
export function dial(address: string, onLink: (link: Link) => LinkEvents): Promise<void> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(address.slice(colon + 1));
  return new Promise((resolve, reject) => {
    if (!(port > 0 && port < 65_536)) {
      reject(new Error(`${address} is no address of the form host:port`));
      return;
    }
    const socket = connect({ host, port, noDelay: true, timeout: CONNECT_TIMEOUT_MS });
    socket.once("timeout", () => socket.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)));
    socket.once("error", (error) => reject(new Error(`cannot connect to ${address}: ${error.message}`)));
    socket.once("connect", () => {
      // Silence later on is for those above to judge.
      socket.removeAllListeners("timeout");
      attach(socket, onLink(linkOf(socket)));
      resolve();
    });
  });
}

function linkOf(socket: Socket): Link {
  return {
    peer: `${(socket.remoteAddress ?? "").replace(/^::ffff:/, "")}:${socket.remotePort}`,
    send: (bytes) => socket.write(bytes),
    close: () => void socket.destroy(),
  };
}

function attach(socket: Socket, events: LinkEvents): void {
  let reason = "closed";
  socket.on("data", (bytes) => events.received(bytes));
  socket.on("drain", () => events.drained());
  socket.on("end", () => {
    reason = "closed by the other side";
  });
  socket.on("error", (error) => {
    reason = error.message;
  });
  socket.on("close", () => events.closed(reason));
}
