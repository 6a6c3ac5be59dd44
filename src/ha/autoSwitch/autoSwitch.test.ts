/** Two stores under a Controller's word, joined by links that tests cut; masters change, and logs part and come together. */
import { Buffer } from "node:buffer";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../base/log.ts";
import { Turn } from "../../base/turn.ts";
import { MetadataFile } from "../../store/metadataFile.ts";
import type { StoreOptions } from "../../store/options.ts";
import { truncateLog } from "../../store/truncate.ts";
import { SimDisk } from "../../testing/simDisk.ts";
import { COMMIT_LOG, Journal, ROOT, SimStore, SMALL } from "../../testing/simStore.ts";
import { Wire } from "../../testing/wire.ts";
import { AutoSwitchClient } from "./autoSwitchClient.ts";
import { AutoSwitchMaster } from "./autoSwitchMaster.ts";
import { EpochFile } from "./epochFile.ts";

const OPTIONS: StoreOptions = {
  ...SMALL,
  mappedFileSizeCommitLog: 4096,
  maxMessageSize: 1024,
  enableControllerMode: true,
  allAckInSyncStateSet: true,
  slaveTimeout: 3_000,
};
const HA = {
  haSendHeartbeatInterval: 5_000,
  haHousekeepingInterval: 20_000,
  haTransferBatchSize: 700,
  haMaxGapNotInSync: 1_000,
  haFlowControlEnable: false,
  maxHaTransferByteInSecond: 0,
  inSyncReplicas: 1,
  allAckInSyncStateSet: true,
  haMaxTimeSlaveNotCatchup: 15_000,
  checkSyncStateSetPeriod: 5_000,
  syncFromLastFile: false,
  asyncLearner: false,
};

/** One broker: a disk that stays, and a role that changes. */
class Node {
  readonly id: number;
  readonly disk = new SimDisk();
  readonly epochs: EpochFile;
  /** What the Controller was asked for, and whether it says yes. */
  readonly proposals: number[][] = [];
  agrees = true;
  cutAt: number | undefined;
  store!: SimStore;
  master: AutoSwitchMaster | undefined;
  client: AutoSwitchClient | undefined;
  difference: string | undefined;
  readonly ha: Partial<typeof HA>;

  constructor(id: number, ha: Partial<typeof HA> = {}) {
    this.id = id;
    this.ha = ha;
    const file = new MetadataFile(this.disk, path.join(ROOT, "epochFileCheckpoint"));
    this.epochs = new EpochFile(file, silentLogger());
  }

  async lead(epoch: number, set = [this.id]): Promise<void> {
    this.store = new SimStore(this.disk, new Journal(), { ...OPTIONS, brokerRole: "SYNC_MASTER" });
    await this.store.store.start();
    this.epochs.beginMine(epoch, this.store.store.maxLogOffset());
    await this.epochs.save();
    const { clock } = this.store;
    this.master = new AutoSwitchMaster(
      { ...HA, ...this.ha },
      this.store.store,
      this.epochs,
      {
        brokerId: this.id,
        initial: new Set(set),
        propose: async (ids) => {
          this.proposals.push([...ids]);
          if (this.agrees) this.master?.setSyncStateSet(ids);
        },
      },
      clock,
      new Turn(clock),
      silentLogger(),
    );
    this.master.attach();
  }

  async follow(master: Node, wires: Wire[]): Promise<void> {
    this.store = new SimStore(this.disk, new Journal(), { ...OPTIONS, brokerRole: "SLAVE" });
    await this.store.store.start();
    this.client = new AutoSwitchClient(
      { ...HA, ...this.ha },
      () => this.id,
      this.store.store.replica(),
      this.epochs,
      {
        haAddress: async () => "master:1",
        compare: async () => this.difference,
        truncate: (logOffset) => {
          this.cutAt = logOffset;
        },
      },
      this.store.clock,
      silentLogger(),
      async (_address, onLink) => {
        const wire = new Wire();
        wires.push(wire);
        wire.slave = onLink(wire.slaveEnd);
        wire.master = (master.master as AutoSwitchMaster).accept(wire.masterEnd);
      },
    );
    this.client.start();
    await this.store.settle();
  }

  async stop(wires: Wire[]): Promise<void> {
    this.client?.stop();
    this.master?.stop();
    for (const wire of wires.splice(0)) wire.cut();
    this.client = undefined;
    this.master = undefined;
    await this.store.close();
  }

