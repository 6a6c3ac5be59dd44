/**
 * How many entries of a table anybody may make (Apache has no bound): all together, and by first use from one address. Counted since the
 * start, by address because a connection is quickly a new one.
 */
import { COUNTED_ADDRESSES_MAX } from "../base/limits.ts";

export interface CreationLimits {
  /** "topics" or "groups". */
  readonly what: string;
  readonly max: number;
  readonly maxKey: string;
  readonly perClient: number;
  readonly perClientKey: string;
}

export class Creations {
  readonly #limits: CreationLimits;
  readonly #made = new Map<string, number>();

  constructor(limits: CreationLimits) {
    this.#limits = limits;
  }

  /**
   * The reason why no further entry may be made; undefined when it may.
   * @param size entries that there are
   * @param by `host:port` of whoever makes it by using it; absent: somebody who may make any number
   */
  refuse(size: number, by?: string): string | undefined {
    const { what, max, maxKey, perClient, perClientKey } = this.#limits;
    if (size >= max) return `there are ${size} ${what}, which is the most (${maxKey})`;
    const made = by === undefined ? 0 : (this.#made.get(hostOf(by)) ?? 0);
    return made < perClient
      ? undefined
      : `clients at ${hostOf(by as string)} have made ${made} ${what} since the start, which is the most (${perClientKey})`;
  }

  /** An entry was made. */
  count(by: string | undefined): void {
    if (by === undefined) return;
    const host = hostOf(by);
    const made = this.#made.get(host) ?? 0;
    // Who made something latest is last.
    this.#made.delete(host);
    if (this.#made.size >= COUNTED_ADDRESSES_MAX) {
      for (const oldest of this.#made.keys()) {
        this.#made.delete(oldest);
        break;
      }
    }
    this.#made.set(host, made + 1);
  }
}

function hostOf(address: string): string {
  const colon = address.lastIndexOf(":");
  return colon < 0 ? address : address.slice(0, colon);
}
