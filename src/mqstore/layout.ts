/**
 * Where the parts of a store lie and how large their files are: from broker.conf where one is given, otherwise from the files
 * themselves, so that a directory can be looked at without knowing how its broker was configured.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { readInt64OrMinus1 } from "../base/int64.ts";
import { DelayLevels } from "../broker/delayLevels.ts";
import type { BrokerConfig } from "../config/index.ts";
import type { Disk } from "../store/disk.ts";
import { IndexFile } from "../store/indexFile.ts";
import { STORE_DEFAULTS, type StoreOptions } from "../store/options.ts";

/** MessageStoreConfig.messageDelayLevel */
const DELAY_LEVELS = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";
const SEGMENT_NAME = /^\d{20}$/;
const INDEX_NAME = /^\d{17}$/;
const INDEX_HEADER_BYTES = 40;
const INDEX_ENTRY_BYTES = 20;
const UNIT_BYTES = 20;
const CHUNK_BYTES = 1024 * 1024;

export interface Layout {
  root: string;
  logDir: string;
  queueDir: string;
  indexDir: string;
  configDir: string;
  timerLogDir: string;
  options: StoreOptions;
  levels: DelayLevels;
  /** Whether {@link levels} are the broker's own or only the default. */
  levelsKnown: boolean;
  timerPrecisionMs: number;
  mappedFileSizeTimerLog: number;
}

/** @param config the broker's configuration; undefined: sizes are read off the files, all else is the default */
export function readLayout(disk: Disk, root: string, config: BrokerConfig | undefined): Layout {
  const options: StoreOptions = { ...STORE_DEFAULTS, ...(config === undefined ? {} : storeOptions(config)) };
  options.storePathRootDir = root;
  const logDir = options.storePathCommitLog || path.join(root, "commitlog");
  options.storePathCommitLog = logDir;
  const queueDir = path.join(root, "consumequeue");
  const indexDir = path.join(root, "index");
  const timerLogDir = path.join(root, "timerlog");
  let mappedFileSizeTimerLog = config?.mappedFileSizeTimerLog ?? 100 * 1024 * 1024;
  if (config === undefined) {
    options.mappedFileSizeCommitLog = largestFile(disk, logDir) || options.mappedFileSizeCommitLog;
    options.mappedFileSizeConsumeQueue = largestUnitFile(disk, queueDir) || options.mappedFileSizeConsumeQueue;
    mappedFileSizeTimerLog = largestFile(disk, timerLogDir) || mappedFileSizeTimerLog;
    const index = indexSizes(disk, indexDir);
    if (index !== undefined) Object.assign(options, index);
    options.messageIndexEnable = disk.exists(indexDir);
    options.enableLmq = true;
    options.enableMultiDispatch = true;
  }
  return {
    root,
    logDir,
    queueDir,
    indexDir,
    configDir: path.join(root, "config"),
    timerLogDir,
    options,
    levels: new DelayLevels(config?.messageDelayLevel ?? DELAY_LEVELS),
    levelsKnown: config !== undefined,
    timerPrecisionMs: config?.timerPrecisionMs ?? 1000,
    mappedFileSizeTimerLog,
  };
}

function storeOptions(config: BrokerConfig): Partial<StoreOptions> {
  const keys = Object.keys(STORE_DEFAULTS) as (keyof StoreOptions)[];
  return Object.fromEntries(keys.map((key) => [key, config[key]]));
}

/** Names of a directory's numbered files, ascending. */
export function segmentNames(disk: Disk, dir: string): string[] {
  return disk.list(dir).filter((name) => SEGMENT_NAME.test(name));
}

export function indexNames(disk: Disk, dir: string): string[] {
  return disk.list(dir).filter((name) => INDEX_NAME.test(name));
}

function largestFile(disk: Disk, dir: string): number {
  return Math.max(0, ...segmentNames(disk, dir).map((name) => disk.sizeOf(path.join(dir, name))));
}

function largestUnitFile(disk: Disk, dir: string): number {
  let largest = 0;
  for (const topic of disk.list(dir)) {
    for (const queue of disk.list(path.join(dir, topic))) {
      largest = Math.max(largest, largestFile(disk, path.join(dir, topic, queue)));
    }
  }
  return Math.floor(largest / UNIT_BYTES) * UNIT_BYTES;
}

/**
 * How many slots and entries index files have: a file's length fits many pairs, but only one lets its first and last entry be
 * those of its header. Undefined without a file that can tell.
 */
export function indexSizes(disk: Disk, dir: string): { maxHashSlotNum: number; maxIndexNum: number } | undefined {
  const standard = IndexFile.bytes(STORE_DEFAULTS.maxHashSlotNum, STORE_DEFAULTS.maxIndexNum);
  for (const name of indexNames(disk, dir)) {
    const file = path.join(dir, name);
    const bytes = disk.sizeOf(file);
    if (bytes === standard) return undefined;
    const slots = slotsOf(disk, file, bytes);
    if (slots === undefined) continue;
    return { maxHashSlotNum: slots, maxIndexNum: (bytes - INDEX_HEADER_BYTES - slots * 4) / INDEX_ENTRY_BYTES };
  }
  return undefined;
}

function slotsOf(disk: Disk, file: string, bytes: number): number | undefined {
  const opened = disk.open(file, { readOnly: true });
  try {
    const header = Buffer.alloc(INDEX_HEADER_BYTES);
    if (opened.read(header, 0, header.length, 0) < header.length) return undefined;
    const count = header.readInt32BE(36);
    if (count <= 1) return undefined;
    const unit = Buffer.alloc(INDEX_ENTRY_BYTES);
    const fits = (slots: number): boolean => {
      const at = INDEX_HEADER_BYTES + slots * 4 + (count - 1) * INDEX_ENTRY_BYTES;
      if (at + INDEX_ENTRY_BYTES > bytes) return false;
      opened.read(unit, 0, INDEX_ENTRY_BYTES, at);
      const isLast = unit.compare(header, 24, 32, 4, 12) === 0;
      const first = INDEX_HEADER_BYTES + slots * 4 + INDEX_ENTRY_BYTES;
      opened.read(unit, 0, INDEX_ENTRY_BYTES, first);
      const hasKey = unit.readInt32BE(0) > 0 || readInt64OrMinus1(unit, 4) > 0;
      return isLast && hasKey && unit.compare(header, 16, 24, 4, 12) === 0;
    };
    // Apache's proportion, which nearly everybody keeps, before all others.
    const usual = (bytes - INDEX_HEADER_BYTES) / 84;
    if (Number.isInteger(usual) && fits(usual)) return usual;
    const begin = header.subarray(16, 24);
    const chunk = Buffer.alloc(CHUNK_BYTES + 8);
    for (let at = INDEX_HEADER_BYTES; at < bytes; at += CHUNK_BYTES) {
      const got = opened.read(chunk, 0, Math.min(chunk.length, bytes - at), at);
      for (let p = chunk.indexOf(begin); p >= 0 && p + 8 <= got; p = chunk.indexOf(begin, p + 1)) {
        const slotBytes = at + p - 4 - INDEX_ENTRY_BYTES - INDEX_HEADER_BYTES;
        const slots = slotBytes / 4;
        if (!Number.isInteger(slots) || slots <= 0) continue;
        if ((bytes - INDEX_HEADER_BYTES - slotBytes) % INDEX_ENTRY_BYTES === 0 && fits(slots)) return slots;
      }
    }
    return undefined;
  } finally {
    opened.close();
  }
}
