/**
 * Rules of the wire that implementers of RocketMQ get wrong, on a whole cluster over sockets. Those that belong to one
 * handler or codec are tested beside it; "rule N" finds them all.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatHost } from "../base/host.ts";
import { type RunningCluster, startCluster, startNameServer } from "../index.ts";
import { parseMessageId } from "../message/messageId.ts";
import type { Fields } from "../protocol/frameWriter.ts";
import { encodeFrame } from "../protocol/frameWriter.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { MQVersion } from "../protocol/generated/versions.ts";
import { RawClient, type Received } from "../testing/rawClient.ts";
import { recordsOf } from "../testing/wireBroker.ts";

let cluster: RunningCluster;
let broker: RawClient;
let namesrv: RawClient;

beforeAll(async () => {
  cluster = await startCluster();
  broker = await RawClient.connect(cluster.brokerAddr);
  namesrv = await RawClient.connect(cluster.namesrvAddr);
});
afterAll(async () => {
  broker.close();
  namesrv.close();
  await cluster.close();
});

/** What any Java request may carry on top: namespace, broker name, oneway mark, ACL. */
const EXTRAS = {
  ns: "ns",
  nsd: "true",
  bname: "broker-a",
  oway: "false",
  lo: "false",
  AccessKey: "ak",
  SecurityToken: "st",
  Signature: "sig=",
};

const send = (topic: string, extras: Fields = {}): Promise<Received> =>
  broker.ask(RequestCode.SEND_MESSAGE_V2, {
    fields: { a: "p", b: topic, c: "TBW102", d: 1, e: 0, f: 0, g: 1, h: 0, i: "UNIQ_KEY\u0001u\u0002", ...extras },
    body: "hello",
  });

const heartbeat = (group: string, topic: string, extras: Fields = {}): Promise<Received> =>
  broker.ask(RequestCode.HEART_BEAT, {
    fields: extras,
    body: JSON.stringify({
      clientID: "c",
      consumerDataSet: [
        {
          consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
          consumeType: "CONSUME_PASSIVELY",
          groupName: group,
          messageModel: "CLUSTERING",
          subscriptionDataSet: [
            { topic, subString: "*", expressionType: "TAG", subVersion: 1, tagsSet: [], codeSet: [] },
          ],
        },
      ],
      producerDataSet: [],
    }),
  });

/** Asks for a route as a client of that version. */
async function route(topic: string, version: number, fields: Fields = {}): Promise<Received> {
  const frame = encodeFrame(
    { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, flag: 0, opaque: 1, serialization: 0, fields: { topic, ...fields } },
    undefined,
  );
  const text = frame.toString().replace(/"version":\d+/, `"version":${version}`);
  const header = Buffer.from(text.slice(text.indexOf("{")));
  const lengths = Buffer.alloc(8);
  lengths.writeInt32BE(4 + header.length, 0);
  lengths.writeInt32BE(header.length, 4);
  namesrv.socket.write(Buffer.concat([lengths, header]));
  return namesrv.next((reply) => reply.opaque === 1);
}

