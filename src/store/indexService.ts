/**
 * All IndexFiles of the store: keys staged at append, put when their message is granted, queried newest first
 * (Apache: IndexService). Derived data: on a full disk it pauses and is made up by recovery, it never holds up a send.
 */
import * as path from "node:path";
import { type Clock, localTimestamp } from "../base/clock.ts";
import { javaHashCode, javaHashUtf8 } from "../base/javaHash.ts";
import type { Logger } from "../base/log.ts";
import type { MessageDraft } from "../message/draft.ts";
import type { PropertyScan } from "../message/propertyScan.ts";
import type { Disk } from "./disk.ts";
import { IndexFile } from "./indexFile.ts";

const SPACE = 0x20;
/** Index type of tag keys: `topic#T#tags` (MessageConst.INDEX_TAG_TYPE, new in 5.4). */
const TAG_PREFIX = "T#";
const NAME = /^\d{17}$/;

/** Apache's IndexFile.indexKeyHashMethod: |hash|, 0 for the one int without a positive twin. */
export function keyHash(javaHash: number): number {
  const positive = javaHash < 0 ? -javaHash : javaHash;
  return positive > 0x7fffffff ? 0 : positive;
}

export class IndexService {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #log: Logger;
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
  #failed = false;

  constructor(disk: Disk, clock: Clock, log: Logger, dir: string, slotCount: number, entryMax: number) {
    this.#disk = disk;
    this.#clock = clock;
    this.#log = log;
    this.#dir = dir;
    this.#slotCount = slotCount;
    this.#entryMax = entryMax;
  }

  /** Opens the files on disk. Files of another geometry or without usable entries are removed and built again. */
  load(logEnd: number, clean: boolean): void {
    const bytes = IndexFile.bytes(this.#slotCount, this.#entryMax);
    const names = this.#disk.list(this.#dir).filter((name) => NAME.test(name));
    names.forEach((name, i) => {
      const file = path.join(this.#dir, name);
      if (this.#disk.sizeOf(file) !== bytes) {
        this.#log.warn({ file }, "index file of another size removed; it is rebuilt as far as recovery reads the log");
        this.#disk.remove(file);
        return;
      }
      const index = new IndexFile(this.#disk.open(file), this.#slotCount, this.#entryMax);
      // Every file but the newest was completed when it became full.
      index.load(logEnd, clean || i < names.length - 1);
      if (index.entryCount === 0) {
        index.close();
        this.#disk.remove(file);
      } else {
        this.#files.push(index);
      }
    });
  }

  /** Log offset of the last message with an entry; messages up to it need no indexing. -1 without entries. */
  get endLogOffset(): number {
    return this.#files.length === 0 ? -1 : this.#files[this.#files.length - 1].endLogOffset;
  }

  get endTimestamp(): number {
    return this.#files.length === 0 ? 0 : this.#files[this.#files.length - 1].endTimestamp;
  }

  /** Store time of the last message in files that are complete; what Apache may rely on after a crash. */
  get completeTimestamp(): number {
    const full = this.#files.filter((file) => file.full);
    return full.length === 0 ? 0 : full[full.length - 1].endTimestamp;
  }

  /** Notes the keys of a message that is being appended. `prefixHash` is the Java hash of `topic#`. */
  stage(draft: MessageDraft, scan: PropertyScan, prefixHash: number, logOffset: number): void {
    const props = draft.properties;
    if (scan.uniqueStart >= 0) {
      this.#push(javaHashUtf8(prefixHash, props, scan.uniqueStart, scan.uniqueEnd), logOffset, draft.storeTimestamp);
    }
    if (scan.keysStart >= 0) {
      let at = scan.keysStart;
      while (at < scan.keysEnd) {
        const start = at;
        while (at < scan.keysEnd && props[at] !== SPACE) at++;
        if (at > start) this.#push(javaHashUtf8(prefixHash, props, start, at), logOffset, draft.storeTimestamp);
        at++;
      }
    }
    if (scan.tagsStart >= 0 && scan.tagsEnd > scan.tagsStart) {
      let hash = prefixHash;
      for (let i = 0; i < TAG_PREFIX.length; i++) hash = (Math.imul(hash, 31) + TAG_PREFIX.charCodeAt(i)) | 0;
      this.#push(javaHashUtf8(hash, props, scan.tagsStart, scan.tagsEnd), logOffset, draft.storeTimestamp);
    }
  }

  #push(javaHash: number, logOffset: number, time: number): void {
    if (this.#tail - this.#head === this.#hashes.length) this.#grow();
    const at = this.#tail++ & (this.#hashes.length - 1);
    this.#hashes[at] = keyHash(javaHash);
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
    while (this.#head < this.#tail) {
      const at = this.#head & (this.#hashes.length - 1);
      if (this.#offsets[at] >= logOffset) break;
      this.#head++;
      this.#put(this.#hashes[at], this.#offsets[at], this.#times[at]);
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
      this.#failed = false;
    } catch (error) {
      if (!this.#failed)
        this.#log.error({ err: error }, "index not written; keys of newer messages are found after a restart");
      this.#failed = true;
    }
  }

  #create(): IndexFile {
    this.#disk.mkdir(this.#dir);
    let time = this.#clock.now();
    let file = path.join(this.#dir, localTimestamp(time));
    while (this.#disk.exists(file)) file = path.join(this.#dir, localTimestamp(++time));
    const opened = this.#disk.open(file, { create: true });
    opened.truncate(IndexFile.bytes(this.#slotCount, this.#entryMax));
    const index = new IndexFile(opened, this.#slotCount, this.#entryMax);
    this.#files.push(index);
    return index;
  }

  flush(): void {
    this.#files[this.#files.length - 1]?.flush();
  }

  async sync(): Promise<void> {
    await this.#files[this.#files.length - 1]?.sync();
  }

  /** Completes the newest file and closes all. */
  close(): void {
    for (const file of this.#files) {
      file.writeAll();
      file.close();
    }
    this.#files = [];
  }

  /** Closes the files as they are, without completing them: for a store that may not write any more. */
  abandon(): void {
    for (const file of this.#files) file.close();
    this.#files = [];
  }

  /** Removes files that only point below `logStart`. */
  trim(logStart: number): void {
    while (this.#files.length > 1 && this.#files[0].endLogOffset < logStart) {
      const file = this.#files.shift() as IndexFile;
      file.close();
      this.#disk.remove(file.path);
    }
  }

  /** Candidate log offsets for `topic#key`, newest first; hashes collide, the caller compares the message. */
  select(topic: string, key: string, begin: number, end: number, max: number): number[] {
    const hash = keyHash(javaHashCode(`${topic}#${key}`));
    const found: number[] = [];
    for (let i = this.#files.length - 1; i >= 0 && found.length < max; i--) {
      const file = this.#files[i];
      if (end >= file.beginTimestamp && begin <= file.endTimestamp + 999) file.select(hash, begin, end, max, found);
      if (file.beginTimestamp < begin) break;
    }
    return found;
  }
}
