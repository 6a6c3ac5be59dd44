/** Where rights are given for: single addresses and ranges such as 10.0.0.0/8 or fd00::/8 (Apache: IPAddressUtils). Pure. */
import type { Buffer } from "node:buffer";
import { hostBytes } from "../base/host.ts";

const IPV4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;
const IPV6_GROUP = /^[0-9a-fA-F]{1,4}$/;
const PREFIX = /^\d{1,3}$/;

/** Whether `text` is an address or a range. Host names are neither: whom they mean can change. */
export function isIpOrRange(text: string): boolean {
  const [address, prefix, ...more] = text.split("/");
  if (more.length > 0 || !isIp(address)) return false;
  return prefix === undefined || (PREFIX.test(prefix) && Number(prefix) <= (address.includes(":") ? 128 : 32));
}

/** Whether `ip` is the address, or in the range, `given`. */
export function isInRange(ip: string, given: string): boolean {
  const slash = given.indexOf("/");
  if (slash < 0) return ip === given;
  const range = bytesOf(given.slice(0, slash));
  const own = bytesOf(ip);
  if (range === undefined || own === undefined || range.length !== own.length) return false;
  let bits = Number(given.slice(slash + 1));
  for (let i = 0; bits > 0; i++, bits -= 8) {
    const mask = bits >= 8 ? 0xff : (0xff << (8 - bits)) & 0xff;
    if (((range[i] ^ own[i]) & mask) !== 0) return false;
  }
  return true;
}

/** `address:port` without its port and brackets. */
export function ipOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

export function isIp(text: string): boolean {
  return IPV4.test(text) || isIpv6(text);
}

function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const last = groups.at(-1);
  let count = groups.length;
  if (last !== undefined && IPV4.test(last)) {
    groups.pop();
    count++;
  }
  return groups.every((group) => IPV6_GROUP.test(group)) && (halves.length === 2 ? count < 8 : count === 8);
}

function bytesOf(ip: string): Buffer | undefined {
  return isIp(ip) ? hostBytes(ip, 0).subarray(0, -4) : undefined;
}
