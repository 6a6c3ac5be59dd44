/**
 * The contract between the wire and the handlers: one {@link Row} per request code, no switch anywhere.
 * Handlers are functions on plain typed objects; they see who asks ({@link Caller}), never a socket or a frame.
 */
import type { Buffer } from "node:buffer";
import type { Access } from "./access.ts";
import type { HeaderSchema } from "./headerSchema.ts";
import type { HeaderView } from "./headerView.ts";

/** A reply to one request; `header` fields become extFields (undefined ones are left out). */
export interface Reply {
  /** A ResponseCode. */
  code: number;
  remark?: string | undefined;
  header?: Record<string, string | number | boolean | undefined> | undefined;
  body?: Buffer | string | undefined;
}

/** What came back from a request that this server sent. */
export interface Answer {
  code: number;
  remark: string | undefined;
  fields: Map<string, string>;
  body: Buffer;
}

/** A request of this server was not answered in time; it may have been carried out. */
export class NoAnswerError extends Error {}

/** The other end of a connection, as far as a handler may know it. */
export interface Caller {
  /** Unique among the connections of this process. */
  readonly id: number;
  /** `ip:port` of the client, as Apache prints it. */
  readonly address: string;
  /** Host bytes of the client for a record's bornHost: 4+4 or 16+4. */
  readonly host: Buffer;
  /** The address by which the client reached this server, without the port. */
  readonly reachedBy: string;
  readonly open: boolean;
  /** Sends a oneway request (broker to client); false when the connection is gone, or its peer does not read. */
  tell(code: number, header: Record<string, string | number | boolean | undefined>, body?: Buffer | string): boolean;
  /** Sends a request (broker to client) and waits; rejects on time-out, when the connection closes, or its peer does not read. */
  ask(
    code: number,
    header: Record<string, string | number | boolean | undefined>,
    body: Buffer | string | undefined,
    timeoutMs: number,
  ): Promise<Answer>;
  /** Calls `fn` once when the connection is gone (at once if it already is). */
  onClose(fn: () => void): void;
}

/** One request as a handler sees it. `body` is only valid until the handler returns or awaits: copy what must stay. */
export interface Call<Header = unknown> {
  readonly code: number;
  readonly header: Header;
  readonly body: Buffer;
  readonly caller: Caller;
  /** MQVersion ordinal of the client's library. */
  readonly version: number;
  /** LanguageCode name. */
  readonly language: string;
  readonly oneway: boolean;
  /** Extension fields outside the header's schema, by name. */
  field(name: string): string | undefined;
}

/** A handler: an immediate reply, a later one, or nothing (oneway, or the reply goes out by other means). */
export type Handler<Header> = (call: Call<Header>) => Reply | undefined | Promise<Reply | undefined>;

/** A request of a hot code: positions in the frame, nothing parsed yet. */
export interface HotCall {
  readonly view: HeaderView;
  readonly buf: Buffer;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  readonly caller: Caller;
  /** Where the answer is formatted. */
  readonly out: ReplyOut;
  /** The handler's own object for this connection, made on the first request; one slot per hot handler family. */
  readonly attachments: Map<string, object>;
}

/** A connection's output, as the codecs of hot replies see it. */
export interface ReplyOut {
  /** Makes room for `bytes` and returns the position in {@link ReplyOut.slab} to write at. */
  reserve(bytes: number): number;
  slab: Buffer;
  /** Declares `slab[.., end)` written; it goes out at the end of the event-loop turn. */
  commit(end: number): void;
  readonly open: boolean;
  /** The peer takes its output too slowly: bodies should wait. */
  readonly congested: boolean;
  /** The request with this opaque waits for something to come: its answer comes later, and its latency is of another kind. */
  suspended?(opaque: number): void;
  /** A reply by the ordinary path. */
  reply(opaque: number, serialization: number, reply: Reply): void;
}

/** Which listener of the broker a row answers on: Apache leaves pull and pop off the fast (VIP) port. */
export type Lane = "any" | "notFast";

interface RowBase {
  code: number;
  name: string;
  lane?: Lane;
  /** How many ordinary requests one counts for while it waits for its answer; more than 1 where answers are very large. */
  weight?: number;
  /** What a request of this code wants, asked where access is controlled. */
  access?: Access;
}

/** A dispatch row. Exactly one of `handle` and `hot` does the work. */
export type Row =
  // biome-ignore lint/suspicious/noExplicitAny: rows of different headers share one table; `row()` keeps each one typed.
  | (RowBase & { header: HeaderSchema<any> | undefined; handle: Handler<any>; hot?: undefined })
  | (RowBase & { hot: (call: HotCall) => void; handle?: undefined; header?: undefined });

/** Makes a row whose handler is checked against its header schema. */
export function row<H>(
  code: number,
  name: string,
  header: HeaderSchema<H> | undefined,
  handle: Handler<H>,
  lane: Lane = "any",
  weight = 1,
): Row {
  return { code, name, header, handle, lane, weight };
}

/** Decides about each request of a listener before anything is done with it. */
export interface Gate {
  /** The refusal, or undefined: the request may go on. `access` is undefined for codes without a row. */
  refuse(call: HotCall, access: Access | undefined): Reply | undefined;
}

/** A code that is known and refused, with the reason that the client gets as remark. */
export interface Unsupported {
  code: number;
  name: string;
  reason: string;
}
