// A master and its slave, one of which is always to come: the master dies with its disk, its slave takes its place, and a new slave begins.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../../lib/ports.mjs";
import { SkylarkServer } from "../../lib/skylark.mjs";
import { RawClient } from "./client.mjs";
import { SMALL_FILES } from "./load.mjs";
import { DELAY_TOPIC, ORDER_TOPIC } from "./names.mjs";

const HA_STATUS = 907;
/** A slave tries to connect every 5 s. */
const CATCH_UP_LIMIT_MS = 120_000;
/** A slave that comes empty is given the newest file only: then all must be in one. */
const ONE_FILE_BYTES = 64 * 1024 * 1024;
const SEVERAL_FILES_BYTES = 2 * 1024 * 1024;

export class Replicas {
  #dir;
  #first;
  #second;
  #flush;
  #newcomer;
  #generation = 0;
  /** Where the slave connects to instead of its master; see faultyProxy. */
  masterAddress;

  /**
   * @param {{ dir: string, port: number, flush: string, newcomer: "empty" | "copied" }} options
   *   `newcomer`: whether a new slave has nothing, or a copy of its master's directory as the guide in docs/ says.
   */
  static async make({ dir, port, flush, newcomer }) {
    const first = await freePorts(port);
    const second = await freePorts(first.next);
    return new Replicas(dir, first, { ...second, namesrvPort: first.namesrvPort }, flush, newcomer);
  }

  constructor(dir, first, second, flush, newcomer) {
    this.#dir = dir;
    this.#first = first;
    this.#second = second;
    this.#flush = flush;
    this.#newcomer = newcomer;
    const home = join(dir, "namesrv");
    mkdirSync(home, { recursive: true });
    this.namesrv = new SkylarkServer({ dir: home, ...first, layout: "split" });
  }

  /** Where clients find the master, always. */
  get port() {
    return this.#first.brokerPort;
  }

  get slavePort() {
    return this.#second.brokerPort;
  }

  get haPort() {
    return this.#first.brokerPort + 1;
  }

  async startFirst() {
    await this.namesrv.startNamesrv();
    this.master = this.#broker("master", this.#nextStore());
    await this.master.startBroker();
  }

  /** Starts a slave of the master, which has no messages yet or is as `newcomer` says. */
  async startSlave() {
    this.slave = this.#broker("slave", this.#nextStore());
    await this.slave.startBroker();
  }

  /** The master's process and disk are gone, the slave's process is gone: its store becomes the master's. */
  async promote() {
    rmSync(this.master.store, { recursive: true, force: true });
    const survivor = this.slave.store;
    const next = this.#nextStore();
    if (this.#newcomer === "copied") copyStore(survivor, next);
    this.master = this.#broker("master", survivor);
    this.slave = this.#broker("slave", next);
    await this.master.startBroker();
    await this.slave.startBroker();
  }

  /** Waits until the slave has what the master had when this was called, and its topics. */
  async caughtUp() {
    const deadline = Date.now() + CATCH_UP_LIMIT_MS;
    let goal;
    for (;;) {
      const client = await RawClient.open({ port: this.port });
      const reply = await client.ask(HA_STATUS, {});
      client.destroy();
      const status = JSON.parse(reply.body.toString());
      goal ??= status.masterCommitLogMaxOffset;
      const [one] = status.haConnectionInfo;
      const file = join(this.slave.store, "config", "topics.json");
      const topics = existsSync(file) ? readFileSync(file, "utf8") : "";
      if (one?.slaveAckOffset >= goal && [ORDER_TOPIC, DELAY_TOPIC].every((topic) => topics.includes(`"${topic}"`)))
        return;
      if (Date.now() > deadline) throw new Error(`no slave that has ${goal}: ${reply.body}`);
      await sleep(30);
    }
  }

  async end() {
    for (const one of [this.master, this.slave, this.namesrv]) await one?.kill9().catch(() => {});
  }

  #nextStore() {
    return join(this.#dir, `store-${this.#generation++}`);
  }

  #broker(role, store) {
    const place = role === "master" ? this.#first : this.#second;
    const settings = {
      ...SMALL_FILES,
      mappedFileSizeCommitLog: this.#newcomer === "copied" ? SEVERAL_FILES_BYTES : ONE_FILE_BYTES,
      autoCreateTopicEnable: false,
      flushDiskType: this.#flush,
      haListenPort: place.brokerPort + 1,
      // Longer than a start on a busy machine: what is not confirmed in time is shown to consumers, and may die with its master.
      slaveTimeout: 60_000,
    };
    if (role === "master") Object.assign(settings, { brokerRole: "SYNC_MASTER", inSyncReplicas: 2 });
    else Object.assign(settings, { brokerRole: "SLAVE", brokerId: 1, slaveReadEnable: true });
    if (role === "slave" && this.masterAddress !== undefined) settings.haMasterAddress = this.masterAddress;
    const dir = join(this.#dir, role);
    mkdirSync(dir, { recursive: true });
    return new SkylarkServer({ dir, ...place, store, settings, layout: "split" });
  }
}

/** As docs/replication.md says: without what belongs to the process that had it. */
function copyStore(from, to) {
  const own = new Set(["abort", "lock"].map((name) => join(from, name)));
  cpSync(from, to, { recursive: true, filter: (path) => !own.has(path) });
}
