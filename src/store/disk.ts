/**
 * The Disk port: the only file of the product that touches `node:fs`.
 *
 * Node's `fs.write` on a full disk returns a short count without an error, so every write here is a write-all loop and
 * raw writes do not exist elsewhere. Positional calls are synchronous where the page cache answers (a few microseconds
 * for a whole batch); syncs, which wait for the device, are always asynchronous.
 */
import type { Buffer } from "node:buffer";
import * as fs from "node:fs";
import * as path from "node:path";

/** An open file. All positions and lengths are bytes. */
export interface DiskFile {
  readonly path: string;
  /** Writes all of `buf[start, end)` at `position`, or throws; on a throw any prefix may have reached the file. */
  write(buf: Buffer, start: number, end: number, position: number): void;
  /** Fills `buf[start, end)` from `position`; returns the bytes read, fewer only at the end of the file. */
  read(buf: Buffer, start: number, end: number, position: number): number;
  /** Like {@link read}, without blocking the event loop. */
  readAsync(buf: Buffer, start: number, end: number, position: number): Promise<number>;
  /** Resolves when everything written before the call is on the device (fdatasync). Rejects once; never retried. */
  sync(): Promise<void>;
  truncate(sizeBytes: number): void;
  size(): number;
  close(): void;
}

export interface DiskSpace {
  /** Bytes used plus bytes an unprivileged process may still write. */
  totalBytes: number;
  /** Bytes an unprivileged process may still write. */
  availableBytes: number;
}

export interface Disk {
  /**
   * Opens for reading and writing, with `readOnly` for reading only. With `create`, makes the file (empty) when missing;
   * otherwise throws ENOENT. With `private`, a file that is made is for this process' user only.
   */
  open(file: string, options?: { create?: boolean; readOnly?: boolean; private?: boolean }): DiskFile;
  exists(file: string): boolean;
  /** Makes the directory and its parents. */
  mkdir(dir: string): void;
  /** Names in a directory, sorted; an absent directory is empty. */
  list(dir: string): string[];
  isDirectory(file: string): boolean;
  sizeOf(file: string): number;
  /** Modification time, milliseconds since the epoch. */
  modifiedMs(file: string): number;
  readAll(file: string): Buffer;
  rename(from: string, to: string): void;
  /** Removes a file; removing an absent one is fine. */
  remove(file: string): void;
  /** Removes a directory tree. */
  removeTree(dir: string): void;
  /** Makes creations, renames and removals inside `dir` durable. */
  syncDir(dir: string): Promise<void>;
  space(dir: string): DiskSpace;
  /**
   * Takes the store's lock file or throws with the holder's pid: two brokers on one store would destroy it. The lock
   * dies with its holder. Also refuses when another program (Apache's broker) holds a POSIX lock on the same file.
   */
  lock(file: string): { release(): void };
}

class NodeFile implements DiskFile {
  readonly path: string;
  readonly #fd: number;

  constructor(file: string, fd: number) {
    this.path = file;
    this.#fd = fd;
  }

