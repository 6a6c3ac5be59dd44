/** The other end of a gRPC connection. A proxy in front of the server may have said who it really is. */
import type { Buffer } from "node:buffer";
import { hostBytes } from "../base/host.ts";

export interface Peer {
  /** `ip:port` of the client. */
  readonly address: string;
  /** The same as host bytes of a record. */
  readonly host: Buffer;
  /** The address by which the client reached this server. */
  readonly reachedBy: string;
  readonly reachedByPort: number;
}

/** @param remote the client's IP address */
export function peerOf(remote: string, remotePort: number, local: string, localPort: number): Peer {
  const plain = withoutMapping(remote);
  return {
    address: plain.includes(":") ? `[${plain}]:${remotePort}` : `${plain}:${remotePort}`,
    host: hostBytes(plain, remotePort),
    reachedBy: withoutMapping(local),
    reachedByPort: localPort,
  };
}

/** An IPv4 client of a socket that listens on both families. */
function withoutMapping(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
