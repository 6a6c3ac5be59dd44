/**
 * One connection, server or client side: frames in, rows called, replies out (Apache: NettyRemotingAbstract).
 *
 * Requests are answered in the serialization they came in. Nothing is written while a turn runs: replies gather in slabs
 * and leave with one socket write at its end. A peer that does not read is not read from, so its answers cannot pile up.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Clock, Timer } from "../base/clock.ts";
import { hostBytes } from "../base/host.ts";
import {
  CONNECTION_ASKED_BYTES_MAX,
  CONNECTION_IN_FLIGHT_MAX,
  CONNECTION_OUT_HIGH_BYTES,
  CONNECTION_OUT_LOW_BYTES,
  HEADER_BYTES_MAX,
} from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { Turn } from "../base/turn.ts";
import type { NotedRequests, RpcTimes } from "../metrics/rpcTimes.ts";
import { AnswerPeek } from "../protocol/answerPeek.ts";
import { BodyError } from "../protocol/bodies/reader.ts";
import {
  type Answer,
  type Call,
  type Caller,
  type Gate,
  type HotCall,
  NoAnswerError,
  type Reply,
  type ReplyOut,
  type Row,
} from "../protocol/dispatch.ts";
import { encodeFrame, type Fields } from "../protocol/frameWriter.ts";
import { decodeHeader } from "../protocol/headerCodec.ts";
import { FLAG_ONEWAY, FLAG_RESPONSE, HeaderError, HeaderView, SERIALIZE_JSON } from "../protocol/headerView.ts";
import type { Admission } from "./admission.ts";
import { FrameError, FrameSplitter } from "./frames.ts";
import type { Slab, SlabPool } from "./output.ts";

/** More output than this in a turn makes a connection busy. */
const BUSY_BYTES = 48 * 1024;
/** Asking for this much gets a large slab. */
const LARGE_FROM_BYTES = 128 * 1024;
const SYSTEM_ERROR = 1;
const NOT_SUPPORTED = 3;

/** What all connections of a server (or client) share. */
export interface ConnectionContext {
  clock: Clock;
  turn: Turn;
  log: Logger;
  slabs: SlabPool;
  /** Row of a request code, or the refusal for a code without one. */
  lookup(code: number): Row | Reply;
  /** Who may do what; absent: everybody everything. */
  gate?: Gate | undefined;
  /** Adds a signature to the fields of a request of ours. */
  sign?: ((fields: Fields, body: Buffer | string | undefined) => Fields) | undefined;
  /** The other ends are servers that this process chose: what they are asked is bounded, and may take its time. */
  outgoing: boolean;
  /** What connections may hold together; absent: of servers that this process chose. */
  admission?: Admission | undefined;
  /** Measures requests for whoever exports metrics. */
  rpc?: RpcTimes | undefined;
  /** Connections with output to write at the end of this turn. */
  dirty: Connection[];
  nextId(): number;
}

interface Asked {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  timer: Timer;
}

const NO_BODY: Buffer = Buffer.alloc(0);
/** Where an answer that is measured is read. */
const answer = new AnswerPeek();

export class Connection implements Caller, ReplyOut, HotCall {
  readonly id: number;
  readonly address: string;
  readonly host: Buffer;
  readonly reachedBy: string;
  open = true;
  /** Last time bytes moved in either direction, monotonic ms. */
  activeAt: number;
  // HotCall: the request being dispatched.
  readonly view = new HeaderView();
  buf: Buffer = NO_BODY;
  bodyStart = 0;
  bodyEnd = 0;
  readonly caller: Caller = this;
  readonly out: ReplyOut = this;
  readonly attachments = new Map<string, object>();
  // ReplyOut: the slab being filled.
  slab: Buffer = NO_BODY;
  #current: Slab | undefined;
  readonly #filled: Slab[] = [];
  /** Bytes of output that this turn has brought so far. */
  #unsent = 0;
  /** Slabs whose bytes the socket may not have passed on yet. */
  readonly #lent: Slab[] = [];
  #isDirty = false;
  /** The last turn's output was large: this turn's will be. */
  #busy = false;

  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  /** Called when the socket has passed output on, where it does so later than it is told: TLS does. */
  readonly #written: (() => void) | undefined;
  readonly #splitter: FrameSplitter;
  /** Requests to be measured; only with metrics. */
  #noted: NotedRequests | undefined;
  #inFlight = 0;
  #paused = false;
  #nextOpaque = 0;
  readonly #asked = new Map<number, Asked>();
  readonly #closeListeners: (() => void)[] = [];

