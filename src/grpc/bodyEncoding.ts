/**
 * Bodies as 5.x clients can read them. Classic producers compress by zlib, LZ4 or ZSTD; Apache's proxy calls each of them
 * GZIP and sends the bytes as they are, which of the 5.x clients only Java's can read. Here they are decompressed: plain
 * bytes are read by all. Refuses nothing: what cannot be decompressed goes out as Apache sends it.
 */
import type { Buffer } from "node:buffer";
import * as zlib from "node:zlib";
import { BODY_PLAIN_BYTES_MAX } from "../base/limits.ts";
import { readLz4Frame } from "../message/lz4.ts";
import { COMPRESSED, COMPRESSION_TYPE } from "../message/sysFlag.ts";
import { readZstd } from "../message/zstd.ts";
import { Encoding } from "./generated/messages.ts";

/** Values of COMPRESSION_TYPE (Apache: CompressionType); everything else is zlib, or the gzip of a 5.x producer. */
const LZ4 = 0x100;
const ZSTD = 0x200;
const GZIP_MAGIC = 0x1f8b;

export interface EncodedBody {
  body: Buffer;
  /** An Encoding. */
  encoding: number;
}

/** @param sysFlag of the stored message */
export function readableBody(sysFlag: number, body: Buffer): EncodedBody {
  if ((sysFlag & COMPRESSED) === 0) return { body, encoding: Encoding.IDENTITY };
  const plain = decompressed(sysFlag & COMPRESSION_TYPE, body);
  return plain === undefined ? { body, encoding: Encoding.GZIP } : { body: plain, encoding: Encoding.IDENTITY };
}

/** Undefined for gzip, which all clients know, and for what cannot be read. */
function decompressed(type: number, body: Buffer): Buffer | undefined {
  try {
    if (type === LZ4) return readLz4Frame(body, BODY_PLAIN_BYTES_MAX);
    if (type === ZSTD) return unzstd(body, { maxOutputLength: BODY_PLAIN_BYTES_MAX });
    if (body.length >= 2 && body.readUInt16BE(0) === GZIP_MAGIC) return undefined;
    return zlib.inflateSync(body, { maxOutputLength: BODY_PLAIN_BYTES_MAX });
  } catch {
    return undefined;
  }
}

type Unzip = (body: Buffer, options: { maxOutputLength: number }) => Buffer;

/** Node has ZSTD from 22.15 on, and is several times as fast. */
const unzstd: Unzip =
  (zlib as { zstdDecompressSync?: Unzip }).zstdDecompressSync ??
  ((body, { maxOutputLength }) => readZstd(body, maxOutputLength));
