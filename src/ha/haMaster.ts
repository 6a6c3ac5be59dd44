/**
 * The master's side of replication (Apache: DefaultHAService, GroupTransferService): accepts slaves, pushes the log to each
 * at the end of every turn that wrote, and tells the store how far enough of them have it.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Turn } from "../base/turn.ts";
import type { LogFeed } from "../store/logFeed.ts";
import { HaConnection, type HaMasterOptions } from "./haConnection.ts";
import { type Link, type Listener, listen } from "./link.ts";

/** Slaves connected at once; a group has a handful. */
const SLAVES_MAX = 64;
const TICK_MS = 1_000;

/** What the master's side asks of the store. */
export interface HaStore {
  feed(): LogFeed;
  /** Whether acknowledgements wait for slaves. */
  readonly waitsForSlaves: boolean;
  /** Below this offset nobody waits for slaves any more. */
  readonly replicatedTo: number;
  /** Enough slaves have everything below. */
  replicated(logOffset: number): void;
}

/** A slave as mqadmin haStatus shows it. */
export interface SlaveState {
  addr: string;
  slaveAckOffset: number;
  /** Bytes behind the end of the log. */
  diff: number;
  inSync: boolean;
  transferFromWhere: number;
  transferredByteInSecond: number;
}

export class HaMaster {
  readonly #options: HaMasterOptions & { readonly inSyncReplicas: number };
  readonly #store: HaStore;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #connections = new Set<HaConnection>();
  /** Where the logs of slaves that came empty begin, by host, while messages before still wait. */
  readonly #begins = new Map<string, number>();
  #feed!: LogFeed;
  #listener: Listener | undefined;
  #ticks: Timer | undefined;
  #closed = false;

  constructor(
    options: HaMasterOptions & { readonly inSyncReplicas: number },
    store: HaStore,
    clock: Clock,
    turn: Turn,
    log: Logger,
  ) {
    this.#options = options;
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    turn.onOutput(() => {
      if (this.#connections.size > 0) this.push();
    });
  }

  /** Listens for slaves; the store must be open. Resolves with the port. */
  async start(host: string, port: number): Promise<number> {
    this.attach();
    this.#listener = await listen(host, port, (link) => this.accept(link));
    return this.#listener.port;
  }

  /** Begins to serve slaves that {@link accept} is given; the store must be open. */
  attach(): void {
    this.#feed = this.#store.feed();
    this.#ticks = this.#clock.every(TICK_MS, () => {
      for (const connection of this.#connections) connection.tick();
      // What slaves could not have was given up meanwhile: then what they have counts.
      this.#acked();
    });
  }

  /** A slave has connected. */
  accept(link: Link): HaConnection {
    const connection = new HaConnection(link, this.#feed, this.#options, this.#clock, this.#log, {
      begins: (peer, begin) => this.#beginOf(peer, begin),
      acked: () => this.#acked(),
      gone: (gone) => this.#connections.delete(gone),
    });
    if (this.#closed || this.#connections.size >= SLAVES_MAX) {
      this.#log.warn(
        { slave: link.peer },
        `connection of a slave refused: there are ${this.#connections.size} already`,
      );
      connection.close();
    } else this.#connections.add(connection);
    return connection;
  }

  /** Sends all slaves what there is. */
  push(): void {
    for (const connection of this.#connections) connection.push();
  }

  /** A link that is cut must not make an empty slave one that has everything. */
  #beginOf(peer: string, begin: number | undefined): number {
    const host = peer.slice(0, peer.lastIndexOf(":"));
    for (const [other, at] of this.#begins) if (at <= this.#store.replicatedTo) this.#begins.delete(other);
    if (begin !== undefined && this.#begins.size < SLAVES_MAX) this.#begins.set(host, begin);
    return begin ?? this.#begins.get(host) ?? 0;
  }

  #acked(): void {
    if (!this.#store.waitsForSlaves) return;
    this.#store.replicated(this.#replicatedTo(this.#options.inSyncReplicas - 1));
  }

  /**
   * What at least so many slaves have. One that began behind a message which still waits does not have that message, however
   * far it is: it was only given the newest file (Apache counts it, and acknowledges messages that no slave ever got).
   */
  #replicatedTo(slaves: number): number {
    if (slaves > this.#connections.size) return -1;
    const waitingFrom = this.#store.replicatedTo;
    const acks: number[] = [];
    for (const { begin, ackOffset } of this.#connections) acks.push(begin > waitingFrom ? -1 : ackOffset);
    return acks.sort((a, b) => b - a)[slaves - 1];
  }

  /** The slaves that have said where they are. */
  slaves(): SlaveState[] {
    const end = this.#feed.end;
    return [...this.#connections].map((connection) => ({
      addr: connection.peer,
      slaveAckOffset: connection.ackOffset,
      diff: end - connection.ackOffset,
      inSync: end - connection.ackOffset < this.#options.haMaxGapNotInSync,
      transferFromWhere: connection.from,
      transferredByteInSecond: connection.meter.lastSecondBytes,
    }));
  }

  stop(): void {
    this.#closed = true;
    this.#clock.clear(this.#ticks);
    this.#listener?.close();
    for (const connection of this.#connections) connection.close();
  }
}