  /** What controlledBroker.ts does between two roles. */
  async truncate(wires: Wire[]): Promise<void> {
    await this.stop(wires);
    await truncateLog(this.disk, OPTIONS, this.cutAt as number);
    this.epochs.cutBehind(this.cutAt as number);
    await this.epochs.save();
    this.cutAt = undefined;
  }

  get end(): number {
    return this.store.store.maxLogOffset();
  }

  bytes(): Buffer {
    const names = this.disk.list(COMMIT_LOG).filter((name) => /^\d{20}$/.test(name));
    return Buffer.concat(names.map((name) => this.disk.readAll(path.join(COMMIT_LOG, name))));
  }
}

class Group {
  readonly wires: Wire[] = [];

  async flow(master: Node, slave: Node, piece = Number.POSITIVE_INFINITY): Promise<void> {
    for (let idle = 0; idle < 3; ) {
      await master.store.settle();
      master.master?.push();
      let moved = false;
      for (const wire of this.wires) {
        for (const { queue, to } of wire.directions) {
          for (const one of queue.splice(0)) {
            moved = true;
            for (let at = 0; at < one.length && wire.open; at += piece) {
              to().received(one.subarray(at, at + piece));
              // The answer to a handshake takes a moment.
              await slave.store.settle();
            }
          }
        }
      }
      await slave.store.settle();
      idle = moved ? 0 : idle + 1;
    }
  }
}

async function pair(ha: Partial<typeof HA> = {}): Promise<{ group: Group; a: Node; b: Node }> {
  const group = new Group();
  const [a, b] = [new Node(1), new Node(2, ha)];
  await a.lead(1);
  await b.follow(a, group.wires);
  await group.flow(a, b);
  return { group, a, b };
}

