/**
 * Addresses of ACL 1.0 from which nobody is asked who he is: `10.1.2.3`, `10.1.2.*`, `10.1-3.*.*`, `10.1.2.{3,4}`, several of them with
 * commas, `*` for all (Apache: RemoteAddressStrategyFactory of 4.x). IPv6 addresses stand for themselves, in any spelling, and
 * may end in `:*`. Pure.
 */
import { hostBytes } from "../base/host.ts";
import { isIp } from "./sourceIps.ts";

export type AddressPattern = (ip: string) => boolean;

const EVERYTHING = new Set(["*", "*.*.*.*", "*:*:*:*:*:*:*:*"]);
const BYTE_MAX = 255;

/** What `text` matches; undefined when it is no pattern. */
export function addressPattern(text: string): AddressPattern | undefined {
  const given = text.trim();
  if (EVERYTHING.has(given)) return () => true;
  const all = split(given).map(single);
  if (all.length === 0 || all.includes(undefined)) return undefined;
  return (ip) => all.some((matches) => matches?.(ip));
}

/** At commas outside of braces. */
function split(text: string): string[] {
  return text.split(/,(?![^{]*\})/).map((one) => one.trim());
}

function single(text: string): AddressPattern | undefined {
  if (isIp(text)) {
    const bytes = hostBytes(text, 0);
    return (ip) => isIp(ip) && hostBytes(ip, 0).equals(bytes);
  }
  if (/^[0-9a-fA-F:]+:\*$/.test(text)) {
    const prefix = text.slice(0, -1).toLowerCase();
    return (ip) => ip.toLowerCase().startsWith(prefix);
  }
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const segments = parts.map(segment);
  if (segments.includes(undefined)) return undefined;
  return (ip) => {
    const own = ip.split(".");
    return own.length === 4 && segments.every((matches, i) => matches?.(Number(own[i])));
  };
}

function segment(text: string): ((value: number) => boolean) | undefined {
  if (text === "*") return () => true;
  const braces = /^\{(.*)\}$/.exec(text);
  if (braces !== null) {
    const values = braces[1].split(",").map((value) => byte(value.trim()));
    return values.includes(undefined) ? undefined : (value) => values.includes(value);
  }
  const [from, to, ...more] = text.split("-").map(byte);
  if (from === undefined || more.length > 0 || (text.includes("-") && to === undefined)) return undefined;
  const last = to ?? from;
  return last < from ? undefined : (value) => value >= from && value <= last;
}

function byte(text: string): number | undefined {
  return /^\d{1,3}$/.test(text) && Number(text) <= BYTE_MAX ? Number(text) : undefined;
}
