import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SimDisk } from "../../testing/simDisk.ts";
import { DirNames } from "../dirNames.ts";
import { TimerWheel, WHEEL_BYTES, WHEEL_SLOTS } from "./timerWheel.ts";

const NOW = 1_700_000_000_000;
const at = (slots: number) => NOW + slots * 1000;

function wheelOn(disk: SimDisk, precisionMs = 1000): TimerWheel {
  return new TimerWheel(disk, new DirNames(disk), "/store/timerwheel", precisionMs);
}

const write = (wheel: TimerWheel) => wheel.write(wheel.take(), async () => {});

describe("the wheel", () => {
  it("keeps slots as a map does, over every turn of it (model)", async () => {
    const op = fc.record({
      what: fc.constantFrom("put", "clear", "drop", "erase", "reload"),
      slot: fc.oneof(fc.nat(300), fc.nat(WHEEL_SLOTS - 1)),
      num: fc.integer({ min: -3, max: 1000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 40 }), async (ops) => {
        const disk = new SimDisk();
        let wheel = wheelOn(disk);
        const model = new Map<number, number>();
        for (const { what, slot, num } of ops) {
          if (what === "put") {
            wheel.put(at(slot), slot, slot + 52, num);
            model.set(slot, num);
          } else if (what === "clear" || what === "drop") {
            wheel[what](at(slot));
            model.delete(slot);
            // What is dropped stays in the file, for whoever reads from before it.
            if (what === "drop") wheel.clear(at(slot));
          } else if (what === "erase") {
            wheel.erase(at(slot), at(slot + 200));
            for (let s = slot; s < slot + 200; s++) model.delete(s);
          } else {
            await write(wheel);
            wheel.close();
            wheel = wheelOn(disk);
            expect(wheel.load(NOW)).toBe(disk.files().length > 0 ? "loaded" : "absent");
          }
          expect(wheel.total).toBe([...model.values()].reduce((sum, n) => sum + n, 0));
        }
        for (const [slot, num] of model) {
          expect(wheel.find(at(slot) + 999)).toBe(true);
          expect([wheel.firstPosition, wheel.lastPosition, wheel.num]).toEqual([slot, slot + 52, num]);
        }
        expect([...wheel.times()].sort()).toEqual([...model.keys()].map(at).sort());
      }),
      { numRuns: 30 },
    );
  });

  it("does not take a slot of another turn for its own", () => {
    const wheel = wheelOn(new SimDisk());
    wheel.put(at(5), 0, 52, 1);
    expect(wheel.find(at(5 + WHEEL_SLOTS))).toBe(false);
    wheel.put(at(5 + WHEEL_SLOTS), 104, 104, 3);
    expect(wheel.find(at(5))).toBe(false);
    expect(wheel.total).toBe(3);
  });

  it("leaves out at the start what is over, and a slot that lies in another's place", async () => {
    const disk = new SimDisk();
    const wheel = wheelOn(disk);
    for (let i = 0; i < 300; i++) wheel.put(at(i), i, i, 1);
    await write(wheel);
    const slot = Buffer.alloc(32);
    slot.writeBigInt64BE(BigInt(NOW / 1000 + 7), 0);
    disk.damage("/store/timerwheel", 32 * 1000, slot);
    const next = wheelOn(disk);
    expect(next.load(at(290))).toBe("loaded");
    expect([...next.times()]).toEqual(Array.from({ length: 10 }, (_, i) => at(290 + i)));
    expect(next.pages).toBeLessThanOrEqual(2);
  });

  it("says of a file of another length that it is damaged, of an empty one that there is none", () => {
    const disk = new SimDisk();
    disk.plant("/store/timerwheel", Buffer.alloc(WHEEL_BYTES - 32));
    expect(wheelOn(disk).load(NOW)).toBe("damaged");
    disk.plant("/store/timerwheel", Buffer.alloc(0));
    expect(wheelOn(disk).load(NOW)).toBe("absent");
  });

  it("gives its memory back: a page is kept only while it holds a slot", async () => {
    const wheel = wheelOn(new SimDisk());
    for (let i = 0; i < 10_000; i++) wheel.put(at(i), i, i, 1);
    expect(wheel.pages).toBeGreaterThan(70);
    await write(wheel);
    for (let i = 0; i < 9_990; i++) wheel.drop(at(i));
    expect(wheel.dirty).toBe(false);
    expect(wheel.pages).toBeLessThanOrEqual(2);
  });
});
