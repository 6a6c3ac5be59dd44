/** The gRPC service on a whole broker without sockets: calls are handed in as objects, the clock is the test's. */
import { Buffer } from "node:buffer";
import { silentLogger } from "../base/log.ts";
import { seededRandom } from "../base/random.ts";
import { loadProxyConfig } from "../config/index.ts";
import type { Messages, TelemetryCommand } from "../grpc/generated/messages.ts";
import type { GrpcError } from "../grpc/grpcStatus.ts";
import { LocalBackend } from "../grpc/localBackend.ts";
import { peerOf } from "../grpc/peer.ts";
import { codec, type Init } from "../grpc/proto.ts";
import type { FrameSink, Incoming, Method, RpcCall } from "../grpc/server.ts";
import { MessagingService } from "../grpc/service.ts";
import type { WireBroker } from "./wireBroker.ts";

const SERVICE = "/apache.rocketmq.v2.MessagingService/";
const FRAME_HEAD_BYTES = 5;

/** A call as the server would hand it to a method; the test plays the client. */
export class FakeCall implements RpcCall, FrameSink {
  readonly peer = peerOf("127.0.0.1", 50_000, "127.0.0.1", 8081);
  /** One by one, however they were written. */
  readonly frames: Buffer[] = [];
  readonly #metadata: Record<string, string>;
  readonly #remainingMs: number | undefined;
  #cancelListeners: (() => void)[] = [];
  cancelled = false;
  ended = false;
  error: GrpcError | undefined;
  /** Whether the client takes what is written. */
  reads = true;
  #drained: (() => void)[] = [];

  constructor(clientId: string, remainingMs?: number) {
    this.#metadata = { "x-mq-client-id": clientId, "x-mq-language": "JAVA", "x-mq-client-version": "5.2.0" };
    this.#remainingMs = remainingMs;
  }

  metadata(name: string): string {
    return this.#metadata[name] ?? "";
  }

  remainingMs(): number | undefined {
    return this.#remainingMs;
  }

  onCancel(fn: () => void): void {
    if (this.cancelled) fn();
    else this.#cancelListeners.push(fn);
  }

  /** The client gives up: its deadline has passed, or it cancels. */
  cancel(): void {
    if (this.ended) return;
    this.ended = true;
    this.cancelled = true;
    for (const fn of this.#cancelListeners.splice(0)) fn();
    for (const fn of this.#drained.splice(0)) fn();
  }

  get open(): boolean {
    return !this.ended;
  }

  write(frame: Buffer): boolean {
    if (this.ended) return false;
    for (let at = 0; at < frame.length; ) {
      const end = at + FRAME_HEAD_BYTES + frame.readUInt32BE(at + 1);
      this.frames.push(frame.subarray(at, end));
      at = end;
    }
    return this.reads;
  }

  drained(): Promise<void> {
    if (this.ended || this.reads) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  end(error?: GrpcError): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    for (const fn of this.#drained.splice(0)) fn();
  }

  /** What came so far. */
  replies<N extends keyof Messages>(name: N): Messages[N][] {
    return this.frames.map((frame) => codec(name).decode(frame.subarray(FRAME_HEAD_BYTES)));
  }
}

export class GrpcService {
  readonly service: MessagingService;
  readonly #methods: ReadonlyMap<string, Method>;

  /** @param options of rmq-proxy.json @param outboundBytesMax that may wait for slow clients */
  constructor(broker: WireBroker, options: Record<string, string> = {}, outboundBytesMax?: number) {
    this.service = new MessagingService({
      clock: broker.clock,
      random: seededRandom(3),
      log: silentLogger(),
      config: loadProxyConfig(new Map(Object.entries(options))).config,
      backend: new LocalBackend(broker, [...broker.rows.values()]),
      registrations: broker.clients,
      outboundBytesMax,
    });
    this.#methods = new Map(this.service.methods.map((method) => [method.path.slice(SERVICE.length), method]));
    this.service.start();
  }

  /** Names of all methods but Telemetry. */
  get methods(): string[] {
    return [...this.#methods].flatMap(([name, { kind }]) => (kind === "bidi" ? [] : [name]));
  }

  /** Any method but Telemetry with any bytes: a unary call's frame goes to the call, too. @throws what the method throws */
  async raw(call: FakeCall, name: string, bytes: Buffer): Promise<void> {
    const method = this.#methods.get(name);
    if (method?.kind === "unary") {
      call.write(await method.handle(call, bytes));
      call.end();
    } else if (method?.kind === "serverStream") await method.handle(call, bytes, call);
    else throw new Error(`${name} is no such method`);
  }

  /** Opens a Telemetry stream. */
  telemetry(call: FakeCall): { send(command: Init<TelemetryCommand>): void; incoming: Incoming } {
    const method = this.#methods.get("Telemetry");
    if (method?.kind !== "bidi") throw new Error("Telemetry is no bidirectional stream");
    const incoming = method.open(call, call);
    const commands = codec("TelemetryCommand");
    return { incoming, send: (command) => incoming.message(commands.encodeFrame(command).subarray(FRAME_HEAD_BYTES)) };
  }

  /** Begins a call whose answer is a stream. */
  stream<N extends "ReceiveMessage" | "PullMessage">(
    call: FakeCall,
    name: N,
    request: Init<Messages[`${N}Request`]>,
  ): void {
    const method = this.#methods.get(name);
    if (method?.kind !== "serverStream") throw new Error(`${name} does not answer with a stream`);
    const bytes = codec(`${name}Request`)
      .encodeFrame(request as never)
      .subarray(FRAME_HEAD_BYTES);
    void method.handle(call, Buffer.from(bytes), call);
  }

  /** A unary call. */
  async unary<N extends string>(
    call: FakeCall,
    name: N,
    request: `${N}Request` extends keyof Messages ? Init<Messages[`${N}Request`]> : never,
  ): Promise<`${N}Response` extends keyof Messages ? Messages[`${N}Response`] : never> {
    const method = this.#methods.get(name);
    if (method?.kind !== "unary") throw new Error(`${name} is not unary`);
    const requests = codec(`${name}Request` as keyof Messages);
    const frame = await method.handle(
      call,
      requests.encodeFrame(request as never).subarray(FRAME_HEAD_BYTES) as Buffer,
    );
    return codec(`${name}Response` as keyof Messages).decode(frame.subarray(FRAME_HEAD_BYTES)) as never;
  }
}
