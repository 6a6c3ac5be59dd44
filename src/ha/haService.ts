/**
 * The master's side of replication, whatever its slaves speak (Apache: HAService): listens for them, pushes the log to each at
 * the end of every turn that wrote, and looks after them every second. Those who extend it say what a slave's word counts
 * (haMaster.ts in plain replication, autoSwitch/autoSwitchMaster.ts under a Controller).
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Turn } from "../base/turn.ts";
import type { LogFeed } from "../store/logFeed.ts";
import { type Link, type Listener, listen } from "./link.ts";
import type { SlaveLink } from "./slaveLink.ts";

/** Slaves connected at once; a group has a handful. */
export const SLAVES_MAX = 64;
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

export abstract class HaService<Slave extends SlaveLink> {
  protected readonly store: HaStore;
  protected readonly clock: Clock;
  protected readonly log: Logger;
  protected readonly connections = new Set<Slave>();
  /** Present from {@link attach} on. */
  protected feed!: LogFeed;
  #listener: Listener | undefined;
  #ticks: Timer | undefined;
  #closed = false;

  constructor(store: HaStore, clock: Clock, turn: Turn, log: Logger) {
    this.store = store;
    this.clock = clock;
    this.log = log;
    turn.onOutput(() => {
      if (this.connections.size > 0) this.push();
    });
  }

  // ---- what those who extend this say ----

  /** What serves the slave at the other end of `link`. */
  protected abstract connection(link: Link): Slave;
  /** A second has passed for all slaves. */
  protected abstract ticked(): void;
  /** Whether a slave so many bytes behind is one that operators need not worry about. */
  protected abstract isInSync(slave: Slave, behindBytes: number): boolean;

  // ---- life ----

  /** Listens for slaves; the store must be open. Resolves with the port. */
  async start(host: string, port: number): Promise<number> {
    this.attach();
    this.#listener = await listen(host, port, (link) => this.accept(link));
    return this.#listener.port;
  }

  /** Begins to serve slaves that {@link accept} is given; the store must be open. */
  attach(): void {
    this.feed = this.store.feed();
    this.#ticks = this.clock.every(TICK_MS, () => {
      for (const connection of this.connections) connection.tick();
      this.ticked();
    });
  }

  /** A slave has connected. */
  accept(link: Link): Slave {
    const connection = this.connection(link);
    if (this.#closed || this.connections.size >= SLAVES_MAX) {
      this.log.warn({ slave: link.peer }, `connection of a slave refused: there are ${this.connections.size} already`);
      connection.close();
    } else this.connections.add(connection);
    return connection;
  }

  /** Sends all slaves what there is. */
  push(): void {
    for (const connection of this.connections) connection.push();
  }

  /** The slaves that are connected. */
  slaves(): SlaveState[] {
    const { end } = this.feed;
    return [...this.connections].map((slave) => ({
      addr: slave.peer,
      slaveAckOffset: slave.ackOffset,
      diff: end - slave.ackOffset,
      inSync: this.isInSync(slave, end - slave.ackOffset),
      transferFromWhere: slave.from,
      transferredByteInSecond: slave.meter.lastSecondBytes,
    }));
  }

  /** Whether {@link stop} was called. */
  protected get over(): boolean {
    return this.#closed;
  }

  stop(): void {
    this.#closed = true;
    this.clock.clear(this.#ticks);
    this.#listener?.close();
    for (const connection of this.connections) connection.close();
  }
}
