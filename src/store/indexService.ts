/**
 * All IndexFiles of the store: keys staged at append, put when their message is granted, queried newest first
 * (Apache: IndexService). Derived data: on a full disk its keys wait, it never holds up a send.
 */
import type { Buffer } from "node:buffer";
import * as path from "node:path";
import { type Clock, localTimestamp } from "../base/clock.ts";
import { javaHashCode, javaHashUtf8 } from "../base/javaHash.ts";
import type { Logger } from "../base/log.ts";
import type { MessageDraft } from "../message/draft.ts";
import type { PropertyScan } from "../message/propertyScan.ts";
import type { DirNames } from "./dirNames.ts";
import type { Disk } from "./disk.ts";
import { IndexFile, IndexWalk } from "./indexFile.ts";

const SPACE = 0x20;
/** Index type of tag keys: `topic#T#tags` (MessageConst.INDEX_TAG_TYPE, new in 5.4). */
const TAG_PREFIX = "T#";
const NAME = /^\d{17}$/;
/** Keys that wait for an index that cannot be written; more are dropped and the index is rebuilt at the next start. */
const WAITING_MAX = 1 << 20;

/** Apache's IndexFile.indexKeyHashMethod: |hash|, 0 for the one int without a positive twin. */
export function keyHash(javaHash: number): number {
  const positive = javaHash < 0 ? -javaHash : javaHash;
  return positive > 0x7fffffff ? 0 : positive;
}

/** What {@link IndexService.stage} collects into. */
const collected: number[] = [];

/**
 * The hashes under which a message is entered, in Apache's order: its unique key, its keys, its tags.
 * @param prefixHash the Java hash of `topic#`
 * @returns how many of `into` are this message's
 */
export function collectKeyHashes(props: Buffer, scan: PropertyScan, prefixHash: number, into: number[]): number {
  let count = 0;
  if (scan.uniqueStart >= 0) {
    into[count++] = keyHash(javaHashUtf8(prefixHash, props, scan.uniqueStart, scan.uniqueEnd));
  }
  if (scan.keysStart >= 0) {
    let at = scan.keysStart;
    while (at < scan.keysEnd) {
      const start = at;
      while (at < scan.keysEnd && props[at] !== SPACE) at++;
      if (at > start) into[count++] = keyHash(javaHashUtf8(prefixHash, props, start, at));
      at++;
    }
  }
  if (scan.tagsStart >= 0 && scan.tagsEnd > scan.tagsStart) {
    let hash = prefixHash;
    for (let i = 0; i < TAG_PREFIX.length; i++) hash = (Math.imul(hash, 31) + TAG_PREFIX.charCodeAt(i)) | 0;
    into[count++] = keyHash(javaHashUtf8(hash, props, scan.tagsStart, scan.tagsEnd));
  }
  return count;
}

export class IndexService {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #names: DirNames;
  readonly #dir: string;
  readonly #slotCount: number;
  readonly #entryMax: number;
  #files: IndexFile[] = [];
  /** A ring of keys whose messages are appended but not granted. */
  #hashes = new Int32Array(1024);
  #offsets = new Float64Array(1024);
  #times = new Float64Array(1024);
  #head = 0;
  #tail = 0;
  /** Messages below this may be put. */
  #granted = 0;
  /** A file could not be written; keys wait until it can. */
  #failed = false;
  /** Keys were dropped: the index lacks them until it is rebuilt. */
  #lost = false;

  constructor(
    disk: Disk,
    clock: Clock,
    log: Logger,
    names: DirNames,
    dir: string,
    slotCount: number,
    entryMax: number,
  ) {
    this.#disk = disk;
    this.#clock = clock;
    this.#log = log;
    this.#names = names;
    this.#dir = dir;
    this.#slotCount = slotCount;
    this.#entryMax = entryMax;
  }

