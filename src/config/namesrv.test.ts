import { describe, expect, it } from "vitest";
import {
  effectiveConfig,
  forbiddenNamesrvKeys,
  loadNamesrvConfig,
  parseProperties,
  updateNamesrvConfig,
} from "./index.ts";

const load = (text = "") => loadNamesrvConfig(parseProperties(text));

describe("loadNamesrvConfig", () => {
  it("starts from the defaults of Apache 5.5.0", () => {
    expect(load()).toMatchObject({
      config: {
        listenPort: 9876,
        orderMessageEnable: false,
        returnOrderTopicConfigToBroker: true,
        enableAllTopicList: true,
        enableTopicList: true,
        scanNotActiveBrokerInterval: 5000,
        notifyMinBrokerIdChanged: false,
        deleteTopicWithBrokerRegistration: false,
        kvConfigPath: "./namesrv/kvConfig.json",
      },
      warnings: [],
    });
  });

  it("does not know broker options", () => {
    expect(load("brokerRole=SLAVE").warnings).toEqual(["unknown key brokerRole has no effect"]);
    expect(() => load("listenPort=-1")).toThrow("listenPort=-1: not a port (0 to 65535)");
  });

  it("prints and updates", () => {
    const { config } = load("orderMessageEnable=true");
    updateNamesrvConfig(config, new Map([["enableTopicList", "false"]]));
    const printed = effectiveConfig(config);
    expect(printed.get("orderMessageEnable")).toBe("true");
    expect(printed.get("enableTopicList")).toBe("false");
    expect(printed.has("connectTimeoutMillis")).toBe(false);
    expect(forbiddenNamesrvKeys(config)).toContain("kvConfigPath");
  });
});
