/**
 * The master's side of plain replication (Apache: DefaultHAService, GroupTransferService): tells the store how far enough of
 * its slaves have the log.
 */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Turn } from "../base/turn.ts";
import { HaConnection } from "./haConnection.ts";
import { HaService, type HaStore, SLAVES_MAX } from "./haService.ts";
import type { Link } from "./link.ts";
import type { HaMasterOptions } from "./slaveLink.ts";

export class HaMaster extends HaService<HaConnection> {
  readonly #options: HaMasterOptions & { readonly inSyncReplicas: number };
  /** Where the logs of slaves that came empty begin, by host, while messages before still wait. */
  readonly #begins = new Map<string, number>();

  constructor(
    options: HaMasterOptions & { readonly inSyncReplicas: number },
    store: HaStore,
    clock: Clock,
    turn: Turn,
    log: Logger,
  ) {
    super(store, clock, turn, log);
    this.#options = options;
  }

  protected connection(link: Link): HaConnection {
    return new HaConnection(link, this.feed, this.#options, this.clock, this.log, {
      begins: (peer, begin) => this.#beginOf(peer, begin),
      acked: () => this.#acked(),
      gone: (gone) => this.connections.delete(gone),
    });
  }

  protected ticked(): void {
    // What slaves could not have was given up meanwhile: then what they have counts.
    this.#acked();
  }

  protected isInSync(_slave: HaConnection, behindBytes: number): boolean {
    return behindBytes < this.#options.haMaxGapNotInSync;
  }

  /** A link that is cut must not make an empty slave one that has everything. */
  #beginOf(peer: string, begin: number | undefined): number {
    const host = peer.slice(0, peer.lastIndexOf(":"));
    for (const [other, at] of this.#begins) if (at <= this.store.replicatedTo) this.#begins.delete(other);
    if (begin !== undefined && this.#begins.size < SLAVES_MAX) this.#begins.set(host, begin);
    return begin ?? this.#begins.get(host) ?? 0;
  }

  #acked(): void {
    if (!this.store.waitsForSlaves) return;
    this.store.replicated(this.#replicatedTo(this.#options.inSyncReplicas - 1));
  }

  /**
   * What at least so many slaves have. One that began behind a message which still waits does not have that message, however
   * far it is: it was only given the newest file (Apache counts it, and acknowledges messages that no slave ever got).
   */
  #replicatedTo(slaves: number): number {
    if (slaves > this.connections.size) return -1;
    const waitingFrom = this.store.replicatedTo;
    const acks: number[] = [];
    for (const { begin, ackOffset } of this.connections) acks.push(begin > waitingFrom ? -1 : ackOffset);
    return acks.sort((a, b) => b - a)[slaves - 1];
  }
}