  /** @param encrypted the socket is a TLS one, whose handshake is over */
  constructor(socket: Socket, context: ConnectionContext, encrypted = false) {
    this.#socket = socket;
    this.#written = encrypted ? () => this.#passedOn() : undefined;
    this.#context = context;
    this.id = context.nextId();
    this.host = hostBytes(socket.remoteAddress ?? "0.0.0.0", socket.remotePort ?? 0);
    const remote = plainAddress(socket.remoteAddress ?? "");
    this.address = `${remote}:${socket.remotePort ?? 0}`;
    this.reachedBy = plainAddress(socket.localAddress ?? "");
    this.activeAt = context.clock.monotonicMs();
    const { admission } = context;
    this.#splitter = new FrameSplitter(
      (buf, start, end) => this.#frame(buf, start, end),
      admission === undefined ? undefined : (bytes) => admission.holds(this, bytes),
    );
    socket.on("data", (chunk: Buffer) => this.take(chunk));
    socket.on("error", (error) =>
      this.#context.log.debug({ peer: this.address, err: error.message }, "connection error"),
    );
    socket.on("close", () => this.#closed());
    socket.on("drain", () => this.#drained());
  }

  // ---- in ----

  /** What the peer sent. */
  take(chunk: Buffer): void {
    this.activeAt = this.#context.clock.monotonicMs();
    this.#cut(chunk);
  }

  /** Cuts a chunk into frames, or goes on with what pressure left uncut. */
  #cut(chunk: Buffer | undefined): void {
    try {
      if (chunk === undefined) this.#splitter.resume();
      else this.#splitter.push(chunk);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#context.log.warn({ peer: this.address, reason: error.message }, "malformed frame, connection closed");
      this.destroy();
    }
    this.#checkPressure();
  }

  #frame(buf: Buffer, start: number, end: number): void {
    if (!this.open) return;
    const word = buf.readInt32BE(start);
    const serialization = word >>> 24;
    const headerBytes = word & 0xffffff;
    if (headerBytes > end - start - 4 || headerBytes > HEADER_BYTES_MAX) {
      throw new FrameError(`header length ${headerBytes} exceeds the frame of ${end - start} bytes`);
    }
    const headerStart = start + 4;
    const view = this.view;
    try {
      view.read(buf, headerStart, headerStart + headerBytes, serialization);
    } catch (error) {
      if (!(error instanceof HeaderError)) throw error;
      const opaque = view.opaqueOfRefused(headerStart, headerStart + headerBytes);
      // Apache closes on every header that it cannot read; we only where no answer can be addressed.
      if (opaque === undefined) throw new FrameError(error.message);
      this.#context.log.warn({ peer: this.address, reason: error.message }, "malformed header");
      this.reply(opaque, serialization === 1 ? 1 : SERIALIZE_JSON, {
        code: SYSTEM_ERROR,
        remark: `malformed header: ${error.message}`,
      });
      return;
    }
    this.buf = buf;
    this.bodyStart = headerStart + headerBytes;
    this.bodyEnd = end;
    if ((view.flag & FLAG_RESPONSE) !== 0) this.#answered();
    else this.#request();
    // A chunk holds hundreds of pulls, each of which may ask for a quarter of a MiB: not even one turn may take them all.
    if (this.#pressed) this.#splitter.stop();
  }

