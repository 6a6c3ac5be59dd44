/**
 * The files of exact-time timers: every slot of the wheel that is still to come must chain through units of its time that the log
 * holds, each of a message that is in the commit log. How a start takes them is shown by opening them on an overlay.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import type { Clock } from "../base/clock.ts";
import { collectingLogger, type LogLine } from "../base/log.ts";
import { DirNames } from "../store/dirNames.ts";
import type { Disk } from "../store/disk.ts";
import { FileCache } from "../store/fileCache.ts";
import { OverlayDisk } from "../store/overlayDisk.ts";
import type { Segments } from "../store/segments.ts";
import { TimerCheckpoint } from "../store/timer/timerCheckpoint.ts";
import { TimerFiles } from "../store/timer/timerFiles.ts";
import { TimerLog, TimerUnit } from "../store/timer/timerLog.ts";
import { TimerWheel } from "../store/timer/timerWheel.ts";
import type { Findings } from "./findings.ts";
import type { Layout } from "./layout.ts";
import { type LogFacts, openSegments } from "./logAudit.ts";

const AREA = "timers";

export interface TimerFacts {
  /** Whether there are any such files. */
  present: boolean;
  /** Messages that wait in the wheel. */
  waiting: number;
  /** Messages of rmq_sys_wheel_timer below this queue offset are in the wheel. */
  queueOffset: number;
}

export async function auditTimers(disk: Disk, layout: Layout, log: LogFacts, findings: Findings): Promise<TimerFacts> {
  const file = path.join(layout.configDir, "timercheck");
  const noted = new TimerCheckpoint(disk, file).read();
  const facts: TimerFacts = { present: noted !== undefined, waiting: 0, queueOffset: noted?.lastTimerQueueOffset ?? 0 };
  if (noted === undefined) {
    if (disk.exists(layout.timerLogDir)) {
      const what = "there is none beside a timer log: a start enters everything again from rmq_sys_wheel_timer";
      findings.add("repair", AREA, "no checkpoint", file, what);
    }
    return facts;
  }
  if (noted.lastReadTimeMs < 0 || noted.lastTimerQueueOffset < 0 || noted.lastTimerLogFlushPos < 0) {
    findings.add("problem", AREA, "checkpoint", file, "it holds numbers below zero");
    return facts;
  }
  const scratch = new OverlayDisk(disk);
  const cache = new FileCache(scratch, 16);
  const names = new DirNames(scratch);
  const wheel = new TimerWheel(scratch, names, path.join(layout.root, "timerwheel"), layout.timerPrecisionMs);
  const timerLog = new TimerLog(scratch, cache, names, layout.timerLogDir, layout.mappedFileSizeTimerLog);
  try {
    for (const repair of timerLog.load(() => true)) findings.add("problem", AREA, "files", layout.timerLogDir, repair);
    if (wheel.load(noted.lastReadTimeMs) === "damaged") {
      findings.add("problem", AREA, "wheel", wheel.path, "another length than any wheel");
      return facts;
    }
    let segments: Segments | undefined;
    if (log.messages > 0) segments = openSegments(disk, layout.logDir, layout.options.mappedFileSizeCommitLog);
    await walkSlots(wheel, timerLog, segments, log, findings, noted.lastReadTimeMs);
    facts.waiting = wheel.total;
  } catch (error) {
    findings.add(
      "lost",
      AREA,
      "unusable files",
      layout.timerLogDir,
      `timers do not start: ${(error as Error).message}`,
    );
  } finally {
    wheel.close();
    cache.closeAll();
  }
  return facts;
}

async function walkSlots(
  wheel: TimerWheel,
  timerLog: TimerLog,
  segments: Segments | undefined,
  log: LogFacts,
  findings: Findings,
  fromMs: number,
): Promise<void> {
  const unit = new TimerUnit();
  const head = Buffer.alloc(8);
  for (const time of [...wheel.times()]) {
    if (time < fromMs || !wheel.find(time)) continue;
    const { firstPosition, lastPosition, num } = wheel;
    let count = 0;
    let at = lastPosition;
    let broken = "";
    while (at >= 0 && broken === "") {
      if (!(await timerLog.read(at, unit))) broken = `no unit at position ${at} of the timer log`;
      else if (wheelTime(unit.slotTime, wheel.precisionMs) !== wheelTime(time, wheel.precisionMs)) {
        broken = `the unit at ${at} belongs to ${unit.slotTime}`;
      } else {
        count += unit.deletes ? -1 : 1;
        if (!isMessage(segments, log, unit, head)) {
          const what = `the timer of ${time} (unit ${at}) names log offset ${unit.logOffset}, ${unit.bytes} bytes: no such message`;
          findings.add("problem", AREA, "no message", timerLog.segments.dir, what);
        }
        if (at === firstPosition) break;
        at = unit.prevPosition;
      }
    }
    if (broken !== "") {
      findings.add("problem", AREA, "broken chain", wheel.path, `slot of ${time} (${num} timers): ${broken}`);
    } else if (count !== num) {
      const what = `slot of ${time} counts ${num} timers, its chain has ${count}`;
      findings.add("note", AREA, "slot count", wheel.path, what);
    }
  }
}

const wheelTime = (timeMs: number, precisionMs: number): number => Math.floor(timeMs / precisionMs);

function isMessage(segments: Segments | undefined, log: LogFacts, unit: TimerUnit, head: Buffer): boolean {
  // Retention may have taken it; then nobody misses it.
  if (unit.logOffset < log.first) return true;
  if (segments === undefined || segments.read(head, 0, 8, unit.logOffset) < 8) return false;
  return head.readInt32BE(0) === unit.bytes;
}

/** How a start takes the files: "exact", by Apache's rule, or built again; and what it logs about it. */
export async function rehearseTimers(
  disk: Disk,
  clock: Clock,
  layout: Layout,
): Promise<{ kind: string; pending: number; lines: LogLine[] }> {
  const lines: LogLine[] = [];
  const files = new TimerFiles({
    disk: new OverlayDisk(disk),
    clock,
    log: collectingLogger((line) => lines.push(line)),
    root: layout.root,
    timerPrecisionMs: layout.timerPrecisionMs,
    mappedFileSizeTimerLog: layout.mappedFileSizeTimerLog,
  });
  try {
    const { kind } = await files.open();
    return { kind, pending: files.pending, lines };
  } catch (error) {
    return { kind: `refused: ${(error as Error).message}`, pending: 0, lines };
  } finally {
    files.close();
  }
}
