/** A master's and a slave's store joined by a link that tests cut, delay and fill with nonsense; no socket, no real time. */
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { readInt64, writeInt32, writeInt64 } from "../base/int64.ts";
import { seededRandom } from "../base/random.ts";
import { FILE_BYTES, OPTIONS, ReplicaPair as Pair } from "../testing/replicaPair.ts";
import { COMMIT_LOG, Journal, type Sent, SimStore } from "../testing/simStore.ts";
import { Wire } from "../testing/wire.ts";

describe("a slave", () => {
  it("becomes its master's log, byte by byte, over rolls of files, and lists its messages", async () => {
    const pair = new Pair();
    await pair.start();
    await pair.flow();
    const arrivals: string[] = [];
    pair.slave.store.onArrival((topic, queueId, max) => arrivals.push(`${topic} ${queueId} ${max}`));
    for (let i = 0; i < 60; i++) pair.send(i % 3 === 0 ? "A" : "B", (i * 53) % 900);
    await pair.flow();
    pair.expectSame();
    expect(pair.slaveDisk.list(COMMIT_LOG).length).toBeGreaterThan(3);
    expect(["A", "B"].map((topic) => pair.slave.store.maxOffset(topic, 0))).toEqual([20, 40]);
    expect(await pair.slave.store.units("B", 0, 0, 100)).toEqual(await pair.master.store.units("B", 0, 0, 100));
    expect(arrivals).toContain("A 0 20");
    expect(pair.service.slaves()).toMatchObject([
      { diff: 0, inSync: true, slaveAckOffset: pair.master.store.maxLogOffset() },
    ]);
  });

  it("without messages gets the newest file only", async () => {
    const pair = new Pair();
    await pair.startMaster();
    for (let i = 0; i < 40; i++) pair.send("A", 500);
    await pair.master.settle();
    await pair.startSlave();
    await pair.flow();
    pair.expectSame();
    const first = pair.slave.store.minLogOffset();
    expect(first).toBe(pair.master.store.maxLogOffset() - (pair.master.store.maxLogOffset() % FILE_BYTES));
    expect(pair.slave.store.minOffset("A", 0)).toBeGreaterThan(0);
    expect(pair.slave.store.maxOffset("A", 0)).toBe(40);
  });

  it("refuses messages of its own, with Apache's words", async () => {
    const pair = new Pair();
    await pair.start();
    expect(pair.slave.send("A", 0, 10)).toMatchObject({
      status: "notAvailable",
      reason: "service not available now: messages are put to the slave; its master takes them",
    });
  });

  it("cuts what is no message and ends, instead of growing a log that is not the master's", async () => {
    const pair = new Pair();
    await pair.start();
    pair.send("A", 100);
    await pair.flow();
    const end = pair.slave.store.maxLogOffset();
    const nonsense = Buffer.alloc(12 + 200, 0x5a);
    writeInt64(nonsense, end, 0);
    writeInt32(nonsense, 200, 8);
    pair.wire?.slave.received(nonsense);
    expect(pair.wire?.open).toBe(false);
    expect(pair.slave.store.maxLogOffset()).toBe(end);
    expect(pair.slaveLog.lines.at(-2)).toContain(
      `replication has ended, this log is not the master's: what the master sent for log offset ${end} is no message`,
    );
    await pair.reconnect();
    expect(pair.client.state().connected).toBe(false);
    await pair.restartSlave();
    pair.send("A", 50);
    await pair.flow();
    pair.expectSame();
  });

  it("connects to no master whose log differs, and says so once", async () => {
    const pair = new Pair();
    pair.difference = "the logs have diverged";
    await pair.start();
    await pair.reconnect();
    await pair.reconnect();
    expect(pair.wire).toBe(undefined);
    expect(pair.slaveLog.lines).toEqual(["not connected to the master: nothing is replicated: the logs have diverged"]);
    pair.difference = undefined;
    await pair.reconnect();
    pair.send("A", 10);
    await pair.flow();
    pair.expectSame();
  });

  it("with other file sizes than its master refuses the log", async () => {
    const pair = new Pair({}, {}, { mappedFileSizeCommitLog: FILE_BYTES * 4 });
    await pair.startMaster();
    for (let i = 0; i < 20; i++) pair.send("A", 500);
    await pair.master.settle();
    await pair.startSlave();
    await pair.flow();
    expect(
      pair.slaveLog.lines.some((line) => line.includes("where no file of mappedFileSizeCommitLog=16384 begins")),
    ).toBe(true);
    expect(pair.slave.store.maxLogOffset()).toBe(0);
  });

  it("waits for space when its disk is full, and goes on where it was", async () => {
    const pair = new Pair();
    await pair.start();
    pair.send("A", 100);
    await pair.flow();
    const { capacityBytes } = pair.slaveDisk;
    pair.slaveDisk.capacityBytes = pair.slaveDisk.usedBytes;
    for (let i = 0; i < 6; i++) pair.send("A", 900);
    await pair.flow();
    expect(pair.slaveLog.lines.some((line) => line.includes("was not appended"))).toBe(true);
    pair.slaveDisk.capacityBytes = capacityBytes;
    await pair.reconnect();
    pair.send("A", 100);
    await pair.flow();
    pair.expectSame();
    expect(pair.slave.store.maxOffset("A", 0)).toBe(8);
  });

  it("under SYNC_FLUSH reports only what is synced", async () => {
    const pair = new Pair({}, {}, { flushDiskType: "SYNC_FLUSH" });
    await pair.start();
    pair.send("A", 100);
    await pair.flow();
    pair.expectSame();
    expect(pair.slave.store.flushBehindBytes()).toBe(0);
    expect(pair.service.slaves()[0].diff).toBe(0);
  });

  it("greets every 5 s and gives up a master that is silent for 20 s", async () => {
    const pair = new Pair();
    await pair.start();
    const wire = pair.wire as Wire;
    await pair.flow();
    await pair.slave.advance(6_100);
    expect(wire.toMaster.splice(0).map((report) => readInt64(report, 0))).toEqual([0]);
    await pair.slave.advance(15_000);
    expect(wire.open).toBe(false);
    expect(pair.slaveLog.lines.some((line) => line.includes("silent for longer than haHousekeepingInterval"))).toBe(
      true,
    );
  });
});

