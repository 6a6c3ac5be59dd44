/**
 * What a pull finds: the records of one queue from an offset on, as places in the log, not bytes (Apache:
 * DefaultMessageStore.getMessage, GetMessageResult). One object is used again and again; it never waits. What is not in
 * memory is named in `missing*`, to be loaded before the caller selects again.
 */
import { readInt64OrMinus1 } from "../base/int64.ts";
import type { RecordFilter, UnitFilter } from "../filter/unitFilter.ts";
import { propertiesStart } from "../message/record.ts";
import type { CommitLog } from "./commitLog.ts";
import { type ConsumeQueue, foundAt, UNIT_BYTES } from "./consumeQueue.ts";

/** Apache's GetMessageStatus, as far as a pull can meet them. */
export type SelectionStatus =
  | "found"
  | "noMatch"
  | "emptyQueue"
  | "noQueue"
  | "tooSmall"
  | "atEnd"
  | "beyondEnd"
  | "missing";

/** Units looked at in one pull when the filter passes nothing (Apache: maxFilterMessageSize 16000 bytes / 20). */
const UNITS_SCANNED_MAX = 800;
const RECORDS_MAX = 1024;

export class Selection {
  status: SelectionStatus = "noQueue";
  nextOffset = 0;
  minOffset = 0;
  maxOffset = 0;
  count = 0;
  bytes = 0;
  /** Log offset of the last message looked at, whether it passed the filter or not; -1 when none was. */
  seenLogOffset = -1;
  readonly logOffsets = new Float64Array(RECORDS_MAX);
  readonly sizes = new Int32Array(RECORDS_MAX);
  readonly queueOffsets = new Float64Array(RECORDS_MAX);
  /** With status "missing": load this queue offset's block, or (>= 0) this log range. */
  missingUnit = -1;
  missingLogOffset = -1;
  missingBytes = 0;

  /** Selects at most `maxCount` records and (unless the first alone is larger) `maxBytes`. */
  select(
    log: CommitLog,
    queue: ConsumeQueue | undefined,
    offset: number,
    maxCount: number,
    maxBytes: number,
    filter: UnitFilter,
  ): void {
    this.count = 0;
    this.bytes = 0;
    this.seenLogOffset = -1;
    if (queue === undefined) {
      this.#finish("noQueue", 0, 0, 0);
      return;
    }
    const { min, max } = queue;
    if (max === 0) this.#finish("emptyQueue", 0, min, max);
    else if (offset < min) this.#finish("tooSmall", min, min, max);
    else if (offset === max) this.#finish("atEnd", offset, min, max);
    else if (offset > max) this.#finish("beyondEnd", max, min, max);
    else this.#scan(log, queue, offset, Math.min(maxCount, RECORDS_MAX), maxBytes, filter);
  }

  #finish(status: SelectionStatus, nextOffset: number, min: number, max: number): void {
    this.status = status;
    this.nextOffset = nextOffset;
    this.minOffset = min;
    this.maxOffset = max;
  }

  #scan(
    log: CommitLog,
    queue: ConsumeQueue,
    offset: number,
    maxCount: number,
    maxBytes: number,
    filter: UnitFilter,
  ): void {
    const stop = Math.min(queue.max, offset + Math.max(UNITS_SCANNED_MAX, maxCount));
    const firstInLog = log.first;
    const { record } = filter;
    let at = offset;
    scan: while (at < stop) {
      const units = queue.unitBuffer(at);
      if (units === undefined) {
        if (this.count > 0 || at > offset) break;
        this.#missing(queue, at, -1, 0);
        return;
      }
      let p = foundAt;
      const inBuffer = Math.min(stop, at + queue.unitsInBuffer(at));
      for (; at < inBuffer; at++, p += UNIT_BYTES) {
        const logOffset = readInt64OrMinus1(units, p);
        const size = units.readInt32BE(p + 8);
        // Deleted under a slow reader, or the blank before a queue's first message.
        if (logOffset < firstInLog || size === 0x7fffffff) continue;
        if (!filter.matches(units.readInt32BE(p + 16))) {
          this.seenLogOffset = logOffset;
          continue;
        }
        if (record !== undefined) {
          if (!log.view(logOffset, size)) {
            if (this.count > 0) break scan;
            this.#missing(queue, at, logOffset, size);
            return;
          }
          if (!passes(record, log)) {
            this.seenLogOffset = logOffset;
            continue;
          }
        }
        if (this.count > 0 && this.bytes + size > maxBytes) break scan;
        if (!log.resident(logOffset, size)) {
          if (this.count > 0) break scan;
          this.#missing(queue, at, logOffset, size);
          return;
        }
        this.seenLogOffset = logOffset;
        this.logOffsets[this.count] = logOffset;
        this.sizes[this.count] = size;
        this.queueOffsets[this.count] = at;
        this.count++;
        this.bytes += size;
        if (this.count === maxCount) {
          at++;
          break scan;
        }
      }
    }
    this.#finish(this.count > 0 ? "found" : "noMatch", at, queue.min, queue.max);
  }

  #missing(queue: ConsumeQueue, at: number, logOffset: number, bytes: number): void {
    this.#finish("missing", at, queue.min, queue.max);
    this.missingUnit = logOffset < 0 ? at : -1;
    this.missingLogOffset = logOffset;
    this.missingBytes = bytes;
  }
}

/** Whether the record that the log has in view is wanted; one whose fields are damaged is given, so that somebody sees it. */
function passes(record: RecordFilter, log: CommitLog): boolean {
  const { viewBuf, viewAt, viewEnd } = log;
  const start = propertiesStart(viewBuf, viewAt, viewEnd);
  return start < 0 || record.passes(viewBuf, start, viewEnd);
}
