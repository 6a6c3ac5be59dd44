/**
 * Reads a whole commit log in order and says what is not as a broker writes it: damaged records, zeros in the middle, missing
 * files, bytes behind the end. Every good record is shown once. Memory: one window.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { bodyCrc32 } from "../base/crc32.ts";
import { BLANK_BYTES, MAGIC_BLANK, MAGIC_V1, MAGIC_V2, RECORD_BYTES_MIN, type RecordView } from "../message/record.ts";
import { DirNames } from "../store/dirNames.ts";
import type { Disk } from "../store/disk.ts";
import { FileCache } from "../store/fileCache.ts";
import { LogWindow } from "../store/logWindow.ts";
import { OverlayDisk } from "../store/overlayDisk.ts";
import { Segments } from "../store/segments.ts";
import type { Findings } from "./findings.ts";
import { type Layout, segmentNames } from "./layout.ts";

const AREA = "log";
const RECORD_MAGIC = Buffer.from([0xda, 0xa3, 0x20]);
const BLANK_MAGIC = Buffer.from([0xcb, 0xd4, 0x31, 0x94]);
const HOLES_MAX = 10_000;

/** Bytes of the log that hold no message although messages follow. */
export interface Hole {
  from: number;
  to: number;
  /** Good messages before it. */
  before: number;
}

export interface LogFacts {
  files: number;
  /** Log offset of the first byte that is still there. */
  first: number;
  /** Behind the last good record. */
  end: number;
  messages: number;
  bytes: number;
  firstTimestamp: number;
  lastTimestamp: number;
  /** At most {@link HOLES_MAX}. */
  holes: Hole[];
}

/** Opens a run of numbered files for reading; what `load` repairs stays in memory. @throws as {@link Segments.load} */
export function openSegments(disk: Disk, dir: string, fileBytes: number, runStart?: number): Segments {
  const scratch = new OverlayDisk(disk);
  const segments = new Segments(scratch, new FileCache(scratch, 4), new DirNames(scratch), dir, fileBytes);
  segments.load(runStart === undefined ? undefined : (start) => start === runStart);
  return segments;
}

/** First offsets of the runs of files without a hole between them. */
export function runsOf(disk: Disk, dir: string, fileBytes: number): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  for (const start of segmentNames(disk, dir).map(Number)) {
    const last = runs.at(-1);
    if (last !== undefined && last.end === start) last.end = start + fileBytes;
    else runs.push({ start, end: start + fileBytes });
  }
  return runs;
}

export function auditLog(disk: Disk, layout: Layout, findings: Findings, show: (view: RecordView) => void): LogFacts {
  const { logDir, options } = layout;
  const fileBytes = options.mappedFileSizeCommitLog;
  const facts: LogFacts = {
    files: 0,
    first: 0,
    end: 0,
    messages: 0,
    bytes: 0,
    firstTimestamp: 0,
    lastTimestamp: 0,
    holes: [],
  };
  for (const name of disk.list(logDir)) {
    if (!/^\d{20}$/.test(name)) findings.add("note", AREA, "other file", path.join(logDir, name), "no file of the log");
  }
  const runs = runsOf(disk, logDir, fileBytes);
  if (runs.length === 0) {
    findings.add("note", AREA, "empty", logDir, "there is no commit log file");
    return facts;
  }
  facts.first = runs[0].start;
  for (const [i, run] of runs.entries()) {
    facts.files += (run.end - run.start) / fileBytes;
    if (i > 0) {
      const from = runs[i - 1].end;
      const what = `files of the log are missing: nothing between ${from} and ${run.start}, ${run.start - from} bytes`;
      findings.add("lost", AREA, "missing files", logDir, what);
      facts.holes.push({ from, to: run.start, before: facts.messages });
    }
    checkSizes(disk, logDir, run, fileBytes, i === runs.length - 1, findings);
    let segments: Segments;
    try {
      segments = openSegments(disk, logDir, fileBytes, run.start);
    } catch (error) {
      findings.add("lost", AREA, "unusable files", logDir, `no broker starts on it: ${(error as Error).message}`);
      return facts;
    }
    new RunReader(segments, findings, facts, show, i === runs.length - 1).read();
  }
  return facts;
}

function checkSizes(
  disk: Disk,
  dir: string,
  run: { start: number; end: number },
  fileBytes: number,
  newest: boolean,
  findings: Findings,
): void {
  for (let start = run.start; start < run.end; start += fileBytes) {
    const file = path.join(dir, String(start).padStart(20, "0"));
    const size = disk.sizeOf(file);
    if (size === fileBytes) continue;
    const last = newest && start + fileBytes === run.end;
    const what = `${size} bytes instead of ${fileBytes}: Apache refuses to start, Skylark sets the length`;
    findings.add(last ? "repair" : "problem", AREA, "short file", file, what);
  }
}

class RunReader {
  readonly #segments: Segments;
  readonly #findings: Findings;
  readonly #facts: LogFacts;
  readonly #show: (view: RecordView) => void;
  readonly #newest: boolean;
  readonly #window: LogWindow;

  constructor(
    segments: Segments,
    findings: Findings,
    facts: LogFacts,
    show: (view: RecordView) => void,
    newest: boolean,
  ) {
    this.#segments = segments;
    this.#findings = findings;
    this.#facts = facts;
    this.#show = show;
    this.#newest = newest;
    this.#window = new LogWindow(segments);
  }