  #request(): void {
    const view = this.view;
    const found = this.#context.lookup(view.code);
    const oneway = (view.flag & FLAG_ONEWAY) !== 0;
    const { rpc } = this.#context;
    if (rpc !== undefined) this.#note(rpc, oneway);
    const { gate } = this.#context;
    if (gate !== undefined) {
      const refusal = gate.refuse(this, "name" in found ? found.access : undefined);
      if (refusal !== undefined) {
        if (!oneway) this.reply(view.opaque, view.serialization, refusal);
        return;
      }
    }
    if (!("name" in found)) {
      if (!oneway) this.reply(view.opaque, view.serialization, found);
      return;
    }
    try {
      if (found.hot !== undefined) found.hot(this);
      else this.#handle(found, oneway);
    } catch (error) {
      this.#failed(found, error, view.opaque, view.serialization, oneway);
    }
  }

  #note(rpc: RpcTimes, oneway: boolean): void {
    const { opaque, code } = this.view;
    if (oneway) rpc.oneway(code);
    else {
      this.#noted ??= new Map();
      rpc.came(this.#noted, opaque, code, this.activeAt);
    }
  }

  suspended(opaque: number): void {
    if (this.#noted !== undefined) this.#context.rpc?.suspended(this.#noted, opaque);
  }

  /** Reads whose answer was written to the slab: the one place that all of them pass. */
  #measure(rpc: RpcTimes, noted: NotedRequests, start: number, end: number): void {
    const word = this.slab.readInt32BE(start + 4);
    const headerEnd = Math.min(end, start + 8 + (word & 0xffffff));
    if (!answer.read(this.slab, start + 8, headerEnd, word >>> 24)) return;
    rpc.answered(noted, answer.opaque, answer.code, this.#context.clock.monotonicMs());
  }

  #handle(row: Row & { hot?: undefined }, oneway: boolean): void {
    const view = this.view;
    const { opaque, serialization } = view;
    const fields = extras(view);
    const call: Call = {
      code: view.code,
      header: row.header === undefined ? {} : decodeHeader(view, row.header),
      body: this.buf.subarray(this.bodyStart, this.bodyEnd),
      caller: this,
      version: view.version,
      language: view.language,
      oneway,
      field: (name) => fields.get(name),
    };
    const outcome = row.handle(call);
    if (outcome instanceof Promise) {
      const weight = row.weight ?? 1;
      this.#inFlight += weight;
      outcome
        .then((reply) => {
          if (reply !== undefined && !oneway) this.reply(opaque, serialization, reply);
        })
        .catch((error: unknown) => this.#failed(row, error, opaque, serialization, oneway))
        .finally(() => {
          this.#inFlight -= weight;
          this.#checkPressure();
        });
    } else if (outcome !== undefined && !oneway) {
      this.reply(opaque, serialization, outcome);
    }
  }

  #failed(row: Row, error: unknown, opaque: number, serialization: number, oneway: boolean): void {
    const message = error instanceof Error ? error.message : String(error);
    // Whoever sends something malformed is told so, which is enough; what we did wrong belongs into the log.
    const malformed = error instanceof HeaderError || error instanceof BodyError;
    if (!malformed) this.#context.log.error({ err: error, peer: this.address, request: row.name }, "request failed");
    if (oneway) return;
    this.reply(opaque, serialization, { code: SYSTEM_ERROR, remark: `${row.name}: ${message}` });
  }

  // ---- out ----

  reply(opaque: number, serialization: number, reply: Reply): void {
    this.#write(
      encodeFrame(
        { code: reply.code, flag: FLAG_RESPONSE, opaque, serialization, remark: reply.remark, fields: reply.header },
        reply.body,
      ),
    );
  }

  reserve(bytes: number): number {
    const current = this.#current;
    if (current !== undefined) {
      if (current.used + bytes <= current.buf.length) return current.used;
      this.#filled.push(current);
    }
    // A connection that filled a slab in this turn or the last one gets a large one: one write instead of many.
    const slab = this.#context.slabs.take(
      this.#filled.length > 0 || this.#busy ? Math.max(bytes, LARGE_FROM_BYTES) : bytes,
    );
    this.#current = slab;
    this.slab = slab.buf;
    return 0;
  }

  commit(end: number): void {
    const current = this.#current as Slab;
    const { rpc } = this.#context;
    if (rpc !== undefined && this.#noted !== undefined) this.#measure(rpc, this.#noted, current.used, end);
    this.#unsent += end - current.used;
    current.used = end;
    this.#markDirty();
  }

  #write(frame: Buffer): void {
    if (!this.open) return;
    const at = this.reserve(frame.length);
    frame.copy(this.slab, at);
    this.commit(at + frame.length);
  }

  #markDirty(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.#context.dirty.push(this);
    this.#context.turn.request();
  }

  /** Hands this turn's output to the socket. */
  flush(): void {
    this.#isDirty = false;
    this.#unsent = 0;
    const current = this.#current;
    this.#current = undefined;
    this.slab = NO_BODY;
    this.#busy = this.#filled.length > 0 || (current !== undefined && current.used > BUSY_BYTES);
    if (!this.open) {
      for (const slab of this.#filled) slab.release();
      this.#filled.length = 0;
      current?.release();
      this.#takeBack();
      return;
    }
    const socket = this.#socket;
    if (this.#filled.length > 0) {
      socket.cork();
      for (const slab of this.#filled) this.#lend(slab);
      this.#filled.length = 0;
      if (current !== undefined) this.#lend(current);
      socket.uncork();
    } else if (current !== undefined) {
      this.#lend(current);
    }
    // Bytes that the peer does not take are no sign of its life.
    if (socket.writableLength === 0) this.activeAt = this.#context.clock.monotonicMs();
    this.#takeBack();
    this.#checkPressure();
  }

  #lend(slab: Slab): void {
    const bytes = slab.buf.subarray(0, slab.used);
    if (this.#socket.writableLength > 0 && slab.used < slab.buf.length / 2) {
      // The peer is behind: a small answer must not keep a whole slab for as long as it pleases.
      this.#socket.write(Buffer.from(bytes));
      slab.release();
      return;
    }
    this.#lent.push(slab);
    if (this.#written === undefined) this.#socket.write(bytes);
    else this.#socket.write(bytes, this.#written);
  }

  /** Slabs are free again when the socket holds nothing: nearly always at once, which saves a callback per write. */
  #takeBack(): void {
    if (this.#lent.length === 0 || (this.open && this.#socket.writableLength > 0)) return;
    for (const slab of this.#lent) slab.release();
    this.#lent.length = 0;
  }

  #passedOn(): void {
    this.#takeBack();
    if (this.#socket.writableLength === 0) this.activeAt = this.#context.clock.monotonicMs();
  }

  /** The peer does not take its answers: long-polling replies with bodies should wait. */
  get congested(): boolean {
    return this.#unsent + this.#socket.writableLength > CONNECTION_OUT_HIGH_BYTES;
  }

  /** Two sides that each wait for the other to read would wait for ever: who asks goes on reading the answers. */
  get #pressed(): boolean {
    return this.#inFlight >= CONNECTION_IN_FLIGHT_MAX || (this.congested && !this.#context.outgoing);
  }

  #checkPressure(): void {
    if (this.#paused) {
      if (
        this.#unsent + this.#socket.writableLength < CONNECTION_OUT_LOW_BYTES &&
        this.#inFlight < CONNECTION_IN_FLIGHT_MAX / 2
      ) {
        this.#paused = false;
        this.#context.admission?.behind(this, false);
        // Not from within the output phase: what the frames bring belongs to the next turn.
        this.#context.clock.endOfTurn(() => this.#goOn());
      }
    } else if (this.#pressed) {
      this.#paused = true;
      this.#socket.pause();
      if (this.congested) this.#context.admission?.behind(this, true);
    }
  }

  #goOn(): void {
    if (!this.open || this.#paused) return;
    this.#cut(undefined);
    if (!this.#paused) this.#socket.resume();
  }

  #drained(): void {
    this.#takeBack();
    this.activeAt = this.#context.clock.monotonicMs();
    this.#checkPressure();
  }

  // ---- requests of ours ----

  /** A client that reads nothing would gather what it is told without end. */
  get #deaf(): boolean {
    return !this.#context.outgoing && this.congested;
  }

  tell(code: number, header: Fields, body?: Buffer | string): boolean {
    if (!this.open || this.#deaf) return false;
    const opaque = this.#nextOpaque++;
    const fields = this.#context.sign?.(header, body) ?? header;
    this.#write(encodeFrame({ code, flag: FLAG_ONEWAY, opaque, serialization: SERIALIZE_JSON, fields }, body));
    return true;
  }

  ask(code: number, header: Fields, body: Buffer | string | undefined, timeoutMs: number): Promise<Answer> {
    if (!this.open) return Promise.reject(new Error(`${this.address}: the connection is closed`));
    if (this.#deaf) return Promise.reject(new Error(`${this.address}: the client does not read what it is sent`));
    const unsent = this.#unsent + this.#socket.writableLength;
    if (unsent > CONNECTION_ASKED_BYTES_MAX) {
      return Promise.reject(new Error(`${this.address} has not taken ${unsent} bytes of earlier requests yet`));
    }
    const opaque = this.#nextOpaque++;
    return new Promise((resolve, reject) => {
      const timer = this.#context.clock.after(timeoutMs, () => {
        this.#asked.delete(opaque);
        reject(new NoAnswerError(`${this.address}: no answer to request ${code} within ${timeoutMs} ms`));
      });
      this.#asked.set(opaque, { resolve, reject, timer });
      const fields = this.#context.sign?.(header, body) ?? header;
      this.#write(encodeFrame({ code, flag: 0, opaque, serialization: SERIALIZE_JSON, fields }, body));
    });
  }

  #answered(): void {
    const view = this.view;
    const asked = this.#asked.get(view.opaque);
    if (asked === undefined) return;
    this.#asked.delete(view.opaque);
    this.#context.clock.clear(asked.timer);
    asked.resolve({
      code: view.code,
      remark: view.remark,
      fields: extras(view),
      body: Buffer.from(this.buf.subarray(this.bodyStart, this.bodyEnd)),
    });
  }

  // ---- end ----

  onClose(fn: () => void): void {
    if (this.open) this.#closeListeners.push(fn);
    else fn();
  }

  /** Closes after what is written has gone out. */
  end(): void {
    if (this.open) {
      this.flush();
      this.#socket.end();
    }
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** It holds what others need. */
  cut(reason: string): void {
    this.#context.log.warn({ peer: this.address, reason }, "connection closed");
    this.destroy();
  }

  #closed(): void {
    if (!this.open) return;
    this.open = false;
    this.#context.admission?.holds(this, 0);
    this.#context.admission?.behind(this, false);
    for (const asked of this.#asked.values()) {
      this.#context.clock.clear(asked.timer);
      asked.reject(new Error(`${this.address}: the connection was closed`));
    }
    this.#asked.clear();
    this.flush();
    for (const fn of this.#closeListeners) fn();
    this.#closeListeners.length = 0;
  }
}

function extras(view: HeaderView): Map<string, string> {
  const fields = new Map<string, string>();
  for (let i = 0; i < view.count; i++) fields.set(view.keyText(i), view.valueText(i));
  return fields;
}

/** An IPv4 peer of a dual-stack socket shows as ::ffff:a.b.c.d. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

/** The answer to a code without a row (NettyRemotingAbstract.processRequestCommand). */
export function notSupported(code: number, reason?: string): Reply {
  return { code: NOT_SUPPORTED, remark: reason ?? ` request type ${code} not supported` };
}
