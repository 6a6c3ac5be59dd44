/**
 * Consumption in order by pop (Apache: QueueLevelConsumerManager.OrderInfo): what a queue's last pop gave out, which of
 * it is acknowledged, until when the rest blocks the queue. Pure; the wire and JSON names are Apache's.
 */

/** `offsetList` beyond this many messages has no bit; a pop never has more. */
const MESSAGES_MAX = 53;

/** Fields as in consumerOrderInfo.json. */
export interface OrderInfoData {
  popTime: number;
  /** Invisible time, ms. */
  i: number | undefined;
  /** First queue offset, then each one's distance from it. */
  o: number[];
  /** Next visible time by queue offset, where it was changed. */
  ot: Map<number, number> | undefined;
  /** How often a message was given before, by queue offset; only those above 0. */
  oc: Map<number, number> | undefined;
  /** ms of the last pop. */
  l: number;
  /** Bit i: message i is acknowledged. */
  cm: number;
  a: string | undefined;
}

export class OrderInfo {
  attemptId: string | undefined;
  popTime: number;
  invisibleTime: number;
  /** Queue offsets, ascending. */
  readonly offsets: readonly number[];
  lastConsumeTimestamp: number;
  readonly nextVisible = new Map<number, number>();
  consumedCount = new Map<number, number>();
  readonly #acked: boolean[];

  constructor(
    attemptId: string | undefined,
    popTime: number,
    invisibleTime: number,
    offsets: readonly number[],
    now: number,
  ) {
    this.attemptId = attemptId;
    this.popTime = popTime;
    this.invisibleTime = invisibleTime;
    this.offsets = offsets;
    this.lastConsumeTimestamp = now;
    this.#acked = offsets.map(() => false);
  }

  /** Takes over from the queue's last pop how often its messages were given; the same attempt counts once. */
  follow(before: OrderInfo): void {
    if (before.attemptId !== undefined && before.attemptId === this.attemptId) {
      this.consumedCount = before.consumedCount;
      return;
    }
    const given = new Set(before.offsets);
    for (const offset of this.offsets) {
      if (given.has(offset)) this.consumedCount.set(offset, (before.consumedCount.get(offset) ?? 0) + 1);
    }
  }

  /** Whether the queue must wait: something given out is neither acknowledged nor visible again. */
  blocks(attemptId: string | undefined, invisibleTime: number, now: number): boolean {
    if (this.attemptId !== undefined && this.attemptId === attemptId) return false;
    if (this.invisibleTime <= 0) this.invisibleTime = invisibleTime;
    return this.offsets.some((offset, i) => !this.#acked[i] && now < this.#visibleAt(offset));
  }

  /**
   * Marks a message acknowledged.
   * @returns the offset to commit; -1: not one of the last pop's messages; -2: of an earlier pop, nothing to do
   */
  acknowledge(queueOffset: number, popTime: number): number {
    if (this.offsets.length === 0) return -1;
    if (popTime !== this.popTime) return -2;
    const index = this.offsets.indexOf(queueOffset);
    if (index < 0) return -1;
    this.#acked[index] = true;
    const open = this.#acked.indexOf(false);
    return open < 0 ? this.offsets[this.offsets.length - 1] + 1 : this.offsets[open];
  }

  setNextVisible(queueOffset: number, popTime: number, visibleAt: number): boolean {
    if (popTime !== this.popTime) return false;
    this.nextVisible.set(queueOffset, visibleAt);
    return true;
  }

  /** When the first blocking message becomes visible, ms; undefined when nothing blocks. */
  freeAt(now: number): number | undefined {
    for (let i = 0; i < this.offsets.length; i++) {
      if (this.#acked[i]) continue;
      const visibleAt = this.#visibleAt(this.offsets[i]);
      if (now < visibleAt) return visibleAt;
    }
    return undefined;
  }

  #visibleAt(queueOffset: number): number {
    return this.nextVisible.get(queueOffset) ?? this.popTime + this.invisibleTime;
  }

  data(): OrderInfoData {
    const first = this.offsets[0];
    let cm = 0;
    for (let i = 0; i < this.#acked.length && i < MESSAGES_MAX; i++) if (this.#acked[i]) cm += 2 ** i;
    return {
      popTime: this.popTime,
      i: this.invisibleTime,
      o: this.offsets.map((offset, i) => (i === 0 ? first : offset - first)),
      ot: this.nextVisible.size > 0 ? this.nextVisible : undefined,
      oc: this.consumedCount,
      l: this.lastConsumeTimestamp,
      cm,
      a: this.attemptId,
    };
  }

  static from(data: OrderInfoData): OrderInfo {
    const offsets = data.o.map((value, i) => (i === 0 ? value : data.o[0] + value));
    const info = new OrderInfo(data.a, data.popTime, data.i ?? 0, offsets, data.l);
    for (const [offset, at] of data.ot ?? []) info.nextVisible.set(offset, at);
    for (const [offset, count] of data.oc ?? []) info.consumedCount.set(offset, count);
    for (let i = 0; i < offsets.length; i++) info.#acked[i] = Math.floor(data.cm / 2 ** i) % 2 === 1;
    return info;
  }
}
