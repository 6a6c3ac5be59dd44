/**
 * What a start would do to a store, done by the same code that does it, on a copy in memory: {@link rehearseStart} runs recovery on
 * an overlay and hands over what it logged and the disk as it would be afterwards. The store itself is only read.
 */
import * as path from "node:path";
import type { Clock } from "../base/clock.ts";
import { collectingLogger, type LogLine } from "../base/log.ts";
import { type DeliverTime, DerivedFiles } from "./derivedFiles.ts";
import { DirNames } from "./dirNames.ts";
import type { Disk } from "./disk.ts";
import { FileCache } from "./fileCache.ts";
import type { StoreOptions } from "./options.ts";
import { OverlayDisk, OverlayFull } from "./overlayDisk.ts";
import { recoverStore } from "./recovery.ts";
import { WriteGate } from "./writeGate.ts";

const OPEN_FILES_MAX = 256;

export interface Rehearsal {
  /** The store as the start would leave it. */
  disk: OverlayDisk;
  /** What recovery logs, in order. */
  lines: LogLine[];
  /** "done": the start succeeds. "refused": it throws {@link reason}. "too large": it rebuilds more than may be kept in memory. */
  outcome: "done" | "refused" | "too large";
  reason: string;
  /** Log offset of the next message after the start; -1 unless done. */
  end: number;
}

/** @param memoryMax bytes that the start may write before it is given up as "too large" */
export async function rehearseStart(
  disk: Disk,
  clock: Clock,
  options: StoreOptions,
  deliverTime: DeliverTime | undefined,
  memoryMax: number,
): Promise<Rehearsal> {
  const overlay = new OverlayDisk(disk, memoryMax);
  const lines: LogLine[] = [];
  const log = collectingLogger((line) => lines.push(line));
  const cache = new FileCache(overlay, OPEN_FILES_MAX);
  const derived = new DerivedFiles({ disk: overlay, clock, log, cache, gate: new WriteGate(), options, deliverTime });
  const rehearsal: Rehearsal = { disk: overlay, lines, outcome: "done", reason: "", end: -1 };
  try {
    const { segments, end, lastTimestamp } = await recoverStore({
      disk: overlay,
      clock,
      log,
      cache,
      names: new DirNames(overlay),
      options,
      derived,
      clean: !disk.exists(path.join(options.storePathRootDir, "abort")),
    });
    derived.attach({
      start: () => segments.firstOffset,
      granted: () => end,
      lastTimestamp: () => lastTimestamp,
      synced: () => end,
      sync: async () => {},
    });
    // Units and entries that recovery only has in memory.
    if (!(await derived.lastCheckpoint())) rehearsal.outcome = "too large";
    rehearsal.end = end;
  } catch (error) {
    rehearsal.outcome = error instanceof OverlayFull ? "too large" : "refused";
    rehearsal.reason = (error as Error).message;
  } finally {
    derived.index?.close();
    cache.closeAll();
  }
  return rehearsal;
}
