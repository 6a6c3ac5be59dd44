/**
 * Whether the store takes writes, and the exact reason when it does not: full disk (until space returns), too many open
 * files (until the next try succeeds), watermark
 * (until files were deleted), failed device (for good), shut down.
 */
import type { DiskSpace } from "./disk.ts";
import type { Writability } from "./types.ts";

const MIB = 1024 * 1024;
/** After ENOSPC writing resumes when this much is free again: enough for a turn's batch and the derived files. */
const RESUME_BYTES = 4 * MIB;
/** On a very small disk the fixed floor might never come; then this share of the disk does. */
const RESUME_SHARE = 0.05;

const OPEN: Writability = { writable: true, reason: "" };

export class WriteGate {
  #full: Writability | undefined;
  #watermark: Writability | undefined;
  #dead: Writability | undefined;
  #shut: Writability | undefined;
  #slave: Writability | undefined;
  #state: Writability = OPEN;

  state(): Writability {
    return this.#state;
  }

  get writable(): boolean {
    return this.#state.writable;
  }

  /** The device failed: no way back without a restart. */
  get fatal(): boolean {
    return this.#dead !== undefined;
  }

  /** Whether a full disk or too many open files closed the gate; then {@link spaceChanged} opens it. */
  get full(): boolean {
    return this.#full !== undefined;
  }

  /** A write call threw; returns the remark for the refused messages. */
  writeFailed(error: Error): string {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (isOutOfFiles(error)) {
      this.#full = refuse(`too many open files (${code}); writing resumes by itself when there are fewer`);
    } else if (code === "ENOSPC" || code === "EDQUOT") {
      this.#full = refuse(`the disk is full (${code}); writing resumes by itself when space returns`);
    } else {
      this.#dead ??= refuse(`writing the commit log failed (${error.message}); the store is read-only until a restart`);
    }
    return this.#update().reason;
  }

  /** What a failed write left in the log could not be removed. */
  eraseFailed(error: Error): void {
    this.#dead ??= refuse(`cutting the commit log failed (${error.message}); the store is read-only until a restart`);
    this.#update();
  }

  /** A sync rejected: what it covered may be gone from the cache, and a second try would lie. */
  syncFailed(error: Error): string {
    this.#dead ??= refuse(`syncing the commit log failed (${error.message}); the store is read-only until a restart`);
    return this.#update().reason;
  }

  spaceChanged(space: DiskSpace): void {
    if (space.availableBytes >= Math.min(RESUME_BYTES, space.totalBytes * RESUME_SHARE)) this.#full = undefined;
    this.#update();
  }

  /** The disk stood above the watermark at the last look. */
  get atWatermark(): boolean {
    return this.#watermark !== undefined;
  }

  /** Closes for a watermark, or opens with undefined. */
  watermark(reason: string | undefined): void {
    this.#watermark = reason === undefined ? undefined : refuse(reason);
    this.#update();
  }

  /** Refuses new messages; those already taken can still be written and synced. */
  shutDown(): void {
    this.#shut ??= refuse("the message store has been shut down");
    this.#update();
  }

  /** Refuses messages for good: this broker's log is its master's, byte by byte. */
  slave(): void {
    this.#slave = refuse("messages are put to the slave; its master takes them");
    this.#update();
  }

  #update(): Writability {
    this.#state = this.#dead ?? this.#shut ?? this.#slave ?? this.#full ?? this.#watermark ?? OPEN;
    return this.#state;
  }
}

/**
 * The process or the machine has no file descriptor left, because of its connections for instance. Only opening a file can
 * fail so: nothing was written, nothing was synced, and trying again is safe.
 */
export function isOutOfFiles(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EMFILE" || code === "ENFILE";
}

/** The remark begins as Apache's does: clients and people search for it. */
function refuse(cause: string): Writability {
  return { writable: false, reason: `service not available now: ${cause}` };
}
