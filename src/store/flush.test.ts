/** When an acknowledgement is given, and when consumers see a message. */
import { describe, expect, it } from "vitest";
import { APPENDS_PENDING_MAX } from "../base/limits.ts";
import { SimDisk } from "../testing/simDisk.ts";
import { audit, Journal, SimStore, SMALL } from "../testing/simStore.ts";

const ALL = { acked: "all", syncedTo: 0, trimmedTo: 0 } as const;

async function started(flushDiskType: string): Promise<SimStore> {
  const sim = new SimStore(new SimDisk(), new Journal(), { ...SMALL, flushDiskType });
  await sim.store.start();
  return sim;
}

/** Lets syncs of this disk wait until they are let go. */
function holdSyncs(disk: SimDisk): () => void {
  const held: (() => void)[] = [];
  const open = disk.open.bind(disk);
  disk.open = (file, options) => {
    const opened = open(file, options);
    if (!file.includes("commitlog")) return opened;
    const sync = opened.sync.bind(opened);
    opened.sync = () => new Promise((resolve, reject) => held.push(() => sync().then(resolve, reject)));
    return opened;
  };
  return () => {
    for (const go of held.splice(0)) go();
  };
}

describe("ASYNC_FLUSH", () => {
  it("acknowledges all of a turn with one write, before any sync", async () => {
    const sim = await started("ASYNC_FLUSH");
    sim.disk.trace = [];
    const sent = Array.from({ length: 20 }, (_, i) => sim.send("A", i % 4, i));
    expect(sent.every((one) => one.status === undefined)).toBe(true);
    expect(sim.store.maxOffset("A", 0)).toBe(0);
    await sim.settle();
    expect(sent.map((one) => one.status)).toEqual(sent.map(() => "ok"));
    expect(sim.disk.trace.filter((line) => line.startsWith("write /store/commitlog"))).toHaveLength(1);
    expect(sim.disk.trace.some((line) => line.startsWith("sync"))).toBe(false);
    expect(sim.store.maxOffset("A", 0)).toBe(5);
  });

  it("syncs once per interval, however much is sent while a sync runs", async () => {
    const sim = await started("ASYNC_FLUSH");
    const release = holdSyncs(sim.disk);
    const begun = () => sim.disk.trace!.filter((line) => line.startsWith("sync /store/commitlog")).length;
    sim.disk.trace = [];
    sim.send("A", 0, 0);
    await sim.advance(SMALL.flushIntervalCommitLog);
    for (let i = 1; i <= 10; i++) {
      sim.send("A", 0, i);
      await sim.settle();
      release();
      await sim.settle();
    }
    expect(begun()).toBe(1);
    expect(sim.store.flushBehindBytes()).toBeGreaterThan(0);
    await sim.advance(SMALL.flushIntervalCommitLog);
    release();
    await sim.settle();
    expect(begun()).toBe(2);
    expect(sim.store.flushBehindBytes()).toBe(0);
  });
});

describe("SYNC_FLUSH", () => {
  it("acknowledges and shows a message only when its sync has ended; the next sync takes all that came meanwhile", async () => {
    const sim = await started("SYNC_FLUSH");
    const release = holdSyncs(sim.disk);
    const arrivals: string[] = [];
    sim.store.onArrival((topic, queueId, max) => arrivals.push(`${topic} ${queueId} ${max}`));
    const first = sim.send("A", 0, 10);
    await sim.settle();
    const later = [sim.send("A", 0, 20), sim.send("A", 1, 30)];
    await sim.settle();
    expect([first, ...later].map((one) => one.status)).toEqual([undefined, undefined, undefined]);
    expect([sim.store.maxOffset("A", 0), arrivals.length]).toEqual([0, 0]);
    release();
    await sim.settle();
    expect([first, ...later].map((one) => one.status)).toEqual(["ok", undefined, undefined]);
    expect([sim.store.maxOffset("A", 0), arrivals]).toEqual([1, ["A 0 1"]]);
    release();
    await sim.settle();
    expect(later.map((one) => one.status)).toEqual(["ok", "ok"]);
    expect(arrivals).toEqual(["A 0 1", "A 0 2", "A 1 1"]);
    await audit(sim, ALL);
  });

  it("answers who does not wait at once, but shows the message only when it is synced", async () => {
    const sim = await started("SYNC_FLUSH");
    const release = holdSyncs(sim.disk);
    const sent = sim.send("A", 0, 10, { noWait: true });
    await sim.settle();
    expect([sent.status, sim.store.maxOffset("A", 0)]).toEqual(["ok", 0]);
    release();
    await sim.settle();
    expect(sim.store.maxOffset("A", 0)).toBe(1);
  });

  it("answers FLUSH_DISK_TIMEOUT after syncFlushTimeout; the message stays and is shown later", async () => {
    const sim = await started("SYNC_FLUSH");
    const release = holdSyncs(sim.disk);
    const sent = sim.send("A", 0, 10);
    await sim.advance(SMALL.syncFlushTimeout - 100);
    expect(sent.status).toBeUndefined();
    await sim.advance(700);
    expect(sent.status).toBe("flushDiskTimeout");
    expect(sent.reason).toMatch(/syncFlushTimeout \(5000 ms\).*is stored/);
    expect(sim.store.maxOffset("A", 0)).toBe(0);
    release();
    await sim.settle();
    expect(sim.store.maxOffset("A", 0)).toBe(1);
    await audit(sim, ALL);
  });

  it("answers in the order of the log, refusals in their place", async () => {
    const sim = await started("SYNC_FLUSH");
    const sent = [sim.send("A", 0, 10), sim.send("A", 0, SMALL.maxMessageSize + 1), sim.send("A", 0, 5)];
    await sim.settle();
    expect(sent.map((one) => one.status)).toEqual(["ok", "messageIllegal", "ok"]);
    expect(sent[1].reason).toBe(
      `the body has ${SMALL.maxMessageSize + 1} bytes, maxMessageSize is ${SMALL.maxMessageSize}`,
    );
    expect(sent[2].queueOffset).toBe(1);
  });
});

