/**
 * `mqstore rebuild`: consume queues and index anew from the log. The new files are written beside and synced; then the checkpoint is
 * set back to the log's beginning, so that whatever is half done when the power goes, a start dispatches the whole log again; then
 * queue by queue and the index are renamed into place. What the log says nothing of any more (queues whose messages are all gone)
 * keeps its files: they tell its next offset.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { type Clock, localTimestamp } from "../base/clock.ts";
import { readInt64OrMinus1 } from "../base/int64.ts";
import { collectingLogger } from "../base/log.ts";
import { isCommonSystemTopic, SCHEDULE_TOPIC } from "../broker/names.ts";
import { isLmq } from "../message/lmq.ts";
import { Property, parseProperties } from "../message/properties.ts";
import type { RecordView } from "../message/record.ts";
import { Checkpoint } from "../store/checkpoint.ts";
import { UNIT_BYTES } from "../store/consumeQueue.ts";
import { ConsumeQueues } from "../store/consumeQueues.ts";
import { DirNames } from "../store/dirNames.ts";
import type { Disk } from "../store/disk.ts";
import { FileCache } from "../store/fileCache.ts";
import { OverlayDisk } from "../store/overlayDisk.ts";
import { deriveAnew } from "../store/rebuild.ts";
import type { Segments } from "../store/segments.ts";
import { readConfig } from "./configAudit.ts";
import { Findings } from "./findings.ts";
import type { Layout } from "./layout.ts";
import { auditLog, type LogFacts, openSegments } from "./logAudit.ts";

const EXIT_DONE = 0;
const EXIT_REFUSED = 2;
const NEW_DIR = "rebuild.tmp";

export interface RebuildResult {
  status: number;
  lines: string[];
}

/** @throws when the store's lock is held, or what the disk throws */
export async function rebuildStore(
  disk: Disk,
  clock: Clock,
  layout: Layout,
  options: { keepBackup: boolean },
): Promise<RebuildResult> {
  const lock = disk.lock(path.join(layout.root, "lock"));
  try {
    return await new Rebuild(disk, clock, layout).run(options.keepBackup);
  } finally {
    lock.release();
  }
}

class Rebuild {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #layout: Layout;
  readonly #new: string;
  readonly #lines: string[] = [];

  constructor(disk: Disk, clock: Clock, layout: Layout) {
    this.#disk = disk;
    this.#clock = clock;
    this.#layout = layout;
    this.#new = path.join(layout.root, NEW_DIR);
  }

