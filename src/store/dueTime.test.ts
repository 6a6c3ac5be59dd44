/** The due time in a delayed message's unit is what a rebuild of the queue makes of the record, however long the append took. */
import { Buffer } from "node:buffer";
import { expect, it } from "vitest";
import { hostBytes } from "../base/host.ts";
import { silentLogger } from "../base/log.ts";
import { Turn } from "../base/turn.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { SimDisk } from "../testing/simDisk.ts";
import { ROOT, SMALL } from "../testing/simStore.ts";
import { MessageStore } from "./messageStore.ts";

/** Time goes on with every look at it. */
class TickingClock extends FakeClock {
  #ticks = 0;
  override now(): number {
    return super.now() + this.#ticks++;
  }
}

it("counts from the store time of the record", async () => {
  const disk = new SimDisk();
  const clock = new TickingClock();
  const store = new MessageStore({
    disk,
    clock,
    turn: new Turn(clock),
    log: silentLogger(),
    options: { ...SMALL, storePathRootDir: ROOT },
    storeHost: hostBytes("127.0.0.1", 10_911),
    deliverTime: (level, storeTimestamp) => storeTimestamp + 1000 * level,
  });
  await store.start();
  const results = [1, 2, 3].map((level) =>
    store.put({
      topic: "SCHEDULE_TOPIC_XXXX",
      queueId: 0,
      body: Buffer.from("later"),
      properties: new Map([["DELAY", String(level)]]),
    }),
  );
  await clock.settle();
  const stored = await Promise.all(results);
  const units = await store.units("SCHEDULE_TOPIC_XXXX", 0, 0, 3);
  expect(units.map(({ tagsCode }) => tagsCode)).toEqual(
    stored.map(({ storeTimestamp }, i) => storeTimestamp + 1000 * (i + 1)),
  );
});
