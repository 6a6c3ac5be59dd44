/**
 * What a slave does instead of a master's work: follows a master's log and metadata (Apache: the slave's part of
 * BrokerController). Who the master is, the NameServers tell with every registration, or haMasterAddress does.
 */
import * as path from "node:path";
import type { AuthTables } from "../auth/authTables.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Groups } from "../broker/groups.ts";
import { MasterComparison } from "../broker/masterComparison.ts";
import type { Offsets } from "../broker/offsets.ts";
import type { Registration, RequestTo } from "../broker/registration.ts";
import type { RequestModes } from "../broker/requestModes.ts";
import type { Schedule } from "../broker/schedule.ts";
import { SlaveSynchronize } from "../broker/slaveSynchronize.ts";
import type { Topics } from "../broker/topics.ts";
import type { BrokerConfig } from "../config/index.ts";
import { AutoSwitchClient } from "../ha/autoSwitch/autoSwitchClient.ts";
import type { EpochFile } from "../ha/autoSwitch/epochFile.ts";
import { HaClient } from "../ha/haClient.ts";
import type { MasterLinkState } from "../ha/masterLink.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import type { Disk } from "../store/disk.ts";
import type { MessageStore } from "../store/messageStore.ts";
import type { MetadataFile } from "../store/metadataFile.ts";
import { TimerCheckpoint } from "../store/timer/timerCheckpoint.ts";

/** Shorter values of haMasterAddress count as not set, as in Apache. */
const HA_ADDRESS_CHARS_MIN = 6;

export interface SlaveContext {
  config: BrokerConfig;
  store: MessageStore;
  disk: Disk;
  topics: Topics;
  groups: Groups;
  offsets: Offsets;
  schedule: Schedule;
  requestModes: RequestModes;
  registration: Registration;
  request: RequestTo;
  timerMetricsFile: MetadataFile;
  /** Users and their rights; absent where nothing speaks of them. */
  auth?: AuthTables | undefined;
  /** Present where a Controller says who the master is. */
  controlled?: ControlledSlave | undefined;
  clock: Clock;
  log: Logger;
}

export interface ControlledSlave {
  /** The Controller's id of this broker. */
  readonly brokerId: () => number;
  readonly epochs: EpochFile;
  /** See AutoSwitchHooks. */
  truncate(logOffset: number): void;
}

const HA_ADDRESS_TIMEOUT_MS = 3_000;
/** Under a Controller metadata may be needed any moment (Apache: 10 s there). */
const CONTROLLED_PERIOD_MS = 10_000;

export class Slave {
  readonly #client: HaClient | AutoSwitchClient;
  readonly #synchronize: SlaveSynchronize;

  /** The store must be open. */
  constructor(context: SlaveContext) {
    const { config, store, disk, topics, registration, request, controlled, clock, log } = context;
    this.#synchronize = new SlaveSynchronize({
      ...context,
      options: config,
      periodMs: controlled === undefined ? undefined : CONTROLLED_PERIOD_MS,
      timerCheckpoint: new TimerCheckpoint(disk, path.join(config.storePathRootDir, "config", "timercheck")),
    });
    // Without its topic a message could not be read here, were the master to die now.
    store.onArrival((topic) => {
      if (!topics.has(topic)) this.#synchronize.syncSoon();
    });
    const replica = store.replica();
    const comparison = new MasterComparison(replica, request, () => this.#synchronize.master);
    if (controlled !== undefined) {
      const hooks = {
        haAddress: () => this.#askHaAddress(request),
        compare: () => comparison.difference(),
        truncate: (logOffset: number) => controlled.truncate(logOffset),
      };
      this.#client = new AutoSwitchClient(config, controlled.brokerId, replica, controlled.epochs, hooks, clock, log);
      return;
    }
    const client = new HaClient(config, replica, () => comparison.difference(), clock, log);
    this.#client = client;
    const fixed = (config.haMasterAddress ?? "").trim();
    const isFixed = fixed.length >= HA_ADDRESS_CHARS_MIN;
    if (isFixed) client.setMaster(fixed);
    registration.onMaster((masterAddr, haServerAddr) => {
      this.#synchronize.setMaster(masterAddr);
      if (!isFixed && haServerAddr !== "") client.setMaster(haServerAddr);
    });
  }

  start(): void {
    this.#synchronize.start();
    this.#client.start();
  }

  /** Where the Controller has said that the master is: `host:port` for clients. */
  follow(masterAddress: string): void {
    this.#synchronize.setMaster(masterAddress);
    if (this.#client instanceof AutoSwitchClient) this.#client.masterChanged();
  }

  /** Below this offset every broker that must have the log has it, by the master's last word. */
  get confirmOffset(): number {
    return this.#client instanceof AutoSwitchClient ? this.#client.confirmOffset : 0;
  }

  /** The master itself knows where it listens for slaves; the NameServer may still speak of the one before. */
  async #askHaAddress(request: RequestTo): Promise<string> {
    const master = this.#synchronize.master;
    if (master === undefined) throw new Error("the Controller has not said who is master");
    const answer = await request(master, RequestCode.EXCHANGE_BROKER_HA_INFO, {}, undefined, HA_ADDRESS_TIMEOUT_MS);
    const address = answer.fields.get("masterHaAddress");
    if (answer.code !== ResponseCode.SUCCESS || !address) throw new Error(`${master} is not a master yet`);
    return address;
  }

  state(): MasterLinkState {
    return this.#client.state();
  }

  async stop(): Promise<void> {
    this.#client.stop();
    await this.#synchronize.stop();
  }
}
