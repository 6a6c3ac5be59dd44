/**
 * Directories whose entries changed and were not synced since. A file's own sync makes its bytes durable but not its
 * name: after a power loss a synced file can be missing when its directory, or that one's parent, was not synced too.
 */
import * as path from "node:path";
import type { Disk } from "./disk.ts";

export class DirNames {
  readonly #disk: Disk;
  readonly #changed = new Set<string>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Notes that a file was made in `dir` or removed from it. */
  changed(dir: string): void {
    this.#changed.add(dir);
  }

  /** Notes that nobody knows whether the names from `dir` up to `top` (and `top` itself) are durable. */
  unknown(dir: string, top: string): void {
    for (let at = dir; ; at = path.dirname(at)) {
      this.#changed.add(at);
      if (at === top || at === path.dirname(at)) break;
    }
    this.#changed.add(path.dirname(top));
  }

  /** Makes a directory and its parents. */
  mkdir(dir: string): void {
    for (let at = dir; !this.#disk.exists(at); at = path.dirname(at)) this.#changed.add(path.dirname(at));
    this.#disk.mkdir(dir);
  }

  /** Makes all names durable; on a throw those not synced stay noted. */
  async sync(): Promise<void> {
    for (const dir of [...this.#changed]) {
      this.#changed.delete(dir);
      if (!this.#disk.exists(dir)) continue;
      try {
        await this.#disk.syncDir(dir);
      } catch (error) {
        // Removed meanwhile: then its parent's entry is what matters.
        if (!this.#disk.exists(dir)) continue;
        // A directory above the store may be somebody else's, whom we may pass but not read.
        if ((error as NodeJS.ErrnoException).code === "EACCES") continue;
        this.#changed.add(dir);
        throw error;
      }
    }
  }
}
