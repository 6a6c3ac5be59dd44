/**
 * The epochs of a log: which master wrote it from which offset on (Apache: EpochFileCache, CheckpointFile). Every election
 * begins an epoch; where two logs have the same epoch at the same offset they are equal up to the end of the shorter one.
 *
 *   2                 entries
 *   1837462913        CRC-32 of the lines below, without its highest bit; 0 is not checked
 *   1-0               epoch-startOffset
 *   3-52428800
 *
 * An epoch without a single byte cannot stand beside its neighbour at the same offset: like Apache's, the file keeps the
 * older one then.
 */
import { Buffer } from "node:buffer";
import { bodyCrc32 } from "../../base/crc32.ts";
import type { Logger } from "../../base/log.ts";
import type { MetadataFile } from "../../store/metadataFile.ts";

export interface EpochEntry {
  readonly epoch: number;
  /** Log offset of the epoch's first byte. */
  readonly startOffset: number;
}

/** An entry and where the next one begins; the newest one's end is open. */
export interface EpochSpan extends EpochEntry {
  readonly endOffset: number;
}

export class EpochFile {
  readonly #file: MetadataFile;
  readonly #log: Logger;
  #entries: EpochEntry[] = [];

  /** @param file `storePathEpochFile`; read now */
  constructor(file: MetadataFile, log: Logger) {
    this.#file = file;
    this.#log = log;
    const onDamage = (path: string, reason: string) =>
      log.error({ file: path, reason }, "epochs not read from this file");
    this.#entries = file.load(decodeEpochs, onDamage) ?? [];
  }

  get entries(): readonly EpochEntry[] {
    return this.#entries;
  }

  /** The newest epoch; -1 without any. */
  get lastEpoch(): number {
    return this.#entries.at(-1)?.epoch ?? -1;
  }

  /** Where the newest epoch begins; 0 without any. */
  get lastStart(): number {
    return this.#entries.at(-1)?.startOffset ?? 0;
  }

  /** The epoch of the byte at `logOffset`; bytes older than the first epoch count to it. Undefined without any epoch. */
  spanAt(logOffset: number): EpochSpan | undefined {
    const entries = this.#entries;
    if (entries.length === 0) return undefined;
    let i = entries.length - 1;
    while (i > 0 && entries[i].startOffset > logOffset) i--;
    return { ...entries[i], endOffset: entries[i + 1]?.startOffset ?? Number.POSITIVE_INFINITY };
  }

  /** Adds the newest epoch; false when it is not newer or begins no later than the last one. */
  append(entry: EpochEntry): boolean {
    if (this.#entries.length > 0 && (entry.epoch <= this.lastEpoch || entry.startOffset <= this.lastStart))
      return false;
    this.#entries = [...this.#entries, { epoch: entry.epoch, startOffset: entry.startOffset }];
    return true;
  }

  /** This broker is the master of `epoch` from `logOffset` on. What the file says of this epoch or later ones goes. */
  beginMine(epoch: number, logOffset: number): void {
    this.#keep((entry) => entry.epoch < epoch);
    this.append({ epoch, startOffset: logOffset });
  }

  /** The log was cut at `logOffset`: epochs that begin there or behind are gone. */
  cutBehind(logOffset: number): void {
    this.#keep((entry) => entry.startOffset < logOffset);
  }

  /** The log begins at `logOffset` now: epochs that ended before are gone. */
  cutBefore(logOffset: number): boolean {
    const before = this.#entries.length;
    this.#keep((_, i) => i === this.#entries.length - 1 || this.#entries[i + 1].startOffset > logOffset);
    return this.#entries.length < before;
  }

  #keep(which: (entry: EpochEntry, i: number) => boolean): void {
    this.#entries = this.#entries.filter(which);
  }

  /** Resolves when the file says what memory says. */
  save(): Promise<void> {
    return this.#file.write(() => encodeEpochs(this.#entries));
  }

  /** {@link save} for those who cannot wait; a failure is logged, and the next save makes up for it. */
  saveSoon(): void {
    this.save().catch((error: Error) => this.#log.error({ reason: error.message }, "epoch file not written"));
  }
}

/**
 * Up to where a slave's log is its master's: in the newest epoch that both have from the same offset on, to the end of the
 * shorter one. -1 when they share none.
 */
export function consistentPoint(
  ours: readonly EpochEntry[],
  ourEnd: number,
  masters: readonly EpochEntry[],
  masterEnd: number,
): number {
  const end = (entries: readonly EpochEntry[], i: number, logEnd: number) => entries[i + 1]?.startOffset ?? logEnd;
  for (let i = ours.length - 1; i >= 0; i--) {
    const j = masters.findIndex((entry) => entry.epoch === ours[i].epoch);
    if (j < 0 || masters[j].startOffset !== ours[i].startOffset) continue;
    return Math.min(end(ours, i, ourEnd), end(masters, j, masterEnd));
  }
  return -1;
}

export function encodeEpochs(entries: readonly EpochEntry[]): string {
  const lines = entries.map(({ epoch, startOffset }) => `${epoch}-${startOffset}\n`).join("");
  return `${entries.length}\n${crcOf(lines)}\n${lines}`;
}

/** @throws when count or checksum do not fit */
export function decodeEpochs(text: string): EpochEntry[] {
  const [count, crc, ...lines] = text.split(/\r?\n/);
  const entries: EpochEntry[] = [];
  let content = "";
  for (const line of lines) {
    if (line === "") continue;
    content += `${line}\n`;
    const parts = /^(\d+)-(\d+)$/.exec(line);
    if (parts === null) throw new Error(`${JSON.stringify(line)} is no epoch and its offset`);
    entries.push({ epoch: Number(parts[1]), startOffset: Number(parts[2]) });
  }
  if (entries.length !== Number(count)) throw new Error(`${count} entries announced, ${entries.length} found`);
  if (Number(crc) !== 0 && Number(crc) !== crcOf(content)) throw new Error("the checksum does not fit");
  return entries;
}

function crcOf(lines: string): number {
  const bytes = Buffer.from(lines, "utf8");
  return bodyCrc32(bytes, 0, bytes.length);
}
