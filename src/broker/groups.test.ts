import { describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import { newSubscriptionGroupConfig } from "../protocol/bodies/subscriptionGroup.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { type GroupOptions, Groups } from "./groups.ts";

const FILE = "/store/config/subscriptionGroup.json";

function make(options: Partial<GroupOptions> = {}, disk = new MemoryDisk()) {
  const all = { autoCreateSubscriptionGroup: true, enableCreateSysGroup: true, enableLmq: false, ...options };
  const groups = new Groups(all, new MetadataFile(disk, FILE), new FakeClock(), silentLogger());
  return { groups, disk };
}

describe("Groups", () => {
  it("starts with the system groups of Apache 5.5.0", () => {
    expect([...make().groups.all()].map((g) => g.groupName).sort()).toEqual([
      "CID_ONS-HTTP-PROXY",
      "CID_ONSAPI_OWNER",
      "CID_ONSAPI_PERMISSION",
      "CID_ONSAPI_PULL",
      "CID_RMQ_SYS_TRANS",
      "FILTERSRV_CONSUMER",
      "SELF_TEST_C_GROUP",
      "TOOLS_CONSUMER",
    ]);
  });

  it("creates a group when it is first looked for, unless its name is illegal or creation is off", () => {
    const { groups } = make();
    expect(groups.get("g")).toBeUndefined();
    expect(groups.find("g")).toEqual(newSubscriptionGroupConfig("g"));
    expect(groups.dataVersion.counter).toBe(1);
    expect(groups.find("bad.name")).toBeUndefined();
    const off = make({ autoCreateSubscriptionGroup: false }).groups;
    expect(off.find("g")).toBeUndefined();
    expect(off.find("CID_RMQ_SYS_x")?.groupName).toBe("CID_RMQ_SYS_x");
    expect(make({ autoCreateSubscriptionGroup: false, enableCreateSysGroup: false }).groups.find("CID_RMQ_SYS_x")).toBe(
      undefined,
    );
  });

  it("writes a file that it reads back: retry policies, prohibitions, version", async () => {
    const { groups, disk } = make();
    groups.update([
      newSubscriptionGroupConfig("g", {
        retryMaxTimes: 3,
        groupRetryPolicy: { type: "EXPONENTIAL", exponentialRetryPolicy: { initial: 1, max: 2, multiplier: 3 } },
      }),
    ]);
    groups.setForbidden("g", "T", 2, true);
    await groups.saved();
    const again = make({}, disk).groups;
    expect(again.get("g")).toEqual(groups.get("g"));
    expect(again.forbidden("g", "T")).toBe(4);
    expect(again.dataVersion).toEqual(groups.dataVersion);
  });

  it("forgets a group with its prohibitions", () => {
    const { groups } = make();
    groups.find("g");
    groups.setForbidden("g", "T", 2, true);
    expect(groups.isForbidden("g", "T", 2)).toBe(true);
    expect(groups.delete("g")).toBe(true);
    expect(groups.isForbidden("g", "T", 2)).toBe(false);
    expect(groups.delete("g")).toBe(false);
  });

  it("lifts one prohibition, keeps the others, and a restart does not bring it back", async () => {
    const { groups, disk } = make();
    groups.setForbidden("g", "T", 2, true);
    groups.setForbidden("g", "U", 2, true);
    groups.setForbidden("g", "T", 2, false);
    await groups.saved();
    for (const table of [groups, make({}, disk).groups]) {
      expect(table.isForbidden("g", "T", 2)).toBe(false);
      expect(table.isForbidden("g", "U", 2)).toBe(true);
    }
  });

  it("reads the subscriptionGroup.json of Apache 5.5.0", () => {
    const disk = new MemoryDisk();
    disk.put(
      FILE,
      '{\n\t"dataVersion":{\n\t\t"counter":1,\n\t\t"stateVersion":0,\n\t\t"timestamp":1795264217856\n\t},\n\t"forbiddenTable":{},\n\t"subscriptionGroupTable":{\n\t\t"G1":{"attributes":{},"brokerId":0,"consumeBroadcastEnable":false,"consumeEnable":true,"consumeFromMinEnable":false,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"G1","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}\n\t}\n}',
    );
    const { groups } = make({}, disk);
    expect(groups.get("G1")?.consumeBroadcastEnable).toBe(false);
    expect(groups.size).toBe(9);
  });
});
