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
import { HaClient, type MasterLinkState } from "../ha/haClient.ts";
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
  clock: Clock;
  log: Logger;
}

export class Slave {
  readonly #client: HaClient;
  readonly #synchronize: SlaveSynchronize;

  /** The store must be open. */
  constructor(context: SlaveContext) {
    const { config, store, disk, topics, registration, request, clock, log } = context;
    this.#synchronize = new SlaveSynchronize({
      ...context,
      options: config,
      timerCheckpoint: new TimerCheckpoint(disk, path.join(config.storePathRootDir, "config", "timercheck")),
    });
    // Without its topic a message could not be read here, were the master to die now.
    store.onArrival((topic) => {
      if (!topics.has(topic)) this.#synchronize.syncSoon();
    });
    const replica = store.replica();
    const comparison = new MasterComparison(replica, request, () => this.#synchronize.master);
    this.#client = new HaClient(config, replica, () => comparison.difference(), clock, log);
    const fixed = (config.haMasterAddress ?? "").trim();
    const isFixed = fixed.length >= HA_ADDRESS_CHARS_MIN;
    if (isFixed) this.#client.setMaster(fixed);
    registration.onMaster((masterAddr, haServerAddr) => {
      this.#synchronize.setMaster(masterAddr);
      if (!isFixed && haServerAddr !== "") this.#client.setMaster(haServerAddr);
    });
  }

  start(): void {
    this.#synchronize.start();
    this.#client.start();
  }

  state(): MasterLinkState {
    return this.#client.state();
  }

  async stop(): Promise<void> {
    this.#client.stop();
    await this.#synchronize.stop();
  }
}
