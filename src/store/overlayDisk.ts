/**
 * A disk whose changes stay in memory, above one that is only read: what a start would do to a store can be done to it without
 * touching the store. Memory is bounded: who writes more than `bytesMax` gets an {@link OverlayFull}.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import type { Disk, DiskFile, DiskSpace } from "./disk.ts";
import { readOnlyDisk } from "./readOnlyDisk.ts";

const PAGE_BYTES = 4096;

/** More was written than may be kept in memory. */
export class OverlayFull extends Error {}

/** A file that was changed; what is not in `pages` is the lower file's, as far as `below` reaches. */
interface Changed {
  /** Path on the lower disk; undefined for a new file. */
  base: string | undefined;
  /** Bytes of the lower file that still count. */
  below: number;
  size: number;
  pages: Map<number, Buffer>;
}

export class OverlayDisk implements Disk {
  readonly #lower: Disk;
  readonly #bytesMax: number;
  #bytes = 0;
  /** Files that were changed, and those that are gone. */
  readonly #files = new Map<string, Changed | "gone">();
  readonly #madeDirs = new Set<string>();
  readonly #goneTrees = new Set<string>();

  constructor(lower: Disk, bytesMax = 64 * 1024 * 1024) {
    this.#lower = readOnlyDisk(lower);
    this.#bytesMax = bytesMax;
  }

  open(file: string, options?: { create?: boolean }): DiskFile {
    if (!this.exists(file)) {
      if (!options?.create) throw Object.assign(new Error(`ENOENT: ${file}`), { code: "ENOENT" });
      this.#files.set(file, { base: undefined, below: 0, size: 0, pages: new Map() });
    }
    return new OverlayFile(this, file);
  }

  /** The file as it is now, made changeable. */
  changed(file: string): Changed {
    const known = this.#files.get(file);
    if (known !== undefined && known !== "gone") return known;
    const size = this.#lower.sizeOf(file);
    const changed: Changed = { base: file, below: size, size, pages: new Map() };
    this.#files.set(file, changed);
    return changed;
  }

  /** The changed file, or undefined for one that is as below. */
  find(file: string): Changed | undefined {
    const known = this.#files.get(file);
    return known === "gone" ? undefined : known;
  }

  lowerFile(file: string): DiskFile {
    return this.#lower.open(file);
  }

