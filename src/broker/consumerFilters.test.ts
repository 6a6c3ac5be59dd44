import { beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import type { SubscriptionData } from "../protocol/bodies/subscriptionData.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { ConsumerFilters } from "./consumerFilters.ts";

const FILE = "/store/config/consumerFilter.json";
const HOUR_MS = 3_600_000;
/** What Apache 5.5.0 wrote (with a bloom filter of 20 percent for 32 groups). */
const APACHE = `{"filterDataByTopic":{"T":{"groupFilterData":{"G":{"bloomFilterData":{"bitNum":112,"bitPos":[24,26,83]},"bornTime":1795277167252,"clientVersion":1234567890123,"consumerGroup":"G","dead":false,"deadTime":0,"expression":"a > 5 AND b = 'it''s \\"x\\"'","expressionType":"SQL92","topic":"T"}},"topic":"T"}}}`;

let clock: FakeClock;
let disk: MemoryDisk;
let filters: ConsumerFilters;

function open(): ConsumerFilters {
  const options = {
    maxErrorRateOfBloomFilter: 20,
    expectConsumerNumUseFilter: 32,
    filterDataCleanTimeSpan: 24 * HOUR_MS,
  };
  return new ConsumerFilters(options, new MetadataFile(disk, FILE), clock, silentLogger());
}

function sql(subString: string, subVersion: number, topic = "T"): SubscriptionData {
  return { classFilterMode: false, codeSet: [], expressionType: "SQL92", subString, subVersion, tagsSet: [], topic };
}

beforeEach(() => {
  clock = new FakeClock();
  disk = new MemoryDisk();
  filters = open();
});

describe("a group's property filter", () => {
  it("is compiled when it comes, and replaced by a newer one only", () => {
    filters.subscribed("G", [sql("a > 1", 5)]);
    const first = filters.get("T", "G");
    expect(first).toMatchObject({ expression: "a > 1", clientVersion: 5, deadTime: 0 });
    filters.subscribed("G", [sql("a > 2", 5)]);
    expect(filters.get("T", "G")).toBe(first);
    filters.subscribed("G", [sql("a > 1", 6)]);
    expect(filters.get("T", "G")).toBe(first);
    expect(first?.clientVersion).toBe(6);
    filters.subscribed("G", [sql("a > 2", 7)]);
    expect(filters.get("T", "G")).toMatchObject({ expression: "a > 2", clientVersion: 7 });
    expect(filters.get("T", "H")).toBeUndefined();
  });

  it("of a Go client, whose versions are nanoseconds, survives a restart with the same version", async () => {
    const version = 1795283878071213800;
    filters.subscribed("G", [sql("a > 1", version)]);
    await filters.persist();
    filters = open();
    expect(filters.get("T", "G")).toMatchObject({ expression: "a > 1", clientVersion: version });
  });

  it("is gone when its successor is wrong: the client must hear of it", () => {
    filters.subscribed("G", [sql("a > 1", 5)]);
    filters.subscribed("G", [sql("a >", 6)]);
    expect(filters.get("T", "G")).toBeUndefined();
  });

  it("by tags is none", () => {
    filters.subscribed("G", [{ ...sql("x || y", 5), expressionType: "TAG" }]);
    expect(filters.get("T", "G")).toBeUndefined();
  });

  it("dies with its group or its topic's subscription, comes back with it, and is forgotten after a day", async () => {
    filters.subscribed("G", [sql("a > 1", 5), sql("b > 1", 5, "U")]);
    await clock.advance(1000);
    filters.subscribed("G", [sql("a > 1", 5)]);
    expect(filters.get("U", "G")?.deadTime).toBe(clock.now());
    filters.deserted("G");
    expect(filters.get("T", "G")?.deadTime).toBe(clock.now());
    filters.subscribed("G", [sql("a > 1", 5)]);
    expect(filters.get("T", "G")?.deadTime).toBe(0);
    await clock.advance(24 * HOUR_MS - 1);
    filters.clean();
    expect(filters.get("U", "G")).toBeDefined();
    await clock.advance(1);
    filters.clean();
    expect(filters.get("U", "G")).toBeUndefined();
    expect(filters.get("T", "G")).toBeDefined();
  });

  it("survives a restart, as of a group that is away", async () => {
    filters.subscribed("G", [sql("a > 1", 5)]);
    await clock.advance(HOUR_MS);
    await filters.persist();
    const again = open();
    expect(again.get("T", "G")).toMatchObject({
      expression: "a > 1",
      clientVersion: 5,
      deadTime: clock.now() - 30_000,
    });
    again.subscribed("G", [sql("a > 1", 5)]);
    expect(again.get("T", "G")?.deadTime).toBe(0);
  });

  it("is read from Apache's file and written as Apache writes it", async () => {
    const file = disk.open(FILE, { create: true });
    file.write(Buffer.from(APACHE), 0, APACHE.length, 0);
    const restored = open();
    const born = 1795277167252;
    const dead = restored.get("T", "G")?.deadTime ?? 0;
    expect(dead).toBeGreaterThanOrEqual(born);
    restored.subscribed("G", [sql("a > 5 AND b = 'it''s \"x\"'", 1234567890123)]);
    expect(restored.encode()).toBe(APACHE);
  });

  it("that does not compile any more is passed over when the file is read", async () => {
    const text = APACHE.replace("a > 5", "a >> 5");
    const file = disk.open(FILE, { create: true });
    file.write(Buffer.from(text), 0, text.length, 0);
    expect(open().get("T", "G")).toBeUndefined();
  });
});
