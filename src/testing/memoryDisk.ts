/**
 * A disk in memory that can die before any of its operations: what was written but not synced is gone then, renames of
 * an unsynced directory may or may not have happened (`keepUnsynced`). Knows only what metadata files need.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import type { Disk, DiskFile, DiskSpace } from "../store/disk.ts";

export class PowerCut extends Error {}

interface Content {
  written: Buffer;
  synced: Buffer;
}

export class MemoryDisk implements Disk {
  /** Name to content, as a running process sees it and as the device holds it. */
  #live = new Map<string, Content>();
  #durable = new Map<string, Content>();
  /** Operations done so far. */
  operations = 0;
  /** The operation before which the power goes; none by default. */
  cutAt = Number.POSITIVE_INFINITY;
  /** Operations whose number is in here fail once with this error. */
  readonly failures = new Map<number, Error>();

  /** The disk as it is found after a power cut. */
  afterCut(keepUnsynced: boolean): MemoryDisk {
    const disk = new MemoryDisk();
    for (const [name, content] of keepUnsynced ? this.#live : this.#durable) {
      const bytes = keepUnsynced ? content.written : content.synced;
      const copy = { written: Buffer.from(bytes), synced: Buffer.from(bytes) };
      disk.#live.set(name, copy);
      disk.#durable.set(name, copy);
    }
    return disk;
  }

  put(file: string, text: string): void {
    const bytes = Buffer.from(text);
    const content = { written: bytes, synced: bytes };
    this.#live.set(file, content);
    this.#durable.set(file, content);
  }

  text(file: string): string | undefined {
    return this.#live.get(file)?.written.toString();
  }

  open(file: string, options?: { create?: boolean }): DiskFile {
    this.#operation();
    let content = this.#live.get(file);
    if (content === undefined) {
      if (!options?.create) throw new Error(`ENOENT ${file}`);
      content = { written: Buffer.alloc(0), synced: Buffer.alloc(0) };
      this.#live.set(file, content);
    }
    return this.#file(file, content);
  }

  exists(file: string): boolean {
    return this.#live.has(file);
  }

  mkdir(): void {}

  list(dir: string): string[] {
    return [...this.#live.keys()].filter((name) => path.dirname(name) === dir).map((name) => path.basename(name));
  }

  isDirectory(): boolean {
    return false;
  }

  sizeOf(file: string): number {
    return this.readAll(file).length;
  }

  modifiedMs(): number {
    return 0;
  }

  readAll(file: string): Buffer {
    const content = this.#live.get(file);
    if (content === undefined) throw new Error(`ENOENT ${file}`);
    return content.written;
  }

  rename(from: string, to: string): void {
    this.#operation();
    const content = this.#live.get(from);
    if (content === undefined) throw new Error(`ENOENT ${from}`);
    this.#live.delete(from);
    this.#live.set(to, content);
  }

  remove(file: string): void {
    this.#operation();
    this.#live.delete(file);
  }

  removeTree(dir: string): void {
    for (const name of [...this.#live.keys()]) if (name.startsWith(dir)) this.#live.delete(name);
  }

  async syncDir(): Promise<void> {
    this.#operation();
    this.#durable = new Map(this.#live);
  }

  space(): DiskSpace {
    return { totalBytes: 1000, availableBytes: 400 };
  }

  lock(): { release(): void } {
    return { release() {} };
  }

  #operation(): void {
    const number = this.operations++;
    if (number >= this.cutAt) throw new PowerCut(`power cut before operation ${number}`);
    const failure = this.failures.get(number);
    if (failure !== undefined) {
      this.failures.delete(number);
      throw failure;
    }
  }

  #file(name: string, content: Content): DiskFile {
    const operation = () => this.#operation();
    return {
      path: name,
      write(buf, start, end, position) {
        operation();
        const grown = Buffer.alloc(Math.max(content.written.length, position + end - start));
        content.written.copy(grown);
        buf.copy(grown, position, start, end);
        content.written = grown;
      },
      read(buf, start, end, position) {
        return content.written.copy(buf, start, position, position + end - start);
      },
      async readAsync(buf, start, end, position) {
        return content.written.copy(buf, start, position, position + end - start);
      },
      async sync() {
        operation();
        content.synced = Buffer.from(content.written);
      },
      truncate(size) {
        operation();
        content.written = content.written.subarray(0, size);
      },
      size: () => content.written.length,
      close() {},
    };
  }
}
