/** A disk that is only looked at: files are opened for reading, everything that would change something throws. */
import type { Disk } from "./disk.ts";

/** @param disk what is read; nothing of it can be changed through the result */
export function readOnlyDisk(disk: Disk): Disk {
  const refuse = (what: string) => (): never => {
    throw new Error(`${what}: this disk is only read`);
  };
  return {
    open(file) {
      const opened = disk.open(file, { readOnly: true });
      return {
        path: opened.path,
        read: (buf, start, end, position) => opened.read(buf, start, end, position),
        readAsync: (buf, start, end, position) => opened.readAsync(buf, start, end, position),
        size: () => opened.size(),
        close: () => opened.close(),
        write: refuse(`write ${file}`),
        truncate: refuse(`truncate ${file}`),
        sync: refuse(`sync ${file}`),
      };
    },
    exists: (file) => disk.exists(file),
    list: (dir) => disk.list(dir),
    isDirectory: (file) => disk.isDirectory(file),
    sizeOf: (file) => disk.sizeOf(file),
    modifiedMs: (file) => disk.modifiedMs(file),
    readAll: (file) => disk.readAll(file),
    space: (dir) => disk.space(dir),
    mkdir: refuse("mkdir"),
    rename: refuse("rename"),
    remove: refuse("remove"),
    removeTree: refuse("remove"),
    syncDir: refuse("sync"),
    lock: refuse("lock"),
  };
}
