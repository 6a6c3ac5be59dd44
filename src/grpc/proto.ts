/**
 * Encoding and decoding of apache.rocketmq.v2, by protobufjs from the generated descriptor. int64 fields are numbers: all
 * that travel here (offsets, times) stay below 2^53.
 */
import type { Buffer } from "node:buffer";
import protobuf from "protobufjs/light.js";
import { DESCRIPTOR } from "./generated/descriptor.ts";
import type { Messages } from "./generated/messages.ts";

/** A message to encode: everything is optional, absent fields keep their default. */
export type Init<T> = T extends Buffer
  ? Buffer
  : T extends (infer E)[]
    ? readonly Init<E>[]
    : T extends object
      ? { [K in keyof T]?: Init<T[K]> | null | undefined }
      : T;

export interface Codec<T> {
  /** @throws Error on bytes that are no such message */
  decode(bytes: Buffer): T;
  /** The message as a gRPC frame: a zero byte, the length as uint32, the message. */
  encodeFrame(message: Init<T>): Buffer;
}

const FRAME_HEAD_BYTES = 5;

// Before any type is built: with `long` around, protobufjs would make objects of int64 fields.
protobuf.util.Long = undefined as never;
protobuf.configure();

const root = protobuf.Root.fromJSON(DESCRIPTOR as protobuf.INamespace);
const codecs = new Map<string, Codec<never>>();

/** The codec of a message; made on first use. */
export function codec<K extends keyof Messages>(name: K): Codec<Messages[K]> {
  let known = codecs.get(name) as Codec<Messages[K]> | undefined;
  if (known === undefined) {
    known = makeCodec(root.lookupType(`apache.rocketmq.v2.${name}`));
    codecs.set(name, known as Codec<never>);
  }
  return known;
}

function makeCodec<T>(type: protobuf.Type): Codec<T> {
  return {
    decode: (bytes) => type.decode(bytes) as unknown as T,
    encodeFrame: (message) => {
      // Room for the frame's head comes first, so that the message is not copied once more.
      const writer = protobuf.Writer.create().bool(false).fixed32(0);
      const frame = type.encode(message as object, writer).finish() as Buffer;
      frame.writeUInt32BE(frame.length - FRAME_HEAD_BYTES, 1);
      return frame;
    },
  };
}
