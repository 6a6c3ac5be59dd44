/** Hosts as a record carries them: address bytes (4 or 16), then the port as int32. */
import { Buffer } from "node:buffer";

const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** Host bytes of a record (4+4 or 16+4) from an IP address and port. An IPv4-mapped IPv6 address counts as IPv4. */
export function hostBytes(address: string, port: number): Buffer {
  const plain = address.startsWith("::ffff:") && IPV4.test(address.slice(7)) ? address.slice(7) : address;
  if (IPV4.test(plain)) {
    const out = Buffer.alloc(8);
    plain.split(".").forEach((part, i) => {
      out[i] = Number(part);
    });
    out.writeInt32BE(port, 4);
    return out;
  }
  if (plain.includes(":")) {
    const out = Buffer.alloc(20);
    ipv6Groups(plain.split("%")[0]).forEach((group, i) => {
      out.writeUInt16BE(group, i * 2);
    });
    out.writeInt32BE(port, 16);
    return out;
  }
  throw new Error(`not an IP address: ${address}`);
}

/** `address:port` of host bytes, as Java prints it (IPv6 unabbreviated, in brackets). */
export function formatHost(host: Buffer): string {
  const port = host.readInt32BE(host.length - 4);
  if (host.length === 8) return `${host[0]}.${host[1]}.${host[2]}.${host[3]}:${port}`;
  const groups = Array.from({ length: 8 }, (_, i) => host.readUInt16BE(i * 2).toString(16));
  return `[${groups.join(":")}]:${port}`;
}

function ipv6Groups(address: string): number[] {
  const [head, tail] = address.split("::");
  const parse = (part: string | undefined): number[] =>
    (part ?? "")
      .split(":")
      .filter((g) => g !== "")
      .flatMap((g) => {
        if (!g.includes(".")) return [Number.parseInt(g, 16)];
        const [a, b, c, d] = g.split(".").map(Number);
        return [(a << 8) | b, (c << 8) | d];
      });
  const left = parse(head);
  const right = parse(tail);
  return tail === undefined ? left : [...left, ...new Array(8 - left.length - right.length).fill(0), ...right];
}