describe("a master", () => {
  const report = (offset: number) => {
    const bytes = Buffer.alloc(8);
    writeInt64(bytes, offset, 0);
    return bytes;
  };

  async function connected(): Promise<{ pair: Pair; wire: Wire; end: number }> {
    const pair = new Pair();
    await pair.startMaster();
    for (let i = 0; i < 5; i++) pair.send("A", 300);
    await pair.master.settle();
    const wire = new Wire();
    wire.master = pair.service.accept(wire.masterEnd);
    wire.slave = { received: () => {}, drained: () => {}, closed: () => {} };
    return { pair, wire, end: pair.master.store.maxLogOffset() };
  }

  it.each([
    ["an offset behind its log", 1_000_000, "reported offset 1000000, but this log ends at"],
    ["a negative offset", -1, "reported offset -1, but that is no offset"],
  ])("closes a connection that reports %s", async (_what, offset, words) => {
    const { pair, wire } = await connected();
    wire.master.received(report(offset));
    expect(wire.open).toBe(false);
    expect(pair.masterLog.lines).toHaveLength(1);
    expect(pair.masterLog.lines[0]).toContain(words);
    expect(pair.service.slaves()).toEqual([]);
  });

  it("closes a connection that confirms what was never sent, or takes a confirmation back", async () => {
    const forged = await connected();
    forged.wire.full = true;
    forged.wire.master.received(report(300));
    forged.wire.master.received(report(forged.end));
    expect(forged.pair.masterLog.lines[0]).toContain(
      `reported offset ${forged.end}, but only bytes below 1000 were sent`,
    );
    const back = await connected();
    back.wire.master.received(report(500));
    back.wire.master.received(report(400));
    expect(back.pair.masterLog.lines[0]).toContain("reported offset 400, but it had reported 500");
  });

  it("holds one piece for a slave that does not read, and goes on when it does", async () => {
    const { wire, end } = await connected();
    wire.full = true;
    wire.master.received(report(100));
    expect(wire.toSlave).toHaveLength(1);
    wire.full = false;
    wire.master.drained();
    const last = wire.toSlave.at(-1) as Buffer;
    expect(readInt64(last, 0) + last.readInt32BE(8)).toBe(end);
  });

  it("never sends a piece across two files", async () => {
    const pair = new Pair({}, { haTransferBatchSize: 1_000_000 });
    await pair.start();
    for (let i = 0; i < 30; i++) pair.send("A", 500);
    await pair.master.settle();
    const wire = pair.wire as Wire;
    wire.master.received(wire.toMaster.shift() as Buffer);
    for (const piece of wire.toSlave) {
      const from = readInt64(piece, 0);
      expect(Math.floor(from / FILE_BYTES)).toBe(Math.floor((from + piece.readInt32BE(8) - 1) / FILE_BYTES));
    }
    await pair.flow();
    pair.expectSame();
  });

  it("sends a heartbeat after 5 s of silence and closes after 20 s without a report", async () => {
    const { pair, wire, end } = await connected();
    wire.master.received(report(end));
    await pair.master.advance(6_100);
    expect(wire.toSlave.map((piece) => [readInt64(piece, 0), piece.readInt32BE(8)])).toEqual([[end, 0]]);
    await pair.master.advance(16_000);
    expect(wire.open).toBe(false);
    expect(pair.masterLog.lines[0]).toMatch(/was silent for 2\d{4} ms, haHousekeepingInterval is 20000/);
  });

  it("keeps to maxHaTransferByteInSecond", async () => {
    const pair = new Pair({}, { haFlowControlEnable: true, maxHaTransferByteInSecond: 600, haTransferBatchSize: 300 });
    await pair.start();
    for (let i = 0; i < 5; i++) pair.send("A", 500);
    await pair.flow();
    const after = pair.slave.store.maxLogOffset();
    expect(after).toBeLessThanOrEqual(600);
    for (let second = 0; second < 8; second++) {
      await pair.master.advance(1_000);
      await pair.flow();
    }
    pair.expectSame();
  });
});

