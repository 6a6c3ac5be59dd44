/**
 * What is on its way to clients that do not take it yet, over all streams: counted, so that slow clients are refused more
 * before they fill the memory, and cut off when they take nothing at all.
 */
import type { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { GRPC_OUTBOUND_BYTES_MAX, GRPC_SLOW_STREAM_MS } from "../base/limits.ts";
import type { Logger } from "../base/log.ts";
import type { Context } from "./context.ts";
import { GrpcError } from "./grpcStatus.ts";
import type { FrameSink } from "./server.ts";
import { Refusal } from "./status.ts";

export class Outbound {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(clock: Clock, log: Logger, bytesMax = GRPC_OUTBOUND_BYTES_MAX) {
    this.#clock = clock;
    this.#log = log;
    this.#bytesMax = bytesMax;
  }

  /** Bytes that wait for slow clients. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * To be asked before messages are looked for, and again when they were found: any number of receives may have waited for them.
   * @throws Refusal when too much waits already
   */
  needRoom(): void {
    if (this.#bytes <= this.#bytesMax) return;
    throw new Refusal("TOO_MANY_REQUESTS", `${this.#bytes} bytes wait for slow clients already`);
  }

  /**
   * Writes a message and waits until the client takes more; false when it is gone, or so slow that it is cut off.
   * @param sink that of a call of `context`
   * @param behindBytes what waits in memory to be written after it
   */
  write(context: Context, sink: FrameSink, frame: Buffer, behindBytes: number): boolean | Promise<boolean> {
    return sink.write(frame) || this.#taken(context, sink, frame.length + behindBytes);
  }

  async #taken({ clientId, call }: Context, sink: FrameSink, bytes: number): Promise<boolean> {
    if (!sink.open) return false;
    this.#bytes += bytes;
    const timer = this.#clock.after(GRPC_SLOW_STREAM_MS, () => {
      this.#log.warn({ clientId, peer: call.peer.address }, "a client does not take its messages");
      sink.end(new GrpcError("RESOURCE_EXHAUSTED", "the client takes its messages too slowly"));
    });
    await sink.drained();
    this.#clock.clear(timer);
    this.#bytes -= bytes;
    return !call.cancelled && sink.open;
  }
}