  write(buf: Buffer, start: number, end: number, position: number): void {
    let at = start;
    while (at < end) at += fs.writeSync(this.#fd, buf, at, end - at, position + (at - start));
  }

  read(buf: Buffer, start: number, end: number, position: number): number {
    let at = start;
    while (at < end) {
      const n = fs.readSync(this.#fd, buf, at, end - at, position + (at - start));
      if (n === 0) break;
      at += n;
    }
    return at - start;
  }

  async readAsync(buf: Buffer, start: number, end: number, position: number): Promise<number> {
    let at = start;
    while (at < end) {
      const n = await new Promise<number>((resolve, reject) => {
        fs.read(this.#fd, buf, at, end - at, position + (at - start), (error, count) =>
          error ? reject(error) : resolve(count),
        );
      });
      if (n === 0) break;
      at += n;
    }
    return at - start;
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => (error ? reject(error) : resolve()));
    });
  }

  truncate(sizeBytes: number): void {
    fs.ftruncateSync(this.#fd, sizeBytes);
  }

  size(): number {
    return fs.fstatSync(this.#fd).size;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

export const nodeDisk: Disk = {
  open(file, options) {
    const mode = options?.readOnly ? fs.constants.O_RDONLY : fs.constants.O_RDWR;
    const flags = mode | (options?.create ? fs.constants.O_CREAT : 0);
    return new NodeFile(file, fs.openSync(file, flags, options?.private ? 0o600 : 0o644));
  },
  exists: (file) => fs.existsSync(file),
  mkdir(dir) {
    fs.mkdirSync(dir, { recursive: true });
  },
  list(dir) {
    try {
      return fs.readdirSync(dir).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  },
  isDirectory: (file) => fs.statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false,
  sizeOf: (file) => fs.statSync(file).size,
  modifiedMs: (file) => fs.statSync(file).mtimeMs,
  readAll: (file) => fs.readFileSync(file),
  rename: (from, to) => fs.renameSync(from, to),
  remove: (file) => fs.rmSync(file, { force: true }),
  removeTree: (dir) => fs.rmSync(dir, { recursive: true, force: true }),
  syncDir(dir) {
    return new Promise((resolve, reject) => {
      fs.open(dir, fs.constants.O_RDONLY, (openError, fd) => {
        if (openError) return reject(openError);
        fs.fsync(fd, (syncError) => {
          fs.close(fd, () => (syncError ? reject(syncError) : resolve()));
        });
      });
    });
  },
  space(dir) {
    const s = fs.statfsSync(dir);
    // Without what only root may fill: the same total as Apache's (UtilAll.getDiskPartitionSpaceUsedPercent).
    return { totalBytes: (s.blocks - s.bfree + s.bavail) * s.bsize, availableBytes: s.bavail * s.bsize };
  },
  lock: lockFile,
};

/**
 * Node has no flock, so ours is the pid and its start time in the file: both must match a living process for the lock
 * to hold, which makes a kill -9 or a reused pid harmless. A JVM's POSIX lock shows in /proc/locks by inode.
 */
function lockFile(file: string): { release(): void } {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const holder = lockHolder(file);
  if (holder !== undefined) throw new Error(`${file} is held by ${holder}: another broker runs on this store`);
  fs.writeFileSync(file, `${process.pid} ${startOf(String(process.pid)) ?? "?"}`);
  heldHere.add(path.resolve(file));
  return {
    release() {
      heldHere.delete(path.resolve(file));
      fs.writeFileSync(file, "");
    },
  };
}

/** Who holds a store's lock file, in words; undefined when nobody does. Only looks. */
export function lockHolder(file: string): string | undefined {
  const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim() : "";
  const [pid, started] = text.split(" ");
  if (pid && started && startOf(pid) === started && Number(pid) !== process.pid) return `process ${pid}`;
  const foreign = posixLockHolder(file);
  if (foreign) return `process ${foreign} (a POSIX lock)`;
  return pid && Number(pid) === process.pid && heldHere.has(path.resolve(file)) ? "this process" : undefined;
}

/** Locks of this very process: several embedded brokers may share it. */
const heldHere = new Set<string>();

/** Start time of a process in clock ticks (field 22 of /proc/PID/stat), or undefined when it is not alive. */
function startOf(pid: string): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${Number(pid)}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    if (process.platform === "linux") return undefined;
    try {
      process.kill(Number(pid), 0);
      return "?";
    } catch {
      return undefined;
    }
  }
}

function posixLockHolder(file: string): string | undefined {
  const inode = fs.statSync(file, { throwIfNoEntry: false })?.ino;
  if (inode === undefined || !fs.existsSync("/proc/locks")) return undefined;
  const line = fs
    .readFileSync("/proc/locks", "utf8")
    .split("\n")
    .find((l) => l.includes(" POSIX ") && l.includes(`:${inode} `));
  return line?.split(/\s+/)[4];
}