  read(): void {
    const segments = this.#segments;
    const facts = this.#facts;
    const { view } = this.#window;
    const { fileBytes } = segments;
    let at = segments.firstOffset;
    while (segments.has(at)) {
      const check = this.#window.read(at, false);
      if (check === "record") {
        if (facts.messages === 0) facts.firstTimestamp = view.storeTimestamp;
        facts.messages++;
        facts.bytes += view.totalBytes;
        facts.lastTimestamp = Math.max(facts.lastTimestamp, view.storeTimestamp);
        this.#show(view);
        at += view.totalBytes;
        facts.end = at;
      } else if (check === "blank") {
        at = at - (at % fileBytes) + fileBytes;
        facts.end = at;
      } else {
        const next = this.#next(at);
        if (next === undefined) {
          this.#ends(at);
          return;
        }
        this.#hole(at, next);
        at = next;
      }
    }
  }

  #hole(at: number, next: number): void {
    const { holes, messages } = this.#facts;
    if (holes.length < HOLES_MAX) holes.push({ from: at, to: next, before: messages });
    const reason = describeDamage(this.#window, at, this.#segments.fileBytes);
    const what = `${next - at} bytes at log offset ${at} are no message (${reason}); the next one is at ${next}`;
    this.#findings.add("lost", AREA, "damaged record", this.#segments.fileOf(at), what);
  }

  /** Nothing readable follows: the end of the log, whole or torn. */
  #ends(at: number): void {
    const left = this.#nonZeroFrom(at);
    if (left < 0) return;
    const file = this.#segments.fileOf(at);
    const reason = describeDamage(this.#window, at, this.#segments.fileBytes);
    if (this.#newest) {
      const what = `the log ends at ${at} with bytes that are no whole message (${reason}): a start cuts them off`;
      this.#findings.add("problem", AREA, "torn tail", file, what);
    } else {
      this.#findings.add("lost", AREA, "damaged record", file, `nothing readable from ${at} on (${reason})`);
    }
  }

  /** Where the first byte other than zero lies at or behind `at`; -1 when there is none. */
  #nonZeroFrom(at: number): number {
    const zeros = Buffer.alloc(64 * 1024);
    for (let p = at; this.#segments.has(p); ) {
      const bytes = this.#window.bytesFrom(p);
      if (bytes.length === 0) break;
      for (let i = 0; i < bytes.length; i += zeros.length) {
        const end = Math.min(bytes.length, i + zeros.length);
        if (bytes.compare(zeros, 0, end - i, i, end) !== 0) return p + i;
      }
      p += bytes.length;
    }
    return -1;
  }

  /** The next place behind `at` where a message or a file's end stands that knows its own place. */
  #next(at: number): number | undefined {
    const segments = this.#segments;
    const { fileBytes } = segments;
    let from = at + 1;
    while (segments.has(from)) {
      const bytes = this.#window.bytesFrom(from);
      const fileEnd = from - (from % fileBytes) + fileBytes;
      if (bytes.length < BLANK_BYTES) {
        // The window's last bytes: look at them again together with what follows.
        if (from + bytes.length >= fileEnd || bytes.length === 0) {
          from = fileEnd;
          if (segments.has(from) && isGood(this.#window.read(from, false))) return from;
          from++;
        } else {
          if (isGood(this.#window.read(from, false))) return from;
          from++;
        }
        continue;
      }
      const place = firstMagic(bytes);
      if (place < 0) {
        from += bytes.length - BLANK_BYTES + 1;
        continue;
      }
      const candidate = from + place - 4;
      if (isGood(this.#window.read(candidate, false))) return candidate;
      from = candidate + 1;
    }
    return undefined;
  }
}

function isGood(check: string): boolean {
  return check === "record" || check === "blank";
}

/** Where the first magic stands that leaves room for the size before it; -1 without one. */
function firstMagic(bytes: Buffer): number {
  const record = bytes.indexOf(RECORD_MAGIC, 4);
  const blank = bytes.indexOf(BLANK_MAGIC, 4);
  if (record < 0 || blank < 0) return Math.max(record, blank);
  return Math.min(record, blank);
}

/** Why the bytes at a log offset are no record, in a few words. */
export function describeDamage(window: LogWindow, at: number, fileBytes: number): string {
  const bytes = Buffer.from(window.bytesFrom(at));
  if (bytes.length < BLANK_BYTES) return "the file ends";
  const size = bytes.readInt32BE(0);
  const magic = bytes.readInt32BE(4);
  if (size === 0 && magic === 0) return "zeros";
  if (magic === MAGIC_BLANK) return `a file's end with the size ${size} in the wrong place`;
  if (magic !== MAGIC_V1 && magic !== MAGIC_V2) return `magic ${(magic >>> 0).toString(16)}`;
  if (size < RECORD_BYTES_MIN || (at % fileBytes) + size > fileBytes) return `size ${size}`;
  window.read(at, false);
  const { view } = window;
  if (view.at < 0 || view.totalBytes !== size || view.buf.length < view.at + size) return "it is cut off";
  const body = view.bodyAt + view.bodyBytes <= view.at + size && view.bodyBytes >= 0;
  if (!body) return `body length ${view.bodyBytes}`;
  if (view.logOffset !== at) return `it says that it lies at ${view.logOffset}`;
  const crc = bodyCrc32(view.buf, view.bodyAt, view.bodyAt + view.bodyBytes);
  const noted = view.buf.readInt32BE(view.at + 8);
  if (view.bodyBytes > 0 && crc !== noted) return `the body's CRC is ${crc}, the record says ${noted}`;
  if (!view.isPlausible()) return "its topic or its queue cannot be a writer's";
  return "its lengths do not fit together";
}
