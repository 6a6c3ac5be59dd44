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
    });
  }

  /** A slave has connected. */
  accept(link: Link): HaConnection {
    const connection = new HaConnection(link, this.#feed, this.#options, this.#clock, this.#log, {
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

  #acked(): void {
    if (!this.#store.waitsForSlaves) return;
    this.#store.replicated(this.#replicatedTo(this.#options.inSyncReplicas - 1));
  }

  /** What at least so many slaves have. */
  #replicatedTo(slaves: number): number {
    if (slaves > this.#connections.size) return -1;
    const acks = [...this.#connections].map((connection) => connection.ackOffset).sort((a, b) => b - a);
    return acks[slaves - 1];
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
