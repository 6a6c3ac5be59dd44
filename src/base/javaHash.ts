/**
 * `java.lang.String.hashCode`, over strings and directly over UTF-8 bytes. RocketMQ stores it as the tag code of a
 * ConsumeQueue unit and as the slot hash of an IndexFile, so it must be the same number as Java's.
 */
import type { Buffer } from "node:buffer";

/** Java's hash of a string: a signed int32. */
export function javaHashCode(text: string): number {
  let h = 0;
  for (let i = 0; i < text.length; i++) h = (Math.imul(h, 31) + text.charCodeAt(i)) | 0;
  return h;
}

/** Continues hash `h` over UTF-8 bytes `buf[start, end)`; equal to hashing the decoded string's UTF-16 units. */
export function javaHashUtf8(h: number, buf: Buffer, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    const b = buf[i];
    if (b >= 0x80) return hashDecoded(h, buf, i, end);
    h = (Math.imul(h, 31) + b) | 0;
  }
  return h;
}

function hashDecoded(h: number, buf: Buffer, start: number, end: number): number {
  const rest = buf.toString("utf8", start, end);
  for (let i = 0; i < rest.length; i++) h = (Math.imul(h, 31) + rest.charCodeAt(i)) | 0;
  return h;
}
