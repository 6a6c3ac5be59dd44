import { Buffer } from "node:buffer";
import { deflateSync, inflateSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MQVersion } from "../generated/versions.ts";
// Bodies exactly as the classes of Apache RocketMQ 5.5.0 encode them, captured from the jars.
import APACHE_BODIES from "./apacheBodies.json" with { type: "json" };
import { decodeBrokerMemberGroup, encodeBrokerMemberGroup } from "./brokerMemberGroup.ts";
import { decodeClusterInfo, encodeClusterInfo } from "./clusterInfo.ts";
import {
  decodeConsumerConnection,
  decodeProducerConnection,
  encodeConsumerConnection,
  encodeProducerConnection,
} from "./connections.ts";
import { decodeConsumerList, encodeConsumerList } from "./consumerList.ts";
import { decodeDataVersion, encodeDataVersion, nextDataVersion, sameDataVersion } from "./dataVersion.ts";
import { decodeHeartbeatData, encodeHeartbeatData } from "./heartbeatData.ts";
import { decodeKVTable, encodeKVTable } from "./kvTable.ts";
import {
  decodeLockBatchRequest,
  decodeLockBatchResponse,
  encodeLockBatchRequest,
  encodeLockBatchResponse,
} from "./lockBatch.ts";
import { BodyError } from "./reader.ts";
import { decodeRegisterBrokerBody, encodeRegisterBrokerBody } from "./registerBrokerBody.ts";
import { decodeConsumeStats, decodeTopicStats, encodeConsumeStats, encodeTopicStats } from "./stats.ts";
import {
  decodeSubscriptionGroupConfig,
  decodeSubscriptionGroupWrapper,
  encodeSubscriptionGroupConfig,
  encodeSubscriptionGroupWrapper,
  newSubscriptionGroupConfig,
} from "./subscriptionGroup.ts";
import {
  decodeTopicConfig,
  decodeTopicConfigLine,
  encodeTopicConfig,
  encodeTopicConfigLine,
  newTopicConfig,
} from "./topicConfig.ts";
import { decodeTopicConfigWrapper, encodeTopicConfigWrapper, newTopicConfigWrapper } from "./topicConfigWrapper.ts";
import { decodeTopicList, encodeTopicList } from "./topicList.ts";
import { decodeTopicRouteData, encodeTopicRouteData } from "./topicRoute.ts";

const V5 = MQVersion.V5_5_0;

describe("every body comes back byte for byte as Apache wrote it", () => {
  it.each<[keyof typeof APACHE_BODIES, (text: string) => string]>([
    ["route", (text) => encodeTopicRouteData(decodeTopicRouteData(text), false)],
    ["routeStd", (text) => encodeTopicRouteData(decodeTopicRouteData(text), true)],
    ["clusterInfo", (text) => encodeClusterInfo(decodeClusterInfo(text))],
    ["topicList0", (text) => encodeTopicList(decodeTopicList(text))],
    ["topicList", (text) => encodeTopicList(decodeTopicList(text))],
    ["kv", (text) => encodeKVTable(decodeKVTable(text))],
    ["dv", (text) => encodeDataVersion(decodeDataVersion(text))],
    ["tc", (text) => encodeTopicConfig(decodeTopicConfig(text))],
    ["wrapper", (text) => encodeTopicConfigWrapper(decodeTopicConfigWrapper(text))],
    [
      "register",
      (text) => encodeRegisterBrokerBody(decodeRegisterBrokerBody(Buffer.from(text), false, V5), false).toString(),
    ],
    ["memberGroup", (text) => encodeBrokerMemberGroup(decodeBrokerMemberGroup(text))],
    ["sg", (text) => encodeSubscriptionGroupConfig(decodeSubscriptionGroupConfig(text))],
    ["sg2", (text) => encodeSubscriptionGroupConfig(decodeSubscriptionGroupConfig(text))],
    ["sgWrapper", (text) => encodeSubscriptionGroupWrapper(decodeSubscriptionGroupWrapper(text))],
    ["heartbeat", (text) => encodeHeartbeatData(decodeHeartbeatData(text))],
    ["consumerList", (text) => encodeConsumerList(decodeConsumerList(text))],
    ["lockReq", (text) => encodeLockBatchRequest(decodeLockBatchRequest(text))],
    ["lockRes", (text) => encodeLockBatchResponse(decodeLockBatchResponse(text))],
    ["consumerConnection", (text) => encodeConsumerConnection(decodeConsumerConnection(text))],
    ["producerConnection", (text) => encodeProducerConnection(decodeProducerConnection(text))],
    ["topicStats", (text) => encodeTopicStats(decodeTopicStats(text))],
    ["consumeStats", (text) => encodeConsumeStats(decodeConsumeStats(text))],
  ])("%s", (name, roundTrip) => {
    expect(roundTrip(APACHE_BODIES[name])).toBe(APACHE_BODIES[name]);
  });

  it("a Go client's subscription, whose version is nanoseconds, is told to operators with all its digits", () => {
    const version = "1795283878071213824";
    const text = APACHE_BODIES.consumerConnection.replace(/"subVersion":\d+/g, `"subVersion":${version}`);
    expect(text).toContain(version);
    expect(encodeConsumerConnection(decodeConsumerConnection(text))).toBe(text);
  });

  it("TopicConfigSerializeWrapper of a 4.x broker reads as the wrapper without mappings", () => {
    const wrapper = decodeTopicConfigWrapper(APACHE_BODIES.wrapper0);
    expect(wrapper.topicConfigTable.get("T")?.attributes.get("message.type")).toBe("NORMAL");
    expect(wrapper.topicQueueMappingInfoMap.size).toBe(0);
  });
});

