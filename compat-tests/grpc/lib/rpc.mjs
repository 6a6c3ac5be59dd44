// A small 5.x client of our own for what the official ones do not let through: calls and their answers as they are. grpc-js carries them, the
// codecs are Skylark's (proven equal to the official descriptors by src/grpc's tests).

import grpc from "@grpc/grpc-js";
import { codec } from "../../../dist/grpc/proto.js";

const SERVICE = "/apache.rocketmq.v2.MessagingService/";
const FRAME_HEAD_BYTES = 5;
const encode = (name) => (message) => codec(name).encodeFrame(message).subarray(FRAME_HEAD_BYTES);
const decode = (name) => (bytes) => codec(name).decode(bytes);

export class Rpc {
  #client;
  #metadata = new grpc.Metadata();

  /** @param {object} [channel] grpc-js' channel options @param {Record<string, string>} [more] headers of every call */
  constructor(address, clientId, channel = {}, more = {}) {
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure(), channel);
    const headers = { "client-id": clientId, language: "JAVA", "client-version": "5.2.0", protocol: "v2" };
    for (const [name, value] of Object.entries(headers)) this.#metadata.set(`x-mq-${name}`, value);
    for (const [name, value] of Object.entries(more)) this.#metadata.set(name, value);
  }

  /** A unary call by the method's name. */
  call(name, request, timeoutMs = 10_000) {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + timeoutMs;
      this.#client.makeUnaryRequest(
        SERVICE + name,
        encode(`${name}Request`),
        decode(`${name}Response`),
        request,
        this.#metadata,
        { deadline },
        (error, reply) => (error ? reject(error) : resolve(reply)),
      );
    });
  }

  /** All answers of a call that is answered by a stream. */
  async stream(name, request, timeoutMs = 30_000) {
    const all = [];
    await this.each(name, request, (reply) => all.push(reply), timeoutMs);
    return all;
  }

  /** Shows each answer of such a call as it comes; resolves at the end. */
  each(name, request, take, timeoutMs = 30_000) {
    return new Promise((resolve, reject) => {
      this.#client
        .makeServerStreamRequest(
          SERVICE + name,
          encode(`${name}Request`),
          decode(`${name}Response`),
          request,
          this.#metadata,
          { deadline: Date.now() + timeoutMs },
        )
        .on("data", take)
        .on("error", reject)
        .on("end", resolve);
    });
  }

  /** Opens a Telemetry stream with these settings; resolves with the stream once the server's have come. */
  telemetry(settings) {
    return new Promise((resolve, reject) => {
      const stream = this.#settle(settings, reject, () => resolve(stream));
    });
  }

  /** The status of the first answer to these settings. */
  greet(settings) {
    return new Promise((resolve, reject) => {
      const stream = this.#settle(settings, reject, ({ status }) => {
        resolve(status);
        stream.cancel();
      });
      stream.on("end", () => reject(new Error("the stream ended without an answer")));
    });
  }

  #settle(settings, failed, answered) {
    const [encoder, decoder] = [encode("TelemetryCommand"), decode("TelemetryCommand")];
    const stream = this.#client.makeBidiStreamRequest(`${SERVICE}Telemetry`, encoder, decoder, this.#metadata);
    stream.on("error", failed);
    stream.once("data", answered);
    stream.write({ settings });
    return stream;
  }

  close() {
    this.#client.close();
  }
}
