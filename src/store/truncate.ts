/**
 * Cuts a closed store's log at an offset (Apache: DefaultMessageStore.truncateFiles): what an elected master's log does not
 * have must go before it can be followed. Queues and index are cut by the recovery of the next start, which such a store
 * needs. A crash in the middle leaves a store that recovers, and ends there or later: files go one by one, the newest first.
 */
import * as path from "node:path";
import { Checkpoint } from "./checkpoint.ts";
import { DirNames } from "./dirNames.ts";
import type { Disk } from "./disk.ts";
import { FileCache } from "./fileCache.ts";
import type { StoreOptions } from "./options.ts";
import { Segments } from "./segments.ts";

const OPEN_FILES = 4;

/**
 * Resolves when the log of the store at `options.storePathRootDir` durably ends at `logOffset` at the latest, which is the
 * begin of a record or the end of one. @throws when the store is in use, or what the disk throws
 */
export async function truncateLog(
  disk: Disk,
  options: Pick<StoreOptions, "storePathRootDir" | "storePathCommitLog" | "mappedFileSizeCommitLog">,
  logOffset: number,
): Promise<void> {
  const root = options.storePathRootDir;
  const lock = disk.lock(path.join(root, "lock"));
  const cache = new FileCache(disk, OPEN_FILES);
  try {
    // The next start shall recover, whatever the last stop was.
    disk.open(path.join(root, "abort"), { create: true }).close();
    await disk.syncDir(root);
    await new Checkpoint(disk, path.join(root, "checkpoint")).beginCut();
    const names = new DirNames(disk);
    const dir = options.storePathCommitLog || path.join(root, "commitlog");
    const segments = new Segments(disk, cache, names, dir, options.mappedFileSizeCommitLog);
    segments.load();
    segments.cutAt(logOffset);
    await segments.sync(logOffset - 1, logOffset + 1);
    await names.sync();
  } finally {
    cache.closeAll();
    lock.release();
  }
}