  async run(keepBackup: boolean): Promise<RebuildResult> {
    const disk = this.#disk;
    const { root, options } = this.#layout;
    disk.removeTree(this.#new);
    const findings = new Findings();
    const log = auditLog(disk, this.#layout, findings, () => {});
    for (const { text, where } of findings.examples) this.#lines.push(`${where}: ${text}`);
    const abort = path.join(root, "abort");
    const clean = !disk.exists(abort);
    if (log.messages === 0) return this.#refused("the log has no message: nothing can be derived from it");
    if (!clean && log.holes.length > 0) {
      return this.#refused(
        "the log is damaged and its broker was not stopped in order: only a start can decide where it ends",
      );
    }
    const levels = new LevelCheck(disk, this.#layout);
    const { topics } = readConfig(disk, this.#layout, new Findings());
    const isListed = (topic: string) =>
      topics === undefined || topics.has(topic) || isLmq(topic) || this.#hasQueue(topic) || isSystem(topic);
    const listed = new Map<string, boolean>();
    disk.mkdir(this.#new);
    const derived = await deriveAnew(
      disk,
      this.#clock,
      collectingLogger((line) => this.#lines.push(line.msg)),
      options,
      this.#new,
      log.end,
      (level, storeTimestamp) => this.#layout.levels.deliverTime(level, storeTimestamp),
      (view) => {
        const topic = view.topic();
        let known = listed.get(topic);
        if (known === undefined) {
          known = isListed(topic);
          listed.set(topic, known);
        }
        if (known && topic === SCHEDULE_TOPIC) levels.check(view);
        return known;
      },
    );
    if (levels.wrong > 0 && !this.#layout.levelsKnown) {
      disk.removeTree(this.#new);
      return this.#refused(
        `${levels.wrong} delayed messages are due at other times than the default messageDelayLevel says: give the broker's configuration with -c`,
      );
    }
    const skipped = [...listed].filter(([, known]) => !known).map(([topic]) => topic);
    if (skipped.length > 0) this.#lines.push(`left out, deleted topics: ${skipped.join(", ")}`);
    const backup = path.join(root, `rebuild-backup-${localTimestamp(this.#clock.now())}`);
    await this.#swap(derived.queues, backup, log);
    await this.#finish(clean, abort);
    if (!keepBackup) disk.removeTree(backup);
    this.#lines.push(
      `${derived.messages} messages in ${derived.queues.length} queues${options.messageIndexEnable ? " and the index" : ""} derived up to log offset ${derived.end}`,
    );
    this.#lines.push(keepBackup ? `the old files are in ${backup}` : "the old files are removed");
    return { status: EXIT_DONE, lines: this.#lines };
  }

  #refused(reason: string): RebuildResult {
    return { status: EXIT_REFUSED, lines: [...this.#lines, `nothing was changed: ${reason}`] };
  }

  #hasQueue(topic: string): boolean {
    return this.#disk.list(path.join(this.#layout.queueDir, topic)).length > 0;
  }

  /** From the first rename to the last, the checkpoint says that nothing is derived. */
  async #swap(queues: readonly { topic: string; queueId: number }[], backup: string, log: LogFacts): Promise<void> {
    const disk = this.#disk;
    const { root, queueDir, indexDir, options } = this.#layout;
    const names = new DirNames(disk);
    disk.open(path.join(root, "abort"), { create: true }).close();
    names.changed(root);
    await names.sync();
    const checkpoint = path.join(root, "checkpoint");
    if (disk.exists(checkpoint)) {
      names.mkdir(backup);
      const copy = disk.open(path.join(backup, "checkpoint"), { create: true });
      const bytes = disk.readAll(checkpoint);
      copy.write(bytes, 0, bytes.length, 0);
      await copy.sync();
      copy.close();
    }
    await new Checkpoint(disk, checkpoint).beginRebuild(log.first, log.end);
    for (const { topic, queueId } of queues) {
      const fresh = path.join(this.#new, "consumequeue", topic, String(queueId));
      if (!disk.exists(fresh)) continue;
      this.#move(
        path.join(queueDir, topic, String(queueId)),
        path.join(backup, "consumequeue", topic, String(queueId)),
        names,
      );
      this.#move(fresh, path.join(queueDir, topic, String(queueId)), names);
    }
    if (options.messageIndexEnable) {
      this.#move(indexDir, path.join(backup, "index"), names);
      this.#move(path.join(this.#new, "index"), indexDir, names);
    }
    await names.sync();
  }

  #move(from: string, to: string, names: DirNames): void {
    if (!this.#disk.exists(from)) return;
    names.mkdir(path.dirname(to));
    this.#disk.rename(from, to);
    names.changed(path.dirname(from));
    names.changed(path.dirname(to));
  }

  /** Everything is in its place: the new checkpoint counts also the queues that kept their files. */
  async #finish(clean: boolean, abort: string): Promise<void> {
    const disk = this.#disk;
    const { root, queueDir, options } = this.#layout;
    const scratch = new OverlayDisk(disk);
    const cache = new FileCache(scratch, 256);
    const queues = new ConsumeQueues(
      scratch,
      cache,
      new DirNames(scratch),
      queueDir,
      options.mappedFileSizeConsumeQueue,
    );
    queues.load(Number.POSITIVE_INFINITY);
    const made = new Checkpoint(disk, path.join(this.#new, "checkpoint")).read();
    if (made?.ours === undefined) throw new Error("the new checkpoint cannot be read back");
    const ours = { ...made.ours, queueUnits: queues.sumOfMax(), queueFirstUnits: queues.sumOfFirst() };
    cache.closeAll();
    await new Checkpoint(disk, path.join(root, "checkpoint")).write({ ...made, ours });
    if (clean) {
      disk.remove(abort);
      await disk.syncDir(root);
    }
    disk.removeTree(this.#new);
    await disk.syncDir(root);
  }
}

function isSystem(topic: string): boolean {
  return isCommonSystemTopic(topic) || topic === SCHEDULE_TOPIC || topic.startsWith("rmq_sys_");
}

/** Whether the units of delayed messages say what the delay levels say; they cannot be made without knowing them. */
class LevelCheck {
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #queues = new Map<number, Segments | undefined>();
  readonly #unit = Buffer.alloc(UNIT_BYTES);
  wrong = 0;

  constructor(disk: Disk, layout: Layout) {
    this.#disk = disk;
    this.#layout = layout;
  }

  check(view: RecordView): void {
    const level = parseProperties(view.properties()).get(Property.DELAY_TIME_LEVEL);
    const segments = this.#queue(view.queueId);
    if (level === undefined || segments === undefined) return;
    if (segments.read(this.#unit, 0, UNIT_BYTES, view.queueOffset * UNIT_BYTES) < UNIT_BYTES) return;
    if (readInt64OrMinus1(this.#unit, 0) !== view.logOffset) return;
    const due = this.#layout.levels.deliverTime(Number(level), view.storeTimestamp);
    if (readInt64OrMinus1(this.#unit, 12) !== due) this.wrong++;
  }

  #queue(queueId: number): Segments | undefined {
    if (!this.#queues.has(queueId)) {
      const dir = path.join(this.#layout.queueDir, SCHEDULE_TOPIC, String(queueId));
      let segments: Segments | undefined;
      try {
        segments = openSegments(this.#disk, dir, this.#layout.options.mappedFileSizeConsumeQueue);
      } catch {
        // Unusable files say nothing of levels.
      }
      this.#queues.set(queueId, segments);
    }
    return this.#queues.get(queueId);
  }
}