describe("SYNC_MASTER", () => {
  const SYNC = { brokerRole: "SYNC_MASTER", inSyncReplicas: 2, slaveTimeout: 3_000 };

  it("acknowledges and shows a message when a slave has it", async () => {
    const pair = new Pair(SYNC);
    await pair.start();
    await pair.flow();
    const sent = [pair.send("A", 100), pair.send("A", 200)];
    await pair.master.settle();
    expect(sent.map(({ status }) => status)).toEqual([undefined, undefined]);
    expect(pair.master.store.maxOffset("A", 0)).toBe(0);
    await pair.flow();
    expect(sent.map(({ status }) => status)).toEqual(["ok", "ok"]);
    expect(pair.master.store.maxOffset("A", 0)).toBe(2);
  });

  it("waits for the sync, too, under SYNC_FLUSH", async () => {
    const pair = new Pair({ ...SYNC, flushDiskType: "SYNC_FLUSH" });
    await pair.start();
    const sent = pair.send("A", 100);
    await pair.flow();
    expect(sent.status).toBe("ok");
    expect(pair.master.store.flushBehindBytes()).toBe(0);
  });

  it("answers flushSlaveTimeout after slaveTimeout, shows the message then, and goes on", async () => {
    const pair = new Pair(SYNC);
    await pair.startMaster();
    const sent = pair.send("A", 100);
    await pair.master.advance(2_800);
    expect(sent.status).toBe(undefined);
    await pair.master.advance(400);
    expect(sent).toMatchObject({
      status: "flushSlaveTimeout",
      reason: "no slave confirmed it within slaveTimeout (3000 ms); the message is stored here",
    });
    expect(pair.master.store.maxOffset("A", 0)).toBe(1);
    await pair.startSlave();
    await pair.flow();
    const next = pair.send("A", 100);
    await pair.flow();
    expect(next.status).toBe("ok");
    pair.expectSame();
  });

  it("does not count a slave that came too late for a message, although it is further", async () => {
    const pair = new Pair({ ...SYNC, slaveTimeout: 60_000 });
    await pair.startMaster();
    const before = pair.send("A", 100);
    for (let i = 0; i < 10; i++) pair.send("B", 700);
    await pair.master.settle();
    await pair.startSlave();
    await pair.flow();
    expect(pair.service.slaves()[0].diff).toBe(0);
    expect(before.status).toBe(undefined);
    pair.wire?.cut();
    await pair.reconnect();
    await pair.flow();
    expect(before.status).toBe(undefined);
    await pair.master.advance(60_100);
    expect(before.status).toBe("flushSlaveTimeout");
    await pair.reconnect();
    await pair.flow();
    const after = pair.send("A", 100);
    await pair.flow();
    expect(after.status).toBe("ok");
  });

  it("does not let a message wait whose sender does not", async () => {
    const pair = new Pair(SYNC);
    await pair.startMaster();
    const sent = pair.master.send("A", 0, 100, { noWait: true });
    await pair.master.settle();
    expect(sent.status).toBe("ok");
  });

  it("does not wait at all while inSyncReplicas is 1, as Apache", async () => {
    const pair = new Pair({ brokerRole: "SYNC_MASTER" });
    await pair.startMaster();
    const sent = pair.send("A", 100);
    await pair.master.settle();
    expect(sent.status).toBe("ok");
  });

  it("loses no acknowledged message with its machine: the slave that becomes the master has each, at its offset", async () => {
    let acknowledged = 0;
    let inFlight = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom(seed);
      const pair = new Pair({ ...SYNC, flushDiskType: seed % 2 === 0 ? "SYNC_FLUSH" : "ASYNC_FLUSH" });
      await pair.start();
      await pair.flow();
      const sent: Sent[] = [];
      const steps = 20 + random.int(60);
      for (let step = 0; step < steps; step++) {
        if (random.int(2) === 0) sent.push(pair.send(random.int(2) === 0 ? "A" : "B", random.int(800)));
        if (random.int(3) === 0) await pair.trickle(random);
        if (random.int(25) === 0) {
          pair.wire?.cut();
          await pair.reconnect();
        }
      }
      // The master and its disk are gone; nothing that was on its way arrives.
      const acked = sent.filter(({ status }) => status === "ok");
      acknowledged += acked.length;
      inFlight += sent.length - acked.length;
      pair.client.stop();
      const disk = pair.slaveDisk.killed(seed);
      const promoted = new SimStore(disk, new Journal(), OPTIONS, pair.slave.clock.now());
      await promoted.drive(promoted.store.start());
      for (const one of acked) {
        const found = await promoted.store.messageAt(one.logOffset);
        expect(found?.body.equals(one.body), `message ${one.id} of seed ${seed}`).toBe(true);
        expect(found?.queueOffset).toBe(one.queueOffset);
      }
      for (const topic of ["A", "B"]) {
        const shown = acked.filter((one) => one.topic === topic);
        const end = promoted.store.maxOffset(topic, 0);
        expect(end).toBeGreaterThanOrEqual(shown.length === 0 ? 0 : (shown.at(-1) as Sent).queueOffset + 1);
        // No consumer of the old master has seen more than the new one has.
        expect(pair.master.store.maxOffset(topic, 0)).toBeLessThanOrEqual(end);
        const next = promoted.send(topic, 0, 10);
        await promoted.settle();
        expect(next).toMatchObject({ status: "ok", queueOffset: end });
      }
    }
    expect(acknowledged).toBeGreaterThan(200);
    expect(inFlight).toBeGreaterThan(100);
  });
});
