/**
 * What all connections of a process may take together: how many one address may open, how much of unfinished requests and of untaken answers
 * may wait in memory. Of those that wait, who has waited for longest goes first: a healthy peer finishes its request and takes its answers.
 */
import { CONNECTION_OUT_HIGH_BYTES, DEFAULT_LIMITS, type Limits } from "../base/limits.ts";

/** A connection as it is seen from here. */
export interface Waiting {
  /** Cuts it off, and says why. */
  cut(reason: string): void;
}

export class Admission {
  readonly #limits: Limits;
  readonly #byAddress = new Map<string, number>();
  /** Unfinished requests, the oldest first, and the bytes that are held for each. */
  readonly #unfinished = new Map<Waiting, number>();
  #unfinishedBytes = 0;
  /** Connections whose peers are behind with taking answers, the longest first. */
  readonly #behind = new Set<Waiting>();

  constructor(limits: Limits = DEFAULT_LIMITS) {
    this.#limits = limits;
  }

  /** Bytes of requests that are not whole. */
  get unfinishedBytes(): number {
    return this.#unfinishedBytes;
  }

  /** Counts a new connection of an address; the reason when there are too many. */
  refuse(address: string): string | undefined {
    const open = this.#byAddress.get(address) ?? 0;
    const max = this.#limits["limit.connectionsPerAddress"];
    if (open >= max)
      return `${open} connections of this address are open, which is the most (limit.connectionsPerAddress)`;
    this.#byAddress.set(address, open + 1);
    return undefined;
  }

  /** A connection that was not refused is gone. */
  left(address: string): void {
    const open = (this.#byAddress.get(address) ?? 0) - 1;
    if (open > 0) this.#byAddress.set(address, open);
    else this.#byAddress.delete(address);
  }

  /** What is held of a connection's unfinished request; 0: it is whole, or the connection is gone. */
  holds(connection: Waiting, bytes: number): void {
    const before = this.#unfinished.get(connection) ?? 0;
    this.#unfinishedBytes += bytes - before;
    if (bytes === 0) this.#unfinished.delete(connection);
    else this.#unfinished.set(connection, bytes);
    const max = this.#limits["limit.unfinishedRequestBytes"];
    if (bytes <= before || this.#unfinishedBytes <= max) return;
    for (const [oldest, held] of this.#unfinished) {
      this.#unfinished.delete(oldest);
      this.#unfinishedBytes -= held;
      oldest.cut(
        `unfinished requests hold more than ${max} bytes (limit.unfinishedRequestBytes), and this one waits for longest`,
      );
      if (this.#unfinishedBytes <= max) return;
    }
  }

  /** Whether a connection's peer is behind with taking its answers. */
  behind(connection: Waiting, is: boolean): void {
    if (!is) {
      this.#behind.delete(connection);
      return;
    }
    this.#behind.add(connection);
    const max = this.#limits["limit.unsentAnswerBytes"];
    if (this.#behind.size * CONNECTION_OUT_HIGH_BYTES <= max || this.#behind.size === 1) return;
    for (const longest of this.#behind) {
      this.#behind.delete(longest);
      longest.cut(
        `answers that nobody takes hold more than ${max} bytes (limit.unsentAnswerBytes), and this client is behind for longest`,
      );
      return;
    }
  }
}
