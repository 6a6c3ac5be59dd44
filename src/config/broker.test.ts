import { describe, expect, it } from "vitest";
import {
  BROKER_TABLE,
  ConfigError,
  consumeQueueFileBytes,
  effectiveConfig,
  forbiddenBrokerKeys,
  formatProperties,
  loadBrokerConfig,
  parseProperties,
  updateBrokerConfig,
} from "./index.ts";

const load = (text = "") => loadBrokerConfig(parseProperties(text));
const problemsOf = (text: string): readonly string[] => {
  try {
    load(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

describe("loadBrokerConfig", () => {
  it("starts from the defaults of Apache 5.5.0 and its start-up class", () => {
    const { config, warnings } = load();
    expect(warnings).toEqual([]);
    expect(config).toMatchObject({
      brokerClusterName: "DefaultCluster",
      brokerId: 0,
      brokerRole: "ASYNC_MASTER",
      flushDiskType: "ASYNC_FLUSH",
      listenPort: 10_911,
      haListenPort: 10_912,
      namesrvAddr: undefined,
      brokerPermission: 6,
      defaultTopicQueueNums: 8,
      autoCreateTopicEnable: true,
      maxMessageSize: 4 * 1024 * 1024,
      mappedFileSizeCommitLog: 1024 ** 3,
      mappedFileSizeConsumeQueue: 300_000 * 20,
      fileReservedTime: 72,
      deleteWhen: "04",
      diskMaxUsedSpaceRatio: 75,
      storePathRootDir: "./store",
      brokerIP1: "127.0.0.1",
    });
    expect(config.given.has("brokerIP1")).toBe(false);
  });

  it("derives what is not set from what is", () => {
    const { config } = load("listenPort=20911\nmappedFileSizeConsumeQueue=1001");
    expect(config.haListenPort).toBe(20_912);
    expect(consumeQueueFileBytes(config)).toBe(1020);
    expect(load("listenPort=0").config.haListenPort).toBe(0);
    expect(load("haListenPort=7000").config.haListenPort).toBe(7000);
  });

  it("takes the spelling of RocketMQ 4 and of 5", () => {
    expect(load("mapedFileSizeCommitLog=1048576")).toMatchObject({
      config: { mappedFileSizeCommitLog: 1_048_576 },
      warnings: [],
    });
    expect(load("mappedFileSizeConsumeQueue=2000").config.mappedFileSizeConsumeQueue).toBe(2000);
    expect(load("destroyMappedFileIntervalForcibly=5").config.destroyMapedFileIntervalForcibly).toBe(5);
    expect(problemsOf("mapedFileSizeCommitLog=1\nmappedFileSizeCommitLog=2")).toEqual([
      "mapedFileSizeCommitLog=1 and mappedFileSizeCommitLog=2: two spellings of one option",
    ]);
  });

  it("names the nearest key of an unknown one", () => {
    expect(load("brokerIp1=10.0.0.1").warnings).toEqual([
      "unknown key brokerIp1 has no effect; did you mean brokerIP1?",
    ]);
    expect(load("qqqqqqqq=1").warnings).toEqual(["unknown key qqqqqqqq has no effect"]);
  });

  it("says which of Apache's options do nothing here, unless they say the default", () => {
    expect(load("transientStorePoolEnable=true").warnings).toEqual([
      "transientStorePoolEnable=true has no effect here (an option of Apache's MessageStoreConfig)",
    ]);
    expect(load("transientStorePoolEnable=false").warnings).toEqual([]);
  });

  it("reports every wrong value at once, in the words of the file", () => {
    expect(problemsOf("listenPort=abc\nbrokerRole=MASTER\nautoCreateTopicEnable=1")).toEqual([
      "listenPort=abc: not an integer",
      "brokerRole=MASTER: not one of ASYNC_MASTER, SYNC_MASTER, SLAVE",
      "autoCreateTopicEnable=1: neither true nor false",
    ]);
    expect(problemsOf("listenPort=70000\nmappedFileSizeCommitLog=0\nnamesrvAddr=host:9876;host")).toEqual([
      "listenPort=70000: not a port (0 to 65535)",
      "mappedFileSizeCommitLog=0: must be above 0",
      'namesrvAddr: "host" is not host:port (expected such as 127.0.0.1:9876;192.168.0.1:9876)',
    ]);
  });

  it("keeps master and slave ids apart", () => {
    expect(load("brokerRole=SYNC_MASTER\nbrokerId=4")).toMatchObject({
      config: { brokerId: 0 },
      warnings: ["brokerId=4 has no effect: a broker with brokerRole=SYNC_MASTER has brokerId 0"],
    });
    expect(load("brokerRole=SLAVE\nbrokerId=4").config.brokerId).toBe(4);
    expect(problemsOf("brokerRole=SLAVE")).toEqual([
      "brokerId=0: a broker with brokerRole=SLAVE needs a brokerId above 0",
    ]);
  });
});

describe("effectiveConfig", () => {
  it("prints every option sorted by key, leaves null ones out and keeps unknown entries", () => {
    const printed = effectiveConfig(load("zzz=1\nauthenticationEnabled=true").config);
    const keys = [...printed.keys()];
    expect(keys).toEqual([...keys].sort());
    expect(printed.get("listenPort")).toBe("10911");
    expect(printed.get("timerRocksDBRollMaxTps")).toBe("8000.0");
    expect(printed.get("zzz")).toBe("1");
    expect(printed.get("authenticationEnabled")).toBe("true");
    expect(printed.has("authorizationEnabled")).toBe(false);
    expect(printed.has("namesrvAddr")).toBe(false);
  });

  it("shows no password", () => {
    const secrets =
      'initAuthenticationUser={"username":"root","password":"hush"}\ninnerClientAuthenticationCredentials={"accessKey":"root","secretKey":"hush"}';
    expect(JSON.stringify([...effectiveConfig(load(secrets).config)])).not.toContain("hush");
  });

  it("gives the same configuration when it is read again", () => {
    const { config } = load("brokerName=b\nmapedFileSizeCommitLog=4096\nlistenPort=11\nmine=x");
    const again = loadBrokerConfig(parseProperties(formatProperties(effectiveConfig(config)))).config;
    expect({ ...again, given: null }).toEqual({ ...config, given: null });
  });
});

describe("updateBrokerConfig", () => {
  it("changes reloadable options at once", () => {
    const { config } = load();
    const update = updateBrokerConfig(config, new Map([["fileReservedTime", "24"]]));
    expect(update).toEqual({ changed: ["fileReservedTime"], pending: [], warnings: [] });
    expect(config.fileReservedTime).toBe(24);
  });

  it("keeps others for the next start, but prints them", () => {
    const { config } = load();
    const update = updateBrokerConfig(config, new Map([["haListenPort", "1234"]]));
    expect(update).toEqual({
      changed: [],
      pending: ["haListenPort"],
      warnings: ["haListenPort=1234 acts at the next start"],
    });
    expect(config.haListenPort).toBe(10_912);
    expect(effectiveConfig(config).get("haListenPort")).toBe("1234");
  });

  it("changes nothing when one value is wrong", () => {
    const { config } = load();
    const entries = new Map([
      ["fileReservedTime", "24"],
      ["maxMessageSize", "0"],
    ]);
    expect(() => updateBrokerConfig(config, entries)).toThrow("maxMessageSize=0: must be above 0");
    expect(config.fileReservedTime).toBe(72);
    expect(config.given.size).toBe(0);
  });

  it("replaces an older spelling, so that the written file can be read again", () => {
    const { config } = load("mapedFileSizeCommitLog=4096");
    updateBrokerConfig(config, new Map([["mappedFileSizeCommitLog", "8192"]]));
    const again = loadBrokerConfig(effectiveConfig(config));
    expect(again.config.mappedFileSizeCommitLog).toBe(8192);
  });

  it("knows the keys that mqadmin may not touch", () => {
    const keys = forbiddenBrokerKeys(load("configBlackList=a;b").config);
    const others = [...keys].filter((key) => !key.startsWith("tls."));
    expect(others).toEqual([
      "brokerConfigPath",
      "rocketmqHome",
      "configBlackList",
      "initAuthenticationUser",
      "innerClientAuthenticationCredentials",
      "tlsKeyPassword",
      "a",
      "b",
    ]);
    expect(keys.has("tls.server.mode") && keys.has("tls.server.keyPath")).toBe(true);
  });
});

describe("the option table", () => {
  it("helps with every option that acts here, and with no other", () => {
    for (const row of BROKER_TABLE.rows) expect(row.help !== "").toBe(row.effect === "live");
  });
});

describe("a change with very many unknown keys", () => {
  it("names a few of them, quickly", () => {
    const entries = new Map(Array.from({ length: 50_000 }, (_, i) => [`fileReservedTim${i}`, "1"]));
    const began = process.cpuUsage();
    let problems: readonly string[] = [];
    try {
      updateBrokerConfig(load().config, entries);
    } catch (error) {
      problems = (error as ConfigError).problems;
    }
    expect(problems).toHaveLength(9);
    expect(problems[0]).toBe("unknown key fileReservedTim0 has no effect; did you mean fileReservedTime?");
    expect(problems[8]).toBe("49992 more unknown keys have no effect");
    // Its own time: how much others use this machine does not count.
    expect(process.cpuUsage(began).user / 1000).toBeLessThan(2_000);
  });
});
