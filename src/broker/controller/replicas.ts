/**
 * A broker's life under Apache's Controllers (Apache: ReplicasManager): gets an id, registers, takes part in elections, and
 * asks every few seconds who is master, so that it becomes what the Controller says. Decides nothing itself.
 *
 *   no leader known -> no id -> registered -> role known
 *
 * A Controller's notice that roles have changed is only a reason to ask at once: anybody could send one.
 */
import { type Clock, repeat } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { SyncStateSet } from "../../protocol/bodies/syncStateSet.ts";
import { ResponseCode } from "../../protocol/generated/responseCodes.ts";
import type { BrokerIdentity } from "./brokerIdentity.ts";
import { ControllerError, type Controllers, type Election } from "./controllers.ts";

/** Between tries while this broker has no role (Apache: 5 s). */
const RETRY_MS = 1_000;

export interface ReplicasOptions {
  readonly brokerClusterName: string;
  readonly brokerName: string;
  /** Between heartbeats, ms. */
  readonly brokerHeartbeatInterval: number;
  /** Between questions who is master, ms. */
  readonly syncBrokerMetadataPeriod: number;
  /** Between questions who leads the Controllers, ms. */
  readonly syncControllerMetadataPeriod: number;
}

/** The broker that is made master or slave. */
export interface ReplicasHost {
  /** `host:port` for clients. */
  readonly address: string;
  readonly lastEpoch: number;
  /** End of the log. */
  readonly logEnd: number;
  readonly confirmOffset: number;
  /** Resolves when this broker takes messages as the master of `epoch`. */
  becomeMaster(epoch: number, brokerIds: ReadonlySet<number>): Promise<void>;
  /** This broker is master still, of a later epoch. */
  reelected(epoch: number): Promise<void>;
  /** Resolves when this broker follows `masterAddress`. */
  becomeSlave(masterAddress: string): Promise<void>;
  /** As a master: the brokers that hold everything, by the Controller's word. */
  setSyncStateSet(brokerIds: ReadonlySet<number>): void;
}

