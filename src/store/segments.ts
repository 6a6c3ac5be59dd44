/**
 * A run of equally sized files that together form one long byte range: `00000000000000000000`, `00000000001073741824`,
 * ... each named by the offset of its first byte (Apache: MappedFileQueue). Knows offsets and files, not contents.
 *
 * Files are made sparse at their full size, because Apache refuses to open one of another length.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import type { DirNames } from "./dirNames.ts";
import type { Disk } from "./disk.ts";
import type { FileCache } from "./fileCache.ts";

const NAME = /^\d{20}$/;
/** What a file begins with, for judging it: one unit of a queue. */
const HEAD_BYTES = 20;

export class Segments {
  readonly dir: string;
  readonly fileBytes: number;
  /** {@link load} met a hole between the files. */
  incomplete = false;
  readonly #disk: Disk;
  readonly #cache: FileCache;
  readonly #names: DirNames;
  /** First offsets of the files, ascending, without a hole between them. */
  #starts: number[] = [];
  #madeDir = false;

  /** @param names where new and removed files are noted; whoever owns it decides when names become durable */
  constructor(disk: Disk, cache: FileCache, names: DirNames, dir: string, fileBytes: number) {
    this.#disk = disk;
    this.#cache = cache;
    this.#names = names;
    this.dir = dir;
    this.fileBytes = fileBytes;
  }

  /**
   * Reads the directory. A short file (a crash while it was made) is set to its full length; a long or
   * misnamed one is refused before a byte of any is changed, because most likely the configured size is wrong. Of several
   * runs with holes between them only one is kept: the last that `believed` accepts by its first offset and first bytes,
   * else the first. Files behind it are the end of the log that a power loss tore, and removed; files before it stay on disk
   * but out of reach ({@link incomplete}).
   * @returns what was repaired, one sentence each
   */
  load(believed: (start: number, head: Buffer) => boolean = () => true): string[] {
    const repairs: string[] = [];
    const runs: number[][] = [];
    const starts = this.#disk
      .list(this.dir)
      .filter((name) => NAME.test(name))
      .map(Number);
    for (const start of starts) this.#check(start);
    for (const start of starts) {
      this.#fit(this.fileOf(start), repairs);
      const run = runs.at(-1);
      if (run !== undefined && start === run[run.length - 1] + this.fileBytes) run.push(start);
      else runs.push([start]);
    }
    let kept = runs.length - 1;
    while (kept > 0 && !believed(runs[kept][0], this.#head(runs[kept][0]))) kept--;
    this.#starts = runs[kept] ?? [];
    this.incomplete = kept > 0;
    if (this.incomplete)
      repairs.push(`${this.dir}: files before ${this.firstOffset} are not connected and are not used`);
    for (const start of runs.slice(kept + 1).flat()) {
      repairs.push(`${this.fileOf(start)}: removed, nothing between ${this.endOffset} and it`);
      this.#remove(start);
    }
    this.#madeDir = runs.length > 0;
    return repairs;
  }

  #check(start: number): void {
    if (start % this.fileBytes !== 0) {
      const name = String(start).padStart(20, "0");
      throw new Error(
        `${path.join(this.dir, name)}: the name is no multiple of the configured file size ${this.fileBytes}`,
      );
    }
    const file = this.fileOf(start);
    const size = this.#disk.sizeOf(file);
    if (size > this.fileBytes) {
      throw new Error(`${file} has ${size} bytes, the configured file size is ${this.fileBytes}`);
    }
  }

  #fit(file: string, repairs: string[]): void {
    const size = this.#disk.sizeOf(file);
    if (size === this.fileBytes) return;
    this.#cache.get(file).truncate(this.fileBytes);
    repairs.push(`${file}: length ${size} set to ${this.fileBytes}`);
  }

