/** Disks that fail or fill up: no false acknowledgement, the exact reason, and only a full disk is ever forgiven. */
import { describe, expect, it } from "vitest";
import { type FlushType, optionsOf, workload } from "../testing/simCrash.ts";
import { SimDisk } from "../testing/simDisk.ts";
import { audit, Journal, SimStore } from "../testing/simStore.ts";

const MIB = 1024 * 1024;

async function syncsOfWorkload(flush: FlushType): Promise<number> {
  const disk = new SimDisk();
  await workload(new SimStore(disk, new Journal(), optionsOf(flush)));
  return disk.syncs;
}

for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
  describe(`a failing sync under ${flush}`, () => {
    it("at each of the workload's syncs, once or from then on: nothing is acknowledged on it, nothing tried again", async () => {
      const syncs = await syncsOfWorkload(flush);
      let fatal = 0;
      for (let at = 0; at < syncs; at++) {
        for (const forever of [false, true]) {
          const disk = new SimDisk();
          disk.failSync = { at, forever };
          const sim = new SimStore(disk, new Journal(), optionsOf(flush));
          const label = `sync ${at}, ${forever ? "from then on" : "once"}`;
          try {
            await workload(sim);
          } catch (error) {
            // A store that cannot sync does not start, and the end of a stop can only report.
            expect(String(error), label).toContain("EIO");
          }
          const trimmedTo = trimmed(sim);
          if (sim.fatal.length > 0) {
            fatal++;
            const { writable, reason } = sim.store.writability();
            expect(writable, label).toBe(false);
            expect(reason, label).toMatch(/syncing the commit log failed \(EIO.*read-only until a restart/);
            const late = sim.send("A", 0, 10);
            await sim.clock.settle();
            expect(late.status, label).toBe("notAvailable");
            expect(late.reason, label).toBe(reason);
            // The next start must recover, not trust.
            expect(disk.exists("/store/abort"), label).toBe(true);
          }
          // What the failed sync covered is gone now, whatever later syncs said.
          for (const mode of ["dropAll", "mixed"] as const) {
            const past = new Journal();
            past.continueAfter(sim.journal);
            past.doubtRefused();
            const reopened = new SimStore(disk.powerLost(at, mode), past, optionsOf(flush), sim.clock.now());
            const acked = flush === "SYNC_FLUSH" ? "allWhoWaited" : "synced";
            try {
              await reopened.open({ acked, syncedTo: synced(sim), trimmedTo });
            } catch (error) {
              throw new Error(`${label}, ${mode}: ${(error as Error).message}`, { cause: error });
            }
          }
        }
      }
      expect(fatal).toBeGreaterThan(20);
    });
  });

  describe(`a full disk under ${flush}`, () => {
    it("at each page of its growth: no false acknowledgement, reads go on, writing resumes by itself", async () => {
      let refusedRuns = 0;
      for (let pages = 8; pages < 60; pages++) {
        const label = `${pages} pages`;
        const disk = new SimDisk({ capacityBytes: pages * 4096 });
        const sim = new SimStore(disk, new Journal(), { ...optionsOf(flush), diskMaxUsedSpaceRatio: 101 });
        // The watermark is another matter: it would refuse long before.
        disk.space = () => ({ totalBytes: 1000 * MIB, availableBytes: 1000 * MIB });
        await sim.store.start();
        disk.space = () => ({ totalBytes: disk.capacityBytes, availableBytes: disk.capacityBytes - disk.usedBytes });
        for (let i = 0; i < 40; i++) {
          if (i % 5 === 4) sim.sendBatch("A", 1, [300, 900, 2000]);
          else sim.send("AB"[i % 2], 0, 137 * i);
          if (i % 3 === 0) await sim.settle();
          if (i % 10 === 9) await sim.advance(300);
        }
        await sim.settle();
        const { refused, log } = sim.journal;
        for (const sent of refused) {
          expect(sent.status, label).toBe("notAvailable");
          expect(sent.reason, label).toMatch(
            /^service not available now: the disk is full \(ENOSPC\).*resumes by itself/,
          );
        }
        if (refused.length > 0) refusedRuns++;
        expect(sim.fatal, label).toEqual([]);
        expect(refused.length + log.length, label).toBe(32 + 8 * 3);
        await audit(sim, { acked: "all", syncedTo: 0, trimmedTo: 0, indexWaits: true });
        // Killed while it is full.
        const past = new Journal();
        past.continueAfter(sim.journal);
        const image = disk.killed(pages);
        image.capacityBytes = 100 * MIB;
        await new SimStore(image, past, optionsOf(flush), sim.clock.now()).open({
          acked: "all",
          syncedTo: 0,
          trimmedTo: 0,
        });
        // Space returns.
        disk.capacityBytes = 100 * MIB;
        await sim.advance(1100);
        expect(sim.store.writability(), label).toEqual({ writable: true, reason: "" });
        const later = [sim.send("A", 0, 50), sim.send("B", 0, 5000), ...sim.sendBatch("A", 1, [1, 2])];
        await sim.settle();
        expect(
          later.map((sent) => sent.status),
          label,
        ).toEqual(["ok", "ok", "ok", "ok"]);
        await audit(sim, { acked: "all", syncedTo: 0, trimmedTo: 0 });
        await sim.close();
        await new SimStore(disk, sim.journal, optionsOf(flush), sim.clock.now()).open({
          acked: "all",
          syncedTo: 0,
          trimmedTo: 0,
        });
      }
      expect(refusedRuns).toBeGreaterThan(20);
    });
  });
}

function trimmed(sim: SimStore): number {
  try {
    return sim.store.minLogOffset();
  } catch {
    return 0;
  }
}

function synced(sim: SimStore): number {
  try {
    return sim.store.maxLogOffset() - sim.store.flushBehindBytes();
  } catch {
    return 0;
  }
}

for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
  describe(`too many open files under ${flush}`, () => {
    it("refuse what cannot be written, with the reason, until there are fewer; nothing is lost and nothing ends", async () => {
      const disk = new SimDisk();
      const sim = new SimStore(disk, new Journal(), optionsOf(flush));
      await sim.store.start();
      let tooMany = false;
      const check = () => {
        if (tooMany) throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
      };
      const open = disk.open.bind(disk);
      disk.open = (file, options) => {
        check();
        return open(file, options);
      };
      const syncDir = disk.syncDir.bind(disk);
      disk.syncDir = async (dir) => {
        check();
        await syncDir(dir);
      };
      for (let round = 0; round < 6; round++) {
        for (let i = 0; i < 12; i++) {
          sim.send("AB"[i % 2], 0, 1_500);
          // In the middle of a turn that makes a new file, and just behind one.
          if (i === round) tooMany = true;
          if (i % 3 === 2) await sim.settle();
        }
        await sim.advance(12_000);
        expect(sim.fatal).toEqual([]);
        tooMany = false;
        await sim.advance(1_100);
        expect(sim.store.writability()).toEqual({ writable: true, reason: "" });
        const late = sim.send("A", 0, 10);
        await sim.advance(1_100);
        expect(late.status).toBe("ok");
      }
      const { refused } = sim.journal;
      expect(refused.length).toBeGreaterThan(0);
      for (const sent of refused) {
        expect(sent.reason).toMatch(/^service not available now: too many open files \(EMFILE\).*resumes by itself/);
      }
      await audit(sim, { acked: flush === "SYNC_FLUSH" ? "allWhoWaited" : "all", syncedTo: 0, trimmedTo: 0 });
      await sim.close();
      expect(disk.exists("/store/abort")).toBe(false);
    });
  });
}
