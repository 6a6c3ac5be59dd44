/**
 * The properties of a half message's record, read for its commit in one pass without making strings but for the topic:
 * who may end it, where it goes, and the bytes that the committed message keeps. Cuts REAL_TOPIC and REAL_QID out of the
 * given bytes in place.
 */
import type { Buffer } from "node:buffer";
import { Interner } from "../base/interner.ts";

const NAME_END = 0x01;
const VALUE_END = 0x02;
const NAME_BYTES_MAX = 32;

const encoder = new TextEncoder();
const GROUP = encoder.encode("PGROUP");
const REAL_TOPIC = encoder.encode("REAL_TOPIC");
const REAL_QUEUE_ID = encoder.encode("REAL_QID");
/** With one of these the commit is more than a copy. */
const SPECIAL = [
  "DELAY",
  "TIMER_DELIVER_MS",
  "TIMER_DELAY_SEC",
  "TIMER_DELAY_MS",
  "TIMER_OUT_MS",
  "INNER_MULTI_DISPATCH",
  "CHECK_IMMUNITY_TIME_IN_SECONDS",
  "TRAN_PREPARED_QUEUE_OFFSET",
].map((name) => encoder.encode(name));

const topics = new Interner();

export class HalfRecord {
  /** "" for a record that is no half message. */
  topic = "";
  /** -1 for a record that is no half message. */
  queueId = -1;
  /** The producer group is the one asked for. */
  sameGroup = false;
  special = false;
  /** Where the kept properties end; they begin where they did. */
  propertiesEnd = 0;

  /** Reads `buf[start, end)`, which is changed; the group to compare with is `group[groupStart, groupEnd)`. */
  read(buf: Buffer, start: number, end: number, group: Buffer, groupStart: number, groupEnd: number): void {
    this.topic = "";
    this.queueId = -1;
    this.sameGroup = false;
    this.special = false;
    let kept = start;
    let at = start;
    while (at < end) {
      const name = at;
      while (at < end && buf[at] !== NAME_END && buf[at] !== VALUE_END) at++;
      const nameEnd = at;
      const value = at + 1;
      while (at < end && buf[at] !== VALUE_END) at++;
      const next = Math.min(at + 1, end);
      if (this.#keeps(buf, name, nameEnd, value, at, group, groupStart, groupEnd)) {
        if (kept !== name) buf.copyWithin(kept, name, next);
        kept += next - name;
      }
      at = next;
    }
    this.propertiesEnd = kept;
  }

  #keeps(
    buf: Buffer,
    name: number,
    nameEnd: number,
    value: number,
    valueEnd: number,
    group: Buffer,
    groupStart: number,
    groupEnd: number,
  ): boolean {
    const length = nameEnd - name;
    if (length < 5 || length > NAME_BYTES_MAX) return true;
    switch (buf[name]) {
      case 0x50: // P
        if (isNamed(buf, name, length, GROUP)) {
          this.sameGroup = same(buf, value, valueEnd, group, groupStart, groupEnd);
        }
        return true;
      case 0x52: // R
        if (isNamed(buf, name, length, REAL_TOPIC)) {
          this.topic = topics.get(buf, value, valueEnd);
          return false;
        }
        if (isNamed(buf, name, length, REAL_QUEUE_ID)) {
          this.queueId = decimal(buf, value, valueEnd);
          return false;
        }
        return true;
      case 0x43: // C
      case 0x44: // D
      case 0x49: // I
      case 0x54: // T
        for (const special of SPECIAL) if (isNamed(buf, name, length, special)) this.special = true;
        return true;
      default:
        return true;
    }
  }
}

function isNamed(buf: Buffer, at: number, length: number, name: Uint8Array): boolean {
  if (length !== name.length) return false;
  for (let i = 0; i < length; i++) if (name[i] !== buf[at + i]) return false;
  return true;
}

function same(a: Buffer, start: number, end: number, b: Buffer, bStart: number, bEnd: number): boolean {
  if (end - start !== bEnd - bStart) return false;
  for (let i = 0; i < end - start; i++) if (a[start + i] !== b[bStart + i]) return false;
  return true;
}

/** A queue id; -1 when it is none. */
function decimal(buf: Buffer, start: number, end: number): number {
  if (end <= start || end - start > 9) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = buf[at] - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
