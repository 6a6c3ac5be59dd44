/**
 * The side of an elected master (Apache: AutoSwitchHAService, GroupTransferService): pushes the log to its slaves, says which
 * of them belong to the set of brokers that hold everything, and tells the store what all of that set have.
 *
 * The set is the Controller's. While a change is on its way to it, old and new members both count: whichever it decides,
 * nothing was confirmed that a member of its set lacks.
 */
import { type Clock, repeat } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Turn } from "../../base/turn.ts";
import { HaService, type HaStore } from "../haService.ts";
import type { Link } from "../link.ts";
import type { HaMasterOptions } from "../slaveLink.ts";
import { AutoSwitchConnection } from "./autoSwitchConnection.ts";
import type { EpochFile } from "./epochFile.ts";

export interface AutoSwitchMasterOptions extends HaMasterOptions {
  readonly inSyncReplicas: number;
  /** Messages wait for every member of the set. */
  readonly allAckInSyncStateSet: boolean;
  /** A member that was behind for longer leaves the set, ms. */
  readonly haMaxTimeSlaveNotCatchup: number;
  /** Between looks for such members, ms. */
  readonly checkSyncStateSetPeriod: number;
}

export interface SetKeeper {
  /** This broker's id. */
  readonly brokerId: number;
  /** The set of now, the Controller's word. */
  readonly initial: ReadonlySet<number>;
  /** Asks the Controller for another set; settles when it has answered, with or without success. */
  propose(brokerIds: ReadonlySet<number>): Promise<void>;
}

export class AutoSwitchMaster extends HaService<AutoSwitchConnection> {
  readonly #options: AutoSwitchMasterOptions;
  readonly #epochs: EpochFile;
  readonly #keeper: SetKeeper;
  /** Slaves that were connected to this master at some time: when each was last known to have all there was. */
  readonly #caughtUp = new Map<number, number>();
  #set: ReadonlySet<number>;
  /** What the Controller was asked for and has not answered. */
  #proposed: ReadonlySet<number> | undefined;
  #proposing = false;
  #looks: () => void = () => {};

  constructor(
    options: AutoSwitchMasterOptions,
    store: HaStore,
    epochs: EpochFile,
    keeper: SetKeeper,
    clock: Clock,
    turn: Turn,
    log: Logger,
  ) {
    super(store, clock, turn, log);
    this.#options = options;
    this.#epochs = epochs;
    this.#keeper = keeper;
    this.#set = keeper.initial;
    turn.onOutput(() => this.#confirm());
  }

  override attach(): void {
    super.attach();
    this.#looks = repeat(
      this.clock,
      () => this.#options.checkSyncStateSetPeriod,
      () => this.#shrink(),
    );
  }

  protected connection(link: Link): AutoSwitchConnection {
    return new AutoSwitchConnection(link, this.feed, this.#epochs, this.#options, this.clock, this.log, {
      confirmOffset: () => this.confirmOffset,
      acked: (acked) => this.#acked(acked),
      gone: (gone) => this.#gone(gone),
    });
  }

  protected ticked(): void {
    if (this.#epochs.cutBefore(this.feed.first)) this.#epochs.saveSoon();
    this.#confirm();
  }

  protected isInSync({ slaveId }: AutoSwitchConnection): boolean {
    return this.#set.has(slaveId);
  }

  override stop(): void {
    super.stop();
    this.#looks();
  }

  // ---- the set ----

  /** Brokers that hold everything, by the Controller's last word. */
  get syncStateSet(): ReadonlySet<number> {
    return this.#set;
  }

  /** The Controller has decided on a set. */
  setSyncStateSet(brokerIds: ReadonlySet<number>): void {
    this.log.info({ before: [...this.#set], now: [...brokerIds] }, "the set of brokers that hold everything");
    this.#set = brokerIds;
    this.#proposed = undefined;
    this.#confirm();
  }

  #acked(connection: AutoSwitchConnection): void {
    this.#caughtUp.set(
      connection.slaveId,
      Math.max(this.#caughtUp.get(connection.slaveId) ?? -1, connection.caughtUpMs),
    );
    const behind = connection.ackOffset < this.confirmOffset || connection.ackOffset < this.#epochs.lastStart;
    if (!connection.learner && !behind && !this.#set.has(connection.slaveId)) {
      this.#propose(new Set([...this.#set, connection.slaveId]));
    }
    this.#confirm();
  }

  #gone(connection: AutoSwitchConnection): void {
    if (!this.connections.delete(connection) || this.over) return;
    const { slaveId } = connection;
    for (const { slaveId: other } of this.connections) if (other === slaveId) return;
    this.#caughtUp.delete(slaveId);
    if (this.#set.has(slaveId)) this.#propose(without(this.#set, [slaveId]));
  }

  /** Members that are behind for too long, or were never here, leave. */
  #shrink(): void {
    for (const { slaveId, caughtUpMs } of this.connections) {
      if (caughtUpMs > (this.#caughtUp.get(slaveId) ?? -1)) this.#caughtUp.set(slaveId, caughtUpMs);
    }
    const oldest = this.clock.monotonicMs() - this.#options.haMaxTimeSlaveNotCatchup;
    const late = [...this.#set].filter((id) => {
      const caughtUpMs = this.#caughtUp.get(id);
      return id !== this.#keeper.brokerId && (caughtUpMs === undefined || caughtUpMs < oldest);
    });
    if (late.length > 0) this.#propose(without(this.#set, late));
  }

  #propose(brokerIds: ReadonlySet<number>): void {
    // One at a time: whoever still belongs in or out says so again soon.
    if (this.#proposing || this.over) return;
    this.#proposing = true;
    this.#proposed = brokerIds;
    void this.#keeper.propose(brokerIds).finally(() => {
      this.#proposing = false;
    });
  }

  // ---- what is confirmed ----

  /** Members whose word counts, but this broker. */
  #others(): Set<number> {
    const others = new Set([...this.#set, ...(this.#proposed ?? [])]);
    others.delete(this.#keeper.brokerId);
    return others;
  }

  /** Everything below is on all brokers that must have it (Apache: CommitLog.getConfirmOffset). */
  get confirmOffset(): number {
    return this.#options.allAckInSyncStateSet && this.#others().size > 0
      ? Math.min(this.store.replicatedTo, this.feed.end)
      : this.feed.end;
  }

  #confirm(): void {
    if (!this.store.waitsForSlaves || this.feed === undefined) return;
    const to = this.#options.allAckInSyncStateSet ? this.#onAll() : this.#onSome(this.#options.inSyncReplicas - 1);
    this.store.replicated(Math.min(to, this.feed.end));
  }

  /** What every member of the set has; nothing new while one of them is not connected. */
  #onAll(): number {
    let to = Number.POSITIVE_INFINITY;
    for (const id of this.#others()) to = Math.min(to, this.#ackOf(id));
    return to;
  }

  /** What at least so many slaves have. */
  #onSome(slaves: number): number {
    const acks = new Map<number, number>();
    for (const { slaveId, ackOffset } of this.connections) {
      acks.set(slaveId, Math.max(acks.get(slaveId) ?? -1, ackOffset));
    }
    if (slaves > acks.size) return -1;
    return [...acks.values()].sort((a, b) => b - a)[slaves - 1];
  }

  #ackOf(id: number): number {
    let ack = -1;
    for (const connection of this.connections) if (connection.slaveId === id) ack = Math.max(ack, connection.ackOffset);
    return ack;
  }
}

function without(set: ReadonlySet<number>, ids: readonly number[]): Set<number> {
  return new Set([...set].filter((id) => !ids.includes(id)));
}
