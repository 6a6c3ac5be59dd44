/**
 * Who may use the console. It stands on a loopback port of a machine whose browser also shows other people's pages, so:
 *
 *   - the Host must be an IP address or a name that is this machine's: a page of elsewhere whose name suddenly points here
 *     (DNS rebinding) comes with its own name;
 *   - what changes something is a POST with a JSON body from a page of this very address: forms and images of others cannot send one;
 *   - with access control on, the browser asks for a user, who must be a super user, as the console may do everything.
 */
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { HttpError, type HttpReply, type HttpRequest } from "../httpServer.ts";

/** What access control knows of users; absent: everybody who reaches the port may do everything, as with remoting. */
export interface ConsoleUsers {
  find(username: string): { readonly password: string; readonly type: string; readonly status: string } | undefined;
}

export interface GuardOptions {
  /** Names besides localhost by which this machine may be asked, lower case. */
  readonly hosts: readonly string[];
  readonly users: ConsoleUsers | undefined;
}

const UNAUTHORIZED = 401;
const FORBIDDEN = 403;
const UNSUPPORTED_TYPE = 415;
const MISDIRECTED = 421;

/** Refuses what others than this console's own page could have sent. @throws HttpError with the reason */
export function guard(options: GuardOptions, request: HttpRequest): HttpReply | undefined {
  const host = request.header("host") ?? "";
  if (!isOwnHost(host, options.hosts)) {
    throw new HttpError(
      MISDIRECTED,
      `this console does not answer to the name ${JSON.stringify(host)}: use an IP address or localhost`,
    );
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    const origin = request.header("origin");
    if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
      throw new HttpError(FORBIDDEN, `a page of ${origin} may change nothing here`);
    }
    const site = request.header("sec-fetch-site");
    if (site !== undefined && site !== "same-origin" && site !== "none") {
      throw new HttpError(FORBIDDEN, "pages of other addresses may change nothing here");
    }
    if (!/^application\/json\b/.test(request.header("content-type") ?? "")) {
      throw new HttpError(UNSUPPORTED_TYPE, "changes must be sent as application/json");
    }
  }
  return options.users === undefined || isSuperUser(options.users, request.header("authorization")) ? undefined : ASK;
}

const ASK: HttpReply = {
  status: UNAUTHORIZED,
  type: "text/plain; charset=utf-8",
  body: "a super user's name and password are needed\n",
  headers: { "www-authenticate": 'Basic realm="Skylark console", charset="UTF-8"' },
};

function isOwnHost(header: string, names: readonly string[]): boolean {
  const name = header
    .toLowerCase()
    .replace(/:\d+$/, "")
    .replace(/^\[|\]$/g, "");
  return name === "localhost" || isIP(name) !== 0 || names.includes(name);
}

function isSuperUser(users: ConsoleUsers, authorization: string | undefined): boolean {
  const [, encoded] = /^Basic ([A-Za-z0-9+/=]+)$/.exec(authorization ?? "") ?? [];
  if (encoded === undefined) return false;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 0) return false;
  const user = users.find(text.slice(0, colon));
  if (user === undefined || user.type !== "Super" || user.status !== "enable") return false;
  return sameText(user.password, text.slice(colon + 1));
}

/** In a time that does not tell how much of it is right. */
function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  let different = left.length ^ right.length;
  for (let i = 0; i < right.length; i++) different |= right[i] ^ (left[i % Math.max(1, left.length)] ?? 0);
  return different === 0;
}