export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #controllers: Controllers;
  readonly #identity: BrokerIdentity;
  readonly #host: ReplicasHost;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** The Controller's id of this broker. */
  brokerId: number | undefined;
  #registered = false;
  /** Undefined while nobody is master. */
  #masterId: number | undefined;
  /** Whose master or slave the host is now. */
  #actsFor: number | undefined;
  #masterEpoch = 0;
  #setEpoch = 0;
  #round: Promise<void> | undefined;
  #again = false;
  #ends: (() => void)[] = [];
  #stopped = false;
  #warned = "";

  constructor(
    options: ReplicasOptions,
    controllers: Controllers,
    identity: BrokerIdentity,
    host: ReplicasHost,
    clock: Clock,
    log: Logger,
  ) {
    this.#options = options;
    this.#controllers = controllers;
    this.#identity = identity;
    this.#host = host;
    this.#clock = clock;
    this.#log = log;
  }

  /** Begins; resolves after the first try, whether it brought a role or not. */
  async start(): Promise<void> {
    const { brokerHeartbeatInterval, syncControllerMetadataPeriod, syncBrokerMetadataPeriod } = this.#options;
    const look = () => (this.#masterId === undefined ? RETRY_MS : syncBrokerMetadataPeriod);
    this.#ends = [
      repeat(this.#clock, look, () => void this.look()),
      repeat(
        this.#clock,
        () => brokerHeartbeatInterval,
        () => this.#heartbeat(),
      ),
      repeat(
        this.#clock,
        () => syncControllerMetadataPeriod,
        () => {
          this.#controllers.findLeader().catch((error: Error) => this.#warn(error.message));
        },
      ),
    ];
    await this.look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const end of this.#ends) end();
    await this.#round;
  }

  /** Asks the Controller and becomes what it says; never rejects. One at a time; asked meanwhile, it asks again. */
  look(): Promise<void> {
    if (this.#round !== undefined) this.#again = true;
    this.#round ??= this.#look().finally(() => {
      this.#round = undefined;
      if (!this.#again || this.#stopped) return;
      this.#again = false;
      void this.look();
    });
    return this.#round;
  }

  async #look(): Promise<void> {
    if (this.#stopped) return;
    try {
      if (this.brokerId === undefined) this.brokerId = await this.#getId();
      if (!this.#registered) {
        const known = await this.#controllers.register(this.brokerId, this.#host.address);
        this.#registered = true;
        this.#heartbeat();
        this.#log.info({ brokerId: this.brokerId, masterId: known.masterId }, "registered with the Controller");
        await this.#become(known);
      } else await this.#become(await this.#controllers.replicaInfo());
      if (this.#masterId === undefined) await this.#become(await this.#controllers.elect(this.brokerId));
      this.#warned = "";
    } catch (error) {
      if (error instanceof ControllerError && NOT_KNOWN.has(error.code)) this.#registered = false;
      this.#warn((error as Error).message);
    }
  }

  #warn(reason: string): void {
    if (this.#stopped || reason === this.#warned) return;
    this.#warned = reason;
    this.#log.warn({ reason }, "the Controller's word is not known");
  }

  // ---- who this broker is ----

  /** The id of this broker; gets one from the Controller when it has none. A crash in the middle goes on where it was. */
  async #getId(): Promise<number> {
    const granted = this.#identity.granted();
    if (granted !== undefined) {
      this.#check(granted, "brokerIdentity");
      return granted.brokerId;
    }
    const { brokerClusterName: clusterName, brokerName } = this.#options;
    let applied = this.#identity.applied();
    if (applied === undefined) {
      const brokerId = await this.#controllers.nextBrokerId();
      const registerCheckCode = `${this.#host.address};${this.#clock.now()}`;
      applied = { clusterName, brokerName, brokerId, registerCheckCode };
      await this.#identity.apply(applied);
    }
    this.#check(applied, "brokerIdentity-temp");
    try {
      await this.#controllers.applyBrokerId(applied.brokerId, applied.registerCheckCode);
    } catch (error) {
      // Somebody was faster: the next try asks for another one.
      if (error instanceof ControllerError && error.code === ResponseCode.CONTROLLER_BROKER_ID_INVALID) {
        this.#identity.withdraw();
      }
      throw error;
    }
    await this.#identity.grant(applied);
    this.#log.info({ brokerId: applied.brokerId }, "the Controller has given this broker an id");
    return applied.brokerId;
  }

  #check(identity: { clusterName: string; brokerName: string }, file: string): void {
    const { brokerClusterName, brokerName } = this.#options;
    if (identity.clusterName === brokerClusterName && identity.brokerName === brokerName) return;
    throw new Error(
      `${file} belongs to ${identity.clusterName}/${identity.brokerName}, this broker is ${brokerClusterName}/${brokerName}: correct brokerClusterName and brokerName`,
    );
  }

  // ---- roles ----

  async #become({ masterId, masterAddress, masterEpoch, set }: Election): Promise<void> {
    if (masterId === undefined || masterAddress === "" || this.#stopped) {
      // Nobody is master; this broker asks for an election.
      if (masterEpoch > this.#masterEpoch) this.#masterId = undefined;
      return;
    }
    if (masterEpoch <= this.#masterEpoch) {
      if (this.isMaster && masterEpoch === this.#masterEpoch) this.#setChanged(set);
      return;
    }
    if (masterEpoch < this.#host.lastEpoch) {
      throw new Error(
        `the Controller speaks of epoch ${masterEpoch}, this log has ${this.#host.lastEpoch}: is it the Controller of this group?`,
      );
    }
    const same = masterId === this.#actsFor;
    const mine = masterId === this.brokerId;
    this.#log.info(
      { masterId, masterAddress, masterEpoch, set: [...set.brokerIds] },
      mine ? "elected" : "there is a master",
    );
    if (mine) {
      this.#setEpoch = set.epoch;
      if (same) {
        await this.#host.reelected(masterEpoch);
        this.#host.setSyncStateSet(set.brokerIds);
      } else await this.#host.becomeMaster(masterEpoch, set.brokerIds);
    } else if (!same) await this.#host.becomeSlave(masterAddress);
    // Only now: what failed is tried again.
    this.#masterId = masterId;
    this.#actsFor = masterId;
    this.#masterEpoch = masterEpoch;
  }

  get isMaster(): boolean {
    return this.brokerId !== undefined && this.#masterId === this.brokerId;
  }

  // ---- the set of brokers that hold everything ----

  #setChanged(set: SyncStateSet): void {
    if (set.epoch <= this.#setEpoch) return;
    this.#setEpoch = set.epoch;
    this.#host.setSyncStateSet(set.brokerIds);
  }

  /** Asks the Controller for another set; never rejects. */
  async propose(brokerIds: ReadonlySet<number>): Promise<void> {
    if (this.brokerId === undefined || this.#stopped) return;
    const set = { brokerIds: new Set([...brokerIds, this.brokerId]), epoch: this.#setEpoch };
    try {
      this.#setChanged(await this.#controllers.alterSyncStateSet(this.brokerId, this.#masterEpoch, set));
    } catch (error) {
      this.#log.warn(
        { wanted: [...set.brokerIds], reason: (error as Error).message },
        "the set of brokers that hold everything is not changed",
      );
      // Another set or another master, perhaps.
      if (error instanceof ControllerError) void this.look();
    }
  }

  #heartbeat(): void {
    if (this.brokerId === undefined || !this.#registered) return;
    const { address, lastEpoch, logEnd, confirmOffset } = this.#host;
    this.#controllers.heartbeat(this.brokerId, address, lastEpoch, logEnd, confirmOffset);
  }
}

/** The Controller does not know this broker (any more). */
const NOT_KNOWN: ReadonlySet<number> = new Set([
  ResponseCode.CONTROLLER_BROKER_METADATA_NOT_EXIST,
  ResponseCode.CONTROLLER_BROKER_NEED_TO_BE_REGISTERED,
]);
