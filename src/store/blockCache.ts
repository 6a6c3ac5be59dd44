/**
 * Blocks of older bytes, read without blocking the event loop and kept least-recently-used within a fixed bound.
 * A block at the growing end remembers how much of it was valid when it was read and is read again for more.
 */
import { Buffer } from "node:buffer";
import { BLOCK_READS_MAX } from "../base/limits.ts";

export interface BlockSource {
  /** Bytes below were removed; a block may begin there all the same. */
  readonly firstOffset: number;
  /** Fills `buf[start, end)` from `offset`; may return fewer bytes. */
  readAsync(buf: Buffer, start: number, end: number, offset: number): Promise<number>;
}

const SPARE_MAX = 16;

interface Block {
  buf: Buffer;
  validBytes: number;
}

export class BlockCache {
  readonly blockBytes: number;
  readonly #max: number;
  readonly #blocks = new Map<string, Map<number, Block>>();
  /** All blocks in order of use; the key is source and index. */
  readonly #order = new Map<Block, [string, number]>();
  readonly #loading = new Map<string, Promise<void>>();
  #reading = 0;
  /** Reads that wait for others to end, the first first: only a read under way has a buffer. */
  readonly #waiting: (() => void)[] = [];
  /** Counts drops, so that a read under way meanwhile does not bring dropped bytes back. */
  #drops = 0;
  /** Buffers of blocks that were pushed out, for the next reads: nobody keeps what {@link peek} gave. */
  readonly #spare: Buffer[] = [];
  /** The block found last: a reader asks for it again for each of its next records. */
  #last: Block | undefined;
  #lastSource = "";
  #lastIndex = -1;

  constructor(blockBytes: number, max: number) {
    this.blockBytes = blockBytes;
    this.#max = max;
  }

  /** The cached block `index` of `source`, if its bytes up to `needBytes` are valid. To be used before the next await. */
  peek(source: string, index: number, needBytes: number): Buffer | undefined {
    const last = this.#last;
    if (
      last !== undefined &&
      this.#lastIndex === index &&
      this.#lastSource === source &&
      last.validBytes >= needBytes
    ) {
      return last.buf;
    }
    const block = this.#blocks.get(source)?.get(index);
    if (block === undefined || block.validBytes < needBytes) return undefined;
    const key = this.#order.get(block) as [string, number];
    this.#order.delete(block);
    this.#order.set(block, key);
    this.#last = block;
    this.#lastSource = source;
    this.#lastIndex = index;
    return block.buf;
  }

  /** Valid bytes of the block that {@link peek} gave last; behind them its buffer holds anything. */
  get validBytes(): number {
    return this.#last?.validBytes ?? 0;
  }

  /** Reads block `index` so that `validEnd` bytes of the source's range are usable. Joins a read under way. */
  load(source: string, index: number, from: BlockSource, validEnd: number): Promise<void> {
    const key = `${source}#${index}`;
    const underWay = this.#loading.get(key);
    if (underWay) return underWay;
    const run = this.#readInTurn(source, index, from, validEnd).finally(() => this.#loading.delete(key));
    this.#loading.set(key, run);
    return run;
  }

  async #readInTurn(source: string, index: number, from: BlockSource, validEnd: number): Promise<void> {
    if (this.#reading < BLOCK_READS_MAX) this.#reading++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      await this.#read(source, index, from, validEnd);
    } finally {
      // The place goes to the next one, if there is one.
      const next = this.#waiting.shift();
      if (next === undefined) this.#reading--;
      else next();
    }
  }

  async #read(source: string, index: number, from: BlockSource, validEnd: number): Promise<void> {
    const offset = index * this.blockBytes;
    const want = Math.min(this.blockBytes, validEnd - offset);
    if (want <= 0) return;
    const removed = Math.max(0, from.firstOffset - offset);
    if (removed >= want) return;
    const buf = this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.blockBytes);
    const drops = this.#drops;
    buf.fill(0, 0, removed);
    const got = await from.readAsync(buf, removed, want, offset + removed);
    if (drops === this.#drops) this.#insert(source, index, { buf, validBytes: removed + got });
  }

  #insert(source: string, index: number, block: Block): void {
    let bySource = this.#blocks.get(source);
    if (!bySource) {
      bySource = new Map();
      this.#blocks.set(source, bySource);
    }
    const old = bySource.get(index);
    if (old) this.#discard(old);
    bySource.set(index, block);
    this.#order.set(block, [source, index]);
    if (this.#order.size > this.#max) {
      const [oldest, [s, i]] = this.#order.entries().next().value as [Block, [string, number]];
      this.#blocks.get(s)?.delete(i);
      this.#discard(oldest);
    }
  }

  #discard(block: Block): void {
    this.#order.delete(block);
    if (block === this.#last) this.#last = undefined;
    if (this.#spare.length < SPARE_MAX) this.#spare.push(block.buf);
  }

  /** Drops all blocks of a source (its bytes were removed or cut). */
  drop(source: string): void {
    this.#drops++;
    if (this.#lastSource === source) this.#last = undefined;
    const bySource = this.#blocks.get(source);
    if (!bySource) return;
    for (const block of bySource.values()) this.#discard(block);
    this.#blocks.delete(source);
  }
}
