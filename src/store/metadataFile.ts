/**
 * One small file of broker state (config/*.json) that must survive any crash: read whole, replaced whole.
 * Mirrors ConfigManager of Apache: a main file and a `.bak` with what stood there before, so either broker can read
 * what the other left. Refuses nothing: content that does not parse counts as missing and the `.bak` answers.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import type { Disk } from "./disk.ts";

export class MetadataFile {
  readonly path: string;
  readonly #disk: Disk;
  readonly #waitFor: (() => Promise<void>) | undefined;
  readonly #isPrivate: boolean;
  /** The newest content that no write has taken yet. */
  #next: () => string = () => "";
  #running: Promise<void> | undefined;
  #following: Promise<void> | undefined;

  /**
   * @param waitFor makes durable what the content speaks of, before the content may be: an offset that survives power
   *   loss while its message does not would make a consumer pass over the messages that come in its place
   * @param isPrivate the content has secrets: nobody but this process' user may read the file
   */
  constructor(disk: Disk, file: string, waitFor?: () => Promise<void>, isPrivate = false) {
    this.#disk = disk;
    this.path = file;
    this.#waitFor = waitFor;
    this.#isPrivate = isPrivate;
  }

  /**
   * Parses the main file, or the `.bak` when the main file is missing, empty or refused by `parse` (by throwing).
   * undefined when neither can be read; `onDamage` hears why a file that exists was passed over.
   */
  load<T>(parse: (text: string) => T, onDamage?: (file: string, reason: string) => void): T | undefined {
    for (const file of [this.path, `${this.path}.bak`]) {
      if (!this.#disk.exists(file)) continue;
      const text = this.#disk.readAll(file).toString("utf8");
      if (text.length === 0) {
        onDamage?.(file, "it is empty");
        continue;
      }
      try {
        return parse(text);
      } catch (error) {
        onDamage?.(file, error instanceof Error ? error.message : String(error));
      }
    }
    return undefined;
  }

  /**
   * Replaces the content; resolves when it is durable, rejects when it could not be written. Calls during a running
   * write share the next one, which takes the newest content; a function is asked only when its turn comes, so that
   * a burst of changes is encoded once.
   */
  write(content: string | (() => string)): Promise<void> {
    this.#next = typeof content === "string" ? () => content : content;
    // Also when the one before has just ended: whoever awaited it may write again before the one that follows begins.
    if (this.#following !== undefined) return this.#following;
    if (this.#running === undefined) return this.#start();
    // Not chained on success: a failed write must not take the following one with it.
    this.#following = this.#running.catch(() => {}).then(() => this.#start());
    return this.#following;
  }

  #start(): Promise<void> {
    this.#following = undefined;
    const run = this.#replace(this.#next).finally(() => {
      if (this.#running === run) this.#running = undefined;
    });
    this.#running = run;
    return run;
  }

  /**
   * The order is the point: the new text is durable under another name before the old one moves. A crash between the
   * two renames leaves only the `.bak`, which is what both brokers then load.
   */
  async #replace(content: () => string): Promise<void> {
    const disk = this.#disk;
    const dir = path.dirname(this.path);
    const temporary = `${this.path}.tmp`;
    disk.mkdir(dir);
    const bytes = Buffer.from(content(), "utf8");
    await this.#waitFor?.();
    const file = disk.open(temporary, { create: true, private: this.#isPrivate });
    try {
      file.truncate(0);
      file.write(bytes, 0, bytes.length, 0);
      await file.sync();
    } finally {
      file.close();
    }
    if (disk.exists(this.path)) disk.rename(this.path, `${this.path}.bak`);
    disk.rename(temporary, this.path);
    await disk.syncDir(dir);
  }
}