describe("appends that wait for the disk", () => {
  it("are bounded: one more is refused busy with the number, and taken again when the sync has ended", async () => {
    const sim = new SimStore(new SimDisk(), new Journal(), {
      ...SMALL,
      flushDiskType: "SYNC_FLUSH",
      mappedFileSizeCommitLog: 64 * 1024 * 1024,
      mappedFileSizeConsumeQueue: 300_000 * 20,
      messageIndexEnable: false,
    });
    await sim.store.start();
    const release = holdSyncs(sim.disk);
    const sent = [];
    for (let i = 0; i < APPENDS_PENDING_MAX; i++) {
      sent.push(sim.send("A", 0, 1));
      if (i % 4096 === 0) await sim.settle();
    }
    await sim.settle();
    expect(sent.filter((one) => one.status !== undefined)).toEqual([]);
    const refused = sim.send("A", 0, 1);
    expect(refused).toMatchObject({
      status: "busy",
      reason: `${APPENDS_PENDING_MAX} messages wait for the disk already; send again later`,
    });
    while (sent.some((one) => one.status === undefined)) {
      release();
      await sim.settle();
    }
    expect(sent.filter((one) => one.status !== "ok")).toEqual([]);
    const taken = sim.send("A", 0, 1);
    await sim.settle();
    release();
    await sim.settle();
    expect(taken).toMatchObject({ status: "ok", queueOffset: APPENDS_PENDING_MAX });
  });
});

describe("a write that fails", () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"]) {
    it(`${flush}: in the middle of a turn, behind a file's end, takes back only what was not written`, async () => {
      const sim = await started(flush);
      const before = sim.send("A", 0, 100);
      await sim.settle();
      // The first fills the file nearly, the second rolls it: the file behind the roll has no space.
      const fits = sim.send("A", 0, 16_000);
      const fitsToo = sim.send("B", 0, 15_000);
      sim.disk.capacityBytes = sim.disk.usedBytes + 8 * 4096;
      const refused = [sim.send("A", 0, 12_000), sim.send("A", 0, 10), ...sim.sendBatch("B", 0, [1, 2])];
      await sim.settle();
      expect([before, fits, fitsToo].map((one) => one.status)).toEqual(["ok", "ok", "ok"]);
      expect(refused.map((one) => one.status)).toEqual(refused.map(() => "notAvailable"));
      await audit(sim, { ...ALL, indexWaits: true });
      sim.disk.capacityBytes = 2 ** 30;
      await sim.advance(1100);
      const after = [sim.send("A", 0, 1), sim.send("B", 0, 1)];
      await sim.settle();
      expect(after.map((one) => [one.status, one.queueOffset])).toEqual([
        ["ok", 2],
        ["ok", 1],
      ]);
      await audit(sim, ALL);
    });
  }

  it("for another reason than space ends the store: read-only, with the reason, and told", async () => {
    const sim = await started("ASYNC_FLUSH");
    sim.send("A", 0, 10);
    await sim.settle();
    const open = sim.disk.open.bind(sim.disk);
    sim.disk.open = (file, options) => {
      if (file.includes("commitlog/00000000000000032768"))
        throw Object.assign(new Error("EROFS: open"), { code: "EROFS" });
      return open(file, options);
    };
    const sent = [sim.send("A", 0, 15_000), sim.send("A", 0, 15_000), sim.send("A", 0, 15_000)];
    await sim.settle();
    expect(sent.map((one) => one.status)).toEqual(["ok", "ok", "notAvailable"]);
    expect(sent[2].reason).toMatch(
      /writing the commit log failed \(EROFS: open\); the store is read-only until a restart/,
    );
    expect(sim.fatal).toHaveLength(1);
    expect((await sim.store.messageAt(sent[0].logOffset))?.body).toEqual(sent[0].body);
  });
});

describe("a checkpoint", () => {
  it("is written under a load that never pauses", async () => {
    const sim = await started("ASYNC_FLUSH");
    let sending = true;
    const endOfTurn = () => {
      if (!sending) return;
      sim.send("A", 0, 1);
      sim.clock.endOfTurn(endOfTurn);
    };
    endOfTurn();
    const checkpoint = sim.store.checkpoint().then(() => {
      sending = false;
    });
    const turns = new Promise((resolve) => setTimeout(resolve, 2000, "never"));
    void sim.clock.settle();
    expect(await Promise.race([checkpoint, turns])).toBeUndefined();
    expect(sim.disk.exists("/store/checkpoint")).toBe(true);
  });

  it("follows the deletion of a topic, after which a kill does not bring its messages back", async () => {
    const sim = await started("ASYNC_FLUSH");
    sim.send("B", 0, 10);
    await sim.settle();
    let image: SimDisk | undefined;
    void sim.store.deleteTopic("B").then(() => {
      image = sim.disk.killed(1);
    });
    await sim.settle();
    const again = new SimStore(image as SimDisk, new Journal(), SMALL, sim.clock.now());
    await again.store.start();
    expect(again.store.topics()).toEqual([]);
    expect(again.store.maxLogOffset()).toBeGreaterThan(0);
  });
});
