import { describe, expect, it } from "vitest";
import { silentLogger } from "../../base/log.ts";
import { loadBrokerConfig, parseProperties, updateBrokerConfig } from "../../config/index.ts";
import { formatProperties } from "../../config/properties.ts";
import { MemoryDisk } from "../../testing/memoryDisk.ts";
import { ShardChanges } from "./shard.ts";

const BASE = new Map([
  ["brokerName", "broker-a-1"],
  ["storePathRootDir", "/data/broker-a-1"],
  ["mappedFileSizeCommitLog", "1048576"],
  ["brokerPermission", "6 "],
]);

/** What one life of a shard makes of `change`, and what the next one begins with. */
async function afterChange(disk: MemoryDisk, change: string): Promise<Map<string, string>> {
  const changes = new ShardChanges(disk, BASE);
  const { config } = loadBrokerConfig(new Map([...BASE, ...changes.read(silentLogger())]));
  updateBrokerConfig(config, parseProperties(change));
  await changes.write(formatProperties(config.given));
  return new ShardChanges(disk, BASE).read(silentLogger());
}

describe("options that mqadmin changes on one shard", () => {
  it("are kept without those of all shards, change by change", async () => {
    const disk = new MemoryDisk();
    expect(await afterChange(disk, "brokerPermission=4\n")).toEqual(new Map([["brokerPermission", "4"]]));
    expect(await afterChange(disk, "maxMessageSize=1000\n")).toEqual(
      new Map([
        ["brokerPermission", "4"],
        ["maxMessageSize", "1000"],
      ]),
    );
  });

  it("are gone when they are changed back", async () => {
    const disk = new MemoryDisk();
    await afterChange(disk, "brokerPermission=4\n");
    expect(await afterChange(disk, "brokerPermission=6\n")).toEqual(new Map());
  });

  it("by an old spelling do not meet the new one", async () => {
    const disk = new MemoryDisk();
    const kept = await afterChange(disk, "mapedFileSizeCommitLog=2097152\n");
    expect(loadBrokerConfig(new Map([...BASE, ...kept])).config.mappedFileSizeCommitLog).toBe(2_097_152);
  });

  it("never say which shard it is", async () => {
    const kept = await afterChange(new MemoryDisk(), "listenPort=1\nnamesrvAddr=127.0.0.1:1\nbrokerName=other\n");
    expect(kept).toEqual(new Map());
  });
});
