/**
 * Derives consume queues, index and checkpoint of a store from its log into another directory: {@link deriveAnew} is recovery's own
 * code on a store that has nothing but a log. The log is only read.
 */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { RecordView } from "../message/record.ts";
import { type DeliverTime, DerivedFiles } from "./derivedFiles.ts";
import { DirNames } from "./dirNames.ts";
import type { Disk } from "./disk.ts";
import { FileCache } from "./fileCache.ts";
import type { StoreOptions } from "./options.ts";
import { OverlayDisk } from "./overlayDisk.ts";
import { readRecords } from "./recovery.ts";
import { Segments } from "./segments.ts";
import { WriteGate } from "./writeGate.ts";

/** Messages between two rounds of writing. */
const ROUND = 100_000;

export interface Derived {
  messages: number;
  /** Behind the last whole message. */
  end: number;
  queues: { topic: string; queueId: number }[];
}

/**
 * @param options the store's; `storePathCommitLog` names its log
 * @param target directory that gets consumequeue, index and checkpoint, all synced
 * @param trusted damage below this log offset is passed over, the log ends at the first behind
 * @param wanted whether a message is listed at all
 * @throws what the disk throws; the target is then of no use
 */
export async function deriveAnew(
  disk: Disk,
  clock: Clock,
  log: Logger,
  options: StoreOptions,
  target: string,
  trusted: number,
  deliverTime: DeliverTime,
  wanted: (view: RecordView) => boolean,
): Promise<Derived> {
  // Short files of the log are lengthened in memory only.
  const scratch = new OverlayDisk(disk);
  const logCache = new FileCache(scratch, 8);
  const logDir = options.storePathCommitLog ?? "";
  const segments = new Segments(scratch, logCache, new DirNames(scratch), logDir, options.mappedFileSizeCommitLog);
  segments.load((start) => start < trusted);
  const cache = new FileCache(disk, 256);
  const gate = new WriteGate();
  const derived = new DerivedFiles({
    disk,
    clock,
    log,
    cache,
    gate,
    options: { ...options, storePathRootDir: target },
    deliverTime,
  });
  let messages = 0;
  let lastTimestamp = 0;
  let end = segments.firstOffset;
  try {
    const dispatch = (view: RecordView) => {
      lastTimestamp = view.storeTimestamp;
      if (!wanted(view)) return;
      derived.redispatch(view, true);
      if (++messages % ROUND === 0) derived.index?.flush();
    };
    end = readRecords({ segments, log, dispatch }, segments.firstOffset, Math.min(trusted, segments.endOffset)).end;
    derived.attach({
      start: () => segments.firstOffset,
      granted: () => end,
      lastTimestamp: () => lastTimestamp,
      synced: () => end,
      sync: async () => {},
    });
    if (!(await derived.lastCheckpoint())) {
      throw new Error(`the new files could not be written: ${gate.state().reason || "see the log"}`);
    }
  } finally {
    derived.index?.close();
    cache.closeAll();
    logCache.closeAll();
  }
  return { messages, end, queues: [...derived.queues.all()].map(({ topic, queueId }) => ({ topic, queueId })) };
}