describe("defaults are those of the Java classes", () => {
  it("a new group encodes as `new SubscriptionGroupConfig()`", () => {
    expect(encodeSubscriptionGroupConfig(newSubscriptionGroupConfig("g"))).toBe(APACHE_BODIES.sg);
    expect(encodeSubscriptionGroupConfig(decodeSubscriptionGroupConfig('{"groupName":"g"}'))).toBe(APACHE_BODIES.sg);
  });

  it("a topic without figures has 16 queues, read and write, as `new TopicConfig()`", () => {
    expect(decodeTopicConfig('{"topicName":"U"}')).toEqual(newTopicConfig("U"));
    expect(encodeTopicConfigLine(newTopicConfig("U"))).toBe("U 16 16 6 SINGLE_TAG {}");
  });
});

describe("conversions are those of fastjson", () => {
  it("takes numbers from text, text from numbers, cuts fractions, ignores null and unknown fields", () => {
    expect(decodeDataVersion('{"counter":"5","timestamp":"7","stateVersion":null,"extra":[]}')).toEqual({
      counter: 5,
      stateVersion: 0,
      timestamp: 7,
    });
    expect(decodeDataVersion('{"timestamp":1.5}').timestamp).toBe(1);
    expect(decodeKVTable('{"table":{"a":1,"b":null}}')).toEqual(new Map([["a", "1"]]));
    expect(decodeHeartbeatData('{"clientID":5}').clientID).toBe("5");
  });

  it("takes an enum by its name in any case (Go sends Clustering) or by its ordinal, an unknown one as absent", () => {
    const [consumer] = decodeHeartbeatData(
      '{"consumerDataSet":[{"consumeFromWhere":5,"consumeType":"NOPE","groupName":"g","messageModel":"Clustering"}]}',
    ).consumerDataSet;
    expect(consumer).toMatchObject({ consumeFromWhere: "CONSUME_FROM_TIMESTAMP", messageModel: "CLUSTERING" });
    expect(consumer.consumeType).toBeUndefined();
  });

  it("takes broker ids quoted or not", () => {
    const quoted = decodeClusterInfo('{"brokerAddrTable":{"b":{"brokerAddrs":{"0":"x"}}}}');
    expect(quoted.brokerAddrTable.get("b")?.brokerAddrs).toEqual(new Map([[0, "x"]]));
  });
});

it("a Go client's subscription versions are nanoseconds, beyond 2^53", () => {
  const [consumer] = decodeHeartbeatData(
    '{"clientID":"c","producerDataSet":[],"consumerDataSet":[{"groupName":"g","subscriptionDataSet":[{"topic":"T","subVersion":1795269073539375988}]}]}',
  ).consumerDataSet;
  expect(consumer?.subscriptionDataSet[0]?.subVersion).toBe(Number("1795269073539375988"));
});

describe("bad bodies are refused with class, path and reason", () => {
  it.each<[() => unknown, string]>([
    [() => decodeDataVersion(""), "DataVersion: the body is empty"],
    [() => decodeDataVersion("[]"), "DataVersion: a list is not an object"],
    [() => decodeDataVersion("{oops"), "DataVersion: a key must be quoted"],
    [() => decodeDataVersion('{"timestamp":"abc"}'), 'DataVersion.timestamp: "abc" is not an integer'],
    [() => decodeDataVersion('{"timestamp":"9007199254740992"}'), "beyond the safe integers"],
    [() => decodeDataVersion('{"timestamp":9007199254740992}'), "beyond the safe integers"],
    [() => decodeTopicRouteData('{"queueDatas":{}}'), "TopicRouteData.queueDatas: an object is not a list"],
    [() => decodeTopicRouteData('{"queueDatas":[{"perm":[]}]}'), "TopicRouteData.queueDatas[0].perm: a list is not"],
    [() => decodeTopicRouteData('{"brokerDatas":[1]}'), "TopicRouteData.brokerDatas[0]: 1 is not an object"],
    [() => decodeLockBatchRequest('{"onlyThisBroker":"x"}'), 'onlyThisBroker: "x" is not a boolean'],
    [() => decodeTopicStats('{"offsetTable":{"{}":{}}}'), "the key must be an object"],
    [() => decodeBrokerMemberGroup("{}"), "brokerMemberGroup is missing"],
    [() => decodeTopicConfigLine("T 4 4"), 'TopicConfig: "T 4 4" is not a topic line'],
  ])("%#", (decode, message) => {
    expect(decode).toThrow(BodyError);
    expect(decode).toThrow(message);
  });
});

