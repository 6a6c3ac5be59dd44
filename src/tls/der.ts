/** Just enough DER to write an X.509 certificate: nested tag-length-value, definite lengths only. Pure. */
import { Buffer } from "node:buffer";

const CONSTRUCTED = 0x20;
const CONTEXT = 0x80;

function tagged(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

function lengthOf(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.from([bytes]);
  const digits: number[] = [];
  for (let rest = bytes; rest > 0; rest >>>= 8) digits.unshift(rest & 0xff);
  return Buffer.from([0x80 | digits.length, ...digits]);
}

export const sequence = (...items: Buffer[]): Buffer => tagged(0x30, Buffer.concat(items));
export const set = (...items: Buffer[]): Buffer => tagged(0x31, Buffer.concat(items));
export const octets = (content: Buffer): Buffer => tagged(0x04, content);
export const utf8 = (text: string): Buffer => tagged(0x0c, Buffer.from(text));
export const boolean = (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0]));

/** A bit string of whole bytes; `unused` low bits of the last one do not count. */
export const bits = (content: Buffer, unused = 0): Buffer =>
  tagged(0x03, Buffer.concat([Buffer.from([unused]), content]));

/** `[number]` around other values. */
export const explicit = (number: number, ...items: Buffer[]): Buffer =>
  tagged(CONTEXT | CONSTRUCTED | number, Buffer.concat(items));

/** `[number]` in place of a value's own tag. */
export const implicit = (number: number, content: Buffer): Buffer => tagged(CONTEXT | number, content);

/** A non-negative integer from its big-endian bytes. */
export function integer(magnitude: Buffer): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const bare = magnitude.subarray(start);
  return tagged(0x02, bare[0] & 0x80 ? Buffer.concat([Buffer.from([0]), bare]) : bare);
}

/** An object identifier such as "1.2.840.10045.4.3.2". */
export function oid(text: string): Buffer {
  const [first, second, ...rest] = text.split(".").map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift(0x80 | (left & 0x7f));
    bytes.push(...groups);
  }
  return tagged(0x06, Buffer.from(bytes));
}

/** A time, given as `yyyy-MM-ddTHH:mm:ss...Z`: two-digit years up to 2049, four digits from then on. */
export function time(iso: string): Buffer {
  const digits = `${iso.replace(/\..*|[-:TZ]/g, "")}Z`;
  return Number(digits.slice(0, 4)) < 2050
    ? tagged(0x17, Buffer.from(digits.slice(2)))
    : tagged(0x18, Buffer.from(digits));
}
