/** A 5.x client for tests: grpc-js, another implementation of the protocol than the server's, with our codecs. */
import type { Buffer } from "node:buffer";
import {
  type CallOptions,
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import type { Messages, TelemetryCommand } from "../grpc/generated/messages.ts";
import { codec, type Init } from "../grpc/proto.ts";

const SERVICE = "/apache.rocketmq.v2.MessagingService/";

export class GrpcTestClient {
  readonly client: Client;
  readonly headers: Record<string, string>;
  readonly #streams: { cancel(): void }[] = [];

  constructor(address: string, headers: Record<string, string> = {}, security?: ChannelCredentials) {
    this.client = new Client(address, security ?? credentials.createInsecure());
    this.headers = {
      "x-mq-client-id": "client-1",
      "x-mq-language": "JAVA",
      "x-mq-client-version": "5.2.0",
      "x-mq-protocol": "v2",
      ...headers,
    };
  }

  /** A unary call; rejects with grpc-js' error when it ends with a gRPC status. */
  call<N extends string>(
    name: N,
    request: `${N}Request` extends keyof Messages ? Init<Messages[`${N}Request`]> : never,
    timeoutMs = 10_000,
  ): Promise<`${N}Response` extends keyof Messages ? Messages[`${N}Response`] : never> {
    const requests = codec(`${name}Request` as keyof Messages);
    const replies = codec(`${name}Response` as keyof Messages);
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        SERVICE + name,
        (message: object) => requests.encodeFrame(message as never).subarray(5),
        (bytes) => replies.decode(bytes),
        request as object,
        this.metadata(),
        this.options(timeoutMs),
        (error, reply) => (error ? reject(error) : resolve(reply as never)),
      );
    });
  }

  /** A call whose answer is a stream: all of it. */
  stream<N extends string>(
    name: N,
    request: `${N}Request` extends keyof Messages ? Init<Messages[`${N}Request`]> : never,
    timeoutMs = 30_000,
  ): Promise<(`${N}Response` extends keyof Messages ? Messages[`${N}Response`] : never)[]> {
    const requests = codec(`${name}Request` as keyof Messages);
    const replies = codec(`${name}Response` as keyof Messages);
    return new Promise((resolve, reject) => {
      const all: never[] = [];
      const stream = this.client.makeServerStreamRequest(
        SERVICE + name,
        (message: object) => requests.encodeFrame(message as never).subarray(5),
        (bytes) => replies.decode(bytes),
        request as object,
        this.metadata(),
        this.options(timeoutMs),
      );
      this.#streams.push(stream);
      stream
        .on("data", (reply) => all.push(reply as never))
        .on("error", reject)
        .on("end", () => resolve(all));
    });
  }

  /** Gives up all calls of {@link stream} that are under way. */
  cancel(): void {
    for (const stream of this.#streams.splice(0)) stream.cancel();
  }

  telemetry(): TelemetryStream {
    const commands = codec("TelemetryCommand");
    return new TelemetryStream(
      this.client.makeBidiStreamRequest(
        `${SERVICE}Telemetry`,
        (command: Init<TelemetryCommand>) => commands.encodeFrame(command).subarray(5) as Buffer,
        (bytes) => commands.decode(bytes),
        this.metadata(),
      ),
    );
  }

  close(): void {
    this.client.close();
  }

  metadata(): Metadata {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(this.headers)) metadata.set(name, value);
    return metadata;
  }

  options(timeoutMs: number): CallOptions {
    return { deadline: Date.now() + timeoutMs };
  }
}

/** One Telemetry stream: what came is kept until it is asked for. */
export class TelemetryStream {
  readonly stream: ClientDuplexStream<Init<TelemetryCommand>, TelemetryCommand>;
  readonly #came: TelemetryCommand[] = [];
  readonly #waiting: ((command: TelemetryCommand) => void)[] = [];
  /** Resolves with the gRPC status code and message when the stream ends. */
  readonly ended: Promise<{ code: number; details: string }>;

  constructor(stream: ClientDuplexStream<Init<TelemetryCommand>, TelemetryCommand>) {
    this.stream = stream;
    stream.on("data", (command: TelemetryCommand) => {
      const waiting = this.#waiting.shift();
      if (waiting) waiting(command);
      else this.#came.push(command);
    });
    stream.on("error", () => {});
    this.ended = new Promise((resolve) => {
      stream.on("status", ({ code, details }) => resolve({ code, details }));
    });
  }

  send(command: Init<TelemetryCommand>): void {
    this.stream.write(command);
  }

  next(): Promise<TelemetryCommand> {
    const came = this.#came.shift();
    return came ? Promise.resolve(came) : new Promise((resolve) => this.#waiting.push(resolve));
  }
}
