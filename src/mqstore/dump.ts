/**
 * `mqstore dump`: the contents of a store's files as JSON lines or a table: messages, a queue's units, index entries, checkpoints,
 * small files, timers. Streams; shows what is there, also what is wrong.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { Command } from "commander";
import { isoTime } from "../base/clock.ts";
import { formatHost } from "../base/host.ts";
import { readInt64OrMinus1 } from "../base/int64.ts";
import { formatMessageId } from "../message/messageId.ts";
import { parseProperties } from "../message/properties.ts";
import type { RecordView } from "../message/record.ts";
import { type JavaValue, parseJavaJson } from "../protocol/javaJson.ts";
import { Checkpoint } from "../store/checkpoint.ts";
import { BLANK_SIZE, UNIT_BYTES } from "../store/consumeQueue.ts";
import { DirNames } from "../store/dirNames.ts";
import type { Disk } from "../store/disk.ts";
import { FileCache } from "../store/fileCache.ts";
import { LogWindow } from "../store/logWindow.ts";
import { OverlayDisk } from "../store/overlayDisk.ts";
import { TimerCheckpoint } from "../store/timer/timerCheckpoint.ts";
import { TIMER_UNIT_BYTES, TimerLog, type TimerUnit } from "../store/timer/timerLog.ts";
import { readIndexHeader } from "./indexAudit.ts";
import { indexNames, type Layout } from "./layout.ts";
import { openSegments, runsOf } from "./logAudit.ts";

const INDEX_HEADER_BYTES = 40;
const INDEX_ENTRY_BYTES = 20;
const CHUNK_UNITS = 3276;

export interface Opened {
  disk: Disk;
  layout: Layout;
}

interface DumpFlags {
  configFile?: string;
  from?: number;
  count?: number;
  topic?: string;
  queue?: number;
  key?: string;
  tag?: string;
  body?: number;
  table?: boolean;
}

type Row = Record<string, unknown>;

/** The command with its kinds of content. `integer` parses an option's value and throws when it is none. */
export function dumpCommand(
  open: (dir: string, flags: DumpFlags) => Opened,
  out: (text: string) => void,
  integer: (text: string) => number,
): Command {
  const dump = new Command("dump").description("shows what is in the files, as JSON lines or a table; never writes");
  const kind = (name: string, args: string, description: string, rows: Rows) => {
    const command = dump
      .command(`${name} ${args}`)
      .description(description)
      .option("-c, --configFile <file>", "broker.conf: sizes of files (default: read off the files)")
      .option("--table", "columns instead of JSON lines")
      .option("--from <offset>", "begin here: log offset, queue offset, entry or position", integer)
      .option("--count <n>", "show at most this many", integer);
    if (name === "log") {
      command
        .option("--topic <topic>", "only messages of this topic")
        .option("--queue <id>", "only messages of this queue", integer)
        .option("--key <key>", "only messages with this key or unique key")
        .option("--tag <tag>", "only messages with this tag");
    }
    if (name === "log" || name === "queue") {
      command.option("--body <bytes>", "show so much of each body, as text", integer);
    }
    command.action((...given: unknown[]) => {
      const flags = given.at(-2) as DumpFlags;
      const [dir, ...names] = given.slice(0, -2) as string[];
      const { disk, layout } = open(dir, flags);
      print(rows(disk, layout, flags, names), flags, out);
    });
  };
  kind("log", "<dir>", "messages of the commit log in order", logRows);
  kind("queue", "<dir> <topic> <queueId>", "units of a consume queue", queueRows);
  kind("index", "<dir>", "entries of the index files", indexRows);
  kind("checkpoint", "<dir>", "the checkpoints of store and timers", checkpointRows);
  kind("config", "<dir> [name]", "the small files below config", configRows);
  kind("timers", "<dir>", "units of the timer log", timerRows);
  return dump;
}

type Rows = (disk: Disk, layout: Layout, flags: DumpFlags, names: (string | undefined)[]) => Iterable<Row>;

