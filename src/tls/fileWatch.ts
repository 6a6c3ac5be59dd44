/** Tells when files have other content than before (Apache: FileWatchService, which reads and digests them twice a second). */
import type { Clock, Timer } from "../base/clock.ts";

/** When a file was written and how long it is; undefined: it is not there (which a renewal may pass through). */
export type Stamp = (file: string) => string | undefined;

/** Watches until {@link FileWatch.close}. What was changed before is known. */
export class FileWatch {
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #stamp: Stamp;
  #seen = new Map<string, string | undefined>();

  /** @param changed called once for all files that changed since the last look */
  constructor(clock: Clock, stamp: Stamp, periodMs: number, files: readonly string[], changed: () => void) {
    this.#clock = clock;
    this.#stamp = stamp;
    this.watch(files);
    this.#timer = clock.every(periodMs, () => {
      if (this.#look()) changed();
    });
  }

  /** Watches these files from now on. */
  watch(files: readonly string[]): void {
    this.#seen = new Map(files.map((file) => [file, this.#seen.get(file) ?? this.#stamp(file)]));
  }

  close(): void {
    this.#clock.clear(this.#timer);
  }

  #look(): boolean {
    let changed = false;
    for (const [file, seen] of this.#seen) {
      const now = this.#stamp(file);
      if (now === undefined || now === seen) continue;
      this.#seen.set(file, now);
      changed = true;
    }
    return changed;
  }
}
