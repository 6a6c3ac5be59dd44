/** Bytes per second of one replication link, and how many more may go (Apache: FlowMonitor). */
export interface MeterOptions {
  readonly haFlowControlEnable: boolean;
  /** bytes */
  readonly maxHaTransferByteInSecond: number;
}

export class Meter {
  readonly #options: MeterOptions;
  #current = 0;
  /** Bytes of the last whole second. */
  lastSecondBytes = 0;

  constructor(options: MeterOptions) {
    this.#options = options;
  }

  add(bytes: number): void {
    this.#current += bytes;
  }

  /** A second has passed. */
  tick(): void {
    this.lastSecondBytes = this.#current;
    this.#current = 0;
  }

  /** Bytes that may still go in this second. */
  allowance(): number {
    if (!this.#options.haFlowControlEnable) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#options.maxHaTransferByteInSecond - this.#current);
  }
}
