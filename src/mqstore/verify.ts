/**
 * `mqstore verify`: audits a store, rehearses the start of a broker on it in memory, and audits what that would leave. What the
 * second audit still finds, no start mends.
 */
import * as path from "node:path";
import type { Clock } from "../base/clock.ts";
import type { LogLine } from "../base/log.ts";
import type { Disk } from "../store/disk.ts";
import { readOnlyDisk } from "../store/readOnlyDisk.ts";
import { type Rehearsal, rehearseStart } from "../store/rehearsal.ts";
import { type Audit, auditStore } from "./audit.ts";
import { waitingByLevel } from "./configAudit.ts";
import type { Finding } from "./findings.ts";
import { type Layout, segmentNames } from "./layout.ts";
import { rehearseTimers } from "./timerAudit.ts";

/** Nothing is wrong. */
export const EXIT_SOUND = 0;
/** Something is wrong, and the next start mends it; nothing is lost. */
export const EXIT_REPAIRED_AT_START = 1;
/** Something is lost, stays wrong, or keeps a broker from starting. */
export const EXIT_DAMAGED = 2;

/** A start may write so much in a rehearsal; who rebuilds more is believed without. */
const REHEARSAL_BYTES_MAX = 512 * 1024 * 1024;
/** How many of the newest files Apache reads again after a clean stop (CommitLog.recoverNormally). */
const APACHE_CLEAN_FILES = 3;

export interface Verdict {
  status: number;
  /** Held by a running broker: the newest messages may be judged wrongly. */
  live: boolean;
  audit: Audit;
  findings: Finding[];
  leftOut: [kind: string, count: number][];
  /** What the start of a broker will do, a sentence each. */
  atStart: string[];
  facts: Record<string, unknown>;
}

/** @param live a broker runs on the store */
export async function verifyStore(disk: Disk, clock: Clock, layout: Layout, live: boolean): Promise<Verdict> {
  const store = readOnlyDisk(disk);
  const audit = await auditStore(store, layout);
  const { findings } = audit;
  const deliverTime = (level: number, storeTimestamp: number) => layout.levels.deliverTime(level, storeTimestamp);
  const rehearsal = await rehearseStart(store, clock, layout.options, deliverTime, REHEARSAL_BYTES_MAX);
  const atStart = describeStart(rehearsal);
  const timers = audit.timers.present ? await rehearseTimers(store, clock, layout) : undefined;
  for (const line of timers?.lines ?? []) {
    findings.add("repair", "timers", "built again", layout.timerLogDir, sentence(line));
    atStart.push(`timers: ${sentence(line)}`);
  }
  if (timers?.kind.startsWith("refused")) findings.add("lost", "timers", "start", layout.timerLogDir, timers.kind);
  if (rehearsal.outcome === "refused") {
    findings.add("lost", "directory", "start", layout.root, `Skylark does not start on it: ${rehearsal.reason}`);
  }
  const cut = messagesCut(audit, rehearsal);
  if (cut > 0) {
    const what = `${cut} messages behind log offset ${rehearsal.end} are cut off by the next start`;
    findings.add("lost", "log", "cut", layout.logDir, what);
  }
  atStart.push(...apacheStart(audit, layout, store));
  const remaining = await remainingProblems(audit, rehearsal, layout);
  if (remaining.length > 0) atStart.push(...remaining.map((text) => `not mended by a start: ${text}`));
  const { leftOut, examples } = { leftOut: findings.leftOut(), examples: findings.examples };
  let status = EXIT_SOUND;
  if (findings.of("lost") > 0 || remaining.length > 0) status = EXIT_DAMAGED;
  else if (findings.of("problem") + findings.of("repair") > 0) status = EXIT_REPAIRED_AT_START;
  else if (!audit.clean && !live) status = EXIT_REPAIRED_AT_START;
  return { status, live, audit, findings: examples, leftOut, atStart, facts: factsOf(audit, timers?.pending) };
}

function describeStart(rehearsal: Rehearsal): string[] {
  const said = rehearsal.lines.map((line) => sentence(line));
  if (rehearsal.outcome === "too large")
    said.push("derived files are built again from the log (more than is tried here)");
  return said;
}

function sentence(line: LogLine): string {
  const { level: _, msg, repair, ...fields } = line;
  if (repair !== undefined) return String(repair);
  const rest = Object.entries(fields).filter(([name]) => name !== "ms");
  return rest.length === 0 ? msg : `${msg} (${rest.map(([name, value]) => `${name} ${value}`).join(", ")})`;
}