describe("a Controller's group", () => {
  it("copies log and epochs whatever the pieces, and takes who has everything into the set", async () => {
    const { group, a, b } = await pair();
    expect(a.proposals).toEqual([[1, 2]]);
    for (let i = 0; i < 30; i++) a.store.send("A", i % 2, (i * 53) % 800);
    await group.flow(a, b, 5);
    expect(b.end).toBe(a.end);
    expect(b.bytes().equals(a.bytes())).toBe(true);
    expect(b.epochs.entries).toEqual([{ epoch: 1, startOffset: 0 }]);
    expect(b.store.store.maxOffset("A", 0)).toBe(15);
    expect(a.master?.slaves()).toMatchObject([{ inSync: true, diff: 0 }]);
  });

  it("answers and shows a message when every member of the set has it, not before", async () => {
    const { group, a, b } = await pair();
    const sent = a.store.send("A", 0, 100);
    await a.store.settle();
    expect([sent.status, a.store.store.maxOffset("A", 0)]).toEqual([undefined, 0]);
    await group.flow(a, b);
    expect([sent.status, a.store.store.maxOffset("A", 0)]).toEqual(["ok", 1]);
    // Alone, it waits for nobody.
    group.wires[0].cut();
    expect(a.proposals.at(-1)).toEqual([1]);
    const alone = a.store.send("A", 0, 100);
    await a.store.advance(1_000);
    expect([alone.status, a.store.store.maxOffset("A", 0)]).toEqual(["ok", 2]);
  });

  it("shows nothing that a member lacks while the Controller has not let it go, whatever the time", async () => {
    const { group, a } = await pair();
    a.agrees = false;
    group.wires[0].cut();
    const sent = a.store.send("A", 0, 100);
    await a.store.advance(3_200);
    expect([sent.status, a.store.store.maxOffset("A", 0)]).toEqual(["flushSlaveTimeout", 0]);
    a.agrees = true;
    await a.store.advance(5_100);
    expect([...(a.master?.syncStateSet ?? [])]).toEqual([1]);
    expect(a.store.store.maxOffset("A", 0)).toBe(1);
  });

  it("lets a silent member go after haMaxTimeSlaveNotCatchup", async () => {
    const { a } = await pair();
    a.store.send("A", 0, 100);
    await a.store.advance(14_000);
    expect(a.proposals.at(-1)).toEqual([1, 2]);
    await a.store.advance(7_000);
    expect(a.proposals.at(-1)).toEqual([1]);
  });

  it("never takes a learner into the set", async () => {
    const { group, a, b } = await pair({ asyncLearner: true });
    a.store.send("A", 0, 100);
    await group.flow(a, b);
    expect(b.end).toBe(a.end);
    expect(a.proposals).toEqual([]);
  });

  it("cuts what nobody else has when its master comes back as a slave, and follows", async () => {
    const { group, a, b } = await pair();
    for (let i = 0; i < 12; i++) a.store.send("A", 0, 500);
    await group.flow(a, b);
    const common = a.end;
    for (let i = 0; i < 12; i++) a.store.send("A", 0, 400);
    await a.store.settle();
    expect(a.end).toBeGreaterThan(common + 4096);
    await a.stop(group.wires);
    await b.stop(group.wires);

    await b.lead(2);
    for (let i = 0; i < 5; i++) b.store.send("A", 0, 300);
    await b.store.settle();
    await a.follow(b, group.wires);
    await group.flow(b, a);
    expect(a.cutAt).toBe(common);
    await a.truncate(group.wires);
    await a.follow(b, group.wires);
    expect(a.end).toBe(common);
    expect(a.store.store.maxOffset("A", 0)).toBe(12);
    await group.flow(b, a);
    expect(a.end).toBe(b.end);
    expect(a.bytes().equals(b.bytes())).toBe(true);
    expect(a.store.store.maxOffset("A", 0)).toBe(17);
    expect(await a.store.store.units("A", 0, 0, 100)).toEqual(await b.store.store.units("A", 0, 0, 100));
    expect(a.epochs.entries).toEqual(b.epochs.entries);
    expect(b.proposals.at(-1)).toEqual([2, 1]);
  });

  it("follows over several masters, an epoch per frame", async () => {
    const { group, a, b } = await pair();
    const c = new Node(3);
    for (let round = 0; round < 4; round++) {
      const [master, slave] = round % 2 === 0 ? [a, b] : [b, a];
      for (let i = 0; i < 4; i++) master.store.send("A", 0, 200);
      await group.flow(master, slave);
      await master.stop(group.wires);
      await slave.stop(group.wires);
      await slave.lead(round + 2);
      await master.follow(slave, group.wires);
      await group.flow(slave, master);
    }
    // The last epoch has no byte yet, and is known to both.
    expect(a.epochs.entries.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5]);
    await c.follow(a, group.wires);
    await group.flow(a, c);
    expect(c.epochs.entries).toEqual(a.epochs.entries.slice(0, 4));
    expect(c.bytes().equals(a.bytes())).toBe(true);
    a.store.send("A", 0, 10);
    await group.flow(a, c);
    expect(c.epochs.entries).toEqual(a.epochs.entries);
  });

  it("copies nothing between logs that share no epoch, or whose newest messages differ", async () => {
    const { group, a, b } = await pair();
    a.store.send("A", 0, 100);
    await group.flow(a, b);
    await b.stop(group.wires);
    b.difference = "the logs have diverged";
    await b.follow(a, group.wires);
    a.store.send("A", 0, 100);
    await group.flow(a, b);
    expect(b.end).toBeLessThan(a.end);
    await b.stop(group.wires);
    b.difference = undefined;
    b.epochs.beginMine(1, 50);
    await b.follow(a, group.wires);
    await group.flow(a, b);
    expect([b.end < a.end, b.cutAt]).toEqual([true, undefined]);
  });

  it("a slave whose report cannot be true is not believed", async () => {
    const { group, a, b } = await pair();
    a.store.send("A", 0, 100);
    await a.store.settle();
    const forged = Buffer.alloc(12);
    forged.writeInt32BE(2, 0);
    forged.writeBigInt64BE(10_000n, 4);
    group.wires[0].master.received(forged);
    expect(group.wires[0].open).toBe(false);
    expect(b.end).toBe(0);
  });
});

describe("cutting a log", () => {
  it("survives a crash at each of its disk operations", async () => {
    const { group, a, b } = await pair();
    for (let i = 0; i < 12; i++) a.store.send("A", i % 2, 600);
    await group.flow(a, b);
    const whole = b.end;
    const units = await b.store.store.units("A", 0, 0, 100);
    const cut = units[3].logOffset;
    await b.stop(group.wires);
    const before = b.disk;
    for (let operation = 1; ; operation++) {
      const disk = before.killed(operation);
      disk.crashAt = operation;
      let done = true;
      await truncateLog(disk, OPTIONS, cut).catch(() => {
        done = false;
      });
      const store = new SimStore(disk.killed(operation), new Journal(), { ...OPTIONS, brokerRole: "SLAVE" });
      await store.store.start();
      const end = store.store.maxLogOffset();
      // Files go one by one, the newest first.
      expect(end).toBeGreaterThanOrEqual(cut);
      if (done) expect(end).toBe(cut);
      else expect(end).toBeLessThanOrEqual(whole);
      const left = await store.store.units("A", 0, 0, 100);
      expect(left).toEqual(units.filter(({ logOffset }) => logOffset < end));
      await store.close();
      if (done) break;
    }
  });
});