  #head(start: number): Buffer {
    const head = Buffer.alloc(HEAD_BYTES);
    this.#cache.get(this.fileOf(start)).read(head, 0, HEAD_BYTES, 0);
    return head;
  }

  #remove(start: number): void {
    const file = this.fileOf(start);
    this.#cache.forget(file);
    this.#disk.remove(file);
    this.#names.changed(this.dir);
  }

  get count(): number {
    return this.#starts.length;
  }

  /** Offset of the first byte of the first file; 0 when there is none. */
  get firstOffset(): number {
    return this.#starts.length === 0 ? 0 : this.#starts[0];
  }

  /** Offset behind the last file's last byte. */
  get endOffset(): number {
    return this.#starts.length === 0 ? 0 : this.#starts[this.#starts.length - 1] + this.fileBytes;
  }

  get starts(): readonly number[] {
    return this.#starts;
  }

  has(offset: number): boolean {
    return this.#starts.length > 0 && offset >= this.firstOffset && offset < this.endOffset;
  }

  fileOf(offset: number): string {
    return path.join(this.dir, String(offset - (offset % this.fileBytes)).padStart(20, "0"));
  }

  /** Makes the file that holds `offset` if it is the next one; the first file may begin anywhere. */
  extendTo(offset: number): void {
    const start = offset - (offset % this.fileBytes);
    if (this.#starts.length > 0 && start < this.endOffset) return;
    if (this.#starts.length > 0 && start > this.endOffset) this.extendTo(start - this.fileBytes);
    if (!this.#madeDir) {
      this.#names.mkdir(this.dir);
      this.#madeDir = true;
    }
    this.#names.changed(this.dir);
    const file = this.#disk.open(this.fileOf(start), { create: true });
    try {
      file.truncate(this.fileBytes);
    } finally {
      file.close();
    }
    this.#starts.push(start);
  }

  /** Writes bytes at `offset`, over file borders if need be; makes missing files at the end. */
  write(buf: Buffer, start: number, end: number, offset: number): void {
    let at = start;
    let to = offset;
    while (at < end) {
      if (to >= this.endOffset) this.extendTo(to);
      const inFile = to % this.fileBytes;
      const n = Math.min(end - at, this.fileBytes - inFile);
      this.#cache.get(this.fileOf(to)).write(buf, at, at + n, inFile);
      at += n;
      to += n;
    }
  }

  /** Reads up to `end - start` bytes at `offset`; stops at the last file's end. */
  read(buf: Buffer, start: number, end: number, offset: number): number {
    let at = start;
    let from = offset;
    while (at < end && this.has(from)) {
      const inFile = from % this.fileBytes;
      const n = Math.min(end - at, this.fileBytes - inFile);
      const got = this.#cache.get(this.fileOf(from)).read(buf, at, at + n, inFile);
      if (got === 0) break;
      at += got;
      from += got;
    }
    return at - start;
  }

  /** Like {@link read} without blocking the event loop. */
  async readAsync(buf: Buffer, start: number, end: number, offset: number): Promise<number> {
    let at = start;
    let from = offset;
    while (at < end && this.has(from)) {
      const inFile = from % this.fileBytes;
      const stop = at + Math.min(end - at, this.fileBytes - inFile);
      const begin = at;
      const got = await this.#cache.use(this.fileOf(from), (file) => file.readAsync(buf, begin, stop, inFile));
      if (got === 0) break;
      at += got;
      from += got;
    }
    return at - start;
  }

  /** Makes bytes `[from, to)` durable; names are made so by {@link DirNames.sync}. */
  async sync(from: number, to: number): Promise<void> {
    for (const start of [...this.#starts]) {
      if (start + this.fileBytes <= from || start >= to) continue;
      // Removed while an earlier file was synced.
      if (!this.#starts.includes(start)) continue;
      await this.#cache.use(this.fileOf(start), (file) => file.sync());
    }
  }

  /** Removes the first file. Returns false when it is the only one. */
  removeFirst(): boolean {
    if (this.#starts.length <= 1) return false;
    this.#remove(this.#starts[0]);
    this.#starts.shift();
    return true;
  }

  /** Forgets everything from `offset` on: later files go, the rest of its own file becomes zeros (a ghost could revive). */
  cutAt(offset: number): void {
    while (this.#starts.length > 0 && this.#starts[this.#starts.length - 1] > offset) {
      this.#remove(this.#starts.pop() as number);
    }
    if (!this.has(offset)) return;
    const file = this.#cache.get(this.fileOf(offset));
    file.truncate(offset % this.fileBytes);
    file.truncate(this.fileBytes);
  }

  /** Removes all files and the directory. */
  destroy(): void {
    for (const start of this.#starts) this.#cache.forget(this.fileOf(start));
    this.#starts = [];
    this.#madeDir = false;
    this.#disk.removeTree(this.dir);
    this.#names.changed(path.dirname(this.dir));
  }
}
