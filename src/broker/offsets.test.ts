import { describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import { parseJavaJson } from "../protocol/javaJson.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { type OffsetOptions, Offsets } from "./offsets.ts";

const FILE = "/store/config/consumerOffset.json";

function make(options: Partial<OffsetOptions> = {}, disk = new MemoryDisk()) {
  const clock = new FakeClock();
  const all = {
    useServerSideResetOffset: true,
    consumerOffsetUpdateVersionStep: 500,
    flushConsumerOffsetInterval: 5000,
    enableLmq: false,
    ...options,
  };
  return { offsets: new Offsets(all, new MetadataFile(disk, FILE), clock, silentLogger()), disk, clock };
}

describe("Offsets", () => {
  it("answers the last commit of each queue, also of one that went back, and -1 without one", () => {
    const { offsets } = make();
    offsets.commit("g", "T", 0, 10);
    offsets.commit("g", "T", 0, 7);
    offsets.commit("g", "T", 3, 5);
    expect([0, 1, 2, 3, 4].map((q) => offsets.query("g", "T", q))).toEqual([7, -1, -1, 5, -1]);
    expect(offsets.query("g", "U", 0)).toBe(-1);
    expect(offsets.query("h", "T", 0)).toBe(-1);
  });

  it("takes any queue id without memory to match", () => {
    const { offsets } = make();
    for (const queueId of [0, 4095, 4096, 2 ** 31 - 1, -1]) {
      offsets.commit("g", "T", queueId, queueId + 100);
      expect(offsets.query("g", "T", queueId)).toBe(queueId + 100);
    }
    expect(offsets.ofGroup("g", "T")?.size).toBe(5);
  });

  it("writes Apache's shape and reads it back", async () => {
    const { offsets, disk } = make();
    offsets.commit("g", "T", 0, 12);
    offsets.commit("g", "T", 1, 3);
    offsets.commitPull("g", "T", 1, 4);
    await offsets.persist();
    const text = disk.text(FILE)!;
    expect(text.replace(/\s/g, "")).toMatch(
      /^\{"dataVersion":\{.*\},"offsetTable":\{"T@g":\{0:12,1:3\}\},"pullOffsetTable":\{"T@g":\{"1":4\}\}\}$/,
    );
    expect(() => parseJavaJson(text)).not.toThrow();
    const again = make({}, disk).offsets;
    expect(again.ofGroup("g", "T")).toEqual(offsets.ofGroup("g", "T"));
  });

  it("says that a change is on disk when it is, also when another's write of it has begun already", async () => {
    const { offsets, disk } = make();
    offsets.commit("g", "T", 0, 12);
    const first = offsets.persist();
    await offsets.persist();
    expect(make({}, disk).offsets.query("g", "T", 0)).toBe(12);
    await first;
  });

  it("reads the consumerOffset.json of Apache 5.5.0, which keys queues by bare integers", () => {
    const disk = new MemoryDisk();
    disk.put(
      FILE,
      '{\n\t"dataVersion":{\n\t\t"counter":2,\n\t\t"stateVersion":0,\n\t\t"timestamp":1795264168409\n\t},\n\t"groupTopicMap":{\n\t\t"GDelay2":[\n\t\t\t"TDelay"\n\t\t]\n\t},\n\t"offsetTable":{\n\t\t"TDelay@GDelay2":{\n\t\t\t1:2,\n\t\t\t2:2,\n\t\t\t3:2\n\t\t},\n\t\t"no-group":{0:1}\n\t},\n\t"pullOffsetTable":{"TDelay@GDelay2":{0:0}}\n}',
    );
    const { offsets } = make({}, disk);
    expect(offsets.ofGroup("GDelay2", "TDelay")).toEqual(
      new Map([
        [1, 2],
        [2, 2],
        [3, 2],
      ]),
    );
    expect(offsets.dataVersion.counter).toBe(2);
    expect(offsets.queryPull("GDelay2", "TDelay", 0)).toBe(-1);
  });

  it("is on disk five seconds after a commit, and at once when it stops; an idle one writes nothing", async () => {
    const { offsets, disk, clock } = make();
    offsets.start();
    await clock.advance(20_000);
    expect(disk.text(FILE)).toBeUndefined();
    offsets.commit("g", "T", 0, 1);
    await clock.advance(5_000);
    expect(disk.text(FILE)).toContain("{0:1}");
    offsets.commit("g", "T", 0, 2);
    await offsets.stop();
    expect(disk.text(FILE)).toContain("{0:2}");
    expect(clock.timers).toBe(0);
  });

  it("writes again after a write that failed", async () => {
    const { offsets, disk } = make();
    offsets.commit("g", "T", 0, 1);
    disk.failures.set(disk.operations, new Error("ENOSPC"));
    await expect(offsets.persist()).rejects.toThrow("ENOSPC");
    await offsets.persist();
    expect(disk.text(FILE)).toContain("{0:1}");
  });

  it("lets a reset win over the committed offset until a pull takes it", () => {
    const { offsets } = make();
    offsets.commit("g", "T", 0, 100);
    offsets.assignReset("g", "T", 0, 40);
    expect(offsets.query("g", "T", 0)).toBe(40);
    expect(offsets.hasReset("g", "T", 0)).toBe(true);
    offsets.commit("g", "T", 0, 101);
    expect(offsets.query("g", "T", 0)).toBe(40);
    expect(offsets.takeReset("g", "T", 0)).toBe(40);
    expect(offsets.takeReset("g", "T", 0)).toBe(-1);
    expect(offsets.hasReset("g", "T", 0)).toBe(false);
    expect(offsets.query("g", "T", 0)).toBe(101);
    offsets.assignReset("g", "T", -1, 4);
    offsets.assignReset("g", "T", 1, -4);
    expect(offsets.hasReset("g", "T", -1) || offsets.hasReset("g", "T", 1)).toBe(false);
  });

  it("shows where a group pulled last, or its consume offset", () => {
    const { offsets } = make();
    offsets.commit("g", "T", 0, 10);
    expect(offsets.queryPull("g", "T", 0)).toBe(10);
    offsets.commitPull("g", "T", 0, 32);
    expect(offsets.queryPull("g", "T", 0)).toBe(32);
  });

  it("forgets by group and by topic", () => {
    const { offsets } = make();
    for (const [group, topic] of [
      ["g", "T"],
      ["g", "U"],
      ["h", "T"],
    ]) {
      offsets.commit(group, topic, 0, 5);
      offsets.assignReset(group, topic, 1, 9);
    }
    expect(offsets.groupsOf("T").sort()).toEqual(["g", "h"]);
    expect(offsets.topicsOf("g").sort()).toEqual(["T", "U"]);
    offsets.deleteTopic("T");
    expect(offsets.groupsOf("T")).toEqual([]);
    expect(offsets.hasReset("h", "T", 1)).toBe(false);
    expect(offsets.query("g", "U", 0)).toBe(5);
    expect(offsets.hasReset("g", "U", 1)).toBe(true);
    offsets.deleteGroup("g");
    expect(offsets.hasReset("g", "U", 1)).toBe(false);
  });

  it("clones a group's offsets as they are now", () => {
    const { offsets } = make();
    offsets.commit("g", "T", 0, 5);
    offsets.commit("h", "T", 1, 8);
    offsets.clone("g", "h", "T");
    offsets.commit("g", "T", 0, 6);
    expect(offsets.ofGroup("h", "T")).toEqual(new Map([[0, 5]]));
  });

  it("steps its version every consumerOffsetUpdateVersionStep commits", () => {
    const { offsets } = make({ consumerOffsetUpdateVersionStep: 3 });
    for (let i = 0; i < 7; i++) offsets.commit("g", "T", 0, i);
    expect(offsets.dataVersion.counter).toBe(2);
  });
});
