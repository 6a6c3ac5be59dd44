/**
 * A disk in memory that forgets like a real one. It counts every operation that changes something, dies before a chosen
 * one, and then shows what a machine finds when it comes back:
 *
 *   {@link SimDisk.killed}      kill -9: the page cache lives on, every finished write is there (and still unsynced)
 *   {@link SimDisk.powerLost}   power loss: of what was not synced, some is there, some is not, some is torn
 *
 * Strict POSIX: a file's bytes are durable after its own sync, its name only after a sync of its directory, a directory's
 * name only after a sync of the parent. Unsynced writes are kept, dropped or trashed sector by sector (512 bytes), in any
 * order; unsynced truncates and names happen or not. Bytes outside a write are never touched by it (SQLite's "powersafe
 * overwrite"). Everything follows from the seed.
 *
 * Also: syncs that fail (as Linux does it: reported once, the pages count as clean and are gone), and a capacity at which
 * writes leave a short prefix and throw ENOSPC.
 */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { type Random, seededRandom } from "../base/random.ts";
import type { Disk, DiskFile, DiskSpace } from "../store/disk.ts";

const PAGE = 4096;
const SECTOR = 512;
const ROOMY_BYTES = 2 ** 40;

/** The machine is gone; whoever sees this is dead and only does not know yet. */
export class SimCrash extends Error {}

export interface SimDiskOptions {
  /** Bytes that pages may take; default: plenty. */
  capacityBytes?: number;
}

/** How a power loss treats what was not synced. `mixed` decides for each sector, truncate and name by itself. */
export type LossMode = "keepAll" | "dropAll" | "prefix" | "mixed" | "mostlyKept";
export const LOSS_MODES: readonly LossMode[] = ["mixed", "dropAll", "mostlyKept", "prefix", "keepAll"];

interface Page {
  buf: Buffer;
  /** Who may write into `buf`; others copy first. */
  owner: object;
}

type Change = { seq: number; kind: "write"; at: number; bytes: Buffer } | { seq: number; kind: "size"; size: number };

class Inode {
  live = new Map<number, Page>();
  size = 0;
  durable = new Map<number, Page>();
  durableSize = 0;
  /** Not synced, oldest first. */
  changes: Change[] = [];
  /** Pages that differ from the durable ones. */
  dirty = new Set<number>();
  /** Changes up to here are durable. */
  syncedSeq = 0;
  mtime = 0;
  owner: object = {};
}

const DIRECTORY = Symbol("directory");
type Node = Inode | typeof DIRECTORY;

/** A name that changed and whose directory was not synced since. */
interface NameChange {
  dir: string;
  name: string;
  /** Undefined: removed. */
  node: Node | undefined;
  /** A rename is one change with two names. */
  alsoRemoves: string | undefined;
}

export class SimDisk implements Disk {
  readonly #options: SimDiskOptions;
  #names = new Map<string, Node>([["/", DIRECTORY]]);
  #children = new Map<string, Set<string>>([["/", new Set()]]);
  #durableNames = new Map<string, Node>([["/", DIRECTORY]]);
  #nameChanges: NameChange[] = [];
  #seq = 0;
  #usedPages = 0;
  #openFiles = 0;
  readonly #locks = new Set<string>();
  /** The write at which the machine died: of it anything may have happened. */
  #torn: { inode: Inode; at: number; bytes: Buffer } | undefined;

  /** Operations that changed something, so far. */
  operations = 0;
  /** What each operation was, for a failing test's message; off unless set to an array. */
  trace: string[] | undefined;
  /** The operation (counted from 0) before which the machine dies. */
  crashAt: number = Number.POSITIVE_INFINITY;
  crashed = false;
  /** Syncs begun so far, of files and directories. */
  syncs = 0;
  /** Sync number `at` (counted from 0) fails; with `forever` all later ones too. */
  failSync: { at: number; forever: boolean } | undefined;
  /** Bytes that pages may take. */
  capacityBytes: number;
  openFilesMax = 0;
  /** For modification times; whoever lives on the disk sets it. */
  now: () => number = () => 0;