describe("RegisterBrokerBody, compressed", () => {
  const apache = Buffer.from(APACHE_BODIES.registerCompressed, "base64");

  it("reads Apache's stream", () => {
    const body = decodeRegisterBrokerBody(apache, true, V5);
    expect(body.filterServerList).toEqual(["f:1"]);
    const wrapper = body.topicConfigSerializeWrapper;
    expect(wrapper.dataVersion).toEqual({ counter: 3, stateVersion: 0, timestamp: 1700000000000 });
    expect([...wrapper.topicConfigTable.keys()]).toEqual(["T"]);
    expect(wrapper.topicQueueMappingInfoMap.get("T")?.currIdMap).toEqual(
      new Map([
        [0, 1],
        [2, 3],
      ]),
    );
  });

  it("writes what Apache writes, byte for byte before compression", () => {
    const body = decodeRegisterBrokerBody(apache, true, V5);
    expect(inflateSync(encodeRegisterBrokerBody(body, true))).toEqual(inflateSync(apache));
  });

  it("reads a deflated body whose header says it is not (Apache's broker 5.5.0 with compressedRegister=true)", () => {
    expect(decodeRegisterBrokerBody(apache, false, V5)).toEqual(decodeRegisterBrokerBody(apache, true, V5));
  });

  it("does not look for mappings in the stream of a broker before 5.0", () => {
    const body = decodeRegisterBrokerBody(apache, true, MQVersion.V4_9_4);
    expect(body.topicConfigSerializeWrapper.topicQueueMappingInfoMap.size).toBe(0);
  });

  it("keeps topic attributes with blanks, which Apache's reader loses", () => {
    const config = newTopicConfig("T", { attributes: new Map([["k", "a b"]]) });
    expect(decodeTopicConfigLine(encodeTopicConfigLine(config))).toEqual(config);
  });

  it("refuses a stream cut anywhere, naming what is missing", () => {
    const plain = inflateSync(apache);
    for (let end = 0; end < plain.length; end++) {
      const cut = deflateSync(plain.subarray(0, end));
      expect(() => decodeRegisterBrokerBody(cut, true, V5), `cut at ${end}`).toThrow(BodyError);
    }
  });

  it("refuses what is no zlib stream, and one that would inflate beyond the bound", () => {
    expect(() => decodeRegisterBrokerBody(Buffer.from("{}"), true, V5)).toThrow("not a zlib stream");
    expect(() => decodeRegisterBrokerBody(deflateSync(Buffer.alloc(65 << 20)), true, V5)).toThrow("at most 16 MiB");
  });

  it("any topics survive a round trip in either form", () => {
    const topics = fc.uniqueArray(
      fc.record({
        topicName: fc.stringMatching(/^[%|a-zA-Z0-9_-]{1,20}$/),
        readQueueNums: fc.nat(),
        writeQueueNums: fc.nat(),
        perm: fc.nat(15),
        attributes: fc.array(fc.tuple(fc.string(), fc.string())).map((entries) => new Map(entries)),
      }),
      { selector: (topic) => topic.topicName },
    );
    fc.assert(
      fc.property(topics, fc.boolean(), (list, compressed) => {
        const topicConfigTable = new Map(list.map((t) => [t.topicName, newTopicConfig(t.topicName, t)]));
        const body = {
          filterServerList: ["a:1"],
          topicConfigSerializeWrapper: newTopicConfigWrapper({ topicConfigTable }),
        };
        expect(decodeRegisterBrokerBody(encodeRegisterBrokerBody(body, compressed), compressed, V5)).toEqual(body);
      }),
      { numRuns: 50 },
    );
  });
});

it("a data version differs after each change", () => {
  const before = { counter: 1, stateVersion: 2, timestamp: 3 };
  const after = nextDataVersion(before, 3, 2);
  expect(after).toEqual({ counter: 2, stateVersion: 2, timestamp: 3 });
  expect(sameDataVersion(before, after)).toBe(false);
  expect(sameDataVersion(after, { ...after })).toBe(true);
});
