/**
 * Opening a store after whatever happened: finds the end of the log, cuts a torn tail, dispatches again what the derived
 * files lack (Apache: CommitLog.recoverNormally / recoverAbnormally, with offsets instead of times where we wrote the
 * checkpoint).
 *
 *   log:      first ........... trusted ................ end | torn
 *   derived:  |--- synced, believed ---|--- dispatched again ---|
 */
import { Buffer } from "node:buffer";
import type { Logger } from "../base/log.ts";
import { BLANK_BYTES, RecordView } from "../message/record.ts";
import type { CheckpointState } from "./checkpoint.ts";
import type { ConsumeQueues } from "./consumeQueues.ts";
import type { Segments } from "./segments.ts";

/** Window that the scan reads the log through; grows for a larger record. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** Apache stops trusting its checkpoint this long before its time stamps (StoreCheckpoint.getMinTimestamp). */
const APACHE_CHECKPOINT_SLACK_MS = 3000;
/** How many of the newest files Apache reads again after a clean stop. */
const APACHE_CLEAN_FILES = 3;

export interface RecoveryResult {
  /** Where the next record goes. */
  end: number;
  /** Store time of the newest record met. */
  lastTimestamp: number;
  /** Records dispatched again. */
  dispatched: number;
}

export interface RecoveryInput {
  segments: Segments;
  queues: ConsumeQueues;
  clean: boolean;
  checkpoint: CheckpointState | undefined;
  log: Logger;
  /** Gives a record that derived files may lack to them, in log order; the view is reused. */
  dispatch(view: RecordView): void;
  /** Called before the scan with the offset from which every record will be shown. */
  begin(scanFrom: number, trustedQueueEnd: number): void;
}

/** Where to begin reading, such that everything below is known good. */
export function scanStart(input: RecoveryInput): number {
  const { segments, clean, checkpoint } = input;
  const first = segments.firstOffset;
  if (segments.count === 0) return 0;
  const ours = checkpoint?.dispatchedLogOffset;
  const apache = clean ? cleanStart(segments) : abnormalStart(segments, checkpoint);
  if (ours === undefined || ours < first || ours > segments.endOffset) return apache;
  // After a clean Apache run our offset is old but still right; its own rule may lie later.
  return clean ? Math.max(ours, apache) : ours;
}

function cleanStart(segments: Segments): number {
  return segments.starts[Math.max(0, segments.count - APACHE_CLEAN_FILES)];
}

function abnormalStart(segments: Segments, checkpoint: CheckpointState | undefined): number {
  const trusted = checkpoint
    ? Math.min(checkpoint.logTimestamp, checkpoint.queueTimestamp) - APACHE_CHECKPOINT_SLACK_MS
    : -1;
  const view = new RecordView();
  const head = Buffer.alloc(128 * 1024);
  for (let i = segments.count - 1; i > 0; i--) {
    const start = segments.starts[i];
    const got = segments.read(head, 0, Math.min(head.length, segments.fileBytes), start);
    if (view.read(head, 0, got, false) === "record" && view.storeTimestamp > 0 && view.storeTimestamp <= trusted) {
      return start;
    }
  }
  return segments.firstOffset;
}

/** Reads the log from `from`, shows each good record, and finds the end. Cuts what lies behind the end. */
export function scanLog(input: RecoveryInput, from: number, fenceDamage: boolean): RecoveryResult {
  const { segments, log } = input;
  const view = new RecordView();
  let window = Buffer.allocUnsafe(WINDOW_BYTES);
  let windowAt = from;
  let windowEnd = from;
  let at = from;
  let lastTimestamp = 0;
  let dispatched = 0;
  while (segments.has(at)) {
    const fileEnd = at - (at % segments.fileBytes) + segments.fileBytes;
    if (at + BLANK_BYTES > windowEnd && windowEnd < fileEnd) {
      windowAt = at;
      windowEnd = at + segments.read(window, 0, Math.min(window.length, fileEnd - at), at);
    }
    const end = Math.min(windowEnd, fileEnd) - windowAt;
    let check = view.read(window, at - windowAt, end, true);
    if (
      check === "end" &&
      view.totalBytes > end - (at - windowAt) &&
      at + view.totalBytes <= fileEnd &&
      windowEnd < fileEnd
    ) {
      // The record reaches beyond the window: read a window that begins with it.
      if (view.totalBytes > window.length) window = Buffer.allocUnsafe(view.totalBytes);
      windowAt = at;
      windowEnd = at + segments.read(window, 0, Math.min(window.length, fileEnd - at), at);
      check = view.read(window, 0, windowEnd - windowAt, true);
    }
    if (check === "record" && view.logOffset !== at) check = "damaged";
    if (check === "record") {
      input.dispatch(view);
      dispatched++;
      lastTimestamp = view.storeTimestamp;
      at += view.totalBytes;
    } else if (check === "blank") {
      at = fileEnd;
    } else if (check === "damaged" && fenceDamage && nextIsGood(segments, at, view.totalBytes)) {
      log.error(
        { logOffset: at, bytes: view.totalBytes },
        "damaged record in the commit log: fenced, later records are kept",
      );
      at += view.totalBytes;
    } else {
      if (check === "damaged") log.warn({ logOffset: at }, "the commit log ends in a damaged record; cut there");
      break;
    }
  }
  segments.cutAt(at);
  return { end: at, lastTimestamp, dispatched };
}

/** Whether a good record or the log's end follows a damaged one whose length can be believed. */
function nextIsGood(segments: Segments, at: number, totalBytes: number): boolean {
  const next = at + totalBytes;
  if (totalBytes < BLANK_BYTES || !segments.has(next)) return false;
  const head = Buffer.alloc(64);
  const got = segments.read(head, 0, head.length, next);
  if (got < 48) return false;
  const view = new RecordView();
  const check = view.read(head, 0, got, false);
  if (check === "blank") return true;
  // The header alone tells: a record knows its own log offset.
  return view.totalBytes > 0 && head.readUInt32BE(28) * 4294967296 + head.readUInt32BE(32) === next;
}
