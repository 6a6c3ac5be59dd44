/**
 * Guava's Hashing.consistentHash over Java's string hash: which queue the messages of a group go to (Apache:
 * SendMessageActivity.SendMessageQueueSelector), which broker a lite topic belongs to (LiteShardingImpl). Apache's proxies
 * and this server must agree, so that a group keeps its order whichever of them takes its messages.
 */
import { javaHashCode } from "./javaHash.ts";

/** The bucket of a name, in [0, buckets). */
export function bucketOf(name: string, buckets: number): number {
  const generator = new Lcg(javaHashCode(name));
  let candidate = 0;
  for (;;) {
    const next = Math.trunc((candidate + 1) / generator.nextDouble());
    if (next < 0 || next >= buckets) return candidate;
    candidate = next;
  }
}

/** Factor of the generator, 2862933555777941757, as 16-bit digits from the lowest. */
const FACTOR = [0xb0fd, 0x87b0, 0x2ee6, 0x27bb];

/** Guava's LinearCongruentialGenerator: 64 bits, kept as four 16-bit digits because they do not fit into a number. */
class Lcg {
  readonly #state: number[];

  constructor(seed: number) {
    const sign = seed < 0 ? 0xffff : 0;
    this.#state = [seed & 0xffff, (seed >>> 16) & 0xffff, sign, sign];
  }

  /** In (0, 1], but for the largest value, which Java's int addition turns into -1. */
  nextDouble(): number {
    const before = [...this.#state];
    let carry = 1;
    for (let i = 0; i < 4; i++) {
      let sum = carry;
      for (let j = 0; j <= i; j++) sum += before[j] * FACTOR[i - j];
      this.#state[i] = sum % 0x10000;
      carry = Math.floor(sum / 0x10000);
    }
    const top31 = this.#state[3] * 0x8000 + (this.#state[2] >>> 1);
    return ((top31 + 1) | 0) / 0x80000000;
  }
}