describe("rules of the wire", () => {
  it("rule 5: a request may carry namespace, broker name and ACL fields on top", async () => {
    expect(await send("Extras", EXTRAS)).toMatchObject({ code: 0 });
    expect(await heartbeat("extras", "Extras", EXTRAS)).toMatchObject({ code: 0 });
    const pulled = await broker.ask(RequestCode.PULL_MESSAGE, {
      fields: {
        consumerGroup: "extras",
        topic: "Extras",
        queueId: 0,
        queueOffset: 0,
        maxMsgNums: 1,
        sysFlag: 0,
        commitOffset: 0,
        suspendTimeoutMillis: 0,
        subVersion: 1,
        ...EXTRAS,
      },
    });
    expect(pulled.code).toBe(0);
    expect(recordsOf(pulled.body).map(({ text }) => text)).toEqual(["hello"]);
    expect(
      (await namesrv.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, { fields: { topic: "Extras", ...EXTRAS } })).code,
    ).toBe(0);
  });

  it("rule 6: an answer's version is a real MQVersion ordinal, above the 232 that filters need", async () => {
    for (const reply of [await heartbeat("v", "Extras"), await send("Versions"), await namesrv.ask(7777)]) {
      expect(reply.version).toBe(MQVersion.V5_5_0);
      expect(reply.version).toBeGreaterThan(MQVersion.V4_1_0_SNAPSHOT);
    }
  });

  it("rule 8: a route has bare integer keys for old clients, quoted ones since 4.9.4 or when asked for, and no blanks", async () => {
    await send("Route");
    const bare = `"brokerAddrs":{0:"${cluster.brokerAddr}"}`;
    const quoted = `"brokerAddrs":{"0":"${cluster.brokerAddr}"}`;
    for (const [version, fields, expected] of [
      [MQVersion.V4_9_4 - 1, {}, bare],
      [MQVersion.V4_9_4, {}, quoted],
      [MQVersion.V5_5_0, {}, quoted],
      [MQVersion.V4_9_4 - 1, { acceptStandardJsonOnly: true }, quoted],
      [MQVersion.V4_9_4 - 1, { acceptStandardJsonOnly: false }, bare],
    ] as const) {
      const { code, body } = await route("Route", version, fields);
      expect(code).toBe(0);
      expect(body.toString()).toContain(expected);
      expect(body.toString()).not.toMatch(/\s/);
    }
  });

  it("rule 8: cluster info has bare integer keys", async () => {
    const { body } = await namesrv.ask(RequestCode.GET_BROKER_CLUSTER_INFO);
    expect(body.toString()).toContain(`"brokerAddrs":{0:"${cluster.brokerAddr}"}`);
  });

  it("rule 11: a route of an unknown topic is code 17; no order configuration unless the NameServer keeps one", async () => {
    const unknown = await route("Nowhere", MQVersion.V5_5_0);
    expect(unknown.code).toBe(17);
    expect(unknown.remark).toContain("No topic route info in name server for the topic: Nowhere");
    await namesrv.ask(RequestCode.PUT_KV_CONFIG, {
      fields: { namespace: "ORDER_TOPIC_CONFIG", key: "Route", value: "broker-a:1" },
    });
    expect((await route("Route", MQVersion.V5_5_0)).body.toString()).not.toContain("orderTopicConf");
  });

  it("rule 11: a group's retry topic has a route after its first heartbeat", async () => {
    expect((await route("%RETRY%newcomer", MQVersion.V5_5_0)).code).toBe(17);
    await heartbeat("newcomer", "Extras");
    expect((await route("%RETRY%newcomer", MQVersion.V5_5_0)).code).toBe(0);
  });

  it("rule 22: the host inside an offset message id can be dialled and reads the message", async () => {
    const { fields } = await send("Dial");
    const id = parseMessageId(fields.msgId);
    expect(id).toBeDefined();
    const there = await RawClient.connect(formatHost(id?.host as Buffer));
    const viewed = await there.ask(RequestCode.VIEW_MESSAGE_BY_ID, { fields: { offset: id?.logOffset } });
    there.close();
    expect(viewed.code).toBe(0);
    expect(recordsOf(viewed.body)).toMatchObject([{ topic: "Dial", text: "hello", logOffset: id?.logOffset }]);
  });

  it("rule 24: the list of all topics is refused where the NameServer has it off, which it has not by default", async () => {
    expect((await namesrv.ask(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)).code).toBe(0);
    const closed = await startNameServer({ config: { enableAllTopicList: "false" } });
    const asking = await RawClient.connect(closed.address);
    const reply = await asking.ask(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER);
    asking.close();
    await closed.close();
    expect(reply).toMatchObject({ code: 1, remark: "disable" });
  });

  it("rules 9, 10, 27, 28, 29, 30: users cannot be made while nothing speaks of access control", async () => {
    for (const name of ["AUTH_CREATE_USER", "AUTH_LIST_USER", "AUTH_LIST_ACL"] as const) {
      const reply = await broker.ask(RequestCode[name], { fields: EXTRAS, body: "{}" });
      expect([name, reply.code, reply.body.length]).toEqual([name, 1, 0]);
      expect(reply.remark).toMatch(/^An system error occurred, please try again later\. There are no users: /);
    }
  });
});
