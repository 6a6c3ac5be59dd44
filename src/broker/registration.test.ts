import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../base/log.ts";
import { encodeDataVersion } from "../protocol/bodies/dataVersion.ts";
import { encodeKVTable } from "../protocol/bodies/kvTable.ts";
import { decodeRegisterBrokerBody } from "../protocol/bodies/registerBrokerBody.ts";
import { newTopicConfig } from "../protocol/bodies/topicConfig.ts";
import type { Answer } from "../protocol/dispatch.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import { MetadataFile } from "../store/metadataFile.ts";
import { answerOf } from "../testing/fakeCaller.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { MemoryDisk } from "../testing/memoryDisk.ts";
import { Registration, type RegistrationOptions } from "./registration.ts";
import { Topics } from "./topics.ts";

interface Sent {
  address: string;
  code: number;
  header: Record<string, unknown>;
  topics: string[];
  perms: number[];
}

const OPTIONS: RegistrationOptions = {
  brokerClusterName: "DefaultCluster",
  brokerName: "broker-a",
  brokerId: 0,
  brokerPermission: 6,
  namesrvAddr: "ns1:9876;ns2:9876",
  registerNameServerPeriod: 30_000,
  registerBrokerTimeoutMills: 24_000,
  forceRegister: true,
  enableSingleTopicRegister: false,
  enableSplitRegistration: false,
  splitRegistrationSize: 800,
};

function make(given: Partial<RegistrationOptions> = {}) {
  const clock = new FakeClock();
  const options = { ...OPTIONS, ...given };
  const topics = new Topics(
    {
      brokerClusterName: "DefaultCluster",
      brokerName: "broker-a",
      autoCreateTopicEnable: true,
      defaultTopicQueueNums: 8,
      clusterTopicEnable: true,
      brokerTopicEnable: true,
      traceTopicEnable: false,
      msgTraceTopicName: "",
      reviveQueueNum: 8,
      timerWheelEnable: true,
      enableLmq: false,
    },
    new MetadataFile(new MemoryDisk(), "/config/topics.json"),
    clock,
    silentLogger(),
  );
  const sent: Sent[] = [];
  const world = {
    clock,
    options,
    topics,
    sent,
    brokerAddr: "10.0.0.1:10911",
    answer: async (_: Sent): Promise<Answer> => answerOf({}),
    to: (address: string, code: number): Sent[] => sent.filter((s) => s.address === address && s.code === code),
  };
  const registration = new Registration(
    options,
    topics,
    (address, code, header, body) => {
      const bytes = Buffer.from(body ?? "");
      const isRegistration = code === RequestCode.REGISTER_BROKER;
      const table = isRegistration
        ? decodeRegisterBrokerBody(bytes, false, MQVersion.V5_5_0).topicConfigSerializeWrapper.topicConfigTable
        : new Map<string, { perm: number }>();
      const one: Sent = {
        address,
        code,
        header,
        topics: [...table.keys()],
        perms: [...table.values()].map((t) => t.perm),
      };
      sent.push(one);
      return world.answer(one);
    },
    () => world.brokerAddr,
    () => "10.0.0.1:10912",
    clock,
    silentLogger(),
  );
  return Object.assign(world, { registration });
}

const { REGISTER_BROKER, UNREGISTER_BROKER, QUERY_DATA_VERSION, REGISTER_TOPIC_IN_NAMESRV } = RequestCode;

