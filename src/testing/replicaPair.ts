/** A master's and a slave's store, joined by a {@link Wire}: no socket, no real time. */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { expect } from "vitest";
import { type Logger, silentLogger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { Turn } from "../base/turn.ts";
import { HaClient } from "../ha/haClient.ts";
import { HaMaster } from "../ha/haMaster.ts";
import type { StoreOptions } from "../store/options.ts";
import { SimDisk } from "./simDisk.ts";
import { COMMIT_LOG, Journal, SimStore, SMALL } from "./simStore.ts";
import { Wire } from "./wire.ts";

export const FILE_BYTES = 4096;
export const OPTIONS: StoreOptions = { ...SMALL, mappedFileSizeCommitLog: FILE_BYTES, maxMessageSize: 1024 };
const HA = {
  haSendHeartbeatInterval: 5_000,
  haHousekeepingInterval: 20_000,
  haTransferBatchSize: 700,
  haMaxGapNotInSync: 1_000,
  haFlowControlEnable: false,
  maxHaTransferByteInSecond: 0,
};

/** Notes what is warned of. */
function listening(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const note = (fields: unknown, text?: string) => {
    const reason = (fields as { reason?: string }).reason;
    lines.push([text ?? String(fields), reason].filter((part) => part !== undefined).join(": "));
  };
  return { log: { ...silentLogger(), info: () => {}, warn: note, error: note } as unknown as Logger, lines };
}

export class ReplicaPair {
  readonly masterLog = listening();
  readonly slaveLog = listening();
  readonly masterDisk = new SimDisk();
  slaveDisk = new SimDisk();
  readonly options: Partial<StoreOptions>;
  readonly ha: Partial<typeof HA>;
  readonly slaveOptions: Partial<StoreOptions>;
  master: SimStore;
  slave: SimStore;
  service!: HaMaster;
  client!: HaClient;
  wire: Wire | undefined;
  /** What a comparison says; see HaClient. */
  difference: string | undefined;
  /** How many bytes pass on each connection to come before it is cut; none here: all. */
  readonly cuts: Partial<Wire["left"]>[] = [];

  constructor(
    options: Partial<StoreOptions> = {},
    ha: Partial<typeof HA> = {},
    slaveOptions: Partial<StoreOptions> = {},
  ) {
    this.options = options;
    this.ha = ha;
    this.slaveOptions = slaveOptions;
    this.master = new SimStore(this.masterDisk, new Journal(), { ...OPTIONS, ...options });
    this.slave = this.#slaveStore();
  }

  #slaveStore(): SimStore {
    const options = { ...OPTIONS, ...this.slaveOptions, brokerRole: "SLAVE" };
    return new SimStore(this.slaveDisk, new Journal(), options, undefined, this.slaveLog.log);
  }

  async start(): Promise<void> {
    await this.startMaster();
    await this.startSlave();
  }

  async startMaster(): Promise<void> {
    await this.master.store.start();
    const { clock, store } = this.master;
    const options = { ...HA, ...this.ha, inSyncReplicas: this.options.inSyncReplicas ?? 1 };
    this.service = new HaMaster(options, store, clock, new Turn(clock), this.masterLog.log);
    this.service.attach();
  }

  async startSlave(): Promise<void> {
    await this.slave.store.start();
    this.client = new HaClient(
      { ...HA, ...this.ha },
      this.slave.store.replica(),
      async () => this.difference,
      this.slave.clock,
      this.slaveLog.log,
      async (_address, onLink) => {
        const wire = new Wire();
        this.wire = wire;
        Object.assign(wire.left, this.cuts.shift());
        wire.slave = onLink(wire.slaveEnd);
        wire.master = this.service.accept(wire.masterEnd);
      },
    );
    this.client.setMaster("master:1");
    this.client.start();
    await this.slave.settle();
  }

  /** Stops the slave, or kills it, and starts another on what its disk has. */
  async restartSlave(killed = false): Promise<void> {
    this.client.stop();
    this.wire?.cut();
    if (killed) this.slaveDisk = this.slaveDisk.killed(1);
    else await this.slave.close();
    this.slave = this.#slaveStore();
    await this.startSlave();
  }

  send(topic: string, bodyBytes: number) {
    return this.master.send(topic, 0, bodyBytes);
  }

  /** Lets everything pass, in pieces of `bytes`, until nothing moves. */
  async flow(bytes = Number.POSITIVE_INFINITY): Promise<void> {
    for (let idle = 0; idle < 3; ) {
      await this.master.settle();
      this.service.push();
      const moved = this.#deliver(bytes);
      await this.slave.settle();
      idle = moved ? 0 : idle + 1;
    }
  }

  /** Lets a little of what is under way pass, in pieces of any size. */
  async trickle(random: Random): Promise<void> {
    await this.master.settle();
    this.service.push();
    const wire = this.wire as Wire;
    for (const { queue, to } of wire.directions) {
      const stream = Buffer.concat(queue.splice(0));
      // Reports arrive whole or in pieces; the rest stays on its way.
      const passes = random.int(3) === 0 ? stream.length : random.int(stream.length + 1);
      if (passes < stream.length) queue.unshift(stream.subarray(passes));
      if (passes > 0) to().received(stream.subarray(0, passes));
    }
    await this.slave.settle();
    await this.master.settle();
  }

  #deliver(bytes: number): boolean {
    const wire = this.wire;
    if (wire === undefined) return false;
    let moved = false;
    for (const { queue, to, left } of wire.directions) {
      for (const one of queue.splice(0)) {
        moved = true;
        const passes = one.subarray(0, left.bytes);
        left.bytes -= passes.length;
        for (let at = 0; at < passes.length && wire.open; at += bytes) to().received(passes.subarray(at, at + bytes));
        if (left.bytes === 0) wire.cut();
      }
    }
    return moved;
  }

  /** The slave tries again. */
  async reconnect(): Promise<void> {
    await this.slave.advance(5_100);
    await this.slave.advance(1_000);
  }

  #files(disk: SimDisk): Map<string, Buffer> {
    const files = disk.list(COMMIT_LOG).filter((name) => /^\d{20}$/.test(name));
    return new Map(files.map((name) => [name, Buffer.from(disk.readAll(path.join(COMMIT_LOG, name)))]));
  }

  /** Both logs have the same bytes, from the slave's first file on. */
  expectSame(): void {
    const ours = this.#files(this.masterDisk);
    const theirs = this.#files(this.slaveDisk);
    expect(theirs.size).toBeGreaterThan(0);
    for (const [name, bytes] of theirs) expect(bytes.equals(ours.get(name) as Buffer), name).toBe(true);
    expect([...theirs.keys()].at(-1)).toBe([...ours.keys()].at(-1));
    expect(this.slave.store.maxLogOffset()).toBe(this.master.store.maxLogOffset());
  }
}
