/**
 * Reading the commit log from its files in order through a window of memory, judging every record: what recovery and the
 * tools for stores believe. Never writes.
 */
import { Buffer } from "node:buffer";
import { BLANK_BYTES, MAGIC_BLANK, MAGIC_V1, MAGIC_V2, type RecordCheck, RecordView } from "../message/record.ts";
import type { Segments } from "./segments.ts";

/** Bytes read at once; grows for a larger record. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** What a disk writes or loses as one. */
const SECTOR_BYTES = 512;

/** A piece of the log in memory, moved along by {@link LogWindow.read}. */
export class LogWindow {
  readonly view = new RecordView();
  readonly #segments: Segments;
  #buf: Buffer;
  #at = 0;
  #end = 0;

  constructor(segments: Segments) {
    this.#segments = segments;
    this.#buf = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, segments.fileBytes));
  }

  /** What stands at a log offset; `strict` also looks for the traces of a torn write. */
  read(at: number, strict: boolean): RecordCheck {
    const { fileBytes } = this.#segments;
    const fileEnd = at - (at % fileBytes) + fileBytes;
    if (at < this.#at || (at + BLANK_BYTES > this.#end && this.#end < fileEnd)) this.#load(at, fileEnd);
    const { view } = this;
    let check = view.read(this.#buf, at - this.#at, Math.min(this.#end, fileEnd) - this.#at, true);
    if (check === "end" && this.#end < fileEnd && this.#at < at) {
      // It may reach beyond the window.
      this.#load(at, fileEnd);
      check = view.read(this.#buf, 0, this.#end - at, true);
    }
    if (
      check === "end" &&
      this.#end < fileEnd &&
      view.totalBytes > this.#buf.length &&
      at + view.totalBytes <= fileEnd
    ) {
      this.#buf = Buffer.allocUnsafe(view.totalBytes);
      this.#load(at, fileEnd);
      check = view.read(this.#buf, 0, this.#end - at, true);
    }
    if (check === "blank") return at + view.totalBytes === fileEnd ? "blank" : "damaged";
    if (check !== "record") return check;
    return view.logOffset === at && view.isPlausible() && !(strict && isTorn(view, at)) ? "record" : "damaged";
  }

  /** The bytes from `at` on that memory holds of its file; valid until the next call. Empty behind the last file. */
  bytesFrom(at: number): Buffer {
    const { fileBytes } = this.#segments;
    const fileEnd = at - (at % fileBytes) + fileBytes;
    if (at < this.#at || at >= Math.min(this.#end, fileEnd)) this.#load(at, fileEnd);
    return this.#buf.subarray(at - this.#at, Math.min(this.#end, fileEnd) - this.#at);
  }

  #load(at: number, fileEnd: number): void {
    this.#at = at;
    this.#end = at + this.#segments.read(this.#buf, 0, Math.min(this.#buf.length, fileEnd - at), at);
  }

  /** The next place below `limit` where a record or a blank stands that knows its own place; `limit` when there is none. */
  findNext(from: number, limit: number): number {
    const { fileBytes } = this.#segments;
    for (let at = from; at < limit; at++) {
      const fileEnd = at - (at % fileBytes) + fileBytes;
      if (at < this.#at || (at + BLANK_BYTES > this.#end && this.#end < fileEnd)) this.#load(at, fileEnd);
      if (at + BLANK_BYTES > fileEnd) {
        at = fileEnd - 1;
        continue;
      }
      const magic = this.#buf.readInt32BE(at - this.#at + 4);
      if (magic !== MAGIC_V1 && magic !== MAGIC_V2 && magic !== MAGIC_BLANK) continue;
      const check = this.read(at, false);
      if (check === "record" || check === "blank") return at;
    }
    return limit;
  }
}

/**
 * Whether a sector of the record's uncovered end (topic and properties) never reached the disk. New bytes of a log file
 * were zeros before: a lost sector is all zeros, a write that stopped early leaves a zero as the last byte.
 */
function isTorn(view: RecordView, at: number): boolean {
  const { buf } = view;
  const stop = view.at + view.totalBytes;
  if (view.propertiesBytes > 0 && buf[stop - 1] === 0) return true;
  let start = view.topicAt;
  while (start < stop) {
    const sectorEnd = Math.min(stop, start + SECTOR_BYTES - ((at + start - view.at) % SECTOR_BYTES));
    let i = start;
    while (i < sectorEnd && buf[i] === 0) i++;
    // The two bytes of an empty properties' length may stand alone in a sector.
    if (i === sectorEnd && start < stop - (view.propertiesBytes === 0 ? 2 : 0)) return true;
    start = sectorEnd;
  }
  return false;
}