/** Good messages that the rehearsed start cut off. */
function messagesCut({ log }: Audit, rehearsal: Rehearsal): number {
  if (rehearsal.outcome !== "done" || rehearsal.end >= log.end) return 0;
  const hole = log.holes.find(({ to }) => to > rehearsal.end);
  return hole === undefined ? 0 : log.messages - hole.before;
}

/** Apache 5.5.0 reads its newest files only, and cuts the log at the first damage in them. */
function apacheStart(audit: Audit, layout: Layout, disk: Disk): string[] {
  if (!audit.clean || audit.log.holes.length === 0) return [];
  const starts = segmentNames(disk, layout.logDir).map(Number);
  const from = starts[Math.max(0, starts.length - APACHE_CLEAN_FILES)];
  const first = audit.log.holes.find(({ to }) => to > from);
  if (first === undefined) return ["Apache does not read where the log is damaged, and leaves it as it is"];
  const lost = audit.log.messages - first.before;
  return [`Apache cuts the log at ${first.from}: ${lost} good messages behind it are lost`];
}

/** What is still wrong after the start. */
async function remainingProblems(audit: Audit, rehearsal: Rehearsal, layout: Layout): Promise<string[]> {
  if (audit.findings.of("problem") === 0 && audit.clean) return [];
  if (rehearsal.outcome === "refused") return [];
  if (rehearsal.outcome === "too large") {
    // It gave up in the middle of building queues and index again from the log: neither will have a fault.
    const kept = audit.findings.examples.filter(
      ({ weight, area }) => weight === "problem" && !["queues", "index", "log"].includes(area),
    );
    return kept.map(({ text }) => text);
  }
  const after = await auditStore(rehearsal.disk, layout);
  return after.findings.examples
    .filter(({ weight }) => weight === "problem")
    .map(({ area, where, text }) => `${area}: ${where}: ${text}`);
}

function factsOf(audit: Audit, pendingTimers: number | undefined): Record<string, unknown> {
  const { log, checkpoint } = audit;
  const waiting = [...waitingByLevel(audit.config, audit.queues)];
  return {
    stopped: audit.clean ? "in order" : "not in order (abort is there)",
    writtenBy:
      checkpoint === undefined
        ? "unknown"
        : checkpoint.ours === undefined
          ? "Apache"
          : "Skylark, maybe Apache after it",
    logFiles: log.files,
    logFirst: log.first,
    logEnd: log.end,
    messages: log.messages,
    messageBytes: log.bytes,
    firstStored: log.firstTimestamp,
    lastStored: log.lastTimestamp,
    topics: audit.config.topics?.size ?? 0,
    groups: audit.config.groups,
    queues: audit.queues.length,
    units: audit.units,
    unitsOfMessagesInLog: audit.liveUnits,
    indexFiles: audit.indexFiles,
    indexEntries: audit.indexEntries,
    consumerOffsets: audit.config.progress.length,
    delayed: waiting.reduce((sum, [, count]) => sum + count, 0),
    delayedByLevel: Object.fromEntries(waiting),
    timers: pendingTimers ?? 0,
    halfMessages: audit.transactions.halfMessages,
    undecidedTransactions: audit.transactions.undecided,
  };
}

/** The verdict as text. */
export function describeVerdict(verdict: Verdict, root: string): string {
  const { status, findings, leftOut, atStart, facts } = verdict;
  const lines = [path.resolve(root)];
  const shown = Object.entries(facts).filter(([name]) => name !== "delayedByLevel");
  for (const [name, value] of shown) lines.push(`  ${name.padEnd(22)} ${value}`);
  if (verdict.live) lines.push("a broker runs on this store: what is said of its newest messages may be wrong");
  if (findings.length > 0) lines.push("", "found:");
  for (const { weight, area, where, text } of findings) {
    lines.push(`  ${weight.padEnd(8)} ${area.padEnd(12)} ${where}: ${text}`);
  }
  for (const [kind, count] of leftOut) lines.push(`  and ${count} more: ${kind}`);
  if (atStart.length > 0) lines.push("", "at the next start:");
  for (const text of atStart) lines.push(`  ${text}`);
  const verdicts = [
    "sound",
    "the next start mends what is wrong; nothing is lost",
    "damaged: read what is marked lost or not mended",
  ];
  lines.push("", `verdict: ${verdicts[status]} (${status})`);
  return `${lines.join("\n")}\n`;
}
