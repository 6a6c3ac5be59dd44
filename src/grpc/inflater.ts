/**
 * Inflates compressed request messages one after the other, whoever sent them: what comes out of many at once could be a
 * thousand times what went in. No official client compresses, so nobody waits long.
 */
import type { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { GrpcError } from "./grpcStatus.ts";

const unzip = promisify(gunzip);

export class Inflater {
  readonly #bytesMax: number;
  readonly #count: (bytes: number) => void;
  #last: Promise<unknown> = Promise.resolve();

  /** @param bytesMax of one message, inflated @param count told how many bytes begin (or, negative, cease) to wait; throws when too many do */
  constructor(bytesMax: number, count: (bytes: number) => void) {
    this.#bytesMax = bytesMax;
    this.#count = count;
  }

  /**
   * @param encoding the request's grpc-encoding
   * @param wanted whether anybody still waits for it
   * @throws GrpcError
   */
  inflate(bytes: Buffer, encoding: string, wanted: () => boolean): Promise<Buffer> {
    try {
      this.#count(bytes.length);
    } catch (error) {
      this.#count(-bytes.length);
      return Promise.reject(error);
    }
    const done = this.#last.then(async () => {
      this.#count(-bytes.length);
      if (!wanted()) throw new GrpcError("CANCELLED", "the call has ended");
      return this.#one(bytes, encoding);
    });
    this.#last = done.catch(() => {});
    return done;
  }

  async #one(bytes: Buffer, encoding: string): Promise<Buffer> {
    if (encoding !== "gzip") {
      throw new GrpcError("UNIMPLEMENTED", `grpc-encoding ${encoding || "absent"}: only gzip is known`);
    }
    try {
      return (await unzip(bytes, { maxOutputLength: this.#bytesMax })) as Buffer;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
        throw new GrpcError(
          "RESOURCE_EXHAUSTED",
          `Decompressed gRPC message exceeds maximum size ${this.#bytesMax} (grpcMaxInboundMessageSize)`,
        );
      }
      throw new GrpcError("INTERNAL", `a compressed message cannot be read: ${(error as Error).message}`);
    }
  }
}
