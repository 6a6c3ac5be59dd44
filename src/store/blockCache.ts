/**
 * Blocks of older bytes, read without blocking the event loop and kept least-recently-used within a fixed bound.
 * A block at the growing end remembers how much of it was valid when it was read and is read again for more.
 */
import { Buffer } from "node:buffer";

export interface BlockSource {
  /** Fills `buf[start, end)` from `offset`; may return fewer bytes. */
  readAsync(buf: Buffer, start: number, end: number, offset: number): Promise<number>;
}

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

  constructor(blockBytes: number, max: number) {
    this.blockBytes = blockBytes;
    this.#max = max;
  }

  /** The cached block `index` of `source`, if its bytes up to `needBytes` are valid. */
  peek(source: string, index: number, needBytes: number): Buffer | undefined {
    const block = this.#blocks.get(source)?.get(index);
    if (block === undefined || block.validBytes < needBytes) return undefined;
    const key = this.#order.get(block) as [string, number];
    this.#order.delete(block);
    this.#order.set(block, key);
    return block.buf;
  }

  /** Reads block `index` so that `validEnd` bytes of the source's range are usable. Joins a read under way. */
  load(source: string, index: number, from: BlockSource, validEnd: number): Promise<void> {
    const key = `${source}#${index}`;
    const underWay = this.#loading.get(key);
    if (underWay) return underWay;
    const run = this.#read(source, index, from, validEnd).finally(() => this.#loading.delete(key));
    this.#loading.set(key, run);
    return run;
  }

  async #read(source: string, index: number, from: BlockSource, validEnd: number): Promise<void> {
    const offset = index * this.blockBytes;
    const want = Math.min(this.blockBytes, validEnd - offset);
    if (want <= 0) return;
    const buf = Buffer.allocUnsafeSlow(this.blockBytes);
    const got = await from.readAsync(buf, 0, want, offset);
    this.#insert(source, index, { buf, validBytes: got });
  }

  #insert(source: string, index: number, block: Block): void {
    let bySource = this.#blocks.get(source);
    if (!bySource) {
      bySource = new Map();
      this.#blocks.set(source, bySource);
    }
    const old = bySource.get(index);
    if (old) this.#order.delete(old);
    bySource.set(index, block);
    this.#order.set(block, [source, index]);
    if (this.#order.size > this.#max) {
      const [oldest, [s, i]] = this.#order.entries().next().value as [Block, [string, number]];
      this.#order.delete(oldest);
      this.#blocks.get(s)?.delete(i);
    }
  }

  /** Drops all blocks of a source (its bytes were removed or cut). */
  drop(source: string): void {
    const bySource = this.#blocks.get(source);
    if (!bySource) return;
    for (const block of bySource.values()) this.#order.delete(block);
    this.#blocks.delete(source);
  }
}