  newPage(): Buffer {
    this.#bytes += PAGE_BYTES;
    if (this.#bytes > this.#bytesMax) throw new OverlayFull(`more than ${this.#bytesMax} bytes would be written`);
    return Buffer.alloc(PAGE_BYTES);
  }

  freedPage(): void {
    this.#bytes -= PAGE_BYTES;
  }

  exists(file: string): boolean {
    const known = this.#files.get(file);
    if (known !== undefined) return known !== "gone";
    if (this.#madeDirs.has(file)) return true;
    return !this.#isGone(file) && this.#lower.exists(file);
  }

  #isGone(file: string): boolean {
    for (let at = file; ; at = path.dirname(at)) {
      if (this.#goneTrees.has(at)) return true;
      if (at === path.dirname(at)) return false;
    }
  }

  mkdir(dir: string): void {
    for (let at = dir; !this.#madeDirs.has(at) && at !== path.dirname(at); at = path.dirname(at))
      this.#madeDirs.add(at);
  }

  list(dir: string): string[] {
    const names = new Set(this.#isGone(dir) ? [] : this.#lower.list(dir));
    for (const made of this.#madeDirs) if (path.dirname(made) === dir) names.add(path.basename(made));
    for (const [file, known] of this.#files) {
      if (path.dirname(file) !== dir) continue;
      if (known === "gone") names.delete(path.basename(file));
      else names.add(path.basename(file));
    }
    return [...names].filter((name) => this.exists(path.join(dir, name))).sort();
  }

  isDirectory(file: string): boolean {
    return this.#madeDirs.has(file) || (!this.#isGone(file) && !this.#files.has(file) && this.#lower.isDirectory(file));
  }

  sizeOf(file: string): number {
    return this.find(file)?.size ?? this.#lower.sizeOf(file);
  }

  modifiedMs(file: string): number {
    return this.find(file) === undefined ? this.#lower.modifiedMs(file) : 0;
  }

  readAll(file: string): Buffer {
    const opened = this.open(file);
    try {
      const bytes = Buffer.alloc(opened.size());
      opened.read(bytes, 0, bytes.length, 0);
      return bytes;
    } finally {
      opened.close();
    }
  }

  rename(from: string, to: string): void {
    const file = this.changed(from);
    this.#files.set(to, file);
    this.#files.set(from, "gone");
  }

  remove(file: string): void {
    this.#files.set(file, "gone");
  }

  removeTree(dir: string): void {
    const inside = (file: string) => file === dir || file.startsWith(`${dir}${path.sep}`);
    for (const file of [...this.#files.keys()]) if (inside(file)) this.#files.delete(file);
    for (const made of [...this.#madeDirs]) if (inside(made)) this.#madeDirs.delete(made);
    this.#goneTrees.add(dir);
  }

  async syncDir(): Promise<void> {}

  space(dir: string): DiskSpace {
    return this.#lower.space(dir);
  }

  lock(): { release(): void } {
    return { release() {} };
  }
}

class OverlayFile implements DiskFile {
  readonly path: string;
  readonly #disk: OverlayDisk;
  #lower: DiskFile | undefined;
  #lowerPath = "";

  constructor(disk: OverlayDisk, file: string) {
    this.path = file;
    this.#disk = disk;
  }

  write(buf: Buffer, start: number, end: number, position: number): void {
    const file = this.#disk.changed(this.path);
    for (let at = position; at < position + end - start; ) {
      const index = Math.floor(at / PAGE_BYTES);
      const within = at % PAGE_BYTES;
      const n = Math.min(PAGE_BYTES - within, position + end - start - at);
      let page = file.pages.get(index);
      if (page === undefined) {
        page = this.#disk.newPage();
        this.#readLower(file, page, 0, PAGE_BYTES, index * PAGE_BYTES);
        file.pages.set(index, page);
      }
      const from = start + at - position;
      buf.copy(page, within, from, from + n);
      at += n;
    }
    file.size = Math.max(file.size, position + end - start);
  }

  read(buf: Buffer, start: number, end: number, position: number): number {
    const file = this.#disk.find(this.path);
    if (file === undefined) return this.#open(this.path).read(buf, start, end, position);
    const stop = Math.min(end, start + file.size - position);
    if (stop <= start) return 0;
    buf.fill(0, start, stop);
    this.#readLower(file, buf, start, stop, position);
    if (file.pages.size > 0) {
      const last = Math.floor((position + stop - start - 1) / PAGE_BYTES);
      for (let index = Math.floor(position / PAGE_BYTES); index <= last; index++) {
        const page = file.pages.get(index);
        if (page === undefined) continue;
        const from = Math.max(position, index * PAGE_BYTES);
        const to = Math.min(position + stop - start, (index + 1) * PAGE_BYTES);
        page.copy(buf, start + from - position, from - index * PAGE_BYTES, to - index * PAGE_BYTES);
      }
    }
    return stop - start;
  }

  #readLower(file: Changed, buf: Buffer, start: number, end: number, position: number): void {
    const stop = Math.min(end, start + file.below - position);
    if (file.base !== undefined && stop > start) this.#open(file.base).read(buf, start, stop, position);
  }

  #open(file: string): DiskFile {
    if (this.#lower === undefined || this.#lowerPath !== file) {
      this.#lower?.close();
      this.#lower = this.#disk.lowerFile(file);
      this.#lowerPath = file;
    }
    return this.#lower;
  }

  async readAsync(buf: Buffer, start: number, end: number, position: number): Promise<number> {
    return this.read(buf, start, end, position);
  }

  async sync(): Promise<void> {}

  truncate(sizeBytes: number): void {
    const file = this.#disk.changed(this.path);
    file.below = Math.min(file.below, sizeBytes);
    if (sizeBytes < file.size) {
      for (const [index, page] of file.pages) {
        if (index * PAGE_BYTES >= sizeBytes) {
          file.pages.delete(index);
          this.#disk.freedPage();
        }
        if (index * PAGE_BYTES < sizeBytes && (index + 1) * PAGE_BYTES > sizeBytes)
          page.fill(0, sizeBytes - index * PAGE_BYTES);
      }
    }
    file.size = sizeBytes;
  }

  size(): number {
    return this.#disk.sizeOf(this.path);
  }

  close(): void {
    this.#lower?.close();
    this.#lower = undefined;
  }
}
