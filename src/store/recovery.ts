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
import { RecordView } from "../message/record.ts";
import type { CheckpointState } from "./checkpoint.ts";
import type { DerivedFiles } from "./derivedFiles.ts";
import type { DirNames } from "./dirNames.ts";
import type { Disk } from "./disk.ts";
import type { FileCache } from "./fileCache.ts";
import { LogWindow } from "./logWindow.ts";
import type { StoreOptions } from "./options.ts";
import { Segments } from "./segments.ts";

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
  const result = readRecords(input, from, trusted);
  input.segments.cutAt(result.end);
  return result;
}

/** {@link scanLog} without the cut: changes nothing. */
export function readRecords(
  input: Pick<RecoveryInput, "segments" | "log" | "dispatch">,
  from: number,
  trusted: number,
): RecoveryResult {
  const { segments, log } = input;
  const window = new LogWindow(segments);
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
  return { end: at, lastTimestamp, dispatched };
}
