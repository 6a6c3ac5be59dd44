/**
 * A small HTTP server for operators: metrics, health, console. Bounded in connections, headers, bodies and time; what is
 * served is given as a function, which knows no sockets.
 */
import type { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { gzip } from "node:zlib";
import { HTTP_BODY_BYTES_MAX, HTTP_CONNECTIONS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";

const HEADERS_BYTES_MAX = 16 * 1024;
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
const KEEP_ALIVE_MS = 15_000;
/** Smaller answers are not worth compressing. */
const GZIP_FROM_BYTES = 1024;
const OK = 200;
const BAD_REQUEST = 400;
const TOO_LARGE = 413;
const FAILED = 500;

export interface HttpRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Lower case; the first value of each. */
  header(name: string): string | undefined;
  /** Reads the body, at most HTTP_BODY_BYTES_MAX. */
  body(): Promise<string>;
}

export interface HttpReply {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that cannot be answered otherwise than with this status and reason. */
export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type HttpHandler = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

export const text = (status: number, body: string): HttpReply => ({
  status,
  type: "text/plain; charset=utf-8",
  body,
});

export const json = (value: unknown, status = OK): HttpReply => ({
  status,
  type: "application/json; charset=utf-8",
  body: `${JSON.stringify(value)}\n`,
});

export class HttpServer {
  readonly #server: Server;
  readonly #adopted = new Set<Socket>();
  readonly #log: Logger;

  constructor(handle: HttpHandler, log: Logger) {
    this.#log = log;
    this.#server = createServer(
      {
        maxHeaderSize: HEADERS_BYTES_MAX,
        headersTimeout: HEADERS_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
      },
      (request, response) => void this.#answer(handle, request, response),
    );
    this.#server.maxConnections = HTTP_CONNECTIONS_MAX;
  }

  /** Listens; resolves with the port. Rejects with a reason that names the address. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const refused = (error: Error) => reject(new Error(`cannot listen on ${host}:${port}: ${error.message}`));
      this.#server.once("error", refused);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", refused);
        this.#server.on("error", (error) => this.#log.error({ err: error }, "an HTTP connection was not accepted"));
        const address = this.#server.address();
        resolve(typeof address === "object" && address !== null ? address.port : port);
      });
    });
  }

  /** Takes over a connection that another listener accepted, paused. */
  accept(socket: Socket): void {
    this.#adopted.add(socket);
    socket.once("close", () => this.#adopted.delete(socket));
    this.#server.emit("connection", socket);
    socket.resume();
  }

  /** Stops listening and ends all connections. */
  close(): Promise<void> {
    for (const socket of this.#adopted) socket.destroy();
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(handle: HttpHandler, request: IncomingMessage, response: ServerResponse): Promise<void> {
    let reply: HttpReply;
    try {
      reply = await handle(requestOf(request));
    } catch (error) {
      if (error instanceof HttpError) reply = json({ error: error.message }, error.status);
      else {
        this.#log.error({ err: error, url: request.url }, "an HTTP request failed");
        reply = json({ error: (error as Error).message }, FAILED);
      }
    }
    // A body that nobody read must not be taken for the next request.
    if (!request.complete) response.setHeader("connection", "close");
    await send(request, response, reply);
  }
}

function requestOf(request: IncomingMessage): HttpRequest {
  let url: URL;
  try {
    url = new URL(request.url ?? "/", "http://host");
  } catch {
    throw new HttpError(BAD_REQUEST, "the address of the request cannot be read");
  }
  return {
    method: request.method ?? "GET",
    path: url.pathname,
    query: url.searchParams,
    header: (name) => {
      const value = request.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    body: () => bodyOf(request),
  };
}

function bodyOf(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      bytes += chunk.length;
      if (bytes <= HTTP_BODY_BYTES_MAX) body += chunk;
      else reject(new HttpError(TOO_LARGE, `the body is longer than ${HTTP_BODY_BYTES_MAX} bytes`));
    });
    request.on("end", () => resolve(body));
    request.on("error", reject);
    request.on("close", () => reject(new HttpError(BAD_REQUEST, "the request ended before its body")));
  });
}

async function send(request: IncomingMessage, response: ServerResponse, reply: HttpReply): Promise<void> {
  const headers: Record<string, string> = {
    "content-type": reply.type,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...reply.headers,
  };
  let { body } = reply;
  const accepts = String(request.headers["accept-encoding"] ?? "");
  if (body.length >= GZIP_FROM_BYTES && /\bgzip\b/.test(accepts)) {
    body = await new Promise<Buffer>((resolve, reject) =>
      gzip(body, (error, packed) => (error === null ? resolve(packed) : reject(error))),
    );
    headers["content-encoding"] = "gzip";
    headers.vary = "accept-encoding";
  }
  response.writeHead(reply.status, headers);
  response.end(request.method === "HEAD" ? undefined : body);
}
