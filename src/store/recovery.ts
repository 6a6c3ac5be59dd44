/**
 * Opening a store after whatever happened: finds the end of the log, cuts a torn tail, dispatches again what the derived
 * files lack (Apache: CommitLog.recoverNormally / recoverAbnormally, with offsets instead of times where we wrote the
 * checkpoint).
 *
 *   log:      first ........... trusted ................ end | torn
 *   derived:  |--- synced, believed ---|--- dispatched again ---|
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { BLANK_BYTES, MAGIC_BLANK, MAGIC_V1, MAGIC_V2, type RecordCheck, RecordView } from "../message/record.ts";
import type { CheckpointState } from "./checkpoint.ts";
import type { DerivedFiles } from "./derivedFiles.ts";
import type { DirNames } from "./dirNames.ts";
import type { Disk } from "./disk.ts";
import type { FileCache } from "./fileCache.ts";
import type { StoreOptions } from "./options.ts";
import { Segments } from "./segments.ts";

/** Window that the scan reads the log through; grows for a larger record. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** Apache stops trusting its checkpoint this long before its time stamps (StoreCheckpoint.getMinTimestamp). */
const APACHE_CHECKPOINT_SLACK_MS = 3000;
/** How many of the newest files Apache reads again after a clean stop. */
const APACHE_CLEAN_FILES = 3;
/** What a disk writes or loses as one. */
const SECTOR_BYTES = 512;

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
  clean: boolean;
  checkpoint: CheckpointState | undefined;
  log: Logger;
  /** Gives a record that derived files may lack to them, in log order; the view is reused. */
  dispatch(view: RecordView): void;
}

export interface Recovered {
  segments: Segments;
  /** Everything below was known durable. */
  from: number;
  /** Where the next record goes. */
  end: number;
  /** Store time of the newest message known, ms. */
  lastTimestamp: number;
}

/** Brings log and derived files to one state. @throws what makes the store unreadable, such as files of another size */
export async function recoverStore(context: {
  disk: Disk;
  clock: Clock;
  log: Logger;
  cache: FileCache;
  names: DirNames;
  options: StoreOptions;
  derived: DerivedFiles;
  clean: boolean;
}): Promise<Recovered> {
  const { disk, clock, log, cache, names, options, derived, clean } = context;
  const began = clock.monotonicMs();
  const dir = options.storePathCommitLog || path.join(options.storePathRootDir, "commitlog");
  names.mkdir(dir);
  const segments = new Segments(disk, cache, names, dir, options.mappedFileSizeCommitLog);
  const checkpoint = derived.checkpointFile.read();
  // Files above the checkpoint may be torn from the rest by a power loss, files below only by retention.
  const synced = checkpoint?.ours?.syncedLogOffset ?? 0;
  const repairs = segments.load((start) => clean || start < synced);
  const logStart = checkpoint?.ours?.firstLogOffset ?? 0;
  while (segments.firstOffset + segments.fileBytes <= logStart && segments.removeFirst()) {
    repairs.push("a commit log file that retention had removed was back after a power loss");
  }
  let gap = false;
  const input: RecoveryInput = {
    segments,
    clean,
    checkpoint,
    log,
    dispatch: (view) => {
      if (!gap) gap = !derived.redispatch(view, false);
    },
  };
  const from = scanStart(input);
  // Damage below is fenced, not taken for the end: no crash makes it.
  const durable = Math.max(from, Math.min(synced, segments.endOffset));
  const rebuild = await derived.load(clean, from, durable, checkpoint?.ours, segments, repairs);
  let result = scanLog(input, rebuild.index || rebuild.queues ? segments.firstOffset : from, durable);
  if (gap) {
    log.warn("a ConsumeQueue lacks units of before the checkpoint: all queues are rebuilt from the commit log");
    const below = Math.min(durable, result.end);
    await derived.rebuildQueues(segments.firstOffset, below);
    const fill = { ...input, dispatch: (view: RecordView) => void derived.redispatch(view, true) };
    result = scanLog(fill, segments.firstOffset, below);
  }
  derived.settle(clean, segments.firstOffset, result.end, repairs);
  derived.checkpointedTo = rebuild.queues || rebuild.index || gap ? 0 : from;
  for (const repair of repairs) log.warn({ repair }, "store repaired");
  const { end, dispatched } = result;
  const ms = Math.round(clock.monotonicMs() - began);
  log.info({ clean, scannedFrom: from, end, dispatched, ms }, "store recovered");
  return {
    segments,
    from: Math.min(from, end),
    end,
    lastTimestamp: Math.max(result.lastTimestamp, checkpoint?.logTimestamp ?? 0),
  };
}

/** Where to begin reading, such that everything below is known good. */
export function scanStart(input: RecoveryInput): number {
  const { segments, clean, checkpoint } = input;
  const first = segments.firstOffset;
  if (segments.count === 0) return 0;
  const ours = checkpoint?.ours?.dispatchedLogOffset;
  // Retention went past the checkpoint: all that is left came later.
  if (ours !== undefined && ours < first && !clean) return first;
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

/**
 * Reads the log from `from`, shows each good record, and finds the end. Damage below `trusted` cannot be the trace of a
 * crash: it is fenced to its record. At the first damage behind, the log ends, and what follows is cut.
 */
export function scanLog(input: RecoveryInput, from: number, trusted: number): RecoveryResult {
  const { segments, log } = input;
  const window = new Window(segments);
  const { view } = window;
  let at = from;
  let lastTimestamp = 0;
  let dispatched = 0;
  while (segments.has(at)) {
    const fileEnd = at - (at % segments.fileBytes) + segments.fileBytes;
    const check = window.read(at, at >= trusted);
    if (check === "record") {
      input.dispatch(view);
      dispatched++;
      lastTimestamp = view.storeTimestamp;
      at += view.totalBytes;
    } else if (check === "blank") {
      at = fileEnd;
    } else if (at < trusted) {
      const next = window.findNext(at + 1, trusted);
      log.error({ logOffset: at, bytes: next - at }, "damage in the commit log: fenced, later records are kept");
      at = next;
    } else {
      if (check === "damaged") log.warn({ logOffset: at }, "the commit log ends in a damaged record; cut there");
      break;
    }
  }
  segments.cutAt(at);
  return { end: at, lastTimestamp, dispatched };
}

/** A piece of the log in memory, moved along by {@link Window.read}. */
class Window {
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