describe("Registration", () => {
  it("registers everything with each NameServer at the start", async () => {
    const world = make();
    await world.registration.start();
    for (const ns of ["ns1:9876", "ns2:9876"]) {
      const [one] = world.to(ns, REGISTER_BROKER);
      expect(one.topics.sort()).toEqual([...world.topics.all()].map((t) => t.topicName).sort());
      expect(one.header).toMatchObject({
        brokerName: "broker-a",
        brokerAddr: "10.0.0.1:10911",
        clusterName: "DefaultCluster",
        haServerAddr: "10.0.0.1:10912",
        brokerId: 0,
        compressed: false,
        enableActingMaster: false,
      });
    }
  });

  it.each([
    [30_000, 30_000],
    [1, 10_000],
    [600_000, 60_000],
  ])("repeats it each registerNameServerPeriod=%i within 10 to 60 s", async (period, expected) => {
    const world = make({ registerNameServerPeriod: period });
    await world.registration.start();
    await world.clock.advance(expected - 1);
    expect(world.to("ns1:9876", REGISTER_BROKER)).toHaveLength(1);
    await world.clock.advance(1);
    expect(world.to("ns1:9876", REGISTER_BROKER)).toHaveLength(2);
  });

  it("leaves its old address before it registers with a new one, once", async () => {
    const world = make({ namesrvAddr: "ns1:9876" });
    await world.registration.start();
    world.brokerAddr = "localhost:32768";
    await world.registration.registerAnew();
    await world.registration.registerAnew();
    const told = world.sent.map((s) => [s.code, s.header.brokerAddr]);
    expect(told).toEqual([
      [REGISTER_BROKER, "10.0.0.1:10911"],
      [UNREGISTER_BROKER, "10.0.0.1:10911"],
      [REGISTER_BROKER, "localhost:32768"],
      [REGISTER_BROKER, "localhost:32768"],
    ]);
  });

  it("registers again after a registration under way, which may have told the old address", async () => {
    const world = make({ namesrvAddr: "ns1:9876" });
    await world.registration.start();
    let answer = (_: Answer) => {};
    world.answer = () => new Promise((resolve) => (answer = resolve));
    const underWay = world.registration.registerAll(true);
    await world.clock.settle();
    world.brokerAddr = "localhost:32768";
    const anew = world.registration.registerAnew();
    await world.clock.settle();
    world.answer = async () => answerOf({});
    answer(answerOf({}));
    await Promise.all([underWay, anew]);
    expect(world.sent.at(-1)).toMatchObject({ code: REGISTER_BROKER, header: { brokerAddr: "localhost:32768" } });
  });

  it("registers changed topics at once, the changes of one turn in one request", async () => {
    const world = make();
    await world.registration.start();
    world.sent.length = 0;
    world.topics.update([newTopicConfig("A")]);
    world.topics.createInSend("B", "TBW102", 4, 0, "");
    const settled = world.registration.settled();
    await world.clock.settle();
    await settled;
    expect(world.sent.map((s) => [s.address, s.topics])).toEqual([
      ["ns1:9876", ["A", "B"]],
      ["ns2:9876", ["A", "B"]],
    ]);
  });

  it("tries a NameServer that is away again after 1, 2, 4 s ..., without holding up the other one", async () => {
    const world = make();
    let away = true;
    world.answer = async ({ address }) => {
      if (away && address === "ns2:9876") throw new Error("cannot connect to ns2:9876");
      return answerOf({});
    };
    await world.registration.start();
    expect(world.to("ns1:9876", REGISTER_BROKER)).toHaveLength(1);
    await world.clock.advance(7_100);
    expect(world.to("ns2:9876", REGISTER_BROKER)).toHaveLength(4);
    away = false;
    await world.clock.advance(8_000);
    expect(world.to("ns2:9876", REGISTER_BROKER)).toHaveLength(5);
    await world.clock.advance(9_000);
    expect(world.to("ns2:9876", REGISTER_BROKER)).toHaveLength(5);
    expect(world.to("ns1:9876", REGISTER_BROKER)).toHaveLength(1);
  });

  it("counts a refusal as not registered", async () => {
    const world = make({ namesrvAddr: "ns1:9876" });
    let refused = 2;
    world.answer = async () => answerOf(refused-- > 0 ? { code: 1, remark: "crc32 not match" } : {});
    await world.registration.start();
    await world.clock.advance(3_100);
    expect(world.to("ns1:9876", REGISTER_BROKER)).toHaveLength(3);
  });

  it("tells an away NameServer everything when it is back, including a topic made meanwhile", async () => {
    const world = make({ namesrvAddr: "ns1:9876" });
    let away = true;
    world.answer = async () => {
      if (away) throw new Error("away");
      return answerOf({});
    };
    await world.registration.start();
    world.topics.createInSend("New", "TBW102", 4, 0, "");
    await world.clock.settle();
    away = false;
    await world.clock.advance(2_000);
    expect(world.sent.at(-1)?.topics).toContain("New");
    expect(world.sent.at(-1)?.topics).toContain("TBW102");
  });

  it("lends topics no more than the broker's own permission", async () => {
    const world = make({ brokerPermission: 4 });
    await world.registration.start();
    expect(new Set(world.sent[0].perms)).toEqual(new Set([4, 0]));
  });

  it("asks for the NameServer's version first with forceRegister=false", async () => {
    const world = make({ forceRegister: false, namesrvAddr: "ns1:9876" });
    await world.registration.start();
    world.answer = async () =>
      answerOf({
        fields: new Map([["changed", "false"]]),
        body: Buffer.from(encodeDataVersion(world.topics.dataVersion)),
      });
    await world.clock.advance(30_000);
    expect(world.to("ns1:9876", REGISTER_BROKER)).toHaveLength(1);
    expect(world.to("ns1:9876", QUERY_DATA_VERSION)).toHaveLength(1);
    world.topics.bumpVersion();
    world.answer = async ({ code }) =>
      answerOf(
        code === QUERY_DATA_VERSION
          ? {
              fields: new Map([["changed", "true"]]),
              body: Buffer.from('{"counter":0,"stateVersion":0,"timestamp":1}'),
            }
          : {},
      );
    await world.clock.advance(30_000);
    expect(world.to("ns1:9876", REGISTER_BROKER)).toHaveLength(2);
  });

  it("splits a large table with enableSplitRegistration", async () => {
    const world = make({ enableSplitRegistration: true, splitRegistrationSize: 4, namesrvAddr: "ns1:9876" });
    await world.registration.start();
    const parts = world.to("ns1:9876", REGISTER_BROKER).map((s) => s.topics);
    expect(parts.map((p) => p.length)).toEqual([4, 4, 4, 3]);
    expect(new Set(parts.flat()).size).toBe(15);
  });

  it("registers a single topic by its route with enableSingleTopicRegister", async () => {
    const world = make({ enableSingleTopicRegister: true, namesrvAddr: "ns1:9876" });
    await world.registration.start();
    world.topics.update([newTopicConfig("A")]);
    await world.clock.settle();
    expect(world.to("ns1:9876", REGISTER_TOPIC_IN_NAMESRV).map((s) => s.header)).toEqual([{ topic: "A" }]);
    expect(world.to("ns1:9876", REGISTER_BROKER)).toHaveLength(1);
  });

  it("takes ordered topics over from the NameServer", async () => {
    const world = make({ namesrvAddr: "ns1:9876" });
    world.topics.update([newTopicConfig("A")]);
    world.answer = async () => answerOf({ body: Buffer.from(encodeKVTable(new Map([["A", "broker-a:4"]]))) });
    await world.registration.start();
    expect(world.topics.isOrder("A")).toBe(true);
  });

  it("takes the broker out of every NameServer when it stops, also when one is away, and is silent then", async () => {
    const world = make();
    await world.registration.start();
    world.answer = async ({ address }) => {
      if (address === "ns1:9876") throw new Error("away");
      return answerOf({});
    };
    await world.registration.stop();
    expect(world.to("ns2:9876", UNREGISTER_BROKER)).toHaveLength(1);
    const before = world.sent.length;
    world.topics.update([newTopicConfig("A")]);
    await world.clock.advance(120_000);
    expect(world.sent).toHaveLength(before);
    expect(world.clock.timers).toBe(0);
  });

  it("follows a changed namesrvAddr", async () => {
    const world = make({ namesrvAddr: "ns1:9876" });
    await world.registration.start();
    Object.assign(world.options, { namesrvAddr: " ns3:9876 ; ns3:9876;" });
    await world.clock.advance(30_000);
    expect(world.to("ns3:9876", REGISTER_BROKER)).toHaveLength(1);
    expect(world.to("ns1:9876", REGISTER_BROKER)).toHaveLength(1);
  });
});