  /**
   * Opens the files on disk, keeping entries below `trustedLogEnd`; Infinity trusts all, as after a clean stop.
   * @returns `damaged`: why the whole index must be built again; `removed`: the newest file was unusable, which is fine
   *   unless it held entries of before the checkpoint. "" for none.
   */
  load(trustedLogEnd: number): { damaged: string; removed: string } {
    const clean = trustedLogEnd === Number.POSITIVE_INFINITY;
    const bytes = IndexFile.bytes(this.#slotCount, this.#entryMax);
    const names = this.#disk.list(this.#dir).filter((name) => NAME.test(name));
    if (!clean && names.length > 0) this.#names.unknown(this.#dir, this.#dir);
    let removed = "";
    for (const [i, name] of names.entries()) {
      const file = path.join(this.#dir, name);
      const newest = i === names.length - 1;
      let bad = this.#disk.sizeOf(file) === bytes ? "" : `${file} has another size`;
      const index = new IndexFile(this.#disk.open(file), this.#slotCount, this.#entryMax);
      if (bad === "" && !index.load(trustedLogEnd, clean)) bad = `${file} is damaged`;
      if (bad !== "" && (clean || !newest)) {
        index.close();
        return { damaged: bad, removed };
      }
      if (bad !== "" || index.entryCount === 0) {
        removed = bad;
        this.#removeFile(index);
      } else {
        this.#files.push(index);
      }
    }
    return { damaged: "", removed };
  }

  /** Removes all files: the index is built again from the log. */
  reset(): void {
    for (const file of this.#files) file.close();
    this.#files = [];
    for (const name of this.#disk.list(this.#dir)) if (NAME.test(name)) this.#disk.remove(path.join(this.#dir, name));
    this.#names.changed(this.#dir);
  }

  #removeFile(file: IndexFile): void {
    file.close();
    this.#disk.remove(file.path);
    this.#names.changed(this.#dir);
  }

  /** Keys in all files. */
  get entryCount(): number {
    return this.#files.reduce((sum, file) => sum + file.entryCount, 0);
  }

  /** Whether every granted key is in a file: only then may a checkpoint say so. */
  get complete(): boolean {
    return !this.#failed && !this.#lost;
  }

  /** Log offset of the last message with an entry; messages up to it need no indexing. -1 without entries. */
  get endLogOffset(): number {
    return this.#files.length === 0 ? -1 : this.#files[this.#files.length - 1].endLogOffset;
  }

  get endTimestamp(): number {
    return this.#files.length === 0 ? 0 : this.#files[this.#files.length - 1].endTimestamp;
  }

  /** The last message in files that are complete, which is what Apache may rely on after a crash; zeros without one. */
  get completeTo(): { timestamp: number; logOffset: number } {
    const last = this.#files.filter((file) => file.full).at(-1);
    return { timestamp: last?.endTimestamp ?? 0, logOffset: last?.endLogOffset ?? 0 };
  }

  /** Notes the keys of a message that is being appended. `prefixHash` is the Java hash of `topic#`. */
  stage(draft: MessageDraft, scan: PropertyScan, prefixHash: number, logOffset: number): void {
    const count = collectKeyHashes(draft.properties, scan, prefixHash, collected);
    for (let i = 0; i < count; i++) this.#push(collected[i], logOffset, draft.storeTimestamp);
  }

  #push(hash: number, logOffset: number, time: number): void {
    if (this.#tail - this.#head === this.#hashes.length) this.#grow();
    const at = this.#tail++ & (this.#hashes.length - 1);
    this.#hashes[at] = hash;
    this.#offsets[at] = logOffset;
    this.#times[at] = time;
  }

  #grow(): void {
    const old = this.#hashes.length;
    const hashes = new Int32Array(old * 2);
    const offsets = new Float64Array(old * 2);
    const times = new Float64Array(old * 2);
    for (let i = this.#head; i < this.#tail; i++) {
      hashes[i - this.#head] = this.#hashes[i & (old - 1)];
      offsets[i - this.#head] = this.#offsets[i & (old - 1)];
      times[i - this.#head] = this.#times[i & (old - 1)];
    }
    this.#tail -= this.#head;
    this.#head = 0;
    this.#hashes = hashes;
    this.#offsets = offsets;
    this.#times = times;
  }

  /** Forgets staged keys of messages at or behind `logOffset`: they were taken back. */
  unstage(logOffset: number): void {
    const mask = this.#hashes.length - 1;
    while (this.#tail > this.#head && this.#offsets[(this.#tail - 1) & mask] >= logOffset) this.#tail--;
  }

  /** Puts the staged keys of messages below `logOffset`. */
  grant(logOffset: number): void {
    this.#granted = logOffset;
    if (!this.#failed) this.#putGranted();
    else if (this.#tail - this.#head > WAITING_MAX) {
      this.#log.error("too many keys wait for the index: they are found after a restart has built it again");
      this.#head = this.#tail;
      this.#lost = true;
    }
  }

  #putGranted(): void {
    while (this.#head < this.#tail) {
      const at = this.#head & (this.#hashes.length - 1);
      if (this.#offsets[at] >= this.#granted) break;
      this.#put(this.#hashes[at], this.#offsets[at], this.#times[at]);
      if (this.#failed) return;
      this.#head++;
    }
  }

  #put(hash: number, logOffset: number, time: number): void {
    try {
      let file = this.#files[this.#files.length - 1];
      if (file === undefined || file.full) {
        file?.writeAll();
        file = this.#create();
      }
      file.put(hash, logOffset, time);
    } catch (error) {
      this.#log.error({ err: error }, "index not written; keys of newer messages wait until it can be");
      this.#failed = true;
    }
  }

  #create(): IndexFile {
    this.#names.mkdir(this.#dir);
    const file = path.join(this.#dir, this.#nextName());
    const opened = this.#disk.open(file, { create: true });
    this.#names.changed(this.#dir);
    try {
      opened.truncate(IndexFile.bytes(this.#slotCount, this.#entryMax));
    } catch (error) {
      opened.close();
      this.#disk.remove(file);
      throw error;
    }
    const index = new IndexFile(opened, this.#slotCount, this.#entryMax);
    this.#files.push(index);
    return index;
  }

  /** The time, but never before the newest file's name: files are read in the order of their names. */
  #nextName(): string {
    const name = localTimestamp(this.#clock.now());
    const newest = this.#files[this.#files.length - 1];
    const last = newest === undefined ? "" : path.basename(newest.path);
    return name > last ? name : String(BigInt(last) + 1n);
  }

  /** Writes what only memory holds; throws what the disk throws. Tries again what failed before. */
  flush(): void {
    if (this.#failed) {
      this.#failed = false;
      this.#putGranted();
    }
    for (const file of this.#files) {
      if (file.full) file.writeAll();
      else file.flush();
    }
  }

  /** Completes all files: after this and a {@link sync} they need no recovery. */
  writeAll(): void {
    this.flush();
    for (const file of this.#files) file.writeAll();
  }

  /** Makes what {@link flush} wrote durable (the files' names: DirNames). */
  async sync(): Promise<void> {
    for (const file of [...this.#files]) if (file.unsynced) await file.sync();
  }

  /** Closes the files as they are. */
  close(): void {
    for (const file of this.#files) file.close();
    this.#files = [];
  }

  /** Removes files that only point below `logStart`. */
  trim(logStart: number): void {
    while (this.#files.length > 1 && this.#files[0].endLogOffset < logStart) {
      this.#removeFile(this.#files.shift() as IndexFile);
    }
  }

  /**
   * Candidate log offsets for `topic#key`, newest first; hashes collide, the caller compares the message.
   * @param pause lets others have their turn in a long search
   */
  async select(
    topic: string,
    key: string,
    begin: number,
    end: number,
    max: number,
    pause: () => Promise<void>,
  ): Promise<number[]> {
    const walk = new IndexWalk(keyHash(javaHashCode(`${topic}#${key}`)), begin, end, max);
    const files = [...this.#files];
    for (let i = files.length - 1; i >= 0 && walk.found.length < max; i--) {
      const file = files[i];
      if (end >= file.beginTimestamp && begin <= file.endTimestamp + 999) {
        walk.restart();
        // A file may be removed while others have their turn.
        while (this.#files.includes(file) && !file.walk(walk)) await pause();
      }
      if (file.beginTimestamp < begin) break;
    }
    return walk.found;
  }
}