function print(rows: Iterable<Row>, flags: DumpFlags, out: (text: string) => void): void {
  let left = flags.count ?? Number.POSITIVE_INFINITY;
  let widths: number[] | undefined;
  if (left <= 0) return;
  for (const row of rows) {
    if (flags.table) {
      const cells = Object.values(row).map(cell);
      if (widths === undefined) {
        const names = Object.keys(row);
        widths = cells.map((text, i) => Math.max(text.length, names[i].length));
        out(`${names.map((name, i) => name.padEnd(widths?.[i] ?? 0)).join("  ")}\n`);
      }
      out(
        `${cells
          .map((text, i) => text.padEnd(widths?.[i] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
      );
    } else {
      out(`${JSON.stringify(row)}\n`);
    }
    if (--left <= 0) return;
  }
}

function cell(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

function* logRows(disk: Disk, layout: Layout, flags: DumpFlags): Iterable<Row> {
  const { logDir, options } = layout;
  const fileBytes = options.mappedFileSizeCommitLog;
  for (const run of runsOf(disk, logDir, fileBytes)) {
    const from = flags.from ?? 0;
    if (run.end <= from) continue;
    const segments = openSegments(disk, logDir, fileBytes, run.start);
    const window = new LogWindow(segments);
    const { view } = window;
    let at = Math.max(run.start, from);
    while (segments.has(at)) {
      const check = window.read(at, false);
      if (check === "record") {
        if (isWanted(view, flags)) yield messageRow(view, flags.body);
        at += view.totalBytes;
      } else if (check === "blank") {
        at = at - (at % fileBytes) + fileBytes;
      } else {
        const next = window.findNext(at + 1, segments.endOffset);
        // Zeros up to the end are what a file that is not full has there.
        if (next >= segments.endOffset) break;
        if (at !== from) yield { logOffset: at, damaged: next - at };
        at = next;
      }
    }
  }
}

function isWanted(view: RecordView, flags: DumpFlags): boolean {
  if (flags.queue !== undefined && view.queueId !== flags.queue) return false;
  if (flags.topic !== undefined && view.topic() !== flags.topic) return false;
  if (flags.key === undefined && flags.tag === undefined) return true;
  const properties = parseProperties(view.properties());
  if (flags.tag !== undefined && properties.get("TAGS") !== flags.tag) return false;
  const keys = [...(properties.get("KEYS") ?? "").split(" "), properties.get("UNIQ_KEY")];
  return flags.key === undefined || keys.includes(flags.key);
}

function messageRow(view: RecordView, bodyBytes: number | undefined): Row {
  const row: Row = {
    logOffset: view.logOffset,
    bytes: view.totalBytes,
    topic: view.topic(),
    queueId: view.queueId,
    queueOffset: view.queueOffset,
    offsetMsgId: formatMessageId(view.storeHost(), view.logOffset),
    stored: isoTime(view.storeTimestamp),
    born: isoTime(view.bornTimestamp),
    bornHost: formatHost(view.bornHost()),
    flag: view.flag,
    sysFlag: view.sysFlag,
    reconsumeTimes: view.reconsumeTimes,
    preparedTransactionOffset: view.preparedTransactionOffset,
    bodyBytes: view.bodyBytes,
    properties: Object.fromEntries(parseProperties(view.properties())),
  };
  if (bodyBytes !== undefined) row.body = view.body().subarray(0, bodyBytes).toString("utf8");
  return row;
}

function* queueRows(disk: Disk, layout: Layout, flags: DumpFlags, names: (string | undefined)[]): Iterable<Row> {
  const [topic, queueId] = names as string[];
  const dir = path.join(layout.queueDir, topic, queueId);
  if (!disk.isDirectory(dir)) throw new Error(`${dir} is no directory: there is no such queue`);
  const segments = openSegments(disk, dir, layout.options.mappedFileSizeConsumeQueue);
  const log =
    flags.body === undefined ? undefined : openSegments(disk, layout.logDir, layout.options.mappedFileSizeCommitLog);
  const window = log === undefined ? undefined : new LogWindow(log);
  const buf = Buffer.alloc(CHUNK_UNITS * UNIT_BYTES);
  let at = Math.max(segments.firstOffset, (flags.from ?? 0) * UNIT_BYTES);
  while (segments.has(at)) {
    const got = segments.read(buf, 0, buf.length, at);
    let any = false;
    for (let p = 0; p + UNIT_BYTES <= got; p += UNIT_BYTES) {
      const logOffset = readInt64OrMinus1(buf, p);
      const bytes = buf.readInt32BE(p + 8);
      if (logOffset === 0 && bytes === 0) continue;
      any = true;
      const row: Row = {
        queueOffset: (at + p) / UNIT_BYTES,
        logOffset,
        bytes,
        tagsCode: String(buf.readBigInt64BE(p + 12)),
      };
      if (bytes === BLANK_SIZE) row.blank = true;
      else if (window !== undefined && log?.has(logOffset) && window.read(logOffset, false) === "record") {
        row.message = messageRow(window.view, flags.body);
      }
      yield row;
    }
    if (!any || got < UNIT_BYTES) return;
    at += got - (got % UNIT_BYTES);
  }
}

function* indexRows(disk: Disk, layout: Layout, flags: DumpFlags): Iterable<Row> {
  const { maxHashSlotNum } = layout.options;
  const entry = Buffer.alloc(INDEX_ENTRY_BYTES * CHUNK_UNITS);
  for (const name of indexNames(disk, layout.indexDir)) {
    const file = disk.open(path.join(layout.indexDir, name), { readOnly: true });
    try {
      const header = readIndexHeader(file);
      yield { file: name, ...header };
      for (let number = Math.max(1, flags.from ?? 1); number < header.count; ) {
        const want = Math.min(entry.length, (header.count - number) * INDEX_ENTRY_BYTES);
        const got = file.read(entry, 0, want, INDEX_HEADER_BYTES + maxHashSlotNum * 4 + number * INDEX_ENTRY_BYTES);
        if (got < INDEX_ENTRY_BYTES) break;
        for (let p = 0; p + INDEX_ENTRY_BYTES <= got; p += INDEX_ENTRY_BYTES) {
          yield {
            file: name,
            entry: number++,
            keyHash: entry.readInt32BE(p),
            logOffset: readInt64OrMinus1(entry, p + 4),
            seconds: entry.readInt32BE(p + 12),
            previous: entry.readInt32BE(p + 16),
          };
        }
      }
    } finally {
      file.close();
    }
  }
}

function* checkpointRows(disk: Disk, layout: Layout): Iterable<Row> {
  const state = new Checkpoint(disk, path.join(layout.root, "checkpoint")).read();
  yield { file: "checkpoint", ...(state ?? { unreadable: true }) };
  const timers = new TimerCheckpoint(disk, path.join(layout.configDir, "timercheck")).read();
  if (timers !== undefined) yield { file: "config/timercheck", ...timers };
}

function* configRows(disk: Disk, layout: Layout, _: DumpFlags, names: (string | undefined)[]): Iterable<Row> {
  for (const name of disk.list(layout.configDir)) {
    if (names[0] === undefined ? !/\.json$/.test(name) : name !== names[0]) continue;
    const text = disk.readAll(path.join(layout.configDir, name)).toString("utf8");
    try {
      yield { file: name, content: plain(parseJavaJson(text)) };
    } catch (error) {
      yield { file: name, unreadable: (error as Error).message };
    }
  }
}

/** As JSON has it: keys are strings. */
function plain(value: JavaValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  const name = (key: unknown) => (key instanceof Map ? JSON.stringify(plain(key)) : String(key));
  return Object.fromEntries([...value].map(([key, entry]) => [name(key), plain(entry)]));
}

function* timerRows(disk: Disk, layout: Layout, flags: DumpFlags): Iterable<Row> {
  const scratch = new OverlayDisk(disk);
  const cache = new FileCache(scratch, 4);
  const log = new TimerLog(scratch, cache, new DirNames(scratch), layout.timerLogDir, layout.mappedFileSizeTimerLog);
  log.load(() => true);
  const { segments } = log;
  const { fileBytes } = segments;
  const first = flags.from ?? 0;
  for (let start = segments.firstOffset; start < segments.endOffset; start += fileBytes) {
    for (let at = start; at < start + fileBytes; at += CHUNK_UNITS * TIMER_UNIT_BYTES) {
      const rows: Row[] = [];
      log.scan(at, Math.min(start + fileBytes, at + CHUNK_UNITS * TIMER_UNIT_BYTES), (unit) => {
        if (unit.position >= first) rows.push(timerRow(unit));
      });
      yield* rows;
    }
  }
  cache.closeAll();
}

function timerRow(unit: TimerUnit): Row {
  return {
    position: unit.position,
    previous: unit.prevPosition,
    due: isoTime(unit.slotTime),
    entered: isoTime(unit.enqueueTime),
    logOffset: unit.logOffset,
    bytes: unit.bytes,
    rolls: unit.rolls,
    recalls: unit.deletes,
  };
}
