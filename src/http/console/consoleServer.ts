/** The console: its page, its API, health, and nothing else. Loaded by the first connection to its port. */
import type { Socket } from "node:net";
import type { Logger } from "../../base/log.ts";
import { type HealthParts, healthReply } from "../health.ts";
import { HttpError, type HttpReply, type HttpRequest, HttpServer, json } from "../httpServer.ts";
import { type ApiParts, api } from "./api.ts";
import { type GuardOptions, guard } from "./guard.ts";

export type ConsoleParts = ApiParts & HealthParts & { readonly log: Logger };

export interface ConsoleOptions extends GuardOptions {
  /** Content of a file of the page. */
  readonly readFile: (name: string) => Buffer;
}

const OK = 200;
const NOT_FOUND = 404;
const NOT_ALLOWED = 405;
/** Path to file and type: nothing else is given out. */
const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/console.css": ["console.css", "text/css; charset=utf-8"],
  "/console.js": ["console.js", "text/javascript; charset=utf-8"],
  "/icon.svg": ["icon.svg", "image/svg+xml"],
};
/** Nothing of elsewhere, no frame around it, no script or style within the page. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

export class ConsoleServer {
  readonly #server: HttpServer;

  constructor(parts: ConsoleParts, options: ConsoleOptions) {
    this.#server = new HttpServer(async (request) => withHeaders(await answer(parts, options, request)), parts.log);
  }

  accept(socket: Socket): void {
    this.#server.accept(socket);
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

const withHeaders = (reply: HttpReply): HttpReply => ({ ...reply, headers: { ...HEADERS, ...reply.headers } });

async function answer(parts: ConsoleParts, options: ConsoleOptions, request: HttpRequest): Promise<HttpReply> {
  // Whoever watches over this process knows neither users nor names.
  const health = request.method === "GET" ? healthReply(parts, request) : undefined;
  if (health !== undefined) return health;
  const refusal = guard(options, request);
  if (refusal !== undefined) return refusal;
  if (request.path.startsWith("/api/")) return json(await api(parts, request));
  if (request.method !== "GET" && request.method !== "HEAD") throw new HttpError(NOT_ALLOWED, "only GET");
  const file = Object.hasOwn(FILES, request.path) ? FILES[request.path] : undefined;
  if (file === undefined) throw new HttpError(NOT_FOUND, `there is no ${request.path}`);
  return { status: OK, type: file[1], body: options.readFile(file[0]) };
}
