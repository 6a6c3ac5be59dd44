/**
 * The PROXY protocol's header, by which a load balancer says whom it speaks for (versions 1 and 2; Apache reads it by
 * Netty's HAProxyMessageDecoder). Pure.
 *
 *   v1: PROXY TCP4|TCP6 source destination sourcePort destinationPort CR LF        PROXY UNKNOWN ... CR LF
 *   v2: signature (12) | version 2, command (1) | family, transport (1) | length (uint16) | addresses, ports, TLVs
 */
import { Buffer } from "node:buffer";
import { isIP } from "node:net";

const V1_PREFIX = Buffer.from("PROXY ");
const V1_BYTES_MAX = 107;
const V2_SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const V2_HEAD_BYTES = 16;
const LOCAL = 0x20;
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;

/** The connection's first bytes are none that this server can take. */
export class ProxyHeaderError extends Error {}

export interface ProxyHeader {
  /** Bytes of the header; 0 when there is none. */
  bytes: number;
  /** The client; undefined where the load balancer speaks for itself. */
  source?: { address: string; port: number };
}

/** @returns the header, or "more" when it is not there in full. @throws ProxyHeaderError */
export function readProxyHeader(seen: Buffer): ProxyHeader | "more" {
  if (startsLike(seen, V1_PREFIX)) return seen.length < V1_PREFIX.length ? "more" : readV1(seen);
  if (startsLike(seen, V2_SIGNATURE)) return seen.length < V2_HEAD_BYTES ? "more" : readV2(seen);
  return { bytes: 0 };
}

function startsLike(seen: Buffer, prefix: Buffer): boolean {
  const length = Math.min(seen.length, prefix.length);
  return length > 0 && seen.compare(prefix, 0, length, 0, length) === 0;
}

function readV1(seen: Buffer): ProxyHeader | "more" {
  const end = seen.indexOf("\r\n");
  if (end < 0) {
    if (seen.length >= V1_BYTES_MAX) throw new ProxyHeaderError("a PROXY header without an end");
    return "more";
  }
  const [, family, source, , port] = seen.toString("latin1", 0, end).split(" ");
  const bytes = end + 2;
  if (family === "UNKNOWN") return { bytes };
  const known = family === "TCP4" ? 4 : family === "TCP6" ? 6 : undefined;
  if (known === undefined || isIP(source ?? "") !== known || !/^\d{1,5}$/.test(port ?? "")) {
    throw new ProxyHeaderError("a PROXY header that cannot be read");
  }
  return { bytes, source: { address: source, port: Number(port) } };
}

function readV2(seen: Buffer): ProxyHeader | "more" {
  const command = seen[12];
  const family = seen[13];
  const bytes = V2_HEAD_BYTES + seen.readUInt16BE(14);
  if (command !== LOCAL && command !== PROXY) throw new ProxyHeaderError("a PROXY header of an unknown version");
  if (seen.length < bytes) return "more";
  if (command === LOCAL) return { bytes };
  const at = V2_HEAD_BYTES;
  if (family === TCP4 && bytes >= at + 12) {
    const address = [...seen.subarray(at, at + 4)].join(".");
    return { bytes, source: { address, port: seen.readUInt16BE(at + 8) } };
  }
  if (family === TCP6 && bytes >= at + 36) {
    const groups = Array.from({ length: 8 }, (_, i) => seen.readUInt16BE(at + i * 2).toString(16));
    return { bytes, source: { address: groups.join(":"), port: seen.readUInt16BE(at + 32) } };
  }
  return { bytes };
}
