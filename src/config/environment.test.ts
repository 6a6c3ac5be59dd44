import { describe, expect, it } from "vitest";
import { environmentOptions, jvmVariablesLine } from "./environment.ts";

describe("options from the environment", () => {
  it("takes Apache's keys to the letter, each role its own", () => {
    const environment = {
      ROCKETMQ_BROKER_brokerIP1: "10.0.0.1",
      ROCKETMQ_BROKER_autoCreateTopicEnable: "false",
      ROCKETMQ_NAMESRV_listenPort: "9999",
      ROCKETMQ_HOME: "/x",
    };
    expect([...environmentOptions(environment, "BROKER")]).toEqual([
      ["brokerIP1", "10.0.0.1"],
      ["autoCreateTopicEnable", "false"],
    ]);
    expect([...environmentOptions(environment, "NAMESRV")]).toEqual([["listenPort", "9999"]]);
  });

  it("takes ADVERTISED_HOST for the broker, unless brokerIP1 is there itself", () => {
    expect(environmentOptions({ ADVERTISED_HOST: "mq.test" }, "BROKER").get("brokerIP1")).toBe("mq.test");
    const both = { ROCKETMQ_BROKER_brokerIP1: "10.0.0.1", ADVERTISED_HOST: "mq.test" };
    expect(environmentOptions(both, "BROKER").get("brokerIP1")).toBe("10.0.0.1");
    expect(environmentOptions({ ADVERTISED_HOST: "" }, "BROKER").size).toBe(0);
    expect(environmentOptions({ ADVERTISED_HOST: "mq.test" }, "NAMESRV").size).toBe(0);
  });
});

describe("variables for a JVM", () => {
  it("are named in one line", () => {
    expect(jvmVariablesLine({ MAX_POSSIBLE_HEAP: "100000000", JAVA_OPT_EXT: "-server -Xms256m" })).toBe(
      "JAVA_OPT_EXT, MAX_POSSIBLE_HEAP have no effect: there is no JVM (of its flags only -Dtls.* are read)",
    );
    expect(jvmVariablesLine({ BROKER_MEM: "1g" })).toMatch(/^BROKER_MEM has no effect/);
  });

  it("are not, when they are empty or hold only TLS flags, which act", () => {
    expect(jvmVariablesLine({})).toBeUndefined();
    expect(jvmVariablesLine({ JAVA_OPT: "", JAVA_OPT_EXT: '"-Dtls.enable=true" -Dtls.server.mode=enforcing' })).toBe(
      undefined,
    );
    expect(jvmVariablesLine({ JAVA_OPT: "-Dtls.enable=true -Xmx1g" })).toMatch(/^JAVA_OPT has/);
  });
});
