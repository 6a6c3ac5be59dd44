/**
 * Open files of the store, least recently used closed first, so that 10,000 queues do not need 10,000 descriptors.
 * A file in use by an asynchronous call is pinned and never closed under it.
 */
import type { Disk, DiskFile } from "./disk.ts";

interface Entry {
  file: DiskFile;
  pins: number;
}

export class FileCache {
  readonly #disk: Disk;
  readonly #max: number;
  readonly #open = new Map<string, Entry>();
  #lastPath = "";
  #last: Entry | undefined;

  constructor(disk: Disk, max: number) {
    this.#disk = disk;
    this.#max = max;
  }

  /** The open file at `path`, for synchronous use before the next call. Throws ENOENT when missing. */
  get(path: string): DiskFile {
    return this.#entry(path).file;
  }

  /** Runs an asynchronous call on a file that stays open meanwhile. */
  async use<T>(path: string, call: (file: DiskFile) => Promise<T>): Promise<T> {
    const entry = this.#entry(path);
    entry.pins++;
    try {
      return await call(entry.file);
    } finally {
      entry.pins--;
      if (entry.pins === 0 && this.#open.get(path) !== entry) entry.file.close();
    }
  }

  /** Closes one file (before it is removed); a pinned one closes when its last call ends. */
  forget(path: string): void {
    const entry = this.#open.get(path);
    if (!entry) return;
    this.#open.delete(path);
    if (this.#last === entry) this.#last = undefined;
    if (entry.pins === 0) entry.file.close();
  }

  closeAll(): void {
    for (const path of [...this.#open.keys()]) this.forget(path);
  }

  get size(): number {
    return this.#open.size;
  }

  #entry(path: string): Entry {
    if (this.#last !== undefined && this.#lastPath === path) return this.#last;
    let entry = this.#open.get(path);
    if (entry) {
      this.#open.delete(path);
    } else {
      if (this.#open.size >= this.#max) this.#evict();
      entry = { file: this.#disk.open(path), pins: 0 };
    }
    this.#open.set(path, entry);
    this.#last = entry;
    this.#lastPath = path;
    return entry;
  }

  #evict(): void {
    for (const [path, entry] of this.#open) {
      if (entry.pins === 0) {
        this.forget(path);
        return;
      }
    }
  }
}
