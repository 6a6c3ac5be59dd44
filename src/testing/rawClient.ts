/** A client that speaks frames and nothing else: for tests of listeners, which must not be tested with themselves. */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { encodeFrame, type Fields } from "../protocol/frameWriter.ts";
import { FLAG_RESPONSE, HeaderView, SERIALIZE_JSON } from "../protocol/headerView.ts";
import { FrameSplitter } from "../remoting/frames.ts";

export interface Received {
  code: number;
  flag: number;
  opaque: number;
  version: number;
  remark: string | undefined;
  serialization: number;
  fields: Record<string, string>;
  body: Buffer;
}

export interface Request {
  fields?: Fields;
  body?: Buffer | string;
  flag?: number;
  opaque?: number;
  serialization?: number;
}

export class RawClient {
  readonly socket: Socket;
  /** Everything that arrived and was not taken by {@link RawClient.ask} or {@link RawClient.next}. */
  readonly received: Received[] = [];
  /** Resolves when the other side has closed. */
  readonly closed: Promise<void>;
  readonly #waiting: { wants: (frame: Received) => boolean; resolve: (frame: Received) => void }[] = [];
  #opaque = 1000;

  /** @param socket an open connection */
  constructor(socket: Socket) {
    this.socket = socket;
    const splitter = new FrameSplitter((buf, start, end) => this.#take(readFrame(buf, start, end)));
    socket.on("data", (chunk: Buffer) => splitter.push(chunk));
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
  }

  static connect(address: string | number): Promise<RawClient> {
    const [host, port] = typeof address === "number" ? ["127.0.0.1", address] : address.split(":");
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port: Number(port), noDelay: true });
      const client = new RawClient(socket);
      socket.once("error", reject);
      socket.once("connect", () => resolve(client));
    });
  }

  /** Sends one request; returns its opaque. */
  send(code: number, request: Request = {}): number {
    const opaque = request.opaque ?? this.#opaque++;
    const { flag = 0, serialization = SERIALIZE_JSON, fields, body } = request;
    this.socket.write(encodeFrame({ code, flag, opaque, serialization, fields }, body));
    return opaque;
  }

  /** Sends a request and waits for its answer. */
  ask(code: number, request: Request = {}): Promise<Received> {
    const opaque = this.send(code, request);
    return this.next((frame) => frame.opaque === opaque && (frame.flag & FLAG_RESPONSE) !== 0);
  }

  /** The next frame that arrives (or has arrived) and is wanted. */
  next(wants: (frame: Received) => boolean = () => true): Promise<Received> {
    const at = this.received.findIndex(wants);
    if (at >= 0) return Promise.resolve(this.received.splice(at, 1)[0]);
    return new Promise((resolve) => this.#waiting.push({ wants, resolve }));
  }

  close(): void {
    this.socket.destroy();
  }

  #take(frame: Received): void {
    const at = this.#waiting.findIndex(({ wants }) => wants(frame));
    if (at < 0) this.received.push(frame);
    else this.#waiting.splice(at, 1)[0].resolve(frame);
  }
}

function readFrame(buf: Buffer, start: number, end: number): Received {
  const headerBytes = buf.readUIntBE(start + 1, 3);
  const headerEnd = start + 4 + headerBytes;
  const view = new HeaderView();
  view.read(buf, start + 4, headerEnd, buf[start]);
  const { code, flag, opaque, version, remark, serialization } = view;
  const fields: Record<string, string> = {};
  for (let i = 0; i < view.count; i++) fields[view.keyText(i)] = view.valueText(i);
  return {
    code,
    flag,
    opaque,
    version,
    remark,
    serialization,
    fields,
    body: Buffer.from(buf.subarray(headerEnd, end)),
  };
}
