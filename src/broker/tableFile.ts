/**
 * The file of a table that is written whole after each change (topics.json, subscriptionGroup.json). Knows what is not on disk
 * yet, so that whoever acknowledges something that needs it can wait; tries again by itself when a write failed, because
 * the next change may be days away.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { MetadataFile } from "../store/metadataFile.ts";

const RETRY_MS = 1_000;

export class TableFile {
  readonly #file: MetadataFile;
  readonly #encode: () => string;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Names that were added and are not on disk yet, each with the number of the save that has it, in this order. */
  readonly #unsaved = new Map<string, number>();
  #saves = 0;
  #saved: Promise<void> = Promise.resolve();
  #retry: Timer | undefined;
  #stopped = false;

  constructor(file: MetadataFile, encode: () => string, clock: Clock, log: Logger) {
    this.#file = file;
    this.#encode = encode;
    this.#clock = clock;
    this.#log = log;
  }

  /** Writes the table as it is when its turn comes. `added`: what must be on disk before anybody may rely on it. */
  save(added?: string): void {
    this.#clock.clear(this.#retry);
    this.#retry = undefined;
    const number = ++this.#saves;
    if (added !== undefined) {
      this.#unsaved.delete(added);
      this.#unsaved.set(added, number);
    }
    this.#saved = this.#file.write(this.#encode);
    this.#saved.then(
      () => this.#succeeded(number),
      (error: unknown) => this.#failed(error),
    );
  }

  /** What was written has everything up to this save. */
  #succeeded(number: number): void {
    for (const [name, since] of this.#unsaved) {
      if (since > number) break;
      this.#unsaved.delete(name);
    }
  }

  #failed(error: unknown): void {
    this.#log.error({ err: error, file: this.#file.path, retryInMs: RETRY_MS }, "not saved; trying again");
    if (!this.#stopped) this.#retry ??= this.#clock.after(RETRY_MS, () => this.save());
  }

  /** Resolves when every change made so far is on disk; rejects when it could not be written. */
  saved(): Promise<void> {
    return this.#saved;
  }

  /** Whether anything that was added is not on disk yet. */
  get hasUnsaved(): boolean {
    return this.#unsaved.size > 0;
  }

  /** Undefined when `name` is on disk; else resolves when it is, or when that failed (which is logged), never rejects. */
  whenSaved(name: string): Promise<void> | undefined {
    return this.#unsaved.has(name) ? this.#saved.catch(() => {}) : undefined;
  }

  /** The last write; rejects when the table is not on disk. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#clock.clear(this.#retry);
    await this.#saved.catch(() => this.#file.write(this.#encode));
  }
}