  constructor(options: SimDiskOptions = {}) {
    this.#options = options;
    this.capacityBytes = options.capacityBytes ?? ROOMY_BYTES;
  }

  get usedBytes(): number {
    return this.#usedPages * PAGE;
  }

  get openFiles(): number {
    return this.#openFiles;
  }

  // ---- what is found afterwards ----

  /** After kill -9: all finished writes, a random part of the one under way; what was not synced still is not. */
  killed(seed: number): SimDisk {
    const disk = new SimDisk(this.#options);
    const copies = new Map<Inode, Inode>();
    const copy = (node: Node): Node => {
      if (node === DIRECTORY) return node;
      let twin = copies.get(node);
      if (twin === undefined) {
        twin = new Inode();
        twin.live = new Map(node.live);
        twin.size = node.size;
        twin.durable = new Map(node.durable);
        twin.durableSize = node.durableSize;
        twin.changes = [...node.changes];
        twin.dirty = new Set(node.dirty);
        twin.syncedSeq = node.syncedSeq;
        twin.mtime = node.mtime;
        // Neither side may write into shared pages any more.
        node.owner = {};
        copies.set(node, twin);
      }
      return twin;
    };
    for (const [name, node] of this.#names) disk.#link(name, copy(node));
    for (const [name, node] of this.#durableNames) disk.#durableNames.set(name, copy(node));
    disk.#nameChanges = this.#nameChanges.map((change) => ({ ...change, node: change.node && copy(change.node) }));
    disk.#seq = this.#seq;
    disk.#usedPages = [...disk.#inodes()].reduce((sum, inode) => sum + inode.live.size, 0);
    const torn = this.#torn && { ...this.#torn, inode: copies.get(this.#torn.inode) };
    if (torn?.inode !== undefined) {
      const done = seededRandom(seed).int(torn.bytes.length + 1);
      if (done > 0) disk.#write(torn.inode, torn.bytes.subarray(0, done), torn.at);
    }
    return disk;
  }

  /** After a power loss: synced bytes and names, and what `mode` and `seed` leave of the rest. All of it is durable. */
  powerLost(seed: number, mode: LossMode): SimDisk {
    const random = seededRandom(seed);
    const disk = new SimDisk(this.#options);
    const names = this.#namesAfter(mode, random);
    const copies = new Map<Inode, Inode>();
    for (const [name, node] of names) {
      if (node === DIRECTORY) {
        disk.#link(name, node);
        disk.#durableNames.set(name, node);
        continue;
      }
      let found = copies.get(node);
      if (found === undefined) {
        found = this.#contentAfter(node, mode, random);
        copies.set(node, found);
      }
      disk.#link(name, found);
      disk.#durableNames.set(name, found);
    }
    disk.#usedPages = [...disk.#inodes()].reduce((sum, inode) => sum + inode.live.size, 0);
    return disk;
  }

  #namesAfter(mode: LossMode, random: Random): Map<string, Node> {
    const names = new Map(this.#durableNames);
    const changes = this.#nameChanges;
    const prefix = mode === "prefix" ? random.int(changes.length + 1) : 0;
    changes.forEach((change, i) => {
      const happened =
        mode === "keepAll" ||
        (mode === "prefix" && i < prefix) ||
        (mode === "mixed" && random.next() < 0.5) ||
        (mode === "mostlyKept" && random.next() < 0.9);
      if (happened) applyName(names, change);
    });
    // A file whose directory has no name cannot be found.
    for (const name of [...names.keys()].sort()) {
      if (name !== "/" && !names.has(path.dirname(name))) names.delete(name);
    }
    return names;
  }

  #contentAfter(inode: Inode, mode: LossMode, random: Random): Inode {
    const found = new Inode();
    found.live = new Map(inode.durable);
    found.size = inode.durableSize;
    found.mtime = inode.mtime;
    const torn: Change[] =
      this.#torn?.inode === inode ? [{ seq: 0, kind: "write", at: this.#torn.at, bytes: this.#torn.bytes }] : [];
    const changes = [...inode.changes, ...torn];
    const prefix = mode === "prefix" ? random.int(changes.length + 1) : changes.length;
    changes.forEach((change, i) => {
      const isTorn = i >= inode.changes.length;
      if (mode === "dropAll" || i > prefix || (mode === "keepAll" && isTorn)) return;
      if (change.kind === "size") {
        if (mode === "keepAll" || mode === "prefix" || random.next() < (mode === "mixed" ? 0.5 : 0.9)) {
          resize(found, change.size);
        }
        return;
      }
      const kept = mode === "mixed" ? [0, 0.5, 1][random.int(3)] : mode === "mostlyKept" ? 0.95 : 1;
      // In order up to here: the last write of a prefix is cut somewhere.
      const stop = mode === "prefix" && i === prefix ? random.int(change.bytes.length + 1) : change.bytes.length;
      for (let at = 0; at < stop; ) {
        const sectorEnd = at + SECTOR - ((change.at + at) % SECTOR);
        const end = Math.min(stop, sectorEnd);
        if (kept === 1 || random.next() < kept) {
          const trashed = mode === "mixed" && random.next() < 0.02;
          store(found, trashed ? trash(end - at, random) : change.bytes.subarray(at, end), change.at + at);
        }
        at = end;
      }
    });
    found.durable = new Map(found.live);
    found.durableSize = found.size;
    found.owner = {};
    return found;
  }

  // ---- for tests that damage files by hand ----

  /** A file's bytes as a program sees them. */
  bytes(file: string): Buffer {
    const inode = this.#inode(file);
    const out = Buffer.alloc(inode.size);
    load(inode, out, 0, inode.size, 0);
    return out;
  }

  /** Overwrites bytes as bit rot does: durable at once, uncounted. */
  damage(file: string, at: number, bytes: Buffer): void {
    const inode = this.#inode(file);
    store(inode, bytes, at);
    this.#settle(inode);
  }

  /** Replaces a file's bytes, durable at once, uncounted; makes it and its directories if need be. */
  plant(file: string, bytes: Buffer): void {
    for (let dir = path.dirname(file); !this.#names.has(dir); dir = path.dirname(dir)) this.#link(dir, DIRECTORY);
    const inode = new Inode();
    store(inode, bytes, 0);
    inode.size = bytes.length;
    this.#link(file, inode);
    this.#settle(inode);
    this.#durableNames = new Map(this.#names);
    this.#nameChanges = [];
  }

  /** Sets a file's length, durable at once, uncounted. */
  cut(file: string, size: number): void {
    const inode = this.#inode(file);
    resize(inode, size);
    this.#settle(inode);
  }

  /** Removes a file or a tree, durable at once, uncounted. */
  erase(file: string): void {
    for (const name of [...this.#names.keys()]) {
      if (name === file || name.startsWith(`${file}/`)) this.#unlink(name);
    }
    this.#durableNames = new Map(this.#names);
    this.#nameChanges = [];
  }

  /** All files, sorted. */
  files(): string[] {
    return [...this.#names]
      .filter(([, node]) => node !== DIRECTORY)
      .map(([name]) => name)
      .sort();
  }

  #settle(inode: Inode): void {
    inode.owner = {};
    inode.durable = new Map(inode.live);
    inode.durableSize = inode.size;
    inode.changes = [];
    inode.dirty.clear();
  }

  // ---- Disk ----

  open(file: string, options?: { create?: boolean }): DiskFile {
    this.#alive();
    const name = path.resolve(file);
    let node = this.#names.get(name);
    if (node === DIRECTORY) throw failure("EISDIR", `open '${file}'`);
    if (node === undefined) {
      if (!options?.create) throw failure("ENOENT", `open '${file}'`);
      if (this.#names.get(path.dirname(name)) !== DIRECTORY) throw failure("ENOENT", `open '${file}'`);
      this.#operation("create", name);
      node = new Inode();
      node.mtime = this.now();
      this.#link(name, node);
      this.#nameChanges.push({ dir: path.dirname(name), name, node, alsoRemoves: undefined });
    }
    this.#openFiles++;
    this.openFilesMax = Math.max(this.openFilesMax, this.#openFiles);
    return this.#handle(name, node);
  }

  exists(file: string): boolean {
    this.#alive();
    return this.#names.has(path.resolve(file));
  }

  mkdir(dir: string): void {
    this.#alive();
    const name = path.resolve(dir);
    if (this.#names.has(name)) return;
    this.mkdir(path.dirname(name));
    this.#operation("mkdir", name);
    this.#link(name, DIRECTORY);
    this.#nameChanges.push({ dir: path.dirname(name), name, node: DIRECTORY, alsoRemoves: undefined });
  }

  list(dir: string): string[] {
    this.#alive();
    return [...(this.#children.get(path.resolve(dir)) ?? [])].sort();
  }

  isDirectory(file: string): boolean {
    this.#alive();
    return this.#names.get(path.resolve(file)) === DIRECTORY;
  }

  sizeOf(file: string): number {
    this.#alive();
    return this.#inode(path.resolve(file)).size;
  }

  modifiedMs(file: string): number {
    this.#alive();
    return this.#inode(path.resolve(file)).mtime;
  }

  readAll(file: string): Buffer {
    this.#alive();
    return this.bytes(path.resolve(file));
  }

  rename(from: string, to: string): void {
    const source = path.resolve(from);
    const target = path.resolve(to);
    this.#operation("rename", `${source} ${target}`);
    if (this.#names.get(source) === DIRECTORY) {
      this.#renameTree(source, target);
      return;
    }
    const node = this.#inode(source);
    this.#unlink(source);
    if (this.#names.has(target)) this.#unlink(target);
    this.#link(target, node);
    this.#usedPages += node.live.size;
    this.#nameChanges.push({ dir: path.dirname(target), name: target, node, alsoRemoves: source });
  }

  /** A directory's rename is one change, too; names inside that are not durable yet are more than this knows how to lose. */
  #renameTree(source: string, target: string): void {
    if (this.#names.has(target)) throw failure("EEXIST", `rename to '${target}'`);
    if (this.#nameChanges.some(({ dir }) => dir === source || dir.startsWith(`${source}/`))) {
      throw new Error(`names in ${source} were changed and not synced`);
    }
    const inside = [...this.#names].filter(([name]) => name === source || name.startsWith(`${source}/`));
    for (const [name, node] of inside.reverse()) {
      this.#unlink(name);
      if (node instanceof Inode) this.#usedPages += node.live.size;
    }
    for (const [name, node] of inside.reverse()) this.#link(target + name.slice(source.length), node);
    this.#nameChanges.push({ dir: path.dirname(target), name: target, node: DIRECTORY, alsoRemoves: source });
  }

  remove(file: string): void {
    this.#alive();
    const name = path.resolve(file);
    if (!this.#names.has(name)) return;
    this.#operation("remove", name);
    this.#unlink(name);
    this.#nameChanges.push({ dir: path.dirname(name), name, node: undefined, alsoRemoves: undefined });
  }

  removeTree(dir: string): void {
    this.#alive();
    const top = path.resolve(dir);
    if (!this.#names.has(top)) return;
    if (this.#names.get(top) === DIRECTORY) {
      for (const child of this.list(top)) this.removeTree(path.join(top, child));
    }
    this.remove(top);
  }

  async syncDir(dir: string): Promise<void> {
    const name = path.resolve(dir);
    this.#operation("syncDir", name);
    if (this.#names.get(name) !== DIRECTORY) throw failure("ENOENT", `open '${dir}'`);
    const covered = new Set(this.#nameChanges.filter((change) => change.dir === name));
    await this.#device(name);
    for (const change of covered) applyName(this.#durableNames, change);
    this.#nameChanges = this.#nameChanges.filter((change) => !covered.has(change));
  }

  space(): DiskSpace {
    this.#alive();
    return { totalBytes: this.capacityBytes, availableBytes: Math.max(0, this.capacityBytes - this.usedBytes) };
  }

  lock(file: string): { release(): void } {
    const name = path.resolve(file);
    if (this.#locks.has(name)) throw new Error(`${file} is held`);
    this.open(name, { create: true }).close();
    this.#locks.add(name);
    return { release: () => this.#locks.delete(name) };
  }

  // ---- inside ----

  #handle(name: string, inode: Inode): DiskFile {
    let open = true;
    const check = () => {
      this.#alive();
      if (!open) throw failure("EBADF", `'${name}' is closed`);
    };
    return {
      path: name,
      write: (buf, start, end, position) => {
        check();
        if (end <= start) return;
        const bytes = Buffer.from(buf.subarray(start, end));
        this.#operation("write", `${name} ${position}+${bytes.length}`, () => {
          this.#torn = { inode, at: position, bytes };
        });
        const fits = this.#fitting(inode, bytes.length, position);
        if (fits > 0) this.#write(inode, bytes.subarray(0, fits), position);
        if (fits < bytes.length) throw failure("ENOSPC", `write '${name}'`);
      },
      read: (buf, start, end, position) => {
        check();
        return load(inode, buf, start, end, position);
      },
      readAsync: async (buf, start, end, position) => {
        check();
        await Promise.resolve();
        check();
        return load(inode, buf, start, end, position);
      },
      sync: async () => {
        check();
        this.#operation("sync", name);
        const seq = this.#seq;
        const snapshot = [...inode.dirty].map((index) => [index, inode.live.get(index)] as const);
        const size = inode.size;
        // What is written from now on goes to other pages than the ones this sync takes.
        inode.owner = {};
        await this.#device(name, () => {
          inode.changes = inode.changes.filter((change) => change.seq > seq);
          for (const [index, page] of snapshot) if (inode.live.get(index) === page) inode.dirty.delete(index);
        });
        if (seq < inode.syncedSeq) return;
        for (const [index, page] of snapshot) {
          if (page === undefined) inode.durable.delete(index);
          else inode.durable.set(index, page);
        }
        inode.durableSize = size;
        inode.syncedSeq = seq;
        inode.changes = inode.changes.filter((change) => change.seq > seq);
        for (const [index, page] of snapshot) if (inode.live.get(index) === page) inode.dirty.delete(index);
      },
      truncate: (size) => {
        check();
        this.#operation("truncate", `${name} ${size}`);
        const before = inode.live.size;
        for (const index of inode.live.keys()) if (index * PAGE + PAGE > size) inode.dirty.add(index);
        resize(inode, size);
        this.#usedPages += inode.live.size - before;
        inode.mtime = this.now();
        inode.changes.push({ seq: ++this.#seq, kind: "size", size });
      },
      size: () => {
        check();
        return inode.size;
      },
      close: () => {
        if (!open) throw failure("EBADF", `'${name}' is closed twice`);
        open = false;
        this.#openFiles--;
      },
    };
  }

  /** A sync's way to the device and back: two turns of the microtask queue, and death or failure on the way. */
  async #device(name: string, lose: () => void = () => {}): Promise<void> {
    const number = this.syncs++;
    await Promise.resolve();
    this.#operation("synced", name);
    await Promise.resolve();
    this.#alive();
    const { failSync } = this;
    if (failSync !== undefined && (failSync.forever ? number >= failSync.at : number === failSync.at)) {
      // The kernel marks the pages clean: what failed once is never written again.
      lose();
      throw failure("EIO", `fdatasync '${name}'`);
    }
  }

  #write(inode: Inode, bytes: Buffer, at: number): void {
    const before = inode.live.size;
    for (let index = Math.floor(at / PAGE); index * PAGE < at + bytes.length; index++) inode.dirty.add(index);
    store(inode, bytes, at);
    this.#usedPages += inode.live.size - before;
    inode.mtime = this.now();
    inode.changes.push({ seq: ++this.#seq, kind: "write", at, bytes });
  }

  /** Bytes of a write for which there is room, counted in whole pages. */
  #fitting(inode: Inode, length: number, at: number): number {
    let free = Math.floor(this.capacityBytes / PAGE) - this.#usedPages;
    for (let index = Math.floor(at / PAGE); index * PAGE < at + length; index++) {
      if (!inode.live.has(index) && free-- <= 0) return Math.max(0, index * PAGE - at);
    }
    return length;
  }

  #operation(what: string, on: string, atDeath?: () => void): void {
    this.#alive();
    if (this.operations === this.crashAt) {
      atDeath?.();
      this.crashed = true;
      throw new SimCrash(`the machine died before operation ${this.operations}: ${what} ${on}`);
    }
    this.operations++;
    this.trace?.push(`${what} ${on}`);
  }

  #alive(): void {
    if (this.crashed) throw new SimCrash("the machine is dead");
  }

  *#inodes(): IterableIterator<Inode> {
    for (const inode of new Set(this.#names.values())) if (inode !== DIRECTORY) yield inode;
  }

  #inode(name: string): Inode {
    const node = this.#names.get(name);
    if (node === undefined || node === DIRECTORY) throw failure("ENOENT", `'${name}'`);
    return node;
  }

  #link(name: string, node: Node): void {
    this.#names.set(name, node);
    if (node === DIRECTORY && !this.#children.has(name)) this.#children.set(name, new Set());
    if (name === "/") return;
    const parent = path.dirname(name);
    let siblings = this.#children.get(parent);
    if (siblings === undefined) {
      siblings = new Set();
      this.#children.set(parent, siblings);
    }
    siblings.add(path.basename(name));
  }

  #unlink(name: string): void {
    const node = this.#names.get(name);
    this.#names.delete(name);
    this.#children.delete(name);
    this.#children.get(path.dirname(name))?.delete(path.basename(name));
    if (node instanceof Inode) this.#usedPages -= node.live.size;
  }
}

function applyName(names: Map<string, Node>, change: NameChange): void {
  const { alsoRemoves } = change;
  if (alsoRemoves !== undefined && change.node === DIRECTORY) {
    for (const [name, node] of [...names]) {
      if (!name.startsWith(`${alsoRemoves}/`)) continue;
      names.delete(name);
      names.set(change.name + name.slice(alsoRemoves.length), node);
    }
  }
  if (alsoRemoves !== undefined) names.delete(alsoRemoves);
  if (change.node === undefined) {
    for (const name of [...names.keys()]) if (name.startsWith(`${change.name}/`)) names.delete(name);
    names.delete(change.name);
  } else {
    names.set(change.name, change.node);
  }
}

function store(inode: Inode, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    const index = Math.floor((at + done) / PAGE);
    const inPage = (at + done) % PAGE;
    const n = Math.min(bytes.length - done, PAGE - inPage);
    bytes.copy(writable(inode, index), inPage, done, done + n);
    done += n;
  }
  inode.size = Math.max(inode.size, at + bytes.length);
}

function writable(inode: Inode, index: number): Buffer {
  const page = inode.live.get(index);
  if (page?.owner === inode.owner) return page.buf;
  const buf = Buffer.alloc(PAGE);
  page?.buf.copy(buf);
  inode.live.set(index, { buf, owner: inode.owner });
  return buf;
}

function load(inode: Inode, buf: Buffer, start: number, end: number, at: number): number {
  const length = Math.max(0, Math.min(end - start, inode.size - at));
  for (let done = 0; done < length; ) {
    const index = Math.floor((at + done) / PAGE);
    const inPage = (at + done) % PAGE;
    const n = Math.min(length - done, PAGE - inPage);
    const page = inode.live.get(index);
    if (page === undefined) buf.fill(0, start + done, start + done + n);
    else page.buf.copy(buf, start + done, inPage, inPage + n);
    done += n;
  }
  return length;
}

function resize(inode: Inode, size: number): void {
  if (size < inode.size) {
    for (const index of [...inode.live.keys()]) if (index * PAGE >= size) inode.live.delete(index);
    if (size % PAGE !== 0 && inode.live.has(Math.floor(size / PAGE))) {
      writable(inode, Math.floor(size / PAGE)).fill(0, size % PAGE);
    }
  }
  inode.size = size;
}

/**
 * What a trashed sector holds: random bytes that no text contains. The record's properties and topic are under no CRC in
 * this format, so garbage that happens to be text cannot be told from text by anybody.
 */
function trash(length: number, random: Random): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = 0xf8 + random.int(8);
  return bytes;
}

function failure(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
