import { describe, expect, it } from "vitest";
import { loadBrokerConfig, parseProperties } from "../../config/index.ts";
import { idleShards, parseShards, planShards } from "./plan.ts";

function base(text = ""): ReturnType<typeof loadBrokerConfig>["config"] {
  return loadBrokerConfig(parseProperties(`brokerName=broker-a\nstorePathRootDir=/data\n${text}`)).config;
}

const CONSOLE = { host: "127.0.0.1", port: 8082, isGiven: true };

describe("shards of one configuration", () => {
  it("have names, directories and ports of their own, and everything else in common", () => {
    const plans = planShards(3, base("mapedFileSizeCommitLog=1048576\nbrokerPermission=4\n"), CONSOLE, []);
    expect(plans.map(({ name }) => name)).toEqual(["broker-a-0", "broker-a-1", "broker-a-2"]);
    expect(plans.map(({ console }) => console?.port)).toEqual([8082, 8083, 8084]);
    expect([...plans[1].entries].sort()).toEqual([
      ["brokerName", "broker-a-1"],
      ["brokerPermission", "4"],
      ["haListenPort", "10922"],
      ["listenPort", "10921"],
      // By Apache's present spelling: a change by mqadmin names it so.
      ["mappedFileSizeCommitLog", "1048576"],
      ["metricsPromExporterPort", "5558"],
      ["storePathRootDir", "/data/broker-a-1"],
    ]);
    expect(loadBrokerConfig(plans[2].entries).config).toMatchObject({
      brokerName: "broker-a-2",
      listenPort: 10931,
      haListenPort: 10932,
      mappedFileSizeCommitLog: 1048576,
    });
  });

  it("count a given haListenPort and a given port of metrics on, too", () => {
    const plans = planShards(2, base("haListenPort=20000\nmetricsPromExporterPort=6000\n"), undefined, []);
    expect(plans.map(({ entries }) => entries.get("haListenPort"))).toEqual(["20000", "20010"]);
    expect(plans.map(({ entries }) => entries.get("metricsPromExporterPort"))).toEqual(["6000", "6001"]);
  });

  it.each([
    ["brokerRole=SLAVE\nbrokerId=1", "brokerRole=SLAVE: shards are masters"],
    ["enableControllerMode=true\ncontrollerAddr=127.0.0.1:9878", "enableControllerMode=true"],
    ["listenPort=0", "listenPort=0"],
    ["storePathCommitLog=/log", "storePathCommitLog: all shards would share it"],
    ["storePathEpochFile=/epoch", "storePathEpochFile: all shards would share it"],
    ["listenPort=65530", "broker-a-1's listenPort would be port 65540"],
    ["haListenPort=10921", "broker-a-1's listenPort and broker-a-0's haListenPort would both be port 10921"],
  ])("refuse %j", (text, reason) => {
    expect(() => planShards(2, base(text), undefined, [])).toThrow(reason);
  });

  it("refuse ports that something else of this process has, by name", () => {
    const others = [
      ["--namesrv-port", 10919],
      ["--grpc-port", 8083],
    ] as const;
    expect(() => planShards(2, base(), CONSOLE, others)).toThrow(
      "broker-a-1's fast port and --namesrv-port would both be port 10919\nbroker-a-1's console and --grpc-port would both be port 8083",
    );
    // A console that nobody asked for may be missing.
    expect(planShards(2, base(), { ...CONSOLE, isGiven: false }, [["--grpc-port", 8083]])).toHaveLength(2);
  });

  it("are 1 to 64", () => {
    expect(parseShards("64")).toBe(64);
    for (const text of ["0", "65", "two", "1.5", "-1", ""]) {
      expect(() => parseShards(text)).toThrow(`--shards ${text}: not a number of processes from 1 to 64`);
    }
  });

  it("of an earlier, larger number are found by their directories", () => {
    const names = [
      "broker-a-0",
      "broker-a-1",
      "broker-a-2",
      "broker-a-10",
      "broker-a-x",
      "broker-a-01",
      "broker-b-7",
      "namesrv",
    ];
    expect(idleShards(names, "broker-a", 2)).toEqual(["broker-a-2", "broker-a-10"]);
  });
});
